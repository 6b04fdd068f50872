/** Bits of RFLAGS (SDM Vol. 1, "EFLAGS Register"): position of each flag. */
// biome-ignore format: one row per fact
export const flagBit = {
  CF: 0, PF: 2, AF: 4, ZF: 6, SF: 7, TF: 8, IF: 9, DF: 10, OF: 11, IOPL0: 12, IOPL1: 13, NT: 14, RF: 16, VM: 17, AC: 18, VIF: 19, VIP: 20, ID: 21,
} as const;

/** The same as masks; IOPL covers both of its bits, FIXED is bit 1, which is always 1. */
// biome-ignore format: one row per fact
export const RFLAGS = {
  CF: 1n << 0n, FIXED: 1n << 1n, PF: 1n << 2n, AF: 1n << 4n, ZF: 1n << 6n, SF: 1n << 7n, TF: 1n << 8n, IF: 1n << 9n, DF: 1n << 10n, OF: 1n << 11n,
  IOPL: 3n << 12n, NT: 1n << 14n, RF: 1n << 16n, VM: 1n << 17n, AC: 1n << 18n, VIF: 1n << 19n, VIP: 1n << 20n, ID: 1n << 21n,
} as const;
