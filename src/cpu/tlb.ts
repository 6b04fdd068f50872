import { CR0, CR3, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import {
  jumpCacheEntries,
  jumpCacheEntry,
  jumpCacheEntryBytes,
  jumpCacheOffset,
  tlbEntries,
  tlbEntry,
  tlbEntryBytes,
  tlbOffset,
} from "../codegen/memory-map.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";
import type { Invalidation } from "./core.ts";
import { cpl } from "./mode.ts";

/** Privilege classes that see different rights on one page; two low bits of the TLB key. */
const privilegeClass = { user: 0, supervisor: 1, supervisorAc: 2 } as const;
const classBits = 2;
/** Contexts (address spaces with their paging configuration) that can be told apart at once: the key has 12 bits. */
const maximumContexts = 1 << (12 - classBits);

const cr0Paging = Number(CR0.PG | CR0.WP);
// biome-ignore format: one list
const cr4Paging = Number(CR4.PSE | CR4.PAE | CR4.SMEP | CR4.SMAP | CR4.PCIDE | CR4.PGE);
const eferPaging = Number(IA32_EFER.NXE | IA32_EFER.LMA);
const cr0Offset = offsetOf("CR0");
const cr3Offset = offsetOf("CR3");
const cr4Offset = offsetOf("CR4");
const eferOffset = offsetOf("IA32_EFER");
const flagsOffset = offsetOf("RFLAGS");
const SMAP = Number(CR4.SMAP);
const PCIDE = Number(CR4.PCIDE);
const AC = Number(RFLAGS.AC);
/** Bounds of what is remembered beside the tables themselves. */
const maximumJumpKeys = 65_536;
const noTag = 0xffff_ffff;

/**
 * The translation lookaside buffer and the jump cache, both read by translated code. An entry carries the number of its
 * context, so switching address spaces, and dropping all translations of one, is a new number and no sweep.
 */
export class Tlb {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  /** Context number by identity (processor, PCID, paging configuration). */
  #contexts = new Map<number, number>();
  #nextContext = 1;
  /** 2-MiB regions with 4-KiB fragments of larger pages in the TLB: INVLPG drops them whole. */
  #largeRegions = new Set<number>();
  #hugePages = false;
  /** Linear pages whose code is in the jump cache. */
  #jumpPages = new Set<string>();
  #jumpKeys = new Map<number, number>();
  #nextJumpKey = 1;

  constructor(buffer: ArrayBuffer) {
    this.#words = new Uint32Array(
      buffer,
      0,
      (jumpCacheOffset + jumpCacheEntries * jumpCacheEntryBytes) >>> 2,
    );
    this.#bytes = new Uint8Array(buffer);
    this.#wipe();
  }

  #wipe(): void {
    this.#bytes.fill(0xff, tlbOffset, tlbOffset + tlbEntries * tlbEntryBytes);
    this.#contexts.clear();
    this.#nextContext = 1;
    this.#largeRegions.clear();
    this.#hugePages = false;
    this.#jumpKeys.clear();
    this.purgeJumps();
  }

  /** Forget every jump target (records have moved). */
  purgeJumps(): void {
    this.#bytes.fill(0xff, jumpCacheOffset, jumpCacheOffset + jumpCacheEntries * jumpCacheEntryBytes);
    this.#jumpPages.clear();
  }

  /** The context identity of a processor's present paging state. */
  #identity(state: CpuState, processor: number): number {
    const view = state.view;
    const cr0 = view.getUint32(cr0Offset, true) & cr0Paging;
    const cr4 = view.getUint32(cr4Offset, true) & cr4Paging;
    const efer = view.getUint32(eferOffset, true) & eferPaging;
    const pcid = cr4 & PCIDE ? view.getUint32(cr3Offset, true) & Number(CR3.PCID) : 0;
    // cr0: bits 31, 16; cr4: bits 4, 5, 7, 17, 20, 21; efer: bits 10, 11
    const configuration =
      ((cr0 >>> 31) |
        ((cr0 >>> 15) & 2) |
        ((cr4 >>> 2) & 0xc) |
        ((cr4 >>> 3) & 0x10) |
        ((cr4 >>> 12) & 0x20) |
        ((cr4 >>> 14) & 0xc0) |
        ((efer >>> 2) & 0x300)) >>>
      0;
    return (pcid * 1024 + configuration) * 8 + processor;
  }

  /** Derive the keys that translated code uses from the processor's state. Call after anything that paging or privilege depends on. */
  refresh(state: CpuState, processor: number, mode: number): void {
    const identity = this.#identity(state, processor);
    let context = this.#contexts.get(identity);
    if (context === undefined) {
      if (this.#nextContext === maximumContexts) this.#wipe();
      context = this.#nextContext++;
      this.#contexts.set(identity, context);
    }
    const base = context << classBits;
    const user = cpl(state) === 3;
    const smap = (state.view.getUint32(cr4Offset, true) & SMAP) !== 0;
    const clear = base | (user ? privilegeClass.user : privilegeClass.supervisor);
    const set =
      base | (user ? privilegeClass.user : smap ? privilegeClass.supervisorAc : privilegeClass.supervisor);
    const ac = (state.view.getUint32(flagsOffset, true) & AC) !== 0;
    state.tlbKey = BigInt(ac ? set : clear);
    state.tlbKeyAcClear = BigInt(clear);
    state.tlbKeyAcSet = BigInt(set);
    const combination = (mode * maximumContexts + context) * 2 + (user ? 1 : 0);
    let jumpKey = this.#jumpKeys.get(combination);
    if (jumpKey === undefined) {
      if (this.#jumpKeys.size > maximumJumpKeys) this.#jumpKeys.clear(); // numbers are never used twice
      jumpKey = this.#nextJumpKey++;
      this.#jumpKeys.set(combination, jumpKey);
    }
    state.jumpKey = jumpKey;
  }

  /** Enter a translation of the page of `low`/`high` under the current key. */
  fill(
    low: number,
    high: number,
    key: number,
    read: boolean,
    write: boolean,
    memoryOffset: number,
    pageSize: number,
  ): void {
    const words = this.#words;
    const at = (tlbOffset + ((low >>> 12) & (tlbEntries - 1)) * tlbEntryBytes) >>> 2;
    const tagLow = ((low & ~0xfff) | key) >>> 0;
    if (words[at] !== tagLow || words[at + 1] !== high) {
      words[at] = words[at + 1] = noTag;
    }
    if (words[at + 2] !== tagLow || words[at + 3] !== high) words[at + 2] = words[at + 3] = noTag;
    if (read) {
      words[at] = tagLow;
      words[at + 1] = high;
    }
    if (write) {
      words[at + 2] = tagLow;
      words[at + 3] = high;
    }
    words[at + (tlbEntry.addend >>> 2)] = (memoryOffset - (low & ~0xfff)) >>> 0;
    if (pageSize > 4096) {
      if (pageSize > 4 * 1024 * 1024) this.#hugePages = true;
      else {
        // a 4-MiB page is two regions
        this.#largeRegions.add(high * 2048 + (low >>> 21));
      }
    }
  }

  /** Stores to the page at this memory offset must be seen by TypeScript from now on: it holds code. */
  protect(memoryOffset: number): void {
    const words = this.#words;
    for (let entry = 0; entry < tlbEntries; entry++) {
      const at = (tlbOffset + entry * tlbEntryBytes) >>> 2;
      if (words[at + 2] === noTag && words[at + 3] === noTag) continue;
      const page = (words[at + 6]! + ((words[at + 2]! & ~0xfff) >>> 0)) >>> 0;
      if (page === memoryOffset) words[at + 2] = words[at + 3] = noTag;
    }
  }

  invalidate(what: Invalidation, processor: number): void {
    switch (what.kind) {
      case "all":
      case "non-global":
        for (const identity of [...this.#contexts.keys()])
          if (identity % 8 === processor) this.#contexts.delete(identity);
        break;
      case "pcid":
        for (const identity of [...this.#contexts.keys()])
          if (identity % 8 === processor && Math.floor(identity / 8192) === what.pcid)
            this.#contexts.delete(identity);
        break;
      case "page":
        this.#invalidatePage(
          Number(what.address & 0xffff_ffffn),
          Number(BigInt.asUintN(64, what.address) >> 32n),
        );
        break;
    }
  }

  #invalidatePage(low: number, high: number): void {
    if (this.#hugePages) {
      this.#wipe();
      return;
    }
    const region = high * 2048 + (low >>> 21);
    // a 4-MiB page spans an aligned pair of regions
    const pair =
      this.#largeRegions.has(region) || this.#largeRegions.has(region % 2 === 0 ? region + 1 : region - 1);
    const first = pair ? (low >>> 12) & ~1023 : low >>> 12;
    const count = pair ? 1024 : 1;
    for (let n = 0; n < count; n++) {
      const at = (tlbOffset + ((first + n) & (tlbEntries - 1)) * tlbEntryBytes) >>> 2;
      this.#words[at] = this.#words[at + 1] = this.#words[at + 2] = this.#words[at + 3] = noTag;
    }
    if (pair) {
      this.#largeRegions.delete(region);
      this.purgeJumps();
    } else if (this.#jumpPages.has(`${high}:${low >>> 12}`)) this.purgeJumps();
  }

  /** Remember the record of the code at a linear address under the current jump key. */
  enterJump(low: number, high: number, jumpKey: number, recordOffset: number): void {
    const words = this.#words;
    if (this.#jumpPages.size > maximumJumpKeys) this.purgeJumps();
    const hash = (low ^ ((low >>> 12) | (high << 20))) & (jumpCacheEntries - 1);
    const at = (jumpCacheOffset + hash * jumpCacheEntryBytes) >>> 2;
    words[at] = low >>> 0;
    words[at + 1] = high >>> 0;
    words[at + (jumpCacheEntry.key >>> 2)] = jumpKey;
    words[at + (jumpCacheEntry.record >>> 2)] = recordOffset;
    this.#jumpPages.add(`${high}:${low >>> 12}`);
  }

  /** The record of the code at a linear address, or 0. */
  findJump(low: number, high: number, jumpKey: number): number {
    const words = this.#words;
    const hash = (low ^ ((low >>> 12) | (high << 20))) & (jumpCacheEntries - 1);
    const at = (jumpCacheOffset + hash * jumpCacheEntryBytes) >>> 2;
    return words[at] === low >>> 0 && words[at + 1] === high >>> 0 && words[at + 2] === jumpKey
      ? words[at + 3]!
      : 0;
  }
}
