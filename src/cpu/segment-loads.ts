import { segmentType, selectorRPL } from "../arch/descriptors.ts";
import { type Core, Fault } from "./core.ts";
import { fetchDescriptor, markDescriptor } from "./descriptors.ts";
import { cpl, is64Bit, isRealLike, isVirtual8086 } from "./mode.ts";
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
} from "./segmentation.ts";

/** Loads of data and stack segment registers (SDM Vol. 2, MOV and POP; Vol. 3, "Privilege Level Checking When Accessing Data Segments"). */

export type DataSegmentRegister = "ES" | "SS" | "DS" | "FS" | "GS";

/** Checks of a load of DS, ES, FS or GS (SDM Vol. 2, MOV); does not load. */
const checkDataSegment = (core: Core, selector: number): Segment | Fault => {
  if (isNull(selector)) return nullSegment(selector);
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined) return GP(selector);
  const readable =
    descriptor.isSegment && (!descriptor.isCode || (descriptor.type & segmentType.readable) !== 0);
  if (!readable) return GP(selector);
  if (!descriptor.isCode || !descriptor.isConforming)
    if ((selector & selectorRPL) > descriptor.dpl || cpl(core.state) > descriptor.dpl) return GP(selector);
  if (!descriptor.present) return NP(selector);
  return markDescriptor(core, descriptor, segmentType.accessed) ?? descriptor.segment();
};

/** Checks of a load of SS by MOV, POP or LSS; does not load. */
const checkStackSegment = (core: Core, selector: number): Segment | Fault => {
  const level = cpl(core.state);
  if (isNull(selector)) {
    if (!is64Bit(core.state) || level === 3 || (selector & selectorRPL) !== level) return GP(0);
    return nullSegment(selector, level);
  }
  const descriptor = fetchDescriptor(core, selector);
  if (descriptor instanceof Fault) return descriptor;
  if (descriptor === undefined || (selector & selectorRPL) !== level) return GP(selector);
  if (!descriptor.isWritableData || descriptor.dpl !== level) return GP(selector);
  if (!descriptor.present) return SS(selector);
  return markDescriptor(core, descriptor, segmentType.accessed) ?? descriptor.segment();
};

/** What `name` would hold after a load of `selector` in the current mode, or the fault of the load. */
export const segmentFor = (core: Core, name: DataSegmentRegister, selector: number): Segment | Fault => {
  const { state } = core;
  if (isRealLike(state)) return realSegment(selector, getSegment(state, name), isVirtual8086(state));
  return name === "SS" ? checkStackSegment(core, selector) : checkDataSegment(core, selector);
};

/** Load a data or stack segment register as MOV, POP and LDS ... do, with every fault. */
export const loadSegment = (core: Core, name: DataSegmentRegister, selector: number): Fault | undefined => {
  const segment = segmentFor(core, name, selector);
  if (segment instanceof Fault) return segment;
  setSegment(core.state, name, segment);
  return undefined;
};
