import { fusion } from "../codegen/fusion.ts";
import type { AddressShape, HandlerSpec, SegmentPlan } from "../codegen/handler-spec.ts";
import { fixedHandlers, type InterpreterModule } from "../codegen/interpreter-module.ts";
import type { Effect } from "../ir/effects.ts";
import { formKey, formOf } from "../isa/decode.ts";
import { effectsOf, type Semantics } from "../isa/define.ts";
import type { Instruction } from "../isa/instruction.ts";
import type { Row } from "../isa/row.ts";
import { type CodeMode, planNumber } from "./code-mode.ts";

const shapeNumber: Record<AddressShape, number> = { base: 0, full: 1, wide: 2 };
const repeatNumber = { none: 0, repz: 1, repnz: 2 } as const;

/**
 * An instruction is evaluated the first times it is met: most of a program runs once or twice, and a WebAssembly module takes as long as
 * hundreds of evaluations. When so many have been of instructions met before, all of those get their handlers, in one module.
 */
const patience = 128;

/** A handler that a variant has, or will have once it has been met often enough. */
interface HandlerChoice {
  /** In the table: `fixedHandlers.cold` until it is made. */
  handler: number;
  met: boolean;
}

const semanticsNumbers = new Map<Semantics, number>();
const kindNumbers = new Map<string, number>();
const rowNumbers = new WeakMap<Row, number>();
/** A number shared by the rows whose handlers are the same: equal meaning, operand places and frame rules. */
const numberOf = (row: Row): number => {
  const known = rowNumbers.get(row);
  if (known !== undefined) return known;
  if (!semanticsNumbers.has(row.semantics)) semanticsNumbers.set(row.semantics, semanticsNumbers.size);
  const operands = row.operands.map(({ addressing, access }) => `${addressing}${access}`);
  const kind = `${semanticsNumbers.get(row.semantics)}:${operands}:${row.unit}:${row.aligned}:${row.privileged}:${row.repeat}`;
  const number = kindNumbers.get(kind) ?? kindNumbers.size;
  kindNumbers.set(kind, number);
  rowNumbers.set(row, number);
  return number;
};

export const isRelative = (row: Row): boolean => row.operands.some(({ addressing }) => addressing === "J");

/** Whether control may leave after the instruction, so that decoding straight on would be guesswork. */
const endsBlock = (effects: readonly Effect[]): boolean =>
  effects.some((effect) => effect.kind === "jump" && effect.when === undefined);

/** What is known of an instruction form once its effects have been built. */
export interface FormFacts {
  /** Small, dense. */
  readonly number: number;
  readonly effects: readonly Effect[];
  readonly ends: boolean;
  readonly jumps: boolean;
  readonly shadows: boolean;
  readonly setsFlags: boolean;
  /** Handlers of its variants, alone; and, by the number of the second one's variant, with another after it. */
  readonly handlers: Map<number, HandlerChoice>;
  readonly pairs: Map<number, Map<number, number>>;
  /** Whether a form (by number) that follows can share its handler. */
  readonly fusesWith: Map<number, boolean>;
}

/** One decoded instruction as a handler sees it. */
export interface Variant {
  readonly instruction: Instruction;
  readonly facts: FormFacts;
  readonly shape: AddressShape;
  readonly wideImmediate: boolean;
  readonly near: boolean;
  readonly operandSegments: readonly (SegmentPlan | undefined)[];
  /** Everything of it besides the form, as a number. */
  readonly number: number;
}

/** Has it a REP prefix that counts? A thousand evaluations in one. */
export const isRepeated = ({ row, rep }: Instruction): boolean => row.repeat !== undefined && rep !== "none";

/** Which handler carries out an instruction: makes them as they are needed. */
export class HandlerLibrary {
  readonly #module: InterpreterModule;
  /** Make every handler at once: for tests. */
  eager = false;
  readonly #facts = new Map<number, FormFacts>();
  /** Variants met again while they have no handler. */
  #wanted = new Map<HandlerChoice, HandlerSpec>();
  /** Evaluations of these. */
  #spent = 0;

  constructor(module: InterpreterModule) {
    this.#module = module;
  }

