/** What the original of 2011 did otherwise; `historic` mode has it all, `fixed` mode nothing. */
export interface Quirks {
  /** `launched` is set before it is looked at whether VMLAUNCH failed: the next try is a VMRESUME of a clear VMCS, error 5. */
  readonly launchedAfterFailure: boolean;
  /** After a failed VM entry instruction the exit fields are those of the exit before; events are queued from them all the same. */
  readonly believesStaleFields: boolean;
  /** The guest's values stay in registers of the host that nobody saves. */
  readonly leavesGuestValues: boolean;
  /** An NMI whose IRET met an EPT violation is no longer blocked when the guest goes on. */
  readonly forgetsNmiBlocking: boolean;
  /** The reset vector is at F0000H in the segment base, as virtual-8086 mode has it. */
  readonly lowResetBase: boolean;
}

export const quirksOf = (mode: "fixed" | "historic"): Quirks => {
  const is = mode === "historic";
  return {
    launchedAfterFailure: is, believesStaleFields: is, leavesGuestValues: is, forgetsNmiBlocking: is, lowResetBase: is,
  }; // biome-ignore format: one record
};
