import type { Frame } from "../../ir/frame.ts";
import { constant, FALSE, select, TRUE, type Value } from "../../ir/value.ts";
import { divideUnsigned128 } from "./multiply-divide.ts";
import { asNumber } from "./status.ts";

/**
 * The x87 instructions that programs are made of, in their usual case: registers in use, operands and results normal numbers or zeros,
 * rounding to nearest with 64 bits, no exception but PE, which is masked. The procedures (cpu/x87*.ts) say what they do in every case.
 */

const FSW = { PE: 5, ES: 7, C0: 8, C1: 9, C2: 10, C3: 14, TOP: 0x3800 } as const;
const C1 = 1 << FSW.C1;
const comparison = (1 << FSW.C0) | (1 << FSW.C2) | (1 << FSW.C3);
/** FCW: masks of PE; precision control, 64 bits; rounding control. */
const FCW = { PM: 0x20, PC: 0x300, RC: 0xc00 } as const;
const BIAS = 16383;
const LARGEST = 0x7fff;

type Usual = (frame: Frame, ...operands: Value[]) => void;

/** A number: its significand of 64 bits with the integer bit, and exponent and sign of a register, 32 bits each. */
interface Extended {
  readonly significand: Value;
  readonly exponent: Value;
  readonly negative: Value;
}

/** A number that is a result, whether it is of the common kind, and what rounding did. */
interface Rounded extends Extended {
  readonly common: Value;
  readonly inexact: Value;
  readonly up: Value;
}

const one = (bit: Value, width: 32 | 64): Value => asNumber(bit, width);
const exactly = (value: Extended, common: Value = TRUE): Rounded => ({
  ...value,
  common,
  inexact: FALSE,
  up: FALSE,
});

const isZero = ({ significand, exponent }: Extended): Value => significand.isZero().and(exponent.isZero());
/** Normal or zero. */
const isCommon = (value: Extended): Value =>
  value.significand.sign.and(value.exponent.sub(1).below(LARGEST - 1)).or(isZero(value));

/** What the instructions share of the state. */
class Unit {
  readonly frame: Frame;
  readonly status: Value;
  readonly control: Value;
  readonly tags: Value;

  constructor(frame: Frame) {
    this.frame = frame;
    this.status = frame.register("FSW", 32);
    this.control = frame.register("FCW", 32);
    this.tags = frame.register("FTW", 32);
  }

