import { hex } from "../../machine/boot/memory-map.ts";
import type { Host, Thread } from "../host32/host.ts";
import { guestRing, hypercallVector } from "./abi.ts";
import { FramePool } from "./frame-pool.ts";
import { changed, Guest, type GuestPlan } from "./guest.ts";
import { answerHypercall } from "./hypercalls.ts";
import { faultInSwitcher, state } from "./layout.ts";
import { type Mode, type Quirks, quirksOf } from "./quirks.ts";
import { copyGdt } from "./segments.ts";
import { Switcher, taskSwitched } from "./switcher.ts";
import { copyIdt, deliverInterrupt, reflect } from "./traps.ts";

/** Errors of read, as Linux numbers them. */
export const errno = {
  ENOENT: -2,
  EAGAIN: -11,
  EPERM: -1,
  EBUSY: -16,
  ENOSPC: -28,
  EINVAL: -22,
  ERESTARTSYS: -512,
} as const;
export const mostGuests = 16;
/** Shadow page tables, registers and FPU images of all guests together, in pages. */
const poolFrames = 2048;
const [NM, GP, PF] = [7, 13, 14];

/** The module: the Switcher, the guests, and the loop that runs one of them. One lock: one guest runs at a time. */
export class Lguest {
  readonly host: Host;
  readonly mode: Mode;
  readonly quirks: Quirks;
  readonly switcher: Switcher;
  readonly frames: FramePool;
  readonly guests: (Guest | undefined)[] = new Array(mostGuests).fill(undefined);
  /** The guest that each processor last ran. */
  readonly lastGuest: (Guest | undefined)[];
  /** Whose registers the FPU holds. */
  #fpuOwner: Guest | undefined;

  constructor(host: Host, mode: Mode = "fixed", quirks = quirksOf(mode)) {
    this.host = host;
    this.mode = mode;
    this.quirks = quirks;
    this.switcher = new Switcher(host, quirks);
    this.frames = new FramePool(host.memory, poolFrames);
    this.lastGuest = host.cpus.map(() => undefined);
  }

  /** A new guest, or why there is none. */
  create(plan: GuestPlan): Guest | typeof errno.ENOSPC {
    const id = this.guests.indexOf(undefined);
    if (id < 0) return errno.ENOSPC;
    const guest = new Guest(this.host, id, plan, this.quirks, this.frames);
    this.guests[id] = guest;
    return guest;
  }

  release(guest: Guest): void {
    this.guests[guest.id] = undefined;
    this.lastGuest.forEach((last, cpu) => {
      if (last === guest) this.lastGuest[cpu] = undefined;
    });
    if (this.#fpuOwner === guest) this.#fpuOwner = undefined;
    guest.release();
  }

  /**
   * Run a guest until its Launcher has to know something: a DMA, a reason to break off, or its death. `signalled`: the Launcher
   * has a signal to take.
   */
  *run(guest: Guest, signalled: () => boolean): Thread<number | Uint8Array> {
    while (guest.dead === undefined) {
      if (guest.get("trapnum") === hypercallVector) answerHypercall(guest);
      if (guest.pendingDma !== undefined && guest.dead === undefined) {
        const bytes = new Uint32Array([guest.pendingDma.address, guest.pendingDma.key]);
        guest.pendingDma = undefined;
        return new Uint8Array(bytes.buffer);
      }
      if (signalled()) return errno.ERESTARTSYS;
      if (guest.breakOut) return errno.EAGAIN;
      deliverInterrupt(guest);
      if (guest.dead !== undefined) break;
      if (guest.halted) {
        yield* this.#sleep(guest);
        continue;
      }
      yield* this.#runOnce(guest);
      this.#dispatch(guest);
    }
    return errno.ENOENT;
  }

  /** Until an interrupt. One that comes between the look and STI is not missed: it ends HLT. */
  *#sleep(guest: Guest): Thread<void> {
    const { host } = this;
    if (!host.begin(host.stub("disableInterrupts"))) yield* host.rest();
    const wakes = (guest.interruptsPending & ~guest.sharedWord("blocked_interrupts")) !== 0 || guest.breakOut;
    if (!host.begin(host.stub(wakes ? "enableInterrupts" : "idle"))) yield* host.rest();
  }

