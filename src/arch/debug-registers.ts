/** Bits of the debug registers (SDM Vol. 3, "Debug Registers"; "IA32_DEBUGCTL MSR"). */

// biome-ignore format: one row per fact
export const DR6 = {
  B0: 1n << 0n, B1: 1n << 1n, B2: 1n << 2n, B3: 1n << 3n, BD: 1n << 13n, BS: 1n << 14n, BT: 1n << 15n,
  /** Read as 1: bits 31:16 and 11:4 (RTM and BLD included, which this machine has not). */ FIXED: 0xffff_0ff0n,
} as const;

// biome-ignore format: one row per fact
export const DR7 = {
  LE: 1n << 8n, GE: 1n << 9n, GD: 1n << 13n,
  /** L0, G0 ... L3, G3. */ enables: 0xffn,
  FIXED: 0x400n, reserved: 0xd800n,
} as const;

/** R/W field of DR7: what breaks. */
export const BreakOn = { execution: 0, write: 1, io: 2, readOrWrite: 3 } as const;

/** Bytes by LEN field of DR7. */
export const breakpointLength = [1, 2, 8, 4] as const;

/** "Pending Debug Exceptions" of the VMCS: B0-B3 as in DR6, 12 = some enabled breakpoint matched, 14 = BS, 15 = BT here. */
export const pendingDebug = { enabledBreakpoint: 1 << 12, BS: 1 << 14, BT: 1 << 15 } as const;

// biome-ignore format: one row per fact
export const IA32_DEBUGCTL = {
  LBR: 1n << 0n, BTF: 1n << 1n,
} as const;