  /** Two bits for a register's field in the tag word. */
  #tag(i: number): Value {
    const physical = this.status.shr(11).add(i).and(7);
    return this.status.from(3).shl(physical.shl(1));
  }

  isEmpty(i: number): Value {
    const tag = this.#tag(i);
    return this.tags.and(tag).equal(tag);
  }

  /** Empty, or in use by a tag other than the one that a write leaves. */
  isUnused(i: number): Value {
    return this.tags.and(this.#tag(i)).isZero().not();
  }

  read(i: number): Extended {
    const sign = this.frame.register(`ST${i}.sign`, 16).zeroExtend(32);
    return {
      significand: this.frame.register(`ST${i}.significand`, 64),
      exponent: sign.and(LARGEST),
      negative: sign.bit(15),
    };
  }

  write(i: number, { significand, exponent, negative }: Extended): void {
    this.frame.set(`ST${i}.significand`, significand);
    this.frame.set(`ST${i}.sign`, exponent.or(one(negative, 32).shl(15)).truncate(16));
  }

  /** An exception waits, or the opcode is to be kept. */
  wait(): Value {
    return this.status.bit(FSW.ES).or(this.frame.register("IA32_MISC_ENABLE", 64).bit(2));
  }

  /** Other than rounding to nearest, to 64 bits where `precise`, with PE masked. */
  unusualControl(precise = true): Value {
    const mask = FCW.PM | FCW.RC | (precise ? FCW.PC : 0);
    return this.control
      .and(mask)
      .equal(FCW.PM | (precise ? FCW.PC : 0))
      .not();
  }

  /** Status and tag word after it. `pushes`: a register is put above the others, or (-1) the top one is freed. */
  finish({
    up = FALSE,
    inexact = FALSE,
    keepC1 = false,
    pushes = 0,
    fills = [],
    conditions,
  }: {
    readonly up?: Value;
    readonly inexact?: Value;
    readonly keepC1?: boolean;
    readonly pushes?: 1 | 0 | -1 | -2;
    /** Registers, by the TOP before, that are in use from now on. */
    readonly fills?: readonly number[];
    readonly conditions?: Value;
  }): void {
    const { frame, status } = this;
    let next = status.and(
      ~((keepC1 ? 0 : C1) | (pushes ? FSW.TOP : 0) | (conditions ? comparison : 0)) >>> 0,
    );
    next = next.or(one(up, 32).shl(FSW.C1)).or(one(inexact, 32).shl(FSW.PE));
    if (pushes) next = next.or(status.sub(pushes * 0x800).and(FSW.TOP));
    if (conditions) next = next.or(conditions);
    let { tags } = this;
    for (const i of fills) tags = tags.and(this.#tag(i).not());
    for (let i = 0; i < -pushes; i++) tags = tags.or(this.#tag(i));
    if (tags !== this.tags) frame.set("FTW", tags);
    if (next !== status) frame.set("FSW", next);
    frame.set("FIP", frame.register("RIP", 64));
  }
}

// ---------------------------------------------------------------------------------------------------------- arithmetic

/** Significand and what follows it, as a fraction of 2^64, to nearest even. */
const round = (negative: Value, exponent: Value, significand: Value, rest: Value): Rounded => {
  const up = rest.sign.and(rest.shl(1).isZero().not().or(significand.bit(0)));
  const next = significand.add(one(up, 64));
  const carry = up.and(next.isZero());
  return {
    negative,
    significand: select(carry, next.from(1n << 63n), next),
    exponent: exponent.add(one(carry, 32)),
    common: exponent.sub(1).below(LARGEST - 2),
    inexact: rest.isZero().not(),
    up,
  };
};

/** Where the condition holds, a zero, exactly. */
const orZero = (zero: Value, value: Rounded, negative: Value = value.negative): Rounded => ({
  significand: select(zero, value.significand.from(0), value.significand),
  exponent: select(zero, value.exponent.from(0), value.exponent),
  negative: select(zero, negative, value.negative),
  common: value.common.or(zero),
  inexact: value.inexact.and(zero.not()),
  up: value.up.and(zero.not()),
});

type Operation = (a: Extended, b: Extended) => Rounded;

const multiply: Operation = (a, b) => {
  const high = a.significand.mulHighUnsigned(b.significand);
  const low = a.significand.mul(b.significand);
  const short = high.sign.not();
  const significand = select(short, high.shl(1).or(low.shr(63)), high);
  const rest = select(short, low.shl(1), low);
  const exponent = a.exponent
    .add(b.exponent)
    .sub(BIAS - 1)
    .sub(one(short, 32));
  return orZero(isZero(a).or(isZero(b)), round(a.negative.xor(b.negative), exponent, significand, rest));
};

const divide: Operation = (a, b) => {
  const whole = a.significand.below(b.significand).not();
  const high = select(whole, a.significand.shr(1), a.significand);
  const low = select(whole, a.significand.shl(63), a.significand.from(0));
  const { quotient, remainder } = divideUnsigned128(high, low, b.significand);
  // What is left, compared with half of the divisor.
  const twice = remainder.shl(1);
  const above = remainder.sign.or(b.significand.below(twice));
  const half = remainder.sign.not().and(twice.equal(b.significand));
  const rest = select(
    above,
    twice.from((1n << 63n) | 1n),
    select(half, twice.from(1n << 63n), one(remainder.isZero().not(), 64)),
  );
  const exponent = a.exponent
    .sub(b.exponent)
    .add(BIAS - 1)
    .add(one(whole, 32));
  const result = orZero(isZero(a), round(a.negative.xor(b.negative), exponent, quotient, rest));
  return { ...result, common: result.common.and(isZero(b).not()) };
};

const addition: Operation = (a, b) => {
  const swap = a.exponent
    .below(b.exponent)
    .or(a.exponent.equal(b.exponent).and(a.significand.below(b.significand)));
  const pick = (first: Value, second: Value): Value => select(swap, second, first);
  const [x, y] = [pick(a.significand, b.significand), pick(b.significand, a.significand)];
  const exponent = pick(a.exponent, b.exponent);
  const negative = pick(a.negative, b.negative);
  const difference = exponent.sub(pick(b.exponent, a.exponent));
  const distance = select(difference.from(128).below(difference), difference.from(128), difference);
  // The smaller one, moved: what is lost only matters as not zero.
  const high = y.shr(distance);
  const lost = y.shl(distance.from(128).sub(distance)).isZero().not();
  const low = y
    .shl(distance.from(64).sub(distance))
    .or(y.shr(distance.sub(64)))
    .or(one(lost, 64));
  const subtracts = a.negative.xor(b.negative);
  const sum = x.add(high);
  const carry = sum.below(x);
  const lessLow = low.neg();
  const less = x.sub(high).sub(one(low.isZero().not(), 64));
  const sumHigh = select(carry, sum.shr(1).or(sum.from(1n << 63n)), sum);
  const sumLow = select(carry, sum.shl(63).or(low.shr(1)).or(low.and(1)), low);
  const wide = select(subtracts, less, sumHigh);
  const narrow = select(subtracts, lessLow, sumLow);
  // Normalised: where the upper half has gone, the lower one is what is left.
  const gone = wide.isZero();
  const top = select(gone, narrow, wide);
  const bottom = select(gone, narrow.from(0), narrow);
  const places = top.clz().truncate(32);
  const significand = top.shl(places).or(bottom.shr(places.from(64).sub(places)));
  const moved = exponent
    .add(one(carry.and(subtracts.not()), 32))
    .sub(places)
    .sub(one(gone, 32).shl(6));
  return orZero(
    top.isZero(),
    round(negative, moved, significand, bottom.shl(places)),
    a.negative.and(b.negative),
  );
};

const subtraction: Operation = (a, b) => addition(a, { ...b, negative: b.negative.not() });

// --------------------------------------------------------------------------------------------------------- conversions

/** A float of 32 or 64 bits, exactly; the common kind is normal or zero. */
const fromFloat = (bits: Value): Rounded => {
  const [fraction, bias, largest] = bits.width === 32 ? [23, 127, 0xff] : [52, 1023, 0x7ff];
  const exponent = bits.shr(fraction).truncate(32).and(largest);
  const zero = bits.shl(1).isZero();
  const integer = constant(1n << 63n, 64);
  const significand = bits
    .zeroExtend(64)
    .shl(63 - fraction)
    .or(integer);
  return {
    significand: select(zero, integer.from(0), significand),
    exponent: select(zero, exponent.from(0), exponent.add(BIAS - bias)),
    negative: bits.sign,
    common: zero.or(exponent.sub(1).below(largest - 1)),
    inexact: FALSE,
    up: FALSE,
  };
};

const fromInteger = (bits: Value): Rounded => {
  const value = bits.signExtend(64);
  const magnitude = select(value.sign, value.neg(), value);
  const places = magnitude.clz();
  const zero = value.isZero();
  const exponent = places
    .from(BIAS + 63)
    .sub(places)
    .truncate(32);
  return exactly({
    significand: magnitude.shl(places),
    exponent: select(zero, exponent.from(0), exponent),
    negative: value.sign,
  });
};

interface Stored {
  readonly bits: Value;
  readonly common: Value;
  readonly inexact: Value;
  readonly up: Value;
}

const toFloat = (value: Extended, width: 32 | 64): Stored => {
  const [fraction, bias, largest] = width === 32 ? [23, 127, 0xff] : [52, 1023, 0x7ff];
  const { significand } = value;
  const drop = 63 - fraction;
  const rest = significand.shl(64 - drop);
  const kept = significand.shr(drop);
  const up = rest.sign.and(rest.shl(1).isZero().not().or(kept.bit(0)));
  const exponent = value.exponent.sub(BIAS - bias);
  const zero = isZero(value);
  // The significand's integer bit, and a carry into it, add to the exponent.
  const magnitude = exponent
    .sub(1)
    .zeroExtend(64)
    .shl(fraction)
    .add(kept.add(one(up, 64)));
  const sign = one(value.negative, 64).shl(width - 1);
  return {
    bits: select(zero, sign, magnitude.or(sign)).truncate(width),
    common: zero.or(exponent.sub(1).below(largest - 2)),
    inexact: rest.isZero().not(),
    up,
  };
};

const toInteger = (value: Extended, width: 16 | 32 | 64, truncates: Value): Stored => {
  const { significand, exponent } = value;
  const distance = exponent.from(BIAS + 63).sub(exponent);
  const small = distance.from(64).below(distance);
  const rest = select(
    isZero(value),
    significand,
    select(small, significand.from(1), significand.shl(distance.from(64).sub(distance))),
  );
  const kept = significand.shr(distance);
  const up = truncates
    .not()
    .and(rest.sign)
    .and(rest.shl(1).isZero().not().or(kept.bit(0)));
  const magnitude = kept.add(one(up, 64));
  return {
    bits: select(value.negative, magnitude.neg(), magnitude).truncate(width),
    common: exponent.below(BIAS + width - 2),
    inexact: rest.isZero().not(),
    up,
  };
};

// -------------------------------------------------------------------------------------------------------- instructions

const stackNumber = (frame: Frame, operand: number): number => frame.form.operands[operand]!.stack!;
const isMemory = (frame: Frame): boolean => frame.form.operands[0]?.kind === "memory";

/** Above the register stack: where a push writes. */
const PUSHED = 7;

const binary =
  (operation: Operation, { reversed = false, pops = false, integer = false } = {}): Usual =>
  (frame, first) => {
    const unit = new Unit(frame);
    const memory = isMemory(frame);
    const dest = memory ? 0 : stackNumber(frame, 0);
    frame.procedure(unit.wait().or(unit.unusualControl()).or(unit.isUnused(dest)));
    if (!memory) frame.procedure(unit.isUnused(stackNumber(frame, 1)));
    const before = unit.read(dest);
    const source = memory
      ? integer
        ? fromInteger(first!)
        : fromFloat(first!)
      : exactly(unit.read(stackNumber(frame, 1)));
    const result = reversed ? operation(source, before) : operation(before, source);
    const common = isCommon(before)
      .and(memory ? source.common : isCommon(source))
      .and(result.common);
    frame.procedure(common.not());
    unit.write(dest, result);
    unit.finish({ up: result.up, inexact: result.inexact, pushes: pops ? -1 : 0 });
  };

const pushing =
  (value: (frame: Frame, unit: Unit, operand: Value) => Rounded): Usual =>
  (frame, operand) => {
    const unit = new Unit(frame);
    frame.procedure(unit.wait().or(unit.isEmpty(PUSHED).not()));
    const pushed = value(frame, unit, operand!);
    frame.procedure(pushed.common.not());
    unit.write(PUSHED, pushed);
    unit.finish({ pushes: 1, fills: [PUSHED] });
  };

const FLD = pushing((frame, unit, operand) => {
  if (isMemory(frame)) return fromFloat(operand);
  const i = stackNumber(frame, 0);
  return exactly(unit.read(i), unit.isUnused(i).not());
});
const FILD = pushing((_frame, _unit, operand) => fromInteger(operand));
const constantOf = (significand: bigint, exponent: number): Usual =>
  pushing(() =>
    exactly({ significand: constant(significand, 64), exponent: constant(exponent, 32), negative: FALSE }),
  );

const store =
  (convert: (unit: Unit, value: Extended, width: number) => Stored, pops: boolean): Usual =>
  (frame, operand) => {
    const unit = new Unit(frame);
    frame.procedure(unit.wait().or(unit.isUnused(0)));
    const value = unit.read(0);
    if (isMemory(frame)) {
      const { bits, common, inexact, up } = convert(unit, value, operand!.width);
      frame.procedure(common.and(isCommon(value)).not());
      frame.write(operand!, bits);
      unit.finish({ up, inexact, pushes: pops ? -1 : 0 });
    } else {
      const i = stackNumber(frame, 0);
      if (i !== 0) unit.write(i, value);
      unit.finish({ fills: [i], pushes: pops ? -1 : 0 });
    }
  };

const asFloat = (unit: Unit, value: Extended, width: number): Stored => {
  const stored = toFloat(value, width as 32 | 64);
  return { ...stored, common: stored.common.and(unit.unusualControl(false).not()) };
};
/** To nearest or, as programs set it for this, towards zero. */
const asInteger = (unit: Unit, value: Extended, width: number): Stored => {
  const rounding = unit.control.and(FCW.RC);
  const truncates = rounding.equal(FCW.RC);
  const stored = toInteger(value, width as 16 | 32 | 64, truncates);
  return { ...stored, common: stored.common.and(truncates.or(rounding.isZero())).and(unit.control.bit(5)) };
};
const truncated = (unit: Unit, value: Extended, width: number): Stored => {
  const stored = toInteger(value, width as 16 | 32 | 64, TRUE);
  return { ...stored, common: stored.common.and(unit.control.bit(5)) };
};

const exchange: Usual = (frame) => {
  const unit = new Unit(frame);
  const i = stackNumber(frame, 0);
  frame.procedure(unit.wait().or(unit.isUnused(0)).or(unit.isUnused(i)));
  const [top, other] = [unit.read(0), unit.read(i)];
  unit.write(0, other);
  unit.write(i, top);
  unit.finish({});
};

/** ST(0) with another sign. */
const sign =
  (change: (negative: Value) => Value): Usual =>
  (frame) => {
    const unit = new Unit(frame);
    frame.procedure(unit.wait().or(unit.isUnused(0)));
    const value = unit.read(0);
    frame.set("ST0.sign", value.exponent.or(one(change(value.negative), 32).shl(15)).truncate(16));
    unit.finish({});
  };

interface Order {
  readonly less: Value;
  readonly equal: Value;
}

const compare = (a: Extended, b: Extended): Order => {
  const zeros = isZero(a).and(isZero(b));
  const sameExponent = a.exponent.equal(b.exponent);
  const same = sameExponent.and(a.significand.equal(b.significand));
  const smaller = a.exponent.below(b.exponent).or(sameExponent.and(a.significand.below(b.significand)));
  const opposite = a.negative.xor(b.negative);
  const less = select(
    opposite,
    a.negative.and(zeros.not()),
    select(a.negative, smaller.not().and(same.not()), smaller),
  );
  return { less, equal: zeros.or(opposite.not().and(same)) };
};

interface Comparison {
  readonly pops?: 0 | 1 | 2;
  /** Other than the operand: ST(1), zero, an integer. */
  readonly other?: "ST1" | "zero" | "integer";
  readonly toFlags?: boolean;
}

const comparing =
  ({ pops = 0, other, toFlags = false }: Comparison): Usual =>
  (frame, operand) => {
    const unit = new Unit(frame);
    const memory = isMemory(frame);
    const i =
      other === "ST1" ? 1 : other === "zero" || memory ? undefined : stackNumber(frame, toFlags ? 1 : 0);
    frame.procedure(unit.wait().or(unit.isUnused(0)));
    if (i !== undefined) frame.procedure(unit.isUnused(i));
    const a = unit.read(0);
    const zero: Extended = { significand: constant(0, 64), exponent: constant(0, 32), negative: FALSE };
    const b = exactly(i !== undefined ? unit.read(i) : zero);
    const comparand = !memory ? b : other === "integer" ? fromInteger(operand!) : fromFloat(operand!);
    frame.procedure(
      isCommon(a)
        .and(memory ? comparand.common : isCommon(b))
        .not(),
    );
    const { less, equal } = compare(a, comparand);
    const pushes = pops === 0 ? 0 : pops === 1 ? -1 : -2;
    if (toFlags) {
      frame.flags({ ZF: equal, PF: FALSE, CF: less, OF: FALSE, SF: FALSE, AF: FALSE });
      unit.finish({ keepC1: true, pushes });
    } else unit.finish({ pushes, conditions: one(less, 32).shl(FSW.C0).or(one(equal, 32).shl(FSW.C3)) });
  };

const moveWhen =
  (holds: (frame: Frame) => Value): Usual =>
  (frame) => {
    const unit = new Unit(frame);
    const i = stackNumber(frame, 1);
    frame.procedure(unit.wait().or(unit.isUnused(0)).or(unit.isUnused(i)));
    const [top, other] = [unit.read(0), unit.read(i)];
    const condition = holds(frame);
    const pick = (part: keyof Extended): Value => select(condition, other[part], top[part]);
    unit.write(0, {
      significand: pick("significand"),
      exponent: pick("exponent"),
      negative: pick("negative"),
    });
    unit.finish({ keepC1: true });
  };

const storeWord =
  (name: "FCW" | "FSW"): Usual =>
  (frame, dest) => {
    frame.write(dest!, frame.register(name, 32).truncate(16));
  };

/** FLDCW that makes no exception unmasked. */
const loadControl: Usual = (frame, operand) => {
  const unit = new Unit(frame);
  frame.procedure(unit.wait());
  const word = operand!.zeroExtend(32).and(0x1f3f).or(0x40);
  frame.procedure(unit.status.and(word.not()).and(0x3f).isZero().not());
  frame.set("FCW", word);
};

// biome-ignore format: one row per family
export const usualForms: Readonly<Record<string, Usual>> = {
  FADD: binary(addition), FADDP: binary(addition, { pops: true }), FIADD: binary(addition, { integer: true }),
  FMUL: binary(multiply), FMULP: binary(multiply, { pops: true }), FIMUL: binary(multiply, { integer: true }),
  FSUB: binary(subtraction), FSUBP: binary(subtraction, { pops: true }), FISUB: binary(subtraction, { integer: true }),
  FSUBR: binary(subtraction, { reversed: true }), FSUBRP: binary(subtraction, { reversed: true, pops: true }), FISUBR: binary(subtraction, { reversed: true, integer: true }),
  FDIV: binary(divide), FDIVP: binary(divide, { pops: true }), FIDIV: binary(divide, { integer: true }),
  FDIVR: binary(divide, { reversed: true }), FDIVRP: binary(divide, { reversed: true, pops: true }), FIDIVR: binary(divide, { reversed: true, integer: true }),
  FLD, FILD, FLD1: constantOf(1n << 63n, BIAS), FLDZ: constantOf(0n, 0),
  FST: store(asFloat, false), FSTP: store(asFloat, true), FIST: store(asInteger, false), FISTP: store(asInteger, true), FISTTP: store(truncated, true),
  FXCH: exchange, FCHS: sign((negative) => negative.not()), FABS: sign(() => FALSE),
  FCOM: comparing({}), FCOMP: comparing({ pops: 1 }), FCOMPP: comparing({ pops: 2, other: "ST1" }), FTST: comparing({ other: "zero" }),
  FUCOM: comparing({}), FUCOMP: comparing({ pops: 1 }), FUCOMPP: comparing({ pops: 2, other: "ST1" }),
  FICOM: comparing({ other: "integer" }), FICOMP: comparing({ other: "integer", pops: 1 }),
  FCOMI: comparing({ toFlags: true }), FCOMIP: comparing({ toFlags: true, pops: 1 }), FUCOMI: comparing({ toFlags: true }), FUCOMIP: comparing({ toFlags: true, pops: 1 }),
  FCMOVB: moveWhen((frame) => frame.flag("CF")), FCMOVNB: moveWhen((frame) => frame.flag("CF").not()),
  FCMOVE: moveWhen((frame) => frame.flag("ZF")), FCMOVNE: moveWhen((frame) => frame.flag("ZF").not()),
  FCMOVBE: moveWhen((frame) => frame.flag("CF").or(frame.flag("ZF"))), FCMOVNBE: moveWhen((frame) => frame.flag("CF").or(frame.flag("ZF")).not()),
  FNSTCW: storeWord("FCW"), FNSTSW: storeWord("FSW"), FLDCW: loadControl,
};
