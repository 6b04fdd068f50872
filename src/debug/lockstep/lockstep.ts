import type { Tier } from "../../cpu/execution-engine.ts";
import type { SwitchStep } from "../../hypervisors/host/switch-trace.ts";
import type { ImageRunner } from "../../hypervisors/host/virtual-machine.ts";
import type { BootRefusal } from "../../machine/boot/load-plan.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import { Pc } from "../../machine/pc.ts";
import type { PcOutputs, PcStop } from "../../machine/pc-doors.ts";
import { type Cut, Cuts } from "./cuts.ts";
import { EchoOutputs } from "./echo-outputs.ts";
import { EchoStorage } from "./echo-storage.ts";
import { type FieldDifference, fieldDifferences, memoryDifference, sameState } from "./state-difference.ts";

/** Both machines run so many instructions at a time, the second behind the first. */
const sliceInstructions = 100_000;
/** After so many instructions all of memory is compared, too. */
const memoryInterval = 50_000_000;

/** Makes a machine with an image, or with a hypervisor that has it as its guest. */
export type MakeRunner = (
  bootable: BootableMachine,
  outputs: PcOutputs,
  before: ImageRunner | undefined,
) => ImageRunner | BootRefusal;

/** How far both have been found to be the same. */
interface Agreement {
  readonly retired: number;
  readonly rip: bigint;
}

/**
 * An image on two machines: on the first the JIT carries it out, on the second the interpreter. The second follows the first slice by slice,
 * and stops wherever the first one's translated code returned to the processor: there registers, virtual time and the number of instructions
 * must be the same; at the end of each slice the state of all processors, and what was sent and what disks were asked; now and then all of
 * memory. Under a hypervisor, whose own code cannot be cut, only slices are compared.
 *
 * Inputs are the caller's, who gives them to both; what is written to memory from outside goes to both here, and registers are taken over
 * from the first by `adopt`.
 */
export class Lockstep implements ImageRunner {
  readonly #first: ImageRunner;
  readonly second: ImageRunner;
  readonly takesInterrupts?: () => boolean;
  readonly #outputs: EchoOutputs;
  readonly #disks: readonly EchoStorage[];
  /** Of the first; only where it is the PC itself. */
  readonly #cuts: Cuts | undefined;
  #agreed: Agreement;
  #memoryAgreed = 0;
  #isRunning = false;
  /** What the two do not have in common outside the processors, noticed while they ran. */
  #noticed: string | undefined;
  /** The first difference, in one sentence; from then on neither machine runs. */
  difference: string | undefined;

  private constructor(
    first: ImageRunner,
    second: ImageRunner,
    outputs: EchoOutputs,
    disks: readonly EchoStorage[],
  ) {
    this.#first = first;
    this.second = second;
    this.#outputs = outputs;
    this.#disks = disks;
    this.#cuts = first instanceof Pc && second instanceof Pc ? new Cuts(first) : undefined;
    if (first.takesInterrupts !== undefined) this.takesInterrupts = () => first.takesInterrupts!();
    outputs.onInterrupt = () => second.interrupt();
    first.tier = "jit";
    second.tier = "interpreter";
    this.#agreed = this.#here();
  }

  /** Two machines with the same image, or why it cannot be booted. `before`: the two before a reset. */
  static create(
    bootable: BootableMachine,
    outputs: PcOutputs,
    before: Lockstep | undefined,
    make: MakeRunner,
  ): Lockstep | BootRefusal {
    let noticed: string | undefined;
    let lockstep: Lockstep | undefined;
    const differs = (says: string): void => {
      if (lockstep === undefined) noticed ??= says;
      else lockstep.#notice(says);
    };
    const echo = new EchoOutputs(outputs, differs);
    const disks = bootable.configuration.disks.map(({ storage }) => new EchoStorage(storage, differs));
    const on = (which: "first" | "second"): ImageRunner | BootRefusal => {
      const ours = bootable.configuration.disks.map((disk, n) => ({ ...disk, storage: disks[n]![which] }));
      const configuration = { ...bootable.configuration, disks: ours };
      const kept = before === undefined || which === "second" ? before?.second : before.#first;
      return make({ ...bootable, configuration }, echo[which], kept);
    };
    const first = on("first");
    if ("message" in first) return first;
    const second = on("second");
    if ("message" in second) return second;
    lockstep = new Lockstep(first, second, echo, disks);
    if (noticed !== undefined) lockstep.#notice(noticed);
    return lockstep;
  }

