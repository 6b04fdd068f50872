import { flagBit } from "../../arch/flags.ts";
import type { Effect } from "../../ir/effects.ts";
import { offsetOf } from "../../state/layout.ts";
import type { FunctionBody } from "../../wasm/module.ts";
import type { HandlerContext, HandlerSpec } from "../handler-spec.ts";
import { InstructionEmitter, isRelative } from "../instruction-emitter.ts";
import { quickFormOf } from "../native-float.ts";
import { ExitKind, record, recordBytes } from "../record.ts";
import { type Flow, flowOf } from "./flow.ts";
import type { BlockEnd, Region, RegionBlock, RegionInstruction } from "./region.ts";
import { budget, type Position, RegionFrame } from "./region-frame.ts";
import { RegionPlace } from "./region-place.ts";
import { mayLeave } from "./specialise.ts";

const offset = {
  RIP: offsetOf("RIP"),
  RFLAGS: offsetOf("RFLAGS"),
  exitKind: offsetOf("exitKind"),
  interruptPending: offsetOf("interruptPending"),
};

/** Emits a region: its blocks nested by their flow, each instruction by what its semantics says. */
export class RegionEmitter {
  readonly #region: Region;
  readonly #context: HandlerContext;
  readonly #frame: RegionFrame;
  readonly #flow: Flow;
  /** Depth inside the structured instruction that stands for a block: its loop, or the block that ends before it. */
  readonly #loops = new Map<number, number>();
  readonly #merges = new Map<number, number>();
  /** What the entry's record has for a handler as long as no page of the region changes. */
  readonly #handler: number;

  /** `handler`: the table index that the region will have. */
  constructor(region: Region, context: HandlerContext, view: DataView, handler: number) {
    this.#region = region;
    this.#context = context;
    this.#frame = new RegionFrame(region, context, view);
    this.#handler = handler;
    this.#flow = flowOf(region.blocks.map(successorsOf));
    const { imports } = context;
    const first = region.blocks[0]!.instructions[0]!;
    this.#frame.dispatch = first.spec.form.codeSize === 64 ? imports.regionDispatch64 : imports.regionDispatch32;
  }

  emit(): FunctionBody {
    const { code } = this.#frame;
    this.#tree(0);
    code.op("unreachable");
    const rest = code.bytes();
    const prologue = this.#frame.prologue().bytes();
    const body = new Uint8Array(prologue.length + rest.length);
    body.set(prologue);
    body.set(rest, prologue.length);
    return { type: this.#context.imports.handlerType, locals: code.locals, code: body };
  }

  /** A block and all that it dominates. Nothing falls through. */
  #tree(number: number): void {
    const { code } = this.#frame;
    const { isLoop, isMerge, children, order } = this.#flow;
    const looping = isLoop[number]!;
    if (looping) {
      code.loop();
      this.#loops.set(number, code.depth);
      this.#frame.pending = undefined;
    }
    const merges = children[number]!
      .filter((child) => isMerge[child])
      .sort((a, b) => order[b]! - order[a]!);
    for (const merge of merges) {
      code.block();
      this.#merges.set(merge, code.depth);
    }
    this.#block(number, this.#region.blocks[number]!);
    for (const merge of merges.reverse()) {
      code.end();
      this.#frame.pending = undefined;
      this.#tree(merge);
    }
    if (looping) code.end();
  }

  /** Go from block to block; the budget has been charged. */
  #goTo(from: number, to: number): void {
    const { code } = this.#frame;
    const { order, isMerge } = this.#flow;
    const { page } = this.#region.blocks[to]!;
    const otherPage = page !== this.#region.blocks[from]!.page;
    this.#frame.sync();
    if (otherPage) this.#frame.enterPage(this.#position(to));
    this.#frame.checkBudget(this.#position(to));
    if (otherPage) this.#frame.setPage(page);
    if (order[to]! <= order[from]!) code.branch(this.#loops.get(to)!);
    else if (isMerge[to]) code.branch(this.#merges.get(to)!);
    else {
      const { pending } = this.#frame;
      this.#tree(to);
      this.#frame.pending = pending;
    }
  }

  #position(block: number): Position {
    const { at, page } = this.#region.blocks[block]!;
    return { page, offset: this.#frame.view.getUint16(at + record.offset, true) };
  }

  #spend(instructions: number): void {
    if (instructions > 0) this.#frame.code.get(budget).i32(instructions).op("i32.sub").set(budget);
  }

