import { vmcsFieldNames } from "../../arch/vmcs-field-names.ts";
import type { Core } from "../../cpu/core.ts";
import { Fault } from "../../cpu/fault.ts";
import { dataRead } from "../../cpu/linear-memory.ts";
import { linearOfOperand } from "../../cpu/operands.ts";
import { walkLinear } from "../../cpu/page-walk.ts";
import type { Instruction } from "../../isa/instruction.ts";
import { generalRegisters } from "../../state/layout.ts";
import { fieldOfEncoding } from "./field-lookup.ts";

/** An operand of a VMX instruction that failed. */
export interface OperandValue {
  /** "RAX", or "memory at 0x1000" by its linear address. */
  readonly operand: string;
  readonly value: string;
  /** What the value is, where that can be told: a field's name. */
  readonly means?: string;
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;
/** Operand that holds a field's encoding. */
const encodingOperand: Readonly<Record<string, number>> = { VMREAD: 1, VMWRITE: 0 };

/** Eight bytes of RAM behind a linear address; undefined where they are not in one page of it. */
const readQuietly = (core: Core, instruction: Instruction, index: number): OperandValue | undefined => {
  const linear = linearOfOperand(core, instruction, index, 8, dataRead(core));
  if (linear instanceof Fault || (linear & 0xfffn) > 0xff8n) return undefined;
  const walked = walkLinear(core, linear, dataRead(core));
  if (walked instanceof Fault || walked.apicAccess || !core.physical.isRam(walked.address)) return undefined;
  const { address } = walked;
  const [low, high] = [core.physical.read(address, 4) >>> 0, core.physical.read(address + 4, 4) >>> 0];
  return { operand: `memory at ${hex(linear)}`, value: hex((BigInt(high) << 32n) | BigInt(low)) };
};

const meaning = (value: bigint): string => {
  const found = value < 0x1_0000n ? fieldOfEncoding(Number(value)) : undefined;
  return found === undefined
    ? "no field known here"
    : `${vmcsFieldNames(found.field.name).sdm}${found.isHighHalf ? " (high)" : ""}`;
};

/** What the operands hold. The instruction has read them already, so that reading them again changes nothing. */
export const operandValues = (core: Core, instruction: Instruction): OperandValue[] => {
  const { mnemonic } = instruction.row.semantics;
  const values = instruction.operands.map((operand, index): OperandValue | undefined => {
    if (operand.kind === "memory")
      return mnemonic === "VMREAD" || mnemonic === "VMWRITE"
        ? undefined
        : readQuietly(core, instruction, index);
    if (operand.kind !== "register" || operand.file !== "general") return undefined;
    const value = core.state.general(operand.number);
    const means = encodingOperand[mnemonic] === index ? { means: meaning(value) } : {};
    return { operand: generalRegisters[operand.number]!, value: hex(value), ...means };
  });
  return values.filter((value) => value !== undefined);
};
