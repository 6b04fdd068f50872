import { operandBits } from "../../src/isa/decode.ts";
import { encode, isRefusal } from "../../src/isa/encode.ts";
import type { DecodedOperand, Instruction } from "../../src/isa/instruction.ts";
import { rows as sse } from "../../src/isa/maps/sse.ts";
import { rows as sse3a } from "../../src/isa/maps/sse-3a.ts";
import { rows as sse38 } from "../../src/isa/maps/sse-38.ts";
import type { Operand } from "../../src/isa/operands.ts";
import type { Row } from "../../src/isa/row.ts";
import * as float from "../../src/isa/semantics/sse-float.ts";

/**
 * The cases of the SSE and MMX vectors: every row in its register and memory form, with inputs that depend on nothing but
 * the form's name, so that recorded outcomes (test/vectors/sse) need not repeat them.
 */

/** What an instruction of these rows can read and change. Unsigned patterns; the memory operand is 16 bytes at [RDI]. */
export interface State {
  XMM0: bigint;
  XMM1: bigint;
  XMM2: bigint;
  MM1: bigint;
  MM2: bigint;
  memory: bigint;
  RAX: bigint;
  RCX: bigint;
  RDX: bigint;
  MXCSR: bigint;
  /** The six status flags. */
  RFLAGS: bigint;
}

export interface Case {
  readonly instruction: Instruction;
  readonly bytes: Uint8Array;
  readonly before: State;
}

export interface CaseGroup {
  /** Opcode, mnemonic, kind and size: the key of the recorded outcomes. */
  readonly name: string;
  readonly row: Row;
  readonly cases: readonly Case[];
}

export const STATUS_FLAGS = 0x8d5n;

/** mulberry32, seeded by a text. */
class Source {
  #state: number;
  constructor(seed: string) {
    this.#state = 0x9e3779b9;
    for (const letter of seed) this.#state = Math.imul(this.#state ^ letter.charCodeAt(0), 0x01000193);
  }
  bits32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
  below(limit: number): number {
    return this.bits32() % limit;
  }
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
  bits(width: number): bigint {
    let value = 0n;
    for (let done = 0; done < width; done += 32) value = (value << 32n) | BigInt(this.bits32());
    return BigInt.asUintN(width, value);
  }
}

const lanes = (width: number, lane: number, one: () => bigint): bigint => {
  let value = 0n;
  for (let done = 0; done < width; done += lane)
    value = (value << BigInt(lane)) | BigInt.asUintN(lane, one());
  return value;
};

/** Boundary and random integer lanes of one width. */
const integerVector = (source: Source): bigint => {
  const lane = source.of([8, 8, 16, 16, 32, 64]);
  const top = 1n << BigInt(lane - 1);
  return lanes(128, lane, () =>
    source.chance(45)
      ? source.bits(lane)
      : source.of([0n, 1n, 2n, -1n, -2n, top, top - 1n, top + 1n, top >> 1n, 10n]),
  );
};

interface Shape {
  readonly width: 32 | 64;
  readonly fraction: number;
  readonly bias: number;
}
const binary32: Shape = { width: 32, fraction: 23, bias: 127 };
const binary64: Shape = { width: 64, fraction: 52, bias: 1023 };

/** One number: zeros, infinities, NaNs, denormals, limits, integers and halves, or random with a moderate exponent. */
const floatLane = (source: Source, { width, fraction, bias }: Shape): bigint => {
  const one = 1n << BigInt(fraction);
  const infinity = BigInt(2 * bias + 1) << BigInt(fraction);
  const sign = source.chance(50) ? 1n << BigInt(width - 1) : 0n;
  const power = (exponent: number): bigint => BigInt(bias + exponent) << BigInt(fraction);
  const magnitude = (): bigint => {
    switch (source.below(12)) {
      case 0:
        return 0n;
      case 1:
        return source.chance(40) ? infinity : infinity | (one >> 1n) | (source.bits(fraction) & 0xffn);
      case 2:
        return infinity | (source.bits(fraction - 1) & (one / 4n)) | 1n;
      case 3:
        return source.of([1n, one - 1n, one >> 1n, source.bits(fraction), source.bits(fraction - 9)]);
      case 4:
        return one + source.of([0n, 1n, source.bits(fraction)]);
      case 5:
        return infinity - source.of([1n, 2n, one, one + source.bits(8)]);
      case 6:
        return source.of([
          power(31),
          power(31) - 1n,
          power(30),
          power(63),
          power(63) - 1n,
          power(62),
          power(0),
          power(0) - 1n,
        ]);
      case 7:
        return power(source.below(5) - 1) | ((source.bits(4) & 7n) << BigInt(fraction - 3));
      case 8:
        return power(source.below(33)) | source.bits(fraction);
      case 9:
        return power(source.below(2 * bias) - bias + 1) | source.bits(fraction);
      default:
        return (
          power(source.below(6) - 3) |
          (source.chance(30) ? source.bits(fraction) : source.bits(10) << BigInt(fraction - 10))
        );
    }
  };
  return magnitude() | sign;
};

