import { access as rights, segmentType, selectorRPL, selectorTI } from "../arch/descriptors.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf, type SegmentRegister } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { linearPair, readLinear, readLinearNumber, readLinearPair, writeLinear } from "./linear-memory.ts";
import { Access } from "./page-walk.ts";
import { type Segment, setSegmentParts } from "./segmentation.ts";

/** Descriptors of the GDT and LDT, and the current TSS (SDM Vol. 3, "Segment Descriptors"). */

/** Eight bytes of the GDT or LDT. */
export class Descriptor {
  readonly selector: number;
  readonly low: number;
  readonly high: number;
  /** Linear address, as two halves. */
  readonly addressLow: number;
  readonly addressHigh: number;

  constructor(selector: number, low: number, high: number, addressLow: number, addressHigh: number) {
    this.selector = selector;
    this.low = low;
    this.high = high;
    this.addressLow = addressLow;
    this.addressHigh = addressHigh;
  }

  get address(): bigint {
    return (BigInt(this.addressHigh) << 32n) | BigInt(this.addressLow);
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
    return BigInt(this.#base);
  }
  get #base(): number {
    return (this.low >>> 16) + (this.high & 0xff) * 0x1_0000 + (this.high >>> 24) * 0x100_0000;
  }
  /** In bytes, granularity applied. */
  get limit(): number {
    const limit = (this.low & 0xffff) + (this.high & 0xf_0000);
    return this.high & 0x80_0000 ? limit * 4096 + 4095 : limit;
  }
  get access(): number {
    return (this.high >>> 8) & rights.fromDescriptor;
  }

  /** Load `segment(rpl)` into a segment register. */
  load(state: CpuState, name: SegmentRegister, rpl = this.selector & selectorRPL): void {
    const selector = (this.selector & ~selectorRPL) | rpl;
    setSegmentParts(state, name, selector, this.#base, this.limit, this.access | segmentType.accessed);
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

const tables = {
  GDT: { base: offsetOf("GDTR.base"), limit: offsetOf("GDTR.limit") },
  LDT: { base: offsetOf("LDTR.base"), limit: offsetOf("LDTR.limit") },
} as const;
const ldtAccess = offsetOf("LDTR.access");
const ldt = (selector: number): boolean => (selector & selectorTI) !== 0;

/** Do `bytes` bytes at a selector's place lie within the limit of its table? */
const isInTable = ({ view }: CpuState, selector: number, bytes: number): boolean => {
  if (ldt(selector) && view.getUint32(ldtAccess, true) & rights.unusable) return false;
  const { limit } = ldt(selector) ? tables.LDT : tables.GDT;
  return (selector & 0xfff8) + bytes - 1 <= view.getUint32(limit, true);
};

/** The descriptor that a selector names; undefined when the selector is beyond its table's limit. */
export const fetchDescriptor = (core: Core, selector: number): Descriptor | Fault | undefined => {
  const { state } = core;
  if (!isInTable(state, selector, 8)) return undefined;
  const { base } = ldt(selector) ? tables.LDT : tables.GDT;
  const sum = state.view.getUint32(base, true) + (selector & 0xfff8);
  const low = sum >>> 0;
  const high = (state.view.getUint32(base + 4, true) + (sum > 0xffff_ffff ? 1 : 0)) >>> 0;
  const fault = readLinearPair(core, low, high, Access.IMPLICIT);
  return fault ?? new Descriptor(selector & 0xffff, linearPair[0]!, linearPair[1]!, low, high);
};

/**
 * Bytes 15:8 of a 16-byte system descriptor of IA-32e mode; undefined when they lie beyond the table. `base` is address
 * bits 63:32 of an LDT, TSS or call gate; `type` must be 0 (bits 12:8 of the last doubleword).
 */
export const fetchUpperHalf = (
  core: Core,
  descriptor: Descriptor,
): { base: bigint; type: number } | Fault | undefined => {
  if (!isInTable(core.state, descriptor.selector, 16)) return undefined;
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

/** Read from the current TSS at an offset that was checked against its limit. */
export const readTss = (core: Core, offset: number, size: 1 | 2 | 4): number | Fault =>
  readLinearNumber(core, BigInt.asUintN(64, core.state["TR.base"] + BigInt(offset)), size, Access.IMPLICIT);
