import { access as rights } from "../arch/descriptors.ts";
import { Exception } from "../arch/exceptions.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { readFrame, readLinear, writeFrame, writeLinear } from "./linear-memory.ts";
import { cpl, is64Bit, isCanonicalHigh, isProtected } from "./mode.ts";
import { Access } from "./page-walk.ts";
import { checksAlignment, misaligned, type Segment, withinSegment } from "./segmentation.ts";

const rspOffset = offsetOf("RSP");
const ssBaseOffset = offsetOf("SS.base");
const ssLimitOffset = offsetOf("SS.limit");
const ssAccessOffset = offsetOf("SS.access");
const halves = new Uint32Array(2);
const whole = new BigUint64Array(halves.buffer);

/** Values on their way to a stack or from it, as low and high doublewords, in the order in which they are pushed or popped. */
export class Frame {
  readonly words = new Uint32Array(2 * 12);
  count = 0;

  clear(): this {
    this.count = 0;
    return this;
  }
  add(low: number, high = 0): this {
    this.words[2 * this.count] = low;
    this.words[2 * this.count++ + 1] = high;
    return this;
  }
  /** A 64-bit field of the state, by its offset. */
  addField({ view }: CpuState, offset: number): this {
    return this.add(view.getUint32(offset, true), view.getUint32(offset + 4, true));
  }
  addValue(value: bigint): this {
    whole[0] = value;
    return this.add(halves[0]!, halves[1]!);
  }
  low(index: number): number {
    return this.words[2 * index]!;
  }
  high(index: number): number {
    return this.words[2 * index + 1]!;
  }
  value(index: number): bigint {
    halves[0] = this.low(index);
    halves[1] = this.high(index);
    return whole[0]!;
  }
}

/** The linear address of the access in progress. */
let linearLow = 0;
let linearHigh = 0;

/**
 * A stack being pushed to or popped from before it is committed: SS and the stack pointer may not be loaded yet.
 * `width` is the stack-pointer width; `overflow` is raised when the segment's limit or canonicality refuses.
 */
export class Stack {
  readonly #core: Core;
  /** Base, limit and access rights of the segment: outside 64-bit mode bases have 32 bits. */
  readonly #base: number;
  readonly #limit: number;
  readonly #rights: number;
  readonly #width: 16 | 32 | 64;
  readonly #access: number;
  readonly #overflow: Fault | undefined;
  /** The stack pointer, all 64 bits of it; only the low `width` change. */
  #low: number;
  #high: number;

  constructor(
    core: Core,
    base: number,
    limit: number,
    access: number,
    low: number,
    high: number,
    width: 16 | 32 | 64,
    user: boolean,
    overflow: Fault | undefined,
  ) {
    this.#core = core;
    this.#base = base;
    this.#limit = limit;
    this.#rights = access;
    this.#low = low;
    this.#high = high;
    this.#width = width;
    this.#access = user ? Access.USER : 0;
    this.#overflow = overflow;
  }

  get pointer(): bigint {
    halves[0] = this.#low;
    halves[1] = this.#high;
    return whole[0]!;
  }

