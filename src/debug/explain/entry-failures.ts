/** What the three VM-entry failures mean (SDM Vol. 3, "VM-Entry Failures During or After Loading Guest State"). */

export interface EntryFailureRow {
  /** Basic exit reason. */
  readonly reason: number;
  readonly says: string;
  readonly hint?: string;
}

// biome-ignore format: one row per fact
const rows: readonly EntryFailureRow[] = [
  { reason: 33, says: "VM-entry failure due to invalid guest state" },
  { reason: 34, says: "VM-entry failure due to MSR loading", hint: "the exit qualification is the number, from 1, of an entry in the VM-entry MSR-load area: its MSR does not exist or may not be loaded so, or WRMSR would refuse its value" },
  { reason: 41, says: "VM-entry failure due to machine-check event" },
];

export const entryFailureRow = (reason: number): EntryFailureRow | undefined =>
  rows.find((row) => row.reason === reason);
