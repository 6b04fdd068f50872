import * as D from "./dyadic.ts";
import { type Environment, PE, type Result, UE, ZE } from "./environment.ts";
import { extended80 } from "./format.ts";
import { invalid, nanResult, withheld } from "./nan.ts";
import { decode, denormalException, infinityBits, type Operand, zeroBits } from "./operand.ts";
import { roundAndEncode } from "./rounding.ts";
import * as series from "./series.ts";

/**
 * The x87 transcendental functions, in the double extended-precision format: SDM Vol. 1, "Trigonometric Instructions" and
 * "Logarithmic, Exponential, and Scale". The manual promises an error below one unit in the last place. To agree with
 * processors bit for bit as far as possible, each function is computed as they were observed to do it: constants rounded
 * to 67 bits, the last few operations rounded towards zero at 67 bits, polynomials near 64 bits, and breakpoints whose
 * function values come from a table. What is not known are the polynomials' coefficients: they are exact series here.
 *
 * PE is raised with every computed result, exact or not, and UE with every denormal one, as the processors do.
 */

const format = extended80;
const exact = (bits: bigint, exceptions = 0): Result => ({ bits, exceptions, roundedUp: false });

/** Rounds towards zero at the internal precision. */
const chop = (x: D.Dyadic): D.Dyadic => D.chop(x, 67);
/** A constant of the internal precision. */
const constant = (x: D.Dyadic): D.Dyadic => D.roundNearest(x, 67);
/** The rounding of polynomials. */
const near = (x: D.Dyadic): D.Dyadic => D.roundNearest(x, 64);
const divide = (x: D.Dyadic, y: D.Dyadic): D.Dyadic => chop(D.quotient(x, y, 67));
/** Bits of a quotient that stands for the exact one. */
const PLENTY = 144;

/** A table whose entries are computed when first asked for. */
function table<T>(entry: (index: number) => T): (index: number) => T {
  const entries = new Map<number, T>();
  return (index) => {
    let value = entries.get(index);
    if (value === undefined) {
      value = entry(index);
      entries.set(index, value);
    }
    return value;
  };
}

const fraction = (numerator: number, log2Denominator: number): D.Dyadic => ({
  significand: BigInt(numerator),
  exponent: -log2Denominator,
});

const LN2 = constant(series.LN2);
const TWO_LOG2E = D.scaled(constant(series.LOG2E), 1);
/** SDM Vol. 1, "Approximation of Pi": 66 significant bits, 0.C90FDAA2 2168C234 C * 2^2. */
const PI: D.Dyadic = { significand: 0x3_243f_6a88_85a3_08d3n, exponent: -64 };
const HALF_PI = D.scaled(PI, -1);
const TWO = D.integer(2);

/** Operands below 2^-68 are taken as 0 next to 1. */
const NEGLIGIBLE = -68;

/** The magnitude of a finite operand, and its value. */
const size = (x: Operand): D.Dyadic => ({ significand: x.significand, exponent: x.exponent });
const numberOf = (x: Operand): D.Dyadic => (x.sign ? D.negate(size(x)) : size(x));

/** Rounds a computed value, not zero; `sticky` says that the exact magnitude is a little larger. */
function deliver(environment: Environment, value: D.Dyadic, raised: number, sticky = false): Result {
  if (raised & environment.unmasked) return exact(0n, raised);
  const magnitude = { significand: D.magnitude(value.significand), exponent: value.exponent, sticky };
  const sign = value.significand < 0n ? 1 : 0;
  const result = roundAndEncode(format, format.precision, environment, sign, magnitude, raised | PE);
  const tiny = ((result.bits >> format.exponentShift) & format.exponentMask) === 0n;
  return tiny && (result.exceptions & UE) === 0
    ? { bits: result.bits, exceptions: result.exceptions | UE, roundedUp: result.roundedUp }
    : result;
}

