import { type Environment, PE, type Result, UE, ZE } from "./environment.ts";
import { extended80 } from "./format.ts";
import { bitLength } from "./integer.ts";
import { invalid, nanResult, withheld } from "./nan.ts";
import { decode, denormalException, infinityBits, type Operand, zeroBits } from "./operand.ts";
import { exactMagnitude, type Magnitude, roundAndEncode } from "./rounding.ts";
import * as series from "./series.ts";

/**
 * The x87 transcendental functions, in the double extended-precision format: SDM Vol. 1, "Trigonometric Instructions" and
 * "Logarithmic, Exponential, and Scale". Results are correctly rounded. PE is raised with every computed result, exact or
 * not, as the processors do; and UE with every denormal one.
 */

const format = extended80;
const exact = (bits: bigint, exceptions = 0): Result => ({ bits, exceptions, roundedUp: false });

/** Working precisions, tried until rounding is decided. None of the functions comes near the last. */
const workingBits = [104, 160, 256, 512] as const;

function round(environment: Environment, sign: 0 | 1, magnitude: Magnitude, raised: number): Result {
  if (raised & environment.unmasked) return exact(0n, raised);
  const result = roundAndEncode(format, format.precision, environment, sign, magnitude, raised | PE);
  const tiny = ((result.bits >> format.exponentShift) & format.exponentMask) === 0n;
  return tiny && (result.exceptions & UE) === 0 ? { ...result, exceptions: result.exceptions | UE } : result;
}

/** Rounds the number that an interval encloses ever more closely. */
function roundInterval(
  environment: Environment,
  sign: 0 | 1,
  enclose: (W: number) => series.Interval,
  raised: number,
): Result {
  let result: Result | undefined;
  for (const W of workingBits) {
    const { low, span, exponent } = enclose(W);
    result = round(environment, sign, { significand: low, exponent, sticky: true }, raised);
    if (span === 1n) break;
    const high = round(environment, sign, { significand: low + span - 1n, exponent, sticky: true }, raised);
    if (
      high.bits === result.bits &&
      high.exceptions === result.exceptions &&
      high.roundedUp === result.roundedUp
    )
      break;
  }
  return result!;
}

const flip = (sign: 0 | 1, negative: boolean): 0 | 1 => (negative ? (sign ? 0 : 1) : sign);

const isPowerOfTwo = (x: Operand): boolean => (x.significand & (x.significand - 1n)) === 0n;

/** SDM Vol. 2, F2XM1: 2^x - 1 for -1 <= x <= 1. Beyond that the manual leaves the result undefined; it is x, as on processors. */
export function exp2MinusOne(environment: Environment, a: bigint): Result {
  const x = decode(format, a);
  const nan = nanResult(format, environment, x);
  if (nan) return nan;
  if (x.class === "zero") return exact(a);
  if (x.class === "infinity") return exact(x.sign ? negativeOne : a);
  const raised = denormalException(x);
  if (x.exponent + bitLength(x.significand) > 0) {
    const half = x.sign === 1 && isPowerOfTwo(x) && x.exponent + bitLength(x.significand) === 1;
    return round(
      environment,
      x.sign,
      { significand: x.significand, exponent: x.exponent - (half ? 1 : 0), sticky: false },
      raised,
    );
  }
  return roundInterval(environment, x.sign, (W) => series.exp2m1(x, x.sign === 1, W), raised);
}

const negativeOne = 0xbfff_8000_0000_0000_0000n;

