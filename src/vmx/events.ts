import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import { ExitReason } from "../arch/vm-exit-reasons.ts";
import { controlMask } from "../arch/vmx-controls.ts";
import type { Event } from "../cpu/fault.ts";
import { VmExit } from "../cpu/vmx-socket.ts";
import { offsetOf } from "../state/layout.ts";
import { apicBoundary } from "./apic-virtualization/apic-write.ts";
import { hasPostponed } from "./apic-virtualization/pending.ts";
import { takePostedInterrupts } from "./apic-virtualization/posted-interrupts.ts";
import {
  deliverVirtualInterrupt,
  virtualInterruptPending,
} from "./apic-virtualization/virtual-interrupts.ts";
import { interruption, interruptionOf } from "./interruption.ts";
import { vmExit } from "./vm-exit.ts";
import { fieldOffset } from "./vmcs.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/**
 * Events in VMX non-root operation: exceptions and interrupts that cause VM exits, and the boundaries between instructions
 * (SDM Vol. 3, "Other Causes of VM Exits", "Event Blocking", "Features Specific to VMX Non-Root Operation").
 */

const externalInterruptExiting = controlMask("externalInterruptExiting");
const nmiExiting = controlMask("nmiExiting");
const virtualNMIs = controlMask("virtualNMIs");
const interruptWindowExiting = controlMask("interruptWindowExiting");
const nmiWindowExiting = controlMask("nmiWindowExiting");
const monitorTrapFlag = controlMask("monitorTrapFlag");
const acknowledgeInterruptOnExit = controlMask("acknowledgeInterruptOnExit");

const flagsOffset = offsetOf("RFLAGS");
const interruptibilityOffset = offsetOf("interruptibility");
const activityOffset = offsetOf("activity");
const retiredOffset = offsetOf("retired");
const pendingDebugOffset = offsetOf("pendingDebug");
const IF = Number(RFLAGS.IF);

/** Interruptibility: blocking by STI or MOV SS; by NMI. */
const shadow = 3;
const nmiBlocking = 8;
export const Activity = { active: 0, HLT: 1, shutdown: 2, waitForSipi: 3 } as const;

const pageFaultMask = fieldOffset("control.pageFaultErrorCodeMask");
const pageFaultMatch = fieldOffset("control.pageFaultErrorCodeMatch");

/** Does the exception bitmap ask for a VM exit? (SDM Vol. 3, "Exception Bitmap".) */
const exits = (vmx: VmxProcessor, { vector, errorCode = 0 }: Event): boolean => {
  const bit = ((vmx.exceptionBitmap >>> vector) & 1) === 1;
  if (vector !== Exception.PF) return bit;
  const { vmcs } = vmx;
  const matches = (errorCode & vmcs.low(pageFaultMask)) >>> 0 === vmcs.low(pageFaultMatch);
  return matches === bit;
};

export const interceptEvent = (vmx: VmxProcessor, event: Event, during: Event | undefined): boolean => {
  vmx.eventDelivered = true;
  if (event.injected) return false;
  if (event.type === "external interrupt" || event.type === "software interrupt") return false;
  if (event.type === "NMI") {
    if (!(vmx.pinBased & nmiExiting)) return false;
  } else if (event.vector > 31 || !exits(vmx, event)) return false;
  let qualification = 0n;
  if (event.vector === Exception.PF || event.vector === Exception.DB) qualification = event.payload ?? 0n;
  const software = event.type === "software exception" || event.type === "privileged software exception";
  const exit = new VmExit(ExitReason.EXCEPTION_OR_NMI, qualification, {
    interruptionInformation: (interruptionOf(event) | nmiUnblocked(vmx, event, during)) >>> 0,
    ...(event.errorCode !== undefined && { interruptionErrorCode: event.errorCode }),
    ...(software && event.instructionLength !== undefined && { instructionLength: event.instructionLength }),
  });
  // A double fault's exit does not count as one met while delivering the first event.
  vmExit(
    vmx,
    exit,
    event,
    event.vector === Exception.DF && during?.vector !== undefined ? undefined : during,
  );
  return true;
};

/** Bit 12: the exception was raised by an IRET that had unblocked NMIs. Undefined, so 0, for double faults and during delivery. */
const nmiUnblocked = (vmx: VmxProcessor, event: Event, during: Event | undefined): number =>
  vmx.nmiUnblockedByIret && !during && event.type === "hardware exception" && event.vector !== Exception.DF
    ? interruption.nmiUnblocking
    : 0;

