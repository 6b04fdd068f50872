import { controlIsSet } from "./intercepts/intercept.ts";
import { fieldOffset } from "./vmcs.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/** The TSC of a guest: SDM Vol. 3, "Time-Stamp Counter Offset and Multiplier". */

const useTSCOffsetting = controlIsSet("useTSCOffsetting");
const useTSCScaling = controlIsSet("useTSCScaling");
const tscOffset = fieldOffset("control.tscOffset");
const tscMultiplier = fieldOffset("control.tscMultiplier");
/** The multiplier has 48 bits behind the binary point. */
const multiplierFraction = 48n;

/** `VmxSocket.guestTimeStamp`. */
export const guestTimeStamp = (vmx: VmxProcessor, host: bigint): bigint => {
  if (!useTSCOffsetting(vmx)) return host;
  const { vmcs } = vmx;
  const scaled = useTSCScaling(vmx) ? (host * vmcs.value(tscMultiplier)) >> multiplierFraction : host;
  return BigInt.asUintN(64, scaled + vmcs.value(tscOffset));
};
