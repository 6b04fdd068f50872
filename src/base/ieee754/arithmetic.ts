import { type Environment, IE, type Result, ZE } from "./environment.ts";
import { binary32, binary64, type Format } from "./format.ts";
import { bitLength, squareRoot } from "./integer.ts";
import { invalid, nanResult, withheld } from "./nan.ts";
import * as native from "./native.ts";
import {
  decode,
  denormalException,
  effective,
  infinityBits,
  isNaNOperand,
  type Operand,
  zeroBits,
} from "./operand.ts";
import { exactMagnitude, type Magnitude, roundAndEncode } from "./rounding.ts";

/** A result without rounding. */
const exact = (bits: bigint, exceptions = 0): Result => ({ bits, exceptions, roundedUp: false });

/** The significand bits of a result: the x87 precision control counts in the double extended-precision format only. */
const resultPrecision = (format: Format, environment: Environment): number =>
  format.explicitIntegerBit ? environment.precision : format.precision;

/** Rounds unless DE is raised and unmasked. */
function finish(
  format: Format,
  environment: Environment,
  sign: 0 | 1,
  magnitude: Magnitude,
  raised: number,
): Result {
  if (raised & environment.unmasked) return exact(0n, raised);
  return roundAndEncode(format, resultPrecision(format, environment), environment, sign, magnitude, raised);
}

/** The sign of an exact zero sum of non-zero or unlike-signed terms. */
const zeroSumSign = (environment: Environment): 0 | 1 => (environment.rounding === "down" ? 1 : 0);

const toOdd = (x: 0 | 1, y: 0 | 1): 0 | 1 => (x === y ? 0 : 1);

/** Bits kept when a far smaller term is reduced to a sticky bit. */
const GUARD = 3;

/** (-1)^signA * a + (-1)^signB * b for finite terms, at least one non-zero, of any significand lengths. */
function sumOfFinite(
  format: Format,
  environment: Environment,
  a: { sign: 0 | 1; significand: bigint; exponent: number },
  b: { sign: 0 | 1; significand: bigint; exponent: number },
  raised: number,
): Result {
  const topA = a.significand === 0n ? Number.NEGATIVE_INFINITY : a.exponent + bitLength(a.significand);
  const topB = b.significand === 0n ? Number.NEGATIVE_INFINITY : b.exponent + bitLength(b.significand);
  const large = topA >= topB ? a : b;
  const small = topA >= topB ? b : a;
  if (small.significand === 0n) return finish(format, environment, large.sign, exactMagnitude(large), raised);

  // Below this exponent no bit of the larger term and no rounding position lies: what is there only matters as not zero.
  const largeTop = Math.max(topA, topB);
  const floor = Math.min(large.exponent, largeTop - format.precision - 1) - GUARD;
  if (Math.min(topA, topB) < floor) {
    const lifted = large.significand << BigInt(large.exponent - floor);
    const same = large.sign === small.sign;
    const significand = same ? lifted : lifted - 1n;
    return finish(format, environment, large.sign, { significand, exponent: floor, sticky: true }, raised);
  }
  const exponent = Math.min(a.exponent, b.exponent);
  const alignedA = a.significand << BigInt(a.exponent - exponent);
  const alignedB = b.significand << BigInt(b.exponent - exponent);
  const total = (a.sign ? -alignedA : alignedA) + (b.sign ? -alignedB : alignedB);
  if (total === 0n) {
    const zero = exact(zeroBits(format, zeroSumSign(environment)), raised);
    return withheld(environment, zero);
  }
  const sign = total < 0n ? 1 : 0;
  return finish(
    format,
    environment,
    sign,
    { significand: sign ? -total : total, exponent, sticky: false },
    raised,
  );
}

const negated = (x: Operand): Operand => ({
  class: x.class,
  sign: x.sign ? 0 : 1,
  exponent: x.exponent,
  significand: x.significand,
  format: x.format,
});

/** a + b, with b's sign turned where `subtract` says so. */
function sum(
  format: Format,
  environment: Environment,
  a: Operand,
  subtrahend: Operand,
  subtract: boolean,
): Result {
  const b = subtract ? negated(subtrahend) : subtrahend;
  const raised = denormalException(a) | denormalException(b);
  if (a.class === "infinity" || b.class === "infinity") {
    if (a.class === b.class && a.sign !== b.sign) return withheld(environment, invalid(format));
    const { sign } = a.class === "infinity" ? a : b;
    return withheld(environment, exact(infinityBits(format, sign), raised));
  }
  if (a.class === "zero" && b.class === "zero") {
    return exact(zeroBits(format, a.sign === b.sign ? a.sign : zeroSumSign(environment)));
  }
  return sumOfFinite(format, environment, a, b, raised);
}

/** a + b. An operand may come in a narrower format than the result, as a memory operand of the x87 instructions does. */
export function add(
  format: Format,
  environment: Environment,
  a: bigint,
  b: bigint,
  formatA: Format = format,
  formatB: Format = format,
): Result {
  if (formatA === format && formatB === format) {
    const quick =
      format === binary64
        ? native.add64(environment, a, b, false)
        : format === binary32
          ? native.add32(environment, a, b, false)
          : undefined;
    if (quick) return quick;
  }
  const x = effective(decode(formatA, a), environment);
  const y = effective(decode(formatB, b), environment);
  return nanResult(format, environment, x, y) ?? sum(format, environment, x, y, false);
}

/** a - b. */
export function sub(
  format: Format,
  environment: Environment,
  a: bigint,
  b: bigint,
  formatA: Format = format,
  formatB: Format = format,
): Result {
  if (formatA === format && formatB === format) {
    const quick =
      format === binary64
        ? native.add64(environment, a, b, true)
        : format === binary32
          ? native.add32(environment, a, b, true)
          : undefined;
    if (quick) return quick;
  }
  const x = effective(decode(formatA, a), environment);
  const y = effective(decode(formatB, b), environment);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  return sum(format, environment, x, y, true);
}

