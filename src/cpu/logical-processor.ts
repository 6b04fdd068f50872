import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import { AccessWord } from "../codegen/handler.ts";
import { fixedHandlers, InterpreterModule } from "../codegen/interpreter-module.ts";
import { ExitKind, maximumBlock, record } from "../codegen/record.ts";
import { decode } from "../isa/decode.ts";
import type { DecodeFault, DecodeIncomplete, Instruction } from "../isa/instruction.ts";
import { CpuState } from "../state/cpu-state.ts";
import { architecturalBytes, layout, offsetOf, segmentRegisters } from "../state/layout.ts";
import { CodeCache } from "./code-cache.ts";
import { type CodeMode, CodeModes } from "./code-mode.ts";
import {
  type Core,
  type CpuModel,
  Fault,
  type Invalidation,
  type LocalApicSocket,
  type PortSpace,
} from "./core.ts";
import {
  breakpointsEnabled,
  instructionBreakpoint,
  noteSingleStep,
  takePendingDebug,
} from "./debug-registers.ts";
import { evaluateInstruction } from "./evaluator.ts";
import { deliver, deliverFault } from "./exceptions.ts";
import { GuestMemory } from "./guest-memory.ts";
import { cpl, is64Bit, isCanonical } from "./mode.ts";
import { Access, type Translation, walk, walkLinear } from "./page-walk.ts";
import { procedures } from "./procedures.ts";
import { linearAddress } from "./segmentation.ts";
import { Monitor } from "./system.ts";
import { Tlb } from "./tlb.ts";
import { unitFault } from "./units.ts";

/** Which tier carries out instructions: translated handlers, or the evaluator. Neither is visible to the guest. */
export type Tier = "interpreter" | "evaluator";

/** What a logical processor needs from the machine around it. */
export interface ProcessorSockets {
  readonly ports: PortSpace;
  readonly apic: LocalApicSocket;
  readonly model: CpuModel;
  /** Virtual time-stamp counter, ticks since power-on, not counting instructions that the run in progress has not reported. */
  timeStamp(): bigint;
  random(): bigint;
  /** Called as instructions retire, so that virtual time is exact whenever a device or RDTSC looks. */
  retire(count: number): void;
  /** Virtual time passes without an instruction: an event is delivered. */
  elapse(ns: number): void;
  reportUnimplemented(what: string): void;
}

/** More code modes than any system uses; a guest that makes new ones without end starts over. */
const maximumModes = 4096;
/** Handlers, likewise: Debian's boot makes about two thousand. */
const maximumHandlers = 10_000;
/** Translated code counts its budget in a signed 32-bit number. */
const maximumBudget = 0x7fff_ffff;
const activityHlt = 1;

interface BounceWrite {
  readonly offset: number;
  readonly size: number;
  readonly first: number;
  readonly firstLength: number;
  readonly second: number;
}

/** Someone who looks on: debuggers, logs, tests. Costs nothing while nobody does. */
export interface Observer {
  /** An exception is about to be delivered; the state is what the instruction that raised it left. */
  exception?(fault: Fault, processor: LogicalProcessor): void;
}

/** What all logical processors of a machine share: memory, translated code, TLB. One of them runs at a time. */
export class ExecutionEngine {
  readonly guest: GuestMemory;
  module: InterpreterModule;
  readonly tlb: Tlb;
  cache: CodeCache;
  readonly modes = new CodeModes();
  /** The running processor's state: at offset 0 of linear memory. */
  readonly state: CpuState;
  current: LogicalProcessor | undefined;
  tier: Tier = "interpreter";
  observer: Observer | undefined;

  readonly #model: CpuModel;

  constructor(guest: GuestMemory, model: CpuModel) {
    this.guest = guest;
    this.#model = model;
    this.state = new CpuState(guest.memory.buffer, 0);
    this.tlb = new Tlb(guest.memory.buffer);
    this.module = this.#newModule();
    this.cache = this.#newCache();
  }

