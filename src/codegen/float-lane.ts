import type { Value } from "../ir/value.ts";
import { type Code, f32, f64, i32, i64, v128 } from "../wasm/code.ts";

/**
 * The SSE floating-point intrinsics (isa/semantics/float-lanes.ts) by WebAssembly's own instructions, where these are exact: operands and
 * result are zero or normal, rounding is to nearest, and an inexact result would change nothing because MXCSR has PE and PM
 * set already, or the result is seen to be exact. Everything else is left to the intrinsic.
 */

/** MXCSR: rounding control; what makes an inexact result unobservable. */
const RC = 0x6000;
const quietPrecision = 0x1020;

interface Lane {
  readonly code: Code;
  readonly width: 32 | 64;
  /** Locals of the operands' bit patterns, and of MXCSR. */
  readonly operands: readonly number[];
  readonly mxcsr: number;
}

const float = (width: 32 | 64): "f32" | "f64" => (width === 32 ? "f32" : "f64");
const word = (width: 32 | 64): "i32" | "i64" => (width === 32 ? "i32" : "i64");
const floatType = (width: 32 | 64): typeof f32 | typeof f64 => (width === 32 ? f32 : f64);
const wordType = (width: 32 | 64): typeof i32 | typeof i64 => (width === 32 ? i32 : i64);
const fractionBits = (width: 32 | 64): bigint => (width === 32 ? 23n : 52n);
const exponents = (width: 32 | 64): bigint => (width === 32 ? 255n : 2047n);

const constant = (code: Code, width: 32 | 64, value: bigint): Code =>
  width === 32 ? code.i32(Number(BigInt.asIntN(32, value))) : code.i64(BigInt.asIntN(64, value));

/** Push the float of a bit pattern. */
const pushFloat = (code: Code, width: 32 | 64, local: number): Code =>
  code.get(local).op(width === 32 ? "f32.reinterpret_i32" : "f64.reinterpret_i64");

/** Push a pattern without its sign, shifted to the top. */
const magnitude = (code: Code, width: 32 | 64, local: number): Code =>
  constant(code.get(local), width, 1n).op(`${word(width)}.shl`);

/** Push whether a pattern is no denormal (infinities and NaNs pass). */
const notDenormal = (code: Code, width: 32 | 64, local: number): Code => {
  const one = 1n << (fractionBits(width) + 1n);
  constant(magnitude(code, width, local), width, 1n).op(`${word(width)}.sub`);
  return constant(code, width, one - 1n).op(`${word(width)}.ge_u`);
};

/** Push whether a pattern is no NaN. */
const notNaN = (code: Code, width: 32 | 64, local: number): Code => {
  const infinity = exponents(width) << (fractionBits(width) + 1n);
  return constant(magnitude(code, width, local), width, infinity).op(`${word(width)}.le_u`);
};

/** Push whether a result is finite and normal, `least` exponents above the smallest. */
const isNormal = (code: Code, width: 32 | 64, local: number, least: bigint): Code => {
  const one = 1n << (fractionBits(width) + 1n);
  constant(magnitude(code, width, local), width, one * least).op(`${word(width)}.sub`);
  return constant(code, width, one * (exponents(width) - least)).op(`${word(width)}.lt_u`);
};

const isZero = (code: Code, width: 32 | 64, local: number): Code =>
  magnitude(code, width, local).op(`${word(width)}.eqz`);

/** Push whether MXCSR rounds to nearest and takes no notice of inexact results. */
const carefree = ({ code, mxcsr }: Lane): Code =>
  code.get(mxcsr).i32(RC | quietPrecision).op("i32.and").i32(quietPrecision).op("i32.eq");
const roundsToNearest = ({ code, mxcsr }: Lane): Code => code.get(mxcsr).i32(RC).op("i32.and").op("i32.eqz");

/** Push whether x + y = result exactly, or x - y (Knuth's two-sum: the rounding error is zero). */
const sumIsExact = ({ code, width, operands }: Lane, subtract: boolean, result: number): void => {
  const t = float(width);
  const [a, b] = operands as [number, number];
  const s = code.local(floatType(width));
  const y = code.local(floatType(width));
  const bb = code.local(floatType(width));
  pushFloat(code, width, result).set(s);
  if (subtract) constant(code.get(b), width, 1n << BigInt(width - 1)).op(`${word(width)}.xor`).op(width === 32 ? "f32.reinterpret_i32" : "f64.reinterpret_i64").set(y);
  else pushFloat(code, width, b).set(y);
  code.get(s);
  pushFloat(code, width, a).op(`${t}.sub`).set(bb);
  pushFloat(code, width, a).get(s).get(bb).op(`${t}.sub`).op(`${t}.sub`);
  code.get(y).get(bb).op(`${t}.sub`).op(`${t}.add`);
  code.get(s).get(s).op(`${t}.sub`).op(`${t}.eq`);
};

/** Push whether both significands are so short that their product is exact. */
const productIsExact = ({ code, width, operands }: Lane): void => {
  const low = (1n << (fractionBits(width) / 2n + 1n)) - 1n;
  code.get(operands[0]!).get(operands[1]!).op(`${word(width)}.or`);
  constant(code, width, low).op(`${word(width)}.and`).op(`${word(width)}.eqz`);
};

