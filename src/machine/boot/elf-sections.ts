import { viewOf } from "./bytes.ts";
import type { BootFile, LoadSegment } from "./load-plan.ts";
import { segmentOf } from "./load-plan.ts";

/**
 * The section headers of an executable for multiboot's "ELF symbols" information: the table is copied into memory, and so are the
 * symbol and string tables it points to, with their sh_addr set, so that a kernel can name the functions of a backtrace.
 */

const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;
/** Sections of the largest kernels are counted in hundreds; a made-up file may not keep a loader busy. */
const MOST_SECTIONS = 4096;

/** Field offsets of the ELF header and of a section header, by ei_class. */
// biome-ignore format: one row per fact
const CLASSES = {
  1: { headerBytes: 52, word: 4, e_shoff: 32, e_shentsize: 46, e_shnum: 48, e_shstrndx: 50, entryBytes: 40, sh_type: 4, sh_addr: 12, sh_offset: 16, sh_size: 20 },
  2: { headerBytes: 64, word: 8, e_shoff: 40, e_shentsize: 58, e_shnum: 60, e_shstrndx: 62, entryBytes: 64, sh_type: 4, sh_addr: 16, sh_offset: 24, sh_size: 32 },
} as const;

/** A section header table that is in memory. */
export interface PlacedSections {
  readonly num: number;
  readonly size: number;
  readonly shndx: number;
  /** The table itself. Its place was asked for first. */
  readonly table: LoadSegment;
  /** What else must be loaded. */
  readonly segments: readonly LoadSegment[];
}

/**
 * Copies an ELF file's section headers, symbol and string tables to the places that `place` finds for lengths in bytes.
 * Undefined when the file is no ELF file, has no well-formed section headers, or no place is found: the information is optional.
 */
export const placeSections = (
  { bytes }: BootFile,
  place: (length: number) => number | undefined,
): PlacedSections | undefined => {
  const eiClass = bytes[4];
  const fields = eiClass === 1 || eiClass === 2 ? CLASSES[eiClass] : undefined;
  if (fields === undefined || bytes.length < fields.headerBytes) return undefined;
  const view = viewOf(bytes);
  const word = (from: DataView, offset: number): number =>
    fields.word === 8 ? Number(from.getBigUint64(offset, true)) : from.getUint32(offset, true);
  const offset = word(view, fields.e_shoff);
  const size = view.getUint16(fields.e_shentsize, true);
  const num = view.getUint16(fields.e_shnum, true);
  if (num === 0 || num > MOST_SECTIONS || size < fields.entryBytes || offset + num * size > bytes.length)
    return undefined;

  // A copy even where `bytes` is a Buffer of Node, whose slice() is not one.
  const table = new Uint8Array(bytes.subarray(offset, offset + num * size));
  const tableAddress = place(table.length);
  if (tableAddress === undefined) return undefined;
  const headers = viewOf(table);
  const segments: LoadSegment[] = [];
  for (let index = 0; index < num; index++) {
    const at = index * size;
    const type = headers.getUint32(at + fields.sh_type, true);
    const start = word(headers, at + fields.sh_offset);
    const length = word(headers, at + fields.sh_size);
    const isNeeded = (type === SHT_SYMTAB || type === SHT_STRTAB) && word(headers, at + fields.sh_addr) === 0;
    if (!isNeeded || length === 0 || start + length > bytes.length) continue;
    const address = place(length);
    if (address === undefined) continue;
    if (fields.word === 8) headers.setBigUint64(at + fields.sh_addr, BigInt(address), true);
    else headers.setUint32(at + fields.sh_addr, address, true);
    segments.push(segmentOf(address, bytes.subarray(start, start + length)));
  }
  const shndx = view.getUint16(fields.e_shstrndx, true);
  return { num, size, shndx, table: segmentOf(tableAddress, table), segments };
};
