/** Bits of paging-structure entries, low and high doubleword (SDM Vol. 3, "Paging", Tables 4-3 to 4-20). */

// biome-ignore format: one row per fact
export const entry = {
  P: 1 << 0, RW: 1 << 1, US: 1 << 2, PWT: 1 << 3, PCD: 1 << 4, A: 1 << 5, D: 1 << 6, PS: 1 << 7, G: 1 << 8,
  /** PAT of an entry that maps a 4-KByte page, and of a larger one. */ PAT4K: 1 << 7, PAT: 1 << 12,
} as const;

/** Bit 63, as a bit of the high doubleword. */
export const entryXD = 0x8000_0000;

/** Reserved in the low doubleword of every PAE PDPTE: bits 2:1 and 8:5. */
export const pdptePaeReservedLow = 0x1e6;

/** Page-fault error code (SDM Vol. 3, "Page-Fault Exceptions"). */
// biome-ignore format: one row per fact
export const pageFault = {
  P: 1 << 0, WR: 1 << 1, US: 1 << 2, RSVD: 1 << 3, ID: 1 << 4, PK: 1 << 5,
} as const;
