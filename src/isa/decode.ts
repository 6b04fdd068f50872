/**
 * Bytes -> Instruction, by the rows of the opcode maps (SDM Vol. 2, Chapter 2 "Instruction Format" and Appendix A).
 * Hot: rows are compiled once into candidates per opcode, register operands are shared, BigInts are cached where small.
 */
import type { SegmentName } from "../ir/effects.ts";
import type { Form, OperandKind } from "../ir/frame.ts";
import type { Width } from "../ir/value.ts";
import type {
  DecodedOperand,
  DecodeFault,
  DecodeIncomplete,
  DecodeMode,
  ImmediateOperand,
  Instruction,
  MemoryOperand,
  RegisterOperand,
} from "./instruction.ts";
import { rows as allRows } from "./maps/index.ts";
import type { Addressing, Operand, Size } from "./operands.ts";
import type { Feature, OpcodeMap, Row } from "./row.ts";

export type Decoded = Instruction | DecodeFault | DecodeIncomplete;

/** True where decode gave an instruction and not the reason why there is none. */
export const isInstruction = (decoded: Decoded): decoded is Instruction => "row" in decoded;

/** The longest instruction, bytes; one more is #GP (SDM Vol. 2, "Instruction Format"). */
export const MAXIMUM_LENGTH = 15;

const UD = 6;
const GP = 13;
const INCOMPLETE: DecodeIncomplete = Object.freeze({ kind: "incomplete" });

// ---------------------------------------------------------------------------------------------- operands, compiled

/** Bits of an operand by operand size 16, 32, 64; 0: no particular size. `s` depends on the code size instead. */
// biome-ignore format: one row per fact
const sizeBits: Record<Size, readonly [number, number, number]> = {
  b: [8, 8, 8], w: [16, 16, 16], d: [32, 32, 32], q: [64, 64, 64], dq: [128, 128, 128], t: [80, 80, 80],
  v: [16, 32, 64], z: [16, 32, 32], y: [32, 32, 64],
  p: [32, 48, 80], a: [32, 64, 128], s: [48, 48, 48], any: [0, 0, 0],
};

/** Operand width in bits by operand size; `registerSize` where the operand is a register. */
export const operandBits = (operand: Operand, operandSize: 16 | 32 | 64, register: boolean): number =>
  sizeBits[register ? (operand.registerSize ?? operand.size) : operand.size][operandSize >> 5]!;

/** What ModRM contributes to an operand, or what follows it in the byte stream. */
// biome-ignore format: one list
const Place = {
  rm: 0, reg: 1, memory: 2, opcode: 3, vvvv: 4, immediate: 5, relative: 6, moffs: 7, far: 8, source: 9, destination: 10, fixed: 11, one: 12,
} as const;
type Place = (typeof Place)[keyof typeof Place];
type File = RegisterOperand["file"];

/** Where each addressing letter is encoded, in which register file, and what it asks of ModRM.mod. */
// biome-ignore format: one row per fact
const addressings: Record<Addressing, { readonly place: Place; readonly file: File; readonly mod?: "memory" | "register"; readonly noModRM?: true }> = {
  E: { place: Place.rm, file: "general" },
  W: { place: Place.rm, file: "xmm" },
  Q: { place: Place.rm, file: "mmx" },
  M: { place: Place.memory, file: "general", mod: "memory" },
  R: { place: Place.rm, file: "general", mod: "register" },
  U: { place: Place.rm, file: "xmm", mod: "register" },
  N: { place: Place.rm, file: "mmx", mod: "register" },
  F: { place: Place.rm, file: "x87", mod: "register" },
  G: { place: Place.reg, file: "general" },
  S: { place: Place.reg, file: "segment" },
  C: { place: Place.reg, file: "control" },
  D: { place: Place.reg, file: "debug" },
  V: { place: Place.reg, file: "xmm" },
  P: { place: Place.reg, file: "mmx" },
  B: { place: Place.vvvv, file: "general", noModRM: true },
  Z: { place: Place.opcode, file: "general", noModRM: true },
  I: { place: Place.immediate, file: "general", noModRM: true },
  J: { place: Place.relative, file: "general", noModRM: true },
  O: { place: Place.moffs, file: "general", noModRM: true },
  A: { place: Place.far, file: "general", noModRM: true },
  X: { place: Place.source, file: "general", noModRM: true },
  Y: { place: Place.destination, file: "general", noModRM: true },
  fixed: { place: Place.fixed, file: "general", noModRM: true },
  fixedSegment: { place: Place.fixed, file: "segment", noModRM: true },
};

