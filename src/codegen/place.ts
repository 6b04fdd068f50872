import type { FlagName } from "../ir/effects.ts";
import type { Width } from "../ir/value.ts";
import type { GeneralRegister } from "../state/layout.ts";
import type { Code } from "../wasm/code.ts";
import type { LazyFlags } from "./flags.ts";
import type { HandlerContext, HandlerSpec } from "./handler-spec.ts";

/**
 * Where one instruction is emitted: into a handler, which reads its record, or into a region, whose registers are locals and
 * whose operands are constants. What the instruction does is the same in both (emit-instruction.ts).
 */
export interface Place {
  readonly code: Code;
  readonly spec: HandlerSpec;
  readonly context: HandlerContext;

  /** Push the register operand `index`, zero-extended from its width. */
  readOperand(index: number, width: Width): void;
  /** Write the register operand `index`; `push` leaves the value. */
  writeOperand(index: number, width: Width, push: () => void): void;
  /** The same of 32 or 64 bits of an XMM register as a float. */
  readOperandFloat(index: number, width: 32 | 64): void;
  writeOperandFloat(index: number, width: 32 | 64, push: () => void): void;
  /** Push the low bits of a state field. */
  readField(name: string, width: Width): void;
  writeField(name: string, width: Width, push: () => void): void;
  immediate(width: Width): void;
  /** Push a general register at the address size, zero-extended to 64 bits. */
  addressRegister(name: GeneralRegister, size: 16 | 32 | 64): void;
  /** Push the effective address of the encoded memory operand, 64 bits. */
  encodedAddress(index: number): void;
  /** Push the base of the segment that the memory operand is encoded with; its number. */
  encodedSegmentBase(): void;
  encodedSegmentNumber(): void;
  /** Push the offset in CS of the next instruction, 64 bits. */
  nextRip(): void;

  /** Push a flag, 0 or 1. */
  readFlag(name: FlagName): void;
  /** Push RFLAGS, 64 bits, settled. */
  readRflags(): void;
  /** The six status flags become this function of its inputs, each pushed by `input`. */
  writeLazy(lazy: LazyFlags, input: (index: number) => void): void;
  /** Before flags are merged into RFLAGS. `all`: every status flag is replaced. */
  beforeMerge(all: boolean): void;
  afterMerge(all: boolean): void;

  /** A local with the key of TLB lookups, where the place has one. */
  readonly tlbKey: number | undefined;
  /** The key in the state has changed. */
  tlbKeyChanged(): void;
  /** Does the place carry out the stores that went through the slow path itself, behind the instruction? */
  readonly flushes: boolean;

  /**
   * Carry out the whole instruction but for lazy flags by a function of its own, from the state in memory: for what is rare. Places
   * without it have it inline.
   */
  carryOutOfLine?(): void;

  /**
   * Leave the whole instruction, of which nothing has happened yet, to its handler. False: there is no other. A path that ends here costs
   * the others nothing; a call that comes back would keep everything that lives across it in memory.
   */
  abandon(): boolean;
  /** Return to the processor; the exit's kind has been stored. */
  leave(): void;
  /** Leave the instruction, of which nothing has happened yet, to its procedure. */
  toProcedure(): void;
  raise(vector: number, errorCode: (() => void) | undefined): void;
}
