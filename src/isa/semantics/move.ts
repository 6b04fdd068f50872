/** Data transfer: SDM Vol. 1, "Data Transfer Instructions", except the stack (stack.ts) and conversion (convert.ts). */
import { select } from "../../ir/value.ts";
import { define, defineWith, type Semantics } from "../define.ts";
import { conditions } from "./conditions.ts";

export const MOV = define("MOV", (_dest, src) => ({ dest: src! }));

/** MOV r/m, Sreg: a register takes the selector zero-extended to the operand size, memory takes 16 bits. */
export const MOV_FROM_SREG = define("MOV", (dest, src) => ({ dest: src!.zeroExtend(dest.width) }));

export const MOVZX = define("MOVZX", (dest, src) => ({ dest: src!.zeroExtend(dest.width) }));
export const MOVSX = define("MOVSX", (dest, src) => ({ dest: src!.signExtend(dest.width) }));
export const MOVSXD = define("MOVSXD", (dest, src) => ({ dest: src!.signExtend(dest.width) }));
export const MOVBE = define("MOVBE", (_dest, src) => ({ dest: src!.bswap() }));
/** Stores whose hints (non-temporal, direct) change nothing a program can see. */
export const MOVNTI = define("MOVNTI", (_dest, src) => ({ dest: src! }));
export const MOVDIRI = define("MOVDIRI", (_dest, src) => ({ dest: src! }));

export const XCHG = define("XCHG", (dest, src) => ({ dest: src!, src: dest }));

/** LEA: the effective address, truncated or zero-extended to the operand size; nothing is read. */
export const LEA = defineWith("LEA", (frame, dest, src) => {
  frame.write(dest!, frame.address(src!).resize(dest!.width));
});

/** XLAT: AL <- the byte at rBX + AL. The operand gives the segment only (DS unless overridden). */
export const XLAT = defineWith("XLAT", (frame, table) => {
  const address = frame
    .register("RBX", frame.addressSize)
    .add(frame.register("RAX", 8).zeroExtend(frame.addressSize));
  frame.set("RAX", frame.load(frame.segment(table!), address, 8));
});

/** CMOVcc: SRC is read, and a 32-bit DEST zero-extended, whether or not the condition holds. */
export const CMOVcc: readonly Semantics[] = conditions.map(({ suffix, holds }) =>
  defineWith(`CMOV${suffix}`, (frame, dest, src) => {
    frame.write(dest!, select(holds(frame), src!, dest!));
  }),
);

/** SETcc: 1 or 0. */
export const SETcc: readonly Semantics[] = conditions.map(({ suffix, holds }) =>
  defineWith(`SET${suffix}`, (frame, dest) => {
    frame.write(dest!, holds(frame).zeroExtend(8));
  }),
);
