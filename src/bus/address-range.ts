/** A device's registers as the bus sees them: the device is told an offset, never an address. */
export interface RegisterBlock {
  /** Read `size` bytes (1, 2 or 4) at `offset`; the result is an unsigned number of that size. */
  read(offset: number, size: 1 | 2 | 4): number;
  /** Write `size` bytes (1, 2 or 4) at `offset`; `value` is unsigned and fits the size. */
  write(offset: number, value: number, size: 1 | 2 | 4): void;
}

/** One mapped stretch of an address space. `name` is what reports about unknown accesses print. */
export interface MappedRange {
  readonly name: string;
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  readonly block: RegisterBlock;
}

/**
 * An address space of register blocks: used for the 64 KiB of I/O ports and for memory-mapped I/O.
 * A later mapping hides an earlier one where they overlap, so that a relocated PCI BAR behaves as on a PC.
 */
export class AddressRanges {
  #ranges: MappedRange[] = [];

  map(range: MappedRange): void {
    this.#ranges.unshift(range);
  }

  unmap(range: MappedRange): void {
    this.#ranges = this.#ranges.filter((other) => other !== range);
  }

  find(address: number): MappedRange | undefined {
    for (const range of this.#ranges)
      if (address >= range.start && address < range.start + range.length) return range;
    return undefined;
  }
}
