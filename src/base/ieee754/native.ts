/**
 * Arithmetic of binary32 and binary64 on the host's own Numbers, where that is exact: operands and result far from
 * denormals, infinities, NaNs and zero results, so that the only possible exception is PE. Everything else is undefined
 * here, and left to the general path. Each operation finds the sign of (exact - rounded to nearest) by an error-free
 * transformation (T. J. Dekker 1971; D. E. Knuth, TAOCP 2, 4.2.2), which gives PE and the other rounding modes.
 */

import { type Environment, PE, type Result } from "./environment.ts";

const f64 = new Float64Array(1);
const u64 = new BigUint64Array(f64.buffer);
const words = new Uint32Array(f64.buffer);
const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

const highWord = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 1 : 0;

/** The biased exponent of the number in f64. */
const exponent64 = (): number => (words[highWord]! >>> 20) & 0x7ff;

/**
 * The result of rounding where `nearest` is the exact result rounded to nearest and `error` has the sign of exact -
 * nearest, or undefined if nearest is too close to the ends of the range.
 */
function deliver64(environment: Environment, nearest: number, error: number): Result | undefined {
  f64[0] = nearest;
  const exponent = exponent64();
  if (exponent < 2 || exponent > 2044) return undefined;
  const bits = u64[0]!;
  if (error === 0) return { bits, exceptions: 0, roundedUp: false };
  const above = nearest > 0 ? error < 0 : error > 0; // in magnitude
  const move = adjustment(environment, nearest < 0, above);
  return {
    bits: move === 0 ? bits : bits + BigInt(move),
    exceptions: PE,
    roundedUp: above ? move === 0 : move === 1,
  };
}

function deliver32(environment: Environment, nearest: number, error: number): Result | undefined {
  f32[0] = nearest;
  const encoding = u32[0]!;
  const exponent = (encoding >>> 23) & 0xff;
  if (exponent < 2 || exponent > 252) return undefined;
  if (error === 0) return { bits: BigInt(encoding), exceptions: 0, roundedUp: false };
  const above = nearest > 0 ? error < 0 : error > 0;
  const move = adjustment(environment, nearest < 0, above);
  return { bits: BigInt(encoding + move), exceptions: PE, roundedUp: above ? move === 0 : move === 1 };
}

/** What to add to the encoding of the nearest number, above or below the exact one in magnitude, in the rounding mode. */
function adjustment(environment: Environment, negative: boolean, above: boolean): -1 | 0 | 1 {
  switch (environment.rounding) {
    case "nearest":
      return 0;
    case "zero":
      return above ? -1 : 0;
    case "up":
      return negative ? (above ? -1 : 0) : above ? 0 : 1;
    case "down":
      return negative ? (above ? 0 : 1) : above ? -1 : 0;
  }
}

/** a - p - (x * y - p) for p = x * y rounded: the exact a - x * y where that is small. */
function residual(a: number, x: number, y: number): number {
  const p = x * y;
  const sx = x * 134217729;
  const xh = sx - (sx - x);
  const xl = x - xh;
  const sy = y * 134217729;
  const yh = sy - (sy - y);
  const yl = y - yh;
  return a - p - (xl * yl - (p - xh * yh - xl * yh - xh * yl));
}

/** The number of a binary64 encoding, or NaN if its exponent is not in [low, high]. */
function load64(bits: bigint, low: number, high: number): number {
  u64[0] = bits;
  const exponent = exponent64();
  return exponent >= low && exponent <= high ? f64[0]! : Number.NaN;
}

function load32(bits: bigint): number {
  const encoding = Number(bits);
  const exponent = (encoding >>> 23) & 0xff;
  if (exponent === 0 || exponent === 255) return Number.NaN;
  u32[0] = encoding;
  return f32[0]!;
}

/** a + b, or a - b. */
export function add64(environment: Environment, a: bigint, b: bigint, subtract: boolean): Result | undefined {
  const x = load64(a, 1, 2044);
  const y = subtract ? -load64(b, 1, 2044) : load64(b, 1, 2044);
  const sum = x + y;
  if (sum === 0 || Number.isNaN(sum)) return undefined;
  const rest = sum - x;
  return deliver64(environment, sum, x - (sum - rest) + (y - rest));
}

