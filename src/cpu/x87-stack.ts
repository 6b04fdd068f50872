import { emptyFTW, FCW, FSW } from "../arch/x87.ts";
import { controlWordEnvironment, type Environment, extended80 } from "../base/ieee754/index.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";

/**
 * The x87 register stack and status word. FTW holds 3 for an empty register and 0 for one in use: whether that is valid,
 * zero or special is derived from its contents where a tag word is stored.
 */

const registersOffset = offsetOf("x87.0");
const REGISTER_BYTES = 16;

/** TOP. */
export const top = (state: CpuState): number => (state.FSW >> 11) & 7;

/** Physical number of ST(i). */
const physical = (state: CpuState, i: number): number => (top(state) + i) & 7;

export const isEmpty = (state: CpuState, i: number): boolean =>
  ((state.FTW >> (2 * physical(state, i))) & 3) === 3;

/** The 80 bits of a register by its physical number. */
export const readPhysical = ({ view }: CpuState, number: number): bigint => {
  const at = registersOffset + REGISTER_BYTES * number;
  return (BigInt(view.getUint16(at + 8, true)) << 64n) | view.getBigUint64(at, true);
};

export const writePhysical = ({ view }: CpuState, number: number, bits: bigint): void => {
  const at = registersOffset + REGISTER_BYTES * number;
  view.setBigUint64(at, BigInt.asUintN(64, bits), true);
  view.setUint16(at + 8, Number(bits >> 64n), true);
};

/** The 80 bits of ST(i), in use or not. */
export const readST = (state: CpuState, i: number): bigint => readPhysical(state, physical(state, i));

/** Write ST(i), which is in use from now on. */
export const writeST = (state: CpuState, i: number, bits: bigint): void => {
  const number = physical(state, i);
  writePhysical(state, number, bits);
  state.FTW &= ~(3 << (2 * number));
};

/** Mark ST(i) empty; its contents stay. */
export const freeST = (state: CpuState, i: number): void => {
  state.FTW |= 3 << (2 * physical(state, i));
};

/** Move TOP; tags and contents stay with the physical registers. */
export const rotate = (state: CpuState, by: 1 | -1): void => {
  state.FSW = (state.FSW & ~FSW.TOP) | (((top(state) + by) & 7) << 11);
};

export const push = (state: CpuState, bits: bigint): void => {
  rotate(state, -1);
  writeST(state, 0, bits);
};

export const pop = (state: CpuState): void => {
  freeST(state, 0);
  rotate(state, 1);
};

/** Rounding, precision and masks in force. */
export const environmentOf = (state: CpuState): Environment => controlWordEnvironment(state.FCW);

/** ES and B by flags and masks: after either changed in other ways than by `raise`. */
export const summarise = (state: CpuState): void => {
  const pending = state.FSW & ~state.FCW & FSW.exceptions;
  state.FSW = pending ? state.FSW | FSW.ES | FSW.B : state.FSW & ~(FSW.ES | FSW.B);
};

/** C0 to C3 that an instruction leaves, besides those given. */
export const setConditions = (state: CpuState, affected: number, conditions: number): void => {
  state.FSW = (state.FSW & ~affected) | conditions;
};

/**
 * Record what an instruction detected: exception flags (and SF) are sticky, C1 is as given. True when none of the exceptions
 * is unmasked. Instructions that need not look further ask for `withheldBy`.
 */
export const raise = (state: CpuState, exceptions: number, c1: boolean): boolean => {
  const unmasked = exceptions & ~state.FCW & FSW.exceptions;
  const status = (state.FSW & ~FSW.C1) | exceptions | (c1 ? FSW.C1 : 0);
  state.FSW = unmasked ? status | FSW.ES | FSW.B : status;
  return unmasked === 0;
};

/** A source register was empty. True when the masked response is due: `indefinite` in the place of what is missing. */
export const stackUnderflow = (state: CpuState): boolean => raise(state, FSW.IE | FSW.SF, false);

/** The register to be pushed to was in use. True when the masked response is due: `indefinite` is pushed over it. */
export const stackOverflow = (state: CpuState): boolean => raise(state, FSW.IE | FSW.SF, true);

/** The QNaN floating-point indefinite. */
export const indefinite = extended80.indefinite;

/** Exceptions that, unmasked, are reported before there is a result: operands and stack stay as they were. */
export const preComputation = FSW.IE | FSW.DE | FSW.ZE;

/** Of the exceptions found, those that keep a result from a register. */
export const withheldBy = (state: CpuState, exceptions: number, kinds: number): boolean =>
  (exceptions & ~state.FCW & kinds) !== 0;

/** FNINIT's state; the registers keep their contents. */
export const initialise = (state: CpuState): void => {
  state.FCW = FCW.initial;
  state.FSW = 0;
  state.FTW = emptyFTW;
  state.FOP = state.FCS = state.FDS = 0;
  state.FIP = state.FDP = 0n;
};
