/**
 * One-byte opcode map: SDM Vol. 2, Table A-2, and the groups of Table A-6, in that order.
 *
 * Not here: prefixes, REX, VEX and EVEX (the decoder's), and the escapes D8-DF (x87.ts).
 * Beyond the table: D6 SALC; 82 outside 64-bit mode, F6/F7 /1 and C0, C1, D0-D3 /6, which every Intel CPU runs as the
 * aliases that these rows say. MOV Sreg (8C, 8E) takes only the six registers there are, and 8E not CS: the decoder's.
 */
import { procedure, type Semantics } from "../define.ts";
// biome-ignore format: one line
import { A, AL, CL, CS, DS, DX, E, ES, G, I, J, M, O, ONE, rAX, rw, S, SS, w, X, Y, Z, zAX } from "../operands.ts";
import { mapBuilder, type Row } from "../row.ts";
import { ADC, ADD, CMP, DEC, INC, NEG, SBB, SUB } from "../semantics/arithmetic.ts";
// biome-ignore format: one line
import { BOUND, CALL, CALL_INDIRECT, JCXZ, Jcc, JMP, JMP_INDIRECT, LOOP, LOOPE, LOOPNE, NOP, PAUSE, RET } from "../semantics/control-flow.ts";
import { CBW, CWD } from "../semantics/convert.ts";
import { AAA, AAD, AAM, AAS, DAA, DAS, SALC } from "../semantics/decimal.ts";
import { CLC, CLD, CLI, CMC, LAHF, SAHF, STC, STD, STI } from "../semantics/flags.ts";
import { AND, NOT, OR, TEST, XOR } from "../semantics/logic.ts";
import { LEA, MOV, MOV_FROM_SREG, MOVSXD, XCHG, XLAT } from "../semantics/move.ts";
import { DIV, IDIV, IMUL, IMUL3, MUL } from "../semantics/multiply-divide.ts";
import { RCL, RCR, ROL, ROR, SAR, SHL, SHR } from "../semantics/shift.ts";
import { LEAVE, POP, POPA, POPF, PUSH, PUSH_SREG, PUSHA, PUSHF } from "../semantics/stack.ts";
import { CMPS, LODS, MOVS, SCAS, STOS } from "../semantics/string.ts";
import { FWAIT } from "../semantics/system.ts";

const { op, group, member, registers } = mapBuilder("one-byte");

const ARPL = procedure("ARPL");
const POP_SREG = procedure("POP_SREG");
const MOV_TO_SREG = procedure("MOV_TO_SREG");
const LES = procedure("LES");
const LDS = procedure("LDS");
const INS = procedure("INS");
const OUTS = procedure("OUTS");
const IN = procedure("IN");
const OUT = procedure("OUT");
const ENTER = procedure("ENTER");
const CALL_FAR = procedure("CALL_FAR");
const JMP_FAR = procedure("JMP_FAR");
const RETF = procedure("RETF");
const INT = procedure("INT");
const INT1 = procedure("INT1");
const INT3 = procedure("INT3");
const INTO = procedure("INTO");
const IRET = procedure("IRET");
const HLT = procedure("HLT");

const lock = { lock: true } as const;
const i64 = { i64: true } as const;
const d64 = { d64: true } as const;
const f64 = { f64: true } as const;
const rep = { repeat: "rep" } as const;
const repz = { repeat: "repz" } as const;

/** The six columns that eight arithmetic and logic instructions share. CMP writes nothing. */
const arithmetic = (opcode: number, semantics: Semantics): Row[] => {
  const [dest, options] = semantics === CMP ? [(form: typeof E.v) => form, {}] : [rw, lock];
  return [
    op(opcode + 0, semantics, [dest(E.b), G.b], options),
    op(opcode + 1, semantics, [dest(E.v), G.v], options),
    op(opcode + 2, semantics, [dest(G.b), E.b]),
    op(opcode + 3, semantics, [dest(G.v), E.v]),
    op(opcode + 4, semantics, [dest(AL), I.b]),
    op(opcode + 5, semantics, [dest(rAX), I.z]),
  ];
};

/** Group 1: the same eight with an immediate. */
const immediate1 = (opcode: number, dest: typeof E.v, src: typeof I.z, options = {}): Row[] => [
  ...group(opcode, [ADD, OR, ADC, SBB, AND, SUB, XOR], [rw(dest), src], { ...lock, ...options }),
  member(opcode, 7, CMP, [dest, src], options),
];

/** Group 2. */
const shifts = [ROL, ROR, RCL, RCR, SHL, SHR, SHL, SAR];

