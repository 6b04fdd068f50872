import { type Dyadic, integer, multiply, ONE, plus, quotient, scaled, top, ZERO } from "./dyadic.ts";
import { bitLength } from "./integer.ts";

/** Elementary functions to at least 120 significant bits, by power series in fixed point. */

/** Bits behind the point of the fixed-point numbers here. */
const W = 144;
const UNIT = 1n << BigInt(W);

/** x in fixed point, rounded towards zero. */
function fixed(x: Dyadic): bigint {
  const shift = x.exponent + W;
  if (shift >= 0) return x.significand << BigInt(shift);
  return top(x) < -W ? 0n : x.significand / (1n << BigInt(-shift));
}

const fromFixed = (value: bigint): Dyadic => ({ significand: value, exponent: -W });

const times = (x: bigint, y: bigint): bigint => (x * y) >> BigInt(W);

/** atanh(1/n) in fixed point: 1/n + 1/(3 n^3) + ...; atan(1/n) with alternating signs. */
function inverse(n: bigint, kind: "atanh" | "atan"): bigint {
  const square = kind === "atan" ? -(n * n) : n * n;
  const guard = 16n;
  let power = (UNIT << guard) / n;
  let sum = power;
  for (let k = 3n; power !== 0n; k += 2n) {
    power /= square;
    sum += power / k;
  }
  return sum >> guard;
}

/** ln 2 = 18 atanh(1/26) - 2 atanh(1/4801) + 8 atanh(1/8749). */
export const LN2: Dyadic = fromFixed(
  18n * inverse(26n, "atanh") - 2n * inverse(4801n, "atanh") + 8n * inverse(8749n, "atanh"),
);

/** log2 e. */
export const LOG2E: Dyadic = quotient(ONE, LN2, W);

/** first + first * s / divisor(2) + ... : the sum of terms, each the one before times s over the next divisor. */
function factorials(s: bigint, first: bigint, step: (k: bigint) => bigint): bigint {
  let sum = first;
  let term = first;
  for (let k = 1n; ; k += 1n) {
    term = times(term, s) / step(k);
    if (term === 0n || term === -1n) return sum;
    sum += term;
  }
}

/** 1/first + s/(first + 2) + s^2/(first + 4) + ... */
function oddReciprocals(s: bigint, first: bigint): bigint {
  let sum = UNIT / first;
  let power = UNIT;
  for (let k = first + 2n; ; k += 2n) {
    power = times(power, s);
    const term = power / k;
    if (term === 0n) return sum;
    sum += term;
  }
}

const squareOf = (x: Dyadic): Dyadic => multiply(x, x);

/** 2^x - 1 - x ln 2 for |x| <= 1: (x ln 2)^2 (1/2! + (x ln 2)/3! + ...). */
export function exp2Tail(x: Dyadic): Dyadic {
  const u = multiply(x, LN2);
  const sum = factorials(fixed(u), UNIT / 2n, (k) => k + 2n);
  return multiply(squareOf(u), fromFixed(sum));
}

/** 2^x - 1 for |x| <= 1. */
export const exp2MinusOne = (x: Dyadic): Dyadic => plus(multiply(x, LN2), exp2Tail(x));

/** sin(x) - x for |x| <= 1: -x^3 (1/3! - x^2/5! + ...). */
export function sineTail(x: Dyadic): Dyadic {
  const s = fixed(squareOf(x));
  const sum = factorials(-s, -UNIT / 6n, (k) => (2n * k + 2n) * (2n * k + 3n));
  return multiply(multiply(squareOf(x), x), fromFixed(sum));
}

/** (cos(x) - 1)/x^2 for |x| <= 1: -(1/2! - x^2/4! + ...). */
export const cosineFactor = (x: Dyadic): Dyadic =>
  fromFixed(factorials(-fixed(squareOf(x)), -UNIT / 2n, (k) => (2n * k + 1n) * (2n * k + 2n)));

/** cos(x) - 1 for |x| <= 1. */
export const cosineTail = (x: Dyadic): Dyadic => multiply(squareOf(x), cosineFactor(x));

/** atan(x) - x for |x| <= 1/16: -x^3 (1/3 - x^2/5 + ...). */
export function arctangentTail(x: Dyadic): Dyadic {
  const s = fixed(squareOf(x));
  return multiply(multiply(squareOf(x), x), fromFixed(-oddReciprocals(-s, 3n)));
}

/** atan(n/32) for 0 <= n <= 32, by steps of atan of 1/32. */
export function arctangentOf32nds(n: number): Dyadic {
  // atan((k + 1)/32) - atan(k/32) = atan(32 / (1024 + k (k + 1)))
  let sum = ZERO;
  for (let k = 0; k < n; k += 1) {
    const step = quotient(integer(32), integer(1024 + k * (k + 1)), W);
    sum = plus(sum, plus(step, arctangentTail(step)));
  }
  return sum;
}

/** (2/ln 2) (atanh(t) - t) for |t| <= 1/5: (2/ln 2) t^3 (1/3 + t^2/5 + ...). */
export function logarithmTail(t: Dyadic): Dyadic {
  const s = fixed(squareOf(t));
  const cube = multiply(squareOf(t), t);
  return scaled(multiply(multiply(cube, fromFixed(oddReciprocals(s, 3n))), LOG2E), 1);
}

/** log2(x) for x > 0. */
export function log2(x: Dyadic): Dyadic {
  // x = m * 2^k with m in [3/4, 3/2): log2 m is then at most 0.6, and k + log2 m cancels nothing
  const length = bitLength(x.significand);
  const point = x.significand << 2n < 3n << BigInt(length) ? length - 1 : length;
  const m = { significand: x.significand, exponent: -point };
  const difference = plus(m, integer(-1));
  if (difference.significand === 0n) return integer(x.exponent + point);
  // ln m = 2 atanh((m - 1)/(m + 1))
  const t = quotient(difference, plus(m, ONE), W);
  const logarithm = plus(scaled(multiply(t, LOG2E), 1), logarithmTail(t));
  return plus(integer(x.exponent + point), logarithm);
}
