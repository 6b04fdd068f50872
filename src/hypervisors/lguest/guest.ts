import type { Timer } from "../../bus/clock.ts";
import { hex } from "../../machine/boot/memory-map.ts";
import { flatCode, flatData, type Host } from "../host32/host.ts";
import { gdtEntry, lguestData, selector, syscallVector } from "./abi.ts";
import type { FramePool } from "./frame-pool.ts";
import { type GuestRegister, regs, regsOrder } from "./layout.ts";
import type { Quirks } from "./quirks.ts";
import { ShadowPageTables } from "./shadow-page-tables.ts";

/** What of the guest's tables the host's copies do not have yet. */
export const changed = { IDT: 1, GDT: 2, TLS: 4, all: 3 } as const;
export const dmaBindings = 32;

/** Buffers that a guest has bound to a key. */
export interface DmaBinding {
  readonly key: number;
  /** Guest-physical address of the first struct lguest_dma, and how many there are. */
  readonly dmas: number;
  readonly count: number;
  next: number;
  /** The virtual interrupt that says a buffer is filled. */
  readonly interrupt: number;
}

/** What a Launcher says of its guest. */
export interface GuestPlan {
  /** Machine-physical address of guest-physical 0. */
  readonly base: number;
  /** Guest-physical page frames. */
  readonly pfnLimit: number;
  /** Guest-physical address of the first page directory. */
  readonly directory: number;
  /** Virtual address of the first instruction. */
  readonly start: number;
  /** Virtual addresses from here on are the kernel's. */
  readonly pageOffset: number;
}

/** Interrupt gates and trap gates of the guest, as it asked for them: low and high word; high 0: none. */
type Gates = Uint32Array;

/** One guest: what the host knows of it. Whatever the guest does wrong ends in `kill`. */
export class Guest {
  readonly host: Host;
  readonly id: number;
  readonly quirks: Quirks;
  readonly plan: GuestPlan;
  /** Guest-physical bytes. */
  readonly limit: number;
  /** Machine-physical page with struct lguest_regs at its end. */
  readonly regsPage: number;
  readonly paging: ShadowPageTables;
  /** Why the guest died. */
  dead: string | undefined;
  /** Guest-physical address of struct lguest_data, once INIT has said. */
  shared: number | undefined;
  noirqStart = 0;
  noirqEnd = 0;
  halted = false;
  /** The guest's idea of CR0.TS. */
  taskSwitched = false;
  nextSlot = 0;
  esp1 = 0;
  ss1: number = selector.KERNEL_DS + 1;
  stackPages = 0;
  breakOut = false;
  changed: number = changed.all;
  /** The processor that last ran it. */
  lastCpu: number | undefined;
  pendingDma: { readonly address: number; readonly key: number } | undefined;
  readonly bindings: (DmaBinding | undefined)[] = new Array(dmaBindings).fill(undefined);
  readonly gdt = new BigUint64Array(gdtEntry.entries);
  readonly gates: Gates = new Uint32Array(2 * 256);
  interruptsPending = 0;
  readonly clockEvent: Timer;
  /** Linear address of its FPU registers while it does not own the FPU. */
  readonly fpuArea: number;
  /** Exits by trap number. */
  readonly exits = new Uint32Array(257);
  /** How often the IDT or GDT was copied to a processor's pages. */
  readonly copies = { IDT: 0, GDT: 0 };
  readonly #frames: FramePool;

