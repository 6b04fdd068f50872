import { AddressRanges, type MappedRange, type RegisterBlock } from "./address-range.ts";

/** Memory-mapped I/O by guest-physical address. What nobody claims reads all ones and swallows writes. */
export class MmioBus {
  readonly #ranges = new AddressRanges();
  onUnmapped: ((address: number, size: 1 | 2 | 4, written: number | undefined) => void) | undefined;

  map(start: number, length: number, block: RegisterBlock, name: string): MappedRange {
    const range = { name, start, length, block };
    this.#ranges.map(range);
    return range;
  }

  unmap(range: MappedRange): void {
    this.#ranges.unmap(range);
  }

  read(address: number, size: 1 | 2 | 4): number {
    const range = this.#ranges.find(address);
    if (range !== undefined) return range.block.read(address - range.start, size);
    this.onUnmapped?.(address, size, undefined);
    return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
  }

  write(address: number, value: number, size: 1 | 2 | 4): void {
    const range = this.#ranges.find(address);
    if (range !== undefined) range.block.write(address - range.start, value, size);
    else this.onUnmapped?.(address, size, value);
  }
}
