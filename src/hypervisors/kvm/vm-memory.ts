import type { GuestMemory } from "../../cpu/guest-memory.ts";
import { EptTables, eptPermission, memoryType } from "../host/ept-tables.ts";
import type { GuestMemoryMap } from "../host/guest-memory-map.ts";
import type { HostMemory } from "../host/host-memory.ts";
import { errno } from "./kvm-run.ts";

/** A memory slot: guest-physical memory that is the caller's memory. */
export interface MemoryRegion {
  readonly slot: number;
  readonly logsDirtyPages: boolean;
  readonly guestPhysAddr: number;
  /** Bytes; 0 takes the slot away. */
  readonly memorySize: number;
  /** Where the caller has it: host-physical here, where all memory is mapped to itself. */
  readonly userspaceAddr: number;
}

const pageBytes = 4096;
const largePage = 0x20_0000;
const slots = 32;
const all = eptPermission.read | eptPermission.write | eptPermission.execute;
const readOnly = eptPermission.read | eptPermission.execute;

/** The guest-physical address space of a virtual machine. EPT entries are made when the guest first touches a page. */
export class VmMemory {
  readonly ept: EptTables;
  readonly map: GuestMemoryMap;
  readonly #physical: GuestMemory;
  readonly #slots = new Map<number, MemoryRegion>();
  /** Bitmaps of pages written since the last look, by slot. */
  readonly #dirty = new Map<number, Uint8Array>();
  /** EPT violations that gave the guest a page. */
  faults = 0;

  constructor(memory: HostMemory, map: GuestMemoryMap, options: ConstructorParameters<typeof EptTables>[1]) {
    this.map = map;
    this.#physical = memory.physical;
    this.ept = new EptTables(memory, options);
  }

  /** KVM_SET_USER_MEMORY_REGION: 0, or an error. */
  setRegion(region: MemoryRegion): number {
    const { slot, guestPhysAddr: guest, memorySize: length, userspaceAddr: host } = region;
    if (slot < 0 || slot >= slots || guest % pageBytes || length % pageBytes || host % pageBytes)
      return errno.EINVAL;
    for (const other of this.#slots.values())
      if (
        other.slot !== slot &&
        guest < other.guestPhysAddr + other.memorySize &&
        other.guestPhysAddr < guest + length
      )
        return errno.EEXIST;
    const before = this.#slots.get(slot);
    if (before === undefined && length === 0) return errno.EINVAL;
    // Only what is logged may change in a slot that is there; else it is taken away first.
    if (before !== undefined && length !== 0) {
      if (before.guestPhysAddr !== guest || before.memorySize !== length || before.userspaceAddr !== host)
        return errno.EINVAL;
    }
    if (before !== undefined) this.#unmap(before);
    if (length === 0) {
      this.#slots.delete(slot);
      this.map.remove(guest);
      return 0;
    }
    this.#slots.set(slot, region);
    if (before === undefined) this.map.add({ guest, host, length });
    if (region.logsDirtyPages) this.#dirty.set(slot, new Uint8Array(Math.ceil(length / pageBytes / 8)));
    else this.#dirty.delete(slot);
    return 0;
  }

  #unmap({ guestPhysAddr, memorySize }: MemoryRegion): void {
    this.#mapRange(guestPhysAddr, guestPhysAddr, memorySize, 0);
  }

  #mapRange(guest: number, host: number, length: number, permissions: number): void {
    this.ept.map({ guest, host, length, permissions, memoryType: memoryType.writeBack, ignorePat: true });
  }

  /** KVM_GET_DIRTY_LOG: one bit a page, which are clear and write-protected from now on; translations must be flushed. */
  dirtyLog(slot: number): Uint8Array | undefined {
    const bitmap = this.#dirty.get(slot);
    const region = this.#slots.get(slot);
    if (bitmap === undefined || region === undefined) return undefined;
    const result = bitmap.slice();
    for (let page = 0; page < region.memorySize / pageBytes; page++)
      if (bitmap[page >> 3]! & (1 << (page & 7))) this.#mapPage(region, page, readOnly);
    bitmap.fill(0);
    return result;
  }

  #mapPage({ guestPhysAddr, userspaceAddr }: MemoryRegion, page: number, permissions: number): void {
    this.#mapRange(
      guestPhysAddr + pageBytes * page,
      userspaceAddr + pageBytes * page,
      pageBytes,
      permissions,
    );
  }

  /** The guest has no right to what it did at an address. True: it has from now on. */
  fault(address: number, isWrite: boolean): boolean {
    if (this.map.hostAddress(address) < 0) return false;
    for (const region of this.#slots.values()) {
      const at = address - region.guestPhysAddr;
      if (at < 0 || at >= region.memorySize) continue;
      this.faults++;
      const bitmap = this.#dirty.get(region.slot);
      if (bitmap !== undefined) {
        const page = Math.floor(at / pageBytes);
        if (isWrite) bitmap[page >> 3]! |= 1 << (page & 7);
        this.#mapPage(region, page, isWrite ? all : readOnly);
      } else this.#mapAround(region, address);
      return true;
    }
    return false;
  }

  /** The 2 MiB around an address where the slot has them and none is a device's, else its page. */
  #mapAround(region: MemoryRegion, address: number): void {
    const { guestPhysAddr, memorySize, userspaceAddr } = region;
    const start = address - (address % largePage);
    const isWhole = start >= guestPhysAddr && start + largePage <= guestPhysAddr + memorySize && start > 0;
    const guest = isWhole ? start : address - (address % pageBytes);
    const length = isWhole ? largePage : pageBytes;
    this.#mapRange(guest, userspaceAddr + (guest - guestPhysAddr), length, all);
  }

  isRam(address: number): boolean {
    return this.map.isRam(address);
  }
  /** RAM as emulated instructions reach it. */
  read(address: number, size: 1 | 2 | 4): number {
    return this.#physical.read(this.map.hostAddress(address), size) >>> 0;
  }
  write(address: number, value: number, size: 1 | 2 | 4): void {
    const bitmapped = this.#dirty.size > 0;
    if (bitmapped) this.fault(address, true);
    this.#physical.write(this.map.hostAddress(address), value, size);
  }
}
