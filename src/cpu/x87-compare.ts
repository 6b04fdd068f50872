import { RFLAGS } from "../arch/flags.ts";
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
  isEmpty,
  pop,
  raise,
  readST,
  setConditions,
  stackUnderflow,
  withheldBy,
} from "./x87-stack.ts";

/** x87 comparisons (SDM Vol. 1, "Comparison and Classification Instructions"). */

const { extended80 } = ieee;
type Relation = ieee.Relation;

/** C3, C2, C0 by outcome. */
const conditions: Record<Relation, number> = {
  greater: 0,
  less: FSW.C0,
  equal: FSW.C3,
  unordered: FSW.C3 | FSW.C2 | FSW.C0,
};
const conditionMask = FSW.C3 | FSW.C2 | FSW.C0;

/** ZF, PF, CF by outcome. */
const statusFlags: Record<Relation, bigint> = {
  greater: 0n,
  less: RFLAGS.CF,
  equal: RFLAGS.ZF,
  unordered: RFLAGS.ZF | RFLAGS.PF | RFLAGS.CF,
};
const statusMask = RFLAGS.ZF | RFLAGS.PF | RFLAGS.CF | RFLAGS.OF | RFLAGS.SF | RFLAGS.AF;

const popTimes = (state: CpuState, times: number): void => {
  for (let n = 0; n < times; n++) pop(state);
};

interface Comparand {
  readonly format: ieee.Format;
  readonly bits: bigint;
}

/** What ST(0) is compared with; undefined where that is an empty register. */
type FindComparand = (core: Core, instruction: Instruction) => Comparand | Fault | undefined;

const memoryComparand: Record<"real" | "integer", FindComparand> = {
  real: (core, instruction) => {
    const bits = loadOperand(core, instruction);
    return bits instanceof Fault ? bits : { format: realFormat(instruction), bits };
  },
  integer: (core, instruction) => {
    const bits = loadOperand(core, instruction);
    if (bits instanceof Fault) return bits;
    const integer = BigInt.asIntN(operandWidth(instruction), bits);
    const { bits: real } = ieee.fromInteger(extended80, environmentOf(core.state), integer);
    return { format: extended80, bits: real };
  },
};

const registerComparand =
  (index: (instruction: Instruction) => number): FindComparand =>
  ({ state }, instruction) => {
    const i = index(instruction);
    return isEmpty(state, i) ? undefined : { format: extended80, bits: readST(state, i) };
  };

const operandComparand: FindComparand = (core, instruction) =>
  isMemory(instruction)
    ? memoryComparand.real(core, instruction)
    : registerComparand((of) => stackIndex(of, 0))(core, instruction);
const st1Comparand = registerComparand(() => 1);
const zeroComparand: FindComparand = () => ({ format: extended80, bits: 0n });

interface Comparison {
  /** 0, 1 or 2. */
  readonly pops?: number;
  /** FUCOM ...: quiet NaNs are no invalid operation. */
  readonly quiet?: boolean;
  readonly find?: FindComparand;
}

/** ST(0) with the comparand; then C3, C2, C0, even where an unmasked exception keeps the stack as it was. */
const comparing = ({ pops = 0, quiet = false, find = operandComparand }: Comparison): X87Procedure =>
  numeric((core, instruction) => {
    const { state } = core;
    const comparand = find(core, instruction);
    if (comparand instanceof Fault) return comparand;
    if (comparand === undefined || isEmpty(state, 0)) {
      const masked = stackUnderflow(state);
      setConditions(state, conditionMask, conditions.unordered);
      if (masked) popTimes(state, pops);
      return undefined;
    }
    const { relation, exceptions } = ieee.compare(
      environmentOf(state),
      quiet,
      extended80,
      readST(state, 0),
      comparand.bits,
      comparand.format,
    );
    raise(state, exceptions, false);
    setConditions(state, conditionMask, conditions[relation]);
    if (!withheldBy(state, exceptions, FSW.IE | FSW.DE)) popTimes(state, pops);
    return undefined;
  });

/** ST(0) with ST(i); then ZF, PF, CF, even where an unmasked exception keeps the stack as it was. C1 changes only where a register is empty. */
const comparingToFlags = ({ pops = 0, quiet = false }: Comparison): X87Procedure =>
  numeric(({ state }, instruction) => {
    const i = stackIndex(instruction, 1);
    let relation: Relation = "unordered";
    let masked: boolean;
    if (isEmpty(state, 0) || isEmpty(state, i)) masked = stackUnderflow(state);
    else {
      const environment = environmentOf(state);
      const compared = ieee.compare(environment, quiet, extended80, readST(state, 0), readST(state, i));
      relation = compared.relation;
      masked = raise(state, compared.exceptions, (state.FSW & FSW.C1) !== 0);
    }
    state.RFLAGS = (state.RFLAGS & ~statusMask) | statusFlags[relation];
    if (masked) popTimes(state, pops);
    return undefined;
  });

const classes: Record<ieee.OperandClass, number> = {
  unsupported: 0,
  quietNaN: FSW.C0,
  signalingNaN: FSW.C0,
  normal: FSW.C2,
  infinity: FSW.C2 | FSW.C0,
  zero: FSW.C3,
  denormal: FSW.C3 | FSW.C2,
};

/** FXAM: the class of ST(0), empty or not, and its sign in C1. */
const examine: X87Procedure = numeric(({ state }) => {
  const bits = readST(state, 0);
  const sign = bits & extended80.signBit ? FSW.C1 : 0;
  const found = isEmpty(state, 0) ? FSW.C3 | FSW.C0 : classes[ieee.decode(extended80, bits).class];
  setConditions(state, FSW.conditions, found | sign);
  return undefined;
});

// biome-ignore format: one row per fact
export const comparisons: readonly (readonly [mnemonic: string, X87Procedure])[] = [
  ["FCOM", comparing({})],
  ["FCOM2", comparing({})],
  ["FCOMP", comparing({ pops: 1 })],
  ["FCOMP3", comparing({ pops: 1 })],
  ["FCOMP5", comparing({ pops: 1 })],
  ["FCOMPP", comparing({ pops: 2, find: st1Comparand })],
  ["FUCOM", comparing({ quiet: true })],
  ["FUCOMP", comparing({ quiet: true, pops: 1 })],
  ["FUCOMPP", comparing({ quiet: true, pops: 2, find: st1Comparand })],
  ["FICOM", comparing({ find: memoryComparand.integer })],
  ["FICOMP", comparing({ pops: 1, find: memoryComparand.integer })],
  ["FTST", comparing({ find: zeroComparand })],
  ["FCOMI", comparingToFlags({})],
  ["FCOMIP", comparingToFlags({ pops: 1 })],
  ["FUCOMI", comparingToFlags({ quiet: true })],
  ["FUCOMIP", comparingToFlags({ quiet: true, pops: 1 })],
  ["FXAM", examine],
];