/** The register file of an operand's registers. */
const fileOf = (operand: Operand): File =>
  operand.addressing === "fixed" && operand.size === "t" ? "x87" : addressings[operand.addressing].file;

/** Where an operand is encoded, and in which register file its registers are. */
export const operandPlaces = (operand: Operand): { readonly place: PlaceName; readonly file: File } => ({
  place: operand.fixed === "one" ? "one" : placeNames[addressings[operand.addressing].place]!,
  file: fileOf(operand),
});
type PlaceName = keyof typeof Place;
const placeNames = Object.keys(Place) as PlaceName[];

class OperandPlan {
  readonly place: Place;
  readonly file: File;
  /** Bits by operand size >> 5. */
  readonly memoryBits: readonly [number, number, number];
  readonly registerBits: readonly [number, number, number];
  /** Immediates: bytes in the instruction, by operand size >> 5. */
  readonly bytes: readonly [number, number, number];
  readonly signExtended: boolean;
  readonly pseudoDescriptor: boolean;
  readonly written: boolean;
  readonly fixed: number;
  constructor(operand: Operand) {
    this.place = operand.fixed === "one" ? Place.one : addressings[operand.addressing].place;
    this.file = fileOf(operand);
    this.memoryBits = sizeBits[operand.size];
    this.registerBits = sizeBits[operand.registerSize ?? operand.size];
    const [a, b, c] = sizeBits[operand.size];
    this.bytes = [a / 8, b / 8, c / 8];
    this.signExtended = operand.signExtended === true;
    this.pseudoDescriptor = operand.size === "s";
    this.written = operand.access !== "r";
    this.fixed = typeof operand.fixed === "number" ? operand.fixed : 0;
  }
}

// -------------------------------------------------------------------------------------------------- rows, compiled

const OperandSizeRule = { ordinary: 0, default64: 1, forced64: 2, ignore66: 3 } as const;
const NO_PREFIX = 0;
const ANY_PREFIX = -1;
const NO_REPEAT_PREFIX = -2;
const prefixRule = { none: NO_PREFIX, sized: NO_REPEAT_PREFIX } as const;

const sizeRule = (row: Row): number => {
  if (row.f64) return OperandSizeRule.forced64;
  if (row.ignore66) return OperandSizeRule.ignore66;
  return row.d64 ? OperandSizeRule.default64 : OperandSizeRule.ordinary;
};

