/** What KVM_RUN tells its caller: the structure that is mapped beside the file descriptor of a vCPU. */

// biome-ignore format: one row per group of facts
export const KvmExit = {
  UNKNOWN: 0, EXCEPTION: 1, IO: 2, HYPERCALL: 3, DEBUG: 4, HLT: 5, MMIO: 6, IRQ_WINDOW_OPEN: 7, SHUTDOWN: 8, FAIL_ENTRY: 9, INTR: 10,
  SET_TPR: 11, TPR_ACCESS: 12, NMI: 16, INTERNAL_ERROR: 17,
} as const;
export type KvmExit = (typeof KvmExit)[keyof typeof KvmExit];

/** Suberrors of INTERNAL_ERROR: an instruction that cannot be emulated; an exception while another was delivered; an exit during delivery. */
export const InternalError = { EMULATION: 1, SIMUL_EX: 2, DELIVERY_EV: 3 } as const;

/** Errors of ioctls, as Linux numbers them, negative. */
// biome-ignore format: one row per fact
export const errno = { EPERM: -1, ENOENT: -2, EINTR: -4, EIO: -5, E2BIG: -7, EAGAIN: -11, EFAULT: -14, EBUSY: -16, EEXIST: -17, ENXIO: -6, EINVAL: -22, ENOEXEC: -8, ENODEV: -19 } as const;

export class KvmRun {
  // to KVM
  requestInterruptWindow = false;
  // from KVM
  exitReason: KvmExit = KvmExit.UNKNOWN;
  readyForInterruptInjection = false;
  ifFlag = false;
  // both ways
  cr8 = 0;
  apicBase = 0;

  /** UNKNOWN: the processor's exit reason. */
  hardwareExitReason = 0;
  /** FAIL_ENTRY: the exit reason with bit 31, or the VM-instruction error. */
  hardwareEntryFailureReason = 0;
  /** EXCEPTION. */
  readonly ex = { exception: 0, errorCode: 0 };
  /** IO: `count` accesses of `size` bytes; `buffer` has what is written, and takes what is read. */
  readonly io = { isOut: false, size: 1 as 1 | 2 | 4, port: 0, count: 0 };
  readonly buffer = new DataView(new ArrayBuffer(4096));
  /** What the user, or KVM, has put into the data of an IO exit. */
  ioValue(size: 1 | 2 | 4): number {
    const { buffer } = this;
    return size === 1
      ? buffer.getUint8(0)
      : size === 2
        ? buffer.getUint16(0, true)
        : buffer.getUint32(0, true);
  }
  /** DEBUG. */
  readonly debug = { exception: 0, pc: 0n, dr6: 0n, dr7: 0n };
  /** MMIO: `value` has what is written, and takes what is read. */
  readonly mmio = { address: 0, value: 0, length: 4 as 1 | 2 | 4, isWrite: false };
  /** INTERNAL_ERROR. */
  readonly internal = { suberror: 0, words: [] as number[] };
}

// biome-ignore format: one row per fact
export const MpState = { RUNNABLE: 0, UNINITIALIZED: 1, INIT_RECEIVED: 2, HALTED: 3, SIPI_RECEIVED: 4 } as const;
export type MpState = (typeof MpState)[keyof typeof MpState];
