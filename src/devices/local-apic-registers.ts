/** Registers of the local APIC: SDM Vol. 3, "Local APIC Register Address Map" and "x2APIC Register Address Space". */

type Access = "" | "R" | "W" | "RW";

export interface ApicRegister {
  readonly name: string;
  /** In the xAPIC page. The x2APIC MSR is 0x800 + offset / 16. */
  readonly offset: number;
  readonly xapic: Access;
  readonly x2apic: Access;
  /** Bits that a write changes. */
  readonly writable: number;
  /** Read-only status bits: a write may carry them, also in x2APIC mode, where any other bit raises #GP. */
  readonly status: number;
}

// biome-ignore format: one row per fact
const rows: readonly (readonly [offset: number, name: string, xapic: Access, x2apic: Access, writable?: number, status?: number])[] = [
  [0x020, "ID",            "R",  "R"],
  [0x030, "VERSION",       "R",  "R"],
  [0x080, "TPR",           "RW", "RW", 0x0000_00ff],
  [0x090, "APR",           "R",  ""],
  [0x0a0, "PPR",           "R",  "R"],
  [0x0b0, "EOI",           "W",  "W",  0x0000_0000],
  [0x0c0, "RRD",           "R",  ""],
  [0x0d0, "LDR",           "RW", "R",  0xff00_0000],
  [0x0e0, "DFR",           "RW", "",   0xf000_0000],
  [0x0f0, "SVR",           "RW", "RW", 0x0000_13ff],
  ...Array.from({ length: 8 }, (_, i) => [0x100 + 16 * i, `ISR${i}`, "R", "R"] as const),
  ...Array.from({ length: 8 }, (_, i) => [0x180 + 16 * i, `TMR${i}`, "R", "R"] as const),
  ...Array.from({ length: 8 }, (_, i) => [0x200 + 16 * i, `IRR${i}`, "R", "R"] as const),
  [0x280, "ESR",           "RW", "RW", 0x0000_0000],
  [0x2f0, "LVT_CMCI",      "RW", "RW", 0x0001_07ff, 0x1000],
  [0x300, "ICR",           "RW", "RW", 0x000c_cfff, 0x1000],
  [0x310, "ICR_HIGH",      "RW", "",   0xff00_0000],
  [0x320, "LVT_TIMER",     "RW", "RW", 0x0007_00ff, 0x1000],
  [0x330, "LVT_THERMAL",   "RW", "RW", 0x0001_07ff, 0x1000],
  [0x340, "LVT_PERFMON",   "RW", "RW", 0x0001_07ff, 0x1000],
  [0x350, "LVT_LINT0",     "RW", "RW", 0x0001_a7ff, 0x5000],
  [0x360, "LVT_LINT1",     "RW", "RW", 0x0001_a7ff, 0x5000],
  [0x370, "LVT_ERROR",     "RW", "RW", 0x0001_00ff, 0x1000],
  [0x380, "INITIAL_COUNT", "RW", "RW", 0xffff_ffff],
  [0x390, "CURRENT_COUNT", "R",  "R"],
  [0x3e0, "DCR",           "RW", "RW", 0x0000_000b],
  [0x3f0, "SELF_IPI",      "",   "W",  0x0000_00ff],
];

export const apicRegisters: ReadonlyMap<number, ApicRegister> = new Map(
  rows.map(([offset, name, xapic, x2apic, writable = 0, status = 0]) => [
    offset,
    { name, offset, xapic, x2apic, writable, status },
  ]),
);

/** Local vector table entries, by the names of the rows above. */
export const LVT_NAMES = [
  "LVT_CMCI",
  "LVT_TIMER",
  "LVT_THERMAL",
  "LVT_PERFMON",
  "LVT_LINT0",
  "LVT_LINT1",
  "LVT_ERROR",
] as const;
export type LvtName = (typeof LVT_NAMES)[number];

/** Bits of LVT entries: SDM Vol. 3, "Local Vector Table". */
// biome-ignore format: one row per fact
export const LVT = {
  VECTOR: 0xff, DELIVERY_MODE_SHIFT: 8, POLARITY: 1 << 13, REMOTE_IRR: 1 << 14, LEVEL: 1 << 15, MASKED: 1 << 16, TIMER_MODE_SHIFT: 17,
} as const;

// biome-ignore format: one row per fact
export const TIMER_MODE = { ONE_SHOT: 0, PERIODIC: 1, TSC_DEADLINE: 2 } as const;

/** Bits of the spurious-interrupt vector register. */
// biome-ignore format: one row per fact
export const SVR = { VECTOR: 0xff, ENABLE: 1 << 8, SUPPRESS_EOI_BROADCAST: 1 << 12 } as const;

/** Bits of the error status register: SDM Vol. 3, "Error Handling". */
// biome-ignore format: one row per fact
export const ESR = { SEND_ILLEGAL_VECTOR: 1 << 5, RECEIVED_ILLEGAL_VECTOR: 1 << 6, ILLEGAL_REGISTER: 1 << 7 } as const;

/** Bits of the interrupt command register's low half. */
// biome-ignore format: one row per fact
export const ICR = { LOGICAL: 1 << 11, ASSERT: 1 << 14, LEVEL: 1 << 15, SHORTHAND_SHIFT: 18 } as const;
// biome-ignore format: one row per fact
export const SHORTHAND = { NONE: 0, SELF: 1, ALL: 2, OTHERS: 3 } as const;

/** Version 0x15 of the integrated APIC, "max LVT entry" 6 (CMCI present), EOI-broadcast suppression supported. */
export const APIC_VERSION = 0x0106_0015;

/** Bits of IA32_APIC_BASE: SDM Vol. 3, "Local APIC Status and Location" and "Extended XAPIC (x2APIC)". */
// biome-ignore format: one row per fact
export const APIC_BASE = { BSP: 1 << 8, EXTD: 1 << 10, EN: 1 << 11 } as const;
export const APIC_DEFAULT_PAGE = 0xfee0_0000;