/** a * b. */
export function mul(
  format: Format,
  environment: Environment,
  a: bigint,
  b: bigint,
  formatA: Format = format,
  formatB: Format = format,
): Result {
  if (formatA === format && formatB === format) {
    const quick =
      format === binary64
        ? native.mul64(environment, a, b)
        : format === binary32
          ? native.mul32(environment, a, b)
          : undefined;
    if (quick) return quick;
  }
  const x = effective(decode(formatA, a), environment);
  const y = effective(decode(formatB, b), environment);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  const sign = toOdd(x.sign, y.sign);
  const raised = denormalException(x) | denormalException(y);
  if (x.class === "infinity" || y.class === "infinity") {
    if (x.class === "zero" || y.class === "zero") return withheld(environment, invalid(format));
    return withheld(environment, exact(infinityBits(format, sign), raised));
  }
  if (x.class === "zero" || y.class === "zero") {
    return withheld(environment, exact(zeroBits(format, sign), raised));
  }
  const significand = x.significand * y.significand;
  const exponent = x.exponent + y.exponent;
  return finish(format, environment, sign, { significand, exponent, sticky: false }, raised);
}

/** a / b. */
export function div(
  format: Format,
  environment: Environment,
  a: bigint,
  b: bigint,
  formatA: Format = format,
  formatB: Format = format,
): Result {
  if (formatA === format && formatB === format) {
    const quick =
      format === binary64
        ? native.div64(environment, a, b)
        : format === binary32
          ? native.div32(environment, a, b)
          : undefined;
    if (quick) return quick;
  }
  const x = effective(decode(formatA, a), environment);
  const y = effective(decode(formatB, b), environment);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  const sign = toOdd(x.sign, y.sign);
  if (x.class === y.class && (x.class === "infinity" || x.class === "zero")) {
    return withheld(environment, invalid(format));
  }
  const raised = denormalException(x) | denormalException(y);
  if (x.class === "infinity") return withheld(environment, exact(infinityBits(format, sign), raised));
  if (y.class === "zero") return withheld(environment, exact(infinityBits(format, sign), ZE));
  if (y.class === "infinity" || x.class === "zero") {
    return withheld(environment, exact(zeroBits(format, sign), raised));
  }
  // A quotient of at least precision + 2 bits, and whether anything is left.
  const lift = Math.max(0, format.precision + 2 + bitLength(y.significand) - bitLength(x.significand));
  const dividend = x.significand << BigInt(lift);
  const significand = dividend / y.significand;
  const sticky = significand * y.significand !== dividend;
  const exponent = x.exponent - lift - y.exponent;
  return finish(format, environment, sign, { significand, exponent, sticky }, raised);
}

/** The square root of a. */
export function sqrt(format: Format, environment: Environment, a: bigint): Result {
  const quick =
    format === binary64
      ? native.sqrt64(environment, a)
      : format === binary32
        ? native.sqrt32(environment, a)
        : undefined;
  if (quick) return quick;
  const x = effective(decode(format, a), environment);
  const nan = nanResult(format, environment, x);
  if (nan) return nan;
  if (x.class === "zero") return exact(zeroBits(format, x.sign));
  if (x.sign === 1) return withheld(environment, invalid(format));
  if (x.class === "infinity") return exact(format.infinity);
  // A root of at least precision + 2 bits needs twice as many, and an even exponent.
  let lift = Math.max(0, 2 * (format.precision + 2) - bitLength(x.significand));
  if ((x.exponent - lift) & 1) lift += 1;
  const square = x.significand << BigInt(lift);
  const significand = squareRoot(square);
  const sticky = significand * significand !== square;
  const magnitude = { significand, exponent: (x.exponent - lift) / 2, sticky };
  return finish(format, environment, 0, magnitude, denormalException(x));
}

/**
 * a * b + c, rounded once. With NaN operands the result is the first NaN of a, b, c (SDM Vol. 1, "FMA Instruction
 * Operand Order and Arithmetic Behavior").
 */
export function fma(format: Format, environment: Environment, a: bigint, b: bigint, c: bigint): Result {
  const x = effective(decode(format, a), environment);
  const y = effective(decode(format, b), environment);
  const z = effective(decode(format, c), environment);
  if (isNaNOperand(x) || isNaNOperand(y) || isNaNOperand(z)) {
    const signaling = [x, y, z].some((operand) => operand.class === "signalingNaN");
    const first = isNaNOperand(x) ? x : isNaNOperand(y) ? y : z;
    const nan = nanResult(format, environment, first)!;
    return withheld(environment, signaling ? { ...nan, exceptions: nan.exceptions | IE } : nan);
  }
  const sign = toOdd(x.sign, y.sign);
  const infinite = x.class === "infinity" || y.class === "infinity";
  if (infinite && (x.class === "zero" || y.class === "zero")) return withheld(environment, invalid(format));
  if (infinite && z.class === "infinity" && z.sign !== sign) return withheld(environment, invalid(format));
  const raised = denormalException(x) | denormalException(y) | denormalException(z);
  if (infinite) return withheld(environment, exact(infinityBits(format, sign), raised));
  if (z.class === "infinity") return withheld(environment, exact(infinityBits(format, z.sign), raised));
  const product = { sign, significand: x.significand * y.significand, exponent: x.exponent + y.exponent };
  if (product.significand === 0n && z.class === "zero") {
    const bits = zeroBits(format, z.sign === sign ? sign : zeroSumSign(environment));
    return withheld(environment, exact(bits, raised));
  }
  return sumOfFinite(format, environment, product, z, raised);
}
