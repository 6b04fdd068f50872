import { bitLength } from "./integer.ts";

/** The number significand * 2^exponent; the significand may be negative. */
export interface Dyadic {
  readonly significand: bigint;
  readonly exponent: number;
}

export const integer = (value: number | bigint): Dyadic => ({ significand: BigInt(value), exponent: 0 });

export const ZERO = integer(0);
export const ONE = integer(1);

export const magnitude = (x: bigint): bigint => (x < 0n ? -x : x);

export const negate = (x: Dyadic): Dyadic => ({ significand: -x.significand, exponent: x.exponent });

export const absolute = (x: Dyadic): Dyadic => (x.significand < 0n ? negate(x) : x);

/** x * 2^power. */
export const scaled = (x: Dyadic, power: number): Dyadic => ({
  significand: x.significand,
  exponent: x.exponent + power,
});

/** The exponent of |x|'s highest bit; -Infinity for 0. */
export const top = (x: Dyadic): number =>
  x.significand === 0n ? Number.NEGATIVE_INFINITY : x.exponent + bitLength(magnitude(x.significand)) - 1;

export const multiply = (x: Dyadic, y: Dyadic): Dyadic => ({
  significand: x.significand * y.significand,
  exponent: x.exponent + y.exponent,
});

/** Bits below the last one of the larger term under which a smaller term only counts by its sign. */
const FAR = 256;

/** x + y; exact, but for a term so small that it is replaced by a somewhat larger one of its sign. */
export function plus(x: Dyadic, y: Dyadic): Dyadic {
  if (x.significand === 0n) return y;
  if (y.significand === 0n) return x;
  const [large, small] = top(x) >= top(y) ? [x, y] : [y, x];
  const floor = large.exponent - FAR;
  const term =
    top(small) < floor ? { significand: small.significand < 0n ? -1n : 1n, exponent: floor } : small;
  const exponent = Math.min(large.exponent, term.exponent);
  return {
    significand:
      (large.significand << BigInt(large.exponent - exponent)) +
      (term.significand << BigInt(term.exponent - exponent)),
    exponent,
  };
}

export const minus = (x: Dyadic, y: Dyadic): Dyadic => plus(x, negate(y));

/** x with its significand cut to `bits` bits: rounded towards zero. */
export function chop(x: Dyadic, bits: number): Dyadic {
  const excess = bitLength(magnitude(x.significand)) - bits;
  if (excess <= 0) return x;
  const kept = magnitude(x.significand) >> BigInt(excess);
  return { significand: x.significand < 0n ? -kept : kept, exponent: x.exponent + excess };
}

/** x with its significand rounded to nearest (even) at `bits` bits. */
export function roundNearest(x: Dyadic, bits: number): Dyadic {
  const size = magnitude(x.significand);
  const excess = bitLength(size) - bits;
  if (excess <= 0) return x;
  const half = 1n << BigInt(excess - 1);
  const floor = size >> BigInt(excess);
  const rest = size - (floor << BigInt(excess));
  const kept = rest > half || (rest === half && (floor & 1n) === 1n) ? floor + 1n : floor;
  return { significand: x.significand < 0n ? -kept : kept, exponent: x.exponent + excess };
}

/** x / y, its magnitude rounded towards zero, with `bits` to `bits` + 1 bits. */
export function quotient(x: Dyadic, y: Dyadic, bits: number): Dyadic {
  const lift = Math.max(0, bits + bitLength(magnitude(y.significand)) - bitLength(magnitude(x.significand)));
  return {
    significand: (x.significand << BigInt(lift)) / y.significand,
    exponent: x.exponent - lift - y.exponent,
  };
}
