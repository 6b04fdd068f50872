import { ACPI_DISABLE, ACPI_ENABLE, PM_BLOCK } from "../devices/acpi-pm.ts";
import { hpetBlockId } from "../devices/hpet.ts";
import { type AcpiBoard, isaInputOverrides } from "./acpi-board.ts";
import { dsdtTerms } from "./dsdt.ts";
import { setChecksum, TableBytes } from "./table-bytes.ts";

// ACPI Specification 6.4, section 5.2 "ACPI System Description Tables"; names are its own.

export interface AcpiTables {
  /** Belongs into 0xE0000-0xFFFFF, at a multiple of 16. */
  readonly rsdp: { readonly address: number; readonly bytes: Uint8Array };
  /** All other tables; the length does not depend on the address. */
  readonly tables: { readonly address: number; readonly bytes: Uint8Array };
}

const OEM_ID = "WORLDS";
const OEM_TABLE_ID = "WORLDSWT";
const CREATOR_ID = "WLSW";
/** The reset register (ICH9: "RST_CNT"), and what resets the platform: SYS_RST and RST_CPU. */
const RESET = { port: 0xcf9, value: 0x06 };
/** CMOS index of the century. */
const RTC_CENTURY = 0x32;
const HEADER_LENGTH = 36;

/** Generic Address Structure: address spaces and access sizes. */
const SYSTEM_MEMORY = 0;
const SYSTEM_IO = 1;

/** Table 5.9 "FADT Format", Flags. */
// biome-ignore format: one row per fact
const FADT_FLAG = {
  WBINVD: 1 << 0, PROC_C1: 1 << 2, SLP_BUTTON: 1 << 5, FIX_RTC: 1 << 6, TMR_VAL_EXT: 1 << 8, RESET_REG_SUP: 1 << 10,
} as const;
/** Table 5.10 "IA-PC Boot Architecture Flags". */
// biome-ignore format: one row per fact
const BOOT_ARCH = { LEGACY_DEVICES: 1 << 0, I8042: 1 << 1, VGA_NOT_PRESENT: 1 << 2 } as const;
/** Latencies beyond these mean "no C2" and "no C3". */
const NO_C2 = 0x0fff;
const NO_C3 = 0x0fff;

class AcpiBytes extends TableBytes {
  /** Generic Address Structure, section 5.2.3.2. */
  address(space: number, bitWidth: number, accessSize: number, address: number): this {
    return this.put(1, space, bitWidth, 0, accessSize).put(8, address);
  }
}

/** A table with its header (section 5.2.6). */
const table = (signature: string, revision: number, body: readonly number[]): Uint8Array => {
  const header = new AcpiBytes()
    .text(signature)
    .put(4, HEADER_LENGTH + body.length)
    .put(1, revision, 0)
    .text(OEM_ID)
    .text(OEM_TABLE_ID)
    .put(4, 1)
    .text(CREATOR_ID)
    .put(4, 1);
  const bytes = Uint8Array.from([...header.list, ...body]);
  setChecksum(bytes, 9);
  return bytes;
};

/** Firmware ACPI Control Structure: 64 bytes, without a checksum. */
const facs = (): Uint8Array => {
  const bytes = new AcpiBytes().text("FACS").put(4, 64, 0, 0, 0, 0).put(8, 0).put(1, 2);
  return Uint8Array.from({ length: 64 }, (_, i) => bytes.list[i] ?? 0);
};

/** Fixed ACPI Description Table, revision 6. The power button is fixed hardware; there is no sleep button. */
const fadt = (board: AcpiBoard, facsAddress: number, dsdtAddress: number): Uint8Array => {
  const { pmBase, smiCommand, interrupts } = board;
  const { PM1a_EVT, PM1a_CNT, PM_TMR, GPE0 } = PM_BLOCK;
  const port = (block: { readonly offset: number }) => pmBase + block.offset;
  const { WBINVD, PROC_C1, SLP_BUTTON, FIX_RTC, TMR_VAL_EXT, RESET_REG_SUP } = FADT_FLAG;
  const none = (b: AcpiBytes) => b.address(0, 0, 0, 0);
  const bytes = new AcpiBytes()
    .put(4, facsAddress, dsdtAddress)
    .put(1, 0, 1) // Preferred_PM_Profile: desktop
    .put(2, interrupts.sci)
    .put(4, smiCommand)
    .put(1, ACPI_ENABLE, ACPI_DISABLE, 0, 0)
    .put(4, port(PM1a_EVT), 0, port(PM1a_CNT), 0, 0, port(PM_TMR), port(GPE0), 0)
    .put(1, PM1a_EVT.length, PM1a_CNT.length, 0, PM_TMR.length, GPE0.length, 0, 0, 0)
    .put(2, NO_C2, NO_C3, 0, 0)
    .put(1, 0, 0, 0, 0, RTC_CENTURY)
    .put(2, BOOT_ARCH.LEGACY_DEVICES | BOOT_ARCH.I8042 | BOOT_ARCH.VGA_NOT_PRESENT)
    .put(1, 0)
    .put(4, WBINVD | PROC_C1 | SLP_BUTTON | FIX_RTC | TMR_VAL_EXT | RESET_REG_SUP)
    .address(SYSTEM_IO, 8, 1, RESET.port)
    .put(1, RESET.value)
    .put(2, 0)
    .put(1, 4) // FADT Minor Version
    .put(8, 0, dsdtAddress) // X_FIRMWARE_CTRL must be 0 while FIRMWARE_CTRL is not
    .address(SYSTEM_IO, 8 * PM1a_EVT.length, 2, port(PM1a_EVT));
  none(bytes).address(SYSTEM_IO, 8 * PM1a_CNT.length, 2, port(PM1a_CNT));
  none(none(bytes)).address(SYSTEM_IO, 8 * PM_TMR.length, 3, port(PM_TMR));
  bytes.address(SYSTEM_IO, 8 * GPE0.length, 1, port(GPE0));
  none(none(none(bytes))).put(8, 0); // X_GPE1, sleep control and status, Hypervisor Vendor Identity
  return table("FACP", 6, bytes.list);
};

