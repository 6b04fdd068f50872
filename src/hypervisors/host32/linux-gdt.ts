/** Entries of Linux's GDT on 32-bit x86: the host's, and a paravirtual guest's. */
// biome-ignore format: one row per fact
export const linuxGdt = {
  TLS: 6, TLS_entries: 3, KERNEL_CS: 12, KERNEL_DS: 13, USER_CS: 14, USER_DS: 15, TSS: 16, DOUBLEFAULT_TSS: 31, entries: 32,
} as const;
export const linuxSelector = {
  KERNEL_CS: linuxGdt.KERNEL_CS * 8,
  KERNEL_DS: linuxGdt.KERNEL_DS * 8,
  USER_CS: linuxGdt.USER_CS * 8 + 3,
  USER_DS: linuxGdt.USER_DS * 8 + 3,
  TSS: linuxGdt.TSS * 8,
} as const;
export const gdtBytes = 8 * linuxGdt.entries;
export const idtBytes = 8 * 256;
