import type { AcpiTables } from "./acpi-tables.ts";

/**
 * ACPI tables for firmware: files of the firmware configuration device, and the script by which firmware places them, fills in
 * pointers and mends checksums (QEMU hw/acpi/bios-linker-loader.c).
 */

export interface FirmwareFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const TABLES = "etc/acpi/tables";
const RSDP = "etc/acpi/rsdp";

/** BiosLinkerLoaderEntry. */
const COMMAND = { ALLOCATE: 1, ADD_POINTER: 2, ADD_CHECKSUM: 3 } as const;
const ZONE = { HIGH: 1, FSEG: 2 } as const;
const ENTRY_BYTES = 128;
const FILE_NAME_BYTES = 56;

/** ACPI Specification 6.4: offsets of pointers and checksums. */
const HEADER = { length: 4, checksum: 9, bytes: 36 } as const;
// biome-ignore format: one row per fact
const FADT_POINTERS = [ { offset: 36, size: 4 }, { offset: 40, size: 4 }, { offset: 140, size: 8 } ] as const;
// biome-ignore format: one row per fact
const RSDP_POINTERS = [ { offset: 16, size: 4 }, { offset: 24, size: 8 } ] as const;
// biome-ignore format: one row per fact
const RSDP_CHECKSUMS = [ { offset: 8, length: 20 }, { offset: 32, length: 36 } ] as const;

class Script {
  readonly #entries: Uint8Array[] = [];

  #entry(command: number, ...files: readonly string[]): DataView {
    const bytes = new Uint8Array(ENTRY_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, command, true);
    files.forEach((name, index) => {
      bytes.set(new TextEncoder().encode(name), 4 + FILE_NAME_BYTES * index);
    });
    this.#entries.push(bytes);
    return new DataView(bytes.buffer, 4 + FILE_NAME_BYTES * files.length);
  }

  allocate(file: string, alignment: number, zone: number): void {
    const fields = this.#entry(COMMAND.ALLOCATE, file);
    fields.setUint32(0, alignment, true);
    fields.setUint8(4, zone);
  }

  /** The field at `offset` holds an offset in the tables: add where they are. */
  addPointer(file: string, offset: number, size: number): void {
    const fields = this.#entry(COMMAND.ADD_POINTER, file, TABLES);
    fields.setUint32(0, offset, true);
    fields.setUint8(4, size);
  }

  addChecksum(file: string, offset: number, start: number, length: number): void {
    const fields = this.#entry(COMMAND.ADD_CHECKSUM, file);
    fields.setUint32(0, offset, true);
    fields.setUint32(4, start, true);
    fields.setUint32(8, length, true);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(this.#entries.flatMap((entry) => [...entry]));
  }
}

/** `built` are tables for address 0, so that each pointer is an offset. */
export const acpiLoaderFiles = (built: AcpiTables): readonly FirmwareFile[] => {
  const tables = built.tables.bytes;
  const rsdp = built.rsdp.bytes;
  const view = new DataView(tables.buffer, tables.byteOffset, tables.length);
  const root = new DataView(rsdp.buffer, rsdp.byteOffset, rsdp.length);
  const script = new Script();
  script.allocate(TABLES, 64, ZONE.HIGH);
  script.allocate(RSDP, 16, ZONE.FSEG);
  const checksummed = new Set<number>();
  /** The entries of RSDT or XSDT. */
  const entriesOf = (at: number, size: 4 | 8): number[] => {
    const end = at + view.getUint32(at + HEADER.length, true);
    checksummed.add(at);
    const entries: number[] = [];
    for (let offset = at + HEADER.bytes; offset < end; offset += size) {
      script.addPointer(TABLES, offset, size);
      entries.push(view.getUint32(offset, true));
    }
    return entries;
  };
  const listed = entriesOf(root.getUint32(RSDP_POINTERS[0].offset, true), RSDP_POINTERS[0].size);
  entriesOf(root.getUint32(RSDP_POINTERS[1].offset, true), RSDP_POINTERS[1].size);
  for (const at of listed) checksummed.add(at);
  const fadt = listed[0]!;
  for (const { offset, size } of FADT_POINTERS) script.addPointer(TABLES, fadt + offset, size);
  for (const at of checksummed)
    script.addChecksum(TABLES, at + HEADER.checksum, at, view.getUint32(at + HEADER.length, true));
  for (const { offset, size } of RSDP_POINTERS) script.addPointer(RSDP, offset, size);
  for (const { offset, length } of RSDP_CHECKSUMS) script.addChecksum(RSDP, offset, 0, length);
  return [
    { name: TABLES, bytes: tables },
    { name: RSDP, bytes: rsdp },
    { name: "etc/table-loader", bytes: script.bytes() },
  ];
};
