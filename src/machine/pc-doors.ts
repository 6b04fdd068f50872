import type { CpuModel } from "../cpu/core.ts";
import type { BlockStorage } from "../devices/virtio-blk.ts";

/** What a machine is made of, what leaves it, and why it stops. */

export interface DiskConfiguration {
  readonly storage: BlockStorage;
  /** At most 20 ASCII characters; what the guest reads as the disk's serial number. */
  readonly serial?: string;
}

export interface PcConfiguration {
  /** Bytes of RAM, a multiple of 4 KiB. */
  readonly memoryBytes: number;
  /** Logical processors, 1 to 8. */
  readonly processors: number;
  readonly model: CpuModel;
  readonly disks: readonly DiskConfiguration[];
  /** Seed of everything random in the machine: RDRAND and the virtio entropy device. */
  readonly seed: bigint;
  /** What the real-time clock shows at power-on, seconds since 1970. Default: a fixed date. */
  readonly startUnixSeconds?: number;
  /** Bytes of room for ROM images. */
  readonly romBytes: number;
  readonly debugconPort?: number;
  /** Kernel command line as firmware configuration shows it. */
  readonly commandLine?: string;
  /** The board has its virtio console elsewhere than on the PCI bus. */
  readonly lacksPciConsole?: boolean;
  /** A firmware ROM will set the board up: registers stay as a reset leaves them. */
  readonly hasFirmware?: boolean;
  /** Memory of the machine before a reset, of the same sizes: RAM keeps its contents. */
  readonly keptMemory?: WebAssembly.Memory;
}

/** What leaves the machine. */
export interface PcOutputs {
  serial(port: 1 | 2, byte: number): void;
  debugcon(byte: number): void;
  virtioConsole(bytes: Uint8Array): void;
  /** Something the machine does not have was used. Called only when it is set. */
  unimplemented?: (what: string) => void;
}

/** Why the machine stopped running. */
export type PcStop =
  | { readonly kind: "budget" }
  /** Every processor waits for an event, and none is on its way before `untilNs` (undefined: none at all). */
  | { readonly kind: "idle"; readonly untilNs: number | undefined }
  | { readonly kind: "power-off" }
  | { readonly kind: "debug-exit"; readonly status: number }
  /** A processor shut down after a triple fault. */
  | { readonly kind: "triple-fault"; readonly processor: number }
  /** A processor shut down by a VMX abort; `indicator`: VMX-abort indicator. */
  | { readonly kind: "vmx-abort"; readonly processor: number; readonly indicator: number }
  | { readonly kind: "reset" }
  /** `interrupt` was called. */
  | { readonly kind: "interrupted" };
