import type { Semantics } from "./define.ts";
import type { Operand } from "./operands.ts";

/** Opcode maps of SDM Vol. 2, Appendix A. */
export type OpcodeMap = "one-byte" | "0F" | "0F38" | "0F3A";

/** CPUID features that gate rows; the names are the SDM's. `undefined` = every processor with 64-bit mode. */
// biome-ignore format: one list
export type Feature =
  | "SSE3" | "SSSE3" | "SSE4_1" | "SSE4_2" | "POPCNT" | "LZCNT" | "BMI1" | "BMI2" | "ADX" | "MOVBE" | "AES" | "PCLMULQDQ" | "SHA" | "RDRAND" | "RDSEED" | "RDPID"
  | "FSGSBASE" | "XSAVE" | "XSAVEOPT" | "XSAVEC" | "XSAVES" | "CLFLUSHOPT" | "CLWB" | "RDTSCP" | "INVPCID" | "SMAP" | "MONITOR" | "CMPXCHG16B" | "VMX" | "SERIALIZE" | "PREFETCHW" | "LAHF64" | "CLDEMOTE" | "MOVDIRI" | "MOVDIR64B" | "WAITPKG" | "PKU";

export interface RowOptions {
  /** LOCK is allowed with a memory destination. */
  readonly lock?: true;
  /** Mandatory prefix of the row. A row without it accepts any; "none" only without 66, F2, F3; "sized" without F2, F3. */
  readonly prefix?: "none" | "sized" | 0x66 | 0xf2 | 0xf3;
  /** Exact ModRM.mod class, beyond what the operand letters say. */
  readonly mod?: "memory" | "register";
  /** Exact ModRM.rm (0F 01 C1 ...). */
  readonly rm?: number;
  /** Exact REX.B (0 without REX): 90 is NOP or XCHG R8, rAX. */
  readonly rexB?: 0 | 1;
  /** Invalid (#UD) in 64-bit mode. */
  readonly i64?: true;
  /** Valid only in 64-bit mode. */
  readonly o64?: true;
  /** Operand size defaults to 64 in 64-bit mode, 66 gives 16 (PUSH, POP ...). */
  readonly d64?: true;
  /** Operand size is 64 in 64-bit mode whatever the prefixes say (near branches, MOV CR). */
  readonly f64?: true;
  /** Operand size is always 32 outside and 64 inside 64-bit mode; 66 has no effect. */
  readonly ignore66?: true;
  /** REX.W (or VEX.W) must have this value. */
  readonly rexW?: 0 | 1;
  /** VEX-coded: the row is reached only with a VEX prefix; L must be 0. */
  readonly vex?: true;
  readonly feature?: Feature;
  /** #GP(0) unless CPL = 0. */
  readonly privileged?: true;
  /** Repeats under F3/F2: "rep" (count only) or "repz" (count and ZF). */
  readonly repeat?: "rep" | "repz";
  /** Uses the register file that CR0.TS/EM and CR4.OSFXSR guard: which rules apply ("sse+mmx": both, as CVTPI2PS and MOVQ2DQ). */
  readonly unit?: "x87" | "mmx" | "sse" | "sse+mmx" | "fwait";
  /** SSE memory operand of 16 bytes must be aligned (#GP); rows of MOVUPS-like instructions set false. Default true for 128-bit W/M operands of unit "sse"; true asks it of others (CMPXCHG16B). */
  readonly aligned?: boolean;
  /** Not valid in real and virtual-8086 mode (#UD): LAR, SLDT, ... */
  readonly protectedOnly?: true;
  /** POP to memory: the effective address uses the stack pointer after the pop. */
  readonly popAddress?: true;
  /** Text for the disassembler where it is not the mnemonic in lower case. */
  readonly syntax?: string;
}

/** Rows that use XMM registers: CR4.OSFXSR guards them, and their 16-byte memory operands are aligned. */
export const usesSSE = ({ unit }: RowOptions): boolean => unit === "sse" || unit === "sse+mmx";

/** True where a memory operand of 16 bytes must be aligned: #GP(0) otherwise. */
export const asksAlignment = (row: RowOptions): boolean => row.aligned ?? usesSSE(row);
/** Rows that turn the x87 registers into MMX registers. */
export const entersMMX = ({ unit }: RowOptions): boolean => unit === "mmx" || unit === "sse+mmx";

/** One instruction encoding: a line of the opcode map. */
export interface Row extends RowOptions {
  readonly map: OpcodeMap;
  readonly opcode: number;
  /** ModRM.reg when the opcode is a group (/0 ... /7). */
  readonly digit: number | undefined;
  readonly semantics: Semantics;
  readonly operands: readonly Operand[];
}

export interface MapBuilder {
  /** One opcode. */
  op(opcode: number, semantics: Semantics, operands: readonly Operand[], options?: RowOptions): Row;
  /** A group: the entry's place in the list is ModRM.reg; undefined is #UD. */
  group(
    opcode: number,
    members: readonly (Semantics | undefined)[],
    operands: readonly Operand[],
    options?: RowOptions,
  ): Row[];
  /** One member of a group: opcode /digit. */
  member(
    opcode: number,
    digit: number,
    semantics: Semantics,
    operands: readonly Operand[],
    options?: RowOptions,
  ): Row;
  /** Eight opcodes whose low three bits are a register (`Z` operand): one row stands for all. */
  registers(opcode: number, semantics: Semantics, operands: readonly Operand[], options?: RowOptions): Row[];
}

/** Rows of one opcode map. */
export const mapBuilder = (map: OpcodeMap): MapBuilder => {
  const row = (
    opcode: number,
    digit: number | undefined,
    semantics: Semantics,
    operands: readonly Operand[],
    options: RowOptions,
  ): Row => ({ map, opcode, digit, semantics, operands, ...options });
  return {
    op: (opcode, semantics, operands, options = {}) => row(opcode, undefined, semantics, operands, options),
    group: (opcode, members, operands, options = {}) =>
      members.flatMap((semantics, digit) =>
        semantics ? [row(opcode, digit, semantics, operands, options)] : [],
      ),
    member: (opcode, digit, semantics, operands, options = {}) =>
      row(opcode, digit, semantics, operands, options),
    registers: (opcode, semantics, operands, options = {}) =>
      Array.from({ length: 8 }, (_, n) => row(opcode + n, undefined, semantics, operands, options)),
  };
};
