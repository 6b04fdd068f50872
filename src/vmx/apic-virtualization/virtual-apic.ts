import { fieldOffset } from "../vmcs.ts";
import type { VmxGuest } from "../vmx-guest.ts";

/** The virtual-APIC page of the running guest, in physical memory. */

const virtualApicAddress = fieldOffset("control.virtualApicAddress");
const TWO32 = 0x1_0000_0000;

/** Its physical address. */
export const virtualApicPage = ({ vmcs }: VmxGuest): number =>
  (vmcs.high(virtualApicAddress) & 0xf_ffff) * TWO32 + ((vmcs.low(virtualApicAddress) & 0xffff_f000) >>> 0);

export const readVirtual = (vmx: VmxGuest, offset: number): number =>
  vmx.core.physical.read(virtualApicPage(vmx) + offset, 4) >>> 0;

export const writeVirtual = (vmx: VmxGuest, offset: number, value: number): void =>
  vmx.core.physical.write(virtualApicPage(vmx) + offset, value >>> 0, 4);

/** Word of a vector in VISR or VIRR: eight words, 16 bytes apart. */
const wordOf = (register: number, vector: number): number => register + ((vector & 0xe0) >>> 1);

export const setVector = (vmx: VmxGuest, register: number, vector: number): void => {
  const at = wordOf(register, vector);
  writeVirtual(vmx, at, readVirtual(vmx, at) | (1 << (vector & 31)));
};

export const clearVector = (vmx: VmxGuest, register: number, vector: number): void => {
  const at = wordOf(register, vector);
  writeVirtual(vmx, at, readVirtual(vmx, at) & ~(1 << (vector & 31)));
};

/** Highest vector that is set; 0 when none is. */
export const highestVector = (vmx: VmxGuest, register: number): number => {
  for (let vector = 0xe0; vector >= 0; vector -= 32) {
    const word = readVirtual(vmx, wordOf(register, vector));
    if (word !== 0) return vector + 31 - Math.clz32(word);
  }
  return 0;
};
