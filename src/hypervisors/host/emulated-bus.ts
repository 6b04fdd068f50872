import type { PhysicalBus } from "../../cpu/core.ts";
import type { KernelDevices } from "./kernel-devices.ts";

/** RAM of the guest. */
export interface EmulatedRam {
  isRam(address: number): boolean;
  read(address: number, size: 1 | 2 | 4): number;
  write(address: number, value: number, size: 1 | 2 | 4): void;
}

export interface DeviceAccess {
  readonly address: number;
  readonly size: 1 | 2 | 4;
  readonly value: number;
}

/**
 * Guest-physical memory while an instruction is emulated. What a device of the user's gives is not known at first: then the
 * instruction is given up, and carried out from its beginning when it is.
 */
export class EmulatedBus implements PhysicalBus {
  readonly #memory: EmulatedRam;
  readonly #devices: () => KernelDevices | undefined;
  /** What devices gave, in the order of the reads. */
  readonly answers: number[] = [];
  readonly writes: DeviceAccess[] = [];
  /** The read that waits for an answer. */
  wanted: { readonly address: number; readonly size: 1 | 2 | 4 } | undefined;
  #read = 0;

  constructor(memory: EmulatedRam, devices: () => KernelDevices | undefined) {
    this.#memory = memory;
    this.#devices = devices;
  }

  /** Once more from the beginning. `answers` stay. */
  restart(): void {
    this.#read = 0;
    this.writes.length = 0;
    this.wanted = undefined;
  }

  isRam(address: number): boolean {
    return this.#memory.isRam(address);
  }

  read(address: number, size: 1 | 2 | 4): number {
    if (this.isRam(address)) return this.#memory.read(address, size);
    if (this.wanted !== undefined) return 0;
    if (this.#read === this.answers.length) {
      const devices = this.#devices();
      if (!devices?.ownsMemory(address)) {
        this.wanted = { address, size };
        return 0;
      }
      this.answers.push(devices.readMemory(address, size));
    }
    return this.answers[this.#read++]!;
  }

  write(address: number, value: number, size: 1 | 2 | 4): void {
    if (this.wanted !== undefined) return;
    if (this.isRam(address)) this.#memory.write(address, value, size);
    else this.writes.push({ address, size, value });
  }
}
