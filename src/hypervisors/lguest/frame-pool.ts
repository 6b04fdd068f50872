import type { HostMemory } from "../host/host-memory.ts";

const cleared = new Uint8Array(4096);

/** Page frames of the host that guests use: their registers, their shadow page tables. There are so many and no more. */
export class FramePool {
  readonly #memory: HostMemory;
  readonly #free: number[] = [];

  constructor(memory: HostMemory, frames: number) {
    this.#memory = memory;
    const first = memory.allocate(4096 * frames);
    for (let n = frames - 1; n >= 0; n--) this.#free.push(first + 4096 * n);
  }

  get free(): number {
    return this.#free.length;
  }

  /** A cleared frame, or none. */
  take(): number | undefined {
    const frame = this.#free.pop();
    if (frame !== undefined) this.#memory.write(frame, cleared);
    return frame;
  }

  give(frame: number): void {
    this.#free.push(frame);
  }
}
