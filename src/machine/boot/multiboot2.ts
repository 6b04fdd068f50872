import { type AddressFields, addressedSegment } from "./address-fields.ts";
import { concatenate, terminated, viewOf } from "./bytes.ts";
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
  type LoadSegment,
  refuse,
  segmentEnd,
  segmentOf,
} from "./load-plan.ts";
import { FOUR_GIB, hex, MAP_ENTRY_BYTES, type MemoryMap, memorySize, writeMapEntry } from "./memory-map.ts";
import {
  BOOT_LOADER_NAME,
  basicMemory,
  type CommandLineStyle,
  commandLineOf,
  type LoadedImage,
  noRoomForInformation,
  type PlacedModule,
  placeImage,
} from "./multiboot-loading.ts";

/** Multiboot2 Specification version 2.0: "OS image format", "Machine state" (I386), "Boot information format". */

const HEADER_MAGIC = 0xe85250d6;
const BOOTLOADER_MAGIC = 0x36d76289;
const HEADER_SEARCH_BYTES = 32768;
const HEADER_BYTES = 16;
const ARCHITECTURE_I386 = 0;

/** Types of header tags, with the least size each must have. */
// biome-ignore format: one row per fact
const headerTag = {
  end:                { type: 0,  size: 8 },
  informationRequest: { type: 1,  size: 8 },
  address:            { type: 2,  size: 24 },
  entryAddress:       { type: 3,  size: 12 },
  consoleFlags:       { type: 4,  size: 12 },
  framebuffer:        { type: 5,  size: 20 },
  moduleAlignment:    { type: 6,  size: 8 },
  efiBootServices:    { type: 7,  size: 8 },
  efiI386Entry:       { type: 8,  size: 12 },
  efiAmd64Entry:      { type: 9,  size: 12 },
  relocatable:        { type: 10, size: 24 },
} as const;
const TAG_OPTIONAL = 1;

/** Types of boot information tags. The last is the highest that the specification knows. */
// biome-ignore format: one row per fact
const informationTag = {
  end: 0, commandLine: 1, bootLoaderName: 2, module: 3, basicMemory: 4, memoryMap: 6, elfSections: 9,
  acpiOldRsdp: 14, acpiNewRsdp: 15, imageLoadBase: 21,
} as const;

/** Field `preference` of the relocatable tag. */
const LOWEST = 1;
const HIGHEST = 2;

/** An RSDP of ACPI 1.0 has the first 20 bytes only; its revision field is 0. */
const OLD_RSDP_BYTES = 20;
const RSDP_REVISION = 15;

/** Offset of the first valid Multiboot2 header in the file; undefined when there is none. */
export const findMultiboot2Header = (bytes: Uint8Array): number | undefined => {
  const view = viewOf(bytes);
  const end = Math.min(bytes.length, HEADER_SEARCH_BYTES) - HEADER_BYTES;
  for (let at = 0; at <= end; at += 8) {
    if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
    const [architecture, length, checksum] = [4, 8, 12].map((field) => view.getUint32(at + field, true));
    if ((HEADER_MAGIC + architecture! + length! + checksum!) % 0x1_0000_0000 === 0) return at;
  }
  return undefined;
};

interface Relocatable {
  readonly min: number;
  readonly max: number;
  readonly align: number;
  readonly preference: number;
}

interface Header {
  readonly address: AddressFields | undefined;
  readonly entry: number | undefined;
  readonly relocatable: Relocatable | undefined;
}

