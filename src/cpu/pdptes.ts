import { Exception } from "../arch/exceptions.ts";
import { entry, entryXD, pdptePaeReservedLow } from "../arch/paging-entries.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { pagingTraits } from "./page-walk.ts";
import { GuestPhysicalAccess } from "./vmx-socket.ts";

/** SDM Vol. 3, "PDPTE Registers": the four entries that PAE paging loads with CR3. */

const pdpteOffset = offsetOf("PDPTE0");
const { P } = entry;

/**
 * The four PDPTEs at a physical address, for PAE paging, or undefined when a present one sets reserved bits, which is
 * #GP(0) (SDM Vol. 3, "PDPTE Registers").
 */
const readPdptes = (core: Core, base: number): bigint[] | undefined => {
  const { reservedHighPae } = pagingTraits(core.model);
  const pdptes: bigint[] = [];
  for (let n = 0; n < 4; n++) {
    const low = core.physical.read(base + 8 * n, 4) >>> 0;
    const high = core.physical.read(base + 8 * n + 4, 4) >>> 0;
    if (low & P && (low & pdptePaeReservedLow || high & (reservedHighPae | entryXD))) return undefined;
    pdptes.push((BigInt(high) << 32n) | BigInt(low));
  }
  return pdptes;
};

const pdptBase = (cr3: bigint): number => Number(cr3 & 0xffff_ffe0n);

const enterPdptes = (core: Core, pdptes: readonly bigint[]): void => {
  for (let n = 0; n < 4; n++) core.state.view.setBigUint64(pdpteOffset + 8 * n, pdptes[n]!, true);
};

/** Reads the PDPTEs at a physical address (no EPT) and, when they are valid, loads the PDPTE registers. False is #GP(0). */
export const loadPdptes = (core: Core, cr3: bigint): boolean => {
  const pdptes = readPdptes(core, pdptBase(cr3));
  if (pdptes !== undefined) enterPdptes(core, pdptes);
  return pdptes !== undefined;
};

/** The same as software does it, by MOV to CR or a task switch: through EPT in its guest. */
export const reloadPdptes = (core: Core, cr3: bigint): Fault | undefined => {
  let base = pdptBase(cr3);
  const { vmx } = core;
  if (vmx?.nonRoot && vmx.eptEnabled) {
    const kind = GuestPhysicalAccess.TABLE | GuestPhysicalAccess.NO_LINEAR_ADDRESS;
    const at = vmx.translateGuestPhysical(base, kind, 0, 0);
    if (at instanceof Fault) return at;
    base = at.address;
  }
  const pdptes = readPdptes(core, base);
  if (pdptes === undefined) return new Fault(Exception.GP, 0);
  enterPdptes(core, pdptes);
  return undefined;
};
