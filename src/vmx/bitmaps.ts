import type { VmxProcessor } from "./vmx-processor.ts";

/** Bitmaps in memory that VM-execution control fields point to: I/O, MSR, VMREAD and VMWRITE bitmaps. */

/** Address in a 64-bit field of the current VMCS. */
export const physicalAddressField = ({ vmcs }: VmxProcessor, field: number): number =>
  (vmcs.high(field) & 0xf_ffff) * 0x1_0000_0000 + vmcs.low(field);

/**
 * Bit `number` of the bitmap that is `offset` bytes into the page whose address the field at `field` holds. A page that is no
 * RAM reads as ones, without touching a device.
 */
export const bitmapBit = (vmx: VmxProcessor, field: number, offset: number, number: number): boolean => {
  const at = vmx.memory.offsetOf(physicalAddressField(vmx, field) + offset + (number >>> 3));
  return at < 0 || ((vmx.memory.bytes[at]! >>> (number & 7)) & 1) === 1;
};
