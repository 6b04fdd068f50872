import { access as rights, segmentType, selectorTI, systemType } from "../arch/descriptors.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf, type SegmentRegister } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { type Descriptor, fetchDescriptor, markDescriptor } from "./descriptors.ts";
import { badLongCode, checkTarget, enterCode, type OperandSize, realCode } from "./far-transfer.ts";
import { readLinear } from "./linear-memory.ts";
import { cpl, flagsLow, iopl, is64Bit, isIa32e, isRealLike, isVirtual8086 } from "./mode.ts";
import { Access } from "./page-walk.ts";
import {
  GP,
  getSegment,
  isNull,
  loadRealSegment,
  NP,
  nullSegment,
  type Segment,
  SS,
  setSegment,
  TS,
} from "./segmentation.ts";
import { currentStack, Frame, type Stack } from "./stack.ts";
import { switchTask } from "./task-switch.ts";

/** Far RET, and IRET: SDM Vol. 2, their "Operation" sections. */

/** The code segment that RET or IRET returns to. */
const returnCode = (core: Core, selector: number): Descriptor | Fault => {
  const { state } = core;
  if (isNull(selector)) return GP(0);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  const level = selector & 3;
  if (descriptor === undefined || !descriptor.isCode || level < cpl(state)) return GP(selector);
  if (badLongCode(core, descriptor)) return GP(selector);
  if (descriptor.isConforming ? descriptor.dpl > level : descriptor.dpl !== level) return GP(selector);
  return descriptor.present ? descriptor : NP(selector);
};

/** The stack segment that RET or IRET returns to, at the level of the code segment. */
const returnStack = (core: Core, selector: number, code: Descriptor): Segment | Fault => {
  const level = code.selector & 3;
  if (isNull(selector)) {
    const allowed = isIa32e(core.state) && code.long && level !== 3 && (selector & 3) === level;
    return allowed ? nullSegment(selector, level) : GP(0);
  }
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || (selector & 3) !== level) return GP(selector);
  if (!descriptor.isWritableData || descriptor.dpl !== level) return GP(selector);
  if (!descriptor.present) return SS(selector);
  return markDescriptor(core, descriptor, segmentType.accessed) ?? descriptor.segment();
};

/** On return to an outer level, data segments that it may not use become null. One that is null already keeps its base. */
const dropInnerSegments = (core: Core, level: number): void => {
  const conformingCode = segmentType.code | segmentType.conforming;
  for (const name of ["ES", "FS", "GS", "DS"] as const) {
    const { access } = getSegment(core.state, name);
    if (access & rights.unusable || (access & conformingCode) === conformingCode) continue;
    if ((access & rights.DPL) >> 5 < level) setSegment(core.state, name, nullSegment(0));
  }
};

/** The stack pointer after a return: as wide as the stack it returns to. */
const returnPointer = (before: bigint, pointer: bigint, segment: Segment, long: boolean): bigint => {
  if (long) return pointer;
  if (segment.access & rights.DB) return BigInt.asUintN(32, pointer);
  return (before & ~0xffffn) | (pointer & 0xffffn);
};

/** RET far; `release` bytes of parameters are discarded from this stack and, at an outer level, from that one too. */
export const returnFar = (core: Core, operandSize: OperandSize, release: number): Fault | undefined => {
  const { state } = core;
  const bytes = operandSize / 8;
  const stack = currentStack(core);
  const offset = stack.pop(bytes);
  if (offset instanceof Fault) return offset;
  const popped = stack.pop(bytes);
  if (popped instanceof Fault) return popped;
  const selector = Number(popped & 0xffffn);
  if (isRealLike(state)) {
    if (offset > BigInt(state["CS.limit"])) return GP(0);
    stack.advance(release);
    state.RSP = stack.pointer;
    setSegment(state, "CS", realCode(core, selector));
    state.RIP = offset;
    return undefined;
  }
  const code = returnCode(core, selector);
  if (code instanceof Fault) return code;
  stack.advance(release);
  if ((selector & 3) === cpl(state)) {
    const fault = checkTarget(core, code, offset) ?? markDescriptor(core, code, segmentType.accessed);
    if (fault) return fault;
    state.RSP = stack.pointer;
    enterCode(core, code, offset);
    return undefined;
  }
  const pointer = stack.pop(bytes);
  if (pointer instanceof Fault) return pointer;
  const stackSelector = stack.pop(bytes);
  if (stackSelector instanceof Fault) return stackSelector;
  return returnOuter(core, code, offset, Number(stackSelector & 0xffffn), pointer, release);
};

