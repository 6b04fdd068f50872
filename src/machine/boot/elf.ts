import { viewOf } from "./bytes.ts";
import { type BootFile, type BootRefusal, refuse } from "./load-plan.ts";
import { hex } from "./memory-map.ts";

/** ELF: System V ABI, "ELF Header" and "Program Header"; System V ABI i386 and AMD64 supplements for e_machine. */

const EM_386 = 3;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
const ELFDATA2LSB = 1;
/** No kernel has more; without a bound a made-up file could keep a loader busy for hours. */
const MOST_SEGMENTS = 256;

/** Field offsets of the ELF header and of a program header, by ei_class. */
// biome-ignore format: one row per fact
const CLASSES = {
  1: { word: 4, headerBytes: 52, e_entry: 24, e_phoff: 28, e_phentsize: 42, e_phnum: 44,
       programHeaderBytes: 32, p_offset: 4, p_vaddr: 8,  p_paddr: 12, p_filesz: 16, p_memsz: 20, p_align: 28 },
  2: { word: 8, headerBytes: 64, e_entry: 24, e_phoff: 32, e_phentsize: 54, e_phnum: 56,
       programHeaderBytes: 56, p_offset: 8, p_vaddr: 16, p_paddr: 24, p_filesz: 32, p_memsz: 40, p_align: 48 },
} as const;

/** A PT_LOAD program header with its bytes of the file. */
export interface ElfSegment {
  readonly p_vaddr: number;
  readonly p_paddr: number;
  readonly p_memsz: number;
  readonly bytes: Uint8Array;
}

/** An entry of a PT_NOTE segment. */
export interface ElfNote {
  readonly name: string;
  readonly type: number;
  readonly descriptor: Uint8Array;
}

export interface Elf {
  readonly is64: boolean;
  /** Virtual address, as the file says. Values of 2^53 and above lose low bits; none of those can be loaded. */
  readonly e_entry: number;
  readonly segments: readonly ElfSegment[];
  readonly notes: readonly ElfNote[];
}

/** Whether a file starts with ELF's magic number. */
export const isElf = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;

const align = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

/** Notes of a segment; a malformed rest is left out, as the kernel's own readers do. */
const notesIn = (bytes: Uint8Array, p_align: number): ElfNote[] => {
  const view = viewOf(bytes);
  const alignment = p_align === 8 ? 8 : 4;
  const notes: ElfNote[] = [];
  for (let at = 0; at + 12 <= bytes.length; ) {
    const nameLength = view.getUint32(at, true);
    const descriptorLength = view.getUint32(at + 4, true);
    const descriptorAt = align(at + 12 + nameLength, alignment);
    const end = descriptorAt + descriptorLength;
    if (end > bytes.length) break;
    notes.push({
      name: String.fromCharCode(...bytes.subarray(at + 12, at + 12 + Math.min(nameLength, 64))).replace(
        /\0.*$/s,
        "",
      ),
      type: view.getUint32(at + 8, true),
      descriptor: bytes.subarray(descriptorAt, end),
    });
    at = align(end, alignment);
  }
  return notes;
};

/** Reads an executable for this processor: what is loaded, where it starts, what its notes say. */
export const readElf = ({ name, bytes }: BootFile): Elf | BootRefusal => {
  const eiClass = bytes[4];
  const fields = eiClass === 1 || eiClass === 2 ? CLASSES[eiClass] : undefined;
  if (fields === undefined)
    return refuse(
      `${name}: ELF field ei_class is ${eiClass ?? "missing"}, expected 1 (32-bit) or 2 (64-bit)`,
    );
  if (bytes[5] !== ELFDATA2LSB)
    return refuse(`${name}: ELF field ei_data is ${bytes[5] ?? "missing"}, expected 1 (little-endian)`);
  if (bytes.length < fields.headerBytes)
    return refuse(
      `${name} is truncated: an ELF header has ${fields.headerBytes} bytes, the file has ${bytes.length}`,
    );
  const view = viewOf(bytes);
  const u16 = (offset: number): number => view.getUint16(offset, true);
  const word = (offset: number): number =>
    fields.word === 8 ? Number(view.getBigUint64(offset, true)) : view.getUint32(offset, true);
  const machine = u16(18);
  if (machine !== EM_386 && machine !== EM_X86_64)
    return refuse(`${name}: ELF field e_machine is ${machine}, expected 3 (i386) or 62 (x86-64)`);
  const phoff = word(fields.e_phoff);
  const phentsize = u16(fields.e_phentsize);
  const phnum = u16(fields.e_phnum);
  if (phnum > 0 && phentsize < fields.programHeaderBytes)
    return refuse(
      `${name}: ELF field e_phentsize is ${phentsize}, expected ${fields.programHeaderBytes} or more`,
    );
  if (phoff + phnum * phentsize > bytes.length)
    return refuse(
      `${name} is truncated: its ${phnum} program headers end at ${phoff + phnum * phentsize}, the file has ${bytes.length} bytes`,
    );

  const segments: ElfSegment[] = [];
  const notes: ElfNote[] = [];
  for (let index = 0; index < phnum; index++) {
    const at = phoff + index * phentsize;
    const type = view.getUint32(at, true);
    if (type !== PT_LOAD && type !== PT_NOTE) continue;
    const p_offset = word(at + fields.p_offset);
    const p_filesz = word(at + fields.p_filesz);
    const p_memsz = word(at + fields.p_memsz);
    if (p_offset + p_filesz > bytes.length)
      return refuse(
        `${name} is truncated: program header ${index} ends at ${p_offset + p_filesz}, the file has ${bytes.length} bytes`,
      );
    const body = bytes.subarray(p_offset, p_offset + p_filesz);
    if (type === PT_NOTE) {
      notes.push(...notesIn(body, word(at + fields.p_align)));
      continue;
    }
    if (p_filesz > p_memsz)
      return refuse(
        `${name}: program header ${index} has p_filesz ${hex(p_filesz)}, expected at most its p_memsz ${hex(p_memsz)}`,
      );
    if (p_memsz === 0) continue;
    segments.push({
      p_vaddr: word(at + fields.p_vaddr),
      p_paddr: word(at + fields.p_paddr),
      p_memsz,
      bytes: body,
    });
  }
  if (segments.length > MOST_SEGMENTS)
    return refuse(
      `${name}: ELF file with ${segments.length} PT_LOAD program headers, expected at most ${MOST_SEGMENTS}`,
    );
  if (segments.length === 0)
    return refuse(`${name}: ELF file with no PT_LOAD program header, expected at least one`);
  return { is64: eiClass === 2, e_entry: word(fields.e_entry), segments, notes };
};

/** Where the entry point lies in physical memory: kernels linked high give it as a virtual address of one of their segments. */
export const physicalEntry = (elf: Elf): number => {
  const home = elf.segments.find(
    (segment) => elf.e_entry >= segment.p_vaddr && elf.e_entry < segment.p_vaddr + segment.p_memsz,
  );
  return home === undefined ? elf.e_entry : elf.e_entry - home.p_vaddr + home.p_paddr;
};
