import { addressedSegment } from "./address-fields.ts";
import { viewOf } from "./bytes.ts";
import { isElf, physicalEntry, readElf } from "./elf.ts";
import { loadedSegments, occupy } from "./elf-placement.ts";
import { placeSections } from "./elf-sections.ts";
import { FreeSpace } from "./free-space.ts";
import { flatState, flatTableBytes } from "./initial-state.ts";
import {
  type BootFile,
  type BootModule,
  type BootRefusal,
  type BootRequest,
  isRefusal,
  type LoadPlan,
  type LoadSegment,
  refuse,
  segmentOf,
} from "./load-plan.ts";
import { addressRangeType, FOUR_GIB, hex, type MemoryMap, mebibytes, memorySize } from "./memory-map.ts";

/** Multiboot Specification version 0.6.96: "OS image format", "Machine state", "Boot information format". */

const HEADER_MAGIC = 0x1badb002;
const BOOTLOADER_MAGIC = 0x2badb002;
const HEADER_SEARCH_BYTES = 8192;

/** Offsets in the Multiboot header. */
// biome-ignore format: one row per fact
const header = {
  magic: 0, flags: 4, checksum: 8, header_addr: 12, load_addr: 16, load_end_addr: 20, bss_end_addr: 24, entry_addr: 28,
  bytes: 12, bytesWithAddresses: 32,
} as const;

/**
 * Header flags. The video bit is let through although there is no video: QEMU does the same, and kernels set it by habit and look at the
 * information's flags. Modules are page-aligned and the memory map is there whether asked for or not.
 */
// biome-ignore format: one row per fact
const headerFlag = {
  pageAlign: 1 << 0, memory: 1 << 1, video: 1 << 2, mandatory: 0xffff, addresses: 1 << 16,
} as const;
const SATISFIED = headerFlag.pageAlign | headerFlag.memory | headerFlag.video;

/** Offsets in the boot information. */
// biome-ignore format: one row per fact
const information = {
  flags: 0, mem_lower: 4, mem_upper: 8, cmdline: 16, mods_count: 20, mods_addr: 24, syms: 28,
  mmap_length: 44, mmap_addr: 48, boot_loader_name: 64, bytes: 116,
} as const;

/** Which parts of the boot information are valid. */
// biome-ignore format: one row per fact
const informationFlag = {
  memory: 1 << 0, cmdline: 1 << 2, modules: 1 << 3, elfSections: 1 << 5, memoryMap: 1 << 6, bootLoaderName: 1 << 9,
} as const;

const MODULE_BYTES = 16;
/** An entry of the memory map, with the size field before it that does not count itself. */
const MAP_ENTRY_BYTES = 24;

export const BOOT_LOADER_NAME = "Worldswitch";
export const CODE_SELECTOR = 0x08;
export const DATA_SELECTOR = 0x10;
const MIB = 0x10_0000;
const KIB = 1024;

const text = new TextEncoder();

/** Offset of the first valid Multiboot header in the file; undefined when there is none. */
export const findMultibootHeader = (bytes: Uint8Array): number | undefined => {
  const view = viewOf(bytes);
  const end = Math.min(bytes.length, HEADER_SEARCH_BYTES) - header.bytes;
  for (let at = 0; at <= end; at += 4) {
    if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
    const sum =
      HEADER_MAGIC + view.getUint32(at + header.flags, true) + view.getUint32(at + header.checksum, true);
    if (sum >>> 0 === 0) return at;
  }
  return undefined;
};

/** How multiboot command lines begin: QEMU's loader gives the file's name as the first word, GRUB's does not. */
export interface CommandLineStyle {
  readonly withFileName: boolean;
}

/** A command line of an image or module, in the style asked for. */
export const commandLineOf = (file: BootFile, rest: string, { withFileName }: CommandLineStyle): string =>
  withFileName ? `${file.name} ${rest}`.trimEnd() : rest;

