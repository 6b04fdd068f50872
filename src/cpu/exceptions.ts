import { CR4 } from "../arch/control-registers.ts";
import { DR6 } from "../arch/debug-registers.ts";
import { errorCode as code, segmentType, selectorTI, systemType, TSS32 } from "../arch/descriptors.ts";
import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { enterDebugException } from "./debug-registers.ts";
import { type Descriptor, fetchDescriptor, markDescriptor, readTss } from "./descriptors.ts";
import type { Event, EventType } from "./fault.ts";
import { linearPair, readLinearNumber, readLinearPair } from "./linear-memory.ts";
import {
  cpl,
  flagsLow,
  iopl,
  isCanonical,
  isCanonicalHigh,
  isIa32e,
  isProtected,
  isVirtual8086,
} from "./mode.ts";
import { Access } from "./page-walk.ts";
import {
  GP,
  isNull,
  loadRealSegment,
  NP,
  nullSegment,
  type Segment,
  SS,
  selectorOf,
  setSegment,
} from "./segmentation.ts";
import { currentStack, Frame, type Stack } from "./stack.ts";
import { innerPointer64, innerSS64, innerStack, stack64 } from "./stack-switch.ts";
import { switchTask } from "./task-switch.ts";
import { VmExit } from "./vmx-socket.ts";

export type { Event, EventType };

export const eventOf = (fault: Fault): Event => ({
  type: "hardware exception",
  vector: fault.vector,
  errorCode: fault.errorCode,
  payload: fault.payload,
});

const bit = (...vectors: number[]): number => vectors.reduce((set, vector) => set | (1 << vector), 0);
const { DE, DB, NMI, DF, PF, VE, MC } = Exception;
/** SDM Vol. 3, Table "Interrupt and Exception Classes". */
const contributory = bit(DE, Exception.TS, Exception.NP, Exception.SS, Exception.GP, Exception.CP);
const pageFaults = bit(PF, VE);
/** Fault-class exceptions set RF in the pushed image; #DB by its cause. */
const trapsAndAborts = bit(DB, NMI, Exception.BP, Exception.OF, DF, MC);

/** Do two exceptions, one during the delivery of the other, make a double fault? */
export const isDoubleFault = (first: number, second: number): boolean => {
  const one = 1 << first;
  const two = 1 << second;
  return (
    ((one & contributory && two & contributory) ||
      (one & pageFaults && two & (contributory | pageFaults))) !== 0
  );
};

/** The exception that follows when `second` arises while `first` is delivered; undefined is a triple fault. */
const combine = (first: Event, second: Fault): Event | undefined => {
  const next = eventOf(second);
  if (first.type !== "hardware exception" || first.vector > 31) return next;
  if (first.vector === DF) return (1 << second.vector) & (contributory | pageFaults) ? undefined : next;
  return isDoubleFault(first.vector, second.vector)
    ? { type: "hardware exception", vector: DF, errorCode: 0 }
    : next;
};

/**
 * Deliver an event, and whatever exceptions that raises, down to a double fault; a third one shuts the processor down
 * (activity 2). Waiting for an interrupt ends, blocking by STI and MOV SS ends, an NMI blocks NMIs. In VMX non-root
 * operation a VM exit may take its place. `during` is the event whose delivery raised this one.
 */
export const deliver = (core: Core, event: Event, during?: Event): void => {
  const { state } = core;
  const vmx = core.vmx?.nonRoot ? core.vmx : undefined;
  let current: Event | undefined = event;
  let previous = during;
  while (current !== undefined) {
    if (vmx?.interceptEvent(current, previous)) return;
    const fault: Fault | undefined = deliverOnce(core, current);
    if (fault === undefined) return;
    if (fault instanceof VmExit) {
      vmx?.exit(fault, current);
      return;
    }
    previous = current;
    // The exception bitmap judges the second fault as what it is, before the two become a double fault.
    if (vmx?.interceptEvent(eventOf(fault), current)) return;
    current = combine(current, fault);
    // CR2 is written even when a page fault becomes a double fault, but not when a page fault causes a VM exit.
    if (fault.vector === PF && fault.payload !== undefined && current?.vector !== PF)
      state.CR2 = fault.payload;
  }
  if (!vmx?.interceptTripleFault()) state.activity = 2;
};

/** Deliver an exception that an instruction raised, or carry out the VM exit it met; state.RIP is where it was raised. */
export const deliverFault = (core: Core, fault: Fault): void => {
  if (fault instanceof VmExit) core.vmx?.exit(fault, fault.during);
  else deliver(core, eventOf(fault), fault.during);
};

