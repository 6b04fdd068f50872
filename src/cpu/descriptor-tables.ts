import { CR4 } from "../arch/control-registers.ts";
import { selectorTI, systemType } from "../arch/descriptors.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { Instruction } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import { type Descriptor, fetchDescriptor, fetchUpperHalf, markDescriptor } from "./descriptors.ts";
import { cpl, is64Bit, isCanonical, isIa32e } from "./mode.ts";
import {
  effectiveAddress,
  effectiveAddress32,
  memoryOperand,
  readMemoryOperand,
  readOperand,
  writeMemoryOperand,
  writeOperand,
} from "./operands.ts";
import {
  GP,
  isNull,
  NP,
  nullSegment,
  probeMemory,
  readMemoryNumber,
  selectorOf,
  setSegment,
} from "./segmentation.ts";

/** Descriptor-table instructions: SGDT ... LTR, LAR, LSL, VERR, VERW (SDM Vol. 2, their "Operation" sections). */

type Procedure = (core: Core, instruction: Instruction) => ProcedureOutcome;

/** UMIP: SGDT, SIDT, SLDT, STR and SMSW are #GP(0) outside CPL 0. */
export const umip = ({ state }: Core): Fault | undefined =>
  state.CR4 & CR4.UMIP && cpl(state) > 0 ? GP(0) : undefined;

const storeTable =
  (table: "GDTR" | "IDTR"): Procedure =>
  (core, instruction) => {
    const refused = umip(core);
    if (refused) return refused;
    const { state } = core;
    // The base is stored whole with a 16-bit operand size too, as every processor since the 386 does.
    const baseBytes = is64Bit(state) ? 8 : 4;
    const operand = memoryOperand(instruction, 0);
    const offset = effectiveAddress(core, instruction, operand);
    const base = BigInt.asUintN(instruction.addressSize, offset + 2n);
    return (
      probeMemory(core, operand.segment, base, baseBytes) ??
      writeMemoryOperand(core, instruction, 0, BigInt(state[`${table}.limit`]), 2) ??
      writeMemoryOperand(core, instruction, 0, state[`${table}.base`], baseBytes, 2)
    );
  };
export const SGDT = storeTable("GDTR");
export const SIDT = storeTable("IDTR");

const tableOffsets = {
  GDTR: { base: offsetOf("GDTR.base"), limit: offsetOf("GDTR.limit") },
  IDTR: { base: offsetOf("IDTR.base"), limit: offsetOf("IDTR.limit") },
} as const;

/** The same with 32-bit addresses outside 64-bit mode, without a bigint: 32-bit hypervisors change tables at each switch of worlds. */
const loadTable32 = (core: Core, instruction: Instruction, table: "GDTR" | "IDTR"): Fault | undefined => {
  const operand = memoryOperand(instruction, 0);
  const offset = effectiveAddress32(core, operand);
  const limit = readMemoryNumber(core, operand.segment, offset, 2);
  if (limit instanceof Fault) return limit;
  const base = readMemoryNumber(core, operand.segment, (offset + 2) >>> 0, 4);
  if (base instanceof Fault) return base;
  const at = tableOffsets[table];
  const { view } = core.state;
  view.setUint32(at.limit, limit, true);
  view.setUint32(at.base, instruction.operandSize === 16 ? base & 0xff_ffff : base, true);
  view.setUint32(at.base + 4, 0, true);
  return undefined;
};

const loadTable =
  (table: "GDTR" | "IDTR"): Procedure =>
  (core, instruction) => {
    const { state } = core;
    const long = is64Bit(state);
    if (!long && instruction.addressSize === 32) return loadTable32(core, instruction, table);
    const limit = readMemoryOperand(core, instruction, 0, 2);
    if (limit instanceof Fault) return limit;
    let base = readMemoryOperand(core, instruction, 0, long ? 8 : 4, 2);
    if (base instanceof Fault) return base;
    if (!long && instruction.operandSize === 16) base &= 0xff_ffffn;
    if (long && !isCanonical(base, core.model.linearAddressBits)) return GP(0);
    state[`${table}.limit`] = Number(limit);
    state[`${table}.base`] = base;
    return undefined;
  };
export const LGDT = loadTable("GDTR");
export const LIDT = loadTable("IDTR");

const storeSelector =
  (register: "LDTR" | "TR"): Procedure =>
  (core, instruction) =>
    umip(core) ?? writeOperand(core, instruction, 0, BigInt(selectorOf(core.state, register)));
export const SLDT = storeSelector("LDTR");
export const STR = storeSelector("TR");

/** Base of an LDT or TSS descriptor: 64 bits in IA-32e mode. Faults name the selector. */
const systemBase = (core: Core, descriptor: Descriptor): bigint | Fault => {
  if (!isIa32e(core.state)) return descriptor.base;
  const upper = fetchUpperHalf(core, descriptor);
  if (upper instanceof Fault) return upper;
  if (upper === undefined || upper.type !== 0) return GP(descriptor.selector);
  const base = descriptor.base | (upper.base << 32n);
  return isCanonical(base, core.model.linearAddressBits) ? base : GP(descriptor.selector);
};

const selectorOperand = (core: Core, instruction: Instruction, index: number): number | Fault => {
  const value = readOperand(core, instruction, index, 2);
  return value instanceof Fault ? value : Number(value & 0xffffn);
};

