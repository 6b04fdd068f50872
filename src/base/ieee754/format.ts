/** One floating-point format: IEEE 754-2008, "Binary interchange format encodings"; SDM Vol. 1, "Floating-Point Data Types". */
export interface Format {
  readonly name: "binary16" | "binary32" | "binary64" | "extended80";
  /** Bits of the whole encoding. */
  readonly width: number;
  /** Bits of the significand, the integer bit counted whether it is stored or implied. */
  readonly precision: number;
  /** Whether the integer bit is stored (only in the double extended-precision format). */
  readonly explicitIntegerBit: boolean;
  /** The unbiased exponents of the smallest and the largest normal numbers. */
  readonly minExponent: number;
  readonly maxExponent: number;
  /** The biased exponent of infinities and NaNs. */
  readonly specialExponent: number;
  /** Bits below the exponent field; its mask when shifted down; masks of the rest. */
  readonly exponentShift: bigint;
  readonly exponentMask: bigint;
  readonly significandMask: bigint;
  readonly integerBit: bigint;
  readonly quietBit: bigint;
  readonly signBit: bigint;
  /** Encodings. */
  readonly infinity: bigint;
  /** The QNaN floating-point indefinite: the masked response to an invalid operation. */
  readonly indefinite: bigint;
}

function defineFormat(
  name: Format["name"],
  width: number,
  precision: number,
  explicitIntegerBit: boolean,
): Format {
  const fieldWidth = explicitIntegerBit ? precision : precision - 1;
  const exponentShift = BigInt(fieldWidth);
  const bias = 2 ** (width - 1 - fieldWidth - 1) - 1;
  const specialExponent = 2 * bias + 1;
  const integerBit = 1n << BigInt(precision - 1);
  const quietBit = integerBit >> 1n;
  const signBit = 1n << BigInt(width - 1);
  const infinity = (BigInt(specialExponent) << exponentShift) | (explicitIntegerBit ? integerBit : 0n);
  return {
    name,
    width,
    precision,
    explicitIntegerBit,
    minExponent: 1 - bias,
    maxExponent: bias,
    specialExponent,
    exponentShift,
    exponentMask: BigInt(specialExponent),
    significandMask: (1n << exponentShift) - 1n,
    integerBit,
    quietBit,
    signBit,
    infinity,
    indefinite: signBit | infinity | quietBit,
  };
}

export const binary16: Format = defineFormat("binary16", 16, 11, false);
export const binary32: Format = defineFormat("binary32", 32, 24, false);
export const binary64: Format = defineFormat("binary64", 64, 53, false);
export const extended80: Format = defineFormat("extended80", 80, 64, true);