const flip = (sign: 0 | 1, negative: boolean): 0 | 1 => (negative ? (sign ? 0 : 1) : sign);

/** The largest multiple of 2^-log2 not above x >= 0, as that multiple's number. */
const multiples = (x: D.Dyadic, log2: number): number => {
  const shift = x.exponent + log2;
  return Number(shift >= 0 ? x.significand << BigInt(shift) : x.significand >> BigInt(-shift));
};

// ---------------------------------------------------------------- F2XM1

const NEGATIVE_ONE = 0xbfff_8000_0000_0000_0000n;

/** 2^B - 1 for B = index/128, rounded to a constant and (nearly) exact. */
const exponentials = table((index) => {
  const value = series.exp2MinusOne(fraction(index, 7));
  return { constant: constant(value), value };
});

function exp2MinusOneValue(x: D.Dyadic): D.Dyadic {
  const octave = D.top(x);
  const linear = D.multiply(x, LN2);
  if (octave < NEGLIGIBLE) return linear;
  if (octave < -2) return D.plus(chop(linear), near(series.exp2Tail(x)));
  // Breakpoints are the centres of 16 intervals between 1/4 and 1/2, and of 16 between 1/2 and 1.
  const width = octave === -2 ? 6 : 5;
  const centre = (2 * multiples(D.absolute(x), width) + 1) << (6 - width);
  const point = exponentials(x.significand < 0n ? -centre : centre);
  return D.plus(point.constant, D.minus(series.exp2MinusOne(x), point.value));
}

/** SDM Vol. 2, F2XM1: 2^x - 1 for -1 <= x <= 1. Beyond that the manual leaves the result undefined; it is x, as on processors. */
export function exp2MinusOne(environment: Environment, a: bigint): Result {
  const x = decode(format, a);
  const nan = nanResult(format, environment, x);
  if (nan) return nan;
  if (x.class === "zero") return exact(a);
  if (x.class === "infinity") return exact(x.sign ? NEGATIVE_ONE : a);
  const value = numberOf(x);
  const raised = denormalException(x);
  if (D.top(value) < 0) return deliver(environment, exp2MinusOneValue(value), raised);
  const isMinusOne = D.plus(value, D.ONE).significand === 0n;
  return deliver(environment, isMinusOne ? fraction(-1, 1) : value, raised);
}

// ---------------------------------------------------------------- FYL2X, FYL2XP1

/** log2(B) for B = index/64, (nearly) exact. */
const logarithms = table((index) => series.log2(fraction(index, 6)));

/** log2(x), at the internal precision, for x not near 1: by the centres B of 32 intervals between 1 and 2. */
function log2(x: D.Dyadic): D.Dyadic {
  const power = D.top(x);
  const m = D.scaled(x, -power);
  const index = 2 * multiples(m, 5) + 1;
  const point = fraction(index, 6);
  // log2 m = log2 B + (2/ln 2) atanh((m - B)/(m + B))
  const t = near(D.quotient(D.minus(m, point), near(D.plus(m, point)), PLENTY));
  const rest = near(D.plus(chop(D.multiply(t, TWO_LOG2E)), near(series.logarithmTail(t))));
  return chop(D.plus(D.plus(D.integer(power), logarithms(index)), rest));
}

/** log2(1 + f) for f > -1, not 0; at the internal precision. */
function log2OnePlus(f: D.Dyadic): D.Dyadic {
  const sum = D.plus(TWO, f);
  if (D.top(f) >= -3) return log2(D.plus(D.ONE, f));
  // (2/ln 2) atanh(f / (2 + f))
  const first = divide(chop(D.multiply(f, TWO_LOG2E)), chop(sum));
  return chop(D.plus(first, series.logarithmTail(D.quotient(f, sum, PLENTY))));
}

