import { Exception } from "../arch/exceptions.ts";
import { flagBit } from "../arch/flags.ts";
import { FSW } from "../arch/x87.ts";
import { type Effect, type FlagName, type Flags, type SegmentName, type SegmentSource, statusFlags } from "../ir/effects.ts";
import type { Form } from "../ir/frame.ts";
import { substitute } from "../ir/substitute.ts";
import { leaf, type Value, type Width } from "../ir/value.ts";
import { effectsOf } from "../isa/define.ts";
import { asksAlignment, entersMMX, type Row } from "../isa/row.ts";
import { type GeneralRegister, generalRegisters, layout, offsetOf, segmentRegisters } from "../state/layout.ts";
import { Code, i32, i64 } from "../wasm/code.ts";
import type { FunctionBody } from "../wasm/module.ts";
import { type Binding, ExpressionEmitter, stackType } from "./expression.ts";
import { type LazyFlags, lazyFlagsOf, stashOffsets, statusMask } from "./flags.ts";
import { tlbEntries, tlbEntry, tlbOffset } from "./memory-map.ts";
import { ExitKind, record, recordBytes } from "./record.ts";

/** How accesses through one segment are addressed in the mode of the code: base 0, add the base, or ask segmentation. */
export type SegmentPlan = "zero" | "base" | "checked";
export type SegmentPlans = Readonly<Record<SegmentName, SegmentPlan>>;

/** Where an instruction's memory operand gets its address from. */
export type AddressShape = "base" | "full" | "wide";

/** What selects a handler: everything about an instruction that its record does not carry. */
export interface HandlerSpec {
  readonly row: Row;
  readonly form: Form;
  /** Shape of the encoded memory operand's address, if any. */
  readonly shape: AddressShape;
  /** Plan of the segment of each memory operand, by operand index. */
  readonly operandSegments: readonly (SegmentPlan | undefined)[];
  readonly plans: SegmentPlans;
  /** A relative jump whose target is in the same page goes from record to record; others are looked up. */
  readonly near: boolean;
  readonly repeat: "none" | "repz" | "repnz";
  /** The instruction after it, which reads the flags that this one sets: one handler carries out both. */
  readonly fused: HandlerSpec | undefined;
  /** The immediate fills the record's last eight bytes. */
  readonly wideImmediate: boolean;
}

/** Function indices in the module that handlers call. */
export interface Imports {
  readonly handlerType: number;
  /** (access) -> memory offset or 0: translate slowAddress; 0 when the handler must return. */ readonly miss: number;
  /** (segment | access << 8) -> 1, or 0 to return: slowAddress becomes linear. */ readonly checked: number;
  /** () -> (): carry out the stores that went to the bounce buffer. */ readonly flush: number;
  /** () -> (): make RFLAGS hold the status flags. */ readonly settle: number;
  /** (node) -> (): TypeScript computes a node from the vector scratch. */ readonly foreign: number;
  readonly mulHighUnsigned: number;
  /** (rip, budget): continue at an offset in CS, of 64-bit code or of other code. */ readonly dispatch64: number;
  readonly dispatch32: number;
  /** (record, budget): jump within the page. */ readonly jumpNear: number;
}

/** What handler emission asks of the module it is emitted for. */
export interface HandlerContext {
  readonly imports: Imports;
  /** Table index of the function that settles these flags. */
  settleFunction(flags: LazyFlags): number;
  /** Number under which TypeScript finds a node that Wasm has no instruction for. */
  foreignNode(value: Value): number;
}

/** Bits of the access word of a memory access, above its size in bytes. */
export const AccessWord = { size: 0xff, write: 0x100, stack: 0x200, /** A write whose old value is read, too. */ modify: 0x400 } as const;

export const accessWord = (bytes: number, write: boolean, stack: boolean, modify = false): number =>
  bytes | (write ? AccessWord.write : 0) | (stack ? AccessWord.stack : 0) | (modify ? AccessWord.modify : 0);

const offset = {
  RIP: offsetOf("RIP"), RFLAGS: offsetOf("RFLAGS"), ripBase: offsetOf("ripBase"), lazyFlags: offsetOf("lazyFlags"), tlbKey: offsetOf("tlbKey"),
  tlbKeyAcClear: offsetOf("tlbKeyAcClear"), tlbKeyAcSet: offsetOf("tlbKeyAcSet"),
  slowAddress: offsetOf("slowAddress"), exitKind: offsetOf("exitKind"), exitRecord: offsetOf("exitRecord"), exitBudget: offsetOf("exitBudget"),
  exitVector: offsetOf("exitVector"), exitErrorCode: offsetOf("exitErrorCode"), interruptPending: offsetOf("interruptPending"),
  vectorScratch: offsetOf("vectorScratch"), FTW: offsetOf("FTW"), FSW: offsetOf("FSW"), ssAccess: offsetOf("SS.access"), RCX: offsetOf("RCX"),
  RSI: offsetOf("RSI"), RDI: offsetOf("RDI"), RAX: offsetOf("RAX"),
}; // biome-ignore format: one table

/** Parameters of every handler. */
const ip = 0;
const budget = 1;
const slots = [record.slot0, record.slot1, record.slot2] as const;

interface Translation {
  readonly local: number;
  readonly width: Width;
}

