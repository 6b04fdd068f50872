/**
 * Where the VMX test kernel keeps what its guests and the processor use. All of it is mapped one to one, in the host, in
 * the guests' paging structures and in the EPT, so that an address means the same everywhere.
 */
// biome-ignore format: one row per fact
export const vmxMemory = {
  // Below 1 MiB, for guests in real-address mode and virtual-8086 mode.
  lowCode: 0x1_0000, lowHandlers: 0x1_1000, lowVectors: 0x1_2000, lowStack: 0x1_3000, lowMemory: 0x1_4000, lowEnd: 0x1_5000,
  // From 2 MiB: the guest's own pages.
  guestCode: 0x20_0000, guestHandlers: 0x20_1000, guestTables: 0x20_2000, guestIdt64: 0x20_3000, guestIdt32: 0x20_4000,
  guestMemory: 0x20_5000, guestStack: 0x20_6000, userStack: 0x20_7000,
  // Paging structures of guests: 4-level, PAE and 32-bit; 2 to 4 MiB are mapped by 4-KByte pages.
  guestPml4: 0x20_8000, guestPdpt: 0x20_9000, guestDirectories: 0x20_a000, guestPageTable: 0x20_e000, guestPaePdpt: 0x20_f000,
  guestDirectory32: 0x21_0000,
  // What VMCS fields point at.
  vmcs: 0x21_8000, otherVmcs: 0x21_a000, ioBitmapA: 0x21_b000, ioBitmapB: 0x21_c000, msrBitmap: 0x21_d000, virtualApic: 0x21_e000,
  apicAccess: 0x21_f000, postedDescriptor: 0x22_0000, entryMsrLoad: 0x22_1000, exitMsrStore: 0x22_2000, exitMsrLoad: 0x22_3000,
  eptpList: 0x22_4000, virtualizationException: 0x22_5000, pageModificationLog: 0x22_6000, vmreadBitmap: 0x22_7000,
  vmwriteBitmap: 0x22_8000,
  // EPT paging structures, 2 to 4 MiB by 4-KByte pages; a second PML4 table for EPTP switching.
  eptPml4: 0x23_0000, eptPdpt: 0x23_1000, eptDirectories: 0x23_2000, eptPageTable: 0x23_6000, eptOtherPml4: 0x23_7000,
  guestEnd: 0x24_0000,
  // The host's own: not touched between cases.
  vmxon: 0x24_0000, hostPml4: 0x24_1000, hostPdpt: 0x24_2000, hostDirectories: 0x24_3000, hostStackTop: 0x25_0000,
  before: 0x25_0000, after: 0x25_2000, offered: 0x25_8000, hostIdt: 0x26_0000, variables: 0x26_1000,
  /** The guest's pages as every case finds them. */
  pristine: 0x30_0000,
} as const;

/** Selectors of the guest's GDT. */
// biome-ignore format: one row per fact
export const guestSelector = {
  code64: 0x08, stack: 0x10, code32: 0x18, code16: 0x20, stack16: 0x28, userCode64: 0x33, userStack: 0x3b, userCode32: 0x43,
  tss64: 0x48, tss32: 0x58, otherTss32: 0x60, taskGate: 0x68, ldt: 0x70, tss16: 0x80, callGate: 0x88,
} as const;

/** Offsets in the page of the guest's tables. */
export const guestTable = {
  gdt: 0, gdtLimit: 0x9f, tss64: 0x200, tss32: 0x400, otherTss32: 0x600, ldt: 0x800, tss16: 0x900,
} as const; // biome-ignore format: one row per fact

/** Offset of the guest's stack pointer in its stack page; what is pushed below it is reported. */
export const STACK_OFFSET = 0xf00;
/** One handler each 16 bytes: VMCALL and a return, so that the guest's RIP tells the vector. */
export const HANDLER_BYTES = 16;
