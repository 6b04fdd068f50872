import { ramOffset } from "../../codegen/memory-map.ts";
import type { GuestMemory } from "../../cpu/guest-memory.ts";

/** A stretch of the host kernel's memory with a name and an owner, for traces: a saved register, a stack. */
export interface MemoryRegion {
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  readonly name: string;
  /** Whose values lie there. */
  readonly owner: "host" | "guest";
  /** A whole stack rather than one value. */
  readonly isStack?: boolean;
  /** The name holds only while this does; default: always. */
  readonly holds?: () => boolean;
}

/** Where the host kernel's own memory begins: below lie what a PC keeps for itself. */
export const hostStart = 0x10_0000;
const pageBytes = 4096;

/**
 * Physical memory as the host kernel's C part sees it: mapped to itself, below the guest's. Its pages are handed out from the
 * bottom and live as long as the machine.
 */
export class HostMemory {
  readonly physical: GuestMemory;
  /** First address that is not the host kernel's. */
  readonly end: number;
  readonly #view: DataView;
  readonly #regions: MemoryRegion[] = [];
  #next = hostStart;

  constructor(physical: GuestMemory, end: number) {
    this.physical = physical;
    this.end = end;
    this.#view = physical.view;
  }

  /** Cleared bytes at a multiple of `alignment`, a power of two; default: whole pages. */
  allocate(bytes: number, alignment = pageBytes): number {
    const address = Math.ceil(this.#next / alignment) * alignment;
    if (address + bytes > this.end) throw new Error("the host kernel's memory is used up");
    this.#next = address + bytes;
    return address;
  }

  /** Bytes that `allocate` still has. */
  get free(): number {
    return this.end - this.#next;
  }

  /** Give a stretch a name, for traces. A later one hides an earlier one. */
  label(region: MemoryRegion): void {
    this.#regions.unshift(region);
  }

  /** The narrowest name of an address, of a stack or of a value. */
  regionAt(address: number, isStack: boolean): MemoryRegion | undefined {
    let found: MemoryRegion | undefined;
    for (const region of this.#regions)
      if (
        (region.isStack === true) === isStack &&
        address >= region.start &&
        address < region.start + region.length &&
        (region.holds?.() ?? true) &&
        (found === undefined || region.length < found.length)
      )
        found = region;
    return found;
  }

  /** Whether a quadword at this physical address is RAM below the PCI hole. */
  has(address: number): boolean {
    return address >= 0 && address + 8 <= this.physical.lowBytes;
  }

  /** Low 32 bits at a physical address of RAM below the PCI hole. */
  read32(address: number): number {
    return this.#view.getUint32(ramOffset + address, true);
  }
  read64(address: number): bigint {
    return this.#view.getBigUint64(ramOffset + address, true);
  }
  /** A quadword that holds an address or a count: below 2^53. */
  readNumber(address: number): number {
    return (
      this.#view.getUint32(ramOffset + address + 4, true) * 0x1_0000_0000 +
      this.#view.getUint32(ramOffset + address, true)
    );
  }
  write32(address: number, value: number): void {
    this.#view.setUint32(ramOffset + address, value, true);
  }
  write64(address: number, value: bigint): void {
    this.#view.setBigUint64(ramOffset + address, value, true);
  }
  writeNumber(address: number, value: number): void {
    this.#view.setUint32(ramOffset + address, value >>> 0, true);
    this.#view.setUint32(ramOffset + address + 4, Math.floor(value / 0x1_0000_0000), true);
  }
  /** Add a small number to a quadword. */
  add(address: number, by: number): void {
    const low = this.read32(address) + by;
    this.write32(address, low);
    if (low > 0xffff_ffff) this.write32(address + 4, this.read32(address + 4) + 1);
  }
  /** Copy bytes that do not overlap, all of them in RAM below the PCI hole. */
  copy(from: number, to: number, length: number): void {
    this.physical.bytes.copyWithin(ramOffset + to, ramOffset + from, ramOffset + from + length);
  }
  write(address: number, bytes: Uint8Array): void {
    this.physical.writeBytes(address, bytes);
  }
  /** A copy. */
  read(address: number, length: number): Uint8Array {
    return this.physical.readBytes(address, length);
  }
}
