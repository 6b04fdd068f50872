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
  /** The same on little-endian numbers in memory: argument n is 16 * n bytes after `at`, the result goes to `at`. For those that are hot. */
  readonly inPlace?: (view: DataView, at: number) => void;
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

/** An intrinsic that is written for numbers in memory. `args`: widths. */
export const defineIntrinsicInPlace = (
  name: string,
  args: readonly Width[],
  result: Width,
  inPlace: (view: DataView, at: number) => void,
): void => {
  const view = new DataView(new ArrayBuffer(16 * args.length));
  const compute = (...values: bigint[]): bigint => {
    values.forEach((value, n) => {
      view.setBigUint64(16 * n, BigInt.asUintN(64, value), true);
      view.setBigUint64(16 * n + 8, value >> 64n, true);
    });
    inPlace(view, 0);
    return BigInt.asUintN(result, view.getBigUint64(0, true) | (view.getBigUint64(8, true) << 64n));
  };
  if (table.has(name)) throw new Error(`intrinsic ${name} is defined twice`);
  table.set(name, { name, result, compute, inPlace });
};

export const intrinsicNamed = (name: string): Intrinsic => {
  const found = table.get(name);
  if (found === undefined) throw new Error(`no intrinsic ${name}`);
  return found;
};