const floatVector = (source: Source, shape: Shape): bigint =>
  lanes(128, shape.width, () => floatLane(source, shape));

const floatSemantics = new Set<unknown>(Object.values(float));

/** The format of the operands of a floating-point instruction, by its mnemonic; undefined: integers. */
const sourceShape = (row: Row): Shape | undefined => {
  if (!floatSemantics.has(row.semantics)) return undefined;
  const name = row.semantics.mnemonic.replace(/^CVTT?(..)2.*$/, "$1");
  if (/(PI|SI|DQ)$/.test(name)) return undefined;
  return /[SP]S$/.test(name) ? binary32 : binary64;
};

const registerNumber: Partial<Record<Operand["addressing"], readonly ["xmm" | "mmx" | "general", number]>> = {
  V: ["xmm", 1],
  U: ["xmm", 2],
  W: ["xmm", 2],
  P: ["mmx", 1],
  N: ["mmx", 2],
  Q: ["mmx", 2],
  G: ["general", 1],
  E: ["general", 2],
};

const decodedOperand = (
  operand: Operand,
  kind: "register" | "memory",
  size: 32 | 64,
  immediate: bigint,
): DecodedOperand => {
  const { addressing } = operand;
  if (addressing === "I") return { kind: "immediate", value: immediate, width: 8 };
  if (addressing === "X")
    return { kind: "memory", segment: "DS", base: 6, index: undefined, scale: 1, displacement: 0n, width: 8 };
  if (addressing === "M" || (kind === "memory" && "WQE".includes(addressing))) {
    const width = operandBits(operand, size, false);
    return { kind: "memory", segment: "DS", base: 7, index: undefined, scale: 1, displacement: 0n, width };
  }
  const [file, number] = registerNumber[addressing]!;
  return { kind: "register", file, number, high: false, width: operandBits(operand, size, true) as 32 };
};

const instructionOf = (
  row: Row,
  kind: "register" | "memory",
  size: 32 | 64,
  immediate: bigint,
): Instruction => ({
  row,
  length: 0,
  operandSize: size,
  addressSize: 64,
  stackSize: 64,
  codeSize: 64,
  rep: "none",
  lock: false,
  segmentOverride: undefined,
  operands: row.operands.map((operand) => decodedOperand(operand, kind, size, immediate)),
});

const kindsOf = (row: Row): ("register" | "memory")[] => {
  const letters = row.operands.map((operand) => operand.addressing);
  if (letters.includes("M") || row.mod === "memory") return ["memory"];
  if (letters.some((letter) => "UN".includes(letter)) || !letters.some((letter) => "WQE".includes(letter)))
    return ["register"];
  return ["register", "memory"];
};

const sizesOf = (row: Row): (32 | 64)[] => {
  if (row.rexW !== undefined) return [row.rexW === 1 ? 64 : 32];
  return row.operands.some((operand) => operand.size === "y") || row.semantics.mnemonic.startsWith("PCMPESTR")
    ? [32, 64]
    : [32];
};

/** MXCSR: any rounding; usually every exception masked and no flag set. */
const mxcsr = (source: Source): bigint => {
  const masks = source.chance(65) ? 0x3f : source.below(64);
  const flags = source.chance(70) ? 0 : source.below(64);
  const zeros = (source.chance(20) ? 0x40 : 0) | (source.chance(20) ? 0x8000 : 0);
  return BigInt((source.below(4) << 13) | (masks << 7) | flags | zeros);
};

const stringVector = (source: Source): bigint =>
  source.chance(50)
    ? lanes(128, 8, () =>
        source.of([0n, 0x61n, 0x61n, 0x62n, 0x63n, 0x7an, 0x80n, 0xffn, BigInt(0x61 + source.below(5))]),
      )
    : lanes(128, 16, () =>
        source.of([0n, 0x61n, 0x62n, 0x161n, 0x8000n, 0xffffn, BigInt(0x61 + source.below(5))]),
      );

