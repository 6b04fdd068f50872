import { flagBit } from "../../arch/flags.ts";
import { type Effect, type FlagName, type Flags, statusFlags } from "../../ir/effects.ts";
import type { Value, Width } from "../../ir/value.ts";
import { type GeneralRegister, generalRegisters, layout, offsetOf } from "../../state/layout.ts";
import { Code, i32, i64, type ValueType, v128 } from "../../wasm/code.ts";
import { type Binding, ExpressionEmitter } from "../expression.ts";
import type { LazyFlags } from "../flags.ts";
import { conditionsOn } from "../fusion.ts";
import type { HandlerContext, HandlerSpec } from "../handler-spec.ts";
import { regionSlot, regionSlotBytes, regionSlotsOffset } from "../memory-map.ts";
import type { Place } from "../place.ts";
import { ExitKind, record } from "../record.ts";
import { readStack, writeStack } from "../stack-register.ts";
import { loadWidth, storeWidth } from "../widths.ts";
import type { Region, RegionInstruction } from "./region.ts";

const offset = {
  RIP: offsetOf("RIP"),
  RFLAGS: offsetOf("RFLAGS"),
  lazyFlags: offsetOf("lazyFlags"),
  codeStamp: offsetOf("codeStamp"),
  tlbKey: offsetOf("tlbKey"),
  ripBase: offsetOf("ripBase"),
  zero: offsetOf("zero"),
  vectorScratch: offsetOf("vectorScratch"),
};
const generalBytes = 8 * generalRegisters.length;
const vectorOffset = offsetOf("XMM0");
/** Bytes from one XMM register to the next. */
const vectorBytes = offsetOf("XMM1") - vectorOffset;
const vectorEnd = vectorOffset + 16 * vectorBytes;
/** Number of the XMM register whose lowest byte is at a state offset; undefined: there is none. */
const vectorAt = (at: number): number | undefined =>
  at >= vectorOffset && at < vectorEnd ? (at - vectorOffset) / vectorBytes : undefined;
const generalNumber = new Map<string, number>(generalRegisters.map((name, number) => [name, number]));

/** Code that knows how deep it is in structured instructions, and whose local variables are those of one guest instruction. */
export class NestedCode extends Code {
  depth = 0;
  readonly #pool = new Map<ValueType, number[]>();
  #used = new Map<ValueType, number>();

  /** A local variable for the instruction being emitted: others use it, too. */
  override local(type: ValueType): number {
    let pool = this.#pool.get(type);
    if (pool === undefined) {
      pool = [];
      this.#pool.set(type, pool);
    }
    const used = this.#used.get(type) ?? 0;
    this.#used.set(type, used + 1);
    if (used === pool.length) pool.push(super.local(type));
    return pool[used]!;
  }

  /** A local variable of its own. */
  lasting(type: ValueType): number {
    return super.local(type);
  }

  /**
   * Emit one instruction. Others may be emitted within it, where control does not come back from: they use the same variables, and it
   * keeps its own.
   */
  scope(emit: () => void): void {
    const outer = this.#used;
    this.#used = new Map();
    emit();
    this.#used = outer;
  }

  override block(result?: ValueType): this {
    this.depth++;
    return super.block(result);
  }
  override loop(result?: ValueType): this {
    this.depth++;
    return super.loop(result);
  }
  override if(result?: ValueType): this {
    this.depth++;
    return super.if(result);
  }
  override end(): this {
    this.depth--;
    return super.end();
  }
  /** Branch to a structured instruction by the depth inside it. */
  branch(label: number): this {
    return this.br(this.depth - label);
  }
}

/** Parameters of a region, as of every handler. */
export const ip = 0;
export const budget = 1;

/** Where the record's page is: what is needed to know an address within it. */
export interface Position {
  readonly page: number;
  readonly offset: number;
}

/** Flags that are a known function of the stash, at the point of emission. */
interface Pending {
  readonly lazy: LazyFlags;
}

/**
 * The function of a region. General registers are read from locals; what is written goes to the state, too, before the next
 * instruction that could leave, so that no way out has registers to write back. Pending flags live in locals alone.
 */
