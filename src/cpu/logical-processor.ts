import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import { fixedHandlers } from "../codegen/interpreter-module.ts";
import { ExitKind, maximumBlock, record } from "../codegen/record.ts";
import type { Instruction } from "../isa/instruction.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { architecturalBytes, offsetOf } from "../state/layout.ts";
import { CodeEntry } from "./code-entry.ts";
import {
  type Core,
  type CpuModel,
  Fault,
  type Invalidation,
  type LocalApicSocket,
  type PortSpace,
} from "./core.ts";
import { breakpointsEnabled } from "./debug-registers.ts";
import { lookAtEvents, mayBreakWait } from "./event-boundary.ts";
import { deliverFault } from "./exceptions.ts";
import type { ExecutionEngine, RunningProcessor } from "./execution-engine.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { MemorySlowPath } from "./memory-slow-path.ts";
import { is64Bit } from "./mode.ts";
import { Access, walkLinear } from "./page-walk.ts";
import { procedureTable } from "./procedure-table.ts";
import { type Procedure, procedures } from "./procedures.ts";
import type { ProcessorSockets } from "./processor-sockets.ts";
import { signalWakes } from "./signals.ts";
import { isUnfinished, SingleSteps } from "./single-step.ts";
import { Monitor } from "./system.ts";
import { TranslationCache } from "./translation-cache.ts";
import { unitFault } from "./units.ts";
import { VmExit, type VmxSocket } from "./vmx-socket.ts";

/** So often it is looked at where translated code is, to find what is hot. */
const samplePeriod = 16_384;
const activityHlt = 1;

const ripOffset = offsetOf("RIP");
const rcxOffset = offsetOf("RCX");
const codeBaseOffset = offsetOf("codeBase");
const codeSegmentOffset = offsetOf("CS.base");
const exitKindOffset = offsetOf("exitKind");
const exitRecordOffset = offsetOf("exitRecord");
const exitBudgetOffset = offsetOf("exitBudget");
const flagsOffset = offsetOf("RFLAGS");
const lazyFlagsOffset = offsetOf("lazyFlags");
const retiredOffset = offsetOf("retired");
const interruptibilityOffset = offsetOf("interruptibility");
const pendingDebugOffset = offsetOf("pendingDebug");
const activityOffset = offsetOf("activity");
const timeStampOffsetOffset = offsetOf("tscOffset");
const TF = Number(RFLAGS.TF);
const IF = Number(RFLAGS.IF);
const RF = Number(RFLAGS.RF);

export class LogicalProcessor implements Core, RunningProcessor {
  readonly index: number;
  readonly engine: ExecutionEngine;
  /** The state: valid for reading and writing after `select`. */
  readonly state: CpuState;
  readonly physical: GuestMemory;
  readonly ports: PortSpace;
  readonly apic: LocalApicSocket;
  readonly model: CpuModel;
  /** VT-x; plugged in by the machine where the model has VMX. */
  vmx: VmxSocket | undefined;
  /** The slow paths of translated code. */
  readonly memory: MemorySlowPath;
  readonly translations = new TranslationCache();
  readonly code: CodeEntry;
  readonly #steps: SingleSteps;
  /** The record after an evaluated one, where nothing has happened since; else 0. */
  resume = 0;
  readonly #sockets: ProcessorSockets;
  /** The record after a quiet procedure: it is run with no look at events. Else 0. */
  #following = 0;
  /** The state while another processor runs. */
  readonly #parked = new Uint8Array(architecturalBytes);
  /** Set to end `run` at the next instruction boundary. */
  stopRequested = false;
  /** NMI pin: latched until taken. */
  nmiPending = false;
  /** INIT and start-up IPIs: latched until taken. */
  initPending = false;
  sipiVector: number | undefined = undefined;
  /** Events delivered since they were last counted: each takes as long as an instruction, so that no loop of faults is endless. */
  delivered = 0;
  /** Instructions of translated code until it is looked at where it is. */
  #untilSample = samplePeriod;
  /** The last instruction was a REP step that is to go on. */
  midRepeat = false;

  constructor(index: number, engine: ExecutionEngine, sockets: ProcessorSockets) {
    this.index = index;
    this.engine = engine;
    this.state = engine.state;
    this.#sockets = sockets;
    this.physical = engine.guest;
    this.ports = sockets.ports;
    this.apic = sockets.apic;
    this.model = sockets.model;
    this.memory = new MemorySlowPath(this, engine.guest, engine.tlb);
    this.code = new CodeEntry(this, engine);
    this.#steps = new SingleSteps(this);
  }

