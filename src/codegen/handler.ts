import { Exception } from "../arch/exceptions.ts";
import { flagBit } from "../arch/flags.ts";
import { FSW } from "../arch/x87.ts";
import { type Effect, type FlagName, type Flags, statusFlags } from "../ir/effects.ts";
import { leaf, type Value, type Width } from "../ir/value.ts";
import { effectsOf } from "../isa/define.ts";
import { entersMMX } from "../isa/row.ts";
import { layout, offsetOf } from "../state/layout.ts";
import { Code, i32 } from "../wasm/code.ts";
import type { FunctionBody } from "../wasm/module.ts";
import { type Binding, ExpressionEmitter, stackType } from "./expression.ts";
import { lazyFlagsOf, stashOffsets } from "./flags.ts";
import { fusion } from "./fusion.ts";
import { budget, HandlerFrame, ip } from "./handler-frame.ts";
import type { HandlerContext, HandlerSpec } from "./handler-spec.ts";
import { MemoryAccess } from "./memory-access.ts";
import { ExitKind, record, recordBytes } from "./record.ts";
import { RepeatEmitter } from "./repeat.ts";
import { loadWidth, storeWidth } from "./widths.ts";

const offset = {
  RFLAGS: offsetOf("RFLAGS"),
  vectorScratch: offsetOf("vectorScratch"),
  ssAccess: offsetOf("SS.access"),
  FSW: offsetOf("FSW"),
  FTW: offsetOf("FTW"),
  lazyFlags: offsetOf("lazyFlags"),
  tlbKeyAcSet: offsetOf("tlbKeyAcSet"),
  tlbKeyAcClear: offsetOf("tlbKeyAcClear"),
  tlbKey: offsetOf("tlbKey"),
  interruptPending: offsetOf("interruptPending"),
  RIP: offsetOf("RIP"),
  exitKind: offsetOf("exitKind"),
};

const slots = [record.slot0, record.slot1, record.slot2] as const;

interface Translation {
  readonly local: number;
  readonly width: Width;
}

/** Emits one handler: the frame of fetch, check, compute, write back and go on around an instruction's effects. */
export class HandlerEmitter implements Binding {
  readonly #code: Code;
  readonly #frame: HandlerFrame;
  readonly #memory: MemoryAccess;
  readonly #spec: HandlerSpec;
  readonly #context: HandlerContext;
  readonly #effects: readonly Effect[];
  readonly mulHighUnsigned: number;
  #expressions!: ExpressionEmitter;
  readonly #operandTranslations = new Map<number, Translation>();
  readonly #effectTranslations = new Map<string, Translation>();
  readonly #registerSlot: readonly (number | undefined)[];
  /** Conditions of this instruction that the first of the pair has computed, by node. */
  readonly #given: ReadonlyMap<Value, number>;

  constructor(spec: HandlerSpec, context: HandlerContext, pair?: { readonly code: Code; readonly given: ReadonlyMap<Value, number> }) {
    this.#spec = spec;
    this.#context = context;
    this.#code = pair?.code ?? new Code(2);
    this.#frame = new HandlerFrame(this.#code, spec, context, pair !== undefined);
    this.#memory = new MemoryAccess(this.#frame);
    this.#given = pair?.given ?? new Map();
    this.mulHighUnsigned = context.imports.mulHighUnsigned;
    this.#effects = effectsOf(spec.row.semantics, spec.form).effects;
    let next = 0;
    this.#registerSlot = spec.form.operands.map(({ kind }) => (kind === "register" ? slots[next++] : undefined));
  }

