import { compare } from "./compare.ts";
import type { Environment, Result } from "./environment.ts";
import type { Format } from "./format.ts";
import { withheld } from "./nan.ts";
import { decode, effective, zeroBits } from "./operand.ts";

function select(
  format: Format,
  environment: Environment,
  a: bigint,
  b: bigint,
  wanted: "less" | "greater",
): Result {
  const { relation, exceptions } = compare(environment, false, format, a, b);
  const taken = relation === wanted ? a : b;
  // A denormal that counts as zero is delivered as zero; a NaN or any other operand as it is.
  const operand = effective(decode(format, taken), environment);
  const bits = operand.class === "zero" ? zeroBits(format, operand.sign) : taken;
  return withheld(environment, { bits, exceptions, roundedUp: false });
}

/**
 * SDM Vol. 2, MINSS: the smaller operand. The second one, unchanged, when both are zeros or either is a NaN (quiet or
 * signaling), and any NaN is an invalid operation.
 */
export const min = (format: Format, environment: Environment, a: bigint, b: bigint): Result =>
  select(format, environment, a, b, "less");

/** SDM Vol. 2, MAXSS: the larger operand, with the special cases of `min`. */
export const max = (format: Format, environment: Environment, a: bigint, b: bigint): Result =>
  select(format, environment, a, b, "greater");
