import { rows } from "../../src/isa/maps/x87.ts";
import type { Row } from "../../src/isa/row.ts";
import { Random } from "../../src/isa/row-instances.fixture.ts";

/**
 * Cases of the x87 vectors: every row of the map, with a state that depends on nothing but the row's name, so that the
 * recorded outcomes (test/vectors/x87) need not repeat it.
 */

/** Where code and memory operands lie, here and under tools/x87-vectors/run.c. */
export const places = { code: 0x11_0000, memory: 0x12_0000, readOnly: 0x12_1000 } as const;
export const MEMORY_BYTES = 128;

/** What an x87 instruction can read and change. */
export interface State {
  readonly FCW: number;
  readonly FSW: number;
  /** One bit a physical register: in use. */
  readonly inUse: number;
  readonly FOP: number;
  readonly FIP: bigint;
  readonly FDP: bigint;
  /** 80 bits each, by physical number. */
  readonly registers: readonly bigint[];
  readonly RAX: bigint;
  /** The status flags. */
  readonly RFLAGS: bigint;
  readonly memory: Uint8Array;
}

export interface Case {
  readonly code: Uint8Array;
  /** RBX, the address of the memory operand. */
  readonly address: number;
  readonly before: State;
}

export interface CaseGroup {
  readonly name: string;
  readonly row: Row;
  readonly cases: readonly Case[];
}

export const STATUS_FLAGS = 0x8d5n;
const ONE = 0x3fff_8000_0000_0000_0000n;

// ---------------------------------------------------------------------------------------------------------- numbers

const INTEGER_BIT = 1n << 63n;

/** n random bits: runs of ones, few ones, near all ones, or plain. */
const pattern = (random: Random, bits: number): bigint => {
  const ones = (1n << BigInt(bits)) - 1n;
  const at = BigInt(random.next(bits));
  const plain = random.bits(Math.ceil(bits / 16) * 16);
  const choices = [
    0n,
    ones,
    1n << at,
    ~(1n << at),
    ones << at,
    ones >> at,
    (plain & 7n) << at,
    plain << at,
    plain,
    plain,
  ];
  const near = random.next(8) === 0 ? BigInt(random.next(5) - 2) : 0n;
  return BigInt.asUintN(bits, choices[random.next(choices.length)]! + near);
};

/** A biased exponent of a format, around `near`. */
const exponentNear = (random: Random, near: number, largest: number): number => {
  const bias = largest >> 1;
  switch (random.next(14)) {
    case 0: return 0;
    case 1: return largest;
    case 2: return 1 + random.next(3);
    case 3: return largest - 1 - random.next(3);
    case 4: return random.next(largest + 1);
    case 5: return bias + random.next(140) - 70;
    case 6: return bias + random.next(5) - 2;
    default: return near + random.next(9) - 4;
  }
}; // biome-ignore format: one list

const clamp = (value: number, largest: number): number => Math.max(0, Math.min(largest, value));

/** An 80-bit number with an exponent (unbiased) around `near`; sometimes an encoding that no processor produces. */
const extended = (random: Random, near: number): bigint => {
  const exponent = clamp(exponentNear(random, near + 16383, 32767), 32767);
  let significand = pattern(random, 64);
  const unusual = random.next(exponent === 0 ? 4 : 32) === 0;
  if (exponent === 0) significand = unusual ? significand | INTEGER_BIT : significand & ~INTEGER_BIT;
  else if (!unusual) significand |= INTEGER_BIT;
  return (BigInt(exponent | (random.next(2) << 15)) << 64n) | significand;
};

/** Where the exponent of a second operand is interesting, given the first: sums, products and quotients at the limits. */
const partner = (random: Random, exponent: number): number => {
  const choices = [
    -exponent - 16383 - random.next(60),
    -exponent + 16383 - random.next(4),
    exponent + 16383 - 4 + random.next(60),
    exponent - 16383 + random.next(4),
    exponent + random.next(140) - 70,
  ];
  return choices[random.next(8)] ?? exponent;
};