  #retired(at: number): number {
    return this.#frame.view.getUint8(at + record.retired);
  }

  #block(number: number, block: RegionBlock): void {
    for (const instruction of block.instructions)
      this.#frame.code.scope(() => this.#instruction(number, instruction));
    this.#end(number, block.end);
  }

  #end(number: number, end: BlockEnd): void {
    this.#frame.sync();
    switch (end.kind) {
      case "jumped":
        return;
      case "record":
        this.#frame.toRecord(end.at);
        return;
      case "block":
        if (end.target === undefined || !this.#flow.follows(number, end.target)) this.#frame.toRecord(end.at);
        else {
          this.#spend(this.#retired(end.at));
          this.#goTo(number, end.target);
        }
    }
  }

  #instruction(number: number, instruction: RegionInstruction): void {
    const frame = this.#frame;
    const { code } = frame;
    const { page } = this.#region.blocks[number]!;
    const place = new RegionPlace(frame, instruction, page);
    const emitter = new InstructionEmitter(place, frame.conditions(instruction.spec.effects));
    if (needsState(instruction.spec)) frame.sync();
    emitter.begin(emitter.effects, []);
    emitter.memory.sharedSlow = frame.slow;
    emitter.emitOnce([]);
    const guarded = emitter.effects.some((effect) => effect.kind === "flags" && effect.when !== undefined);
    if (guarded) frame.pending = undefined;
    if (emitter.memory.slow !== undefined) {
      // The store may have changed code, this region's too.
      frame.sync();
      code.get(emitter.memory.slow).if();
      code.i32(0).set(emitter.memory.slow);
      const next = instruction.at + recordBytes;
      code.i32(this.#region.blocks[0]!.at).call(this.#context.imports.storedSlowly).i32(this.#handler).op("i32.ne").if();
      const jump = emitter.effects.find((effect) => effect.kind === "jump");
      if (jump === undefined) frame.toRecord(next);
      else {
        if (jump.when) throw new Error("a conditional jump that stores");
        this.#spend(this.#retired(instruction.at) + 1);
        frame.toDispatch(() => emitter.expressions.emit(jump.target));
      }
      code.end().end();
    }
    this.#next(number, instruction, place, emitter);
  }

  /** Where control goes behind an instruction, if not to the next. */
  #next(number: number, instruction: RegionInstruction, place: RegionPlace, emitter: InstructionEmitter): void {
    const { code } = this.#frame;
    for (const effect of emitter.effects) {
      if (effect.kind !== "jump" && effect.kind !== "attention") continue;
      this.#frame.sync();
      if (effect.kind === "attention") {
        this.#attention(instruction, place, emitter, effect);
        continue;
      }
      if (effect.when) {
        emitter.expressions.emit(effect.when);
        code.if();
      }
      this.#jump(number, instruction, emitter, effect);
      if (!effect.when) return;
      code.end();
    }
  }

  #attention(
    { at }: RegionInstruction,
    place: RegionPlace,
    emitter: InstructionEmitter,
    effect: Extract<Effect, { kind: "attention" }>,
  ): void {
    const { code } = this.#frame;
    emitter.expressions.emit(effect.when);
    code.i32(0).memory("i32.load", offset.interruptPending).i32(0).op("i32.ne");
    code.i32(0).memory("i32.load", offset.RFLAGS).i32(1 << flagBit.TF).op("i32.and").i32(0).op("i32.ne").op("i32.or");
    code.op("i32.and").if();
    this.#spend(this.#retired(at) + 1);
    code.i32(0);
    place.nextRip();
    code.memory("i64.store", offset.RIP);
    code.i32(0).i32(ExitKind.attention).memory("i32.store", offset.exitKind);
    place.leave();
    code.end();
  }

  #jump(
    number: number,
    { at, spec, target, returns = [] }: RegionInstruction,
    emitter: InstructionEmitter,
    effect: Extract<Effect, { kind: "jump" }>,
  ): void {
    const frame = this.#frame;
    this.#spend(this.#retired(at) + 1);
    if (target !== undefined && this.#flow.follows(number, target)) this.#goTo(number, target);
    else if (isRelative(spec) && spec.near) frame.toNear(at);
    else {
      for (const block of returns) {
        if (!this.#flow.follows(number, block)) continue;
        const { code } = frame;
        emitter.expressions.emit(effect.target);
        frame.ripOf(this.#position(block));
        code.op("i64.eq").if();
        this.#goTo(number, block);
        code.end();
      }
      frame.toDispatch(() => emitter.expressions.emit(effect.target));
    }
  }
}

/** Where a block goes within the region. */
const successorsOf = ({ instructions, end }: RegionBlock): number[] => {
  const list = instructions.flatMap(({ target, returns = [] }) => [...(target === undefined ? [] : [target]), ...returns]);
  if (end.kind === "block" && end.target !== undefined) list.push(end.target);
  return list;
};

/** Must the state hold every register here? The quick form of an instruction sees to that itself where it is given up. */
const needsState = (spec: HandlerSpec): boolean =>
  mayLeave(spec) && (quickFormOf(spec.effects) === undefined || spec.form.operands.some(({ kind }) => kind === "memory"));
