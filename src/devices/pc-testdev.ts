// QEMU's pc-testdev, on which kvm-unit-tests rely: hw/misc/pc-testdev.c.
import type { RegisterBlock } from "../bus/address-range.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";

// biome-ignore format: one row per fact
export const PC_TESTDEV = {
  IOPORT:      { start: 0xe0,        length: 4 },
  FLUSH_PAGE:  { start: 0xe4,        length: 4 },
  IOPORT_BYTE: { start: 0xe8,        length: 4 },
  IRQ_LINE:    { start: 0x2000,      length: 24 },
  IOMEM:       { start: 0xff00_0000, length: 0x1_0000 }, // guest-physical
} as const;

export interface PcTestdevState {
  /** Four bytes that both echo ranges show. */
  echo: Uint8Array;
  iomem: Uint8Array;
  /** The level of each line that was written, as bits. */
  lines: number;
}

const powerOn = (): PcTestdevState => ({
  echo: new Uint8Array(4),
  iomem: new Uint8Array(PC_TESTDEV.IOMEM.length),
  lines: 0,
});

/** Bytes that are read and written at any size; what reaches past their end is dropped and reads 0. */
const echoing = (bytes: () => Uint8Array): RegisterBlock => ({
  read(offset, size) {
    let value = 0;
    for (let i = 0; i < size; i++) value |= (bytes()[offset + i] ?? 0) << (8 * i);
    return value >>> 0;
  },
  write(offset, value, size) {
    for (let i = 0; i < size; i++) if (offset + i < bytes().length) bytes()[offset + i] = value >>> (8 * i);
  },
});

export class PcTestdev {
  state = powerOn();
  /** Ports 0xE0-0xE3: a register of four bytes that echoes what was written. */
  readonly ioport: RegisterBlock;
  /** Ports 0xE8-0xEB: the same register. */
  readonly ioportByte: RegisterBlock;
  /** Port 0xE4: the guest-physical address of a page to take away from the guest and give back. */
  readonly flushPage: RegisterBlock;
  /** Ports 0x2000-0x2017: the level of an interrupt line. */
  readonly irqLine: RegisterBlock;
  /** 64 KiB of bytes behind memory-mapped I/O at 0xFF000000. */
  readonly iomem: RegisterBlock;
  readonly #lines: readonly InterruptLine[];

  /**
   * `line(n)` is interrupt line 0-23, n as the ISA bus counts. `flushPage` is told the address of a page whose mappings shall be
   * looked up afresh.
   */
  constructor(line: (number: number) => InterruptLine, flushPage: (address: number) => void = () => {}) {
    this.#lines = Array.from({ length: PC_TESTDEV.IRQ_LINE.length }, (_, number) => line(number));
    this.ioport = echoing(() => this.state.echo);
    this.ioportByte = echoing(() => this.state.echo);
    this.iomem = echoing(() => this.state.iomem);
    this.flushPage = {
      read: () => 0,
      write: (_offset, value, size) => {
        if (size === 4) flushPage((value & ~0xfff) >>> 0);
      },
    };
    this.irqLine = {
      read: () => 0,
      write: (offset, value, size) => {
        if (size !== 1) return;
        if (value === 0) this.state.lines &= ~(1 << offset);
        else this.state.lines |= 1 << offset;
        this.#lines[offset]?.set(value !== 0);
      },
    };
  }

  reset(): void {
    this.state = powerOn();
    this.driveOutputs();
  }

  /** Drives the lines from `state`; to be called after `state` was replaced. */
  driveOutputs(): void {
    this.#lines.forEach((line, number) => {
      line.set(((this.state.lines >> number) & 1) === 1);
    });
  }
}
