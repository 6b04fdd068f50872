import {
  add,
  binary32,
  binary64,
  compare,
  convert,
  div,
  type Environment,
  type Format,
  fromInteger,
  max,
  min,
  mul,
  mxcsrEnvironment,
  type Relation,
  roundToIntegral,
  sqrt,
  sub,
  toInteger,
} from "../../base/ieee754/index.ts";
import { defineIntrinsic } from "../../ir/intrinsics.ts";
import { intrinsic, type Value, type Width } from "../../ir/value.ts";

/**
 * SSE floating point, one lane at a time: intrinsics named `format.operation`. Arguments are the bit patterns of the
 * operands, the last one is MXCSR (32 bits). The result holds the value in its low bits (as many as the result format
 * has) and the exceptions (IE DE ZE OE UE PE, the order of MXCSR[5:0]) in the six bits above; `packedWidth` is its width.
 *
 * binary32, binary64: add sub mul div min max sqrt; round (to an integer in the format); compare (a, b, predicate of
 * CMPPS) giving a mask; order, quietOrder (COMISS, UCOMISS) giving one of the bits of `ordering`, 8 bits wide;
 * toInt32, toInt64, fromInt32, fromInt64; binary32.toBinary64, binary64.toBinary32. Exact, so without MXCSR and without
 * exceptions: binary64.fromInt32 (64 bits), binary32.reciprocal and binary32.reciprocalSquareRoot (32 bits), relation (8 bits, one
 * of the bits of `ordering`). flush (a, MXCSR): the operand as an operation sees it, a denormal as zero under MXCSR.DAZ.
 */

export type FloatWidth = 32 | 64;

/** The width of an intrinsic's result whose value has this width. */
export const packedWidth = (value: 8 | 32 | 64): Width => (value === 8 ? 16 : value === 32 ? 64 : 128);

interface Outcome {
  readonly bits: bigint;
  readonly exceptions: number;
}

const pack = (width: number, { bits, exceptions }: Outcome): bigint =>
  bits | (BigInt(exceptions) << BigInt(width));

const defaultEnvironment = mxcsrEnvironment(0x1f80);
/** MXCSR.DAZ: denormals are zeros. */
const DAZ = 0x40n;
const environmentOf = (mxcsr: bigint): Environment => mxcsrEnvironment(Number(mxcsr));

/** The bit that stands for a relation in the result of `order` and `quietOrder`. */
export const ordering: Readonly<Record<Relation, number>> = { less: 0, equal: 1, greater: 2, unordered: 3 };

/** The predicates of CMPPS by imm8[2:0] (SDM Vol. 2, CMPPS, "Comparison Predicate"): whether QNaNs are quiet, which relations hold. */
// biome-ignore format: one row per fact
const predicates: readonly { readonly quiet: boolean; readonly holds: readonly Relation[] }[] = [
  { quiet: true, holds: ["equal"] },
  { quiet: false, holds: ["less"] },
  { quiet: false, holds: ["less", "equal"] },
  { quiet: true, holds: ["unordered"] },
  { quiet: true, holds: ["less", "greater", "unordered"] },
  { quiet: false, holds: ["equal", "greater", "unordered"] },
  { quiet: false, holds: ["greater", "unordered"] },
  { quiet: true, holds: ["less", "equal", "greater"] },
];

type Unary = (format: Format, environment: Environment, a: bigint) => Outcome;
type Binary = (format: Format, environment: Environment, a: bigint, b: bigint) => Outcome;

const defineFormat = (format: Format): void => {
  const width = format.width as FloatWidth;
  const unary = (name: string, operation: Unary, valueWidth: FloatWidth = width): void => {
    defineIntrinsic(`${format.name}.${name}`, packedWidth(valueWidth), (a, mxcsr) =>
      pack(valueWidth, operation(format, environmentOf(mxcsr!), a!)),
    );
  };
  const binary = (name: string, operation: Binary): void => {
    defineIntrinsic(`${format.name}.${name}`, packedWidth(width), (a, b, mxcsr) =>
      pack(width, operation(format, environmentOf(mxcsr!), a!, b!)),
    );
  };
  const order = (name: string, quiet: boolean): void => {
    defineIntrinsic(`${format.name}.${name}`, packedWidth(8), (a, b, mxcsr) => {
      const { relation, exceptions } = compare(environmentOf(mxcsr!), quiet, format, a!, b!);
      return pack(8, { bits: 1n << BigInt(ordering[relation]), exceptions });
    });
  };

  binary("add", add);
  binary("sub", sub);
  binary("mul", mul);
  binary("div", div);
  binary("min", min);
  binary("max", max);
  unary("sqrt", sqrt);
  unary("round", (f, environment, a) => roundToIntegral(f, environment, a, "ignore"));
  unary("toInt32", (f, environment, a) => toInteger(32, f, environment, a), 32);
  unary("toInt64", (f, environment, a) => toInteger(64, f, environment, a), 64);
  defineIntrinsic(`${format.name}.relation`, 8, (a, b) => {
    const { relation } = compare(defaultEnvironment, true, format, a!, b!);
    return 1n << BigInt(ordering[relation]);
  });
  defineIntrinsic(`${format.name}.flush`, width, (a, mxcsr) => {
    const isDenormal = (a! & (format.infinity | format.signBit)) === (a! & format.signBit);
    return (mxcsr! & DAZ) !== 0n && isDenormal ? a! & format.signBit : a!;
  });
  order("order", false);
  order("quietOrder", true);
  defineIntrinsic(`${format.name}.compare`, packedWidth(width), (a, b, predicate, mxcsr) => {
    const { quiet, holds } = predicates[Number(predicate! & 7n)]!;
    const { relation, exceptions } = compare(environmentOf(mxcsr!), quiet, format, a!, b!);
    const bits = holds.includes(relation) ? (1n << BigInt(width)) - 1n : 0n;
    return pack(width, { bits, exceptions });
  });
  for (const from of [32, 64] as const) {
    if (width === 64 && from === 32) continue;
    defineIntrinsic(`${format.name}.fromInt${from}`, packedWidth(width), (a, mxcsr) =>
      pack(width, fromInteger(format, environmentOf(mxcsr!), BigInt.asIntN(from, a!))),
    );
  }
};

