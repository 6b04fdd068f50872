import { flagBit } from "../arch/flags.ts";
import { type Flags, type StatusFlag, statusFlags } from "../ir/effects.ts";
import { leaf, type Value } from "../ir/value.ts";
import { offsetOf } from "../state/layout.ts";

/** RFLAGS bits of the six status flags. */
export const statusMask = statusFlags.reduce((mask, name) => mask | (1 << flagBit[name]), 0);

/** Where the inputs of a pending flags computation wait. */
export const stashOffsets = [offsetOf("lazyA"), offsetOf("lazyB"), offsetOf("lazyC")] as const;

/**
 * Status flags that are not computed until someone asks: a small function of up to three stashed inputs. Instructions
 * whose flags are the same function of their operands share one.
 */
export interface LazyFlags {
  readonly key: string;
  readonly flags: Record<StatusFlag, Value>;
  /** The leaves the function reads, in stash order. */
  readonly inputs: readonly Value[];
}

const isLeaf = (value: Value): boolean => value.args.length === 0 && !value.isConst;

const collectLeaves = (value: Value, into: Set<Value>, seen: Set<Value>): void => {
  if (seen.has(value)) return;
  seen.add(value);
  if (isLeaf(value)) into.add(value);
  for (const arg of value.args) collectLeaves(arg, into, seen);
};

const lazyCache = new WeakMap<Flags, LazyFlags | null>();

/** The lazy form of these flags, or undefined where they must be computed at once. */
export const lazyFlagsOf = (flags: Flags): LazyFlags | undefined => {
  let lazy = lazyCache.get(flags);
  if (lazy === undefined) {
    lazy = findLazy(flags) ?? null;
    lazyCache.set(flags, lazy);
  }
  return lazy ?? undefined;
};

const findLazy = (flags: Flags): LazyFlags | undefined => {
  const missing = statusFlags.filter((name) => flags[name] === undefined);
  if (missing.length > 1) return undefined;
  const complete = {} as Record<StatusFlag, Value>;
  for (const name of statusFlags) complete[name] = flags[name] ?? leaf.flag(name);
  const inputs = new Set<Value>();
  const seen = new Set<Value>();
  for (const name of statusFlags) collectLeaves(complete[name], inputs, seen);
  if (inputs.size > stashOffsets.length) return undefined;
  for (const input of inputs) if (input.width > 64 || input.op === "rflags") return undefined;
  return { key: statusFlags.map((name) => complete[name].id).join(), flags: complete, inputs: [...inputs] };
};
