import type { Semantics } from "../define.ts";
import { M, P, Q, rw, V, W, w } from "../operands.ts";
import { mapBuilder, type Row, type RowOptions } from "../row.ts";
import * as aes from "../semantics/aes.ts";
import * as sha from "../semantics/sha.ts";
import * as integer from "../semantics/sse-integer.ts";
import * as move from "../semantics/sse-move.ts";
import * as shuffle from "../semantics/sse-shuffle.ts";

/** SDM Vol. 2, Table A-4, the rows of 0F 38 that name MMX or XMM registers. */

const { op } = mapBuilder("0F38");

const SSSE3: RowOptions = { prefix: 0x66, unit: "sse", feature: "SSSE3" };
const SSE4_1: RowOptions = { prefix: 0x66, unit: "sse", feature: "SSE4_1" };
const AES: RowOptions = { prefix: 0x66, unit: "sse", feature: "AES" };
const SHA: RowOptions = { prefix: "none", unit: "sse", feature: "SHA" };
const SSE4_2: RowOptions = { prefix: 0x66, unit: "sse", feature: "SSE4_2" };

/** One opcode of SSSE3 with an MMX form and, under 66, an XMM form. */
const both = (opcode: number, semantics: Semantics): Row[] => [
  op(opcode, semantics, [rw(P.q), Q.q], { prefix: "none", unit: "mmx", feature: "SSSE3" }),
  op(opcode, semantics, [rw(V.dq), W.dq], SSSE3),
];
/** The same where DEST is only written. */
const bothUnary = (opcode: number, semantics: Semantics): Row[] => [
  op(opcode, semantics, [w(P.q), Q.q], { prefix: "none", unit: "mmx", feature: "SSSE3" }),
  op(opcode, semantics, [w(V.dq), W.dq], SSSE3),
];

// biome-ignore format: one row per fact
export const rows: readonly Row[] = [
  ...both(0x00, shuffle.PSHUFB),
  ...both(0x01, integer.PHADDW),
  ...both(0x02, integer.PHADDD),
  ...both(0x03, integer.PHADDSW),
  ...both(0x04, integer.PMADDUBSW),
  ...both(0x05, integer.PHSUBW),
  ...both(0x06, integer.PHSUBD),
  ...both(0x07, integer.PHSUBSW),
  ...both(0x08, integer.PSIGNB),
  ...both(0x09, integer.PSIGNW),
  ...both(0x0a, integer.PSIGND),
  ...both(0x0b, integer.PMULHRSW),
  op(0x10, shuffle.PBLENDVB, [rw(V.dq), W.dq], SSE4_1),
  op(0x14, shuffle.BLENDVPS, [rw(V.dq), W.dq], SSE4_1),
  op(0x15, shuffle.BLENDVPD, [rw(V.dq), W.dq], SSE4_1),
  op(0x17, integer.PTEST, [V.dq, W.dq], SSE4_1),
  ...bothUnary(0x1c, integer.PABSB),
  ...bothUnary(0x1d, integer.PABSW),
  ...bothUnary(0x1e, integer.PABSD),
  op(0x20, shuffle.PMOVSXBW, [w(V.dq), W.q], SSE4_1),
  op(0x21, shuffle.PMOVSXBD, [w(V.dq), W.d], SSE4_1),
  op(0x22, shuffle.PMOVSXBQ, [w(V.dq), W.w], SSE4_1),
  op(0x23, shuffle.PMOVSXWD, [w(V.dq), W.q], SSE4_1),
  op(0x24, shuffle.PMOVSXWQ, [w(V.dq), W.d], SSE4_1),
  op(0x25, shuffle.PMOVSXDQ, [w(V.dq), W.q], SSE4_1),
  op(0x28, integer.PMULDQ, [rw(V.dq), W.dq], SSE4_1),
  op(0x29, integer.PCMPEQQ, [rw(V.dq), W.dq], SSE4_1),
  op(0x2a, move.MOVNTDQA, [w(V.dq), M.dq], SSE4_1),
  op(0x2b, shuffle.PACKUSDW, [rw(V.dq), W.dq], SSE4_1),
  op(0x30, shuffle.PMOVZXBW, [w(V.dq), W.q], SSE4_1),
  op(0x31, shuffle.PMOVZXBD, [w(V.dq), W.d], SSE4_1),
  op(0x32, shuffle.PMOVZXBQ, [w(V.dq), W.w], SSE4_1),
  op(0x33, shuffle.PMOVZXWD, [w(V.dq), W.q], SSE4_1),
  op(0x34, shuffle.PMOVZXWQ, [w(V.dq), W.d], SSE4_1),
  op(0x35, shuffle.PMOVZXDQ, [w(V.dq), W.q], SSE4_1),
  op(0x37, integer.PCMPGTQ, [rw(V.dq), W.dq], SSE4_2),
  op(0x38, integer.PMINSB, [rw(V.dq), W.dq], SSE4_1),
  op(0x39, integer.PMINSD, [rw(V.dq), W.dq], SSE4_1),
  op(0x3a, integer.PMINUW, [rw(V.dq), W.dq], SSE4_1),
  op(0x3b, integer.PMINUD, [rw(V.dq), W.dq], SSE4_1),
  op(0x3c, integer.PMAXSB, [rw(V.dq), W.dq], SSE4_1),
  op(0x3d, integer.PMAXSD, [rw(V.dq), W.dq], SSE4_1),
  op(0x3e, integer.PMAXUW, [rw(V.dq), W.dq], SSE4_1),
  op(0x3f, integer.PMAXUD, [rw(V.dq), W.dq], SSE4_1),
  op(0x40, integer.PMULLD, [rw(V.dq), W.dq], SSE4_1),
  op(0x41, integer.PHMINPOSUW, [w(V.dq), W.dq], SSE4_1),
  op(0xc8, sha.SHA1NEXTE, [rw(V.dq), W.dq], SHA),
  op(0xc9, sha.SHA1MSG1, [rw(V.dq), W.dq], SHA),
  op(0xca, sha.SHA1MSG2, [rw(V.dq), W.dq], SHA),
  op(0xcb, sha.SHA256RNDS2, [rw(V.dq), W.dq], SHA),
  op(0xcc, sha.SHA256MSG1, [rw(V.dq), W.dq], SHA),
  op(0xcd, sha.SHA256MSG2, [rw(V.dq), W.dq], SHA),
  op(0xdb, aes.AESIMC, [w(V.dq), W.dq], AES),
  op(0xdc, aes.AESENC, [rw(V.dq), W.dq], AES),
  op(0xdd, aes.AESENCLAST, [rw(V.dq), W.dq], AES),
  op(0xde, aes.AESDEC, [rw(V.dq), W.dq], AES),
  op(0xdf, aes.AESDECLAST, [rw(V.dq), W.dq], AES),
];
