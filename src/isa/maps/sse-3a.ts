import { E, I, M, P, Q, rw, U, V, W, w } from "../operands.ts";
import { mapBuilder, type Row, type RowOptions } from "../row.ts";
import * as float from "../semantics/sse-float.ts";
import * as shuffle from "../semantics/sse-shuffle.ts";

/** SDM Vol. 2, Table A-5, the rows of 0F 3A that name MMX or XMM registers. */

const { op } = mapBuilder("0F3A");

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
];
