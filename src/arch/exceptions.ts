/** Vectors of SDM Vol. 3, Table 6-1 "Protected-Mode Exceptions and Interrupts". */
// biome-ignore format: one row per fact
export const Exception = {
  DE: 0, DB: 1, NMI: 2, BP: 3, OF: 4, BR: 5, UD: 6, NM: 7, DF: 8, TS: 10, NP: 11, SS: 12, GP: 13, PF: 14, MF: 16, AC: 17, MC: 18, XM: 19, VE: 20, CP: 21,
} as const;
