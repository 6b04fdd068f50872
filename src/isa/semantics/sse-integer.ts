import { defineIntrinsic } from "../../ir/intrinsics.ts";
import { constant, intrinsic, type Lane, type LaneOp, type LaneShift, type Value } from "../../ir/value.ts";
import { define, type Semantics } from "../define.ts";
import { bytesOf } from "./vector-bytes.ts";
import { every } from "./vectors.ts";

/** Integer SIMD arithmetic. One definition serves the XMM and the MMX form: the operands' width says which. */

/** DEST <- DEST op SRC, lane by lane. */
const lanes = (mnemonic: string, op: LaneOp, lane: Lane): Semantics =>
  define(mnemonic, (dest, src) => ({ dest: dest.lanewise(op, lane, src) }));

export const PADDB = lanes("PADDB", "add", 8);
export const PADDW = lanes("PADDW", "add", 16);
export const PADDD = lanes("PADDD", "add", 32);
export const PADDQ = lanes("PADDQ", "add", 64);
export const PSUBB = lanes("PSUBB", "sub", 8);
export const PSUBW = lanes("PSUBW", "sub", 16);
export const PSUBD = lanes("PSUBD", "sub", 32);
export const PSUBQ = lanes("PSUBQ", "sub", 64);
export const PADDSB = lanes("PADDSB", "addSaturateSigned", 8);
export const PADDSW = lanes("PADDSW", "addSaturateSigned", 16);
export const PADDUSB = lanes("PADDUSB", "addSaturateUnsigned", 8);
export const PADDUSW = lanes("PADDUSW", "addSaturateUnsigned", 16);
export const PSUBSB = lanes("PSUBSB", "subSaturateSigned", 8);
export const PSUBSW = lanes("PSUBSW", "subSaturateSigned", 16);
export const PSUBUSB = lanes("PSUBUSB", "subSaturateUnsigned", 8);
export const PSUBUSW = lanes("PSUBUSW", "subSaturateUnsigned", 16);
export const PMULLW = lanes("PMULLW", "mul", 16);
export const PMULLD = lanes("PMULLD", "mul", 32);
export const PMULHW = lanes("PMULHW", "mulHighSigned", 16);
export const PMULHUW = lanes("PMULHUW", "mulHighUnsigned", 16);
export const PMADDWD = lanes("PMADDWD", "pairProductSum", 32);
export const PAVGB = lanes("PAVGB", "averageUnsigned", 8);
export const PAVGW = lanes("PAVGW", "averageUnsigned", 16);
export const PMINUB = lanes("PMINUB", "minUnsigned", 8);
export const PMINUW = lanes("PMINUW", "minUnsigned", 16);
export const PMINUD = lanes("PMINUD", "minUnsigned", 32);
export const PMINSB = lanes("PMINSB", "minSigned", 8);
export const PMINSW = lanes("PMINSW", "minSigned", 16);
export const PMINSD = lanes("PMINSD", "minSigned", 32);
export const PMAXUB = lanes("PMAXUB", "maxUnsigned", 8);
export const PMAXUW = lanes("PMAXUW", "maxUnsigned", 16);
export const PMAXUD = lanes("PMAXUD", "maxUnsigned", 32);
export const PMAXSB = lanes("PMAXSB", "maxSigned", 8);
export const PMAXSW = lanes("PMAXSW", "maxSigned", 16);
export const PMAXSD = lanes("PMAXSD", "maxSigned", 32);
export const PCMPEQB = lanes("PCMPEQB", "equal", 8);
export const PCMPEQW = lanes("PCMPEQW", "equal", 16);
export const PCMPEQD = lanes("PCMPEQD", "equal", 32);
export const PCMPEQQ = lanes("PCMPEQQ", "equal", 64);
export const PCMPGTB = lanes("PCMPGTB", "greaterSigned", 8);
export const PCMPGTW = lanes("PCMPGTW", "greaterSigned", 16);
export const PCMPGTD = lanes("PCMPGTD", "greaterSigned", 32);
export const PCMPGTQ = lanes("PCMPGTQ", "greaterSigned", 64);

