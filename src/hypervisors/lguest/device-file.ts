import { hostVector, type Thread } from "../host32/host.ts";
import { boundBuffer } from "./dma.ts";
import type { Guest } from "./guest.ts";
import { errno, type Lguest } from "./run-guest.ts";
import { raiseInterrupt } from "./traps.ts";

/** What is written to /dev/lguest: one of these, then its arguments. */
export const request = { INITIALIZE: 0, GETDMA: 1, IRQ: 2, BREAK: 3 } as const;

/** Memory of a Launcher: machine-physical address of its byte 0, which is the guest's, and its pages. */
export interface LauncherMemory {
  readonly base: number;
  readonly pages: number;
}

/** An open /dev/lguest: one guest. A task is whoever calls; the one that makes the guest is its Launcher. */
export class DeviceFile {
  guest: Guest | undefined;
  readonly #module: Lguest;
  readonly #memory: LauncherMemory;
  #owner: object | undefined;
  #toldOfDeath = false;

  constructor(module: Lguest, memory: LauncherMemory) {
    this.#module = module;
    this.#memory = memory;
  }

  /** write(): 0, an address, or an error. GETDMA puts the buffer's interrupt in place of the key. */
  write(task: object, words: Uint32Array | number[]): number {
    const [what, first = 0] = words;
    const { guest } = this;
    if (what === request.INITIALIZE) return this.#initialize(task, words);
    if (guest === undefined) return errno.EINVAL;
    if (guest.dead !== undefined) return errno.ENOENT;
    if (task !== this.#owner && what !== request.BREAK) return errno.EPERM;
    switch (what) {
      case request.GETDMA: {
        const buffer = boundBuffer(guest, first);
        if (buffer === undefined) return errno.ENOENT;
        words[1] = buffer.interrupt;
        return buffer.address;
      }
      case request.IRQ:
        if (first >= 32) return errno.EINVAL;
        raiseInterrupt(guest, first);
        return 0;
      case request.BREAK:
        guest.breakOut = first !== 0;
        // Wherever the guest runs: an interrupt brings it out.
        if (first !== 0) {
          const { apic } = this.#module.host.cpus[guest.lastCpu ?? 0]!;
          apic.sendInterrupt(guest.lastCpu ?? 0, hostVector.reschedule);
        }
        return 0;
      default:
        return errno.EINVAL;
    }
  }

  #initialize(task: object, words: Uint32Array | number[]): number {
    if (this.guest !== undefined) return errno.EBUSY;
    const [, pfnLimit = 0, directory = 0, start = 0, pageOffset = 0] = words;
    if (pfnLimit > this.#memory.pages || directory % 4096 !== 0 || directory >= pfnLimit * 4096)
      return errno.EINVAL;
    const guest = this.#module.create({ base: this.#memory.base, pfnLimit, directory, start, pageOffset });
    if (typeof guest === "number") return guest;
    this.guest = guest;
    this.#owner = task;
    return 0;
  }

  /** read(): runs the guest. 8 bytes of a DMA, an error, or after its death the reason with its zero byte. */
  *read(task: object, signalled: () => boolean = () => false): Thread<number | Uint8Array> {
    const { guest } = this;
    if (guest === undefined) return errno.EINVAL;
    if (task !== this.#owner) return errno.EPERM;
    if (guest.dead !== undefined && this.#toldOfDeath) return new TextEncoder().encode(`${guest.dead}\0`);
    const outcome = yield* this.#module.run(guest, signalled);
    if (guest.dead !== undefined) this.#toldOfDeath = true;
    return outcome;
  }

  close(): void {
    if (this.guest !== undefined) this.#module.release(this.guest);
    this.guest = undefined;
  }
}