/** Deliver one event; the fault that stops its delivery is returned with state unchanged (a task switch excepted). */
export const deliverOnce = (core: Core, event: Event): Fault | undefined => {
  const { state } = core;
  const software = event.type === "software interrupt" || event.type === "software exception";
  const ext = software ? 0 : code.EXT;
  if (event.type === "hardware exception") {
    if (event.vector === PF && event.payload !== undefined) state.CR2 = event.payload;
    if (event.vector === DB && event.payload !== undefined) enterDebugException(state, event.payload);
  }
  // Blocked before a VM exit that its delivery meets (SDM Vol. 3, "Architectural State Before a VM Exit").
  if (event.type === "NMI" && !event.leavesNmisUnblocked) state.interruptibility |= 8;
  const pending = state.pendingDebug;
  const fault = !isProtected(state)
    ? deliverReal(core, event)
    : isVirtual8086(state) && event.type === "software interrupt"
      ? deliverVirtual8086(core, event)
      : deliverProtected(core, event, software, ext);
  if (fault) {
    state.pendingDebug = pending;
    return fault;
  }
  state.interruptibility &= ~3;
  state.activity = 0;
  state["MONITOR.armed"] = 0;
  return undefined;
};

/** What is pushed while an event is delivered. */
const frame = new Frame();
const rspOffset = offsetOf("RSP");
const ripOffset = offsetOf("RIP");
const flagsOffset = offsetOf("RFLAGS");
const idtrBaseOffset = offsetOf("IDTR.base");
// biome-ignore format: one list
const [IF, TF, NT, RF, VM, AC] = [Number(RFLAGS.IF), Number(RFLAGS.TF), Number(RFLAGS.NT), Number(RFLAGS.RF), Number(RFLAGS.VM), Number(RFLAGS.AC)];

const clearFlags = ({ view }: CpuState, flags: number): void => {
  view.setUint32(flagsOffset, view.getUint32(flagsOffset, true) & ~flags, true);
};

/** RFLAGS, CS and RIP at the end of the frame, and the error code. */
const addReturn = (core: Core, event: Event): Frame => {
  const { state } = core;
  frame.add(flagsImageLow(core, event)).add(selectorOf(state, "CS"));
  if (event.returnRip === undefined) frame.addField(state, ripOffset);
  else frame.addValue(event.returnRip);
  return event.errorCode === undefined ? frame : frame.add(event.errorCode);
};

/** RFLAGS as it is pushed (SDM Vol. 3, "RF Flag"). */
export const flagsImage = (core: Core, event: Event): bigint => BigInt(flagsImageLow(core, event));

const flagsImageLow = (core: Core, event: Event): number => {
  const flags = flagsLow(core.state);
  // "The value pushed for the RF flag is not modified based on the type of event being delivered" by VM entry.
  if (event.injected) return flags;
  const faultClass =
    event.type === "hardware exception" &&
    (event.vector === DB
      ? ((event.payload ?? 0n) & DR6.BD) !== 0n
      : event.vector > 31 || ((1 << event.vector) & trapsAndAborts) === 0);
  return faultClass || event.midRepeat ? flags | RF : flags;
};

/** SDM Vol. 2, INT n, "REAL-ADDRESS-MODE". */
const deliverReal = (core: Core, event: Event): Fault | undefined => {
  const { state } = core;
  const entry = 4 * event.vector;
  if (entry + 3 > state["IDTR.limit"]) return GP(event.vector << 3, code.IDT | code.EXT);
  const pointer = readLinearNumber(core, (state["IDTR.base"] + BigInt(entry)) & 0xffff_ffffn, 4, Access.READ);
  if (pointer instanceof Fault) return pointer;
  const stack = currentStack(core);
  frame.clear().add(flagsLow(state)).add(selectorOf(state, "CS"));
  if (event.returnRip === undefined) frame.addField(state, ripOffset);
  else frame.addValue(event.returnRip);
  const fault = stack.pushFrame(frame, 2);
  if (fault) return fault;
  stack.commit(state);
  enterRealHandler(core, pointer, false);
  clearFlags(state, IF | TF | AC | RF);
  return undefined;
};

const enterRealHandler = (core: Core, pointer: number, virtual8086: boolean): void => {
  const { state } = core;
  loadRealSegment(state, "CS", pointer >>> 16, virtual8086);
  state.view.setUint32(ripOffset, pointer & 0xffff, true);
  state.view.setUint32(ripOffset + 4, 0, true);
};

/** Bit `vector` of the interrupt redirection bitmap, below the I/O map of a 32-bit TSS; 1 where the TSS has none. */
const redirectionBit = (core: Core, vector: number): number | Fault => {
  const { state } = core;
  const limit = state["TR.limit"];
  if (TSS32.ioMapBase + 1 > limit) return 1;
  const ioMapBase = readTss(core, TSS32.ioMapBase, 2);
  if (ioMapBase instanceof Fault) return ioMapBase;
  const at = ioMapBase - 32 + (vector >> 3);
  if (at < 0 || at > limit) return 1;
  const byte = readTss(core, at, 1);
  return byte instanceof Fault ? byte : (byte >> (vector & 7)) & 1;
};