/** Return to an outer level, for RET and IRET. */
const returnOuter = (
  core: Core,
  code: Descriptor,
  offset: bigint,
  stackSelector: number,
  pointer: bigint,
  release: number,
): Fault | undefined => {
  const { state } = core;
  const segment = returnStack(core, stackSelector, code);
  if (segment instanceof Fault) return segment;
  const fault = checkTarget(core, code, offset) ?? markDescriptor(core, code, segmentType.accessed);
  if (fault) return fault;
  const level = code.selector & 3;
  const isOuter = level !== cpl(state);
  const long = isIa32e(state) && code.long;
  setSegment(state, "SS", segment);
  setSegment(state, "CS", code.segment());
  state.RSP = returnPointer(state.RSP, pointer + BigInt(release), segment, long);
  state.RIP = offset;
  if (isOuter) dropInnerSegments(core, level);
  return undefined;
};

// biome-ignore format: one list
const statusAndControl = Number(
  RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.TF | RFLAGS.DF | RFLAGS.OF | RFLAGS.NT);
/** Flags that an operand of 16 bits does not reach. */
const wideFlags = Number(RFLAGS.RF | RFLAGS.AC | RFLAGS.ID);
const virtualInterrupts = Number(RFLAGS.VIF | RFLAGS.VIP);
const [IF, IOPL, RF, NT, VM] = [RFLAGS.IF, RFLAGS.IOPL, RFLAGS.RF, RFLAGS.NT, RFLAGS.VM].map(Number) as [
  number,
  number,
  number,
  number,
  number,
];
const fixedFlags = Number(RFLAGS.FIXED);
const flagsOffset = offsetOf("RFLAGS");
const ripOffset = offsetOf("RIP");
const csLimitOffset = offsetOf("CS.limit");

/** What is popped while an interrupt returns. */
const frame = new Frame();

const replaceFlags = ({ view }: CpuState, image: number, mask: number): void => {
  const kept = view.getUint32(flagsOffset, true) & ~mask & ~RF;
  view.setUint32(flagsOffset, kept | (image & mask) | fixedFlags, true);
};

/** What an image of EFLAGS may change by IRET at privilege level `level` with the present IOPL. */
const returnMask = (core: Core, operandSize: OperandSize, level: number): number => {
  let mask = statusAndControl;
  if (operandSize !== 16) mask |= wideFlags;
  if (level <= iopl(core.state)) mask |= IF;
  if (level === 0) mask |= IOPL | (operandSize === 16 ? 0 : virtualInterrupts);
  return mask;
};

/**
 * IRET in all modes. NMIs are no longer blocked once it has completed; a guest's VMM decides on that. `next`, for a task switch, is the offset of the
 * following instruction.
 */
export const interruptReturn = (core: Core, operandSize: OperandSize, next: bigint): Fault | undefined => {
  const { state, vmx } = core;
  const inGuest = vmx?.nonRoot === true;
  if (inGuest) vmx.unblockNmis();
  const fault = isRealLike(state)
    ? returnReal(core, operandSize)
    : flagsLow(state) & NT
      ? returnTask(core, next)
      : returnProtected(core, operandSize);
  if (!fault && !inGuest) state.interruptibility &= ~8;
  return fault;
};

