import { readMsr, writeMsr } from "../../cpu/msrs.ts";
import { loadControlState, storeControlState } from "../host/guest-state.ts";
import { field } from "../host/vmcs-slots.ts";
import { EFER, KERNEL_GS_BASE, msrsInVmcs, TSC, TSC_ADJUST } from "./msr-lists.ts";
import { area } from "./vcpu-area.ts";
import type { VcpuVmx } from "./vcpu-vmx.ts";

/** An MSR of the guest; undefined: it has none of this number. */
export const readGuestMsr = (vmx: VcpuVmx, index: number): bigint | undefined => {
  const name = msrsInVmcs.get(index);
  if (name !== undefined) return vmx.read64(field[name]);
  if (index === KERNEL_GS_BASE) return vmx.around.kvm.kernel.memory.read64(vmx.area + area.guestKernelGsBase);
  return readMsr(vmx.core, index);
};

/** False: #GP(0). */
export const writeGuestMsr = (vmx: VcpuVmx, index: number, value: bigint): boolean => {
  const { core } = vmx;
  if (index === EFER) return writeEfer(vmx, value);
  if (!writeMsr(core, index, value)) return false;
  const name = msrsInVmcs.get(index);
  if (name !== undefined) vmx.write64(field[name], value);
  else if (index === KERNEL_GS_BASE)
    vmx.around.kvm.kernel.memory.write64(vmx.area + area.guestKernelGsBase, value);
  else if (index === TSC || index === TSC_ADJUST)
    vmx.write64(field["control.tscOffset"], core.state.tscOffset);
  return true;
};

const writeEfer = (vmx: VcpuVmx, value: bigint): boolean => {
  const { state } = vmx.core;
  loadControlState(state, vmx);
  if (!writeMsr(vmx.core, EFER, value)) return false;
  storeControlState(state, vmx);
  vmx.switchEfer();
  return true;
};
