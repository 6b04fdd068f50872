/**
 * Elementary functions of exact arguments, to any number of bits, on bigints.
 *
 * A positive real is given as significand * 2^exponent. Results are intervals, so that a caller can tell whether rounding
 * is decided and ask for more bits if not.
 */

import { bitLength, squareRoot } from "./integer.ts";

/** The exact positive number significand * 2^exponent. */
export interface Exact {
  readonly significand: bigint;
  readonly exponent: number;
}

/** A positive real strictly between low * 2^exponent and (low + span) * 2^exponent. */
export interface Interval {
  readonly low: bigint;
  readonly span: bigint;
  readonly exponent: number;
}

/** A positive real near significand * 2^exponent, with a relative error below 2^-(its W - 8). */
type Near = Exact;

/** significand * 2^exponent as a fixed-point number with `fraction` bits behind the point, truncated. */
function fixed(x: Exact, fraction: number): bigint {
  const shift = x.exponent + fraction;
  if (shift >= 0) return x.significand << BigInt(shift);
  return -shift >= bitLength(x.significand) ? 0n : x.significand >> BigInt(-shift);
}

const multiply = (x: Exact, y: Exact): Exact => ({
  significand: x.significand * y.significand,
  exponent: x.exponent + y.exponent,
});

/** x / y, truncated, with at least W bits. */
function divide(x: Exact, y: Exact, W: number): Near {
  const lift = Math.max(0, W + 1 + bitLength(y.significand) - bitLength(x.significand));
  return {
    significand: (x.significand << BigInt(lift)) / y.significand,
    exponent: x.exponent - lift - y.exponent,
  };
}

const topOf = (x: Exact): number => x.exponent + bitLength(x.significand) - 1;

function around(x: Near, W: number): Interval {
  // The relative error 2^-(W - 8) of a significand, in units of its last bit.
  const error = (x.significand >> BigInt(W - 8)) + 1n;
  return { low: x.significand - error, span: 2n * error, exponent: x.exponent };
}

/** The interval just below or above an exact number, closer to it than any bit that rounding looks at. */
function beside(x: Exact, side: "below" | "above", W: number): Interval {
  const lifted = x.significand << BigInt(W);
  return { low: side === "below" ? lifted - 1n : lifted, span: 1n, exponent: x.exponent - W };
}

// ---------------------------------------------------------------- constants

const constants = new Map<string, bigint>();
function constant(name: string, W: number, compute: (W: number) => bigint): bigint {
  const key = `${name} ${W}`;
  let value = constants.get(key);
  if (value === undefined) {
    value = compute(W + 16) >> 16n;
    constants.set(key, value);
  }
  return value;
}

/** atanh(1/n) or atan(1/n) in fixed point. */
function inverseSeries(n: bigint, alternate: boolean, W: number): bigint {
  let power = (1n << BigInt(W)) / n;
  let sum = power;
  for (let k = 3n; power !== 0n; k += 2n) {
    power /= alternate ? -(n * n) : n * n;
    sum += power / k;
  }
  return sum;
}

/** ln 2 = 18 atanh(1/26) - 2 atanh(1/4801) + 8 atanh(1/8749), in fixed point. */
const ln2 = (W: number): bigint =>
  constant(
    "ln2",
    W,
    (w) =>
      18n * inverseSeries(26n, false, w) -
      2n * inverseSeries(4801n, false, w) +
      8n * inverseSeries(8749n, false, w),
  );

/** pi = 16 atan(1/5) - 4 atan(1/239), in fixed point. */
const pi = (W: number): bigint =>
  constant("pi", W, (w) => 16n * inverseSeries(5n, true, w) - 4n * inverseSeries(239n, true, w));

// ---------------------------------------------------------------- series: f(x) / x or f(x), in fixed point

/** 1 - s/(2*3) + s^2/(2*3*4*5) - ... : sin(x)/x for s = x^2; from = 1 gives cos(x). */
function alternatingFactorial(square: bigint, from: 1n | 2n, W: number): bigint {
  const one = 1n << BigInt(W);
  let sum = one;
  let term = one;
  for (let k = from; term !== 0n; k += 2n) {
    term = -((term * square) >> BigInt(W)) / (k * (k + 1n));
    sum += term;
  }
  return sum;
}

/** 1 + s/3 + s^2/5 + ... : atanh(x)/x for s = x^2; with -s, atan(x)/x. */
function oddReciprocals(square: bigint, W: number): bigint {
  let power = 1n << BigInt(W);
  let sum = power;
  for (let k = 3n; ; k += 2n) {
    power = (power * square) >> BigInt(W);
    const term = power / k;
    if (term === 0n) return sum;
    sum += term;
  }
}

// ---------------------------------------------------------------- functions

/** |2^x - 1| for 0 < |x| <= 1, not -1 or 1. */
export function exp2m1(x: Exact, negative: boolean, W: number): Interval {
  const product = multiply(x, { significand: ln2(W), exponent: -W });
  const magnitude = fixed(product, W);
  const u = negative ? -magnitude : magnitude;
  // (e^u - 1)/u = 1 + u/2! + u^2/3! + ...
  let sum = 1n << BigInt(W);
  let term = sum;
  for (let k = 2n; ; k += 1n) {
    term = (term * u) / (k << BigInt(W));
    if (term === 0n) break;
    sum += term;
  }
  return around(multiply(product, { significand: sum, exponent: -W }), W);
}

/** A number of either sign near (-1)^negative * significand * 2^exponent. */
interface SignedNear extends Near {
  readonly negative: boolean;
}

