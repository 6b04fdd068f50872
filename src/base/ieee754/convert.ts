import { DE, type Environment, IE, OE, PE, type Result, UE } from "./environment.ts";
import { binary32, binary64, type Format } from "./format.ts";
import { nanResult, withheld } from "./nan.ts";
import { narrow, widen } from "./native.ts";
import { decode, denormalException, effective, infinityBits, type Operand, zeroBits } from "./operand.ts";
import { encodeExact, exactMagnitude, roundAndEncode, roundShifted } from "./rounding.ts";

/**
 * Converts between formats. Conversions from and to the double extended-precision format are the loads and stores of the
 * x87 FPU: a load delivers its result even when DE is unmasked; a store raises no DE, and with OE or UE unmasked it stops
 * there, without PE. (FLD and FSTP of the 80-bit format itself convert nothing.)
 */
export function convert(to: Format, from: Format, environment: Environment, a: bigint): Result {
  if (to === binary32 && from === binary64) {
    const quick = narrow(environment, a);
    if (quick) return quick;
  } else if (to === binary64 && from === binary32) {
    const quick = widen(a);
    if (quick) return quick;
  }
  const x = effective(decode(from, a), environment);
  const nan = nanResult(to, environment, x);
  if (nan) return nan;
  const raised = from.explicitIntegerBit ? 0 : denormalException(x);
  if (x.class === "infinity") return { bits: infinityBits(to, x.sign), exceptions: 0, roundedUp: false };
  if (x.class === "zero") return { bits: zeroBits(to, x.sign), exceptions: 0, roundedUp: false };
  if (to.explicitIntegerBit) {
    const bits = encodeExact(to, x.sign, x.significand, x.exponent);
    return { bits, exceptions: raised, roundedUp: false };
  }
  if (raised & environment.unmasked) return { bits: 0n, exceptions: raised, roundedUp: false };
  const result = roundAndEncode(to, to.precision, environment, x.sign, exactMagnitude(x), raised);
  const stopping = result.exceptions & environment.unmasked & (OE | UE);
  return from.explicitIntegerBit && stopping ? { bits: 0n, exceptions: stopping, roundedUp: false } : result;
}

/**
 * Converts an integer (any size, signed as the bigint is) into a format: exact in the double extended-precision format
 * for 64-bit integers, rounded in the others. Zero is positive.
 */
export function fromInteger(to: Format, environment: Environment, integer: bigint): Result {
  if (integer === 0n) return { bits: 0n, exceptions: 0, roundedUp: false };
  const sign = integer < 0n ? 1 : 0;
  const significand = sign ? -integer : integer;
  return roundAndEncode(to, to.precision, environment, sign, { significand, exponent: 0, sticky: false }, 0);
}

/** The integer that a finite operand rounds to, with its sign. */
function toIntegral(
  x: Operand,
  environment: Environment,
): { integer: bigint; inexact: boolean; up: boolean } {
  // Beyond 2^130 every format is integral already, and only its size matters.
  const exponent = Math.min(x.exponent, 130);
  const shift = Math.min(-exponent, x.format.precision + 2);
  const { integer, inexact, up } = roundShifted(x.significand, shift, false, environment.rounding, x.sign);
  return { integer: x.sign ? -integer : integer, inexact, up };
}

export interface IntegerResult {
  /** The integer in two's complement, in the width. */
  readonly bits: bigint;
  readonly exceptions: number;
  readonly roundedUp: boolean;
}

/**
 * Rounds to a signed integer of `width` bits. A NaN, an infinity or an integer that does not fit is an invalid operation
 * and gives the integer indefinite, 100..0. No DE.
 */
export function toInteger(
  width: 16 | 32 | 64,
  from: Format,
  environment: Environment,
  a: bigint,
): IntegerResult {
  const limit = 1n << BigInt(width - 1);
  return toBounded(width, -limit, limit - 1n, limit, from, environment, a);
}