/** Multiple APIC Description Table: section 5.2.12. */
const madt = (board: AcpiBoard): Uint8Array => {
  const PCAT_COMPAT = 1;
  const ENABLED = 1;
  const bytes = new AcpiBytes().put(4, board.localApic, PCAT_COMPAT);
  for (const [uid, apicId] of board.apicIds.entries()) bytes.put(1, 0, 8, uid, apicId).put(4, ENABLED);
  bytes.put(1, 1, 12, board.ioApicId ?? 0, 0).put(4, board.ioApic, 0);
  for (const { irq, input, flags } of isaInputOverrides(board))
    bytes.put(1, 2, 10, 0, irq).put(4, input).put(2, flags);
  // NMI is LINT1 of every processor.
  bytes.put(1, 4, 6, 0xff).put(2, 0).put(1, 1);
  return table("APIC", 5, bytes.list);
};

/** IA-PC HPET specification 1.0a, "The HPET Description Table". */
const hpetTable = (board: AcpiBoard): Uint8Array => {
  const MINIMUM_TICK = 0x80; // counts between periodic interrupts without losing one
  const bytes = new AcpiBytes()
    .put(4, hpetBlockId(board.hpetTimers ?? 3))
    .address(SYSTEM_MEMORY, 64, 0, board.hpet)
    .put(1, 0)
    .put(2, MINIMUM_TICK)
    .put(1, 0);
  return table("HPET", 1, bytes.list);
};

/** PCI Firmware Specification 3.3, "MCFG Table Description": segment 0, buses 0 to 255. */
const mcfg = (board: AcpiBoard): Uint8Array =>
  table("MCFG", 1, new AcpiBytes().put(8, 0, board.ecam).put(2, 0).put(1, 0, 255).put(4, 0).list);

/** Root System Description Pointer, revision 2. */
const rsdp = (rsdtAddress: number, xsdtAddress: number): Uint8Array => {
  const bytes = Uint8Array.from(
    new AcpiBytes()
      .text("RSD PTR ")
      .put(1, 0)
      .text(OEM_ID)
      .put(1, 2)
      .put(4, rsdtAddress, 36)
      .put(8, xsdtAddress)
      .put(4, 0).list,
  );
  setChecksum(bytes, 8, 20);
  setChecksum(bytes, 32);
  return bytes;
};

/** Build all tables for `tablesAddress` (a multiple of 64 below 4 GiB) and the root pointer for `rsdpAddress`. */
export const buildAcpiTables = (board: AcpiBoard, tablesAddress: number, rsdpAddress: number): AcpiTables => {
  const placed: number[] = [];
  /** Append at a multiple of 16; returns the physical address. */
  const place = (bytes: Uint8Array): number => {
    while (placed.length % 16 !== 0) placed.push(0);
    const address = tablesAddress + placed.length;
    for (const byte of bytes) placed.push(byte);
    return address;
  };
  const facsAddress = place(facs());
  const dsdtAddress = place(table("DSDT", 2, dsdtTerms(board)));
  const roots = [fadt(board, facsAddress, dsdtAddress), madt(board), hpetTable(board), mcfg(board)].map(
    place,
  );
  const rsdt = place(table("RSDT", 1, new AcpiBytes().put(4, ...roots).list));
  const xsdt = place(table("XSDT", 1, new AcpiBytes().put(8, ...roots).list));
  return {
    rsdp: { address: rsdpAddress, bytes: rsdp(rsdt, xsdt) },
    tables: { address: tablesAddress, bytes: Uint8Array.from(placed) },
  };
};