  #factsOf(instruction: Instruction): FormFacts {
    const key = numberOf(instruction.row) * 2 ** 28 + formKey(instruction);
    let facts = this.#facts.get(key);
    if (facts === undefined) {
      const { effects } = effectsOf(instruction.row.semantics, formOf(instruction));
      facts = {
        number: this.#facts.size,
        effects,
        ends: endsBlock(effects),
        jumps: effects.some(({ kind }) => kind === "jump"),
        shadows: effects.some(({ kind }) => kind === "interruptShadow"),
        setsFlags: effects.some(({ kind }) => kind === "flags"),
        handlers: new Map(),
        pairs: new Map(),
        fusesWith: new Map(),
      };
      this.#facts.set(key, facts);
    }
    return facts;
  }

  /** `near`: a relative branch whose target is known to be in its page. */
  variant(instruction: Instruction, mode: CodeMode, near: boolean): Variant {
    const facts = this.#factsOf(instruction);
    const { operands, row } = instruction;
    let shape: AddressShape = "base";
    let wideImmediate = false;
    let operandPlans = 0;
    const operandSegments: (SegmentPlan | undefined)[] = [];
    for (let n = 0; n < operands.length; n++) {
      const operand = operands[n]!;
      if (operand.kind === "memory") {
        if (operand.index !== undefined) shape = "full";
        if (operand.displacement > 0x7fff_ffffn || operand.displacement < -0x8000_0000n) shape = "wide";
        const plan = mode.plans[operand.segment];
        operandSegments.push(plan);
        operandPlans = operandPlans * 4 + planNumber[plan];
        continue;
      }
      if (
        operand.kind === "immediate" &&
        operand.width === 64 &&
        BigInt.asIntN(32, operand.value) !== BigInt.asIntN(64, operand.value)
      )
        wideImmediate = true;
      operandSegments.push(undefined);
    }
    const repeat = row.repeat === undefined ? 0 : repeatNumber[instruction.rep];
    const place = (mode.plansNumber * 16 + operandPlans) * 3 + shapeNumber[shape];
    const number = ((place * 3 + repeat) * 2 + (near ? 1 : 0)) * 2 + (wideImmediate ? 1 : 0);
    return { instruction, facts, shape, wideImmediate, near, operandSegments, number };
  }

  #spec(
    { instruction, facts, shape, near, operandSegments, wideImmediate }: Variant,
    mode: CodeMode,
  ): HandlerSpec {
    const { row } = instruction;
    const repeat = row.repeat === undefined ? "none" : instruction.rep;
    const form = formOf(instruction);
    const { plans } = mode;
    return {
      row,
      form,
      effects: facts.effects,
      shape,
      operandSegments,
      plans,
      near,
      repeat,
      fused: undefined,
      wideImmediate,
    };
  }

  /** The handler of a variant: `fixedHandlers.cold` while it is to be evaluated. */
  handler(variant: Variant, mode: CodeMode): number {
    return this.eager || isRepeated(variant.instruction)
      ? this.demand(variant, mode)
      : this.#choice(variant).handler;
  }

  #choice({ facts, number }: Variant): HandlerChoice {
    let choice = facts.handlers.get(number);
    if (choice === undefined) {
      choice = { handler: fixedHandlers.cold, met: false };
      facts.handlers.set(number, choice);
    }
    return choice;
  }

  /** The handler of a variant, made now. */
  demand(variant: Variant, mode: CodeMode): number {
    const choice = this.#choice(variant);
    if (choice.handler === fixedHandlers.cold) {
      choice.handler = this.#module.add(this.#spec(variant, mode));
      this.#wanted.delete(choice);
      this.#module.materialise();
    }
    return choice.handler;
  }

  /** The same of a variant that is about to be carried out: once more it may be evaluated. */
  meet(variant: Variant, mode: CodeMode): number {
    const choice = this.#choice(variant);
    if (choice.handler !== fixedHandlers.cold) return choice.handler;
    if (isRepeated(variant.instruction)) return this.demand(variant, mode);
    if (!choice.met) {
      choice.met = true;
      return fixedHandlers.cold;
    }
    if (!this.#wanted.has(choice)) this.#wanted.set(choice, this.#spec(variant, mode));
    if (++this.#spent < patience) return fixedHandlers.cold;
    for (const [wanted, spec] of this.#wanted) wanted.handler = this.#module.add(spec);
    this.#module.materialise();
    this.#wanted.clear();
    this.#spent = 0;
    return choice.handler;
  }

  /** May the second share a handler with the first, which comes right before it? */
  fuses(first: FormFacts, second: FormFacts): boolean {
    let fuses = first.fusesWith.get(second.number);
    if (fuses === undefined) {
      fuses = fusion(first.effects, second.effects) !== undefined;
      first.fusesWith.set(second.number, fuses);
    }
    return fuses;
  }

  /** The handler of two instructions: callable when the module says it is ready. */
  pairHandler(first: Variant, second: Variant, mode: CodeMode): number {
    let bySecond = first.facts.pairs.get(first.number);
    if (bySecond === undefined) {
      bySecond = new Map();
      first.facts.pairs.set(first.number, bySecond);
    }
    const key = second.facts.number * 2 ** 24 + second.number;
    let handler = bySecond.get(key);
    if (handler === undefined) {
      handler = this.#module.defer({ ...this.#spec(first, mode), fused: this.#spec(second, mode) });
      bySecond.set(key, handler);
    }
    return handler;
  }
}
