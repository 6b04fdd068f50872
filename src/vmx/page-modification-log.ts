import { fieldOffset } from "./vmcs.ts";
import type { VmxGuest } from "./vmx-guest.ts";

/** SDM Vol. 3, "Page-Modification Logging": a page of 512 guest-physical addresses, filled from its end. */

const pmlAddress = fieldOffset("control.pmlAddress");
const pmlIndex = fieldOffset("guest.pmlIndex");
const entries = 512;
const TWO32 = 0x1_0000_0000;

/** The index is not in the range 0-511. */
export const pageLogFull = ({ vmcs }: VmxGuest): boolean => (vmcs.low(pmlIndex) & 0xffff) >= entries;

/** Enter the page of a guest-physical address; there is room for it. */
export const logPage = ({ vmcs, core }: VmxGuest, address: number): void => {
  const index = vmcs.low(pmlIndex) & 0xffff;
  const base = (vmcs.high(pmlAddress) & 0xf_ffff) * TWO32 + ((vmcs.low(pmlAddress) & 0xffff_f000) >>> 0);
  core.physical.write(base + 8 * index, (address & 0xffff_f000) >>> 0, 4);
  core.physical.write(base + 8 * index + 4, Math.floor(address / TWO32), 4);
  vmcs.setLow(pmlIndex, (index - 1) & 0xffff);
};
