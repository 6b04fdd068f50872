import { isElf, readElf } from "../../machine/boot/elf.ts";
import { loadedSegments } from "../../machine/boot/elf-placement.ts";
import { type BootFile, type BootRefusal, isRefusal, refuse } from "../../machine/boot/load-plan.ts";
import { hex, mebibytes } from "../../machine/boot/memory-map.ts";
import { bootParameters, entryMark } from "./abi.ts";

/** A guest's memory as its Launcher prepares it. */

export interface LoadedGuest {
  /** Parts of guest memory. */
  readonly parts: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  readonly directory: number;
  readonly start: number;
  readonly pageOffset: number;
}

const commandLineRoom = 2048;
const zeroPageBytes = 4096;
const [present, writable, accessed, dirty] = [1, 2, 0x20, 0x40];
const topOfGuest = 0xffc0_0000;

const indexOfMark = (bytes: Uint8Array): number => {
  const mark = new TextEncoder().encode(entryMark);
  for (let at = bytes.indexOf(mark[0]!); at >= 0; at = bytes.indexOf(mark[0]!, at + 1))
    if (mark.every((byte, n) => bytes[at + n] === byte)) return at + mark.length;
  return -1;
};

/** What the kernel is told in page 0. */
const parametersPage = (memoryBytes: number): Uint8Array => {
  const bytes = new Uint8Array(zeroPageBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(bootParameters.e820_entries, 1);
  view.setUint32(bootParameters.e820_map + 8, memoryBytes, true);
  view.setUint32(bootParameters.e820_map + 16, bootParameters.e820Ram, true);
  view.setUint32(bootParameters.cmd_line_ptr, bootParameters.commandLineAt, true);
  view.setUint32(bootParameters.hardware_subarch, bootParameters.subarchLguest, true);
  return bytes;
};

/** Page tables at `at` that map the first `pages` pages from `pageOffset` on: tables first, the directory last. */
const linearMap = (at: number, pages: number, pageOffset: number): Uint8Array => {
  const tables = Math.ceil(pages / 1024);
  const words = new Uint32Array(1024 * (tables + 1));
  for (let page = 0; page < pages; page++)
    words[page] = (page * 4096) | present | writable | accessed | dirty;
  for (let table = 0; table < tables; table++)
    words[1024 * tables + (pageOffset >>> 22) + table] = (at + 4096 * table) | present | writable | accessed;
  return new Uint8Array(words.buffer);
};

/** A part of a kernel: where it lies in guest memory, how much there is cleared behind it. */
interface KernelPart {
  readonly address: number;
  readonly bytes: Uint8Array;
  readonly zeros: number;
}

/**
 * Guest memory with a kernel in it that is linked `pageOffset` above its physical addresses and has the mark of the entry in it.
 * `devicePages`: pages above the memory that belong to devices.
 */
export const placeKernel = (
  name: string,
  kernel: readonly KernelPart[],
  pageOffset: number,
  commandLine: string,
  memoryBytes: number,
  devicePages: number,
): LoadedGuest | BootRefusal => {
  const marks = kernel.map(({ address, bytes }) => ({ address, at: indexOfMark(bytes) }));
  const marked = marks.find(({ at }) => at >= 0);
  if (marked === undefined)
    return refuse(`${name} does not contain "${entryMark}", expected a paravirtual kernel for lguest`);
  const pages = memoryBytes / 4096 + devicePages;
  if (pageOffset + pages * 4096 > topOfGuest)
    return refuse(
      `${name}: ${mebibytes(memoryBytes)} of memory reach into the Switcher's window at ${hex(topOfGuest)}`,
    );
  const mapAt = memoryBytes - 4096 * (Math.ceil(pages / 1024) + 1);
  const least = bootParameters.commandLineAt + commandLineRoom;
  for (const { address, bytes, zeros } of kernel) {
    const end = address + bytes.length + zeros;
    if (address < least || end > mapAt)
      return refuse(
        `${name}: a segment lies at ${hex(address)} to ${hex(end)}, expected it within ${hex(least)} to ${hex(Math.max(0, mapAt))}: too little memory`,
      );
  }
  const words = new TextEncoder().encode(commandLine);
  if (words.length >= commandLineRoom)
    return refuse(`the command line has ${words.length} bytes, expected less than ${commandLineRoom}`);
  return {
    parts: [
      { address: 0, bytes: parametersPage(memoryBytes) },
      { address: bootParameters.commandLineAt, bytes: words },
      ...kernel,
      { address: mapAt, bytes: linearMap(mapAt, pages, pageOffset) },
    ],
    directory: memoryBytes - 4096,
    start: marked.address + marked.at + pageOffset,
    pageOffset,
  };
};

/** The same from an ELF file of 32 bits. */
export const loadGuest = (
  file: BootFile,
  commandLine: string,
  memoryBytes: number,
  devicePages: number,
): LoadedGuest | BootRefusal => {
  const { name, bytes } = file;
  if (!isElf(bytes)) return refuse(`${name} is no ELF file, expected a paravirtual kernel for lguest`);
  const elf = readElf(file);
  if (isRefusal(elf)) return elf;
  if (elf.is64)
    return refuse(`${name} is a 64-bit ELF file, expected a 32-bit paravirtual kernel for lguest`);
  const [first] = elf.segments;
  const pageOffset = first!.p_vaddr - first!.p_paddr;
  if (pageOffset < 0 || pageOffset % 0x40_0000 !== 0)
    return refuse(
      `${name}: its addresses are ${pageOffset} above physical ones, expected a multiple of 4 MiB`,
    );
  if (elf.segments.some(({ p_vaddr, p_paddr }) => p_vaddr - p_paddr !== pageOffset))
    return refuse(
      `${name}: its segments lie at different offsets from their physical addresses, expected one offset`,
    );
  return placeKernel(name, loadedSegments(elf), pageOffset, commandLine, memoryBytes, devicePages);
};

/** A 32-bit ELF file of one segment: how our own kernels become images. */
export const elfFile = (
  code: Uint8Array,
  virtual: number,
  physical: number,
  memoryBytes: number,
  start = virtual,
): Uint8Array => {
  const headerBytes = 52 + 32;
  const bytes = new Uint8Array(headerBytes + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  // biome-ignore format: offset, value
  for (const [at, value] of [[16, 2], [18, 3], [40, 52], [42, 32], [44, 1]] as const) view.setUint16(at, value, true);
  // biome-ignore format: offset, value
  for (const [at, value] of [
    [20, 1], [24, start], [28, 52],
    [52, 1], [56, headerBytes], [60, virtual], [64, physical], [68, code.length], [72, memoryBytes], [76, 7], [80, 4096],
  ] as const) view.setUint32(at, value, true);
  bytes.set(code, headerBytes);
  return bytes;
};
