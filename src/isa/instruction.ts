import type { SegmentName } from "../ir/effects.ts";
import type { Width } from "../ir/value.ts";
import type { Row } from "./row.ts";

/** A register operand: `file` and number, REX applied; `high` for AH, CH, DH, BH, whose number is that of RAX ... RBX (0 to 3). */
export interface RegisterOperand {
  readonly kind: "register";
  readonly file: "general" | "segment" | "control" | "debug" | "xmm" | "mmx" | "x87";
  readonly number: number;
  readonly high: boolean;
  readonly width: Width;
}

/** A memory operand; its effective address is (base + index * scale + displacement) truncated to the address size. */
export interface MemoryOperand {
  readonly kind: "memory";
  readonly segment: SegmentName;
  /** General register number, "RIP" (the next instruction's offset), or none. */
  readonly base: number | "RIP" | undefined;
  readonly index: number | undefined;
  readonly scale: 1 | 2 | 4 | 8;
  /** Sign-extended; for moffs a full 64-bit offset. */
  readonly displacement: bigint;
  /** Bits; 0 when the operand has no particular size. */
  readonly width: number;
}

/** An immediate, already extended to `width` bits (unsigned pattern). Relative branches give the sign-extended displacement. */
export interface ImmediateOperand {
  readonly kind: "immediate";
  readonly value: bigint;
  readonly width: Width;
}

export interface FarPointerOperand {
  readonly kind: "far";
  readonly selector: number;
  readonly offset: number;
}

export type DecodedOperand = RegisterOperand | MemoryOperand | ImmediateOperand | FarPointerOperand;

/** One decoded instruction. */
export interface Instruction {
  readonly row: Row;
  /** Bytes, 1 to 15. */
  readonly length: number;
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  readonly stackSize: 16 | 32 | 64;
  readonly codeSize: 16 | 32 | 64;
  /** Last of F3 ("repz") and F2 ("repnz"), when the row does not take it as mandatory prefix. */
  readonly rep: "none" | "repz" | "repnz";
  readonly lock: boolean;
  /** The segment-override prefix in force; `undefined` without one. */
  readonly segmentOverride: SegmentName | undefined;
  readonly operands: readonly DecodedOperand[];
}

/** Code size, stack size and privilege-free facts that decode an instruction. */
export interface DecodeMode {
  readonly codeSize: 16 | 32 | 64;
  readonly stackSize: 16 | 32 | 64;
  /** Real or virtual-8086 mode: rows marked protectedOnly are #UD. */
  readonly realLike: boolean;
}

/** Why bytes are not an instruction: raises that exception. `length` = bytes consumed until the refusal was certain. */
export interface DecodeFault {
  readonly kind: "fault";
  readonly vector: 6 | 13;
  readonly length: number;
}
/** The bytes given end within the instruction: fetch more (at most 15 in all). */
export interface DecodeIncomplete {
  readonly kind: "incomplete";
}
