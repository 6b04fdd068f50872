import { IA32_EFER } from "../../arch/control-registers.ts";
import type { PcStop } from "../../machine/pc-doors.ts";
import type { SwitchStep } from "../host/switch-trace.ts";
import { guestValue, hostValue, valueNumber } from "./guests.ts";
import type { KeptRegister, Subject, Translation } from "./subject.ts";

export type World = "host" | "guest";

/** Whose values lie in registers that a switch may leave where they are. */
export interface LazyRegisters {
  readonly XMM0: World;
  readonly CR2: World;
  readonly IA32_LSTAR: World;
  readonly IA32_KERNEL_GS_BASE: World;
  /** CR0.TS: the next use of the FPU traps. */
  readonly TS: boolean;
}

/** One time into the guest and out again, as it was seen. */
export interface Crossing {
  /** From the call of the host's assembly to the entry. */
  readonly entry: SwitchStep[];
  /** From the exit until the C part has control. */
  readonly exit: SwitchStep[];
  /** What else the host executed before it began the next entry. */
  readonly after: SwitchStep[];
  translation: Translation | undefined;
  /** Of the guest, as it was entered. */
  readonly ring: number;
  readonly bits: 32 | 64;
  /** When the exit arrives. */
  arrival: LazyRegisters | undefined;
  stackPointer: bigint;
  isAcknowledged: boolean;
  /** When a device of the user's is reached. */
  atDevice: LazyRegisters | undefined;
  /** Registers that a function should have kept, and did not. */
  lost: readonly KeptRegister[];
  /** Bytes of the host's stack above the entry that are others now. */
  stackChanges: number;
}

const sliceInstructions = 2000;
const mostSlices = 300;
const spinSlices = 2;
/** Steps that are kept, at most: a host that runs wild is noticed without them. */
const mostSteps = 100_000;

/** Looks on while a subject runs, and tells crossings apart. */
export class Recorder {
  readonly subject: Subject;
  readonly crossings: Crossing[] = [];
  /** Entries that did not come to pass: the steps around each. */
  readonly failedEntries: SwitchStep[][] = [];
  /** The machine has stopped. */
  stop: PcStop | undefined;
  /** Steps of the host since the last crossing. */
  #pending: SwitchStep[] = [];
  #open: Crossing | undefined;
  #isIn = false;
  #steps = 0;
  #stackBefore: Uint8Array = new Uint8Array();

  constructor(subject: Subject) {
    this.subject = subject;
    const { state } = subject;
    subject.keptByFunctions.forEach((name, n) => {
      state[name] = this.#kept(n);
    });
    state.CR2 = hostValue(valueNumber.CR2);
    const xmm = state.bytes("XMM0");
    new DataView(xmm.buffer, xmm.byteOffset).setBigUint64(0, hostValue(valueNumber.XMM0), true);
    subject.onStep = (step) => this.#take(step);
    subject.onDevice = () => this.#atDevice();
  }

