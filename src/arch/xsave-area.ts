/** The FXSAVE and XSAVE areas (SDM Vol. 1, "FXSAVE Area", "XSAVE Area"). Offsets in bytes. */
// biome-ignore format: one row per fact
export const legacyArea = {
  FCW: 0, FSW: 2, FTW: 4, FOP: 6, FIP: 8, FCS: 12, FDP: 16, FDS: 20, MXCSR: 24, MXCSR_MASK: 28, ST0: 32, XMM0: 160, bytes: 512,
} as const;

export const xsaveHeader = { offset: 512, XSTATE_BV: 512, XCOMP_BV: 520, end: 576 } as const;

/** XCOMP_BV bit 63: the area is in compacted format. */
export const compacted = 1n << 63n;

/** Extended components: number (bit of XCR0), place in the standard format, size. None needs 64-byte alignment when compacted. */
// biome-ignore format: one row per fact
export const extendedComponents = [
  { name: "AVX", number: 2, offset: 576, bytes: 256 },
] as const;

/** MXCSR bits that exist; MXCSR_MASK as FXSAVE stores it. */
export const MXCSR_MASK = 0xffff;
/** MXCSR and FCW after reset and in the initial configuration. */
export const initialMXCSR = 0x1f80;
export const initialFCW = 0x037f;
/** FCW after power-up, where it differs from what FNINIT sets. */
export const powerUpFCW = 0x0040;
