import type { Core } from "./core.ts";
import { activityWaitForSipi, takeInit, takeStartup } from "./reset.ts";

/**
 * INIT and start-up IPIs, outside VMX non-root operation: latched by the machine, decided upon by the processor between two
 * instructions.
 */

/** VMX root operation blocks INIT, which then stays latched (SDM Vol. 3, "Restrictions on VMX Operation"). */
const initDue = (core: Core): boolean => core.initPending && !core.vmx?.inVmxOperation;

/** A signal has arrived; whether it means anything, `takeSignals` says. */
export const hasSignal = (core: Core): boolean => core.initPending || core.sipiVector !== undefined;

/** Would `takeSignals` do anything for a processor that is not active? */
export const signalWakes = (core: Core): boolean =>
  initDue(core) || (core.sipiVector !== undefined && core.state.activity === activityWaitForSipi);

/** INIT comes first; a start-up IPI is lost on a processor that does not wait for one. */
export const takeSignals = (core: Core): void => {
  if (initDue(core)) {
    core.initPending = false;
    takeInit(core, core.apic.bootstrap);
    core.apic.initialize();
  }
  const { sipiVector } = core;
  core.sipiVector = undefined;
  if (sipiVector !== undefined) takeStartup(core, sipiVector);
};
