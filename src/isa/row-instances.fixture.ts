/** Encodings of every row, made from a seed: what the tests of encode, disassemble and the assembler go through. */
import type { Width } from "../ir/value.ts";
import { operandBits, operandPlaces, sharedRegister } from "./decode.ts";
import { encode, isRefusal } from "./encode.ts";
import type { DecodedOperand, MemoryOperand } from "./instruction.ts";
import type { Operand } from "./operands.ts";
import type { Row } from "./row.ts";

/** Marsaglia's xorshift: the same numbers everywhere. `next(n)` is below n. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 1;
  }
  next(limit: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % limit;
  }
  bits(width: number): bigint {
    let value = 0n;
    for (let at = 0; at < width; at += 16) value = (value << 16n) | BigInt(this.next(0x10000));
    return BigInt.asUintN(width, value);
  }
}

export interface RowInstance {
  readonly row: Row;
  readonly codeSize: 16 | 32 | 64;
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  readonly operands: readonly DecodedOperand[];
  readonly bytes: Uint8Array;
}

const pick = <T>(random: Random, list: readonly T[]): T => list[random.next(list.length)]!;

const immediate = (random: Random, bits: number, width: number): bigint => {
  const value = pick(random, [0n, 1n, 0x7fn, 0x80n, -1n, random.bits(bits)]);
  return BigInt.asUintN(width, BigInt.asIntN(bits, value));
};

/** Base and index of SDM Vol. 2, Table 2-1. */
// biome-ignore format: one list
const pairs16: readonly (readonly [number | undefined, number | undefined])[] = [
  [3, 6], [3, 7], [5, 6], [5, 7], [6, undefined], [7, undefined], [5, undefined], [3, undefined], [undefined, undefined],
];

const memory = (random: Random, addressSize: 16 | 32 | 64, long: boolean, width: number): MemoryOperand => {
  const displacement = BigInt.asIntN(
    Math.min(32, addressSize),
    pick(random, [0n, 0n, 1n, -1n, 0x7fn, -0x80n, 0x80n, random.bits(32)]),
  );
  const parts = (
    base: MemoryOperand["base"],
    index: number | undefined,
    scale: 1 | 2 | 4 | 8,
  ): MemoryOperand => {
    const segment = base === 5 || (base === 4 && addressSize !== 16) ? "SS" : "DS";
    return { kind: "memory", segment, base, index, scale, displacement, width };
  };
  if (addressSize === 16) {
    const [base, index] = pick(random, pairs16);
    return parts(base, index, 1);
  }
  const registers = long ? 16 : 8;
  const shape = random.next(long ? 5 : 4);
  if (shape === 0) return parts(undefined, undefined, 1);
  if (shape === 4) return parts("RIP", undefined, 1);
  const base = shape === 3 ? undefined : random.next(registers);
  if (shape === 1) return parts(base, undefined, 1);
  const index = random.next(registers);
  return parts(base, index === 4 ? 5 : index, pick(random, [1, 2, 4, 8]));
};

const make = (
  form: Operand,
  row: Row,
  random: Random,
  wantsMemory: boolean,
  sizes: { codeSize: 16 | 32 | 64; operandSize: 16 | 32 | 64; addressSize: 16 | 32 | 64 },
): DecodedOperand => {
  const { codeSize, operandSize, addressSize } = sizes;
  const { place, file } = operandPlaces(form);
  const bits = operandBits(form, operandSize, true) as Width;
  const memoryBits = form.size === "s" ? (codeSize === 64 ? 80 : 48) : operandBits(form, operandSize, false);
  const long = codeSize === 64;
  const register = (): DecodedOperand => {
    if (file === "segment") return sharedRegister(file, pick(random, [0, 2, 3, 4, 5]), bits);
    if (file === "control") return sharedRegister(file, row.digit ?? pick(random, [0, 3, 4]), bits);
    if (file === "general" && bits === 8 && random.next(4) === 0)
      return sharedRegister(file, random.next(4), 8, true);
    const wide = (file === "general" || file === "xmm") && long;
    const low = file === "general" && bits === 8 && !long ? 4 : 8;
    return sharedRegister(file, random.next(wide ? 16 : low), bits);
  };
  switch (place) {
    case "rm":
      return wantsMemory ? memory(random, addressSize, long, memoryBits) : register();
    case "memory":
      return memory(random, addressSize, long, memoryBits);
    case "reg":
    case "vvvv":
      return register();
    case "opcode":
      return sharedRegister(file, (row.opcode & 7) | (long && random.next(2) === 1 ? 8 : 0), bits);
    case "immediate": {
      const width = form.signExtended ? operandSize : memoryBits;
      return { kind: "immediate", value: immediate(random, memoryBits, width), width: width as Width };
    }
    case "relative":
      return { kind: "immediate", value: immediate(random, memoryBits, operandSize), width: operandSize };
    case "moffs":
      return {
        kind: "memory",
        segment: "DS",
        base: undefined,
        index: undefined,
        scale: 1,
        displacement: random.bits(addressSize),
        width: memoryBits,
      };
    case "far":
      return {
        kind: "far",
        selector: random.next(0x10000),
        offset: Number(random.bits(Math.min(32, operandSize))),
      };
    case "source":
      return {
        kind: "memory",
        segment: "DS",
        base: 6,
        index: undefined,
        scale: 1,
        displacement: 0n,
        width: memoryBits,
      };
    case "destination":
      return {
        kind: "memory",
        segment: "ES",
        base: 7,
        index: undefined,
        scale: 1,
        displacement: 0n,
        width: memoryBits,
      };
    case "fixed":
      return sharedRegister(file, form.fixed as number, bits);
    case "one":
      return { kind: "immediate", value: 1n, width: 8 };
  }
};

/** Instances of a row in code of one size: every operand size and address size, registers and memory where the row has both. */
export function* instancesOf(row: Row, codeSize: 16 | 32 | 64, random: Random): Generator<RowInstance> {
  const places = row.operands.map((form) => operandPlaces(form).place);
  const hasEither = places.includes("rm");
  const hasMemory = places.some((place) => ["memory", "moffs", "source", "destination"].includes(place));
  const addressSizes = codeSize === 64 ? ([64, 32] as const) : ([16, 32] as const);
  for (const operandSize of codeSize === 64 ? ([16, 32, 64] as const) : ([16, 32] as const))
    for (const wantsMemory of hasEither ? [false, true] : [hasMemory])
      for (const addressSize of wantsMemory ? addressSizes : [codeSize]) {
        const sizes = { codeSize, operandSize, addressSize };
        // A high byte register and REX may meet: a few tries.
        for (let attempt = 0; attempt < 4; attempt++) {
          const operands = row.operands.map((form) => make(form, row, random, wantsMemory, sizes));
          const bytes = encode({ row, ...sizes, operands });
          if (isRefusal(bytes)) continue;
          yield { row, ...sizes, operands, bytes };
          break;
        }
      }
}
