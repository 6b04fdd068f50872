import { Exception } from "../arch/exceptions.ts";
import { flagBit } from "../arch/flags.ts";
import { FSW } from "../arch/x87.ts";
import { type Effect, type FlagName, type Flags, statusFlags } from "../ir/effects.ts";
import { leaf, type Value, type Width } from "../ir/value.ts";
import { entersMMX } from "../isa/row.ts";
import { offsetOf } from "../state/layout.ts";
import { type Code, f32, f64, v128 } from "../wasm/code.ts";
import { type Binding, ExpressionEmitter, stackType } from "./expression.ts";
import { type LazyFlags, lazyFlagsOf } from "./flags.ts";
import type { HandlerContext, HandlerSpec } from "./handler-spec.ts";
import { MemoryAccess } from "./memory-access.ts";
import { NativeFloatEmitter, type QuickForm, quickFormOf } from "./native-float.ts";
import type { Place } from "./place.ts";
import { loadWidth, storeWidth } from "./widths.ts";

const offset = {
  RFLAGS: offsetOf("RFLAGS"),
  vectorScratch: offsetOf("vectorScratch"),
  ssAccess: offsetOf("SS.access"),
  FSW: offsetOf("FSW"),
  FTW: offsetOf("FTW"),
  tlbKeyAcSet: offsetOf("tlbKeyAcSet"),
  tlbKeyAcClear: offsetOf("tlbKeyAcClear"),
  tlbKey: offsetOf("tlbKey"),
};

interface Translation {
  readonly local: number;
  readonly width: Width;
}

/** Every value that is emitted for some effects. */
const rootsOf = (effects: readonly Effect[], extra: readonly Value[]): Value[] => {
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
      case "interruptShadow": case "attention": case "procedure": roots.push(effect.when); break;
    }
  }
  return roots;
};

