/**
 * An encoder for ACPI Machine Language: ACPI Specification 6.4, chapter 20 "ACPI Machine Language (AML) Specification" and
 * section 6.4 "Resource Data Types for ACPI". Each function gives the bytes of one term; terms nest.
 */
export type Aml = readonly number[];

const littleEndian = (value: number | bigint, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 0xffn));

const text = (characters: string): number[] => Array.from(characters, (character) => character.charCodeAt(0));

// --- 20.2.2 Name Objects Encoding

const nameSegment = (segment: string): number[] => text(segment.padEnd(4, "_"));

/** A name string such as "\\_SB.PCI0" or "COM1"; segments have up to 4 characters. */
export const nameString = (path: string): Aml => {
  const prefix = /^\\?\^*/.exec(path)![0];
  const segments = path
    .slice(prefix.length)
    .split(".")
    .filter((segment) => segment !== "");
  const lead =
    segments.length === 0
      ? [0x00]
      : segments.length === 1
        ? []
        : segments.length === 2
          ? [0x2e]
          : [0x2f, segments.length];
  return [...text(prefix), ...lead, ...segments.flatMap(nameSegment)];
};

// --- 20.2.4 Package Length Encoding

/** `body` with the package length before it; the length counts itself. */
const packaged = (body: Aml): number[] => {
  if (body.length + 1 <= 0x3f) return [body.length + 1, ...body];
  let more = 1;
  while (body.length + 1 + more >= 1 << (4 + 8 * more)) more++;
  const length = body.length + 1 + more;
  return [(more << 6) | (length & 0xf), ...littleEndian(length >>> 4, more), ...body];
};

// --- 20.2.3 Data Objects Encoding

export const integer = (value: number | bigint): Aml => {
  const wide = BigInt(value);
  if (wide <= 1n) return [Number(wide)];
  if (wide <= 0xffn) return [0x0a, ...littleEndian(wide, 1)];
  if (wide <= 0xffffn) return [0x0b, ...littleEndian(wide, 2)];
  if (wide <= 0xffff_ffffn) return [0x0c, ...littleEndian(wide, 4)];
  return [0x0e, ...littleEndian(wide, 8)];
};

export const string = (characters: string): Aml => [0x0d, ...text(characters), 0];

export const buffer = (bytes: Aml): Aml => [0x11, ...packaged([...integer(bytes.length), ...bytes])];

export const packageOf = (...elements: readonly Aml[]): Aml => [
  0x12,
  ...packaged([elements.length, ...elements.flat()]),
];

/** A compressed EISA ID such as "PNP0501" (19.3.4 "ASL Macros", EISAID). */
export const eisaId = (id: string): Aml => {
  const [a, b, c] = text(id.slice(0, 3)).map((code) => code & 0x1f) as [number, number, number];
  const letters = (a << 10) | (b << 5) | c;
  const number = Number.parseInt(id.slice(3), 16);
  return [0x0c, letters >>> 8, letters & 0xff, number >>> 8, number & 0xff];
};

/** A UUID as a buffer (19.6.142 "ToUUID"): the first three groups are stored low byte first. */
export const uuid = (id: string): Aml => {
  const bytes = id
    .replaceAll("-", "")
    .match(/../g)!
    .map((pair) => Number.parseInt(pair, 16));
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return buffer(order.map((i) => bytes[i]!));
};

// --- 20.2.5 Term Objects Encoding

export const name = (path: string, value: Aml): Aml => [0x08, ...nameString(path), ...value];

export const scope = (path: string, ...terms: readonly Aml[]): Aml => [
  0x10,
  ...packaged([...nameString(path), ...terms.flat()]),
];

export const device = (path: string, ...terms: readonly Aml[]): Aml => [
  0x5b,
  0x82,
  ...packaged([...nameString(path), ...terms.flat()]),
];

const SERIALIZED = 1 << 3;

/** A control method; "serialized" is for those that create named objects. */
export const method = (
  path: string,
  argumentCount: number,
  serialized: boolean,
  ...terms: readonly Aml[]
): Aml => [
  0x14,
  ...packaged([...nameString(path), argumentCount | (serialized ? SERIALIZED : 0), ...terms.flat()]),
];

export const arg = (number: number): Aml => [0x68 + number];
export const local = (number: number): Aml => [0x60 + number];
export const reference = nameString;

