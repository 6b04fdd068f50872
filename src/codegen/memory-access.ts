import { Exception } from "../arch/exceptions.ts";
import type { SegmentSource } from "../ir/effects.ts";
import { asksAlignment } from "../isa/row.ts";
import { offsetOf, segmentRegisters } from "../state/layout.ts";
import { i32, i64 } from "../wasm/code.ts";
import { type HandlerFrame, ip } from "./handler-frame.ts";
import { accessWord, type SegmentPlan } from "./handler-spec.ts";
import { tlbEntries, tlbEntry, tlbOffset } from "./memory-map.ts";
import { record } from "./record.ts";
import { loadAddress } from "./widths.ts";

const offset = {
  RSI: offsetOf("RSI"),
  RDI: offsetOf("RDI"),
  slowAddress: offsetOf("slowAddress"),
  tlbKey: offsetOf("tlbKey"),
};

/** Emits an instruction's way to memory: effective address, segment, TLB. */
export class MemoryAccess {
  readonly #frame: HandlerFrame;
  /** A local that is not 0 when a store went through the slow path and must be flushed; none without stores. */
  slow: number | undefined;

  constructor(frame: HandlerFrame) {
    this.#frame = frame;
  }

  #addressing(index: number): "X" | "Y" | undefined {
    const letter = this.#frame.spec.row.operands[index]?.addressing;
    return letter === "X" || letter === "Y" ? letter : undefined;
  }

  /** Push the effective address of memory operand `index` as 64 bits. */
  operandAddress(index: number): void {
    const { code } = this.#frame;
    const size = this.#frame.spec.form.addressSize;
    const string = this.#addressing(index);
    if (string !== undefined) {
      code.i32(0);
      loadAddress(code, size, string === "X" ? offset.RSI : offset.RDI);
      return;
    }
    const { shape } = this.#frame.spec;
    if (shape === "wide") {
      code.get(ip).memory("i64.load", record.wide + this.#frame.at);
      if (size === 32) code.i64(0xffff_ffffn).op("i64.and");
      if (size === 16) code.i64(0xffffn).op("i64.and");
      return;
    }
    if (size === 64) {
      code.get(ip).memory("i32.load16_u", record.base + this.#frame.at).memory("i64.load");
      code.get(ip).memory("i64.load32_s", record.displacement + this.#frame.at).op("i64.add");
      if (shape === "full") {
        code.get(ip).memory("i32.load16_u", record.index + this.#frame.at).memory("i64.load");
        code.get(ip).memory("i64.load8_u", record.scale + this.#frame.at).op("i64.shl").op("i64.add");
      }
      return;
    }
    code.get(ip).memory("i32.load16_u", record.base + this.#frame.at).memory("i32.load");
    code.get(ip).memory("i32.load", record.displacement + this.#frame.at).op("i32.add");
    if (shape === "full") {
      code.get(ip).memory("i32.load16_u", record.index + this.#frame.at).memory("i32.load");
      code.get(ip).memory("i32.load8_u", record.scale + this.#frame.at).op("i32.shl").op("i32.add");
    }
    if (size === 16) code.i32(0xffff).op("i32.and");
    code.op("i64.extend_i32_u");
  }

  /** Turn the effective address on the stack into a linear one, in a new local. */
  #linear(plan: SegmentPlan, base: () => void, number: () => void, access: number): number {
    const { code } = this.#frame;
    const local = code.local(i64);
    if (plan === "base") {
      base();
      code.op("i64.add");
      if (this.#frame.spec.form.codeSize !== 64) code.i64(0xffff_ffffn).op("i64.and");
    }
    code.set(local);
    if (plan === "checked") {
      code.i32(0).get(local).memory("i64.store", offset.slowAddress);
      number();
      code.i32(access << 8).op("i32.or").call(this.#frame.context.imports.checked).op("i32.eqz").if();
      this.#frame.leave();
      code.end().i32(0).memory("i64.load", offset.slowAddress).set(local);
    }
    return local;
  }

  /** A memory operand's linear address. */
  operandLinear(index: number, bytes: number, write: boolean): number {
    const { code } = this.#frame;
    this.operandAddress(index);
    const string = this.#addressing(index);
    const plan = this.#frame.spec.operandSegments[index]!;
    if (string === "Y")
      return this.#linear(plan, () => code.i32(0).memory("i64.load", offsetOf("ES.base")), () => code.i32(0), accessWord(bytes, write, false));
    return this.#linear(
      plan,
      () => code.get(ip).memory("i32.load16_u", record.segmentBase + this.#frame.at).memory("i64.load"),
      () => code.get(ip).memory("i32.load8_u", record.segment + this.#frame.at),
      accessWord(bytes, write, false),
    );
  }

  /** The linear address of the effective address on the stack. */
  segmentLinear(segment: SegmentSource, bytes: number, write: boolean): number {
    const { code } = this.#frame;
    if (typeof segment === "number")
      return this.#linear(
        this.#frame.spec.operandSegments[segment] ?? "zero",
        () => code.get(ip).memory("i32.load16_u", record.segmentBase + this.#frame.at).memory("i64.load"),
        () => code.get(ip).memory("i32.load8_u", record.segment + this.#frame.at),
        accessWord(bytes, write, false),
      );
    return this.#linear(
      this.#frame.spec.plans[segment],
      () => code.i32(0).memory("i64.load", offsetOf(`${segment}.base`)),
      () => code.i32(segmentRegisters.indexOf(segment)),
      accessWord(bytes, write, segment === "SS"),
    );
  }

  /** TLB lookup of the linear address in `linear`; a local with the memory offset. */
  translate(linear: number, bytes: number, write: boolean, stack: boolean, modify = false): number {
    const { code } = this.#frame;
    const entry = code.local(i32);
    const address = code.local(i32);
    const key = code.local(i64);
    code.get(linear).i32(0).memory("i64.load", offset.tlbKey).tee(key).op("i64.xor");
    code.i64(12n).op("i64.shr_u").op("i32.wrap_i64").i32(tlbEntries - 1).op("i32.and").i32(5).op("i32.shl").tee(entry);
    code.memory("i64.load", tlbOffset + (write ? tlbEntry.writeTag : tlbEntry.readTag));
    code.get(linear);
    if (bytes > 1) code.i64(BigInt(bytes - 1)).op("i64.add");
    code.i64(-4096n).op("i64.and").get(key).op("i64.xor").op("i64.eq").if(i32);
    code.get(linear).op("i32.wrap_i64").get(entry).memory("i32.load", tlbOffset + tlbEntry.addend).op("i32.add");
    code.else();
    code.i32(0).get(linear).memory("i64.store", offset.slowAddress);
    code.i32(accessWord(bytes, write, stack, modify)).call(this.#frame.context.imports.miss).tee(address).op("i32.eqz").if();
    this.#frame.leave();
    code.end();
    if (write) {
      this.slow ??= code.local(i32);
      code.i32(1).set(this.slow);
    }
    code.get(address).end().set(address);
    return address;
  }

  /** Size of an operand. */
  operandBytes(index: number): number {
    return this.#frame.spec.form.operands[index]!.width / 8;
  }

  /** #GP(0) when a 16-byte operand that must be aligned is not. */
  checkAlignment(index: number, linear: number): void {
    const { row, form } = this.#frame.spec;
    if (!asksAlignment(row) || form.operands[index]!.width !== 128) return;
    const { code } = this.#frame;
    code.get(linear).i64(15n).op("i64.and").op("i64.eqz").op("i32.eqz").if();
    this.#frame.raise(Exception.GP, () => code.i32(0));
    code.end();
  }
}
