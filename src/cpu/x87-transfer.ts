import { RFLAGS } from "../arch/flags.ts";
import { FSW } from "../arch/x87.ts";
import * as ieee from "../base/ieee754/index.ts";
import type { Instruction } from "../isa/instruction.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import {
  isMemory,
  loadOperand,
  numeric,
  operandWidth,
  realFormat,
  stackIndex,
  storeOperand,
  type X87Procedure,
} from "./x87-instruction.ts";
import {
  environmentOf,
  freeST,
  indefinite,
  isEmpty,
  pop,
  preComputation,
  push,
  raise,
  readST,
  rotate,
  setConditions,
  stackOverflow,
  stackUnderflow,
  withheldBy,
  writeST,
} from "./x87-stack.ts";

/** x87 loads, stores, conversions and stack movements (SDM Vol. 1, "Data Transfer Instructions", "Load Constant Instructions"). */

const { extended80 } = ieee;
type Environment = ieee.Environment;
const truncating = (environment: Environment): Environment => ({ ...environment, rounding: "zero" });

// ------------------------------------------------------------------------------------------------------------- loads

/** Push a value; where ST(7) is in use, `indefinite` or nothing. */
const pushValue = (state: CpuState, bits: bigint): void => {
  if (isEmpty(state, 7)) {
    setConditions(state, FSW.C1, 0);
    push(state, bits);
  } else if (stackOverflow(state)) push(state, indefinite);
};

/** FLD from memory. A denormal is loaded even where DE is unmasked. */
const loadReal = (core: Core, instruction: Instruction): ProcedureOutcome => {
  const { state } = core;
  const bits = loadOperand(core, instruction);
  if (bits instanceof Fault) return bits;
  const format = realFormat(instruction);
  if (format === extended80 || !isEmpty(state, 7)) {
    pushValue(state, bits);
    return undefined;
  }
  const result = ieee.convert(extended80, format, environmentOf(state), bits);
  raise(state, result.exceptions, false);
  if (!withheldBy(state, result.exceptions, FSW.IE)) push(state, result.bits);
  return undefined;
};

/** FLD ST(i). */
const loadRegister = (state: CpuState, i: number): void => {
  if (!isEmpty(state, i)) pushValue(state, readST(state, i));
  else if (stackUnderflow(state)) push(state, indefinite);
};

const load: X87Procedure = numeric((core, instruction) => {
  if (isMemory(instruction)) return loadReal(core, instruction);
  loadRegister(core.state, stackIndex(instruction, 0));
  return undefined;
});

/** FILD, FBLD: exact. */
const loadExactly = (value: (bits: bigint, width: number) => bigint): X87Procedure =>
  numeric((core, instruction) => {
    const bits = loadOperand(core, instruction);
    if (bits instanceof Fault) return bits;
    pushValue(core.state, value(bits, operandWidth(instruction)));
    return undefined;
  });

const exactly = ieee.controlWordEnvironment(0x37f);
const fromInteger = (bits: bigint, width: number): bigint =>
  ieee.fromInteger(extended80, exactly, BigInt.asIntN(width, bits)).bits;

/** A constant: its bits rounded down (and towards zero), and whether the nearest number is the next above. */
const constant = (down: bigint, nearestIsUp: boolean): X87Procedure =>
  numeric(({ state }) => {
    const { rounding } = environmentOf(state);
    const up = rounding === "up" || (rounding === "nearest" && nearestIsUp);
    pushValue(state, up ? down + 1n : down);
    return undefined;
  });

/** A constant without rounding. */
const exactConstant = (bits: bigint): X87Procedure =>
  numeric(({ state }) => {
    pushValue(state, bits);
    return undefined;
  });

// ------------------------------------------------------------------------------------------------------------ stores

interface Stored {
  readonly bits: bigint;
  readonly exceptions: number;
  readonly roundedUp: boolean;
}