/** Amounts of memory as multiboot counts them, in KiB: below 640 KiB, and from 1 MiB to the first hole. */
export const basicMemory = (map: MemoryMap): { readonly lower: number; readonly upper: number } => {
  const KiBAt = (start: number): number => {
    const range = map.ranges.find((other) => other.type === "RAM" && other.start === start);
    return Math.floor((range?.length ?? 0) / KIB);
  };
  return { lower: KiBAt(0), upper: KiBAt(MIB) };
};

/** A module that has its place in memory. */
export interface PlacedModule {
  readonly module: BootModule;
  readonly address: number;
}

/** Places modules on page boundaries above 1 MiB: after the image when they fit there, else wherever they do. */
export const placeModules = (
  { image, modules, memoryMap }: BootRequest,
  space: FreeSpace,
  imageSegments: readonly LoadSegment[],
): readonly PlacedModule[] | BootRefusal => {
  const imageEnd = imageSegments.reduce(
    (end, { address, bytes, zeros }) => Math.max(end, address + bytes.length + zeros),
    MIB,
  );
  const placed: PlacedModule[] = [];
  for (const module of modules) {
    const length = module.bytes.length;
    const address = space.lowest(length, { start: imageEnd }) ?? space.lowest(length, { start: MIB });
    if (address === undefined)
      return refuse(
        `${module.name}: a module of ${mebibytes(length)} does not fit into ${memorySize(memoryMap)} of memory beside ${image.name}`,
      );
    placed.push({ module, address });
  }
  return placed;
};

interface LoadedImage {
  readonly segments: readonly LoadSegment[];
  readonly entry: number;
  readonly isByElfHeader: boolean;
}

const loadImage = (image: BootFile, headerOffset: number): LoadedImage | BootRefusal => {
  const { name, bytes } = image;
  const view = viewOf(bytes);
  const flags = view.getUint32(headerOffset + header.flags, true);
  const unknown = flags & headerFlag.mandatory & ~SATISFIED;
  if (unknown !== 0)
    return refuse(
      `${name}: multiboot header flags are ${hex(flags)}, of which ${hex(unknown)} is not known; expected only bits 0, 1, 2 and 16`,
    );
  if ((flags & headerFlag.addresses) === 0) {
    if (!isElf(bytes))
      return refuse(
        `${name}: multiboot header flags are ${hex(flags)}, expected bit 16 (address fields) in a file that is not ELF`,
      );
    const elf = readElf(image);
    return isRefusal(elf)
      ? elf
      : { segments: loadedSegments(elf), entry: physicalEntry(elf), isByElfHeader: true };
  }
  if (headerOffset + header.bytesWithAddresses > bytes.length)
    return refuse(
      `${name} is truncated: its multiboot header ends at ${headerOffset + header.bytesWithAddresses}, the file has ${bytes.length} bytes`,
    );
  const field = (offset: number): number => view.getUint32(headerOffset + offset, true);
  const segment = addressedSegment(image, headerOffset, {
    header_addr: field(header.header_addr),
    load_addr: field(header.load_addr),
    load_end_addr: field(header.load_end_addr),
    bss_end_addr: field(header.bss_end_addr),
  });
  return isRefusal(segment)
    ? segment
    : { segments: [segment], entry: field(header.entry_addr), isByElfHeader: false };
};

