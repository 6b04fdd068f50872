import type { Core } from "../cpu/core.ts";
import type { AcpiBoard } from "./acpi-board.ts";
import { mpTables } from "./mp-tables.ts";
import { pciIrqRoutingTable } from "./pci-irq-routing.ts";

/** Bytes at a physical address. */
export interface PlacedTable {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Where a PC's system ROM has its tables: software looks for their signatures at each multiple of 16 up to 1 MiB. */
const SYSTEM_ROM = 0xf_0000;
const ALIGNMENT = 16;

/** What firmware tells beside ACPI: MultiProcessor and PCI IRQ Routing tables, in the system ROM's place. */
export const systemTables = (board: AcpiBoard, processor: Core): readonly PlacedTable[] => {
  const { eax: signature, edx: features } = processor.model.cpuid(processor, 1, 0);
  let address = SYSTEM_ROM;
  return [
    (at: number) => mpTables(board, { signature: signature >>> 0, features: features >>> 0 }, at),
    () => pciIrqRoutingTable(board),
  ].map((build) => {
    const placed = { address, bytes: build(address) };
    address += Math.ceil(placed.bytes.length / ALIGNMENT) * ALIGNMENT;
    return placed;
  });
};
