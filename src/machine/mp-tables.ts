import { PIRQ_IO_APIC_INPUT } from "../devices/ich9-lpc.ts";
import { IO_APIC_VERSION } from "../devices/io-apic.ts";
import { APIC_VERSION } from "../devices/local-apic-registers.ts";
import { pirqOf } from "../devices/pci.ts";
import { type AcpiBoard, isaInputOverrides } from "./acpi-board.ts";
import { setChecksum, TableBytes } from "./table-bytes.ts";

// MultiProcessor Specification 1.4, chapter 4 "MP Configuration Table"; names are its own. For systems without ACPI.

/** What CPUID leaf 1 says of every processor. */
export interface ProcessorSignature {
  /** EAX: stepping, model, family. */
  readonly signature: number;
  /** EDX. */
  readonly features: number;
}

const SPEC_REV = 4;
const OEM_ID = "WORLDSW ";
const PRODUCT_ID = "Q35         ";
/** Entry types. */
// biome-ignore format: one row per fact
const ENTRY = { PROCESSOR: 0, BUS: 1, IO_APIC: 2, IO_INTERRUPT: 3, LOCAL_INTERRUPT: 4 } as const;
/** Interrupt types. */
const INTERRUPT = { INT: 0, NMI: 1, EXTINT: 3 } as const;
const CPU_ENABLED = 1;
const CPU_BOOTSTRAP = 2;
const BUS = { PCI: 0, ISA: 1 } as const;
const PCI_SLOTS = 32;
const PCI_PINS = 4;
const ISA_IRQS = 16;
/** The slave 8259's place at the master. */
const CASCADE = 2;
const ALL_LOCAL_APICS = 0xff;
const POINTER_BYTES = 16;
const HEADER_BYTES = 44;

const entriesOf = (board: AcpiBoard, { signature, features }: ProcessorSignature): readonly TableBytes[] => {
  const ioApicId = board.ioApicId ?? 0;
  const interrupt = (
    entry: number,
    type: number,
    flags: number,
    source: readonly [bus: number, irq: number],
    destination: readonly [apic: number, input: number],
  ): TableBytes =>
    new TableBytes()
      .put(1, entry, type)
      .put(2, flags)
      .put(1, ...source, ...destination);
  const processors = board.apicIds.map((id, index) =>
    new TableBytes()
      .put(1, ENTRY.PROCESSOR, id, APIC_VERSION & 0xff, CPU_ENABLED | (index === 0 ? CPU_BOOTSTRAP : 0))
      .put(4, signature, features, 0, 0),
  );
  const overrides = isaInputOverrides(board);
  const isa = Array.from({ length: ISA_IRQS }, (_, irq) => irq)
    .filter((irq) => irq !== CASCADE && !(board.pirqIsaIrqs ?? []).includes(irq))
    .map((irq) => {
      const { input, flags } = overrides.find((other) => other.irq === irq) ?? { input: irq, flags: 0 };
      return interrupt(ENTRY.IO_INTERRUPT, INTERRUPT.INT, flags, [BUS.ISA, irq], [ioApicId, input]);
    });
  const pci = Array.from({ length: PCI_SLOTS * PCI_PINS }, (_, source) => {
    const pirq = pirqOf(source >> 2, (source & 3) + 1);
    const destination = [ioApicId, PIRQ_IO_APIC_INPUT + pirq] as const;
    return interrupt(ENTRY.IO_INTERRUPT, INTERRUPT.INT, 0, [BUS.PCI, source], destination);
  });
  return [
    ...processors,
    new TableBytes().put(1, ENTRY.BUS, BUS.PCI).text("PCI   "),
    new TableBytes().put(1, ENTRY.BUS, BUS.ISA).text("ISA   "),
    new TableBytes().put(1, ENTRY.IO_APIC, ioApicId, IO_APIC_VERSION & 0xff, 1).put(4, board.ioApic),
    ...isa,
    ...pci,
    // The 8259s are LINT0 of the bootstrap processor, NMI is LINT1 of every one.
    interrupt(ENTRY.LOCAL_INTERRUPT, INTERRUPT.EXTINT, 0, [BUS.ISA, 0], [board.apicIds[0] ?? 0, 0]),
    interrupt(ENTRY.LOCAL_INTERRUPT, INTERRUPT.NMI, 0, [BUS.ISA, 0], [ALL_LOCAL_APICS, 1]),
  ];
};

/** The floating pointer and the table behind it, for `address`, a multiple of 16 between 0xF0000 and 1 MiB. */
export const mpTables = (board: AcpiBoard, processor: ProcessorSignature, address: number): Uint8Array => {
  const entries = entriesOf(board, processor);
  const body = entries.flatMap(({ list }) => list);
  const table = Uint8Array.from([
    ...new TableBytes()
      .text("PCMP")
      .put(2, HEADER_BYTES + body.length)
      .put(1, SPEC_REV, 0)
      .text(OEM_ID)
      .text(PRODUCT_ID)
      .put(4, 0)
      .put(2, 0, entries.length)
      .put(4, board.localApic, 0).list,
    ...body,
  ]);
  setChecksum(table, 7);
  // Feature bytes: a configuration table is present; virtual wire mode, no IMCR.
  const pointer = Uint8Array.from(
    new TableBytes()
      .text("_MP_")
      .put(4, address + POINTER_BYTES)
      .put(1, 1, SPEC_REV, 0, 0, 0, 0, 0, 0).list,
  );
  setChecksum(pointer, 10);
  return Uint8Array.from([...pointer, ...table]);
};