/** Emits one handler: the frame of fetch, check, compute, write back and go on around an instruction's effects. */
export class HandlerEmitter implements Binding {
  readonly #code: Code;
  readonly #spec: HandlerSpec;
  readonly #context: HandlerContext;
  readonly #effects: readonly Effect[];
  readonly mulHighUnsigned: number;
  #expressions!: ExpressionEmitter;
  /** Set when a store went through the slow path and must be flushed. */
  #slow: number | undefined;
  readonly #operandTranslations = new Map<number, Translation>();
  readonly #effectTranslations = new Map<string, Translation>();
  readonly #registerSlot: readonly (number | undefined)[];
  /** Where this instruction's record is, from `ip`: the second of a pair follows the first. */
  readonly #at: number;
  /** Conditions of this instruction that the first of the pair has computed, by node. */
  readonly #given: ReadonlyMap<Value, number>;

  constructor(spec: HandlerSpec, context: HandlerContext, pair?: { readonly code: Code; readonly given: ReadonlyMap<Value, number> }) {
    this.#spec = spec;
    this.#context = context;
    this.#code = pair?.code ?? new Code(2);
    this.#at = pair ? recordBytes : 0;
    this.#given = pair?.given ?? new Map();
    this.mulHighUnsigned = context.imports.mulHighUnsigned;
    this.#effects = effectsOf(spec.row.semantics, spec.form).effects;
    let next = 0;
    this.#registerSlot = spec.form.operands.map(({ kind }) => (kind === "register" ? slots[next++] : undefined));
  }

