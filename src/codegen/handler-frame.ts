import { flagBit } from "../arch/flags.ts";
import { type FlagName, statusFlags } from "../ir/effects.ts";
import type { Width } from "../ir/value.ts";
import { type GeneralRegister, layout, offsetOf } from "../state/layout.ts";
import type { Code } from "../wasm/code.ts";
import { type LazyFlags, stashOffsets } from "./flags.ts";
import type { HandlerContext, HandlerSpec } from "./handler-spec.ts";
import type { Place } from "./place.ts";
import { ExitKind, record, recordBytes } from "./record.ts";
import { readStack, writeStack } from "./stack-register.ts";
import { loadAddress, loadWidth, storeWidth } from "./widths.ts";

const offset = {
  RFLAGS: offsetOf("RFLAGS"),
  lazyFlags: offsetOf("lazyFlags"),
  exitRecord: offsetOf("exitRecord"),
  exitBudget: offsetOf("exitBudget"),
  exitKind: offsetOf("exitKind"),
  exitVector: offsetOf("exitVector"),
  exitErrorCode: offsetOf("exitErrorCode"),
  ripBase: offsetOf("ripBase"),
};

const slots = [record.slot0, record.slot1, record.slot2] as const;

/** Parameters of every handler. */
export const ip = 0;
export const budget = 1;

/** One instruction's place in its handler: where its record is, how control leaves. */
export class HandlerFrame implements Place {
  readonly code: Code;
  readonly spec: HandlerSpec;
  readonly context: HandlerContext;
  /** Where this instruction's record is, from `ip`: the second of a pair follows the first. */
  readonly at: number;
  /** RFLAGS before a repeated comparison: what a fault or an unfinished step leaves. */
  savedFlags: number | undefined;

  readonly #registerSlot: readonly (number | undefined)[];

  constructor(code: Code, spec: HandlerSpec, context: HandlerContext, second: boolean) {
    this.code = code;
    this.spec = spec;
    this.context = context;
    this.at = second ? recordBytes : 0;
    let next = 0;
    this.#registerSlot = spec.form.operands.map(({ kind }) => (kind === "register" ? slots[next++] : undefined));
  }

  // ---- operands and state

  #operandAddress(index: number): void {
    this.code.get(ip).memory("i32.load16_u", this.#registerSlot[index]! + this.at);
  }

  readOperand(index: number, width: Width): void {
    this.#operandAddress(index);
    loadWidth(this.code, width, 0);
  }

  writeOperand(index: number, width: Width, push: () => void): void {
    const { code } = this;
    const { addressing } = this.spec.row.operands[index]!;
    const vectorFile = addressing === "V" || addressing === "W" || addressing === "U";
    const mmx = addressing === "P" || addressing === "Q" || addressing === "N";
    this.#operandAddress(index);
    push();
    if (width === 32 && !vectorFile && !mmx) code.op("i64.extend_i32_u").memory("i64.store");
    else storeWidth(code, width, 0, false);
    if (!mmx) return;
    this.#operandAddress(index);
    code.i32(0xffff).memory("i32.store16", 8);
  }

  readOperandFloat(index: number, width: 32 | 64): void {
    this.#operandAddress(index);
    this.code.memory(width === 32 ? "f32.load" : "f64.load");
  }

  writeOperandFloat(index: number, width: 32 | 64, push: () => void): void {
    this.#operandAddress(index);
    push();
    this.code.memory(width === 32 ? "f32.store" : "f64.store");
  }

  readField(name: string, width: Width): void {
    if (name === "RIP") {
      this.ripOf(record.offset);
      return;
    }
    if (readStack(this.code, name)) return;
    this.code.i32(0);
    loadWidth(this.code, width, offsetOf(name));
  }

  writeField(name: string, width: Width, push: () => void): void {
    const { code } = this;
    if (writeStack(code, name, push)) return;
    const wide = layout.get(name)!.type !== "u32";
    code.i32(0);
    push();
    if (wide && width === 32) code.op("i64.extend_i32_u").memory("i64.store", offsetOf(name));
    else if (!wide && width < 32) code.memory("i32.store", offsetOf(name));
    else storeWidth(code, width, offsetOf(name), false);
  }

  immediate(width: Width): void {
    const { code } = this;
    code.get(ip);
    if (width === 64)
      code.memory(
        this.spec.wideImmediate ? "i64.load" : "i64.load32_s",
        (this.spec.wideImmediate ? record.wide : record.immediate) + this.at,
      );
    else if (width === 128) throw new Error("no 128-bit immediates");
    else loadWidth(code, width, record.immediate + this.at);
  }

  addressRegister(name: GeneralRegister, size: 16 | 32 | 64): void {
    this.code.i32(0);
    loadAddress(this.code, size, offsetOf(name));
  }

  encodedSegmentBase(): void {
    this.code.get(ip).memory("i32.load16_u", record.segmentBase + this.at).memory("i64.load");
  }

  encodedSegmentNumber(): void {
    this.code.get(ip).memory("i32.load8_u", record.segment + this.at);
  }

