import { DE, type Environment, IE } from "./environment.ts";
import { binary32, binary64, type Format } from "./format.ts";
import { bitLength } from "./integer.ts";
import { order32, order64 } from "./native.ts";
import { decode, effective, isNaNOperand, type Operand } from "./operand.ts";

export type Relation = "less" | "equal" | "greater" | "unordered";

export interface Comparison {
  readonly relation: Relation;
  readonly exceptions: number;
}

function compareMagnitudes(a: Operand, b: Operand): number {
  if (a.class === "infinity" || b.class === "infinity") {
    return Number(a.class === "infinity") - Number(b.class === "infinity");
  }
  if (a.significand === 0n || b.significand === 0n)
    return Number(a.significand !== 0n) - Number(b.significand !== 0n);
  const top = a.exponent + bitLength(a.significand) - b.exponent - bitLength(b.significand);
  if (top !== 0) return Math.sign(top);
  const exponent = Math.min(a.exponent, b.exponent);
  const left = a.significand << BigInt(a.exponent - exponent);
  const right = b.significand << BigInt(b.exponent - exponent);
  return left === right ? 0 : left < right ? -1 : 1;
}

/** The order of two numbers, neither a NaN nor unsupported. Zeros are equal whatever their signs. */
function order(a: Operand, b: Operand): number {
  const zeroA = a.class === "zero";
  const zeroB = b.class === "zero";
  if (zeroA && zeroB) return 0;
  const signA = zeroA ? 0 : a.sign ? -1 : 1;
  const signB = zeroB ? 0 : b.sign ? -1 : 1;
  if (signA !== signB) return Math.sign(signA - signB);
  return signA * compareMagnitudes(a, b);
}

const settled: readonly Comparison[] = [
  { relation: "less", exceptions: 0 },
  { relation: "equal", exceptions: 0 },
  { relation: "greater", exceptions: 0 },
];

/**
 * Compares a with b. A signaling NaN or an unsupported operand is an invalid operation, and so is a quiet NaN unless
 * `quiet` (the unordered comparisons: FUCOM, UCOMISS, CMPEQPS ...).
 */
export function compare(
  environment: Environment,
  quiet: boolean,
  format: Format,
  a: bigint,
  b: bigint,
  formatB: Format = format,
): Comparison {
  if (format === formatB) {
    const quick = format === binary64 ? order64(a, b) : format === binary32 ? order32(a, b) : Number.NaN;
    if (!Number.isNaN(quick)) return settled[quick + 1]!;
  }
  const x = effective(decode(format, a), environment);
  const y = effective(decode(formatB, b), environment);
  if (x.class === "unsupported" || y.class === "unsupported")
    return { relation: "unordered", exceptions: IE };
  if (isNaNOperand(x) || isNaNOperand(y)) {
    const signaling = !quiet || x.class === "signalingNaN" || y.class === "signalingNaN";
    return { relation: "unordered", exceptions: signaling ? IE : 0 };
  }
  const exceptions = x.class === "denormal" || y.class === "denormal" ? DE : 0;
  const sign = order(x, y);
  return { relation: sign < 0 ? "less" : sign > 0 ? "greater" : "equal", exceptions };
}
