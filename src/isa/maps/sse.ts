import type { Semantics } from "../define.ts";
import { E, G, I, M, N, P, Q, rw, U, V, W, w } from "../operands.ts";
import { mapBuilder, type Row, type RowOptions } from "../row.ts";
import * as integer from "../semantics/sse-integer.ts";
import * as move from "../semantics/sse-move.ts";
import * as shuffle from "../semantics/sse-shuffle.ts";

/** SDM Vol. 2, Tables, the rows of 0F that name MMX or XMM registers. V.d, V.q: the rest of the register stays. */

const { op, member } = mapBuilder("0F");

const MMX: RowOptions = { prefix: "none", unit: "mmx" };
const PS: RowOptions = { prefix: "none", unit: "sse" };
const PD: RowOptions = { prefix: 0x66, unit: "sse" };
const SS: RowOptions = { prefix: 0xf3, unit: "sse" };
const SD: RowOptions = { prefix: 0xf2, unit: "sse" };
const unaligned = { aligned: false } as const;

/** One opcode with an MMX form and, under 66, an XMM form. */
const both = (opcode: number, semantics: Semantics): Row[] => [
  op(opcode, semantics, [rw(P.q), Q.q], MMX),
  op(opcode, semantics, [rw(V.dq), W.dq], PD),
];
/** A shift by an immediate: MMX and XMM form of opcode /digit. */
const shiftImmediate = (opcode: number, digit: number, semantics: Semantics): Row[] => [
  member(opcode, digit, semantics, [rw(N.q), I.b], MMX),
  member(opcode, digit, semantics, [rw(U.dq), I.b], PD),
];

// biome-ignore format: one row per fact
const moves: readonly Row[] = [
  op(0x10, move.MOVUPS, [w(V.dq), W.dq], { ...PS, ...unaligned }),
  op(0x10, move.MOVUPD, [w(V.dq), W.dq], { ...PD, ...unaligned }),
  op(0x10, move.MOVSS, [w(V.d), U.d], SS),
  op(0x10, move.MOVSS, [w(V.dq), M.d], SS),
  op(0x10, move.MOVSD, [w(V.q), U.q], SD),
  op(0x10, move.MOVSD, [w(V.dq), M.q], SD),
  op(0x11, move.MOVUPS, [w(W.dq), V.dq], { ...PS, ...unaligned }),
  op(0x11, move.MOVUPD, [w(W.dq), V.dq], { ...PD, ...unaligned }),
  op(0x11, move.MOVSS, [w(W.d), V.d], SS),
  op(0x11, move.MOVSD, [w(W.q), V.q], SD),
  op(0x12, move.MOVHLPS, [w(V.q), U.dq], PS),
  op(0x12, move.MOVLPS, [w(V.q), M.q], PS),
  op(0x12, move.MOVLPD, [w(V.q), M.q], PD),
  op(0x12, move.MOVSLDUP, [w(V.dq), W.dq], { ...SS, feature: "SSE3" }),
  op(0x12, move.MOVDDUP, [w(V.dq), W.q], { ...SD, feature: "SSE3" }),
  op(0x13, move.MOVLPS, [w(M.q), V.q], PS),
  op(0x13, move.MOVLPD, [w(M.q), V.q], PD),
  op(0x16, move.MOVLHPS, [rw(V.dq), U.q], PS),
  op(0x16, move.MOVHPS, [rw(V.dq), M.q], PS),
  op(0x16, move.MOVHPD, [rw(V.dq), M.q], PD),
  op(0x16, move.MOVSHDUP, [w(V.dq), W.dq], { ...SS, feature: "SSE3" }),
  op(0x17, move.MOVHPS_STORE, [w(M.q), V.dq], PS),
  op(0x17, move.MOVHPD_STORE, [w(M.q), V.dq], PD),
  op(0x28, move.MOVAPS, [w(V.dq), W.dq], PS),
  op(0x28, move.MOVAPD, [w(V.dq), W.dq], PD),
  op(0x29, move.MOVAPS, [w(W.dq), V.dq], PS),
  op(0x29, move.MOVAPD, [w(W.dq), V.dq], PD),
  op(0x2b, move.MOVNTPS, [w(M.dq), V.dq], PS),
  op(0x2b, move.MOVNTPD, [w(M.dq), V.dq], PD),
  op(0x50, move.MOVMSKPS, [w(G.y), U.dq], PS),
  op(0x50, move.MOVMSKPD, [w(G.y), U.dq], PD),
  op(0x6e, move.MOVD, [w(P.q), E.y], { ...MMX, rexW: 0 }),
  op(0x6e, move.MOVQ, [w(P.q), E.y], { ...MMX, rexW: 1 }),
  op(0x6e, move.MOVD, [w(V.dq), E.y], { ...PD, rexW: 0 }),
  op(0x6e, move.MOVQ, [w(V.dq), E.y], { ...PD, rexW: 1 }),
  op(0x6f, move.MOVQ, [w(P.q), Q.q], MMX),
  op(0x6f, move.MOVDQA, [w(V.dq), W.dq], PD),
  op(0x6f, move.MOVDQU, [w(V.dq), W.dq], { ...SS, ...unaligned }),
  op(0x7e, move.MOVD, [w(E.y), P.q], { ...MMX, rexW: 0 }),
  op(0x7e, move.MOVQ, [w(E.y), P.q], { ...MMX, rexW: 1 }),
  op(0x7e, move.MOVD, [w(E.y), V.q], { ...PD, rexW: 0 }),
  op(0x7e, move.MOVQ, [w(E.y), V.q], { ...PD, rexW: 1 }),
  op(0x7e, move.MOVQ, [w(V.dq), W.q], SS),
  op(0x7f, move.MOVQ, [w(Q.q), P.q], MMX),
  op(0x7f, move.MOVDQA, [w(W.dq), V.dq], PD),
  op(0x7f, move.MOVDQU, [w(W.dq), V.dq], { ...SS, ...unaligned }),
  op(0x77, move.EMMS, [], MMX),
  member(0xae, 2, move.LDMXCSR, [M.d], PS),
  member(0xae, 3, move.STMXCSR, [w(M.d)], PS),
  op(0xd6, move.MOVQ, [w(M.q), V.q], PD),
  op(0xd6, move.MOVQ, [w(U.dq), V.q], PD),
  op(0xd6, move.MOVQ2DQ, [w(V.dq), N.q], { prefix: 0xf3, unit: "sse+mmx" }),
  op(0xd6, move.MOVDQ2Q, [w(P.q), U.q], { prefix: 0xf2, unit: "sse+mmx" }),
  op(0xd7, move.PMOVMSKB, [w(G.y), N.q], MMX),
  op(0xd7, move.PMOVMSKB, [w(G.y), U.dq], PD),
  op(0xe7, move.MOVNTQ, [w(M.q), P.q], MMX),
  op(0xe7, move.MOVNTDQ, [w(M.dq), V.dq], PD),
  op(0xf0, move.LDDQU, [w(V.dq), M.dq], { ...SD, ...unaligned, feature: "SSE3" }),
  op(0xf7, move.MASKMOVQ, [P.q, N.q], MMX),
  op(0xf7, move.MASKMOVDQU, [V.dq, U.dq], PD),
];

