import type { RegisterBlock } from "../bus/address-range.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import { type ApicBus, DELIVERY_MODE, deliveryModeOf, type EoiListener } from "./apic-bus.ts";

export const IO_APIC_PINS = 24;

/** Offsets of the memory-mapped registers: 82093AA datasheet, "I/O APIC Registers"; EOIR: ICH9 datasheet, "EOIR". */
// biome-ignore format: one row per fact
const MMIO = { IOREGSEL: 0x00, IOWIN: 0x10, EOIR: 0x40 } as const;

/** Indirect registers, by the index in IOREGSEL. */
// biome-ignore format: one row per fact
const INDEX = { IOAPICID: 0x00, IOAPICVER: 0x01, IOAPICARB: 0x02, IOREDTBL: 0x10 } as const;

/** Version 0x20, the first with an EOI register; highest redirection entry in bits 23:16. */
export const IO_APIC_VERSION = 0x20 | ((IO_APIC_PINS - 1) << 16);

/** Low half of a redirection entry: 82093AA datasheet, "I/O Redirection Table Registers". */
// biome-ignore format: one row per fact
const ENTRY = {
  VECTOR: 0xff, LOGICAL: 1 << 11, ACTIVE_LOW: 1 << 13, REMOTE_IRR: 1 << 14, LEVEL: 1 << 15, MASKED: 1 << 16,
} as const;
const ENTRY_WRITABLE = 0x0001_afff;
const DESTINATION_WRITABLE = 0xff00_0000;

export interface IoApicState {
  IOREGSEL: number;
  IOAPICID: number;
  /** Redirection entries, bits 31:0 and 63:32. */
  low: number[];
  high: number[];
  /** The levels on the pins as their devices drive them, pin n in bit n. */
  asserted: number;
}

export interface IoApicOptions {
  readonly bus: ApicBus;
  readonly id?: number;
  /**
   * Pins that are electrically low while asserted. Given this, the polarity bit of an entry must match the wiring, as
   * on silicon. Left out, an asserted line is active whatever the polarity bit says, which is what guests that program
   * polarity carelessly have learnt from QEMU and KVM.
   */
  readonly activeLowPins?: number;
}

/** The I/O APIC 82093AA with 24 pins and the later EOI register. As a register block it sits at 0xFEC0_0000. */
export class IoApic implements RegisterBlock, EoiListener {
  state: IoApicState;
  readonly #options: IoApicOptions;

  constructor(options: IoApicOptions) {
    this.#options = options;
    this.state = powerOn(options.id ?? 0);
    options.bus.attachIoApic(this);
  }

  /** RESET. Levels on the pins stay. */
  reset(): void {
    this.state = { ...powerOn(this.#options.id ?? 0), asserted: this.state.asserted };
  }

  /** The interrupt input of a pin, 0 to 23. */
  pin(number: number): InterruptLine {
    return { set: (asserted) => this.#setPin(number, asserted) };
  }

  read(offset: number, size: 1 | 2 | 4): number {
    const register = offset & ~3;
    const value =
      register === MMIO.IOREGSEL ? this.state.IOREGSEL : register === MMIO.IOWIN ? this.#readWindow() : 0;
    const shifted = value >>> (8 * (offset & 3));
    return size === 4 ? shifted >>> 0 : shifted & (size === 2 ? 0xffff : 0xff);
  }

  /** IOREGSEL and EOIR take any size; IOWIN takes 4-byte writes only. */
  write(offset: number, value: number, size: 1 | 2 | 4): void {
    if (offset === MMIO.IOREGSEL) this.state.IOREGSEL = value & 0xff;
    else if (offset === MMIO.EOIR) this.endOfInterrupt(value & 0xff);
    else if (offset === MMIO.IOWIN && size === 4) this.#writeWindow(value);
  }

  /** A local APIC, or the EOI register, has finished this vector: level-triggered entries may ask again. */
  endOfInterrupt(vector: number): void {
    const { low } = this.state;
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      const entry = low[pin]!;
      if ((entry & ENTRY.REMOTE_IRR) === 0 || (entry & ENTRY.VECTOR) !== vector) continue;
      low[pin] = entry & ~ENTRY.REMOTE_IRR;
      this.#serviceLevel(pin);
    }
  }

  #readWindow(): number {
    const { IOREGSEL, IOAPICID, low, high } = this.state;
    if (IOREGSEL === INDEX.IOAPICID || IOREGSEL === INDEX.IOAPICARB) return IOAPICID;
    if (IOREGSEL === INDEX.IOAPICVER) return IO_APIC_VERSION;
    const pin = (IOREGSEL - INDEX.IOREDTBL) >> 1;
    if (pin < 0 || pin >= IO_APIC_PINS) return 0;
    return ((IOREGSEL & 1) === 0 ? low : high)[pin]! >>> 0;
  }

  #writeWindow(value: number): void {
    const { IOREGSEL, low, high } = this.state;
    if (IOREGSEL === INDEX.IOAPICID) this.state.IOAPICID = value & 0x0f00_0000;
    const pin = (IOREGSEL - INDEX.IOREDTBL) >> 1;
    if (pin < 0 || pin >= IO_APIC_PINS) return;
    if ((IOREGSEL & 1) === 1) high[pin] = (value & DESTINATION_WRITABLE) >>> 0;
    else {
      const level = (value & ENTRY.LEVEL) !== 0;
      // Switching to edge drops Remote IRR: kernels that know no EOI register use that as an EOI.
      low[pin] = (value & ENTRY_WRITABLE) | (level ? low[pin]! & ENTRY.REMOTE_IRR : 0);
    }
    this.#serviceLevel(pin);
  }