/** SDM Vol. 2, FYL2X: y * log2(x). */
export function yLog2X(environment: Environment, a: bigint, b: bigint): Result {
  const x = decode(format, a);
  const y = decode(format, b);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  if (x.sign === 1 && x.class !== "zero") return withheld(environment, invalid(format));
  const raised = denormalException(x) | denormalException(y);
  if (x.class === "zero" || x.class === "infinity") {
    if (y.class === "zero") return withheld(environment, invalid(format));
    const bits = infinityBits(format, flip(y.sign, x.class === "zero"));
    const zeroDivide = x.class === "zero" && y.class !== "infinity";
    return withheld(environment, exact(bits, zeroDivide ? ZE : raised));
  }
  const value = numberOf(x);
  const difference = D.minus(value, D.ONE);
  const sign = flip(y.sign, difference.significand < 0n);
  if (y.class === "infinity") {
    if (difference.significand === 0n) return withheld(environment, invalid(format));
    return withheld(environment, exact(infinityBits(format, sign), raised));
  }
  if (y.class === "zero" || difference.significand === 0n) {
    return withheld(environment, exact(zeroBits(format, sign), raised));
  }
  const factor = D.top(difference) < -3 ? log2OnePlus(difference) : log2(value);
  return deliver(environment, D.multiply(numberOf(y), factor), raised);
}

/**
 * SDM Vol. 2, FYL2XP1: y * log2(x + 1). The manual leaves x beyond +-(1 - sqrt(1/2)) undefined; processors compute it
 * as far as the logarithm exists, and below that deliver x.
 */
export function yLog2XPlusOne(environment: Environment, a: bigint, b: bigint): Result {
  const x = decode(format, a);
  const y = decode(format, b);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  if (x.class === "infinity") {
    if (x.sign === 1 || y.class === "zero") return withheld(environment, invalid(format));
    return withheld(environment, exact(infinityBits(format, y.sign), denormalException(y)));
  }
  const raised = denormalException(x) | denormalException(y);
  const sign = flip(y.sign, x.sign === 1);
  if (y.class === "infinity") {
    if (x.class === "zero") return withheld(environment, invalid(format));
    return withheld(environment, exact(infinityBits(format, sign), raised));
  }
  if (x.class === "zero" || y.class === "zero") {
    return withheld(environment, exact(zeroBits(format, sign), raised));
  }
  const value = numberOf(x);
  if (x.sign === 1 && D.top(value) >= 0) return deliver(environment, value, raised);
  return deliver(environment, D.multiply(numberOf(y), log2OnePlus(value)), raised);
}

// ---------------------------------------------------------------- FSIN, FCOS, FPTAN

/** A result of a trigonometric function whose operand may be out of range. */
export interface TrigonometricResult extends Result {
  /** |x| >= 2^63: nothing was computed, the operand stays (C2). */
  readonly outOfRange: boolean;
}

const inRange = (result: Result): TrigonometricResult => ({
  bits: result.bits,
  exceptions: result.exceptions,
  roundedUp: result.roundedUp,
  outOfRange: false,
});

const unreduced = (a: bigint): TrigonometricResult => ({
  bits: a,
  exceptions: 0,
  roundedUp: false,
  outOfRange: true,
});

/** x = (quadrant + 4n) * pi/2 + rest, with |rest| <= pi/4. */
interface Reduced {
  readonly rest: D.Dyadic;
  readonly quadrant: number;
}

/** Reduces |x| < 2^63 by the 66-bit pi, exactly. */
function reduce(x: D.Dyadic): Reduced {
  if (D.top(x) < -1) return { rest: x, quadrant: 0 };
  const doubled = D.scaled(x, 1);
  // The nearest integer to x / (pi/2): floor((2x + pi/2) / pi)
  const exponent = Math.min(doubled.exponent, HALF_PI.exponent);
  const numerator = D.plus(doubled, HALF_PI);
  const quotient =
    (numerator.significand << BigInt(numerator.exponent - exponent)) /
    (PI.significand << BigInt(PI.exponent - exponent));
  const rest = D.minus(x, D.multiply(D.integer(quotient), HALF_PI));
  return { rest, quadrant: Number(quotient & 3n) };
}

