import { type Effect, type FlagName, type Flags, statusFlags } from "../ir/effects.ts";
import { substitute } from "../ir/substitute.ts";
import type { Value } from "../ir/value.ts";
import { lazyFlagsOf } from "./flags.ts";

const isStatus = (name: Value["attr"]): boolean => (statusFlags as readonly unknown[]).includes(name);

/** Is the value a function of status flags alone? */
const readsFlagsOnly = (value: Value): boolean => {
  if (value.op === "flag") return isStatus(value.attr);
  if (value.width !== 1 || value.args.length === 0) return false;
  if (value.op !== "not" && value.op !== "and" && value.op !== "or" && value.op !== "xor" && value.op !== "equal") return false;
  return value.args.every((arg) => arg.isConst || readsFlagsOnly(arg)) && value.args.some((arg) => !arg.isConst);
};

/**
 * For two instructions in a row: the conditions of the second on status flags, each as a function of what the first one
 * reads; undefined where the two cannot share a handler, or the second reads no flags.
 */
export const fusion = (first: readonly Effect[], second: readonly Effect[]): ReadonlyMap<Value, Value> | undefined => {
  const writes = first.filter((effect) => effect.kind === "flags");
  if (writes.length !== 1 || writes[0]!.when !== undefined) return undefined;
  if (first.some(({ kind }) => kind === "jump" || kind === "attention" || kind === "interruptShadow")) return undefined;
  return conditionsOn(writes[0]!.flags, second);
};

const conditionsCache = new WeakMap<Flags, WeakMap<readonly Effect[], Map<Value, Value> | null>>();

/** The conditions of an instruction on status flags, where these are known functions; undefined where one of them is not. */
export const conditionsOn = (known: Flags, second: readonly Effect[]): ReadonlyMap<Value, Value> | undefined => {
  let bySecond = conditionsCache.get(known);
  if (bySecond === undefined) {
    bySecond = new WeakMap();
    conditionsCache.set(known, bySecond);
  }
  let conditions = bySecond.get(second);
  if (conditions === undefined) {
    conditions = findConditions(known, second) ?? null;
    bySecond.set(second, conditions);
  }
  return conditions ?? undefined;
};

const findConditions = (known: Flags, second: readonly Effect[]): Map<Value, Value> | undefined => {
  const conditions = new Map<Value, Value>();
  const seen = new Set<Value>();
  const visit = (value: Value | undefined): boolean => {
    if (value === undefined || seen.has(value)) return true;
    seen.add(value);
    if (value.op === "rflags") return false;
    if (!readsFlagsOnly(value)) return value.args.every(visit);
    const condition = substitute(value, (leafValue) => (leafValue.op === "flag" ? known[leafValue.attr as FlagName] : undefined));
    if (condition === undefined) return false;
    conditions.set(value, condition);
    return true;
  };
  for (const effect of second) {
    const fits =
      effect.kind === "load" ? visit(effect.address)
      : effect.kind === "store" ? visit(effect.address) && visit(effect.value)
      : effect.kind === "fault" ? visit(effect.when) && visit(effect.errorCode) && visit(effect.commit?.value)
      : effect.kind === "writeOperand" || effect.kind === "writeRegister" ? visit(effect.value)
      : effect.kind === "jump" ? visit(effect.target) && visit(effect.when)
      : effect.kind === "flags" ? visit(effect.when) && (lazyFlagsOf(effect.flags)?.inputs ?? Object.values(effect.flags)).every(visit)
      : visit(effect.when);
    if (!fits) return undefined;
  }
  return conditions.size > 0 ? conditions : undefined;
};