/** SDM Vol. 2, FYL2X: y * log2(x). */
export function yLog2X(environment: Environment, a: bigint, b: bigint): Result {
  const x = decode(format, a);
  const y = decode(format, b);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  if (x.sign === 1 && x.class !== "zero") return withheld(environment, invalid(format));
  const raised = denormalException(x) | denormalException(y);
  if (x.class === "zero" || x.class === "infinity") {
    if (y.class === "zero") return withheld(environment, invalid(format));
    const bits = infinityBits(format, flip(y.sign, x.class === "zero"));
    const zeroDivide = x.class === "zero" && y.class !== "infinity";
    return withheld(environment, exact(bits, zeroDivide ? ZE : raised));
  }
  const power = isPowerOfTwo(x);
  const logarithm = x.exponent + bitLength(x.significand) - 1; // its integer part
  const isOne = power && logarithm === 0;
  const negative = logarithm < 0;
  if (y.class === "infinity") {
    if (isOne) return withheld(environment, invalid(format));
    return withheld(environment, exact(infinityBits(format, flip(y.sign, negative)), raised));
  }
  if (y.class === "zero" || isOne)
    return withheld(environment, exact(zeroBits(format, flip(y.sign, negative)), raised));
  const sign = flip(y.sign, negative);
  if (power) {
    const significand = y.significand * BigInt(Math.abs(logarithm));
    return round(environment, sign, { significand, exponent: y.exponent, sticky: false }, raised);
  }
  return roundInterval(environment, sign, (W) => series.timesLog2(y, x, W), raised);
}

/**
 * SDM Vol. 2, FYL2XP1: y * log2(x + 1). The manual leaves x beyond +-(1 - sqrt(1/2)) undefined; processors compute it
 * as far as the logarithm exists, and below that deliver x.
 */
export function yLog2XPlusOne(environment: Environment, a: bigint, b: bigint): Result {
  const x = decode(format, a);
  const y = decode(format, b);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  if (x.class === "infinity") {
    if (x.sign === 1 || y.class === "zero") return withheld(environment, invalid(format));
    return withheld(environment, exact(infinityBits(format, y.sign), denormalException(y)));
  }
  const raised = denormalException(x) | denormalException(y);
  const sign = flip(y.sign, x.sign === 1);
  if (y.class === "infinity") {
    if (x.class === "zero") return withheld(environment, invalid(format));
    return withheld(environment, exact(infinityBits(format, sign), raised));
  }
  if (x.class === "zero" || y.class === "zero") {
    return withheld(environment, exact(zeroBits(format, sign), raised));
  }
  if (x.sign === 1 && x.exponent + bitLength(x.significand) > 0) {
    return round(environment, x.sign, exactMagnitude(x), raised);
  }
  return roundInterval(environment, sign, (W) => series.timesLog2OnePlus(y, x, x.sign === 1, W), raised);
}

/** A result of a trigonometric function whose operand may be out of range. */
export interface TrigonometricResult extends Result {
  /** |x| >= 2^63: nothing was computed, the operand stays (C2). */
  readonly outOfRange: boolean;
}

/** SDM Vol. 1, "Approximation of Pi": 66 significant bits, 0.C90FDAA2 2168C234 C * 2^2. */
const PI_SIGNIFICAND = 0x3_243f_6a88_85a3_08d3n;
const PI_EXPONENT = -64;

interface Reduced {
  readonly magnitude: series.Exact;
  readonly negative: boolean;
  /** x = (quadrant + 4n) * pi/2 +- magnitude */
  readonly quadrant: number;
}

/** Reduces |x| to [-pi/4, pi/4] by the 66-bit pi, exactly. */
function reduce(x: Operand): Reduced {
  const exponent = Math.min(x.exponent, PI_EXPONENT - 1);
  if (x.exponent + bitLength(x.significand) <= -1) {
    return { magnitude: { significand: x.significand, exponent: x.exponent }, negative: false, quadrant: 0 };
  }
  const scaled = x.significand << BigInt(x.exponent - exponent);
  const halfPi = PI_SIGNIFICAND << BigInt(PI_EXPONENT - 1 - exponent);
  const quotient = (2n * scaled + halfPi) / (2n * halfPi);
  const rest = scaled - quotient * halfPi;
  return {
    magnitude: { significand: rest < 0n ? -rest : rest, exponent },
    negative: rest < 0n,
    quadrant: Number(quotient & 3n),
  };
}

