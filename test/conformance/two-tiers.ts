import { Buffer } from "node:buffer";
import { Fault } from "../../src/cpu/core.ts";
import type { Tier } from "../../src/cpu/execution-engine.ts";
import { disassemble } from "../../src/isa/disassemble.ts";
import { architecturalBytes, layout, offsetOf } from "../../src/state/layout.ts";
import { type BareProcessor, bareProcessor } from "./bare-processor.ts";

const exitBudgetOffset = offsetOf("exitBudget");

/** Where two processors that ran the same program are not the same. */
export interface Difference {
  /** Instructions and deliveries of exceptions until then. */
  readonly after: number;
  readonly fields: string;
  /** The instructions that led there, as the evaluator met them. */
  readonly trace: string;
}

/** Run `count` instructions, also when a run ends early because decoded code has reached a bound; fewer where the processor stops. */
const runWhole = ({ processor }: BareProcessor, count: number): number => {
  let ran = 0;
  for (let idle = 0; ran < count && idle < 2; ) {
    const now = processor.run(count - ran);
    ran += now;
    idle = now === 0 ? idle + 1 : 0;
  }
  return ran;
};

/** What ran in regions. */
export interface RegionUse {
  /** Regions made. */
  regions: number;
  /** Times translated code was entered at a region and went on for at least one instruction. */
  entries: number;
}

/** One program on the interpreter or the JIT and on the evaluator; states and memories are compared whole. */
export class TwoTiers {
  /** The one beside the evaluator. */
  readonly interpreter: BareProcessor;
  readonly evaluator: BareProcessor;
  readonly use: RegionUse = { regions: 0, entries: 0 };

  /** `tier`: what runs beside the evaluator. The JIT makes handlers at once, and regions of whatever is decoded when `translate` says so. */
  constructor(ramBytes: number, tier: Exclude<Tier, "evaluator"> = "interpreter") {
    this.interpreter = bareProcessor(ramBytes);
    this.evaluator = bareProcessor(ramBytes);
    this.interpreter.engine.tier = tier;
    this.interpreter.engine.eager = tier === "jit";
    this.evaluator.engine.tier = "evaluator" satisfies Tier;
  }

  /** Let the JIT make regions of all that is decoded; nothing for the interpreter. Not while code runs. */
  translate(): void {
    const { engine } = this.interpreter;
    if (engine.tier !== "jit") return;
    const { hot } = engine.cache;
    const before = hot.regions;
    engine.cache.translateAll();
    this.use.regions += hot.regions - before;
    this.#watch();
  }

  #watched: object | undefined;

  /** Count entries of regions from now on. */
  #watch(): void {
    const { engine } = this.interpreter;
    const { module, use } = { module: engine.module, use: this.use };
    if (this.#watched === module) return;
    this.#watched = module;
    const { run } = module;
    const { view } = engine.state;
    const counting = (at: number, budget: number): void => {
      const isRegion = engine.cache.hot.isRegion(at);
      run(at, budget);
      if (isRegion && view.getInt32(exitBudgetOffset, true) < budget) use.entries++;
    };
    Object.defineProperty(module, "run", { value: counting });
  }

  /** Put both at the same start. `place` writes memory and state; what it leaves out keeps what the last program left in one of them. */
  start(place: (processor: BareProcessor) => void): void {
    const { interpreter, evaluator } = this;
    place(evaluator);
    // What is decoded would only be stale.
    interpreter.engine.cache.flush();
    interpreter.guest.writeBytes(0, evaluator.guest.ram());
    interpreter.processor.state.architectural().set(evaluator.processor.state.architectural());
    for (const { interrupts, processor } of [interpreter, evaluator]) {
      processor.invalidate({ kind: "all" });
      interrupts.length = 0;
      processor.nmiPending = false;
    }
  }

