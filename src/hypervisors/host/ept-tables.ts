import { eptEntry } from "../../arch/ept-entries.ts";
import type { VmxCapabilities } from "../../vmx/capabilities.ts";
import type { HostMemory } from "./host-memory.ts";

export const eptPermission = { read: eptEntry.R, write: eptEntry.W, execute: eptEntry.X } as const;
/** Memory types by their numbers (SDM Vol. 3, "Memory Types"). */
export const memoryType = { uncacheable: 0, writeBack: 6 } as const;

/** Largest first; bit of the address where the page number begins, and level in the walk. */
const sizes = [
  { bits: 30, level: 3 },
  { bits: 21, level: 2 },
  { bits: 12, level: 1 },
] as const;

export interface EptOptions {
  readonly has1GPages: boolean;
  readonly has2MPages: boolean;
}

/** What a processor's capabilities allow. */
export const eptOptions = (capability: VmxCapabilities): EptOptions => ({
  has1GPages: capability.has("ept1GPages"),
  has2MPages: capability.has("ept2MPages"),
});

export interface EptMapping {
  readonly guest: number;
  readonly host: number;
  /** Bytes; all three are multiples of 4 KiB. */
  readonly length: number;
  /** Bits of `eptPermission`; 0 takes the mapping away. */
  readonly permissions: number;
  readonly memoryType: number;
  /** The guest's PAT has no say. */
  readonly ignorePat?: boolean;
}

const entryBytes = 8;
const addressMask = 0x000f_ffff_ffff_f000n;

/**
 * EPT paging structures of four levels in the host kernel's memory, made with the largest pages that alignment, length and
 * processor allow (SDM Vol. 3, "EPT Translation Mechanism").
 */
export class EptTables {
  readonly root: number;
  readonly #memory: HostMemory;
  readonly #options: EptOptions;
  /** Pages mapped, by the bits of their size. */
  readonly pages = new Map<number, number>();

  /** `root`: a cleared page for the first table; without it one is allocated. */
  constructor(memory: HostMemory, options: EptOptions, root = memory.allocate(4096)) {
    this.#memory = memory;
    this.#options = options;
    this.root = root;
  }

  /** The EPT pointer: write-back tables, four levels. */
  get pointer(): number {
    return this.root + (3 << 3) + memoryType.writeBack;
  }

  map(mapping: EptMapping): void {
    const { permissions, ignorePat = false } = mapping;
    let { guest, host, length } = mapping;
    while (length > 0) {
      const { bits, level } = sizes.find((size) => this.#fits(size.bits, guest, host, length))!;
      const page = 2 ** bits;
      const entry = this.#entryOf(guest, level);
      const flags =
        permissions |
        (mapping.memoryType << 3) |
        (ignorePat ? eptEntry.IPAT : 0) |
        (level > 1 ? eptEntry.PS : 0);
      this.#memory.writeNumber(entry, permissions === 0 ? 0 : host + flags);
      if (permissions !== 0) this.pages.set(bits, (this.pages.get(bits) ?? 0) + 1);
      guest += page;
      host += page;
      length -= page;
    }
  }

  #fits(bits: number, guest: number, host: number, length: number): boolean {
    const page = 2 ** bits;
    if (bits === 30 && !this.#options.has1GPages) return false;
    if (bits === 21 && !this.#options.has2MPages) return false;
    return guest % page === 0 && host % page === 0 && length >= page;
  }

  /** Address of the entry of a guest-physical address at a level; tables above it are made, larger pages split. */
  #entryOf(guest: number, level: number): number {
    let table = this.root;
    for (let at = 4; at > level; at--) {
      const entry = table + entryBytes * (Math.floor(guest / 2 ** (12 + 9 * (at - 1))) % 512);
      const value = this.#memory.read64(entry);
      if (value === 0n || value & BigInt(eptEntry.PS)) {
        const next = this.#memory.allocate(4096);
        if (value !== 0n) this.#split(next, value, at - 1);
        this.#memory.writeNumber(entry, next + eptEntry.R + eptEntry.W + eptEntry.X);
      }
      table = Number(this.#memory.read64(entry) & addressMask);
    }
    return table + entryBytes * (Math.floor(guest / 2 ** (12 + 9 * (level - 1))) % 512);
  }

  /** Fill a table with the pages of a larger one. */
  #split(table: number, page: bigint, level: number): void {
    const step = 1n << BigInt(12 + 9 * (level - 1));
    const first = level === 1 ? page & ~BigInt(eptEntry.PS) : page;
    for (let n = 0n; n < 512n; n++) this.#memory.write64(table + Number(n) * entryBytes, first + n * step);
  }

  /** The entry that maps a guest-physical address and the bytes of its page; undefined where nothing does. */
  lookUp(
    guest: number,
  ): { readonly entry: bigint; readonly host: number; readonly pageBytes: number } | undefined {
    let table = this.root;
    for (let level = 4; level >= 1; level--) {
      const shift = 12 + 9 * (level - 1);
      const entry = this.#memory.read64(table + entryBytes * (Math.floor(guest / 2 ** shift) % 512));
      if ((entry & 7n) === 0n) return undefined;
      if (level === 1 || entry & BigInt(eptEntry.PS)) {
        const pageBytes = 2 ** shift;
        const base = Number(entry & addressMask & ~BigInt(pageBytes - 1));
        return { entry, host: base + (guest % pageBytes), pageBytes };
      }
      table = Number(entry & addressMask);
    }
    return undefined;
  }
}