/** How a register is stored to memory, and what stands for an empty one. */
interface Conversion {
  convert(environment: Environment, bits: bigint, instruction: Instruction): Stored;
  indefinite(instruction: Instruction): bigint;
}

/** Exceptions that, unmasked, keep a store from memory: all but PE. */
const withholdsStore = preComputation | FSW.OE | FSW.UE;

/** Store ST(0) to memory; an unmasked exception other than PE leaves memory untouched, unchecked, and the stack as it was. */
const storeToMemory =
  (conversion: Conversion, pops: boolean) =>
  (core: Core, instruction: Instruction): ProcedureOutcome => {
    const { state } = core;
    const underflow = isEmpty(state, 0);
    const stored: Stored = underflow
      ? { bits: conversion.indefinite(instruction), exceptions: FSW.IE | FSW.SF, roundedUp: false }
      : conversion.convert(environmentOf(state), readST(state, 0), instruction);
    if (!withheldBy(state, stored.exceptions, withholdsStore)) {
      const fault = storeOperand(core, instruction, stored.bits);
      if (fault) return fault;
      raise(state, stored.exceptions, stored.roundedUp);
      if (pops) pop(state);
    } else raise(state, stored.exceptions, stored.roundedUp);
    return undefined;
  };

const asReal: Conversion = {
  convert: (environment, bits, instruction) => {
    const format = realFormat(instruction);
    if (format === extended80) return { bits, exceptions: 0, roundedUp: false };
    return ieee.convert(format, extended80, environment, bits);
  },
  indefinite: (instruction) => realFormat(instruction).indefinite,
};

const integerWidth = (instruction: Instruction): 16 | 32 | 64 => operandWidth(instruction) as 16 | 32 | 64;
const asInteger = (adjust: (environment: Environment) => Environment): Conversion => ({
  convert: (environment, bits, instruction) =>
    ieee.toInteger(integerWidth(instruction), extended80, adjust(environment), bits),
  indefinite: (instruction) => 1n << BigInt(integerWidth(instruction) - 1),
});

const asBcd: Conversion = {
  convert: (environment, bits) => ieee.toBcd(extended80, environment, bits),
  indefinite: () => 0xffff_c000_0000_0000_0000n,
};

const same = (environment: Environment): Environment => environment;

/** FST ST(i), FSTP ST(i). */
const storeToRegister = (state: CpuState, i: number, pops: boolean): void => {
  if (isEmpty(state, 0)) {
    if (!stackUnderflow(state)) return;
    writeST(state, i, indefinite);
  } else {
    setConditions(state, FSW.C1, 0);
    writeST(state, i, readST(state, 0));
  }
  if (pops) pop(state);
};

const store = (pops: boolean): X87Procedure => {
  const toMemory = storeToMemory(asReal, pops);
  return numeric((core, instruction) => {
    if (isMemory(instruction)) return toMemory(core, instruction);
    storeToRegister(core.state, stackIndex(instruction, 0), pops);
    return undefined;
  });
};

/** D9 D8+i: where ST(0) is empty it stores nothing and reports nothing, but pops. */
const storeWithoutException: X87Procedure = numeric(({ state }, instruction) => {
  if (!isEmpty(state, 0)) storeToRegister(state, stackIndex(instruction, 0), true);
  else {
    setConditions(state, FSW.C1, 0);
    pop(state);
  }
  return undefined;
});

// -------------------------------------------------------------------------------------------------- within the stack

/** FXCH: an empty register counts as `indefinite`. */
const exchange: X87Procedure = numeric(({ state }, instruction) => {
  const i = stackIndex(instruction, 0);
  const [empty0, emptyI] = [isEmpty(state, 0), isEmpty(state, i)];
  if (empty0 || emptyI) {
    if (!stackUnderflow(state)) return undefined;
  } else setConditions(state, FSW.C1, 0);
  const [st0, sti] = [empty0 ? indefinite : readST(state, 0), emptyI ? indefinite : readST(state, i)];
  writeST(state, 0, sti);
  writeST(state, i, st0);
  return undefined;
});

