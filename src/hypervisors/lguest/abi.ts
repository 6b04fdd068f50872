import { linuxGdt, linuxSelector } from "../host32/linux-gdt.ts";

/** What a guest of lguest and its host agree on: numbers and layouts of Linux 2.6.23. All addresses in hypercalls are guest-physical. */

/** The trap of a hypercall: EAX number, EDX EBX ECX arguments, EAX result. */
export const hypercallVector = 31;
/** Linux's system-call trap, the only vector above 31 that may be direct. */
export const syscallVector = 128;
/** Virtual interrupt n arrives at this vector + n. */
export const firstInterruptVector = 32;
export const virtualInterrupts = 32;
/** The guest's kernel runs in this ring. */
export const guestRing = 1;

// biome-ignore format: one row per fact
export const hypercall = {
  FLUSH_ASYNC: 0, INIT: 1, CRASH: 2, LOAD_GDT: 3, NEW_PGTABLE: 4, FLUSH_TLB: 5, LOAD_IDT_ENTRY: 6, SET_STACK: 7, TS: 8,
  SET_CLOCKEVENT: 9, HALT: 10, GET_WALLCLOCK: 11, BIND_DMA: 12, SEND_DMA: 13, SET_PTE: 14, SET_PMD: 15, LOAD_TLS: 16,
} as const;

/** Slots of the asynchronous ring; what a slot's status says. */
export const ringSlots = 64;
export const slotStatus = { pending: 0, done: 0xff } as const;
/** Bytes of a ring slot: EAX, EDX, EBX, ECX. */
export const slotBytes = 16;

/** The structure both sides share, in guest memory. `irq_enabled` is EFLAGS.IF or 0, so that it can be OR-ed into a flags image. */
// biome-ignore format: one row per field
export const lguestData = {
  irq_enabled: 0,
  blocked_interrupts: 4,
  cr2: 8,
  hcall_status: 12,
  hcalls: 76,
  /** Filled by the host: bytes at the top of the address space that the guest may not use, its number, TSC frequency (0: unreliable). */
  reserve_mem: 1100, guestid: 1104, tsc_khz: 1108,
  /** Filled by the guest: within [start, end) no interrupt is delivered. */
  noirq_start: 1112, noirq_end: 1116,
  bytes: 1120,
} as const;

/** struct lguest_dma: bytes used, then addresses, then lengths; a length of 0 ends the list. */
export const lguestDma = { used_len: 0, addr: 4, len: 68, bytes: 100, sections: 16 } as const;

/** struct lguest_device_desc; at most 16 in the page above the guest's memory. Device i interrupts by virtual interrupt i + 1. */
export const deviceDescriptor = {
  type: 0,
  features: 2,
  status: 4,
  num_pages: 6,
  pfn: 8,
  bytes: 12,
  most: 16,
} as const;
export const deviceType = { console: 1, net: 2, block: 3 } as const;
export const deviceFeature = { randomness: 0x8000 } as const;
export const deviceStatus = { acknowledge: 1, driver: 2, driverOk: 4 } as const;

/** The console's DMA key: what the guest sends there is printed; a buffer bound there takes what is typed. */
export const consoleKey = 0;

/** struct lguest_block_page. Its physical address is the block device's DMA key. */
export const blockPage = { type: 0, sector: 4, bytes: 8, result: 12, num_sectors: 16 } as const;
export const blockType = { read: 0, write: 1 } as const;
export const blockResult = { pending: 0, ok: 1, failed: 2 } as const;

/** Entries of the descriptor tables; LGUEST_CS and LGUEST_DS are flat ring-0 segments in the host's and every guest's table. */
export const gdtEntry = { ...linuxGdt, LGUEST_CS: 10, LGUEST_DS: 11 } as const;
export const selector = {
  ...linuxSelector,
  LGUEST_CS: gdtEntry.LGUEST_CS * 8,
  LGUEST_DS: gdtEntry.LGUEST_DS * 8,
} as const;

/** The Linux boot parameters that a Launcher fills, at guest-physical 0. */
// biome-ignore format: one row per field
export const bootParameters = {
  e820_entries: 0x1e8, cmd_line_ptr: 0x228, hardware_subarch: 0x23c, e820_map: 0x2d0,
  /** Where the Launcher puts the command line. */ commandLineAt: 4096,
  subarchLguest: 1, e820Ram: 1,
} as const;

/** An image is entered at the byte after this text. */
export const entryMark = "GenuineLguest";
/** What a guest says in CRASH when it was asked to switch itself off. */
export const powerDownReason = "Power down.";
