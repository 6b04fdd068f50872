import { initialFCW } from "./xsave-area.ts";

/** The x87 FPU's status and control words (SDM Vol. 1, "x87 FPU Status Register", "x87 FPU Control Word"), as masks. */
// biome-ignore format: one row per fact
export const FSW = {
  IE: 0x01, DE: 0x02, ZE: 0x04, OE: 0x08, UE: 0x10, PE: 0x20, SF: 0x40, ES: 0x80, C0: 0x100, C1: 0x200, C2: 0x400, TOP: 0x3800, C3: 0x4000, B: 0x8000,
  exceptions: 0x3f, conditions: 0x4700,
} as const;

/** Bits that can be 1; bit 6 always is. The masks, bits 5:0, are in the order of the status word's exception flags. */
export const FCW = { masks: 0x3f, writable: 0x1f3f, fixed: 0x40, initial: initialFCW } as const;

/** FTW without a register in use: 3 in every field. Any other value of a field says that the register is in use. */
export const emptyFTW = 0xffff;

/** Bytes of the FSTENV and FSAVE images: by operand size 16, and 32 or 64. */
export const environmentBytes = { word: 14, doubleword: 28 } as const;