  /** An event that arrives now: a maskable interrupt, or NMI. */
  interrupt(vector: number | "NMI"): void {
    for (const { interrupts, processor } of [this.interpreter, this.evaluator])
      if (vector === "NMI") processor.nmiPending = true;
      else interrupts.push(vector);
  }

  /** Names of the fields and addresses that differ; undefined when none does. */
  difference(): string | undefined {
    const { tier } = this.interpreter.engine;
    const [one, other] = [this.interpreter.processor.state, this.evaluator.processor.state];
    const found: string[] = [];
    if (Buffer.compare(one.architectural(), other.architectural()) !== 0)
      for (const [name, { offset, size, architectural }] of layout) {
        if (!architectural || offset >= architecturalBytes) continue;
        const bytes = (state: typeof one): string =>
          Buffer.from(new Uint8Array(state.buffer, offset, size))
            .reverse()
            .toString("hex");
        const [left, right] = [bytes(one), bytes(other)];
        if (left !== right) found.push(`${name}: ${tier} ${left}, evaluator ${right}`);
      }
    const [mine, theirs] = [this.interpreter.guest.ram(), this.evaluator.guest.ram()];
    if (Buffer.compare(mine, theirs) !== 0)
      for (let at = 0; at < mine.length && found.length < 40; at++)
        if (mine[at] !== theirs[at])
          found.push(
            `[${at.toString(16)}]: ${tier} ${mine[at]!.toString(16)}, evaluator ${theirs[at]!.toString(16)}`,
          );
    return found.length === 0 ? undefined : found.join("\n");
  }

  /** The last `run` ended early: it was told to, or the processor stopped. */
  isOver = false;
  /** Where the evaluator has been, while somebody wants to know. */
  #trace: string[] | undefined;

  /** Run `total` instructions on both, compared after each of the slices, which the two need not have in common. */
  run(
    total: number,
    slice: number,
    between: (ran: number) => "stop" | undefined = () => undefined,
  ): number | undefined {
    this.isOver = true;
    for (let ran = 0; ran < total; ) {
      const count = Math.min(slice, total - ran);
      const one = runWhole(this.interpreter, count);
      const other = this.#trace === undefined ? runWhole(this.evaluator, count) : this.#runTraced(count);
      ran += Math.max(one, other, 1);
      if (between(ran) === "stop") return undefined;
      if (one !== other || this.difference() !== undefined) return ran;
      if (this.evaluator.processor.state.activity !== 0) return undefined;
    }
    this.isOver = false;
    return undefined;
  }

  #runTraced(count: number): number {
    const { processor } = this.evaluator;
    let ran = 0;
    while (ran < count) {
      const { state } = processor;
      const fetched = processor.fetch();
      this.#trace!.push(
        `${state["CS.selector"].toString(16)}:${state.RIP.toString(16)} ${fetched instanceof Fault ? `fault ${fetched.vector}` : disassemble(fetched)}  flags ${state.RFLAGS.toString(16)} rcx ${state.RCX.toString(16)}`,
      );
      const now = processor.run(1);
      if (now === 0 && state.activity !== 0) break;
      ran += now;
    }
    return ran;
  }

  /** The shortest run that differs, found by running again and again, and what it was made of. */
  explain(
    place: (processor: BareProcessor) => void,
    bound: number,
    slice: number,
    between?: (ran: number) => "stop" | undefined,
  ): Difference {
    return this.narrow(bound, (count) => {
      this.start(place);
      return this.run(count, slice, between);
    });
  }

  /** The same of a run from the start that is made of more: `again` runs so many instructions, and says after how many the two differ. */
  narrow(bound: number, again: (count: number) => number | undefined): Difference {
    let low = 0;
    let high = bound;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (again(middle) === undefined) low = middle;
      else high = middle;
    }
    this.#trace = [];
    again(high);
    const trace = this.#trace.slice(-8).join("\n");
    this.#trace = undefined;
    return { after: high, fields: this.difference() ?? "(counts of instructions only)", trace };
  }
}