/** Rounds to an unsigned integer of `width` bits; the indefinite is 111..1 (AVX-512's VCVTSS2USI and the like). */
export function toUnsignedInteger(
  width: 32 | 64,
  from: Format,
  environment: Environment,
  a: bigint,
): IntegerResult {
  const largest = (1n << BigInt(width)) - 1n;
  return toBounded(width, 0n, largest, largest, from, environment, a);
}

function toBounded(
  width: number,
  least: bigint,
  largest: bigint,
  indefinite: bigint,
  from: Format,
  environment: Environment,
  a: bigint,
): IntegerResult {
  const x = effective(decode(from, a), environment);
  if (x.class === "zero") return { bits: 0n, exceptions: 0, roundedUp: false };
  if (x.class === "normal" || x.class === "denormal") {
    const { integer, inexact, up } = toIntegral(x, environment);
    if (integer >= least && integer <= largest) {
      return { bits: BigInt.asUintN(width, integer), exceptions: inexact ? PE : 0, roundedUp: up };
    }
  }
  return withheld(environment, { bits: indefinite, exceptions: IE, roundedUp: false });
}

/**
 * Rounds to an integer in the same format. A zero result keeps the sign. `denormal` says whether a denormal operand
 * raises DE (FRNDINT: it does; ROUNDSS: it does not).
 */
export function roundToIntegral(
  format: Format,
  environment: Environment,
  a: bigint,
  denormal: "report" | "ignore",
): Result {
  const x = effective(decode(format, a), environment);
  const nan = nanResult(format, environment, x);
  if (nan) return nan;
  if (x.class === "infinity") return { bits: infinityBits(format, x.sign), exceptions: 0, roundedUp: false };
  if (x.class === "zero") return { bits: zeroBits(format, x.sign), exceptions: 0, roundedUp: false };
  const raised = denormal === "report" && x.class === "denormal" ? DE : 0;
  if (raised & environment.unmasked) return { bits: 0n, exceptions: raised, roundedUp: false };
  if (x.exponent >= 0) return { bits: a, exceptions: raised, roundedUp: false };
  const { integer, inexact, up } = toIntegral(x, environment);
  const magnitude = integer < 0n ? -integer : integer;
  const bits = integer === 0n ? zeroBits(format, x.sign) : encodeExact(format, x.sign, magnitude, 0);
  return { bits, exceptions: inexact ? raised | PE : raised, roundedUp: up };
}

/** The largest magnitude of the packed BCD format: 18 decimal digits. */
const LARGEST_BCD = 999_999_999_999_999_999n;
/** SDM Vol. 1, "Packed BCD Integer Indefinite": sign 1, the spare bits 1, two digits 1111. */
const BCD_INDEFINITE = 0xffff_c000_0000_0000_0000n;

/** Rounds to an 80-bit packed BCD integer (FBSTP). */
export function toBcd(from: Format, environment: Environment, a: bigint): IntegerResult {
  const x = decode(from, a);
  const sign = x.sign ? 1n << 79n : 0n;
  if (x.class === "zero") return { bits: sign, exceptions: 0, roundedUp: false };
  if (x.class === "normal" || x.class === "denormal") {
    const { integer, inexact, up } = toIntegral(x, environment);
    const magnitude = integer < 0n ? -integer : integer;
    if (magnitude <= LARGEST_BCD) {
      // A decimal digit is its own hexadecimal digit.
      const digits = BigInt(`0x${magnitude}`);
      return { bits: sign | digits, exceptions: inexact ? PE : 0, roundedUp: up };
    }
  }
  return withheld(environment, { bits: BCD_INDEFINITE, exceptions: IE, roundedUp: false });
}

/**
 * The value of an 80-bit packed BCD integer (FBLD), always exact. Digits above 9 are undefined in the SDM; they count
 * with their binary value here. Bits 78:72 do not matter.
 */
export function fromBcd(to: Format, packed: bigint): bigint {
  const sign = (packed >> 79n) & 1n ? 1 : 0;
  let magnitude = 0n;
  for (let digit = 68n; digit >= 0n; digit -= 4n) magnitude = magnitude * 10n + ((packed >> digit) & 0xfn);
  return magnitude === 0n ? zeroBits(to, sign) : encodeExact(to, sign, magnitude, 0);
}