  constructor(host: Host, id: number, plan: GuestPlan, quirks: Quirks, frames: FramePool) {
    this.host = host;
    this.id = id;
    this.plan = plan;
    this.quirks = quirks;
    this.limit = plan.pfnLimit * 4096;
    this.#frames = frames;
    this.regsPage = frames.take()!;
    const fpuPage = frames.take()!;
    // An FPU after FNINIT and with exceptions of SSE masked.
    host.memory.write32(fpuPage, 0x37f);
    host.memory.write32(fpuPage + 24, 0x1f80);
    this.fpuArea = host.linear(fpuPage);
    this.paging = new ShadowPageTables(this, frames);
    this.clockEvent = host.callouts.timer(`clock event of guest ${id}`, () => {
      this.interruptsPending |= 1;
    });
    this.gdt[gdtEntry.KERNEL_CS] = flatCode(1);
    this.gdt[gdtEntry.KERNEL_DS] = flatData(1);
    for (const name of ["ds", "es", "ss"] as const) this.set(name, selector.KERNEL_DS + 1);
    this.set("cs", selector.KERNEL_CS + 1);
    this.set("eflags", 0x202);
    this.set("eip", plan.start);
    this.set("trapnum", 255);
    this.paging.switchTo(plan.directory);
  }

  /** Its host memory is free again. */
  release(): void {
    this.clockEvent.disarm();
    this.paging.releaseAll();
    this.#frames.give(this.regsPage);
    this.#frames.give(this.host.physical(this.fpuArea));
  }

  /** The guest has done something that cannot be allowed. The first reason counts. */
  kill(reason: string): void {
    this.dead ??= reason;
  }

  get(register: GuestRegister): number {
    return this.host.memory.read32(this.regsPage + regs[register]);
  }
  set(register: GuestRegister, value: number): void {
    this.host.memory.write32(this.regsPage + regs[register], value);
  }
  /** All of struct lguest_regs. */
  registers(): Record<GuestRegister, number> {
    return Object.fromEntries(regsOrder.map((name) => [name, this.get(name)])) as Record<
      GuestRegister,
      number
    >;
  }

  /** The privilege level of what was interrupted. */
  get ring(): number {
    return this.get("cs") & 3;
  }

  #isMemory(address: number, length: number): boolean {
    return address >= 0 && length >= 0 && address + length <= this.limit;
  }

  /** Guest-physical memory. An address outside kills the guest. */
  read32(address: number): number {
    if (!this.#isMemory(address, 4)) {
      this.kill(`bad read address ${hex(address)} length 4`);
      return 0;
    }
    return this.host.memory.read32(this.plan.base + address);
  }
  write32(address: number, value: number): void {
    if (this.#isMemory(address, 4)) this.host.memory.physical.write(this.plan.base + address, value >>> 0, 4);
    else this.kill(`bad write address ${hex(address)} length 4`);
  }
  readBytes(address: number, length: number): Uint8Array {
    if (this.#isMemory(address, length)) return this.host.memory.read(this.plan.base + address, length);
    this.kill(`bad read address ${hex(address)} length ${length}`);
    return new Uint8Array(0);
  }
  writeBytes(address: number, bytes: Uint8Array): void {
    if (this.#isMemory(address, bytes.length)) this.host.memory.write(this.plan.base + address, bytes);
    else this.kill(`bad write address ${hex(address)} length ${bytes.length}`);
  }
  /** A text of the guest's up to its zero byte, at most 256 characters. */
  readText(address: number): string {
    const length = Math.max(0, Math.min(256, this.limit - address));
    if (length === 0) {
      this.kill(`bad read address ${hex(address)} length 1`);
      return "";
    }
    const bytes = this.readBytes(address, length);
    const end = bytes.indexOf(0);
    return String.fromCharCode(...bytes.subarray(0, end < 0 ? length : end)).replace(/[^\x20-\x7e]/g, "?");
  }

  /** A word of struct lguest_data, of which there must be one. */
  sharedWord(field: keyof typeof lguestData): number {
    return this.shared === undefined ? 0 : this.read32(this.shared + lguestData[field]);
  }
  setSharedWord(field: keyof typeof lguestData, value: number): void {
    if (this.shared !== undefined) this.write32(this.shared + lguestData[field], value);
  }

  /** Is this a vector that a guest may have a gate for? */
  static hasGate(vector: number): boolean {
    return vector < 64 || vector === syscallVector;
  }
}