/** Encodings worth meeting often. */
// biome-ignore format: one list
const specials: readonly bigint[] = [
  0n, 0x8000_0000_0000_0000_0000n, ONE, 0xbfff_8000_0000_0000_0000n, 0x7fff_8000_0000_0000_0000n, 0xffff_8000_0000_0000_0000n,
  0x7fff_c000_0000_0000_0001n, 0xffff_c000_0000_0000_0000n, 0x7fff_a000_0000_0000_0000n, 0xffff_8000_0000_0000_0001n,
  0x0000_0000_0000_0000_0001n, 0x8000_7fff_ffff_ffff_ffffn, 0x0000_8000_0000_0000_0000n, 0x0001_8000_0000_0000_0000n,
  0x7ffe_ffff_ffff_ffff_ffffn, 0x3fff_0000_0000_0000_0001n, 0x7fff_0000_0000_0000_0000n, 0x4000_c90f_daa2_2168_c235n, 0x3ffe_8000_0000_0000_0000n,
];

/** Exponents of operands for functions of a narrow domain. */
// biome-ignore format: one row per fact
const domains: Readonly<Record<string, readonly [low: number, high: number]>> = {
  F2XM1: [-70, -1], FYL2X: [-40, 40], FYL2XP1: [-70, -2], FSIN: [-40, 64], FCOS: [-40, 64], FSINCOS: [-40, 64], FPTAN: [-40, 64], FPATAN: [-40, 40],
  FRNDINT: [-2, 66], FSCALE: [0, 17], FIST: [-2, 34], FISTP: [-2, 66], FISTTP: [-2, 66], FBSTP: [-2, 62], FST: [-152, 130], FSTP: [-1078, 1026],
  FICOM: [-2, 34], FICOMP: [-2, 34],
};

const registerValues = (random: Random, mnemonic: string): bigint[] => {
  const domain = domains[mnemonic];
  const [low, high] = domain && random.next(4) !== 0 ? domain : [-16400, 16400];
  const first = low + random.next(high - low + 1);
  return Array.from({ length: 8 }, (_, n) => {
    if (random.next(9) === 0) return specials[random.next(specials.length)]!;
    return extended(random, n === 0 || domain ? low + random.next(high - low + 1) : partner(random, first));
  });
};

const real = (random: Random, width: 32 | 64, near: number): bigint => {
  const [fraction, largest] = width === 32 ? [23, 255] : [52, 2047];
  const exponent = clamp(exponentNear(random, near + (largest >> 1), largest), largest);
  return (
    (BigInt(exponent | (random.next(2) * (largest + 1))) << BigInt(fraction)) | pattern(random, fraction)
  );
};

/** Packed BCD, mostly of decimal digits. */
const decimal = (random: Random): bigint => {
  let value = random.next(4) === 0 ? random.bits(80) >> 72n : BigInt(random.next(2) << 7);
  const digits = random.next(19);
  for (let digit = 0; digit < 18; digit++)
    value = (value << 4n) | BigInt(digit < digits ? 0 : random.next(random.next(60) === 0 ? 16 : 10));
  return value;
};

// ----------------------------------------------------------------------------------------------------------- states

const controlWord = (random: Random): number => {
  const masks = random.next(2) === 0 ? 0x3f : random.next(64);
  const word = masks | (random.next(4) << 8) | (random.next(4) << 10) | (random.next(8) === 0 ? 0x1000 : 0);
  return random.next(16) === 0 ? random.next(0x1_0000) : word;
};

/** Bytes of a memory operand, by row. */
const operandBytes = (random: Random, row: Row, ST0: bigint): Uint8Array => {
  const bytes = new Uint8Array(MEMORY_BYTES);
  for (let at = 0; at < MEMORY_BYTES; at++) bytes[at] = random.next(256);
  const { mnemonic } = row.semantics;
  const [operand] = row.operands;
  const width = { w: 16, d: 32, q: 64, t: 80 }[operand?.size as string] ?? 0;
  const exponent = Number((ST0 >> 64n) & 0x7fffn) - 16383;
  let value = 0n;
  if (mnemonic === "FBLD") value = decimal(random);
  else if (mnemonic === "FLDCW") value = BigInt(controlWord(random));
  else if (mnemonic.startsWith("FI")) {
    value = pattern(random, 64) >> BigInt(random.next(64));
    if (random.next(2) === 0) value = -value;
  } else if (width === 32 || width === 64)
    value = real(random, width, clamp(Math.abs(exponent), 1100) * Math.sign(exponent));
  else if (width === 80)
    value = random.next(3) === 0 ? specials[random.next(specials.length)]! : extended(random, 0);
  for (let at = 0; at < width / 8; at++) bytes[at] = Number((value >> BigInt(8 * at)) & 0xffn);
  return bytes;
};