export const interceptTripleFault = (vmx: VmxProcessor): boolean => {
  vmExit(vmx, new VmExit(ExitReason.TRIPLE_FAULT));
  return true;
};

/** Monitor trap flag: an exit after each instruction or delivery of an event. */
const monitorTrap = (vmx: VmxProcessor): boolean => {
  if (!vmx.monitorTrapPending) {
    if (!(vmx.processorBased & monitorTrapFlag)) return false;
    const count = vmx.core.state.view.getUint32(retiredOffset, true);
    const moved = vmx.eventDelivered || count !== vmx.monitorTrapFrom;
    vmx.monitorTrapFrom = count;
    if (!moved) return false;
  }
  vmExit(vmx, new VmExit(ExitReason.MONITOR_TRAP_FLAG));
  return true;
};

export const boundaryBeforeTraps = (vmx: VmxProcessor): boolean => {
  const { core } = vmx;
  vmx.nmiUnblockedByIret = false;
  const { view } = core.state;
  const activity = view.getUint32(activityOffset, true);
  if (activity !== Activity.waitForSipi) {
    const due = apicBoundary(vmx);
    if (due) {
      vmExit(vmx, due);
      return true;
    }
  }
  if (core.initPending && activity !== Activity.waitForSipi) {
    core.initPending = false;
    vmExit(vmx, new VmExit(ExitReason.INIT_SIGNAL));
    return true;
  }
  if (activity === Activity.waitForSipi) {
    const vector = core.sipiVector;
    core.initPending = false;
    if (vector === undefined) return false;
    core.sipiVector = undefined;
    vmExit(vmx, new VmExit(ExitReason.SIPI, BigInt(vector)));
    return true;
  }
  core.sipiVector = undefined; // a SIPI outside wait-for-SIPI is lost
  return monitorTrap(vmx);
};

export const boundaryBeforeNmi = (vmx: VmxProcessor): boolean => {
  const { core } = vmx;
  const { view } = core.state;
  if (vmx.preemptionTimer.expired) {
    const activity = view.getUint32(activityOffset, true);
    if (activity !== Activity.waitForSipi) {
      vmExit(vmx, new VmExit(ExitReason.PREEMPTION_TIMER));
      return true;
    }
  }
  if (nmiWindowOpen(vmx)) {
    vmExit(vmx, new VmExit(ExitReason.NMI_WINDOW));
    return true;
  }
  return virtualizedNmi(vmx);
};

/** With "virtual NMIs", interruptibility bit 3 says nothing of real NMIs: they cause VM exits whatever it is. */
const virtualizedNmi = (vmx: VmxProcessor): boolean => {
  const { core } = vmx;
  if (!core.nmiPending || !(vmx.pinBased & virtualNMIs) || vmx.hostNmiBlocking) return false;
  const { view } = core.state;
  if (view.getUint32(interruptibilityOffset, true) & shadow) return false;
  if (view.getUint32(activityOffset, true) === Activity.waitForSipi) return false;
  core.nmiPending = false;
  const event: Event = { type: "NMI", vector: Exception.NMI };
  const exit = new VmExit(ExitReason.EXCEPTION_OR_NMI, 0n, {
    interruptionInformation: interruptionOf(event),
  });
  vmExit(vmx, exit, event);
  return true;
};

const nmiWindowOpen = (vmx: VmxProcessor): boolean => {
  if (!(vmx.processorBased & nmiWindowExiting)) return false;
  const { view } = vmx.core.state;
  if (view.getUint32(interruptibilityOffset, true) & (shadow | nmiBlocking)) return false;
  return view.getUint32(activityOffset, true) !== Activity.waitForSipi;
};

/** Can a maskable event be recognized now? */
const interruptible = (view: DataView): boolean =>
  (view.getUint32(flagsOffset, true) & IF) !== 0 &&
  (view.getUint32(interruptibilityOffset, true) & shadow) === 0;

const interruptWindowOpen = (vmx: VmxProcessor): boolean => {
  if (!(vmx.processorBased & interruptWindowExiting)) return false;
  const { view } = vmx.core.state;
  return interruptible(view) && view.getUint32(activityOffset, true) <= Activity.HLT;
};

