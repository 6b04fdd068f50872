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
export const guestPhysical = (
  memory: PagedMemory,
  paging: GuestPaging,
  linear: bigint,
): number | undefined => {
  const { cr0, cr3, cr4, efer } = paging;
  if ((cr0 & CR0.PG) === 0n) return Number(linear & 0xffff_ffffn);
  if ((cr4 & CR4.PAE) === 0n) return walk32(memory, paging, linear);
  const long = (efer & IA32_EFER.LMA) !== 0n;
  let table = long ? cr3 & addressMask : cr3 & 0xffff_ffe0n;
  for (let level = long ? 4 : 3; level >= 1; level--) {
    const shift = BigInt(12 + 9 * (level - 1));
    const index = level === 3 && !long ? (linear >> shift) & 3n : (linear >> shift) & 0x1ffn;
    const value = read64(memory, Number(table + 8n * index));
    if (value === undefined || (value & BigInt(entry.P)) === 0n) return undefined;
    if (level === 1 || (level <= 3 && !(level === 3 && !long) && value & BigInt(entry.PS))) {
      const within = (1n << shift) - 1n;
      return Number((value & addressMask & ~within) | (linear & within));
    }
    table = value & addressMask;
  }
  return undefined;
};

const walk32 = (memory: PagedMemory, { cr3, cr4 }: GuestPaging, linear: bigint): number | undefined => {
  const low = Number(linear & 0xffff_ffffn);
  const directory = memory.read32(Number(cr3 & 0xffff_f000n) + 4 * (low >>> 22));
  if (directory < 0 || !(directory & entry.P)) return undefined;
  if (directory & entry.PS && cr4 & CR4.PSE)
    return (
      ((directory >>> 13) & 0xff) * 0x1_0000_0000 + ((directory & 0xffc0_0000) >>> 0) + (low & 0x3f_ffff)
    );
  const table = memory.read32(((directory & ~0xfff) >>> 0) + 4 * ((low >>> 12) & 0x3ff));
  if (table < 0 || !(table & entry.P)) return undefined;
  return ((table & ~0xfff) >>> 0) + (low & 0xfff);
};

const read64 = (memory: PagedMemory, address: number): bigint | undefined => {
  const low = memory.read32(address);
  const high = memory.read32(address + 4);
  return low < 0 || high < 0 ? undefined : (BigInt(high) << 32n) | BigInt(low);
};