/** An environment or save image: flags that leave something pending only now and then. */
const imageBytes = (random: Random, word: boolean): Uint8Array => {
  const bytes = new Uint8Array(MEMORY_BYTES);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < MEMORY_BYTES; at++) bytes[at] = random.next(256);
  const step = word ? 2 : 4;
  const control = controlWord(random);
  view.setUint16(0, control, true);
  view.setUint16(step, random.next(0x1_0000) & ~(random.next(3) === 0 ? 0 : ~control & 0x3f), true);
  const registers = word ? 14 : 28;
  for (let i = 0; i < 8; i++) {
    const value = random.next(2) === 0 ? specials[random.next(specials.length)]! : extended(random, 0);
    view.setBigUint64(registers + 10 * i, BigInt.asUintN(64, value), true);
    view.setUint16(registers + 10 * i + 8, Number(value >> 64n), true);
  }
  return bytes;
};

/** Registers in use: what most code has, or overflow, underflow and holes. */
const usage = (random: Random, top: number): number => {
  const rotate = (bits: number): number => ((bits << top) | (bits >> (8 - top))) & 0xff;
  switch (random.next(10)) {
    case 0: return 0xff;
    case 1: return random.next(256);
    case 2: return rotate(1);
    case 3: return rotate(random.next(4));
    default: return rotate((1 << (2 + random.next(6))) - 1);
  }
}; // biome-ignore format: one list

const stateOf = (random: Random, row: Row, word: boolean): State => {
  const FCW = controlWord(random);
  const top = random.next(8);
  const values = registerValues(random, row.semantics.mnemonic);
  if (random.next(8) === 0) values[1] = values[0]! ^ (BigInt(random.next(2)) << 79n);
  if (random.next(16) === 0) values[1] = values[0]! ^ 1n;
  const registers = Array.from({ length: 8 }, (_, number) => values[(number - top) & 7]!);
  // Sticky flags of earlier instructions; an unmasked one, which a waiting instruction reports, now and then.
  const sticky = random.next(2) === 0 ? 0 : random.next(128);
  const FSW =
    (random.next(0x1_0000) & 0x4700) | (top << 11) | (sticky & (random.next(12) === 0 ? 0x7f : FCW | 0x40));
  const image = row.operands[0]?.size === "any";
  return {
    FCW: (FCW & 0x1f3f) | 0x40,
    // FXRSTOR would derive ES and B just so.
    FSW: FSW & ~FCW & 0x3f ? FSW | 0x8080 : FSW,
    inUse: usage(random, top),
    FOP: random.next(0x800),
    FIP: random.bits(48) >> 1n,
    FDP: random.bits(48) >> 1n,
    registers,
    RAX: random.bits(64),
    RFLAGS: random.bits(16) & STATUS_FLAGS,
    memory: image ? imageBytes(random, word) : operandBytes(random, row, values[0]!),
  };
};

// ------------------------------------------------------------------------------------------------------------ cases

const seedOf = (text: string): number => {
  let seed = 0x9e37_79b9;
  for (const letter of text) seed = Math.imul(seed ^ letter.charCodeAt(0), 0x0100_0193);
  // The first numbers of nearby seeds are alike.
  return seed ^ (seed >>> 15);
};

const hex = (value: number): string => value.toString(16).toUpperCase().padStart(2, "0");

