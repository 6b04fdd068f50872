/**
 * The parts of Linux's KVM interface that the client uses (Linux Documentation/virt/kvm/api.rst, include/uapi/linux/kvm.h and
 * arch/x86/include/uapi/asm/kvm.h): requests, exit reasons, offsets and layouts of structures.
 */

const KVMIO = 0xae;
const request = (number: number): number => KVMIO * 256 + number;
/** `_IOW` and its like of asm-generic/ioctl.h: the direction, the size of the argument, the type and the number in one word. */
const write = (number: number, bytes: number): number => 0x4000_0000 + bytes * 65_536 + request(number);
const read = (number: number, bytes: number): number => 0x8000_0000 + bytes * 65_536 + request(number);
const readWrite = (number: number, bytes: number): number => 0xc000_0000 + bytes * 65_536 + request(number);

export const REGS_BYTES = 144;
export const SREGS_BYTES = 312;
export const FPU_BYTES = 416;

// biome-ignore format: one row per fact
export const KVM = {
  GET_API_VERSION:        request(0x00),
  CREATE_VM:              request(0x01),
  CHECK_EXTENSION:        request(0x03),
  GET_VCPU_MMAP_SIZE:     request(0x04),
  GET_SUPPORTED_CPUID:    readWrite(0x05, 8),
  CREATE_VCPU:            request(0x41),
  SET_USER_MEMORY_REGION: write(0x46, 32),
  SET_TSS_ADDR:           request(0x47),
  SET_IDENTITY_MAP_ADDR:  write(0x48, 8),
  CREATE_IRQCHIP:         request(0x60),
  IRQ_LINE:               write(0x61, 8),
  CREATE_PIT2:            write(0x77, 64),
  RUN:                    request(0x80),
  GET_REGS:               read(0x81, REGS_BYTES),
  SET_REGS:               write(0x82, REGS_BYTES),
  GET_SREGS:              read(0x83, SREGS_BYTES),
  SET_SREGS:              write(0x84, SREGS_BYTES),
  INTERRUPT:              write(0x86, 4),
  GET_MSRS:               readWrite(0x88, 8),
  SET_MSRS:               write(0x89, 8),
  GET_FPU:                read(0x8c, FPU_BYTES),
  SET_CPUID2:             write(0x90, 8),
  GET_MP_STATE:           read(0x98, 4),
  NMI:                    request(0x9a),
  SET_GUEST_DEBUG:        write(0x9b, 72),
} as const;

// biome-ignore format: one row per fact
export const KVM_EXIT = {
  IO: 2, DEBUG: 4, HLT: 5, MMIO: 6, IRQ_WINDOW_OPEN: 7, SHUTDOWN: 8, FAIL_ENTRY: 9, INTERNAL_ERROR: 17,
} as const;

export const KVM_API_VERSION = 12;

// biome-ignore format: one row per fact
export const KVM_CAP = { IRQCHIP: 0, USER_MEMORY: 3, EXT_CPUID: 7, PIT2: 33, SET_GUEST_DEBUG: 23, MP_STATE: 14, USER_NMI: 22 } as const;

/** `KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP` */
export const GUESTDBG_SINGLE_STEP = 3;

/** Offsets in struct kvm_run; `io`, `mmio` and `debug` share the union. */
// biome-ignore format: one row per fact
export const kvmRun = {
  requestInterruptWindow: 0, exitReason: 8, readyForInterruptInjection: 12, ifFlag: 13, cr8: 16, apicBase: 24, union: 32,
} as const;
/** `io.data_offset` is the second page on x86. */
export const IO_DATA_OFFSET = 4096;

/** struct kvm_regs: quadwords in this order. */
// biome-ignore format: one list
export const registerNames = [
  "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp",
  "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip", "rflags",
] as const;
export type RegisterName = (typeof registerNames)[number];
export type Registers = Record<RegisterName, bigint>;

