import { Exception } from "../../arch/exceptions.ts";
import { assemble } from "../../asm/index.ts";
import type { CpuModel } from "../../cpu/core.ts";
import { identityMapBytes, identityMapLength } from "../../machine/boot/initial-state.ts";
import { Pc } from "../../machine/pc.ts";
import type { PcOutputs, PcStop } from "../../machine/pc-doors.ts";
import { Callouts } from "./callouts.ts";
import {
  hostStubs,
  idtBytes,
  interruptGate,
  interruptStack,
  trapEntryBytes,
  trapFrame,
} from "./host-image.ts";
import { HostMemory } from "./host-memory.ts";
import {
  type HostDeath,
  HostProcessor,
  type InstructionTrace,
  type KernelAround,
  type Unfinished,
} from "./host-processor.ts";

/** Vectors that the host kernel uses. */
export const hostVector = { spurious: 0xff, timer: 0xef, kick: 0xf0, reschedule: 0xf1 } as const;

export interface HostConfiguration {
  /** Bytes of RAM: the host kernel's own and its guests'. */
  readonly memoryBytes: number;
  readonly processors: number;
  readonly model: CpuModel;
  readonly seed?: bigint;
  /** Memory of the same host before it was started again: what is not the kernel's keeps its contents. */
  readonly keptMemory?: WebAssembly.Memory;
  readonly unimplemented?: (what: string) => void;
}

/** RAM below this is the host kernel's; the rest may be given to guests. */
export const hostKernelBytes = 16 * 1024 * 1024;

/** The interrupted program, as an entry of the IDT left it on the stack. */
export interface Trap {
  readonly cpu: HostProcessor;
  readonly vector: number;
  /** Address of the frame: offsets are those of `trapFrame`. */
  readonly frame: number;
}

/** Code that was placed, for traces. */
export interface PlacedCode {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly symbols: ReadonlyMap<string, number>;
}

/** A thread of the kernel on one processor: TypeScript that calls stubs, and yields while they are not back. */
export type Thread<Result = void> = Generator<Unfinished, Result, void>;

/** With several processors, each runs this long before the next takes its turn. */
const turnInstructions = 10_000;
const jumpLimit = 100_000;
const codeBytes = 256 * 1024;

/**
 * A 64-bit kernel without a user: a PC brought straight into long mode, memory mapped to itself, with real descriptor tables,
 * stacks and interrupt entries. Its assembly runs on the emulated processors; its C part is the TypeScript around it, which calls
 * assembly functions and gets control back when they return, and at exceptions and interrupts.
 */
export class HostKernel implements KernelAround {
  readonly pc: Pc;
  readonly memory: HostMemory;
  readonly cpus: readonly HostProcessor[];
  /** Timers of the C part, on the first processor's local APIC. */
  readonly callouts: Callouts;
  readonly IDT: number;
  /** CR3: all of the first 4 GiB is mapped to itself. */
  readonly pageTables: number;
  readonly code: PlacedCode[] = [];
  readonly returnGate: number;
  readonly trapGate: number;
  /** Instructions that `proceed` may still run before threads take turns. */
  sliceLeft = 2 ** 40;
  /** The run is to end soon. */
  stopping = false;
  /** The processor whose C part is at work. */
  current: HostProcessor | undefined;
  /** The host kernel itself has failed. */
  died: HostDeath | undefined;
  trace: InstructionTrace | undefined;
  /** Interrupts that nobody had a handler for. */
  strayInterrupts = 0;
  readonly #handlers: (((trap: Trap) => void) | undefined)[] = new Array(256).fill(undefined);
  readonly #symbols = new Map<string, number>();
  readonly #threads: (Thread<unknown> | undefined)[];
  #turn = 0;
  #turnLeft = 0;
  /** Code has pages of its own: a store beside it would cost as one into it. */
  #codeEnd: number;
  readonly #codeLimit: number;

