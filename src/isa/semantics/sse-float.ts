import { Exception } from "../../arch/exceptions.ts";
import type { Frame } from "../../ir/frame.ts";
import { constant, intrinsic, select, type Value, vector } from "../../ir/value.ts";
import { define, defineWith, type Semantics } from "../define.ts";
import { type FloatLane, type FloatWidth, floatLane, ordering } from "./float-lanes.ts";

/**
 * SSE floating point. One definition serves the packed and the scalar form: the operands' width says how many lanes there
 * are, and a scalar DEST (V.d, V.q) keeps the rest of its register.
 */

const formatName = (width: FloatWidth): "binary32" | "binary64" => (width === 32 ? "binary32" : "binary64");

const lanesToVector = (lanes: readonly Value[]): Value => (lanes.length === 1 ? lanes[0]! : vector(lanes));

const MXCSR_RC = 0x6000;
/** IE, DE and ZE: detected before the computation. */
const PRE_COMPUTATION = 0x07;
const CR4_OSXMMEXCPT_BIT = 10;

/**
 * The exceptions of all lanes become flags of MXCSR; an unmasked one raises #XM, or #UD when CR4.OSXMMEXCPT = 0, and
 * only the flags change (SDM Vol. 1, "Handling SIMD Floating-Point Exceptions in Software"). An unmasked pre-computation
 * exception of one lane stops the others before they could detect overflow, underflow or inexactness. Where the lanes of
 * one step are the operands of the next, an unmasked exception ends the instruction before the next step.
 */
const settle = (frame: Frame, ...steps: readonly (readonly FloatLane[])[]): void => {
  let mxcsr = frame.register("MXCSR", 32);
  const enabled = frame.register("CR4", 64).bit(CR4_OSXMMEXCPT_BIT);
  const masks = mxcsr.shr(7).truncate(8);
  for (const lanes of steps) {
    const detected = lanes.map((lane) => lane.exceptions).reduce((all, one) => all.or(one));
    const unmasked = detected.and(masks.not()).and(0x3f);
    const early = unmasked.and(PRE_COMPUTATION).isZero().not();
    const raised = select(early, detected.and(PRE_COMPUTATION), detected);
    mxcsr = mxcsr.or(raised.zeroExtend(32));
    const faults = unmasked.isZero().not();
    const commit = { name: "MXCSR", value: mxcsr };
    frame.fault(Exception.XM, faults.and(enabled), undefined, commit);
    frame.fault(Exception.UD, faults.and(enabled.not()), undefined, commit);
  }
  frame.set("MXCSR", mxcsr);
};

/** Raise what the lanes raised and write their values, zero-extended to DEST. */
const conclude = (frame: Frame, dest: Value, lanes: readonly FloatLane[]): void => {
  settle(frame, lanes);
  frame.write(dest, lanesToVector(lanes.map((lane) => lane.value)).zeroExtend(dest.width));
};

/** DEST <- DEST op SRC, lane by lane. */
const binary = (mnemonic: string, operation: string, width: FloatWidth): Semantics =>
  defineWith(mnemonic, (frame, dest, src) => {
    const mxcsr = frame.register("MXCSR", 32);
    const name = `${formatName(width)}.${operation}`;
    const others = src!.lanes(width);
    const lanes = dest!.lanes(width).map((a, i) => floatLane(name, width, [a, others[i]!], mxcsr));
    conclude(frame, dest!, lanes);
  });

export const ADDPS = binary("ADDPS", "add", 32);
export const ADDSS = binary("ADDSS", "add", 32);
export const ADDPD = binary("ADDPD", "add", 64);
export const ADDSD = binary("ADDSD", "add", 64);
export const SUBPS = binary("SUBPS", "sub", 32);
export const SUBSS = binary("SUBSS", "sub", 32);
export const SUBPD = binary("SUBPD", "sub", 64);
export const SUBSD = binary("SUBSD", "sub", 64);
export const MULPS = binary("MULPS", "mul", 32);
export const MULSS = binary("MULSS", "mul", 32);
export const MULPD = binary("MULPD", "mul", 64);
export const MULSD = binary("MULSD", "mul", 64);
export const DIVPS = binary("DIVPS", "div", 32);
export const DIVSS = binary("DIVSS", "div", 32);
export const DIVPD = binary("DIVPD", "div", 64);
export const DIVSD = binary("DIVSD", "div", 64);
export const MINPS = binary("MINPS", "min", 32);
export const MINSS = binary("MINSS", "min", 32);
export const MINPD = binary("MINPD", "min", 64);
export const MINSD = binary("MINSD", "min", 64);
export const MAXPS = binary("MAXPS", "max", 32);
export const MAXSS = binary("MAXSS", "max", 32);
export const MAXPD = binary("MAXPD", "max", 64);
export const MAXSD = binary("MAXSD", "max", 64);