/** INT n in virtual-8086 mode (SDM Vol. 3, "Class 3: Software Interrupt Handling in Virtual-8086 Mode"). */
const deliverVirtual8086 = (core: Core, event: Event): Fault | undefined => {
  const { state } = core;
  const sensitive = iopl(state) < 3;
  // SDM Vol. 3, "Details of Vectored-Event Injection": no #GP by RFLAGS.IOPL when VM entry injects it without CR4.VME.
  if (event.injected && !(state.CR4 & CR4.VME)) return deliverProtected(core, event, true, 0);
  if (state.CR4 & CR4.VME) {
    const bitmap = redirectionBit(core, event.vector);
    if (bitmap instanceof Fault) return bitmap;
    if (bitmap === 0) return redirect(core, event, sensitive);
  }
  return sensitive ? GP(0) : deliverProtected(core, event, true, 0);
};

/** Methods 5 and 6: to the handler of the 8086 program, without leaving virtual-8086 mode. */
const redirect = (core: Core, event: Event, sensitive: boolean): Fault | undefined => {
  const { state } = core;
  const pointer = readLinearNumber(core, BigInt(4 * event.vector), 4, Access.USER);
  if (pointer instanceof Fault) return pointer;
  let image = state.RFLAGS & 0xffffn;
  if (sensitive) image = (image & ~RFLAGS.IF) | RFLAGS.IOPL | (state.RFLAGS & RFLAGS.VIF ? RFLAGS.IF : 0n);
  const stack = currentStack(core);
  const fault = stack.pushAll([image, BigInt(selectorOf(state, "CS")), event.returnRip ?? state.RIP], 2);
  if (fault) return fault;
  state.RSP = stack.pointer;
  enterRealHandler(core, pointer, true);
  state.RFLAGS &= ~(RFLAGS.TF | RFLAGS.RF | (sensitive ? RFLAGS.VIF : RFLAGS.IF));
  return undefined;
};

interface Gate {
  readonly type: number;
  readonly selector: number;
  readonly offsetLow: number;
  readonly offsetHigh: number;
  /** Interrupt stack table entry, 0 for none. */
  readonly ist: number;
}

/** Read and check the gate of a vector. */
const fetchGate = (core: Core, vector: number, software: boolean, ext: number): Gate | Fault => {
  const { state } = core;
  const ia32e = isIa32e(state);
  const size = ia32e ? 16 : 8;
  const refusal = (make: typeof GP): Fault => make(vector << 3, code.IDT | ext);
  if (vector * size + size - 1 > state["IDTR.limit"]) return refusal(GP);
  const { view } = state;
  const sum = view.getUint32(idtrBaseOffset, true) + vector * size;
  const addressLow = sum >>> 0;
  const carry = sum > 0xffff_ffff ? 1 : 0;
  const addressHigh = ia32e ? (view.getUint32(idtrBaseOffset + 4, true) + carry) >>> 0 : 0;
  const fault = readLinearPair(core, addressLow, addressHigh, Access.IMPLICIT);
  if (fault) return fault;
  const low = linearPair[0]!;
  const high = linearPair[1]!;
  const type = (high >> 8) & 0x1f; // S included: it must be 0
  const isTask = type === systemType.taskGate;
  const is16 = type === systemType.interruptGate16 || type === systemType.trapGate16;
  const is32 = type === systemType.interruptGate32 || type === systemType.trapGate32;
  if (ia32e ? !is32 : !isTask && !is16 && !is32) return refusal(GP);
  if (software && ((high >> 13) & 3) < cpl(state)) return refusal(GP);
  if (!(high & 0x8000)) return refusal(NP);
  const offsetLow = (low & 0xffff) + (is16 ? 0 : (high & 0xffff_0000) >>> 0);
  let offsetHigh = 0;
  if (ia32e) {
    const upper = (BigInt(addressHigh) << 32n) + BigInt(addressLow) + 8n;
    const read = readLinearNumber(core, BigInt.asUintN(64, upper), 4, Access.IMPLICIT);
    if (read instanceof Fault) return read;
    offsetHigh = read;
  }
  return { type, selector: low >>> 16, offsetLow, offsetHigh, ist: ia32e ? high & 7 : 0 };
};