  constructor(configuration: HostConfiguration) {
    const { memoryBytes, processors, model, seed = 0n, keptMemory, unimplemented } = configuration;
    const outputs: PcOutputs = {
      serial() {},
      debugcon() {},
      virtioConsole() {},
      ...(unimplemented === undefined ? {} : { unimplemented }),
    };
    const kept = keptMemory === undefined ? {} : { keptMemory };
    this.pc = new Pc({ memoryBytes, processors, model, seed, disks: [], romBytes: 0, ...kept }, outputs);
    const end = Math.min(memoryBytes, hostKernelBytes);
    this.pc.guest.writeBytes(0, new Uint8Array(end));
    this.memory = new HostMemory(this.pc.guest, end);
    this.pageTables = this.memory.allocate(identityMapLength);
    this.memory.write(this.pageTables, identityMapBytes(this.pageTables));
    this.IDT = this.memory.allocate(idtBytes);
    this.#codeEnd = this.memory.allocate(codeBytes);
    this.#codeLimit = this.#codeEnd + codeBytes;
    this.place("host", hostStubs);
    this.returnGate = this.symbol("returnGate");
    this.trapGate = this.symbol("trapGate");
    for (let vector = 0; vector < 256; vector++)
      this.setGate(vector, this.#trapEntry(vector), stackOf(vector));
    this.cpus = Array.from({ length: processors }, (_, index) => new HostProcessor(this, index));
    this.#threads = this.cpus.map(() => undefined);
    const first = this.cpus[0]!;
    this.callouts = new Callouts(this.pc.clock, first.apic);
    for (const cpu of this.cpus) {
      cpu.select();
      cpu.apic.enable(hostVector.timer, hostVector.spurious);
    }
    this.onVector(hostVector.timer, () => {
      first.apic.endOfInterrupt();
      this.callouts.interrupted();
    });
    first.select();
  }

  #trapEntry(vector: number): number {
    return this.symbol("trapEntries") + trapEntryBytes * vector;
  }