// biome-ignore format: one row per fact
export const rows: readonly Row[] = [
  ...arithmetic(0x00, ADD),
  op(0x06, PUSH_SREG, [ES], i64),
  op(0x07, POP_SREG,  [w(ES)], { i64: true, syntax: "pop" }),
  ...arithmetic(0x08, OR),
  op(0x0e, PUSH_SREG, [CS], i64),
  ...arithmetic(0x10, ADC),
  op(0x16, PUSH_SREG, [SS], i64),
  op(0x17, POP_SREG,  [w(SS)], { i64: true, syntax: "pop" }),
  ...arithmetic(0x18, SBB),
  op(0x1e, PUSH_SREG, [DS], i64),
  op(0x1f, POP_SREG,  [w(DS)], { i64: true, syntax: "pop" }),
  ...arithmetic(0x20, AND),
  op(0x27, DAA, [], i64),
  ...arithmetic(0x28, SUB),
  op(0x2f, DAS, [], i64),
  ...arithmetic(0x30, XOR),
  op(0x37, AAA, [], i64),
  ...arithmetic(0x38, CMP),
  op(0x3f, AAS, [], i64),

  ...registers(0x40, INC, [rw(Z.v)], i64),
  ...registers(0x48, DEC, [rw(Z.v)], i64),
  ...registers(0x50, PUSH, [Z.v], d64),
  ...registers(0x58, POP,  [w(Z.v)], d64),

  op(0x60, PUSHA, [], i64),
  op(0x61, POPA,  [], i64),
  op(0x62, BOUND, [G.v, M.a], i64),
  op(0x63, ARPL,   [rw(E.w), G.w], { i64: true, protectedOnly: true }),
  op(0x63, MOVSXD, [w(G.v), E.z], { o64: true }),
  op(0x68, PUSH,  [I.z], d64),
  op(0x69, IMUL3, [w(G.v), E.v, I.z]),
  op(0x6a, PUSH,  [I.bs], d64),
  op(0x6b, IMUL3, [w(G.v), E.v, I.bs]),
  op(0x6c, INS,  [w(Y.b), DX], rep),
  op(0x6d, INS,  [w(Y.z), DX], rep),
  op(0x6e, OUTS, [DX, X.b], rep),
  op(0x6f, OUTS, [DX, X.z], rep),

  ...Jcc.map((semantics, condition) => op(0x70 + condition, semantics, [J.b], f64)),

  ...immediate1(0x80, E.b, I.b),
  ...immediate1(0x81, E.v, I.z),
  ...immediate1(0x82, E.b, I.b, i64),
  ...immediate1(0x83, E.v, I.bs),
  op(0x84, TEST, [E.b, G.b]),
  op(0x85, TEST, [E.v, G.v]),
  op(0x86, XCHG, [rw(E.b), rw(G.b)], lock),
  op(0x87, XCHG, [rw(E.v), rw(G.v)], lock),
  op(0x88, MOV, [w(E.b), G.b]),
  op(0x89, MOV, [w(E.v), G.v]),
  op(0x8a, MOV, [w(G.b), E.b]),
  op(0x8b, MOV, [w(G.v), E.v]),
  op(0x8c, MOV_FROM_SREG, [w(E.vw), S.w]),
  op(0x8d, LEA, [w(G.v), M.any]),
  op(0x8e, MOV_TO_SREG, [w(S.w), E.w], { syntax: "mov" }),
  member(0x8f, 0, POP, [w(E.v)], { d64: true, popAddress: true }),

  op(0x90, PAUSE, [], { prefix: 0xf3 }),
  op(0x90, NOP, [], { rexB: 0 }),
  ...registers(0x90, XCHG, [rw(Z.v), rw(rAX)]),
  op(0x98, CBW, []),
  op(0x99, CWD, []),
  op(0x9a, CALL_FAR, [A.p], { i64: true, syntax: "call" }),
  op(0x9b, FWAIT, [], { unit: "fwait" }),
  op(0x9c, PUSHF, [], d64),
  op(0x9d, POPF,  [], d64),
  op(0x9e, SAHF, [], i64),
  op(0x9e, SAHF, [], { o64: true, feature: "LAHF64" }),
  op(0x9f, LAHF, [], i64),
  op(0x9f, LAHF, [], { o64: true, feature: "LAHF64" }),

  op(0xa0, MOV, [w(AL), O.b]),
  op(0xa1, MOV, [w(rAX), O.v]),
  op(0xa2, MOV, [w(O.b), AL]),
  op(0xa3, MOV, [w(O.v), rAX]),
  op(0xa4, MOVS, [w(Y.b), X.b], rep),
  op(0xa5, MOVS, [w(Y.v), X.v], rep),
  op(0xa6, CMPS, [X.b, Y.b], repz),
  op(0xa7, CMPS, [X.v, Y.v], repz),
  op(0xa8, TEST, [AL, I.b]),
  op(0xa9, TEST, [rAX, I.z]),
  op(0xaa, STOS, [w(Y.b)], rep),
  op(0xab, STOS, [w(Y.v)], rep),
  op(0xac, LODS, [X.b], rep),
  op(0xad, LODS, [X.v], rep),
  op(0xae, SCAS, [Y.b], repz),
  op(0xaf, SCAS, [Y.v], repz),

  ...registers(0xb0, MOV, [w(Z.b), I.b]),
  ...registers(0xb8, MOV, [w(Z.v), I.v]),

  ...group(0xc0, shifts, [rw(E.b), I.b]),
  ...group(0xc1, shifts, [rw(E.v), I.b]),
  op(0xc2, RET, [I.w], f64),
  op(0xc3, RET, [], f64),
  op(0xc4, LES, [w(G.v), M.p], i64),
  op(0xc5, LDS, [w(G.v), M.p], i64),
  member(0xc6, 0, MOV, [w(E.b), I.b]),
  member(0xc7, 0, MOV, [w(E.v), I.z]),
  op(0xc8, ENTER, [I.w, I.b], d64),
  op(0xc9, LEAVE, [], d64),
  op(0xca, RETF, [I.w]),
  op(0xcb, RETF, []),
  op(0xcc, INT3, []),
  op(0xcd, INT, [I.b]),
  op(0xce, INTO, [], i64),
  op(0xcf, IRET, []),

  ...group(0xd0, shifts, [rw(E.b), ONE]),
  ...group(0xd1, shifts, [rw(E.v), ONE]),
  ...group(0xd2, shifts, [rw(E.b), CL]),
  ...group(0xd3, shifts, [rw(E.v), CL]),
  op(0xd4, AAM, [I.b], i64),
  op(0xd5, AAD, [I.b], i64),
  op(0xd6, SALC, [], i64),
  op(0xd7, XLAT, [X.b]),

  op(0xe0, LOOPNE, [J.b], f64),
  op(0xe1, LOOPE,  [J.b], f64),
  op(0xe2, LOOP,   [J.b], f64),
  op(0xe3, JCXZ,   [J.b], f64),
  op(0xe4, IN,  [w(AL), I.b]),
  op(0xe5, IN,  [w(zAX), I.b]),
  op(0xe6, OUT, [I.b, AL]),
  op(0xe7, OUT, [I.b, zAX]),
  op(0xe8, CALL, [J.z], f64),
  op(0xe9, JMP,  [J.z], f64),
  op(0xea, JMP_FAR, [A.p], { i64: true, syntax: "jmp" }),
  op(0xeb, JMP,  [J.b], f64),
  op(0xec, IN,  [w(AL), DX]),
  op(0xed, IN,  [w(zAX), DX]),
  op(0xee, OUT, [DX, AL]),
  op(0xef, OUT, [DX, zAX]),

  op(0xf1, INT1, []),
  op(0xf4, HLT, [], { privileged: true }),
  op(0xf5, CMC, []),
  member(0xf6, 0, TEST, [E.b, I.b]),
  member(0xf6, 1, TEST, [E.b, I.b]),
  member(0xf6, 2, NOT,  [rw(E.b)], lock),
  member(0xf6, 3, NEG,  [rw(E.b)], lock),
  ...group(0xf6, [undefined, undefined, undefined, undefined, MUL, IMUL, DIV, IDIV], [E.b]),
  member(0xf7, 0, TEST, [E.v, I.z]),
  member(0xf7, 1, TEST, [E.v, I.z]),
  member(0xf7, 2, NOT,  [rw(E.v)], lock),
  member(0xf7, 3, NEG,  [rw(E.v)], lock),
  ...group(0xf7, [undefined, undefined, undefined, undefined, MUL, IMUL, DIV, IDIV], [E.v]),
  op(0xf8, CLC, []),
  op(0xf9, STC, []),
  op(0xfa, CLI, []),
  op(0xfb, STI, []),
  op(0xfc, CLD, []),
  op(0xfd, STD, []),
  ...group(0xfe, [INC, DEC], [rw(E.b)], lock),
  ...group(0xff, [INC, DEC], [rw(E.v)], lock),
  member(0xff, 2, CALL_INDIRECT, [E.v], f64),
  member(0xff, 3, CALL_FAR, [M.p], { syntax: "call" }),
  member(0xff, 4, JMP_INDIRECT, [E.v], f64),
  member(0xff, 5, JMP_FAR, [M.p], { syntax: "jmp" }),
  member(0xff, 6, PUSH, [E.v], d64),
];