/** SDM Vol. 2, INT n, "PROTECTED-MODE" and "IA-32e-MODE". */
const deliverProtected = (core: Core, event: Event, software: boolean, ext: number): Fault | undefined => {
  const gate = fetchGate(core, event.vector, software, ext);
  if (gate instanceof Fault) return gate;
  if (gate.type === systemType.taskGate) return throughTaskGate(core, event, gate.selector, ext);
  const { state } = core;
  if (isNull(gate.selector)) return GP(0, ext);
  const descriptor = fetchDescriptor(core, gate.selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || !descriptor.isCode || descriptor.dpl > cpl(state))
    return GP(gate.selector, ext);
  if (isIa32e(state) && (!descriptor.long || descriptor.big)) return GP(gate.selector, ext);
  if (!descriptor.present) return NP(gate.selector, ext);
  const inner = !descriptor.isConforming && descriptor.dpl < cpl(state);
  if (isVirtual8086(state) && (!inner || descriptor.dpl !== 0)) return GP(gate.selector, ext);
  const level = inner ? descriptor.dpl : cpl(state);
  return isIa32e(state)
    ? enter64(core, event, gate, descriptor, inner, level, ext)
    : enterLegacy(core, event, gate, descriptor, inner, level, ext);
};

const throughTaskGate = (core: Core, event: Event, selector: number, ext: number): Fault | undefined => {
  const { state } = core;
  if (isNull(selector) || selector & selectorTI) return GP(selector, ext);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || descriptor.isSegment) return GP(selector, ext);
  if (descriptor.type !== systemType.TSS16 && descriptor.type !== systemType.TSS32) return GP(selector, ext);
  if (!descriptor.present) return NP(selector, ext);
  const rip = event.returnRip ?? state.RIP;
  const fault = switchTask(core, descriptor, "interrupt", rip, ext, flagsImage(core, event));
  if (fault || event.errorCode === undefined) return fault;
  const stack = currentStack(core, SS(0, ext));
  const overflow = stack.push(BigInt(event.errorCode), descriptor.type === systemType.TSS32 ? 4 : 2);
  if (!overflow) state.RSP = stack.pointer;
  return overflow;
};

/** What every gate ends with: CS, RIP and flags. */
const enterHandler = (core: Core, gate: Gate, descriptor: Descriptor, level: number): void => {
  const { state } = core;
  descriptor.load(state, "CS", level);
  state.view.setUint32(ripOffset, gate.offsetLow, true);
  state.view.setUint32(ripOffset + 4, gate.offsetHigh, true);
  const isInterruptGate =
    gate.type === systemType.interruptGate32 || gate.type === systemType.interruptGate16;
  clearFlags(state, TF | NT | VM | RF | (isInterruptGate ? IF : 0));
};

const enter64 = (
  core: Core,
  event: Event,
  gate: Gate,
  descriptor: Descriptor,
  inner: boolean,
  level: number,
  ext: number,
): Fault | undefined => {
  const { state, model } = core;
  let pointer: bigint | Fault = state.RSP;
  if (inner || gate.ist) pointer = innerPointer64(core, level, gate.ist, ext);
  if (pointer instanceof Fault) return pointer;
  if (!isCanonical(pointer, model.linearAddressBits)) return SS(0, ext);
  if (!isCanonicalHigh(gate.offsetHigh, model.linearAddressBits)) return GP(0, ext);
  const stack = stack64(core, pointer & ~0xfn, level, SS(0, ext));
  frame.clear().add(selectorOf(state, "SS")).addField(state, rspOffset);
  addReturn(core, event);
  const fault = stack.pushFrame(frame, 8) ?? markDescriptor(core, descriptor, segmentType.accessed);
  if (fault) return fault;
  if (inner) setSegment(state, "SS", innerSS64(level));
  stack.commit(state);
  enterHandler(core, gate, descriptor, level);
  return undefined;
};

const enterLegacy = (
  core: Core,
  event: Event,
  gate: Gate,
  descriptor: Descriptor,
  inner: boolean,
  level: number,
  ext: number,
): Fault | undefined => {
  const { state } = core;
  const bytes = gate.type === systemType.interruptGate32 || gate.type === systemType.trapGate32 ? 4 : 2;
  const virtual8086 = isVirtual8086(state);
  let segment: Segment | undefined;
  let stack: Stack;
  frame.clear();
  if (inner) {
    const found = innerStack(core, level, ext);
    if (found instanceof Fault) return found;
    ({ segment, stack } = found);
    if (virtual8086) for (const name of ["GS", "FS", "DS", "ES"] as const) frame.add(selectorOf(state, name));
    frame.add(selectorOf(state, "SS")).addField(state, rspOffset);
  } else stack = currentStack(core, SS(0, ext));
  if (gate.offsetLow > descriptor.limit) return GP(0, ext);
  addReturn(core, event);
  const fault = stack.pushFrame(frame, bytes) ?? markDescriptor(core, descriptor, segmentType.accessed);
  if (fault) return fault;
  if (virtual8086)
    for (const name of ["GS", "FS", "DS", "ES"] as const) setSegment(state, name, nullSegment(0));
  if (segment) setSegment(state, "SS", segment);
  stack.commit(state);
  enterHandler(core, gate, descriptor, level);
  return undefined;
};
