import type { MappedRange, RegisterBlock } from "../bus/address-range.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import type { MmioBus } from "../bus/mmio.ts";
import type { PortBus } from "../bus/port-io.ts";

// PCI Local Bus Specification 3.0, chapter 6 "Configuration Space".

/** Offsets in the type 00h configuration header. */
// biome-ignore format: one row per fact
export const PCI = {
  VENDOR_ID: 0x00, DEVICE_ID: 0x02, COMMAND: 0x04, STATUS: 0x06, REVISION_ID: 0x08, CLASS_CODE: 0x09, HEADER_TYPE: 0x0e, BAR0: 0x10,
  SUBSYSTEM_VENDOR_ID: 0x2c, SUBSYSTEM_ID: 0x2e, CAPABILITIES_POINTER: 0x34, INTERRUPT_LINE: 0x3c, INTERRUPT_PIN: 0x3d,
} as const;
/** Bits of the Command register. */
// biome-ignore format: one row per fact
export const COMMAND = { IO: 1 << 0, MEMORY: 1 << 1, BUS_MASTER: 1 << 2, PARITY: 1 << 6, SERR: 1 << 8, INTERRUPT_DISABLE: 1 << 10 } as const;
const COMMAND_WRITABLE =
  COMMAND.IO |
  COMMAND.MEMORY |
  COMMAND.BUS_MASTER |
  COMMAND.PARITY |
  COMMAND.SERR |
  COMMAND.INTERRUPT_DISABLE;
/** Bits of the Status register. */
// biome-ignore format: one row per fact
const STATUS = { INTERRUPT: 1 << 3, CAPABILITIES: 1 << 4 } as const;
const MULTIFUNCTION = 0x80;
const FIRST_CAPABILITY = 0x40;

/** Bytes of configuration space: the PCI Express size, of which 0xCF8 reaches the first 256. */
export const CONFIG_LENGTH = 4096;
/** MMIO beyond this cannot be decoded. */
const ADDRESS_LIMIT = 2 ** 52;

export interface PciIdentity {
  readonly vendorId: number;
  readonly deviceId: number;
  readonly revisionId?: number;
  /** 24 bits: base class, sub-class, programming interface. */
  readonly classCode: number;
  readonly subsystemVendorId?: number;
  readonly subsystemId?: number;
  /** 1 = INTA# ... 4 = INTD#; 0 for none. */
  readonly interruptPin?: 0 | 1 | 2 | 3 | 4;
  /** Whether to say that the device has more functions than this one. */
  readonly multifunction?: boolean;
}

export interface Bar {
  /** 0 to 5; a 64-bit BAR takes the next one too. */
  readonly index: number;
  readonly space: "io" | "memory" | "memory64";
  /** Bytes, a power of two: at least 4 for I/O, 16 for memory. */
  readonly length: number;
  readonly prefetchable?: boolean;
  readonly block: RegisterBlock;
}

/** What a function is plugged into. */
export interface PciSlot {
  readonly mmio: MmioBus;
  readonly ports: PortBus;
  /** The wire of this function's interrupt pin. */
  readonly interrupt: InterruptLine;
}

export interface PciFunctionState {
  config: Uint8Array;
  /** The device asks for its INTx interrupt. */
  interrupt: boolean;
}

/** One PCI function: its configuration space, what its BARs decode, and its interrupt pin. */
export class PciFunction {
  readonly name: string;
  state: PciFunctionState = { config: new Uint8Array(CONFIG_LENGTH), interrupt: false };
  /** Bits of each byte that a write changes. */
  readonly #writable = new Uint8Array(CONFIG_LENGTH);
  readonly #powerOn = new Uint8Array(CONFIG_LENGTH);
  readonly #bars: Bar[] = [];
  readonly #overlays: { offset: number; length: number; block: RegisterBlock }[] = [];
  readonly #watchers: { offset: number; length: number; written: () => void }[] = [];
  #slot: PciSlot | undefined;
  #mappedCache = new Map<Bar, MappedRange>();
  #nextCapability = FIRST_CAPABILITY;
  #lastCapability = PCI.CAPABILITIES_POINTER as number;

