/** Bit and byte instructions: SDM Vol. 1, "Bit and Byte Instructions"; BMI1 and BMI2. */
import type { Flags } from "../../ir/effects.ts";
import { constant, FALSE, select, type Value } from "../../ir/value.ts";
import { define, defineWith } from "../define.ts";
import { logicFlags, parity } from "./status.ts";

type Change = (dest: Value, selected: Value) => Value;

/**
 * BT, BTS, BTR, BTC. A register bit offset with a memory operand reaches any bit string: the byte address moves by the
 * signed offset (SDM Vol. 2, BT). Only CF changes; OF, SF, AF and PF are undefined and Intel CPUs keep them.
 */
const bitTest = (mnemonic: string, change?: Change) =>
  defineWith(mnemonic, (frame, dest, offset) => {
    const width = dest!.width;
    const n = offset!.and(width - 1);
    const selected = dest!.from(1).shl(n);
    if (frame.isMemory(dest!) && frame.form.operands[1]!.kind === "register") {
      const shift = width === 16 ? 4 : width === 32 ? 5 : 6;
      const words = offset!.sar(shift).signExtend(64);
      const address = frame
        .address(dest!)
        .add(words.mul(width / 8))
        .truncate(frame.addressSize);
      const bits = frame.load(frame.segment(dest!), address, width, change !== undefined);
      if (change) frame.store(frame.segment(dest!), address, change(bits, selected));
      frame.flags({ CF: bits.bit(n) });
    } else {
      if (change) frame.write(dest!, change(dest!, selected));
      frame.flags({ CF: dest!.bit(n) });
    }
  });
export const BT = bitTest("BT");
export const BTS = bitTest("BTS", (dest, selected) => dest.or(selected));
export const BTR = bitTest("BTR", (dest, selected) => dest.and(selected.not()));
export const BTC = bitTest("BTC", (dest, selected) => dest.xor(selected));

/**
 * BSF, BSR: the number of the lowest or highest set bit; a zero source leaves DEST alone, as Intel CPUs do. PF, undefined, is
 * that of the number (set for a zero source).
 */
const bitScan = (mnemonic: string, position: (src: Value) => Value) =>
  defineWith(mnemonic, (frame, dest, src) => {
    const isZero = src!.isZero();
    // Alone means bits 63:32 too.
    if (dest!.width === 32)
      frame.writeWhole(dest!, select(isZero, frame.whole(dest!), position(src!).zeroExtend(64)));
    else frame.write(dest!, select(isZero, dest!, position(src!)));
    const PF = isZero.or(parity(position(src!)));
    frame.flags({ ZF: isZero, PF, CF: FALSE, OF: FALSE, SF: FALSE, AF: FALSE });
  });
export const BSF = bitScan("BSF", (src) => src.ctz());
export const BSR = bitScan("BSR", (src) => src.from(src.width - 1).sub(src.clz()));

const zeroCount = (mnemonic: string, count: (src: Value) => Value) =>
  define(mnemonic, (_dest, src) => ({
    dest: count(src!),
    flags: { CF: src!.isZero(), ZF: count(src!).isZero(), OF: FALSE, SF: FALSE, AF: FALSE, PF: FALSE },
  }));
export const TZCNT = zeroCount("TZCNT", (src) => src.ctz());
export const LZCNT = zeroCount("LZCNT", (src) => src.clz());

export const POPCNT = define("POPCNT", (_dest, src) => ({
  dest: src!.popcnt(),
  flags: { ZF: src!.isZero(), CF: FALSE, OF: FALSE, SF: FALSE, AF: FALSE, PF: FALSE },
}));

/** BSWAP of 16 bits is undefined; Intel CPUs give 0. */
export const BSWAP = define("BSWAP", (dest) => ({ dest: dest.width === 16 ? dest.from(0) : dest.bswap() }));

/** BMI1 and BMI2: AF and PF are undefined; Intel CPUs clear both. */
const bitFieldFlags = (result: Value): Flags => ({ ...logicFlags(result), PF: FALSE });