/** One row, its constraints as numbers. */
class Candidate {
  readonly row: Row;
  readonly operands: readonly OperandPlan[];
  /** -1: any. */
  readonly digit: number;
  readonly rm: number;
  readonly rexW: number;
  readonly rexB: number;
  /** ANY_PREFIX, NO_REPEAT_PREFIX, NO_PREFIX, 0x66, 0xf2 or 0xf3. */
  readonly prefix: number;
  readonly memoryOnly: boolean;
  readonly registerOnly: boolean;
  /** MOV to or from CR and DR: ModRM.rm is a register whatever mod says. */
  readonly modIgnored: boolean;
  readonly not64: boolean;
  readonly only64: boolean;
  readonly protectedOnly: boolean;
  readonly feature: Feature | undefined;
  readonly sizeRule: number;
  readonly usesVvvv: boolean;
  readonly lock: boolean;
  constructor(row: Row) {
    this.row = row;
    this.operands = row.operands.map((operand) => new OperandPlan(operand));
    this.digit = row.digit ?? -1;
    this.rm = row.rm ?? -1;
    this.rexW = row.rexW ?? -1;
    this.rexB = row.rexB ?? -1;
    const prefix = row.prefix ?? ANY_PREFIX;
    this.prefix = typeof prefix === "number" ? prefix : prefixRule[prefix];
    this.modIgnored = row.operands.some(({ addressing }) => addressing === "C" || addressing === "D");
    const mods = row.operands.map(({ addressing }) => addressings[addressing].mod);
    this.memoryOnly = row.mod === "memory" || mods.includes("memory");
    this.registerOnly = !this.modIgnored && (row.mod === "register" || mods.includes("register"));
    this.not64 = row.i64 === true;
    this.only64 = row.o64 === true;
    this.protectedOnly = row.protectedOnly === true;
    this.feature = row.feature;
    this.sizeRule = sizeRule(row);
    this.usesVvvv = row.operands.some(({ addressing }) => addressing === "B");
    this.lock = row.lock === true;
  }
}

/** True when the row's opcode is followed by a ModRM byte. */
export const hasModRM = (row: Row): boolean =>
  row.digit !== undefined ||
  row.mod !== undefined ||
  row.rm !== undefined ||
  row.operands.some(({ addressing }) => addressings[addressing].noModRM !== true);

interface OpcodeEntry {
  readonly modrm: boolean;
  readonly candidates: readonly Candidate[];
}

/** Rows by map and opcode: four maps of 256, then the same four reached by VEX. */
export type OpcodeIndex = readonly (OpcodeEntry | undefined)[];

const mapNumber: Record<OpcodeMap, number> = { "one-byte": 0, "0F": 1, "0F38": 2, "0F3A": 3 };
const VEX_MAPS = 4;

export const indexRows = (rows: readonly Row[]): OpcodeIndex => {
  const lists = Array.from({ length: 2 * VEX_MAPS * 256 }, (): Row[] => []);
  for (const row of rows)
    lists[((row.vex ? VEX_MAPS : 0) + mapNumber[row.map]) * 256 + row.opcode]!.push(row);
  const index = lists.map((list): OpcodeEntry | undefined =>
    list.length === 0
      ? undefined
      : Object.freeze({
          modrm: list.some(hasModRM),
          candidates: list.map((row) => Object.freeze(new Candidate(row))),
        }),
  );
  return Object.freeze(index);
};

const defaultIndex = indexRows(allRows);

// ------------------------------------------------------------------------------------------------ shared constants

const generalOperands = (width: Width): readonly RegisterOperand[] =>
  Array.from({ length: 16 }, (_, number) =>
    Object.freeze({ kind: "register", file: "general", number, high: false, width } as const),
  );
const general8 = generalOperands(8);
const general16 = generalOperands(16);
const general32 = generalOperands(32);
const general64 = generalOperands(64);
/** AH, CH, DH, BH: `number` is that of the register whose bits 15:8 they are. */
const generalHigh: readonly RegisterOperand[] = general8
  .slice(0, 4)
  .map((register) => Object.freeze({ ...register, high: true }));

/** Registers of the other files, by width / 16. */
const filed = (file: File): readonly (readonly RegisterOperand[])[] =>
  Array.from({ length: 9 }, (_, sixteenths) =>
    Array.from({ length: 16 }, (_, number) =>
      Object.freeze({
        kind: "register",
        file,
        number,
        high: false,
        width: (16 * sixteenths) as Width,
      } as const),
    ),
  );
const otherFiles: Record<Exclude<File, "general">, readonly (readonly RegisterOperand[])[]> = {
  segment: filed("segment"),
  control: filed("control"),
  debug: filed("debug"),
  xmm: filed("xmm"),
  mmx: filed("mmx"),
  x87: filed("x87"),
};