/** Plans a multiboot 1 kernel: ELF, or any format that its header's address fields describe. */
export const planMultiboot = (
  request: BootRequest,
  style: CommandLineStyle = { withFileName: true },
): LoadPlan | BootRefusal => {
  const { image, commandLine, memoryMap } = request;
  const headerOffset = findMultibootHeader(image.bytes);
  if (headerOffset === undefined)
    return refuse(
      `${image.name}: no multiboot header (${hex(HEADER_MAGIC)} with a checksum that holds) in its first ${HEADER_SEARCH_BYTES} bytes, expected one`,
    );
  const loaded = loadImage(image, headerOffset);
  if (isRefusal(loaded)) return loaded;
  const space = new FreeSpace(memoryMap);
  const misplaced = occupy(request, space, loaded.segments);
  if (misplaced !== undefined) return misplaced;
  if (!space.isRam(loaded.entry, 1) || loaded.entry >= FOUR_GIB)
    return refuse(
      `${image.name}: entry point is ${hex(loaded.entry)}, expected an address of RAM below 4 GiB`,
    );
  const modules = placeModules(request, space, loaded.segments);
  if (isRefusal(modules)) return modules;
  const sections = loaded.isByElfHeader
    ? placeSections(image, (length) => space.lowest(length, { start: MIB }))
    : undefined;

  const strings = [
    commandLineOf(image, commandLine, style),
    BOOT_LOADER_NAME,
    ...modules.map(({ module }) => commandLineOf(module, module.args, style)),
  ].map((string) => text.encode(`${string}\0`));
  const gdt = flatTableBytes({
    mode: "protected32",
    codeSelector: CODE_SELECTOR,
    dataSelector: DATA_SELECTOR,
  });
  const gdtAt = Math.ceil(information.bytes / 8) * 8;
  const modulesAt = gdtAt + gdt.length;
  const mapAt = modulesAt + modules.length * MODULE_BYTES;
  const mapLength = memoryMap.ranges.length * MAP_ENTRY_BYTES;
  const length = strings.reduce((sum, string) => sum + string.length, mapAt + mapLength);
  const address = space.lowest(length);
  if (address === undefined)
    return refuse(
      `${memorySize(memoryMap)} of memory is too little for the boot information of ${image.name}: expected ${length} bytes free beside the image`,
    );

  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  const put = (at: number, value: number): void => view.setUint32(at, value, true);
  const stringAddresses: number[] = [];
  let at = mapAt + mapLength;
  for (const string of strings) {
    bytes.set(string, at);
    stringAddresses.push(address + at);
    at += string.length;
  }
  const { lower, upper } = basicMemory(memoryMap);
  let flags =
    informationFlag.memory |
    informationFlag.cmdline |
    informationFlag.modules |
    informationFlag.memoryMap |
    informationFlag.bootLoaderName;
  put(information.mem_lower, lower);
  put(information.mem_upper, upper);
  put(information.cmdline, stringAddresses[0] ?? 0);
  put(information.boot_loader_name, stringAddresses[1] ?? 0);
  put(information.mods_count, modules.length);
  put(information.mods_addr, address + modulesAt);
  put(information.mmap_length, mapLength);
  put(information.mmap_addr, address + mapAt);
  if (sections !== undefined) {
    flags |= informationFlag.elfSections;
    put(information.syms, sections.num);
    put(information.syms + 4, sections.size);
    put(information.syms + 8, sections.table.address);
    put(information.syms + 12, sections.shndx);
  }
  put(information.flags, flags);
  bytes.set(gdt, gdtAt);
  modules.forEach((placed, index) => {
    const row = modulesAt + index * MODULE_BYTES;
    put(row, placed.address);
    put(row + 4, placed.address + placed.module.bytes.length);
    put(row + 8, stringAddresses[index + 2] ?? 0);
  });
  memoryMap.ranges.forEach((range, index) => {
    const row = mapAt + index * MAP_ENTRY_BYTES;
    put(row, MAP_ENTRY_BYTES - 4);
    view.setBigUint64(row + 4, BigInt(range.start), true);
    view.setBigUint64(row + 12, BigInt(range.length), true);
    put(row + 20, addressRangeType[range.type]);
  });

  return {
    protocol: "multiboot",
    segments: [
      ...loaded.segments,
      ...modules.map((placed) => segmentOf(placed.address, placed.module.bytes)),
      ...(sections === undefined ? [] : [sections.table, ...sections.segments]),
      segmentOf(address, bytes),
    ],
    roms: [],
    cpu: flatState(
      {
        mode: "protected32",
        codeSelector: CODE_SELECTOR,
        dataSelector: DATA_SELECTOR,
        address: address + gdtAt,
      },
      loaded.entry,
      { RAX: BigInt(BOOTLOADER_MAGIC), RBX: BigInt(address) },
    ),
  };
};