// biome-ignore format: one row per fact
const shuffles: readonly Row[] = [
  op(0x14, shuffle.UNPCKLPS, [rw(V.dq), W.dq], PS),
  op(0x14, shuffle.UNPCKLPD, [rw(V.dq), W.dq], PD),
  op(0x15, shuffle.UNPCKHPS, [rw(V.dq), W.dq], PS),
  op(0x15, shuffle.UNPCKHPD, [rw(V.dq), W.dq], PD),
  op(0x60, shuffle.PUNPCKLBW, [rw(P.q), Q.d], MMX),
  op(0x60, shuffle.PUNPCKLBW, [rw(V.dq), W.dq], PD),
  op(0x61, shuffle.PUNPCKLWD, [rw(P.q), Q.d], MMX),
  op(0x61, shuffle.PUNPCKLWD, [rw(V.dq), W.dq], PD),
  op(0x62, shuffle.PUNPCKLDQ, [rw(P.q), Q.d], MMX),
  op(0x62, shuffle.PUNPCKLDQ, [rw(V.dq), W.dq], PD),
  ...both(0x63, shuffle.PACKSSWB),
  ...both(0x67, shuffle.PACKUSWB),
  ...both(0x68, shuffle.PUNPCKHBW),
  ...both(0x69, shuffle.PUNPCKHWD),
  ...both(0x6a, shuffle.PUNPCKHDQ),
  ...both(0x6b, shuffle.PACKSSDW),
  op(0x6c, shuffle.PUNPCKLQDQ, [rw(V.dq), W.dq], PD),
  op(0x6d, shuffle.PUNPCKHQDQ, [rw(V.dq), W.dq], PD),
  op(0x70, shuffle.PSHUFW, [w(P.q), Q.q, I.b], MMX),
  op(0x70, shuffle.PSHUFD, [w(V.dq), W.dq, I.b], PD),
  op(0x70, shuffle.PSHUFHW, [w(V.dq), W.dq, I.b], SS),
  op(0x70, shuffle.PSHUFLW, [w(V.dq), W.dq, I.b], SD),
  member(0x73, 3, shuffle.PSRLDQ, [rw(U.dq), I.b], PD),
  member(0x73, 7, shuffle.PSLLDQ, [rw(U.dq), I.b], PD),
  op(0xc4, shuffle.PINSRW, [rw(P.q), E.dw, I.b], MMX),
  op(0xc4, shuffle.PINSRW, [rw(V.dq), E.dw, I.b], PD),
  op(0xc5, shuffle.PEXTRW, [w(G.y), N.q, I.b], MMX),
  op(0xc5, shuffle.PEXTRW, [w(G.y), U.dq, I.b], PD),
  op(0xc6, shuffle.SHUFPS, [rw(V.dq), W.dq, I.b], PS),
  op(0xc6, shuffle.SHUFPD, [rw(V.dq), W.dq, I.b], PD),
];

