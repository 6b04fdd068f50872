import type { Frame } from "../../ir/frame.ts";
import { defineIntrinsic } from "../../ir/intrinsics.ts";
import { constant, intrinsic, type Value } from "../../ir/value.ts";
import { defineWith, type Semantics } from "../define.ts";
import { bytesOf, valueIn } from "./vector-bytes.ts";

/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: SDM Vol. 1 and 2, "Imm8 Control Byte Operation for PCMPESTRI / PCMPESTRM /
 * PCMPISTRI / PCMPISTRM", whose names (IntRes1, IntRes2) this file keeps.
 */

/** What imm8 says: [0] words, [1] signed, [3:2] aggregation, [5:4] polarity, [6] which index or which mask. */
interface Control {
  readonly count: 8 | 16;
  readonly element: (bytes: Uint8Array, index: number) => number;
  readonly aggregation: number;
  readonly polarity: number;
}

// biome-ignore format: one row per source format
const elements: readonly Control["element"][] = [
  (bytes, i) => bytes[i]!,
  (bytes, i) => bytes[2 * i]! | (bytes[2 * i + 1]! << 8),
  (bytes, i) => (bytes[i]! << 24) >> 24,
  (bytes, i) => ((bytes[2 * i]! << 16) | (bytes[2 * i + 1]! << 24)) >> 16,
];

const controlOf = (imm8: bigint): Control => {
  const bits = Number(imm8);
  return {
    count: bits & 1 ? 8 : 16,
    element: elements[bits & 3]!,
    aggregation: (bits >> 2) & 3,
    polarity: (bits >> 4) & 3,
  };
};

const firstNull = (bytes: Uint8Array, { count, element }: Control): number => {
  let index = 0;
  while (index < count && element(bytes, index) !== 0) index++;
  return index;
};

/** The number of valid elements that EAX or EDX (sign-extended to 64 bits) gives: its magnitude, at most `count`. */
const explicitLength = (register: bigint, { count }: Control): number => {
  const value = BigInt.asIntN(64, register);
  const magnitude = value < 0n ? -value : value;
  return magnitude > BigInt(count) ? count : Number(magnitude);
};

/** IntRes1: per element of b, whether the aggregation holds; invalid elements as in "Valid/Invalid Override of Comparisons". */
const aggregate = (
  a: Uint8Array,
  validA: number,
  b: Uint8Array,
  validB: number,
  control: Control,
): number => {
  const { count, element, aggregation } = control;
  let result = 0;
  for (let j = 0; j < count; j++) {
    let holds = false;
    switch (aggregation) {
      case 0: // equal any
        for (let i = 0; i < validA && j < validB; i++) holds ||= element(a, i) === element(b, j);
        break;
      case 1: // ranges
        for (let i = 0; i + 1 < validA && j < validB; i += 2)
          holds ||= element(a, i) <= element(b, j) && element(b, j) <= element(a, i + 1);
        break;
      case 2: // equal each
        holds = j < validA && j < validB ? element(a, j) === element(b, j) : j >= validA && j >= validB;
        break;
      case 3: // equal ordered
        holds = true;
        for (let i = 0; i < validA && i + j < count; i++)
          holds &&= i + j < validB && element(a, i) === element(b, i + j);
        break;
    }
    if (holds) result |= 1 << j;
  }
  return result;
};

/** Bits of the result of the two comparison intrinsics: IntRes2 in 15:0, the least and the most significant index, flags. */
const Result = { leastIndex: 16, mostIndex: 24, CF: 32, ZF: 33, SF: 34, OF: 35 } as const;

const compare = (a: Uint8Array, validA: number, b: Uint8Array, validB: number, control: Control): bigint => {
  const { count, polarity } = control;
  const all = (1 << count) - 1;
  const inverted = polarity === 1 ? all : polarity === 3 ? (1 << validB) - 1 : 0;
  const intRes2 = aggregate(a, validA, b, validB, control) ^ inverted;
  const least = intRes2 === 0 ? count : 31 - Math.clz32(intRes2 & -intRes2);
  const most = intRes2 === 0 ? count : 31 - Math.clz32(intRes2);
  const flag = (holds: boolean, bit: number): bigint => (holds ? 1n << BigInt(bit) : 0n);
  return (
    BigInt(intRes2) |
    (BigInt(least) << BigInt(Result.leastIndex)) |
    (BigInt(most) << BigInt(Result.mostIndex)) |
    flag(intRes2 !== 0, Result.CF) |
    flag(validB < count, Result.ZF) |
    flag(validA < count, Result.SF) |
    flag((intRes2 & 1) === 1, Result.OF)
  );
};

defineIntrinsic("compareImplicitStrings", 64, (a, b, imm8) => {
  const control = controlOf(imm8!);
  const first = bytesOf(a!, 0);
  const second = bytesOf(b!, 1);
  return compare(first, firstNull(first, control), second, firstNull(second, control), control);
});

defineIntrinsic("compareExplicitStrings", 64, (a, b, imm8, lengthA, lengthB) => {
  const control = controlOf(imm8!);
  return compare(
    bytesOf(a!, 0),
    explicitLength(lengthA!, control),
    bytesOf(b!, 1),
    explicitLength(lengthB!, control),
    control,
  );
});

/** The mask of PCMPxSTRM: IntRes2 zero-extended, or with imm8[6] every bit widened to its element. */
defineIntrinsic("expandStringMask", 128, (intRes2, imm8) => {
  if ((imm8! & 0x40n) === 0n) return intRes2!;
  const { count } = controlOf(imm8!);
  const mask = bytesOf(0n, 2);
  for (let i = 0; i < 16; i++) mask[i] = (intRes2! >> BigInt(count === 16 ? i : i >> 1)) & 1n ? 0xff : 0;
  return valueIn(2);
});

/** The length register as 64 bits: RAX or RDX with REX.W, else EAX or EDX. */
const length = (frame: Frame, name: "RAX" | "RDX"): Value =>
  frame.register(name, frame.operandSize === 64 ? 64 : 32).signExtend(64);

const stringCompare = (
  mnemonic: string,
  strings: "implicit" | "explicit",
  result: "index" | "mask",
): Semantics =>
  defineWith(mnemonic, (frame, a, b, imm8) => {
    const compared =
      strings === "implicit"
        ? intrinsic("compareImplicitStrings", 64, [a!, b!, imm8!])
        : intrinsic("compareExplicitStrings", 64, [
            a!,
            b!,
            imm8!,
            length(frame, "RAX"),
            length(frame, "RDX"),
          ]);
    if (result === "mask") {
      frame.set("XMM0", intrinsic("expandStringMask", 128, [compared.truncate(16), imm8!]));
    } else {
      const most = imm8!.bit(6).zeroExtend(8).shl(3); // the two indices are 8 bits apart
      frame.set("RCX", compared.shr(most.add(Result.leastIndex)).and(0x1f).truncate(32));
    }
    const zero = constant(0, 1);
    frame.flags({
      CF: compared.bit(Result.CF),
      ZF: compared.bit(Result.ZF),
      SF: compared.bit(Result.SF),
      OF: compared.bit(Result.OF),
      AF: zero,
      PF: zero,
    });
  });

export const PCMPESTRI = stringCompare("PCMPESTRI", "explicit", "index");
export const PCMPESTRM = stringCompare("PCMPESTRM", "explicit", "mask");
export const PCMPISTRI = stringCompare("PCMPISTRI", "implicit", "index");
export const PCMPISTRM = stringCompare("PCMPISTRM", "implicit", "mask");
