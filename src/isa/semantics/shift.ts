/**
 * Shifts and rotates: SDM Vol. 1, "Shift and Rotate Instructions". A masked count of 0 changes no flag. OF is defined for
 * count 1 only; Intel CPUs give every other count the OF of a shift by one. Shifts clear AF.
 */
import type { Flags } from "../../ir/effects.ts";
import { concat, FALSE, type Value } from "../../ir/value.ts";
import { define, defineWith, type Outcome } from "../define.ts";
import { asNumber, maskedCount, statusOf } from "./status.ts";

/** The sign changes in a left shift by one. */
const topTwoDiffer = (dest: Value): Value => dest.sign.xor(dest.bit(dest.width - 2));

const shifted = (result: Value, n: Value, flags: Flags): Outcome => ({
  // Written even for count 0: the upper half of a 32-bit register is cleared.
  dest: result,
  flags,
  flagsWhen: n.isZero().not(),
});

/** SHL (SAL). */
export const SHL = define("SHL", (dest, count) => {
  const n = maskedCount(count!, dest.width);
  const result = dest.shl(n);
  const CF = dest.bit(n.from(dest.width).sub(n));
  return shifted(result, n, { ...statusOf(result), CF, OF: topTwoDiffer(dest), AF: FALSE });
});

/** SHR. */
export const SHR = define("SHR", (dest, count) => {
  const n = maskedCount(count!, dest.width);
  const result = dest.shr(n);
  return shifted(result, n, { ...statusOf(result), CF: dest.bit(n.sub(1)), OF: dest.sign, AF: FALSE });
});

export const SAR = define("SAR", (dest, count) => {
  const n = maskedCount(count!, dest.width);
  const result = dest.sar(n);
  return shifted(result, n, { ...statusOf(result), CF: dest.sar(n.sub(1)).bit(0), OF: FALSE, AF: FALSE });
});

export const ROL = define("ROL", (dest, count) => {
  const n = maskedCount(count!, dest.width);
  const result = dest.rotl(n);
  const CF = result.bit(0);
  return shifted(result, n, { CF, OF: topTwoDiffer(dest) });
});

export const ROR = define("ROR", (dest, count) => {
  const n = maskedCount(count!, dest.width);
  const result = dest.rotr(n);
  return shifted(result, n, { CF: result.sign, OF: dest.sign.xor(dest.bit(0)) });
});

/** The count of a rotation through CF, which has width + 1 places. */
const throughCarryCount = (count: Value, dest: Value): Value => {
  const n = maskedCount(count, dest.width);
  return dest.width < 32 ? n.remUnsigned(dest.width + 1) : n;
};

/** RCL: rotate CF:DEST left. */
export const RCL = defineWith("RCL", (frame, dest, count) => {
  const n = throughCarryCount(count!, dest!);
  const carry = asNumber(frame.flag("CF"), dest!.width);
  const back = n.from(dest!.width + 1).sub(n);
  // Counts of the width or more give 0, and n - 1 wraps to 255 for n = 0: no case needs a branch.
  const result = dest!
    .shl(n)
    .or(carry.shl(n.sub(1)))
    .or(dest!.shr(back));
  const CF = dest!.bit(back.sub(1));
  frame.write(dest!, result);
  frame.flags({ CF, OF: topTwoDiffer(dest!) }, n.isZero().not());
});

/** RCR: rotate CF:DEST right. */
export const RCR = defineWith("RCR", (frame, dest, count) => {
  const width = dest!.width;
  const n = throughCarryCount(count!, dest!);
  const carry = asNumber(frame.flag("CF"), width);
  const result = dest!
    .shr(n)
    .or(carry.shl(n.from(width).sub(n)))
    .or(dest!.shl(n.from(width + 1).sub(n)));
  frame.write(dest!, result);
  frame.flags({ CF: dest!.bit(n.sub(1)), OF: dest!.sign.xor(frame.flag("CF")) }, n.isZero().not());
});

/**
 * SHLD: shift DEST left, filling from the top of SRC. 16-bit counts above 16 are undefined; Intel CPUs then go on with
 * the bits of DEST, as if DEST:SRC:DEST were shifted.
 */
export const SHLD = define("SHLD", (dest, src, count) => {
  const width = dest.width;
  const n = maskedCount(count!, width);
  const result =
    width === 16
      ? concat(dest, src!).rotl(n).extract(16, 16)
      : dest.shl(n).or(src!.shr(n.from(width).sub(n)));
  const CF = width === 16 ? concat(dest, src!).rotl(n).bit(0) : dest.bit(n.from(width).sub(n));
  return shifted(result, n, { ...statusOf(result), CF, OF: topTwoDiffer(dest), AF: FALSE });
});

/** SHRD: shift DEST right, filling from the bottom of SRC. */
export const SHRD = define("SHRD", (dest, src, count) => {
  const width = dest.width;
  const n = maskedCount(count!, width);
  const result =
    width === 16 ? concat(src!, dest).rotr(n).truncate(16) : dest.shr(n).or(src!.shl(n.from(width).sub(n)));
  const CF = width === 16 ? concat(src!, dest).rotr(n).sign : dest.bit(n.sub(1));
  return shifted(result, n, { ...statusOf(result), CF, OF: dest.sign.xor(src!.bit(0)), AF: FALSE });
});

const withoutFlags = (mnemonic: string, shift: (value: Value, n: Value) => Value) =>
  define(mnemonic, (_dest, src, count) => ({
    dest: shift(src!, maskedCount(count!.truncate(8), src!.width)),
  }));

/** BMI2 shifts: no flags; the count register is as wide as the operands. */
export const SHLX = withoutFlags("SHLX", (value, n) => value.shl(n));
export const SHRX = withoutFlags("SHRX", (value, n) => value.shr(n));
export const SARX = withoutFlags("SARX", (value, n) => value.sar(n));
export const RORX = withoutFlags("RORX", (value, n) => value.rotr(n));
