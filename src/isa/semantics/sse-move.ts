import { Exception } from "../../arch/exceptions.ts";
import type { Frame } from "../../ir/frame.ts";
import { concat, constant, type Value } from "../../ir/value.ts";
import { define, defineWith, type Semantics } from "../define.ts";
import { bitSelect, signMask } from "./vectors.ts";

/**
 * DEST <- SRC, zero-extended or truncated to DEST. Which bits move, and whether the rest of an XMM register is kept
 * (DEST is V.d or V.q) or cleared (DEST is V.dq), is said by the operand letters of the row.
 */
const move = (mnemonic: string): Semantics =>
  define(mnemonic, (dest, src) => ({ dest: src.resize(dest.width) }));

export const MOVAPS = move("MOVAPS");
export const MOVAPD = move("MOVAPD");
export const MOVUPS = move("MOVUPS");
export const MOVUPD = move("MOVUPD");
export const MOVDQA = move("MOVDQA");
export const MOVDQU = move("MOVDQU");
export const LDDQU = move("LDDQU");
export const MOVNTPS = move("MOVNTPS");
export const MOVNTPD = move("MOVNTPD");
export const MOVNTDQ = move("MOVNTDQ");
export const MOVNTDQA = move("MOVNTDQA");
export const MOVNTQ = move("MOVNTQ");
export const MOVSS = move("MOVSS");
export const MOVSD = move("MOVSD");
export const MOVD = move("MOVD");
export const MOVQ = move("MOVQ");
export const MOVLPS = move("MOVLPS");
export const MOVLPD = move("MOVLPD");
export const MOVQ2DQ = move("MOVQ2DQ");
export const MOVDQ2Q = move("MOVDQ2Q");

/** DEST[127:64] <- SRC[63:0]. */
const moveToHigh = (mnemonic: string): Semantics =>
  define(mnemonic, (dest, src) => ({ dest: concat(src, dest.truncate(64)) }));
/** DEST[63:0] <- SRC[127:64]. */
const moveFromHigh = (mnemonic: string): Semantics =>
  define(mnemonic, (_, src) => ({ dest: src.extract(64, 64) }));

export const MOVHPS = moveToHigh("MOVHPS");
export const MOVHPD = moveToHigh("MOVHPD");
export const MOVLHPS = moveToHigh("MOVLHPS");
export const MOVHLPS = moveFromHigh("MOVHLPS");
/** The store forms of MOVHPS and MOVHPD. */
export const MOVHPS_STORE = moveFromHigh("MOVHPS");
export const MOVHPD_STORE = moveFromHigh("MOVHPD");

export const MOVDDUP = define("MOVDDUP", (_, src) => ({ dest: concat(src, src) }));
export const MOVSLDUP = define("MOVSLDUP", (_, src) => ({ dest: src.shuffle(src, 32, [0, 0, 2, 2]) }));
export const MOVSHDUP = define("MOVSHDUP", (_, src) => ({ dest: src.shuffle(src, 32, [1, 1, 3, 3]) }));

/** DEST <- the sign bits of the lanes of SRC. */
const moveSigns = (mnemonic: string, lane: 8 | 32 | 64): Semantics =>
  define(mnemonic, (dest, src) => ({ dest: src.laneSigns(lane).resize(dest.width) }));

export const MOVMSKPS = moveSigns("MOVMSKPS", 32);
export const MOVMSKPD = moveSigns("MOVMSKPD", 64);
export const PMOVMSKB = moveSigns("PMOVMSKB", 8);

/** The bits of MXCSR that exist: MXCSR_MASK of FXSAVE (SDM Vol. 1, "Guidelines for Writing to the MXCSR Register"). */
export const MXCSR_MASK = 0xffff;

/** MXCSR <- SRC; #GP(0) when a reserved bit is set. */
export const LDMXCSR = defineWith("LDMXCSR", (frame: Frame, src: Value) => {
  frame.fault(
    Exception.GP,
    src
      .and(~BigInt(MXCSR_MASK) & 0xffff_ffffn)
      .isZero()
      .not(),
    0,
  );
  frame.set("MXCSR", src);
});
export const STMXCSR = defineWith("STMXCSR", (frame: Frame, dest: Value) => {
  frame.write(dest, frame.register("MXCSR", 32));
});

/** Leaves MMX state: every x87 register becomes empty (SDM Vol. 3, "Effect of MMX Instructions on the x87 FPU"). */
export const EMMS = defineWith("EMMS", (frame: Frame) => {
  frame.set("FTW", constant(0xffff, 32));
});

/**
 * Bytes of SRC whose byte in the mask has its sign bit set, to DS:rDI (`place` gives the segment, which may be overridden).
 * Processors fault wherever a store of the whole would, so that reading all and storing all back is right; only a device
 * could tell.
 */
const maskedStore = (mnemonic: string): Semantics =>
  defineWith(mnemonic, (frame: Frame, src: Value, mask: Value, place: Value) => {
    const segment = frame.segment(place);
    const address = frame.register("RDI", frame.addressSize);
    const before = frame.load(segment, address, src.width, true);
    frame.store(segment, address, bitSelect(signMask(8, mask), src, before));
  });

export const MASKMOVDQU = maskedStore("MASKMOVDQU");
export const MASKMOVQ = maskedStore("MASKMOVQ");