  /** What the host has in a register that a function keeps. */
  #kept(n: number): bigint {
    return BigInt.asUintN(this.subject.wordBits, hostValue(n));
  }

  /** Called when a device is reached for the first time. */
  onFirstDevice: (() => void) | undefined;

  #atDevice(): void {
    if (this.#open !== undefined) this.#open.atDevice ??= this.#lazyRegisters();
    const act = this.onFirstDevice;
    this.onFirstDevice = undefined;
    act?.();
  }

  #lazyRegisters(): LazyRegisters {
    const { state } = this.subject;
    const xmm = state.bytes("XMM0");
    const whose = (value: bigint, number: number): World => (value === guestValue(number) ? "guest" : "host");
    return {
      XMM0: whose(new DataView(xmm.buffer, xmm.byteOffset).getBigUint64(0, true), valueNumber.XMM0),
      CR2: whose(state.CR2, valueNumber.CR2),
      IA32_LSTAR: whose(state.IA32_LSTAR, valueNumber.IA32_LSTAR),
      IA32_KERNEL_GS_BASE: whose(state.IA32_KERNEL_GS_BASE, valueNumber.IA32_KERNEL_GS_BASE),
      TS: (state.CR0 & 8n) !== 0n,
    };
  }

  #take(step: SwitchStep): void {
    if (this.#steps++ > mostSteps) return;
    const event = step.kind === "processor" ? step.event : undefined;
    if (event === "VM entry" || event === "IRET") this.#entered(step);
    else if (this.#isIn && (event === "VM exit" || event === "interrupt")) this.#left(step);
    else if (event === "VM entry fails") this.failedEntries.push([...this.#sinceCall(), step]);
    else this.#ofHost(step);
    const failed = this.failedEntries.at(-1);
    if (failed !== undefined && event !== "VM entry fails" && failed.length < 200) failed.push(step);
  }

  /** What came after the C part was last seen, taken away. */
  #sinceCall(): SwitchStep[] {
    const from = this.#pending.findLastIndex(({ kind }) => kind === "C part") + 1;
    return this.#pending.splice(from);
  }

  #entered(step: SwitchStep): void {
    const entry = [...this.#sinceCall(), step];
    this.#open?.after.push(...this.#pending.splice(0));
    this.#pending = [];
    const { state } = this.subject;
    const ring = state["CS.selector"] & 3;
    const bits = state.IA32_EFER & IA32_EFER.LMA ? 64 : 32;
    this.#open = {
      ring, bits, entry, exit: [], after: [], translation: this.subject.translation(), arrival: undefined, stackPointer: 0n,
      isAcknowledged: false, atDevice: undefined, lost: [], stackChanges: 0,
    }; // biome-ignore format: one record
    this.crossings.push(this.#open);
    this.#isIn = true;
  }

  #left(step: SwitchStep): void {
    const open = this.#open!;
    this.#isIn = false;
    open.exit.push(step);
    open.arrival = this.#lazyRegisters();
    open.stackPointer = this.subject.state.RSP;
    open.isAcknowledged = this.subject.isAcknowledged();
  }

  #ofHost(step: SwitchStep): void {
    const { subject } = this;
    const open = this.#open;
    if (step.kind === "instruction" && this.#pending.at(-1)?.kind !== "instruction")
      this.#stackBefore = subject.hostStack();
    const isArriving = open !== undefined && open.exit.length > 0 && open.exit.at(-1)!.kind !== "C part";
    if (!isArriving) {
      this.#pending.push(step);
      return;
    }
    open.exit.push(step);
    if (step.kind !== "C part") return;
    const { state } = subject;
    open.lost = subject.keptByFunctions.filter((name, n) => state[name] !== this.#kept(n));
    const [was, is] = [this.#stackBefore, subject.hostStack()];
    // Both end at the stack's top.
    const common = Math.min(was.length, is.length);
    for (let n = 1; n <= common; n++) if (was[was.length - n] !== is[is.length - n]) open.stackChanges++;
  }

  // --- running

  #word(at: number): number {
    // Before it is entered, it need not even be in memory.
    if (this.crossings.length === 0) return 0;
    const bytes = this.subject.machine.guest.readBytes(at, 4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  }
  get rounds(): number {
    return this.#word(this.subject.guest.rounds);
  }
  get handled(): number {
    return this.#word(this.subject.guest.handled);
  }
  letGo(): void {
    this.subject.machine.guest.writeBytes(this.subject.guest.flag, Uint8Array.of(1));
  }

  /** Run until something is so, or the machine has stopped, or it is clear that nothing comes any more. */
  until(isSo: () => boolean): boolean {
    for (let n = 0; n < mostSlices && this.stop === undefined && this.#steps < mostSteps; n++) {
      if (isSo()) return true;
      const stop = this.subject.machine.run(sliceInstructions, true);
      if (stop.kind !== "budget" && stop.kind !== "interrupted") this.stop = stop;
    }
    return isSo();
  }

  /** For a while, in which the guest spins. */
  spin(): void {
    let slices = 0;
    this.until(() => slices++ >= spinSlices);
  }
  /** Is the guest at it still? Its own words would say so; that it is in the guest says enough. */
  spins(): boolean {
    return this.#isIn;
  }

  /** Registers that the guest found with other values than it had put there. */
  lostByGuest(): string[] {
    const { guest, machine } = this.subject;
    return guest.registers.flatMap(({ name, value, at, bytes }) => {
      const read = new DataView(machine.guest.readBytes(at, bytes).slice().buffer);
      const is = bytes === 8 ? read.getBigUint64(0, true) : BigInt(read.getUint32(0, true));
      return is === value ? [] : [name.toUpperCase()];
    });
  }
}