  #setPin(pin: number, asserted: boolean): void {
    const before = this.#isActive(pin);
    const bit = 1 << pin;
    this.state.asserted = (asserted ? this.state.asserted | bit : this.state.asserted & ~bit) >>> 0;
    const active = this.#isActive(pin);
    if (!active || before) return;
    // An edge on a masked pin is lost.
    if (!this.#isLevel(pin)) {
      if ((this.state.low[pin]! & ENTRY.MASKED) === 0) this.#send(pin);
    } else this.#serviceLevel(pin);
  }

  #isActive(pin: number): boolean {
    const asserted = ((this.state.asserted >>> pin) & 1) === 1;
    const { activeLowPins } = this.#options;
    if (activeLowPins === undefined) return asserted;
    const wiredLow = ((activeLowPins >>> pin) & 1) === 1;
    const expectsLow = (this.state.low[pin]! & ENTRY.ACTIVE_LOW) !== 0;
    return asserted === (wiredLow === expectsLow);
  }

  /** Level triggering means something for fixed and lowest-priority delivery; the other modes are edges. */
  #isLevel(pin: number): boolean {
    const entry = this.state.low[pin]!;
    const deliveryMode = deliveryModeOf(entry);
    return (
      (entry & ENTRY.LEVEL) !== 0 &&
      (deliveryMode === DELIVERY_MODE.FIXED || deliveryMode === DELIVERY_MODE.LOWEST_PRIORITY)
    );
  }

  /** Remote IRR: "set to 1 when local APIC(s) accept the level interrupt sent by the I/O APIC". */
  #serviceLevel(pin: number): void {
    const entry = this.state.low[pin]!;
    if ((entry & (ENTRY.MASKED | ENTRY.REMOTE_IRR)) !== 0 || !this.#isLevel(pin) || !this.#isActive(pin))
      return;
    if (this.#send(pin)) this.state.low[pin] = entry | ENTRY.REMOTE_IRR;
  }

  #send(pin: number): boolean {
    const low = this.state.low[pin]!;
    return this.#options.bus.deliver({
      destination: this.state.high[pin]! >>> 24,
      destinationBits: 8,
      logical: (low & ENTRY.LOGICAL) !== 0,
      deliveryMode: deliveryModeOf(low),
      vector: low & ENTRY.VECTOR,
      levelTriggered: this.#isLevel(pin),
    });
  }
}

const powerOn = (id: number): IoApicState => ({
  IOREGSEL: 0,
  IOAPICID: (id & 0xf) << 24,
  low: new Array<number>(IO_APIC_PINS).fill(ENTRY.MASKED),
  high: new Array<number>(IO_APIC_PINS).fill(0),
  asserted: 0,
});