const nameOf = (row: Row, word: boolean): string => {
  const [operand] = row.operands;
  const memory = operand?.addressing === "M";
  const operands = row.operands.map(({ addressing, size, fixed }) =>
    addressing === "F"
      ? "ST(i)"
      : addressing === "M"
        ? `M${size}`
        : fixed === 0 && size === "t"
          ? "ST(0)"
          : "AX",
  );
  const modrm = memory
    ? `/${row.digit}`
    : hex(0xc0 | (row.digit! << 3) | (row.rm ?? 0)) + (row.rm === undefined ? "+i" : "");
  return `${word ? "66 " : ""}${hex(row.opcode)} ${modrm} ${row.semantics.mnemonic}${operands.length ? ` ${operands}` : ""}`;
};

const caseOf = (random: Random, row: Row, word: boolean): Case => {
  const memory = row.operands[0]?.addressing === "M";
  const i = row.rm ?? random.next(random.next(3) === 0 ? 8 : 2);
  const modrm = memory ? 3 | (row.digit! << 3) : 0xc0 | (row.digit! << 3) | i;
  const code = Uint8Array.from(word ? [0x66, row.opcode, modrm] : [row.opcode, modrm]);
  const address = memory && random.next(24) === 0 ? places.readOnly : places.memory;
  return { code, address, before: stateOf(random, row, word) };
};

/** Cases of each group in the recorded outcomes. */
export const recordedCases = 300;

/** Cases of every row; rows with images have a second group, of 16-bit ones. */
export const caseGroups = (casesPerGroup: number, seed = ""): readonly CaseGroup[] =>
  rows.flatMap((row) => {
    const forms = row.operands[0]?.size === "any" ? [false, true] : [false];
    return forms.map((word) => {
      const name = nameOf(row, word);
      const random = new Random(seedOf(name + seed));
      return { name, row, cases: Array.from({ length: casesPerGroup }, () => caseOf(random, row, word)) };
    });
  });

// --------------------------------------------------------------------------------------------------------- outcomes

/** What an instruction left: its exception, and all that is no longer as it was. */
export const outcomeText = (one: Case, after: State, fault: string | undefined): string => {
  const { before, code, address } = one;
  const parts: string[] = fault ? [`#${fault}`] : [];
  const changed = (name: string, was: number | bigint, is: number | bigint): void => {
    if (was !== is) parts.push(`${name}${is.toString(16)}`);
  };
  changed("s", before.FSW, after.FSW);
  changed("c", before.FCW, after.FCW);
  changed("u", before.inUse, after.inUse);
  if (after.FIP === BigInt(places.code)) parts.push("i");
  else changed("I", before.FIP, after.FIP);
  if (after.FDP === BigInt(address)) parts.push("d");
  else changed("D", before.FDP, after.FDP);
  const [opcode, modrm] = code.slice(-2) as unknown as [number, number];
  if (after.FOP !== before.FOP && after.FOP === (((opcode & 7) << 8) | modrm)) parts.push("o");
  else changed("O", before.FOP, after.FOP);
  changed("a", before.RAX, after.RAX);
  changed("f", before.RFLAGS, after.RFLAGS);
  for (let n = 0; n < 8; n++) changed(`${n}:`, before.registers[n]!, after.registers[n]!);
  let end = MEMORY_BYTES;
  while (end > 0 && before.memory[end - 1] === after.memory[end - 1]) end--;
  let start = 0;
  while (start < end && before.memory[start] === after.memory[start]) start++;
  const bytes = [...after.memory.subarray(start, end)].map((byte) => byte.toString(16).padStart(2, "0"));
  if (end > 0) parts.push(`m${start.toString(16)}=${bytes.join("")}`);
  return parts.join(" ");
};

/** FNV-1a, 64 bits. */
const hashOf = (text: string): string => {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const letter of text)
    hash = BigInt.asUintN(64, (hash ^ BigInt(letter.charCodeAt(0))) * 0x100_0000_01b3n);
  return hash.toString(16);
};

/** An outcome as it is recorded: a long one, which an image in memory makes, is told by its hash. */
export const recordedText = (outcome: string): string =>
  outcome.length > 90 ? `~${hashOf(outcome)}` : outcome.replaceAll("ffffc000000000000000", "q");
