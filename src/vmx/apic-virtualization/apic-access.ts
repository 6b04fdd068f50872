import {
  apicAccessType,
  apicAccessTypeShift,
  VirtualApic,
  virtualizedRegisters,
} from "../../arch/virtual-apic.ts";
import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { controlMask } from "../../arch/vmx-controls.ts";
import { Access } from "../../cpu/page-walk.ts";
import { VmExit } from "../../cpu/vmx-socket.ts";
import { fieldOffset } from "../vmcs.ts";
import type { VmxGuest } from "../vmx-guest.ts";
import { virtualApicPage } from "./virtual-apic.ts";

/** SDM Vol. 3, "Virtualizing Memory-Mapped APIC Accesses". */

const useTPRShadow = controlMask("useTPRShadow");
const virtualizeAPICAccesses = controlMask("virtualizeAPICAccesses");
const apicRegisterVirtualization = controlMask("apicRegisterVirtualization");
const virtualInterruptDelivery = controlMask("virtualInterruptDelivery");
const apicAccessAddress = fieldOffset("control.apicAccessAddress");
const TWO32 = 0x1_0000_0000;

const { VTPR, VEOI, VICR_LO } = VirtualApic;

/** Which registers are virtualized, one byte per 16 bytes of the page: bit 0 reads, bit 1 writes. */
const registers = new Uint8Array(256);
for (const [first, last, access] of virtualizedRegisters)
  for (let offset = first; offset <= last; offset += 16) registers[offset >>> 4] = access === "rw" ? 3 : 1;

/** Physical address of the APIC-access page of the running guest; -1 without "virtualize APIC accesses". */
export const apicAccessPage = ({ secondary, vmcs }: VmxGuest): number =>
  (secondary & virtualizeAPICAccesses) === 0
    ? -1
    : (vmcs.high(apicAccessAddress) & 0xf_ffff) * TWO32 + ((vmcs.low(apicAccessAddress) & 0xffff_f000) >>> 0);

const accessExit = (type: number, offset = 0): VmExit =>
  new VmExit(ExitReason.APIC_ACCESS, BigInt(offset | (type << apicAccessTypeShift)));

/** Is an access of some bytes at an offset virtualized? */
const isVirtualized = (vmx: VmxGuest, offset: number, size: number, access: number): boolean => {
  if ((vmx.processorBased & useTPRShadow) === 0 || (access & Access.FETCH) !== 0) return false;
  // Within the low four bytes of 16.
  if (size > 4 || (offset & 0xf) + size > 4) return false;
  const write = (access & Access.WRITE) !== 0;
  if ((vmx.secondary & apicRegisterVirtualization) !== 0)
    return (registers[offset >>> 4]! & (write ? 2 : 1)) !== 0;
  if (offset === VTPR) return true;
  return write && (vmx.secondary & virtualInterruptDelivery) !== 0 && (offset === VEOI || offset === VICR_LO);
};

/** `VmxSocket.apicAccess`: by linear address. */
export const virtualizeApicAccess = (
  vmx: VmxGuest,
  offset: number,
  size: number,
  access: number,
): number | VmExit => {
  if (isVirtualized(vmx, offset, size, access)) return virtualApicPage(vmx) + offset;
  return accessExit(
    (access & Access.FETCH) !== 0
      ? apicAccessType.linearFetch
      : (access & Access.WRITE) !== 0
        ? apicAccessType.linearWrite
        : apicAccessType.linearRead,
    offset,
  );
};

/** A paging structure of the guest is in the page: never virtualized. */
export const apicAccessByGuestPhysicalAddress = (): VmExit => accessExit(apicAccessType.guestPhysical);

/** The exit qualification of an access that delivery of an event made. */
export const apicAccessDuringDelivery = (qualification: bigint): bigint => {
  const type = Number(qualification) >>> apicAccessTypeShift;
  const delivery =
    type === apicAccessType.guestPhysical
      ? apicAccessType.guestPhysicalDuringDelivery
      : apicAccessType.linearDuringDelivery;
  return BigInt((Number(qualification) & 0xfff) | (delivery << apicAccessTypeShift));
};