export const store = (source: Aml, target: Aml): Aml => [0x70, ...source, ...target];
export const or = (a: Aml, b: Aml, target: Aml): Aml => [0x7d, ...a, ...b, ...target];
export const equal = (a: Aml, b: Aml): Aml => [0x93, ...a, ...b];
export const not = (a: Aml): Aml => [0x92, ...a];
export const when = (condition: Aml, ...terms: readonly Aml[]): Aml => [
  0xa0,
  ...packaged([...condition, ...terms.flat()]),
];
/** Directly after `when`. */
export const otherwise = (...terms: readonly Aml[]): Aml => [0xa1, ...packaged(terms.flat())];
export const returns = (value: Aml): Aml => [0xa4, ...value];
/** A 32-bit field of a buffer, at a byte offset. */
export const dwordField = (source: Aml, offset: number, path: string): Aml => [
  0x8a,
  ...source,
  ...integer(offset),
  ...nameString(path),
];

// --- 6.4 Resource Data Types for ACPI

/** A resource template: descriptors and the end tag, whose checksum 0 means "not computed". */
export const resources = (...descriptors: readonly Aml[]): Aml => buffer([...descriptors.flat(), 0x79, 0x00]);

/** I/O Port Descriptor, 16-bit decoding: fixed ports. */
export const ioPorts = (start: number, length: number): Aml => [
  0x47,
  0x01,
  ...littleEndian(start, 2),
  ...littleEndian(start, 2),
  0x01,
  length,
];

/** IRQ Descriptor without flags: an edge-triggered, active-high ISA interrupt. */
export const isaIrq = (irq: number): Aml => [0x22, ...littleEndian(1 << irq, 2)];

/** 32-bit Fixed Memory Range Descriptor. */
export const memory32 = (start: number, length: number, writable: boolean): Aml => [
  0x86,
  ...littleEndian(9, 2),
  writable ? 1 : 0,
  ...littleEndian(start, 4),
  ...littleEndian(length, 4),
];

/** Extended Interrupt Descriptor: an I/O APIC input that the device drives, level-triggered, active high. */
export const levelInterrupt = (input: number): Aml => [
  0x89,
  ...littleEndian(6, 2),
  0b0001,
  1,
  ...littleEndian(input, 4),
];

/** "General Flags" of a window that a bridge produces: positive decode, fixed limits. */
const PRODUCER_FIXED = 0x0c;
/** The same of what a device itself uses. */
const CONSUMER_FIXED = 0x0d;
// biome-ignore format: one row per fact
const SPACE = { MEMORY: 0, IO: 1, BUS: 2 } as const;
/** Type-specific flags. */
// biome-ignore format: one row per fact
const SPACE_FLAGS = { [SPACE.MEMORY]: 0x01, [SPACE.IO]: 0x03, [SPACE.BUS]: 0x00 } as const;

/** WORD, DWORD and QWORD Address Space Descriptors, by the bytes of an address. */
const ADDRESS_SPACE_TAG = { 2: 0x88, 4: 0x87, 8: 0x8a } as const;

const addressSpace = (
  width: 2 | 4 | 8,
  space: 0 | 1 | 2,
  start: number,
  length: number,
  flags = PRODUCER_FIXED,
): Aml => [
  ADDRESS_SPACE_TAG[width],
  ...littleEndian(3 + 5 * width, 2),
  space,
  flags,
  SPACE_FLAGS[space],
  ...littleEndian(0, width), // granularity
  ...littleEndian(start, width),
  ...littleEndian(start + length - 1, width),
  ...littleEndian(0, width), // translation
  ...littleEndian(length, width),
];

/** What a PCI root bridge passes on to its bus. */
export const busNumbers = (first: number, count: number): Aml => addressSpace(2, SPACE.BUS, first, count);
export const ioWindow = (start: number, length: number): Aml => addressSpace(2, SPACE.IO, start, length);
export const memoryWindow = (start: number, length: number): Aml =>
  addressSpace(start + length <= 2 ** 32 ? 4 : 8, SPACE.MEMORY, start, length);

/** Registers of a device, wherever they are. */
export const memory64 = (start: number, length: number): Aml =>
  addressSpace(8, SPACE.MEMORY, start, length, CONSUMER_FIXED);
