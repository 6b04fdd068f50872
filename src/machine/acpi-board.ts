/** What the tables say about the board. */
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
}
