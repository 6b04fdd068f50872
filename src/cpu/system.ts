import { CR0, CR4 } from "../arch/control-registers.ts";
import { DR6, DR7 } from "../arch/debug-registers.ts";
import { access as rights, selectorTI, systemType } from "../arch/descriptors.ts";
import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import { IA32_MISC_ENABLE } from "../arch/msrs.ts";
import type { Instruction, RegisterOperand } from "../isa/instruction.ts";
import {
  readControlRegister,
  supportedXCR0,
  writeControlRegister,
  writeCR0,
  writeXCR0,
} from "./control-registers.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import { debugRegisterNumber, readDebugRegister, writeDebugRegister } from "./debug-registers.ts";
import { componentsInUse } from "./fpu-state.ts";
import { dataRead, readLinear } from "./linear-memory.ts";
import { cpl, is64Bit, isCanonical, isIa32e, isProtected } from "./mode.ts";
import { readMsr, timeStampCounter, writeMsr } from "./msrs.ts";
import {
  effectiveAddress, memoryOperand, nextRip, readMemoryOperand, readOperand, writeGeneral, writeMemoryOperand,
  writeOperand,
} from "./operands.ts"; // biome-ignore format: one list
import { Access } from "./page-walk.ts";
import {
  type Descriptor, fetchDescriptor, fetchUpperHalf, GP, getSegment, isNull, linearAddress, markDescriptor, NP, nullSegment,
  probeMemory, type Segment, selectorOf, setSegment, UD,
} from "./segmentation.ts"; // biome-ignore format: one list

/** System instructions (SDM Vol. 2, their "Operation" sections). Privilege is checked before: `row.privileged`. */

type Procedure = (core: Core, instruction: Instruction) => ProcedureOutcome;

/** UMIP: SGDT, SIDT, SLDT, STR and SMSW are #GP(0) outside CPL 0. */
const umip = ({ state }: Core): Fault | undefined =>
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

