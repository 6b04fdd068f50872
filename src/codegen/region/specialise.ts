import { type Effect, type FlagName, statusFlags } from "../../ir/effects.ts";
import type { Value } from "../../ir/value.ts";
import { effectsOf } from "../../isa/define.ts";
import type { HandlerSpec } from "../handler-spec.ts";
import type { RegionInstruction } from "./region.ts";

/** What a region knows that a handler does not: immediates, and what comes next. */

const specialised = new WeakMap<HandlerSpec, Map<number, HandlerSpec>>();

/** The same instruction with its immediate known, where flags depend on whether that is 0: shifts and rotates by a constant. */
export const withImmediate = (spec: HandlerSpec, immediate: number): HandlerSpec => {
  if (!spec.effects.some((effect) => effect.kind === "flags" && effect.when !== undefined)) return spec;
  const { form, row } = spec;
  if (!form.operands.some(({ kind }) => kind === "immediate")) return spec;
  let byImmediate = specialised.get(spec);
  if (byImmediate === undefined) {
    byImmediate = new Map();
    specialised.set(spec, byImmediate);
  }
  let known = byImmediate.get(immediate);
  if (known === undefined) {
    const operands = form.operands.map((operand) =>
      operand.kind === "immediate" ? { ...operand, immediate: BigInt(immediate) } : operand,
    );
    known = { ...spec, effects: effectsOf(row.semantics, { ...form, operands }).effects };
    byImmediate.set(immediate, known);
  }
  return known;
};

const bitOf = (name: FlagName): number => {
  const index = (statusFlags as readonly FlagName[]).indexOf(name);
  return index < 0 ? 0 : 1 << index;
};
const everyFlag = (1 << statusFlags.length) - 1;

/** Status flags that an instruction reads, also without its effect on flags; may write; writes in any case: bits in the order of `statusFlags`. */
interface FlagUse {
  readonly reads: number;
  readonly readsElsewhere: number;
  readonly writes: number;
  readonly replaces: number;
  /** It writes status flags and no others. */
  readonly droppable: boolean;
}

const uses = new WeakMap<readonly Effect[], FlagUse>();

const flagUse = (effects: readonly Effect[]): FlagUse => {
  const known = uses.get(effects);
  if (known !== undefined) return known;
  let reads = 0;
  let readsElsewhere = 0;
  let writes = 0;
  let replaces = 0;
  let droppable = true;
  const seen = new Set<Value>();
  const visit = (value: Value | undefined): void => {
    if (value === undefined || seen.has(value)) return;
    seen.add(value);
    if (value.op === "rflags") reads = everyFlag;
    else if (value.op === "flag") reads |= bitOf(value.attr as FlagName);
    for (const arg of value.args) visit(arg);
  };
  for (const effect of [...effects.filter(({ kind }) => kind !== "flags"), ...effects.filter(({ kind }) => kind === "flags")])
    switch (effect.kind) {
      case "load": visit(effect.address); break;
      case "store": visit(effect.address); visit(effect.value); break;
      case "fault": visit(effect.when); visit(effect.errorCode); visit(effect.commit?.value); break;
      case "writeOperand": case "writeRegister": visit(effect.value); break;
      case "flags": {
        readsElsewhere = reads;
        visit(effect.when);
        for (const [name, value] of Object.entries(effect.flags) as [FlagName, Value][]) {
          const bit = bitOf(name);
          if (bit === 0) droppable = false;
          writes |= bit;
          if (effect.when === undefined) replaces |= bit;
          visit(value);
        }
        break;
      }
      case "jump": visit(effect.target); visit(effect.when); break;
      default: visit(effect.when);
    }
  const use = { reads, readsElsewhere: writes === 0 ? reads : readsElsewhere, writes, replaces, droppable: droppable && writes !== 0 };
  uses.set(effects, use);
  return use;
};

const flagless = new WeakMap<HandlerSpec, HandlerSpec>();

const withoutFlags = (spec: HandlerSpec): HandlerSpec => {
  let without = flagless.get(spec);
  if (without === undefined) {
    without = { ...spec, effects: spec.effects.filter(({ kind }) => kind !== "flags") };
    flagless.set(spec, without);
  }
  return without;
};

/** Can control leave in the middle of this instruction or right behind it, so that the state must be that of the guest? */
export const mayLeave = ({ row, form, effects }: HandlerSpec): boolean =>
  row.privileged === true ||
  effects.some(({ kind }) => kind !== "writeOperand" && kind !== "writeRegister" && kind !== "flags") ||
  form.operands.some(({ kind }) => kind === "memory");

/** A block's instructions without the flags that nobody can see: replaced before they are read and before control can leave. */
export const withoutDeadFlags = (instructions: readonly RegionInstruction[]): RegionInstruction[] => {
  const kept = instructions.slice();
  let live = everyFlag;
  for (let n = instructions.length - 1; n >= 0; n--) {
    const instruction = instructions[n]!;
    const { spec } = instruction;
    const { reads, readsElsewhere, writes, replaces, droppable } = flagUse(spec.effects);
    if (mayLeave(spec)) live = everyFlag;
    else if (droppable && (writes & live) === 0) {
      kept[n] = { ...instruction, spec: withoutFlags(spec) };
      live |= readsElsewhere;
    } else live = (live & ~replaces) | reads;
  }
  return kept;
};
