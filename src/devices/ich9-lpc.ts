import type { MappedRange, RegisterBlock } from "../bus/address-range.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import type { PortBus } from "../bus/port-io.ts";
import { PM_BLOCK_LENGTH } from "./acpi-pm.ts";
import { PIRQ_COUNT } from "./pci.ts";
import { PciFunction } from "./pci-function.ts";

// Intel I/O Controller Hub 9 (ICH9) datasheet, "LPC Interface Bridge Registers (D31:F0)".

/** Offsets in configuration space. */
// biome-ignore format: one row per fact
const REGISTER = { PMBASE: 0x40, ACPI_CNTL: 0x44, PIRQA_ROUT: 0x60, PIRQE_ROUT: 0x68, RCBA: 0xf0 } as const;
const ACPI_EN = 0x80;
const ROUTE_DISABLED = 0x80;
/** PIRQx_ROUT: the interrupts that a PIRQ may be routed to; the others are reserved. */
export const ROUTABLE_IRQS = [3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15];
/** PIRQA is wired to this I/O APIC input, PIRQB to the next, and so on. */
export const PIRQ_IO_APIC_INPUT = 16;

/** The slot where the south bridge sits: device 31, function 0. */
export const LPC_DEVICE = 31;

export interface Ich9LpcOptions {
  readonly ports: PortBus;
  /** The ACPI registers that PMBASE maps. */
  readonly powerManagement: RegisterBlock;
  /** The I/O APIC's inputs 16 to 23, by number. */
  readonly ioApicInput: (input: number) => InterruptLine;
  /** The 8259s' inputs, by IRQ number, for PIRQs that are routed to them. */
  readonly isaIrq: (irq: number) => InterruptLine;
}

/**
 * The LPC bridge of an ICH9 (8086:2918): places the ACPI registers, and routes PIRQA-PIRQH to the I/O APIC and to the
 * 8259s. The chipset configuration space at RCBA is not built: reads there give all ones.
 */
export class Ich9Lpc {
  readonly function: PciFunction;
  /** The wires PIRQA to PIRQH, for the PCI bus. */
  readonly pirq: readonly InterruptLine[];
  readonly #options: Ich9LpcOptions;
  readonly #isaLines: ReadonlyMap<number, InterruptLine>;
  /** Levels of the PIRQs: their drivers re-derive them. */
  readonly #pirqLevels = new Array<boolean>(PIRQ_COUNT).fill(false);
  #isaCache = 0;
  #pmCache: MappedRange | undefined;

  constructor(options: Ich9LpcOptions) {
    this.#options = options;
    const own = new PciFunction("ICH9 LPC bridge", {
      vendorId: 0x8086,
      deviceId: 0x2918,
      revisionId: 2,
      classCode: 0x06_01_00,
      multifunction: true,
    });
    this.function = own;
    own.defineRegister(REGISTER.PMBASE, 4, 1, 0xff80);
    own.defineRegister(REGISTER.ACPI_CNTL, 1, 0, 0x87);
    for (let i = 0; i < PIRQ_COUNT; i++) own.defineRegister(pirqRouteRegister(i), 1, ROUTE_DISABLED, 0x8f);
    own.defineRegister(REGISTER.RCBA, 4, 0, 0xffff_c001);
    own.watch(REGISTER.PMBASE, 5, () => this.#mapPowerManagement());
    own.watch(REGISTER.PIRQA_ROUT, 12, () => this.#driveIsa());
    this.#isaLines = new Map(ROUTABLE_IRQS.map((irq) => [irq, options.isaIrq(irq)]));
    this.pirq = Array.from({ length: PIRQ_COUNT }, (_, i) => {
      const input = options.ioApicInput(PIRQ_IO_APIC_INPUT + i);
      return {
        set: (asserted) => {
          this.#pirqLevels[i] = asserted;
          input.set(asserted);
          this.#driveIsa();
        },
      };
    });
  }

  /** What firmware does: place the ACPI registers. */
  placePowerManagement(port: number): void {
    this.function.write(REGISTER.PMBASE, port, 4);
    this.function.write(REGISTER.ACPI_CNTL, ACPI_EN, 1);
  }

  /** What firmware does: route PIRQA (0) to PIRQH (7) to an ISA interrupt. */
  routePirq(pirq: number, irq: number): void {
    this.function.write(pirqRouteRegister(pirq), irq, 1);
  }

  #mapPowerManagement(): void {
    const { ports, powerManagement } = this.#options;
    if (this.#pmCache !== undefined) ports.unmap(this.#pmCache);
    this.#pmCache = undefined;
    const base = this.function.register(REGISTER.PMBASE, 2) & 0xff80;
    const enabled = (this.function.register(REGISTER.ACPI_CNTL, 1) & ACPI_EN) !== 0;
    if (enabled && base !== 0)
      this.#pmCache = ports.map(base, PM_BLOCK_LENGTH, powerManagement, "ACPI power management");
  }

  #driveIsa(): void {
    let levels = 0;
    for (const [i, asserted] of this.#pirqLevels.entries()) {
      const route = this.function.register(pirqRouteRegister(i), 1);
      if (asserted && (route & ROUTE_DISABLED) === 0) levels |= 1 << (route & 0xf);
    }
    for (const [irq, line] of this.#isaLines)
      if ((((levels ^ this.#isaCache) >> irq) & 1) === 1) line.set(((levels >> irq) & 1) === 1);
    this.#isaCache = levels;
  }
}

/** The register that routes PIRQA (0) to PIRQH (7). */
export const pirqRouteRegister = (pirq: number): number =>
  pirq < 4 ? REGISTER.PIRQA_ROUT + pirq : REGISTER.PIRQE_ROUT + pirq - 4;
