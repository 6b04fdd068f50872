import { ramOffset } from "../codegen/memory-map.ts";
import { wasmPageBytes } from "../wasm/engine.ts";
import type { PhysicalBus } from "./core.ts";

/** Where physical RAM leaves room for devices: RAM beyond this address continues at 4 GiB. */
export const pciHoleStart = 0xb000_0000;
export const fourGiB = 0x1_0000_0000;
/** Most RAM a machine can have: what one 32-bit WebAssembly memory holds besides our own tables, rounded down. */
export const maximumRamBytes = 3840 * 1024 * 1024;

/** What a chipset can shadow: RAM in the place of expansion and system ROMs. */
const shadowStart = 0xc_0000;
const shadowEnd = 0x10_0000;
/** Where the accesses of one direction go, page by page. Until the chipset says, ROM hides RAM. */
const Shadow = { unset: 0, RAM: 1, notRAM: 2 } as const;
/** No memory takes a write: it goes to a device, or nowhere. */
const writeTo = { device: -1, nowhere: -2 } as const;

/** Why stores to a page are watched: bits of an entry of `watchedPages`. */
export const Watched = { code: 1, vmcs: 2 } as const;

/** A processor that may have a current VMCS. */
export interface VmcsOwner {
  /** Memory offset of its region; negative: none. */
  region(): number;
  /** Another processor has the same one. */
  sharesRegion: boolean;
  /** The region is stored to, and not by VMX. */
  stored(): void;
}

/** Memory-mapped devices behind the RAM. */
export interface DeviceSpace {
  read(address: number, size: 1 | 2 | 4): number;
  write(address: number, value: number, size: 1 | 2 | 4): void;
}

/** A ROM image in the physical address space: read-only, executable. */
interface Rom {
  readonly start: number;
  readonly length: number;
  /** Offset in linear memory. */
  readonly offset: number;
}

/**
 * Guest-physical memory: RAM and ROM inside the linear memory that translated code runs in, devices behind it. RAM is
 * one block from 0, continued at 4 GiB, with the legacy video hole 0xA0000-0xBFFFF left to devices.
 */
export class GuestMemory implements PhysicalBus {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly ramBytes: number;
  /** RAM below the PCI hole, bytes. */
  readonly lowBytes: number;
  readonly #devices: DeviceSpace;
  readonly #roms: Rom[] = [];
  #romEnd: number;
  readonly #romLimit: number;
  /** From 1 MiB to here there is RAM and nothing else. */
  #plainEnd: number;
  readonly #shadowReads = new Uint8Array((shadowEnd - shadowStart) >>> 12);
  readonly #shadowWrites = new Uint8Array((shadowEnd - shadowStart) >>> 12);
  /** One byte per 4-KiB page of RAM and ROM (by memory offset): bits of `Watched`. No translation for writing is cached of a watched page. */
  readonly watchedPages: Uint8Array;
  /** Told before bytes of a page that holds decoded code change. */
  onCodeWrite: (memoryOffset: number, length: number) => void = () => {};
  /** Told when a page begins to be watched: translations for writing to it must go. */
  onWatch: (pageOffset: number) => void = () => {};
  /** Those who want to know of stores to VMCSs. */
  readonly vmcsOwners: VmcsOwner[] = [];

  /**
   * `ramBytes` is a multiple of 4 KiB up to `maximumRamBytes`; `romBytes`: room for ROM images. `kept` is the memory of a machine of the
   * same sizes before a reset: RAM keeps its contents.
   */
  constructor(ramBytes: number, romBytes: number, devices: DeviceSpace, kept?: WebAssembly.Memory) {
    this.ramBytes = ramBytes;
    this.lowBytes = Math.min(ramBytes, pciHoleStart);
    this.#plainEnd = this.lowBytes;
    this.#devices = devices;
    const total = ramOffset + ramBytes + romBytes;
    const pages = Math.ceil(total / wasmPageBytes);
    this.memory = kept ?? new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.bytes = new Uint8Array(this.memory.buffer);
    if (kept !== undefined) this.bytes.fill(0, 0, ramOffset);
    this.view = new DataView(this.memory.buffer);
    this.#romEnd = ramOffset + ramBytes;
    this.#romLimit = this.#romEnd + romBytes;
    this.watchedPages = new Uint8Array((ramBytes + romBytes) >>> 12);
  }

