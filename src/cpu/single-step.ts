import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import { ExitKind, record, recordBytes } from "../codegen/record.ts";
import type { Instruction } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import type { CodeEntry } from "./code-entry.ts";
import { type Core, Fault } from "./core.ts";
import { breakpointsEnabled, instructionBreakpoint, noteSingleStep } from "./debug-registers.ts";
import { evaluateInstruction } from "./evaluator.ts";
import type { ExecutionEngine } from "./execution-engine.ts";
import { CutInstructions, fetchInstruction } from "./instruction-fetch.ts";
import { type LinearMemory, walkedMemory } from "./linear-memory.ts";
import type { MemorySlowPath } from "./memory-slow-path.ts";
import { type Procedure, procedures } from "./procedures.ts";
import { TranslatedMemory } from "./translated-memory.ts";
import { unitFault } from "./units.ts";
import { stepOf } from "./vmx-socket.ts";

/** The processor as single steps need it. */
export interface SteppedProcessor extends Core {
  readonly engine: ExecutionEngine;
  /** The slow paths of translated code. */
  readonly memory: MemorySlowPath;
  readonly code: CodeEntry;
  midRepeat: boolean;
  /** The record after an evaluated one, where nothing has happened since; else 0. */
  resume: number;
  raise(fault: Fault): void;
  /** Instructions have retired. */
  count(instructions: number): void;
  /** Derive what translated code relies on from the architectural state. */
  refresh(): void;
  /** Run a procedure; flags are settled and RIP is the instruction's own. */
  procedure(instruction: Instruction, run: Procedure): number;
}

const ripOffset = offsetOf("RIP");
const codeBaseOffset = offsetOf("codeBase");
const exitKindOffset = offsetOf("exitKind");
const exitRecordOffset = offsetOf("exitRecord");
const flagsOffset = offsetOf("RFLAGS");
const interruptibilityOffset = offsetOf("interruptibility");
const TF = Number(RFLAGS.TF);
const IF = Number(RFLAGS.IF);
const RF = Number(RFLAGS.RF);

/** Instructions after which a set TF does not trap: they hand control to a handler that runs with TF clear. */
const clearsTf = new Set(["INT", "INT1", "INT3", "INTO", "SYSCALL"]);

/** A REP instruction that has made a step and goes on. `before`, `after`: low 32 bits of RIP. */
export const isUnfinished = ({ row, rep }: Instruction, before: number, after: number): boolean =>
  row.repeat !== undefined && rep !== "none" && before === after;

/** One instruction at a time: what translated code leaves to the processor. All return how many instructions retired, 0 or 1. */
export class SingleSteps {
  readonly #processor: SteppedProcessor;
  /** Memory for instructions that are evaluated among translated ones. */
  readonly #translated: TranslatedMemory;
  readonly #cut = new CutInstructions();

  constructor(processor: SteppedProcessor) {
    this.#processor = processor;
    this.#translated = new TranslatedMemory(processor.engine.guest, processor.engine.tlb);
  }