/** DEST <- sqrt(SRC), lane by lane. */
const squareRoot = (mnemonic: string, width: FloatWidth): Semantics =>
  defineWith(mnemonic, (frame, dest, src) => {
    const mxcsr = frame.register("MXCSR", 32);
    const name = `${formatName(width)}.sqrt`;
    conclude(
      frame,
      dest!,
      src!.lanes(width).map((a) => floatLane(name, width, [a], mxcsr)),
    );
  });

export const SQRTPS = squareRoot("SQRTPS", 32);
export const SQRTSS = squareRoot("SQRTSS", 32);
export const SQRTPD = squareRoot("SQRTPD", 64);
export const SQRTSD = squareRoot("SQRTSD", 64);

/** Approximations: no exceptions, MXCSR is neither read nor written. */
const approximate = (mnemonic: string, operation: string): Semantics =>
  define(mnemonic, (_, src) => ({
    dest: lanesToVector(src.lanes(32).map((a) => intrinsic(`binary32.${operation}`, 32, [a]))),
  }));

export const RCPPS = approximate("RCPPS", "reciprocal");
export const RCPSS = approximate("RCPSS", "reciprocal");
export const RSQRTPS = approximate("RSQRTPS", "reciprocalSquareRoot");
export const RSQRTSS = approximate("RSQRTSS", "reciprocalSquareRoot");

/** DEST <- all ones where the predicate imm8[2:0] holds between DEST and SRC, else 0. */
const compare = (mnemonic: string, width: FloatWidth): Semantics =>
  defineWith(mnemonic, (frame, dest, src, predicate) => {
    const mxcsr = frame.register("MXCSR", 32);
    const name = `${formatName(width)}.compare`;
    const others = src!.lanes(width);
    const lanes = dest!
      .lanes(width)
      .map((a, i) => floatLane(name, width, [a, others[i]!, predicate!], mxcsr));
    conclude(frame, dest!, lanes);
  });

export const CMPPS = compare("CMPPS", 32);
export const CMPSS = compare("CMPSS", 32);
export const CMPPD = compare("CMPPD", 64);
export const CMPSD = compare("CMPSD", 64);

/** ZF, PF, CF <- 000 greater, 001 less, 100 equal, 111 unordered; OF, SF, AF are cleared. */
const compareToFlags = (mnemonic: string, operation: "order" | "quietOrder", width: FloatWidth): Semantics =>
  defineWith(mnemonic, (frame, a, b) => {
    const mxcsr = frame.register("MXCSR", 32);
    const format = formatName(width);
    settle(frame, [floatLane(`${format}.${operation}`, 8, [a!, b!], mxcsr)]);
    const [x, y] = [a!, b!].map((operand) => intrinsic(`${format}.flush`, width, [operand, mxcsr])) as [
      Value,
      Value,
    ];
    const relation = intrinsic(`${format}.relation`, 8, [x, y]);
    const unordered = relation.bit(ordering.unordered);
    const zero = constant(0, 1);
    frame.flags({
      ZF: relation.bit(ordering.equal).or(unordered),
      PF: unordered,
      CF: relation.bit(ordering.less).or(unordered),
      OF: zero,
      SF: zero,
      AF: zero,
    });
  });

export const COMISS = compareToFlags("COMISS", "order", 32);
export const COMISD = compareToFlags("COMISD", "order", 64);
export const UCOMISS = compareToFlags("UCOMISS", "quietOrder", 32);
export const UCOMISD = compareToFlags("UCOMISD", "quietOrder", 64);

