import {
  EPTP,
  eptEntry,
  eptMemoryTypes,
  eptReserved,
  eptSuppressVE,
  eptViolation,
} from "../arch/ept-entries.ts";
import { ExitReason } from "../arch/vm-exit-reasons.ts";
import { controlMask } from "../arch/vmx-controls.ts";
import type { CpuModel } from "../cpu/core.ts";
import { Access } from "../cpu/page-walk.ts";
import { GuestPhysicalAccess, GuestPhysicalTranslation, VmExit } from "../cpu/vmx-socket.ts";
import { apicAccessByGuestPhysicalAddress } from "./apic-virtualization/apic-access.ts";
import { logPage, pageLogFull } from "./page-modification-log.ts";
import { fieldOffset } from "./vmcs.ts";
import type { VmxGuest } from "./vmx-guest.ts";

/**
 * SDM Vol. 3, "The Extended Page-Table Mechanism (EPT)": guest-physical to physical address, with every rule of EPT violations
 * and misconfigurations. Hot: a TLB miss of a guest comes here up to five times.
 */

const modeBasedExecuteControl = controlMask("modeBasedExecuteControl");
const enablePML = controlMask("enablePML");
const eptViolationVE = controlMask("eptViolationVE");
const eptPointer = fieldOffset("control.eptPointer");

const { R, W, X, PS, A, D, XU } = eptEntry;
const { TABLE, NO_LINEAR_ADDRESS, USER_MODE_ADDRESS, WRITABLE, EXECUTE_DISABLE } = GuestPhysicalAccess;
const TWO32 = 0x1_0000_0000;
const levels = 4;

const result = new GuestPhysicalTranslation();
/** The entries used by the walk in progress, to set their flags once it is known to succeed. */
const usedAddress = new Float64Array(levels);
const usedLow = new Int32Array(levels);

/** What depends on the CPU model, looked up once per model. */
interface EptTraits {
  /** Bits of an entry's high doubleword above the physical-address width, up to bit 51. */
  readonly reservedHigh: number;
  readonly executeOnly: boolean;
  /** May an entry of this level map a page? */
  readonly largePages: readonly boolean[];
  readonly advancedInformation: boolean;
}
const traitsCache = new WeakMap<CpuModel, EptTraits>();
let lastModel: CpuModel | undefined;
let lastTraits: EptTraits;
/** All processors of a machine have one model. */
const traitsOf = (model: CpuModel): EptTraits => {
  if (model === lastModel) return lastTraits;
  lastModel = model;
  lastTraits = findTraits(model);
  return lastTraits;
};
const findTraits = (model: CpuModel): EptTraits => {
  let traits = traitsCache.get(model);
  if (traits === undefined) {
    const width = model.physicalAddressBits;
    traits = {
      reservedHigh: width >= 52 ? 0 : 0xf_ffff & ~((1 << Math.max(width - 32, 0)) - 1),
      executeOnly: model.has("eptExecuteOnly"),
      largePages: [false, true, model.has("ept2MPages"), model.has("ept1GPages"), false],
      advancedInformation: model.has("eptViolationDetails"),
    };
    traitsCache.set(model, traits);
  }
  return traits;
};

/** `VmxSocket.translateGuestPhysical`. */
export const translateGuestPhysical = (
  vmx: VmxGuest,
  address: number,
  access: number,
  linearHigh: number,
  linearLow: number,
): GuestPhysicalTranslation | VmExit => {
  const world = vmx.worlds.current();
  const known = vmx.eptCache.find(world, address, access);
  if (known !== undefined) return known;
  const found = walkEpt(vmx, address, access, linearHigh, linearLow);
  if (!(found instanceof VmExit)) vmx.eptCache.enter(world, address, found);
  return found;
};