export const boundaryBeforeInterrupts = (vmx: VmxProcessor): boolean => {
  if (interruptWindowOpen(vmx)) {
    vmExit(vmx, new VmExit(ExitReason.INTERRUPT_WINDOW));
    return true;
  }
  return virtualInterrupt(vmx) || externalInterrupt(vmx);
};

const virtualInterruptDue = (vmx: VmxProcessor): boolean => {
  if (!virtualInterruptPending(vmx)) return false;
  const { view } = vmx.core.state;
  return interruptible(view) && view.getUint32(activityOffset, true) <= Activity.HLT;
};

const virtualInterrupt = (vmx: VmxProcessor): boolean => {
  if (!virtualInterruptDue(vmx)) return false;
  deliverVirtualInterrupt(vmx);
  return true;
};

const externalInterruptDue = (vmx: VmxProcessor): boolean => {
  if (!(vmx.pinBased & externalInterruptExiting)) return false;
  const { apic, state } = vmx.core;
  if (!apic.hasInterrupt()) return false;
  const { view } = state;
  return (
    view.getUint32(activityOffset, true) <= Activity.HLT &&
    (view.getUint32(interruptibilityOffset, true) & shadow) === 0
  );
};

/** With "external-interrupt exiting", RFLAGS.IF does not mask. */
const externalInterrupt = (vmx: VmxProcessor): boolean => {
  if (!externalInterruptDue(vmx)) return false;
  if (!(vmx.exitControls & acknowledgeInterruptOnExit)) {
    vmExit(vmx, new VmExit(ExitReason.EXTERNAL_INTERRUPT));
    return true;
  }
  const event: Event = { type: "external interrupt", vector: vmx.core.apic.acknowledge() };
  if (takePostedInterrupts(vmx, event.vector)) return virtualInterrupt(vmx);
  const exit = new VmExit(ExitReason.EXTERNAL_INTERRUPT, 0n, {
    interruptionInformation: interruptionOf(event),
  });
  vmExit(vmx, exit, event);
  return true;
};

/** Would a boundary find something to do for a processor that is not active? */
export const wakes = (vmx: VmxProcessor): boolean => {
  const { core } = vmx;
  const { view } = core.state;
  const activity = view.getUint32(activityOffset, true);
  if (activity === Activity.waitForSipi) return core.sipiVector !== undefined;
  if (hasPostponed(vmx)) return true;
  if (core.initPending || core.nmiPending || vmx.monitorTrapPending) return true;
  if (vmx.preemptionTimer.expired || nmiWindowOpen(vmx)) return true;
  if (activity === Activity.shutdown) return false;
  if (view.getUint32(pendingDebugOffset, true) !== 0) return true;
  if (interruptWindowOpen(vmx) || virtualInterruptDue(vmx) || externalInterruptDue(vmx)) return true;
  return core.apic.hasInterrupt() && !(vmx.pinBased & externalInterruptExiting) && interruptible(view);
};

/**
 * IRET begins. Without "NMI exiting" it unblocks NMIs, with "virtual NMIs" the virtual ones, even if it faults; with "NMI exiting"
 * alone it does neither.
 */
export const unblockNmis = (vmx: VmxProcessor): void => {
  if (vmx.pinBased & nmiExiting && !(vmx.pinBased & virtualNMIs)) return;
  const { view } = vmx.core.state;
  const blocking = view.getUint32(interruptibilityOffset, true);
  vmx.nmiUnblockedByIret = (blocking & nmiBlocking) !== 0;
  view.setUint32(interruptibilityOffset, blocking & ~nmiBlocking, true);
};

/** NMI blocking after a VM exit that no NMI caused: virtual blocking stays with the guest. */
export const physicalNmiBlocking = (vmx: VmxProcessor, blocking: number): number =>
  vmx.nonRoot && vmx.pinBased & virtualNMIs ? vmx.hostNmiBlocking : blocking & nmiBlocking;

export const exitsExternalInterrupts = (vmx: VmxProcessor): boolean =>
  (vmx.pinBased & externalInterruptExiting) !== 0;
export const hasVirtualNmis = (vmx: VmxProcessor): boolean => (vmx.pinBased & virtualNMIs) !== 0;
export const wantsInterruptWindow = (vmx: VmxProcessor): boolean =>
  (vmx.processorBased & interruptWindowExiting) !== 0 || virtualInterruptPending(vmx);
/** An exit after every instruction. */
export const stepsByMonitorTrap = (vmx: VmxProcessor): boolean =>
  (vmx.processorBased & monitorTrapFlag) !== 0;