/** Adjacent lanes of DEST, then of SRC, combined. */
const horizontal = (mnemonic: string, operation: "add" | "sub", width: FloatWidth): Semantics =>
  defineWith(mnemonic, (frame, dest, src) => {
    const mxcsr = frame.register("MXCSR", 32);
    const name = `${formatName(width)}.${operation}`;
    const all = [...dest!.lanes(width), ...src!.lanes(width)];
    const lanes = Array.from({ length: all.length / 2 }, (_, i) =>
      floatLane(name, width, [all[2 * i]!, all[2 * i + 1]!], mxcsr),
    );
    conclude(frame, dest!, lanes);
  });

export const HADDPS = horizontal("HADDPS", "add", 32);
export const HADDPD = horizontal("HADDPD", "add", 64);
export const HSUBPS = horizontal("HSUBPS", "sub", 32);
export const HSUBPD = horizontal("HSUBPD", "sub", 64);

/** Even lanes subtracted, odd lanes added. */
const addSubtract = (mnemonic: string, width: FloatWidth): Semantics =>
  defineWith(mnemonic, (frame, dest, src) => {
    const mxcsr = frame.register("MXCSR", 32);
    const others = src!.lanes(width);
    const lanes = dest!
      .lanes(width)
      .map((a, i) =>
        floatLane(`${formatName(width)}.${i & 1 ? "add" : "sub"}`, width, [a, others[i]!], mxcsr),
      );
    conclude(frame, dest!, lanes);
  });

export const ADDSUBPS = addSubtract("ADDSUBPS", 32);
export const ADDSUBPD = addSubtract("ADDSUBPD", 64);

/** MXCSR with PE and PM: what an inexact result adds to it is nothing. */
const MXCSR_INEXACT = 0x1020;

/**
 * Lanes of SRC rounded to integers in their format, by imm8[1:0] or, with imm8[2], by MXCSR.RC. imm8[3] keeps PE out of
 * MXCSR.
 */
const round = (mnemonic: string, width: FloatWidth): Semantics =>
  defineWith(mnemonic, (frame, dest, src, how) => {
    const mxcsr = frame.register("MXCSR", 32);
    const chosen = mxcsr.and(~MXCSR_RC >>> 0).or(how!.and(3).zeroExtend(32).shl(13));
    const rounding = select(how!.bit(2), mxcsr, chosen);
    const environment = select(how!.bit(3), rounding.or(MXCSR_INEXACT), rounding);
    const name = `${formatName(width)}.round`;
    const kept = select(how!.bit(3), constant(0x1f, 8), constant(0x3f, 8));
    const lanes = src!.lanes(width).map((a) => {
      const { value, exceptions } = floatLane(name, width, [a], environment);
      return { value, exceptions: exceptions.and(kept) };
    });
    conclude(frame, dest!, lanes);
  });

export const ROUNDPS = round("ROUNDPS", 32);
export const ROUNDSS = round("ROUNDSS", 32);
export const ROUNDPD = round("ROUNDPD", 64);
export const ROUNDSD = round("ROUNDSD", 64);

/** The low lanes of SRC converted: as many as both operands hold; what DEST holds besides is cleared. */
const convert = (
  mnemonic: string,
  operation: string,
  from: FloatWidth | "width",
  to: FloatWidth | "width",
  rounding: "current" | "truncate" = "current",
): Semantics =>
  defineWith(mnemonic, (frame, dest, src) => {
    const fromWidth = from === "width" ? (src!.width as FloatWidth) : from;
    const toWidth = to === "width" ? (dest!.width as FloatWidth) : to;
    const current = frame.register("MXCSR", 32);
    const mxcsr = rounding === "truncate" ? current.or(MXCSR_RC) : current;
    const name = operation.replace("#", String(from === "width" ? fromWidth : toWidth));
    const lanes = src!.lanes(fromWidth).map((a) => floatLane(name, toWidth, [a], mxcsr));
    conclude(frame, dest!, lanes);
  });

