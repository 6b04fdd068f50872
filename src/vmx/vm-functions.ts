import { Exception } from "../arch/exceptions.ts";
import { ExitReason } from "../arch/vm-exit-reasons.ts";
import { controlMask } from "../arch/vmx-controls.ts";
import { Fault } from "../cpu/fault.ts";
import { VmExit } from "../cpu/vmx-socket.ts";
import type { Instruction } from "../isa/instruction.ts";
import { isValidEptp } from "./eptp.ts";
import { goOn } from "./outcome.ts";
import { fieldOffset } from "./vmcs.ts";
import type { VmxGuest } from "./vmx-guest.ts";

/** SDM Vol. 3, "VM Functions". */

const enableVMFunctions = controlMask("enableVMFunctions");
const eptViolationVE = controlMask("eptViolationVE");
const vmFunctionControls = fieldOffset("control.vmFunctionControls");
const eptPointer = fieldOffset("control.eptPointer");
const eptpIndex = fieldOffset("control.eptpIndex");
const eptpListAddress = fieldOffset("control.eptpListAddress");
/** Pointers in an EPTP list. */
const listEntries = 512;

/** VM function 0, "EPTP Switching": to entry ECX of the list. False is a VM exit. */
const switchEptp = (vmx: VmxGuest): boolean => {
  const { vmcs, core } = vmx;
  const index = core.state.low32("RCX");
  if (index >= listEntries) return false;
  const entry = Number(vmcs.value(eptpListAddress) & ~0xfffn) + 8 * index;
  const low = core.physical.read(entry, 4) >>> 0;
  const eptp = (BigInt(core.physical.read(entry + 4, 4) >>> 0) << 32n) | BigInt(low);
  if (!isValidEptp(core.model, eptp)) return false;
  vmcs.setValue(eptPointer, eptp);
  if (vmx.secondary & eptViolationVE) vmcs.setLow(eptpIndex, index);
  return true;
};

/** VMFUNC in non-root operation, at any privilege level. */
export const vmFunction = (vmx: VmxGuest, instruction: Instruction): Fault | undefined => {
  const { vmcs, core } = vmx;
  const number = core.state.low32("RAX");
  if (!(vmx.secondary & enableVMFunctions) || number > 63) return new Fault(Exception.UD);
  const enabled = (vmcs.value(vmFunctionControls) >> BigInt(number)) & 1n;
  // No other function exists, and VM entry refuses to enable one.
  if (enabled === 0n || number !== 0 || !switchEptp(vmx))
    return new VmExit(ExitReason.VMFUNC, 0n, { instructionLength: instruction.length });
  goOn(vmx, instruction);
  return undefined;
};