  /** What the processor's pages must say before this guest runs there. */
  #copyIn(guest: Guest): void {
    const { host, switcher } = this;
    const cpu = host.cpu.index;
    const pages = switcher.cpus[cpu]!;
    if (this.lastGuest[cpu] !== guest || guest.lastCpu !== cpu) {
      this.lastGuest[cpu] = guest;
      guest.lastCpu = cpu;
      guest.changed = changed.all;
      switcher.mapRegisters(pages, guest.regsPage);
    }
    guest.paging.pinStack();
    host.memory.write32(pages.statePhysical + state.host_cr3, host.state.low32("CR3"));
    guest.paging.plug(pages.guestTable);
    switcher.setKernelStack(pages, guest.esp1, guest.ss1);
    if (guest.changed & changed.IDT) copyIdt(guest, switcher, pages);
    if (guest.changed & changed.GDT) copyGdt(guest, pages, false);
    else if (guest.changed & changed.TLS) copyGdt(guest, pages, true);
    guest.changed = 0;
  }

  *#runOnce(guest: Guest): Thread<void> {
    const { host, switcher } = this;
    if (this.#fpuOwner !== undefined && this.#fpuOwner !== guest) {
      const { fpuArea } = this.#fpuOwner;
      this.#fpuOwner = undefined;
      if (!host.begin(host.stub("saveFpu"), fpuArea)) yield* host.rest();
    }
    this.#copyIn(guest);
    if (guest.dead !== undefined) return;
    const ownsFpu = this.#fpuOwner === guest;
    const clear = guest.taskSwitched && ownsFpu && !this.quirks.leavesTaskSwitched;
    switcher.fpuArea = guest.fpuArea;
    const { linear } = switcher.cpus[host.cpu.index]!;
    const how =
      (guest.taskSwitched || !ownsFpu ? taskSwitched.set : 0) |
      (clear ? taskSwitched.clear : 0) |
      (ownsFpu ? 0 : taskSwitched.restore);
    if (!host.begin(switcher.runOnce, linear, guest.paging.root, how, host.linear(guest.regsPage)))
      yield* host.rest();
    const trap = guest.get("trapnum");
    guest.exits[Math.min(trap, faultInSwitcher)]!++;
    if (trap === NM) this.#fpuOwner = guest;
  }

  /** The guest has stopped for something. */
  #dispatch(guest: Guest): void {
    if (guest.dead !== undefined) return;
    const trap = guest.get("trapnum");
    if (trap === hypercallVector) return;
    if (trap === faultInSwitcher) {
      guest.kill("fault in switcher: its registers could not be loaded");
      return;
    }
    // The host has served it by now.
    if (trap >= 32 && trap !== 128) return;
    if (trap === NM && !guest.taskSwitched) return;
    if (trap === GP && guest.get("errcode") === 0 && this.#emulate(guest)) return;
    if (trap === PF && this.#pageFault(guest)) return;
    if (reflect(guest, trap)) return;
    guest.kill(
      `unhandled trap ${trap} at ${hex(guest.get("eip"))} (${hex(trap === PF ? this.switcher.faultAddress : guest.get("errcode"))})`,
    );
  }

  /** True when the fault was only the shadow's. */
  #pageFault(guest: Guest): boolean {
    const { faultAddress } = this.switcher;
    if (guest.paging.demand(faultAddress, guest.get("errcode"))) return true;
    if (guest.dead !== undefined) return true;
    if (guest.shared === undefined) {
      if (guest.quirks.faultsBeforeInit) guest.write32(8, faultAddress);
      return false;
    }
    guest.setSharedWord("cr2", faultAddress);
    return false;
  }

  /** IN and OUT of the guest's kernel, which probes for hardware: there is none. */
  #emulate(guest: Guest): boolean {
    const eip = guest.get("eip");
    if (guest.quirks.emulatesByAddress ? eip < guest.plan.pageOffset : guest.ring !== guestRing) return false;
    const byteAt = (address: number): number | undefined => {
      const physical = guest.paging.translate(address >>> 0);
      return physical === undefined ? undefined : guest.readBytes(physical, 1)[0];
    };
    let length = 0;
    let width = 4;
    let opcode = byteAt(eip);
    if (opcode === 0x66) {
      width = 2;
      opcode = byteAt(eip + ++length);
    }
    if (opcode === undefined || (opcode & 0xf4) !== 0xe4) return false;
    if ((opcode & 1) === 0) width = 1;
    length += (opcode & 8) === 0 ? 2 : 1;
    if ((opcode & 2) === 0) {
      const ones = guest.quirks.inputFillsEax || width === 4 ? 0xffff_ffff : 2 ** (8 * width) - 1;
      guest.set("eax", (guest.get("eax") | ones) >>> 0);
    }
    guest.set("eip", (eip + length) >>> 0);
    return true;
  }
}
