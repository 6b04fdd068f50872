import { flagBit } from "../../arch/flags.ts";
import { type FlagName, statusFlags } from "../../ir/effects.ts";
import type { Width } from "../../ir/value.ts";
import { type GeneralRegister, layout, offsetOf } from "../../state/layout.ts";
import type { LazyFlags } from "../flags.ts";
import type { HandlerContext, HandlerSpec } from "../handler-spec.ts";
import type { Place } from "../place.ts";
import { ExitKind, record } from "../record.ts";
import { readStack, writeStack } from "../stack-register.ts";
import { loadWidth, storeWidth } from "../widths.ts";
import { generalBytes, generalNumber, vectorAt } from "./held-registers.ts";
import type { NestedCode } from "./nested-code.ts";
import type { RegionInstruction } from "./region.ts";
import type { RegionFrame } from "./region-frame.ts";

const offset = {
  RFLAGS: offsetOf("RFLAGS"),
  lazyFlags: offsetOf("lazyFlags"),
  tlbKey: offsetOf("tlbKey"),
  ripBase: offsetOf("ripBase"),
  zero: offsetOf("zero"),
};
const slots = [record.slot0, record.slot1, record.slot2] as const;

/** One instruction of a region. */
export class RegionPlace implements Place {
  readonly code: NestedCode;
  readonly spec: HandlerSpec;
  readonly context: HandlerContext;
  readonly #frame: RegionFrame;
  readonly #at: number;
  readonly #page: number;

  constructor(frame: RegionFrame, { at, spec }: RegionInstruction, page: number) {
    this.#page = page;
    this.#frame = frame;
    this.code = frame.code;
    this.context = frame.context;
    this.spec = spec;
    this.#at = at;
    let next = 0;
    this.#slots = spec.form.operands.map(({ kind }) => (kind === "register" ? this.#u16(slots[next++]!) : 0));
  }

  readonly #slots: readonly number[];

