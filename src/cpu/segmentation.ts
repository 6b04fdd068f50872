import { CR0 } from "../arch/control-registers.ts";
import { access as rights, segmentType } from "../arch/descriptors.ts";
import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf, type SegmentRegister, segmentRegisters } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { probeLinear, readLinear, readLinearNumber, writeLinear } from "./linear-memory.ts";
import { cpl, flagsLow, is64Bit, isCanonical, isProtected } from "./mode.ts";
import { Access } from "./page-walk.ts";

/** SDM Vol. 3, "Protected-Mode Memory Management" and "Protection": segment registers, limit and type checks. */

/** A segment register, hidden part included. `access` is in the VMCS format (arch/descriptors.ts). */
export interface Segment {
  readonly selector: number;
  readonly base: bigint;
  readonly limit: number;
  readonly access: number;
}

interface SegmentOffsets {
  readonly selector: number;
  readonly base: number;
  readonly limit: number;
  readonly access: number;
}
const offsets = Object.fromEntries(
  segmentRegisters.map((name) => [
    name,
    {
      selector: offsetOf(`${name}.selector`),
      base: offsetOf(`${name}.base`),
      limit: offsetOf(`${name}.limit`),
      access: offsetOf(`${name}.access`),
    },
  ]),
) as Record<SegmentRegister, SegmentOffsets>;

export const getSegment = (state: CpuState, name: SegmentRegister): Segment => {
  const at = offsets[name];
  return {
    selector: state.view.getUint32(at.selector, true),
    base: state.view.getBigUint64(at.base, true),
    limit: state.view.getUint32(at.limit, true),
    access: state.view.getUint32(at.access, true),
  };
};

export const setSegment = (state: CpuState, name: SegmentRegister, segment: Segment): void => {
  const at = offsets[name];
  state.view.setUint32(at.selector, segment.selector, true);
  state.view.setBigUint64(at.base, segment.base, true);
  state.view.setUint32(at.limit, segment.limit, true);
  state.view.setUint32(at.access, segment.access, true);
};

/** The same of a segment below 4 GiB, without a bigint. */
export const setSegmentParts = (
  { view }: CpuState,
  name: SegmentRegister,
  selector: number,
  base: number,
  limit: number,
  access: number,
): void => {
  const at = offsets[name];
  view.setUint32(at.selector, selector, true);
  view.setUint32(at.base, base, true);
  view.setUint32(at.base + 4, 0, true);
  view.setUint32(at.limit, limit, true);
  view.setUint32(at.access, access, true);
};

/** Load a segment register in real-address or virtual-8086 mode; in real mode it keeps its limit. */
export const loadRealSegment = (
  state: CpuState,
  name: SegmentRegister,
  selector: number,
  virtual8086: boolean,
): void => {
  const at = offsets[name];
  const limit = virtual8086 ? 0xffff : state.view.getUint32(at.limit, true);
  const kept = state.view.getUint32(at.access, true) & (rights.DB | rights.G);
  setSegmentParts(state, name, selector, selector << 4, limit, virtual8086 ? 0xf3 : kept | 0x93);
};

export const selectorOf = (state: CpuState, name: SegmentRegister): number =>
  state.view.getUint32(offsets[name].selector, true);

export const isNull = (selector: number): boolean => (selector & 0xfffc) === 0;

// Exceptions with a selector error code: RPL bits are replaced by EXT and IDT, which the caller adds.
export const GP = (selector: number, ext = 0): Fault => new Fault(Exception.GP, (selector & 0xfffc) | ext);
export const SS = (selector: number, ext = 0): Fault => new Fault(Exception.SS, (selector & 0xfffc) | ext);
export const NP = (selector: number, ext = 0): Fault => new Fault(Exception.NP, (selector & 0xfffc) | ext);
export const TS = (selector: number, ext = 0): Fault => new Fault(Exception.TS, (selector & 0xfffc) | ext);
export const UD = (): Fault => new Fault(Exception.UD);

/** Bytes an address must be a multiple of under alignment checking, by access size (SDM Vol. 3, Table 6-7). */
const alignmentOf = (size: number): number => {
  if (size === 6) return 4; // 48-bit far pointers and pseudo-descriptors
  if (size === 10) return 8;
  return size === 2 || size === 4 || size === 8 || size === 16 ? size : 1;
};

const AM = Number(CR0.AM);
const AC = Number(RFLAGS.AC);

const cr0Offset = offsetOf("CR0");
/** CR0.AM and RFLAGS.AC: are user accesses checked for alignment? */
export const checksAlignment = (state: CpuState): boolean =>
  (flagsLow(state) & AC) !== 0 && (state.view.getUint32(cr0Offset, true) & AM) !== 0;

/** #AC(0) for a misaligned user access while alignment checking is on, else undefined. */
export const misaligned = (
  state: CpuState,
  linear: bigint,
  size: number,
  access: number,
): Fault | undefined =>
  access & Access.USER && checksAlignment(state) && linear & BigInt(alignmentOf(size) - 1)
    ? new Fault(Exception.AC, 0)
    : undefined;

