import type { HostMemory } from "../host/host-memory.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import type { GuestCore } from "./guest-core.ts";
import { pageBytes, userAddress, userGateDevice, vcpd } from "./layout.ts";
import { ProcessMemory } from "./process-memory.ts";

/** A core as user level sees it. */
export interface UserCore {
  readonly index: number;
  readonly cpu: HostProcessor;
}

/** What of a process is TypeScript: its user level. It runs when a core comes to one of the two gates. */
export interface UserLevel {
  /** A virtual core begins anew: something has happened to what ran on it, or nothing ever has. */
  vcoreEntry(core: UserCore): void;
  /** A system call is back. */
  returned(core: UserCore): void;
}

/** Of a process: its virtual machine. */
export interface VirtualMachine {
  readonly guestCores: readonly GuestCore[];
  /** By exit reason; the last counts those beyond. */
  readonly exits: number[];
  /** What guests have written to MSRs that only seem to be there. */
  readonly writtenMsrs: Map<number, bigint>;
  readonly flags: number;
}
export const vmmFlag = { VMCALL_PRINTF: 1 } as const;

export class Process {
  readonly memory: ProcessMemory;
  readonly user: UserLevel;
  machine: VirtualMachine | undefined;
  /** Why it is no more. */
  ended: { readonly status: number; readonly says: string } | undefined;
  readonly #physical: HostMemory;
  readonly #vcpd: number;

  constructor(physical: HostMemory, kernelRoot: number, vcores: number, code: Uint8Array, user: UserLevel) {
    this.#physical = physical;
    this.user = user;
    this.memory = new ProcessMemory(physical, kernelRoot);
    const map = (start: number, length: number): number => {
      const host = physical.allocate(length);
      this.memory.mmap({ start, length, host });
      return host;
    };
    this.#vcpd = map(userAddress.vcpd, vcores * vcpd.bytes);
    map(userAddress.stacks, vcores * pageBytes);
    physical.write(map(userAddress.code, pageBytes), code);
    map(userAddress.contexts, 4 * pageBytes);
    this.memory.mmap({ start: userAddress.gate, length: pageBytes, host: userGateDevice, isDevice: true });
  }

  /** Physical address of what a virtual core and the kernel share. */
  vcpd(index: number): number {
    return this.#vcpd + index * vcpd.bytes;
  }
  /** The same in the process. */
  vcpdAddress(index: number): number {
    return userAddress.vcpd + index * vcpd.bytes;
  }
  stackTop(index: number): number {
    return userAddress.stacks + (index + 1) * pageBytes;
  }

  notificationsDisabled(index: number): boolean {
    return this.#physical.read32(this.vcpd(index) + vcpd.notifDisabled) !== 0;
  }
  setNotificationsDisabled(index: number, disabled: boolean): void {
    this.#physical.write32(this.vcpd(index) + vcpd.notifDisabled, disabled ? 1 : 0);
  }
}