/** Bitwise logic; the floating-point mnemonics differ in nothing but their name. */
const and = (mnemonic: string): Semantics => define(mnemonic, (dest, src) => ({ dest: dest.and(src) }));
const andNot = (mnemonic: string): Semantics =>
  define(mnemonic, (dest, src) => ({ dest: src.and(dest.not()) }));
const or = (mnemonic: string): Semantics => define(mnemonic, (dest, src) => ({ dest: dest.or(src) }));
const xor = (mnemonic: string): Semantics => define(mnemonic, (dest, src) => ({ dest: dest.xor(src) }));

export const PAND = and("PAND");
export const PANDN = andNot("PANDN");
export const POR = or("POR");
export const PXOR = xor("PXOR");
export const ANDPS = and("ANDPS");
export const ANDNPS = andNot("ANDNPS");
export const ORPS = or("ORPS");
export const XORPS = xor("XORPS");
export const ANDPD = and("ANDPD");
export const ANDNPD = andNot("ANDNPD");
export const ORPD = or("ORPD");
export const XORPD = xor("XORPD");

/** ZF <- (SRC AND DEST) = 0, CF <- (SRC AND NOT DEST) = 0; the other status flags are cleared. */
export const PTEST = define("PTEST", (dest, src) => {
  const zero = constant(0, 1);
  const flags = { ZF: src.and(dest).isZero(), CF: src.and(dest.not()).isZero() };
  return { flags: { ...flags, OF: zero, SF: zero, AF: zero, PF: zero } };
});

/** Every lane shifted by the count: an immediate, or the low 64 bits of a register or of memory. */
const shift = (mnemonic: string, op: LaneShift, lane: 16 | 32 | 64): Semantics =>
  define(mnemonic, (dest, count) => ({ dest: dest.laneShift(op, lane, count) }));

export const PSLLW = shift("PSLLW", "shl", 16);
export const PSLLD = shift("PSLLD", "shl", 32);
export const PSLLQ = shift("PSLLQ", "shl", 64);
export const PSRLW = shift("PSRLW", "shr", 16);
export const PSRLD = shift("PSRLD", "shr", 32);
export const PSRLQ = shift("PSRLQ", "shr", 64);
export const PSRAW = shift("PSRAW", "sar", 16);
export const PSRAD = shift("PSRAD", "sar", 32);

/** The low half of every lane, zero- or sign-extended to the lane. */
const lowHalf = (lane: 16 | 32 | 64, value: Value): Value =>
  value.and(every((1n << BigInt(lane / 2)) - 1n, lane, value.width));
const lowHalfSigned = (lane: 16 | 32 | 64, value: Value): Value =>
  value.laneShift("shl", lane, lane / 2).laneShift("sar", lane, lane / 2);

/** Doublewords 0 and 2 multiplied to quadwords. */
export const PMULUDQ = define("PMULUDQ", (dest, src) => ({
  dest: lowHalf(64, dest).lanewise("mul", 64, lowHalf(64, src)),
}));
export const PMULDQ = define("PMULDQ", (dest, src) => ({
  dest: lowHalfSigned(64, dest).lanewise("mul", 64, lowHalfSigned(64, src)),
}));

/** Unsigned bytes of DEST times signed bytes of SRC, adjacent products added with signed saturation. */
export const PMADDUBSW = define("PMADDUBSW", (dest, src) => {
  const even = lowHalf(16, dest).lanewise("mul", 16, lowHalfSigned(16, src));
  const odd = dest.laneShift("shr", 16, 8).lanewise("mul", 16, src.laneShift("sar", 16, 8));
  return { dest: even.lanewise("addSaturateSigned", 16, odd) };
});

/** Bits 30:15 of the product rounded at bit 14: ((DEST * SRC >> 14) + 1) >> 1. */
export const PMULHRSW = define("PMULHRSW", (dest, src) => {
  const high = dest.lanewise("mulHighSigned", 16, src);
  const low = dest.lanewise("mul", 16, src);
  const rounding = low.laneShift("shr", 16, 14).and(every(1, 16, dest.width));
  const product = high.laneShift("shl", 16, 1).or(low.laneShift("shr", 16, 15));
  return { dest: product.lanewise("add", 16, rounding) };
});

