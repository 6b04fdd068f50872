import { postedInterruptDescriptor, VirtualApic } from "../../arch/virtual-apic.ts";
import { controlMask } from "../../arch/vmx-controls.ts";
import { fieldOffset } from "../vmcs.ts";
import type { VmxGuest } from "../vmx-guest.ts";
import { readVirtual, writeVirtual } from "./virtual-apic.ts";
import { request } from "./virtual-interrupts.ts";

/** SDM Vol. 3, "Posted-Interrupt Processing". */

const processPostedInterrupts = controlMask("processPostedInterrupts");
const notificationVector = fieldOffset("control.postedInterruptNotificationVector");
const descriptorAddress = fieldOffset("control.postedInterruptDescriptorAddress");
const TWO32 = 0x1_0000_0000;
const { requests, control, outstanding } = postedInterruptDescriptor;

/**
 * An external interrupt has been acknowledged. True: it was the notification, and the interrupts that were posted are now
 * virtual ones; false: the interrupt causes a VM exit as usual.
 */
export const takePostedInterrupts = (vmx: VmxGuest, vector: number): boolean => {
  const { vmcs, core } = vmx;
  const { physical } = core;
  if (!(vmx.pinBased & processPostedInterrupts) || vector !== (vmcs.low(notificationVector) & 0xff))
    return false;
  const descriptor =
    (vmcs.high(descriptorAddress) & 0xf_ffff) * TWO32 + ((vmcs.low(descriptorAddress) & ~0x3f) >>> 0);
  const flags = descriptor + control;
  physical.write(flags, (physical.read(flags, 4) & ~outstanding) >>> 0, 4);
  core.apic.endOfInterrupt();
  let highest = 0;
  for (let word = 0; word < 8; word++) {
    const at = descriptor + requests + 4 * word;
    const posted = physical.read(at, 4) >>> 0;
    if (posted === 0) continue;
    physical.write(at, 0, 4);
    const register = VirtualApic.VIRR + 16 * word;
    writeVirtual(vmx, register, readVirtual(vmx, register) | posted);
    highest = 32 * word + 31 - Math.clz32(posted);
  }
  request(vmx, highest);
  return true;
};
