/**
 * What software is told about guest-physical memory. The same five kinds and numbers serve E820 (ACPI specification, "Address Range
 * Types"), multiboot's memory map and PVH's.
 */

// biome-ignore format: one row per fact
export const addressRangeType = {
  RAM: 1, reserved: 2, acpiReclaimable: 3, acpiNvs: 4, unusable: 5,
} as const;

export type AddressRangeType = keyof typeof addressRangeType;

export interface MemoryRange {
  /** Guest-physical address of the first byte. */
  readonly start: number;
  /** Bytes. */
  readonly length: number;
  readonly type: AddressRangeType;
}

/** Ranges in ascending order without overlap. What no range covers is a hole: devices, or nothing. */
export interface MemoryMap {
  readonly ranges: readonly MemoryRange[];
  /** ACPI's root pointer: where it lies in memory, and its bytes (multiboot 2 passes a copy). */
  readonly RSDP?: { readonly address: number; readonly bytes: Uint8Array } | undefined;
}

const KIB = 1024;
export const MIB = 1024 * KIB;
export const FOUR_GIB = 4096 * MIB;
/** Where conventional memory ends: video memory and option ROMs follow. */
const CONVENTIONAL_END = 640 * KIB;
/** The last KiB of conventional memory is the extended BIOS data area. */
const EBDA_BYTES = KIB;

/** What of `range` lies outside `hole`: none, one or two pieces. */
const without = (range: MemoryRange, hole: MemoryRange): MemoryRange[] => {
  const end = range.start + range.length;
  const holeEnd = hole.start + hole.length;
  if (holeEnd <= range.start || hole.start >= end) return [range];
  return [
    { ...range, length: hole.start - range.start },
    { ...range, start: holeEnd, length: end - holeEnd },
  ].filter((piece) => piece.length > 0);
};

/**
 * The memory map of a PC: RAM from 0 to 640 KiB and from 1 MiB to the PCI hole, the rest of it from 4 GiB. RAM between 640 KiB and 1 MiB
 * exists and is not offered, as on a PC. `carved` ranges (ACPI tables, ECAM, ROM) replace what they cover.
 */
export const pcMemoryMap = (configuration: {
  /** Bytes of RAM in all. */
  readonly memory: number;
  /** Guest-physical address where RAM below 4 GiB ends at the latest. */
  readonly pciHole: number;
  readonly carved?: readonly MemoryRange[];
  readonly RSDP?: MemoryMap["RSDP"];
}): MemoryMap => {
  const { memory, pciHole, carved = [], RSDP } = configuration;
  const low = Math.min(memory, pciHole);
  const RAM = (start: number, end: number): MemoryRange => ({
    start,
    length: Math.max(0, end - start),
    type: "RAM",
  });
  const conventional = Math.min(low, CONVENTIONAL_END);
  let ranges: MemoryRange[] = [
    RAM(0, conventional - EBDA_BYTES),
    { start: conventional - EBDA_BYTES, length: EBDA_BYTES, type: "reserved" },
    { start: MIB - 64 * KIB, length: 64 * KIB, type: "reserved" },
    RAM(MIB, low),
    RAM(FOUR_GIB, FOUR_GIB + memory - low),
  ];
  for (const hole of carved) ranges = [...ranges.flatMap((range) => without(range, hole)), hole];
  ranges = ranges.filter((range) => range.length > 0).sort((a, b) => a.start - b.start);
  return { ranges, RSDP };
};

/** Bytes of a range as every boot protocol writes it: start and length in 64 bits each, type in 32. */
export const MAP_ENTRY_BYTES = 20;

export const writeMapEntry = (view: DataView, at: number, { start, length, type }: MemoryRange): void => {
  view.setBigUint64(at, BigInt(start), true);
  view.setBigUint64(at + 8, BigInt(length), true);
  view.setUint32(at + 16, addressRangeType[type], true);
};

/** Bytes of RAM that the map offers. */
export const offeredRam = (map: MemoryMap): number =>
  map.ranges.reduce((sum, range) => sum + (range.type === "RAM" ? range.length : 0), 0);

/** For messages: the machine's memory as the user gave it. What the map keeps for itself is always less than 1 MiB. */
export const memorySize = (map: MemoryMap): string => `${Math.ceil(offeredRam(map) / MIB)} MiB`;

/** For messages: "512 MiB", or with one decimal where it is not whole. */
export const mebibytes = (bytes: number): string => {
  const amount = bytes / MIB;
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} MiB`;
};

/** For messages: "0x1fe". */
export const hex = (value: number | bigint): string => `0x${value.toString(16)}`;