  #newModule(): InterpreterModule {
    return new InterpreterModule(this.guest.memory, {
      miss: (access) => this.current!.miss(access),
      checked: (word) => this.current!.checked(word),
      flush: () => this.current!.flushBounce(),
    });
  }

  #newCache(): CodeCache {
    return new CodeCache(this.guest, this.module, this.tlb, (feature) => this.#model.has(feature));
  }

  /** Some bound is reached: time to `tidy`. */
  get untidy(): boolean {
    return this.cache.full || this.modes.size > maximumModes || this.module.handlerCount > maximumHandlers;
  }

  /** Keep decoded code, modes and handlers within bounds, whatever the guest makes of them. Not while translated code runs. */
  tidy(): void {
    if (this.cache.full) this.cache.flush();
    if (this.modes.size > maximumModes) {
      this.cache.flush();
      this.modes.clear();
    }
    if (this.module.handlerCount > maximumHandlers) {
      this.module.settle();
      this.cache.flush();
      this.module = this.#newModule();
      this.cache = this.#newCache();
    }
  }
}

const slowAddressOffset = offsetOf("slowAddress");
const ripOffset = offsetOf("RIP");
const ripBaseOffset = offsetOf("ripBase");
const codeBaseOffset = offsetOf("codeBase");
const jumpKeyOffset = offsetOf("jumpKey");
const tlbKeyOffset = offsetOf("tlbKey");
const bounceOffset = offsetOf("bounce");
const bounceBytes = layout.get("bounce")!.size;
const exitKindOffset = offsetOf("exitKind");
const exitRecordOffset = offsetOf("exitRecord");
const exitBudgetOffset = offsetOf("exitBudget");
const flagsOffset = offsetOf("RFLAGS");
const csLimitOffset = offsetOf("CS.limit");
const retiredOffset = offsetOf("retired");
const interruptPendingOffset = offsetOf("interruptPending");
const interruptibilityOffset = offsetOf("interruptibility");
const pendingDebugOffset = offsetOf("pendingDebug");
const activityOffset = offsetOf("activity");
const TF = Number(RFLAGS.TF);
const IF = Number(RFLAGS.IF);
const RF = Number(RFLAGS.RF);

/** Instructions after which a set TF does not trap: they hand control to a handler that runs with TF clear. */
const clearsTf = new Set(["INT", "INT1", "INT3", "INTO", "SYSCALL"]);

export class LogicalProcessor implements Core {
  readonly index: number;
  readonly engine: ExecutionEngine;
  readonly physical: GuestMemory;
  readonly ports: PortSpace;
  readonly apic: LocalApicSocket;
  readonly model: CpuModel;
  readonly #sockets: ProcessorSockets;
  /** The state while another processor runs. */
  readonly #parked = new Uint8Array(architecturalBytes);
  #mode!: CodeMode;
  #missFault: Fault | undefined;
  #bounceUsed = 0;
  #bounceWrites: BounceWrite[] = [];
  /** Set to end `run` at the next instruction boundary. */
  stopRequested = false;
  /** NMI pin: latched until taken. */
  nmiPending = false;
  #stepping = false;
  /** Events delivered since they were last counted: each takes as long as an instruction, so that no loop of faults is endless. */
  #delivered = 0;
  /** The last instruction was a REP step that is to go on. */
  #midRepeat = false;
  /** The address of the access that `miss` refused was not canonical: the segment decides between #SS and #GP. */
  #missNonCanonical = false;
  readonly #fetchBytes = new Uint8Array(16);

  constructor(index: number, engine: ExecutionEngine, sockets: ProcessorSockets) {
    this.index = index;
    this.engine = engine;
    this.#sockets = sockets;
    this.physical = engine.guest;
    this.ports = sockets.ports;
    this.apic = sockets.apic;
    this.model = sockets.model;
  }

  /** The state: valid for reading and writing after `select`. */
  get state(): CpuState {
    return this.engine.state;
  }

  timeStamp(): bigint {
    return this.#sockets.timeStamp();
  }

  random(): bigint {
    return this.#sockets.random();
  }

  reportUnimplemented(what: string): void {
    this.#sockets.reportUnimplemented(what);
  }

