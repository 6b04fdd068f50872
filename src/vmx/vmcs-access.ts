import type { Fault, ProcedureOutcome } from "../cpu/core.ts";
import { readMemoryOperand, writeMemoryOperand } from "../cpu/operands.ts";
import type { Instruction, RegisterOperand } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { noteForeignWrite, noteWrite } from "./current-vmcs.ts";
import { VMfailInvalid, VMfailValid, VMsucceed } from "./outcome.ts";
import { ordinalOffset, originOffset, type Vmcs } from "./vmcs.ts";
import { encodings } from "./vmcs-fields-of-model.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/** VMREAD and VMWRITE, of the current VMCS or of a guest's shadow VMCS. Hot: words, no bigint for register operands. */

const ripOffset = offsetOf("RIP");
const retiredOffset = offsetOf("retired");

const unsupportedComponent = 12;
const readOnlyComponent = 13;

/** A field as VMREAD and VMWRITE name it, found by `lookUp`. */
let ordinal = 0;
let isHighHalf = false;

/** The field that register `number` names; false: there is none on this processor. */
const lookUp = (vmx: VmxProcessor, number: number, long: boolean): boolean => {
  const { view } = vmx.core.state;
  const encoding = view.getUint32(8 * number, true);
  if (encoding >= encodings || (long && view.getUint32(8 * number + 4, true) !== 0)) return false;
  const entry = vmx.fields.fields[encoding]! - 1;
  ordinal = entry >> 1;
  isHighHalf = (entry & 1) === 1;
  return entry >= 0;
};

/** VMREAD dest, encoding: the operand is 64 bits wide in 64-bit mode, else 32. */
export const vmread = (vmx: VmxProcessor, instruction: Instruction, vmcs: Vmcs): ProcedureOutcome => {
  if (vmcs.base < 0) return VMfailInvalid(vmx, instruction);
  const long = instruction.codeSize === 64;
  const dest = instruction.operands[0]!;
  const source = instruction.operands[1]!;
  if (!lookUp(vmx, (source as RegisterOperand).number, long))
    return VMfailValid(vmx, instruction, unsupportedComponent, vmcs);
  const from = vmcs.base + ordinalOffset(ordinal);
  const low = vmcs.view.getUint32(isHighHalf ? from + 4 : from, true);
  const high = long && !isHighHalf ? vmcs.view.getUint32(from + 4, true) : 0;
  if (dest.kind === "register") {
    const { view } = vmx.core.state;
    view.setUint32(8 * dest.number, low, true);
    view.setUint32(8 * dest.number + 4, high, true);
  } else {
    const value = (BigInt(high) << 32n) | BigInt(low);
    const fault = writeMemoryOperand(vmx.core, instruction, 0, value, long ? 8 : 4);
    if (fault) return fault;
  }
  return VMsucceed(vmx, instruction);
};

/** What VMWRITE stores, found by `readSource`. */
let sourceLow = 0;
let sourceHigh = 0;

const readSource = (vmx: VmxProcessor, instruction: Instruction, long: boolean): Fault | undefined => {
  const source = instruction.operands[1]!;
  if (source.kind === "register") {
    const { view } = vmx.core.state;
    sourceLow = view.getUint32(8 * source.number, true);
    sourceHigh = long ? view.getUint32(8 * source.number + 4, true) : 0;
    return undefined;
  }
  const value = readMemoryOperand(vmx.core, instruction, 1, long ? 8 : 4);
  if (typeof value !== "bigint") return value;
  sourceLow = Number(value & 0xffff_ffffn);
  sourceHigh = Number(value >> 32n);
  return undefined;
};

/** VMWRITE encoding, source. Where it was done is kept beside the field. */
export const vmwrite = (vmx: VmxProcessor, instruction: Instruction, vmcs: Vmcs): ProcedureOutcome => {
  if (vmcs.base < 0) return VMfailInvalid(vmx, instruction);
  const long = instruction.codeSize === 64;
  const fault = readSource(vmx, instruction, long);
  if (fault) return fault;
  if (!lookUp(vmx, (instruction.operands[0] as RegisterOperand).number, long))
    return VMfailValid(vmx, instruction, unsupportedComponent, vmcs);
  const { fields } = vmx;
  if (fields.isInformation[ordinal] === 1 && !vmx.writesInformation)
    return VMfailValid(vmx, instruction, readOnlyComponent, vmcs);
  storeField(vmx, vmcs, ordinal, isHighHalf, sourceLow, sourceHigh);
  return VMsucceed(vmx, instruction);
};

/** What VMWRITE does once its operands are found valid: store what fits the field, and say where that was done. */
export const storeField = (
  vmx: VmxProcessor,
  vmcs: Vmcs,
  ordinal: number,
  isHighHalf: boolean,
  sourceLow: number,
  sourceHigh: number,
): void => {
  const { fields } = vmx;
  const { view, base } = vmcs;
  if (vmcs === vmx.vmcs) noteWrite(vmx, base);
  else noteForeignWrite(vmx, base);
  const to = base + ordinalOffset(ordinal);
  const low = view.getUint32(to, true);
  const high = view.getUint32(to + 4, true);
  const nextLow = isHighHalf ? low : sourceLow & fields.lowMask[ordinal]!;
  const nextHigh = isHighHalf ? sourceLow : sourceHigh & fields.highMask[ordinal]!;
  view.setUint32(to, nextLow, true);
  view.setUint32(to + 4, nextHigh, true);
  const { view: state } = vmx.core.state;
  const origin = base + originOffset(ordinal);
  view.setUint32(origin, state.getUint32(ripOffset, true), true);
  view.setUint32(origin + 4, state.getUint32(ripOffset + 4, true), true);
  view.setUint32(origin + 8, state.getUint32(retiredOffset, true), true);
  view.setUint32(origin + 12, state.getUint32(retiredOffset + 4, true), true);
  if (vmcs === vmx.vmcs) vmx.checks.noteWrite(ordinal, low ^ nextLow, high ^ nextHigh);
};
