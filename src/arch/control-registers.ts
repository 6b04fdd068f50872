/** Bits of the control registers as masks (SDM Vol. 3, "Control Registers"; Vol. 1, "XCR0"; Vol. 3, "IA32_EFER"). */

// biome-ignore format: one row per fact
export const CR0 = {
  PE: 1n << 0n, MP: 1n << 1n, EM: 1n << 2n, TS: 1n << 3n, ET: 1n << 4n, NE: 1n << 5n, WP: 1n << 16n, AM: 1n << 18n, NW: 1n << 29n, CD: 1n << 30n, PG: 1n << 31n,
} as const;

/** With CR4.PCIDE bits 11:0 of CR3 are the PCID, and bit 63 of a value moved to CR3 keeps that PCID's translations. */
// biome-ignore format: one row per fact
export const CR3 = {
  PWT: 1n << 3n, PCD: 1n << 4n, PCID: 0xfffn, noInvalidate: 1n << 63n,
} as const;

// biome-ignore format: one row per fact
export const CR4 = {
  VME: 1n << 0n, PVI: 1n << 1n, TSD: 1n << 2n, DE: 1n << 3n, PSE: 1n << 4n, PAE: 1n << 5n, MCE: 1n << 6n, PGE: 1n << 7n, PCE: 1n << 8n,
  OSFXSR: 1n << 9n, OSXMMEXCPT: 1n << 10n, UMIP: 1n << 11n, LA57: 1n << 12n, VMXE: 1n << 13n, SMXE: 1n << 14n, FSGSBASE: 1n << 16n,
  PCIDE: 1n << 17n, OSXSAVE: 1n << 18n, SMEP: 1n << 20n, SMAP: 1n << 21n, PKE: 1n << 22n, CET: 1n << 23n, PKS: 1n << 24n,
} as const;

/** The CPUID feature (any of them) without which a bit of CR4 is reserved. OSFXSR is FXSR's, OSXMMEXCPT SSE's. */
// biome-ignore format: one row per fact
export const CR4Feature: Readonly<Record<keyof typeof CR4, string>> = {
  VME: "VME", PVI: "VME", TSD: "TSC", DE: "DE", PSE: "PSE", PAE: "PAE", MCE: "MCE", PGE: "PGE", PCE: "MMX",
  OSFXSR: "FXSR", OSXMMEXCPT: "SSE", UMIP: "UMIP", LA57: "LA57", VMXE: "VMX", SMXE: "SMX", FSGSBASE: "FSGSBASE",
  PCIDE: "PCID", OSXSAVE: "XSAVE", SMEP: "SMEP", SMAP: "SMAP", PKE: "PKU", CET: "CET_SS", PKS: "PKS",
};

// biome-ignore format: one row per fact
export const IA32_EFER = {
  SCE: 1n << 0n, LME: 1n << 8n, LMA: 1n << 10n, NXE: 1n << 11n,
} as const;

/** State components of the XSAVE feature set: bits of XCR0, IA32_XSS, XSTATE_BV. */
// biome-ignore format: one row per fact
export const XCR0 = {
  x87: 1n << 0n, SSE: 1n << 1n, AVX: 1n << 2n,
} as const;
