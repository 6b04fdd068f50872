import { CR0 } from "../arch/control-registers.ts";
import { access as rights, segmentType, selectorRPL, selectorTI } from "../arch/descriptors.ts";
import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf, type SegmentRegister, segmentRegisters } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import {
  linearPair,
  probeLinear,
  readLinear,
  readLinearNumber,
  readLinearPair,
  readLinearValues,
  writeLinear,
  writeLinearValues,
} from "./linear-memory.ts";
import { cpl, flagsLow, is64Bit, isCanonical, isProtected, isRealLike, isVirtual8086 } from "./mode.ts";
import { Access } from "./page-walk.ts";

/** SDM Vol. 3, "Protected-Mode Memory Management" and "Protection": segment registers, descriptors and limit checks. */

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

/** #AC(0) for a misaligned user access while alignment checking is on, else undefined. */
const misaligned = (state: CpuState, linear: bigint, size: number, access: number): Fault | undefined =>
  access & Access.USER &&
  flagsLow(state) & AC &&
  state.low32("CR0") & AM &&
  linear & BigInt(alignmentOf(size) - 1)
    ? new Fault(Exception.AC, 0)
    : undefined;

/** First and last byte canonical? */
const spanCanonical = (core: Core, linear: bigint, size: number): boolean =>
  isCanonical(linear, core.model.linearAddressBits) &&
  (size === 1 || isCanonical(BigInt.asUintN(64, linear + BigInt(size - 1)), core.model.linearAddressBits));

