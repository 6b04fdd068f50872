import { entry, pageFault } from "../../arch/paging-entries.ts";
import { hex } from "../../machine/boot/memory-map.ts";
import type { Host } from "../host32/host.ts";
import type { FramePool } from "./frame-pool.ts";
import { switcherDirectoryIndex } from "./layout.ts";
import type { Quirks } from "./quirks.ts";

const { P, RW, US, PWT, PCD, A, D, PS } = entry;
const frameOf = (entryValue: number): number => (entryValue & ~0xfff) >>> 0;
/** What no entry of a guest may have: other memory types, large pages. */
const refusedFlags = PWT | PCD | PS;
const cachedDirectories = 4;
const noCr3 = -1;

/** What the tables need of their guest. */
interface PagedGuest {
  readonly host: Host;
  readonly id: number;
  readonly quirks: Quirks;
  readonly plan: { readonly base: number; readonly pfnLimit: number; readonly pageOffset: number };
  readonly limit: number;
  readonly dead: string | undefined;
  readonly esp1: number;
  readonly stackPages: number;
  read32(address: number): number;
  write32(address: number, value: number): void;
  kill(reason: string): void;
}

interface Directory {
  /** Guest-physical address of the directory it follows. */
  cr3: number;
  /** Machine-physical. */
  frame: number;
}

/**
 * The page tables that the processor really uses while a guest runs: filled page by page as the guest faults, from the guest's own
 * tables, whose Accessed and Dirty flags it keeps. Four page directories are kept.
 */
export class ShadowPageTables {
  readonly #guest: PagedGuest;
  readonly #frames: FramePool;
  readonly #directories: Directory[] = [];
  #current = 0;
  #random: number;

  constructor(guest: PagedGuest, frames: FramePool) {
    this.#guest = guest;
    this.#frames = frames;
    this.#random = guest.id + 1;
  }

  /** Machine-physical address of the shadow directory in use. */
  get root(): number {
    return this.#directories[this.#current]!.frame;
  }
  /** Guest-physical address of the directory that the guest believes in use. */
  get guestRoot(): number {
    return this.#directories[this.#current]!.cr3;
  }
  /** Guest-physical addresses of the directories that are cached. */
  get cached(): number[] {
    return this.#directories.map(({ cr3 }) => cr3).filter((cr3) => cr3 !== noCr3);
  }