  /** Load RSP. */
  commit({ view }: CpuState): void {
    view.setUint32(rspOffset, this.#low, true);
    view.setUint32(rspOffset + 4, this.#high, true);
  }

  /** Move the stack pointer. */
  advance(bytes: number): void {
    const sum = this.#low + bytes;
    if (this.#width === 64) {
      this.#high = (this.#high + Math.floor(sum / 0x1_0000_0000)) >>> 0;
      this.#low = sum >>> 0;
    } else if (this.#width === 32) {
      this.#high = 0;
      this.#low = sum >>> 0;
    } else this.#low = ((this.#low & 0xffff_0000) | (sum & 0xffff)) >>> 0;
  }

  /** Find the linear address of `bytes` bytes `distance` above the stack pointer, in `linearLow` and `linearHigh`. */
  #linear(bytes: number, distance: number, access: number): Fault | undefined {
    const { state, model } = this.#core;
    const sum = this.#low + distance;
    if (this.#width === 64) {
      linearLow = sum >>> 0;
      linearHigh = (this.#high + Math.floor(sum / 0x1_0000_0000)) >>> 0;
      const lastHigh = linearLow + bytes - 1 > 0xffff_ffff ? (linearHigh + 1) >>> 0 : linearHigh;
      const bits = model.linearAddressBits;
      if (!isCanonicalHigh(linearHigh, bits) || !isCanonicalHigh(lastHigh, bits)) return this.#refusal();
    } else {
      const within = this.#width === 32 ? sum >>> 0 : sum & 0xffff;
      if (!withinSegment(this.#rights, this.#limit, within, bytes, access, isProtected(state)))
        return this.#refusal();
      linearLow = (this.#base + within) >>> 0;
      linearHigh = 0;
    }
    if (!(access & Access.USER) || !checksAlignment(state)) return undefined;
    return misaligned(state, BigInt(linearLow), bytes, access);
  }

  #refusal(): Fault {
    return this.#overflow ?? new Fault(Exception.SS, 0);
  }

  push(value: bigint, bytes: number): Fault | undefined {
    const access = this.#access | Access.WRITE;
    const refused = this.#linear(bytes, -bytes, access);
    if (refused) return refused;
    halves[0] = linearLow;
    halves[1] = linearHigh;
    const fault = writeLinear(this.#core, whole[0]!, BigInt.asUintN(8 * bytes, value), bytes, access);
    if (!fault) this.advance(-bytes);
    return fault;
  }

  /** Can `total` bytes `distance` above the stack pointer be accessed at once: on one page, all within the segment? */
  #isBlock(distance: number, total: number, access: number): boolean {
    // A stack pointer that wraps is taken value by value.
    const within = this.#width === 16 ? this.#low & 0xffff : this.#low;
    if (within + distance < 0) return false;
    if (((this.#low + distance) & 0xfff) + total > 4096) return false;
    if (access & Access.USER && checksAlignment(this.#core.state)) return false;
    return !this.#linear(total, distance, access) && (linearLow & 0xfff) + total <= 4096;
  }

  /** Push the values of a frame; the first fault ends it. */
  pushFrame(frame: Frame, bytes: number): Fault | undefined {
    const total = frame.count * bytes;
    const access = this.#access | Access.WRITE;
    if (
      this.#isBlock(-total, total, access) &&
      !writeFrame(this.#core, linearLow, linearHigh, frame.words, frame.count, bytes, access)
    ) {
      this.advance(-total);
      return undefined;
    }
    for (let n = 0; n < frame.count; n++) {
      const fault = this.push(frame.value(n), bytes);
      if (fault) return fault;
    }
    return undefined;
  }

  /** Push values in order; the first fault ends it. */
  pushAll(values: readonly bigint[], bytes: number): Fault | undefined {
    const frame = new Frame();
    for (const value of values) frame.addValue(value);
    return this.pushFrame(frame, bytes);
  }

  /** Pop `count` values and add them to a frame. */
  popFrame(frame: Frame, count: number, bytes: number): Fault | undefined {
    const total = count * bytes;
    if (this.#isBlock(0, total, this.#access)) {
      const into = frame.count === 0 ? frame.words : frame.words.subarray(2 * frame.count);
      if (!readFrame(this.#core, linearLow, linearHigh, into, count, bytes, this.#access)) {
        frame.count += count;
        this.advance(total);
        return undefined;
      }
    }
    for (let n = 0; n < count; n++) {
      const value = this.pop(bytes);
      if (value instanceof Fault) return value;
      frame.addValue(value);
    }
    return undefined;
  }

  /** The value `distance` bytes above the stack pointer, which does not move. */
  peek(bytes: number, distance = 0): bigint | Fault {
    const refused = this.#linear(bytes, distance, this.#access);
    if (refused) return refused;
    halves[0] = linearLow;
    halves[1] = linearHigh;
    return readLinear(this.#core, whole[0]!, bytes, this.#access);
  }

  pop(bytes: number): bigint | Fault {
    const value = this.peek(bytes);
    if (!(value instanceof Fault)) this.advance(bytes);
    return value;
  }
}

/** A stack in a segment that need not be loaded. */
export const stackIn = (
  core: Core,
  segment: Segment,
  pointer: bigint,
  width: 16 | 32 | 64,
  user: boolean,
  overflow: Fault,
): Stack => {
  whole[0] = pointer;
  const [low, high] = [halves[0]!, halves[1]!];
  return new Stack(
    core,
    Number(segment.base),
    segment.limit,
    segment.access,
    low,
    high,
    width,
    user,
    overflow,
  );
};

/** The stack in use. */
export const currentStack = (core: Core, overflow?: Fault): Stack => {
  const { state } = core;
  const { view } = state;
  const access = view.getUint32(ssAccessOffset, true);
  return new Stack(
    core,
    view.getUint32(ssBaseOffset, true),
    view.getUint32(ssLimitOffset, true),
    access,
    view.getUint32(rspOffset, true),
    view.getUint32(rspOffset + 4, true),
    is64Bit(state) ? 64 : access & rights.DB ? 32 : 16,
    cpl(state) === 3,
    overflow,
  );
};
