import { access as rights, segmentType, systemType, TSS16, TSS32, TSS64 } from "../arch/descriptors.ts";
import { type Core, Fault } from "./core.ts";
import { fetchDescriptor, markDescriptor, readTss } from "./descriptors.ts";
import { readLinear } from "./linear-memory.ts";
import { Access } from "./page-walk.ts";
import { isNull, nullSegment, type Segment, SS, selectorOf, TS } from "./segmentation.ts";
import { type Stack, stackIn } from "./stack.ts";

/**
 * Stacks that the TSS gives for a more privileged level (SDM Vol. 2, CALL and INT n: "INTER-PRIVILEGE"). `ext` is the
 * EXT bit of error codes: 0 for CALL.
 */
export interface InnerStack {
  readonly segment: Segment;
  readonly stack: Stack;
}

/** Stack of `level` from a 16- or 32-bit TSS, with every check of the new SS. The caller loads `segment` when it succeeds. */
export const innerStack = (core: Core, level: number, ext: number): InnerStack | Fault => {
  const { state } = core;
  const is32 = (state["TR.access"] & rights.type & ~systemType.busy) === systemType.TSS32;
  const [pointerAt, selectorAt, last] = is32
    ? [TSS32.ESP0 + 8 * level, TSS32.SS0 + 8 * level, TSS32.ESP0 + 8 * level + 5]
    : [TSS16.SP0 + 4 * level, TSS16.SS0 + 4 * level, TSS16.SP0 + 4 * level + 3];
  if (last > state["TR.limit"]) return TS(selectorOf(state, "TR"), ext);
  const pointer = readTss(core, pointerAt, is32 ? 4 : 2);
  if (pointer instanceof Fault) return pointer;
  const selector = readTss(core, selectorAt, 2);
  if (selector instanceof Fault) return selector;
  if (isNull(selector)) return TS(0, ext);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || (selector & 3) !== level || descriptor.dpl !== level)
    return TS(selector, ext);
  if (!descriptor.isWritableData) return TS(selector, ext);
  if (!descriptor.present) return SS(selector, ext);
  const fault = markDescriptor(core, descriptor, segmentType.accessed);
  if (fault) return fault;
  const segment = descriptor.segment();
  const width = segment.access & rights.DB ? 32 : 16;
  return { segment, stack: stackIn(core, segment, BigInt(pointer), width, level === 3, SS(selector, ext)) };
};

/** A stack pointer of the 64-bit TSS: RSP0-RSP2, or an entry of the interrupt stack table. */
const pointerOfTss64 = (core: Core, offset: number, ext: number): bigint | Fault => {
  const { state } = core;
  if (offset + 7 > state["TR.limit"]) return TS(selectorOf(state, "TR"), ext);
  return readLinear(core, BigInt.asUintN(64, state["TR.base"] + BigInt(offset)), 8, Access.IMPLICIT);
};

/** RSP of `level`, or of interrupt stack table entry `ist` when that is not 0. */
export const innerPointer64 = (core: Core, level: number, ist: number, ext: number): bigint | Fault =>
  pointerOfTss64(core, ist ? TSS64.IST1 + 8 * (ist - 1) : TSS64.RSP0 + 8 * level, ext);

/** In IA-32e mode a more privileged stack has a null SS with RPL = CPL. */
export const innerSS64 = (level: number): Segment => nullSegment(level, level);

/** A 64-bit stack at `level`, whatever mode the processor is in yet. */
export const stack64 = (core: Core, pointer: bigint, level: number, overflow: Fault): Stack =>
  stackIn(core, nullSegment(0), pointer, 64, level === 3, overflow);