export const CVTPS2PD = convert("CVTPS2PD", "binary32.toBinary64", 32, 64);
export const CVTSS2SD = convert("CVTSS2SD", "binary32.toBinary64", 32, 64);
export const CVTPD2PS = convert("CVTPD2PS", "binary64.toBinary32", 64, 32);
export const CVTSD2SS = convert("CVTSD2SS", "binary64.toBinary32", 64, 32);
export const CVTDQ2PS = convert("CVTDQ2PS", "binary32.fromInt32", 32, 32);
export const CVTPI2PS = convert("CVTPI2PS", "binary32.fromInt32", 32, 32);
export const CVTSI2SS = convert("CVTSI2SS", "binary32.fromInt#", "width", 32);
export const CVTPS2DQ = convert("CVTPS2DQ", "binary32.toInt32", 32, 32);
export const CVTPS2PI = convert("CVTPS2PI", "binary32.toInt32", 32, 32);
export const CVTPD2DQ = convert("CVTPD2DQ", "binary64.toInt32", 64, 32);
export const CVTPD2PI = convert("CVTPD2PI", "binary64.toInt32", 64, 32);
export const CVTSS2SI = convert("CVTSS2SI", "binary32.toInt#", 32, "width");
export const CVTSD2SI = convert("CVTSD2SI", "binary64.toInt#", 64, "width");
export const CVTTPS2DQ = convert("CVTTPS2DQ", "binary32.toInt32", 32, 32, "truncate");
export const CVTTPS2PI = convert("CVTTPS2PI", "binary32.toInt32", 32, 32, "truncate");
export const CVTTPD2DQ = convert("CVTTPD2DQ", "binary64.toInt32", 64, 32, "truncate");
export const CVTTPD2PI = convert("CVTTPD2PI", "binary64.toInt32", 64, 32, "truncate");
export const CVTTSS2SI = convert("CVTTSS2SI", "binary32.toInt#", 32, "width", "truncate");
export const CVTTSD2SI = convert("CVTTSD2SI", "binary64.toInt#", 64, "width", "truncate");

const exactDouble = (a: Value): Value => intrinsic("binary64.fromInt32", 64, [a]);

/** Two doublewords to binary64: always exact, without exceptions. */
const convertExactly = (mnemonic: string): Semantics =>
  define(mnemonic, (_, src) => ({ dest: vector(src.lanes(32).map(exactDouble)) }));

export const CVTDQ2PD = convertExactly("CVTDQ2PD");
export const CVTPI2PD = convertExactly("CVTPI2PD");
export const CVTSI2SD = defineWith("CVTSI2SD", (frame, dest, src) => {
  if (src!.width === 32) frame.write(dest!, exactDouble(src!));
  else conclude(frame, dest!, [floatLane("binary64.fromInt64", 64, [src!], frame.register("MXCSR", 32))]);
});

/**
 * Products of the lanes that imm8[7:4] selects (the others count as +0), summed in pairs, then the pairs' sums; the lanes
 * that imm8[3:0] selects get the sum, the others 0. Every lane is summed on its own and which operand comes first decides
 * between NaNs, so lanes can differ: `pairOrder` says it for the pairs, as processors were seen to do.
 */
const dotProduct = (
  mnemonic: string,
  width: FloatWidth,
  pairOrder: "own first" | "neighbour first",
): Semantics =>
  defineWith(mnemonic, (frame, dest, src, choice) => {
    const mxcsr = frame.register("MXCSR", 32);
    const format = formatName(width);
    const others = src!.lanes(width);
    const zero = { value: constant(0, width), exceptions: constant(0, 8) };
    const steps = [
      dest!.lanes(width).map((a, i) => {
        const product = floatLane(`${format}.mul`, width, [a, others[i]!], mxcsr);
        const selected = choice!.bit(4 + i);
        return {
          value: select(selected, product.value, zero.value),
          exceptions: select(selected, product.exceptions, zero.exceptions),
        };
      }),
    ];
    for (let distance = 1; distance < others.length; distance *= 2) {
      const terms = steps.at(-1)!.map((lane) => lane.value);
      const neighbourFirst = distance === 1 && pairOrder === "neighbour first";
      steps.push(
        terms.map((own, i) => {
          const other = terms[i ^ distance]!;
          return floatLane(`${format}.add`, width, neighbourFirst ? [other, own] : [own, other], mxcsr);
        }),
      );
    }
    settle(frame, ...steps);
    const sums = steps.at(-1)!;
    frame.write(dest!, vector(sums.map(({ value }, i) => select(choice!.bit(i), value, zero.value))));
  });

export const DPPS = dotProduct("DPPS", 32, "neighbour first");
export const DPPD = dotProduct("DPPD", 64, "own first");
