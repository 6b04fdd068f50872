import type { Value, Width } from "./value.ts";

export type SegmentName = "ES" | "CS" | "SS" | "DS" | "FS" | "GS";

/** A segment by name, or (a number) the one that this memory operand is encoded with, override included. */
export type SegmentSource = SegmentName | number;

/** Status flags and the system flags an instruction may write. */
export type FlagName =
  | "CF" | "PF" | "AF" | "ZF" | "SF" | "OF"
  | "DF" | "IF" | "TF" | "IOPL0" | "IOPL1" | "NT" | "RF" | "AC" | "VIF" | "VIP" | "ID";

export type StatusFlag = "CF" | "PF" | "AF" | "ZF" | "SF" | "OF";
export const statusFlags: readonly StatusFlag[] = ["CF", "PF", "AF", "ZF", "SF", "OF"];

/** New values of flags; a flag that is absent keeps its value. */
export type Flags = Partial<Record<FlagName, Value>>;

export interface Commit {
  readonly name: string;
  readonly value: Value;
}

/**
 * What one instruction does, in the order the frame carries it out: loads and faults in their order, then stores, then
 * (when nothing faulted) register writes, flags, and the jump. Every value is a function of the state *before* the instruction.
 */
export type Effect =
  /** A data read at segment:address; its result is the leaf `load` number `index`. `forWrite`: probed for write first, as `rw` operands are. */
  | { readonly kind: "load"; readonly index: number; readonly segment: SegmentSource; readonly address: Value; readonly width: Width; readonly forWrite: boolean }
  /**
   * Raise exception `vector` when the condition holds; without `errorCode` the exception pushes none. `commit` is the one
   * state field that changes although the instruction faults: MXCSR, whose flags tell the handler why (#XM).
   */
  | { readonly kind: "fault"; readonly when: Value; readonly vector: number; readonly errorCode: Value | undefined; readonly commit?: Commit }
  | { readonly kind: "store"; readonly segment: SegmentSource; readonly address: Value; readonly value: Value }
  /** Write an operand of the instruction: register or memory, as encoded. 64 bits written to a 32-bit register operand are the whole register. */
  | { readonly kind: "writeOperand"; readonly index: number; readonly value: Value }
  /** Write the low bits of a state field; a 32-bit write of a general register zero-extends to 64. */
  | { readonly kind: "writeRegister"; readonly name: string; readonly value: Value }
  /** The rest holds only where the condition does not: else the instruction is a procedure, of which nothing has happened yet. */
  | { readonly kind: "procedure"; readonly when: Value }
  /** When the guard is absent or true, these flags change. */
  | { readonly kind: "flags"; readonly flags: Flags; readonly when: Value | undefined }
  /** Continue at this offset in CS instead of the next instruction. */
  | { readonly kind: "jump"; readonly target: Value; readonly when: Value | undefined }
  /** Interrupts stay inhibited until the next instruction has completed (SDM Vol. 2, STI). */
  | { readonly kind: "interruptShadow"; readonly when: Value }
  /** IF or TF may have been set: look for events before the next instruction. */
  | { readonly kind: "attention"; readonly when: Value };

export interface Effects {
  readonly effects: readonly Effect[];
}
