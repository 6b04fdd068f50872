import { IA32_FEATURE_CONTROL, variableMtrrs } from "../arch/msrs.ts";
import { fourGiB } from "../cpu/guest-memory.ts";
import type { LogicalProcessor } from "../cpu/logical-processor.ts";
import { writeMsr } from "../cpu/msrs.ts";
import { ACPI_ENABLE } from "../devices/acpi-pm.ts";
import { type PciBus, pirqOf } from "../devices/pci.ts";
import { COMMAND, PCI, type PciFunction } from "../devices/pci-function.ts";
import { isaInterrupts, memoryMap, pirqIsaIrqs, ports } from "./board-map.ts";
import type { Chipset } from "./chipset.ts";

/** What firmware leaves behind, for a machine that has none. */

/** Configuration space, shadow RAM, interrupt routing, ACPI mode and BARs. */
export const setUpChipset = ({ host, lpc, pic, acpiPm, pci }: Chipset): void => {
  host.placeEcam(memoryMap.ecam);
  host.shadowAll();
  lpc.placePowerManagement(ports.acpiPm);
  for (const [pirq, irq] of pirqIsaIrqs.entries()) lpc.routePirq(pirq, irq);
  const levelTriggered = [isaInterrupts.sci, ...pirqIsaIrqs].reduce((bits, irq) => bits | (1 << irq), 0);
  pic.edgeLevelControl.write(1, levelTriggered >> 8, 1);
  acpiPm.smiCommand.write(0, ACPI_ENABLE, 1);
  placeBars(pci);
};

/** PCI BARs and interrupts: memory from `barsStart` upwards, ports from 0xC000. */
const placeBars = (pci: PciBus): void => {
  let memory: number = memoryMap.barsStart;
  let port = 0xc000;
  for (const { device, found } of pci.functions()) {
    const pin = found.interruptPin;
    if (pin !== 0) found.write(PCI.INTERRUPT_LINE, pirqIsaIrqs[pirqOf(device, pin)]!, 1);
    for (const bar of found.bars) {
      const align = (at: number): number => Math.ceil(at / bar.length) * bar.length;
      if (bar.space === "io") {
        port = align(port);
        found.write(0x10 + 4 * bar.index, port, 4);
        port += bar.length;
      } else {
        memory = align(memory);
        found.write(0x10 + 4 * bar.index, memory, 4);
        memory += bar.length;
      }
    }
    enableDecoding(found);
  }
};

const enableDecoding = (found: PciFunction): void => {
  const command = found.register(PCI.COMMAND, 2);
  found.write(PCI.COMMAND, command | COMMAND.IO | COMMAND.MEMORY | COMMAND.BUS_MASTER, 2);
};

/** What IA32_FEATURE_CONTROL is locked to: VMX outside SMX operation. */
export const featureControl = IA32_FEATURE_CONTROL.lock | IA32_FEATURE_CONTROL.vmxOutsideSMX;

/** VMXON is allowed, for good. */
export const allowVmx = (processor: LogicalProcessor): void => {
  if (processor.model.has("VMX")) processor.state.IA32_FEATURE_CONTROL = featureControl;
};

/** MTRRs: memory is write-back but for the PCI hole, which is uncacheable. */
export const setMemoryTypes = (processor: LogicalProcessor): void => {
  const writeBackEnabled = 0xc06n;
  const valid = 0x800n;
  const addressMask = (1n << BigInt(processor.model.physicalAddressBits)) - 1n;
  const uncacheable = [
    [memoryMap.ecam, memoryMap.barsStart - memoryMap.ecam],
    [memoryMap.barsStart, fourGiB - memoryMap.barsStart],
  ] as const;
  for (const [pair, [start, length]] of uncacheable.entries()) {
    writeMsr(processor, variableMtrrs.first + 2 * pair, BigInt(start));
    writeMsr(processor, variableMtrrs.first + 2 * pair + 1, (addressMask & ~BigInt(length - 1)) | valid);
  }
  processor.state.IA32_MTRR_DEF_TYPE = writeBackEnabled;
};