const readHeader = ({ name, bytes }: BootFile, at: number): Header | BootRefusal => {
  const view = viewOf(bytes);
  const architecture = view.getUint32(at + 4, true);
  if (architecture !== ARCHITECTURE_I386)
    return refuse(`${name}: multiboot 2 header field architecture is ${architecture}, expected 0 (i386)`);
  const end = at + view.getUint32(at + 8, true);
  if (end > bytes.length)
    return refuse(
      `${name} is truncated: its multiboot 2 header ends at ${end}, the file has ${bytes.length} bytes`,
    );
  let [address, entry, relocatable]: [
    AddressFields | undefined,
    number | undefined,
    Relocatable | undefined,
  ] = [undefined, undefined, undefined];
  for (let tag = at + HEADER_BYTES; tag + 8 <= end; ) {
    const type = view.getUint16(tag, true);
    const isOptional = (view.getUint16(tag + 2, true) & TAG_OPTIONAL) !== 0;
    const size = view.getUint32(tag + 4, true);
    const known = Object.values(headerTag).find((other) => other.type === type);
    if (size < (known?.size ?? 8) || tag + size > end)
      return refuse(
        `${name}: multiboot 2 header tag ${type} has size ${size}, expected ${known?.size ?? 8} to ${end - tag}`,
      );
    if (type === headerTag.end.type) break;
    const field = (offset: number): number => view.getUint32(tag + offset, true);
    if (type === headerTag.address.type)
      address = {
        header_addr: field(8),
        load_addr: field(12),
        load_end_addr: field(16),
        bss_end_addr: field(20),
      };
    else if (type === headerTag.entryAddress.type) entry = field(8);
    else if (type === headerTag.relocatable.type)
      relocatable = { min: field(8), max: field(12), align: Math.max(1, field(16)), preference: field(20) };
    else if (type === headerTag.framebuffer.type && !isOptional)
      return refuse(
        `${name}: multiboot 2 header tag 5 demands a framebuffer, which this machine does not have; expected it to be optional`,
      );
    else if (known === undefined && !isOptional)
      return refuse(
        `${name}: multiboot 2 header tag ${type} is not known, expected 0 to 10 or an optional tag`,
      );
    tag += Math.ceil(size / 8) * 8;
  }
  return { address, entry, relocatable };
};

interface RelocatedImage extends LoadedImage {
  /** Lowest load address, when the image is relocatable. */
  readonly loadBase: number | undefined;
}

/** How far a relocatable image must be moved from its linked address; undefined when it fits nowhere. */
const displacement = (
  segments: readonly LoadSegment[],
  space: FreeSpace,
  { min, max, align, preference }: Relocatable,
): number | undefined => {
  const start = segments.reduce(
    (lowest, segment) => Math.min(lowest, segment.address),
    Number.POSITIVE_INFINITY,
  );
  const length = segments.reduce((highest, segment) => Math.max(highest, segmentEnd(segment)), 0) - start;
  if (preference !== LOWEST && preference !== HIGHEST && space.isRam(start, length)) return 0;
  const placement = { start: min, end: Math.min(max + 1, FOUR_GIB), alignment: align };
  const base = preference === HIGHEST ? space.highest(length, placement) : space.lowest(length, placement);
  return base === undefined ? undefined : base - start;
};

const loadImage = (request: BootRequest, at: number, space: FreeSpace): RelocatedImage | BootRefusal => {
  const { image, memoryMap } = request;
  const found = readHeader(image, at);
  if (isRefusal(found)) return found;
  if (found.address !== undefined) {
    if (found.entry === undefined)
      return refuse(
        `${image.name}: multiboot 2 header has tag 2 (addresses) but no tag 3, expected an entry address`,
      );
    const segment = addressedSegment(image, at, found.address);
    if (isRefusal(segment)) return segment;
    return { segments: [segment], entry: found.entry, loadBase: undefined, isByElfHeader: false };
  }
  if (!isElf(image.bytes))
    return refuse(
      `${image.name}: multiboot 2 header has no tag 2, expected one (addresses) in a file that is not ELF`,
    );
  const elf = readElf(image);
  if (isRefusal(elf)) return elf;
  const entry = found.entry ?? physicalEntry(elf);
  if (found.relocatable === undefined)
    return { segments: loadedSegments(elf), entry, loadBase: undefined, isByElfHeader: true };
  const delta = displacement(loadedSegments(elf), space, found.relocatable);
  if (delta === undefined)
    return refuse(
      `${image.name}: it can be relocated to ${hex(found.relocatable.min)} to ${hex(found.relocatable.max)}, where ${memorySize(memoryMap)} of memory has no room for it`,
    );
  const segments = loadedSegments(elf, delta);
  const loadBase = Math.min(...segments.map((segment) => segment.address));
  return { segments, entry: entry + delta, loadBase, isByElfHeader: true };
};

