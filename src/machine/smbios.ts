import { setChecksum, TableBytes } from "./table-bytes.ts";

// System Management BIOS Reference Specification 3.0 (DMTF DSP0134), chapters 5 "Accessing SMBIOS information" and
// 7 "Structure definitions"; names are its own. A reader of version 2.8 finds all that it knows.

/** What the structures say about the machine. */
export interface SmbiosFacts {
  readonly memoryBytes: number;
  /** The part of it below the PCI hole; the rest begins at 4 GiB. */
  readonly lowMemoryBytes: number;
  /** Cores of the one processor package. */
  readonly processors: number;
  /** CPUID leaf 1 of each. */
  readonly signature: number;
  readonly features: number;
  readonly vendor: string;
  readonly brand: string;
  readonly megahertz: number;
  /** 16 bytes in the order of their text form. */
  readonly uuid: Uint8Array;
}

const VERSION = { major: 3, minor: 0 } as const;
const MAKER = "Worldswitch";
const PRODUCT = "Q35 PC";
const FIRMWARE = { version: "1.0", date: "01/01/2026", segment: 0xf000, romBytes: 0x1_0000 } as const;

/** Structure types; each has one structure, with its type as its handle, but for the ranges of memory. */
// biome-ignore format: one row per fact
const TYPE = {
  BIOS: 0, SYSTEM: 1, CHASSIS: 3, PROCESSOR: 4, MEMORY_ARRAY: 16, MEMORY_DEVICE: 17, MAPPED_ADDRESS: 19, BOOT: 32, END: 127,
} as const;
const NO_HANDLE = 0xffff;
const NO_ERROR_INFORMATION = 0xfffe;
/** A power supply's or chassis' state, and the like: 1 other, 2 unknown, 3 safe or none. */
const STATE = { UNKNOWN: 2, SAFE: 3, NONE: 3 } as const;
const CHASSIS_DESKTOP = 3;
const WAKE_UP_POWER_SWITCH = 6;
const CENTRAL_PROCESSOR = 3;
const FAMILY_OTHER = 1;
const UPGRADE_OTHER = 1;
const SOCKET_POPULATED_ENABLED = 0x41;
/** Processor characteristics: 64-bit capable, multi-core, execute protection. */
const CHARACTERISTIC = { LONG: 1 << 2, MULTI_CORE: 1 << 3, EXECUTE_PROTECTION: 1 << 5 } as const;
const LOCATION_SYSTEM_BOARD = 3;
const USE_SYSTEM_MEMORY = 3;
const FORM_FACTOR_DIMM = 9;
const MEMORY_TYPE_RAM = 7;
const TYPE_DETAIL_OTHER = 1 << 1;
/** BIOS characteristics: PCI, shadowing, boot from a chosen device; and of the extension bytes: ACPI, a virtual machine. */
const BIOS_CHARACTERISTICS = { PCI: 1 << 7, SHADOWED: 1 << 12, SELECTABLE_BOOT: 1 << 16 } as const;
const ACPI_SUPPORTED = 1 << 0;
const VIRTUAL_MACHINE = 1 << 4;
const NOT_IN_KIB = 0xffff_ffff;
/** Byte values that mean "not known". */
const UNKNOWN = 0;

/** A structure: header, fields, then the strings that fields refer to by their number. */
class Structure extends TableBytes {
  readonly #strings: string[] = [];

  constructor(type: number, handle: number = type) {
    super();
    this.put(1, type, 0).put(2, handle);
  }

