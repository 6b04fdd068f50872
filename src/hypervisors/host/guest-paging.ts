import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { entry } from "../../arch/paging-entries.ts";

/** Guest-physical memory by doublewords; -1 where there is none. */
export interface PagedMemory {
  read32(address: number): number;
}

/** What a guest's paging depends on. */
export interface GuestPaging {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}

const addressMask = 0x000f_ffff_ffff_f000n;

/**
 * Guest-linear to guest-physical as the guest's page tables have it, for emulating an instruction that the guest has executed:
 * rights have been checked by the processor already. Undefined where nothing is mapped any more.
 */
export const guestPhysical = (memory: PagedMemory, paging: GuestPaging, linear: bigint): number | undefined =>
  walk(memory, paging, linear).address;

/** How an instruction reaches memory that the processor has not looked at yet. */
export interface DataAccess {
  readonly isWrite: boolean;
  /** At CPL 3. */
  readonly isUser: boolean;
  /** RFLAGS.AC: a supervisor may reach user pages although CR4.SMAP is set. */
  readonly alignmentCheck: boolean;
}

/** The same with rights: the guest-physical address, or the error code of the page fault. */
export const guestAccess = (
  memory: PagedMemory,
  paging: GuestPaging,
  linear: bigint,
  { isWrite, isUser, alignmentCheck }: DataAccess,
): { readonly address: number } | { readonly errorCode: number } => {
  const { address, entries } = walk(memory, paging, linear);
  const wants = (isWrite ? entry.RW : 0) | (isUser ? entry.US : 0);
  if (address === undefined) return { errorCode: wants };
  const all = (bit: number): boolean => entries.every((value) => (value & BigInt(bit)) !== 0n);
  const isUserPage = entries.length > 0 && all(entry.US);
  const mayWrite = all(entry.RW) || (!isUser && (paging.cr0 & CR0.WP) === 0n);
  const isSealed = isUserPage && !isUser && (paging.cr4 & CR4.SMAP) !== 0n && !alignmentCheck;
  const isRefused = (isUser && entries.length > 0 && !isUserPage) || (isWrite && !mayWrite) || isSealed;
  return isRefused ? { errorCode: wants | entry.P } : { address };
};

/** Where a walk ends, and the entries that it came by; none with paging off. */
interface Walk {
  readonly address: number | undefined;
  readonly entries: readonly bigint[];
}

const walk = (memory: PagedMemory, paging: GuestPaging, linear: bigint): Walk => {
  const { cr0, cr3, cr4, efer } = paging;
  if ((cr0 & CR0.PG) === 0n) return { address: Number(linear & 0xffff_ffffn), entries: [] };
  if ((cr4 & CR4.PAE) === 0n) return walk32(memory, paging, linear);
  const long = (efer & IA32_EFER.LMA) !== 0n;
  const entries: bigint[] = [];
  let table = long ? cr3 & addressMask : cr3 & 0xffff_ffe0n;
  for (let level = long ? 4 : 3; level >= 1; level--) {
    const shift = BigInt(12 + 9 * (level - 1));
    const isPdpte = level === 3 && !long;
    const index = isPdpte ? (linear >> shift) & 3n : (linear >> shift) & 0x1ffn;
    const value = read64(memory, Number(table + 8n * index));
    if (value === undefined || (value & BigInt(entry.P)) === 0n) return { address: undefined, entries };
    // PDPTEs of PAE paging have no rights.
    if (!isPdpte) entries.push(value);
    if (level === 1 || (level <= 3 && !isPdpte && value & BigInt(entry.PS))) {
      const within = (1n << shift) - 1n;
      return { address: Number((value & addressMask & ~within) | (linear & within)), entries };
    }
    table = value & addressMask;
  }
  return { address: undefined, entries };
};

const walk32 = (memory: PagedMemory, { cr3, cr4 }: GuestPaging, linear: bigint): Walk => {
  const low = Number(linear & 0xffff_ffffn);
  const directory = memory.read32(Number(cr3 & 0xffff_f000n) + 4 * (low >>> 22));
  if (directory < 0 || !(directory & entry.P)) return { address: undefined, entries: [] };
  if (directory & entry.PS && cr4 & CR4.PSE) {
    const high = ((directory >>> 13) & 0xff) * 0x1_0000_0000;
    const address = high + ((directory & 0xffc0_0000) >>> 0) + (low & 0x3f_ffff);
    return { address, entries: [BigInt(directory)] };
  }
  const table = memory.read32(((directory & ~0xfff) >>> 0) + 4 * ((low >>> 12) & 0x3ff));
  if (table < 0 || !(table & entry.P)) return { address: undefined, entries: [BigInt(directory)] };
  const address = ((table & ~0xfff) >>> 0) + (low & 0xfff);
  return { address, entries: [BigInt(directory), BigInt(table)] };
};

const read64 = (memory: PagedMemory, address: number): bigint | undefined => {
  const low = memory.read32(address);
  const high = memory.read32(address + 4);
  return low < 0 || high < 0 ? undefined : (BigInt(high) << 32n) | BigInt(low);
};
