import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { RFLAGS } from "../../arch/flags.ts";
import type { LogicalProcessor } from "../../cpu/logical-processor.ts";
import { VmxOperation } from "../../cpu/vmx-socket.ts";
import type { Pc } from "../../machine/pc.ts";
import type { CpuState } from "../../state/cpu-state.ts";
import { offsetOf, segmentRegisters } from "../../state/layout.ts";
import { VtX } from "../../vmx/vt-x.ts";
import { HostApic } from "./host-apic.ts";
import {
  gdt,
  gdtBytes,
  hostRights,
  hostSelector,
  idtBytes,
  interruptStack,
  trapFrame,
  tssBytes,
} from "./host-image.ts";
import type { HostMemory } from "./host-memory.ts";

const offset = {
  RIP: offsetOf("RIP"),
  RSP: offsetOf("RSP"),
  RAX: offsetOf("RAX"),
  RDX: offsetOf("RDX"),
  RCX: offsetOf("RCX"),
  RSI: offsetOf("RSI"),
  RDI: offsetOf("RDI"),
  activity: offsetOf("activity"),
  operation: offsetOf("vmx.operation"),
  flags: offsetOf("RFLAGS"),
} as const;
const activity = { active: 0, HLT: 1, shutdown: 2 } as const;
const IF = Number(RFLAGS.IF);

/** Where FPU and vector registers are in the state: contiguous runs, and where an image has them. */
const fpuParts = (() => {
  const vectors = { from: offsetOf("x87.0"), to: offsetOf("XMM15") + 32 };
  const control = { from: offsetOf("MXCSR"), to: offsetOf("FDS") + 4 };
  const pointers = { from: offsetOf("FIP"), to: offsetOf("FDP") + 8 };
  let at = 0;
  return [vectors, control, pointers].map((part) => {
    const placed = { ...part, at };
    at += part.to - part.from;
    return placed;
  });
})();
export const fpuImageBytes = fpuParts.reduce((sum, { from, to }) => sum + to - from, 0);

const stackBytes = 0x4000;
const areaBytes = 4096;

/** Why a call is not back yet. */
export type Unfinished =
  /** The kernel's time slice is used up, or somebody wants it to end. */
  | "slice"
  /** The processor waits: the kernel in its idle loop, or the guest in HLT. */
  | "waiting"
  /** The host has come to its end: `HostKernel.died` says why. */
  | "died";

/** Somebody who has each instruction of the host executed alone, and looks at it. */
export interface InstructionTrace {
  /** As LogicalProcessor.run. */
  run(cpu: HostProcessor, budget: number): number;
}

export interface HostDeath {
  /** Index of the processor. */
  readonly processor: number;
  readonly says: string;
}

/** The kernel around its processors. */
export interface KernelAround {
  readonly pc: Pc;
  readonly memory: HostMemory;
  readonly pageTables: number;
  readonly IDT: number;
  readonly returnGate: number;
  readonly trapGate: number;
  /** Instructions that `proceed` may still run before threads take turns. */
  sliceLeft: number;
  /** The run is to end soon. */
  readonly stopping: boolean;
  died: HostDeath | undefined;
  readonly trace: InstructionTrace | undefined;
  symbol(name: string): number;
  /** An exception or interrupt is at the trap gate. False: an exception without a handler, which is the host's end. */
  dispatch(cpu: HostProcessor, vector: number, frame: number): boolean;
}