  /** A field that refers to a string; 0 for none. */
  string(...texts: readonly string[]): this {
    for (const text of texts) this.put(1, text === "" ? 0 : this.#strings.push(text));
    return this;
  }

  /** "Text strings": each with a zero byte, one more at the end, and two where there are none. */
  bytes(): number[] {
    const [type, , ...rest] = this.list;
    const strings = this.#strings.map((text) => `${text}\0`).join("") || "\0";
    return [type!, this.list.length, ...rest, ...new TextEncoder().encode(`${strings}\0`)];
  }
}

const firmware = (): Structure => {
  const { PCI, SHADOWED, SELECTABLE_BOOT } = BIOS_CHARACTERISTICS;
  return new Structure(TYPE.BIOS)
    .string(MAKER, FIRMWARE.version)
    .put(2, FIRMWARE.segment)
    .string(FIRMWARE.date)
    .put(1, FIRMWARE.romBytes / 0x1_0000 - 1)
    .put(8, PCI | SHADOWED | SELECTABLE_BOOT)
    .put(1, ACPI_SUPPORTED, VIRTUAL_MACHINE)
    .put(1, 1, 0) // its release, major and minor
    .put(1, 0xff, 0xff); // no embedded controller
};

/** The wire form of a UUID: its first three fields are little-endian. */
const uuidBytes = (uuid: Uint8Array): number[] =>
  [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].map((index) => uuid[index]!);

const system = ({ uuid }: SmbiosFacts): Structure =>
  new Structure(TYPE.SYSTEM)
    .string(MAKER, PRODUCT, FIRMWARE.version, "")
    .put(1, ...uuidBytes(uuid), WAKE_UP_POWER_SWITCH)
    .string("", MAKER);

const chassis = (): Structure =>
  new Structure(TYPE.CHASSIS)
    .string(MAKER)
    .put(1, CHASSIS_DESKTOP)
    .string(FIRMWARE.version, "", "")
    .put(1, STATE.SAFE, STATE.SAFE, STATE.SAFE, STATE.UNKNOWN)
    .put(4, 0)
    .put(1, UNKNOWN, UNKNOWN, 0, 0)
    .string("");

const processor = (facts: SmbiosFacts): Structure => {
  const { LONG, MULTI_CORE, EXECUTE_PROTECTION } = CHARACTERISTIC;
  const { processors, megahertz } = facts;
  return new Structure(TYPE.PROCESSOR)
    .string("CPU 0")
    .put(1, CENTRAL_PROCESSOR, FAMILY_OTHER)
    .string(facts.vendor)
    .put(4, facts.signature, facts.features)
    .string(facts.brand)
    .put(1, UNKNOWN)
    .put(2, UNKNOWN, megahertz, megahertz)
    .put(1, SOCKET_POPULATED_ENABLED, UPGRADE_OTHER)
    .put(2, NO_HANDLE, NO_HANDLE, NO_HANDLE)
    .string("", "", "")
    .put(1, processors, processors, processors)
    .put(2, LONG | (processors > 1 ? MULTI_CORE : 0) | EXECUTE_PROTECTION, FAMILY_OTHER)
    .put(2, processors, processors, processors);
};

const memoryArray = ({ memoryBytes }: SmbiosFacts): Structure =>
  new Structure(TYPE.MEMORY_ARRAY)
    .put(1, LOCATION_SYSTEM_BOARD, USE_SYSTEM_MEMORY, STATE.NONE)
    .put(4, memoryBytes / 1024)
    .put(2, NO_ERROR_INFORMATION, 1)
    .put(8, 0);

/** All memory is one module, its size in MiB, or in KiB where that is not whole. */
const memoryDevice = ({ memoryBytes }: SmbiosFacts): Structure => {
  const inKiB = 0x8000;
  const mebibytes = memoryBytes / 2 ** 20;
  const size = Number.isInteger(mebibytes) ? mebibytes : inKiB | Math.min(memoryBytes / 1024, inKiB - 1);
  return new Structure(TYPE.MEMORY_DEVICE)
    .put(2, TYPE.MEMORY_ARRAY, NO_ERROR_INFORMATION, 64, 64, size)
    .put(1, FORM_FACTOR_DIMM, 0)
    .string("DIMM 0", "")
    .put(1, MEMORY_TYPE_RAM)
    .put(2, TYPE_DETAIL_OTHER, UNKNOWN)
    .string(MAKER, "", "", "")
    .put(1, UNKNOWN)
    .put(4, 0)
    .put(2, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN);
};

const mappedAddresses = ({ memoryBytes, lowMemoryBytes }: SmbiosFacts): Structure[] => {
  const ranges = [
    { start: 0, length: lowMemoryBytes },
    { start: 2 ** 32, length: memoryBytes - lowMemoryBytes },
  ].filter(({ length }) => length > 0);
  return ranges.map(({ start, length }, index) => {
    const last = start + length - 1;
    const fits = Math.floor(last / 1024) < NOT_IN_KIB;
    return new Structure(TYPE.MAPPED_ADDRESS, TYPE.MAPPED_ADDRESS + 0x100 * index)
      .put(4, fits ? start / 1024 : NOT_IN_KIB, fits ? Math.floor(last / 1024) : NOT_IN_KIB)
      .put(2, TYPE.MEMORY_ARRAY)
      .put(1, 1)
      .put(8, fits ? 0 : start, fits ? 0 : last);
  });
};

const structuresOf = (facts: SmbiosFacts): readonly Structure[] => [
  firmware(),
  system(facts),
  chassis(),
  processor(facts),
  memoryArray(facts),
  memoryDevice(facts),
  ...mappedAddresses(facts),
  new Structure(TYPE.BOOT).put(1, 0, 0, 0, 0, 0, 0, 0), // no errors detected
  new Structure(TYPE.END),
];

export interface SmbiosTables {
  /** Entry point of version 2.1, "_SM_": at a multiple of 16 between 0xF0000 and 1 MiB. */
  readonly entry32: Uint8Array;
  /** Entry point of version 3.0, "_SM3_": likewise. */
  readonly entry64: Uint8Array;
  /** The structures, where the entry points say. */
  readonly structures: Uint8Array;
}

/** Entry points and structures; these to be placed at `address`, below 4 GiB. */
export const smbiosTables = (facts: SmbiosFacts, address: number): SmbiosTables => {
  const all = structuresOf(facts).map((structure) => structure.bytes());
  const structures = Uint8Array.from(all.flat());
  const largest = Math.max(...all.map(({ length }) => length));
  const { major, minor } = VERSION;
  const entry32 = Uint8Array.from(
    new TableBytes()
      .text("_SM_")
      .put(1, 0, 31, major, minor)
      .put(2, largest)
      .put(1, 0, 0, 0, 0, 0, 0)
      .text("_DMI_")
      .put(1, 0)
      .put(2, structures.length)
      .put(4, address)
      .put(2, all.length)
      .put(1, (major << 4) | minor).list,
  );
  const intermediate = entry32.subarray(16);
  setChecksum(intermediate, 5);
  setChecksum(entry32, 4);
  const entry64 = Uint8Array.from(
    new TableBytes()
      .text("_SM3_")
      .put(1, 0, 24, major, minor, 0, 1, 0)
      .put(4, structures.length)
      .put(8, address).list,
  );
  setChecksum(entry64, 5);
  return { entry32, entry64, structures };
};
