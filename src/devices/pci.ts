import type { RegisterBlock } from "../bus/address-range.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import type { MmioBus } from "../bus/mmio.ts";
import type { PortBus } from "../bus/port-io.ts";
import { SharedLine, unconnected } from "../bus/shared-line.ts";
import type { PciFunction } from "./pci-function.ts";

/** CONFIG_ADDRESS and CONFIG_DATA (PCI Local Bus Specification 3.0, "Software Generation of Configuration Transactions"). */
export const CONFIG_PORT = 0xcf8;
const CONFIG_ENABLE = 0x8000_0000;
const CONFIG_ADDRESS_WRITABLE = 0x80ff_fffc;

/** Bytes of memory-mapped configuration space: 1 MiB for each of 256 buses. */
export const ECAM_LENGTH = 256 * 2 ** 20;

export const PIRQ_COUNT = 8;

/**
 * The board's wiring of interrupt pins: which of PIRQA-PIRQH (0-7) a device's INTA#-INTD# (1-4) is wired to. Neighbouring
 * devices start one further, so that they share as little as possible. The DSDT's _PRT repeats it.
 */
export const pirqOf = (device: number, pin: number): number => (device + pin - 1) % PIRQ_COUNT;

export interface PciBusOptions {
  readonly mmio: MmioBus;
  readonly ports: PortBus;
  /** PIRQA to PIRQH. */
  readonly pirq: readonly InterruptLine[];
}

const ones = (size: 1 | 2 | 4): number => (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff);

/** PCI bus 0 with its two ways to configuration space. There are no bridges to further buses: they read all ones. */
export class PciBus {
  state = { CONFIG_ADDRESS: 0 };
  readonly #options: PciBusOptions;
  readonly #functions = new Map<number, PciFunction>();
  readonly #pirq: readonly SharedLine[];

  /** The eight ports at 0xCF8. */
  readonly configurationPorts: RegisterBlock = {
    read: (offset, size) => {
      if (offset < 4) return offset === 0 && size === 4 ? this.state.CONFIG_ADDRESS : ones(size);
      const { found, register } = this.#selected(offset - 4);
      return found?.read(register, size) ?? ones(size);
    },
    write: (offset, value, size) => {
      if (offset < 4) {
        // Only a 4-byte access is CONFIG_ADDRESS; narrower ones belong to other devices.
        if (offset === 0 && size === 4) this.state.CONFIG_ADDRESS = (value & CONFIG_ADDRESS_WRITABLE) >>> 0;
        return;
      }
      const { found, register } = this.#selected(offset - 4);
      found?.write(register, value, size);
    },
  };

  /** Memory-mapped configuration space (PCI Express Base Specification, "Enhanced Configuration Access Mechanism"). */
  readonly ecam: RegisterBlock = {
    read: (offset, size) => this.#functions.get(offset >>> 12)?.read(offset & 0xfff, size) ?? ones(size),
    write: (offset, value, size) => this.#functions.get(offset >>> 12)?.write(offset & 0xfff, value, size),
  };

  constructor(options: PciBusOptions) {
    this.#options = options;
    this.#pirq = options.pirq.map((line) => new SharedLine(line));
  }

  /** Plug a function in: device 0-31, function 0-7. */
  add(device: number, number: number, added: PciFunction): void {
    const { mmio, ports } = this.#options;
    const pin = added.interruptPin;
    const interrupt = pin === 0 ? unconnected : this.#pirq[pirqOf(device, pin)]!.driver();
    this.#functions.set((device << 3) | number, added);
    added.connect({ mmio, ports, interrupt });
  }

  /** All functions, in the order of device and function number. */
  functions(): { readonly device: number; readonly number: number; readonly found: PciFunction }[] {
    return [...this.#functions]
      .sort(([a], [b]) => a - b)
      .map(([key, found]) => ({ device: key >>> 3, number: key & 7, found }));
  }

  reset(): void {
    this.state = { CONFIG_ADDRESS: 0 };
    for (const { found } of this.functions()) found.reset();
  }

  #selected(byte: number): { found: PciFunction | undefined; register: number } {
    const { CONFIG_ADDRESS } = this.state;
    const enabled = (CONFIG_ADDRESS & CONFIG_ENABLE) !== 0;
    // Bits 23:16 are the bus: the key of a function on bus 0 has none of them.
    const found = enabled ? this.#functions.get((CONFIG_ADDRESS >>> 8) & 0xffff) : undefined;
    return { found, register: (CONFIG_ADDRESS & 0xfc) + byte };
  }
}