const registerOperand = (file: File, number: number, bits: number): RegisterOperand => {
  if (file !== "general") return otherFiles[file][bits >> 4]![number]!;
  if (bits === 8) return general8[number]!;
  return (bits === 32 ? general32 : bits === 64 ? general64 : general16)[number]!;
};

/** A general register by the three bits of its field and the REX bit that extends them; AH ... BH only without REX. */
const generalOperand = (field: number, extension: number, bits: number, rex: number): RegisterOperand =>
  bits === 8 && rex === 0 && field >= 4
    ? generalHigh[field - 4]!
    : registerOperand("general", field | (extension << 3), bits);

/** False for encodings that name no register, and for CS as a destination: #UD (SDM Vol. 2, MOV). */
const exists = (file: File, number: number, written: boolean): boolean => {
  if (file === "segment") return number <= 5 && !(number === 1 && written);
  if (file === "control") return number === 8 || (number <= 4 && number !== 1);
  return file !== "debug" || number <= 7;
};

const memoryOperand = (
  segment: SegmentName,
  base: number | "RIP" | undefined,
  index: number | undefined,
  scale: 1 | 2 | 4 | 8,
  displacement: bigint,
  width: number,
): MemoryOperand => ({ kind: "memory", segment, base, index, scale, displacement, width });

const RSI = 6;
const RDI = 7;

/** A register operand as decode gives it: for assembler and tests, which compare and build instructions. */
export const sharedRegister = (file: File, number: number, width: Width, high = false): RegisterOperand =>
  high ? generalHigh[number]! : registerOperand(file, number, width);

const smallBigints = Array.from({ length: 512 }, (_, n) => BigInt(n - 256));
const bigintOf = (n: number): bigint => (n >= -256 && n < 256 ? smallBigints[n + 256]! : BigInt(n));

const immediates8: readonly ImmediateOperand[] = Array.from({ length: 256 }, (_, n) =>
  Object.freeze({ kind: "immediate", value: BigInt(n), width: 8 } as const),
);

/** `n` as an immediate of `width` bits, sign-extended when negative. */
const immediateOperand = (n: number, width: Width): ImmediateOperand => {
  if (width === 8) return immediates8[n & 0xff]!;
  if (n >= 0) return { kind: "immediate", value: bigintOf(n), width };
  if (width === 64) return { kind: "immediate", value: BigInt.asUintN(64, BigInt(n)), width };
  return { kind: "immediate", value: BigInt(width === 16 ? n & 0xffff : n >>> 0), width };
};

/** Base and index of 16-bit addressing by ModRM.rm (SDM Vol. 2, Table 2-1); -1: none. */
const base16 = [3, 3, 5, 5, 6, 7, 5, 3];
const index16 = [6, 7, 6, 7, -1, -1, -1, -1];

const segmentPrefix: readonly (SegmentName | undefined)[] = Array.from(
  { length: 256 },
  (_, byte) => (({ 38: "ES", 46: "CS", 54: "SS", 62: "DS", 100: "FS", 101: "GS" }) as const)[byte],
);

/** Kinds of byte before the opcode: 0 = not a prefix. */
const PrefixKind = {
  segment: 1,
  operandSize: 2,
  addressSize: 3,
  lock: 4,
  repnz: 5,
  repz: 6,
  rex: 7,
} as const;
const prefixKinds = new Uint8Array(256);
for (const byte of [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]) prefixKinds[byte] = PrefixKind.segment;
prefixKinds[0x66] = PrefixKind.operandSize;
prefixKinds[0x67] = PrefixKind.addressSize;
prefixKinds[0xf0] = PrefixKind.lock;
prefixKinds[0xf2] = PrefixKind.repnz;
prefixKinds[0xf3] = PrefixKind.repz;
prefixKinds.fill(PrefixKind.rex, 0x40, 0x50);

const fault = (vector: 6 | 13, length: number): DecodeFault => ({ kind: "fault", vector, length });