export class RegionFrame {
  readonly code = new NestedCode(2);
  readonly context: HandlerContext;
  readonly view: DataView;
  /** Local of each general register in use. */
  readonly #general: (number | undefined)[] = new Array(16).fill(undefined);
  /** Registers whose locals are newer than the state. */
  readonly #dirty = new Set<number>();
  /** The same of XMM registers. */
  readonly #vector: (number | undefined)[] = new Array(16).fill(undefined);
  readonly #dirtyVectors = new Set<number>();
  readonly #stash: readonly number[];
  /** Settle function of the flags in the stash; -1: memory has the flags. */
  readonly #lazy: number;
  /** Not 0 while a store of the instruction went through the slow path. */
  readonly slow: number;
  pending: Pending | undefined;
  /** The dispatch function for the region's code. */
  dispatch = 0;
  /** Key of TLB lookups. */
  readonly tlbKey: number;
  /** RIP of byte 0 of the entry's page. */
  readonly #base: number;
  /** Bit n: page n is where the region expects it. */
  readonly #present: number;
  readonly region: Region;

  constructor(region: Region, context: HandlerContext, view: DataView) {
    this.region = region;
    this.context = context;
    this.view = view;
    const { code } = this;
    this.#stash = [code.lasting(i64), code.lasting(i64), code.lasting(i64)];
    this.#lazy = code.lasting(i32);
    this.slow = code.lasting(i32);
    this.tlbKey = code.lasting(i64);
    this.#base = code.lasting(i64);
    this.#present = code.lasting(i32);
  }

