import { CR0, CR4 } from "../arch/control-registers.ts";
import { DR7, pendingDebug } from "../arch/debug-registers.ts";
import { access as rights, segmentType, selectorTI, systemType, TSS16, TSS32 } from "../arch/descriptors.ts";
import { RFLAGS } from "../arch/flags.ts";
import { ExitReason } from "../arch/vm-exit-reasons.ts";
import { generalRegisters } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { type Descriptor, fetchDescriptor, markDescriptor } from "./descriptors.ts";
import { probeLinear, readLinearBytes, writeLinear, writeLinearBytes } from "./linear-memory.ts";
import { Access } from "./page-walk.ts";
import { reloadPdptes } from "./pdptes.ts";
import {
  GP,
  getSegment,
  isNull,
  NP,
  nullSegment,
  realSegment,
  type Segment,
  SS,
  selectorOf,
  setSegment,
  TS,
} from "./segmentation.ts";
import { VmExit } from "./vmx-socket.ts";

/** SDM Vol. 3, "Task Switching". */
export type TaskSwitchCause = "JMP" | "CALL" | "IRET" | "interrupt";

/** Bits 31:30 of the exit qualification: what initiated the switch. */
const sources: Readonly<Record<TaskSwitchCause, bigint>> = { CALL: 0n, IRET: 1n, JMP: 2n, interrupt: 3n };

/** There is no task switch in VMX non-root operation: the new TSS descriptor has been checked, nothing is changed. */
const taskSwitchExit = (core: Core, selector: number, cause: TaskSwitchCause, returnRip: bigint): VmExit => {
  const instructionLength = Number(BigInt.asUintN(32, returnRip - core.state.RIP));
  const qualification = BigInt(selector & 0xffff) | (sources[cause] << 30n);
  return new VmExit(ExitReason.TASK_SWITCH, qualification, { instructionLength });
};

/** EFLAGS bits that a TSS can set. */
const loadableFlags = 0x003f_7fd7n;
const { code, conforming, readable, accessed } = segmentType;

/**
 * Switch to the task whose TSS `descriptor` names. The caller has checked the descriptor's type, privilege and presence.
 * `returnRip` and `flagsImage` are saved for the old task. A fault up to the commit point leaves everything as it was; a
 * later one is returned with the new task current, as the manual demands.
 */