  #notice(says: string): void {
    this.#noticed ??= says;
  }

  #here(): Agreement {
    const [processor] = this.#first.processors;
    processor!.select();
    return { retired: this.#first.retired, rip: processor!.state.RIP };
  }

  /** Take over registers that were written from outside while nothing ran. */
  adopt(): void {
    this.#first.processors.forEach((processor, n) => {
      const other = this.second.processors[n]!;
      processor.select();
      other.select();
      const [from, to] = [processor.state.architectural(), other.state.architectural()];
      if (sameState(from, to)) return;
      to.set(from);
      other.invalidate({ kind: "all" });
    });
  }

  run(maximum: number, warp: boolean): PcStop {
    for (let left = maximum; left > 0 && this.difference === undefined; ) {
      const slice = Math.min(left, sliceInstructions);
      const before = this.#first.retired;
      this.#isRunning = true;
      const stop = this.#first.run(slice, warp);
      this.#isRunning = false;
      this.#follow(slice, warp, stop);
      const ran = this.#first.retired - before;
      left -= Math.max(1, ran);
      if (this.difference !== undefined) break;
      if (stop.kind !== "budget") return stop;
    }
    return this.difference === undefined ? { kind: "budget" } : { kind: "interrupted" };
  }

  /** Let the second machine go where the first one is, and compare. */
  #follow(slice: number, warp: boolean, stop: PcStop): void {
    let left = slice;
    if (this.#cuts !== undefined) {
      const pc = this.second as Pc;
      const begin = pc.spent;
      for (const cut of this.#cuts.take()) {
        if (cut.spent <= pc.spent) continue;
        const early = pc.run(cut.spent - pc.spent, warp);
        left = slice - (pc.spent - begin);
        if (early.kind !== "budget") {
          this.#report(`the run ends with "${early.kind}" on the interpreter`, cut.retired);
          return;
        }
        if (!this.#agreesAt(cut, pc)) return;
      }
    }
    const other = left > 0 ? this.second.run(left, warp) : { kind: "budget" as const };
    this.#compare(stop, other);
  }

  #agreesAt(cut: Cut, pc: Pc): boolean {
    const { current, state } = pc.engine;
    const here = state.architectural();
    if (
      cut.processor === current!.index &&
      cut.nowNs === pc.clock.nowNs &&
      cut.retired === pc.retired &&
      sameState(cut.state, here) &&
      this.#noticed === undefined
    ) {
      this.#agreed = { retired: cut.retired, rip: state.RIP };
      return true;
    }
    if (cut.processor !== current!.index)
      this.#report(
        `processor ${cut.processor} runs with the JIT, processor ${current!.index} with the interpreter`,
        cut.retired,
      );
    else
      this.#reportFields(fieldDifferences(cut.state, here), cut.processor, cut.retired, [
        cut.nowNs,
        pc.clock.nowNs,
      ]);
    return false;
  }

  /** All of it, at the end of a slice. */
  #compare(stop: PcStop, other: PcStop): void {
    const { retired } = this.#first;
    if (stop.kind !== other.kind) {
      this.#report(
        `the run ends with "${stop.kind}" with the JIT and "${other.kind}" with the interpreter`,
        retired,
      );
      return;
    }
    for (const [n, processor] of this.#first.processors.entries()) {
      const twin = this.second.processors[n]!;
      processor.select();
      twin.select();
      const [one, two] = [processor.state.architectural(), twin.state.architectural()];
      const clocks = [this.#first.clock.nowNs, this.second.clock.nowNs] as const;
      if (sameState(one, two) && clocks[0] === clocks[1]) continue;
      this.#reportFields(fieldDifferences(one, two), n, retired, clocks);
      return;
    }
    this.#outputs.check();
    for (const disk of this.#disks) disk.check();
    if (this.#noticed !== undefined) {
      this.#report(`${this.#noticed}: the first by the JIT, the second by the interpreter`, retired);
      return;
    }
    if (retired - this.#memoryAgreed >= memoryInterval || stop.kind !== "budget") this.compareMemory();
    if (this.difference === undefined) this.#agreed = this.#here();
  }

  /** Compare all of memory: now and then, and when a run is over. */
  compareMemory(): void {
    if (this.difference !== undefined) return;
    const [one, two] = [this.#first.guest.ram(), this.second.guest.ram()];
    const at = memoryDifference(one, two);
    if (at < 0) {
      this.#memoryAgreed = this.#first.retired;
      return;
    }
    this.difference =
      `between instruction ${this.#memoryAgreed} and instruction ${this.#first.retired} ` +
      `the byte at 0x${at.toString(16)} of memory has become 0x${one[at]!.toString(16)} with the JIT ` +
      `and 0x${two[at]!.toString(16)} with the interpreter`;
  }

  #reportFields(
    fields: readonly FieldDifference[],
    processor: number,
    retired: number,
    [first, second]: readonly [number, number],
  ): void {
    const [field] = fields;
    if (field === undefined) {
      if (first !== second)
        this.#report(
          `virtual time is ${first} ns with the JIT and ${second} ns with the interpreter`,
          retired,
        );
      else this.#report(`${this.#noticed}: the first by the JIT, the second by the interpreter`, retired);
      return;
    }
    const more =
      fields.length === 1
        ? ""
        : `, and ${fields
            .slice(1)
            .map(({ name }) => name)
            .join(", ")} too`;
    this.#report(
      `${field.name} of processor ${processor} is ${field.first} with the JIT and ${field.second} with the interpreter${more}`,
      retired,
    );
  }

  #report(says: string, retired: number): void {
    const { retired: from, rip } = this.#agreed;
    this.difference = `after instruction ${retired}, the two having agreed at instruction ${from} and RIP 0x${rip.toString(16)}, ${says}`;
  }

  interrupt(): void {
    this.#first.interrupt();
    // While it runs somebody has seen what it sends, and the second is to stop where it sends the same.
    if (this.#isRunning) this.#outputs.interrupted();
    else this.second.interrupt();
  }

  skipTo(ns: number): void {
    this.#first.skipTo(ns);
    this.second.skipTo(ns);
  }

  traceSwitch(listener: ((step: SwitchStep) => void) | undefined): void {
    this.#first.traceSwitch?.(listener);
  }

  get guest(): ImageRunner["guest"] {
    const { guest } = this.#first;
    return {
      ramBytes: guest.ramBytes,
      memory: guest.memory,
      readBytes: (address, length) => guest.readBytes(address, length),
      writeBytes: (address, bytes) => {
        guest.writeBytes(address, bytes);
        this.second.guest.writeBytes(address, bytes);
      },
      ram: () => guest.ram(),
    };
  }
  get clock(): ImageRunner["clock"] {
    return this.#first.clock;
  }
  get retired(): number {
    return this.#first.retired;
  }
  get serial(): ImageRunner["serial"] {
    return this.#first.serial;
  }
  get console(): ImageRunner["console"] {
    return this.#first.console;
  }
  get processors(): ImageRunner["processors"] {
    return this.#first.processors;
  }
  get engine(): ImageRunner["engine"] {
    return this.#first.engine;
  }
  get tier(): Tier {
    return this.#first.tier;
  }
  set tier(_tier: Tier) {
    // One each, whatever is asked.
  }
}
