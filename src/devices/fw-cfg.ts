// QEMU's firmware configuration device: docs/specs/fw_cfg and hw/nvram/fw_cfg.c.
import type { RegisterBlock } from "../bus/address-range.ts";
import type { DirectMemory } from "../bus/dma.ts";

export const FW_CFG_PORT = 0x510;
export const FW_CFG_PORTS = 12;

/** Port offsets. The selector and the data register overlap: 2 bytes written select, 1 byte read is data. */
const OFFSET = { SELECTOR: 0, DMA_HIGH: 4, DMA_LOW: 8 } as const;

/** Selector keys. Numbers are little-endian, of the size that the row says; `text` ends in a zero byte. */
// biome-ignore format: one row per fact
export const FW_CFG = {
  SIGNATURE:      0x00, // "QEMU"
  ID:             0x01, // u32
  UUID:           0x02, // 16 bytes
  RAM_SIZE:       0x03, // u64, bytes
  NOGRAPHIC:      0x04, // u16
  NB_CPUS:        0x05, // u16
  MACHINE_ID:     0x06, // u32
  KERNEL_ADDR:    0x07, // u32
  KERNEL_SIZE:    0x08, // u32
  KERNEL_CMDLINE: 0x09, // text
  INITRD_ADDR:    0x0a, // u32
  INITRD_SIZE:    0x0b, // u32
  BOOT_DEVICE:    0x0c, // u16
  NUMA:           0x0d, // u64s
  BOOT_MENU:      0x0e, // u16
  MAX_CPUS:       0x0f, // u16: the largest APIC ID that may appear, plus 1
  KERNEL_ENTRY:   0x10, // u32
  KERNEL_DATA:    0x11, // bytes
  INITRD_DATA:    0x12, // bytes
  CMDLINE_ADDR:   0x13, // u32
  CMDLINE_SIZE:   0x14, // u32, with the zero byte
  CMDLINE_DATA:   0x15, // text
  SETUP_ADDR:     0x16, // u32
  SETUP_SIZE:     0x17, // u32
  SETUP_DATA:     0x18, // bytes
  FILE_DIR:       0x19, // big-endian
  FILE_FIRST:     0x20,
  ACPI_TABLES:    0x8000, // bytes
  SMBIOS_ENTRIES: 0x8001, // bytes
  IRQ0_OVERRIDE:  0x8002, // u32: 1, ISA IRQ0 is I/O APIC input 2
  E820_TABLE:     0x8003, // bytes
  HPET:           0x8004, // bytes
} as const;

const INVALID = 0xffff;
/** Bit 14 asked for writing, in a time when the data register could be written. */
const WRITE_CHANNEL = 1 << 14;

const ID_TRADITIONAL = 1 << 0;
const ID_DMA = 1 << 1;

/** The control field of FWCfgDmaAccess; a key is in bits 31-16. */
const DMA = { ERROR: 1 << 0, READ: 1 << 1, SKIP: 1 << 2, SELECT: 1 << 3, WRITE: 1 << 4 } as const;
/** FWCfgDmaAccess: control, length, 64-bit address, all big-endian. */
const DMA_ACCESS_BYTES = 16;
const DMA_SIGNATURE = "QEMU CFG";
/** Zeros are copied in pieces of this size. */
const PIECE_BYTES = 0x1_0000;
/** Physical addresses end here. */
const ADDRESS_LIMIT = 2 ** 52;

const NAME_BYTES = 56;
const DIRECTORY_ENTRY_BYTES = 64;

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 0xff);

interface Item {
  readonly bytes: Uint8Array;
  /** Called after a write by DMA. Only an item with this can be written. */
  readonly written?: (bytes: Uint8Array) => void;
}

export interface FwCfgState {
  key: number;
  /** Bytes of the item that were read or skipped. */
  offset: number;
  /** What was written to the upper half of the DMA address register. */
  dmaAddressHigh: number;
  /** Items that the guest has written, by key: in place of what the machine set. */
  overwritten: Record<number, Uint8Array>;
}

const powerOn = (): FwCfgState => ({ key: INVALID, offset: 0, dmaAddressHigh: 0, overwritten: {} });

/**
 * fw_cfg at ports 0x510-0x51B: items of bytes by key, and named files. The machine sets items before the guest runs; they
 * are configuration, not state.
 */
export class FwCfg implements RegisterBlock {
  state = powerOn();
  readonly #memory: DirectMemory;
  readonly #items = new Map<number, Item>();
  readonly #files: { name: string; key: number }[] = [];

  constructor(memory: DirectMemory) {
    this.#memory = memory;
    this.setBytes(FW_CFG.SIGNATURE, ascii("QEMU"));
    this.setNumber(FW_CFG.ID, ID_TRADITIONAL | ID_DMA, 4);
    this.#setDirectory();
  }

  reset(): void {
    this.state = powerOn();
  }

  setBytes(key: number, bytes: Uint8Array): void {
    this.#items.set(key, { bytes });
  }

  /** A little-endian number of 2, 4 or 8 bytes. */
  setNumber(key: number, value: number, size: 2 | 4 | 8): void {
    const bytes = new Uint8Array(size);
    for (let i = 0; i < size; i++) bytes[i] = Math.floor(value / 0x100 ** i) % 0x100;
    this.setBytes(key, bytes);
  }

  /** ASCII text; a zero byte is added. */
  setText(key: number, text: string): void {
    this.setBytes(key, ascii(`${text}\0`));
  }

