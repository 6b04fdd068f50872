import { eptViolation } from "../arch/ept-entries.ts";
import { ExitReason } from "../arch/vm-exit-reasons.ts";
import type { Event } from "../cpu/fault.ts";
import { VmExit } from "../cpu/vmx-socket.ts";
import { apicAccessDuringDelivery } from "./apic-virtualization/apic-access.ts";
import type { VmxGuest } from "./vmx-guest.ts";

/** What only the moment of the VM exit tells about an access to memory: whether an event was being delivered, whether IRET had unblocked NMIs. */
export const accessExit = (vmx: VmxGuest, exit: VmExit, during: Event | undefined): VmExit => {
  if (during !== undefined)
    return exit.reason === ExitReason.APIC_ACCESS
      ? new VmExit(exit.reason, apicAccessDuringDelivery(exit.qualification), exit.details)
      : exit;
  const reports = exit.reason === ExitReason.EPT_VIOLATION || exit.reason === ExitReason.PML_FULL;
  return vmx.nmiUnblockedByIret && reports
    ? new VmExit(exit.reason, exit.qualification | BigInt(eptViolation.nmiUnblocking), exit.details)
    : exit;
};
