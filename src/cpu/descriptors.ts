import { access as rights, segmentType, selectorRPL, selectorTI } from "../arch/descriptors.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { type Core, Fault } from "./core.ts";
import { linearPair, readLinear, readLinearNumber, readLinearPair, writeLinear } from "./linear-memory.ts";
import { Access } from "./page-walk.ts";
import { getSegment, type Segment } from "./segmentation.ts";

/** Descriptors of the GDT and LDT, and the current TSS (SDM Vol. 3, "Segment Descriptors"). */

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

/** Read from the current TSS at an offset that was checked against its limit. */
export const readTss = (core: Core, offset: number, size: 1 | 2 | 4): number | Fault =>
  readLinearNumber(core, BigInt.asUintN(64, core.state["TR.base"] + BigInt(offset)), size, Access.IMPLICIT);
