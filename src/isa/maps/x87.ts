import type { Semantics } from "../define.ts";
import { AX, M, type Operand, rw, ST, ST0, w } from "../operands.ts";
import { mapBuilder, type Row, type RowOptions } from "../row.ts";
import { x87 } from "../semantics/x87.ts";

/**
 * SDM Vol. 2, Appendix A.5: escapes D8 to DF, Tables, by ModRM.reg for memory operands and by the whole ModRM
 * byte for registers. Beyond the tables: the second encodings of FCOM, FCOMP, FSTP, FXCH and FFREE that processors run, and
 * FNENI, FNDISI and FNSETPM of the 8087 and 80287, which do nothing.
 */

const { member } = mapBuilder("one-byte");

const unit: RowOptions = { unit: "x87" };

/** Memory form: opcode /digit. */
const memory = (
  opcode: number,
  digit: number,
  semantics: Semantics,
  operand: Operand,
  options: RowOptions = {},
): Row => member(opcode, digit, semantics, [operand], { ...unit, ...options });

/** Eight memory forms with one operand, by digit. */
const memories = (opcode: number, members: readonly Semantics[], operand: Operand): readonly Row[] =>
  members.map((semantics, digit) => memory(opcode, digit, semantics, operand));

/** Register form: ModRM.rm is ST(i). */
const stack = (opcode: number, digit: number, semantics: Semantics, operands: readonly Operand[]): Row =>
  member(opcode, digit, semantics, operands, unit);

/** One ModRM byte above BF: no operand in it. */
const exact = (opcode: number, modrm: number, semantics: Semantics, operands: readonly Operand[] = []): Row =>
  member(opcode, (modrm >> 3) & 7, semantics, operands, { ...unit, mod: "register", rm: modrm & 7 });

/** Consecutive ModRM bytes. */
const exacts = (opcode: number, modrm: number, members: readonly Semantics[]): readonly Row[] =>
  members.map((semantics, n) => exact(opcode, modrm + n, semantics));

const toST0 = [rw(ST0), ST];
const toSTi = [rw(ST), ST0];
const withST0 = [ST0, ST];

