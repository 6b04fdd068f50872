/** What tables tell software about the board: ACPI's, and those of the MultiProcessor and PCI IRQ Routing specifications. */
export interface AcpiBoard {
  /** Local APIC IDs of the logical processors, the bootstrap processor first; all below 255. */
  readonly apicIds: readonly number[];
  /** Physical addresses of the register blocks. */
  readonly localApic: number;
  readonly ioApic: number;
  readonly hpet: number;
  readonly ecam: number;
  /** ID in the I/O APIC's own register. Default: 0. */
  readonly ioApicId?: number;
  /** Event timers of the HPET. Default: 3. */
  readonly hpetTimers?: number;
  /** Physical addresses that PCI BARs may be given; those above 4 GiB are for 64-bit BARs. */
  readonly pciMemory: readonly { readonly start: number; readonly length: number }[];
  /** First port of the ACPI registers. */
  readonly pmBase: number;
  /** SMI command port. */
  readonly smiCommand: number;
  /** ISA interrupts; each is the I/O APIC input of the same number. */
  readonly interrupts: {
    readonly sci: number;
    readonly rtc: number;
    readonly keyboard: number;
    readonly mouse: number;
  };
  readonly serialPorts: readonly { readonly start: number; readonly irq: number }[];
  /** The ISA interrupts that PIRQA-PIRQH are routed to, for systems that use the 8259s. Left out: no such systems. */
  readonly pirqIsaIrqs?: readonly number[];
  /** Ports of the firmware configuration device. */
  readonly fwCfg?: { readonly start: number; readonly length: number };
  /** A virtio device behind memory-mapped registers: where, and its I/O APIC input. */
  readonly virtioMmio?: { readonly start: number; readonly length: number; readonly input: number };
}

/** "MPS INTI Flags", the same in MP tables and the MADT: active high, level triggered. 0 is what the bus has. */
const INTI_HIGH_LEVEL = 0b1101;

/** ISA interrupts that reach another I/O APIC input than the one of their number, or otherwise than the bus has it. */
export const isaInputOverrides = ({
  interrupts: { sci },
}: AcpiBoard): readonly { readonly irq: number; readonly input: number; readonly flags: number }[] => [
  { irq: 0, input: 2, flags: 0 }, // the 8254
  { irq: sci, input: sci, flags: INTI_HIGH_LEVEL },
];