/** sin(B) and cos(B) for B = index/32, as constants. */
const circle = table((index) => {
  const point = fraction(index, 5);
  return {
    point,
    sine: constant(D.plus(point, series.sineTail(point))),
    cosine: constant(D.plus(D.ONE, series.cosineTail(point))),
  };
});

/**
 * cos(r) - 1 for |r| <= 1/16 by the polynomial in r^2 of degree 4 that has the least absolute error: the processors' error
 * has that shape.
 */
const cosinePolynomial: readonly D.Dyadic[] = [
  { significand: 0x6803af462824ad27bn, exponent: -82 },
  { significand: -0x5b05b0518e3dd7fedn, exponent: -76 },
  { significand: 0x55555555553c41df9n, exponent: -71 },
  { significand: -0x7fffffffffffffad7n, exponent: -68 },
];

function cosineMinusOne(r: D.Dyadic): D.Dyadic {
  const square = D.multiply(r, r);
  return cosinePolynomial.reduce((sum, coefficient) => D.multiply(D.plus(sum, coefficient), square), D.ZERO);
}

/** sin and cos of 0 <= x <= pi/4, as sums before their last rounding. */
function sineAndCosine(x: D.Dyadic): { sine: D.Dyadic; cosine: D.Dyadic } {
  const octave = D.top(x);
  if (octave < NEGLIGIBLE) return { sine: x, cosine: D.ONE };
  if (octave < -2) {
    return {
      sine: D.plus(x, chop(series.sineTail(x))),
      cosine: D.plus(D.ONE, chop(D.multiply(chop(D.multiply(x, x)), series.cosineFactor(x)))),
    };
  }
  // Breakpoints are the centres of four intervals between 1/4 and 1/2, and of those of width 1/8 above.
  const width = octave === -2 ? 4 : 3;
  const { point, sine, cosine } = circle((2 * multiples(x, width) + 1) << (4 - width));
  const r = D.minus(x, point);
  const s = near(D.plus(r, series.sineTail(r)));
  const c = near(cosineMinusOne(r));
  const combine = (p: D.Dyadic, q: D.Dyadic): D.Dyadic =>
    chop(D.plus(chop(D.multiply(p, s)), chop(D.multiply(q, c))));
  return {
    sine: D.plus(sine, combine(cosine, sine)),
    cosine: D.plus(cosine, combine(D.negate(sine), cosine)),
  };
}

/** sin and cos of any |x| < 2^63. */
function sineAndCosineOf(x: D.Dyadic): { sine: D.Dyadic; cosine: D.Dyadic } {
  const { rest, quadrant } = reduce(D.absolute(x));
  const base = sineAndCosine(D.absolute(rest));
  const sine = rest.significand < 0n ? D.negate(base.sine) : base.sine;
  const turned = [
    { sine, cosine: base.cosine },
    { sine: base.cosine, cosine: D.negate(sine) },
    { sine: D.negate(sine), cosine: D.negate(base.cosine) },
    { sine: D.negate(base.cosine), cosine: sine },
  ][quadrant]!;
  return x.significand < 0n ? { sine: D.negate(turned.sine), cosine: turned.cosine } : turned;
}

function trigonometric(
  environment: Environment,
  a: bigint,
  ofZero: bigint,
  compute: (value: D.Dyadic, raised: number) => Result,
): TrigonometricResult {
  const x = decode(format, a);
  const nan = nanResult(format, environment, x);
  if (nan) return inRange(nan);
  if (x.class === "infinity") return inRange(withheld(environment, invalid(format)));
  if (x.class === "zero") return inRange(exact(ofZero));
  const value = numberOf(x);
  if (D.top(value) >= 63) return unreduced(a);
  return inRange(compute(value, denormalException(x)));
}