/** log2 of an exact number other than 1. */
function log2(x: Exact, W: number): SignedNear {
  // x = m * 2^k with m in [3/4, 3/2): log2 m is then at most 0.6, and k + log2 m cancels nothing
  const length = bitLength(x.significand);
  const m = x.significand << 2n < 3n << BigInt(length) ? length - 1 : length;
  const k = x.exponent + m;
  const one = 1n << BigInt(m);
  const below = x.significand < one;
  let logarithm: Near = { significand: 0n, exponent: -W };
  if (x.significand !== one) {
    // ln m = 2 atanh((m - 1)/(m + 1))
    const difference = { significand: below ? one - x.significand : x.significand - one, exponent: 0 };
    const t = divide(difference, { significand: x.significand + one, exponent: 0 }, W);
    const tFixed = fixed(t, W);
    const series = oddReciprocals((tFixed * tFixed) >> BigInt(W), W);
    const natural = multiply(t, { significand: series, exponent: 1 - W });
    logarithm = divide(natural, { significand: ln2(W), exponent: -W }, W);
  }
  if (k === 0) return { ...logarithm, negative: below };
  const rest = fixed(logarithm, W);
  const sum = (BigInt(k) << BigInt(W)) + (below ? -rest : rest);
  return { significand: sum < 0n ? -sum : sum, exponent: -W, negative: sum < 0n };
}

/** log2(1 + x), or log2(1 - x) where x is `negative` (and then below 1), for x > 0. */
function log2OnePlus(x: Exact, negative: boolean, W: number): SignedNear {
  const top = topOf(x);
  if (top < -W) return { ...divide(x, { significand: ln2(W), exponent: -W }, W), negative };
  if (top > W) return log2(x, W);
  const exponent = Math.min(0, x.exponent);
  const one = 1n << BigInt(-exponent);
  const scaled = x.significand << BigInt(x.exponent - exponent);
  return log2({ significand: one + (negative ? -scaled : scaled), exponent }, W);
}

export interface SignedInterval extends Interval {
  readonly negative: boolean;
}

/** y * log2(x), x not a power of two. */
export function timesLog2(y: Exact, x: Exact, W: number): SignedInterval {
  const logarithm = log2(x, W);
  return { ...around(multiply(y, logarithm), W), negative: logarithm.negative };
}

/** y * log2(1 + x), or y * log2(1 - x), 1 + x not a power of two. */
export function timesLog2OnePlus(y: Exact, x: Exact, negative: boolean, W: number): SignedInterval {
  const logarithm = log2OnePlus(x, negative, W);
  return { ...around(multiply(y, logarithm), W), negative: logarithm.negative };
}

/** sin(x) for 0 < x < 1. */
export function sine(x: Exact, W: number): Interval {
  if (2 * topOf(x) < -W - 2) return beside(x, "below", W);
  return around(sineNear(x, W), W);
}

function sineNear(x: Exact, W: number): Near {
  const f = fixed(x, W);
  return multiply(x, { significand: alternatingFactorial((f * f) >> BigInt(W), 2n, W), exponent: -W });
}

function cosineNear(x: Exact, W: number): Near {
  const f = fixed(x, W);
  return { significand: alternatingFactorial((f * f) >> BigInt(W), 1n, W), exponent: -W };
}

/** cos(x) for 0 <= x < 1. */
export function cosine(x: Exact, W: number): Interval {
  if (2 * topOf(x) < -W - 2) return beside({ significand: 1n, exponent: 0 }, "below", W);
  return around(cosineNear(x, W), W);
}

/** tan(x) for 0 < x < 1. */
export function tangent(x: Exact, W: number): Interval {
  if (2 * topOf(x) < -W - 2) return beside(x, "above", W);
  return around(divide(sineNear(x, W), cosineNear(x, W), W), W);
}

/** 1 / tan(x) for 0 < x < 1. */
export function cotangent(x: Exact, W: number): Interval {
  return around(divide(cosineNear(x, W), sineNear(x, W), W), W);
}

/** The angle of the vector (x, y), x and y > 0, or of (-x, y) where `left`: between 0 and pi. */
export function angle(y: Exact, x: Exact, left: boolean, W: number): Interval {
  const distance = topOf(y) - topOf(x);
  if (!left && distance < -W) {
    // atan(q) = q to W bits, and a little less; the quotient itself may be exact.
    const q = divide(y, x, W);
    return { low: q.significand - 1n, span: 2n, exponent: q.exponent };
  }
  if (left && distance < -W) return { low: pi(W) - 2n, span: 4n, exponent: -W };
  const steep = distance > 0;
  const q = steep ? divide(x, y, W) : divide(y, x, W);
  let near = arctangent(q, W);
  if (steep || left) {
    const part = fixed(near, W);
    const quarter = pi(W) >> 1n;
    const result = steep ? (left ? quarter + part : quarter - part) : pi(W) - part;
    near = { significand: result, exponent: -W };
  }
  return around(near, W);
}

/** atan(q) for 0 < q <= about 2. */
function arctangent(q: Near, W: number): Near {
  let t = q;
  let doublings = 0;
  while (topOf(t) >= -3) {
    // atan(t) = 2 atan(t / (1 + sqrt(1 + t^2)))
    const f = fixed(t, W);
    const one = 1n << BigInt(W);
    const root = squareRoot((one << BigInt(W)) + f * f);
    t = { significand: (f << BigInt(W)) / (one + root), exponent: -W };
    doublings += 1;
  }
  const f = fixed(t, W);
  const series = oddReciprocals(-((f * f) >> BigInt(W)), W);
  return multiply(t, { significand: series, exponent: doublings - W });
}
