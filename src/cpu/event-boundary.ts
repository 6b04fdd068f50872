import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";
import type { Core, Fault } from "./core.ts";
import { takePendingDebug } from "./debug-registers.ts";
import { deliver } from "./exceptions.ts";
import type { ExecutionEngine } from "./execution-engine.ts";
import { activityWaitForSipi } from "./reset.ts";
import { hasSignal, takeSignals } from "./signals.ts";
import { Monitor } from "./system.ts";

/** The processor as the boundary between two instructions needs it. */
export interface EventedProcessor extends Core {
  readonly engine: ExecutionEngine;
  midRepeat: boolean;
  /** Events delivered since they were last counted. */
  delivered: number;
  /** RFLAGS holds the status flags. */
  settle(): void;
  raise(fault: Fault): void;
  /** Derive what translated code relies on from the architectural state. */
  refresh(): void;
  endMonitor(): void;
}

const activityHlt = 1;
const flagsOffset = offsetOf("RFLAGS");
const interruptPendingOffset = offsetOf("interruptPending");
const interruptibilityOffset = offsetOf("interruptibility");
const pendingDebugOffset = offsetOf("pendingDebug");
const activityOffset = offsetOf("activity");
const monitorOffset = offsetOf("MONITOR.armed");
const IF = Number(RFLAGS.IF);

/** MWAIT waits, and interrupts end that even with IF = 0. */
export const mayBreakWait = ({ view }: CpuState): boolean =>
  (view.getUint32(monitorOffset, true) & Monitor.breakOnInterrupt) !== 0;

/** Events between two instructions, by priority (SDM Vol. 3, "Priority Among Concurrent Events"). */
export const lookAtEvents = (processor: EventedProcessor): void => {
  const { state, vmx } = processor;
  const { view } = state;
  let guest = vmx?.nonRoot ? vmx : undefined;
  if (guest) {
    // A VM exit saves the flags, and the host must not get them.
    processor.settle();
    if (guest.boundaryBeforeTraps()) {
      afterVmExit(processor);
      return;
    }
  } else if (hasSignal(processor)) {
    processor.settle();
    takeSignals(processor);
    processor.refresh();
  }
  const blocking = view.getUint32(interruptibilityOffset, true);
  if (view.getUint32(pendingDebugOffset, true) !== 0) {
    const trap = takePendingDebug(state);
    if (trap) processor.raise(trap);
    guest = vmx?.nonRoot ? vmx : undefined;
  }
  if (guest?.boundaryBeforeNmi()) {
    afterVmExit(processor);
    return;
  }
  if (
    processor.nmiPending &&
    (blocking & 0xb) === 0 &&
    view.getUint32(activityOffset, true) !== activityWaitForSipi &&
    !guest?.virtualNmis
  ) {
    processor.nmiPending = false;
    processor.engine.module.settle();
    deliver(processor, { type: "NMI", vector: Exception.NMI, midRepeat: processor.midRepeat });
    processor.refresh();
    guest = vmx?.nonRoot ? vmx : undefined;
  }
  let wanting = false;
  if (guest) {
    if (guest.boundaryBeforeInterrupts()) {
      afterVmExit(processor);
      return;
    }
    wanting = guest.wantsInterruptibility;
  }
  const pending = processor.apic.hasInterrupt() && !guest?.externalInterruptExiting;
  view.setUint32(interruptPendingOffset, pending || wanting || processor.nmiPending ? 1 : 0, true);
  if (pending && mayBreakWait(state)) processor.endMonitor();
  if (!pending || (view.getUint32(flagsOffset, true) & IF) === 0 || (blocking & 3) !== 0) return;
  const activity = view.getUint32(activityOffset, true);
  if (activity > activityHlt) return;
  processor.engine.module.settle();
  deliver(processor, {
    type: "external interrupt",
    vector: processor.apic.acknowledge(),
    midRepeat: processor.midRepeat,
  });
  processor.refresh();
  view.setUint32(
    interruptPendingOffset,
    processor.apic.hasInterrupt() || processor.nmiPending || wanting ? 1 : 0,
    true,
  );
};

/** The events that wait now belong to the host, or follow the one that was just delivered. */
const afterVmExit = (processor: EventedProcessor): void => {
  processor.delivered++;
  processor.midRepeat = false;
  processor.refresh();
  lookAtEvents(processor);
};