  /** The device's side of the interrupt pin. */
  readonly interrupt: InterruptLine = {
    set: (asserted) => {
      this.state.interrupt = asserted;
      this.#driveInterrupt();
    },
  };

  constructor(name: string, identity: PciIdentity) {
    this.name = name;
    this.defineRegister(PCI.VENDOR_ID, 2, identity.vendorId);
    this.defineRegister(PCI.DEVICE_ID, 2, identity.deviceId);
    this.defineRegister(PCI.COMMAND, 2, 0, COMMAND_WRITABLE);
    this.defineRegister(PCI.REVISION_ID, 1, identity.revisionId ?? 0);
    this.defineRegister(PCI.CLASS_CODE, 1, identity.classCode & 0xff);
    this.defineRegister(PCI.CLASS_CODE + 1, 2, identity.classCode >>> 8);
    this.defineRegister(PCI.HEADER_TYPE, 1, identity.multifunction === true ? MULTIFUNCTION : 0);
    this.defineRegister(PCI.SUBSYSTEM_VENDOR_ID, 2, identity.subsystemVendorId ?? 0);
    this.defineRegister(PCI.SUBSYSTEM_ID, 2, identity.subsystemId ?? 0);
    const pin = identity.interruptPin ?? 0;
    this.defineRegister(PCI.INTERRUPT_PIN, 1, pin);
    this.defineRegister(PCI.INTERRUPT_LINE, 1, 0, pin === 0 ? 0 : 0xff);
  }

  // --- building; all before the function is plugged in

