import { Exception } from "../arch/exceptions.ts";
import type { SegmentSource } from "../ir/effects.ts";
import { asksAlignment } from "../isa/row.ts";
import { offsetOf, segmentRegisters } from "../state/layout.ts";
import { i32, i64 } from "../wasm/code.ts";
import { accessWord, type SegmentPlan } from "./handler-spec.ts";
import { tlbEntries, tlbEntry, tlbEntryShift, tlbOffset } from "./memory-map.ts";
import type { Place } from "./place.ts";

const offset = {
  slowAddress: offsetOf("slowAddress"),
  tlbKey: offsetOf("tlbKey"),
};

/** Emits an instruction's way to memory: effective address, segment, TLB. */
export class MemoryAccess {
  readonly #place: Place;
  /** A local that is not 0 when a store went through the slow path and must be flushed; none without stores. */
  slow: number | undefined;
  /** The local to use for it, where the place has one for all its instructions. */
  sharedSlow: number | undefined;

  constructor(place: Place) {
    this.#place = place;
  }

  #addressing(index: number): "X" | "Y" | undefined {
    const letter = this.#place.spec.row.operands[index]?.addressing;
    return letter === "X" || letter === "Y" ? letter : undefined;
  }

  /** Push the effective address of memory operand `index` as 64 bits. */
  operandAddress(index: number): void {
    const string = this.#addressing(index);
    if (string === undefined) this.#place.encodedAddress(index);
    else this.#place.addressRegister(string === "X" ? "RSI" : "RDI", this.#place.spec.form.addressSize);
  }

  /** Turn the effective address on the stack into a linear one, in a new local. */
  #linear(plan: SegmentPlan, base: () => void, number: () => void, access: number): number {
    const { code } = this.#place;
    const local = code.local(i64);
    if (plan === "base") {
      base();
      code.op("i64.add");
      if (this.#place.spec.form.codeSize !== 64) code.i64(0xffff_ffffn).op("i64.and");
    }
    code.set(local);
    if (plan === "checked") {
      code.i32(0).get(local).memory("i64.store", offset.slowAddress);
      number();
      code.i32(access << 8).op("i32.or").call(this.#place.context.imports.checked).op("i32.eqz").if();
      this.#place.leave();
      code.end().i32(0).memory("i64.load", offset.slowAddress).set(local);
    }
    return local;
  }

  /** A memory operand's linear address. */
  operandLinear(index: number, bytes: number, write: boolean): number {
    const { code } = this.#place;
    this.operandAddress(index);
    const string = this.#addressing(index);
    const plan = this.#place.spec.operandSegments[index]!;
    if (string === "Y")
      return this.#linear(plan, () => code.i32(0).memory("i64.load", offsetOf("ES.base")), () => code.i32(0), accessWord(bytes, write, false));
    return this.#linear(
      plan,
      () => this.#place.encodedSegmentBase(),
      () => this.#place.encodedSegmentNumber(),
      accessWord(bytes, write, false),
    );
  }

  /** The linear address of the effective address on the stack. */
  segmentLinear(segment: SegmentSource, bytes: number, write: boolean): number {
    const { code } = this.#place;
    if (typeof segment === "number")
      return this.#linear(
        this.#place.spec.operandSegments[segment] ?? "zero",
        () => this.#place.encodedSegmentBase(),
        () => this.#place.encodedSegmentNumber(),
        accessWord(bytes, write, false),
      );
    return this.#linear(
      this.#place.spec.plans[segment],
      () => code.i32(0).memory("i64.load", offsetOf(`${segment}.base`)),
      () => code.i32(segmentRegisters.indexOf(segment)),
      accessWord(bytes, write, segment === "SS"),
    );
  }

  /** TLB lookup of the linear address in `linear`; a local with the memory offset. */
  translate(linear: number, bytes: number, write: boolean, stack: boolean, modify = false): number {
    const { code } = this.#place;
    const entry = code.local(i32);
    const address = code.local(i32);
    code.get(linear);
    let key = this.#place.tlbKey;
    if (key === undefined) {
      key = code.local(i64);
      code.i32(0).memory("i64.load", offset.tlbKey).tee(key);
    } else code.get(key);
    code.op("i64.xor").op("i32.wrap_i64").i32(12 - tlbEntryShift).op("i32.shr_u").i32((tlbEntries - 1) << tlbEntryShift).op("i32.and").tee(entry);
    code.memory("i64.load", tlbOffset + (write ? tlbEntry.writeTag : tlbEntry.readTag));
    code.get(linear);
    if (bytes > 1) code.i64(BigInt(bytes - 1)).op("i64.add");
    code.i64(-4096n).op("i64.and").get(key).op("i64.xor").op("i64.eq").if(i32);
    code.get(linear).op("i32.wrap_i64").get(entry).memory("i32.load", tlbOffset + tlbEntry.addend).op("i32.add");
    code.else();
    if (this.#place.abandon()) {
      code.end().set(address);
      return address;
    }
    code.get(linear).i32(accessWord(bytes, write, stack, modify)).call(this.#place.context.imports.missAt).tee(address).op("i32.eqz").if();
    this.#place.leave();
    code.end();
    if (write) {
      this.slow ??= this.sharedSlow ?? code.local(i32);
      code.i32(1).set(this.slow);
    }
    code.get(address).end().set(address);
    return address;
  }

  /** Size of an operand. */
  operandBytes(index: number): number {
    return this.#place.spec.form.operands[index]!.width / 8;
  }

  /** #GP(0) when a 16-byte operand that must be aligned is not. */
  checkAlignment(index: number, linear: number): void {
    const { row, form } = this.#place.spec;
    if (!asksAlignment(row) || form.operands[index]!.width !== 128) return;
    const { code } = this.#place;
    code.get(linear).i64(15n).op("i64.and").op("i64.eqz").op("i32.eqz").if();
    this.#place.raise(Exception.GP, () => code.i32(0));
    code.end();
  }
}