/** The bytes ran out: at the 15-byte limit that is #GP, before it more bytes are wanted. */
const ranOut = (available: number): DecodeFault | DecodeIncomplete =>
  available >= MAXIMUM_LENGTH ? fault(GP, MAXIMUM_LENGTH) : INCOMPLETE;

const doubleword = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
/** `size` is 1, 2 or 4 bytes. */
const signedAt = (bytes: Uint8Array, at: number, size: number): number => {
  if (size === 1) return (bytes[at]! << 24) >> 24;
  return size === 2 ? ((bytes[at]! | (bytes[at + 1]! << 8)) << 16) >> 16 : doubleword(bytes, at);
};
/** `size` is 2 or 4 bytes. */
const unsignedAt = (bytes: Uint8Array, at: number, size: number): number =>
  size === 2 ? bytes[at]! | (bytes[at + 1]! << 8) : doubleword(bytes, at) >>> 0;
const quadword = (bytes: Uint8Array, at: number): bigint =>
  (BigInt(doubleword(bytes, at + 4) >>> 0) << 32n) | BigInt(doubleword(bytes, at) >>> 0);

// ---------------------------------------------------------------------------------------------------------- decode

/**
 * Decode the instruction at `bytes[offset]`, of which `available` bytes may be read. `has` tells the CPU's features; a
 * row whose feature is missing does not exist. Undefined encodings give #UD, more than 15 bytes #GP(0).
 */
export const decode = (
  bytes: Uint8Array,
  offset: number,
  available: number,
  mode: DecodeMode,
  has: (feature: Feature) => boolean,
): Decoded => decodeWith(defaultIndex, bytes, offset, available, mode, has);

