import { msrs } from "../../arch/msrs.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";

/** MSRs that need more than being remembered. */

export const msrIndex = (name: string): number => msrs.find((row) => row.name === name)!.index;
export const EFER = msrIndex("IA32_EFER");
export const TSC = msrIndex("IA32_TIME_STAMP_COUNTER");
export const TSC_ADJUST = msrIndex("IA32_TSC_ADJUST");
export const KERNEL_GS_BASE = msrIndex("IA32_KERNEL_GS_BASE");

/** MSRs that are fields of the VMCS, and those that the guest reaches without an exit. */
// biome-ignore format: one row per fact
export const msrsInVmcs: ReadonlyMap<number, VmcsFieldName> = new Map([
  [msrIndex("IA32_PAT"), "guest.ia32Pat"], [msrIndex("IA32_DEBUGCTL"), "guest.ia32Debugctl"],
  [msrIndex("IA32_SYSENTER_CS"), "guest.ia32SysenterCs"], [msrIndex("IA32_SYSENTER_ESP"), "guest.ia32SysenterEsp"],
  [msrIndex("IA32_SYSENTER_EIP"), "guest.ia32SysenterEip"], [msrIndex("IA32_FS_BASE"), "guest.fs.base"], [msrIndex("IA32_GS_BASE"), "guest.gs.base"],
]);
export const passedMsrs: readonly number[] = [
  "IA32_FS_BASE", "IA32_GS_BASE", "IA32_KERNEL_GS_BASE", "IA32_SYSENTER_CS", "IA32_SYSENTER_ESP", "IA32_SYSENTER_EIP",
].map(msrIndex); // biome-ignore format: one list
/** MSRs with the guest's value until a user process of the host runs again. */
export const sharedMsrs: readonly number[] = [
  "IA32_FMASK",
  "IA32_LSTAR",
  "IA32_CSTAR",
  "IA32_TSC_AUX",
  "IA32_STAR",
].map(msrIndex);