  /**
   * A file of the directory, `etc/...` or `opt/...`, of at most 55 ASCII letters; a second one of the same name takes the first
   * one's place. With `written`, the guest may write it by DMA, within its length.
   */
  addFile(name: string, bytes: Uint8Array, written?: (bytes: Uint8Array) => void): void {
    if (name.length >= NAME_BYTES) throw new Error(`fw_cfg file name "${name}" is longer than 55 letters`);
    let file = this.#files.find((other) => other.name === name);
    if (file === undefined) {
      file = { name, key: FW_CFG.FILE_FIRST + this.#files.length };
      this.#files.push(file);
    }
    this.#items.set(file.key, written === undefined ? { bytes } : { bytes, written });
    this.#setDirectory();
  }

  read(offset: number, size: 1 | 2 | 4): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, value: number, size: 1 | 2 | 4): void {
    if (offset === OFFSET.SELECTOR && size === 2) this.#select(value);
    else if (offset === OFFSET.DMA_HIGH && size === 4) this.state.dmaAddressHigh = swap32(value);
    else if (offset === OFFSET.DMA_LOW && size === 4) {
      const address = this.state.dmaAddressHigh * 2 ** 32 + swap32(value);
      this.state.dmaAddressHigh = 0;
      this.#transfer(address);
    }
    // The data register has not been writable since QEMU 2.4.
  }

  #readByte(offset: number): number {
    if (offset >= OFFSET.DMA_HIGH) return DMA_SIGNATURE.charCodeAt(offset - OFFSET.DMA_HIGH) || 0;
    const { state } = this;
    const bytes = this.#content(state.key);
    return bytes !== undefined && state.offset < bytes.length ? bytes[state.offset++]! : 0;
  }

  #content(key: number): Uint8Array | undefined {
    return this.state.overwritten[key] ?? this.#items.get(key)?.bytes;
  }

  #select(selector: number): void {
    this.state.key = selector === INVALID ? INVALID : selector & ~WRITE_CHANNEL;
    this.state.offset = 0;
  }

  #setDirectory(): void {
    const directory = new Uint8Array(4 + DIRECTORY_ENTRY_BYTES * this.#files.length);
    const view = new DataView(directory.buffer);
    view.setUint32(0, this.#files.length);
    this.#files.forEach(({ name, key }, number) => {
      const entry = 4 + DIRECTORY_ENTRY_BYTES * number;
      view.setUint32(entry, this.#items.get(key)!.bytes.length);
      view.setUint16(entry + 4, key);
      directory.set(ascii(name), entry + 8);
    });
    this.setBytes(FW_CFG.FILE_DIR, directory);
  }

  /** "Guest-side DMA Interface". */
  #transfer(accessAddress: number): void {
    if (accessAddress > ADDRESS_LIMIT - DMA_ACCESS_BYTES) return;
    const access = this.#memory.read(accessAddress, DMA_ACCESS_BYTES);
    const view = new DataView(access.buffer, access.byteOffset, DMA_ACCESS_BYTES);
    const control = view.getUint32(0);
    const length = view.getUint32(4);
    const address = view.getUint32(8) * 2 ** 32 + view.getUint32(12);
    if ((control & DMA.SELECT) !== 0) this.#select(control >>> 16);
    let succeeded = true;
    if ((control & DMA.READ) !== 0) this.#copyOut(address, length);
    else if ((control & DMA.WRITE) !== 0) succeeded = this.#copyIn(address, length);
    else if ((control & DMA.SKIP) !== 0) this.#advance(length);
    const result = new Uint8Array(4);
    new DataView(result.buffer).setUint32(0, succeeded ? 0 : DMA.ERROR);
    this.#memory.write(accessAddress, result);
  }

  /** Moves on by at most `length` bytes, and says by how many. */
  #advance(length: number): number {
    const { state } = this;
    const remaining = Math.max(0, (this.#content(state.key)?.length ?? 0) - state.offset);
    const step = Math.min(length, remaining);
    state.offset += step;
    return step;
  }

  /** What lies beyond the item's end reads 0. */
  #copyOut(address: number, length: number): void {
    const from = this.state.offset;
    const copied = this.#advance(length);
    if (copied > 0) this.#write(address, this.#content(this.state.key)!.subarray(from, from + copied));
    const zeros = new Uint8Array(Math.min(PIECE_BYTES, length - copied));
    for (let done = copied; done < length; done += PIECE_BYTES)
      this.#write(address + done, zeros.subarray(0, Math.min(PIECE_BYTES, length - done)));
  }

  #write(address: number, bytes: Uint8Array): void {
    if (address < ADDRESS_LIMIT) this.#memory.write(address, bytes);
  }

  /** A write must fit into what is left of a writable item. */
  #copyIn(address: number, length: number): boolean {
    if (length === 0) return true;
    const { state } = this;
    const item = this.#items.get(state.key);
    if (item?.written === undefined || address >= ADDRESS_LIMIT) return false;
    const content = Uint8Array.from(this.#content(state.key)!);
    if (length > content.length - state.offset) return false;
    content.set(this.#memory.read(address, length), state.offset);
    state.offset += length;
    state.overwritten[state.key] = content;
    item.written(content);
    return true;
  }
}

/** The address register is big-endian: a little-endian processor writes it with its bytes swapped. */
const swap32 = (value: number): number =>
  ((value << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