const loadTable =
  (table: "GDTR" | "IDTR"): Procedure =>
  (core, instruction) => {
    const { state } = core;
    const long = is64Bit(state);
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

export const SMSW: Procedure = (core, instruction) =>
  umip(core) ?? writeOperand(core, instruction, 0, core.state.CR0);

/** LMSW: PE, MP, EM and TS; PE can be set but not cleared. */
export const LMSW: Procedure = (core, instruction) => {
  const value = readOperand(core, instruction, 0, 2);
  if (value instanceof Fault) return value;
  const { CR0: before } = core.state;
  return writeCR0(core, (before & ~0xen) | (value & 0xfn));
};

export const CLTS: Procedure = ({ state }) => {
  state.CR0 &= ~CR0.TS;
  return undefined;
};

const registerNumber = (instruction: Instruction, index: number): number =>
  (instruction.operands[index] as RegisterOperand).number;

export const MOV_FROM_CR: Procedure = (core, instruction) => {
  const value = readControlRegister(core, registerNumber(instruction, 1));
  return value === undefined ? UD() : writeOperand(core, instruction, 0, value);
};

export const MOV_TO_CR: Procedure = (core, instruction) => {
  const value = readOperand(core, instruction, 1);
  return value instanceof Fault ? value : writeControlRegister(core, registerNumber(instruction, 0), value);
};

/** DR7.GD: any access to a debug register is #DB, a fault, with DR6.BD. */
const generalDetect = ({ state }: Core): Fault | undefined =>
  state.DR7 & DR7.GD ? new Fault(Exception.DB, undefined, DR6.BD) : undefined;

export const MOV_FROM_DR: Procedure = (core, instruction) => {
  const number = debugRegisterNumber(core.state, registerNumber(instruction, 1));
  if (number === undefined) return UD();
  return generalDetect(core) ?? writeOperand(core, instruction, 0, readDebugRegister(core.state, number));
};

export const MOV_TO_DR: Procedure = (core, instruction) => {
  const number = debugRegisterNumber(core.state, registerNumber(instruction, 0));
  if (number === undefined) return UD();
  const detected = generalDetect(core);
  if (detected) return detected;
  const value = readOperand(core, instruction, 1);
  if (value instanceof Fault) return value;
  return writeDebugRegister(core.state, number, value) ? undefined : GP(0);
};

/** Nothing is cached here, so INVD loses nothing and WBINVD writes nothing. */
export const INVD: Procedure = () => undefined;
export const WBINVD: Procedure = () => undefined;

/** A non-canonical address is no fault: nothing happens. */
export const INVLPG: Procedure = (core, instruction) => {
  const { state } = core;
  const operand = memoryOperand(instruction, 0);
  const offset = effectiveAddress(core, instruction, operand);
  let address = offset;
  if (!is64Bit(state)) address = (getSegment(state, operand.segment).base + offset) & 0xffff_ffffn;
  else if (operand.segment === "FS" || operand.segment === "GS")
    address = BigInt.asUintN(64, state[`${operand.segment}.base`] + offset);
  if (isCanonical(address, core.model.linearAddressBits)) core.invalidate({ kind: "page", address });
  return undefined;
};

export const INVPCID: Procedure = (core, instruction) => {
  const type = readOperand(core, instruction, 0);
  if (type instanceof Fault) return type;
  const descriptor = readMemoryOperand(core, instruction, 1, 16);
  if (descriptor instanceof Fault) return descriptor;
  const pcid = Number(descriptor & 0xfffn);
  const address = descriptor >> 64n;
  if (type > 3n || (descriptor >> 12n) & 0xf_ffff_ffff_ffffn) return GP(0);
  if (type < 2n && pcid !== 0 && !(core.state.CR4 & CR4.PCIDE)) return GP(0);
  if (type === 0n && !isCanonical(address, core.model.linearAddressBits)) return GP(0);
  if (type === 0n) core.invalidate({ kind: "page", address, pcid });
  else if (type === 1n) core.invalidate({ kind: "pcid", pcid });
  else core.invalidate({ kind: type === 2n ? "all" : "non-global" });
  return undefined;
};

const ECX = ({ state }: Core): bigint => state.RCX & 0xffff_ffffn;

/** EDX:EAX. */
const pair = ({ state }: Core): bigint => ((state.RDX & 0xffff_ffffn) << 32n) | (state.RAX & 0xffff_ffffn);

const setPair = (core: Core, value: bigint): void => {
  core.state.RAX = value & 0xffff_ffffn;
  core.state.RDX = value >> 32n;
};

export const XGETBV: Procedure = (core) => {
  const { state, model } = core;
  if (!(state.CR4 & CR4.OSXSAVE)) return UD();
  if (ECX(core) === 0n) setPair(core, state.XCR0);
  else if (ECX(core) === 1n && model.has("XGETBV_ECX1")) setPair(core, state.XCR0 & componentsInUse(state));
  else return GP(0);
  return undefined;
};

export const XSETBV: Procedure = (core) => {
  const { state, model } = core;
  if (!(state.CR4 & CR4.OSXSAVE) || supportedXCR0(model) === 0n) return UD();
  if (cpl(state) !== 0 || ECX(core) !== 0n) return GP(0);
  return writeXCR0(core, pair(core));
};

export const HLT: Procedure = ({ state }) => {
  state.activity = 1;
  return undefined;
};

/** What state["MONITOR.armed"] holds. */
export const Monitor = {
  armed: 1,
  waiting: 2,
  /** Interrupts end the wait even with IF = 0. */ breakOnInterrupt: 4,
} as const;

/** Outside CPL 0, or when IA32_MISC_ENABLE switches the two instructions off. */
const monitorUnavailable = ({ state }: Core): boolean =>
  cpl(state) !== 0 || !(state.IA32_MISC_ENABLE & IA32_MISC_ENABLE.monitor);

export const MONITOR: Procedure = (core, instruction) => {
  const { state } = core;
  if (monitorUnavailable(core)) return UD();
  if (ECX(core) !== 0n) return GP(0);
  const offset = BigInt.asUintN(instruction.addressSize, state.RAX);
  const address = linearAddress(core, instruction.segmentOverride ?? "DS", offset, 1, Access.READ);
  if (address instanceof Fault) return address;
  const byte = readLinear(core, address, 1, dataRead(core));
  if (byte instanceof Fault) return byte;
  state["MONITOR.address"] = address;
  state["MONITOR.armed"] = Monitor.armed;
  return undefined;
};

/**
 * MWAIT: with an armed monitor the processor waits in activity state HLT; a store to the monitored line (the machine
 * looks), or any event, ends that. Ending early is always allowed.
 */
export const MWAIT: Procedure = (core) => {
  const { state } = core;
  if (monitorUnavailable(core)) return UD();
  if (ECX(core) & ~1n) return GP(0);
  if (!(state["MONITOR.armed"] & Monitor.armed)) return undefined;
  state["MONITOR.armed"] = Monitor.waiting | (ECX(core) & 1n ? Monitor.breakOnInterrupt : 0);
  state.activity = 1;
  return undefined;
};

const timeStampDisabled = ({ state }: Core): boolean => (state.CR4 & CR4.TSD) !== 0n && cpl(state) > 0;

export const RDTSC: Procedure = (core) => {
  if (timeStampDisabled(core)) return GP(0);
  setPair(core, timeStampCounter(core));
  return undefined;
};

export const RDTSCP: Procedure = (core) => {
  if (timeStampDisabled(core)) return GP(0);
  setPair(core, timeStampCounter(core));
  core.state.RCX = core.state.IA32_TSC_AUX & 0xffff_ffffn;
  return undefined;
};

/** This machine has no performance counters, so every counter number is invalid. */
export const RDPMC: Procedure = () => GP(0);

const random: Procedure = (core, instruction) => {
  const { state } = core;
  const operand = instruction.operands[0] as RegisterOperand;
  writeGeneral(core, operand.number, operand.width, core.random());
  state.RFLAGS =
    (state.RFLAGS & ~(RFLAGS.OF | RFLAGS.SF | RFLAGS.ZF | RFLAGS.AF | RFLAGS.PF | RFLAGS.CF)) | RFLAGS.CF;
  return undefined;
};
export const RDRAND = random;
export const RDSEED = random;

export const RDMSR: Procedure = (core) => {
  const value = readMsr(core, Number(ECX(core)));
  if (value === undefined) return GP(0);
  setPair(core, value);
  return undefined;
};

export const WRMSR: Procedure = (core) => (writeMsr(core, Number(ECX(core)), pair(core)) ? undefined : GP(0));

export const CPUID: Procedure = (core) => {
  const { state, model } = core;
  const leaf = state.low32("RAX");
  const { eax, ebx, ecx, edx } = model.cpuid(core, leaf, state.low32("RCX"));
  state.RAX = BigInt(eax >>> 0);
  state.RBX = BigInt(ebx >>> 0);
  state.RCX = BigInt(ecx >>> 0);
  state.RDX = BigInt(edx >>> 0);
  // Reading the signature loads the microcode revision.
  if (leaf === 1) state.IA32_BIOS_SIGN_ID = model.fixedMsrs?.IA32_BIOS_SIGN_ID ?? 0n;
  return undefined;
};

// Fast system calls. Segments are flat by definition; descriptors are not read.

const flat = (selector: number, type: number, dpl: number, extra: number): Segment => ({
  selector,
  base: 0n,
  limit: 0xffff_ffff,
  access: type | rights.S | rights.P | rights.G | (dpl << 5) | extra,
});
const flatCode = (selector: number, dpl: number, long: boolean): Segment =>
  flat(selector, 11, dpl, long ? rights.L : rights.DB);
const flatStack = (selector: number, dpl: number): Segment => flat(selector, 3, dpl, rights.DB);

export const SYSCALL: Procedure = (core, instruction) => {
  const { state } = core;
  if (!is64Bit(state) || !(state.IA32_EFER & 1n)) return UD();
  state.RCX = nextRip(core, instruction);
  state.R11 = state.RFLAGS & ~RFLAGS.RF;
  state.RIP = state.IA32_LSTAR;
  state.RFLAGS = (state.RFLAGS & ~(state.IA32_FMASK | RFLAGS.RF)) | RFLAGS.FIXED;
  const selector = Number((state.IA32_STAR >> 32n) & 0xfffcn);
  setSegment(state, "CS", flatCode(selector, 0, true));
  setSegment(state, "SS", flatStack((selector + 8) & 0xffff, 0));
  return undefined;
};

export const SYSRET: Procedure = (core, instruction) => {
  const { state } = core;
  if (!is64Bit(state) || !(state.IA32_EFER & 1n)) return UD();
  const long = instruction.operandSize === 64;
  if (long && !isCanonical(state.RCX, core.model.linearAddressBits)) return GP(0);
  state.RIP = long ? state.RCX : state.RCX & 0xffff_ffffn;
  state.RFLAGS = (state.R11 & 0x003c_7fd7n) | RFLAGS.FIXED;
  const star = Number((state.IA32_STAR >> 48n) & 0xffffn);
  setSegment(state, "CS", flatCode(((long ? star + 16 : star) & 0xffff) | 3, 3, long));
  setSegment(state, "SS", flatStack(((star + 8) & 0xffff) | 3, 3));
  return undefined;
};

export const SYSENTER: Procedure = (core) => {
  const { state } = core;
  const target = Number(state.IA32_SYSENTER_CS & 0xfffcn);
  if (!isProtected(state) || target === 0) return GP(0);
  const long = isIa32e(state);
  state.RFLAGS &= ~(RFLAGS.VM | RFLAGS.IF | RFLAGS.RF);
  state.RSP = long ? state.IA32_SYSENTER_ESP : state.IA32_SYSENTER_ESP & 0xffff_ffffn;
  state.RIP = long ? state.IA32_SYSENTER_EIP : state.IA32_SYSENTER_EIP & 0xffff_ffffn;
  setSegment(state, "CS", flatCode(target, 0, long));
  setSegment(state, "SS", flatStack((target + 8) & 0xffff, 0));
  return undefined;
};

export const SYSEXIT: Procedure = (core, instruction) => {
  const { state } = core;
  const base = Number(state.IA32_SYSENTER_CS & 0xfffcn);
  if (!isProtected(state) || base === 0) return GP(0);
  const long = instruction.operandSize === 64;
  const width = core.model.linearAddressBits;
  if (long && !(isCanonical(state.RCX, width) && isCanonical(state.RDX, width))) return GP(0);
  state.RSP = long ? state.RCX : state.RCX & 0xffff_ffffn;
  state.RIP = long ? state.RDX : state.RDX & 0xffff_ffffn;
  const selector = base + (long ? 32 : 16);
  setSegment(state, "CS", flatCode((selector & 0xffff) | 3, 3, long));
  setSegment(state, "SS", flatStack(((selector + 8) & 0xffff) | 3, 3));
  return undefined;
};
