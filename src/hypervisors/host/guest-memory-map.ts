import type { GuestMemory } from "../../cpu/guest-memory.ts";
import { fourGiB, pciHoleStart } from "../../cpu/guest-memory.ts";

/** A stretch of guest-physical memory and the host-physical memory that it is. */
export interface MemorySegment {
  readonly guest: number;
  readonly host: number;
  /** Bytes, a multiple of 4 KiB. */
  readonly length: number;
}

const videoStart = 0xa_0000;
const videoEnd = 0xc_0000;

/** The guest's memory as its devices and loaders see it: what GuestMemory is to those of the machine. */
export class GuestMemoryMap {
  readonly physical: GuestMemory;
  readonly #segments: MemorySegment[] = [];

  constructor(physical: GuestMemory) {
    this.physical = physical;
  }

  add(segment: MemorySegment): void {
    this.#segments.push(segment);
  }

  /** Take the segment away that begins at a guest-physical address. */
  remove(guest: number): void {
    const at = this.#segments.findIndex((segment) => segment.guest === guest);
    if (at >= 0) this.#segments.splice(at, 1);
  }

  get segments(): readonly MemorySegment[] {
    return this.#segments;
  }

  /** Bytes below 4 GiB. */
  get lowBytes(): number {
    return this.#segments.reduce((sum, { guest, length }) => sum + (guest < fourGiB ? length : 0), 0);
  }

  /** Host-physical address of a guest-physical one, or -1: nothing, or a device. */
  hostAddress(address: number): number {
    for (const { guest, host, length } of this.#segments)
      if (address >= guest && address < guest + length)
        return address >= videoStart && address < videoEnd ? -1 : host + (address - guest);
    return -1;
  }

  isRam(address: number): boolean {
    return this.hostAddress(address) >= 0;
  }

  /** Copy bytes out; all ones where there is no RAM. */
  readBytes(address: number, length: number): Uint8Array {
    const out = new Uint8Array(length).fill(0xff);
    eachPage(address, length, (at, from, count) => {
      const host = this.hostAddress(at);
      if (host >= 0) out.set(this.physical.readBytes(host, count), from);
    });
    return out;
  }

  /** Copy bytes in; what lies beyond RAM is dropped. */
  writeBytes(address: number, bytes: Uint8Array): void {
    eachPage(address, bytes.length, (at, from, count) => {
      const host = this.hostAddress(at);
      if (host >= 0) this.physical.writeBytes(host, bytes.subarray(from, from + count));
    });
  }

  /** 0 to 4 GiB of unsigned words: page tables. -1 beyond RAM. */
  read32(address: number): number {
    const host = this.hostAddress(address);
    return host < 0 ? -1 : this.physical.read(host, 4);
  }

  /** All RAM is there, whatever the chipset's shadow registers say. */
  shadow(): void {}
}

const eachPage = (
  address: number,
  length: number,
  visit: (at: number, from: number, count: number) => void,
): void => {
  for (let from = 0; from < length; ) {
    const at = address + from;
    const count = Math.min(length - from, 4096 - (at % 4096));
    visit(at, from, count);
    from += count;
  }
};

const largePage = 0x20_0000;

/**
 * Give a guest `bytes` of the host's memory from `from` on: from 0 up to the PCI hole, the rest from 4 GiB, each stretch in large-page
 * alignment. Undefined where the host has not as much.
 */
export const guestSegments = (
  physical: GuestMemory,
  from: number,
  bytes: number,
): readonly MemorySegment[] | undefined => {
  const hostRanges = [
    { start: from, end: physical.lowBytes },
    { start: fourGiB, end: fourGiB + physical.ramBytes - physical.lowBytes },
  ];
  const segments: MemorySegment[] = [];
  let guest = 0;
  let left = bytes;
  for (const { start, end } of hostRanges) {
    let host = Math.ceil(start / largePage) * largePage;
    while (left > 0 && host < end) {
      const room = guest < pciHoleStart ? pciHoleStart - guest : Number.POSITIVE_INFINITY;
      const length = Math.min(left, end - host, room);
      segments.push({ guest, host, length });
      left -= length;
      host += length;
      guest += length;
      if (guest === pciHoleStart) guest = fourGiB;
    }
  }
  return left > 0 ? undefined : segments;
};
