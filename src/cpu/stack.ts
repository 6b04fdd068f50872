import { access as rights } from "../arch/descriptors.ts";
import { Exception } from "../arch/exceptions.ts";
import { type Core, Fault } from "./core.ts";
import { readLinear, readLinearValues, writeLinear, writeLinearValues } from "./linear-memory.ts";
import { cpl, is64Bit, isProtected } from "./mode.ts";
import { Access } from "./page-walk.ts";
import { getSegment, misaligned, type Segment, spanCanonical, withinSegment } from "./segmentation.ts";

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
