import { type Environment, OE, PE, type Result, type Rounding, UE } from "./environment.ts";
import type { Format } from "./format.ts";
import { anyLowBit, bitLength } from "./integer.ts";
import { infinityBits, zeroBits } from "./operand.ts";

/** An exact non-zero magnitude: significand * 2^exponent, and with `sticky` a little more: under one unit of its last bit. */
export interface Magnitude {
  readonly significand: bigint;
  readonly exponent: number;
  readonly sticky: boolean;
}

/** The magnitude of an exact number. */
export const exactMagnitude = (x: {
  readonly significand: bigint;
  readonly exponent: number;
}): Magnitude => ({
  significand: x.significand,
  exponent: x.exponent,
  sticky: false,
});

/** A magnitude rounded to a multiple of some power of two. */
export interface RoundedInteger {
  readonly integer: bigint;
  readonly inexact: boolean;
  /** Whether it is above the exact one. */
  readonly up: boolean;
}

/**
 * Rounds (significand + sticky) / 2^shift to an integer. A sticky significand needs a bit below the rounding position
 * (shift >= 1), or an exact direction: without one the half could not be told.
 */
export function roundShifted(
  significand: bigint,
  shift: number,
  sticky: boolean,
  rounding: Rounding,
  sign: 0 | 1,
): RoundedInteger {
  if (shift <= 0) {
    if (sticky) throw new Error("a sticky significand needs at least one bit below the rounding position");
    return { integer: significand << BigInt(-shift), inexact: false, up: false };
  }
  const floor = significand >> BigInt(shift);
  const rest = sticky || anyLowBit(significand, shift);
  if (!rest) return { integer: floor, inexact: false, up: false };
  let up: boolean;
  switch (rounding) {
    case "nearest": {
      const half = (significand >> BigInt(shift - 1)) & 1n;
      up = half === 1n && (sticky || (floor & 1n) === 1n || anyLowBit(significand, shift - 1));
      break;
    }
    case "down":
      up = sign === 1;
      break;
    case "up":
      up = sign === 0;
      break;
    case "zero":
      up = false;
      break;
  }
  return { integer: up ? floor + 1n : floor, inexact: true, up };
}

/** The encoding of significand * 2^exponent, which the format holds exactly, with a significand below 2^precision. */
export function encodeExact(format: Format, sign: 0 | 1, significand: bigint, exponent: number): bigint {
  const lift = format.precision - bitLength(significand);
  const normal = significand << BigInt(lift);
  const unit = exponent - lift;
  const lowest = format.minExponent - format.precision + 1;
  let bits: bigint;
  if (unit < lowest) {
    bits = normal >> BigInt(lowest - unit); // a denormal: biased exponent 0
  } else {
    const field = format.explicitIntegerBit ? normal : normal ^ format.integerBit;
    bits = (BigInt(unit - lowest + 1) << format.exponentShift) | field;
  }
  return sign ? bits | format.signBit : bits;
}

/** The bias adjustment of unmasked overflow and underflow in the double extended-precision format. */
const EXPONENT_ADJUSTMENT = 24576;

/**
 * Rounds a magnitude into a format: `precision` significand bits (at most the format's), its exponent range, with
 * overflow, underflow (tininess detected after rounding) and inexact results answered as the environment says.
 * `raised` holds exceptions already detected, which are added to the result's.
 */
export function roundAndEncode(
  format: Format,
  precision: number,
  environment: Environment,
  sign: 0 | 1,
  magnitude: Magnitude,
  raised: number,
): Result {
  const { significand, exponent, sticky } = magnitude;
  const { rounding, unmasked } = environment;
  let unit = exponent + bitLength(significand) - precision;
  let rounded = roundShifted(significand, unit - exponent, sticky, rounding, sign);
  let { integer } = rounded;
  if (rounded.up && bitLength(integer) > precision) {
    integer >>= 1n;
    unit += 1;
  }
  const top = unit + precision - 1;

  if (top > format.maxExponent) {
    if (unmasked & OE) {
      const exceptions = raised | OE | (rounded.inexact ? PE : 0);
      return wrapped(format, sign, integer, unit - EXPONENT_ADJUSTMENT, exceptions, rounded.up);
    }
    const toInfinity =
      rounding === "nearest" || (rounding === "up" && sign === 0) || (rounding === "down" && sign === 1);
    const bits = toInfinity
      ? infinityBits(format, sign)
      : encodeExact(format, sign, (1n << BigInt(precision)) - 1n, format.maxExponent - precision + 1);
    return { bits, exceptions: raised | OE | PE, roundedUp: toInfinity };
  }

  if (top < format.minExponent) {
    if (unmasked & UE) {
      const exceptions = raised | UE | (rounded.inexact ? PE : 0);
      return wrapped(format, sign, integer, unit + EXPONENT_ADJUSTMENT, exceptions, rounded.up);
    }
    if (environment.flushToZero) {
      return { bits: zeroBits(format, sign), exceptions: raised | UE | PE, roundedUp: false };
    }
    unit = format.minExponent - precision + 1;
    rounded = roundShifted(significand, unit - exponent, sticky, rounding, sign);
    ({ integer } = rounded);
    if (rounded.inexact) raised |= UE;
  } else if (unit < format.minExponent - precision + 1) {
    throw new Error("unreachable: a number that is not tiny has its last place in range");
  }
  const bits = integer === 0n ? zeroBits(format, sign) : encodeExact(format, sign, integer, unit);
  return { bits, exceptions: rounded.inexact ? raised | PE : raised, roundedUp: rounded.up };
}

/** The result of an unmasked overflow or underflow. */
function wrapped(
  format: Format,
  sign: 0 | 1,
  integer: bigint,
  unit: number,
  exceptions: number,
  roundedUp: boolean,
): Result {
  if (!format.explicitIntegerBit) return { bits: 0n, exceptions, roundedUp };
  // Only scaling goes so far that the adjusted exponent is out of range, too.
  const top = unit + bitLength(integer) - 1;
  if (top > format.maxExponent)
    return { bits: infinityBits(format, sign), exceptions: exceptions | PE, roundedUp: true };
  if (top < format.minExponent)
    return { bits: zeroBits(format, sign), exceptions: exceptions | PE, roundedUp: false };
  return { bits: encodeExact(format, sign, integer, unit), exceptions, roundedUp };
}