export function add32(environment: Environment, a: bigint, b: bigint, subtract: boolean): Result | undefined {
  const x = load32(a);
  const y = subtract ? -load32(b) : load32(b);
  const sum = x + y;
  if (sum === 0 || Number.isNaN(sum)) return undefined;
  const nearest = Math.fround(sum);
  if (nearest !== sum) return deliver32(environment, nearest, sum - nearest);
  const rest = sum - x;
  return deliver32(environment, nearest, x - (sum - rest) + (y - rest));
}

/** Exponents from 2^-440 to 2^440: no product, quotient or error term of two such numbers leaves the range. */
const LOW = 1023 - 440;
const HIGH = 1023 + 440;

export function mul64(environment: Environment, a: bigint, b: bigint): Result | undefined {
  const x = load64(a, LOW, HIGH);
  const y = load64(b, LOW, HIGH);
  const product = x * y;
  return Number.isNaN(product) ? undefined : deliver64(environment, product, -residual(product, x, y));
}

export function mul32(environment: Environment, a: bigint, b: bigint): Result | undefined {
  const product = load32(a) * load32(b);
  if (Number.isNaN(product)) return undefined;
  const nearest = Math.fround(product);
  return deliver32(environment, nearest, product - nearest);
}

export function div64(environment: Environment, a: bigint, b: bigint): Result | undefined {
  const x = load64(a, LOW, HIGH);
  const y = load64(b, LOW, HIGH);
  const quotient = x / y;
  if (Number.isNaN(quotient)) return undefined;
  const rest = residual(x, quotient, y);
  return deliver64(environment, quotient, y > 0 ? rest : -rest);
}

export function div32(environment: Environment, a: bigint, b: bigint): Result | undefined {
  const x = load32(a);
  const y = load32(b);
  const nearest = Math.fround(x / y);
  if (Number.isNaN(nearest)) return undefined;
  const rest = x - nearest * y;
  return deliver32(environment, nearest, y > 0 ? rest : -rest);
}

export function sqrt64(environment: Environment, a: bigint): Result | undefined {
  const x = load64(a, LOW, HIGH);
  const root = Math.sqrt(x);
  return Number.isNaN(root) ? undefined : deliver64(environment, root, residual(x, root, root));
}

export function sqrt32(environment: Environment, a: bigint): Result | undefined {
  const x = load32(a);
  const nearest = Math.fround(Math.sqrt(x));
  return Number.isNaN(nearest) ? undefined : deliver32(environment, nearest, x - nearest * nearest);
}

/** binary64 to binary32. */
export function narrow(environment: Environment, a: bigint): Result | undefined {
  const x = load64(a, 1, 2046);
  const nearest = Math.fround(x);
  return Number.isNaN(nearest) ? undefined : deliver32(environment, nearest, x - nearest);
}

/** binary32 to binary64. */
export function widen(a: bigint): Result | undefined {
  const x = load32(a);
  if (Number.isNaN(x)) return undefined;
  f64[0] = x;
  return { bits: u64[0]!, exceptions: 0, roundedUp: false };
}

/** The order of two binary64 numbers (negative, zero or positive), NaN unless both are normal or zeros. */
export const order64 = (a: bigint, b: bigint): number => orderOf(normalOrZero64(a), normalOrZero64(b));

/** The order of two binary32 numbers. */
export const order32 = (a: bigint, b: bigint): number => orderOf(normalOrZero32(a), normalOrZero32(b));

const orderOf = (x: number, y: number): number => (x < y ? -1 : x > y ? 1 : x === y ? 0 : Number.NaN);

function normalOrZero64(bits: bigint): number {
  u64[0] = bits;
  const exponent = exponent64();
  const x = f64[0]!;
  return exponent === 2047 || (exponent === 0 && x !== 0) ? Number.NaN : x;
}

function normalOrZero32(bits: bigint): number {
  u32[0] = Number(bits);
  const exponent = (u32[0]! >>> 23) & 0xff;
  const x = f32[0]!;
  return exponent === 255 || (exponent === 0 && x !== 0) ? Number.NaN : x;
}
