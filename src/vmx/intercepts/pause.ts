import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { cpl } from "../../cpu/mode.ts";
import { VmExit } from "../../cpu/vmx-socket.ts";
import { fieldOffset } from "../vmcs.ts";
import type { VmxProcessor } from "../vmx-processor.ts";
import { controlIsSet, type Intercept } from "./intercept.ts";

/** PAUSE: "PAUSE exiting", and "PAUSE-loop exiting" at CPL 0 (SDM Vol. 3, "Instructions That Cause VM Exits Conditionally"). */

const pauseExiting = controlIsSet("pauseExiting");
const pauseLoopExiting = controlIsSet("pauseLoopExiting");
const pleGap = fieldOffset("control.pleGap");
const pleWindow = fieldOffset("control.pleWindow");

/** Might a PAUSE of this guest exit? */
export const watchesPause = (vmx: VmxProcessor): boolean => pauseExiting(vmx) || pauseLoopExiting(vmx);

const spins = ({ core, vmcs, pauseLoop }: VmxProcessor): boolean => {
  // The TSC counts nanoseconds of virtual time.
  const now = core.clockNs();
  if (now - pauseLoop.last > vmcs.low(pleGap)) pauseLoop.first = now;
  pauseLoop.last = now;
  return now - pauseLoop.first > vmcs.low(pleWindow);
};

export const PAUSE: Intercept = (vmx, instruction) => {
  if (pauseExiting(vmx) || (pauseLoopExiting(vmx) && cpl(vmx.core.state) === 0 && spins(vmx)))
    return new VmExit(ExitReason.PAUSE, 0n, { instructionLength: instruction.length });
  return undefined;
};
