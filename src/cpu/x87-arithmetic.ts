import { FSW } from "../arch/x87.ts";
import * as ieee from "../base/ieee754/index.ts";
import type { Instruction } from "../isa/instruction.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { type Core, Fault } from "./core.ts";
import {
  isMemory,
  loadOperand,
  numeric,
  operandWidth,
  realFormat,
  stackIndex,
  type X87Procedure,
} from "./x87-instruction.ts";
import {
  environmentOf,
  indefinite,
  isEmpty,
  pop,
  preComputation,
  push,
  raise,
  readST,
  setConditions,
  stackOverflow,
  stackUnderflow,
  withheldBy,
  writeST,
} from "./x87-stack.ts";

/** x87 arithmetic (SDM Vol. 1, "Basic Arithmetic Instructions", "Trigonometric Instructions", "Logarithmic, Exponential, and Scale"). */

const { extended80 } = ieee;
type Environment = ieee.Environment;

/** Deliver a result into ST(i). True unless an unmasked exception withholds it. */
const deliver = (state: CpuState, i: number, result: ieee.Result): boolean => {
  raise(state, result.exceptions, result.roundedUp);
  if (withheldBy(state, result.exceptions, preComputation)) return false;
  writeST(state, i, result.bits);
  return true;
};

const isNaN80 = (bits: bigint): boolean => ieee.isNaNOperand(ieee.decode(extended80, bits));

// ------------------------------------------------------------------------------------- two operands, one of them memory

interface Source {
  readonly format: ieee.Format;
  readonly bits: bigint;
}

/** The memory operand as a number. */
const memorySource = (core: Core, instruction: Instruction, kind: "real" | "integer"): Source | Fault => {
  const bits = loadOperand(core, instruction);
  if (bits instanceof Fault) return bits;
  if (kind === "real") return { format: realFormat(instruction), bits };
  const integer = BigInt.asIntN(operandWidth(instruction), bits);
  return { format: extended80, bits: ieee.fromInteger(extended80, environmentOf(core.state), integer).bits };
};

/** DEST <- DEST op SRC; `reversed`: SRC op DEST. */
const binary = (
  compute: typeof ieee.add,
  { reversed = false, pops = false, kind = "real" as "real" | "integer" } = {},
): X87Procedure =>
  numeric((core, instruction) => {
    const { state } = core;
    let dest = 0;
    let source: Source | undefined;
    if (isMemory(instruction)) {
      const loaded = memorySource(core, instruction, kind);
      if (loaded instanceof Fault) return loaded;
      source = loaded;
    } else {
      dest = stackIndex(instruction, 0);
      const src = stackIndex(instruction, 1);
      if (!isEmpty(state, src)) source = { format: extended80, bits: readST(state, src) };
    }
    if (source === undefined || isEmpty(state, dest)) {
      if (!stackUnderflow(state)) return undefined;
      writeST(state, dest, indefinite);
      if (pops) pop(state);
      return undefined;
    }
    const { format, bits } = source;
    const environment = environmentOf(state);
    const before = readST(state, dest);
    const result = reversed
      ? compute(extended80, environment, bits, before, format, extended80)
      : compute(extended80, environment, before, bits, extended80, format);
    if (deliver(state, dest, result) && pops) pop(state);
    return undefined;
  });

// ------------------------------------------------------------------------------------------------------- ST(0) alone

/** ST(0) <- f(ST(0)). */
const unary = (compute: (environment: Environment, a: bigint) => ieee.Result): X87Procedure =>
  numeric(({ state }) => {
    if (isEmpty(state, 0)) {
      if (stackUnderflow(state)) writeST(state, 0, indefinite);
    } else deliver(state, 0, compute(environmentOf(state), readST(state, 0)));
    return undefined;
  });

/** FABS, FCHS: no operand is invalid. */
const sign = (change: (bits: bigint) => bigint): X87Procedure =>
  unary((_, bits) => ({ bits: change(bits), exceptions: 0, roundedUp: false }));

/** ST(0) <- f(ST(0), ST(1)). */
const scale: X87Procedure = numeric(({ state }) => {
  if (isEmpty(state, 0) || isEmpty(state, 1)) {
    if (stackUnderflow(state)) writeST(state, 0, indefinite);
  } else deliver(state, 0, ieee.scale(extended80, environmentOf(state), readST(state, 0), readST(state, 1)));
  return undefined;
});

/**
 * FPREM, FPREM1: C0, C3, C1 are the quotient's low bits, C2 says that more steps are needed. Without a result C0 and C3
 * stay.
 */
const remainder = (rounding: "zero" | "nearest"): X87Procedure =>
  numeric(({ state }) => {
    setConditions(state, FSW.C2, 0);
    if (isEmpty(state, 0) || isEmpty(state, 1)) {
      if (stackUnderflow(state)) writeST(state, 0, indefinite);
      return undefined;
    }
    const [a, b] = [readST(state, 0), readST(state, 1)];
    const result = ieee.remainder(extended80, environmentOf(state), rounding, a, b);
    if (!deliver(state, 0, result) || result.exceptions & FSW.IE || isNaN80(a) || isNaN80(b))
      return undefined;
    const { quotient, partial } = result;
    const conditions =
      (partial ? FSW.C2 : 0) |
      (quotient & 4 ? FSW.C0 : 0) |
      (quotient & 2 ? FSW.C3 : 0) |
      (quotient & 1 ? FSW.C1 : 0);
    setConditions(state, FSW.conditions, conditions);
    return undefined;
  });

