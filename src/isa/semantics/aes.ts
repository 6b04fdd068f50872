import { defineIntrinsic } from "../../ir/intrinsics.ts";
import { intrinsic, type Value } from "../../ir/value.ts";
import { define, type Semantics } from "../define.ts";
import { bytesOf, valueIn } from "./vector-bytes.ts";

/** AES-NI (SDM Vol. 1, "Programming with Intel AES-NI"; FIPS 197). Byte i of the state is row i mod 4, column i / 4. */

/** Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1. */
const timesX = (a: number): number => ((a << 1) ^ (a & 0x80 ? 0x11b : 0)) & 0xff;

const product = (a: number, b: number): number => {
  let sum = 0;
  for (let power = a, bits = b; bits !== 0; bits >>= 1, power = timesX(power)) if (bits & 1) sum ^= power;
  return sum;
};

/** FIPS 197, "SubBytes()": the inverse in GF(2^8) (0 for 0), then an affine transformation. */
const subByte = new Uint8Array(256);
const inverseSubByte = new Uint8Array(256);
for (let a = 0; a < 256; a++) {
  let power = a; // a, a^3, a^7 ... a^127, then a^254, the inverse
  for (let i = 0; i < 6; i++) power = product(product(power, power), a);
  const inverse = product(power, power);
  const twice = inverse * 0x101; // a right shift by 8 - n rotates the byte left by n
  const affine = (inverse ^ (twice >> 7) ^ (twice >> 6) ^ (twice >> 5) ^ (twice >> 4) ^ 0x63) & 0xff;
  subByte[a] = affine;
  inverseSubByte[affine] = a;
}

/** The first row of the circulant matrix that multiplies every column, each factor as a table of its products. */
type Matrix = readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
const matrix = (...factors: readonly [number, number, number, number]): Matrix =>
  factors.map((factor) =>
    Uint8Array.from({ length: 256 }, (_, a) => product(a, factor)),
  ) as unknown as Matrix;
/** FIPS 197, "MixColumns()" and "InvMixColumns()". */
const mix = matrix(2, 3, 1, 1);
const inverseMix = matrix(14, 11, 13, 9);

const mixColumns = ([f0, f1, f2, f3]: Matrix, from: Uint8Array, to: Uint8Array): void => {
  for (let i = 0; i < 16; i++) {
    const column = i & 12;
    const down = (rows: number): number => from[column | ((i + rows) & 3)]!;
    to[i] = f0[down(0)]! ^ f1[down(1)]! ^ f2[down(2)]! ^ f3[down(3)]!;
  }
};

/** One round: rows shifted (by `columns` for each row number), bytes substituted, columns mixed, the round key added. */
const round =
  (box: Uint8Array, columns: 1 | -1, mixing: Matrix | undefined) =>
  (value: bigint, key: bigint): bigint => {
    const state = bytesOf(value, 0);
    const moved = bytesOf(0n, 1);
    for (let i = 0; i < 16; i++) moved[i] = box[state[(i + 4 * columns * (i & 3)) & 15]!]!;
    if (mixing) mixColumns(mixing, moved, state);
    return valueIn(mixing ? 0 : 1) ^ key;
  };

const keyAssist = (value: bigint, constant: bigint): bigint => {
  const words = [value >> 32n, value >> 96n].map((word) => {
    const bytes = [0n, 8n, 16n, 24n].map((shift) => BigInt(subByte[Number((word >> shift) & 0xffn)]!));
    return bytes[0]! | (bytes[1]! << 8n) | (bytes[2]! << 16n) | (bytes[3]! << 24n);
  });
  const rotated = words.map((word) => ((word >> 8n) | ((word & 0xffn) << 24n)) ^ (constant & 0xffn));
  return words[0]! | (rotated[0]! << 32n) | (words[1]! << 64n) | (rotated[1]! << 96n);
};

const inverseMixColumns = (value: bigint): bigint => {
  mixColumns(inverseMix, bytesOf(value, 0), bytesOf(0n, 1));
  return valueIn(1);
};

/** The instruction whose DEST is an intrinsic of its operands. */
const aes = (
  mnemonic: string,
  compute: (...args: bigint[]) => bigint,
  reads: (operands: Value[]) => Value[],
): Semantics => {
  const { name } = defineIntrinsic(mnemonic.toLowerCase(), 128, compute);
  return define(mnemonic, (...operands) => ({ dest: intrinsic(name, 128, reads(operands)) }));
};
const stateAndKey = ([dest, src]: Value[]): Value[] => [dest!, src!];

export const AESENC = aes("AESENC", round(subByte, 1, mix), stateAndKey);
export const AESENCLAST = aes("AESENCLAST", round(subByte, 1, undefined), stateAndKey);
export const AESDEC = aes("AESDEC", round(inverseSubByte, -1, inverseMix), stateAndKey);
export const AESDECLAST = aes("AESDECLAST", round(inverseSubByte, -1, undefined), stateAndKey);
export const AESIMC = aes("AESIMC", inverseMixColumns, ([, src]) => [src!]);
export const AESKEYGENASSIST = aes("AESKEYGENASSIST", keyAssist, ([, src, constant]) => [src!, constant!]);
