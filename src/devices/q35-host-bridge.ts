import type { MappedRange, RegisterBlock } from "../bus/address-range.ts";
import type { MmioBus } from "../bus/mmio.ts";
import { PciFunction } from "./pci-function.ts";

// Intel 3 Series Express Chipset Family (82G33 and others) datasheet, "DRAM Controller Registers (D0:F0)".

/** Offsets in configuration space. */
// biome-ignore format: one row per fact
const REGISTER = { PCIEXBAR: 0x60, PAM0: 0x90, SMRAM: 0x9d } as const;
const PCIEXBAR_ENABLE = 1;
/** PCIEXBAR bits 2:1: bytes of configuration space. */
const PCIEXBAR_LENGTHS = [256 * 2 ** 20, 128 * 2 ** 20, 64 * 2 ** 20];

/** One programmable attribute map segment: whose reads and writes go to DRAM. */
export interface ShadowSegment {
  readonly start: number;
  readonly length: number;
  readonly reads: boolean;
  readonly writes: boolean;
}

/** "PAM0" to "PAM6": which nibble rules which segment. */
// biome-ignore format: one row per fact
const PAM_SEGMENTS: readonly { register: number; shift: number; start: number; length: number }[] = [
  { register: 0, shift: 4, start: 0xf_0000, length: 0x1_0000 },
  ...Array.from({ length: 12 }, (_, i) => ({ register: 1 + (i >> 1), shift: 4 * (i & 1), start: 0xc_0000 + 0x4000 * i, length: 0x4000 })),
];
const PAM_COUNT = 7;
const PAM_READ = 1;
const PAM_WRITE = 2;

export interface Q35HostBridgeOptions {
  readonly mmio: MmioBus;
  /** What PCIEXBAR maps: `PciBus.ecam`. */
  readonly ecam: RegisterBlock;
  /** The attributes of the segments between 0xC0000 and 1 MiB, whenever they change. */
  readonly shadow?: (segments: readonly ShadowSegment[]) => void;
}

/** The host bridge of a Q35 (memory controller hub, 8086:29C0), device 0 function 0. */
export class Q35HostBridge {
  readonly function: PciFunction;
  readonly #options: Q35HostBridgeOptions;
  #ecamCache: MappedRange | undefined;

  constructor(options: Q35HostBridgeOptions) {
    this.#options = options;
    const own = new PciFunction("Q35 host bridge", {
      vendorId: 0x8086,
      deviceId: 0x29c0,
      revisionId: 2,
      // By these firmware and kernels know QEMU's board, whose fw_cfg interface we have.
      subsystemVendorId: 0x1af4,
      subsystemId: 0x1100,
      classCode: 0x06_00_00,
    });
    this.function = own;
    own.defineRegister(REGISTER.PCIEXBAR, 4, 0xe000_0000, 0xfc00_0007);
    own.defineRegister(REGISTER.PCIEXBAR + 4, 4, 0, 0xf);
    for (let i = 0; i < PAM_COUNT; i++) own.defineRegister(REGISTER.PAM0 + i, 1, 0, i === 0 ? 0x30 : 0x33);
    own.defineRegister(REGISTER.SMRAM, 1, 0x02, 0x70);
    own.watch(REGISTER.PCIEXBAR, 8, () => this.#mapEcam());
    own.watch(REGISTER.PAM0, PAM_COUNT, () => options.shadow?.(this.segments()));
  }

  segments(): readonly ShadowSegment[] {
    return PAM_SEGMENTS.map(({ register, shift, start, length }) => {
      const attributes = this.function.register(REGISTER.PAM0 + register, 1) >> shift;
      return { start, length, reads: (attributes & PAM_READ) !== 0, writes: (attributes & PAM_WRITE) !== 0 };
    });
  }

  /** What firmware does: place memory-mapped configuration space, all 256 MiB of it. */
  placeEcam(address: number): void {
    this.function.write(REGISTER.PCIEXBAR + 4, Math.floor(address / 2 ** 32), 4);
    this.function.write(REGISTER.PCIEXBAR, (address % 2 ** 32) | PCIEXBAR_ENABLE, 4);
  }

  /** What firmware does: give reads and writes of all segments below 1 MiB to DRAM. */
  shadowAll(): void {
    for (let i = 0; i < PAM_COUNT; i++) this.function.write(REGISTER.PAM0 + i, 0x33, 1);
  }

  #mapEcam(): void {
    const { mmio, ecam } = this.#options;
    const low = this.function.register(REGISTER.PCIEXBAR, 4);
    const high = this.function.register(REGISTER.PCIEXBAR + 4, 4);
    const length = PCIEXBAR_LENGTHS[(low >>> 1) & 3];
    const enabled = (low & PCIEXBAR_ENABLE) !== 0 && length !== undefined;
    if (this.#ecamCache !== undefined) mmio.unmap(this.#ecamCache);
    this.#ecamCache = undefined;
    if (!enabled) return;
    const base = high * 2 ** 32 + low - (low % 2 ** 26);
    this.#ecamCache = mmio.map(base - (base % length), length, ecam, "PCI Express configuration space");
  }
}