  /** Put assembled text into memory for good. Symbols of code placed before can be used in it. */
  place(name: string, text: string, symbols: Readonly<Record<string, number>> = {}): PlacedCode {
    const known = { ...Object.fromEntries(this.#symbols), ...symbols };
    // A label of this text takes the place of one placed before.
    for (const [, label] of text.matchAll(/^(\w+):/gm)) delete known[label!];
    const assembled = (origin: number) => {
      const assembly = assemble(text, { codeSize: 64, origin, symbols: known });
      if (assembly.kind === "errors")
        throw new Error(
          `${name}: ${assembly.errors.map(({ line, message }) => `${line}: ${message}`).join("; ")}`,
        );
      return assembly;
    };
    const start = this.#codeEnd;
    const { bytes, symbols: found } = assembled(start);
    this.#codeEnd = Math.ceil((start + bytes.length) / 64) * 64;
    if (this.#codeEnd > this.#codeLimit) throw new Error("the host kernel's room for code is used up");
    this.memory.write(start, bytes);
    const own = new Map(
      [...found].filter(([label]) => !(label in known)).map(([label, value]) => [label, Number(value)]),
    );
    for (const [label, value] of own) this.#symbols.set(label, value);
    const placed = { name, start, end: start + bytes.length, symbols: own };
    this.code.push(placed);
    return placed;
  }

  /** Address of a label of placed code. */
  symbol(name: string): number {
    const address = this.#symbols.get(name);
    if (address === undefined) throw new Error(`the host kernel has no code ${name}`);
    return address;
  }

  /** Entry of the IDT. */
  setGate(vector: number, address: number, options?: Parameters<typeof interruptGate>[1]): void {
    this.memory.write(this.IDT + 16 * vector, interruptGate(address, options));
  }

  /** The C part of a vector. It runs with interrupts off; what it changes in the frame, the interrupted program gets. */
  onVector(vector: number, handler: (trap: Trap) => void): void {
    this.#handlers[vector] = handler;
  }

  /** Called by a processor at the trap gate. False: an exception without a handler, which is the host's end. */
  dispatch(cpu: HostProcessor, vector: number, frame: number): boolean {
    const handler = this.#handlers[vector];
    if (handler !== undefined) handler({ cpu, vector, frame });
    else if (vector < 32 && vector !== Exception.NMI) {
      const rip = this.memory.readNumber(frame + trapFrame.rip);
      const error = this.memory.read32(frame + trapFrame.errorCode);
      this.died ??= {
        processor: cpu.index,
        says: `exception ${vector} in the host kernel at 0x${rip.toString(16)}, error code ${error}`,
      };
      return false;
    } else {
      this.strayInterrupts++;
      if (vector >= 32 && vector !== hostVector.spurious) cpu.apic.endOfInterrupt();
    }
    return true;
  }

  /**
   * Call a function and wait for it: for what comes before threads, and for tests. Undefined: it came back; else why it cannot, as
   * nothing else runs meanwhile.
   */
  call(
    cpu: HostProcessor,
    address: number,
    args: { readonly rdi?: number; readonly rsi?: number; readonly rdx?: number; readonly rcx?: number } = {},
    budgetInstructions = 1_000_000,
  ): Unfinished | undefined {
    cpu.begin(address, args.rdi, args.rsi, args.rdx, args.rcx);
    return this.toReturn(cpu, budgetInstructions) ? undefined : cpu.unfinished;
  }

  /** `proceed` until the function returns, with instructions of its own: whoever wants the run to end gets that after it. */
  toReturn(cpu: HostProcessor, budgetInstructions: number): boolean {
    const { sliceLeft, stopping } = this;
    this.sliceLeft = budgetInstructions;
    this.stopping = false;
    const returned = cpu.proceed();
    this.sliceLeft = sliceLeft;
    this.stopping ||= stopping;
    return returned;
  }

  /** Run a thread to its end with nothing beside it: for tests. Waiting lets virtual time jump. */
  finish<Result>(thread: Thread<Result>, budgetInstructions = 10_000_000): Result | Unfinished {
    this.sliceLeft = budgetInstructions;
    for (;;) {
      const step = thread.next();
      if (step.done) return step.value;
      const next = this.pc.clock.nextDeadlineNs;
      if (step.value !== "waiting" || next === undefined) return step.value;
      this.pc.clock.nowNs = Math.max(this.pc.clock.nowNs, next);
    }
  }

  /** Give a processor its thread. It begins when `run` comes to it. */
  start(cpu: HostProcessor, thread: Thread<unknown>): void {
    this.#threads[cpu.index] = thread;
  }

  /** Run the threads for about so many instructions. `warp` as in Pc.run. */
  run(maximum: number, warp: boolean): PcStop {
    const { clock } = this.pc;
    const several = this.cpus.length > 1;
    let left = maximum;
    let jumps = 0;
    while (left > 0 && !this.stopping) {
      if (this.died) return { kind: "triple-fault", processor: this.died.processor };
      clock.fireDue();
      const cpu = this.#nextProcessor();
      if (cpu === undefined) {
        const next = clock.nextDeadlineNs;
        if (next === undefined) return { kind: "idle", untilNs: undefined };
        if (!warp || ++jumps > jumpLimit) return { kind: "idle", untilNs: next };
        clock.nowNs = Math.max(clock.nowNs, next);
        continue;
      }
      const slice = several ? Math.min(left, this.#turnLeft) : left;
      this.sliceLeft = slice;
      this.current = cpu;
      if (this.#threads[cpu.index]!.next().done) this.#threads[cpu.index] = undefined;
      this.current = undefined;
      const ran = slice - Math.max(0, this.sliceLeft);
      if (ran > 0) jumps = 0;
      left -= ran;
      this.#turnLeft = cpu.unfinished === "waiting" ? 0 : this.#turnLeft - Math.max(1, ran);
    }
    this.stopping = false;
    return { kind: "budget" };
  }

  /** The processor whose turn it is: with a thread that does not wait. */
  #nextProcessor(): HostProcessor | undefined {
    const { cpus } = this;
    const ready = (cpu: HostProcessor): boolean => {
      if (this.#threads[cpu.index] === undefined) return false;
      if (cpu.unfinished !== "waiting") return true;
      cpu.select();
      return cpu.processor.runnable;
    };
    if (this.#turnLeft > 0 && ready(cpus[this.#turn]!)) return cpus[this.#turn];
    this.#turnLeft = turnInstructions;
    for (let n = 1; n <= cpus.length; n++) {
      this.#turn = (this.#turn + 1) % cpus.length;
      if (ready(cpus[this.#turn]!)) return cpus[this.#turn];
    }
    return undefined;
  }
}

const stackOf = (vector: number): { stack: number } => ({
  stack:
    vector === Exception.NMI
      ? interruptStack.NMI
      : vector === Exception.DF
        ? interruptStack.doubleFault
        : interruptStack.none,
});
