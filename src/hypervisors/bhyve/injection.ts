import { controlMask } from "../../arch/vmx-controls.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import type { VmxDoor } from "../host/vmx-door.ts";
import { blocking, entryEvent, field, type VmxVcpu } from "./vmx-vcpu.ts";

/** What goes into the guest with the next VM entry: at most one event. */

export const interruptWindow = controlMask("interruptWindowExiting");
export const nmiWindow = controlMask("nmiWindowExiting");
const IF = 1 << 9;

const setControls = (door: VmxDoor, cpu: HostProcessor, vcpu: VmxVcpu, value: number): void => {
  if (value === vcpu.processorBased) return;
  vcpu.processorBased = value;
  door.write32(cpu, field.processorBased, value);
};

export const openWindow = (door: VmxDoor, cpu: HostProcessor, vcpu: VmxVcpu, window: number): void =>
  setControls(door, cpu, vcpu, vcpu.processorBased | window);

export const closeWindow = (door: VmxDoor, cpu: HostProcessor, vcpu: VmxVcpu, window: number): void =>
  setControls(door, cpu, vcpu, vcpu.processorBased & ~window);

/** Try to inject: what is in the VMCS already, an NMI, an interrupt, in that order. A window opens for what cannot go in now. */
export const injectEvents = (door: VmxDoor, cpu: HostProcessor, vcpu: VmxVcpu): void => {
  const { around } = vcpu;
  if (!around.nmiPending && !around.apic.hasInterrupt()) return;
  // An entry that was abandoned has left its event there.
  if (door.read32(cpu, field.entryInterruption) & entryEvent.valid) return;
  const interruptibility = door.read32(cpu, field.interruptibility);
  const inShadow = (interruptibility & (blocking.STI | blocking.movSS)) !== 0;
  if (around.nmiPending) {
    if (inShadow || interruptibility & blocking.NMI) openWindow(door, cpu, vcpu, nmiWindow);
    else {
      door.write32(cpu, field.entryInterruption, entryEvent.valid | entryEvent.NMI | 2);
      around.nmiPending = false;
    }
    return;
  }
  if (inShadow || (door.read32(cpu, field.rflags) & IF) === 0) {
    openWindow(door, cpu, vcpu, interruptWindow);
    return;
  }
  door.write32(cpu, field.entryInterruption, entryEvent.valid | around.apic.acknowledge());
};

const isSoftware = (information: number): boolean => ((information >>> 8) & 7) >= 4;

/** An event whose delivery was cut short by the VM exit is delivered again. */
export const requeueInterrupted = (door: VmxDoor, cpu: HostProcessor): void => {
  const information = door.read32(cpu, field.idtVectoringInformation);
  if ((information & entryEvent.valid) === 0) return;
  door.write32(cpu, field.entryInterruption, information & ~entryEvent.nmiUnblocking);
  if (information & entryEvent.errorCode)
    door.write32(cpu, field.entryErrorCode, door.read32(cpu, field.idtVectoringErrorCode));
  if (isSoftware(information))
    door.write32(cpu, field.entryInstructionLength, door.read32(cpu, field.instructionLength));
  if (((information >>> 8) & 7) === 2) {
    const state = door.read32(cpu, field.interruptibility);
    if (state & blocking.NMI) door.write32(cpu, field.interruptibility, state & ~blocking.NMI);
  }
};