  clockNs(): number {
    return this.#sockets.clockNs();
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
    this.translations.clear();
    this.code.forgetPage();
    this.engine.tlb.invalidate(what, this.index, what.worlds ?? this.vmx?.sharesVpid);
  }

  /** Make this the processor whose state is at offset 0. */
  select(): void {
    const { engine } = this;
    if (engine.current === this) return;
    engine.current?.park();
    engine.state.architectural().set(this.#parked);
    engine.current = this;
    this.refresh();
  }

  /** What is added to virtual time to give the TSC, also while another processor runs. */
  get timeStampOffset(): bigint {
    if (this.engine.current === this) return this.state.tscOffset;
    return new DataView(this.#parked.buffer).getBigUint64(timeStampOffsetOffset, true);
  }

  /** Copy the state out, settled. */
  park(): void {
    this.engine.module.settle();
    this.#parked.set(this.engine.state.architectural());
  }

  /** Derive what translated code relies on from the architectural state. */
  refresh(): void {
    const { state, engine } = this;
    this.resume = 0;
    this.code.mode = engine.modes.current(state);
    const { vmx } = this;
    engine.tlb.refresh(state, this.index, this.code.mode.number, vmx === undefined ? 0 : vmx.world);
    this.code.noteBreakpoints();
    this.memory.long = this.code.mode.codeSize === 64;
    const { view } = state;
    const { long } = this.memory;
    view.setUint32(codeBaseOffset, long ? 0 : view.getUint32(codeSegmentOffset, true), true);
    view.setUint32(codeBaseOffset + 4, long ? 0 : view.getUint32(codeSegmentOffset + 4, true), true);
  }

  count(instructions: number): void {
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
    if (this.vmx?.nonRoot) return this.vmx.wakes;
    if (signalWakes(this)) return true;
    if (activity !== activityHlt) return false;
    if (this.nmiPending || this.state.pendingDebug !== 0) return true;
    if (!this.apic.hasInterrupt()) return false;
    return mayBreakWait(this.state) || (this.state.view.getUint32(flagsOffset, true) & IF) !== 0;
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
    const sampling = engine.tier === "jit";
    this.stopRequested = false;
    this.#following = 0;
    engine.tidy();
    const { module } = engine;
    this.refresh();
    while (left > 0 && !this.stopRequested) {
      let start = this.#following;
      let resume = 0;
      this.#following = 0;
      if (start === 0) {
        if (engine.untidy) break;
        lookAtEvents(this);
        if (this.delivered > 0) {
          left -= this.delivered;
          this.#sockets.elapse(this.delivered);
          this.delivered = 0;
          // A VM exit may have been what an observer wants to stop at.
          if (left <= 0 || this.stopRequested) break;
        }
        this.midRepeat = false;
        if (view.getUint32(activityOffset, true) !== 0) break;
        const flags = view.getUint32(flagsOffset, true);
        if (breakpointsEnabled(state) && this.code.isBreakpointPage()) {
          left -= this.#steps.step();
          continue;
        }
        if (flags & RF) view.setUint32(flagsOffset, flags & ~RF, true);
        if (flags & TF || view.getUint32(interruptibilityOffset, true) & 3 || engine.tier === "evaluator") {
          left -= this.#steps.step();
          continue;
        }
        resume = this.resume;
        this.resume = 0;
        start = resume === 0 ? this.code.lookUp() : resume;
        if (start === 0) {
          left -= this.#steps.step();
          continue;
        }
      }
      // Before a stop is put among the records: what is translated now must not take it for theirs.
      if (sampling && resume === 0 && (this.#untilSample === samplePeriod || engine.eager))
        engine.cache.hot.sample(start);
      // The preemption timer of a guest ends a run as the budget does.
      const allowed = this.vmx?.nonRoot ? Math.min(left, this.vmx.instructionsAllowed()) : left;
      // Near the end of the budget, one straight line at a time, and no further than the budget reaches.
      const ending = allowed <= maximumBlock;
      if (ending) {
        let reach = allowed;
        while (reach > 0 && !engine.cache.stopAfter(start, reach)) reach--;
        if (reach === 0) {
          left -= this.#steps.step();
          continue;
        }
      }
      const given = ending ? 0 : Math.min(allowed - maximumBlock, this.#untilSample);
      // Within a block, its first instructions are not counted again.
      module.run(start, resume === 0 ? given : given + view.getUint8(resume + record.retired));
      if (ending) engine.cache.endStop();
      this.memory.endInstruction();
      const at = view.getUint32(exitRecordOffset, true);
      let retired = given - view.getInt32(exitBudgetOffset, true);
      const kind = view.getUint32(exitKindOffset, true);
      switch (kind) {
        case ExitKind.budget:
        case ExitKind.dispatch:
        case ExitKind.attention:
          break;
        case ExitKind.repeat:
          this.midRepeat = true;
          break;
        case ExitKind.shadow:
          view.setUint32(interruptibilityOffset, view.getUint32(interruptibilityOffset, true) | 1, true);
          break;
        case ExitKind.resolve:
          this.code.resolve(at);
          break;
        default:
          this.code.setRip(at);
          retired += view.getUint8(at + record.retired);
      }
      left -= retired;
      this.#untilSample = retired < this.#untilSample ? this.#untilSample - retired : samplePeriod;
      this.count(retired);
      if (engine.onExit !== undefined && retired > 0) engine.onExit(budget - left);
      switch (kind) {
        case ExitKind.fault:
          this.raise(this.memory.faultOf(at));
          break;
        case ExitKind.procedure:
          left -= this.#procedureOf(at);
          break;
        case ExitKind.unusual: {
          const instruction = engine.cache.unusual(at);
          this.settle();
          left -= this.procedure(instruction, procedures.get(instruction.row.semantics.mnemonic)!);
          break;
        }
        case ExitKind.step:
          left -= this.#steps.again(at);
          break;
        case ExitKind.refused: {
          const vector = view.getInt32(at + record.displacement, true);
          this.raise(vector === Exception.UD ? new Fault(Exception.UD) : new Fault(vector, 0));
          break;
        }
        case ExitKind.undecided:
          module.settle();
          this.refresh();
          left -= this.#steps.carryOut(engine.cache.instruction(at));
          break;
        case ExitKind.cold:
          left -= this.#steps.cold(at);
          break;
      }
    }
    module.settle();
    return budget - left;
  }

  /** RFLAGS holds the status flags. */
  settle(): void {
    if (this.state.view.getUint32(lazyFlagsOffset, true) !== 0) this.engine.module.settle();
  }

  raise(fault: Fault): void {
    this.delivered++;
    if (!(fault instanceof VmExit)) this.engine.observer?.exception?.(fault, this);
    this.settle();
    deliverFault(this, fault);
    this.refresh();
  }

  /** Run the procedure of a record; RIP is the instruction's own. After a quiet one `#following` is set. */
  #procedureOf(at: number): number {
    const { view } = this.state;
    const entry = procedureTable[view.getUint16(at + record.procedure, true)]!;
    const { mode } = this.code;
    const instruction = this.engine.cache.instruction(at);
    if (entry.settles) this.settle();
    if (!entry.quiet || this.vmx?.nonRoot) {
      this.settle();
      return this.procedure(instruction, entry.run);
    }
    const index = view.getUint32(rcxOffset, true);
    const { row } = instruction;
    const fault =
      (row.unit === undefined ? undefined : unitFault(this.state, row)) ?? entry.run(this, instruction);
    if (fault) {
      this.raise(fault);
      return 0;
    }
    this.count(1);
    if (
      view.getUint32(pendingDebugOffset, true) !== 0 ||
      (entry.stayed !== undefined && !entry.stayed(this, index)) ||
      ((entry.remodes || mode.codeSize !== 64) && this.engine.modes.current(this.state) !== mode)
    ) {
      this.refresh();
      return 1;
    }
    const known = view.getUint32(at + record.successor, true);
    this.#following =
      known !== 0 && view.getUint32(known + record.handler, true) !== fixedHandlers.stale
        ? known
        : this.#successorOf(at);
    return 1;
  }

  /** The record of the code at CS:RIP, remembered as what follows the procedure at `at`; 0 where that is not to be had now. */
  #successorOf(at: number): number {
    const { engine } = this;
    if (engine.untidy) return 0;
    const found = this.code.lookUp();
    if (found !== 0) engine.cache.succeed(at, found);
    return found;
  }

  /** Run a procedure; flags are settled and RIP is the instruction's own. */
  procedure(instruction: Instruction, run: Procedure): number {
    const { state } = this;
    const blocked = instruction.row.unit === undefined ? undefined : unitFault(state, instruction.row);
    const rip = state.view.getUint32(ripOffset, true);
    const fault = blocked ?? run(this, instruction);
    if (fault) {
      this.raise(fault);
      return 0;
    }
    this.midRepeat = isUnfinished(instruction, rip, state.view.getUint32(ripOffset, true));
    this.count(1);
    this.refresh();
    return 1;
  }

  /** Carry out one instruction; how many retired (0 or 1). */
  step(): number {
    return this.#steps.step();
  }

  /** Fetch and decode the instruction at CS:RIP. */
  fetch(): Instruction | Fault {
    return this.#steps.fetch();
  }

  /** Is the processor in 64-bit mode? For reports. */
  get long(): boolean {
    return is64Bit(this.state);
  }
}
