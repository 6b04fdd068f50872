import { access as rights, segmentType, selectorTI, systemType } from "../arch/descriptors.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { SegmentRegister } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { type Descriptor, fetchDescriptor, markDescriptor } from "./descriptors.ts";
import { badLongCode, checkTarget, enterCode, type OperandSize, realCode } from "./far-transfer.ts";
import { readLinear } from "./linear-memory.ts";
import { cpl, iopl, is64Bit, isIa32e, isRealLike, isVirtual8086 } from "./mode.ts";
import { Access } from "./page-walk.ts";
import {
  GP,
  getSegment,
  isNull,
  NP,
  nullSegment,
  realSegment,
  type Segment,
  SS,
  setSegment,
  TS,
} from "./segmentation.ts";
import { currentStack, type Stack } from "./stack.ts";
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
const statusAndControl =
  RFLAGS.CF | RFLAGS.PF | RFLAGS.AF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.TF | RFLAGS.DF | RFLAGS.OF | RFLAGS.NT;

/** EFLAGS after IRET: what the image may change at privilege level `level` with the present IOPL. */
const flagsAfterReturn = (core: Core, image: bigint, operandSize: OperandSize, level: number): bigint => {
  let mask = statusAndControl;
  if (operandSize !== 16) mask |= RFLAGS.RF | RFLAGS.AC | RFLAGS.ID;
  if (level <= iopl(core.state)) mask |= RFLAGS.IF;
  if (level === 0) mask |= RFLAGS.IOPL | (operandSize === 16 ? 0n : RFLAGS.VIF | RFLAGS.VIP);
  return (core.state.RFLAGS & ~mask & ~RFLAGS.RF) | (image & mask) | RFLAGS.FIXED;
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
    : state.RFLAGS & RFLAGS.NT
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
  const frame = stack.popAll(3, operandSize / 8);
  if (frame instanceof Fault) return frame;
  const [offset, popped, image] = frame as [bigint, bigint, bigint];
  const selector = Number(popped & 0xffffn);
  if (offset > BigInt(state["CS.limit"])) return GP(0);
  let mask = statusAndControl | RFLAGS.IF;
  if (operandSize !== 16) mask |= RFLAGS.RF | RFLAGS.AC | RFLAGS.ID;
  if (!virtual8086) mask |= RFLAGS.IOPL;
  state.RFLAGS = (state.RFLAGS & ~mask & ~RFLAGS.RF) | (image & mask) | RFLAGS.FIXED;
  state.RSP = stack.pointer;
  setSegment(state, "CS", realCode(core, selector));
  state.RIP = offset;
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
  const frame = stack.popAll(long ? 5 : 3, bytes);
  if (frame instanceof Fault) return frame;
  const [offset, popped, image] = frame as [bigint, bigint, bigint];
  const selector = Number(popped & 0xffffn);
  if (image & RFLAGS.VM && level === 0 && operandSize === 32 && !isIa32e(state))
    return returnVirtual8086(core, stack, offset, selector, image);
  const code = returnCode(core, selector);
  if (code instanceof Fault) return code;
  const flags = flagsAfterReturn(core, image, operandSize, level);
  if ((selector & 3) === level && !long) {
    const fault = checkTarget(core, code, offset) ?? markDescriptor(core, code, segmentType.accessed);
    if (fault) return fault;
    state.RSP = stack.pointer;
    enterCode(core, code, offset);
    state.RFLAGS = flags;
    return undefined;
  }
  const rest = long ? frame.slice(3) : stack.popAll(2, bytes);
  if (rest instanceof Fault) return rest;
  const [pointer, stackSelector] = rest as [bigint, bigint];
  const fault = returnOuter(core, code, offset, Number(stackSelector & 0xffffn), pointer, 0);
  if (!fault) state.RFLAGS = flags;
  return fault;
};

const virtual8086Order: readonly SegmentRegister[] = ["ES", "DS", "FS", "GS"];

/** SDM Vol. 2, IRET, "RETURN-TO-VIRTUAL-8086-MODE": ESP, SS, ES, DS, FS, GS follow on the stack. */
const returnVirtual8086 = (
  core: Core,
  stack: Stack,
  offset: bigint,
  selector: number,
  image: bigint,
): Fault | undefined => {
  const { state } = core;
  const rest = stack.popAll(6, 4);
  if (rest instanceof Fault) return rest;
  if (offset > 0xffffn) return GP(0);
  const load = (name: SegmentRegister, value: bigint): void =>
    setSegment(state, name, realSegment(Number(value & 0xffffn), getSegment(state, name), true));
  load("CS", BigInt(selector));
  load("SS", rest[1]!);
  for (const [n, name] of virtual8086Order.entries()) load(name, rest[2 + n]!);
  state.RSP = rest[0]!;
  state.RIP = offset;
  state.RFLAGS = (image & 0x003f_7fd7n) | RFLAGS.FIXED;
  return undefined;
};
