import type { Commit, Effect, FlagName, Flags, SegmentSource } from "./effects.ts";
import { constant, leaf, TRUE, type Value, type Width } from "./value.ts";

/** What is fixed when an instruction is decoded, and may change its meaning. */
export interface Form {
  /** Bits; 8-bit instructions have their operands' width 8 and any operandSize. */
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  /** Width of the stack pointer in use: 64 in 64-bit mode, else by SS.B. */
  readonly stackSize: 16 | 32 | 64;
  /** 64 in 64-bit mode, else by CS.D. */
  readonly codeSize: 16 | 32 | 64;
  /** Per operand: its width in bits and where it lives; of an immediate its value, where the meaning is wanted for just that one. */
  readonly operands: readonly {
    readonly width: Width;
    readonly kind: OperandKind;
    readonly immediate?: bigint;
    /** i of ST(i). */
    readonly stack?: number;
  }[];
}

export type OperandKind = "register" | "memory" | "immediate";

/**
 * The frame of one instruction: semantics functions read values from it and declare effects on it. It performs nothing;
 * readers carry the effects out. All reads see the state before the instruction.
 */
export class Frame {
  readonly form: Form;
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  readonly stackSize: 16 | 32 | 64;
  readonly codeSize: 16 | 32 | 64;
  readonly effects: Effect[] = [];
  readonly operands: readonly Value[];
  #loads = 0;
  #stackOffset = 0;

  constructor(form: Form) {
    this.form = form;
    this.operandSize = form.operandSize;
    this.addressSize = form.addressSize;
    this.stackSize = form.stackSize;
    this.codeSize = form.codeSize;
    this.operands = form.operands.map(({ width, immediate }, index) =>
      immediate === undefined ? leaf.operand(index, width) : constant(immediate, width),
    );
  }

  /** True in 64-bit mode. */
  get long(): boolean {
    return this.codeSize === 64;
  }

  #indexOf(operand: Value): number {
    if (operand.op !== "operand") throw new Error("not an operand of the instruction");
    return operand.attr as number;
  }

  isMemory(operand: Value): boolean {
    return this.form.operands[this.#indexOf(operand)]!.kind === "memory";
  }

  /** Effective address of a memory operand: the offset within its segment, 64 bits, zero-extended from the address size. */
  address(operand: Value): Value {
    return leaf.address(this.#indexOf(operand));
  }

  /** The segment a memory operand is encoded with, for loads and stores near it (BT with a register bit offset, XLAT). */
  segment(operand: Value): SegmentSource {
    return this.#indexOf(operand);
  }

  /**
   * Low `width` bits of a state field by the SDM's name: RAX ... R15 (or ES.base, MXCSR, ... : state/layout.ts). In the usual form of a
   * procedure also ST(i) by the TOP before the instruction, in two parts (`ST0.significand`, `ST0.sign`, with the exponent), and RIP,
   * that of the instruction.
   */
  register(name: string, width: Width = 64): Value {
    return leaf.register(name, width);
  }

  /** Offset of the next instruction in CS, of the operand size. */
  nextRip(width: Width = this.operandSize): Value {
    return leaf.nextRip().truncate(width);
  }

  flag(name: FlagName): Value {
    return leaf.flag(name);
  }

  rflags(): Value {
    return leaf.rflags();
  }

  /** A read of memory besides the operands. Order of loads and faults is the order of these calls. */
  load(segment: SegmentSource, address: Value, width: Width, forWrite = false): Value {
    const index = this.#loads++;
    this.effects.push({ kind: "load", index, segment, address: address.resize(64), width, forWrite });
    return leaf.load(index, width);
  }

  store(segment: SegmentSource, address: Value, value: Value): void {
    this.effects.push({ kind: "store", segment, address: address.resize(64), value });
  }

  /** Write an operand; the frame knows whether it is a register or memory. */
  write(operand: Value, value: Value): void {
    const index = this.#indexOf(operand);
    if (value.width !== operand.width)
      throw new Error(`write ${value.width} bits to operand of ${operand.width}`);
    this.effects.push({ kind: "writeOperand", index, value });
  }

  /** All 64 bits of a general register operand, for instructions that may leave bits 63:32 alone (BSF, CMPXCHG). */
  whole(operand: Value): Value {
    return leaf.operand(this.#indexOf(operand), 64);
  }

  /** Write all 64 bits of a general register operand of 32 bits. */
  writeWhole(operand: Value, value: Value): void {
    this.effects.push({ kind: "writeOperand", index: this.#indexOf(operand), value });
  }

  /** Write a state field; 8 and 16 bits merge, 32 bits of a general register zero-extend. */
  set(name: string, value: Value): void {
    this.effects.push({ kind: "writeRegister", name, value });
  }

  flags(flags: Flags, when?: Value): void {
    if (when?.isConst && when.bits === 0n) return;
    this.effects.push({ kind: "flags", flags, when: when?.isConst ? undefined : when });
  }

  /** The usual form that is declared here does not cover this case. */
  procedure(when: Value): void {
    if (!when.isConst || when.bits !== 0n) this.effects.push({ kind: "procedure", when });
  }

  /** Raise `vector` when the condition holds; a faulting instruction changes nothing but the field of `commit`. */
  fault(vector: number, when: Value, errorCode?: Value | number, commit?: Commit): void {
    if (when.isConst && when.bits === 0n) return;
    const code = typeof errorCode === "number" ? constant(errorCode, 32) : errorCode;
    this.effects.push({ kind: "fault", when, vector, errorCode: code, ...(commit && { commit }) });
  }

  jump(target: Value, when?: Value): void {
    this.effects.push({ kind: "jump", target: target.resize(64), when });
  }

  interruptShadow(when: Value = TRUE): void {
    this.effects.push({ kind: "interruptShadow", when });
  }

  attention(when: Value = TRUE): void {
    this.effects.push({ kind: "attention", when });
  }

  /** The stack pointer as wide as the stack. */
  stackPointer(): Value {
    return this.register("RSP", this.stackSize);
  }

  /** SS:[SP - size] <- value; several pushes stack up. Call `commitStack()` once after the last push or pop. */
  push(value: Value): void {
    this.#stackOffset -= value.width / 8;
    this.store("SS", this.stackPointer().add(this.#stackOffset), value);
  }

  pop(width: Width = this.operandSize): Value {
    const value = this.load("SS", this.stackPointer().add(this.#stackOffset), width);
    this.#stackOffset += width / 8;
    return value;
  }

  /** Write the stack pointer that the pushes and pops imply (a 32-bit stack pointer leaves bits 63:32 zero). */
  commitStack(extra: Value | number = 0): void {
    this.set("RSP", this.stackPointer().add(this.#stackOffset).add(extra));
  }
}