export const switchTask = (
  core: Core,
  descriptor: Descriptor,
  cause: TaskSwitchCause,
  returnRip: bigint,
  ext = 0,
  flagsImage: bigint = core.state.RFLAGS,
): Fault | undefined => {
  const { state } = core;
  const { selector } = descriptor;
  const is32 = (descriptor.type & ~systemType.busy) === systemType.TSS32;
  const wasIs32 = (state["TR.access"] & rights.type & ~systemType.busy) === systemType.TSS32;
  const old = getSegment(state, "TR");
  const layout = is32 ? TSS32 : TSS16;
  if (descriptor.limit < layout.bytes - 1) return TS(selector, ext);
  if (core.vmx?.nonRoot) return taskSwitchExit(core, selector, cause, returnRip);
  const oldBytes = wasIs32 ? TSS32.bytes : TSS16.bytes;
  if (old.limit < oldBytes - 1) return TS(old.selector, ext);

  // Everything that can fault in the old task's context comes first.
  const nested = cause === "CALL" || cause === "interrupt";
  const image = new Uint8Array(layout.bytes);
  const next = new DataView(image.buffer);
  const implicitWrite = Access.IMPLICIT | Access.WRITE;
  const oldDescriptor = fetchDescriptor(core, old.selector);
  if (oldDescriptor instanceof Fault) return oldDescriptor;
  let fault =
    probeLinear(core, old.base, oldBytes, implicitWrite) ??
    (nested ? probeLinear(core, descriptor.base, 2, implicitWrite) : undefined) ??
    (oldDescriptor && !nested
      ? probeLinear(core, oldDescriptor.address + 5n, 1, implicitWrite)
      : undefined) ??
    readLinearBytes(core, descriptor.base, image, Access.IMPLICIT);
  if (fault) return fault;
  if (cause !== "IRET") {
    fault = markDescriptor(core, descriptor, systemType.busy);
    if (fault) return fault;
  }
  if (oldDescriptor && !nested) {
    const byte = BigInt((oldDescriptor.high >> 8) & 0xff & ~systemType.busy);
    writeLinear(core, oldDescriptor.address + 5n, byte, 1, implicitWrite);
  }
  const savedFlags = cause === "IRET" ? flagsImage & ~RFLAGS.NT : flagsImage;
  saveTask(core, old, wasIs32, returnRip, savedFlags);
  if (nested) writeLinear(core, descriptor.base, BigInt(old.selector), 2, implicitWrite);

  // The commit point: from here on, faults belong to the new task.
  setSegment(state, "TR", {
    selector: selector & 0xfffc,
    base: descriptor.base,
    limit: descriptor.limit,
    access: descriptor.access | systemType.busy,
  });
  state.CR0 |= CR0.TS;
  state.DR7 &= ~(DR7.LE | 0x55n);
  const flags =
    (BigInt(is32 ? next.getUint32(TSS32.EFLAGS, true) : next.getUint16(TSS16.FLAGS, true)) & loadableFlags) |
    RFLAGS.FIXED;
  state.RFLAGS = nested ? flags | RFLAGS.NT : flags;
  state.RIP = BigInt(is32 ? next.getUint32(TSS32.EIP, true) : next.getUint16(TSS16.IP, true));
  for (let n = 0; n < 8; n++)
    state[generalRegisters[n]!] = BigInt(
      is32 ? next.getUint32(TSS32.EAX + 4 * n, true) : next.getUint16(TSS16.AX + 2 * n, true),
    );
  const selectors = segmentSelectors(next, is32);
  if (is32 && state.CR0 & CR0.PG) {
    const CR3 = BigInt(next.getUint32(TSS32.CR3, true));
    if (state.CR4 & CR4.PAE) {
      const fault = reloadPdptes(core, CR3);
      if (fault) return fault instanceof VmExit ? fault : GP(0, ext);
    }
    state.CR3 = CR3;
    core.invalidate({ kind: "non-global" });
  }
  if (is32 && next.getUint16(TSS32.T, true) & 1) state.pendingDebug |= pendingDebug.BT;
  return loadTaskSegments(core, selectors, next.getUint16(layout.LDT, true), ext);
};

const segmentOrder = ["ES", "CS", "SS", "DS", "FS", "GS"] as const;
type TaskSelectors = Record<(typeof segmentOrder)[number], number>;

/** A 16-bit TSS has no FS and GS: they become null. */
const segmentSelectors = (tss: DataView, is32: boolean): TaskSelectors => {
  const selectors = { ES: 0, CS: 0, SS: 0, DS: 0, FS: 0, GS: 0 };
  for (const [n, name] of segmentOrder.entries())
    if (is32) selectors[name] = tss.getUint16(TSS32.ES + 4 * n, true);
    else if (n < 4) selectors[name] = tss.getUint16(TSS16.ES + 2 * n, true);
  return selectors;
};

/** Write the dynamic fields of the old TSS; it was probed. */
const saveTask = (core: Core, tss: Segment, is32: boolean, rip: bigint, flags: bigint): void => {
  const { state } = core;
  const from = is32 ? TSS32.EIP : TSS16.IP;
  const bytes = new Uint8Array((is32 ? TSS32.LDT : TSS16.LDT) - from);
  const view = new DataView(bytes.buffer);
  if (is32) {
    view.setUint32(0, Number(rip & 0xffff_ffffn), true);
    view.setUint32(TSS32.EFLAGS - from, Number(flags & 0xffff_ffffn), true);
    for (let n = 0; n < 8; n++)
      view.setUint32(TSS32.EAX - from + 4 * n, Number(state.general(n) & 0xffff_ffffn), true);
    // The upper halves of the selector slots are reserved; the processor writes zeros.
    for (const [n, name] of segmentOrder.entries())
      view.setUint32(TSS32.ES - from + 4 * n, selectorOf(state, name), true);
  } else {
    view.setUint16(0, Number(rip & 0xffffn), true);
    view.setUint16(TSS16.FLAGS - from, Number(flags & 0xffffn), true);
    for (let n = 0; n < 8; n++)
      view.setUint16(TSS16.AX - from + 2 * n, Number(state.general(n) & 0xffffn), true);
    for (const [n, name] of segmentOrder.slice(0, 4).entries())
      view.setUint16(TSS16.ES - from + 2 * n, selectorOf(state, name), true);
  }
  writeLinearBytes(core, tss.base + BigInt(from), bytes, Access.IMPLICIT | Access.WRITE);
};

