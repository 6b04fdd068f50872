/** INS and OUTS as VM exits tell of them (SDM Vol. 3, "Exit Qualification for I/O Instructions" and "VM-Exit Instruction Information"). */

export interface StringIo {
  readonly isIn: boolean;
  /** Bytes of an element. */
  readonly size: 1 | 2 | 4;
  readonly port: number;
  readonly isRepeated: boolean;
  readonly addressSize: 16 | 32 | 64;
  /** Of the memory operand. */
  readonly segment: "es" | "cs" | "ss" | "ds" | "fs" | "gs";
}

const segments = ["es", "cs", "ss", "ds", "fs", "gs"] as const;

/** Undefined: an access by IN or OUT. */
export const stringIo = (qualification: number, information: number): StringIo | undefined => {
  if ((qualification & 16) === 0) return undefined;
  const isIn = (qualification & 8) !== 0;
  return {
    isIn,
    size: ((qualification & 7) + 1) as 1 | 2 | 4,
    port: qualification >>> 16,
    isRepeated: (qualification & 32) !== 0,
    addressSize: ([16, 32, 64] as const)[(information >>> 7) & 7] ?? 64,
    // INS has no other.
    segment: isIn ? "es" : (segments[(information >>> 15) & 7] ?? "ds"),
  };
};
