import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { VmExit } from "../../cpu/vmx-socket.ts";
import { offsetOf } from "../../state/layout.ts";
import type { VmxGuest } from "../vmx-guest.ts";

/**
 * What APIC virtualization leaves for the next instruction boundary, in the processor's state: bit 0 a recognized virtual
 * interrupt; bits 7:4 an APIC write to be emulated, or a trap-like VM exit; bits 27:16 its page offset or vector.
 */

const pendingOffset = offsetOf("vmx.pending");
const recognized = 1;
const kindMask = 0xf0;
const operandShift = 16;

export const PendingKind = {
  none: 0,
  apicWrite: 0x10,
  apicWriteExit: 0x20,
  eoiExit: 0x30,
  tprExit: 0x40,
} as const;
export type PendingKind = (typeof PendingKind)[keyof typeof PendingKind];

const read = ({ core }: VmxGuest): number => core.state.view.getUint32(pendingOffset, true);
const write = ({ core }: VmxGuest, value: number): void =>
  core.state.view.setUint32(pendingOffset, value, true);

export const clearPending = (vmx: VmxGuest): void => write(vmx, 0);

export const isRecognized = (vmx: VmxGuest): boolean => (read(vmx) & recognized) !== 0;
export const recognize = (vmx: VmxGuest, pending: boolean): void =>
  write(vmx, pending ? read(vmx) | recognized : read(vmx) & ~recognized);

export const postpone = (vmx: VmxGuest, kind: PendingKind, operand = 0): void =>
  write(vmx, (read(vmx) & recognized) | kind | (operand << operandShift));

export const hasPostponed = (vmx: VmxGuest): boolean => (read(vmx) & kindMask) !== 0;

/** Page offset of the APIC write that is to be emulated, which is taken; -1 when there is none. */
export const takeApicWrite = (vmx: VmxGuest): number => {
  const value = read(vmx);
  if ((value & kindMask) !== PendingKind.apicWrite) return -1;
  write(vmx, value & recognized);
  return value >>> operandShift;
};

/** The trap-like VM exit that is due, which is taken. */
export const takeExit = (vmx: VmxGuest): VmExit | undefined => {
  const value = read(vmx);
  const kind = value & kindMask;
  if (kind === PendingKind.none) return undefined;
  write(vmx, value & recognized);
  const operand = BigInt(value >>> operandShift);
  if (kind === PendingKind.tprExit) return new VmExit(ExitReason.TPR_BELOW_THRESHOLD);
  return new VmExit(
    kind === PendingKind.eoiExit ? ExitReason.VIRTUALIZED_EOI : ExitReason.APIC_WRITE,
    operand,
  );
};