/** A tag of the boot information: type and size, the body, padding to 8 bytes. */
const tag = (type: number, body: Uint8Array): Uint8Array => {
  const size = 8 + body.length;
  const bytes = new Uint8Array(Math.ceil(size / 8) * 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, type, true);
  view.setUint32(4, size, true);
  bytes.set(body, 8);
  return bytes;
};

const words = (...values: readonly number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

const memoryMapTag = (map: MemoryMap): Uint8Array => {
  const entryBytes = Math.ceil(MAP_ENTRY_BYTES / 8) * 8;
  const body = new Uint8Array(8 + map.ranges.length * entryBytes);
  const view = new DataView(body.buffer);
  view.setUint32(0, entryBytes, true);
  map.ranges.forEach((range, index) => {
    writeMapEntry(view, 8 + index * entryBytes, range);
  });
  return tag(informationTag.memoryMap, body);
};

const rsdpTags = (map: MemoryMap): Uint8Array[] => {
  const RSDP = map.RSDP?.bytes;
  if (RSDP === undefined) return [];
  const old = tag(informationTag.acpiOldRsdp, RSDP.subarray(0, OLD_RSDP_BYTES));
  return (RSDP[RSDP_REVISION] ?? 0) < 2 ? [old] : [old, tag(informationTag.acpiNewRsdp, RSDP)];
};

const moduleTag = ({ module, address }: PlacedModule, style: CommandLineStyle): Uint8Array =>
  tag(
    informationTag.module,
    concatenate([
      words(address, address + module.bytes.length),
      terminated(commandLineOf(module, module.args, style)),
    ]),
  );

/** Plans a multiboot 2 kernel: ELF, or any format that its header's address tag describes. It is entered in 32-bit mode. */
export const planMultiboot2 = (
  request: BootRequest,
  style: CommandLineStyle = { withFileName: true },
): LoadPlan | BootRefusal => {
  const { image, commandLine, memoryMap } = request;
  const headerOffset = findMultiboot2Header(image.bytes);
  if (headerOffset === undefined)
    return refuse(
      `${image.name}: no multiboot 2 header (${hex(HEADER_MAGIC)} with a checksum that holds) in its first ${HEADER_SEARCH_BYTES} bytes, expected one`,
    );
  const space = new FreeSpace(memoryMap);
  const loaded = loadImage(request, headerOffset, space);
  if (isRefusal(loaded)) return loaded;
  const placed = placeImage(request, space, loaded);
  if (isRefusal(placed)) return placed;
  const { modules, sections } = placed;

  const { lower, upper } = basicMemory(memoryMap);
  const tags = concatenate([
    tag(informationTag.commandLine, terminated(commandLineOf(image, commandLine, style))),
    tag(informationTag.bootLoaderName, terminated(BOOT_LOADER_NAME)),
    ...modules.map((placed) => moduleTag(placed, style)),
    tag(informationTag.basicMemory, words(lower, upper)),
    memoryMapTag(memoryMap),
    ...(sections === undefined
      ? []
      : [
          tag(
            informationTag.elfSections,
            concatenate([words(sections.num, sections.size, sections.shndx), sections.table.bytes]),
          ),
        ]),
    ...rsdpTags(memoryMap),
    ...(loaded.loadBase === undefined ? [] : [tag(informationTag.imageLoadBase, words(loaded.loadBase))]),
    tag(informationTag.end, new Uint8Array()),
  ]);
  const total = 8 + tags.length;
  const bytes = concatenate([words(total, 0), tags, flatTableBytes(flatTable32)]);
  const address = space.lowest(bytes.length);
  if (address === undefined) return noRoomForInformation(request, bytes.length);
  return {
    protocol: "multiboot2",
    segments: [
      ...loaded.segments,
      ...modules.map((placed) => segmentOf(placed.address, placed.module.bytes)),
      ...(sections?.segments ?? []),
      segmentOf(address, bytes),
    ],
    roms: [],
    cpu: flatState({ ...flatTable32, address: address + total }, loaded.entry, {
      RAX: BigInt(BOOTLOADER_MAGIC),
      RBX: BigInt(address),
    }),
  };
};