const reducible = (x: Operand): boolean => x.exponent + bitLength(x.significand) <= 63;
const inRange = (result: Result): TrigonometricResult => ({
  bits: result.bits,
  exceptions: result.exceptions,
  roundedUp: result.roundedUp,
  outOfRange: false,
});

function sineOrCosine(environment: Environment, a: bigint, which: "sine" | "cosine"): TrigonometricResult {
  const x = decode(format, a);
  const nan = nanResult(format, environment, x);
  if (nan) return inRange(nan);
  if (x.class === "infinity") return inRange(withheld(environment, invalid(format)));
  if (x.class === "zero") return inRange(exact(which === "sine" ? a : ONE));
  if (!reducible(x)) return { ...exact(a), outOfRange: true };
  const raised = denormalException(x);
  const { magnitude, negative, quadrant } = reduce(x);
  const turned = which === "cosine" ? quadrant + 1 : quadrant;
  const odd = (turned & 1) === 1;
  // sin(x): quadrants sin, cos, -sin, -cos of the reduced argument
  const minus = (((turned & 2) !== 0) !== (!odd && negative)) !== (which === "sine" && x.sign === 1);
  const enclose = (W: number) => (odd ? series.cosine(magnitude, W) : series.sine(magnitude, W));
  return inRange(roundInterval(environment, minus ? 1 : 0, enclose, raised));
}

const ONE = 0x3fff_8000_0000_0000_0000n;

/** SDM Vol. 2, FSIN. */
export const sin = (environment: Environment, a: bigint): TrigonometricResult =>
  sineOrCosine(environment, a, "sine");

/** SDM Vol. 2, FCOS. */
export const cos = (environment: Environment, a: bigint): TrigonometricResult =>
  sineOrCosine(environment, a, "cosine");

/** SDM Vol. 2, FPTAN: the tangent; the 1.0 that the instruction pushes is the caller's. */
export function tan(environment: Environment, a: bigint): TrigonometricResult {
  const x = decode(format, a);
  const nan = nanResult(format, environment, x);
  if (nan) return inRange(nan);
  if (x.class === "infinity") return inRange(withheld(environment, invalid(format)));
  if (x.class === "zero") return inRange(exact(a));
  if (!reducible(x)) return { ...exact(a), outOfRange: true };
  const { magnitude, negative, quadrant } = reduce(x);
  const odd = (quadrant & 1) === 1;
  const minus = (odd !== negative) !== (x.sign === 1);
  const enclose = (W: number) => (odd ? series.cotangent(magnitude, W) : series.tangent(magnitude, W));
  return inRange(roundInterval(environment, minus ? 1 : 0, enclose, denormalException(x)));
}

/** SDM Vol. 2, FPATAN: the angle of the vector (x, y), with all four quadrants. */
export function atan2(environment: Environment, a: bigint, b: bigint): Result {
  const x = decode(format, a);
  const y = decode(format, b);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  const raised = denormalException(x) | denormalException(y);
  const one = { significand: 1n, exponent: 0 };
  const left = x.sign === 1;
  if (y.class === "zero" || (x.class === "infinity" && y.class !== "infinity")) {
    // The angle is 0 or pi, whatever the other operand.
    if (!left) return withheld(environment, exact(zeroBits(format, y.sign), raised));
    return roundInterval(
      environment,
      y.sign,
      (W) => series.angle({ significand: 1n, exponent: -10000 }, one, true, W),
      raised,
    );
  }
  if (x.class === "zero" || y.class === "infinity") {
    const both = x.class === "infinity"; // pi/4 or 3 pi/4; otherwise pi/2
    const run = both ? one : { significand: 1n, exponent: -10000 };
    return roundInterval(environment, y.sign, (W) => series.angle(one, run, both && left, W), raised);
  }
  return roundInterval(environment, y.sign, (W) => series.angle(y, x, left, W), raised);
}