  /** Place a ROM image; it hides RAM under it. Returns false when it does not fit the room reserved for ROM. */
  addRom(start: number, image: Uint8Array): boolean {
    const length = Math.ceil(image.length / 4096) * 4096;
    if (this.#romEnd + length > this.#romLimit) return false;
    this.bytes.set(image, this.#romEnd);
    this.#roms.unshift({ start, length, offset: this.#romEnd });
    this.#romEnd += length;
    if (start + length > shadowEnd) this.#plainEnd = Math.min(this.#plainEnd, start);
    return true;
  }

  /**
   * Give reads and writes of a stretch between 0xC0000 and 1 MiB to RAM, or not: then ROM answers reads where there is one, and
   * writes change nothing. Whole pages. Translations made before must be dropped.
   */
  shadow(start: number, length: number, reads: boolean, writes: boolean): void {
    const [first, end] = [(start - shadowStart) >>> 12, (start + length - shadowStart) >>> 12];
    this.#shadowReads.fill(reads ? Shadow.RAM : Shadow.notRAM, first, end);
    this.#shadowWrites.fill(writes ? Shadow.RAM : Shadow.notRAM, first, end);
  }

  #romAt(address: number): Rom | undefined {
    for (const rom of this.#roms) if (address >= rom.start && address < rom.start + rom.length) return rom;
    return undefined;
  }

  /** Offset in linear memory of a physical address, or -1 where there is neither RAM nor ROM. */
  offsetOf(address: number): number {
    if (address >= shadowEnd && address < this.#plainEnd) return ramOffset + address;
    const reads = isShadowable(address) ? this.#shadowReads[shadowPage(address)]! : Shadow.unset;
    if (this.#roms.length > 0 && reads !== Shadow.RAM) {
      const rom = this.#romAt(address);
      if (rom !== undefined) return rom.offset + (address - rom.start);
    }
    if (reads === Shadow.notRAM) return -1;
    return this.#ramOffsetOf(address);
  }

  #ramOffsetOf(address: number): number {
    if (address < this.lowBytes) return address >= 0xa_0000 && address < 0xc_0000 ? -1 : ramOffset + address;
    if (address >= fourGiB && address < fourGiB + (this.ramBytes - this.lowBytes))
      return ramOffset + this.lowBytes + (address - fourGiB);
    return -1;
  }

  /** Writes to memory at this address go where reads come from. */
  isWritable(address: number): boolean {
    if (isShadowable(address)) {
      const page = shadowPage(address);
      const [reads, writes] = [this.#shadowReads[page]!, this.#shadowWrites[page]!];
      if (writes === Shadow.RAM) return reads === Shadow.RAM;
      if (writes === Shadow.notRAM) return false;
    }
    return this.#roms.length === 0 || this.#romAt(address) === undefined;
  }

  /** Offset in linear memory that a write goes to, or one of `writeTo`. */
  #writeOffsetOf(address: number): number {
    if (address >= shadowEnd && address < this.#plainEnd) return ramOffset + address;
    if (isShadowable(address)) {
      const writes = this.#shadowWrites[shadowPage(address)]!;
      // Perhaps not what is read there: firmware copies ROM into the RAM beneath it.
      if (writes === Shadow.RAM) return this.#ramOffsetOf(address);
      if (writes === Shadow.notRAM) return writeTo.nowhere;
    }
    const offset = this.offsetOf(address);
    return offset < 0 ? writeTo.device : this.isWritable(address) ? offset : writeTo.nowhere;
  }

  isRam(address: number): boolean {
    return this.offsetOf(address) >= 0;
  }

  inPlace(address: number, write: boolean): number {
    const offset = this.offsetOf(address);
    if (offset < 0 || !write) return offset;
    return this.watchedPages[GuestMemory.pageOf(offset)] === 0 && this.isWritable(address) ? offset : -1;
  }

  /** Number of the page of code tracking that holds this memory offset. */
  static pageOf(memoryOffset: number): number {
    return (memoryOffset - ramOffset) >>> 12;
  }

  /** Begin to watch the page at a memory offset. */
  watch(pageOffset: number, reason: number): void {
    const page = GuestMemory.pageOf(pageOffset);
    const reasons = this.watchedPages[page]!;
    this.watchedPages[page] = reasons | reason;
    if (reasons === 0) this.onWatch(pageOffset);
  }

  /** Bits of `Watched` of the page at a memory offset. */
  reasonsToWatch(memoryOffset: number): number {
    return this.watchedPages[GuestMemory.pageOf(memoryOffset)]!;
  }

  /** To be called before bytes of a watched page change; all within one page. */
  beforeWrite(memoryOffset: number, length: number): void {
    const page = GuestMemory.pageOf(memoryOffset);
    const reasons = this.watchedPages[page]!;
    if (reasons & Watched.code) this.onCodeWrite(memoryOffset, length);
    if (reasons & Watched.vmcs) {
      const pageOffset = ramOffset + page * 4096;
      let isCurrent = false;
      for (const owner of this.vmcsOwners)
        if (owner.region() === pageOffset) {
          owner.stored();
          isCurrent = true;
        }
      // A region that software has given up is memory like any other.
      if (!isCurrent) this.watchedPages[page]! &= ~Watched.vmcs;
    }
  }

  read(address: number, size: 1 | 2 | 4): number {
    const offset = this.offsetOf(address);
    if (offset < 0) {
      const value = this.#devices.read(address, size);
      return size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
    }
    return size === 4
      ? this.view.getUint32(offset, true)
      : size === 2
        ? this.view.getUint16(offset, true)
        : this.bytes[offset]!;
  }

  write(address: number, value: number, size: 1 | 2 | 4): void {
    const offset = this.#writeOffsetOf(address);
    if (offset < 0) {
      if (offset === writeTo.device) this.#devices.write(address, value, size);
      return;
    }
    if (this.watchedPages[GuestMemory.pageOf(offset)] !== 0) this.beforeWrite(offset, size);
    if (size === 4) this.view.setUint32(offset, value, true);
    else if (size === 2) this.view.setUint16(offset, value, true);
    else this.bytes[offset] = value;
  }

  /** Copy bytes out of RAM or ROM; beyond it all ones. For devices and loaders; never touches a device register. */
  readBytes(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length).fill(0xff);
    this.#eachPage(address, length, (at, from, count) => {
      const offset = this.offsetOf(at);
      if (offset >= 0) out.set(this.bytes.subarray(offset, offset + count), from);
    });
    return out;
  }

  /** Copy bytes into RAM; what lies beyond it is dropped. */
  writeBytes(address: number, bytes: Uint8Array): void {
    this.#eachPage(address, bytes.length, (at, from, count) => {
      const offset = this.#writeOffsetOf(at);
      if (offset < 0) return;
      if (this.watchedPages[GuestMemory.pageOf(offset)] !== 0) this.beforeWrite(offset, count);
      this.bytes.set(bytes.subarray(from, from + count), offset);
    });
  }

  #eachPage(address: number, length: number, visit: (at: number, from: number, count: number) => void): void {
    let from = 0;
    while (from < length) {
      const at = address + from;
      const count = Math.min(length - from, 4096 - (at % 4096));
      visit(at, from, count);
      from += count;
    }
  }

  /** All of RAM, for hashing and snapshots. */
  ram(): Uint8Array {
    return this.bytes.subarray(ramOffset, ramOffset + this.ramBytes);
  }
}

const isShadowable = (address: number): boolean => address >= shadowStart && address < shadowEnd;
const shadowPage = (address: number): number => (address - shadowStart) >>> 12;