const ONE = 0x3fff_8000_0000_0000_0000n;

/** SDM Vol. 2, FSIN. */
export const sin = (environment: Environment, a: bigint): TrigonometricResult =>
  trigonometric(environment, a, a, (value, raised) =>
    deliver(environment, sineAndCosineOf(value).sine, raised),
  );

/** SDM Vol. 2, FCOS. */
export const cos = (environment: Environment, a: bigint): TrigonometricResult =>
  trigonometric(environment, a, ONE, (value, raised) =>
    deliver(environment, sineAndCosineOf(value).cosine, raised),
  );

/** SDM Vol. 2, FPTAN: the tangent; the 1.0 that the instruction pushes is the caller's. */
export const tan = (environment: Environment, a: bigint): TrigonometricResult =>
  trigonometric(environment, a, a, (value, raised) => {
    const { sine, cosine } = sineAndCosineOf(value);
    const dividend = chop(sine);
    const divisor = chop(cosine);
    const ratio = D.quotient(dividend, divisor, PLENTY);
    const sticky = D.minus(D.multiply(ratio, divisor), dividend).significand !== 0n;
    return deliver(environment, ratio, raised, sticky);
  });

// ---------------------------------------------------------------- FPATAN

const arctangents = table((index) => constant(series.arctangentOf32nds(index)));

/** atan(y/x) for 0 < y <= x. */
function arctangent(y: D.Dyadic, x: D.Dyadic): D.Dyadic {
  const ratio = D.quotient(y, x, PLENTY);
  const nearest = (multiples(ratio, 6) + 1) >> 1; // 32nds
  if (nearest < 2) {
    const first = divide(y, x);
    return D.top(first) < -40 ? first : D.plus(first, series.arctangentTail(ratio));
  }
  // atan(k) + atan((y - k x) / (x + k y))
  const k = fraction(nearest, 5);
  const t = divide(D.minus(y, D.multiply(k, x)), chop(D.plus(x, chop(D.multiply(k, y)))));
  return D.plus(arctangents(nearest), chop(D.plus(t, series.arctangentTail(t))));
}

/** The angle of the vector (x, y), not zero, with y >= 0; between 0 and pi. */
function angle(y: D.Dyadic, x: D.Dyadic): D.Dyadic {
  const run = D.absolute(x);
  const left = x.significand < 0n;
  if (y.significand === 0n) return PI; // to the right, the caller knows: a zero
  if (run.significand === 0n) return HALF_PI;
  if (D.minus(y, run).significand <= 0n) {
    const value = arctangent(y, run);
    return left ? D.minus(PI, chop(value)) : value;
  }
  const value = chop(arctangent(run, y));
  return left ? D.plus(HALF_PI, value) : D.minus(HALF_PI, value);
}

/** SDM Vol. 2, FPATAN: the angle of the vector (x, y), with all four quadrants. */
export function atan2(environment: Environment, a: bigint, b: bigint): Result {
  const x = decode(format, a);
  const y = decode(format, b);
  const nan = nanResult(format, environment, x, y);
  if (nan) return nan;
  const raised = denormalException(x) | denormalException(y);
  const infiniteX = x.class === "infinity";
  const infiniteY = y.class === "infinity";
  if (x.sign === 0 && (y.class === "zero" || (infiniteX && !infiniteY))) {
    return withheld(environment, exact(zeroBits(format, y.sign), raised));
  }
  // Against an infinity everything finite is 0; 0 keeps its side, and two infinities are equal.
  const rise = infiniteY ? D.ONE : infiniteX ? D.ZERO : size(y);
  const run = infiniteX ? D.ONE : infiniteY ? D.ZERO : size(x);
  const value = angle(rise, x.sign ? D.negate(run) : run);
  return deliver(environment, y.sign ? D.negate(value) : value, raised);
}