/** One logical processor of the host: its kernel stack, descriptor tables and local APIC, and the call it is in. */
export class HostProcessor {
  readonly index: number;
  readonly processor: LogicalProcessor;
  readonly state: CpuState;
  readonly vmx: VtX;
  readonly apic: HostApic;
  /** Per-processor area, where GS.base points. */
  readonly area: number;
  readonly GDT: number;
  readonly TSS: number;
  /** The kernel stack: its highest address, and where it begins. */
  readonly stackTop: number;
  readonly stackBottom: number;
  /** Why the last `proceed` came back without the function having returned. */
  unfinished: Unfinished = "slice";
  /** Upper 32 bits of the linear addresses at which the host kernel's memory is mapped; 0: each address to itself. */
  linearHigh = 0;
  readonly #kernel: KernelAround;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(kernel: KernelAround, index: number) {
    this.#kernel = kernel;
    this.index = index;
    this.processor = kernel.pc.processors[index]!;
    this.state = kernel.pc.engine.state;
    this.#view = this.state.view;
    this.#bytes = new Uint8Array(this.#view.buffer, this.#view.byteOffset);
    const { vmx } = this.processor;
    if (!(vmx instanceof VtX)) throw new Error("the host's processors have VT-x");
    this.vmx = vmx;
    this.apic = new HostApic(this.processor);
    const { memory } = kernel;
    this.GDT = memory.allocate(gdtBytes, 64);
    this.TSS = memory.allocate(tssBytes, 128);
    this.area = memory.allocate(areaBytes);
    const stack = (name: string): number => {
      const bottom = memory.allocate(stackBytes);
      memory.label({
        start: bottom,
        length: stackBytes,
        name: `${name} of processor ${index}`,
        owner: "host",
        isStack: true,
      });
      return bottom + stackBytes;
    };
    this.stackTop = stack("kernel stack");
    this.stackBottom = this.stackTop - stackBytes;
    memory.write(this.GDT, gdt(this.TSS));
    memory.writeNumber(this.TSS + 4, this.stackTop);
    memory.writeNumber(this.TSS + 36 + 8 * (interruptStack.NMI - 1), stack("NMI stack"));
    memory.writeNumber(this.TSS + 36 + 8 * (interruptStack.doubleFault - 1), stack("double-fault stack"));
    this.#start();
  }

  /** In 64-bit mode at CPL 0, as firmware and the kernel's own beginning would have brought it. */
  #start(): void {
    const { state, processor } = this;
    const { model } = processor;
    processor.select();
    state.activity = activity.active;
    state.CR0 = CR0.PE | CR0.MP | CR0.ET | CR0.NE | CR0.WP | CR0.PG;
    state.CR3 = BigInt(this.#kernel.pageTables);
    state.CR4 = CR4.PAE | CR4.PGE | CR4.OSFXSR | CR4.OSXMMEXCPT | (model.has("XSAVE") ? CR4.OSXSAVE : 0n);
    state.IA32_EFER = IA32_EFER.SCE | IA32_EFER.LME | IA32_EFER.LMA | IA32_EFER.NXE;
    state.RFLAGS = RFLAGS.FIXED;
    state.RSP = BigInt(this.stackTop - 64);
    state.RIP = BigInt(this.#kernel.symbol("returnGate"));
    for (const name of segmentRegisters) {
      state[`${name}.base`] = 0n;
      state[`${name}.limit`] = 0xffff_ffff;
      state[`${name}.selector`] = hostSelector.kernelData;
      state[`${name}.access`] = hostRights.data;
    }
    state["CS.selector"] = hostSelector.kernelCode;
    state["CS.access"] = hostRights.code;
    state["GS.base"] = BigInt(this.area);
    state["TR.selector"] = hostSelector.TSS;
    state["TR.base"] = BigInt(this.TSS);
    state["TR.limit"] = tssBytes - 1;
    state["TR.access"] = hostRights.TSS;
    state["LDTR.selector"] = 0;
    state["LDTR.access"] = 1 << 16;
    state["GDTR.base"] = BigInt(this.GDT);
    state["GDTR.limit"] = gdtBytes - 1;
    state["IDTR.base"] = BigInt(this.#kernel.IDT);
    state["IDTR.limit"] = idtBytes - 1;
    processor.invalidate({ kind: "all" });
  }

  /** RFLAGS.IF of the C part. Valid after `select`. */
  get interruptsEnabled(): boolean {
    return (this.#view.getUint32(offset.flags, true) & IF) !== 0;
  }

  /** STI and CLI of the C part, where nothing waits to be taken: else `enableInterrupts` of the host kernel is to be called. */
  set interruptsEnabled(enabled: boolean) {
    const flags = this.#view.getUint32(offset.flags, true);
    this.#view.setUint32(offset.flags, enabled ? flags | IF : flags & ~IF, true);
  }

  /** FXSAVE of the C part into a buffer of `fpuImageBytes`, and FXRSTOR from one: the same effect, without an instruction. */
  saveFpu(image: Uint8Array): void {
    for (const { from, to, at } of fpuParts) image.set(this.#bytes.subarray(from, to), at);
  }
  loadFpu(image: Uint8Array): void {
    for (const { from, to, at } of fpuParts) this.#bytes.set(image.subarray(at, at + to - from), from);
  }

  /** Stack pointer of the C part. */
  get stackPointer(): number {
    return this.#word(offset.RSP);
  }

  /** Make this processor's state the one at hand. */
  select(): void {
    this.processor.select();
  }

  #word(at: number): number {
    return this.#view.getUint32(at + 4, true) * 0x1_0000_0000 + this.#view.getUint32(at, true);
  }

  #setWord(at: number, value: number): void {
    this.#view.setUint32(at, value >>> 0, true);
    this.#view.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
  }

  /** RAX and RDX as a function left them: numbers below 2^53, or their lowest bits. */
  get rax(): number {
    return this.#view.getUint32(offset.RAX, true);
  }
  get rdx(): bigint {
    return this.state.RDX;
  }

  /**
   * Call a function of the host kernel, by the System V convention: the return address goes onto the present stack. `proceed` runs it.
   * Arguments are numbers from 0 to 2^53.
   */
  begin(address: number, rdi = 0, rsi = 0, rdx = 0, rcx = 0): void {
    this.processor.select();
    const view = this.#view;
    const rsp = view.getUint32(offset.RSP, true) - 8;
    view.setUint32(offset.RSP, rsp, true);
    this.#kernel.memory.writeNumber(rsp, this.#kernel.returnGate);
    this.#kernel.memory.write32(rsp + 4, this.linearHigh);
    this.#setWord(offset.RIP, address);
    view.setUint32(offset.RIP + 4, this.linearHigh, true);
    this.#setWord(offset.RDI, rdi);
    this.#setWord(offset.RSI, rsi);
    this.#setWord(offset.RDX, rdx);
    this.#setWord(offset.RCX, rcx);
  }

  /** Go on at a place in the kernel's code, with another stack. Addresses are physical ones; an argument of 0 is no address. */
  goOn(rip: number, rsp: number, rdi?: number): void {
    this.processor.select();
    this.#setAddress(offset.RIP, rip);
    this.#setAddress(offset.RSP, rsp);
    if (rdi !== undefined) this.#setAddress(offset.RDI, rdi);
  }

  #setAddress(at: number, address: number): void {
    this.#view.setUint32(at, address, true);
    this.#view.setUint32(at + 4, address === 0 ? 0 : this.linearHigh, true);
  }

  /** Go on until the function has returned: true. False: not now, `unfinished` says why, and `proceed` goes on. */
  proceed(): boolean {
    const kernel = this.#kernel;
    const { processor } = this;
    const view = this.#view;
    const { clock } = kernel.pc;
    processor.select();
    for (;;) {
      clock.fireDue();
      if (kernel.sliceLeft <= 0 || kernel.stopping) return this.#later("slice");
      const next = clock.nextDeadlineNs;
      const left = kernel.sliceLeft;
      const budget = next === undefined ? left : Math.min(left, Math.max(1, next - clock.nowNs));
      kernel.sliceLeft -= kernel.trace === undefined ? processor.run(budget) : kernel.trace.run(this, budget);
      const doing = view.getUint32(offset.activity, true);
      if (doing === activity.active) continue;
      if (view.getUint32(offset.operation, true) === VmxOperation.nonRoot) {
        if (!processor.runnable) return this.#later("waiting");
      } else if (doing === activity.HLT) {
        const rip = view.getUint32(offset.RIP, true);
        if (rip === kernel.returnGate + 1) {
          view.setUint32(offset.activity, activity.active, true);
          return true;
        }
        if (rip === kernel.trapGate + 1) {
          view.setUint32(offset.activity, activity.active, true);
          if (!this.#trap()) return this.#later("died");
        } else if (!processor.runnable) return this.#later("waiting");
      } else {
        kernel.died ??= { processor: this.index, says: "the host shut down after a triple fault" };
        return this.#later("died");
      }
    }
  }

  #later(why: Unfinished): false {
    this.unfinished = why;
    return false;
  }

  /** An exception or interrupt has come to the host: to its handler. False: there is none for an exception. */
  #trap(): boolean {
    const kernel = this.#kernel;
    const frame = this.#view.getUint32(offset.RSP, true);
    const handled = kernel.dispatch(this, kernel.memory.read32(frame + trapFrame.vector), frame);
    this.processor.select();
    this.#setWord(offset.RIP, kernel.symbol("trapDone"));
    return handled;
  }

  /**
   * The part of a thread that waits for the function to return: `if (!cpu.proceed()) yield* cpu.rest()`. Each yield gives the
   * processor up for a while.
   */
  *rest(): Generator<Unfinished, void, void> {
    do yield this.unfinished;
    while (!this.proceed());
  }
}
