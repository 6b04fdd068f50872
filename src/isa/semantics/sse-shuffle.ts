import { type Lane, select, type Value, vector } from "../../ir/value.ts";
import { define, defineWith, type Semantics } from "../define.ts";
import {
  bitSelect,
  every,
  immediateIn,
  immediateMask,
  iota,
  laneAt,
  lanesOf,
  replaceLane,
  signMask,
} from "./vectors.ts";

/** Instructions that move, pick, insert, blend, widen and narrow lanes. Immediates are values: see `selectors`. */

/** Lanes of DEST and SRC interleaved, from the low or the high half of each. A 32-bit SRC (MMX from memory) counts as low half. */
const unpack = (mnemonic: string, half: "low" | "high", lane: Lane): Semantics =>
  define(mnemonic, (dest, src) => {
    const count = dest.width / lane;
    const first = half === "low" ? 0 : count / 2;
    const order = Array.from({ length: count }, (_, i) => first + (i >> 1) + (i & 1 ? count : 0));
    return { dest: dest.shuffle(src.zeroExtend(dest.width), lane, order) };
  });

export const PUNPCKLBW = unpack("PUNPCKLBW", "low", 8);
export const PUNPCKLWD = unpack("PUNPCKLWD", "low", 16);
export const PUNPCKLDQ = unpack("PUNPCKLDQ", "low", 32);
export const PUNPCKLQDQ = unpack("PUNPCKLQDQ", "low", 64);
export const PUNPCKHBW = unpack("PUNPCKHBW", "high", 8);
export const PUNPCKHWD = unpack("PUNPCKHWD", "high", 16);
export const PUNPCKHDQ = unpack("PUNPCKHDQ", "high", 32);
export const PUNPCKHQDQ = unpack("PUNPCKHQDQ", "high", 64);
export const UNPCKLPS = unpack("UNPCKLPS", "low", 32);
export const UNPCKHPS = unpack("UNPCKHPS", "high", 32);
export const UNPCKLPD = unpack("UNPCKLPD", "low", 64);
export const UNPCKHPD = unpack("UNPCKHPD", "high", 64);

/** Signed lanes of SRC:DEST saturated to half their width. */
const narrow = (mnemonic: string, to: "signed" | "unsigned", lane: 16 | 32): Semantics =>
  define(mnemonic, (dest, src) => ({ dest: dest.narrow(to, lane, src) }));

export const PACKSSWB = narrow("PACKSSWB", "signed", 16);
export const PACKSSDW = narrow("PACKSSDW", "signed", 32);
export const PACKUSWB = narrow("PACKUSWB", "unsigned", 16);
export const PACKUSDW = narrow("PACKUSDW", "unsigned", 32);

/** The low lanes of SRC extended to wider lanes. */
const extend = (mnemonic: string, kind: "zero" | "sign", from: 8 | 16 | 32, to: 16 | 32 | 64): Semantics =>
  define(mnemonic, (_, src) => {
    const whole = src.zeroExtend(128);
    const zeroLane = 128 / from;
    const step = to / from;
    const at = kind === "zero" ? 0 : step - 1;
    const order = Array.from({ length: 128 / from }, (_, i) =>
      i % step === at ? Math.floor(i / step) : zeroLane,
    );
    const spread = whole.shuffle(whole.from(0), from, order);
    return { dest: kind === "zero" ? spread : spread.laneShift("sar", to, to - from) };
  });

export const PMOVSXBW = extend("PMOVSXBW", "sign", 8, 16);
export const PMOVSXBD = extend("PMOVSXBD", "sign", 8, 32);
export const PMOVSXBQ = extend("PMOVSXBQ", "sign", 8, 64);
export const PMOVSXWD = extend("PMOVSXWD", "sign", 16, 32);
export const PMOVSXWQ = extend("PMOVSXWQ", "sign", 16, 64);
export const PMOVSXDQ = extend("PMOVSXDQ", "sign", 32, 64);
export const PMOVZXBW = extend("PMOVZXBW", "zero", 8, 16);
export const PMOVZXBD = extend("PMOVZXBD", "zero", 8, 32);
export const PMOVZXBQ = extend("PMOVZXBQ", "zero", 8, 64);
export const PMOVZXWD = extend("PMOVZXWD", "zero", 16, 32);
export const PMOVZXWQ = extend("PMOVZXWQ", "zero", 16, 64);
export const PMOVZXDQ = extend("PMOVZXDQ", "zero", 32, 64);

/** Bytes of DEST chosen by SRC; a byte of SRC with bit 7 set gives 0. */
export const PSHUFB = define("PSHUFB", (dest, src) => ({
  dest: dest.swizzle(src.and(every(0x80 | (dest.width / 8 - 1), 8, dest.width))),
}));

/**
 * The 2-bit fields of a shuffle immediate, field i in lane i, for lanes that hold `weights` 64, 16, 4, 1 (field 0 first);
 * a lane of weight 0 gets 0. Multiplying moves each field to bits 7:6, so that one shift serves all lanes.
 */
const selectors = (lane: 16 | 32, immediate: Value, weights: readonly number[], width: number): Value =>
  immediateIn(lane, immediate, width)
    .lanewise("mul", lane, lanesOf(weights, lane, width))
    .laneShift("shr", lane, 6)
    .and(every(3, lane, width));

/** Byte numbers for `swizzle`: lane i takes word selectors[i] counted from the word that base[i] names. */
const wordControl = (selected: Value, base: readonly number[]): Value =>
  selected.lanewise("mul", 16, every(0x0202, 16, selected.width)).lanewise(
    "add",
    16,
    lanesOf(
      base.map((word) => 0x0100 + 0x0202 * word),
      16,
      selected.width,
    ),
  );