/** FCMOVcc: the registers must be in use whether the condition holds or not. C1 changes only where they are not. */
const moveWhen = (holds: (flags: bigint) => boolean): X87Procedure =>
  numeric(({ state }, instruction) => {
    const i = stackIndex(instruction, 1);
    if (isEmpty(state, 0) || isEmpty(state, i)) {
      if (stackUnderflow(state)) writeST(state, 0, indefinite);
      return undefined;
    }
    if (holds(state.RFLAGS)) writeST(state, 0, readST(state, i));
    return undefined;
  });
const anySet =
  (mask: bigint) =>
  (flags: bigint): boolean =>
    (flags & mask) !== 0n;
const noneSet =
  (mask: bigint) =>
  (flags: bigint): boolean =>
    (flags & mask) === 0n;
const { CF, ZF, PF } = RFLAGS;

/** Instructions that cannot fail: FNOP, FFREE, FINCSTP ... */
const simple = (run: (state: CpuState, instruction: Instruction) => void): X87Procedure =>
  numeric(({ state }, instruction) => {
    run(state, instruction);
    return undefined;
  });
const rotating = (by: 1 | -1): X87Procedure =>
  simple((state) => {
    rotate(state, by);
    setConditions(state, FSW.C1, 0);
  });
const freeing = (pops: boolean): X87Procedure =>
  simple((state, instruction) => {
    freeST(state, stackIndex(instruction, 0));
    setConditions(state, FSW.C1, 0);
    if (pops) pop(state);
  });

// biome-ignore format: one row per fact
export const transfers: readonly (readonly [mnemonic: string, X87Procedure])[] = [
  ["FLD", load],
  ["FILD", loadExactly(fromInteger)],
  ["FBLD", loadExactly((bits) => ieee.fromBcd(extended80, bits))],
  ["FST", store(false)],
  ["FSTP", store(true)],
  ["FSTP1", storeWithoutException],
  ["FSTP8", store(true)],
  ["FSTP9", store(true)],
  ["FIST", numeric(storeToMemory(asInteger(same), false))],
  ["FISTP", numeric(storeToMemory(asInteger(same), true))],
  ["FISTTP", numeric(storeToMemory(asInteger(truncating), true))],
  ["FBSTP", numeric(storeToMemory(asBcd, true))],
  ["FLDZ", exactConstant(0n)],
  ["FLD1", exactConstant(0x3fff_8000_0000_0000_0000n)],
  ["FLDL2T", constant(0x4000_d49a_784b_cd1b_8afen, false)],
  ["FLDL2E", constant(0x3fff_b8aa_3b29_5c17_f0bbn, true)],
  ["FLDPI", constant(0x4000_c90f_daa2_2168_c234n, true)],
  ["FLDLG2", constant(0x3ffd_9a20_9a84_fbcf_f798n, true)],
  ["FLDLN2", constant(0x3ffe_b172_17f7_d1cf_79abn, true)],
  ["FXCH", exchange],
  ["FXCH4", exchange],
  ["FXCH7", exchange],
  ["FCMOVB", moveWhen(anySet(CF))],
  ["FCMOVE", moveWhen(anySet(ZF))],
  ["FCMOVBE", moveWhen(anySet(CF | ZF))],
  ["FCMOVU", moveWhen(anySet(PF))],
  ["FCMOVNB", moveWhen(noneSet(CF))],
  ["FCMOVNE", moveWhen(noneSet(ZF))],
  ["FCMOVNBE", moveWhen(noneSet(CF | ZF))],
  ["FCMOVNU", moveWhen(noneSet(PF))],
  ["FNOP", simple(() => {})],
  ["FFREE", freeing(false)],
  ["FFREEP", freeing(true)],
  ["FINCSTP", rotating(1)],
  ["FDECSTP", rotating(-1)],
];
