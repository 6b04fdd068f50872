import { constant, type Lane, splat, type Value, vector } from "../../ir/value.ts";

/** Vector expressions that several SSE and MMX families share. */

export type VectorWidth = 64 | 128;

/** The constant `bits` in every lane. */
export const every = (bits: number | bigint, lane: Lane, width: number): Value =>
  splat(constant(bits, lane), width as VectorWidth);

/** Constant lanes, lowest first; the list repeats when it is shorter than the vector. */
export const lanesOf = (bits: readonly number[], lane: Lane, width: number): Value =>
  vector(Array.from({ length: width / lane }, (_, i) => constant(bits[i % bits.length]!, lane)));

/** The lane numbers 0, 1, 2 ... */
export const iota = (lane: Lane, width: number): Value =>
  lanesOf(
    Array.from({ length: width / lane }, (_, i) => i),
    lane,
    width,
  );

/** An immediate (or another small number) in every lane. */
export const immediateIn = (lane: Lane, immediate: Value, width: number): Value =>
  splat(immediate.resize(lane), width as VectorWidth);

/** Bit by bit: a where the mask is 1, b where it is 0. */
export const bitSelect = (mask: Value, a: Value, b: Value): Value => a.and(mask).or(b.and(mask.not()));

/** Lane i is all ones where bit i of the immediate is 1, else 0; the bits repeat when there are more lanes than `bits`. */
export const immediateMask = (lane: Lane, immediate: Value, width: number): Value => {
  const bit = lanesOf([1, 2, 4, 8, 16, 32, 64, 128].slice(0, Math.min(8, width / lane)), lane, width);
  return immediateIn(lane, immediate, width).and(bit).lanewise("equal", lane, bit);
};

/** All ones in the lanes whose sign bit is set. */
export const signMask = (lane: Lane, value: Value): Value =>
  value.from(0).lanewise("greaterSigned", lane, value);

/** The vector's value with lane `index` (a value, below the number of lanes) replaced. */
export const replaceLane = (lane: Lane, value: Value, index: Value, element: Value): Value => {
  const width = value.width as VectorWidth;
  const mask = immediateIn(lane, index, width).lanewise("equal", lane, iota(lane, width));
  return bitSelect(mask, splat(element, width), value);
};

/** The lane of this number (a value, below the number of lanes). */
export const laneAt = (lane: Lane, value: Value, index: Value): Value => {
  const first = immediateIn(8, index.mul(lane / 8), value.width);
  return value.swizzle(first.lanewise("add", 8, iota(8, value.width))).lane(0, lane);
};
