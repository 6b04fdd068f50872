import { DE, type Environment } from "./environment.ts";
import type { Format } from "./format.ts";

export type OperandClass =
  | "zero"
  | "denormal"
  | "normal"
  | "infinity"
  | "quietNaN"
  | "signalingNaN"
  /** Unnormals, pseudo-infinities and pseudo-NaNs: SDM Vol. 1, "Unsupported Double Extended-Precision ... Encodings". */
  | "unsupported";

/** A decoded operand. A finite one has the value (-1)^sign * significand * 2^exponent. */
export interface Operand {
  readonly class: OperandClass;
  readonly sign: 0 | 1;
  /** Exponent of the significand's last bit; meaningful in finite operands. */
  readonly exponent: number;
  /** An integer, below 2^precision; of a NaN its significand with the integer bit, 0 otherwise. */
  readonly significand: bigint;
  /** The format it was decoded from. */
  readonly format: Format;
}

const isNaNClass = (c: OperandClass): boolean => c === "quietNaN" || c === "signalingNaN";

export const isNaNOperand = (operand: Operand): boolean => isNaNClass(operand.class);

/** Decodes a bit pattern; every pattern has a class. Pseudo-denormals are denormals whose integer bit is one. */
export function decode(format: Format, bits: bigint): Operand {
  const sign = (bits & format.signBit) === 0n ? 0 : 1;
  const biased = Number((bits >> format.exponentShift) & format.exponentMask);
  const field = bits & format.significandMask;
  if (biased === 0) {
    const exponent = format.minExponent - format.precision + 1;
    return { class: field === 0n ? "zero" : "denormal", sign, exponent, significand: field, format };
  }
  if (format.explicitIntegerBit && (field & format.integerBit) === 0n) {
    return { class: "unsupported", sign, exponent: 0, significand: 0n, format };
  }
  const significand = field | format.integerBit;
  if (biased === format.specialExponent) {
    if (significand === format.integerBit) {
      return { class: "infinity", sign, exponent: 0, significand: 0n, format };
    }
    const quiet = (significand & format.quietBit) !== 0n;
    return { class: quiet ? "quietNaN" : "signalingNaN", sign, exponent: 0, significand, format };
  }
  const exponent = biased + format.minExponent - format.precision;
  return { class: "normal", sign, exponent, significand, format };
}

/** The operand as an operation sees it: with DAZ, a zero for a denormal. */
export function effective(operand: Operand, environment: Environment): Operand {
  return environment.denormalsAreZero && operand.class === "denormal"
    ? { ...operand, class: "zero", significand: 0n }
    : operand;
}

/** DE, if the operand is a denormal. */
export const denormalException = (operand: Operand): number => (operand.class === "denormal" ? DE : 0);

/** A zero of the sign, in the format. */
export const zeroBits = (format: Format, sign: 0 | 1): bigint => (sign ? format.signBit : 0n);

/** An infinity of the sign, in the format. */
export const infinityBits = (format: Format, sign: 0 | 1): bigint =>
  sign ? format.infinity | format.signBit : format.infinity;
