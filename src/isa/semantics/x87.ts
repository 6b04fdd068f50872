/**
 * The x87 FPU's instructions are procedures (cpu/x87*.ts), many with a usual form (x87-usual.ts): their rows say encodings, operands
 * and that the unit must be there. One name stands for all operand widths of an instruction. Names that end in a digit are the undocumented second
 * encodings of FSTP, FCOM, FCOMP and FXCH.
 */
import { procedure, type Semantics } from "../define.ts";
import { usualForms } from "./x87-usual.ts";

// biome-ignore format: one row per family
const names = [
  "FADD", "FMUL", "FSUB", "FSUBR", "FDIV", "FDIVR",
  "FADDP", "FMULP", "FSUBP", "FSUBRP", "FDIVP", "FDIVRP",
  "FIADD", "FIMUL", "FISUB", "FISUBR", "FIDIV", "FIDIVR",
  "FCOM", "FCOMP", "FCOMPP", "FUCOM", "FUCOMP", "FUCOMPP", "FICOM", "FICOMP", "FCOMI", "FCOMIP", "FUCOMI", "FUCOMIP", "FTST", "FXAM",
  "FCOM2", "FCOMP3", "FCOMP5",
  "FLD", "FST", "FSTP", "FILD", "FIST", "FISTP", "FISTTP", "FBLD", "FBSTP", "FXCH",
  "FSTP1", "FSTP8", "FSTP9", "FXCH4", "FXCH7",
  "FLD1", "FLDL2T", "FLDL2E", "FLDPI", "FLDLG2", "FLDLN2", "FLDZ",
  "FCMOVB", "FCMOVE", "FCMOVBE", "FCMOVU", "FCMOVNB", "FCMOVNE", "FCMOVNBE", "FCMOVNU",
  "FCHS", "FABS", "FSQRT", "FRNDINT", "FSCALE", "FXTRACT", "FPREM", "FPREM1",
  "F2XM1", "FYL2X", "FYL2XP1", "FPTAN", "FPATAN", "FSIN", "FCOS", "FSINCOS",
  "FNOP", "FFREE", "FFREEP", "FINCSTP", "FDECSTP",
  "FNINIT", "FNCLEX", "FLDCW", "FNSTCW", "FNSTSW", "FLDENV", "FNSTENV", "FRSTOR", "FNSAVE",
  "FNENI", "FNDISI", "FNSETPM",
] as const;

export type X87Mnemonic = (typeof names)[number];

/** Semantics by mnemonic. */
export const x87 = Object.fromEntries(
  names.map((name) => [name, procedure(name, usualForms[name])]),
) as Record<X87Mnemonic, Semantics>;
