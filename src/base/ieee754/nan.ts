import { type Environment, IE, type Result } from "./environment.ts";
import type { Format } from "./format.ts";
import { isNaNOperand, type Operand } from "./operand.ts";

/** The masked response to an invalid operation. */
export const invalid = (format: Format, raised = 0): Result => ({
  bits: format.indefinite,
  exceptions: raised | IE,
  roundedUp: false,
});

/** A NaN operand as a QNaN of the format: low bits of its significand are dropped or zeros appended. */
export function quieted(format: Format, nan: Operand): bigint {
  const shift = nan.format.precision - format.precision;
  const significand = shift >= 0 ? nan.significand >> BigInt(shift) : nan.significand << BigInt(-shift);
  const field =
    (format.explicitIntegerBit ? significand : significand & format.significandMask) | format.quietBit;
  const bits = format.infinity | field;
  return nan.sign ? bits | format.signBit : bits;
}

/** SDM Vol. 1, Table 4-7: the NaN that a two-operand operation gives when at least one operand is a NaN. */
function chosen(environment: Environment, a: Operand, b: Operand): Operand {
  if (!isNaNOperand(a)) return b;
  if (!isNaNOperand(b) || environment.nanRule === "sse") return a;
  if (a.class !== b.class) return a.class === "quietNaN" ? a : b;
  const left = a.significand << BigInt(Math.max(0, b.format.precision - a.format.precision));
  const right = b.significand << BigInt(Math.max(0, a.format.precision - b.format.precision));
  if (left !== right) return left > right ? a : b;
  return a.sign <= b.sign ? a : b;
}

/**
 * What comes before any arithmetic: an operand in an unsupported encoding is an invalid operation; then a NaN operand
 * decides the result. Undefined if neither is there. A NaN takes priority over DE, ZE and other invalid operations.
 */
export function nanResult(
  format: Format,
  environment: Environment,
  a: Operand,
  b: Operand = a,
): Result | undefined {
  if (a.class === "unsupported" || b.class === "unsupported") return withheld(environment, invalid(format));
  if (!isNaNOperand(a) && !isNaNOperand(b)) return undefined;
  const exceptions = a.class === "signalingNaN" || b.class === "signalingNaN" ? IE : 0;
  return withheld(environment, {
    bits: quieted(format, chosen(environment, a, b)),
    exceptions,
    roundedUp: false,
  });
}

/** A result as it is, or none at all where one of the exceptions that came with it so far is unmasked. */
export function withheld(environment: Environment, result: Result): Result {
  return result.exceptions & environment.unmasked
    ? { bits: 0n, exceptions: result.exceptions, roundedUp: false }
    : result;
}