/** Real-address mode, and virtual-8086 mode with IOPL 3. */
const returnReal = (core: Core, operandSize: OperandSize): Fault | undefined => {
  const { state } = core;
  const virtual8086 = isVirtual8086(state);
  if (virtual8086 && iopl(state) < 3) return GP(0);
  const stack = currentStack(core);
  const fault = stack.popFrame(frame.clear(), 3, operandSize / 8);
  if (fault) return fault;
  const { view } = state;
  if (frame.low(0) > view.getUint32(csLimitOffset, true)) return GP(0);
  let mask = statusAndControl | IF;
  if (operandSize !== 16) mask |= wideFlags;
  if (!virtual8086) mask |= IOPL;
  replaceFlags(state, frame.low(2), mask);
  stack.commit(state);
  loadRealSegment(state, "CS", frame.low(1) & 0xffff, virtual8086);
  view.setUint32(ripOffset, frame.low(0), true);
  view.setUint32(ripOffset + 4, 0, true);
  return undefined;
};

/** NT = 1: back to the task that the link field of the current TSS names. */
const returnTask = (core: Core, next: bigint): Fault | undefined => {
  const { state } = core;
  if (isIa32e(state)) return GP(0);
  const link = readLinear(core, state["TR.base"], 2, Access.IMPLICIT);
  if (link instanceof Fault) return link;
  const selector = Number(link);
  if (isNull(selector) || selector & selectorTI) return TS(selector);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || descriptor.isSegment) return TS(selector);
  if (descriptor.type !== systemType.busyTSS16 && descriptor.type !== systemType.busyTSS32)
    return TS(selector);
  if (!descriptor.present) return NP(selector);
  return switchTask(core, descriptor, "IRET", next);
};

const returnProtected = (core: Core, operandSize: OperandSize): Fault | undefined => {
  const { state } = core;
  const bytes = operandSize / 8;
  const level = cpl(state);
  const stack = currentStack(core);
  // In 64-bit mode SS:RSP always follows; elsewhere CS tells whether it does.
  const long = is64Bit(state);
  const refused = stack.popFrame(frame.clear(), long ? 5 : 3, bytes);
  if (refused) return refused;
  const selector = frame.low(1) & 0xffff;
  const image = frame.low(2);
  if (image & VM && level === 0 && operandSize === 32 && !isIa32e(state))
    return returnVirtual8086(core, stack);
  const offset = frame.value(0);
  const code = returnCode(core, selector);
  if (code instanceof Fault) return code;
  const mask = returnMask(core, operandSize, level);
  if ((selector & 3) === level && !long) {
    const fault = checkTarget(core, code, offset) ?? markDescriptor(core, code, segmentType.accessed);
    if (fault) return fault;
    stack.commit(state);
    enterCode(core, code, offset);
    replaceFlags(state, image, mask);
    return undefined;
  }
  const short = long ? undefined : stack.popFrame(frame, 2, bytes);
  if (short) return short;
  const fault = returnOuter(core, code, offset, frame.low(4) & 0xffff, frame.value(3), 0);
  if (!fault) replaceFlags(state, image, mask);
  return fault;
};

const virtual8086Order: readonly SegmentRegister[] = ["ES", "DS", "FS", "GS"];

/** SDM Vol. 2, IRET, "RETURN-TO-VIRTUAL-8086-MODE": behind what has been popped follow ESP, SS, ES, DS, FS, GS on the stack. */
const returnVirtual8086 = (core: Core, stack: Stack): Fault | undefined => {
  const { state } = core;
  const fault = stack.popFrame(frame, 6, 4);
  if (fault) return fault;
  if (frame.low(0) > 0xffff) return GP(0);
  const load = (name: SegmentRegister, index: number): void =>
    loadRealSegment(state, name, frame.low(index) & 0xffff, true);
  load("CS", 1);
  load("SS", 4);
  for (const [n, name] of virtual8086Order.entries()) load(name, 5 + n);
  state.RSP = frame.value(3);
  state.RIP = frame.value(0);
  state.RFLAGS = BigInt((frame.low(2) & 0x003f_7fd7) | fixedFlags);
  return undefined;
};