/** The operand as the flags see it: behind the intrinsic `flush`. */
const flushed = (operand: Value, flags: Flags): Value => {
  const seen = new Set<Value>();
  const find = (value: Value): Value | undefined => {
    if (seen.has(value)) return undefined;
    seen.add(value);
    if (value.op === "intrinsic" && value.args[0] === operand && (value.attr as string).endsWith(".flush")) return value;
    for (const arg of value.args) {
      const found = find(arg);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  for (const value of Object.values(flags)) {
    const found = find(value);
    if (found !== undefined) return found;
  }
  return operand;
};

/** Is this a jump by a displacement? */
export const isRelative = ({ row }: HandlerSpec): boolean => row.operands.some(({ addressing }) => addressing === "J");

/** Emits what one instruction does, at a place: checks, reads, stores, registers and flags; not where control goes next. */
export class InstructionEmitter implements Binding {
  readonly #code: Code;
  readonly #place: Place;
  readonly memory: MemoryAccess;
  readonly #spec: HandlerSpec;
  readonly #context: HandlerContext;
  readonly effects: readonly Effect[];
  readonly mulHighUnsigned: number;
  expressions!: ExpressionEmitter;
  readonly #operandTranslations = new Map<number, Translation>();
  readonly #effectTranslations = new Map<string, Translation>();
  /** Conditions of this instruction that have been computed from an earlier one, by node. */
  readonly #given: ReadonlyMap<Value, number>;
  /** What it comes to where floating-point operations may be native ones. */
  quick: QuickForm | undefined;

  constructor(place: Place, given: ReadonlyMap<Value, number> = new Map()) {
    this.#place = place;
    this.#code = place.code;
    this.#spec = place.spec;
    this.#context = place.context;
    this.memory = new MemoryAccess(place);
    this.#given = given;
    this.mulHighUnsigned = place.context.imports.mulHighUnsigned;
    this.effects = place.spec.effects;
    this.quick = quickFormOf(this.effects);
  }

  /** Once more, in a loop. */
  again(): void {
    this.begin(this.effects, []);
    this.#operandTranslations.clear();
    this.emitOnce([]);
  }

  // ---- values -------------------------------------------------------------------------------------------------

  begin(effects: readonly Effect[], extra: readonly Value[]): void {
    const roots = rootsOf(effects, extra);
    this.expressions = this.#expressionsOf(roots);
    this.#used = new Set();
    const visit = (value: Value): void => {
      if (this.#used.has(value)) return;
      this.#used.add(value);
      for (const arg of value.args) visit(arg);
    };
    for (const root of roots) visit(root);
    this.#roots = roots;
  }

  #expressionsOf(roots: readonly Value[]): ExpressionEmitter {
    const expressions = new ExpressionEmitter(this.#code, this, roots);
    for (const [node, local] of this.#given) expressions.bind(node, local);
    return expressions;
  }

  #used = new Set<Value>();
  #roots: readonly Value[] = [];

  leaf(_code: Code, value: Value): void {
    const place = this.#place;
    switch (value.op) {
      case "operand": {
        const index = value.attr as number;
        const { kind } = this.#spec.form.operands[index]!;
        if (kind === "register") place.readOperand(index, value.width);
        else if (kind === "immediate") place.immediate(value.width);
        else throw new Error("a memory operand is read by the frame");
        return;
      }
      case "address": this.memory.operandAddress(value.attr as number); return;
      case "register": place.readField(value.attr as string, value.width); return;
      case "flag": place.readFlag(value.attr as FlagName); return;
      case "rflags": place.readRflags(); return;
      case "nextRip": place.nextRip(); return;
      default: throw new Error(`unbound leaf ${value.op} of ${this.#spec.row.semantics.mnemonic}`);
    }
  }

  leafFloat(_code: Code, value: Value): boolean {
    if (value.op !== "operand" || !this.#isVectorRegister(value.attr as number)) return false;
    this.#place.readOperandFloat(value.attr as number, value.width as 32 | 64);
    return true;
  }

  #isVectorRegister(index: number): boolean {
    const { addressing } = this.#spec.row.operands[index]!;
    return this.#spec.form.operands[index]!.kind === "register" && (addressing === "V" || addressing === "W" || addressing === "U");
  }

  /** Is the value at hand as a float, so that it should be moved as one? */
  #isFloat(value: Value): boolean {
    if (value.width !== 32 && value.width !== 64) return false;
    if (this.expressions.isFloat(value)) return true;
    if (value.op === "operand") return this.#isVectorRegister(value.attr as number);
    return value.op === "extract" && value.args[0]!.width === 128 && (value.attr as number) % value.width === 0;
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

  // ---- one execution --------------------------------------------------------------------------------------------

  /** `wanted`: further values of the state before that must be in locals before anything is written. */
  emitOnce(wanted: readonly Value[]): void {
    const code = this.#code;
    if (this.#spec.row.privileged) {
      code.i32(0).memory("i32.load", offset.ssAccess).i32(0x60).op("i32.and").if();
      this.#place.raise(Exception.GP, () => code.i32(0));
      code.end();
    }
    // What a procedure does before it looks at memory.
    for (const effect of this.effects) if (effect.kind === "procedure" && !this.#readsMemory(effect.when)) this.#emitProcedure(effect.when);
    this.#loadOperands();
    for (const effect of this.effects) if (effect.kind === "procedure" && this.#readsMemory(effect.when)) this.#emitProcedure(effect.when);
    if (this.quick === undefined) this.#carryOut(this.effects, wanted);
    else {
      for (const value of wanted) this.expressions.keep(value);
      this.#emitQuick(this.quick);
    }
  }

  #readsMemory(value: Value): boolean {
    if (value.op === "operand") return this.#spec.form.operands[value.attr as number]!.kind === "memory";
    return value.args.some((arg) => this.#readsMemory(arg));
  }

  #emitProcedure(when: Value): void {
    this.expressions.emit(when);
    this.#code.if();
    this.#place.toProcedure();
    this.#code.end();
  }

  /** The native operations and what follows from them; or, where these may not be used, the instruction as its effects say. */
  #emitQuick(quick: QuickForm): void {
    const code = this.#code;
    const slow = this.expressions;
    const lazy = quick.effects.flatMap((effect) => (effect.kind === "flags" ? [lazyFlagsOf(effect.flags)] : []))[0];
    code.block().block();
    this.expressions = this.#expressionsOf(rootsOf(quick.effects, []));
    for (const [value, local] of this.#loaded)
      if (local.float) this.expressions.bindFloat(value, local.number);
      else this.expressions.bind(value, local.number);
    new NativeFloatEmitter(code, this.expressions).emit(quick.operations);
    this.#carryOut(quick.effects, []);
    code.br(1).end();
    this.expressions = slow;
    if (this.#place.abandon()) {
      code.end();
      return;
    }
    if (this.#place.carryOutOfLine === undefined) this.#carryOut(this.effects, [], lazy);
    else {
      this.#place.carryOutOfLine();
      for (const effect of this.effects) if (effect.kind === "flags") this.#writeFlags(effect, lazy);
    }
    code.end();
  }

  /** `lazy`: the form that the flags are to take, of operands of which denormals are zeros where MXCSR says so. */
  #carryOut(effects: readonly Effect[], wanted: readonly Value[], lazy?: LazyFlags): void {
    const code = this.#code;
    const { row, form } = this.#spec;
    for (const effect of effects) {
      if (effect.kind === "load") this.#emitLoad(effect);
      else if (effect.kind === "fault") {
        this.expressions.keepShared(effect.when);
        if (effect.errorCode) this.expressions.keepShared(effect.errorCode);
        if (effect.commit) this.expressions.keepShared(effect.commit.value);
        this.expressions.emit(effect.when);
        code.if();
        if (effect.commit) {
          code.i32(0);
          this.expressions.emit(effect.commit.value);
          storeWidth(code, effect.commit.value.width, offsetOf(effect.commit.name), true);
        }
        this.#place.raise(effect.vector, effect.errorCode ? () => this.expressions.emit(effect.errorCode!) : undefined);
        code.end();
      }
    }
    // Translate every store before the first byte is written.
    const stores: { address: number; value: Value }[] = [];
    const registerWrites: Extract<Effect, { kind: "writeOperand" | "writeRegister" }>[] = [];
    for (const effect of effects) {
      if (effect.kind === "store") {
        const known = this.#effectTranslations.get(`${effect.segment}:${effect.address.id}`);
        let address = known?.local;
        if (address === undefined || known!.width !== effect.value.width) {
          this.expressions.emit(effect.address);
          const bytes = effect.value.width / 8;
          address = this.memory.translate(this.memory.segmentLinear(effect.segment, bytes, true), bytes, true, effect.segment === "SS");
        }
        stores.push({ address, value: effect.value });
      } else if (effect.kind === "writeOperand") {
        if (form.operands[effect.index]!.kind !== "memory") {
          registerWrites.push(effect);
          continue;
        }
        let translation = this.#operandTranslations.get(effect.index);
        if (translation === undefined) {
          const bytes = this.memory.operandBytes(effect.index);
          const linear = this.memory.operandLinear(effect.index, bytes, true);
          this.memory.checkAlignment(effect.index, linear);
          translation = { local: this.memory.translate(linear, bytes, true, false), width: effect.value.width };
        }
        stores.push({ address: translation.local, value: effect.value });
      } else if (effect.kind === "writeRegister") registerWrites.push(effect);
    }
    // Every value is a function of the state before: compute them all, then write.
    for (const { value } of stores) this.#keep(value, true);
    for (const effect of registerWrites)
      this.#keep(effect.value, effect.kind === "writeOperand" && this.#isVectorRegister(effect.index));
    const flagEffects = effects.filter((effect) => effect.kind === "flags");
    for (const effect of flagEffects) this.#prepareFlags(effect, lazy);
    for (const effect of effects) {
      if (effect.kind === "jump") {
        if (effect.when) this.expressions.keep(effect.when);
        if (!isRelative(this.#spec)) this.expressions.keep(effect.target);
      } else if (effect.kind === "attention" || effect.kind === "interruptShadow") this.expressions.keep(effect.when);
    }
    for (const value of wanted) this.expressions.keep(value);
    for (const { address, value } of stores) {
      code.get(address);
      if (this.expressions.isFloat(value)) {
        this.expressions.emitFloat(value);
        code.memory(value.width === 32 ? "f32.store" : "f64.store");
        continue;
      }
      this.expressions.emit(value);
      storeWidth(code, value.width, 0, false);
    }
    if (this.memory.slow !== undefined && stores.length > 0 && !this.#place.flushes) code.get(this.memory.slow).if().call(this.#context.imports.flush).end();
    if (entersMMX(row)) this.#enterMmx();
    for (const effect of registerWrites) this.#writeRegister(effect);
    for (const effect of flagEffects) this.#writeFlags(effect, lazy);
  }

  /** Compute a value now, as a float where it is at hand as one and `mayFloat`. */
  #keep(value: Value, mayFloat: boolean): void {
    if (!mayFloat || !this.#isFloat(value)) {
      this.expressions.keep(value);
      return;
    }
    if (this.expressions.isFloat(value)) return;
    const local = this.#code.local(value.width === 32 ? f32 : f64);
    this.expressions.emitFloat(value);
    this.#code.set(local);
    this.expressions.bindFloat(value, local);
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
      const linear = this.memory.operandLinear(index, width / 8, access === "rw");
      this.memory.checkAlignment(index, linear);
      const address = this.memory.translate(linear, width / 8, access === "rw", false, access === "rw");
      if (access === "rw") this.#operandTranslations.set(index, { local: address, width });
      this.#code.get(address);
      this.#loadOperand(value);
    });
  }

  /** Memory operands in locals. */
  readonly #loaded = new Map<Value, { readonly number: number; readonly float: boolean }>();

  /** Load an operand from the memory offset on the stack, as what it is used as. */
  #loadOperand(value: Value): void {
    const code = this.#code;
    const { width } = value;
    const users = [...this.#used].filter(({ args }) => args.includes(value));
    const [user] = users;
    if (users.length === 1 && user!.op === "zeroExtend" && user!.width === 128 && width >= 32 && !this.#roots.includes(value)) {
      const local = code.local(v128);
      code.v128LoadZero(width as 32 | 64).set(local);
      this.#loaded.set(user!, { number: local, float: false });
      this.expressions.bind(user!, local);
      return;
    }
    const float =
      (width === 32 || width === 64) &&
      this.quick?.operations.some(({ operands, name }) => operands.includes(value) && !name.includes(".fromInt")) === true;
    const local = code.local(float ? (width === 32 ? f32 : f64) : stackType(width));
    if (float) code.memory(width === 32 ? "f32.load" : "f64.load");
    else loadWidth(code, width, 0);
    code.set(local);
    this.#loaded.set(value, { number: local, float });
    if (float) this.expressions.bindFloat(value, local);
    else this.expressions.bind(value, local);
  }

  #emitLoad(effect: Extract<Effect, { kind: "load" }>): void {
    const code = this.#code;
    const bytes = effect.width / 8;
    this.expressions.emit(effect.address);
    const linear = this.memory.segmentLinear(effect.segment, bytes, effect.forWrite);
    const address = this.memory.translate(linear, bytes, effect.forWrite, effect.segment === "SS", effect.forWrite);
    if (effect.forWrite) this.#effectTranslations.set(`${effect.segment}:${effect.address.id}`, { local: address, width: effect.width });
    code.get(address);
    loadWidth(code, effect.width, 0);
    const local = code.local(stackType(effect.width));
    code.set(local);
    this.expressions.bind(leaf.load(effect.index, effect.width), local);
  }

  #writeRegister(effect: Extract<Effect, { kind: "writeOperand" | "writeRegister" }>): void {
    const { value } = effect;
    const push = (): void => this.expressions.emit(value);
    if (effect.kind === "writeRegister") this.#place.writeField(effect.name, value.width, push);
    else if (this.#isVectorRegister(effect.index) && this.expressions.isFloat(value))
      this.#place.writeOperandFloat(effect.index, value.width as 32 | 64, () => this.expressions.emitFloat(value));
    else this.#place.writeOperand(effect.index, value.width, push);
  }

  #prepareFlags(effect: Extract<Effect, { kind: "flags" }>, form: LazyFlags | undefined): void {
    if (effect.when) this.expressions.keep(effect.when);
    const lazy = form ?? lazyFlagsOf(effect.flags);
    if (lazy) for (const input of lazy.inputs) this.expressions.keep(form ? flushed(input, effect.flags) : input);
    for (const name of Object.keys(effect.flags) as FlagName[])
      if (!lazy || !(statusFlags as readonly string[]).includes(name)) this.expressions.keep(effect.flags[name]!);
  }

  #writeFlags(effect: Extract<Effect, { kind: "flags" }>, form: LazyFlags | undefined): void {
    const code = this.#code;
    const { flags, when } = effect;
    if (when) {
      this.expressions.emit(when);
      code.if();
    }
    const status = statusFlags.filter((name) => flags[name] !== undefined);
    const lazy = form ?? (status.length > 0 ? lazyFlagsOf(flags) : undefined);
    if (lazy) {
      this.#place.writeLazy(lazy, (index) => this.expressions.emit(form ? flushed(lazy.inputs[index]!, flags) : lazy.inputs[index]!));
    } else if (status.length > 0) {
      const all = status.length === statusFlags.length;
      this.#place.beforeMerge(all);
      this.#mergeFlags(flags, status);
      this.#place.afterMerge(all);
    }
    const system = (Object.keys(flags) as FlagName[]).filter((name) => !(statusFlags as readonly string[]).includes(name));
    if (system.length > 0) this.#mergeFlags(flags, system);
    if (system.includes("AC")) {
      code.i32(0).i32(0).memory("i64.load", offset.tlbKeyAcSet).i32(0).memory("i64.load", offset.tlbKeyAcClear);
      this.expressions.emit(flags.AC!);
      code.op("select").memory("i64.store", offset.tlbKey);
      this.#place.tlbKeyChanged();
    }
    if (when) code.end();
  }

  /** RFLAGS with these flags replaced. */
  #mergeFlags(flags: Flags, names: readonly FlagName[]): void {
    const code = this.#code;
    const mask = names.reduce((bits, name) => bits | (1 << flagBit[name]), 0);
    code.i32(0).i32(0).memory("i32.load", offset.RFLAGS).i32(~mask).op("i32.and");
    for (const name of names) {
      this.expressions.emit(flags[name]!);
      code.i32(flagBit[name]).op("i32.shl").op("i32.or");
    }
    code.memory("i32.store", offset.RFLAGS);
  }
}
