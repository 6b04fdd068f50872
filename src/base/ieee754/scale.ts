import { type Environment, type Result, ZE } from "./environment.ts";
import type { Format } from "./format.ts";
import { bitLength } from "./integer.ts";
import { invalid, nanResult, withheld } from "./nan.ts";
import { decode, denormalException, infinityBits, type Operand, zeroBits } from "./operand.ts";
import { encodeExact, roundAndEncode } from "./rounding.ts";

/** The integer part of a finite operand, held within +-0x10000: past any exponent range. */
function truncated(x: Operand): number {
  const top = x.exponent + bitLength(x.significand);
  if (top <= 0) return 0;
  const magnitude =
    top > 16
      ? 0x10000
      : Number(x.exponent < 0 ? x.significand >> BigInt(-x.exponent) : x.significand << BigInt(x.exponent));
  return x.sign ? -magnitude : magnitude;
}

/** SDM Vol. 2, FSCALE: a * 2^(b truncated to an integer). */
export function scale(format: Format, environment: Environment, a: bigint, b: bigint): Result {
  const x = decode(format, a);
  const y = decode(format, b);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  if (y.class === "infinity") {
    if (y.sign === 0 ? x.class === "zero" : x.class === "infinity")
      return withheld(environment, invalid(format));
    const bits = y.sign === 0 ? infinityBits(format, x.sign) : zeroBits(format, x.sign);
    return withheld(environment, { bits, exceptions: denormalException(x), roundedUp: false });
  }
  const raised = denormalException(x) | denormalException(y);
  if (raised & environment.unmasked) return { bits: 0n, exceptions: raised, roundedUp: false };
  if (x.class === "infinity")
    return { bits: infinityBits(format, x.sign), exceptions: raised, roundedUp: false };
  if (x.class === "zero") return { bits: zeroBits(format, x.sign), exceptions: raised, roundedUp: false };
  if (y.class === "zero") {
    // No operation at all: no underflow either.
    const bits = encodeExact(format, x.sign, x.significand, x.exponent);
    return { bits, exceptions: raised, roundedUp: false };
  }
  const magnitude = { significand: x.significand, exponent: x.exponent + truncated(y), sticky: false };
  return roundAndEncode(format, format.precision, environment, x.sign, magnitude, raised);
}

export interface Extraction {
  /** The unbiased exponent, as a number of the format. */
  readonly exponent: bigint;
  /** The significand, as a number of the format with exponent 0 and the operand's sign. */
  readonly significand: bigint;
  readonly exceptions: number;
}

/** SDM Vol. 2, FXTRACT: splits a number into exponent and significand. */
export function extract(format: Format, environment: Environment, a: bigint): Extraction {
  const x = decode(format, a);
  const nan = nanResult(format, environment, x);
  if (nan) return { exponent: nan.bits, significand: nan.bits, exceptions: nan.exceptions };
  if (x.class === "infinity") {
    return { exponent: format.infinity, significand: infinityBits(format, x.sign), exceptions: 0 };
  }
  if (x.class === "zero") {
    return { exponent: infinityBits(format, 1), significand: zeroBits(format, x.sign), exceptions: ZE };
  }
  const length = bitLength(x.significand);
  const exponent = x.exponent + length - 1;
  return {
    exponent: exponent === 0 ? 0n : encodeExact(format, exponent < 0 ? 1 : 0, BigInt(Math.abs(exponent)), 0),
    significand: encodeExact(format, x.sign, x.significand, 1 - length),
    exceptions: denormalException(x),
  };
}