/** ST(1) <- f(ST(0), ST(1)), then pop: FYL2X, FYL2XP1, FPATAN. */
const binaryPop = (
  compute: (environment: Environment, st0: bigint, st1: bigint) => ieee.Result,
): X87Procedure =>
  numeric(({ state }) => {
    if (isEmpty(state, 0) || isEmpty(state, 1)) {
      if (!stackUnderflow(state)) return undefined;
      writeST(state, 1, indefinite);
      pop(state);
    } else if (deliver(state, 1, compute(environmentOf(state), readST(state, 0), readST(state, 1))))
      pop(state);
    return undefined;
  });

/** FSIN, FCOS: an operand out of range stays, with C2. */
const trigonometric = (
  compute: (environment: Environment, a: bigint) => ieee.TrigonometricResult,
): X87Procedure =>
  numeric(({ state }) => {
    setConditions(state, FSW.C2, 0);
    if (isEmpty(state, 0)) {
      if (stackUnderflow(state)) writeST(state, 0, indefinite);
      return undefined;
    }
    const result = compute(environmentOf(state), readST(state, 0));
    if (result.outOfRange) setConditions(state, FSW.C1 | FSW.C2, FSW.C2);
    else deliver(state, 0, result);
    return undefined;
  });

// ------------------------------------------------------------------------------------------------------- two results

/** What replaces ST(0), and what is pushed on top of it. */
interface Pair {
  readonly below: bigint;
  readonly above: bigint;
  readonly exceptions: number;
  readonly roundedUp: boolean;
  readonly outOfRange: boolean;
}

/** FXTRACT; and FPTAN, FSINCOS, which change C2. */
const pushing = (compute: (environment: Environment, a: bigint) => Pair, changed = 0): X87Procedure =>
  numeric(({ state }) => {
    setConditions(state, changed, 0);
    const under = isEmpty(state, 0);
    if (under || !isEmpty(state, 7)) {
      if (!(under ? stackUnderflow(state) : stackOverflow(state))) return undefined;
      writeST(state, 0, indefinite);
      push(state, indefinite);
      return undefined;
    }
    const result = compute(environmentOf(state), readST(state, 0));
    if (result.outOfRange) {
      setConditions(state, FSW.C1 | FSW.C2, FSW.C2);
      return undefined;
    }
    raise(state, result.exceptions, result.roundedUp);
    if (withheldBy(state, result.exceptions, preComputation)) return undefined;
    writeST(state, 0, result.below);
    push(state, result.above);
    return undefined;
  });

const ONE = 0x3fff_8000_0000_0000_0000n;

const tangent = (environment: Environment, a: bigint): Pair => {
  const { bits, exceptions, roundedUp, outOfRange } = ieee.tan(environment, a);
  return { below: bits, above: isNaN80(bits) ? bits : ONE, exceptions, roundedUp, outOfRange };
};

const sineAndCosine = (environment: Environment, a: bigint): Pair => {
  const below = ieee.sin(environment, a);
  const above = ieee.cos(environment, a);
  return {
    below: below.bits,
    above: above.bits,
    exceptions: below.exceptions | above.exceptions,
    roundedUp: above.roundedUp,
    outOfRange: below.outOfRange,
  };
};

const extraction = (environment: Environment, a: bigint): Pair => {
  const { exponent, significand, exceptions } = ieee.extract(extended80, environment, a);
  return { below: exponent, above: significand, exceptions, roundedUp: false, outOfRange: false };
};

const reversed = { reversed: true } as const;
const pops = { pops: true } as const;
const integer = { kind: "integer" } as const;

// biome-ignore format: one row per fact
export const arithmetic: readonly (readonly [mnemonic: string, X87Procedure])[] = [
  ["FADD", binary(ieee.add)],
  ["FMUL", binary(ieee.mul)],
  ["FSUB", binary(ieee.sub)],
  ["FSUBR", binary(ieee.sub, reversed)],
  ["FDIV", binary(ieee.div)],
  ["FDIVR", binary(ieee.div, reversed)],
  ["FADDP", binary(ieee.add, pops)],
  ["FMULP", binary(ieee.mul, pops)],
  ["FSUBP", binary(ieee.sub, pops)],
  ["FSUBRP", binary(ieee.sub, { ...reversed, ...pops })],
  ["FDIVP", binary(ieee.div, pops)],
  ["FDIVRP", binary(ieee.div, { ...reversed, ...pops })],
  ["FIADD", binary(ieee.add, integer)],
  ["FIMUL", binary(ieee.mul, integer)],
  ["FISUB", binary(ieee.sub, integer)],
  ["FISUBR", binary(ieee.sub, { ...reversed, ...integer })],
  ["FIDIV", binary(ieee.div, integer)],
  ["FIDIVR", binary(ieee.div, { ...reversed, ...integer })],
  ["FCHS", sign((bits) => bits ^ extended80.signBit)],
  ["FABS", sign((bits) => bits & ~extended80.signBit)],
  ["FSQRT", unary((environment, a) => ieee.sqrt(extended80, environment, a))],
  ["FRNDINT", unary((environment, a) => ieee.roundToIntegral(extended80, environment, a, "report"))],
  ["FSCALE", scale],
  ["FPREM", remainder("zero")],
  ["FPREM1", remainder("nearest")],
  ["F2XM1", unary(ieee.exp2MinusOne)],
  ["FYL2X", binaryPop(ieee.yLog2X)],
  ["FYL2XP1", binaryPop(ieee.yLog2XPlusOne)],
  ["FPATAN", binaryPop(ieee.atan2)],
  ["FSIN", trigonometric(ieee.sin)],
  ["FCOS", trigonometric(ieee.cos)],
  ["FPTAN", pushing(tangent, FSW.C2)],
  ["FSINCOS", pushing(sineAndCosine, FSW.C2)],
  ["FXTRACT", pushing(extraction)],
];
