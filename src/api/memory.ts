import type { ImageRunner } from "../hypervisors/host/virtual-machine.ts";

/** Guest-physical memory, while the machine does not run. Devices are not reached: where there is no RAM or ROM, bytes read as 0xFF. */
export class Memory {
  readonly #guest: () => ImageRunner["guest"];

  constructor(guest: () => ImageRunner["guest"]) {
    this.#guest = guest;
  }

  /** Bytes of RAM. */
  get size(): number {
    return this.#guest().ramBytes;
  }

  /** A copy of `length` bytes at a physical address. */
  read(address: number, length: number): Uint8Array {
    return this.#guest().readBytes(address, length);
  }

  /** Write into RAM; what would lie outside it is dropped. */
  write(address: number, bytes: Uint8Array): void {
    this.#guest().writeBytes(address, bytes);
  }
}
