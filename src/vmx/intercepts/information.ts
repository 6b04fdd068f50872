import type { Core } from "../../cpu/core.ts";
import { effectiveAddress, memoryOperand, nextRip } from "../../cpu/operands.ts";
import { getSegment } from "../../cpu/segmentation.ts";
import type { SegmentName } from "../../ir/effects.ts";
import type { DecodedOperand, Instruction, RegisterOperand } from "../../isa/instruction.ts";

/**
 * What a VM exit reports of its instruction: SDM Vol. 3, "Information for VM Exits Due to Instruction Execution", the formats of
 * the VM-exit instruction-information field, and "Basic VM-Exit Information" on displacements. Undefined bits are 0.
 */

const segmentNumber: Readonly<Record<SegmentName, number>> = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5 };
const scaling = { 1: 0, 2: 1, 4: 2, 8: 3 } as const;

const addressSizeShift = 7;
const isRegister = 1 << 10;
const segmentShift = 15;
const indexShift = 18;
const noIndex = 1 << 22;
const baseShift = 23;
const noBase = 1 << 27;
const identityShift = 28;
const register1Shift = 3;
const register2Shift = 28;

/** 0, 1, 2 for 16, 32, 64 bits. */
const sizeNumber = (bits: 16 | 32 | 64): number => bits >> 5;

const operandBits = (instruction: Instruction, operand: DecodedOperand): number => {
  if (operand.kind !== "memory") return isRegister | ((operand as RegisterOperand).number << register1Shift);
  const { base, index, scale, segment } = operand;
  return (
    scaling[scale] |
    (sizeNumber(instruction.addressSize) << addressSizeShift) |
    (segmentNumber[segment] << segmentShift) |
    (index === undefined ? noIndex : index << indexShift) |
    (typeof base === "number" ? base << baseShift : noBase)
  );
};

const at = (instruction: Instruction, index: number): DecodedOperand => instruction.operands[index]!;
const numberAt = (instruction: Instruction, index: number): number =>
  (instruction.operands[index] as RegisterOperand).number;

/** VMCLEAR, VMPTRLD, VMPTRST, VMXON, XRSTORS, XSAVES: a memory operand. */
export const memoryInformation = (instruction: Instruction): number =>
  operandBits(instruction, at(instruction, 0));

/** INVEPT, INVPCID, INVVPID: a register, then memory. */
export const invalidationInformation = (instruction: Instruction): number =>
  (operandBits(instruction, at(instruction, 1)) | (numberAt(instruction, 0) << register2Shift)) >>> 0;

/** VMREAD and VMWRITE: `other` is the operand that may be memory, `encoding` the register with the field's encoding. */
export const fieldInformation =
  (other: 0 | 1, encoding: 0 | 1) =>
  (instruction: Instruction): number =>
    (operandBits(instruction, at(instruction, other)) |
      (numberAt(instruction, encoding) << register2Shift)) >>>
    0;

const is32BitOperand = 1 << 11;

/** LIDT, LGDT, SIDT, SGDT. `identity`: 0 SGDT, 1 SIDT, 2 LGDT, 3 LIDT. */
export const tableInformation =
  (identity: 0 | 1 | 2 | 3) =>
  (instruction: Instruction): number =>
    operandBits(instruction, at(instruction, 0)) |
    (instruction.codeSize !== 64 && instruction.operandSize === 32 ? is32BitOperand : 0) |
    (identity << identityShift);

/** LLDT, LTR, SLDT, STR. `identity`: 0 SLDT, 1 STR, 2 LLDT, 3 LTR. */
export const selectorInformation =
  (identity: 0 | 1 | 2 | 3) =>
  (instruction: Instruction): number =>
    operandBits(instruction, at(instruction, 0)) | (identity << identityShift);

/** RDRAND and RDSEED. */
export const randomInformation = (instruction: Instruction): number =>
  (numberAt(instruction, 0) << register1Shift) | (sizeNumber(instruction.operandSize) << 11);

/** INS and OUTS: the segment is that of OUTS. */
export const stringInformation = (instruction: Instruction, segment: SegmentName): number =>
  (sizeNumber(instruction.addressSize) << addressSizeShift) | (segmentNumber[segment] << segmentShift);

/** The displacement of the memory operand, sign-extended, plus the next instruction's address where it is relative to that; else 0. */
export const displacement = (core: Core, instruction: Instruction): bigint => {
  for (const operand of instruction.operands)
    if (operand.kind === "memory") {
      const from = operand.base === "RIP" ? nextRip(core, instruction) : 0n;
      return BigInt.asUintN(64, operand.displacement + from);
    }
  return 0n;
};

/** Linear address of an offset in a segment, whether or not segmentation would let it pass. */
export const linearWithoutChecks = (
  core: Core,
  { codeSize }: Instruction,
  segment: SegmentName,
  offset: bigint,
): bigint => {
  if (codeSize !== 64) return (getSegment(core.state, segment).base + offset) & 0xffff_ffffn;
  return segment === "FS" || segment === "GS"
    ? BigInt.asUintN(64, core.state[`${segment}.base`] + offset)
    : offset;
};

/** Linear address of the memory operand `index`. */
export const operandLinear = (core: Core, instruction: Instruction, index: number): bigint => {
  const operand = memoryOperand(instruction, index);
  return linearWithoutChecks(
    core,
    instruction,
    operand.segment,
    effectiveAddress(core, instruction, operand),
  );
};