/** Push the result with no exceptions above it, as the intrinsic would give it. */
const pack = (code: Code, width: 32 | 64, local: number): void => {
  if (width === 32) code.get(local).op("i64.extend_i32_u");
  else code.v128(0n).get(local).simdLane("i64x2.replace_lane", 0);
};

/** x op y. Leaves a condition and sets `result`. */
const arithmetic = (lane: Lane, operation: "add" | "sub" | "mul" | "div" | "sqrt", result: number): void => {
  const { code, width, operands } = lane;
  for (const operand of operands) pushFloat(code, width, operand);
  code.op(`${float(width)}.${operation}`).op(width === 32 ? "i32.reinterpret_f32" : "i64.reinterpret_f64").set(result);
  const sum = operation === "add" || operation === "sub";
  isNormal(code, width, result, sum ? 1n : 2n);
  if (sum || operation === "sqrt") isZero(code, width, result).op("i32.or");
  else {
    // A zero comes from a zero, or is an underflow.
    isZero(code, width, result);
    isZero(code, width, operands[0]!);
    if (operation === "mul") isZero(code, width, operands[1]!).op("i32.or");
    code.op("i32.and").op("i32.or");
  }
  for (const operand of operands) notDenormal(code, width, operand).op("i32.and");
  // Infinity over infinity and the like give NaN, and infinities no normal result; but infinity minus infinity is never 0.
  code.if(i32);
  carefree(lane).if(i32).i32(1).else();
  if (operation === "div" || operation === "sqrt") code.i32(0);
  else {
    roundsToNearest(lane);
    if (sum) sumIsExact(lane, operation === "sub", result);
    else productIsExact(lane);
    code.op("i32.and");
  }
  code.end().else().i32(0).end();
};

/** MIN, MAX: the second operand unless the first is truly less (greater). */
const extreme = ({ code, width, operands }: Lane, operation: "min" | "max", result: number): void => {
  const [a, b] = operands as [number, number];
  code.get(a).get(b);
  pushFloat(code, width, operation === "min" ? a : b);
  pushFloat(code, width, operation === "min" ? b : a).op(`${float(width)}.lt`).op("select").set(result);
  valid(code, width, operands);
};

/** Push whether all operands are numbers and none is a denormal. */
const valid = (code: Code, width: 32 | 64, operands: readonly number[]): void => {
  operands.forEach((operand, index) => {
    notNaN(code, width, operand);
    notDenormal(code, width, operand).op("i32.and");
    if (index > 0) code.op("i32.and");
  });
};

/** Bits of `ordering`: less 0, equal 1, greater 2; no exceptions above. */
const order = ({ code, width, operands }: Lane, result: number): void => {
  const [a, b] = operands as [number, number];
  code.i32(1);
  code.i32(2).i32(4);
  pushFloat(code, width, a);
  pushFloat(code, width, b).op(`${float(width)}.eq`).op("select");
  pushFloat(code, width, a);
  pushFloat(code, width, b).op(`${float(width)}.lt`).op("select").set(result);
  valid(code, width, operands);
};

/** To an integer, rounding to nearest or towards zero. */
const toInteger = (lane: Lane, to: 32 | 64, result: number): void => {
  const { code, width, operands, mxcsr } = lane;
  const [a] = operands as [number];
  const t = float(width);
  const rounded = code.local(floatType(width));
  code.get(mxcsr).i32(RC).op("i32.and").op("i32.eqz").if(floatType(width));
  pushFloat(code, width, a).op(`${t}.nearest`).else();
  pushFloat(code, width, a).op(`${t}.trunc`).end().set(rounded);
  code.get(rounded).truncSat(word(to), t).set(result);
  // In range, also when rounding reaches the next power of two.
  const bias = (exponents(width) - 1n) / 2n;
  constant(magnitude(code, width, a), width, (bias + BigInt(to) - 2n) << (fractionBits(width) + 1n)).op(`${word(width)}.lt_u`);
  notDenormal(code, width, a).op("i32.and");
  code.get(mxcsr).i32(RC).op("i32.and").op("i32.eqz").get(mxcsr).i32(RC).op("i32.and").i32(RC).op("i32.eq").op("i32.or").op("i32.and");
  code.get(mxcsr).i32(quietPrecision).op("i32.and").i32(quietPrecision).op("i32.eq");
  code.get(rounded);
  pushFloat(code, width, a).op(`${t}.eq`).op("i32.or").op("i32.and");
};

const fromInteger = (lane: Lane, from: 32 | 64, result: number): void => {
  const { code, width, operands } = lane;
  const [a] = operands as [number];
  const converted = code.local(floatType(width));
  code.get(a).op(`${float(width)}.convert_${word(from)}_s`).set(converted);
  code.get(converted).op(width === 32 ? "i32.reinterpret_f32" : "i64.reinterpret_f64").set(result);
  carefree(lane);
  // Exact when it goes back; the largest do not.
  roundsToNearest(lane).get(converted).truncSat(word(from), float(width)).get(a).op(`${word(from)}.eq`).op("i32.and");
  code.get(a);
  constant(code, from, (1n << BigInt(from - 1)) - 1n).op(`${word(from)}.ne`).op("i32.and");
  code.op("i32.or");
};