/** Two numbers that often meet: equal, of opposite sign, or one last place apart. */
const relate = (source: Source, a: bigint, b: bigint, shape: Shape): bigint => {
  const sign = lanes(128, shape.width, () => 1n << BigInt(shape.width - 1));
  switch (source.below(6)) {
    case 0:
      return a;
    case 1:
      return a ^ sign;
    case 2:
      return lanes(128, shape.width, () => 1n) ^ a;
    default:
      return b;
  }
};

const stateFor = (row: Row, source: Source): State => {
  const shape = sourceShape(row);
  const isString = row.semantics.mnemonic.startsWith("PCMP") && row.semantics.mnemonic.includes("STR");
  const one = (): bigint =>
    isString ? stringVector(source) : shape ? floatVector(source, shape) : integerVector(source);
  const XMM1 = one();
  const meet = (other: bigint): bigint => (shape ? relate(source, XMM1, other, shape) : other);
  const XMM2 = meet(one());
  const memory = meet(one());
  const small = (): bigint => (source.chance(50) ? BigInt(source.below(80)) : source.bits(64));
  const count = !shape && /^PS(LL|RL|RA)/.test(row.semantics.mnemonic) && source.chance(75);
  const withCount = (value: bigint): bigint =>
    count ? ((value >> 64n) << 64n) | BigInt(source.below(80)) : value;
  const length = (): bigint =>
    isString && source.chance(80) ? BigInt.asUintN(64, BigInt(source.below(40) - 20)) : small();
  return {
    XMM0: integerVector(source),
    XMM1,
    XMM2: withCount(XMM2),
    MM1: BigInt.asUintN(64, one()),
    MM2: BigInt.asUintN(64, withCount(one())),
    memory:
      row.semantics.mnemonic === "LDMXCSR"
        ? memory & (source.chance(50) ? 0xffffn : 0x1ffffn)
        : withCount(memory),
    RAX: length(),
    RCX: small(),
    RDX: length(),
    MXCSR: shape || /^CVT/.test(row.semantics.mnemonic) ? mxcsr(source) : 0x1f80n,
    RFLAGS: BigInt(source.bits32()) & STATUS_FLAGS,
  };
};

const groupOf = (row: Row, kind: "register" | "memory", size: 32 | 64): CaseGroup => {
  const hex = (byte: number): string => byte.toString(16).padStart(2, "0");
  const prefix = typeof row.prefix === "number" ? `${hex(row.prefix)} ` : "";
  const digit = row.digit === undefined ? "" : `/${row.digit}`;
  const operands = row.operands.map((operand) => operand.addressing + operand.size).join();
  const name = `${prefix}${row.map} ${hex(row.opcode)}${digit} ${row.semantics.mnemonic} ${operands} ${kind} ${size}`;
  const source = new Source(name);
  const immediate = row.operands.some((operand) => operand.addressing === "I");
  const wide = immediate || floatSemantics.has(row.semantics);
  const count =
    kind === "memory" && row.operands.every((operand) => operand.addressing !== "M") ? 6 : wide ? 32 : 16;
  const cases = Array.from({ length: count }, (): Case => {
    const imm8 = BigInt(source.chance(50) ? source.below(256) : source.below(20));
    const instruction = instructionOf(row, kind, size, imm8);
    const bytes = encode(instruction);
    if (isRefusal(bytes)) throw new Error(`${name}: ${bytes.reason}`);
    return { instruction, bytes, before: stateFor(row, source) };
  });
  return { name, row, cases };
};

/** Every row in every form. */
export const caseGroups = (): CaseGroup[] =>
  [...sse, ...sse38, ...sse3a].flatMap((row) =>
    kindsOf(row).flatMap((kind) => sizesOf(row).map((size) => groupOf(row, kind, size))),
  );

const letters: Record<keyof State, string> = {
  XMM0: "a",
  XMM1: "b",
  XMM2: "c",
  MM1: "d",
  MM2: "e",
  memory: "m",
  RAX: "r",
  RCX: "s",
  RDX: "t",
  MXCSR: "x",
  RFLAGS: "f",
};

/**
 * An outcome in one word: what changed (a letter and hexadecimal digits each), `!` and the exception, `T` and the
 * abridged tag word when the x87 registers became MMX registers.
 */
export const outcomeText = (
  before: State,
  after: State,
  exception: string | undefined,
  tags: number | undefined,
): string => {
  const changed = (Object.keys(letters) as (keyof State)[])
    .filter((field) => before[field] !== after[field])
    .map((field) => `${letters[field]}${after[field].toString(16)}`);
  if (tags !== undefined) changed.push(`T${tags.toString(16)}`);
  if (exception !== undefined) changed.push(`!${exception}`);
  return changed.join(" ") || "-";
};
