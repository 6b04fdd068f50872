/**
 * Operand forms in the letters of SDM Vol. 2, Appendix A.2 ("Key to Abbreviations"): where an operand is encoded
 * (first letter) and how wide it is (second). One row per form; decode, encode and disassemble are its readers.
 */

/** Where an operand is encoded. */
export type Addressing =
  | "E" // ModRM.rm: general register or memory
  | "G" // ModRM.reg: general register
  | "M" // ModRM.rm: memory only
  | "R" // ModRM.rm: general register only
  | "B" // VEX.vvvv: general register
  | "Z" // low three bits of the opcode: general register
  | "I" // immediate
  | "J" // immediate, relative to the next instruction
  | "O" // absolute offset after the opcode (moffs)
  | "A" // far pointer after the opcode
  | "S" // ModRM.reg: segment register
  | "C" // ModRM.reg: control register
  | "D" // ModRM.reg: debug register
  | "V" // ModRM.reg: XMM register
  | "W" // ModRM.rm: XMM register or memory
  | "U" // ModRM.rm: XMM register only
  | "P" // ModRM.reg: MMX register
  | "Q" // ModRM.rm: MMX register or memory
  | "N" // ModRM.rm: MMX register only
  | "F" // x87 ST(i) by ModRM.rm
  | "X" // DS:rSI (segment may be overridden)
  | "Y" // ES:rDI
  | "fixed" // a general register that the opcode names
  | "fixedSegment"; // a segment register that the opcode names; `fixed` is its number

/** Width of an operand. */
// biome-ignore format: one row per fact
export type Size =
  | "b" | "w" | "d" | "q" // 8, 16, 32, 64 bits
  | "v" // 16, 32 or 64 by operand size
  | "z" // 16 by operand size 16, else 32
  | "y" // 64 by operand size 64, else 32
  | "dq" // 128
  | "t" // 80 (x87)
  | "s" // pseudo-descriptor: 48 bits, 80 in 64-bit mode
  | "p" // far pointer: 32, 48 or 80 bits by operand size
  | "a" // BOUND pair: two words or two doublewords
  | "any"; // memory of no particular size (LEA, INVLPG, FXSAVE)

export interface Operand {
  readonly addressing: Addressing;
  readonly size: Size;
  readonly access: "r" | "w" | "rw";
  /** Immediates: sign-extended to the operand size. */
  readonly signExtended?: boolean;
  /** Registers may be wider than the memory operand of the same form (MOV r32/m16, PINSRB r32/m8). */
  readonly registerSize?: Size;
  /** For `fixed`: general register number (0 = AL/AX/EAX/RAX ...), or the constant 1 of D0/D1 shifts. */
  readonly fixed?: number | "one";
}

const operand = (addressing: Addressing, size: Size, more: Partial<Operand> = {}): Operand => ({
  addressing,
  size,
  access: "r",
  ...more,
});

export const w = (form: Operand): Operand => ({ ...form, access: "w" });
export const rw = (form: Operand): Operand => ({ ...form, access: "rw" });

// biome-ignore format: one row per fact
export const E = { b: operand("E", "b"), w: operand("E", "w"), d: operand("E", "d"), q: operand("E", "q"), v: operand("E", "v"), y: operand("E", "y"), z: operand("E", "z"),
  /** r32/m8, r32/m16: PINSRB, PEXTRW ...; the register form is read or written as 32 bits. */
  db: operand("E", "b", { registerSize: "d" }), dw: operand("E", "w", { registerSize: "d" }),
  /** r16/32/64 or m16: SLDT, STR, SMSW. */
  vw: operand("E", "w", { registerSize: "v" }) } as const;
// biome-ignore format: one row per fact
export const G = { b: operand("G", "b"), w: operand("G", "w"), d: operand("G", "d"), q: operand("G", "q"), v: operand("G", "v"), y: operand("G", "y"), z: operand("G", "z") } as const;
// biome-ignore format: one row per fact
export const M = { any: operand("M", "any"), b: operand("M", "b"), w: operand("M", "w"), d: operand("M", "d"), q: operand("M", "q"), v: operand("M", "v"), y: operand("M", "y"), dq: operand("M", "dq"), t: operand("M", "t"), s: operand("M", "s"), p: operand("M", "p"), a: operand("M", "a") } as const;
// biome-ignore format: one row per fact
export const R = { d: operand("R", "d"), q: operand("R", "q"), v: operand("R", "v"), y: operand("R", "y") } as const;
export const B = { y: operand("B", "y") } as const;
export const Z = { b: operand("Z", "b"), v: operand("Z", "v"), y: operand("Z", "y") } as const;
// biome-ignore format: one row per fact
export const I = { b: operand("I", "b"), w: operand("I", "w"), v: operand("I", "v"),
  /** imm16 or imm32, sign-extended to the operand size. */ z: operand("I", "z", { signExtended: true }),
  /** imm8, sign-extended to the operand size. */ bs: operand("I", "b", { signExtended: true }) } as const;
export const J = { b: operand("J", "b"), z: operand("J", "z") } as const;
export const O = { b: operand("O", "b"), v: operand("O", "v") } as const;
export const A = { p: operand("A", "p") } as const;
export const S = { w: operand("S", "w") } as const;
export const C = { y: operand("C", "y") } as const;
export const D = { y: operand("D", "y") } as const;
export const V = { dq: operand("V", "dq"), q: operand("V", "q"), d: operand("V", "d") } as const;
// biome-ignore format: one row per fact
export const W = { dq: operand("W", "dq"), q: operand("W", "q"), d: operand("W", "d"), w: operand("W", "w") } as const;
export const U = { dq: operand("U", "dq"), q: operand("U", "q"), d: operand("U", "d") } as const;
export const P = { q: operand("P", "q"), d: operand("P", "d") } as const;
export const Q = { q: operand("Q", "q"), d: operand("Q", "d") } as const;
export const N = { q: operand("N", "q") } as const;
export const ST = operand("F", "t");
export const X = { b: operand("X", "b"), v: operand("X", "v"), z: operand("X", "z") } as const;
export const Y = { b: operand("Y", "b"), v: operand("Y", "v"), z: operand("Y", "z") } as const;

export const AL = operand("fixed", "b", { fixed: 0 });
export const CL = operand("fixed", "b", { fixed: 1 });
export const AX = operand("fixed", "w", { fixed: 0 });
export const DX = operand("fixed", "w", { fixed: 2 });
/** eAX / rAX of the operand size. */
export const rAX = operand("fixed", "v", { fixed: 0 });
/** AX or EAX, by operand size: IN and OUT. */
export const zAX = operand("fixed", "z", { fixed: 0 });
/** The count 1 of D0 and D1. */
export const ONE = operand("fixed", "b", { fixed: "one" });
/** Segment registers that the opcode names: PUSH ES, POP FS ... */
// biome-ignore format: one row per fact
export const ES = operand("fixedSegment", "w", { fixed: 0 }), CS = operand("fixedSegment", "w", { fixed: 1 }), SS = operand("fixedSegment", "w", { fixed: 2 }),
  DS = operand("fixedSegment", "w", { fixed: 3 }), FS = operand("fixedSegment", "w", { fixed: 4 }), GS = operand("fixedSegment", "w", { fixed: 5 });
/** ST(0). */
export const ST0 = operand("fixed", "t", { fixed: 0 });