  /** Fetch and decode the instruction at CS:RIP. */
  fetch(): Instruction | Fault {
    return fetchInstruction(this.#processor, this.#processor.code.mode, this.#cut);
  }

  /** Carry out one instruction; how many retired (0 or 1). */
  step(): number {
    const { state, engine } = this.#processor;
    engine.module.settle();
    this.#processor.refresh();
    if (breakpointsEnabled(state)) {
      const rip = state.RIP;
      const linear = this.#processor.code.mode.codeSize === 64 ? rip : (rip + state.codeBase) & 0xffff_ffffn;
      const breakpoint = instructionBreakpoint(state, linear);
      if (breakpoint) {
        this.#processor.raise(breakpoint);
        return 0;
      }
    }
    const instruction = this.fetch();
    if (instruction instanceof Fault) {
      this.#processor.raise(instruction);
      return 0;
    }
    return this.carryOut(instruction);
  }

  /** Carry out the instruction at CS:RIP, by whatever way; flags are settled. */
  carryOut(instruction: Instruction): number {
    const { state, engine, vmx } = this.#processor;
    const { row } = instruction;
    const before = state.view.getUint32(flagsOffset, true);
    const ripBefore = state.view.getUint32(ripOffset, true);
    if (vmx?.nonRoot && this.#processor.code.mode.steps & stepOf(row)) {
      const intercepted = vmx.intercept(instruction);
      if (intercepted instanceof Fault) {
        this.#processor.raise(intercepted);
        return 0;
      }
    }
    const shadow = state.view.getUint32(interruptibilityOffset, true) & 3;
    let retired: number;
    if (row.protectedOnly && this.#processor.code.mode.realLike) {
      this.#processor.raise(new Fault(Exception.UD));
      return 0;
    }
    const blocked = unitFault(state, row);
    if (blocked) {
      this.#processor.raise(blocked);
      return 0;
    }
    const transitions = vmx?.transitions;
    if (row.semantics.build === undefined)
      retired = this.#processor.procedure(instruction, procedures.get(row.semantics.mnemonic)!);
    else if (engine.tier === "evaluator" || breakpointsEnabled(state))
      retired = this.#evaluate(instruction, walkedMemory);
    else retired = this.#stepTranslated(instruction);
    // After VM entry or VM exit RFLAGS and pending debug exceptions are another's.
    if (retired === 0 || vmx?.transitions !== transitions) return retired;
    const { view } = state;
    // The shadow of STI or MOV SS lasts until the next instruction is over: a fault or VM exit in its place is within it. Procedures end it themselves.
    if (shadow !== 0 && row.semantics.build !== undefined)
      view.setUint32(interruptibilityOffset, view.getUint32(interruptibilityOffset, true) & ~shadow, true);
    if (before & RF) {
      const restores = row.semantics.mnemonic.startsWith("IRET");
      if (!restores) view.setUint32(flagsOffset, view.getUint32(flagsOffset, true) & ~RF, true);
    }
    if (before & TF && !clearsTf.has(row.semantics.mnemonic)) {
      const moved = (view.getUint32(ripOffset, true) - ripBefore) >>> 0;
      noteSingleStep(state, moved !== instruction.length);
    }
    return retired;
  }

  /** Carry out the instruction of a record that has no handler, and go on behind it. */
  cold(at: number): number {
    const variant = this.#processor.engine.cache.coldVariant(at);
    const { mode } = this.#processor.code;
    if (variant === undefined) {
      this.#processor.resume = at;
      return 0;
    }
    const { view } = this.#processor.state;
    const { instruction, facts } = variant;
    const before = view.getUint32(ripOffset, true);
    this.#processor.engine.module.settle();
    const memory = breakpointsEnabled(this.#processor.state) ? walkedMemory : this.#translated;
    const { build, mnemonic } = instruction.row.semantics;
    const retired =
      build === undefined
        ? this.#processor.procedure(instruction, procedures.get(mnemonic)!)
        : this.#evaluate(instruction, memory);
    if (retired === 0 || mode !== this.#processor.code.mode) return retired;
    const moved = (view.getUint32(ripOffset, true) - before) >>> 0;
    if (facts.ends) return retired;
    if (moved === instruction.length) this.#processor.resume = at + recordBytes;
    else if (this.#processor.midRepeat) this.#processor.resume = at;
    return retired;
  }

  #evaluate(instruction: Instruction, memory: LinearMemory): number {
    const { view } = this.#processor.state;
    const rip = view.getUint32(ripOffset, true);
    const fault = evaluateInstruction(this.#processor, instruction, memory);
    if (fault) {
      this.#processor.raise(fault);
      return 0;
    }
    this.#processor.midRepeat = isUnfinished(instruction, rip, view.getUint32(ripOffset, true));
    this.#processor.count(1);
    this.#processor.refresh();
    return 1;
  }

  /** Carry out the instruction of a record that met a device, without looking at its bytes again. */
  again(at: number): number {
    // Data breakpoints are the evaluator's.
    if (breakpointsEnabled(this.#processor.state)) return this.step();
    const { cache } = this.#processor.engine;
    const step = cache.repeatedStep(at, this.#processor.code.mode);
    if (step === 0) {
      cache.straddle(at, this.#processor.code.mode);
      return this.step();
    }
    return this.#runStep(step, this.#processor.state.view.getUint16(at + record.offset, true), false);
  }

  #stepTranslated(instruction: Instruction): number {
    const { state, engine } = this.#processor;
    const { view } = state;
    const ripLow = view.getUint32(ripOffset, true);
    const linearLow =
      this.#processor.code.mode.codeSize === 64
        ? ripLow
        : (ripLow + view.getUint32(codeBaseOffset, true)) >>> 0;
    const offset = linearLow & 0xfff;
    this.#processor.code.setRipBase(ripLow, view.getUint32(ripOffset + 4, true), offset);
    const at = engine.cache.stepRecord(instruction, offset, this.#processor.code.mode);
    if (at === 0) return this.#evaluate(instruction, this.#translated);
    const enables =
      instruction.row.semantics.mnemonic === "STI" && (view.getUint32(flagsOffset, true) & IF) === 0;
    return this.#runStep(at, offset, enables);
  }

  /** Run a step's records; ripBase and RIP are those of the instruction. */
  #runStep(at: number, offset: number, enables: boolean): number {
    const { state, engine } = this.#processor;
    const { view } = state;
    this.#processor.memory.stepping = true;
    engine.module.run(at, 1);
    this.#processor.memory.stepping = false;
    this.#processor.memory.endInstruction();
    const kind = view.getUint32(exitKindOffset, true);
    engine.module.settle();
    switch (kind) {
      case ExitKind.fault: {
        const fault = this.#processor.memory.faultOf(at);
        this.#processor.code.setRipTo(offset);
        this.#processor.raise(fault);
        return 0;
      }
      case ExitKind.stepped:
        this.#processor.code.setRipTo(
          view.getUint16(view.getUint32(exitRecordOffset, true) + record.offset, true),
        );
        break;
      case ExitKind.shadow:
        view.setUint32(interruptibilityOffset, view.getUint32(interruptibilityOffset, true) | 1, true);
        break;
      case ExitKind.repeat:
        this.#processor.midRepeat = true;
        break;
    }
    if (enables && (view.getUint32(flagsOffset, true) & IF) !== 0 && kind === ExitKind.stepped)
      view.setUint32(interruptibilityOffset, view.getUint32(interruptibilityOffset, true) | 1, true);
    this.#processor.count(1);
    this.#processor.refresh();
    return 1;
  }
}