/** Checks of SDM Vol. 3, Table "Exception Conditions Checked During a Task Switch", for what the TSS names. */
const loadTaskSegments = (
  core: Core,
  selectors: TaskSelectors,
  ldtSelector: number,
  ext: number,
): Fault | undefined => {
  const { state } = core;
  const virtual8086 = (state.RFLAGS & RFLAGS.VM) !== 0n;
  const level = virtual8086 ? 3 : selectors.CS & 3;
  // Until they are checked, the new selectors are there but their descriptors are not.
  for (const name of segmentOrder) setSegment(state, name, nullSegment(selectors[name], level));
  setSegment(state, "LDTR", nullSegment(ldtSelector));
  const fault = loadLdt(core, ldtSelector, ext);
  if (fault) return fault;
  if (virtual8086) {
    for (const name of segmentOrder)
      setSegment(state, name, realSegment(selectors[name], getSegment(state, name), true));
    return state.RIP > 0xffffn ? GP(0, ext) : undefined;
  }
  const stack = taskStack(core, selectors.SS, level, ext);
  if (stack instanceof Fault) return stack;
  setSegment(state, "SS", stack);
  const codeSegment = taskCode(core, selectors.CS, level, ext);
  if (codeSegment instanceof Fault) return codeSegment;
  setSegment(state, "CS", codeSegment);
  for (const name of ["ES", "DS", "FS", "GS"] as const) {
    const segment = taskDataSegment(core, selectors[name], level, ext);
    if (segment instanceof Fault) return segment;
    setSegment(state, name, segment);
  }
  return state.RIP > BigInt(codeSegment.limit) ? GP(0, ext) : undefined;
};

const loadLdt = (core: Core, selector: number, ext: number): Fault | undefined => {
  if (isNull(selector)) return undefined;
  if (selector & selectorTI) return TS(selector, ext);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (
    descriptor === undefined ||
    descriptor.isSegment ||
    descriptor.type !== systemType.LDT ||
    !descriptor.present
  )
    return TS(selector, ext);
  const { base, limit, access } = descriptor;
  setSegment(core.state, "LDTR", { selector, base, limit, access });
  return undefined;
};

const taskStack = (core: Core, selector: number, level: number, ext: number): Segment | Fault => {
  if (isNull(selector)) return TS(selector, ext);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || !descriptor.isWritableData) return TS(selector, ext);
  if (descriptor.dpl !== level || (selector & 3) !== level) return TS(selector, ext);
  if (!descriptor.present) return SS(selector, ext);
  return markDescriptor(core, descriptor, accessed) ?? descriptor.segment();
};

const taskCode = (core: Core, selector: number, level: number, ext: number): Segment | Fault => {
  if (isNull(selector)) return TS(selector, ext);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || !descriptor.isCode) return TS(selector, ext);
  if (descriptor.isConforming ? descriptor.dpl > level : descriptor.dpl !== level) return TS(selector, ext);
  if (!descriptor.present) return NP(selector, ext);
  return markDescriptor(core, descriptor, accessed) ?? descriptor.segment();
};

const taskDataSegment = (core: Core, selector: number, level: number, ext: number): Segment | Fault => {
  if (isNull(selector)) return nullSegment(selector);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || !descriptor.isSegment) return TS(selector, ext);
  if (descriptor.isCode && !(descriptor.type & readable)) return TS(selector, ext);
  if ((descriptor.type & (code | conforming)) !== (code | conforming))
    if ((selector & 3) > descriptor.dpl || level > descriptor.dpl) return TS(selector, ext);
  if (!descriptor.present) return NP(selector, ext);
  return markDescriptor(core, descriptor, accessed) ?? descriptor.segment();
};