/** Type and limit checks outside 64-bit mode. */
const withinSegment = (
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

/** Eight bytes of the GDT or LDT. */
export class Descriptor {
  readonly selector: number;
  readonly low: number;
  readonly high: number;
  /** Linear address. */
  readonly address: bigint;

  constructor(selector: number, low: number, high: number, address: bigint) {
    this.selector = selector;
    this.low = low;
    this.high = high;
    this.address = address;
  }

  /** Type field, bits 11:8 of the high doubleword. */
  get type(): number {
    return (this.high >> 8) & 0xf;
  }
  /** S = 1: code or data. */
  get isSegment(): boolean {
    return (this.high & 0x1000) !== 0;
  }
  get isCode(): boolean {
    return (this.high & 0x1800) === 0x1800;
  }
  get isConforming(): boolean {
    return (this.high & 0x400) !== 0;
  }
  get isWritableData(): boolean {
    return (this.high & 0x1a00) === 0x1200;
  }
  get dpl(): number {
    return (this.high >> 13) & 3;
  }
  get present(): boolean {
    return (this.high & 0x8000) !== 0;
  }
  /** L: 64-bit code. */
  get long(): boolean {
    return (this.high & 0x20_0000) !== 0;
  }
  get big(): boolean {
    return (this.high & 0x40_0000) !== 0;
  }
  get base(): bigint {
    return BigInt((this.low >>> 16) + (this.high & 0xff) * 0x1_0000 + (this.high >>> 24) * 0x100_0000);
  }
  /** In bytes, granularity applied. */
  get limit(): number {
    const limit = (this.low & 0xffff) + (this.high & 0xf_0000);
    return this.high & 0x80_0000 ? limit * 4096 + 4095 : limit;
  }
  get access(): number {
    return (this.high >>> 8) & rights.fromDescriptor;
  }

  /** As a segment register with `selector`'s RPL replaced by `rpl`; the accessed bit is set. */
  segment(rpl = this.selector & selectorRPL): Segment {
    return {
      selector: (this.selector & ~selectorRPL) | rpl,
      base: this.base,
      limit: this.limit,
      access: this.access | segmentType.accessed,
    };
  }
}

/** Linear address of `bytes` bytes at a selector's place in its table; undefined when they do not lie within the limit. */
const descriptorAddress = (state: CpuState, selector: number, bytes: number): bigint | undefined => {
  const index = selector & 0xfff8;
  if (selector & selectorTI) {
    const ldtr = getSegment(state, "LDTR");
    if (ldtr.access & rights.unusable || index + bytes - 1 > ldtr.limit) return undefined;
    return ldtr.base + BigInt(index);
  }
  if (index + bytes - 1 > state["GDTR.limit"]) return undefined;
  return state["GDTR.base"] + BigInt(index);
};

/** The descriptor that a selector names; undefined when the selector is beyond its table's limit. */
export const fetchDescriptor = (core: Core, selector: number): Descriptor | Fault | undefined => {
  const address = descriptorAddress(core.state, selector, 8);
  if (address === undefined) return undefined;
  const linear = BigInt.asUintN(64, address);
  const fault = readLinearPair(core, linear, Access.IMPLICIT);
  return fault ?? new Descriptor(selector & 0xffff, linearPair[0]!, linearPair[1]!, linear);
};

/**
 * Bytes 15:8 of a 16-byte system descriptor of IA-32e mode; undefined when they lie beyond the table. `base` is address
 * bits 63:32 of an LDT, TSS or call gate; `type` must be 0 (bits 12:8 of the last doubleword).
 */
export const fetchUpperHalf = (
  core: Core,
  descriptor: Descriptor,
): { base: bigint; type: number } | Fault | undefined => {
  if (descriptorAddress(core.state, descriptor.selector, 16) === undefined) return undefined;
  const value = readLinear(core, BigInt.asUintN(64, descriptor.address + 8n), 8, Access.IMPLICIT);
  if (value instanceof Fault) return value;
  return { base: value & 0xffff_ffffn, type: Number((value >> 40n) & 0x1fn) };
};

/** Set bits of a descriptor's access byte in memory (accessed, busy), if they are not set. */
export const markDescriptor = (core: Core, descriptor: Descriptor, bits: number): Fault | undefined => {
  if (((descriptor.high >> 8) & bits) === bits) return undefined;
  const byte = BigInt(((descriptor.high >> 8) & 0xff) | bits);
  return writeLinear(
    core,
    BigInt.asUintN(64, descriptor.address + 5n),
    byte,
    1,
    Access.IMPLICIT | Access.WRITE,
  );
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

/** Read from the current TSS at an offset that was checked against its limit. */
export const readTss = (core: Core, offset: number, size: 1 | 2 | 4): number | Fault =>
  readLinearNumber(core, BigInt.asUintN(64, core.state["TR.base"] + BigInt(offset)), size, Access.IMPLICIT);

/**
 * A stack being pushed to or popped from before it is committed: SS and the stack pointer may not be loaded yet.
 * `width` is the stack-pointer width; `overflow` is raised when the segment's limit or canonicality refuses.
 */
export class Stack {
  readonly #core: Core;
  readonly #segment: Segment;
  readonly #width: 16 | 32 | 64;
  readonly #access: number;
  readonly #overflow: Fault;
  /** All 64 bits; only the low `width` change. */
  pointer: bigint;

  constructor(
    core: Core,
    segment: Segment,
    pointer: bigint,
    width: 16 | 32 | 64,
    user: boolean,
    overflow: Fault = new Fault(Exception.SS, 0),
  ) {
    this.#core = core;
    this.#segment = segment;
    this.#width = width;
    this.#access = user ? Access.USER : 0;
    this.#overflow = overflow;
    this.pointer = pointer;
  }

  /** Move the stack pointer. */
  advance(bytes: number): void {
    if (this.#width === 64) this.pointer = BigInt.asUintN(64, this.pointer + BigInt(bytes));
    else if (this.#width === 32) this.pointer = BigInt.asUintN(32, this.pointer + BigInt(bytes));
    else this.pointer = (this.pointer & ~0xffffn) | BigInt.asUintN(16, this.pointer + BigInt(bytes));
  }

  #linear(bytes: number, offset: bigint, access: number): bigint | Fault {
    const { state } = this.#core;
    const { base, limit, access: ar } = this.#segment;
    const within = BigInt.asUintN(this.#width, offset);
    let linear = within;
    if (this.#width === 64) {
      if (!spanCanonical(this.#core, within, bytes)) return this.#overflow;
    } else {
      if (!withinSegment(ar, limit, Number(within), bytes, access, isProtected(state))) return this.#overflow;
      linear = (base + within) & 0xffff_ffffn;
    }
    return misaligned(state, linear, bytes, access) ?? linear;
  }

  push(value: bigint, bytes: number): Fault | undefined {
    const linear = this.#linear(bytes, this.pointer - BigInt(bytes), this.#access | Access.WRITE);
    if (linear instanceof Fault) return linear;
    const fault = writeLinear(
      this.#core,
      linear,
      BigInt.asUintN(8 * bytes, value),
      bytes,
      this.#access | Access.WRITE,
    );
    if (!fault) this.advance(-bytes);
    return fault;
  }

  /** Linear address of `total` bytes that lie on one page above `offset`; undefined where they must be taken one by one. */
  #block(offset: bigint, total: number, access: number): bigint | undefined {
    const within = BigInt.asUintN(this.#width, offset);
    if (Number(within & 0xfffn) + total > 4096 || this.#access & Access.USER) return undefined;
    const linear = this.#linear(total, offset, access);
    if (linear instanceof Fault || Number(linear & 0xfffn) + total > 4096) return undefined;
    return linear;
  }

  /** Push values in order; the first fault ends it. */
  pushAll(values: readonly bigint[], bytes: number): Fault | undefined {
    const total = values.length * bytes;
    const access = this.#access | Access.WRITE;
    const block = this.#block(this.pointer - BigInt(total), total, access);
    if (block !== undefined && !writeLinearValues(this.#core, block, values.toReversed(), bytes, access)) {
      this.advance(-total);
      return undefined;
    }
    for (const value of values) {
      const fault = this.push(value, bytes);
      if (fault) return fault;
    }
    return undefined;
  }

  /** Pop `count` values. */
  popAll(count: number, bytes: number): bigint[] | Fault {
    const total = count * bytes;
    const block = this.#block(this.pointer, total, this.#access);
    if (block !== undefined) {
      const values = readLinearValues(this.#core, block, count, bytes, this.#access);
      if (!(values instanceof Fault)) {
        this.advance(total);
        return values;
      }
    }
    const values: bigint[] = [];
    for (let n = 0; n < count; n++) {
      const value = this.pop(bytes);
      if (value instanceof Fault) return value;
      values.push(value);
    }
    return values;
  }

  /** The value `offset` bytes above the stack pointer, which does not move. */
  peek(bytes: number, offset = 0): bigint | Fault {
    const linear = this.#linear(bytes, this.pointer + BigInt(offset), this.#access);
    return linear instanceof Fault ? linear : readLinear(this.#core, linear, bytes, this.#access);
  }

  pop(bytes: number): bigint | Fault {
    const value = this.peek(bytes);
    if (!(value instanceof Fault)) this.advance(bytes);
    return value;
  }
}

/** The stack in use. */
export const currentStack = (core: Core, overflow?: Fault): Stack => {
  const { state } = core;
  const width = is64Bit(state) ? 64 : state["SS.access"] & rights.DB ? 32 : 16;
  return new Stack(core, getSegment(state, "SS"), state.RSP, width, cpl(state) === 3, overflow);
};
