import { generalRegisters, offsetOf } from "../../state/layout.ts";

/** Which state offsets are those of registers that a region holds in locals. */

export const generalBytes = 8 * generalRegisters.length;
export const vectorOffset = offsetOf("XMM0");
/** Bytes from one XMM register to the next. */
export const vectorBytes = offsetOf("XMM1") - vectorOffset;
const vectorEnd = vectorOffset + 16 * vectorBytes;
/** Number of the XMM register whose lowest byte is at a state offset; undefined: there is none. */
export const vectorAt = (at: number): number | undefined =>
  at >= vectorOffset && at < vectorEnd ? (at - vectorOffset) / vectorBytes : undefined;
export const generalNumber = new Map<string, number>(generalRegisters.map((name, number) => [name, number]));
