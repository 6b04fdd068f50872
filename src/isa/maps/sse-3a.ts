import { E, I, M, P, Q, rw, U, V, W, w } from "../operands.ts";
import { mapBuilder, type Row, type RowOptions } from "../row.ts";
import { AESKEYGENASSIST } from "../semantics/aes.ts";
import { PCLMULQDQ } from "../semantics/carryless-multiply.ts";
import { SHA1RNDS4 } from "../semantics/sha.ts";
import * as float from "../semantics/sse-float.ts";
import * as integer from "../semantics/sse-integer.ts";
import * as shuffle from "../semantics/sse-shuffle.ts";
import * as strings from "../semantics/string-compare.ts";

/** SDM Vol. 2, Table A-5, the rows of 0F 3A that name MMX or XMM registers. */

const { op } = mapBuilder("0F3A");

/** The string comparisons of SSE4.2: memory operands need no alignment. */
const SSE4_2: RowOptions = { prefix: 0x66, unit: "sse", feature: "SSE4_2", aligned: false };
const SSE4_1: RowOptions = { prefix: 0x66, unit: "sse", feature: "SSE4_1" };

// biome-ignore format: one row per fact
export const rows: readonly Row[] = [
  op(0x08, float.ROUNDPS, [w(V.dq), W.dq, I.b], SSE4_1),
  op(0x09, float.ROUNDPD, [w(V.dq), W.dq, I.b], SSE4_1),
  op(0x0a, float.ROUNDSS, [w(V.d), W.d, I.b], SSE4_1),
  op(0x0b, float.ROUNDSD, [w(V.q), W.q, I.b], SSE4_1),
  op(0x0c, shuffle.BLENDPS, [rw(V.dq), W.dq, I.b], SSE4_1),
  op(0x0d, shuffle.BLENDPD, [rw(V.dq), W.dq, I.b], SSE4_1),
  op(0x0e, shuffle.PBLENDW, [rw(V.dq), W.dq, I.b], SSE4_1),
  op(0x0f, shuffle.PALIGNR, [rw(P.q), Q.q, I.b], { prefix: "none", unit: "mmx", feature: "SSSE3" }),
  op(0x0f, shuffle.PALIGNR, [rw(V.dq), W.dq, I.b], { prefix: 0x66, unit: "sse", feature: "SSSE3" }),
  op(0x14, shuffle.PEXTRB, [w(E.db), V.dq, I.b], SSE4_1),
  op(0x15, shuffle.PEXTRW, [w(E.dw), V.dq, I.b], SSE4_1),
  op(0x16, shuffle.PEXTRD, [w(E.y), V.dq, I.b], { ...SSE4_1, rexW: 0 }),
  op(0x16, shuffle.PEXTRQ, [w(E.y), V.dq, I.b], { ...SSE4_1, rexW: 1 }),
  op(0x17, shuffle.EXTRACTPS, [w(E.d), V.dq, I.b], SSE4_1),
  op(0x20, shuffle.PINSRB, [rw(V.dq), E.db, I.b], SSE4_1),
  op(0x21, shuffle.INSERTPS, [rw(V.dq), U.dq, I.b], SSE4_1),
  op(0x21, shuffle.INSERTPS, [rw(V.dq), M.d, I.b], SSE4_1),
  op(0x22, shuffle.PINSRD, [rw(V.dq), E.y, I.b], { ...SSE4_1, rexW: 0 }),
  op(0x22, shuffle.PINSRQ, [rw(V.dq), E.y, I.b], { ...SSE4_1, rexW: 1 }),
  op(0x40, float.DPPS, [rw(V.dq), W.dq, I.b], SSE4_1),
  op(0x41, float.DPPD, [rw(V.dq), W.dq, I.b], SSE4_1),
  op(0x42, integer.MPSADBW, [rw(V.dq), W.dq, I.b], SSE4_1),
  op(0x44, PCLMULQDQ, [rw(V.dq), W.dq, I.b], { prefix: 0x66, unit: "sse", feature: "PCLMULQDQ" }),
  op(0x60, strings.PCMPESTRM, [V.dq, W.dq, I.b], SSE4_2),
  op(0x61, strings.PCMPESTRI, [V.dq, W.dq, I.b], SSE4_2),
  op(0x62, strings.PCMPISTRM, [V.dq, W.dq, I.b], SSE4_2),
  op(0x63, strings.PCMPISTRI, [V.dq, W.dq, I.b], SSE4_2),
  op(0xcc, SHA1RNDS4, [rw(V.dq), W.dq, I.b], { prefix: "none", unit: "sse", feature: "SHA" }),
  op(0xdf, AESKEYGENASSIST, [w(V.dq), W.dq, I.b], { prefix: 0x66, unit: "sse", feature: "AES" }),
];
