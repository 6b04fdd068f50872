import { selfIpiShorthand, selfIpiZeroBits, VirtualApic } from "../../arch/virtual-apic.ts";
import type { VmExit } from "../../cpu/vmx-socket.ts";
import type { VmxGuest } from "../vmx-guest.ts";
import { PendingKind, postpone, takeApicWrite, takeExit } from "./pending.ts";
import { readVirtual, writeVirtual } from "./virtual-apic.ts";
import {
  deliversVirtualInterrupts,
  virtualizeEoi,
  virtualizeSelfIpi,
  virtualizeTpr,
} from "./virtual-interrupts.ts";

/** SDM Vol. 3, "APIC-Write Emulation" and "APIC-Write VM Exits". */

const { VTPR, VEOI, VICR_LO, VICR_HI } = VirtualApic;

/** An operation has written to the virtual-APIC page: emulation waits for its end. */
export const postponeApicWrite = (vmx: VmxGuest, offset: number): void =>
  postpone(vmx, PendingKind.apicWrite, offset);

/** VICR_LO asks for an edge-triggered fixed interrupt with a legal vector to the processor itself. */
const isSelfIpi = (command: number): boolean =>
  (command & selfIpiZeroBits) === 0 &&
  (command & selfIpiShorthand.mask) === selfIpiShorthand.self &&
  (command & 0xf0) !== 0;

const emulate = (vmx: VmxGuest, offset: number): void => {
  switch (offset & ~3) {
    case VTPR:
      writeVirtual(vmx, VTPR, readVirtual(vmx, VTPR) & 0xff);
      virtualizeTpr(vmx);
      return;
    case VEOI:
      if (!deliversVirtualInterrupts(vmx)) break;
      virtualizeEoi(vmx);
      return;
    case VICR_LO: {
      const command = readVirtual(vmx, VICR_LO);
      if (!deliversVirtualInterrupts(vmx) || !isSelfIpi(command)) break;
      virtualizeSelfIpi(vmx, command & 0xff);
      return;
    }
    case VICR_HI:
      writeVirtual(vmx, VICR_HI, readVirtual(vmx, VICR_HI) & 0xff00_0000);
      return;
  }
  postpone(vmx, PendingKind.apicWriteExit, offset);
};

/** At an instruction boundary, before everything else: emulate the write that is over; the trap-like VM exit that is due. */
export const apicBoundary = (vmx: VmxGuest): VmExit | undefined => {
  const offset = takeApicWrite(vmx);
  if (offset >= 0) emulate(vmx, offset);
  return takeExit(vmx);
};
