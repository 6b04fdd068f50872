import { CR4 } from "../arch/control-registers.ts";
import { BreakOn, breakpointLength, DR6, DR7, IA32_DEBUGCTL, pendingDebug } from "../arch/debug-registers.ts";
import { Exception } from "../arch/exceptions.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";
import { Fault } from "./core.ts";

/** SDM Vol. 3, "Debug Registers" and "Debug Exceptions". */

const dr7Offset = offsetOf("DR7");
const dr0Offset = offsetOf("DR0");
const pendingOffset = offsetOf("pendingDebug");

/** Any breakpoint of DR7 enabled: the cheap question before the others. */
export const breakpointsEnabled = (state: CpuState): boolean => state.view.getUint8(dr7Offset) !== 0;

/** Bits B0-B3 of the breakpoints that match; `enabled` reports whether one of them is enabled. */
const match = (
  state: CpuState,
  address: bigint,
  size: number,
  accepts: (breakOn: number) => boolean,
): { bits: number; enabled: boolean } => {
  const dr7 = state.view.getUint32(dr7Offset, true);
  let bits = 0;
  let enabled = false;
  for (let n = 0; n < 4; n++) {
    const control = dr7 >>> (16 + 4 * n);
    if (!accepts(control & 3)) continue;
    const length = BigInt(breakpointLength[(control >> 2) & 3]!);
    const start = state.view.getBigUint64(dr0Offset + 8 * n, true) & ~(length - 1n);
    if (address >= start + length || address + BigInt(size) <= start) continue;
    bits |= 1 << n;
    if ((dr7 >>> (2 * n)) & 3) enabled = true;
  }
  return { bits, enabled };
};

/** Is there an enabled breakpoint on this page of linear addresses: on execution, or on data? */
export const breakpointOnPage = (state: CpuState, low: number, high: number, execution: boolean): boolean => {
  const { view } = state;
  const dr7 = view.getUint32(dr7Offset, true);
  for (let n = 0; n < 4; n++) {
    if (((dr7 >>> (2 * n)) & 3) === 0) continue;
    if ((((dr7 >>> (16 + 4 * n)) & 3) === BreakOn.execution) !== execution) continue;
    const at = dr0Offset + 8 * n;
    if ((view.getUint32(at, true) ^ low) >>> 12 === 0 && view.getUint32(at + 4, true) === high) return true;
  }
  return false;
};

const addPending = (state: CpuState, bits: number): void => {
  state.view.setUint32(pendingOffset, state.view.getUint32(pendingOffset, true) | bits, true);
};

/** A data access by the instruction in progress: a match traps after it. */
export const noteDataAccess = (state: CpuState, address: bigint, size: number, write: boolean): void => {
  if (!breakpointsEnabled(state)) return;
  const { bits, enabled } = match(
    state,
    address,
    size,
    (on) => on === BreakOn.readOrWrite || (write && on === BreakOn.write),
  );
  if (enabled) addPending(state, bits | pendingDebug.enabledBreakpoint);
};

/** A port access by the instruction in progress; I/O breakpoints exist with CR4.DE. */
export const notePortAccess = (state: CpuState, port: number, size: number): void => {
  if (!breakpointsEnabled(state) || !(state.CR4 & CR4.DE)) return;
  const { bits, enabled } = match(state, BigInt(port), size, (on) => on === BreakOn.io);
  if (enabled) addPending(state, bits | pendingDebug.enabledBreakpoint);
};

/** Instruction breakpoints at a linear address: a fault before the instruction, unless RFLAGS.RF is set. */
export const instructionBreakpoint = (state: CpuState, address: bigint): Fault | undefined => {
  if (!breakpointsEnabled(state) || state.RFLAGS & RFLAGS.RF) return undefined;
  const { bits, enabled } = match(state, address, 1, (on) => on === BreakOn.execution);
  return enabled ? new Fault(Exception.DB, undefined, BigInt(bits)) : undefined;
};

/**
 * To be called after an instruction that began with RFLAGS.TF set (except those that hand control to a handler by
 * clearing TF: INT n, INT3, INTO, INT1, SYSCALL). With IA32_DEBUGCTL.BTF only branches trap.
 */
export const noteSingleStep = (state: CpuState, branched: boolean): void => {
  if (state.IA32_DEBUGCTL & IA32_DEBUGCTL.BTF && !branched) return;
  addPending(state, pendingDebug.BS);
};

/**
 * The #DB trap that is due between two instructions, if any; it is taken out of the pending ones. Blocking by MOV SS
 * holds it back one instruction. #DB payloads are DR6 bits (B0-B3, BD, BS, BT).
 */
export const takePendingDebug = (state: CpuState): Fault | undefined => {
  const pending = state.view.getUint32(pendingOffset, true);
  if (pending === 0 || state.interruptibility & 2) return undefined;
  state.view.setUint32(pendingOffset, 0, true);
  return new Fault(Exception.DB, undefined, BigInt(pending & ~pendingDebug.enabledBreakpoint));
};

/** What delivering a #DB does to the debug registers. */
export const enterDebugException = (state: CpuState, payload: bigint): void => {
  state.DR6 = (state.DR6 & ~(DR6.B0 | DR6.B1 | DR6.B2 | DR6.B3)) | payload | DR6.FIXED;
  state.DR7 &= ~DR7.GD;
  state.IA32_DEBUGCTL &= ~(IA32_DEBUGCTL.BTF | IA32_DEBUGCTL.LBR);
};

/** DR4 and DR5 are DR6 and DR7 unless CR4.DE is set, when they do not exist (undefined = #UD). */
export const debugRegisterNumber = (state: CpuState, encoded: number): number | undefined => {
  if (encoded > 7) return undefined;
  if (encoded !== 4 && encoded !== 5) return encoded;
  return state.CR4 & CR4.DE ? undefined : encoded + 2;
};

const fields = ["DR0", "DR1", "DR2", "DR3", "DR6", "DR7", "DR6", "DR7"] as const;

export const readDebugRegister = (state: CpuState, number: number): bigint => state[fields[number]!];

/** Writes with the fixed bits forced. False is #GP(0): bits 63:32 of DR6 and DR7 must be 0. */
export const writeDebugRegister = (state: CpuState, number: number, value: bigint): boolean => {
  if (number < 4) {
    state[fields[number]!] = value;
    return true;
  }
  if (value >> 32n) return false;
  if (number === 6)
    state.DR6 = (value & (DR6.B0 | DR6.B1 | DR6.B2 | DR6.B3 | DR6.BD | DR6.BS | DR6.BT)) | DR6.FIXED;
  else state.DR7 = (value & ~DR7.reserved) | DR7.FIXED;
  return true;
};