  invalidate(what: Invalidation): void {
    this.engine.tlb.invalidate(what, this.index);
  }

  /** Make this the processor whose state is at offset 0. */
  select(): void {
    const { engine } = this;
    if (engine.current === this) return;
    engine.current?.park();
    engine.state.architectural().set(this.#parked);
    engine.current = this;
    this.#refresh();
  }

  /** Copy the state out, settled. */
  park(): void {
    this.engine.module.settle();
    this.#parked.set(this.engine.state.architectural());
  }

  /** Derive what translated code relies on from the architectural state. */
  #refresh(): void {
    const { state, engine } = this;
    this.#mode = engine.modes.current(state);
    engine.tlb.refresh(state, this.index, this.#mode.number);
    if (this.#mode.codeSize === 64) state.codeBase = 0n;
    else state.codeBase = state["CS.base"];
  }

  #count(instructions: number): void {
    const { view } = this.state;
    const low = view.getUint32(retiredOffset, true) + instructions;
    if (low > 0xffff_ffff)
      view.setUint32(retiredOffset + 4, view.getUint32(retiredOffset + 4, true) + 1, true);
    view.setUint32(retiredOffset, low >>> 0, true);
    this.#sockets.retire(instructions);
  }

  /** True when the processor would do something if run: it is active, or an event wakes it. */
  get runnable(): boolean {
    const { activity } = this.state;
    if (activity === 0) return true;
    if (activity !== activityHlt) return false;
    if (this.nmiPending || this.state.pendingDebug !== 0) return true;
    if (!this.apic.hasInterrupt()) return false;
    return this.#mayBreak || (this.state.view.getUint32(flagsOffset, true) & IF) !== 0;
  }

  /** MWAIT waits, and interrupts end that even with IF = 0. */
  get #mayBreak(): boolean {
    return (this.state["MONITOR.armed"] & Monitor.breakOnInterrupt) !== 0;
  }

  /** The line that MWAIT waits for a store to, live; undefined when it does not wait. */
  monitoredLine(): Uint8Array | undefined {
    const { state } = this;
    if (state.activity !== activityHlt || !(state["MONITOR.armed"] & Monitor.waiting)) return undefined;
    const translation = walkLinear(this, state["MONITOR.address"] & ~63n, Access.READ);
    const offset = translation instanceof Fault ? -1 : this.physical.offsetOf(translation.address);
    return offset < 0 ? undefined : this.physical.bytes.subarray(offset, offset + 64);
  }

  /** End a wait by MWAIT. */
  endMonitor(): void {
    this.state.activity = 0;
    this.state["MONITOR.armed"] = 0;
  }