  /** The local of a general register. */
  general(number: number): number {
    return (this.#general[number] ??= this.code.lasting(i64));
  }

  setGeneral(number: number): void {
    this.#dirty.add(number);
    this.code.set(this.general(number));
  }

  /** The local of an XMM register. */
  vector(number: number): number {
    return (this.#vector[number] ??= this.code.lasting(v128));
  }

  setVector(number: number): void {
    this.#dirtyVectors.add(number);
    this.code.set(this.vector(number));
  }

  /** Let the state have every register: before anything that could leave the region, or meet another path. */
  sync(): void {
    this.storeRegisters();
    this.#dirty.clear();
    this.#dirtyVectors.clear();
  }

  /** The same on one of two paths. */
  storeRegisters(): void {
    const { code } = this;
    for (const number of this.#dirty) code.i32(0).get(this.#general[number]!).memory("i64.store", 8 * number);
    for (const number of this.#dirtyVectors) code.i32(0).get(this.#vector[number]!).v128Store(vectorOffset + vectorBytes * number);
  }

  /** The register at a state offset has been changed there. */
  reload(at: number): void {
    const { code } = this;
    const vector = vectorAt(at);
    if (at < generalBytes) code.i32(0).memory("i64.load", at & ~7).set(this.general(at >>> 3));
    else if (vector !== undefined) code.i32(0).v128Load(at).set(this.vector(vector));
  }

  /** Code to run before the rest: registers come from the state. Which ones is known only after the rest is emitted. */
  prologue(): Code {
    const code = new Code(2);
    this.#general.forEach((local, number) => {
      if (local !== undefined) code.i32(0).memory("i64.load", 8 * number).set(local);
    });
    this.#vector.forEach((local, number) => {
      if (local !== undefined) code.i32(0).v128Load(vectorOffset + vectorBytes * number).set(local);
    });
    code.i32(-1).set(this.#lazy);
    code.i32(0).memory("i64.load", offset.tlbKey).set(this.tlbKey);
    code.i32(0).memory("i64.load", offset.ripBase).set(this.#base);
    if (this.region.pages.length > 1) {
      const slot = regionSlotsOffset + this.region.slot * regionSlotBytes;
      code.i32(0).memory("i32.load", slot + regionSlot.stamp).i32(0).memory("i32.load", offset.codeStamp).op("i32.ne").if();
      code.i32(this.region.slot).call(this.context.imports.lookUpPages).end();
      code.i32(0).memory("i32.load", slot + regionSlot.pages).set(this.#present);
    }
    return code;
  }

  /** Go to another page of the region: ripBase becomes its own; if it is not where the region expects it, its code is looked up. */
  enterPage(to: Position): void {
    const { code } = this;
    code.get(this.#present).i32(1 << to.page).op("i32.and").op("i32.eqz").if();
    // Once it has been looked up it may be there.
    code.i32(0).i32(0).memory("i32.store", regionSlotsOffset + this.region.slot * regionSlotBytes + regionSlot.stamp);
    this.toDispatch(() => this.ripOf(to));
    code.end();
  }

  /** Let ripBase be that of a page. */
  setPage(page: number): void {
    this.code.i32(0);
    this.ripOf({ page, offset: 0 });
    this.code.memory("i64.store", offset.ripBase);
  }

  #pushFlags(): void {
    for (const local of this.#stash) this.code.get(local);
    this.code.get(this.#lazy);
  }

  /** Let memory have the status flags. */
  spillFlags(): void {
    this.#pushFlags();
    this.code.call(this.context.imports.spillFlags);
    this.flagsInMemory();
  }

  flagsInMemory(): void {
    this.code.i32(-1).set(this.#lazy);
  }

  writeLazy(lazy: LazyFlags, input: (index: number) => void): void {
    const { code } = this;
    // All inputs first: one of them may be read from the stash.
    lazy.inputs.forEach(({ width }, index) => {
      input(index);
      if (width <= 32) code.op("i64.extend_i32_u");
    });
    for (let index = lazy.inputs.length - 1; index >= 0; index--) code.set(this.#stash[index]!);
    code.i32(this.context.settleFunction(lazy)).set(this.#lazy);
    this.pending = { lazy };
  }

  /** The conditions of an instruction on flags that are pending here, computed now. */
  conditions(effects: readonly Effect[]): ReadonlyMap<Value, number> {
    const given = new Map<Value, number>();
    const { pending, code } = this;
    if (pending === undefined) return given;
    const conditions = conditionsOn(pending.lazy.flags as Flags, effects);
    if (conditions === undefined) return given;
    const binding: Binding = {
      mulHighUnsigned: this.context.imports.mulHighUnsigned,
      leaf: (out, value) => {
        out.get(this.#stash[pending.lazy.inputs.indexOf(value)]!);
        if (value.width <= 32) out.op("i32.wrap_i64");
      },
      foreign: (out, value, emitArgument) => {
        value.args.forEach((arg, index) => {
          out.i32(0);
          emitArgument(index);
          storeWidth(out, arg.width, offset.vectorScratch + 16 * index, true);
        });
        out.i32(this.context.foreignNode(value)).call(this.context.imports.foreign).i32(0);
        loadWidth(out, value.width, offset.vectorScratch);
      },
    };
    const values = [...conditions.values()];
    const expressions = new ExpressionEmitter(code, binding, values);
    for (const [node, value] of conditions) {
      const local = code.local(i32);
      expressions.emit(value);
      code.set(local);
      given.set(node, local);
    }
    return given;
  }

  // ---- ways out; registers are synchronised

  /** Return to the processor; the exit's kind is stored. `at`: the record to report. */
  leave(at: number): void {
    this.code.i32(at).get(budget);
    this.#pushFlags();
    this.code.returnCall(this.context.imports.leaveRegion);
  }

  /** Return with an exception of the record at `at`. */
  raise(at: number, vector: number, errorCode: (() => void) | undefined): void {
    const { code } = this;
    code.i32(at).get(budget);
    this.#pushFlags();
    code.i32(vector);
    if (errorCode) errorCode();
    else code.i32(-1);
    code.returnCall(this.context.imports.regionRaise);
  }

  /** Go on with the record at `at`. */
  toRecord(at: number): void {
    this.code.i32(at).get(budget);
    this.#pushFlags();
    this.code.returnCall(this.context.imports.resumeRecord);
  }

  /** Take the jump of the record at `at`. */
  toNear(at: number): void {
    this.code.i32(at).get(budget);
    this.#pushFlags();
    this.code.returnCall(this.context.imports.regionToNear);
  }

  /** Go on at the offset in CS that `push` leaves. */
  toDispatch(push: () => void): void {
    push();
    this.code.get(budget);
    this.#pushFlags();
    this.code.returnCall(this.dispatch);
  }

  /** Leave when the budget is used up; the next instruction is there. */
  checkBudget(next: Position): void {
    const { code } = this;
    code.get(budget).i32(0).op("i32.le_s").if();
    this.ripOf(next);
    code.get(budget);
    this.#pushFlags();
    code.returnCall(this.context.imports.regionBudget).end();
  }

  /** Push the offset in CS of something in a page, 64 bits. */
  ripOf({ page, offset: inPage }: Position): void {
    const distance = 4096 * this.region.pages[page]!.distance + inPage;
    this.code.get(this.#base);
    if (distance !== 0) this.code.i64(BigInt(distance)).op("i64.add");
  }
}

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

const slots = [record.slot0, record.slot1, record.slot2] as const;
