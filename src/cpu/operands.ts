import type { Instruction, MemoryOperand } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { dataWrite, probeLinear } from "./linear-memory.ts";
import { linearAddress, readMemory, selectorOf, writeMemory } from "./segmentation.ts";

/** Operands of an instruction, for procedures: state.RIP is the instruction's own. */

const encodedSegments = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;

/** Offset of the following instruction. */
export const nextRip = (core: Core, instruction: Instruction): bigint =>
  BigInt.asUintN(instruction.codeSize, core.state.RIP + BigInt(instruction.length));

const ripOffset = offsetOf("RIP");

/** Go on at the following instruction, wherever RIP is by now: `low` and `high` are the halves of the instruction's own. */
export const goPast = (core: Core, instruction: Instruction, low: number, high: number): void => {
  const { view } = core.state;
  const sum = low + instruction.length;
  const carry = sum > 0xffff_ffff ? 1 : 0;
  view.setUint32(ripOffset, instruction.codeSize === 16 ? sum & 0xffff : sum >>> 0, true);
  view.setUint32(ripOffset + 4, instruction.codeSize === 64 ? (high + carry) >>> 0 : 0, true);
};

/** Effective address of a memory operand with 32-bit addressing, without a bigint. */
export const effectiveAddress32 = (core: Core, operand: MemoryOperand): number => {
  const { view } = core.state;
  let address = Number(BigInt.asIntN(32, operand.displacement));
  if (typeof operand.base === "number") address += view.getInt32(8 * operand.base, true);
  if (operand.index !== undefined)
    address += Math.imul(view.getInt32(8 * operand.index, true), operand.scale);
  return address >>> 0;
};

/** Effective address of a memory operand: (base + index * scale + displacement) truncated to the address size. */
export const effectiveAddress = (core: Core, instruction: Instruction, operand: MemoryOperand): bigint => {
  const { state } = core;
  let address = operand.displacement;
  if (operand.base === "RIP") address += state.RIP + BigInt(instruction.length);
  else if (operand.base !== undefined) address += state.general(operand.base);
  if (operand.index !== undefined) address += state.general(operand.index) * BigInt(operand.scale);
  return BigInt.asUintN(instruction.addressSize, address);
};

/** The operand as memory; an instruction whose row says so has one there. */
export const memoryOperand = (instruction: Instruction, index: number): MemoryOperand => {
  const operand = instruction.operands[index];
  if (operand?.kind !== "memory") throw new Error(`${instruction.row.semantics.mnemonic}: operand ${index}`);
  return operand;
};

/** `size` bytes at `displacement` beyond the effective address of a memory operand. */
export const readMemoryOperand = (
  core: Core,
  instruction: Instruction,
  index: number,
  size: number,
  displacement = 0,
): bigint | Fault => {
  const operand = memoryOperand(instruction, index);
  const offset = effectiveAddress(core, instruction, operand) + BigInt(displacement);
  return readMemory(core, operand.segment, BigInt.asUintN(instruction.addressSize, offset), size);
};

export const writeMemoryOperand = (
  core: Core,
  instruction: Instruction,
  index: number,
  value: bigint,
  size: number,
  displacement = 0,
): Fault | undefined => {
  const operand = memoryOperand(instruction, index);
  const offset = effectiveAddress(core, instruction, operand) + BigInt(displacement);
  return writeMemory(core, operand.segment, BigInt.asUintN(instruction.addressSize, offset), value, size);
};

/** Linear address of a memory operand of `size` bytes, checked by segmentation and not by paging. */
export const linearOfOperand = (
  core: Core,
  instruction: Instruction,
  index: number,
  size: number,
  access: number,
): bigint | Fault => {
  const operand = memoryOperand(instruction, index);
  return linearAddress(core, operand.segment, effectiveAddress(core, instruction, operand), size, access);
};

/** Read a register, memory or immediate operand; `size` (bytes) replaces the memory operand's own width. */
export const readOperand = (
  core: Core,
  instruction: Instruction,
  index: number,
  size?: number,
): bigint | Fault => {
  const operand = instruction.operands[index]!;
  switch (operand.kind) {
    case "memory":
      return readMemoryOperand(core, instruction, index, size ?? operand.width / 8);
    case "immediate":
      return operand.value;
    case "far":
      return BigInt(operand.offset);
    case "register": {
      if (operand.file === "segment") return BigInt(selectorOf(core.state, encodedSegments[operand.number]!));
      const value = core.state.general(operand.number);
      return BigInt.asUintN(operand.width, operand.high ? value >> 8n : value);
    }
  }
};

/** Write a general register as instructions do: 8 and 16 bits merge, 32 bits zero-extend. */
export const writeGeneral = (
  core: Core,
  number: number,
  width: number,
  value: bigint,
  high = false,
): void => {
  const { state } = core;
  const before = state.general(number);
  if (width >= 32) state.setGeneral(number, BigInt.asUintN(width, value));
  else if (width === 16) state.setGeneral(number, (before & ~0xffffn) | (value & 0xffffn));
  else if (high) state.setGeneral(number, (before & ~0xff00n) | ((value & 0xffn) << 8n));
  else state.setGeneral(number, (before & ~0xffn) | (value & 0xffn));
};

/** Write a general register or memory operand; `size` (bytes) replaces the memory operand's own width. */
export const writeOperand = (
  core: Core,
  instruction: Instruction,
  index: number,
  value: bigint,
  size?: number,
): Fault | undefined => {
  const operand = instruction.operands[index]!;
  if (operand.kind === "memory")
    return writeMemoryOperand(core, instruction, index, value, size ?? operand.width / 8);
  if (operand.kind !== "register") throw new Error(`${instruction.row.semantics.mnemonic}: operand ${index}`);
  writeGeneral(core, operand.number, operand.width, value, operand.high);
  return undefined;
};

/** The fault a write of a memory operand would raise. */
export const probeOperand = (
  core: Core,
  instruction: Instruction,
  index: number,
  size: number,
): Fault | undefined => {
  const linear = linearOfOperand(core, instruction, index, size, dataWrite(core));
  return linear instanceof Fault ? linear : probeLinear(core, linear, size, dataWrite(core));
};