defineFormat(binary32);
defineFormat(binary64);
defineIntrinsic("binary32.toBinary64", packedWidth(64), (a, mxcsr) =>
  pack(64, convert(binary64, binary32, environmentOf(mxcsr!), a!)),
);
defineIntrinsic("binary64.toBinary32", packedWidth(32), (a, mxcsr) =>
  pack(32, convert(binary32, binary64, environmentOf(mxcsr!), a!)),
);

defineIntrinsic(
  "binary64.fromInt32",
  64,
  (a) => fromInteger(binary64, defaultEnvironment, BigInt.asIntN(32, a!)).bits,
);

const SIGN = 0x8000_0000;
const INFINITY = 0x7f80_0000;
const INDEFINITE = 0xffc0_0000;
const QUIET = 0x0040_0000;

/**
 * RCPPS as Intel processors answer (all 2^23 significands compared): the top 11 fraction bits choose one of 2048
 * intervals; the reciprocal of its centre is rounded to 12 fraction bits. Denormals count as zeros, tiny results are zeros.
 */
const reciprocal = (a: number): number => {
  const sign = a & SIGN;
  const exponent = (a >>> 23) & 0xff;
  const fraction = a & 0x7f_ffff;
  if (exponent === 0xff) return fraction === 0 ? sign : a | QUIET;
  if (exponent === 0) return sign | INFINITY;
  if (exponent >= 253) return sign;
  const interval = fraction >>> 12;
  const centre = 4096 + 2 * interval + 1; // in units of 2^-12
  const significand = Math.floor((2 ** 25 + (centre >>> 1)) / centre); // 2 / centre, in units of 2^-12
  return sign | ((253 - exponent) << 23) | ((significand - 4096) << 11);
};

/**
 * RSQRTPS as Intel processors answer: the top 10 fraction bits and the parity of the exponent choose one of 2048
 * intervals; the reciprocal square root of its centre is rounded to 12 fraction bits. Denormals count as zeros.
 */
const reciprocalSquareRoot = (a: number): number => {
  const sign = a & SIGN;
  const exponent = (a >>> 23) & 0xff;
  const fraction = a & 0x7f_ffff;
  if (exponent === 0xff && fraction !== 0) return a | QUIET;
  if (exponent === 0) return sign | INFINITY;
  if (sign !== 0) return INDEFINITE;
  if (exponent === 0xff) return 0;
  const doubled = exponent & 1 ? 1 : 2; // odd biased exponents are even powers of two
  const centre = doubled * (4096 + 4 * (fraction >>> 13) + 2); // in units of 2^-12
  const significand = Math.floor(Math.sqrt(2 ** 38 / centre) + 0.5); // 2 / sqrt(centre), in units of 2^-12
  return ((126 - ((exponent - 127) >> 1)) << 23) | ((significand - 4096) << 11);
};

defineIntrinsic("binary32.reciprocal", 32, (a) => BigInt(reciprocal(Number(a)) >>> 0));
defineIntrinsic("binary32.reciprocalSquareRoot", 32, (a) => BigInt(reciprocalSquareRoot(Number(a)) >>> 0));

/** What one lane of an operation gives: its bits, and its exceptions (8 bits, the six of MXCSR low). */
export interface FloatLane {
  readonly value: Value;
  readonly exceptions: Value;
}

/** One lane: the operation `name` on `args` under MXCSR, giving a value of `width` bits. */
export const floatLane = (
  name: string,
  width: 8 | FloatWidth,
  args: readonly Value[],
  mxcsr: Value,
): FloatLane => {
  const packed = intrinsic(name, packedWidth(width), [...args, mxcsr]);
  return { value: packed.extract(0, width), exceptions: packed.extract(width, 8) };
};