  /** A register of `size` bytes with its value after reset and the bits that a write changes. */
  defineRegister(offset: number, size: 1 | 2 | 4, value: number, writable = 0): void {
    for (let i = 0; i < size; i++) {
      this.#powerOn[offset + i] = value >>> (8 * i);
      this.#writable[offset + i] = writable >>> (8 * i);
    }
    this.state.config.set(this.#powerOn);
  }

  addBar(bar: Bar): void {
    this.#bars.push(bar);
    const offset = PCI.BAR0 + 4 * bar.index;
    const flags =
      bar.space === "io" ? 1 : (bar.space === "memory64" ? 4 : 0) | (bar.prefetchable === true ? 8 : 0);
    this.defineRegister(offset, 4, flags, -bar.length & (bar.space === "io" ? ~3 : ~15));
    if (bar.space === "memory64") this.defineRegister(offset + 4, 4, 0, 0xffff_ffff);
    this.watch(offset, bar.space === "memory64" ? 8 : 4, () => this.#decode());
  }

  /** Append to the capability list: `body` follows the ID and next bytes; `writable` has its writable bits. Returns its offset. */
  addCapability(id: number, body: readonly number[], writable: readonly number[] = []): number {
    const offset = this.#nextCapability;
    this.defineRegister(this.#lastCapability, 1, offset);
    this.defineRegister(PCI.STATUS, 1, STATUS.CAPABILITIES);
    this.defineRegister(offset, 2, id);
    for (const [i, byte] of body.entries()) this.defineRegister(offset + 2 + i, 1, byte, writable[i] ?? 0);
    this.#lastCapability = offset + 1;
    this.#nextCapability = (offset + 2 + body.length + 3) & ~3;
    return offset;
  }

  /** Let `block` answer accesses that lie within these bytes of configuration space. */
  overlay(offset: number, length: number, block: RegisterBlock): void {
    this.#overlays.push({ offset, length, block });
  }

  /** Call `written` after each write that touches these bytes of configuration space, and after reset. */
  watch(offset: number, length: number, written: () => void): void {
    this.#watchers.push({ offset, length, written });
  }

  /** Plug in. */
  connect(slot: PciSlot): void {
    this.#slot = slot;
    this.watch(PCI.COMMAND, 2, () => this.#decode());
    this.watch(PCI.COMMAND, 2, () => this.#driveInterrupt());
    this.driveOutputs();
  }

  // --- running

  reset(): void {
    this.state.config.set(this.#powerOn);
    this.driveOutputs();
  }

  /** Maps BARs, drives the interrupt pin and tells all watchers; to be called after `state` was replaced. */
  driveOutputs(): void {
    for (const { written } of this.#watchers) written();
  }

  get command(): number {
    return this.register(PCI.COMMAND, 2);
  }

  /** Whether the function may read and write memory and send messages. */
  get busMaster(): boolean {
    return (this.command & COMMAND.BUS_MASTER) !== 0;
  }

  get interruptPin(): number {
    return this.register(PCI.INTERRUPT_PIN, 1);
  }

  get bars(): readonly Bar[] {
    return this.#bars;
  }

  /** The stored value of a register. */
  register(offset: number, size: 1 | 2 | 4): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.state.config[offset + i]! << (8 * i);
    return value >>> 0;
  }

  /** A configuration read by the guest. */
  read(offset: number, size: 1 | 2 | 4): number {
    if (offset + size > CONFIG_LENGTH) return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    const overlay = this.#overlayAt(offset, size);
    if (overlay !== undefined) return overlay.block.read(offset - overlay.offset, size);
    let value = this.register(offset, size);
    if (this.state.interrupt && offset <= PCI.STATUS && PCI.STATUS < offset + size)
      value |= STATUS.INTERRUPT << (8 * (PCI.STATUS - offset));
    return value >>> 0;
  }

  /** A configuration write by the guest. */
  write(offset: number, value: number, size: 1 | 2 | 4): void {
    if (offset + size > CONFIG_LENGTH) return;
    const overlay = this.#overlayAt(offset, size);
    if (overlay !== undefined) {
      overlay.block.write(offset - overlay.offset, value, size);
      return;
    }
    const { config } = this.state;
    for (let i = 0; i < size; i++) {
      const writable = this.#writable[offset + i]!;
      config[offset + i] = (config[offset + i]! & ~writable) | ((value >>> (8 * i)) & writable);
    }
    for (const watcher of this.#watchers)
      if (offset < watcher.offset + watcher.length && watcher.offset < offset + size) watcher.written();
  }

  #overlayAt(offset: number, size: number) {
    return this.#overlays.find(
      (overlay) => offset >= overlay.offset && offset + size <= overlay.offset + overlay.length,
    );
  }

  /** Where a BAR decodes now; undefined while it is switched off or has no address. */
  addressOf(bar: Bar): number | undefined {
    const offset = PCI.BAR0 + 4 * bar.index;
    const low = this.register(offset, 4);
    if (bar.space === "io") {
      const base = (low & ~3) >>> 0;
      const decodes = (this.command & COMMAND.IO) !== 0 && base !== 0 && base + bar.length <= 0x1_0000;
      return decodes ? base : undefined;
    }
    const wide = bar.space === "memory64";
    const base = ((low & ~15) >>> 0) + (wide ? this.register(offset + 4, 4) * 2 ** 32 : 0);
    // The last addresses are what sizing writes leave there.
    const fits = base + bar.length < (wide ? ADDRESS_LIMIT : 2 ** 32);
    return (this.command & COMMAND.MEMORY) !== 0 && base !== 0 && fits ? base : undefined;
  }

  #decode(): void {
    if (this.#slot === undefined) return;
    for (const bar of this.#bars) {
      const space = bar.space === "io" ? this.#slot.ports : this.#slot.mmio;
      const start = this.addressOf(bar);
      const mapped = this.#mappedCache.get(bar);
      if (mapped?.start === start) continue;
      if (mapped !== undefined) space.unmap(mapped);
      if (start === undefined) this.#mappedCache.delete(bar);
      else
        this.#mappedCache.set(bar, space.map(start, bar.length, bar.block, `${this.name} BAR ${bar.index}`));
    }
  }

  #driveInterrupt(): void {
    const disabled = (this.command & COMMAND.INTERRUPT_DISABLE) !== 0;
    this.#slot?.interrupt.set(this.state.interrupt && !disabled);
  }
}
