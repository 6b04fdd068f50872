import type { Frame } from "../../ir/frame.ts";
import { defineIntrinsic, defineIntrinsicInPlace } from "../../ir/intrinsics.ts";
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
  readonly signed: boolean;
  readonly aggregation: number;
  readonly polarity: number;
}

const controls: readonly Control[] = Array.from({ length: 64 }, (_, bits) => ({
  count: bits & 1 ? 8 : 16,
  signed: (bits & 2) !== 0,
  aggregation: (bits >> 2) & 3,
  polarity: (bits >> 4) & 3,
}));
const controlOf = (imm8: number): Control => controls[imm8 & 63]!;

/** The elements of both operands. The arrays are reused: string functions of C libraries come here again and again. */
const elements = [new Int32Array(16), new Int32Array(16)] as const;

/** The operand whose 16 bytes are at an offset, as elements. */
const elementsOf = (slot: 0 | 1, view: DataView, at: number, { count, signed }: Control): Int32Array => {
  const list = elements[slot];
  for (let n = 0; n < count; n++)
    if (count === 16) list[n] = signed ? view.getInt8(at + n) : view.getUint8(at + n);
    else list[n] = signed ? view.getInt16(at + 2 * n, true) : view.getUint16(at + 2 * n, true);
  return list;
};

const firstNull = (list: Int32Array, { count }: Control): number => {
  let index = 0;
  while (index < count && list[index] !== 0) index++;
  return index;
};

/** IntRes1: per element of b, whether the aggregation holds; invalid elements as in "Valid/Invalid Override of Comparisons". */
const aggregate = (
  a: Int32Array,
  validA: number,
  b: Int32Array,
  validB: number,
  { count, aggregation }: Control,
): number => {
  let result = 0;
  for (let j = 0; j < count; j++) {
    let holds = false;
    switch (aggregation) {
      case 0: // equal any
        for (let i = 0; i < validA && j < validB && !holds; i++) holds = a[i] === b[j];
        break;
      case 1: // ranges
        for (let i = 0; i + 1 < validA && j < validB && !holds; i += 2)
          holds = a[i]! <= b[j]! && b[j]! <= a[i + 1]!;
        break;
      case 2: // equal each
        holds = j < validA && j < validB ? a[j] === b[j] : j >= validA && j >= validB;
        break;
      case 3: // equal ordered
        holds = true;
        for (let i = 0; i < validA && i + j < count && holds; i++)
          holds = i + j < validB && a[i] === b[i + j];
        break;
    }
    if (holds) result |= 1 << j;
  }
  return result;
};

/** Bits of the result of the two comparison intrinsics: IntRes2 in 15:0, the least and the most significant index, flags. */
const Result = { leastIndex: 16, mostIndex: 24, CF: 32, ZF: 33, SF: 34, OF: 35 } as const;

/** Writes the result, 64 bits, to an offset. */
const compare = (
  a: Int32Array,
  validA: number,
  b: Int32Array,
  validB: number,
  control: Control,
  view: DataView,
  at: number,
): void => {
  const { count, polarity } = control;
  const all = (1 << count) - 1;
  const inverted = polarity === 1 ? all : polarity === 3 ? (1 << validB) - 1 : 0;
  const intRes2 = aggregate(a, validA, b, validB, control) ^ inverted;
  const least = intRes2 === 0 ? count : 31 - Math.clz32(intRes2 & -intRes2);
  const most = intRes2 === 0 ? count : 31 - Math.clz32(intRes2);
  view.setUint32(at, intRes2 | (least << Result.leastIndex) | (most << Result.mostIndex), true);
  const flag = (holds: boolean, bit: number): number => (holds ? 1 << (bit - 32) : 0);
  view.setUint32(
    at + 4,
    flag(intRes2 !== 0, Result.CF) |
      flag(validB < count, Result.ZF) |
      flag(validA < count, Result.SF) |
      flag((intRes2 & 1) === 1, Result.OF),
    true,
  );
};

defineIntrinsicInPlace("compareImplicitStrings", [128, 128, 8], 64, (view, at) => {
  const control = controlOf(view.getUint8(at + 32));
  const a = elementsOf(0, view, at, control);
  const b = elementsOf(1, view, at + 16, control);
  compare(a, firstNull(a, control), b, firstNull(b, control), control, view, at);
});

/** The number of valid elements that EAX or EDX (sign-extended to 64 bits) gives: its magnitude, at most `count`. */
const explicitLength = (view: DataView, at: number, { count }: Control): number => {
  const value = view.getBigInt64(at, true);
  const magnitude = value < 0n ? -value : value;
  return magnitude > BigInt(count) ? count : Number(magnitude);
};

defineIntrinsicInPlace("compareExplicitStrings", [128, 128, 8, 64, 64], 64, (view, at) => {
  const control = controlOf(view.getUint8(at + 32));
  const a = elementsOf(0, view, at, control);
  const b = elementsOf(1, view, at + 16, control);
  const validA = explicitLength(view, at + 48, control);
  const validB = explicitLength(view, at + 64, control);
  compare(a, validA, b, validB, control, view, at);
});

/** The mask of PCMPxSTRM: IntRes2 zero-extended, or with imm8[6] every bit widened to its element. */
defineIntrinsic("expandStringMask", 128, (intRes2, imm8) => {
  if ((imm8! & 0x40n) === 0n) return intRes2!;
  const { count } = controlOf(Number(imm8!));
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
