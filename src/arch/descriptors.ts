/** Segment, gate and task-state layouts (SDM Vol. 3, "Segment Descriptors", "IDT Descriptors", "Task-State Segment"). */

/** Access rights in the VMCS format: bits 23:8 of a descriptor's high doubleword without limit 19:16, and `unusable`. */
// biome-ignore format: one row per fact
export const access = {
  type: 0xf, S: 1 << 4, DPL: 3 << 5, P: 1 << 7, AVL: 1 << 12, L: 1 << 13, DB: 1 << 14, G: 1 << 15, unusable: 1 << 16,
  /** The bits of a descriptor's high doubleword, shifted right by 8, that are access rights. */ fromDescriptor: 0xf0ff,
} as const;

/** Type field of a code- or data-segment descriptor. */
// biome-ignore format: one row per fact
export const segmentType = {
  accessed: 1, writable: 2, expandDown: 4, readable: 2, conforming: 4, code: 8,
} as const;

/** Type field of a system descriptor (SDM Vol. 3, Table 3-2). In IA-32e mode the 32-bit ones are 64-bit. */
// biome-ignore format: one row per fact
export const systemType = {
  TSS16: 1, LDT: 2, busyTSS16: 3, callGate16: 4, taskGate: 5, interruptGate16: 6, trapGate16: 7,
  TSS32: 9, busyTSS32: 11, callGate32: 12, interruptGate32: 14, trapGate32: 15,
  /** The busy bit of the four TSS types. */ busy: 2,
} as const;

/** Selector fields. */
export const selectorTI = 4;
export const selectorRPL = 3;

/** Offsets in a 32-bit TSS. General registers follow EAX in encoding order, segment registers ES in theirs. */
// biome-ignore format: one row per fact
export const TSS32 = {
  link: 0, ESP0: 4, SS0: 8, CR3: 28, EIP: 32, EFLAGS: 36, EAX: 40, ES: 72, LDT: 96, T: 100, ioMapBase: 102, bytes: 104,
} as const;

/** Offsets in a 16-bit TSS. */
// biome-ignore format: one row per fact
export const TSS16 = {
  link: 0, SP0: 2, SS0: 4, IP: 14, FLAGS: 16, AX: 18, ES: 34, LDT: 42, bytes: 44,
} as const;

/** Offsets in a 64-bit TSS. IST1 is the first of seven. */
export const TSS64 = { RSP0: 4, IST1: 36, ioMapBase: 102, bytes: 104 } as const;

/** Error codes that name a selector or vector: EXT, IDT. */
export const errorCode = { EXT: 1, IDT: 2 } as const;