/** `decode` over the rows of another index. */
export const decodeWith = (
  index: OpcodeIndex,
  bytes: Uint8Array,
  offset: number,
  available: number,
  mode: DecodeMode,
  has: (feature: Feature) => boolean,
): Decoded => {
  const codeSize = mode.codeSize;
  const long = codeSize === 64;
  const end = offset + Math.min(available, MAXIMUM_LENGTH);
  let at = offset;

  // Prefixes: the last of each group counts; REX counts only directly before the opcode.
  let segmentOverride: SegmentName | undefined;
  let has66 = false;
  let has67 = false;
  let lock = false;
  let repPrefix = 0;
  let rex = 0;
  let byte = 0;
  for (;;) {
    if (at >= end) return ranOut(available);
    byte = bytes[at++]!;
    const kind = prefixKinds[byte]!;
    if (kind === 0) break;
    if (kind === PrefixKind.rex) {
      if (!long) break;
      rex = byte;
      continue;
    }
    rex = 0;
    if (kind === PrefixKind.segment) {
      // In 64-bit mode the ES, CS, SS and DS overrides are ignored (SDM Vol. 1, "Segmentation in 64-Bit Mode").
      if (!long || byte >= 0x64) segmentOverride = segmentPrefix[byte];
    } else if (kind === PrefixKind.operandSize) has66 = true;
    else if (kind === PrefixKind.addressSize) has67 = true;
    else if (kind === PrefixKind.lock) lock = true;
    else repPrefix = byte;
  }

  // VEX, or the opcode map by escape bytes.
  let map = 0;
  let vvvv = 0;
  let vex = false;
  let w = (rex >> 3) & 1;
  if (
    (byte === 0xc4 || byte === 0xc5) &&
    (long || (at < end && !mode.realLike && (bytes[at]! & 0xc0) === 0xc0))
  ) {
    if (rex !== 0 || has66 || lock || repPrefix !== 0) return fault(UD, at - offset);
    vex = true;
    if (at >= end) return ranOut(available);
    let last = bytes[at++]!;
    rex = 0x40 | (last & 0x80 ? 0 : 4);
    map = 1;
    if (byte === 0xc4) {
      map = last & 0x1f;
      rex = 0x40 | ((last >> 5) ^ 7);
      if (at >= end) return ranOut(available);
      last = bytes[at++]!;
      w = last >> 7;
    }
    if (!long) {
      rex = 0;
      w = 0;
    }
    if (map === 0 || map > 3 || (last & 4) !== 0) return fault(UD, at - offset); // rows here have L = 0
    vvvv = ((last >> 3) & 15) ^ 15;
    const pp = last & 3;
    has66 = pp === 1;
    repPrefix = pp === 2 ? 0xf3 : pp === 3 ? 0xf2 : 0;
    map += VEX_MAPS;
    if (at >= end) return ranOut(available);
    byte = bytes[at++]!;
  } else if (byte === 0x0f) {
    if (at >= end) return ranOut(available);
    byte = bytes[at++]!;
    map = 1;
    if (byte === 0x38 || byte === 0x3a) {
      map = byte === 0x38 ? 2 : 3;
      if (at >= end) return ranOut(available);
      byte = bytes[at++]!;
    }
  }
  const opcode = byte;
  const entry = index[map * 256 + opcode];
  if (entry === undefined) return fault(UD, at - offset);

  let modrm = 0;
  if (entry.modrm) {
    if (at >= end) return ranOut(available);
    modrm = bytes[at++]!;
  }
  const isRegister = modrm >= 0xc0;
  const reg = (modrm >> 3) & 7;
  const rm = modrm & 7;

  // The first row whose constraints all hold.
  const candidates = entry.candidates;
  let chosen: Candidate | undefined;
  for (let i = 0; i < candidates.length; i++) {
    const candidate = candidates[i]!;
    if (candidate.digit >= 0 && candidate.digit !== reg) continue;
    const prefix = candidate.prefix;
    if (prefix !== ANY_PREFIX) {
      if (prefix === 0x66) {
        if (!has66 || repPrefix !== 0) continue;
      } else if (prefix === NO_REPEAT_PREFIX) {
        if (repPrefix !== 0) continue;
      } else if (prefix !== repPrefix || (prefix === NO_PREFIX && has66)) continue;
    }
    if (candidate.memoryOnly && isRegister) continue;
    if (candidate.registerOnly && !isRegister) continue;
    if (candidate.rm >= 0 && candidate.rm !== rm) continue;
    if (candidate.rexW >= 0 && candidate.rexW !== w) continue;
    if (candidate.rexB >= 0 && candidate.rexB !== (rex & 1)) continue;
    if (long ? candidate.not64 : candidate.only64) continue;
    if (mode.realLike && candidate.protectedOnly) continue;
    if (candidate.feature !== undefined && !has(candidate.feature)) continue;
    chosen = candidate;
    break;
  }
  if (chosen === undefined) return fault(UD, at - offset);
  if (vex && !chosen.usesVvvv && vvvv !== 0 && (long || (vvvv & 7) !== 0)) return fault(UD, at - offset);

  // Sizes. A mandatory 66 is no operand-size prefix.
  const wide66 = has66 && chosen.prefix !== 0x66;
  let operandSize: 16 | 32 | 64;
  if (long) {
    const rule = chosen.sizeRule;
    if (w === 1 || rule >= OperandSizeRule.forced64) operandSize = 64;
    else if (wide66) operandSize = 16;
    else operandSize = rule === OperandSizeRule.default64 ? 64 : 32;
  } else if (chosen.sizeRule === OperandSizeRule.ignore66 || vex) operandSize = 32;
  else operandSize = (codeSize === 16) === wide66 ? 32 : 16;
  const addressSize = long ? (has67 ? 32 : 64) : (codeSize === 16) === has67 ? 32 : 16;

  // ModRM memory operand: SIB and displacement follow.
  let base: number | "RIP" | undefined;
  let indexRegister: number | undefined;
  let scale: 1 | 2 | 4 | 8 = 1;
  let displacement = 0;
  let onStack = false;
  const isMemory = entry.modrm && !isRegister && !chosen.modIgnored;
  if (isMemory) {
    const mod = modrm >> 6;
    let displacementBytes = mod === 1 ? 1 : 0;
    if (addressSize === 16) {
      if (mod === 2) displacementBytes = 2;
      if (mod === 0 && rm === 6) displacementBytes = 2;
      else {
        base = base16[rm]!;
        onStack = base === 5;
        if (index16[rm]! >= 0) indexRegister = index16[rm]!;
      }
    } else {
      if (mod === 2) displacementBytes = 4;
      if (rm === 4) {
        if (at >= end) return ranOut(available);
        const sib = bytes[at++]!;
        const encodedIndex = ((sib >> 3) & 7) | ((rex & 2) << 2);
        if (encodedIndex !== 4) {
          indexRegister = encodedIndex;
          scale = (1 << (sib >> 6)) as 1 | 2 | 4 | 8;
        }
        const encodedBase = sib & 7;
        if (encodedBase === 5 && mod === 0) displacementBytes = 4;
        else base = encodedBase | ((rex & 1) << 3);
      } else if (rm === 5 && mod === 0) {
        displacementBytes = 4;
        if (long) base = "RIP";
      } else base = rm | ((rex & 1) << 3);
      onStack = base === 4 || base === 5;
    }
    if (displacementBytes !== 0) {
      if (at + displacementBytes > end) return ranOut(available);
      displacement = signedAt(bytes, at, displacementBytes);
      at += displacementBytes;
    }
  }

  // Operands, in the row's order: immediates follow each other in that order too.
  const plans = chosen.operands;
  const operands: DecodedOperand[] = [];
  const sizeIndex = operandSize >> 5;
  let lockable = false;
  for (let i = 0; i < plans.length; i++) {
    const plan = plans[i]!;
    const bits = plan.registerBits[sizeIndex]!;
    switch (plan.place) {
      case Place.rm:
      case Place.memory:
        if (isMemory) {
          const segment = segmentOverride ?? (onStack ? "SS" : "DS");
          const width = plan.pseudoDescriptor ? (long ? 80 : 48) : plan.memoryBits[sizeIndex]!;
          operands.push(memoryOperand(segment, base, indexRegister, scale, bigintOf(displacement), width));
          lockable ||= plan.written;
        } else if (plan.file === "general") operands.push(generalOperand(rm, rex & 1, bits, rex));
        else
          operands.push(registerOperand(plan.file, plan.file === "xmm" ? rm | ((rex & 1) << 3) : rm, bits));
        break;
      case Place.reg: {
        const file = plan.file;
        if (file === "general") {
          operands.push(generalOperand(reg, (rex >> 2) & 1, bits, rex));
          break;
        }
        const number = file === "segment" || file === "mmx" ? reg : reg | ((rex & 4) << 1);
        if (!exists(file, number, plan.written)) return fault(UD, at - offset);
        operands.push(registerOperand(file, number, bits));
        break;
      }
      case Place.opcode:
        operands.push(generalOperand(opcode & 7, rex & 1, bits, rex));
        break;
      case Place.vvvv:
        operands.push(registerOperand("general", long ? vvvv : vvvv & 7, bits));
        break;
      case Place.immediate: {
        const size = plan.bytes[sizeIndex]!;
        if (at + size > end) return ranOut(available);
        const width = (plan.signExtended ? operandSize : size * 8) as Width;
        if (size === 8) operands.push({ kind: "immediate", value: quadword(bytes, at), width });
        else operands.push(immediateOperand(signedAt(bytes, at, size), width));
        at += size;
        break;
      }
      case Place.relative: {
        const size = plan.bytes[sizeIndex]!;
        if (at + size > end) return ranOut(available);
        operands.push(immediateOperand(signedAt(bytes, at, size), operandSize));
        at += size;
        break;
      }
      case Place.moffs: {
        const size = addressSize >> 3;
        if (at + size > end) return ranOut(available);
        const target = size === 8 ? quadword(bytes, at) : bigintOf(unsignedAt(bytes, at, size));
        const width = plan.memoryBits[sizeIndex]!;
        operands.push(memoryOperand(segmentOverride ?? "DS", undefined, undefined, 1, target, width));
        at += size;
        break;
      }
      case Place.far: {
        const size = operandSize === 16 ? 2 : 4;
        if (at + size + 2 > end) return ranOut(available);
        const selector = unsignedAt(bytes, at + size, 2);
        operands.push({ kind: "far", selector, offset: unsignedAt(bytes, at, size) });
        at += size + 2;
        break;
      }
      case Place.source: {
        const width = plan.memoryBits[sizeIndex]!;
        operands.push(memoryOperand(segmentOverride ?? "DS", RSI, undefined, 1, 0n, width));
        break;
      }
      case Place.destination:
        operands.push(memoryOperand("ES", RDI, undefined, 1, 0n, plan.memoryBits[sizeIndex]!));
        break;
      case Place.fixed:
        operands.push(registerOperand(plan.file, plan.fixed, bits));
        break;
      case Place.one:
        operands.push(immediates8[1]!);
        break;
    }
  }

  if (lock && !(chosen.lock && lockable)) return fault(UD, at - offset);
  return {
    row: chosen.row,
    length: at - offset,
    operandSize,
    addressSize,
    stackSize: mode.stackSize,
    codeSize,
    rep:
      repPrefix === 0 || vex || chosen.prefix === repPrefix ? "none" : repPrefix === 0xf3 ? "repz" : "repnz",
    lock,
    segmentOverride,
    operands,
  };
};

