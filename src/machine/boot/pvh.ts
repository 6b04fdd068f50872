import { addressesOf, concatenate, terminated, viewOf } from "./bytes.ts";
import { type Elf, readElf } from "./elf.ts";
import { loadedSegments, occupy } from "./elf-placement.ts";
import { FreeSpace } from "./free-space.ts";
import { flatState, flatTable32, flatTableBytes } from "./initial-state.ts";
import {
  type BootRefusal,
  type BootRequest,
  isRefusal,
  type LoadPlan,
  type LoadSegment,
  refuse,
  segmentOf,
} from "./load-plan.ts";
import { MAP_ENTRY_BYTES, MIB, mebibytes, memorySize, writeMapEntry } from "./memory-map.ts";

/**
 * PVH: the x86/HVM direct boot ABI (Xen docs/misc/pvh.pandoc; structures in xen/include/public/arch-x86/hvm/start_info.h;
 * note types in xen/include/public/elfnote.h).
 */

const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const XEN_HVM_START_MAGIC_VALUE = 0x336ec578;
const START_INFO_VERSION = 1;

/** hvm_start_info. */
// biome-ignore format: one row per fact
const startInfo = {
  magic: 0, version: 4, flags: 8, nr_modules: 12, modlist_paddr: 16, cmdline_paddr: 24, rsdp_paddr: 32,
  memmap_paddr: 40, memmap_entries: 48, bytes: 56,
} as const;
/** hvm_modlist_entry. */
const moduleEntry = { paddr: 0, size: 8, cmdline_paddr: 16, bytes: 32 } as const;
/** hvm_memmap_table_entry. */
const mapEntry = { bytes: Math.ceil(MAP_ENTRY_BYTES / 8) * 8 } as const;

/** The 32-bit entry point that a note of the executable names; undefined when it has none. */
export const pvhEntry = (elf: Elf): number | undefined => {
  const note = elf.notes.find((other) => other.name === "Xen" && other.type === XEN_ELFNOTE_PHYS32_ENTRY);
  if (note === undefined || note.descriptor.length < 4) return undefined;
  return viewOf(note.descriptor).getUint32(0, true);
};

/** Plans an ELF kernel with a PVH entry note, such as Linux's vmlinux. */
export const planPvh = (request: BootRequest): LoadPlan | BootRefusal => {
  const { image, commandLine, modules, memoryMap } = request;
  const elf = readElf(image);
  if (isRefusal(elf)) return elf;
  const entry = pvhEntry(elf);
  if (entry === undefined)
    return refuse(
      `${image.name}: no ELF note of owner "Xen" and type 18 (PHYS32_ENTRY), expected for PVH boot`,
    );

  const space = new FreeSpace(memoryMap);
  const segments: LoadSegment[] = loadedSegments(elf);
  const misplaced = occupy(request, space, segments);
  if (misplaced !== undefined) return misplaced;

  const placed: { readonly address: number; readonly size: number; readonly args: string }[] = [];
  for (const module of modules) {
    const address = space.highest(module.bytes.length, { start: MIB });
    if (address === undefined)
      return refuse(
        `${module.name}: a module of ${mebibytes(module.bytes.length)} does not fit into ${memorySize(memoryMap)} of memory beside ${image.name}`,
      );
    placed.push({ address, size: module.bytes.length, args: module.args });
    segments.push(segmentOf(address, module.bytes));
  }

  const strings = [commandLine, ...placed.map((module) => module.args)].map(terminated);
  const modulesAt = startInfo.bytes;
  const mapAt = modulesAt + placed.length * moduleEntry.bytes;
  const gdtAt = mapAt + memoryMap.ranges.length * mapEntry.bytes;
  const gdt = flatTableBytes(flatTable32);
  const stringsAt = gdtAt + gdt.length;
  const length = strings.reduce((sum, string) => sum + string.length, stringsAt);
  const address = space.lowest(length);
  if (address === undefined)
    return refuse(
      `${memorySize(memoryMap)} of memory is too little for the start info of ${image.name}: expected ${mebibytes(length)} free below 4 GiB`,
    );

  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true);
  bytes.set(concatenate(strings), stringsAt);
  const stringAddresses = addressesOf(strings, address + stringsAt);
  view.setUint32(startInfo.magic, XEN_HVM_START_MAGIC_VALUE, true);
  view.setUint32(startInfo.version, START_INFO_VERSION, true);
  view.setUint32(startInfo.nr_modules, placed.length, true);
  u64(startInfo.modlist_paddr, placed.length > 0 ? address + modulesAt : 0);
  u64(startInfo.cmdline_paddr, stringAddresses[0] ?? 0);
  u64(startInfo.rsdp_paddr, memoryMap.RSDP?.address ?? 0);
  u64(startInfo.memmap_paddr, address + mapAt);
  view.setUint32(startInfo.memmap_entries, memoryMap.ranges.length, true);
  placed.forEach((module, index) => {
    const row = modulesAt + index * moduleEntry.bytes;
    u64(row + moduleEntry.paddr, module.address);
    u64(row + moduleEntry.size, module.size);
    u64(row + moduleEntry.cmdline_paddr, stringAddresses[index + 1] ?? 0);
  });
  memoryMap.ranges.forEach((range, index) => {
    writeMapEntry(view, mapAt + index * mapEntry.bytes, range);
  });
  bytes.set(gdt, gdtAt);
  segments.push(segmentOf(address, bytes));
  return {
    protocol: "pvh",
    segments,
    roms: [],
    cpu: flatState({ ...flatTable32, address: address + gdtAt }, entry, { RBX: BigInt(address) }),
  };
};
