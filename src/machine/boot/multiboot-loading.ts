import { occupy } from "./elf-placement.ts";
import { type PlacedSections, placeSections } from "./elf-sections.ts";
import type { FreeSpace } from "./free-space.ts";
import {
  type BootFile,
  type BootModule,
  type BootRefusal,
  type BootRequest,
  isRefusal,
  type LoadSegment,
  refuse,
  segmentEnd,
} from "./load-plan.ts";
import { FOUR_GIB, hex, type MemoryMap, MIB, mebibytes, memorySize } from "./memory-map.ts";

/** What both versions of multiboot ask of a boot loader. */

export const BOOT_LOADER_NAME = "Worldswitch";

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
    return Math.floor((range?.length ?? 0) / 1024);
  };
  return { lower: KiBAt(0), upper: KiBAt(MIB) };
};

/** A module that has its place in memory. */
export interface PlacedModule {
  readonly module: BootModule;
  readonly address: number;
}

/** Places modules on page boundaries above 1 MiB: after the image when they fit there, else wherever they do. */
const placeModules = (
  { image, modules, memoryMap }: BootRequest,
  space: FreeSpace,
  imageSegments: readonly LoadSegment[],
): readonly PlacedModule[] | BootRefusal => {
  const imageEnd = imageSegments.reduce((end, segment) => Math.max(end, segmentEnd(segment)), MIB);
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

/** An image whose header has been read. */
export interface LoadedImage {
  readonly segments: readonly LoadSegment[];
  readonly entry: number;
  /** An ELF header says where it goes, not the address fields of multiboot's. */
  readonly isByElfHeader: boolean;
}

/** Places for all that comes from files: the image, modules, and section headers for backtraces. */
export const placeImage = (
  request: BootRequest,
  space: FreeSpace,
  { segments, entry, isByElfHeader }: LoadedImage,
):
  | { readonly modules: readonly PlacedModule[]; readonly sections: PlacedSections | undefined }
  | BootRefusal => {
  const { image } = request;
  const misplaced = occupy(request, space, segments);
  if (misplaced !== undefined) return misplaced;
  if (!space.isRam(entry, 1) || entry >= FOUR_GIB)
    return refuse(`${image.name}: entry point is ${hex(entry)}, expected an address of RAM below 4 GiB`);
  const modules = placeModules(request, space, segments);
  if (isRefusal(modules)) return modules;
  const sections = isByElfHeader
    ? placeSections(image, (length) => space.lowest(length, { start: MIB }))
    : undefined;
  return { modules, sections };
};

export const noRoomForInformation = ({ image, memoryMap }: BootRequest, length: number): BootRefusal =>
  refuse(
    `${memorySize(memoryMap)} of memory is too little for the boot information of ${image.name}: expected ${length} bytes free beside the image`,
  );