/** struct kvm_segment, in the fields' own order. */
export interface Segment {
  base: bigint;
  limit: number;
  selector: number;
  type: number;
  present: number;
  dpl: number;
  db: number;
  s: number;
  l: number;
  g: number;
  avl: number;
  unusable: number;
}
export const segmentNames = ["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"] as const;
export type SegmentName = (typeof segmentNames)[number];

export interface DescriptorTable {
  base: bigint;
  limit: number;
}

/** struct kvm_sregs without its bitmap of pending interrupts. */
export type SystemRegisters = Record<SegmentName, Segment> &
  Record<"gdt" | "idt", DescriptorTable> &
  Record<"cr0" | "cr2" | "cr3" | "cr4" | "cr8" | "efer" | "apicBase", bigint>;

const putSegment = (view: DataView, at: number, segment: Segment): void => {
  view.setBigUint64(at, segment.base, true);
  view.setUint32(at + 8, segment.limit, true);
  view.setUint16(at + 12, segment.selector, true);
  const { type, present, dpl, db, s, l, g, avl, unusable } = segment;
  for (const [i, field] of [type, present, dpl, db, s, l, g, avl, unusable].entries())
    view.setUint8(at + 14 + i, field);
};

export const sregsBytes = (sregs: SystemRegisters): Uint8Array => {
  const bytes = new Uint8Array(SREGS_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, name] of segmentNames.entries()) putSegment(view, 24 * i, sregs[name]);
  for (const [i, name] of (["gdt", "idt"] as const).entries()) {
    view.setBigUint64(192 + 16 * i, sregs[name].base, true);
    view.setUint16(200 + 16 * i, sregs[name].limit, true);
  }
  for (const [i, name] of (["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apicBase"] as const).entries())
    view.setBigUint64(224 + 8 * i, sregs[name], true);
  return bytes;
};

export const regsBytes = (registers: Registers): Uint8Array => {
  const bytes = new Uint8Array(REGS_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, name] of registerNames.entries()) view.setBigUint64(8 * i, registers[name], true);
  return bytes;
};

/** What each quadword of struct kvm_sregs holds, for complaints. */
export const sregsNames: readonly string[] = [
  ...segmentNames.flatMap((name) => [`${name}.base`, `${name}.limit, selector, type`, `${name} attributes`]),
  ...[
    "gdt.base",
    "gdt.limit",
    "idt.base",
    "idt.limit",
    "cr0",
    "cr2",
    "cr3",
    "cr4",
    "cr8",
    "efer",
    "apic_base",
  ],
  ...["interrupt_bitmap[0]", "interrupt_bitmap[1]", "interrupt_bitmap[2]", "interrupt_bitmap[3]"],
];

const segment = (type: number, s: number): Segment => ({
  // biome-ignore format: one row
  base: 0n,
  limit: 0xffff,
  selector: 0,
  type,
  present: 1,
  dpl: 0,
  db: 0,
  s,
  l: 0,
  g: 0,
  avl: 0,
  unusable: 0,
});

/** A processor in real mode, all segments at 0: what a reset leaves but for CS. */
export const realMode = (): SystemRegisters => ({
  cs: segment(0xb, 1),
  ds: segment(3, 1),
  es: segment(3, 1),
  fs: segment(3, 1),
  gs: segment(3, 1),
  ss: segment(3, 1),
  tr: segment(0xb, 0),
  ldt: segment(2, 0),
  gdt: { base: 0n, limit: 0xffff },
  idt: { base: 0n, limit: 0xffff },
  cr0: 0x6000_0010n,
  cr2: 0n,
  cr3: 0n,
  cr4: 0n,
  cr8: 0n,
  efer: 0n,
  apicBase: 0xfee0_0900n,
});

/** A flat segment: code of 32 or 64 bits, or data. */
export const flat = (selector: number, kind: "code32" | "code64" | "data"): Segment => ({
  ...segment(kind === "data" ? 3 : 0xb, 1),
  selector,
  dpl: selector & 3,
  limit: 0xffff_ffff,
  db: kind === "code64" ? 0 : 1,
  l: kind === "code64" ? 1 : 0,
  g: 1,
});
