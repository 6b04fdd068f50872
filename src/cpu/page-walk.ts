import { CR0, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import { entry, entryXD, pageFault } from "../arch/paging-entries.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { GuestPhysicalAccess, type VmxSocket } from "./vmx-socket.ts";

/** How memory is accessed: one bit per property, so that the hot path passes a number. No bit set: a supervisor read. */
export const Access = {
  READ: 0,
  WRITE: 1,
  FETCH: 2,
  /** CPL is 3, and the access is not an implicit one. */
  USER: 4,
  /** Implicit supervisor access: descriptor tables and TSS (SDM Vol. 3, "Determination of Access Rights"). */
  IMPLICIT: 8,
} as const;

/**
 * Result of a walk. One object serves every walk, so that a TLB miss allocates nothing: read it before the next walk.
 * `writable`, `user`, `noExecute` and `global` are the page's own rights over all levels of the walk; `mayRead`, `mayWrite` and
 * `mayFetch` say what the privilege class of this access (user, or supervisor with the present EFLAGS.AC) may do without
 * another walk: a page that is not dirty yet may not be written, because that write must set the dirty flag.
 */
export class Translation {
  /** Physical address of the 4-KByte frame that holds the linear address: after EPT, where that translates. */
  frame = 0;
  /** Physical address of the byte. */
  address = 0;
  /** Bytes of the page that maps it: 4096, 2 MiB, 4 MiB or 1 GiB; without paging 4096. */
  pageSize = 0;
  writable = false;
  user = false;
  noExecute = false;
  global = false;
  dirty = false;
  mayRead = false;
  mayWrite = false;
  mayFetch = false;
  /** The frame is the APIC-access page: the access is asked of `VmxSocket.apicAccess`, and nothing may be cached. */
  apicAccess = false;
}

const result = new Translation();

const cr0Offset = offsetOf("CR0");
const cr3Offset = offsetOf("CR3");
const cr4Offset = offsetOf("CR4");
const eferOffset = offsetOf("IA32_EFER");
const flagsOffset = offsetOf("RFLAGS");
const pdpteOffset = offsetOf("PDPTE0");

const [PG, WP] = [Number(CR0.PG) | 0, Number(CR0.WP)];
// biome-ignore format: one list
const [PSE, PAE, PGE, SMEP, SMAP] = [Number(CR4.PSE), Number(CR4.PAE), Number(CR4.PGE), Number(CR4.SMEP), Number(CR4.SMAP)];
const [LMA, NXE] = [Number(IA32_EFER.LMA), Number(IA32_EFER.NXE)];
const AC = Number(RFLAGS.AC);
const { P, RW, US, A, D, PS, G } = entry;
const TWO32 = 0x1_0000_0000;

/** The paging-structure entries used by the walk in progress, to set their accessed flags once it is known to succeed. */
const usedAddress = new Float64Array(4);
const usedLow = new Int32Array(4);
/** Their guest-physical addresses, where EPT translates. */
const usedGuestAddress = new Float64Array(4);

/** Features that depend on the model, looked up once per model. */
export interface PagingTraits {
  /** Bits of an entry's high doubleword above the physical-address width, up to bit 51. */
  readonly reservedHigh: number;
  /** The same and bits 62:52, for PAE paging. */
  readonly reservedHighPae: number;
  readonly pages1G: boolean;
  readonly pse36: boolean;
  /** Reserved bits of a 4-MByte PDE: 21 up to the first that is not a physical-address bit. */
  readonly reserved4M: number;
}
const traitsCache = new WeakMap<Core["model"], PagingTraits>();
export const pagingTraits = (model: Core["model"]): PagingTraits => {
  let traits = traitsCache.get(model);
  if (traits === undefined) {
    const width = model.physicalAddressBits;
    const above = width >= 52 ? 0 : 0xf_ffff & ~((1 << Math.max(width - 32, 0)) - 1);
    const pse36 = model.has("PSE-36");
    const extra = pse36 ? Math.min(width, 40) - 32 : 0; // bits 20:13 hold address bits 39:32
    traits = {
      reservedHigh: above,
      reservedHighPae: above | 0x7ff0_0000,
      pages1G: model.has("PAGE1GB"),
      pse36,
      reserved4M: 0x003f_e000 & ~(((1 << extra) - 1) << 13),
    };
    traitsCache.set(model, traits);
  }
  return traits;
};

/**
 * Translate a linear address (two unsigned halves; `high` is ignored outside IA-32e mode) for an access.
 * Sets accessed and dirty flags, only when the access is allowed and only where they are clear. Does not check
 * canonicality. The success value is shared: see `Translation`.
 */
export const walk = (core: Core, high: number, low: number, access: number): Translation | Fault => {
  const view = core.state.view;
  const vmx = core.vmx;
  const guest = vmx?.nonRoot ? vmx : undefined;
  const cr0 = view.getUint32(cr0Offset, true);
  if ((cr0 & PG) === 0) return unpaged(low >>> 0, access, guest);
  const cr4 = view.getUint32(cr4Offset, true);
  const efer = view.getUint32(eferOffset, true);
  const traits = pagingTraits(core.model);
  if ((cr4 & PAE) === 0) return walk32(core, guest, low, access, cr0, cr4, traits);
  return walk64(core, guest, high, low, access, cr0, cr4, efer, traits);
};

const halves = new Uint32Array(2);
const whole = new BigUint64Array(halves.buffer);

/** The same, of a bigint, for code that is not hot. */
export const walkLinear = (core: Core, address: bigint, access: number): Translation | Fault => {
  whole[0] = address;
  return walk(core, halves[1]!, halves[0]!, access);
};

const unpaged = (address: number, access: number, guest: VmxSocket | undefined): Translation | Fault => {
  result.address = address;
  result.frame = address - (address & 0xfff);
  result.pageSize = 4096;
  result.writable = result.user = result.dirty = true;
  result.noExecute = result.global = false;
  result.mayRead = result.mayWrite = result.mayFetch = true;
  result.apicAccess = false;
  return guest === undefined ? result : inGuest(guest, 0, address, access);
};

/**
 * In VMX non-root operation: `result`, complete but for that, goes on through EPT to a physical address and to the rights that
 * both translations give.
 */
const inGuest = (guest: VmxSocket, high: number, low: number, access: number): Translation | Fault => {
  if (guest.eptEnabled) {
    // The address is a user-mode or supervisor-mode one by its page, not by who accesses it.
    const kind =
      (access & (Access.WRITE | Access.FETCH)) |
      (result.user ? GuestPhysicalAccess.USER_MODE_ADDRESS : 0) |
      (result.writable ? GuestPhysicalAccess.WRITABLE : 0) |
      (result.noExecute ? GuestPhysicalAccess.EXECUTE_DISABLE : 0);
    const translation = guest.translateGuestPhysical(result.address, kind, high, low);
    if (translation instanceof Fault) return translation;
    result.address = translation.address;
    result.frame = translation.address - (low & 0xfff);
    result.mayRead = result.mayRead && translation.mayRead;
    result.mayWrite = result.mayWrite && translation.mayWrite;
    result.mayFetch = result.mayFetch && (result.user ? translation.mayFetchUser : translation.mayFetch);
  }
  result.apicAccess = result.frame === guest.apicAccessPage;
  return result;
};

/** SDM Vol. 3, "4-Level Paging" and "PAE Paging": entries of 64 bits. */
const walk64 = (
  core: Core,
  guest: VmxSocket | undefined,
  high: number,
  low: number,
  access: number,
  cr0: number,
  cr4: number,
  efer: number,
  traits: PagingTraits,
): Translation | Fault => {
  const { state, physical } = core;
  const view = state.view;
  const nxe = (efer & NXE) !== 0;
  const ia32e = (efer & LMA) !== 0;
  if (!ia32e) high = 0;
  let rights = RW | US; // AND over the levels
  let executeDisable = 0; // OR over the levels
  let used = 0;
  const ept = guest?.eptEnabled ? guest : undefined;
  let table: number;
  let level: number;
  let reservedHigh: number;
  if (ia32e) {
    table =
      (view.getUint32(cr3Offset + 4, true) & 0xf_ffff) * TWO32 +
      ((view.getUint32(cr3Offset, true) & 0xffff_f000) >>> 0);
    level = 4;
    reservedHigh = traits.reservedHigh | (nxe ? 0 : entryXD);
  } else {
    // The PDPTE registers were checked for reserved bits when CR3 was loaded.
    const pdpte = pdpteOffset + 8 * (low >>> 30);
    const pdpteLow = view.getUint32(pdpte, true);
    if ((pdpteLow & P) === 0) return fault(high, low, access, 0, cr4, efer);
    table = (view.getUint32(pdpte + 4, true) & 0xf_ffff) * TWO32 + ((pdpteLow & 0xffff_f000) >>> 0);
    level = 2;
    reservedHigh = traits.reservedHighPae | (nxe ? 0 : entryXD);
  }
  for (;;) {
    const index =
      level === 1 ? (low >>> 12) & 0x1ff
      : level === 2 ? (low >>> 21) & 0x1ff
      : level === 3 ? ((high & 0x7f) << 2) | (low >>> 30)
      : (high >>> 7) & 0x1ff; // biome-ignore format: one row per level
    let address = table + 8 * index;
    if (ept !== undefined) {
      const at = ept.translateGuestPhysical(address, GuestPhysicalAccess.TABLE, high, low);
      if (at instanceof Fault) return at;
      usedGuestAddress[used] = address;
      address = at.address;
    }
    const entryLow = physical.read(address, 4) | 0;
    if ((entryLow & P) === 0) return fault(high, low, access, 0, cr4, efer);
    const entryHigh = physical.read(address + 4, 4) | 0;
    const large = level > 1 && (entryLow & PS) !== 0;
    if (
      (entryHigh & reservedHigh) !== 0 ||
      (large &&
        (level === 4 ||
          (level === 3 && (!traits.pages1G || (entryLow & 0x3fff_e000) !== 0)) ||
          (level === 2 && (entryLow & 0x001f_e000) !== 0)))
    )
      return fault(high, low, access, pageFault.P | pageFault.RSVD, cr4, efer);
    rights &= entryLow;
    executeDisable |= entryHigh & entryXD;
    usedAddress[used] = address;
    usedLow[used++] = entryLow;
    const frame = (entryHigh & 0xf_ffff) * TWO32 + ((entryLow & 0xffff_f000) >>> 0);
    if (level > 1 && !large) {
      table = frame;
      level--;
      continue;
    }
    const pageBits = level === 1 ? 12 : level === 2 ? 21 : 30;
    const offset = low & ((1 << pageBits) - 1);
    // Bit 12 of a large page's entry is PAT, not address.
    const page = large ? frame - (frame % (1 << pageBits)) : frame;
    return finish(
      core,
      guest,
      high,
      low,
      access,
      cr0,
      cr4,
      efer,
      rights,
      nxe && executeDisable !== 0,
      used,
      page + offset,
      2 ** pageBits,
    );
  }
};

/** SDM Vol. 3, "32-Bit Paging". */
const walk32 = (
  core: Core,
  guest: VmxSocket | undefined,
  low: number,
  access: number,
  cr0: number,
  cr4: number,
  traits: PagingTraits,
): Translation | Fault => {
  const { state, physical } = core;
  const ept = guest?.eptEnabled ? guest : undefined;
  const directory = (state.view.getUint32(cr3Offset, true) & 0xffff_f000) >>> 0;
  let pdeAddress = directory + 4 * (low >>> 22);
  if (ept !== undefined) {
    const at = ept.translateGuestPhysical(pdeAddress, GuestPhysicalAccess.TABLE, 0, low);
    if (at instanceof Fault) return at;
    usedGuestAddress[0] = pdeAddress;
    pdeAddress = at.address;
  }
  const pde = physical.read(pdeAddress, 4) | 0;
  if ((pde & P) === 0) return fault(0, low, access, 0, cr4, 0);
  usedAddress[0] = pdeAddress;
  usedLow[0] = pde;
  if ((pde & PS) !== 0 && (cr4 & PSE) !== 0) {
    if ((pde & traits.reserved4M) !== 0) return fault(0, low, access, pageFault.P | pageFault.RSVD, cr4, 0);
    const above = traits.pse36 ? (pde >>> 13) & 0xff : 0;
    const page = above * TWO32 + ((pde & 0xffc0_0000) >>> 0);
    const address = page + (low & 0x3f_ffff);
    return finish(core, guest, 0, low, access, cr0, cr4, 0, pde, false, 1, address, 0x40_0000);
  }
  let pteAddress = ((pde & 0xffff_f000) >>> 0) + 4 * ((low >>> 12) & 0x3ff);
  if (ept !== undefined) {
    const at = ept.translateGuestPhysical(pteAddress, GuestPhysicalAccess.TABLE, 0, low);
    if (at instanceof Fault) return at;
    usedGuestAddress[1] = pteAddress;
    pteAddress = at.address;
  }
  const pte = physical.read(pteAddress, 4) | 0;
  if ((pte & P) === 0) return fault(0, low, access, 0, cr4, 0);
  usedAddress[1] = pteAddress;
  usedLow[1] = pte;
  return finish(
    core,
    guest,
    0,
    low,
    access,
    cr0,
    cr4,
    0,
    pde & pte,
    false,
    2,
    ((pte & 0xffff_f000) >>> 0) + (low & 0xfff),
    4096,
  );
};

/** Rights (SDM Vol. 3, "Determination of Access Rights"), accessed and dirty flags, and the result. */
const finish = (
  core: Core,
  guest: VmxSocket | undefined,
  high: number,
  low: number,
  access: number,
  cr0: number,
  cr4: number,
  efer: number,
  rights: number,
  noExecute: boolean,
  used: number,
  address: number,
  pageSize: number,
): Translation | Fault => {
  const user = (rights & US) !== 0;
  const writable = (rights & RW) !== 0;
  const leafLow = usedLow[used - 1]!;
  let read: boolean;
  let write: boolean;
  let fetch: boolean;
  if ((access & Access.USER) !== 0) {
    read = user;
    write = user && writable;
    fetch = user && !noExecute;
  } else {
    const implicit = (access & Access.IMPLICIT) !== 0;
    read =
      !user || (cr4 & SMAP) === 0 || (!implicit && (core.state.view.getUint32(flagsOffset, true) & AC) !== 0);
    write = read && (writable || (cr0 & WP) === 0);
    fetch = !noExecute && !(user && (cr4 & SMEP) !== 0);
  }
  const allowed = (access & Access.WRITE) !== 0 ? write : (access & Access.FETCH) !== 0 ? fetch : read;
  if (!allowed) return fault(high, low, access, pageFault.P, cr4, efer);
  const dirty = (leafLow & D) !== 0 || (access & Access.WRITE) !== 0;
  if (guest === undefined) setFlags(core, used, access);
  result.address = address;
  result.frame = address - (low & 0xfff);
  result.pageSize = pageSize;
  result.writable = writable;
  result.user = user;
  result.noExecute = noExecute;
  result.global = (leafLow & G) !== 0 && (cr4 & PGE) !== 0;
  result.dirty = dirty;
  result.mayRead = read;
  result.mayWrite = write && dirty;
  result.mayFetch = fetch;
  result.apicAccess = false;
  return guest === undefined ? result : finishInGuest(core, guest, high, low, access, used);
};

/** Set accessed flags in the entries that were used, and the dirty flag in the last of them for a write. */
const setFlags = (core: Core, used: number, access: number): void => {
  for (let n = 0; n < used; n++) {
    const wanted = flagsWanted(n, used, access);
    if ((usedLow[n]! & wanted) !== wanted)
      core.physical.write(usedAddress[n]!, (usedLow[n]! | wanted) >>> 0, 4);
  }
};

const flagsWanted = (n: number, used: number, access: number): number =>
  n === used - 1 && (access & Access.WRITE) !== 0 ? A | D : A;

/** Flags are set once nothing can go wrong: neither their own writes nor the access itself. */
const finishInGuest = (
  core: Core,
  guest: VmxSocket,
  high: number,
  low: number,
  access: number,
  used: number,
): Translation | Fault => {
  if (guest.eptEnabled)
    for (let n = 0; n < used; n++) {
      const wanted = flagsWanted(n, used, access);
      if ((usedLow[n]! & wanted) === wanted) continue;
      const kind = GuestPhysicalAccess.TABLE | Access.WRITE;
      const at = guest.translateGuestPhysical(usedGuestAddress[n]!, kind, high, low);
      if (at instanceof Fault) return at;
    }
  const translation = inGuest(guest, high, low, access);
  if (!(translation instanceof Fault)) setFlags(core, used, access);
  return translation;
};

const fault = (
  high: number,
  low: number,
  access: number,
  cause: number,
  cr4: number,
  efer: number,
): Fault => {
  let code = cause;
  if ((access & Access.WRITE) !== 0) code |= pageFault.WR;
  if ((access & Access.USER) !== 0) code |= pageFault.US;
  if ((access & Access.FETCH) !== 0 && ((cr4 & SMEP) !== 0 || ((cr4 & PAE) !== 0 && (efer & NXE) !== 0)))
    code |= pageFault.ID;
  return new Fault(Exception.PF, code, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
};
