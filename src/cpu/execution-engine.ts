import { InterpreterModule, type SlowPaths } from "../codegen/interpreter-module.ts";
import type { Instruction } from "../isa/instruction.ts";
import { CpuState } from "../state/cpu-state.ts";
import { CodeCache } from "./code-cache.ts";
import { CodeModes } from "./code-mode.ts";
import type { Core, CpuModel, Fault } from "./core.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { Tlb } from "./tlb.ts";
import type { VmExit } from "./vmx-socket.ts";

/** Which tier carries out instructions: translated handlers, or the evaluator. Neither is visible to the guest. */
export type Tier = "jit" | "interpreter" | "evaluator";

/** What engines begin with. Whoever tests another tier changes it before machines are made. */
export const engineDefaults: { tier: Tier; eager: boolean } = { tier: "jit", eager: false };

/** More code modes than any system uses; a guest that makes new ones without end starts over. */
const maximumModes = 4096;
/** Handlers, likewise: Debian's boot makes about two thousand. */
const maximumHandlers = 10_000;
/** WebAssembly of handlers and regions, bytes, likewise: Debian's boot makes 6 MB of it, V8 several times as much machine code. */
export const maximumCodeBytes = 32 * 2 ** 20;

/** A VMX instruction that ended in VMfail. */
export interface VmFail {
  readonly instruction: Instruction;
  /** VM-instruction error number of VMfailValid; undefined: VMfailInvalid, there was no current VMCS to put one into. */
  readonly error: number | undefined;
}

/** A VM entry that got past the checks of controls and host state, and failed (SDM Vol. 3, "VM-Entry Failures During or After Loading Guest State"). */
export interface VmEntryFailure {
  readonly instruction: "VMLAUNCH" | "VMRESUME";
  /** Basic exit reason: 33, 34 or 41. */
  readonly reason: number;
  readonly qualification: bigint;
}

/** Someone who looks on: debuggers, logs, tests. Costs nothing while nobody does. */
export interface Observer {
  /** An exception is about to be delivered; the state is what the instruction that raised it left. */
  exception?(fault: Fault, processor: Core): void;
  /** A VM exit has stored its information and the guest's state in the current VMCS; the host's state is not loaded yet. */
  vmExit?(exit: VmExit, processor: Core): void;
  /** A VM entry has succeeded: the guest's state is loaded, an event to be injected is not delivered yet. */
  vmEntry?(processor: Core): void;
  /** A VM entry fails, and the host's state is not loaded yet. RIP is still that of VMLAUNCH or VMRESUME, but with reason 34 the guest's state is loaded. */
  vmEntryFailure?(failure: VmEntryFailure, processor: Core): void;
  /** A VMX instruction ends in VMfail, VMLAUNCH and VMRESUME too; RIP is still its own. */
  vmFail?(failure: VmFail, processor: Core): void;
}

/** What is asked of the processor that runs on the engine. */
export interface RunningProcessor {
  readonly index: number;
  readonly runnable: boolean;
  stopRequested: boolean;
  /** The slow paths of translated code. */
  readonly memory: SlowPaths;
  /** Copy the state out, settled. */
  park(): void;
}

/** What all logical processors of a machine share: memory, translated code, TLB. One of them runs at a time. */
export class ExecutionEngine {
  readonly guest: GuestMemory;
  module: InterpreterModule;
  readonly tlb: Tlb;
  cache: CodeCache;
  readonly modes = new CodeModes();
  /** The running processor's state: at offset 0 of linear memory. */
  readonly state: CpuState;
  current: RunningProcessor | undefined;
  tier: Tier = engineDefaults.tier;
  /**
   * Told when translated code has returned to the processor after at least one instruction, with the part of the budget of
   * `LogicalProcessor.run` that is used up. The state is that between two instructions, its flags not settled; why the code returned has had
   * no effect yet.
   */
  onExit: ((used: number) => void) | undefined;
  observer: Observer | undefined;

  readonly #model: CpuModel;

  constructor(guest: GuestMemory, model: CpuModel) {
    this.guest = guest;
    this.#model = model;
    this.state = new CpuState(guest.memory.buffer, 0);
    this.tlb = new Tlb(guest.memory.buffer);
    guest.onWatch = (pageOffset) => this.tlb.protect(pageOffset);
    this.module = this.#newModule();
    this.cache = this.#newCache();
    this.eager = engineDefaults.eager;
  }

  #newModule(): InterpreterModule {
    return new InterpreterModule(this.guest.memory, {
      miss: (access) => this.current!.memory.miss(access),
      checked: (word) => this.current!.memory.checked(word),
      flush: () => this.current!.memory.flush(),
      lookUpPages: (slot) => this.cache.slots.lookUp(slot),
    });
  }

  /** Translate at once whatever can be: for tests of the JIT tier. */
  get eager(): boolean {
    return this.cache.eager;
  }
  set eager(eager: boolean) {
    this.cache.eager = eager;
  }

  #newCache(): CodeCache {
    const model = this.#model;
    const usualForms = model.has("FDP_EXCPTN_ONLY") && model.has("FCS_FDS_DEPRECATED");
    return new CodeCache(this.guest, this.module, this.tlb, (feature) => model.has(feature), usualForms);
  }

  /** Some bound is reached: time to `tidy`. */
  get untidy(): boolean {
    return this.cache.full || this.modes.size > maximumModes || this.#isLarge;
  }

  /** Has translated code reached a bound? */
  get #isLarge(): boolean {
    return this.module.handlerCount > maximumHandlers || this.module.codeBytes > maximumCodeBytes;
  }

  /** Keep decoded code, modes and handlers within bounds, whatever the guest makes of them. Not while translated code runs. */
  tidy(): void {
    if (this.cache.full) this.cache.flush();
    if (this.modes.size > maximumModes) {
      this.cache.flush();
      this.modes.clear();
    }
    if (this.#isLarge) {
      const { eager } = this;
      this.module.settle();
      this.cache.flush();
      this.module = this.#newModule();
      this.cache = this.#newCache();
      this.eager = eager;
    }
  }
}
