import { flagBit } from "../arch/flags.ts";
import type { Value } from "../ir/value.ts";
import { offsetOf } from "../state/layout.ts";
import { Code, i32 } from "../wasm/code.ts";
import type { FunctionBody } from "../wasm/module.ts";
import { fusion } from "./fusion.ts";
import { budget, HandlerFrame } from "./handler-frame.ts";
import type { HandlerContext, HandlerSpec } from "./handler-spec.ts";
import { InstructionEmitter, isRelative } from "./instruction-emitter.ts";
import { ExitKind, recordBytes } from "./record.ts";
import { RepeatEmitter } from "./repeat.ts";

const offset = {
  RFLAGS: offsetOf("RFLAGS"),
  interruptPending: offsetOf("interruptPending"),
  RIP: offsetOf("RIP"),
  exitKind: offsetOf("exitKind"),
};

/** Emits one handler: the frame of fetch, check, compute, write back and go on around an instruction's effects. */
export class HandlerEmitter {
  readonly #code: Code;
  readonly #frame: HandlerFrame;
  readonly #instruction: InstructionEmitter;
  readonly #spec: HandlerSpec;
  readonly #context: HandlerContext;

  constructor(spec: HandlerSpec, context: HandlerContext, pair?: { readonly code: Code; readonly given: ReadonlyMap<Value, number> }) {
    this.#spec = spec;
    this.#context = context;
    this.#code = pair?.code ?? new Code(2);
    this.#frame = new HandlerFrame(this.#code, spec, context, pair !== undefined);
    this.#instruction = new InstructionEmitter(this.#frame, pair?.given);
  }

  emit(): FunctionBody {
    const { fused, repeat } = this.#spec;
    const { memory } = this.#instruction;
    if (repeat !== "none") new RepeatEmitter(this.#frame, memory, () => this.#instruction.again()).emit();
    else if (fused === undefined) this.emitPlain();
    else this.#emitPair(fused);
    return { type: this.#context.imports.handlerType, locals: this.#code.locals, code: this.#code.bytes() };
  }

  /** One execution and what comes next. */
  emitPlain(): void {
    this.#instruction.begin(this.#instruction.effects, []);
    this.#instruction.emitOnce([]);
    this.#emitNext();
  }

  /** This instruction, then the next, whose conditions are computed from this one's operands instead of from RFLAGS. */
  #emitPair(second: HandlerSpec): void {
    const code = this.#code;
    const { effects, memory } = this.#instruction;
    const conditions = fusion(effects, second.effects);
    if (conditions === undefined) throw new Error("a pair that cannot be fused");
    const values = [...conditions.values()];
    this.#instruction.begin(effects, values);
    this.#instruction.emitOnce(values);
    if (memory.slow !== undefined) {
      // The store may have changed the next instruction's bytes: it is looked at again.
      code.get(memory.slow).if();
      this.#frame.tailCall(recordBytes);
      code.end();
    }
    const given = new Map<Value, number>();
    for (const [node, value] of conditions) {
      const local = code.local(i32);
      this.#instruction.expressions.emit(value);
      code.set(local);
      given.set(node, local);
    }
    new HandlerEmitter(second, this.#context, { code, given }).emitPlain();
  }

  // ---- what comes next ----------------------------------------------------------------------------------------

  #emitNext(): void {
    const code = this.#code;
    for (const effect of this.#instruction.effects) {
      if (effect.kind === "attention" || effect.kind === "interruptShadow") {
        const shadow = effect.kind === "interruptShadow";
        this.#instruction.expressions.emit(effect.when);
        // Nothing to look at unless an interrupt waits or single-stepping has begun.
        code.i32(0).memory("i32.load", offset.interruptPending).i32(0).op("i32.ne");
        if (!shadow) code.i32(0).memory("i32.load", offset.RFLAGS).i32(1 << flagBit.TF).op("i32.and").i32(0).op("i32.ne").op("i32.or");
        code.op("i32.and");
        code.if();
        this.#frame.spend();
        code.i32(0);
        this.#frame.nextRip();
        code.memory("i64.store", offset.RIP);
        code.i32(0).i32(shadow ? ExitKind.shadow : ExitKind.attention).memory("i32.store", offset.exitKind);
        this.#frame.leave();
        code.end();
      }
      if (effect.kind !== "jump") continue;
      if (effect.when) {
        this.#instruction.expressions.emit(effect.when);
        code.if();
      }
      this.#frame.spend();
      if (isRelative(this.#spec) && this.#spec.near) {
        this.#frame.here();
        code.get(budget).returnCall(this.#context.imports.jumpNear);
      }
      else {
        this.#instruction.expressions.emit(effect.target);
        code.get(budget).returnCall(this.#frame.dispatch);
      }
      if (!effect.when) return;
      code.end();
    }
    this.#frame.tailCall(recordBytes);
  }
}