// ------------------------------------------------------------------------------------------------------------ forms

/**
 * The width that an operand has for semantics. A memory operand of no particular size, a pseudo-descriptor or a far
 * pointer is used by its address only and counts as 64 bits.
 */
const formWidth = (operand: DecodedOperand): Width => {
  if (operand.kind === "far") return 64;
  switch (operand.width) {
    case 8: case 16: case 32: case 64: case 80: case 128: return operand.width;
    default: return 64;
  } // biome-ignore format: one list
};

const formKind = (operand: DecodedOperand): OperandKind =>
  operand.kind === "far" ? "immediate" : operand.kind;

/** What `effectsOf` needs to know of a decoded instruction. */
export const formOf = (instruction: Instruction): Form => ({
  operandSize: instruction.operandSize,
  addressSize: instruction.addressSize,
  stackSize: instruction.stackSize,
  codeSize: instruction.codeSize,
  operands: instruction.operands.map((operand) => ({
    width: formWidth(operand),
    kind: formKind(operand),
    ...(isStack(operand) && { stack: operand.number }),
  })),
});

const isStack = (operand: DecodedOperand): operand is RegisterOperand =>
  operand.kind === "register" && operand.file === "x87";

/** Three bits per width of an operand. */
const widthCode = (width: Width): number =>
  width === 8 ? 1 : width === 16 ? 2 : width === 32 ? 3 : width === 64 ? 4 : width === 80 ? 5 : 6;

/** A number below 2^28 that is equal exactly where the forms of two instructions of one row are equal (up to four operands). */
export const formKey = (instruction: Instruction): number => {
  let key =
    (instruction.operandSize >> 5) |
    ((instruction.addressSize >> 5) << 2) |
    ((instruction.stackSize >> 5) << 4) |
    ((instruction.codeSize >> 5) << 6);
  const operands = instruction.operands;
  for (let i = 0; i < operands.length; i++) {
    const operand = operands[i]!;
    const kind = operand.kind === "register" ? 0 : operand.kind === "memory" ? 1 : 2;
    key |= ((widthCode(formWidth(operand)) << 2) | kind) << (8 + 5 * i);
    // At most two operands are of the x87 stack, and then there are no others.
    if (isStack(operand)) key |= operand.number << (18 + 3 * i);
  }
  return key;
};
