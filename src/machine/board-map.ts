import { pciHoleStart } from "../cpu/guest-memory.ts";

/** Where things are in the physical address space besides RAM; the tables that tell software and the loaders read it too. */
export const memoryMap = {
  /** Memory-mapped PCI configuration space, 256 MiB. */ ecam: pciHoleStart,
  /** PCI BARs are placed from here up to the I/O APIC. */ barsStart: 0xc000_0000,
  barsEnd: 0xfec0_0000,
  ioApic: 0xfec0_0000,
  hpet: 0xfed0_0000,
  localApic: 0xfee0_0000,
} as const;
export const ports = { com1: 0x3f8, com2: 0x2f8, acpiPm: 0x600, smiCommand: 0xb2 } as const;
export const isaInterrupts = { com1: 4, com2: 3, keyboard: 1, mouse: 12, rtc: 8, sci: 9 } as const;
/** Where PIRQA-PIRQH go for systems that use the 8259s. */
export const pirqIsaIrqs = [10, 10, 11, 11, 10, 10, 11, 11] as const;