  #u16(field: number): number {
    return this.#frame.view.getUint16(this.#at + field, true);
  }
  #i32(field: number): number {
    return this.#frame.view.getInt32(this.#at + field, true);
  }

  readOperand(index: number, width: Width): void {
    this.#read(this.#slots[index]!, width);
  }

  /** Push the low bits of what is at a state offset. */
  #read(at: number, width: Width): void {
    const { code } = this;
    const vector = vectorAt(at);
    if (vector !== undefined) {
      code.get(this.#frame.vector(vector));
      if (width === 64) code.simdLane("i64x2.extract_lane", 0);
      else if (width === 32) code.simdLane("i32x4.extract_lane", 0);
      else if (width === 16) code.simdLane("i16x8.extract_lane_u", 0);
      else if (width === 8) code.simdLane("i8x16.extract_lane_u", 0);
      return;
    }
    if (at >= generalBytes) {
      code.i32(0);
      loadWidth(code, width, at);
      return;
    }
    code.get(this.#frame.general(at >>> 3));
    if (width === 64) return;
    code.op("i32.wrap_i64");
    if (width === 32) return;
    if (at & 7) code.i32(8 * (at & 7)).op("i32.shr_u");
    code.i32(2 ** width - 1).op("i32.and");
  }

  writeOperand(index: number, width: Width, push: () => void): void {
    const { code } = this;
    const at = this.#slots[index]!;
    if (at < generalBytes) {
      this.#writeGeneral(at, width, push);
      return;
    }
    const vector = vectorAt(at);
    if (vector !== undefined) {
      if (width !== 128) code.get(this.#frame.vector(vector));
      push();
      if (width === 64) code.simdLane("i64x2.replace_lane", 0);
      else if (width === 32) code.simdLane("i32x4.replace_lane", 0);
      this.#frame.setVector(vector);
      return;
    }
    const { addressing } = this.spec.row.operands[index]!;
    const mmx = addressing === "P" || addressing === "Q" || addressing === "N";
    code.i32(0);
    push();
    storeWidth(code, width, at, false);
    if (mmx) code.i32(0).i32(0xffff).memory("i32.store16", at + 8);
  }

  readOperandFloat(index: number, width: 32 | 64): void {
    this.code.get(this.#frame.vector(vectorAt(this.#slots[index]!)!)).simdLane(width === 32 ? "f32x4.extract_lane" : "f64x2.extract_lane", 0);
  }

  writeOperandFloat(index: number, width: 32 | 64, push: () => void): void {
    const vector = vectorAt(this.#slots[index]!)!;
    this.code.get(this.#frame.vector(vector));
    push();
    this.code.simdLane(width === 32 ? "f32x4.replace_lane" : "f64x2.replace_lane", 0);
    this.#frame.setVector(vector);
  }

  abandon(): boolean {
    // The entry's own handler is this region.
    if (this.#at === this.#frame.region.blocks[0]!.at) return false;
    this.#frame.storeRegisters();
    this.#frame.toRecord(this.#at);
    return true;
  }

  carryOutOfLine(): void {
    const { code } = this;
    this.#frame.storeRegisters();
    code.i32(this.#at).i32(this.context.outOfLine(this.spec)).callIndirect(this.context.imports.outOfLineType).if();
    this.leave();
    code.end();
    for (const effect of this.spec.effects) {
      if (effect.kind === "writeOperand" && this.spec.form.operands[effect.index]!.kind === "register")
        this.#frame.reload(this.#slots[effect.index]!);
      else if (effect.kind === "writeRegister") this.#frame.reload(offsetOf(effect.name));
    }
  }

  #writeGeneral(at: number, width: Width, push: () => void): void {
    const { code } = this;
    const number = at >>> 3;
    if (width === 64) push();
    else if (width === 32) {
      push();
      code.op("i64.extend_i32_u");
    } else {
      const shift = BigInt(8 * (at & 7));
      const mask = ((1n << BigInt(width)) - 1n) << shift;
      code.get(this.#frame.general(number)).i64(BigInt.asIntN(64, ~mask)).op("i64.and");
      push();
      code.op("i64.extend_i32_u");
      if (shift) code.i64(shift).op("i64.shl");
      code.op("i64.or");
    }
    this.#frame.setGeneral(number);
  }

  readField(name: string, width: Width): void {
    if (name === "RIP") {
      this.#frame.ripOf({ page: this.#page, offset: this.#u16(record.offset) });
      if (this.spec.form.codeSize !== 64) this.code.i64(0xffff_ffffn).op("i64.and");
      return;
    }
    if (readStack(this.code, name)) return;
    this.#read(offsetOf(name), width);
  }

  writeField(name: string, width: Width, push: () => void): void {
    const { code } = this;
    if (writeStack(code, name, push)) return;
    const at = offsetOf(name);
    if (at < generalBytes) {
      this.#writeGeneral(at, width, push);
      return;
    }
    const vector = vectorAt(at);
    if (vector !== undefined) {
      if (width !== 128) throw new Error(`a write of ${width} bits to ${name}`);
      push();
      this.#frame.setVector(vector);
      return;
    }
    const wide = layout.get(name)!.type !== "u32";
    code.i32(0);
    push();
    if (wide && width === 32) code.op("i64.extend_i32_u").memory("i64.store", at);
    else if (!wide && width < 32) code.memory("i32.store", at);
    else storeWidth(code, width, at, false);
  }

  immediate(width: Width): void {
    const { code } = this;
    if (width === 64)
      code.i64(
        this.spec.wideImmediate
          ? this.#frame.view.getBigInt64(this.#at + record.wide, true)
          : BigInt(this.#i32(record.immediate)),
      );
    else {
      const value = this.#i32(record.immediate);
      code.i32(width === 32 ? value : value & (2 ** width - 1));
    }
  }

  addressRegister(name: GeneralRegister, size: 16 | 32 | 64): void {
    const { code } = this;
    code.get(this.#frame.general(generalNumber.get(name)!));
    if (size === 32) code.i64(0xffff_ffffn).op("i64.and");
    if (size === 16) code.i64(0xffffn).op("i64.and");
  }

  encodedSegmentBase(): void {
    this.code.i32(0).memory("i64.load", this.#u16(record.segmentBase));
  }

  encodedSegmentNumber(): void {
    this.code.i32(this.#frame.view.getUint8(this.#at + record.segment));
  }

  encodedAddress(): void {
    const { code } = this;
    const size = this.spec.form.addressSize;
    const { shape } = this.spec;
    const mask = (): void => {
      if (size === 32) code.i64(0xffff_ffffn).op("i64.and");
      if (size === 16) code.i64(0xffffn).op("i64.and");
    };
    if (shape === "wide") {
      code.i64(this.#frame.view.getBigInt64(this.#at + record.wide, true));
      mask();
      return;
    }
    const displacement = this.#i32(record.displacement);
    const base = this.#u16(record.base);
    if (base === offset.zero) code.i64(BigInt(displacement));
    else if (base === offset.ripBase) this.#frame.ripOf({ page: this.#page, offset: displacement });
    else {
      if (base < generalBytes) code.get(this.#frame.general(base >>> 3));
      else code.i32(0).memory("i64.load", base);
      if (displacement !== 0) code.i64(BigInt(displacement)).op("i64.add");
    }
    if (shape === "full") {
      const index = this.#u16(record.index);
      if (index !== offset.zero) {
        if (index < generalBytes) code.get(this.#frame.general(index >>> 3));
        else code.i32(0).memory("i64.load", index);
        const scale = this.#frame.view.getUint8(this.#at + record.scale);
        if (scale) code.i64(BigInt(scale)).op("i64.shl");
        code.op("i64.add");
      }
    }
    mask();
  }

  nextRip(): void {
    this.#frame.ripOf({ page: this.#page, offset: this.#u16(record.next) });
    if (this.spec.form.codeSize !== 64) this.code.i64(0xffff_ffffn).op("i64.and");
  }

  readFlag(name: FlagName): void {
    const { code } = this;
    if ((statusFlags as readonly string[]).includes(name)) this.#settle();
    code.i32(0).memory("i32.load", offset.RFLAGS).i32(flagBit[name]).op("i32.shr_u").i32(1).op("i32.and");
  }

  #settle(): void {
    this.#frame.spillFlags();
    this.code.call(this.context.imports.settle);
  }

  readRflags(): void {
    this.#settle();
    this.code.i32(0).memory("i64.load", offset.RFLAGS);
  }

  writeLazy(lazy: LazyFlags, input: (index: number) => void): void {
    this.#frame.writeLazy(lazy, input);
  }

  beforeMerge(all: boolean): void {
    if (!all) this.#settle();
  }

  afterMerge(all: boolean): void {
    if (all) this.code.i32(0).i32(0).memory("i32.store", offset.lazyFlags);
    this.#frame.flagsInMemory();
    this.#frame.pending = undefined;
  }

  get tlbKey(): number {
    return this.#frame.tlbKey;
  }

  tlbKeyChanged(): void {
    this.code.i32(0).memory("i64.load", offset.tlbKey).set(this.#frame.tlbKey);
  }

  readonly flushes = true;

  leave(): void {
    this.#frame.leave(this.#at);
  }

  toProcedure(): void {
    if (this.abandon()) return;
    this.code.i32(0).i32(ExitKind.unusual).memory("i32.store", offsetOf("exitKind"));
    this.leave();
  }

  raise(vector: number, errorCode: (() => void) | undefined): void {
    this.#frame.raise(this.#at, vector, errorCode);
  }
}
