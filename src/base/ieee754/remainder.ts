import type { Environment, Result } from "./environment.ts";
import type { Format } from "./format.ts";
import { bitLength } from "./integer.ts";
import { invalid, nanResult, withheld } from "./nan.ts";
import { decode, denormalException, zeroBits } from "./operand.ts";
import { encodeExact, roundAndEncode } from "./rounding.ts";

export interface RemainderResult extends Result {
  /** The three low bits of the quotient (C0, C3, C1 of the x87 status word, high to low); 0 when partial. */
  readonly quotient: number;
  /** Whether the exponents were too far apart and the result is a partial remainder (C2). */
  readonly partial: boolean;
}

const whole = (result: Result, quotient = 0): RemainderResult => ({
  bits: result.bits,
  exceptions: result.exceptions,
  roundedUp: result.roundedUp,
  quotient,
  partial: false,
});

/**
 * One step of a / b's remainder: FPREM rounds the quotient towards zero, FPREM1 to nearest (even). Exponents less than
 * 64 apart give the remainder; otherwise the magnitude is reduced by 32 to 63 powers of two.
 */
export function remainder(
  format: Format,
  environment: Environment,
  quotientRounding: "zero" | "nearest",
  a: bigint,
  b: bigint,
): RemainderResult {
  const x = decode(format, a);
  const y = decode(format, b);
  const nan = nanResult(format, environment, x, y);
  if (nan) return whole(nan);
  if (x.class === "infinity" || y.class === "zero") return whole(withheld(environment, invalid(format)));
  const raised = denormalException(x) | denormalException(y);
  if (raised & environment.unmasked) return whole({ bits: 0n, exceptions: raised, roundedUp: false });
  if (x.class === "zero")
    return whole({ bits: zeroBits(format, x.sign), exceptions: raised, roundedUp: false });
  if (y.class === "infinity")
    return whole({
      bits: encodeExact(format, x.sign, x.significand, x.exponent),
      exceptions: raised,
      roundedUp: false,
    });

  const encode = (sign: 0 | 1, significand: bigint, exponent: number): Result =>
    significand === 0n
      ? { bits: zeroBits(format, sign), exceptions: raised, roundedUp: false }
      : roundAndEncode(
          format,
          format.precision,
          environment,
          sign,
          { significand, exponent, sticky: false },
          raised,
        );

  const distance = x.exponent + bitLength(x.significand) - y.exponent - bitLength(y.significand);
  if (distance < -1) return whole(encode(x.sign, x.significand, x.exponent));
  if (distance >= 64) {
    // 32 + distance mod 32 bits of the quotient are developed and thrown away.
    const developed = (distance & 31) | 32;
    const exponent = y.exponent + distance - developed;
    const common = Math.min(x.exponent, exponent);
    const rest =
      (x.significand << BigInt(x.exponent - common)) % (y.significand << BigInt(exponent - common));
    return { ...encode(x.sign, rest, common), quotient: 0, partial: true };
  }
  const exponent = Math.min(x.exponent, y.exponent);
  const dividend = x.significand << BigInt(x.exponent - exponent);
  const divisor = y.significand << BigInt(y.exponent - exponent);
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let { sign } = x;
  if (quotientRounding === "nearest") {
    const twice = rest << 1n;
    if (twice > divisor || (twice === divisor && (quotient & 1n) === 1n)) {
      quotient += 1n;
      rest = divisor - rest;
      if (rest !== 0n) sign = sign ? 0 : 1;
    }
  }
  return whole(encode(sign, rest, exponent), Number(quotient & 7n));
}