/** Sums of the absolute differences of eight unsigned bytes, one in every quadword. */
export const PSADBW = define("PSADBW", (dest, src) => {
  const one = dest.lanewise("subSaturateUnsigned", 8, src);
  const other = src.lanewise("subSaturateUnsigned", 8, dest);
  const differences = one.or(other);
  const pairs = lowHalf(16, differences).lanewise("add", 16, differences.laneShift("shr", 16, 8));
  const fours = pairs.lanewise("add", 64, pairs.laneShift("shr", 64, 32));
  const sums = fours.lanewise("add", 64, fours.laneShift("shr", 64, 16));
  return { dest: sums.and(every(0xffff, 64, dest.width)) };
});

/** DEST <- |SRC|. */
const absolute = (mnemonic: string, lane: 8 | 16 | 32): Semantics =>
  define(mnemonic, (_, src) => ({
    dest: src.lanewise("maxSigned", lane, src.from(0).lanewise("sub", lane, src)),
  }));

export const PABSB = absolute("PABSB", 8);
export const PABSW = absolute("PABSW", 16);
export const PABSD = absolute("PABSD", 32);

/** Lanes of DEST negated, cleared or kept where the lane of SRC is negative, zero or positive. */
const signLanes = (mnemonic: string, lane: 8 | 16 | 32): Semantics =>
  define(mnemonic, (dest, src) => {
    const zero = src.from(0);
    const negative = zero.lanewise("greaterSigned", lane, src);
    const isZero = src.lanewise("equal", lane, zero);
    return { dest: dest.xor(negative).lanewise("sub", lane, negative).and(isZero.not()) };
  });

export const PSIGNB = signLanes("PSIGNB", 8);
export const PSIGNW = signLanes("PSIGNW", 16);
export const PSIGND = signLanes("PSIGND", 32);

/** Even and odd lanes of SRC:DEST combined: adjacent pairs of DEST in the low half, of SRC in the high half. */
const horizontal = (mnemonic: string, op: LaneOp, lane: 16 | 32): Semantics =>
  define(mnemonic, (dest, src) => {
    const every2nd = (first: 0 | 1): number[] =>
      Array.from({ length: dest.width / lane }, (_, i) => 2 * i + first);
    const even = dest.shuffle(src, lane, every2nd(0));
    const odd = dest.shuffle(src, lane, every2nd(1));
    return { dest: even.lanewise(op, lane, odd) };
  });

export const PHADDW = horizontal("PHADDW", "add", 16);
export const PHADDD = horizontal("PHADDD", "add", 32);
export const PHADDSW = horizontal("PHADDSW", "addSaturateSigned", 16);
export const PHSUBW = horizontal("PHSUBW", "sub", 16);
export const PHSUBD = horizontal("PHSUBD", "sub", 32);
export const PHSUBSW = horizontal("PHSUBSW", "subSaturateSigned", 16);

/** Eight sums of the absolute differences of four bytes: bytes of DEST from 4 * imm8[2] on, against four of SRC from 4 * imm8[1:0]. */
defineIntrinsic("mpsadbw", 128, (dest, src, imm8) => {
  const a = bytesOf(dest!, 0);
  const b = bytesOf(src!, 1);
  const sums = new Uint16Array(8);
  const [fromA, fromB] = [Number(imm8! & 4n), 4 * Number(imm8! & 3n)];
  for (let i = 0; i < 8; i++)
    for (let k = 0; k < 4; k++) sums[i]! += Math.abs(a[fromA + i + k]! - b[fromB + k]!);
  return sums.reduceRight((all, sum) => (all << 16n) | BigInt(sum), 0n);
});
export const MPSADBW = define("MPSADBW", (dest, src, which) => ({
  dest: intrinsic("mpsadbw", 128, [dest, src, which]),
}));

/** The least unsigned word of SRC, and above it the number of the first lane that holds it. */
defineIntrinsic("phminposuw", 32, (src) => {
  let [least, index] = [0x1_0000n, 0n];
  for (let lane = 0n; lane < 8n; lane++) {
    const word = (src! >> (16n * lane)) & 0xffffn;
    if (word < least) [least, index] = [word, lane];
  }
  return least | (index << 16n);
});
export const PHMINPOSUW = define("PHMINPOSUW", (_, src) => ({
  dest: intrinsic("phminposuw", 32, [src]).zeroExtend(128),
}));