const walkEpt = (
  vmx: VmxGuest,
  address: number,
  access: number,
  linearHigh: number,
  linearLow: number,
): GuestPhysicalTranslation | VmExit => {
  const { vmcs, core, memory, secondary } = vmx;
  const { view } = memory;
  const traits = traitsOf(core.model);
  const modeBased = (secondary & modeBasedExecuteControl) !== 0;
  const execute = modeBased ? X | XU : X;
  const present = R | W | execute;
  const pointerLow = vmcs.low(eptPointer);
  const high = Math.floor(address / TWO32);
  const low = address >>> 0;
  let table = (vmcs.high(eptPointer) & 0xf_ffff) * TWO32 + ((pointerLow & 0xffff_f000) >>> 0);
  let rights = present; // AND over the levels
  let used = 0;
  for (let level = levels; ; level--) {
    const index =
      level === 1 ? (low >>> 12) & 0x1ff
      : level === 2 ? (low >>> 21) & 0x1ff
      : level === 3 ? ((high & 0x7f) << 2) | (low >>> 30)
      : (high >>> 7) & 0x1ff; // biome-ignore format: one row per level
    const at = table + 8 * index;
    const offset = memory.offsetOf(at);
    const entryLow = offset < 0 ? -1 : view.getInt32(offset, true);
    const entryHigh = offset < 0 ? -1 : view.getInt32(offset + 4, true);
    if ((entryLow & present) === 0)
      return violation(vmx, address, access, linearHigh, linearLow, 0, entryHigh, traits);
    const leaf = level === 1 || (entryLow & PS) !== 0;
    if (
      // Writable but not readable; executable only, where that is not offered.
      (entryLow & (R | W)) === W ||
      ((entryLow & R) === 0 && (entryLow & execute) !== 0 && !traits.executeOnly) ||
      (entryHigh & traits.reservedHigh) !== 0 ||
      (leaf
        ? !traits.largePages[level] ||
          (entryLow & eptReserved.page[level]!) !== 0 ||
          ((eptMemoryTypes >>> ((entryLow >>> 3) & 7)) & 1) === 0
        : (entryLow & eptReserved.table[level]!) !== 0)
    )
      return new VmExit(ExitReason.EPT_MISCONFIGURATION, 0n, { guestPhysicalAddress: address });
    rights &= entryLow;
    usedAddress[used] = at;
    usedLow[used++] = entryLow;
    const frame = (entryHigh & 0xf_ffff) * TWO32 + ((entryLow & 0xffff_f000) >>> 0);
    if (!leaf) {
      table = frame;
      continue;
    }
    const flags = (pointerLow & EPTP.accessedDirty) !== 0;
    const wanted = wantedRight(access, modeBased, flags);
    if ((rights & wanted) === 0)
      return violation(vmx, address, access, linearHigh, linearLow, rights, entryHigh, traits);
    if (flags) {
      const refused = setFlags(vmx, address, used, wanted === W);
      if (refused !== undefined) return refused;
    }
    const pageSize = 2 ** (3 + 9 * level);
    result.pageSize = pageSize;
    result.address = frame + (low & (pageSize - 1));
    result.mayRead = (rights & R) !== 0;
    result.mayWrite = (rights & W) !== 0 && (!flags || (usedLow[used - 1]! & D) !== 0);
    result.mayFetch = (rights & X) !== 0;
    result.mayFetchUser = (rights & (modeBased ? XU : X)) !== 0;
    if ((access & TABLE) !== 0 && result.address - (low & 0xfff) === vmx.apicAccessPage)
      return apicAccessByGuestPhysicalAddress();
    return result;
  }
};

/** The right that an access needs. Reads of guest paging structures are writes while EPT has accessed and dirty flags, but for PDPTEs. */
const wantedRight = (access: number, modeBased: boolean, flags: boolean): number => {
  if ((access & Access.WRITE) !== 0 || (flags && (access & (TABLE | NO_LINEAR_ADDRESS)) === TABLE)) return W;
  if ((access & Access.FETCH) === 0) return R;
  return modeBased && (access & USER_MODE_ADDRESS) !== 0 ? XU : X;
};

/** SDM Vol. 3, "Accessed and Dirty Flags for EPT" and "Page-Modification Logging": the exit if the log is full. */
const setFlags = (vmx: VmxGuest, address: number, used: number, write: boolean): VmExit | undefined => {
  const leaf = used - 1;
  let complete = true;
  for (let n = 0; n < leaf; n++) if ((usedLow[n]! & A) === 0) complete = false;
  const wanted = write ? A | D : A;
  const before = usedLow[leaf]!;
  if (complete && (before & wanted) === wanted) return undefined;
  const logs = (vmx.secondary & enablePML) !== 0;
  if (logs && pageLogFull(vmx)) return new VmExit(ExitReason.PML_FULL);
  for (let n = 0; n < used; n++) {
    const flags = n === leaf ? wanted : A;
    const entry = usedLow[n]!;
    if ((entry & flags) === flags) continue;
    usedLow[n] = entry | flags;
    vmx.core.physical.write(usedAddress[n]!, (entry | flags) >>> 0, 4);
  }
  if (logs && write && (before & D) === 0) logPage(vmx, address);
  return undefined;
};

/** `rights`: R, W, X and XU over all levels, 0 where an entry is not present; `entryHigh` of the entry that decides about #VE. */
const violation = (
  vmx: VmxGuest,
  address: number,
  access: number,
  linearHigh: number,
  linearLow: number,
  rights: number,
  entryHigh: number,
  traits: EptTraits,
): VmExit => {
  const flags = (vmx.vmcs.low(eptPointer) & EPTP.accessedDirty) !== 0;
  const table = (access & TABLE) !== 0;
  const linear = (access & NO_LINEAR_ADDRESS) === 0;
  let qualification = (rights & (R | W | X)) << eptViolation.rights;
  if (table && flags && linear) qualification |= eptViolation.read | eptViolation.write;
  else if ((access & Access.WRITE) !== 0) qualification |= eptViolation.write;
  else if ((access & Access.FETCH) !== 0) qualification |= eptViolation.fetch;
  else qualification |= eptViolation.read;
  if ((rights & XU) !== 0) qualification |= eptViolation.executableUser;
  if (linear) qualification |= eptViolation.linearValid;
  if (!table) {
    qualification |= eptViolation.finalTranslation;
    if (traits.advancedInformation) {
      if ((access & USER_MODE_ADDRESS) !== 0) qualification |= eptViolation.userMode;
      if ((access & WRITABLE) !== 0) qualification |= eptViolation.writable;
      if ((access & EXECUTE_DISABLE) !== 0) qualification |= eptViolation.executeDisable;
    }
  }
  const convertible = (vmx.secondary & eptViolationVE) !== 0 && (entryHigh & eptSuppressVE) === 0;
  return new VmExit(ExitReason.EPT_VIOLATION, BigInt(qualification), {
    guestPhysicalAddress: address,
    ...(linear && { guestLinearAddress: (BigInt(linearHigh >>> 0) << 32n) | BigInt(linearLow >>> 0) }),
    ...(convertible && { convertible }),
  });
};
