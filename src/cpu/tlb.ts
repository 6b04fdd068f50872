import { CR0, CR3, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { RFLAGS } from "../arch/flags.ts";
import {
  jumpCacheEntries,
  jumpCacheEntry,
  jumpCacheEntryBytes,
  jumpCacheOffset,
  jumpCacheWay,
  tlbEntries,
  tlbEntry,
  tlbEntryBytes,
  tlbOffset,
  tlbVictims,
  tlbVictimsOffset,
} from "../codegen/memory-map.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";
import type { Invalidation } from "./core.ts";
import { cpl } from "./mode.ts";

/** Privilege classes that see different rights on one page; two low bits of the TLB key. */
const privilegeClass = { user: 0, supervisor: 1, supervisorAc: 2 } as const;
const classes = Object.values(privilegeClass);
const classBits = 2;
/** Contexts (address spaces with their paging configuration) that can be told apart at once: a tag has 12 bits for them. */
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
const tlbKeyOffset = offsetOf("tlbKey");
const tlbKeyAcClearOffset = offsetOf("tlbKeyAcClear");
const tlbKeyAcSetOffset = offsetOf("tlbKeyAcSet");
const ripBaseOffset = offsetOf("ripBase");
const codeBaseOffset = offsetOf("codeBase");
const codeStampOffset = offsetOf("codeStamp");
const jumpKeyOffset = offsetOf("jumpKey");
const SMAP = Number(CR4.SMAP);
const PCIDE = Number(CR4.PCIDE);
const AC = Number(RFLAGS.AC);
/** Bounds of what is remembered beside the tables themselves. */
const maximumJumpKeys = 65_536;
const noTag = 0xffff_ffff;
const noContext = -1;
/** An identity is a number: from the low end processor (8), paging configuration (1024), PCID (4096), world. */
const identitiesInPcid = 8 * 1024;
const identitiesInWorld = 4096 * identitiesInPcid;
/** Worlds (`VmxSocket.world`) are below this, so that identities are exact. */
export const maximumWorlds = 2 ** 53 / identitiesInWorld;
const tlbWords = tlbEntryBytes >>> 2;
const jumpWords = jumpCacheEntryBytes >>> 2;
/** Leaves as many of 32 bits as number an entry of the TLB. */
const spreadShift = 32 - Math.log2(tlbEntries);
/** An odd number whose multiples are spread evenly over 32 bits. */
const spreader = 0x9e37_79b1;

/**
 * What is XORed into a linear address to look it up: class and context in the low 12 bits, and above them bits that differ from
 * context to context, so that one page of several contexts has several places in the TLB.
 */
const keyOf = (context: number, privilege: number): number => {
  const number = (context << classBits) | privilege;
  return (((Math.imul(number, spreader) >>> spreadShift) << 12) | number) >>> 0;
};
/** The same from the low 12 bits of a tag. */
const keyOfTag = (tag: number): number => keyOf((tag & 0xfff) >>> classBits, tag & ((1 << classBits) - 1));

/** A set of linear addresses at some granularity, in constant room: it may hold some that were not added. */
class Hashed {
  readonly #bytes = new Uint8Array(1 << 14);
  #at(low: number, high: number, bits: number): number {
    return ((low >>> bits) ^ Math.imul(high, spreader)) & (this.#bytes.length - 1);
  }
  add(low: number, high: number, bits: number): void {
    this.#bytes[this.#at(low, high, bits)] = 1;
  }
  has(low: number, high: number, bits: number): boolean {
    return this.#bytes[this.#at(low, high, bits)] !== 0;
  }
  clear(): void {
    this.#bytes.fill(0);
  }
}

/** Bits of an address within a region: two large pages of PAE paging, or one of 32-bit paging; and a huge page. */
const largeBits = 22;
const hugeBits = 30;

/** A context with as much in its lists is forgotten, number and all; one with less is emptied. */
const fewEntries = 128;

/** What a context's flush must drop: everything but the translations of global pages. Entries may have been replaced since. */
interface LocalEntries {
  /** TLB entries. */
  pages: number[];
  /** Jump-cache entries and the jump keys they had. */
  jumps: number[];
  /** The same of global pages, as long as they are few. */
  globalPages: number[];
  globalJumps: number[];
  /** Of its jump keys. */
  readonly code: CodePages[];
}

/** Where the pages of code are that have been run under one jump key: memory offsets by linear page number. */
interface CodePages {
  readonly jumpKey: number;
  readonly pages: Map<number, number>;
  readonly globalPages: Map<number, number>;
  /** The state's codeStamp: another one after each change. */
  stamp: number;
}
/** More of them are forgotten. */
const maximumCodePages = 8192;

const linearPage = (low: number, high: number): number => high * 0x10_0000 + (low >>> 12);

/**
 * The translation lookaside buffer and the jump cache, both read by translated code. An entry carries the number of its
 * context, so switching address spaces is a new number and no sweep; flushing one drops what is listed as not global.
 */
export class Tlb {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  /** Numbers of the contexts that are in use, and by number their processor and world. */
  readonly #live: number[] = [];
  readonly #processorOf = new Uint8Array(maximumContexts);
  readonly #worldOf = new Float64Array(maximumContexts);
  readonly #identityOf = new Float64Array(maximumContexts);
  /** Context number by identity (world, PCID, paging configuration, processor). */
  #contexts = new Map<number, number>();
  #nextContext = 1;
  /** By context number. */
  readonly #locals: LocalEntries[] = [];
  /** 4-MiB regions, and 1-GiB regions, with 4-KiB fragments of larger pages in the TLB: INVLPG drops them whole. */
  readonly #largeRegions = new Hashed();
  readonly #hugeRegions = new Hashed();
  /** Linear pages whose code is in the jump cache. */
  readonly #jumpPages = new Hashed();
  #jumpKeys = new Map<number, number>();
  #nextJumpKey = 1;
  /** By jump key; and those of the one in the state. */
  readonly #codePages = new Map<number, CodePages>();
  #runningCode: CodePages | undefined;
  #nextStamp = 1;
  /** What the keys in the state were derived from last. */
  #lastIdentity = noContext;
  #lastContext = noContext;
  #lastCombination = -1;

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
    this.#dropVictims();
    this.#contexts.clear();
    this.#live.length = 0;
    this.#nextContext = 1;
    this.#locals.length = 0;
    this.#largeRegions.clear();
    this.#hugeRegions.clear();
    this.#jumpKeys.clear();
    for (const code of this.#codePages.values()) this.#forgetCode(code);
    this.#codePages.clear();
    this.#lastIdentity = this.#lastCombination = noContext;
    this.purgeJumps();
  }

  /** Forget every jump target (records have moved). */
  purgeJumps(): void {
    this.#bytes.fill(0xff, jumpCacheOffset, jumpCacheOffset + jumpCacheEntries * jumpCacheEntryBytes);
    this.#jumpPages.clear();
    for (const local of this.#locals)
      if (local !== undefined) local.jumps.length = local.globalJumps.length = 0;
  }

  /** The context identity of a processor's present paging state. */
  #identity(state: CpuState, processor: number, world: number): number {
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
    return world * identitiesInWorld + pcid * identitiesInPcid + configuration * 8 + processor;
  }

  #contextOf(identity: number): number {
    let context = this.#contexts.get(identity);
    if (context === undefined) {
      if (this.#nextContext === maximumContexts) this.#wipe();
      context = this.#nextContext++;
      this.#contexts.set(identity, context);
      this.#live.push(context);
      this.#identityOf[context] = identity;
      this.#processorOf[context] = identity % 8;
      this.#worldOf[context] = Math.floor(identity / identitiesInWorld);
      this.#locals[context] = { pages: [], jumps: [], globalPages: [], globalJumps: [], code: [] };
    }
    return context;
  }

  /** Derive the keys that translated code uses from the processor's state. Call after anything that paging or privilege depends on. */
  refresh(state: CpuState, processor: number, mode: number, world = 0): void {
    const { view } = state;
    const identity = this.#identity(state, processor, world);
    if (identity !== this.#lastIdentity) {
      this.#lastContext = this.#contextOf(identity);
      this.#lastIdentity = identity;
    }
    const context = this.#lastContext;
    const user = cpl(state) === 3;
    const smap = (view.getUint32(cr4Offset, true) & SMAP) !== 0;
    const clear = keyOf(context, user ? privilegeClass.user : privilegeClass.supervisor);
    const set = !user && smap ? keyOf(context, privilegeClass.supervisorAc) : clear;
    const ac = (view.getUint32(flagsOffset, true) & AC) !== 0;
    view.setUint32(tlbKeyOffset, ac ? set : clear, true);
    view.setUint32(tlbKeyAcClearOffset, clear, true);
    view.setUint32(tlbKeyAcSetOffset, set, true);
    const combination = (mode * maximumContexts + context) * 2 + (user ? 1 : 0);
    if (combination === this.#lastCombination) return;
    this.#lastCombination = combination;
    let jumpKey = this.#jumpKeys.get(combination);
    if (jumpKey === undefined) {
      if (this.#jumpKeys.size > maximumJumpKeys) this.#forgetJumpKeys();
      jumpKey = Math.imul(this.#nextJumpKey++, spreader) >>> 0;
      this.#jumpKeys.set(combination, jumpKey);
    }
    state.jumpKey = jumpKey;
    let code = this.#codePages.get(jumpKey);
    if (code === undefined) {
      code = { jumpKey, pages: new Map(), globalPages: new Map(), stamp: this.#nextStamp++ };
      this.#codePages.set(jumpKey, code);
      this.#locals[context]!.code.push(code);
    }
    this.#runningCode = code;
    state.codeStamp = code.stamp;
  }

  /** Numbers are never used twice. */
  #forgetJumpKeys(): void {
    this.#jumpKeys.clear();
    this.#codePages.clear();
    for (const local of this.#locals) if (local !== undefined) local.code.length = 0;
  }

  /** What is known of these pages has changed. */
  #renew(code: CodePages): void {
    code.stamp = this.#nextStamp++;
    if (code === this.#runningCode) this.#words[codeStampOffset >>> 2] = code.stamp;
  }

  #forgetCode(code: CodePages, pages?: Map<number, number>): void {
    const gone = pages === undefined ? code.pages.size + code.globalPages.size : pages.size;
    if (gone === 0) return;
    if (pages === undefined) {
      code.pages.clear();
      code.globalPages.clear();
    } else pages.clear();
    this.#renew(code);
  }

  /** Linear address of what is at a distance from byte 0 of the page of the running code, in `#low` and `#high`. */
  #locate(distance: number): void {
    const words = this.#words;
    const sum = words[ripBaseOffset >>> 2]! + distance;
    this.#low = (sum + words[codeBaseOffset >>> 2]!) >>> 0;
    this.#high = (words[(ripBaseOffset >>> 2) + 1]! + Math.floor(sum / 0x1_0000_0000)) >>> 0;
  }
  #low = 0;
  #high = 0;

  /** `findJump` of that, for the running code. */
  findJumpAtDistance(distance: number): number {
    this.#locate(distance);
    return this.findJump(this.#low, this.#high, this.#words[jumpKeyOffset >>> 2]!);
  }

  /** Memory offset of the page of code at a distance, as a multiple of 4096 from the page of the running code; -1: not known. */
  codePageAtDistance(distance: number): number {
    this.#locate(distance);
    const page = linearPage(this.#low, this.#high);
    const code = this.#runningCode;
    return code?.pages.get(page) ?? code?.globalPages.get(page) ?? -1;
  }

  /** The entry at `at`, in words, is about to be that of another page: it can still be found among the victims. */
  #keepVictim(at: number, tagLow: number, tagHigh: number): void {
    const words = this.#words;
    for (let tag = at; tag <= at + 2; tag += 2) {
      if (words[tag] === noTag && words[tag + 1] === noTag) continue;
      if (words[tag] === tagLow && words[tag + 1] === tagHigh) continue;
      const victim = (tlbVictimsOffset >>> 2) + this.#nextVictim * tlbWords;
      words.copyWithin(victim, at, at + tlbWords);
      this.#nextVictim = (this.#nextVictim + 1) % tlbVictims;
      return;
    }
  }
  #nextVictim = 0;

  #dropVictims(): void {
    this.#words.fill(noTag, tlbVictimsOffset >>> 2, (tlbVictimsOffset >>> 2) + tlbVictims * tlbWords);
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
    global: boolean,
  ): void {
    const words = this.#words;
    const entry = ((low ^ key) >>> 12) & (tlbEntries - 1);
    const at = (tlbOffset >>> 2) + entry * tlbWords;
    const tagLow = ((low & ~0xfff) ^ key) >>> 0;
    this.#keepVictim(at, tagLow, high);
    if (words[at] !== tagLow || words[at + 1] !== high) words[at] = words[at + 1] = noTag;
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
    const { pages, globalPages } = this.#locals[(key & 0xfff) >>> classBits]!;
    // When there are that many, the flush looks at every entry anyway.
    if (!global && pages.length < tlbEntries) pages.push(entry);
    else if (global && globalPages.length < fewEntries) globalPages.push(entry);
    if (pageSize > 2 ** largeBits) this.#hugeRegions.add(low, high, hugeBits);
    else if (pageSize > 4096) this.#largeRegions.add(low, high, largeBits);
  }

  /** Memory offset of `size` bytes of one page under a key, as translated code finds it; -1 where it would ask. */
  find(low: number, high: number, key: number, size: number, write: boolean): number {
    if ((low & 0xfff) + size > 4096) return -1;
    const words = this.#words;
    const at = (tlbOffset >>> 2) + (((low ^ key) >>> 12) & (tlbEntries - 1)) * tlbWords;
    const tag = write ? at + 2 : at;
    return words[tag] === ((low & ~0xfff) ^ key) >>> 0 && words[tag + 1] === high
      ? (low + words[at + (tlbEntry.addend >>> 2)]!) >>> 0
      : -1;
  }

  /** Stores to the page at this memory offset must be seen by TypeScript from now on: it holds code. */
  protect(memoryOffset: number): void {
    const words = this.#words;
    this.#dropVictims();
    for (let entry = 0; entry < tlbEntries; entry++) {
      const at = (tlbOffset >>> 2) + entry * tlbWords;
      const tag = words[at + 2]!;
      if (tag === noTag && words[at + 3] === noTag) continue;
      const page = (words[at + (tlbEntry.addend >>> 2)]! + (((tag ^ keyOfTag(tag)) & ~0xfff) >>> 0)) >>> 0;
      if (page === memoryOffset) words[at + 2] = words[at + 3] = noTag;
    }
  }

  /** `worlds`: those that are meant; without it all of the processor's. */
  invalidate(what: Invalidation, processor: number, worlds?: (world: number) => boolean): void {
    const meant = (identity: number): boolean =>
      identity % 8 === processor &&
      (worlds === undefined || worlds(Math.floor(identity / identitiesInWorld)));
    switch (what.kind) {
      case "all":
        this.#dropContexts(processor, worlds);
        break;
      case "non-global":
        for (const [identity, context] of this.#contexts) if (meant(identity)) this.#dropLocal(context);
        break;
      case "pcid":
        for (const [identity, context] of this.#contexts)
          if (Math.floor(identity / identitiesInPcid) % 4096 === what.pcid && meant(identity))
            this.#dropLocal(context);
        break;
      case "page":
        this.#invalidatePage(
          Number(what.address & 0xffff_ffffn),
          Number(BigInt.asUintN(64, what.address) >> 32n),
          meant,
        );
        break;
    }
  }

  /** Physical memory itself has changed: no translation of any processor holds any more, once keys are derived afresh. */
  dropAll(): void {
    for (const context of this.#contexts.values()) this.#empty(this.#locals[context]!);
    this.#contexts.clear();
    this.#live.length = 0;
    this.#lastIdentity = noContext;
  }

  /** Drop all translations of contexts, global ones too. Every VM entry and VM exit without VPID does it. */
  #dropContexts(processor: number, worlds: ((world: number) => boolean) | undefined): void {
    const live = this.#live;
    let kept = 0;
    for (let n = 0; n < live.length; n++) {
      const context = live[n]!;
      if (
        this.#processorOf[context] !== processor ||
        (worlds !== undefined && !worlds(this.#worldOf[context]!))
      ) {
        live[kept++] = context;
        continue;
      }
      const local = this.#locals[context]!;
      const { pages, jumps, globalPages, globalJumps } = local;
      if (pages.length + jumps.length + globalPages.length + globalJumps.length < fewEntries) {
        this.#dropLocal(context);
        this.#dropGlobal(context);
        live[kept++] = context;
        continue;
      }
      // Its number is not used again before everything is dropped.
      this.#contexts.delete(this.#identityOf[context]!);
      this.#empty(local);
      this.#lastIdentity = noContext;
    }
    if (kept < live.length) live.length = kept;
  }

  #empty(local: LocalEntries): void {
    local.pages.length = local.jumps.length = local.globalPages.length = local.globalJumps.length = 0;
    for (const code of local.code) {
      this.#forgetCode(code);
      this.#codePages.delete(code.jumpKey);
    }
    local.code.length = 0;
  }

  /** Drop a context's translations of global pages, all of which are listed. */
  #dropGlobal(context: number): void {
    const { globalPages, globalJumps, code } = this.#locals[context]!;
    for (const pages of code) this.#forgetCode(pages, pages.globalPages);
    this.#dropVictims();
    while (globalPages.length > 0) this.#dropEntry(globalPages.pop()!, context);
    this.#dropJumpEntries(globalJumps);
  }

  /** `jumps`: jump-cache entries and their keys; emptied. */
  #dropJumpEntries(jumps: number[]): void {
    const words = this.#words;
    // Emptied by `pop`: setting the length makes the list grow anew.
    while (jumps.length > 0) {
      const jumpKey = jumps.pop()!;
      const at = jumps.pop()!;
      // It may have made room for another one. Of two with this key both go.
      const other = at ^ (jumpCacheWay >>> 2);
      if (words[at + (jumpCacheEntry.key >>> 2)] === jumpKey) words[at] = words[at + 1] = noTag;
      if (words[other + (jumpCacheEntry.key >>> 2)] === jumpKey) words[other] = words[other + 1] = noTag;
    }
  }

  /** Drop a context's translations of pages that are not global. */
  #dropLocal(context: number): void {
    const local = this.#locals[context]!;
    const { pages, jumps } = local;
    for (const code of local.code) this.#forgetCode(code, code.pages);
    this.#dropVictims();
    if (pages.length < tlbEntries) while (pages.length > 0) this.#dropEntry(pages.pop()!, context);
    else {
      for (let entry = 0; entry < tlbEntries; entry++) this.#dropEntry(entry, context);
      pages.length = 0;
    }
    this.#dropJumpEntries(jumps);
  }

  #dropEntry(entry: number, context: number): void {
    const words = this.#words;
    const at = (tlbOffset >>> 2) + entry * tlbWords;
    if ((words[at]! & 0xfff) >>> classBits === context) words[at] = words[at + 1] = noTag;
    if ((words[at + 2]! & 0xfff) >>> classBits === context) words[at + 2] = words[at + 3] = noTag;
  }

  /** Drop the translations of a linear address under every context that is meant: every PCID, more than INVLPG asks for. */
  #invalidatePage(low: number, high: number, meant: (identity: number) => boolean): void {
    if (this.#hugeRegions.has(low, high, hugeBits)) {
      this.#dropRegion(low, high, hugeBits);
      return;
    }
    if (this.#largeRegions.has(low, high, largeBits)) {
      this.#dropRegion(low, high, largeBits);
      return;
    }
    const words = this.#words;
    this.#dropVictims();
    const page = low & ~0xfff;
    for (const [identity, context] of this.#contexts) {
      if (!meant(identity)) continue;
      for (const privilege of classes) {
        const key = keyOf(context, privilege);
        const at = (tlbOffset >>> 2) + (((low ^ key) >>> 12) & (tlbEntries - 1)) * tlbWords;
        const tag = (page ^ key) >>> 0;
        if (words[at] === tag && words[at + 1] === high) words[at] = words[at + 1] = noTag;
        if (words[at + 2] === tag && words[at + 3] === high) words[at + 2] = words[at + 3] = noTag;
      }
    }
    if (!this.#jumpPages.has(low, high, 12)) return;
    this.#dropJumps(low, high, 12);
    const number = linearPage(low, high);
    for (const code of this.#codePages.values()) {
      const local = code.pages.delete(number);
      if (code.globalPages.delete(number) || local) this.#renew(code);
    }
  }

  /** Drop all translations of the naturally aligned 2^bits bytes around a linear address. */
  #dropRegion(low: number, high: number, bits: number): void {
    const words = this.#words;
    this.#dropVictims();
    const region = low >>> bits;
    // Two tags an entry.
    for (let n = 0; n < 2 * tlbEntries; n++) {
      const at = (tlbOffset >>> 2) + (n >>> 1) * tlbWords + 2 * (n & 1);
      const tag = words[at]!;
      if (words[at + 1] === high && (tag ^ keyOfTag(tag)) >>> bits === region)
        words[at] = words[at + 1] = noTag;
    }
    this.#dropJumps(low, high, bits);
    for (const code of this.#codePages.values()) this.#forgetCode(code);
  }

  #dropJumps(low: number, high: number, bits: number): void {
    const words = this.#words;
    const region = low >>> bits;
    for (let entry = 0; entry < jumpCacheEntries; entry++) {
      const at = (jumpCacheOffset >>> 2) + entry * jumpWords;
      if (words[at]! >>> bits === region && words[at + 1] === high) words[at] = words[at + 1] = noTag;
    }
  }

  /** Remember the record of the code at a linear address under the current jump key. */
  enterJump(
    low: number,
    high: number,
    jumpKey: number,
    recordOffset: number,
    pageOffset: number,
    global: boolean,
  ): void {
    const words = this.#words;
    const at = jumpEntry(low, high, jumpKey);
    if (!this.#isJump(at, low, high, jumpKey))
      words.copyWithin(at ^ (jumpCacheWay >>> 2), at, at + jumpWords);
    words[at] = low >>> 0;
    words[at + 1] = high >>> 0;
    words[at + (jumpCacheEntry.key >>> 2)] = jumpKey;
    words[at + (jumpCacheEntry.record >>> 2)] = recordOffset;
    this.#jumpPages.add(low, high, 12);
    const code = this.#codePages.get(jumpKey);
    if (code !== undefined) {
      const pages = global ? code.globalPages : code.pages;
      if (pages.size >= maximumCodePages) this.#forgetCode(code);
      pages.set(linearPage(low, high), pageOffset);
    }
    const { jumps, globalJumps } = this.#locals[this.#lastContext]!;
    if (global) {
      if (globalJumps.length < fewEntries) globalJumps.push(at, jumpKey);
    } else if (jumps.length >= 2 * jumpCacheEntries) this.purgeJumps();
    else jumps.push(at, jumpKey);
  }

  /** The record of the code at a linear address, or 0. */
  findJump(low: number, high: number, jumpKey: number): number {
    let at = jumpEntry(low, high, jumpKey);
    if (!this.#isJump(at, low, high, jumpKey)) {
      at ^= jumpCacheWay >>> 2;
      if (!this.#isJump(at, low, high, jumpKey)) return 0;
    }
    return this.#words[at + (jumpCacheEntry.record >>> 2)]!;
  }

  #isJump(at: number, low: number, high: number, jumpKey: number): boolean {
    const words = this.#words;
    return (
      words[at] === low >>> 0 &&
      words[at + 1] === high >>> 0 &&
      words[at + (jumpCacheEntry.key >>> 2)] === jumpKey
    );
  }
}

/** Where a jump-cache entry is, as dispatch computes it (codegen/interpreter-module.ts). */
const jumpEntry = (low: number, high: number, jumpKey: number): number =>
  (jumpCacheOffset >>> 2) +
  ((low ^ ((low >>> 12) | (high << 20)) ^ jumpKey) & (jumpCacheEntries - 1)) * jumpWords;