const doublewordControl = (immediate: Value): Value =>
  selectors(32, immediate, [64, 16, 4, 1], 128)
    .lanewise("mul", 32, every(0x04040404, 32, 128))
    .lanewise("add", 32, every(0x03020100, 32, 128));

export const PSHUFD = define("PSHUFD", (_, src, order) => ({ dest: src.swizzle(doublewordControl(order)) }));
export const PSHUFW = define("PSHUFW", (_, src, order) => ({
  dest: src.swizzle(wordControl(selectors(16, order, [64, 16, 4, 1], 64), [0, 0, 0, 0])),
}));
export const PSHUFLW = define("PSHUFLW", (_, src, order) => ({
  dest: src.swizzle(
    wordControl(selectors(16, order, [64, 16, 4, 1, 0, 0, 0, 0], 128), [0, 0, 0, 0, 4, 5, 6, 7]),
  ),
}));
export const PSHUFHW = define("PSHUFHW", (_, src, order) => ({
  dest: src.swizzle(
    wordControl(selectors(16, order, [0, 0, 0, 0, 64, 16, 4, 1], 128), [0, 1, 2, 3, 4, 4, 4, 4]),
  ),
}));

/** Two doublewords of DEST, then two of SRC. */
export const SHUFPS = define("SHUFPS", (dest, src, order) => {
  const control = doublewordControl(order);
  return { dest: dest.swizzle(control).shuffle(src.swizzle(control), 32, [0, 1, 6, 7]) };
});
/** One quadword of DEST, then one of SRC. */
export const SHUFPD = define("SHUFPD", (dest, src, order) => {
  const pick = (from: Value, bit: number): Value =>
    select(order.bit(bit), from.lane(1, 64), from.lane(0, 64));
  return { dest: vector([pick(dest, 0), pick(src, 1)]) };
});

/** DEST:SRC shifted right by bytes. Byte numbers that run past SRC are DEST's; those past both give 0. */
export const PALIGNR = define("PALIGNR", (dest, src, count) => {
  const width = dest.width;
  const numbers = iota(8, width).lanewise("addSaturateUnsigned", 8, immediateIn(8, count, width));
  const fromDest = numbers.lanewise("sub", 8, every(width / 8, 8, width));
  return { dest: src.swizzle(numbers).or(dest.swizzle(fromDest)) };
});

/** The whole register shifted by bytes; a count above 15 clears it. */
export const PSRLDQ = define("PSRLDQ", (dest, count) => ({
  dest: dest.swizzle(iota(8, 128).lanewise("addSaturateUnsigned", 8, immediateIn(8, count, 128))),
}));
export const PSLLDQ = define("PSLLDQ", (dest, count) => {
  const bytes = immediateIn(8, count, 128).lanewise("minUnsigned", 8, every(16, 8, 128));
  return { dest: dest.swizzle(iota(8, 128).lanewise("sub", 8, bytes)) };
});

/** Lane COUNT of DEST <- SRC; a wider register SRC gives its low bits. */
const insert = (mnemonic: string, lane: Lane): Semantics =>
  define(mnemonic, (dest, src, count) => {
    const index = count.and(dest.width / lane - 1);
    return { dest: replaceLane(lane, dest, index, src.truncate(lane)) };
  });

export const PINSRB = insert("PINSRB", 8);
export const PINSRW = insert("PINSRW", 16);
export const PINSRD = insert("PINSRD", 32);
export const PINSRQ = insert("PINSRQ", 64);

/** DEST <- lane COUNT of SRC, zero-extended to a wider register. */
const extract = (mnemonic: string, lane: Lane): Semantics =>
  define(mnemonic, (dest, src, count) => {
    const index = count.and(src.width / lane - 1);
    return { dest: laneAt(lane, src, index).zeroExtend(dest.width) };
  });

export const PEXTRB = extract("PEXTRB", 8);
export const PEXTRW = extract("PEXTRW", 16);
export const PEXTRD = extract("PEXTRD", 32);
export const PEXTRQ = extract("PEXTRQ", 64);
export const EXTRACTPS = extract("EXTRACTPS", 32);

/** Doubleword COUNT[7:6] of SRC (memory: the only one) into doubleword COUNT[5:4] of DEST; then COUNT[3:0] clears doublewords. */
export const INSERTPS = define("INSERTPS", (dest, src, count) => {
  const element = src.width === 32 ? src : laneAt(32, src, count.shr(6));
  const inserted = replaceLane(32, dest, count.shr(4).and(3), element);
  return { dest: inserted.and(immediateMask(32, count, 128).not()) };
});

/** Lanes of SRC where the bit of the immediate is 1, of DEST where it is 0. */
const blend = (mnemonic: string, lane: 16 | 32 | 64): Semantics =>
  define(mnemonic, (dest, src, choice) => ({ dest: bitSelect(immediateMask(lane, choice, 128), src, dest) }));

export const PBLENDW = blend("PBLENDW", 16);
export const BLENDPS = blend("BLENDPS", 32);
export const BLENDPD = blend("BLENDPD", 64);

/** Lanes of SRC where the sign bit of the lane of XMM0 is 1, of DEST where it is 0. */
const blendVariable = (mnemonic: string, lane: 8 | 32 | 64): Semantics =>
  defineWith(mnemonic, (frame, dest, src) => {
    frame.write(dest!, bitSelect(signMask(lane, frame.register("XMM0", 128)), src!, dest!));
  });

export const PBLENDVB = blendVariable("PBLENDVB", 8);
export const BLENDVPS = blendVariable("BLENDVPS", 32);
export const BLENDVPD = blendVariable("BLENDVPD", 64);
