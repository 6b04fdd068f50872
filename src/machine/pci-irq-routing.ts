import { LPC_DEVICE, pirqRouteRegister, ROUTABLE_IRQS } from "../devices/ich9-lpc.ts";
import { pirqOf } from "../devices/pci.ts";
import type { AcpiBoard } from "./acpi-board.ts";
import { setChecksum, TableBytes } from "./table-bytes.ts";

// PCI IRQ Routing Table Specification 1.0 (Microsoft): for systems that use the 8259s and no ACPI.

const VERSION = 0x0100;
const HEADER_BYTES = 32;
const SLOT_BYTES = 16;
const SLOTS = 32;
/** The first south bridge with PIRQA-PIRQH and the same registers for them: 82801BA (ICH2). */
const COMPATIBLE_ROUTER = { vendor: 0x8086, device: 0x2440 } as const;

const bitmapOf = (irqs: readonly number[]): number => irqs.reduce((bits, irq) => bits | (1 << irq), 0);

/** The table, to be placed at a multiple of 16 between 0xF0000 and 1 MiB. A link value is the routing register's offset, as for Intel's other routers. */
export const pciIrqRoutingTable = (board: AcpiBoard): Uint8Array => {
  const bytes = new TableBytes()
    .text("$PIR")
    .put(2, VERSION, HEADER_BYTES + SLOTS * SLOT_BYTES)
    .put(1, 0, LPC_DEVICE << 3)
    .put(2, bitmapOf(board.pirqIsaIrqs ?? []))
    .put(2, COMPATIBLE_ROUTER.vendor, COMPATIBLE_ROUTER.device)
    .put(4, 0, 0, 0, 0);
  for (let slot = 0; slot < SLOTS; slot++) {
    bytes.put(1, 0, slot << 3);
    for (let pin = 1; pin <= 4; pin++)
      bytes.put(1, pirqRouteRegister(pirqOf(slot, pin))).put(2, bitmapOf(ROUTABLE_IRQS));
    bytes.put(1, 0, 0); // soldered to the board
  }
  const table = Uint8Array.from(bytes.list);
  setChecksum(table, HEADER_BYTES - 1);
  return table;
};
