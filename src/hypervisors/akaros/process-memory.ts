import { eptEntry } from "../../arch/ept-entries.ts";
import { entry } from "../../arch/paging-entries.ts";
import { memoryType } from "../host/ept-tables.ts";
import type { HostMemory } from "../host/host-memory.ts";
import { pageBytes, userAddress } from "./layout.ts";

/** A stretch of the process's address space and the host-physical memory that it is: present only once it has been touched. */
export interface VirtualRegion {
  readonly start: number;
  /** Bytes; all three are multiples of 4 KiB. */
  readonly length: number;
  readonly host: number;
  readonly writable?: boolean;
  /** Registers of a device: no cache. */
  readonly isDevice?: boolean;
}
export interface Access {
  readonly write: boolean;
  readonly execute: boolean;
}

const largePage = 0x20_0000;
const addressMask = 0x000f_ffff_ffff_f000n;
const kernelHalf = 256;

/**
 * A process's page tables. Each table is two pages: the processor's own format, and 4096 bytes further the EPT's, kept in lock step. So the
 * process's addresses are its guests' guest-physical addresses, and an EPT violation is a page fault of the process.
 */
export class ProcessMemory {
  readonly root: number;
  readonly #memory: HostMemory;
  readonly #regions: VirtualRegion[] = [];
  readonly #touched = new Set<VirtualRegion>();
  /** Pages made present by faults. */
  faults = 0;

  /** `kernelRoot`: tables whose first entry maps the kernel's memory, which goes into the upper half. */
  constructor(memory: HostMemory, kernelRoot: number) {
    this.#memory = memory;
    this.root = this.#newTable();
    memory.write64(this.root + 8 * kernelHalf, memory.read64(kernelRoot));
  }

  #newTable(): number {
    return this.#memory.allocate(2 * pageBytes);
  }

  /** Write-back tables of four levels: what EPT_POINTER gets. */
  get eptPointer(): number {
    return this.root + pageBytes + (3 << 3) + memoryType.writeBack;
  }

  /** False: it overlaps what is there, or leaves the user's half. */
  mmap(region: VirtualRegion): boolean {
    const end = region.start + region.length;
    if (region.start < 0 || region.length <= 0 || end > userAddress.end) return false;
    if ([region.start, region.length, region.host].some((value) => value % pageBytes !== 0)) return false;
    if (this.#regions.some(({ start, length }) => region.start < start + length && start < end)) return false;
    this.#regions.push(region);
    return true;
  }

  /** Take addresses away that were never touched. False: they are not one region's, or its pages are there already. */
  munmap(start: number, length: number): boolean {
    const at = this.#regions.findIndex(
      (one) => start >= one.start && start + length <= one.start + one.length,
    );
    const region = this.#regions[at];
    if (region === undefined || length <= 0 || start % pageBytes !== 0 || length % pageBytes !== 0)
      return false;
    if (this.#touched.has(region)) return false;
    const end = start + length;
    const below = { ...region, length: start - region.start };
    const above = {
      ...region,
      start: end,
      host: region.host + (end - region.start),
      length: region.start + region.length - end,
    };
    this.#regions.splice(at, 1, ...[below, above].filter((rest) => rest.length > 0));
    return true;
  }

  #regionOf(address: number): VirtualRegion | undefined {
    return this.#regions.find(({ start, length }) => address >= start && address < start + length);
  }

  /** A fault of the process at an address: true, and the page is there; false: nothing is mapped there, or not like that. */
  fault(address: number, { write }: Access): boolean {
    const region = this.#regionOf(address);
    if (region === undefined || (write && region.writable === false)) return false;
    const { start, length, host } = region;
    const large = Math.floor(address / largePage) * largePage;
    const isLarge =
      large >= start && large + largePage <= start + length && (host + (large - start)) % largePage === 0;
    const page = isLarge ? large : address - (address % pageBytes);
    this.#map(page, host + (page - start), isLarge, region);
    this.#touched.add(region);
    this.faults++;
    return true;
  }

  #map(
    address: number,
    host: number,
    isLarge: boolean,
    { writable = true, isDevice = false }: VirtualRegion,
  ): void {
    let table = this.root;
    for (let level = 4; level > (isLarge ? 2 : 1); level--) {
      const at = table + 8 * (Math.floor(address / 2 ** (12 + 9 * (level - 1))) % 512);
      let next = Number(this.#memory.read64(at) & addressMask);
      if (next === 0) {
        next = this.#newTable();
        this.#memory.writeNumber(at, next + (entry.P | entry.RW | entry.US));
        this.#memory.writeNumber(at + pageBytes, next + pageBytes + (eptEntry.R | eptEntry.W | eptEntry.X));
      }
      table = next;
    }
    const at = table + 8 * (Math.floor(address / 2 ** (isLarge ? 21 : 12)) % 512);
    const rights = entry.P | entry.US | (writable ? entry.RW : 0) | (isDevice ? entry.PCD : 0);
    const type = isDevice ? memoryType.uncacheable : memoryType.writeBack;
    const eptRights = eptEntry.R | eptEntry.X | (writable ? eptEntry.W : 0) | (type << 3);
    this.#memory.writeNumber(at, host + rights + (isLarge ? entry.PS : 0));
    this.#memory.writeNumber(at + pageBytes, host + eptRights + (isLarge ? eptEntry.PS : 0));
  }

  /** Host-physical address of a byte of the process, or -1. It need not be present. */
  physical(address: number): number {
    const region = this.#regionOf(address);
    return region === undefined ? -1 : region.host + (address - region.start);
  }

  /** Entries that map an address in the two formats; 0 where none does. */
  entries(address: number): { readonly page: bigint; readonly ept: bigint } {
    let table = this.root;
    for (let level = 4; ; level--) {
      const at = table + 8 * (Math.floor(address / 2 ** (12 + 9 * (level - 1))) % 512);
      const page = this.#memory.read64(at);
      if (page === 0n || level === 1 || page & BigInt(entry.PS))
        return { page, ept: this.#memory.read64(at + pageBytes) };
      table = Number(page & addressMask);
    }
  }
}
