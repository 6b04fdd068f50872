import { addressedSegment } from "./address-fields.ts";
import { addressesOf, concatenate, terminated, viewOf } from "./bytes.ts";
import { isElf, physicalEntry, readElf } from "./elf.ts";
import { loadedSegments } from "./elf-placement.ts";
import { FreeSpace } from "./free-space.ts";
import { flatState, flatTable32, flatTableBytes } from "./initial-state.ts";
import {
  type BootFile,
  type BootRefusal,
  type BootRequest,
  isRefusal,
  type LoadPlan,
  refuse,
  segmentOf,
} from "./load-plan.ts";
import { hex, MAP_ENTRY_BYTES, writeMapEntry } from "./memory-map.ts";
import {
  BOOT_LOADER_NAME,
  basicMemory,
  type CommandLineStyle,
  commandLineOf,
  type LoadedImage,
  noRoomForInformation,
  placeImage,
} from "./multiboot-loading.ts";

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
/** Before each entry of the memory map: its size, which does not count this field. */
const MAP_SIZE_BYTES = 4;

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
  const placed = placeImage(request, space, loaded);
  if (isRefusal(placed)) return placed;
  const { modules, sections } = placed;

  const strings = [
    commandLineOf(image, commandLine, style),
    BOOT_LOADER_NAME,
    ...modules.map(({ module }) => commandLineOf(module, module.args, style)),
  ].map(terminated);
  const gdt = flatTableBytes(flatTable32);
  const gdtAt = Math.ceil(information.bytes / 8) * 8;
  const modulesAt = gdtAt + gdt.length;
  const mapAt = modulesAt + modules.length * MODULE_BYTES;
  const mapLength = memoryMap.ranges.length * (MAP_SIZE_BYTES + MAP_ENTRY_BYTES);
  const length = strings.reduce((sum, string) => sum + string.length, mapAt + mapLength);
  const address = space.lowest(length);
  if (address === undefined) return noRoomForInformation(request, length);

  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  const put = (at: number, value: number): void => view.setUint32(at, value, true);
  const stringsAt = mapAt + mapLength;
  bytes.set(concatenate(strings), stringsAt);
  const stringAddresses = addressesOf(strings, address + stringsAt);
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
    const row = mapAt + index * (MAP_SIZE_BYTES + MAP_ENTRY_BYTES);
    put(row, MAP_ENTRY_BYTES);
    writeMapEntry(view, row + MAP_SIZE_BYTES, range);
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
    cpu: flatState({ ...flatTable32, address: address + gdtAt }, loaded.entry, {
      RAX: BigInt(BOOTLOADER_MAGIC),
      RBX: BigInt(address),
    }),
  };
};
