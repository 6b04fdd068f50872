import { CR0, XCR0 } from "../arch/control-registers.ts";
import { DR6, DR7 } from "../arch/debug-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import { IA32_MISC_ENABLE, msrs } from "../arch/msrs.ts";
import { initialMXCSR, powerUpFCW } from "../arch/xsave-area.ts";
import { generalRegisters, segmentRegisters, type U64Field } from "../state/layout.ts";
import type { Core } from "./core.ts";
import { setSegment } from "./segmentation.ts";

/** SDM Vol. 3, "Processor State After Reset" and "MP Initialization Protocol". Activity states are the VMCS's. */

const activityActive = 0;
export const activityWaitForSipi = 3;

const readWriteData = 0x93;

/** What RESET and INIT both do: everything but CR0's cache bits, MSRs, and the FPU and vector state. */
const initialise = (core: Core, bootstrap: boolean, cacheBits: bigint): void => {
  const { state, model } = core;
  for (const name of generalRegisters) state[name] = 0n;
  state.RDX = BigInt(model.cpuid(core, 1, 0).eax >>> 0);
  state.RFLAGS = RFLAGS.FIXED;
  state.RIP = 0xfff0n;
  state.CR0 = CR0.ET | cacheBits;
  state.CR2 = state.CR3 = state.CR4 = 0n;
  state.DR0 = state.DR1 = state.DR2 = state.DR3 = 0n;
  state.DR6 = DR6.FIXED;
  state.DR7 = DR7.FIXED;
  for (const name of segmentRegisters)
    setSegment(state, name, { selector: 0, base: 0n, limit: 0xffff, access: readWriteData });
  setSegment(state, "CS", { selector: 0xf000, base: 0xffff_0000n, limit: 0xffff, access: readWriteData });
  setSegment(state, "LDTR", { selector: 0, base: 0n, limit: 0xffff, access: 0x82 });
  setSegment(state, "TR", { selector: 0, base: 0n, limit: 0xffff, access: 0x8b });
  state["GDTR.base"] = state["IDTR.base"] = 0n;
  state["GDTR.limit"] = state["IDTR.limit"] = 0xffff;
  state.IA32_EFER = 0n;
  state.IA32_DEBUGCTL = 0n;
  state.interruptibility = 0;
  state.pendingDebug = 0;
  state["MONITOR.armed"] = 0;
  state.activity = bootstrap ? activityActive : activityWaitForSipi;
  core.invalidate({ kind: "all" });
};

/** Power-up or RESET. The bootstrap processor starts at the reset vector, the others wait for a start-up IPI. */
export const powerOn = (core: Core, bootstrap: boolean): void => {
  const { state } = core;
  const retired = state.retired;
  state.architectural().fill(0);
  state.retired = retired;
  // The time-stamp counter restarts at 0.
  state.tscOffset = -core.timeStamp();
  state.FCW = powerUpFCW;
  state.FTW = 0x5555;
  state.MXCSR = initialMXCSR;
  state.XCR0 = XCR0.x87;
  for (const row of msrs) if (row.reset !== undefined) state[row.field as U64Field] = row.reset;
  state.IA32_BIOS_SIGN_ID = core.model.fixedMsrs?.IA32_BIOS_SIGN_ID ?? 0n;
  state.IA32_MISC_ENABLE =
    IA32_MISC_ENABLE.fastStrings |
    IA32_MISC_ENABLE.BTSUnavailable |
    IA32_MISC_ENABLE.PEBSUnavailable |
    (core.model.has("MONITOR") ? IA32_MISC_ENABLE.monitor : 0n);
  initialise(core, bootstrap, CR0.CD | CR0.NW);
};

/** INIT: MSRs, the time-stamp counter, FPU and vector registers and CR0.CD and NW keep their values. */
export const takeInit = (core: Core, bootstrap: boolean): void =>
  initialise(core, bootstrap, core.state.CR0 & (CR0.CD | CR0.NW));

/** Start-up IPI: real mode at vector * 4 KiB. Ignored unless the processor waits for one. */
export const takeStartup = (core: Core, vector: number): void => {
  const { state } = core;
  if (state.activity !== activityWaitForSipi) return;
  setSegment(state, "CS", {
    selector: vector << 8,
    base: BigInt(vector) << 12n,
    limit: 0xffff,
    access: readWriteData,
  });
  state.RIP = 0n;
  state.activity = activityActive;
};
