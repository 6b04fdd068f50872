/** VMX-abort indicators, and what each means (SDM Vol. 3, "VMX Aborts"). */
// biome-ignore format: one row per fact
const rows = {
  savingMsrs:       { indicator: 1, says: "a failure in saving guest MSRs" },
  hostPdptes:       { indicator: 2, says: "host checking of the page-directory-pointer-table entries failed" },
  corruptedVmcs:    { indicator: 3, says: "the current VMCS has been corrupted through writes to its region, so that the VM exit cannot be completed" },
  loadingMsrs:      { indicator: 4, says: "a failure in loading host MSRs" },
  machineCheck:     { indicator: 5, says: "a machine-check event during the VM exit" },
  addressSpaceSize: { indicator: 6, says: "the logical processor was in IA-32e mode before the VM exit and the host address-space size VM-exit control was 0" },
} as const;
export type VmxAbortCause = keyof typeof rows;

export const vmxAbortIndicator = (cause: VmxAbortCause): number => rows[cause].indicator;

/** What a VMX-abort indicator says; undefined: no such indicator. */
export const vmxAbortMeaning = (indicator: number): string | undefined =>
  Object.values(rows).find((row) => row.indicator === indicator)?.says;