  /**
   * Run for at most `budget` instructions. Returns when they have retired, the processor halts, shuts down or waits, or a
   * stop is requested; the number retired.
   */
  run(budget: number): number {
    const { state, engine } = this;
    const { view } = state;
    let left = budget;
    this.stopRequested = false;
    engine.tidy();
    const { module } = engine;
    this.#refresh();
    while (left > 0 && !this.stopRequested && !engine.untidy) {
      this.#boundary();
      if (this.#delivered > 0) {
        left -= this.#delivered;
        this.#sockets.elapse(this.#delivered);
        this.#delivered = 0;
        if (left <= 0) break;
      }
      this.#midRepeat = false;
      if (view.getUint32(activityOffset, true) !== 0) break;
      const flags = view.getUint32(flagsOffset, true);
      if (flags & RF && !breakpointsEnabled(state)) view.setUint32(flagsOffset, flags & ~RF, true);
      if (
        flags & TF ||
        view.getUint32(interruptibilityOffset, true) & 3 ||
        engine.tier === "evaluator" ||
        breakpointsEnabled(state)
      ) {
        left -= this.step();
        continue;
      }
      const start = this.#lookUp();
      if (start === 0) {
        left -= this.step();
        continue;
      }
      // Near the end of the budget, one straight line at a time, and no further than the budget reaches.
      const ending = left <= maximumBlock;
      if (ending) {
        let reach = left;
        while (reach > 0 && !engine.cache.stopAfter(start, reach)) reach--;
        if (reach === 0) {
          left -= this.step();
          continue;
        }
      }
      const given = ending ? 0 : Math.min(left - maximumBlock, maximumBudget);
      module.run(start, given);
      if (ending) engine.cache.endStop();
      if (this.#bounceUsed !== 0) this.#dropBounce();
      const at = view.getUint32(exitRecordOffset, true);
      let retired = given - view.getInt32(exitBudgetOffset, true);
      const kind = view.getUint32(exitKindOffset, true);
      switch (kind) {
        case ExitKind.budget:
        case ExitKind.dispatch:
        case ExitKind.attention:
          break;
        case ExitKind.repeat:
          this.#midRepeat = true;
          break;
        case ExitKind.shadow:
          view.setUint32(interruptibilityOffset, view.getUint32(interruptibilityOffset, true) | 1, true);
          break;
        case ExitKind.resolve:
          this.#resolve(at);
          break;
        default:
          this.#setRip(at);
          retired += view.getUint8(at + record.retired);
      }
      left -= retired;
      this.#count(retired);
      switch (kind) {
        case ExitKind.fault:
          this.#raise(this.#faultOf(at));
          break;
        case ExitKind.procedure: {
          const instruction = engine.cache.instruction(at);
          module.settle();
          left -= this.#procedure(instruction);
          break;
        }
        case ExitKind.step:
          left -= this.#stepAgain(at);
          break;
      }
    }
    module.settle();
    return budget - left;
  }

  /** RIP of a record, from the page it belongs to. */
  #setRip(at: number): void {
    const { view } = this.state;
    this.#setRipTo(view.getUint16(at + record.offset, true));
  }

