/**
 * Guest-physical addresses, which are the linear ones too. The pages of code are followed by one of data, so that stores
 * meet both; of the data pages one is read-only, one is not present.
 */
export const places = {
  gdt: 0x1000, idt: 0x2000, counters: 0x3000, tss: 0x4000, handlers: 0x5000, stackTop: 0x8000,
  pml4: 0x9000, pdpt: 0xa000, directory: 0xb000, table: 0xc000,
  code: 0x1_0000, codePages: 3, data: 0x1_3000, readOnly: 0x1_6000, absent: 0x1_7000, afterAbsent: 0x1_8000,
  /** The frame of another version of the last page of code. */
  spare: 0x1_9000, ramBytes: 0x2_0000,
  /** Linear addresses behind RAM: the pages of code again; and a page that shows the last of them, or `spare`. */
  alias: 0x2_0000, remapped: 0x2_3000,
} as const; // biome-ignore format: one table

export type Bits = 32 | 64;
