import type { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { type ControlKey, vmxControl } from "../../arch/vmx-controls.ts";
import type { Core } from "../../cpu/core.ts";
import type { Fault } from "../../cpu/fault.ts";
import { VmExit } from "../../cpu/vmx-socket.ts";
import type { Instruction } from "../../isa/instruction.ts";
import type { VmxProcessor } from "../vmx-processor.ts";

/**
 * What becomes of an instruction in VMX non-root operation: a VM exit, a fault that comes before one, "done" when it was carried out
 * here in the way of that operation; undefined: it does what it does elsewhere.
 */
export type Intercept = (vmx: VmxProcessor, instruction: Instruction) => Fault | "done" | undefined;

/** Is this control 1? */
export const controlIsSet = (key: ControlKey): ((vmx: VmxProcessor) => boolean) => {
  const { field, bit } = vmxControl(key);
  const mask = 1 << bit;
  switch (field) {
    case "control.processorBased":
      return ({ processorBased }) => (processorBased & mask) !== 0;
    case "control.secondaryProcessorBased":
      return ({ secondary }) => (secondary & mask) !== 0;
    case "control.pinBased":
      return ({ pinBased }) => (pinBased & mask) !== 0;
    default:
      throw new Error(`${key} is no VM-execution control`);
  }
};

/** One instruction's VM exit. */
export interface ExitRow {
  readonly reason: ExitReason;
  /** The control that asks for it; absent: always. */
  readonly control?: ControlKey;
  /** The control without which the instruction is #UD, before any other fault. */
  readonly enabledBy?: ControlKey;
  /** Exceptions with priority over the exit, beside the privilege that the opcode row asks. */
  readonly first?: (core: Core, instruction: Instruction) => Fault | undefined;
  readonly qualification?: (core: Core, instruction: Instruction) => bigint;
  readonly information?: (instruction: Instruction) => number;
}

/** The exit of a row, with the length of the instruction. */
export const exitOf = (
  { reason, qualification, information }: ExitRow,
  core: Core,
  instruction: Instruction,
): VmExit =>
  new VmExit(reason, qualification?.(core, instruction) ?? 0n, {
    instructionLength: instruction.length,
    ...(information && { instructionInformation: information(instruction) }),
  });

const always = (): boolean => true;

export const exiting = (row: ExitRow, undefinedOpcode: () => Fault): Intercept => {
  const { first, control, enabledBy } = row;
  const exits = control === undefined ? always : controlIsSet(control);
  const exists = enabledBy === undefined ? always : controlIsSet(enabledBy);
  return (vmx, instruction) => {
    if (!exists(vmx)) return undefinedOpcode();
    if (!exits(vmx)) return undefined;
    return first?.(vmx.core, instruction) ?? exitOf(row, vmx.core, instruction);
  };
};
