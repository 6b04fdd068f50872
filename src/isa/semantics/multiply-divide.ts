/** Multiplication and division: SDM Vol. 1, "Multiply and Divide Instructions". */
import { Exception } from "../../arch/exceptions.ts";
import type { Flags } from "../../ir/effects.ts";
import type { Frame } from "../../ir/frame.ts";
import { concat, FALSE, select, type Value, type Width } from "../../ir/value.ts";
import { define, defineWith } from "../define.ts";
import { asMask, asNumber, parity } from "./status.ts";

/** CF = OF: the product does not fit its low half. The others are undefined; Intel CPUs follow the low half. */
const productFlags = (low: Value, overflow: Value): Flags => ({
  CF: overflow,
  OF: overflow,
  SF: low.sign,
  PF: parity(low),
  ZF: FALSE,
  AF: FALSE,
});

/** AX, DX:AX, EDX:EAX or RDX:RAX <- high:low. */
const setPair = (frame: Frame, high: Value, low: Value): void => {
  if (low.width === 8) {
    frame.set("RAX", concat(high, low));
  } else {
    frame.set("RAX", low);
    frame.set("RDX", high);
  }
};

const doubled = (width: Width): Width => (width * 2) as Width;

/** High half of the product; operands narrower than 64 bits multiply in twice their width. */
const highHalf = (a: Value, b: Value, isSigned: boolean): Value => {
  if (a.width === 64) return isSigned ? a.mulHighSigned(b) : a.mulHighUnsigned(b);
  const wide = (value: Value): Value =>
    isSigned ? value.signExtend(doubled(a.width)) : value.zeroExtend(doubled(a.width));
  return wide(a).mul(wide(b)).extract(a.width, a.width);
};

/** MUL: the accumulator times SRC. */
export const MUL = defineWith("MUL", (frame, src) => {
  const accumulator = frame.register("RAX", src!.width);
  const low = accumulator.mul(src!);
  const high = highHalf(accumulator, src!, false);
  setPair(frame, high, low);
  frame.flags(productFlags(low, high.isZero().not()));
});

const signedOverflow = (low: Value, high: Value): Value => high.equal(low.sar(low.width - 1)).not();

/** IMUL with one operand: the accumulator times SRC. */
export const IMUL = defineWith("IMUL", (frame, src) => {
  const accumulator = frame.register("RAX", src!.width);
  const low = accumulator.mul(src!);
  const high = highHalf(accumulator, src!, true);
  setPair(frame, high, low);
  frame.flags(productFlags(low, signedOverflow(low, high)));
});

const truncatedProduct = (a: Value, b: Value) => {
  const low = a.mul(b);
  return { dest: low, flags: productFlags(low, signedOverflow(low, highHalf(a, b, true))) };
};
/** IMUL with two operands: DEST <- DEST * SRC, truncated. */
export const IMUL2 = define("IMUL", (dest, src) => truncatedProduct(dest, src!));
/** IMUL with three operands: DEST <- SRC1 * SRC2, truncated. */
export const IMUL3 = define("IMUL", (_dest, first, second) => truncatedProduct(first!, second!));

/** MULX: the product of rDX and SRC without flags; of two names for one register, the high half wins. */
export const MULX = defineWith("MULX", (frame, high, low, src) => {
  const multiplicand = frame.register("RDX", src!.width);
  frame.write(low!, multiplicand.mul(src!));
  frame.write(high!, highHalf(multiplicand, src!, false));
});

interface Division {
  readonly quotient: Value;
  readonly remainder: Value;
}

/**
 * high:low / divisor for 64-bit halves, where high < divisor: schoolbook division in base 2^32 (Knuth, The Art of
 * Computer Programming, volume 2, algorithm 4.3.1 D), its at most two corrections of each estimated digit unrolled.
 */
export const divideUnsigned128 = (high: Value, low: Value, divisor: Value): Division => {
  const half = (value: Value): [Value, Value] => [value.shr(32), value.and(0xffff_ffff)];
  const shift = divisor.clz();
  const d = divisor.shl(shift);
  const [d1, d0] = half(d);
  const top = high.shl(shift).or(low.shr(shift.from(64).sub(shift)));
  const [n1, n0] = half(low.shl(shift));
  /** One digit of the quotient of (top : next) / d, and what is left of the dividend. */
  const digit = (top: Value, next: Value): [Value, Value] => {
    let estimate = top.divUnsigned(d1);
    let rest = top.sub(estimate.mul(d1));
    const tooLarge = (): Value =>
      estimate
        .shr(32)
        .isZero()
        .not()
        .or(rest.shl(32).or(next).below(estimate.mul(d0)))
        .and(rest.shr(32).isZero());
    for (let correction = 0; correction < 2; correction++) {
      const over = tooLarge();
      estimate = estimate.sub(asNumber(over, 64));
      rest = rest.add(asMask(over, 64).and(d1));
    }
    return [estimate, top.shl(32).or(next).sub(estimate.mul(d))];
  };
  const [q1, left] = digit(top, n1);
  const [q0, last] = digit(left, n0);
  return { quotient: q1.shl(32).or(q0), remainder: last.shr(shift) };
};

/** The dividend's halves for one divisor width: AX, DX:AX, EDX:EAX, RDX:RAX. */
const dividend = (frame: Frame, width: Width): { high: Value; low: Value } => {
  if (width === 8) {
    const AX = frame.register("RAX", 16);
    return { high: AX.extract(8, 8), low: AX.extract(0, 8) };
  }
  return { high: frame.register("RDX", width), low: frame.register("RAX", width) };
};

const divideUnsigned = (high: Value, low: Value, divisor: Value): Division => {
  if (low.width === 64) return divideUnsigned128(high, low, divisor);
  const whole = concat(high, low);
  const by = divisor.zeroExtend(whole.width);
  return {
    quotient: whole.divUnsigned(by).truncate(low.width),
    remainder: whole.remUnsigned(by).truncate(low.width),
  };
};

/** DIV: #DE when the quotient does not fit, a zero divisor included. Flags are undefined and left alone. */
export const DIV = defineWith("DIV", (frame, divisor) => {
  const { high, low } = dividend(frame, divisor!.width);
  frame.fault(Exception.DE, high.below(divisor!).not());
  const { quotient, remainder } = divideUnsigned(high, low, divisor!);
  setPair(frame, remainder, quotient);
});

/** IDIV: truncates toward zero; the remainder has the dividend's sign. */
export const IDIV = defineWith("IDIV", (frame, divisor) => {
  const { high, low } = dividend(frame, divisor!.width);
  const absolute = (value: Value): Value => select(value.sign, value.neg(), value);
  // -(high:low), in halves: the low half borrows from the high one unless it is zero.
  const highMagnitude = select(high.sign, high.not().add(asNumber(low.isZero(), high.width)), high);
  const lowMagnitude = select(high.sign, low.neg(), low);
  const divisorMagnitude = absolute(divisor!);
  frame.fault(Exception.DE, highMagnitude.below(divisorMagnitude).not());
  const { quotient, remainder } = divideUnsigned(highMagnitude, lowMagnitude, divisorMagnitude);
  const isNegative = high.xor(divisor!).sign;
  const signedQuotient = select(isNegative, quotient.neg(), quotient);
  // A magnitude that needs the sign bit: fits only as the most negative number.
  frame.fault(Exception.DE, quotient.isZero().not().and(signedQuotient.sign.xor(isNegative)));
  setPair(frame, select(high.sign, remainder.neg(), remainder), signedQuotient);
});