// biome-ignore format: one row per fact
export const rows: readonly Row[] = [
  // D8: single-precision memory; ST(0) and ST(i)
  ...memories(0xd8, [x87.FADD, x87.FMUL, x87.FCOM, x87.FCOMP, x87.FSUB, x87.FSUBR, x87.FDIV, x87.FDIVR], M.d),
  stack(0xd8, 0, x87.FADD, toST0),
  stack(0xd8, 1, x87.FMUL, toST0),
  stack(0xd8, 2, x87.FCOM, [ST]),
  stack(0xd8, 3, x87.FCOMP, [ST]),
  stack(0xd8, 4, x87.FSUB, toST0),
  stack(0xd8, 5, x87.FSUBR, toST0),
  stack(0xd8, 6, x87.FDIV, toST0),
  stack(0xd8, 7, x87.FDIVR, toST0),
  // D9
  memory(0xd9, 0, x87.FLD, M.d),
  memory(0xd9, 2, x87.FST, w(M.d)),
  memory(0xd9, 3, x87.FSTP, w(M.d)),
  memory(0xd9, 4, x87.FLDENV, M.any),
  memory(0xd9, 5, x87.FLDCW, M.w),
  memory(0xd9, 6, x87.FNSTENV, w(M.any)),
  memory(0xd9, 7, x87.FNSTCW, w(M.w)),
  stack(0xd9, 0, x87.FLD, [ST]),
  stack(0xd9, 1, x87.FXCH, [rw(ST)]),
  exact(0xd9, 0xd0, x87.FNOP),
  stack(0xd9, 3, x87.FSTP1, [w(ST)]),
  ...exacts(0xd9, 0xe0, [x87.FCHS, x87.FABS]),
  ...exacts(0xd9, 0xe4, [x87.FTST, x87.FXAM]),
  ...exacts(0xd9, 0xe8, [x87.FLD1, x87.FLDL2T, x87.FLDL2E, x87.FLDPI, x87.FLDLG2, x87.FLDLN2, x87.FLDZ]),
  ...exacts(0xd9, 0xf0, [x87.F2XM1, x87.FYL2X, x87.FPTAN, x87.FPATAN, x87.FXTRACT, x87.FPREM1, x87.FDECSTP, x87.FINCSTP]),
  ...exacts(0xd9, 0xf8, [x87.FPREM, x87.FYL2XP1, x87.FSQRT, x87.FSINCOS, x87.FRNDINT, x87.FSCALE, x87.FSIN, x87.FCOS]),
  // DA: 32-bit integer memory
  ...memories(0xda, [x87.FIADD, x87.FIMUL, x87.FICOM, x87.FICOMP, x87.FISUB, x87.FISUBR, x87.FIDIV, x87.FIDIVR], M.d),
  stack(0xda, 0, x87.FCMOVB, toST0),
  stack(0xda, 1, x87.FCMOVE, toST0),
  stack(0xda, 2, x87.FCMOVBE, toST0),
  stack(0xda, 3, x87.FCMOVU, toST0),
  exact(0xda, 0xe9, x87.FUCOMPP),
  // DB
  memory(0xdb, 0, x87.FILD, M.d),
  memory(0xdb, 1, x87.FISTTP, w(M.d), { feature: "SSE3" }),
  memory(0xdb, 2, x87.FIST, w(M.d)),
  memory(0xdb, 3, x87.FISTP, w(M.d)),
  memory(0xdb, 5, x87.FLD, M.t),
  memory(0xdb, 7, x87.FSTP, w(M.t)),
  stack(0xdb, 0, x87.FCMOVNB, toST0),
  stack(0xdb, 1, x87.FCMOVNE, toST0),
  stack(0xdb, 2, x87.FCMOVNBE, toST0),
  stack(0xdb, 3, x87.FCMOVNU, toST0),
  ...exacts(0xdb, 0xe0, [x87.FNENI, x87.FNDISI, x87.FNCLEX, x87.FNINIT, x87.FNSETPM]),
  stack(0xdb, 5, x87.FUCOMI, withST0),
  stack(0xdb, 6, x87.FCOMI, withST0),
  // DC: double-precision memory; ST(i) and ST(0)
  ...memories(0xdc, [x87.FADD, x87.FMUL, x87.FCOM, x87.FCOMP, x87.FSUB, x87.FSUBR, x87.FDIV, x87.FDIVR], M.q),
  stack(0xdc, 0, x87.FADD, toSTi),
  stack(0xdc, 1, x87.FMUL, toSTi),
  stack(0xdc, 2, x87.FCOM2, [ST]),
  stack(0xdc, 3, x87.FCOMP3, [ST]),
  stack(0xdc, 4, x87.FSUBR, toSTi),
  stack(0xdc, 5, x87.FSUB, toSTi),
  stack(0xdc, 6, x87.FDIVR, toSTi),
  stack(0xdc, 7, x87.FDIV, toSTi),
  // DD
  memory(0xdd, 0, x87.FLD, M.q),
  memory(0xdd, 1, x87.FISTTP, w(M.q), { feature: "SSE3" }),
  memory(0xdd, 2, x87.FST, w(M.q)),
  memory(0xdd, 3, x87.FSTP, w(M.q)),
  memory(0xdd, 4, x87.FRSTOR, M.any),
  memory(0xdd, 6, x87.FNSAVE, w(M.any)),
  memory(0xdd, 7, x87.FNSTSW, w(M.w)),
  stack(0xdd, 0, x87.FFREE, [w(ST)]),
  stack(0xdd, 1, x87.FXCH4, [rw(ST)]),
  stack(0xdd, 2, x87.FST, [w(ST)]),
  stack(0xdd, 3, x87.FSTP, [w(ST)]),
  stack(0xdd, 4, x87.FUCOM, [ST]),
  stack(0xdd, 5, x87.FUCOMP, [ST]),
  // DE: 16-bit integer memory; ST(i) and ST(0), with a pop
  ...memories(0xde, [x87.FIADD, x87.FIMUL, x87.FICOM, x87.FICOMP, x87.FISUB, x87.FISUBR, x87.FIDIV, x87.FIDIVR], M.w),
  stack(0xde, 0, x87.FADDP, toSTi),
  stack(0xde, 1, x87.FMULP, toSTi),
  stack(0xde, 2, x87.FCOMP5, [ST]),
  exact(0xde, 0xd9, x87.FCOMPP),
  stack(0xde, 4, x87.FSUBRP, toSTi),
  stack(0xde, 5, x87.FSUBP, toSTi),
  stack(0xde, 6, x87.FDIVRP, toSTi),
  stack(0xde, 7, x87.FDIVP, toSTi),
  // DF
  memory(0xdf, 0, x87.FILD, M.w),
  memory(0xdf, 1, x87.FISTTP, w(M.w), { feature: "SSE3" }),
  memory(0xdf, 2, x87.FIST, w(M.w)),
  memory(0xdf, 3, x87.FISTP, w(M.w)),
  memory(0xdf, 4, x87.FBLD, M.t),
  memory(0xdf, 5, x87.FILD, M.q),
  memory(0xdf, 6, x87.FBSTP, w(M.t)),
  memory(0xdf, 7, x87.FISTP, w(M.q)),
  stack(0xdf, 0, x87.FFREEP, [w(ST)]),
  stack(0xdf, 1, x87.FXCH7, [rw(ST)]),
  stack(0xdf, 2, x87.FSTP8, [w(ST)]),
  stack(0xdf, 3, x87.FSTP9, [w(ST)]),
  exact(0xdf, 0xe0, x87.FNSTSW, [w(AX)]),
  stack(0xdf, 5, x87.FUCOMIP, withST0),
  stack(0xdf, 6, x87.FCOMIP, withST0),
];
