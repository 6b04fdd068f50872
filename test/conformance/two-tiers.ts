import { Buffer } from "node:buffer";
import { Fault } from "../../src/cpu/core.ts";
import type { Tier } from "../../src/cpu/execution-engine.ts";
import { disassemble } from "../../src/isa/disassemble.ts";
import { architecturalBytes, layout } from "../../src/state/layout.ts";
import { type BareProcessor, bareProcessor } from "./bare-processor.ts";

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

/** One program on the interpreter and on the evaluator; states and memories are compared whole. */
export class TwoTiers {
  readonly interpreter: BareProcessor;
  readonly evaluator: BareProcessor;

  /** `tier`: what runs beside the evaluator. The JIT tier translates whatever it can at once. */
  constructor(ramBytes: number, tier: Exclude<Tier, "evaluator"> = "interpreter") {
    this.interpreter = bareProcessor(ramBytes);
    this.evaluator = bareProcessor(ramBytes);
    this.interpreter.engine.tier = tier;
    this.interpreter.engine.eager = tier === "jit";
    this.evaluator.engine.tier = "evaluator" satisfies Tier;
  }

  /** Put both at the same start. `place` writes memory and state; what it leaves out keeps what the last program left in one of them. */
  start(place: (processor: BareProcessor) => void): void {
    const { interpreter, evaluator } = this;
    place(evaluator);
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
        if (left !== right) found.push(`${name}: interpreter ${left}, evaluator ${right}`);
      }
    const [mine, theirs] = [this.interpreter.guest.ram(), this.evaluator.guest.ram()];
    if (Buffer.compare(mine, theirs) !== 0)
      for (let at = 0; at < mine.length && found.length < 40; at++)
        if (mine[at] !== theirs[at])
          found.push(
            `[${at.toString(16)}]: interpreter ${mine[at]!.toString(16)}, evaluator ${theirs[at]!.toString(16)}`,
          );
    return found.length === 0 ? undefined : found.join("\n");
  }

  /** Run `total` instructions on both, compared after each of the slices, which the two need not have in common. */
  run(
    total: number,
    slice: number,
    between: (ran: number) => "stop" | undefined = () => undefined,
  ): number | undefined {
    for (let ran = 0; ran < total; ) {
      const count = Math.min(slice, total - ran);
      const one = runWhole(this.interpreter, count);
      const other = runWhole(this.evaluator, count);
      ran += Math.max(one, other, 1);
      if (between(ran) === "stop") return undefined;
      if (one !== other || this.difference() !== undefined) return ran;
      if (this.evaluator.processor.state.activity !== 0) return undefined;
    }
    return undefined;
  }

  /** The shortest run that differs, found by running again and again, and what it was made of. */
  explain(
    place: (processor: BareProcessor) => void,
    bound: number,
    slice: number,
    between?: (ran: number) => "stop" | undefined,
  ): Difference {
    let low = 0;
    let high = bound;
    const differs = (count: number): boolean => {
      this.start(place);
      return this.run(count, slice, between) !== undefined;
    };
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (differs(middle)) high = middle;
      else low = middle;
    }
    differs(high);
    const fields = this.difference() ?? "(counts of instructions only)";
    this.start(place);
    const lines: string[] = [];
    const { processor } = this.evaluator;
    processor.run(0);
    for (let n = 0; n < high; ) {
      const { state } = processor;
      const fetched = processor.fetch();
      lines.push(
        `${state["CS.selector"].toString(16)}:${state.RIP.toString(16)} ${fetched instanceof Fault ? `fault ${fetched.vector}` : disassemble(fetched)}  flags ${state.RFLAGS.toString(16)} rcx ${state.RCX.toString(16)}`,
      );
      n += Math.max(1, processor.run(1));
    }
    return { after: high, fields, trace: lines.slice(-6).join("\n") };
  }
}