export const ANDN = define("ANDN", (_dest, inverted, src) => {
  const result = inverted!.not().and(src!);
  return { dest: result, flags: bitFieldFlags(result) };
});

/** BEXTR: `length` (control bits 15:8) bits of SRC from `start` (bits 7:0). */
export const BEXTR = define("BEXTR", (_dest, src, control) => {
  const field = src!.from(1).shl(control!.extract(8, 8)).sub(1);
  const result = src!.shr(control!.extract(0, 8)).and(field);
  return { dest: result, flags: { ...bitFieldFlags(result), SF: FALSE } };
});

export const BLSI = define("BLSI", (_dest, src) => {
  const result = src!.neg().and(src!);
  return { dest: result, flags: { ...bitFieldFlags(result), CF: src!.isZero().not() } };
});

export const BLSMSK = define("BLSMSK", (_dest, src) => {
  const result = src!.sub(1).xor(src!);
  return { dest: result, flags: { ...bitFieldFlags(result), CF: src!.isZero() } };
});

export const BLSR = define("BLSR", (_dest, src) => {
  const result = src!.sub(1).and(src!);
  return { dest: result, flags: { ...bitFieldFlags(result), CF: src!.isZero() } };
});

/** BZHI: clear the bits from the index (its low byte) up; CF says the index is beyond the operand. */
export const BZHI = define("BZHI", (_dest, src, index) => {
  const n = index!.truncate(8);
  const result = src!.and(src!.from(1).shl(n).sub(1));
  return { dest: result, flags: { ...bitFieldFlags(result), CF: n.from(src!.width - 1).below(n) } };
});

/**
 * The moves of a parallel bit extract, in log2(width) steps: mask bits that travel 1, 2, 4 ... places in each step
 * (Hacker's Delight, "Compress, or Generalized Extract").
 */
const compressMoves = (mask: Value): Value[] => {
  const moves: Value[] = [];
  let left = mask;
  let zerosBelow = mask.not().shl(1);
  for (let step = 1; step < mask.width; step *= 2) {
    let odd = zerosBelow;
    for (let n = 1; n < mask.width; n *= 2) odd = odd.xor(odd.shl(n));
    const move = odd.and(left);
    left = left.xor(move).or(move.shr(step));
    zerosBelow = zerosBelow.and(odd.not());
    moves.push(move);
  }
  return moves;
};

/** PEXT: gather the bits of SRC that MASK selects at the bottom. */
export const PEXT = define("PEXT", (_dest, src, mask) => {
  let result = src!.and(mask!);
  compressMoves(mask!).forEach((move, step) => {
    const moved = result.and(move);
    result = result.xor(moved).or(moved.shr(1 << step));
  });
  return { dest: result };
});

/** PDEP: spread the low bits of SRC over the places that MASK selects. */
export const PDEP = define("PDEP", (_dest, src, mask) => {
  let result = src!;
  const moves = compressMoves(mask!);
  for (let step = moves.length - 1; step >= 0; step--) {
    const move = moves[step]!;
    result = result.and(move.not()).or(result.shl(1 << step).and(move));
  }
  return { dest: result.and(mask!) };
});

/** CRC32: accumulate SRC into a CRC with the polynomial 11EDC6F41H, bit-reflected; 64-bit DEST is zero-extended. */
export const CRC32 = define("CRC32", (dest, src) => {
  let crc = dest.truncate(32);
  const reflectedPolynomial = constant(0x82f6_3b78, 32);
  for (let low = 0; low < src!.width; low += 32) {
    const bits = Math.min(32, src!.width - low);
    crc = crc.xor(src!.shr(low).resize(32));
    for (let n = 0; n < bits; n++) crc = crc.shr(1).xor(crc.bit(0).signExtend(32).and(reflectedPolynomial));
  }
  return { dest: crc.zeroExtend(dest.width) };
});
