import { VirtualApic } from "../../arch/virtual-apic.ts";
import { controlMask } from "../../arch/vmx-controls.ts";
import { deliver } from "../../cpu/exceptions.ts";
import { fieldOffset } from "../vmcs.ts";
import type { VmxGuest } from "../vmx-guest.ts";
import { clearPending, isRecognized, PendingKind, postpone, recognize } from "./pending.ts";
import { clearVector, highestVector, readVirtual, setVector, writeVirtual } from "./virtual-apic.ts";

/** SDM Vol. 3, "Virtual APIC State" and "Evaluation and Delivery of Virtual Interrupts". */

const useTPRShadow = controlMask("useTPRShadow");
const interruptWindowExiting = controlMask("interruptWindowExiting");
const virtualizeAPICAccesses = controlMask("virtualizeAPICAccesses");
const virtualInterruptDelivery = controlMask("virtualInterruptDelivery");

const interruptStatus = fieldOffset("guest.interruptStatus");
const tprThreshold = fieldOffset("control.tprThreshold");
const eoiExitBitmap0 = fieldOffset("control.eoiExitBitmap0");
const { VTPR, VPPR, VEOI, VISR, VIRR } = VirtualApic;

export const deliversVirtualInterrupts = (vmx: VmxGuest): boolean =>
  (vmx.secondary & virtualInterruptDelivery) !== 0;

/** Requesting and servicing virtual interrupt: low and high byte of the guest interrupt status. */
const requesting = ({ vmcs }: VmxGuest): number => vmcs.low(interruptStatus) & 0xff;
const servicing = ({ vmcs }: VmxGuest): number => (vmcs.low(interruptStatus) >>> 8) & 0xff;
const setStatus = ({ vmcs }: VmxGuest, rvi: number, svi: number): void =>
  vmcs.setLow(interruptStatus, (svi << 8) | rvi);

/** "PPR Virtualization" */
const virtualizePpr = (vmx: VmxGuest): void => {
  const tpr = readVirtual(vmx, VTPR) & 0xff;
  const svi = servicing(vmx);
  writeVirtual(vmx, VPPR, tpr >>> 4 >= svi >>> 4 ? tpr : svi & 0xf0);
};

/** "Evaluation of Pending Virtual Interrupts" */
const evaluate = (vmx: VmxGuest): void =>
  recognize(
    vmx,
    (vmx.processorBased & interruptWindowExiting) === 0 &&
      requesting(vmx) >>> 4 > (readVirtual(vmx, VPPR) & 0xff) >>> 4,
  );

const tprBelowThreshold = (vmx: VmxGuest): boolean =>
  (readVirtual(vmx, VTPR) & 0xff) >>> 4 < (vmx.vmcs.low(tprThreshold) & 0xf);

/** "TPR Virtualization": after VTPR has changed. */
export const virtualizeTpr = (vmx: VmxGuest): void => {
  if (deliversVirtualInterrupts(vmx)) {
    virtualizePpr(vmx);
    evaluate(vmx);
  } else if (tprBelowThreshold(vmx)) postpone(vmx, PendingKind.tprExit);
};

/** "EOI Virtualization" */
export const virtualizeEoi = (vmx: VmxGuest): void => {
  const vector = servicing(vmx);
  writeVirtual(vmx, VEOI, 0);
  clearVector(vmx, VISR, vector);
  setStatus(vmx, requesting(vmx), highestVector(vmx, VISR));
  virtualizePpr(vmx);
  const word = vmx.vmcs.view.getUint32(
    vmx.vmcs.base + eoiExitBitmap0 + 8 * (vector >>> 6) + 4 * ((vector >>> 5) & 1),
    true,
  );
  if ((word >>> (vector & 31)) & 1) postpone(vmx, PendingKind.eoiExit, vector);
  else evaluate(vmx);
};

/** "Self-IPI Virtualization" */
export const virtualizeSelfIpi = (vmx: VmxGuest, vector: number): void => {
  setVector(vmx, VIRR, vector);
  request(vmx, vector);
};

/** RVI becomes at least this vector. */
export const request = (vmx: VmxGuest, vector: number): void => {
  setStatus(vmx, Math.max(requesting(vmx), vector), servicing(vmx));
  evaluate(vmx);
};

/** "Virtual-Interrupt Delivery": the recognized interrupt goes through the guest's IDT. The caller knows that it may. */
export const deliverVirtualInterrupt = (vmx: VmxGuest): void => {
  const vector = requesting(vmx);
  setVector(vmx, VISR, vector);
  writeVirtual(vmx, VPPR, vector & 0xf0);
  clearVector(vmx, VIRR, vector);
  setStatus(vmx, highestVector(vmx, VIRR), vector);
  recognize(vmx, false);
  deliver(vmx.core, { type: "external interrupt", vector, midRepeat: vmx.core.midRepeat });
};

/** A virtual interrupt waits for RFLAGS.IF and the end of blocking by STI and MOV SS. */
export const virtualInterruptPending = (vmx: VmxGuest): boolean =>
  deliversVirtualInterrupts(vmx) && isRecognized(vmx);

/** VM entry, once the guest's state is loaded. */
export const enterVirtualApic = (vmx: VmxGuest): void => {
  clearPending(vmx);
  if (deliversVirtualInterrupts(vmx)) {
    virtualizePpr(vmx);
    evaluate(vmx);
    return;
  }
  // "VM Exits Induced by the TPR Threshold": checks have refused the other guests whose TPR is below.
  const checked = vmx.processorBased & useTPRShadow && vmx.secondary & virtualizeAPICAccesses;
  if (checked && tprBelowThreshold(vmx)) postpone(vmx, PendingKind.tprExit);
};
