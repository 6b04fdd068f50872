import { TSS32 } from "../../arch/descriptors.ts";

/** The two pages per processor through which worlds change: where everything lies in them. */

/** The Switcher's window: the last page-directory entry, the same in the host and in every guest. */
export const switcherBase = 0xffc0_0000;
export const switcherDirectoryIndex = switcherBase >>> 22;
export const switcherBytes = 0x40_0000;

/** struct lguest_regs, in pop order; from eip on it is the frame that IRET pops and an interrupt pushes. */
// biome-ignore format: pop order
export const regsOrder = [
  "ebx", "ecx", "edx", "esi", "edi", "ebp", "gs", "eax", "fs", "ds", "es", "trapnum", "errcode",
  "eip", "cs", "eflags", "esp", "ss",
] as const;
export type GuestRegister = (typeof regsOrder)[number];
export const regsBytes = 4 * regsOrder.length;
/** Offset of struct lguest_regs in its page: it ends where the page ends, so that TSS.esp0 is the page's end. */
export const regsAt = 4096 - regsBytes;
/** Offsets from the start of struct lguest_pages. */
export const regs = Object.fromEntries(regsOrder.map((name, n) => [name, regsAt + 4 * n])) as Readonly<
  Record<GuestRegister, number>
>;

/** struct lguest_ro_state, the second page, offsets from the start of struct lguest_pages. Descriptors are limit, base, 2 bytes of nothing. */
export const state = {
  host_cr3: 0x1000,
  host_idt_desc: 0x1004,
  host_gdt_desc: 0x100c,
  host_sp: 0x1014,
  guest_idt_desc: 0x1018,
  guest_gdt_desc: 0x1020,
  guest_tss: 0x1028,
  guest_idt: 0x1090,
  guest_gdt: 0x1890,
  /** Ours: host_sp once more, with SS behind it, as LSS wants them. */ host_stack: 0x1990,
} as const;
export const pagesBytes = 8192;
/** ESP1 and SS1 of the guest's TSS: the stack on which its kernel takes traps from ring 3. */
export const guestTss = {
  esp1: state.guest_tss + TSS32.ESP0 + 8,
  ss1: state.guest_tss + TSS32.SS0 + 8,
} as const;

/** What `trapnum` says when the world switch itself faulted. */
export const faultInSwitcher = 256;
