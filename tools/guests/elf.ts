/**
 * ELF64 for x86-64, as far as guests need it: writing a static program, and reading which shared libraries a file wants
 * (System V ABI, "Object Files" and "Dynamic Linking"; AMD64 supplement).
 */

const HEADER_BYTES = 64;
const PROGRAM_HEADER_BYTES = 56;
const ET_EXEC = 2;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const READ_WRITE_EXECUTE = 7;
const DT_NEEDED = 1n;
const DT_STRTAB = 5n;

/** Where a static program is loaded. */
export const STATIC_BASE = 0x400000;
/** Address of a static program's first byte: headers are loaded in front of it. */
export const STATIC_ORIGIN = STATIC_BASE + 128;

/** A static program of one segment that may be read, written and executed; `code` lies at STATIC_ORIGIN. */
export const staticElf = (code: Uint8Array, entry: bigint): Uint8Array => {
  const start = STATIC_ORIGIN - STATIC_BASE;
  const bytes = new Uint8Array(start + code.length);
  const view = new DataView(bytes.buffer);
  // Magic number, 64-bit, little-endian, version 1, System V.
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]);
  view.setUint16(16, ET_EXEC, true);
  view.setUint16(18, EM_X86_64, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, entry, true);
  view.setBigUint64(32, BigInt(HEADER_BYTES), true);
  view.setUint16(52, HEADER_BYTES, true);
  view.setUint16(54, PROGRAM_HEADER_BYTES, true);
  view.setUint16(56, 1, true);
  view.setUint32(HEADER_BYTES, PT_LOAD, true);
  view.setUint32(HEADER_BYTES + 4, READ_WRITE_EXECUTE, true);
  const fields = [0, STATIC_BASE, STATIC_BASE, bytes.length, bytes.length, 4096];
  for (const [i, field] of fields.entries()) view.setBigUint64(HEADER_BYTES + 8 + 8 * i, BigInt(field), true);
  bytes.set(code, start);
  return bytes;
};

interface Segment {
  readonly type: number;
  readonly fileOffset: number;
  readonly address: bigint;
  readonly fileBytes: number;
}

/** What a dynamically linked file asks for. */
export interface DynamicNeeds {
  /** The dynamic linker, an absolute path; undefined for a library. */
  readonly interpreter: string | undefined;
  /** Names of shared libraries, without paths. */
  readonly libraries: readonly string[];
}

/** Interpreter and DT_NEEDED entries of an ELF64 file; undefined when the bytes are no such file. */
export const dynamicNeeds = (bytes: Uint8Array): DynamicNeeds | undefined => {
  const magic = [0x7f, 0x45, 0x4c, 0x46, 2, 1];
  if (bytes.length < HEADER_BYTES || magic.some((byte, i) => bytes[i] !== byte)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const inside = (offset: number, length: number): boolean => offset >= 0 && offset + length <= bytes.length;
  const text = (offset: number): string => {
    const end = bytes.indexOf(0, offset);
    return Buffer.from(bytes.subarray(offset, end < 0 ? bytes.length : end)).toString("latin1");
  };
  const segments: Segment[] = [];
  const [first, size, count] = [
    Number(view.getBigUint64(32, true)),
    view.getUint16(54, true),
    view.getUint16(56, true),
  ];
  for (let i = 0; i < count; i++) {
    const at = first + i * size;
    if (!inside(at, PROGRAM_HEADER_BYTES)) return undefined;
    segments.push({
      type: view.getUint32(at, true),
      fileOffset: Number(view.getBigUint64(at + 8, true)),
      address: view.getBigUint64(at + 16, true),
      fileBytes: Number(view.getBigUint64(at + 32, true)),
    });
  }
  const interpreter = segments.find((segment) => segment.type === PT_INTERP);
  const dynamic = segments.find((segment) => segment.type === PT_DYNAMIC);
  const needed: number[] = [];
  let strings = -1;
  if (dynamic !== undefined && inside(dynamic.fileOffset, dynamic.fileBytes))
    for (let at = dynamic.fileOffset; at + 16 <= dynamic.fileOffset + dynamic.fileBytes; at += 16) {
      const [tag, value] = [view.getBigUint64(at, true), view.getBigUint64(at + 8, true)];
      if (tag === DT_NEEDED) needed.push(Number(value));
      if (tag !== DT_STRTAB) continue;
      const home = segments.find(
        ({ type, address, fileBytes }) =>
          type === PT_LOAD && value >= address && value < address + BigInt(fileBytes),
      );
      if (home !== undefined) strings = home.fileOffset + Number(value - home.address);
    }
  return {
    interpreter: interpreter && text(interpreter.fileOffset),
    libraries: strings < 0 ? [] : needed.map((offset) => text(strings + offset)),
  };
};
