import { FOUR_GIB, type MemoryMap } from "./memory-map.ts";

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Where something may be placed: bounds in guest-physical addresses, `end` exclusive, and an alignment in bytes. */
export interface Placement {
  readonly start?: number;
  readonly end?: number;
  readonly alignment?: number;
}

const PAGE = 4096;

/**
 * Guest RAM that a boot loader has not used yet. The first page (interrupt vectors, BIOS data) is never given away,
 * and by default nothing above 4 GiB is.
 */
export class FreeSpace {
  #free: Span[];
  readonly #RAM: readonly Span[];

  constructor(map: MemoryMap) {
    this.#RAM = map.ranges
      .filter((range) => range.type === "RAM")
      .map((range) => ({ start: range.start, end: range.start + range.length }));
    this.#free = [...this.#RAM];
    this.#remove(0, PAGE);
  }

  /** Whether all of a stretch is RAM, used or not. An empty stretch always is. */
  isRam(address: number, length: number): boolean {
    return length === 0 || this.#RAM.some((span) => span.start <= address && address + length <= span.end);
  }

  /** Takes a stretch out, whether or not it was free. */
  reserve(address: number, length: number): void {
    this.#remove(address, address + length);
  }

  /** The lowest free place, taken; undefined when there is none. */
  lowest(length: number, placement: Placement = {}): number | undefined {
    const { start = 0, end = FOUR_GIB, alignment = PAGE } = placement;
    for (const span of this.#free) {
      const address = Math.ceil(Math.max(span.start, start) / alignment) * alignment;
      if (address + length <= Math.min(span.end, end)) return this.#take(address, length);
    }
    return undefined;
  }

  /** The highest free place, taken; undefined when there is none. */
  highest(length: number, placement: Placement = {}): number | undefined {
    const { start = 0, end = FOUR_GIB, alignment = PAGE } = placement;
    for (const span of [...this.#free].reverse()) {
      const address = Math.floor((Math.min(span.end, end) - length) / alignment) * alignment;
      if (address >= Math.max(span.start, start)) return this.#take(address, length);
    }
    return undefined;
  }

  #take(address: number, length: number): number {
    this.#remove(address, address + length);
    return address;
  }

  #remove(start: number, end: number): void {
    this.#free = this.#free
      .flatMap((span) => [
        { start: span.start, end: Math.min(span.end, start) },
        { start: Math.max(span.start, end), end: span.end },
      ])
      .filter((span) => span.start < span.end);
  }
}
