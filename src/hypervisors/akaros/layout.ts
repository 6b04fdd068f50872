/** The data structures of the kernel that assembly and C part share: offsets, selectors, vectors, numbers. */

/** The kernel's memory is mapped here: the upper half of every address space. Exact as a number. */
export const KERNBASE = 0xffff_8000_0000_0000;
export const kernbase = BigInt(KERNBASE);
/** Upper 32 bits of it; the lower ones are a physical address. */
export const kernbaseHigh = 0xffff_8000;

/** Selectors of the GDT, in the order SYSRET wants. With `RPL` in user mode. */
export const selector = {
  kernelCode: 0x08,
  kernelData: 0x10,
  userData: 0x18,
  userCode: 0x20,
  TSS: 0x28,
} as const;
export const RPL = 3;
/** What SYSCALL loads from, and what SYSRET adds 8 (SS) and 16 (CS) to. */
export const starKernel = selector.kernelCode;
export const starUser = selector.userData - 8;

// biome-ignore format: one row per fact
export const vector = {
  NMI: 2, BP: 3, UD: 6, DF: 8, GP: 13, PF: 14, PIC: 32, syscall: 48, IOAPIC: 49, SMP_CALL0: 224,
  /** Spare IPI that only the repaired kernel uses: posted interrupts. */ POSTED: 236,
  TESTING: 237, POKE_CORE: 238, KERNEL_MSG: 239, timer: 240, spurious: 255,
} as const;

const offsets = <Name extends string>(
  start: number,
  names: readonly Name[],
): Readonly<Record<Name, number>> =>
  Object.fromEntries(names.map((name, n) => [name, start + 8 * n])) as Record<Name, number>;