const widen = ({ code, operands }: Lane, result: number): void => {
  pushFloat(code, 32, operands[0]!).op("f64.promote_f32").op("i64.reinterpret_f64").set(result);
  valid(code, 32, operands);
};

const narrow = (lane: Lane, result: number): void => {
  const { code, operands } = lane;
  const [a] = operands as [number];
  pushFloat(code, 64, a).op("f32.demote_f64").op("i32.reinterpret_f32").set(result);
  isNormal(code, 32, result, 2n);
  isZero(code, 64, a).op("i32.or");
  carefree(lane);
  roundsToNearest(lane);
  pushFloat(code, 32, result).op("f64.promote_f32");
  pushFloat(code, 64, a).op("f64.eq").op("i32.and").op("i32.or").op("i32.and");
};

/** To an integer in the format, by RC of the environment. Pushes the float. */
export const pushRounded = (code: Code, width: 32 | 64, push: () => void, mxcsr: number): void => {
  const t = float(width);
  const mode = (): Code => code.get(mxcsr).i32(13).op("i32.shr_u").i32(3).op("i32.and");
  mode().op("i32.eqz").if(floatType(width));
  push();
  code.op(`${t}.nearest`).else();
  mode().i32(1).op("i32.eq").if(floatType(width));
  push();
  code.op(`${t}.floor`).else();
  mode().i32(2).op("i32.eq").if(floatType(width));
  push();
  code.op(`${t}.ceil`).else();
  push();
  code.op(`${t}.trunc`).end().end().end();
};

const round = ({ code, width, operands, mxcsr }: Lane, result: number): void => {
  const [a] = operands as [number];
  pushRounded(code, width, () => pushFloat(code, width, a), mxcsr);
  code.op(width === 32 ? "i32.reinterpret_f32" : "i64.reinterpret_f64").set(result);
  valid(code, width, operands);
  code.get(mxcsr).i32(quietPrecision).op("i32.and").i32(quietPrecision).op("i32.eq");
  pushFloat(code, width, result);
  pushFloat(code, width, a).op(`${float(width)}.eq`).op("i32.or").op("i32.and");
};

interface Plan {
  /** Width of the operands, and of the result. */
  readonly from: 32 | 64;
  readonly to: 32 | 64;
  readonly emit: (lane: Lane, result: number) => void;
  readonly orders?: true;
}

const plans = new Map<string, Plan>();
for (const width of [32, 64] as const) {
  const name = `binary${width}`;
  for (const operation of ["add", "sub", "mul", "div", "sqrt"] as const)
    plans.set(`${name}.${operation}`, { from: width, to: width, emit: (lane, result) => arithmetic(lane, operation, result) });
  for (const operation of ["min", "max"] as const)
    plans.set(`${name}.${operation}`, { from: width, to: width, emit: (lane, result) => extreme(lane, operation, result) });
  plans.set(`${name}.round`, { from: width, to: width, emit: round });
  for (const operation of ["order", "quietOrder"]) plans.set(`${name}.${operation}`, { from: width, to: 32, emit: order, orders: true });
  for (const to of [32, 64] as const)
    plans.set(`${name}.toInt${to}`, { from: width, to, emit: (lane, result) => toInteger(lane, to, result) });
  for (const from of [32, 64] as const)
    plans.set(`${name}.fromInt${from}`, { from, to: width, emit: (lane, result) => fromInteger({ ...lane, width }, from, result) });
}
plans.set("binary32.toBinary64", { from: 32, to: 64, emit: widen });
plans.set("binary64.toBinary32", { from: 64, to: 32, emit: narrow });

/** Has the intrinsic of this name a native form? */
export const hasNativeLane = (name: string): boolean => plans.has(name);

/**
 * Emit an intrinsic by native instructions, with the intrinsic itself for the cases they do not cover. False: it has no such
 * form. `operand` pushes an argument, `slow` the packed result of the intrinsic.
 */
export const emitFloatLane = (
  code: Code,
  value: Value,
  operand: (index: number) => void,
  slow: () => void,
): boolean => {
  const name = value.attr as string;
  if (name === "binary64.fromInt32" && value.args.length === 1) {
    operand(0);
    code.op("f64.convert_i32_s").op("i64.reinterpret_f64");
    return true;
  }
  const plan = plans.get(name);
  if (plan === undefined) return false;
  const last = value.args.length - 1;
  const locals = value.args.map((_, index) => {
    const local = code.local(index === last ? i32 : wordType(plan.from));
    operand(index);
    code.set(local);
    return local;
  });
  const result = code.local(wordType(plan.to));
  const packed = plan.orders ? i32 : plan.to === 32 ? i64 : v128;
  plan.emit({ code, width: plan.from, operands: locals.slice(0, last), mxcsr: locals[last]! }, result);
  code.if(packed);
  if (plan.orders) code.get(result);
  else pack(code, plan.to, result);
  code.else();
  slow();
  code.end();
  return true;
};
