/** EPT paging-structure entries and the EPT pointer, low doubleword (SDM Vol. 3, "EPT Translation Mechanism", its tables of formats). */

// biome-ignore format: one row per fact
export const eptEntry = {
  R: 1 << 0, W: 1 << 1, /** For supervisor-mode linear addresses only, under mode-based execute control. */ X: 1 << 2,
  /** Memory type, of entries that map a page. */ memoryType: 7 << 3, IPAT: 1 << 6, /** The entry maps a page. */ PS: 1 << 7,
  A: 1 << 8, D: 1 << 9, /** Execute access for user-mode linear addresses, under mode-based execute control. */ XU: 1 << 10,
} as const;

/** Bit 63, as a bit of the high doubleword: EPT violations by this entry do not become #VE. */
export const eptSuppressVE = 0x8000_0000 | 0;

/** Memory types that an entry may name, as a set of bits: UC, WC, WT, WP, WB. */
export const eptMemoryTypes = (1 << 0) | (1 << 1) | (1 << 4) | (1 << 5) | (1 << 6);

/** Bits that must be 0 in an entry that references the next table, by level (1 = page table), and in one that maps a page. */
// biome-ignore format: one row per fact
export const eptReserved = {
  table: [0, 0, 0x78, 0x78, 0xf8],
  page:  [0, 0, 0x001f_f000, 0x3fff_f000, 0],
} as const;

/** EPT pointer: bit 6 enables accessed and dirty flags. */
export const EPTP = { memoryType: 7, walkLength: 7 << 3, accessedDirty: 1 << 6, reserved: 0xf80 } as const;

/** Exit qualification of an EPT violation (SDM Vol. 3, Table "Exit Qualification for EPT Violations"). */
// biome-ignore format: one row per fact
export const eptViolation = {
  read: 1 << 0, write: 1 << 1, fetch: 1 << 2,
  /** First of the three bits for what the translation allows: R, W, X. */ rights: 3, executableUser: 1 << 6,
  linearValid: 1 << 7, finalTranslation: 1 << 8,
  /** Advanced VM-exit information: of the linear address. */ userMode: 1 << 9, writable: 1 << 10, executeDisable: 1 << 11,
  nmiUnblocking: 1 << 12,
} as const;
