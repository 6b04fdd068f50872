import { segmentType, selectorTI, systemType } from "../arch/descriptors.ts";
import { type Core, Fault } from "./core.ts";
import { type Descriptor, fetchDescriptor, fetchUpperHalf, markDescriptor } from "./descriptors.ts";
import { cpl, is64Bit, isCanonical, isIa32e, isRealLike, isVirtual8086 } from "./mode.ts";
import {
  GP,
  getSegment,
  isNull,
  NP,
  realSegment,
  type Segment,
  SS,
  selectorOf,
  setSegment,
} from "./segmentation.ts";
import { currentStack, type Stack } from "./stack.ts";
import { innerPointer64, innerSS64, innerStack, stack64 } from "./stack-switch.ts";
import { switchTask } from "./task-switch.ts";

/** Far JMP and CALL: SDM Vol. 2, their "Operation" sections; Vol. 3, "Program Control Transfers". */

export type OperandSize = 16 | 32 | 64;

const truncate = (size: OperandSize, value: bigint): bigint => BigInt.asUintN(size, value);

/** CS for a selector in real-address and virtual-8086 mode. */
export const realCode = (core: Core, selector: number): Segment =>
  realSegment(selector, getSegment(core.state, "CS"), isVirtual8086(core.state));

/** Is an offset within a code segment that is about to be loaded? 64-bit code: canonical. #GP(0) when not. */
export const checkTarget = (core: Core, descriptor: Descriptor, offset: bigint): Fault | undefined => {
  const inside =
    isIa32e(core.state) && descriptor.long
      ? isCanonical(offset, core.model.linearAddressBits)
      : offset <= BigInt(descriptor.limit);
  return inside ? undefined : GP(0);
};

/** A code-segment descriptor that sets L and D together is invalid in IA-32e mode. */
export const badLongCode = (core: Core, descriptor: Descriptor): boolean =>
  isIa32e(core.state) && descriptor.long && descriptor.big;

/** A target code segment of JMP or CALL without a gate. */
const checkDirectCode = (core: Core, descriptor: Descriptor): Fault | undefined => {
  const { selector } = descriptor;
  const level = cpl(core.state);
  if (badLongCode(core, descriptor)) return GP(selector);
  if (descriptor.isConforming) {
    if (descriptor.dpl > level) return GP(selector);
  } else if ((selector & 3) > level || descriptor.dpl !== level) return GP(selector);
  return descriptor.present ? undefined : NP(selector);
};

interface CallGate {
  /** The code segment, checked but for privilege and presence. */
  readonly descriptor: Descriptor;
  readonly offset: bigint;
  /** Parameters to copy, each as wide as the gate. */
  readonly parameters: number;
  readonly bytes: 2 | 4 | 8;
}

/** A call gate that JMP or CALL names, and its code segment's descriptor. */
const throughGate = (core: Core, gate: Descriptor): CallGate | Fault => {
  const { state } = core;
  const { selector } = gate;
  const ia32e = isIa32e(state);
  if (gate.dpl < cpl(state) || (selector & 3) > gate.dpl) return GP(selector);
  if (!gate.present) return NP(selector);
  let offset = BigInt((gate.low & 0xffff) + ((gate.high & 0xffff_0000) >>> 0));
  if (ia32e) {
    const upper = fetchUpperHalf(core, gate);
    if (upper instanceof Fault) return upper;
    if (upper === undefined || upper.type !== 0) return GP(selector);
    offset |= upper.base << 32n;
  } else if (gate.type === systemType.callGate16) offset &= 0xffffn;
  const codeSelector = gate.low >>> 16;
  if (isNull(codeSelector)) return GP(0);
  const descriptor = fetchDescriptor(core, codeSelector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || !descriptor.isCode || descriptor.dpl > cpl(state)) return GP(codeSelector);
  if (ia32e && (!descriptor.long || descriptor.big)) return GP(codeSelector);
  const bytes = ia32e ? 8 : gate.type === systemType.callGate16 ? 2 : 4;
  return { descriptor, offset, parameters: ia32e ? 0 : gate.high & 0x1f, bytes };
};

/** Task gates and TSS descriptors as targets of JMP and CALL. */
const throughTask = (
  core: Core,
  target: Descriptor,
  cause: "JMP" | "CALL",
  next: bigint,
): Fault | undefined => {
  const { state } = core;
  const level = Math.max(cpl(state), target.selector & 3);
  if (target.dpl < level) return GP(target.selector);
  let tss = target;
  if (target.type === systemType.taskGate) {
    if (!target.present) return NP(target.selector);
    const selector = target.low >>> 16;
    if (isNull(selector) || selector & selectorTI) return GP(selector);
    const descriptor = fetchDescriptor(core, selector);
    if (descriptor instanceof Fault) return descriptor;
    if (descriptor === undefined || descriptor.isSegment) return GP(selector);
    tss = descriptor;
  }
  if (tss.type !== systemType.TSS16 && tss.type !== systemType.TSS32) return GP(tss.selector);
  if (!tss.present) return NP(tss.selector);
  return switchTask(core, tss, cause, next);
};

/** What a far JMP or CALL selector names, after null and table-limit checks. */
const fetchTarget = (core: Core, selector: number): Descriptor | Fault => {
  if (isNull(selector)) return GP(0);
  return fetchDescriptor(core, selector) ?? GP(selector);
};

const isCallGate = (core: Core, { type }: Descriptor): boolean =>
  type === systemType.callGate32 || (type === systemType.callGate16 && !isIa32e(core.state));

