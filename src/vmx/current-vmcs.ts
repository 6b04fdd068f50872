import { Watched } from "../cpu/guest-memory.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/**
 * The current VMCS and stores to its region. VMX instructions and transitions write the region directly: only code decoded there must
 * learn of it. Stores by other means, by any processor or device, are watched: then nothing is known of the fields any more. The page
 * stays watched when another VMCS becomes current, so that going back and forth costs nothing.
 */

const noVmcs = 0xffff_ffff_ffff_ffffn;

/** Offset in linear memory of a region in RAM; -1 elsewhere. */
export const regionOffset = ({ memory }: VmxProcessor, address: bigint): number => {
  const at = Number(address);
  return memory.isWritable(at) ? memory.offsetOf(at) : -1;
};

/** Make a VMCS current, or none. Checks that were made of another one count no more; those of the one before count again when it is back unchanged. */
export const setCurrentVmcs = (vmx: VmxProcessor, pointer: bigint | undefined): void => {
  const { memory, vmcs } = vmx;
  if (vmcs.base >= 0) vmx.checks.leave(vmcs.base);
  vmx.core.state["vmx.currentVmcs"] = pointer ?? noVmcs;
  vmcs.base = pointer === undefined ? -1 : regionOffset(vmx, pointer);
  vmx.checks.arrive(vmcs.base);
  vmx.owner.sharesRegion = false;
  if (vmcs.base < 0) return;
  memory.watch(vmcs.base, Watched.vmcs);
  for (const other of memory.vmcsOwners)
    if (other !== vmx.owner && other.region() === vmcs.base)
      other.sharesRegion = vmx.owner.sharesRegion = true;
};

/** VMX itself is about to write to a region: code that was decoded there is stale. */
export const noteWrite = ({ memory }: VmxProcessor, base: number): void => {
  if (memory.reasonsToWatch(base) & Watched.code) memory.onCodeWrite(base, 4096);
};

/** The same of a region that is not this processor's current VMCS: a shadow VMCS may be somebody's. */
export const noteForeignWrite = (vmx: VmxProcessor, base: number): void => {
  noteWrite(vmx, base);
  for (const owner of vmx.memory.vmcsOwners) if (owner.region() === base) owner.stored();
};
