import { AddressRanges, type MappedRange, type RegisterBlock } from "./address-range.ts";

/** The value an unmapped port floats to: all ones, as on a PC. */
const floating = (size: 1 | 2 | 4): number => (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff);

/** The 64 KiB I/O port space. Accesses to ports nobody claims read all ones and write nothing. */
export class PortBus {
  readonly #ports = new AddressRanges();
  /** Called for an access that no device claims; used by `--log unimplemented`. */
  onUnmapped: ((port: number, size: 1 | 2 | 4, written: number | undefined) => void) | undefined;

  map(start: number, length: number, block: RegisterBlock, name: string): MappedRange {
    const range = { name, start, length, block };
    this.#ports.map(range);
    return range;
  }

  unmap(range: MappedRange): void {
    this.#ports.unmap(range);
  }

  read(port: number, size: 1 | 2 | 4): number {
    const range = this.#ports.find(port);
    if (range === undefined) {
      this.onUnmapped?.(port, size, undefined);
      return floating(size);
    }
    return range.block.read(port - range.start, size);
  }

  write(port: number, value: number, size: 1 | 2 | 4): void {
    const range = this.#ports.find(port);
    if (range === undefined) this.onUnmapped?.(port, size, value);
    else range.block.write(port - range.start, value, size);
  }
}

/** Adapts a device with byte-wide registers: a wider access becomes one access per byte, low byte first. */
export const byteWide = (device: {
  read(offset: number): number;
  write(offset: number, byte: number): void;
}): RegisterBlock => ({
  read(offset, size) {
    let value = 0;
    for (let i = 0; i < size; i++) value |= device.read(offset + i) << (8 * i);
    return value >>> 0;
  },
  write(offset, value, size) {
    for (let i = 0; i < size; i++) device.write(offset + i, (value >>> (8 * i)) & 0xff);
  },
});