  emit(): FunctionBody {
    const { fused, repeat } = this.#spec;
    if (repeat !== "none") new RepeatEmitter(this.#frame, this.#memory, () => this.#emitAgain()).emit();
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

  /** One execution in a loop. */
  #emitAgain(): void {
    this.#begin(this.#effects, []);
    this.#operandTranslations.clear();
    this.#emitOnce([]);
  }

  /** This instruction, then the next, whose conditions are computed from this one's operands instead of from RFLAGS. */
  #emitPair(second: HandlerSpec): void {
    const code = this.#code;
    const conditions = fusion(this.#effects, effectsOf(second.row.semantics, second.form).effects);
    if (conditions === undefined) throw new Error("a pair that cannot be fused");
    const values = [...conditions.values()];
    this.#begin(this.#effects, values);
    this.#emitOnce(values);
    if (this.#memory.slow !== undefined) {
      // The store may have changed the next instruction's bytes: it is looked at again.
      code.get(this.#memory.slow).if();
      this.#frame.tailCall(recordBytes);
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
          code.get(ip).memory("i32.load16_u", this.#registerSlot[index]! + this.#frame.at);
          loadWidth(code, value.width, 0);
        } else if (kind === "immediate") this.#immediate(value.width);
        else throw new Error("a memory operand is read by the frame");
        return;
      }
      case "address": this.#memory.operandAddress(value.attr as number); return;
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
      case "nextRip": this.#frame.nextRip(record.next); return;
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
    if (width === 64) code.memory(this.#spec.wideImmediate ? "i64.load" : "i64.load32_s", (this.#spec.wideImmediate ? record.wide : record.immediate) + this.#frame.at);
    else if (width === 128) throw new Error("no 128-bit immediates");
    else loadWidth(code, width, record.immediate + this.#frame.at);
  }

  // ---- one execution --------------------------------------------------------------------------------------------

  /** `wanted`: further values of the state before that must be in locals before anything is written. */
  #emitOnce(wanted: readonly Value[]): void {
    const code = this.#code;
    const { row, form } = this.#spec;
    if (row.privileged) {
      code.i32(0).memory("i32.load", offset.ssAccess).i32(0x60).op("i32.and").if();
      this.#frame.raise(Exception.GP, () => code.i32(0));
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
        this.#frame.raise(effect.vector, effect.errorCode ? () => this.#expressions.emit(effect.errorCode!) : undefined);
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
          address = this.#memory.translate(this.#memory.segmentLinear(effect.segment, bytes, true), bytes, true, effect.segment === "SS");
        }
        stores.push({ address, value: effect.value });
      } else if (effect.kind === "writeOperand") {
        if (form.operands[effect.index]!.kind !== "memory") {
          registerWrites.push(effect);
          continue;
        }
        let translation = this.#operandTranslations.get(effect.index);
        if (translation === undefined) {
          const bytes = this.#memory.operandBytes(effect.index);
          const linear = this.#memory.operandLinear(effect.index, bytes, true);
          this.#memory.checkAlignment(effect.index, linear);
          translation = { local: this.#memory.translate(linear, bytes, true, false), width: effect.value.width };
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
        if (!this.#frame.isRelative()) this.#expressions.keep(effect.target);
      } else if (effect.kind === "attention" || effect.kind === "interruptShadow") this.#expressions.keep(effect.when);
    }
    for (const value of wanted) this.#expressions.keep(value);
    for (const { address, value } of stores) {
      code.get(address);
      this.#expressions.emit(value);
      storeWidth(code, value.width, 0, false);
    }
    if (this.#memory.slow !== undefined && stores.length > 0) code.get(this.#memory.slow).if().call(this.#context.imports.flush).end();
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
      const linear = this.#memory.operandLinear(index, width / 8, access === "rw");
      this.#memory.checkAlignment(index, linear);
      const address = this.#memory.translate(linear, width / 8, access === "rw", false, access === "rw");
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
    const linear = this.#memory.segmentLinear(effect.segment, bytes, effect.forWrite);
    const address = this.#memory.translate(linear, bytes, effect.forWrite, effect.segment === "SS", effect.forWrite);
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
    code.get(ip).memory("i32.load16_u", this.#registerSlot[effect.index]! + this.#frame.at);
    this.#expressions.emit(value);
    if (value.width === 32 && !vectorFile && !mmx) code.op("i64.extend_i32_u").memory("i64.store");
    else storeWidth(code, value.width, 0, false);
    if (mmx) code.get(ip).memory("i32.load16_u", this.#registerSlot[effect.index]! + this.#frame.at).i32(0xffff).memory("i32.store16", 8);
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
        this.#frame.spend();
        code.i32(0);
        this.#frame.nextRip(record.next);
        code.memory("i64.store", offset.RIP);
        code.i32(0).i32(shadow ? ExitKind.shadow : ExitKind.attention).memory("i32.store", offset.exitKind);
        this.#frame.leave();
        code.end();
      }
      if (effect.kind !== "jump") continue;
      if (effect.when) {
        this.#expressions.emit(effect.when);
        code.if();
      }
      this.#frame.spend();
      if (this.#frame.isRelative() && this.#spec.near) {
        this.#frame.here();
        code.get(budget).returnCall(this.#context.imports.jumpNear);
      }
      else {
        this.#expressions.emit(effect.target);
        code.get(budget).returnCall(this.#frame.dispatch);
      }
      if (!effect.when) return;
      code.end();
    }
    this.#frame.tailCall(recordBytes);
  }
}