/** First and last byte canonical? */
export const spanCanonical = (core: Core, linear: bigint, size: number): boolean =>
  isCanonical(linear, core.model.linearAddressBits) &&
  (size === 1 || isCanonical(BigInt.asUintN(64, linear + BigInt(size - 1)), core.model.linearAddressBits));

/** Type and limit checks outside 64-bit mode. */
export const withinSegment = (
  ar: number,
  limit: number,
  offset: number,
  size: number,
  access: number,
  checkType: boolean,
): boolean => {
  if (checkType) {
    if (ar & rights.unusable) return false;
    const code = (ar & segmentType.code) !== 0;
    if (access & Access.WRITE ? code || !(ar & segmentType.writable) : code && !(ar & segmentType.readable))
      return false;
  }
  const last = offset + size - 1;
  if ((ar & (rights.unusable | segmentType.code | segmentType.expandDown)) === segmentType.expandDown)
    return offset > limit && last <= (ar & rights.DB ? 0xffff_ffff : 0xffff);
  // An access that wraps around a 4-GByte segment is implementation-specific; this machine lets it wrap.
  return last <= limit || limit === 0xffff_ffff;
};

/**
 * Linear address of `size` bytes at segment:offset for a data access, after every check of segmentation: limits,
 * expand-down, types, null selectors, canonicality (#SS for the stack, else #GP) and alignment (#AC). `offset` is already
 * truncated to the address size.
 */
export const linearAddress = (
  core: Core,
  name: SegmentRegister,
  offset: bigint,
  size: number,
  access: number,
): bigint | Fault => {
  const { state } = core;
  const at = offsets[name];
  let linear: bigint;
  if (is64Bit(state)) {
    linear = offset;
    if (name === "FS" || name === "GS")
      linear = BigInt.asUintN(64, state.view.getBigUint64(at.base, true) + offset);
    if (!spanCanonical(core, linear, size)) return new Fault(name === "SS" ? Exception.SS : Exception.GP, 0);
  } else {
    const [ar, limit] = [state.view.getUint32(at.access, true), state.view.getUint32(at.limit, true)];
    if (!withinSegment(ar, limit, Number(offset), size, access, isProtected(state)))
      return new Fault(name === "SS" ? Exception.SS : Exception.GP, 0);
    linear = (state.view.getBigUint64(at.base, true) + offset) & 0xffff_ffffn;
  }
  return misaligned(state, linear, size, access) ?? linear;
};

/** Read 1, 2, 4, 8 or 16 bytes at segment:offset at the current privilege level. */
export const readMemory = (
  core: Core,
  name: SegmentRegister,
  offset: bigint,
  size: number,
): bigint | Fault => {
  const access = cpl(core.state) === 3 ? Access.USER : Access.READ;
  const linear = linearAddress(core, name, offset, size, access);
  return linear instanceof Fault ? linear : readLinear(core, linear, size, access);
};

/** Read 1, 2 or 4 bytes outside 64-bit mode, at an offset that is truncated to the address size, for code of CPL 0 to 2. */
export const readMemoryNumber = (
  core: Core,
  name: SegmentRegister,
  offset: number,
  size: 1 | 2 | 4,
): number | Fault => {
  const { state } = core;
  const { view } = state;
  const at = offsets[name];
  const [ar, limit] = [view.getUint32(at.access, true), view.getUint32(at.limit, true)];
  if (!withinSegment(ar, limit, offset, size, Access.READ, isProtected(state)))
    return new Fault(name === "SS" ? Exception.SS : Exception.GP, 0);
  return readLinearNumber(core, BigInt((view.getUint32(at.base, true) + offset) >>> 0), size, Access.READ);
};

export const writeMemory = (
  core: Core,
  name: SegmentRegister,
  offset: bigint,
  value: bigint,
  size: number,
): Fault | undefined => {
  const access = (cpl(core.state) === 3 ? Access.USER : 0) | Access.WRITE;
  const linear = linearAddress(core, name, offset, size, access);
  return linear instanceof Fault ? linear : writeLinear(core, linear, value, size, access);
};

/** The fault that a write at segment:offset would raise. */
export const probeMemory = (
  core: Core,
  name: SegmentRegister,
  offset: bigint,
  size: number,
): Fault | undefined => {
  const access = (cpl(core.state) === 3 ? Access.USER : 0) | Access.WRITE;
  const linear = linearAddress(core, name, offset, size, access);
  return linear instanceof Fault ? linear : probeLinear(core, linear, size, access);
};

/** A null selector in a segment register. The DPL of SS stays the CPL even then. */
export const nullSegment = (selector: number, dpl = 0): Segment => ({
  selector,
  base: 0n,
  limit: 0,
  access: rights.unusable | (dpl << 5),
});

/** What a segment register holds after a load in real-address or virtual-8086 mode. `before` keeps its limit in real mode. */
export const realSegment = (selector: number, before: Segment, virtual8086: boolean): Segment => ({
  selector,
  base: BigInt(selector) << 4n,
  limit: virtual8086 ? 0xffff : before.limit,
  access: virtual8086 ? 0xf3 : (before.access & (rights.DB | rights.G)) | 0x93,
});
