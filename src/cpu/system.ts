import { CR0, CR4 } from "../arch/control-registers.ts";
import { DR6, DR7 } from "../arch/debug-registers.ts";
import { access as rights } from "../arch/descriptors.ts";
import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import { IA32_MISC_ENABLE, MSR_MISC_FEATURES_ENABLES } from "../arch/msrs.ts";
import type { Instruction, RegisterOperand } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import {
  readControlRegister,
  supportedXCR0,
  writeControlRegister,
  writeCR0,
  writeXCR0,
} from "./control-registers.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import { debugRegisterNumber, readDebugRegister, writeDebugRegister } from "./debug-registers.ts";
import { umip } from "./descriptor-tables.ts";
import { componentsInUse } from "./fpu-image.ts";
import { dataRead, readLinear } from "./linear-memory.ts";
import { cpl, is64Bit, isCanonical, isIa32e, isProtected } from "./mode.ts";
import { plainMsr, readMsr, readPlain, timeStampCounter, writeMsr, writePlain } from "./msrs.ts";
import {
  effectiveAddress,
  memoryOperand,
  nextRip,
  readMemoryOperand,
  readOperand,
  writeGeneral,
  writeOperand,
} from "./operands.ts";
import { Access } from "./page-walk.ts";
import { GP, getSegment, linearAddress, type Segment, setSegment, UD } from "./segmentation.ts";

/** System instructions (SDM Vol. 2, their "Operation" sections). Privilege is checked before: `row.privileged`. */

type Procedure = (core: Core, instruction: Instruction) => ProcedureOutcome;

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
export const pair = ({ state }: Core): bigint =>
  ((state.RDX & 0xffff_ffffn) << 32n) | (state.RAX & 0xffff_ffffn);

export const setPair = (core: Core, value: bigint): void => {
  core.state.RAX = value & 0xffff_ffffn;
  core.state.RDX = value >> 32n;
};

export const XGETBV: Procedure = (core) => {
  const { state, model } = core;
  if (!(state.CR4 & CR4.OSXSAVE)) return UD();
  if (ECX(core) === 0n) setPair(core, state.XCR0);
  else if (ECX(core) === 1n && model.has("XGETBV_ECX1"))
    setPair(core, state.XCR0 & BigInt(componentsInUse(state)));
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
export const monitorUnavailable = ({ state }: Core): boolean =>
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

/** CR4.TSD, outside CPL 0. */
export const timeStampDisabled = ({ state }: Core): boolean => (state.CR4 & CR4.TSD) !== 0n && cpl(state) > 0;

/** The time-stamp counter as instructions see it: a guest's is offset and scaled. */
const visibleTimeStamp = (core: Core): bigint => {
  const time = timeStampCounter(core);
  return core.vmx?.nonRoot ? core.vmx.guestTimeStamp(time) : time;
};

export const RDTSC: Procedure = (core) => {
  if (timeStampDisabled(core)) return GP(0);
  setPair(core, visibleTimeStamp(core));
  return undefined;
};

export const RDTSCP: Procedure = (core) => {
  if (timeStampDisabled(core)) return GP(0);
  setPair(core, visibleTimeStamp(core));
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

const timeStampMsr = 0x10;
const raxOffset = offsetOf("RAX");
const rbxOffset = offsetOf("RBX");
const rcxOffset = offsetOf("RCX");
const rdxOffset = offsetOf("RDX");

export const RDMSR: Procedure = (core) => {
  const index = core.state.view.getUint32(rcxOffset, true);
  const plain = plainMsr(core, index);
  if (plain !== undefined) {
    readPlain(core, plain);
    return undefined;
  }
  const value = index === timeStampMsr ? visibleTimeStamp(core) : readMsr(core, index);
  if (value === undefined) return GP(0);
  setPair(core, value);
  return undefined;
};

export const WRMSR: Procedure = (core) => {
  const index = core.state.view.getUint32(rcxOffset, true);
  const plain = plainMsr(core, index);
  const written = plain === undefined ? writeMsr(core, index, pair(core)) : writePlain(core, plain);
  return written ? undefined : GP(0);
};

/** CPUID faulting is switched on, outside CPL 0. */
export const cpuidFaults = ({ state }: Core): boolean =>
  (state.MSR_MISC_FEATURES_ENABLES & MSR_MISC_FEATURES_ENABLES.CPUIDFaulting) !== 0n && cpl(state) > 0;

export const CPUID: Procedure = (core) => {
  const { state, model } = core;
  if (cpuidFaults(core)) return GP(0);
  const { view } = state;
  const leaf = view.getUint32(raxOffset, true);
  const { eax, ebx, ecx, edx } = model.cpuid(core, leaf, view.getUint32(rcxOffset, true));
  view.setUint32(raxOffset, eax, true);
  view.setUint32(raxOffset + 4, 0, true);
  view.setUint32(rbxOffset, ebx, true);
  view.setUint32(rbxOffset + 4, 0, true);
  view.setUint32(rcxOffset, ecx, true);
  view.setUint32(rcxOffset + 4, 0, true);
  view.setUint32(rdxOffset, edx, true);
  view.setUint32(rdxOffset + 4, 0, true);
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