export const LLDT: Procedure = (core, instruction) => {
  const selector = selectorOperand(core, instruction, 0);
  if (selector instanceof Fault) return selector;
  if (isNull(selector)) {
    setSegment(core.state, "LDTR", nullSegment(selector));
    return undefined;
  }
  if (selector & selectorTI) return GP(selector);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || descriptor.isSegment || descriptor.type !== systemType.LDT)
    return GP(selector);
  if (!descriptor.present) return NP(selector);
  const base = systemBase(core, descriptor);
  if (base instanceof Fault) return base;
  setSegment(core.state, "LDTR", { selector, base, limit: descriptor.limit, access: descriptor.access });
  return undefined;
};

export const LTR: Procedure = (core, instruction) => {
  const selector = selectorOperand(core, instruction, 0);
  if (selector instanceof Fault) return selector;
  if (isNull(selector)) return GP(0);
  if (selector & selectorTI) return GP(selector);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || descriptor.isSegment) return GP(selector);
  const { type } = descriptor;
  if (type !== systemType.TSS32 && (type !== systemType.TSS16 || isIa32e(core.state))) return GP(selector);
  if (!descriptor.present) return NP(selector);
  const base = systemBase(core, descriptor);
  if (base instanceof Fault) return base;
  const fault = markDescriptor(core, descriptor, systemType.busy);
  if (fault) return fault;
  const access = descriptor.access | systemType.busy;
  setSegment(core.state, "TR", { selector, base, limit: descriptor.limit, access });
  return undefined;
};

// LAR, LSL, VERR, VERW: ZF tells whether the descriptor is one that the program may see.

const types = (...list: number[]): number => list.reduce((set, type) => set | (1 << type), 0);
const { TSS16, LDT, busyTSS16, callGate16, taskGate, TSS32, busyTSS32, callGate32 } = systemType;
const segmentsWithLimit = types(TSS16, LDT, busyTSS16, TSS32, busyTSS32);
const segmentsWithLimitLong = types(LDT, TSS32, busyTSS32);
const gates = types(callGate16, taskGate, callGate32);
const gatesLong = types(callGate32);

const visibleDescriptor = (
  core: Core,
  selector: number,
  systemTypes: number,
): Descriptor | Fault | undefined => {
  if (isNull(selector)) return undefined;
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor === undefined || descriptor instanceof Fault) return descriptor;
  if (!descriptor.isSegment) {
    if (!(systemTypes & (1 << descriptor.type))) return undefined;
    if (isIa32e(core.state)) {
      const upper = fetchUpperHalf(core, descriptor);
      if (upper === undefined || upper instanceof Fault) return upper;
      if (upper.type !== 0) return undefined;
    }
  }
  if (descriptor.isCode && descriptor.isConforming) return descriptor;
  return Math.max(cpl(core.state), selector & 3) > descriptor.dpl ? undefined : descriptor;
};

const setZF = (core: Core, value: boolean): void => {
  core.state.RFLAGS = value ? core.state.RFLAGS | RFLAGS.ZF : core.state.RFLAGS & ~RFLAGS.ZF;
};

/** LAR and LSL: what of the descriptor is loaded, and which system descriptors have it. */
const inspect =
  (legacyTypes: number, longTypes: number, part: (descriptor: Descriptor) => number): Procedure =>
  (core, instruction) => {
    const selector = selectorOperand(core, instruction, 1);
    if (selector instanceof Fault) return selector;
    const descriptor = visibleDescriptor(core, selector, isIa32e(core.state) ? longTypes : legacyTypes);
    if (descriptor instanceof Fault) return descriptor;
    setZF(core, descriptor !== undefined);
    return descriptor ? writeOperand(core, instruction, 0, BigInt(part(descriptor))) : undefined;
  };
export const LAR = inspect(
  segmentsWithLimit | gates,
  segmentsWithLimitLong | gatesLong,
  ({ high }) => high & 0x00f0_ff00,
);
export const LSL = inspect(segmentsWithLimit, segmentsWithLimitLong, ({ limit }) => limit);

const verify =
  (accepts: (descriptor: Descriptor) => boolean): Procedure =>
  (core, instruction) => {
    const selector = selectorOperand(core, instruction, 0);
    if (selector instanceof Fault) return selector;
    const descriptor = visibleDescriptor(core, selector, 0);
    if (descriptor instanceof Fault) return descriptor;
    setZF(core, descriptor !== undefined && accepts(descriptor));
    return undefined;
  };
export const VERR = verify(({ isCode, type }) => !isCode || (type & 2) !== 0);
export const VERW = verify(({ isWritableData }) => isWritableData);

/** ARPL: raise the RPL of DEST to that of SRC. Memory is written, and must be writable, only when it rises. */
export const ARPL: Procedure = (core, instruction) => {
  const dest = readOperand(core, instruction, 0, 2);
  if (dest instanceof Fault) return dest;
  const src = readOperand(core, instruction, 1, 2);
  if (src instanceof Fault) return src;
  const raises = (dest & 3n) < (src & 3n);
  const fault = raises ? writeOperand(core, instruction, 0, (dest & ~3n) | (src & 3n), 2) : undefined;
  if (fault) return fault;
  setZF(core, raises);
  return undefined;
};
