/** Exception flags, in the order of MXCSR[5:0], the x87 status word and (shifted) their masks. */
export const IE = 1;
export const DE = 2;
export const ZE = 4;
export const OE = 8;
export const UE = 16;
export const PE = 32;

/** Rounding modes by the value of a rounding-control field (RC). */
export const roundingModes = ["nearest", "down", "up", "zero"] as const;
export type Rounding = (typeof roundingModes)[number];

/** All that decides how an operation rounds, which special results it gives and which exceptions it reports. */
export interface Environment {
  readonly rounding: Rounding;
  /**
   * Significand bits of the results of add, sub, mul, div and sqrt in the double extended-precision format (the x87
   * precision control). No other format or operation reads it.
   */
  readonly precision: 24 | 53 | 64;
  /** FTZ: a tiny result becomes a zero, where underflow is masked. */
  readonly flushToZero: boolean;
  /** DAZ: denormal operands count as zeros, without DE. */
  readonly denormalsAreZero: boolean;
  /**
   * SDM Vol. 1, "Rules for Handling NaNs": with two NaN operands SSE gives the first; x87 gives the one with the larger
   * significand, a QNaN before an SNaN.
   */
  readonly nanRule: "sse" | "x87";
  /** The exceptions that are unmasked, a sum of IE..PE. */
  readonly unmasked: number;
}

/**
 * The outcome of an operation.
 *
 * With exceptions unmasked the instruction, not the operation, withholds the result. No result exists (`bits` is 0) when
 * IE, DE or ZE is among `exceptions` and unmasked. With OE or UE unmasked, `bits` in the double extended-precision format
 * is the rounded result with its exponent adjusted by 24576 (SDM Vol. 1, "Numeric Overflow Exception (#O)"); in the
 * other formats it is not meaningful.
 */
export interface Result {
  readonly bits: bigint;
  /** The exceptions detected, masked or not, a sum of IE..PE. */
  readonly exceptions: number;
  /** Whether the magnitude of the result exceeds the exact one: C1 of the x87 status word. */
  readonly roundedUp: boolean;
}

const precisions = [24, 64, 53, 64] as const;

function tabulate<T>(length: number, entry: (index: number) => T): readonly T[] {
  return Array.from({ length }, (_, index) => entry(index));
}

const byMxcsr: readonly Environment[] = tabulate(1 << 10, (index) => ({
  rounding: roundingModes[(index >> 7) & 3]!,
  precision: 64,
  flushToZero: ((index >> 9) & 1) === 1,
  denormalsAreZero: (index & 1) === 1,
  nanRule: "sse",
  unmasked: ~(index >> 1) & 0x3f,
}));

/** The environment that MXCSR describes: bits 6 (DAZ), 12:7 (masks), 14:13 (RC) and 15 (FTZ). */
export function mxcsrEnvironment(mxcsr: number): Environment {
  return byMxcsr[(mxcsr >> 6) & 0x3ff]!;
}

const byControlWord: readonly Environment[] = tabulate(1 << 10, (index) => ({
  rounding: roundingModes[(index >> 8) & 3]!,
  precision: precisions[(index >> 6) & 3]!,
  flushToZero: false,
  denormalsAreZero: false,
  nanRule: "x87",
  unmasked: ~index & 0x3f,
}));

/** The environment that the x87 FPU control word describes: bits 5:0 (masks), 9:8 (PC; 01 counts as 11) and 11:10 (RC). */
export function controlWordEnvironment(controlWord: number): Environment {
  return byControlWord[(controlWord & 0x3f) | ((controlWord >> 2) & 0x3c0)]!;
}