  #setRipTo(pageOffset: number): void {
    const { view } = this.state;
    const sum = view.getUint32(ripBaseOffset, true) + pageOffset;
    view.setUint32(ripOffset, sum >>> 0, true);
    const carry = sum > 0xffff_ffff ? 1 : 0;
    view.setUint32(
      ripOffset + 4,
      this.#mode.codeSize === 64 ? (view.getUint32(ripBaseOffset + 4, true) + carry) >>> 0 : 0,
      true,
    );
  }

  /** A jump within its page meets code not decoded yet: decode it, and connect the two. */
  #resolve(at: number): void {
    const { engine } = this;
    this.#setRipTo(this.state.view.getInt32(at + record.immediate, true));
    if (engine.cache.full) return;
    const target = this.#lookUp();
    if (target !== 0) engine.cache.link(at, target);
  }

  /** The record of the code at CS:RIP, with ripBase set for it; 0 where only a single step can tell. */
  #lookUp(): number {
    const { state, engine } = this;
    const { view } = state;
    const mode = this.#mode;
    const ripLow = view.getUint32(ripOffset, true);
    const ripHigh = view.getUint32(ripOffset + 4, true);
    let low = ripLow;
    let high = ripHigh;
    if (mode.codeSize !== 64) {
      low = (ripLow + view.getUint32(codeBaseOffset, true)) >>> 0;
      high = 0;
    }
    const offset = low & 0xfff;
    const jumpKey = view.getUint32(jumpKeyOffset, true);
    let found = engine.tlb.findJump(low, high, jumpKey);
    if (found === 0 || view.getUint32(found + record.handler, true) === fixedHandlers.stale) {
      // Beyond the limit nothing is fetched, so no page walk sets accessed flags.
      if (mode.codeSize !== 64 && ripLow > view.getUint32(csLimitOffset, true)) return 0;
      const page = this.#pageOfCode(low, high);
      if (page < 0) return 0;
      found = engine.cache.find(page, offset, ripLow, view.getUint32(csLimitOffset, true), mode);
      if (mode.flatCode) engine.tlb.enterJump(low, high, jumpKey, found, this.#globalCode);
    }
    this.#setRipBase(ripLow, ripHigh, offset);
    return found;
  }

  #setRipBase(ripLow: number, ripHigh: number, offset: number): void {
    const { view } = this.state;
    const low = ripLow - offset;
    view.setUint32(ripBaseOffset, low >>> 0, true);
    view.setUint32(ripBaseOffset + 4, low < 0 ? ripHigh - 1 : ripHigh, true);
  }

  /** Is the page that `#pageOfCode` found last global? */
  #globalCode = false;

  /** Memory offset of the code page at a linear address; -1 where fetching it faults or it is not in memory. */
  #pageOfCode(low: number, high: number): number {
    const { state } = this;
    if (this.#mode.codeSize === 64 && !isCanonicalHigh(high, this.model.linearAddressBits)) return -1;
    const translation = walk(this, high, low, Access.FETCH | (cpl(state) === 3 ? Access.USER : 0));
    if (translation instanceof Fault) return -1;
    this.#globalCode = translation.global;
    return this.engine.guest.offsetOf(translation.frame);
  }

  /** The exception that a record's handler met. */
  #faultOf(at: number): Fault {
    const fault = this.#missFault ?? this.#exitFault();
    if (!this.#missNonCanonical) return fault;
    this.#missNonCanonical = false;
    const throughStack = this.state.view.getUint8(at + record.segment) === segmentRegisters.indexOf("SS");
    return throughStack ? new Fault(Exception.SS, 0) : fault;
  }

  /** The exception a handler raised by itself. */
  #exitFault(): Fault {
    const { state } = this;
    const code = state.view.getInt32(offsetOf("exitErrorCode"), true);
    return new Fault(state.exitVector, code < 0 ? undefined : code);
  }

  #raise(fault: Fault): void {
    this.#missFault = undefined;
    this.#delivered++;
    this.engine.observer?.exception?.(fault, this);
    this.engine.module.settle();
    deliverFault(this, fault);
    this.#refresh();
  }

  /** Events between two instructions, by priority (SDM Vol. 3, "Priority Among Concurrent Events"). */
  #boundary(): void {
    const { state } = this;
    const { view } = state;
    const blocking = view.getUint32(interruptibilityOffset, true);
    if (view.getUint32(pendingDebugOffset, true) !== 0) {
      const trap = takePendingDebug(state);
      if (trap) this.#raise(trap);
    }
    if (this.nmiPending && (blocking & 0xb) === 0) {
      this.nmiPending = false;
      this.engine.module.settle();
      deliver(this, { type: "NMI", vector: Exception.NMI, midRepeat: this.#midRepeat });
      this.#refresh();
    }
    const pending = this.apic.hasInterrupt();
    view.setUint32(interruptPendingOffset, pending || this.nmiPending ? 1 : 0, true);
    if (pending && this.#mayBreak) this.endMonitor();
    if (!pending || (view.getUint32(flagsOffset, true) & IF) === 0 || (blocking & 3) !== 0) return;
    const activity = view.getUint32(activityOffset, true);
    if (activity > activityHlt) return;
    this.engine.module.settle();
    deliver(this, {
      type: "external interrupt",
      vector: this.apic.acknowledge(),
      midRepeat: this.#midRepeat,
    });
    this.#refresh();
    view.setUint32(interruptPendingOffset, this.apic.hasInterrupt() || this.nmiPending ? 1 : 0, true);
  }

  /** Fetch and decode the instruction at CS:RIP, across pages if need be. */
  fetch(): Instruction | Fault {
    const { state } = this;
    const mode = this.#mode;
    const long = mode.codeSize === 64;
    const rip = state.RIP;
    const limit = long ? 15 : Math.min(15, state["CS.limit"] - Number(rip) + 1);
    if (limit <= 0 || (long && !isCanonical(rip, this.model.linearAddressBits)))
      return new Fault(Exception.GP, 0);
    const bytes = this.#fetchBytes;
    let have = 0;
    for (;;) {
      const linear = long
        ? BigInt.asUintN(64, rip + BigInt(have))
        : (rip + state["CS.base"] + BigInt(have)) & 0xffff_ffffn;
      if (long && !isCanonical(linear, this.model.linearAddressBits)) return new Fault(Exception.GP, 0);
      const translation: Translation | Fault = walk(
        this,
        Number(linear >> 32n),
        Number(linear & 0xffff_ffffn),
        Access.FETCH | (cpl(state) === 3 ? Access.USER : 0),
      );
      if (translation instanceof Fault) return translation;
      const { address } = translation;
      const count = Math.min(limit - have, 4096 - (address % 4096));
      for (let n = 0; n < count; n++) bytes[have + n] = this.physical.read(address + n, 1);
      have += count;
      const decoded: Instruction | DecodeFault | DecodeIncomplete = decode(bytes, 0, have, mode, (feature) =>
        this.model.has(feature),
      );
      if ("row" in decoded) return decoded;
      if (decoded.kind === "fault")
        return decoded.vector === Exception.UD ? new Fault(Exception.UD) : new Fault(Exception.GP, 0);
      if (have >= limit) return new Fault(Exception.GP, 0);
    }
  }

  /** Carry out one instruction; how many retired (0 or 1). */
  step(): number {
    const { state, engine } = this;
    engine.module.settle();
    this.#refresh();
    const before = state.view.getUint32(flagsOffset, true);
    const rip = state.RIP;
    const linear = this.#mode.codeSize === 64 ? rip : (rip + state.codeBase) & 0xffff_ffffn;
    const breakpoint = instructionBreakpoint(state, linear);
    if (breakpoint) {
      this.#raise(breakpoint);
      return 0;
    }
    const instruction = this.fetch();
    if (instruction instanceof Fault) {
      this.#raise(instruction);
      return 0;
    }
    state.view.setUint32(
      interruptibilityOffset,
      state.view.getUint32(interruptibilityOffset, true) & ~3,
      true,
    );
    const { row } = instruction;
    let retired: number;
    if (row.protectedOnly && this.#mode.realLike) {
      this.#raise(new Fault(Exception.UD));
      return 0;
    }
    const blocked = unitFault(state, row);
    if (blocked) {
      this.#raise(blocked);
      return 0;
    }
    if (row.semantics.build === undefined) retired = this.#procedure(instruction);
    else if (engine.tier === "evaluator" || breakpointsEnabled(state)) {
      const fault = evaluateInstruction(this, instruction);
      if (fault) {
        this.#raise(fault);
        return 0;
      }
      retired = 1;
      this.#midRepeat = isUnfinished(instruction, rip, state.RIP);
      this.#count(1);
      this.#refresh();
    } else retired = this.#stepTranslated(instruction);
    if (retired === 0) return 0;
    const { view } = state;
    if (before & RF) {
      const restores = row.semantics.mnemonic.startsWith("IRET");
      if (!restores) view.setUint32(flagsOffset, view.getUint32(flagsOffset, true) & ~RF, true);
    }
    if (before & TF && !clearsTf.has(row.semantics.mnemonic)) {
      const next = BigInt.asUintN(64, rip + BigInt(instruction.length));
      noteSingleStep(state, state.RIP !== next);
    }
    return retired;
  }

  /** Carry out the instruction of a record that met a device, without looking at its bytes again. */
  #stepAgain(at: number): number {
    const step = this.engine.cache.repeatedStep(at, this.#mode);
    if (step === 0) return this.step();
    return this.#runStep(step, this.state.view.getUint16(at + record.offset, true), false);
  }

  #stepTranslated(instruction: Instruction): number {
    const { state, engine } = this;
    const { view } = state;
    const ripLow = view.getUint32(ripOffset, true);
    const linearLow =
      this.#mode.codeSize === 64 ? ripLow : (ripLow + view.getUint32(codeBaseOffset, true)) >>> 0;
    const offset = linearLow & 0xfff;
    this.#setRipBase(ripLow, view.getUint32(ripOffset + 4, true), offset);
    const at = engine.cache.stepRecord(instruction, offset, this.#mode);
    const enables =
      instruction.row.semantics.mnemonic === "STI" && (view.getUint32(flagsOffset, true) & IF) === 0;
    return this.#runStep(at, offset, enables);
  }

  /** Run a step's records; ripBase and RIP are those of the instruction. */
  #runStep(at: number, offset: number, enables: boolean): number {
    const { state, engine } = this;
    const { view } = state;
    this.#stepping = true;
    engine.module.run(at, 1);
    this.#stepping = false;
    if (this.#bounceUsed !== 0) this.#dropBounce();
    const kind = view.getUint32(exitKindOffset, true);
    engine.module.settle();
    switch (kind) {
      case ExitKind.fault: {
        const fault = this.#faultOf(at);
        this.#setRipTo(offset);
        this.#raise(fault);
        return 0;
      }
      case ExitKind.stepped:
        this.#setRipTo(view.getUint16(view.getUint32(exitRecordOffset, true) + record.offset, true));
        break;
      case ExitKind.shadow:
        view.setUint32(interruptibilityOffset, view.getUint32(interruptibilityOffset, true) | 1, true);
        break;
      case ExitKind.repeat:
        this.#midRepeat = true;
        break;
    }
    if (enables && (view.getUint32(flagsOffset, true) & IF) !== 0 && kind === ExitKind.stepped)
      view.setUint32(interruptibilityOffset, view.getUint32(interruptibilityOffset, true) | 1, true);
    this.#count(1);
    this.#refresh();
    return 1;
  }

  /** Run a procedure; flags are settled and RIP is the instruction's own. */
  #procedure(instruction: Instruction): number {
    const { state } = this;
    const blocked = instruction.row.unit === undefined ? undefined : unitFault(state, instruction.row);
    const run = procedures.get(instruction.row.semantics.mnemonic);
    if (run === undefined) throw new Error(`no procedure ${instruction.row.semantics.mnemonic}`);
    const rip = state.RIP;
    const fault = blocked ?? run(this, instruction);
    if (fault) {
      this.#raise(fault);
      return 0;
    }
    this.#midRepeat = isUnfinished(instruction, rip, state.RIP);
    this.#count(1);
    this.#refresh();
    return 1;
  }

  // ---- the slow paths of translated code ------------------------------------------------------------------------

  /** RuntimeCalls.miss */
  miss(access: number): number {
    const { state, engine } = this;
    const { view } = state;
    const low = view.getUint32(slowAddressOffset, true);
    const high = view.getUint32(slowAddressOffset + 4, true);
    const size = access & AccessWord.size;
    const write = (access & AccessWord.write) !== 0;
    const inPage = low & 0xfff;
    const long = this.#mode.codeSize === 64;
    if (long) {
      const lastLow = low + size - 1;
      if (
        !isCanonicalHigh(high, this.model.linearAddressBits) ||
        (lastLow > 0xffff_ffff && !isCanonicalHigh((high + 1) >>> 0, this.model.linearAddressBits))
      ) {
        this.#missNonCanonical = (access & AccessWord.stack) === 0;
        return this.#refuse(new Fault(access & AccessWord.stack ? Exception.SS : Exception.GP, 0));
      }
    }
    const kind = (write ? Access.WRITE : Access.READ) | (cpl(state) === 3 ? Access.USER : 0);
    const translation = walk(this, high, low, kind);
    if (translation instanceof Fault) return this.#refuse(translation);
    const { frame, address, mayRead, mayWrite, pageSize, global } = translation;
    const offset = engine.guest.offsetOf(frame);
    if (inPage + size <= 4096) {
      if (offset < 0) return this.#device(address, size, access);
      const code = engine.guest.codePages[GuestMemory.pageOf(offset)] !== 0;
      if (write) {
        if (!engine.guest.isWritable(address)) return this.#bounce(address, size, size, 0, access);
        if (code) engine.guest.onCodeWrite(offset + inPage, size);
      }
      const stillCode = engine.guest.codePages[GuestMemory.pageOf(offset)] !== 0;
      engine.tlb.fill(
        low,
        high,
        view.getUint32(tlbKeyOffset, true),
        mayRead,
        mayWrite && !stillCode && engine.guest.isWritable(address),
        offset,
        pageSize,
        global,
      );
      return offset + inPage;
    }
    const firstLength = 4096 - inPage;
    let nextLow = low + firstLength;
    let nextHigh = high;
    if (nextLow > 0xffff_ffff) {
      nextLow = 0;
      nextHigh = long ? (high + 1) >>> 0 : 0;
    }
    const second = walk(this, nextHigh, nextLow, kind);
    if (second instanceof Fault) return this.#refuse(second);
    if (!this.#stepping && (offset < 0 || !engine.guest.isRam(second.address))) return this.#needStep();
    return this.#bounce(address, size, firstLength, second.address, access);
  }

  #refuse(fault: Fault): 0 {
    this.#missFault = fault;
    this.state.exitKind = ExitKind.fault;
    return 0;
  }

  #needStep(): 0 {
    this.state.exitKind = ExitKind.step;
    return 0;
  }

  #device(address: number, size: number, access: number): number {
    return this.#stepping ? this.#bounce(address, size, size, 0, access) : this.#needStep();
  }

  /** Gather an access that cannot be made in place; a write is carried out by `flushBounce`. */
  #bounce(first: number, size: number, firstLength: number, second: number, access: number): number {
    const offset = bounceOffset + this.#bounceUsed;
    this.#bounceUsed = (this.#bounceUsed + 64) % bounceBytes;
    const { bytes, view } = this.engine.guest;
    const write = (access & AccessWord.write) !== 0;
    if (write && !(access & AccessWord.modify)) {
      // Nothing is read: a device register may care.
    } else if (firstLength === size) {
      if (size <= 4) {
        const value = this.physical.read(first, size as 1 | 2 | 4);
        if (size === 1) bytes[offset] = value;
        else if (size === 2) view.setUint16(offset, value, true);
        else view.setUint32(offset, value, true);
      } else
        for (let at = 0; at < size; at += 4)
          view.setUint32(offset + at, this.physical.read(first + at, 4), true);
    } else
      for (let n = 0; n < size; n++)
        bytes[offset + n] = this.physical.read(n < firstLength ? first + n : second + n - firstLength, 1);
    if (write) this.#bounceWrites.push({ offset, size, first, firstLength, second });
    return offset;
  }

  flushBounce(): void {
    const { bytes, view } = this.engine.guest;
    for (const { offset, size, first, firstLength, second } of this.#bounceWrites) {
      if (firstLength === size) {
        if (size === 1) this.physical.write(first, bytes[offset]!, 1);
        else if (size === 2) this.physical.write(first, view.getUint16(offset, true), 2);
        else
          for (let at = 0; at < size; at += 4)
            this.physical.write(first + at, view.getUint32(offset + at, true), 4);
      } else
        for (let n = 0; n < size; n++)
          this.physical.write(n < firstLength ? first + n : second + n - firstLength, bytes[offset + n]!, 1);
    }
    this.#dropBounce();
  }

  #dropBounce(): void {
    if (this.#bounceWrites.length > 0) this.#bounceWrites.length = 0;
    this.#bounceUsed = 0;
  }

  /** RuntimeCalls.checked */
  checked(word: number): number {
    const { state } = this;
    const segment = segmentRegisters[word & 0xff]!;
    const access = word >>> 8;
    const kind = (access & 0x100 ? Access.WRITE : Access.READ) | (cpl(state) === 3 ? Access.USER : 0);
    const linear = linearAddress(this, segment, state.slowAddress, access & 0xff, kind);
    if (linear instanceof Fault) {
      this.#refuse(linear);
      return 0;
    }
    state.slowAddress = linear;
    return 1;
  }

  /** Is the processor in 64-bit mode? For reports. */
  get long(): boolean {
    return is64Bit(this.state);
  }
}

/** A REP instruction that has made a step and goes on. */
const isUnfinished = ({ row, rep }: Instruction, before: bigint, after: bigint): boolean =>
  row.repeat !== undefined && rep !== "none" && before === after;

/** Is an address with this high half canonical? Its low half has no say: linear addresses have more than 32 bits. */
const isCanonicalHigh = (high: number, bits: number): boolean => {
  // bits 63 ... bits-1 all equal; bits is 48 or 57
  const top = (high | 0) >> (bits - 33);
  return top === 0 || top === -1;
};
