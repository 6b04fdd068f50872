import type { AddressShape } from "../codegen/handler-spec.ts";
import { fixedHandlers } from "../codegen/interpreter-module.ts";
import { RecordKind, record } from "../codegen/record.ts";
import type { Instruction, MemoryOperand } from "../isa/instruction.ts";
import { offsetOf, segmentRegisters } from "../state/layout.ts";
import { isRelative, type Variant } from "./handler-library.ts";
import { registerOffset } from "./register-offset.ts";

const zeroSlot = offsetOf("zero");
const ripBaseSlot = offsetOf("ripBase");
const segmentBaseSlots = segmentRegisters.map((name) => offsetOf(`${name}.base`));

const relativeDisplacement = (instruction: Instruction): number => {
  const operand = instruction.operands[0]!;
  return operand.kind === "immediate" ? Number(BigInt.asIntN(operand.width, operand.value)) : 0;
};

/**
 * Does a relative branch stay in its page, without any truncation of the target taking part? `lowest`: the page offset below which it may
 * not go.
 */
export const isNear = (instruction: Instruction, rip: number, offset: number, lowest: number): boolean => {
  if (!isRelative(instruction.row)) return false;
  if (instruction.operandSize !== instruction.codeSize && instruction.codeSize !== 64) return false;
  const displacement = relativeDisplacement(instruction);
  const target = offset + instruction.length + displacement;
  if (target < lowest || target >= 4096) return false;
  if (instruction.codeSize === 64) return true;
  const targetRip = (rip >>> 0) + instruction.length + displacement;
  return targetRip >= 0 && targetRip <= (instruction.codeSize === 16 ? 0xffff : 0xffff_ffff);
};

/** Writes records, which codegen/record.ts describes. */
export class RecordWriter {
  readonly #view: DataView;

  constructor(view: DataView) {
    this.#view = view;
  }

  /** A record that returns to the processor; `kind`: an ExitKind. */
  exit(at: number, kind: number, offset: number, retired: number): void {
    this.blank(at, fixedHandlers.exit, offset, offset, retired);
    this.#view.setInt32(at + record.immediate, kind, true);
  }

  blank(at: number, handler: number, offset: number, next: number, retired: number): void {
    const view = this.#view;
    view.setUint32(at + record.handler, handler, true);
    view.setUint16(at + record.slot0, zeroSlot, true);
    view.setUint16(at + record.slot1, zeroSlot, true);
    view.setUint16(at + record.slot2, zeroSlot, true);
    view.setUint16(at + record.base, zeroSlot, true);
    view.setUint16(at + record.index, zeroSlot, true);
    view.setUint8(at + record.scale, 0);
    view.setUint8(at + record.retired, retired);
    view.setUint16(at + record.offset, offset, true);
    view.setUint16(at + record.next, next, true);
    view.setUint16(at + record.segmentBase, zeroSlot, true);
    view.setUint8(at + record.segment, 3);
    view.setUint8(at + record.kind, RecordKind.plain);
    view.setBigUint64(at + record.wide, 0n, true);
  }

  instruction(at: number, variant: Variant, handler: number, offset: number, retired: number): void {
    const view = this.#view;
    const { instruction, near } = variant;
    this.blank(at, handler, offset, offset + instruction.length, retired);
    if (variant.facts.shadows) view.setUint8(at + record.kind, RecordKind.shadow);
    let slot = 0;
    for (const [index, operand] of instruction.operands.entries()) {
      if (operand.kind === "register") {
        // Where ST(i) is, TOP says.
        if (operand.file !== "x87")
          view.setUint16(at + record.slot0 + 2 * slot, registerOffset(operand), true);
        slot++;
      } else if (operand.kind === "immediate") {
        if (variant.wideImmediate) view.setBigUint64(at + record.wide, operand.value, true);
        else view.setInt32(at + record.immediate, Number(BigInt.asIntN(32, operand.value)), true);
      } else if (operand.kind === "memory" && instruction.row.operands[index]!.addressing !== "Y")
        // ES:rDI needs nothing from the record: the one encoded address is the other operand's.
        this.#writeAddress(at, operand, offset + instruction.length, variant.shape);
    }
    if (near) {
      view.setInt32(
        at + record.immediate,
        offset + instruction.length + relativeDisplacement(instruction),
        true,
      );
      view.setInt32(at + record.displacement, 0, true);
    }
  }

  #writeAddress(at: number, operand: MemoryOperand, next: number, shape: AddressShape): void {
    const view = this.#view;
    const segment = segmentRegisters.indexOf(operand.segment);
    view.setUint8(at + record.segment, segment);
    view.setUint16(at + record.segmentBase, segmentBaseSlots[segment]!, true);
    if (shape === "wide") {
      view.setBigUint64(at + record.wide, BigInt.asUintN(64, operand.displacement), true);
      return;
    }
    let displacement = Number(operand.displacement);
    if (operand.base === "RIP") {
      view.setUint16(at + record.base, ripBaseSlot, true);
      displacement += next;
    } else if (operand.base !== undefined) view.setUint16(at + record.base, 8 * operand.base, true);
    if (operand.index !== undefined) {
      view.setUint16(at + record.index, 8 * operand.index, true);
      view.setUint8(at + record.scale, Math.log2(operand.scale));
    }
    view.setInt32(at + record.displacement, displacement, true);
  }
}