  encodedAddress(): void {
    const { code } = this;
    const size = this.spec.form.addressSize;
    const { shape } = this.spec;
    if (shape === "wide") {
      code.get(ip).memory("i64.load", record.wide + this.at);
      if (size === 32) code.i64(0xffff_ffffn).op("i64.and");
      if (size === 16) code.i64(0xffffn).op("i64.and");
      return;
    }
    if (size === 64) {
      code.get(ip).memory("i32.load16_u", record.base + this.at).memory("i64.load");
      code.get(ip).memory("i64.load32_s", record.displacement + this.at).op("i64.add");
      if (shape === "full") {
        code.get(ip).memory("i32.load16_u", record.index + this.at).memory("i64.load");
        code.get(ip).memory("i64.load8_u", record.scale + this.at).op("i64.shl").op("i64.add");
      }
      return;
    }
    code.get(ip).memory("i32.load16_u", record.base + this.at).memory("i32.load");
    code.get(ip).memory("i32.load", record.displacement + this.at).op("i32.add");
    if (shape === "full") {
      code.get(ip).memory("i32.load16_u", record.index + this.at).memory("i32.load");
      code.get(ip).memory("i32.load8_u", record.scale + this.at).op("i32.shl").op("i32.add");
    }
    if (size === 16) code.i32(0xffff).op("i32.and");
    code.op("i64.extend_i32_u");
  }

  // ---- flags

  readFlag(name: FlagName): void {
    const { code } = this;
    if ((statusFlags as readonly string[]).includes(name)) code.call(this.context.imports.settle);
    code.i32(0).memory("i32.load", offset.RFLAGS).i32(flagBit[name]).op("i32.shr_u").i32(1).op("i32.and");
  }

  readRflags(): void {
    this.code.call(this.context.imports.settle).i32(0).memory("i64.load", offset.RFLAGS);
  }

  writeLazy(lazy: LazyFlags, input: (index: number) => void): void {
    const { code } = this;
    lazy.inputs.forEach(({ width }, index) => {
      code.i32(0);
      input(index);
      code.memory(width === 64 ? "i64.store" : "i32.store", stashOffsets[index]!);
    });
    code.i32(0).i32(this.context.settleFunction(lazy)).memory("i32.store", offset.lazyFlags);
  }

  beforeMerge(all: boolean): void {
    if (!all) this.code.call(this.context.imports.settle);
  }

  afterMerge(all: boolean): void {
    if (all) this.code.i32(0).i32(0).memory("i32.store", offset.lazyFlags);
  }

  // ---- where control goes

  restoreFlags(): void {
    if (this.savedFlags === undefined) return;
    const { code } = this;
    code.i32(0).get(this.savedFlags).memory("i32.store", offset.RFLAGS);
    code.i32(0).i32(0).memory("i32.store", offset.lazyFlags);
  }

  abandon(): boolean {
    return false;
  }

  readonly tlbKey = undefined;

  tlbKeyChanged(): void {}

  readonly flushes = false;

  /** Return to the processor; the exit's kind has been stored. */
  leave(): void {
    const { code } = this;
    this.restoreFlags();
    code.i32(0);
    this.here();
    code.memory("i32.store", offset.exitRecord);
    code.i32(0).get(budget).memory("i32.store", offset.exitBudget).op("return");
  }

  toProcedure(): void {
    this.code.i32(0).i32(ExitKind.unusual).memory("i32.store", offset.exitKind);
    this.leave();
  }

  /** Exit with an exception. */
  raise(vector: number, errorCode: (() => void) | undefined): void {
    const { code } = this;
    code.i32(0).i32(ExitKind.fault).memory("i32.store", offset.exitKind);
    code.i32(0).i32(vector).memory("i32.store", offset.exitVector);
    code.i32(0);
    if (errorCode) errorCode();
    else code.i32(-1);
    code.memory("i32.store", offset.exitErrorCode);
    this.leave();
  }

  nextRip(): void {
    this.ripOf(record.next);
  }

  /** Push an offset in CS made of ripBase and a page offset of the record. */
  ripOf(field: number): void {
    const { code } = this;
    code.i32(0).memory("i64.load", offset.ripBase).get(ip).memory("i64.load16_u", field + this.at).op("i64.add");
    if (this.spec.form.codeSize !== 64) code.i64(0xffff_ffffn).op("i64.and");
  }

  /** The function that looks up the code at an offset in CS. */
  get dispatch(): number {
    const { imports } = this.context;
    return this.spec.form.codeSize === 64 ? imports.dispatch64 : imports.dispatch32;
  }

  /** Count the instructions up to and including this one. */
  spend(): void {
    this.code.get(budget).get(ip).memory("i32.load8_u", record.retired + this.at).op("i32.sub").i32(1).op("i32.sub").set(budget);
  }

  /** Push the address of this instruction's record. */
  here(): void {
    this.code.get(ip);
    if (this.at !== 0) this.code.i32(this.at).op("i32.add");
  }

  /** Go on with the record `distance` bytes after this one. */
  tailCall(distance: number): void {
    const total = this.at + distance;
    this.code
      .get(ip).i32(total).op("i32.add").get(budget)
      .get(ip).memory("i32.load", total + record.handler)
      .returnCallIndirect(this.context.imports.handlerType);
  }
}
