import { RFLAGS } from "../arch/flags.ts";
import type { VmInstructionErrorNumber } from "../arch/vm-instruction-errors.ts";
import type { Core } from "../cpu/core.ts";
import type { Instruction } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { noteWrite } from "./current-vmcs.ts";
import { fieldOffset, type Vmcs } from "./vmcs.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/** How VMX instructions end: SDM Vol. 3, "VMX Instruction Reference", "Conventions". Hot: words. */

const flagsOffset = offsetOf("RFLAGS");
const ripOffset = offsetOf("RIP");
const interruptibilityOffset = offsetOf("interruptibility");
const instructionError = fieldOffset("exit.vmInstructionError");

const CF = Number(RFLAGS.CF);
const ZF = Number(RFLAGS.ZF);
const statusFlags = Number(RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.OF);
/** Blocking by STI or MOV SS. */
const shadow = 3;

/** Go on at the next instruction: blocking by STI or MOV SS ends. */
export const goOn = ({ core }: { readonly core: Core }, { length, codeSize }: Instruction): void => {
  const { view } = core.state;
  const blocking = view.getUint32(interruptibilityOffset, true);
  if (blocking & shadow) view.setUint32(interruptibilityOffset, blocking & ~shadow, true);
  const low = view.getUint32(ripOffset, true) + length;
  if (codeSize === 16) view.setUint32(ripOffset, low & 0xffff, true);
  else view.setUint32(ripOffset, low >>> 0, true);
  if (codeSize === 64 && low > 0xffff_ffff)
    view.setUint32(ripOffset + 4, view.getUint32(ripOffset + 4, true) + 1, true);
};

const finish = (vmx: VmxProcessor, instruction: Instruction, flags: number): undefined => {
  const { view } = vmx.core.state;
  view.setUint32(flagsOffset, (view.getUint32(flagsOffset, true) & ~statusFlags) | flags, true);
  goOn(vmx, instruction);
};

export const VMsucceed = (vmx: VmxProcessor, instruction: Instruction): undefined =>
  finish(vmx, instruction, 0);

export const VMfailInvalid = (vmx: VmxProcessor, instruction: Instruction): undefined => {
  const { observer } = vmx;
  if (observer?.vmFail) observer.vmFail({ instruction, error: undefined }, vmx.core);
  return finish(vmx, instruction, CF);
};

/** `vmcs` takes the error number: the current VMCS, or the shadow VMCS that a guest reads and writes. */
export const VMfailValid = (
  vmx: VmxProcessor,
  instruction: Instruction,
  error: VmInstructionErrorNumber,
  vmcs: Vmcs = vmx.vmcs,
): undefined => {
  const { observer } = vmx;
  if (observer?.vmFail) observer.vmFail({ instruction, error }, vmx.core);
  noteWrite(vmx, vmcs.base);
  vmcs.setLow(instructionError, error);
  return finish(vmx, instruction, ZF);
};

/** VMfailValid if there is a current VMCS, else VMfailInvalid. */
export const VMfail = (
  vmx: VmxProcessor,
  instruction: Instruction,
  error: VmInstructionErrorNumber,
): undefined => (vmx.vmcs.base < 0 ? VMfailInvalid(vmx, instruction) : VMfailValid(vmx, instruction, error));
