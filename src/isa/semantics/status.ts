import type { Flags } from "../../ir/effects.ts";
import { constant, FALSE, type Value, type Width } from "../../ir/value.ts";

/** PF: the low byte has an even number of ones. */
export const parity = (result: Value): Value => result.truncate(8).popcnt().bit(0).not();

/** ZF, SF and PF as every arithmetic result sets them. */
export const statusOf = (result: Value): Flags => ({
  ZF: result.isZero(),
  SF: result.sign,
  PF: parity(result),
});

/** A shift or rotate count of 0 or 1 ... as the CPU takes it: modulo 32, modulo 64 for 64-bit operands. */
export const maskedCount = (count: Value, width: Width): Value => count.and(width === 64 ? 63 : 31);

/** Sign-extend or truncate, whichever `width` asks for. */
export const signResize = (value: Value, width: Width): Value =>
  width > value.width ? value.signExtend(width) : value.truncate(width);

/** A one-bit value as a number of `width` bits. */
export const asNumber = (bit: Value, width: Width): Value => bit.zeroExtend(width);

/** All ones or all zeros. */
export const asMask = (bit: Value, width: Width): Value => bit.signExtend(width);

export const allOnes = (width: Width): Value => constant(-1, width);

/** Logic instructions: no carry, no overflow. AF is undefined; Intel CPUs clear it. */
export const logicFlags = (result: Value): Flags => ({
  ...statusOf(result),
  CF: FALSE,
  OF: FALSE,
  AF: FALSE,
});