// biome-ignore format: one row per fact
const integers: readonly Row[] = [
  op(0x54, integer.ANDPS, [rw(V.dq), W.dq], PS),
  op(0x54, integer.ANDPD, [rw(V.dq), W.dq], PD),
  op(0x55, integer.ANDNPS, [rw(V.dq), W.dq], PS),
  op(0x55, integer.ANDNPD, [rw(V.dq), W.dq], PD),
  op(0x56, integer.ORPS, [rw(V.dq), W.dq], PS),
  op(0x56, integer.ORPD, [rw(V.dq), W.dq], PD),
  op(0x57, integer.XORPS, [rw(V.dq), W.dq], PS),
  op(0x57, integer.XORPD, [rw(V.dq), W.dq], PD),
  ...both(0x64, integer.PCMPGTB),
  ...both(0x65, integer.PCMPGTW),
  ...both(0x66, integer.PCMPGTD),
  ...shiftImmediate(0x71, 2, integer.PSRLW),
  ...shiftImmediate(0x71, 4, integer.PSRAW),
  ...shiftImmediate(0x71, 6, integer.PSLLW),
  ...shiftImmediate(0x72, 2, integer.PSRLD),
  ...shiftImmediate(0x72, 4, integer.PSRAD),
  ...shiftImmediate(0x72, 6, integer.PSLLD),
  ...shiftImmediate(0x73, 2, integer.PSRLQ),
  ...shiftImmediate(0x73, 6, integer.PSLLQ),
  ...both(0x74, integer.PCMPEQB),
  ...both(0x75, integer.PCMPEQW),
  ...both(0x76, integer.PCMPEQD),
  ...both(0xd1, integer.PSRLW),
  ...both(0xd2, integer.PSRLD),
  ...both(0xd3, integer.PSRLQ),
  ...both(0xd4, integer.PADDQ),
  ...both(0xd5, integer.PMULLW),
  ...both(0xd8, integer.PSUBUSB),
  ...both(0xd9, integer.PSUBUSW),
  ...both(0xda, integer.PMINUB),
  ...both(0xdb, integer.PAND),
  ...both(0xdc, integer.PADDUSB),
  ...both(0xdd, integer.PADDUSW),
  ...both(0xde, integer.PMAXUB),
  ...both(0xdf, integer.PANDN),
  ...both(0xe0, integer.PAVGB),
  ...both(0xe1, integer.PSRAW),
  ...both(0xe2, integer.PSRAD),
  ...both(0xe3, integer.PAVGW),
  ...both(0xe4, integer.PMULHUW),
  ...both(0xe5, integer.PMULHW),
  ...both(0xe8, integer.PSUBSB),
  ...both(0xe9, integer.PSUBSW),
  ...both(0xea, integer.PMINSW),
  ...both(0xeb, integer.POR),
  ...both(0xec, integer.PADDSB),
  ...both(0xed, integer.PADDSW),
  ...both(0xee, integer.PMAXSW),
  ...both(0xef, integer.PXOR),
  ...both(0xf1, integer.PSLLW),
  ...both(0xf2, integer.PSLLD),
  ...both(0xf3, integer.PSLLQ),
  ...both(0xf4, integer.PMULUDQ),
  ...both(0xf5, integer.PMADDWD),
  ...both(0xf6, integer.PSADBW),
  ...both(0xf8, integer.PSUBB),
  ...both(0xf9, integer.PSUBW),
  ...both(0xfa, integer.PSUBD),
  ...both(0xfb, integer.PSUBQ),
  ...both(0xfc, integer.PADDB),
  ...both(0xfd, integer.PADDW),
  ...both(0xfe, integer.PADDD),
];

export const rows: readonly Row[] = [...moves, ...shuffles, ...integers];
