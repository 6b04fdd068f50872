/**
 * Intrinsics: pure functions on bit patterns that are too large for the operations of `Value`. Each is written once here
 * (registered by the file that owns it) and called by every reader: the evaluator directly, translated code through one
 * import. Results wider than one fact are packed (for example the result in the low bits, exception flags above it).
 */
import type { Width } from "./value.ts";

export interface Intrinsic {
  readonly name: string;
  readonly result: Width;
  /** Arguments and result are unsigned bit patterns of the declared widths. */
  readonly compute: (...args: bigint[]) => bigint;
}

const table = new Map<string, Intrinsic>();

export const defineIntrinsic = (
  name: string,
  result: Width,
  compute: (...args: bigint[]) => bigint,
): Intrinsic => {
  if (table.has(name)) throw new Error(`intrinsic ${name} is defined twice`);
  const entry = { name, result, compute };
  table.set(name, entry);
  return entry;
};

export const intrinsicNamed = (name: string): Intrinsic => {
  const found = table.get(name);
  if (found === undefined) throw new Error(`no intrinsic ${name}`);
  return found;
};