const isTask = (core: Core, { type }: Descriptor): boolean =>
  !isIa32e(core.state) &&
  (type === systemType.taskGate || (type & ~(systemType.busy | 8)) === systemType.TSS16);

/** Commit a transfer at an unchanged privilege level. */
export const enterCode = (core: Core, descriptor: Descriptor, offset: bigint): void => {
  descriptor.load(core.state, "CS", cpl(core.state));
  core.state.RIP = offset;
};

/** JMP far. `next`, for a task switch, is the offset of the following instruction. */
export const jumpFar = (
  core: Core,
  selector: number,
  offset: bigint,
  operandSize: OperandSize,
  next: bigint,
): Fault | undefined => {
  const { state } = core;
  let target = truncate(operandSize, offset);
  if (isRealLike(state)) {
    if (target > BigInt(state["CS.limit"])) return GP(0);
    setSegment(state, "CS", realCode(core, selector));
    state.RIP = target;
    return undefined;
  }
  let descriptor = fetchTarget(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (!descriptor.isSegment) {
    if (isTask(core, descriptor)) return throughTask(core, descriptor, "JMP", next);
    if (!isCallGate(core, descriptor)) return GP(selector);
    const gate = throughGate(core, descriptor);
    if (gate instanceof Fault) return gate;
    ({ descriptor, offset: target } = gate);
    if (!descriptor.isConforming && descriptor.dpl !== cpl(state)) return GP(descriptor.selector);
    if (!descriptor.present) return NP(descriptor.selector);
  } else {
    const refusal = descriptor.isCode ? checkDirectCode(core, descriptor) : GP(selector);
    if (refusal) return refusal;
  }
  const fault =
    checkTarget(core, descriptor, target) ?? markDescriptor(core, descriptor, segmentType.accessed);
  if (!fault) enterCode(core, descriptor, target);
  return fault;
};

/** CALL far: pushes CS and `next`, each as wide as the operand or the gate. */
export const callFar = (
  core: Core,
  selector: number,
  offset: bigint,
  operandSize: OperandSize,
  next: bigint,
): Fault | undefined => {
  const { state } = core;
  const target = truncate(operandSize, offset);
  const returnTo = [BigInt(selectorOf(state, "CS")), next];
  if (isRealLike(state)) {
    const stack = currentStack(core);
    const fault = stack.pushAll(returnTo, operandSize / 8);
    if (fault) return fault;
    if (target > BigInt(state["CS.limit"])) return GP(0);
    state.RSP = stack.pointer;
    setSegment(state, "CS", realCode(core, selector));
    state.RIP = target;
    return undefined;
  }
  const descriptor = fetchTarget(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (!descriptor.isSegment) {
    if (isTask(core, descriptor)) return throughTask(core, descriptor, "CALL", next);
    if (!isCallGate(core, descriptor)) return GP(selector);
    return callGate(core, descriptor, returnTo);
  }
  const refusal = descriptor.isCode ? checkDirectCode(core, descriptor) : GP(selector);
  return refusal ?? callSameLevel(core, descriptor, target, returnTo, operandSize / 8);
};

const callSameLevel = (
  core: Core,
  descriptor: Descriptor,
  target: bigint,
  returnTo: readonly bigint[],
  bytes: number,
): Fault | undefined => {
  const stack =
    bytes === 8 && !is64Bit(core.state)
      ? stack64(core, core.state.RSP, cpl(core.state), SS(0))
      : currentStack(core);
  const fault =
    stack.pushAll(returnTo, bytes) ??
    checkTarget(core, descriptor, target) ??
    markDescriptor(core, descriptor, segmentType.accessed);
  if (fault) return fault;
  core.state.RSP = stack.pointer;
  enterCode(core, descriptor, target);
  return undefined;
};

const callGate = (core: Core, gateDescriptor: Descriptor, returnTo: readonly bigint[]): Fault | undefined => {
  const { state } = core;
  const gate = throughGate(core, gateDescriptor);
  if (gate instanceof Fault) return gate;
  const { descriptor, offset, bytes } = gate;
  if (!descriptor.present) return NP(descriptor.selector);
  if (descriptor.isConforming || descriptor.dpl === cpl(state))
    return callSameLevel(core, descriptor, offset, returnTo, bytes);
  const level = descriptor.dpl;
  const values = [BigInt(selectorOf(state, "SS")), state.RSP];
  let stack: Stack;
  let segment: Segment;
  if (bytes === 8) {
    const pointer = innerPointer64(core, level, 0, 0);
    if (pointer instanceof Fault) return pointer;
    if (!isCanonical(pointer, core.model.linearAddressBits)) return SS(0);
    segment = innerSS64(level);
    stack = stack64(core, pointer, level, SS(0));
  } else {
    const inner = innerStack(core, level, 0);
    if (inner instanceof Fault) return inner;
    ({ segment, stack } = inner);
    const caller = currentStack(core);
    for (let n = gate.parameters - 1; n >= 0; n--) {
      const parameter = caller.peek(bytes, n * bytes);
      if (parameter instanceof Fault) return parameter;
      values.push(parameter);
    }
  }
  values.push(...returnTo);
  const fault =
    stack.pushAll(values, bytes) ??
    checkTarget(core, descriptor, offset) ??
    markDescriptor(core, descriptor, segmentType.accessed);
  if (fault) return fault;
  setSegment(state, "SS", segment);
  setSegment(state, "CS", descriptor.segment(level));
  state.RSP = stack.pointer;
  state.RIP = offset;
  return undefined;
};