  #read(address: number): number {
    return this.#guest.host.memory.read32(address);
  }
  #write(address: number, value: number): void {
    this.#guest.host.memory.write32(address, value);
  }

  /** Put the window's page table of a processor into the directory in use. */
  plug(windowTable: number): void {
    this.#write(this.root + 4 * switcherDirectoryIndex, windowTable | P | RW | A);
  }

  /** The guest loads CR3: true when a new shadow directory was begun. */
  switchTo(cr3: number): boolean {
    const known = this.#directories.findIndex((directory) => directory.cr3 === cr3);
    if (known >= 0) {
      this.#current = known;
      return false;
    }
    let victim = this.#directories.findIndex((directory) => directory.cr3 === noCr3);
    if (victim < 0 && this.#directories.length < cachedDirectories) {
      const frame = this.#take();
      if (frame === undefined) return false;
      victim = this.#directories.push({ cr3: noCr3, frame }) - 1;
    } else if (victim < 0) victim = this.#nextRandom() % cachedDirectories;
    const directory = this.#directories[victim]!;
    this.#drop(directory, switcherDirectoryIndex);
    directory.cr3 = cr3;
    this.#current = victim;
    return true;
  }

  /** Marsaglia's xorshift: which one goes is nobody's to know, but the same in every run. */
  #nextRandom(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x >>> 0;
  }

  /** A frame for a table: shadows are caches, so all can go when none is left. */
  #take(): number | undefined {
    let frame = this.#frames.take();
    if (frame === undefined) {
      this.flushAll();
      frame = this.#frames.take();
    }
    if (frame === undefined) this.#guest.kill("the host has no memory left for its page tables");
    return frame;
  }

  /** Forget the tables of the first `count` entries. */
  #drop(directory: Directory, count: number): void {
    for (let index = 0; index < count; index++) this.#dropTable(directory, index);
  }
  #dropTable({ frame }: Directory, index: number): void {
    const table = this.#read(frame + 4 * index);
    if ((table & P) === 0) return;
    this.#frames.give(frameOf(table));
    this.#write(frame + 4 * index, 0);
  }

  /** FLUSH_TLB 0: what is below the kernel, in the directory in use. */
  flushUser(): void {
    this.#drop(
      this.#directories[this.#current]!,
      Math.min(this.#guest.plan.pageOffset >>> 22, switcherDirectoryIndex),
    );
  }
  /** FLUSH_TLB 1. */
  flushAll(): void {
    for (const directory of this.#directories) this.#drop(directory, switcherDirectoryIndex);
  }
  releaseAll(): void {
    this.flushAll();
    for (const { frame } of this.#directories.splice(0)) this.#frames.give(frame);
  }

  #isBad(value: number, what: string): boolean {
    const bad = (value & refusedFlags) !== 0 || value >>> 12 >= this.#guest.plan.pfnLimit;
    if (bad) this.#guest.kill(`bad page ${what} entry ${hex(value)}`);
    return bad;
  }

  /** The shadow entry of a guest's page; `rights` are its directory entry's. */
  #shadowOf(pte: number, rights: number): number {
    const writable = pte & D ? pte & rights & RW : 0;
    return (this.#guest.plan.base + frameOf(pte)) | P | A | D | writable | (pte & rights & US);
  }

  /**
   * A page fault of the guest: true when the guest's tables allow the access and the shadow now does. Sets Accessed and, for a write,
   * Dirty in the guest's entry; a page that is not dirty stays read-only here, so that the first write comes back.
   */
  demand(address: number, errorCode: number): boolean {
    const guest = this.#guest;
    const directory = this.#directories[this.#current]!;
    const index = address >>> 22;
    const pde = guest.read32(directory.cr3 + 4 * index);
    if ((pde & P) === 0) return false;
    if (index >= switcherDirectoryIndex) {
      guest.kill(`attempt to access switcher pages at ${hex(address)}`);
      return false;
    }
    if (this.#isBad(pde, "directory")) return false;
    const pteAddress = frameOf(pde) + 4 * ((address >>> 12) & 1023);
    let pte = guest.read32(pteAddress);
    if ((pte & P) === 0) return false;
    const rights = guest.quirks.ignoresDirectory ? RW | US : pde;
    if ((errorCode & pageFault.WR) !== 0 && (pte & rights & RW) === 0) return false;
    if ((errorCode & pageFault.US) !== 0 && (pte & rights & US) === 0) return false;
    if (this.#isBad(pte, "table")) return false;
    const table = this.#tableFor(directory, index, guest.quirks.ignoresDirectory ? pde : RW | US);
    if (table === undefined) return false;
    const marked = pte | A | (errorCode & pageFault.WR ? D : 0);
    if (marked !== pte) guest.write32(pteAddress, marked);
    pte = marked;
    this.#write(table + 4 * ((address >>> 12) & 1023), this.#shadowOf(pte, rights));
    return guest.dead === undefined;
  }

  /** The shadow table of a directory entry, begun when there is none. */
  #tableFor(directory: Directory, index: number, rights: number): number | undefined {
    const present = this.#read(directory.frame + 4 * index);
    if (present & P) return frameOf(present);
    const table = this.#take();
    if (table !== undefined) this.#write(directory.frame + 4 * index, table | P | A | (rights & (RW | US)));
    return table;
  }

  #shadowEntry(address: number): number {
    const table = this.#read(this.root + 4 * (address >>> 22));
    return table & P ? this.#read(frameOf(table) + 4 * ((address >>> 12) & 1023)) : 0;
  }

  /** The processor itself writes to the guest's kernel stack, and a page fault then would be a double fault. */
  pinStack(): void {
    const guest = this.#guest;
    for (let page = 0; page < guest.stackPages; page++) {
      const address = (guest.esp1 - 4 - 4096 * page) >>> 0;
      if ((this.#shadowEntry(address) & (P | RW)) === (P | RW)) continue;
      if (!this.demand(address, pageFault.WR)) guest.kill(`bad stack page ${hex(address)}`);
    }
  }

  /** SET_PTE: an entry of the guest's table at `cr3` has changed. Kernel pages are in all tables. */
  setEntry(cr3: number, address: number, pte: number): void {
    if (address >>> 22 >= switcherDirectoryIndex) {
      this.#guest.kill(`attempt to access switcher pages at ${hex(address)}`);
      return;
    }
    const kernel = address >= this.#guest.plan.pageOffset;
    for (const directory of this.#directories)
      if (directory.cr3 !== noCr3 && (kernel || directory.cr3 === cr3)) this.#setIn(directory, address, pte);
  }

  #setIn(directory: Directory, address: number, pte: number): void {
    const guest = this.#guest;
    const table = this.#read(directory.frame + 4 * (address >>> 22));
    if ((table & P) === 0) return;
    let shadow = 0;
    if ((pte & P) !== 0 && (pte & (A | D)) !== 0) {
      if (this.#isBad(pte, "table")) return;
      const pde = guest.quirks.ignoresDirectory
        ? P | RW | US
        : guest.read32(directory.cr3 + 4 * (address >>> 22));
      if (pde & P) shadow = this.#shadowOf(pte, pde);
    }
    this.#write(frameOf(table) + 4 * ((address >>> 12) & 1023), shadow);
  }

  /** SET_PMD: an entry of the guest's directory at `cr3` has changed. */
  setDirectoryEntry(cr3: number, index: number): void {
    if (index >= switcherDirectoryIndex) return;
    const directory = this.#directories.find((one) => one.cr3 === cr3);
    if (directory !== undefined) this.#dropTable(directory, index);
  }

  /** Guest-physical address of a virtual one by the guest's own tables, or none. */
  translate(address: number): number | undefined {
    const guest = this.#guest;
    const { cr3 } = this.#directories[this.#current]!;
    const pdeAt = cr3 + 4 * (address >>> 22);
    if (pdeAt + 4 > guest.limit) return undefined;
    const pde = guest.read32(pdeAt);
    const pteAt = frameOf(pde) + 4 * ((address >>> 12) & 1023);
    if ((pde & P) === 0 || (pde & PS) !== 0 || pteAt + 4 > guest.limit) return undefined;
    const pte = guest.read32(pteAt);
    return pte & P && frameOf(pte) < guest.limit ? frameOf(pte) | (address & 0xfff) : undefined;
  }
}