// biome-ignore format: one list
const generalOrder = ["rax", "rbx", "rcx", "rdx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const;
/** General registers in the order of the frames, but for RSP. */
export const frameRegisters = generalOrder;
export type FrameRegister = (typeof generalOrder)[number];
/** By their numbers in instructions; 4 is RSP. */
// biome-ignore format: one list
export const registerNumbers = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"] as const;

/** An interrupted thread: hw_trapframe. */
export const hw = {
  gsbase: 0x00, fsbase: 0x08, ...offsets(0x10, generalOrder), trapno: 0x88, err: 0x90, rip: 0x98,
  cs: 0xa0, padding3: 0xa2, rflags: 0xa8, rsp: 0xb0, ss: 0xb8, /** 1: partial. */ padding0: 0xbc, bytes: 0xc0,
} as const; // biome-ignore format: one row per fact
/** Marks a frame whose trap has been handed to the process. */
export const reflectedMark = 0x1234;

/** A thread that made a system call: sw_trapframe, what a C function must preserve. */
export const sw = {
  gsbase: 0x00, fsbase: 0x08, rbx: 0x10, rbp: 0x18, r12: 0x20, r13: 0x28, r14: 0x30, r15: 0x38, rip: 0x40, rsp: 0x48,
  mxcsr: 0x50, fpucw: 0x54, /** 1: partial. */ padding0: 0x56, bytes: 0x58,
} as const; // biome-ignore format: one row per fact

/** A thread of a guest: vm_trapframe. */
export const vm = {
  ...offsets(0x00, generalOrder), rip: 0x78, rflags: 0x80, rsp: 0x88, cr2: 0x90, cr3: 0x98,
  guestPcoreId: 0xa0, flags: 0xa4, trapInject: 0xa8, /** Upper half of the qualification; the original leaves it unused. */ pad: 0xac,
  exitReason: 0xb0, exitQual: 0xb4, /** Guest interruptibility. */ intrinfo1: 0xb8, /** VM-exit interruption information. */ intrinfo2: 0xbc,
  guestVa: 0xc0, guestPa: 0xc8, bytes: 0xd0,
} as const; // biome-ignore format: one row per fact
export const vmFlag = { PARTIAL: 1, HAS_FAULT: 2 } as const;
/** trap_inject: VM-entry interruption information, and in bits that must be 0 there the error code of an exception. */
// biome-ignore format: one row per fact
export const trapInject = {
  valid: 0x8000_0000, deliverErrorCode: 0x800, exception: 3 << 8, externalInterrupt: 0, errorCode: 0x7fff_f000, errorShift: 12,
} as const;
/** Exit reasons of the kernel's own, beyond the processor's. */
export const kernelExit = { GUEST_IN_USE: 257, VMENTER_FAILED: 258 } as const;
export const entryFailed = 0x8000_0000;

/** user_context: a type, then one of the three. */
export const context = { type: 0x00, frame: 0x10, bytes: 0x10 + vm.bytes } as const;
export const contextType = { none: 0, HW: 1, SW: 2, VM: 3 } as const;

/** The beginning of a processor's area, at GS in the kernel. */
export const perCpu = {
  stackTop: 0x00,
  nmis: 0x20,
  actualContext: 0x40,
  fakeFrame: 0x140,
  scratch: 0x240,
} as const;

/** What kernel and user-level scheduler share for each virtual core, in user memory. */
// biome-ignore format: one row per fact
export const vcpd = {
  uthreadContext: 0x000, vcoreContext: 0x100, notifDisabled: 0x200, notifPending: 0x204, syscall: 0x300, bytes: 0x1000,
} as const;

/** struct syscall, in user memory. */
export const syscall = {
  number: 0x00,
  error: 0x04,
  result: 0x08,
  flags: 0x10,
  arguments: 0x18,
  bytes: 0x40,
  done: 1,
} as const;
/** Numbers: three are the original's, the rest ours. */
export const syscallNumber = {
  null: 1,
  destroy: 9,
  mmap: 18,
  munmap: 19,
  vmmSetup: 34,
  popContext: 37,
  pokeGuest: 38,
  haltCore: 39,
} as const;
export const errno = { EINVAL: 22, ENODEV: 19, EFAULT: 14, ENOSYS: 38 } as const;
export const fastcallSetFsbase = 0xf0f0_0000_0000_0001n;

/** The process: addresses in its half. Guest-physical memory is what lies below `guestEnd`. */
// biome-ignore format: one row per fact
export const userAddress = {
  /** Above every guest-physical address: no guest reaches what follows, though its tables have it. */
  vcpd: 0x7f00_0000_0000, stacks: 0x7f00_0010_0000, code: 0x7f00_0020_0000, pages: 0x7f00_0030_0000, contexts: 0x7f00_0040_0000, gate: 0x7f00_0050_0000,
  end: 0x8000_0000_0000,
} as const;
/** A user-mode store to this device of the host's machine, which the process has mapped, calls the TypeScript of user level. */
export const userGateDevice = 0xfd00_0000;

export const pageBytes = 4096;

/** The original's documented bugs, each alone: `historic` has all of them, `fixed` none. */
export interface AkarosBugs {
  /** #DF pushes a second error code: its frame is 8 bytes off, and a double fault in the kernel is taken for the user's. */
  readonly doubleFaultMisframe: boolean;
  /** NMIs and double faults come on whatever stack RSP is at, the user's in the first instructions after SYSCALL. */
  readonly noInterruptStacks: boolean;
  /** Vector 238 means both "poke" and "posted interrupt": a poke in guest mode is swallowed. */
  readonly sharedNotification: boolean;
  /** A failed entry leaves its guest core loaded. */
  readonly failedEntryStaysLoaded: boolean;
  /** Contexts from user level keep IOPL, NT, VM and the rest of RFLAGS. */
  readonly trustsRflags: boolean;
  /** The upper half of the exit qualification is lost. */
  readonly truncatedQualification: boolean;
  /** An event whose delivery ends in an exit that the kernel deals with is not injected again. */
  readonly losesEvents: boolean;
  /** RDMSR of pass-through MSRs swaps the halves; written fake values are shared by all guests. */
  readonly msrTable: boolean;
  /** Guest/host masks 0 and no unrestricted guest: only kernels made for it start. */
  readonly adaptedGuestsOnly: boolean;
}
const bugs = (has: boolean): AkarosBugs => ({
  doubleFaultMisframe: has, noInterruptStacks: has, sharedNotification: has, failedEntryStaysLoaded: has, trustsRflags: has,
  truncatedQualification: has, losesEvents: has, msrTable: has, adaptedGuestsOnly: has,
}); // biome-ignore format: one list
export type AkarosMode = "historic" | "fixed";
export const bugsOf = (mode: AkarosMode): AkarosBugs => bugs(mode === "historic");