  emit(): FunctionBody {
    const { fused, repeat } = this.#spec;
    if (repeat !== "none") this.#emitRepeated();
    else if (fused === undefined) this.emitPlain();
    else this.#emitPair(fused);
    return { type: this.#context.imports.handlerType, locals: this.#code.locals, code: this.#code.bytes() };
  }

  /** One execution and what comes next. */
  emitPlain(): void {
    this.#begin(this.#effects, []);
    this.#emitOnce([]);
    this.#emitNext();
  }

  /** This instruction, then the next, whose conditions are computed from this one's operands instead of from RFLAGS. */
  #emitPair(second: HandlerSpec): void {
    const code = this.#code;
    const conditions = fusion(this.#effects, effectsOf(second.row.semantics, second.form).effects);
    if (conditions === undefined) throw new Error("a pair that cannot be fused");
    const values = [...conditions.values()];
    this.#begin(this.#effects, values);
    this.#emitOnce(values);
    if (this.#slow !== undefined) {
      // The store may have changed the next instruction's bytes: it is looked at again.
      code.get(this.#slow).if();
      this.#tailCall(recordBytes);
      code.end();
    }
    const given = new Map<Value, number>();
    for (const [node, value] of conditions) {
      const local = code.local(i32);
      this.#expressions.emit(value);
      code.set(local);
      given.set(node, local);
    }
    new HandlerEmitter(second, this.#context, { code, given }).emitPlain();
  }

  // ---- values -------------------------------------------------------------------------------------------------

  #begin(effects: readonly Effect[], extra: readonly Value[]): void {
    const roots: Value[] = [...extra];
    for (const effect of effects) {
      switch (effect.kind) {
        case "load": roots.push(effect.address); break;
        case "store": roots.push(effect.address, effect.value); break;
        case "fault":
          roots.push(effect.when);
          if (effect.errorCode) roots.push(effect.errorCode);
          if (effect.commit) roots.push(effect.commit.value);
          break;
        case "writeOperand": case "writeRegister": roots.push(effect.value); break;
        case "flags": {
          const lazy = lazyFlagsOf(effect.flags);
          if (lazy) roots.push(...lazy.inputs);
          else roots.push(...statusFlags.flatMap((name) => effect.flags[name] ?? []));
          for (const name of Object.keys(effect.flags) as FlagName[])
            if (!(statusFlags as readonly string[]).includes(name)) roots.push(effect.flags[name]!);
          if (effect.when) roots.push(effect.when);
          break;
        }
        case "jump": roots.push(effect.target); if (effect.when) roots.push(effect.when); break;
        case "interruptShadow": case "attention": roots.push(effect.when); break;
      }
    }
    this.#expressions = new ExpressionEmitter(this.#code, this, roots);
    this.#used = new Set();
    const visit = (value: Value): void => {
      if (this.#used.has(value)) return;
      this.#used.add(value);
      for (const arg of value.args) visit(arg);
    };
    for (const root of roots) visit(root);
    for (const [node, local] of this.#given) this.#expressions.bind(node, local);
  }

  #used = new Set<Value>();

  leaf(code: Code, value: Value): void {
    switch (value.op) {
      case "operand": {
        const index = value.attr as number;
        const { kind } = this.#spec.form.operands[index]!;
        if (kind === "register") {
          code.get(ip).memory("i32.load16_u", this.#registerSlot[index]! + this.#at);
          loadWidth(code, value.width, 0);
        } else if (kind === "immediate") this.#immediate(value.width);
        else throw new Error("a memory operand is read by the frame");
        return;
      }
      case "address": this.#operandAddress(value.attr as number); return;
      case "register":
        code.i32(0);
        loadWidth(code, value.width, offsetOf(value.attr as string));
        return;
      case "flag": {
        const name = value.attr as FlagName;
        if ((statusFlags as readonly string[]).includes(name)) code.call(this.#context.imports.settle);
        code.i32(0).memory("i32.load", offset.RFLAGS).i32(flagBit[name]).op("i32.shr_u").i32(1).op("i32.and");
        return;
      }
      case "rflags":
        code.call(this.#context.imports.settle).i32(0).memory("i64.load", offset.RFLAGS);
        return;
      case "nextRip": this.#nextRip(record.next); return;
      default: throw new Error(`unbound leaf ${value.op} of ${this.#spec.row.semantics.mnemonic}`);
    }
  }

  foreign(code: Code, value: Value, emitArgument: (index: number) => void): void {
    value.args.forEach((arg, index) => {
      code.i32(0);
      emitArgument(index);
      storeWidth(code, arg.width, offset.vectorScratch + 16 * index, true);
    });
    code.i32(this.#context.foreignNode(value)).call(this.#context.imports.foreign);
    code.i32(0);
    loadWidth(code, value.width, offset.vectorScratch);
  }

  #immediate(width: Width): void {
    const code = this.#code;
    code.get(ip);
    if (width === 64) code.memory(this.#spec.wideImmediate ? "i64.load" : "i64.load32_s", (this.#spec.wideImmediate ? record.wide : record.immediate) + this.#at);
    else if (width === 128) throw new Error("no 128-bit immediates");
    else loadWidth(code, width, record.immediate + this.#at);
  }

  /** Push an offset in CS made of ripBase and a page offset of the record. */
  #nextRip(field: number): void {
    const code = this.#code;
    code.i32(0).memory("i64.load", offset.ripBase).get(ip).memory("i64.load16_u", field + this.#at).op("i64.add");
    if (this.#spec.form.codeSize !== 64) code.i64(0xffff_ffffn).op("i64.and");
  }

  // ---- addresses ----------------------------------------------------------------------------------------------

  #addressing(index: number): "X" | "Y" | undefined {
    const letter = this.#spec.row.operands[index]?.addressing;
    return letter === "X" || letter === "Y" ? letter : undefined;
  }

  /** Push the effective address of memory operand `index` as 64 bits. */
  #operandAddress(index: number): void {
    const code = this.#code;
    const size = this.#spec.form.addressSize;
    const string = this.#addressing(index);
    if (string !== undefined) {
      code.i32(0);
      loadAddress(code, size, string === "X" ? offset.RSI : offset.RDI);
      return;
    }
    const { shape } = this.#spec;
    if (shape === "wide") {
      code.get(ip).memory("i64.load", record.wide + this.#at);
      if (size === 32) code.i64(0xffff_ffffn).op("i64.and");
      if (size === 16) code.i64(0xffffn).op("i64.and");
      return;
    }
    if (size === 64) {
      code.get(ip).memory("i32.load16_u", record.base + this.#at).memory("i64.load");
      code.get(ip).memory("i64.load32_s", record.displacement + this.#at).op("i64.add");
      if (shape === "full") {
        code.get(ip).memory("i32.load16_u", record.index + this.#at).memory("i64.load");
        code.get(ip).memory("i64.load8_u", record.scale + this.#at).op("i64.shl").op("i64.add");
      }
      return;
    }
    code.get(ip).memory("i32.load16_u", record.base + this.#at).memory("i32.load");
    code.get(ip).memory("i32.load", record.displacement + this.#at).op("i32.add");
    if (shape === "full") {
      code.get(ip).memory("i32.load16_u", record.index + this.#at).memory("i32.load");
      code.get(ip).memory("i32.load8_u", record.scale + this.#at).op("i32.shl").op("i32.add");
    }
    if (size === 16) code.i32(0xffff).op("i32.and");
    code.op("i64.extend_i32_u");
  }

  /** Turn the effective address on the stack into a linear one, in a new local. */
  #linear(plan: SegmentPlan, base: () => void, number: () => void, access: number): number {
    const code = this.#code;
    const local = code.local(i64);
    if (plan === "base") {
      base();
      code.op("i64.add");
      if (this.#spec.form.codeSize !== 64) code.i64(0xffff_ffffn).op("i64.and");
    }
    code.set(local);
    if (plan === "checked") {
      code.i32(0).get(local).memory("i64.store", offset.slowAddress);
      number();
      code.i32(access << 8).op("i32.or").call(this.#context.imports.checked).op("i32.eqz").if();
      this.#leave();
      code.end().i32(0).memory("i64.load", offset.slowAddress).set(local);
    }
    return local;
  }

  /** A memory operand's linear address. */
  #operandLinear(index: number, bytes: number, write: boolean): number {
    const code = this.#code;
    this.#operandAddress(index);
    const string = this.#addressing(index);
    const plan = this.#spec.operandSegments[index]!;
    if (string === "Y")
      return this.#linear(plan, () => code.i32(0).memory("i64.load", offsetOf("ES.base")), () => code.i32(0), accessWord(bytes, write, false));
    return this.#linear(
      plan,
      () => code.get(ip).memory("i32.load16_u", record.segmentBase + this.#at).memory("i64.load"),
      () => code.get(ip).memory("i32.load8_u", record.segment + this.#at),
      accessWord(bytes, write, false),
    );
  }

  #segmentLinear(segment: SegmentSource, bytes: number, write: boolean): number {
    const code = this.#code;
    if (typeof segment === "number")
      return this.#linear(
        this.#spec.operandSegments[segment] ?? "zero",
        () => code.get(ip).memory("i32.load16_u", record.segmentBase + this.#at).memory("i64.load"),
        () => code.get(ip).memory("i32.load8_u", record.segment + this.#at),
        accessWord(bytes, write, false),
      );
    return this.#linear(
      this.#spec.plans[segment],
      () => code.i32(0).memory("i64.load", offsetOf(`${segment}.base`)),
      () => code.i32(segmentRegisters.indexOf(segment)),
      accessWord(bytes, write, segment === "SS"),
    );
  }

  /** RFLAGS before a repeated comparison: what a fault or an unfinished step leaves. */
  #savedFlags: number | undefined;

  #restoreFlags(): void {
    if (this.#savedFlags === undefined) return;
    const code = this.#code;
    code.i32(0).get(this.#savedFlags).memory("i32.store", offset.RFLAGS);
    code.i32(0).i32(0).memory("i32.store", offset.lazyFlags);
  }

  /** Return to the processor; the exit's kind has been stored. */
  #leave(): void {
    const code = this.#code;
    this.#restoreFlags();
    code.i32(0);
    this.#here();
    code.memory("i32.store", offset.exitRecord);
    code.i32(0).get(budget).memory("i32.store", offset.exitBudget).op("return");
  }

  /** TLB lookup of the linear address in `linear`; a local with the memory offset. */
  #translate(linear: number, bytes: number, write: boolean, stack: boolean, modify = false): number {
    const code = this.#code;
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
    code.i32(accessWord(bytes, write, stack, modify)).call(this.#context.imports.miss).tee(address).op("i32.eqz").if();
    this.#leave();
    code.end();
    if (write) {
      this.#slow ??= code.local(i32);
      code.i32(1).set(this.#slow);
    }
    code.get(address).end().set(address);
    return address;
  }

  #operandBytes(index: number): number {
    return this.#spec.form.operands[index]!.width / 8;
  }

  /** #GP(0) when a 16-byte operand that must be aligned is not. */
  #checkAlignment(index: number, linear: number): void {
    const { row, form } = this.#spec;
    if (!asksAlignment(row) || form.operands[index]!.width !== 128) return;
    const code = this.#code;
    code.get(linear).i64(15n).op("i64.and").op("i64.eqz").op("i32.eqz").if();
    this.#raise(Exception.GP, () => code.i32(0));
    code.end();
  }

  #raise(vector: number, errorCode: (() => void) | undefined): void {
    const code = this.#code;
    code.i32(0).i32(ExitKind.fault).memory("i32.store", offset.exitKind);
    code.i32(0).i32(vector).memory("i32.store", offset.exitVector);
    code.i32(0);
    if (errorCode) errorCode();
    else code.i32(-1);
    code.memory("i32.store", offset.exitErrorCode);
    this.#leave();
  }

  // ---- one execution --------------------------------------------------------------------------------------------

  /** `wanted`: further values of the state before that must be in locals before anything is written. */
  #emitOnce(wanted: readonly Value[]): void {
    const code = this.#code;
    const { row, form } = this.#spec;
    if (row.privileged) {
      code.i32(0).memory("i32.load", offset.ssAccess).i32(0x60).op("i32.and").if();
      this.#raise(Exception.GP, () => code.i32(0));
      code.end();
    }
    this.#loadOperands();
    for (const effect of this.#effects) {
      if (effect.kind === "load") this.#emitLoad(effect);
      else if (effect.kind === "fault") {
        this.#expressions.keepShared(effect.when);
        if (effect.errorCode) this.#expressions.keepShared(effect.errorCode);
        if (effect.commit) this.#expressions.keepShared(effect.commit.value);
        this.#expressions.emit(effect.when);
        code.if();
        if (effect.commit) {
          code.i32(0);
          this.#expressions.emit(effect.commit.value);
          storeWidth(code, effect.commit.value.width, offsetOf(effect.commit.name), true);
        }
        this.#raise(effect.vector, effect.errorCode ? () => this.#expressions.emit(effect.errorCode!) : undefined);
        code.end();
      }
    }
    // Translate every store before the first byte is written.
    const stores: { address: number; value: Value }[] = [];
    const registerWrites: Extract<Effect, { kind: "writeOperand" | "writeRegister" }>[] = [];
    for (const effect of this.#effects) {
      if (effect.kind === "store") {
        const known = this.#effectTranslations.get(`${effect.segment}:${effect.address.id}`);
        let address = known?.local;
        if (address === undefined || known!.width !== effect.value.width) {
          this.#expressions.emit(effect.address);
          const bytes = effect.value.width / 8;
          address = this.#translate(this.#segmentLinear(effect.segment, bytes, true), bytes, true, effect.segment === "SS");
        }
        stores.push({ address, value: effect.value });
      } else if (effect.kind === "writeOperand") {
        if (form.operands[effect.index]!.kind !== "memory") {
          registerWrites.push(effect);
          continue;
        }
        let translation = this.#operandTranslations.get(effect.index);
        if (translation === undefined) {
          const bytes = this.#operandBytes(effect.index);
          const linear = this.#operandLinear(effect.index, bytes, true);
          this.#checkAlignment(effect.index, linear);
          translation = { local: this.#translate(linear, bytes, true, false), width: effect.value.width };
        }
        stores.push({ address: translation.local, value: effect.value });
      } else if (effect.kind === "writeRegister") registerWrites.push(effect);
    }
    // Every value is a function of the state before: compute them all, then write.
    for (const { value } of stores) this.#expressions.keep(value);
    for (const { value } of registerWrites) this.#expressions.keep(value);
    const flagEffects = this.#effects.filter((effect) => effect.kind === "flags");
    for (const effect of flagEffects) this.#prepareFlags(effect);
    for (const effect of this.#effects) {
      if (effect.kind === "jump") {
        if (effect.when) this.#expressions.keep(effect.when);
        if (!this.#isRelative()) this.#expressions.keep(effect.target);
      } else if (effect.kind === "attention" || effect.kind === "interruptShadow") this.#expressions.keep(effect.when);
    }
    for (const value of wanted) this.#expressions.keep(value);
    for (const { address, value } of stores) {
      code.get(address);
      this.#expressions.emit(value);
      storeWidth(code, value.width, 0, false);
    }
    if (this.#slow !== undefined && stores.length > 0) code.get(this.#slow).if().call(this.#context.imports.flush).end();
    if (entersMMX(row)) this.#enterMmx();
    for (const effect of registerWrites) this.#writeRegister(effect);
    for (const effect of flagEffects) this.#writeFlags(effect);
  }

  /** SDM Vol. 1, "Effect of MMX Instructions on x87 State": TOP becomes 0, every tag valid. */
  #enterMmx(): void {
    const code = this.#code;
    code.i32(0).i32(0).memory("i32.load", offset.FSW).i32(~FSW.TOP).op("i32.and").memory("i32.store", offset.FSW);
    code.i32(0).i32(0).memory("i32.store", offset.FTW);
  }

  #loadOperands(): void {
    const { row, form } = this.#spec;
    form.operands.forEach(({ kind, width }, index) => {
      if (kind !== "memory") return;
      const value = leaf.operand(index, width);
      const { access } = row.operands[index]!;
      const read = this.#used.has(value);
      if (!read) return;
      const linear = this.#operandLinear(index, width / 8, access === "rw");
      this.#checkAlignment(index, linear);
      const address = this.#translate(linear, width / 8, access === "rw", false, access === "rw");
      if (access === "rw") this.#operandTranslations.set(index, { local: address, width });
      this.#code.get(address);
      loadWidth(this.#code, width, 0);
      const local = this.#code.local(stackType(width));
      this.#code.set(local);
      this.#expressions.bind(value, local);
    });
  }

  #emitLoad(effect: Extract<Effect, { kind: "load" }>): void {
    const code = this.#code;
    const bytes = effect.width / 8;
    this.#expressions.emit(effect.address);
    const linear = this.#segmentLinear(effect.segment, bytes, effect.forWrite);
    const address = this.#translate(linear, bytes, effect.forWrite, effect.segment === "SS", effect.forWrite);
    if (effect.forWrite) this.#effectTranslations.set(`${effect.segment}:${effect.address.id}`, { local: address, width: effect.width });
    code.get(address);
    loadWidth(code, effect.width, 0);
    const local = code.local(stackType(effect.width));
    code.set(local);
    this.#expressions.bind(leaf.load(effect.index, effect.width), local);
  }

  #writeRegister(effect: Extract<Effect, { kind: "writeOperand" | "writeRegister" }>): void {
    const code = this.#code;
    const { value } = effect;
    if (effect.kind === "writeRegister") {
      const wide = layout.get(effect.name)!.type !== "u32";
      code.i32(0);
      this.#expressions.emit(value);
      if (wide && value.width === 32) {
        code.op("i64.extend_i32_u").memory("i64.store", offsetOf(effect.name));
        return;
      }
      if (!wide && value.width < 32) {
        code.memory("i32.store", offsetOf(effect.name));
        return;
      }
      storeWidth(code, value.width, offsetOf(effect.name), false);
      return;
    }
    const addressing = this.#spec.row.operands[effect.index]!.addressing;
    const vectorFile = addressing === "V" || addressing === "W" || addressing === "U";
    const mmx = addressing === "P" || addressing === "Q" || addressing === "N";
    code.get(ip).memory("i32.load16_u", this.#registerSlot[effect.index]! + this.#at);
    this.#expressions.emit(value);
    if (value.width === 32 && !vectorFile && !mmx) code.op("i64.extend_i32_u").memory("i64.store");
    else storeWidth(code, value.width, 0, false);
    if (mmx) code.get(ip).memory("i32.load16_u", this.#registerSlot[effect.index]! + this.#at).i32(0xffff).memory("i32.store16", 8);
  }

  #prepareFlags(effect: Extract<Effect, { kind: "flags" }>): void {
    if (effect.when) this.#expressions.keep(effect.when);
    const lazy = lazyFlagsOf(effect.flags);
    if (lazy) for (const input of lazy.inputs) this.#expressions.keep(input);
    for (const name of Object.keys(effect.flags) as FlagName[])
      if (!lazy || !(statusFlags as readonly string[]).includes(name)) this.#expressions.keep(effect.flags[name]!);
  }

  #writeFlags(effect: Extract<Effect, { kind: "flags" }>): void {
    const code = this.#code;
    const { flags, when } = effect;
    if (when) {
      this.#expressions.emit(when);
      code.if();
    }
    const status = statusFlags.filter((name) => flags[name] !== undefined);
    const lazy = status.length > 0 ? lazyFlagsOf(flags) : undefined;
    if (lazy) {
      lazy.inputs.forEach((input, index) => {
        code.i32(0);
        this.#expressions.emit(input);
        code.memory(input.width === 64 ? "i64.store" : "i32.store", stashOffsets[index]!);
      });
      code.i32(0).i32(this.#context.settleFunction(lazy)).memory("i32.store", offset.lazyFlags);
    } else if (status.length > 0) {
      const all = status.length === statusFlags.length;
      if (!all) code.call(this.#context.imports.settle);
      this.#mergeFlags(flags, status);
      if (all) code.i32(0).i32(0).memory("i32.store", offset.lazyFlags);
    }
    const system = (Object.keys(flags) as FlagName[]).filter((name) => !(statusFlags as readonly string[]).includes(name));
    if (system.length > 0) this.#mergeFlags(flags, system);
    if (system.includes("AC")) {
      code.i32(0).i32(0).memory("i64.load", offset.tlbKeyAcSet).i32(0).memory("i64.load", offset.tlbKeyAcClear);
      this.#expressions.emit(flags.AC!);
      code.op("select").memory("i64.store", offset.tlbKey);
    }
    if (when) code.end();
  }

  /** RFLAGS with these flags replaced. */
  #mergeFlags(flags: Flags, names: readonly FlagName[]): void {
    const code = this.#code;
    const mask = names.reduce((bits, name) => bits | (1 << flagBit[name]), 0);
    code.i32(0).i32(0).memory("i32.load", offset.RFLAGS).i32(~mask).op("i32.and");
    for (const name of names) {
      this.#expressions.emit(flags[name]!);
      code.i32(flagBit[name]).op("i32.shl").op("i32.or");
    }
    code.memory("i32.store", offset.RFLAGS);
  }

  // ---- what comes next ----------------------------------------------------------------------------------------

  get #dispatch(): number {
    const { imports } = this.#context;
    return this.#spec.form.codeSize === 64 ? imports.dispatch64 : imports.dispatch32;
  }

  #isRelative(): boolean {
    return this.#spec.row.operands.some(({ addressing }) => addressing === "J");
  }

  /** Count the instructions up to and including this one. */
  #spend(): void {
    this.#code.get(budget).get(ip).memory("i32.load8_u", record.retired + this.#at).op("i32.sub").i32(1).op("i32.sub").set(budget);
  }

  #emitNext(): void {
    const code = this.#code;
    for (const effect of this.#effects) {
      if (effect.kind === "attention" || effect.kind === "interruptShadow") {
        const shadow = effect.kind === "interruptShadow";
        this.#expressions.emit(effect.when);
        // Nothing to look at unless an interrupt waits or single-stepping has begun.
        code.i32(0).memory("i32.load", offset.interruptPending).i32(0).op("i32.ne");
        if (!shadow) code.i32(0).memory("i32.load", offset.RFLAGS).i32(1 << flagBit.TF).op("i32.and").i32(0).op("i32.ne").op("i32.or");
        code.op("i32.and");
        code.if();
        this.#spend();
        code.i32(0);
        this.#nextRip(record.next);
        code.memory("i64.store", offset.RIP);
        code.i32(0).i32(shadow ? ExitKind.shadow : ExitKind.attention).memory("i32.store", offset.exitKind);
        this.#leave();
        code.end();
      }
      if (effect.kind !== "jump") continue;
      if (effect.when) {
        this.#expressions.emit(effect.when);
        code.if();
      }
      this.#spend();
      if (this.#isRelative() && this.#spec.near) {
        this.#here();
        code.get(budget).returnCall(this.#context.imports.jumpNear);
      }
      else {
        this.#expressions.emit(effect.target);
        code.get(budget).returnCall(this.#dispatch);
      }
      if (!effect.when) return;
      code.end();
    }
    this.#tailCall(recordBytes);
  }

  /** Push the address of this instruction's record. */
  #here(): void {
    this.#code.get(ip);
    if (this.#at !== 0) this.#code.i32(this.#at).op("i32.add");
  }

  /** Go on with the record `distance` bytes after this one. */
  #tailCall(distance: number): void {
    const total = this.#at + distance;
    this.#code
      .get(ip).i32(total).op("i32.add").get(budget)
      .get(ip).memory("i32.load", total + record.handler)
      .returnCallIndirect(this.#context.imports.handlerType);
  }

  // ---- REP ------------------------------------------------------------------------------------------------------

  /**
   * One REP step: elements until the count is used up, a pointer enters another page, or (CMPS, SCAS) ZF ends it. The
   * step counts as one instruction; an unfinished REP goes on with the same record. `evaluator.ts` follows the same rule.
   */
  #emitRepeated(): void {
    const code = this.#code;
    const size = this.#spec.form.addressSize;
    const counter = (): void => {
      code.i32(0);
      loadAddress(code, size, offset.RCX);
    };
    if (this.#spec.row.repeat === "repz") {
      // SDM Vol. 2, "REP": CMPS and SCAS that fault midway leave EFLAGS as before the instruction.
      this.#savedFlags = code.local(i32);
      code.call(this.#context.imports.settle).i32(0).memory("i32.load", offset.RFLAGS).set(this.#savedFlags);
    }
    const sourcePage = code.local(i64);
    const destinationPage = code.local(i64);
    if (size === 32)
      for (const register of this.#stringRegisters()) {
        code.i32(0).i32(0);
        loadAddress(code, size, register);
        code.memory("i64.store", register);
      }
    const page = (register: number): void => {
      code.i32(0);
      loadAddress(code, size, register);
      code.i64(12n).op("i64.shr_u");
    };
    page(offset.RSI);
    code.set(sourcePage);
    page(offset.RDI);
    code.set(destinationPage);
    code.block();
    counter();
    code.op("i64.eqz").brIf(0);
    const unlessSamePages = (label: number): void => {
      page(offset.RSI);
      code.get(sourcePage).op("i64.ne").brIf(label);
      page(offset.RDI);
      code.get(destinationPage).op("i64.ne").brIf(label);
    };
    this.#emitBulk();
    code.block();
    unlessSamePages(0);
    code.loop();
    counter();
    code.op("i64.eqz").brIf(2);
    this.#begin(this.#effects, []);
    this.#operandTranslations.clear();
    if (this.#slow !== undefined) code.i32(0).set(this.#slow);
    this.#emitOnce([]);
    // rCX - 1; a 32-bit count clears the upper half
    code.i32(0);
    counter();
    code.i64(1n).op("i64.sub");
    if (size === 64) code.memory("i64.store", offset.RCX);
    else if (size === 32) code.i64(0xffff_ffffn).op("i64.and").memory("i64.store", offset.RCX);
    else code.memory("i64.store16", offset.RCX);
    if (this.#spec.row.repeat === "repz") {
      code.call(this.#context.imports.settle);
      code.i32(0).memory("i32.load", offset.RFLAGS).i32(1 << flagBit.ZF).op("i32.and");
      if (this.#spec.repeat === "repz") code.op("i32.eqz");
      code.brIf(2);
    }
    unlessSamePages(1);
    code.br(0).end().end();
    // The step is over; go on with the same record unless the count is used up.
    counter();
    code.op("i64.eqz").brIf(0);
    this.#restoreFlags();
    this.#spend();
    code.get(budget).i32(0).op("i32.le_s").if();
    code.i32(0);
    this.#nextRip(record.offset);
    code.memory("i64.store", offset.RIP);
    code.i32(0).i32(ExitKind.repeat).memory("i32.store", offset.exitKind);
    this.#leave();
    code.end();
    code.get(ip).get(budget).get(ip).memory("i32.load", record.handler + this.#at).returnCallIndirect(this.#context.imports.handlerType);
    code.end();
    this.#tailCall(recordBytes);
  }

  /** The registers whose upper halves a repeat with 32-bit addresses clears before anything else: as Intel CPUs do. */
  #stringRegisters(): number[] {
    const { mnemonic } = this.#spec.row.semantics;
    if (mnemonic === "MOVS") return [offset.RCX, offset.RSI, offset.RDI];
    return mnemonic === "STOS" ? [offset.RCX, offset.RDI] : [offset.RCX];
  }

  /** MOVS and STOS forwards: all elements up to a page's end at once, where both pages are in the TLB. */
  #emitBulk(): void {
    const { semantics } = this.#spec.row;
    const moves = semantics.mnemonic === "MOVS";
    const size = this.#spec.form.addressSize;
    if ((!moves && semantics.mnemonic !== "STOS") || size === 16) return;
    const code = this.#code;
    const bytes = this.#spec.form.operands[0]!.width / 8;
    const index = { destination: this.#spec.row.operands.findIndex(({ addressing }) => addressing === "Y"), source: this.#spec.row.operands.findIndex(({ addressing }) => addressing === "X") };
    if (this.#spec.operandSegments[index.destination] === "checked") return;
    if (moves && this.#spec.operandSegments[index.source] === "checked") return;
    const count = code.local(i32);
    const room = (linear: number): void => {
      // elements that fit wholly between the address and its page's end
      code.i32(4096).get(linear).op("i32.wrap_i64").i32(4095).op("i32.and").op("i32.sub").i32(Math.log2(bytes)).op("i32.shr_u");
    };
    const lookUp = (linear: number, write: boolean, into: number): void => {
      const key = code.local(i64);
      code.get(linear).i32(0).memory("i64.load", offset.tlbKey).tee(key).op("i64.xor");
      code.i64(12n).op("i64.shr_u").op("i32.wrap_i64").i32(tlbEntries - 1).op("i32.and").i32(5).op("i32.shl").tee(into);
      code.memory("i64.load", tlbOffset + (write ? tlbEntry.writeTag : tlbEntry.readTag));
      code.get(linear).i64(-4096n).op("i64.and").get(key).op("i64.xor").op("i64.ne").brIf(0);
      code.get(linear).op("i32.wrap_i64").get(into).memory("i32.load", tlbOffset + tlbEntry.addend).op("i32.add").set(into);
    };
    const least = (): void => {
      // count = min(count, top of stack)
      const other = code.local(i32);
      code.tee(other).get(count).get(other).get(count).op("i32.lt_u").op("select").set(count);
    };
    code.block();
    code.i32(0).memory("i32.load", offset.RFLAGS).i32(1 << flagBit.DF).op("i32.and").brIf(0);
    const destination = this.#operandLinear(index.destination, bytes, true);
    const to = code.local(i32);
    const from = code.local(i32);
    lookUp(destination, true, to);
    room(destination);
    code.set(count);
    if (moves) {
      const source = this.#operandLinear(index.source, bytes, false);
      lookUp(source, false, from);
      room(source);
      least();
    }
    code.i32(0);
    loadAddress(code, size, offset.RCX);
    const wide = code.local(i64);
    code.tee(wide).op("i32.wrap_i64").i32(-1).get(wide).i64(0x7fff_ffffn).op("i64.lt_u").op("select");
    least();
    code.get(count).op("i32.eqz").brIf(0);
    const length = code.local(i32);
    code.get(count).i32(Math.log2(bytes)).op("i32.shl").set(length);
    if (moves) {
      // A destination that begins inside the source repeats it: only element by element is right.
      code.get(to).get(from).op("i32.sub").get(length).op("i32.lt_u").brIf(0);
      code.get(to).get(from).get(length).memoryCopy();
    } else if (bytes === 1) code.get(to).i32(0).memory("i32.load8_u", offset.RAX).get(length).memoryFill();
    else {
      const end = code.local(i32);
      code.get(to).get(length).op("i32.add").set(end);
      code.loop().get(to);
      code.i32(0);
      loadWidth(code, (bytes * 8) as Width, offset.RAX);
      storeWidth(code, (bytes * 8) as Width, 0, false);
      code.get(to).i32(bytes).op("i32.add").tee(to).get(end).op("i32.ne").brIf(0).end();
    }
    for (const register of moves ? [offset.RSI, offset.RDI] : [offset.RDI]) this.#advance(register, length, "i64.add");
    this.#advance(offset.RCX, count, "i64.sub");
    code.end();
  }

  /** register op= local, at the address size. */
  #advance(register: number, local: number, op: "i64.add" | "i64.sub"): void {
    const code = this.#code;
    code.i32(0).i32(0);
    loadAddress(code, this.#spec.form.addressSize, register);
    code.get(local).op("i64.extend_i32_u").op(op);
    if (this.#spec.form.addressSize === 32) code.i64(0xffff_ffffn).op("i64.and");
    code.memory("i64.store", register);
  }
}

const isStatus = (name: Value["attr"]): boolean => (statusFlags as readonly unknown[]).includes(name);

/** Is the value a function of status flags alone? */
const readsFlagsOnly = (value: Value): boolean => {
  if (value.op === "flag") return isStatus(value.attr);
  if (value.width !== 1 || value.args.length === 0) return false;
  if (value.op !== "not" && value.op !== "and" && value.op !== "or" && value.op !== "xor" && value.op !== "equal") return false;
  return value.args.every((arg) => arg.isConst || readsFlagsOnly(arg)) && value.args.some((arg) => !arg.isConst);
};

/**
 * For two instructions in a row: the conditions of the second on status flags, each as a function of what the first one
 * reads; undefined where the two cannot share a handler, or the second reads no flags.
 */
export const fusion = (first: readonly Effect[], second: readonly Effect[]): Map<Value, Value> | undefined => {
  const writes = first.filter((effect) => effect.kind === "flags");
  if (writes.length !== 1 || writes[0]!.when !== undefined) return undefined;
  if (first.some(({ kind }) => kind === "jump" || kind === "attention" || kind === "interruptShadow")) return undefined;
  const known = writes[0]!.flags;
  const conditions = new Map<Value, Value>();
  const seen = new Set<Value>();
  const visit = (value: Value | undefined): boolean => {
    if (value === undefined || seen.has(value)) return true;
    seen.add(value);
    if (value.op === "rflags") return false;
    if (!readsFlagsOnly(value)) return value.args.every(visit);
    const condition = substitute(value, (leafValue) => (leafValue.op === "flag" ? known[leafValue.attr as FlagName] : undefined));
    if (condition === undefined) return false;
    conditions.set(value, condition);
    return true;
  };
  for (const effect of second) {
    const fits =
      effect.kind === "load" ? visit(effect.address)
      : effect.kind === "store" ? visit(effect.address) && visit(effect.value)
      : effect.kind === "fault" ? visit(effect.when) && visit(effect.errorCode) && visit(effect.commit?.value)
      : effect.kind === "writeOperand" || effect.kind === "writeRegister" ? visit(effect.value)
      : effect.kind === "jump" ? visit(effect.target) && visit(effect.when)
      : effect.kind === "flags" ? visit(effect.when) && (lazyFlagsOf(effect.flags)?.inputs ?? Object.values(effect.flags)).every(visit)
      : visit(effect.when);
    if (!fits) return undefined;
  }
  return conditions.size > 0 ? conditions : undefined;
};

const generalOffsets = new Set(generalRegisters.map((name: GeneralRegister) => offsetOf(name)));

/** Address on the stack -> value of that width, zero-extended. */
const loadWidth = (code: Code, width: Width, at: number): void => {
  if (width === 128) code.v128Load(at);
  else if (width === 64) code.memory("i64.load", at);
  else if (width === 32) code.memory("i32.load", at);
  else if (width === 16) code.memory("i32.load16_u", at);
  else if (width === 8) code.memory("i32.load8_u", at);
  else if (width === 1) code.memory("i32.load8_u", at).i32(1).op("i32.and");
  else throw new Error(`load of ${width} bits`);
};

/** Address and value on the stack -> store. `whole`: a value narrower than 32 bits fills a 32-bit slot. */
const storeWidth = (code: Code, width: Width, at: number, whole: boolean): void => {
  if (width === 128) code.v128Store(at);
  else if (width === 64) code.memory("i64.store", at);
  else if (width === 32 || whole) code.memory("i32.store", at);
  else if (width === 16) code.memory("i32.store16", at);
  else if (width === 8) code.memory("i32.store8", at);
  else throw new Error(`store of ${width} bits`);
};

/** Address on the stack -> a register as wide as addresses are, zero-extended to 64 bits. */
const loadAddress = (code: Code, size: 16 | 32 | 64, at: number): void => {
  if (!generalOffsets.has(at)) throw new Error("not a general register");
  code.memory(size === 64 ? "i64.load" : size === 32 ? "i64.load32_u" : "i64.load16_u", at);
};

/** The body of the function that settles lazily computed flags: RFLAGS from the stash. */
export const emitSettle = (lazy: LazyFlags, context: HandlerContext, type: number): FunctionBody => {
  const code = new Code(0);
  const binding: Binding = {
    mulHighUnsigned: context.imports.mulHighUnsigned,
    leaf: (out, value) => {
      const index = lazy.inputs.indexOf(value);
      out.i32(0).memory(value.width === 64 ? "i64.load" : "i32.load", stashOffsets[index]!);
    },
    foreign: (out, value, emitArgument) => {
      value.args.forEach((arg, index) => {
        out.i32(0);
        emitArgument(index);
        storeWidth(out, arg.width, offset.vectorScratch + 16 * index, true);
      });
      out.i32(context.foreignNode(value)).call(context.imports.foreign).i32(0);
      loadWidth(out, value.width, offset.vectorScratch);
    },
  };
  const expressions = new ExpressionEmitter(code, binding, statusFlags.map((name) => lazy.flags[name]));
  code.i32(0).i32(0).memory("i32.load", offset.RFLAGS).i32(~statusMask).op("i32.and");
  for (const name of statusFlags) {
    expressions.emit(lazy.flags[name]);
    code.i32(flagBit[name]).op("i32.shl").op("i32.or");
  }
  code.memory("i32.store", offset.RFLAGS).i32(0).i32(0).memory("i32.store", offset.lazyFlags);
  return { type, locals: code.locals, code: code.bytes() };
};

