import { firstHandler, fixedHandlers, type InterpreterModule } from "../codegen/interpreter-module.ts";
import { ramOffset, recordsBytes, recordsOffset, stepRecordsOffset } from "../codegen/memory-map.ts";
import { ExitKind, maximumBlock, RecordKind, record, recordBytes } from "../codegen/record.ts";
import { decode } from "../isa/decode.ts";
import type { Instruction } from "../isa/instruction.ts";
import type { Feature, Row } from "../isa/row.ts";
import type { CodeMode } from "./code-mode.ts";
import { GuestMemory, Watched } from "./guest-memory.ts";
import { HandlerLibrary, isRepeated, type Variant } from "./handler-library.ts";
import { HotCode } from "./hot-code.ts";
import { PageSlots } from "./page-slots.ts";
import { procedureNumber } from "./procedure-table.ts";
import { isNear, RecordWriter } from "./record-writer.ts";
import type { DecodedCode } from "./region-collector.ts";
import type { Tlb } from "./tlb.ts";
import { stepOf } from "./vmx-socket.ts";

/** Decoded code of one page. */
interface CodePage {
  /** Record by mode and page offset (and the code segment, where the page is not wholly within it). */
  readonly entries: Map<number | string, number>;
  /** Stretches of records, as (start, end) pairs. */
  readonly records: number[];
  /** 64-byte granules that hold code: one byte each. */
  readonly granules: Uint8Array;
  /** Entries of regions that include code of it. */
  readonly regions: Set<number>;
  /** Writes since its code was dropped. */
  idleWrites: number;
}

/** A page that is written so often after its code was dropped is taken for data: until then its stores are watched. */
const patience = 16;

/** An instruction in a block whose handler has not been made. */
interface ColdRecord {
  readonly variant: Variant;
  readonly mode: CodeMode;
  /** The instructions before and after it, where the two may share a handler. */
  previous: Variant | undefined;
  next: Variant | undefined;
}

/** Decoded instructions kept as objects, at most, of either kind: procedures and cold ones. */
const maximumInstructions = 1 << 14;

/** Pairs' handlers are made this many uses at a time: a module for each would cost more than it gains. */
const pairBatch = 256;

const granuleShift = 6;
const maximumInstructionBytes = 15;

/** Can only the processor tell whether the instruction is allowed? */
const isUndecided = (row: Row, mode: CodeMode): boolean =>
  (mode.unitsBlocked && row.unit !== undefined) ||
  (row.protectedOnly === true && mode.realLike) ||
  (mode.steps !== 0 && (mode.steps & stepOf(row)) !== 0);

/**
 * How much of a page is within the code segment. Code of pages that are wholly within it is the same wherever they lie there; that of pages
 * whose rest is, too, as long as no jump goes back to before the block. `ripBase`: RIP of the page's byte 0.
 */
const Inside = { all: 0, rest: 1, part: 2 } as const;
const insideOf = (ripBase: number, limit: number, mode: CodeMode): number => {
  if (mode.codeSize === 64) return Inside.all;
  if (ripBase + 4095 > (mode.codeSize === 16 ? Math.min(limit, 0xffff) : limit)) return Inside.part;
  return ripBase < 0 ? Inside.rest : Inside.all;
};

/**
 * The interpreter tier's decoded code: records in linear memory, by physical page and mode, so that they outlive changes of
 * the address space. When the room for records is full everything is dropped; a page that changes drops its own.
 */
export class CodeCache {
  readonly #guest: GuestMemory;
  readonly #module: InterpreterModule;
  readonly #tlb: Tlb;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #has: (feature: Feature) => boolean;
  #pages = new Map<number, CodePage>();
  #next = recordsOffset;
  #instructions: (Instruction | undefined)[] = [];
  readonly #library: HandlerLibrary;
  readonly #writer: RecordWriter;
  #cold = new Map<number, ColdRecord>();
  /** Records that a single step of the instruction at a record runs. */
  #stepRecords = new Map<number, number>();
  /** Records whose pair's handler has not been made yet. */
  #waitingPairs: { readonly at: number; readonly alone: number; readonly handler: number }[] = [];
  /** Where each block's records begin, ascending; the memory offset of its page; its key in the page's entries, by 4096, -1 where that is text. */
  #blockStarts: number[] = [];
  #blockPages: number[] = [];
  #blockModes: number[] = [];

  /** How often everything was dropped; instructions decoded in all. */
  flushes = 0;
  decoded = 0;

  readonly hot: HotCode;
  readonly slots: PageSlots;

  /** Translate at once whatever can be: for tests. */
  get eager(): boolean {
    return this.hot.eager;
  }
  set eager(eager: boolean) {
    this.hot.eager = eager;
    this.#library.eager = eager;
  }

  /** Translate every block decoded so far: for tests. Not while translated code runs. */
  translateAll(): void {
    this.hot.translateAll(this.#blockStarts);
  }

  /** `usualForms`: the model keeps of the last x87 instruction what the common forms do. */
  constructor(
    guest: GuestMemory,
    module: InterpreterModule,
    tlb: Tlb,
    has: (feature: Feature) => boolean,
    usualForms: boolean,
  ) {
    this.#usualForms = usualForms;
    this.#guest = guest;
    this.#module = module;
    this.#tlb = tlb;
    this.#library = new HandlerLibrary(module);
    this.#view = guest.view;
    this.#writer = new RecordWriter(guest.view);
    this.#bytes = guest.bytes;
    this.#has = has;
    this.slots = new PageSlots(guest.view, tlb);
    const decoded: DecodedCode = {
      beside: (at, offset) => this.#entryBeside(at, offset),
      atDistance: (distance) => tlb.findJumpAtDistance(distance),
      pageOf: (at) => this.#pageOfRecord(at),
      include: (pageOffset, entry) => this.#pages.get(pageOffset)?.regions.add(entry),
    };
    this.hot = new HotCode(module, guest.view, decoded, this.slots);
    guest.onCodeWrite = (offset, length) => this.beforeWrite(offset, length);
  }

  /** Record of the code at a page (memory offset) and offset in it, decoded now if need be. `rip`: low 32 bits of its offset in CS. */
  find(pageOffset: number, offset: number, rip: number, limit: number, mode: CodeMode): number {
    const page = this.#pages.get(pageOffset);
    const ripBase = rip - offset;
    const inside = insideOf(ripBase, limit, mode);
    const key =
      inside === Inside.part
        ? `${mode.number}:${offset}:${ripBase}:${limit}`
        : (mode.number * 2 + inside) * 4096 + offset;
    const known = page?.entries.get(key);
    // The page that its first instruction ends in may have changed.
    if (known !== undefined && this.#view.getUint32(known + record.handler, true) !== fixedHandlers.stale)
      return known;
    const reach = inside === Inside.part ? limit - ripBase + 1 : 4096;
    const lowest = inside === Inside.rest ? offset : 0;
    return this.#decodeBlock(pageOffset, offset, rip, reach, lowest, mode, key);
  }

  /** Number of the block that a record is in. */
  #blockOfRecord(at: number): number {
    let low = 0;
    let high = this.#blockStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#blockStarts[middle]! <= at) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Memory offset of the page that a record was decoded from. */
  #pageOfRecord(at: number): number {
    return this.#blockPages[this.#blockOfRecord(at)] ?? -1;
  }

  /** The record of the code at a page offset, in the page and mode of the record at `at`; 0 where none is decoded. */
  #entryBeside(at: number, offset: number): number {
    const block = this.#blockOfRecord(at);
    const page = this.#pages.get(this.#blockPages[block]!);
    return page?.entries.get(this.#blockModes[block]! * 4096 + offset) ?? 0;
  }

  /** Let the jump of a record go straight to `target`, provided that both are of one page. */
  link(at: number, target: number): void {
    if (this.#pageOfRecord(at) === this.#pageOfRecord(target))
      this.#view.setInt32(at + record.displacement, target, true);
  }

  /** Let the record of a procedure name `target` as that of the next instruction, provided that both are of one page. */
  succeed(at: number, target: number): void {
    if (
      this.#view.getUint16(at + record.next, true) < 4096 &&
      this.#pageOfRecord(at) === this.#pageOfRecord(target)
    )
      this.#view.setUint32(at + record.successor, target, true);
  }

  /** Drop every record. Must not be called while translated code runs. */
  flush(): void {
    for (const pageOffset of this.#pages.keys())
      this.#guest.watchedPages[GuestMemory.pageOf(pageOffset)]! &= ~Watched.code;
    this.#pages.clear();
    this.#instructions = [];
    this.#stepRecords.clear();
    this.#cold.clear();
    this.#waitingPairs = [];
    this.#blockStarts = [];
    this.#blockPages = [];
    this.#blockModes = [];
    this.#next = recordsOffset;
    this.hot.clear();
    this.slots.clear();
    this.#tlb.purgeJumps();
    this.flushes++;
  }

  /** True when the next block might not fit: time to `flush`. */
  get full(): boolean {
    return (
      this.#next + (maximumBlock + 2) * recordBytes > recordsOffset + recordsBytes ||
      this.#instructions.length > maximumInstructions ||
      this.#cold.size > maximumInstructions
    );
  }

  /** Bytes of a code page are about to change. */
  beforeWrite(memoryOffset: number, length: number): void {
    for (let at = memoryOffset; at < memoryOffset + length; ) {
      const pageOffset = at - ((at - ramOffset) & 0xfff);
      const end = Math.min(memoryOffset + length, pageOffset + 4096);
      const page = this.#pages.get(pageOffset);
      if (page !== undefined) {
        const first = (at - pageOffset) >>> granuleShift;
        const last = (end - 1 - pageOffset) >>> granuleShift;
        if (page.records.length === 0 && ++page.idleWrites > patience) this.#release(pageOffset);
        for (let granule = first; granule <= last; granule++)
          if (page.granules[granule] !== 0) {
            this.#drop(page);
            break;
          }
      }
      at = end;
    }
  }

  /** Forget the code of a page: its records, wherever they are still reached from, return to the processor. */
  #drop(page: CodePage): void {
    for (let n = 0; n < page.records.length; n += 2)
      for (let at = page.records[n]!; at < page.records[n + 1]!; at += recordBytes) {
        if (this.#view.getUint32(at + record.handler, true) === fixedHandlers.cold) this.#cold.delete(at);
        this.#view.setUint32(at + record.handler, fixedHandlers.stale, true);
      }
    for (const entry of page.regions) this.hot.unhook(entry);
    page.regions.clear();
    page.records.length = 0;
    page.entries.clear();
    page.granules.fill(0);
    page.idleWrites = 0;
  }

  #release(pageOffset: number): void {
    this.#pages.delete(pageOffset);
    this.#guest.watchedPages[GuestMemory.pageOf(pageOffset)]! &= ~Watched.code;
  }

  #pageFor(pageOffset: number): CodePage {
    let page = this.#pages.get(pageOffset);
    if (page === undefined) {
      page = {
        entries: new Map(),
        records: [],
        granules: new Uint8Array(4096 >>> granuleShift),
        regions: new Set(),
        idleWrites: 0,
      };
      this.#pages.set(pageOffset, page);
      this.#guest.watch(pageOffset, Watched.code);
    }
    return page;
  }

  readonly #usualForms: boolean;

  /** Has the procedure a form for translated code? These leave alone what only old processors keep of the last x87 instruction. */
  #hasUsualForm({ semantics, operands }: Row): boolean {
    return (
      this.#usualForms &&
      semantics.usual !== undefined &&
      !operands.some(({ addressing, size }) => addressing === "M" && size === "t")
    );
  }

  /** The instruction of a record of a procedure whose usual form does not cover the case. */
  unusual(recordOffset: number): Instruction {
    return this.#instructions[this.#view.getInt32(recordOffset + record.immediate, true)]!;
  }

  /** The instruction of a record of a procedure, or of one that is undecided. */
  instruction(recordOffset: number): Instruction {
    return this.#instructions[this.#view.getInt32(recordOffset + record.displacement, true)]!;
  }

  /**
   * What is in a cold record that is about to be carried out; undefined when it has got its handler meanwhile: then the record can be
   * run.
   */
  coldVariant(at: number): Variant | undefined {
    const cold = this.#cold.get(at)!;
    const { variant, mode } = cold;
    const handler = this.#library.meet(variant, mode);
    if (handler === fixedHandlers.cold) return variant;
    this.#cold.delete(at);
    this.#view.setUint32(at + record.handler, handler, true);
    if (cold.previous !== undefined && this.#isAlone(at - recordBytes))
      this.#pair(at - recordBytes, cold.previous, variant, mode);
    if (cold.next !== undefined && this.#isAlone(at + recordBytes)) this.#pair(at, variant, cold.next, mode);
    return undefined;
  }

  /** Has the instruction at a record a handler of its own? */
  #isAlone(at: number): boolean {
    const handler = this.#view.getUint32(at + record.handler, true);
    return (
      handler >= firstHandler &&
      handler !== fixedHandlers.cold &&
      this.#view.getUint8(at + record.kind) !== RecordKind.paired
    );
  }

  /** `reach`: page offset up to which the code segment reaches; `lowest`: to which jumps may go back. */
  #decodeBlock(
    pageOffset: number,
    start: number,
    rip: number,
    reach: number,
    lowest: number,
    mode: CodeMode,
    key: number | string,
  ): number {
    const page = this.#pageFor(pageOffset);
    const first = this.#next;
    let at = first;
    let offset = start;
    let retired = 0;
    let previous: Variant | undefined;
    this.#blockStarts.push(first);
    this.#blockPages.push(pageOffset);
    this.#blockModes.push(typeof key === "number" ? (key - start) / 4096 : -1);
    for (;;) {
      // How far the code segment reaches: beyond it the fetch faults, which the processor reports.
      const room = Math.min(4096, reach) - offset;
      if (retired >= maximumBlock - 2) {
        this.#writer.blank(at, fixedHandlers.blockEnd, offset, offset, retired);
        this.#view.setInt32(at + record.immediate, offset, true);
        at += recordBytes;
        break;
      }
      if (offset === 4096) {
        this.#writer.blank(
          at,
          mode.codeSize === 64 ? fixedHandlers.pageEnd64 : fixedHandlers.pageEnd32,
          offset,
          offset,
          retired,
        );
        at += recordBytes;
        break;
      }
      const decoded = room <= 0 ? undefined : decode(this.#bytes, pageOffset + offset, room, mode, this.#has);
      if (decoded === undefined || !("row" in decoded)) {
        // Cut by the page's end or beyond the limit: the processor looks again, with all of the bytes.
        this.#mark(page, offset, Math.min(15, 4096 - offset));
        const refused = decoded?.kind === "fault";
        this.#writer.exit(at, refused ? ExitKind.refused : ExitKind.step, offset, retired);
        if (refused) this.#view.setInt32(at + record.displacement, decoded.vector, true);
        at += recordBytes;
        break;
      }
      const instruction = decoded;
      const repeated = isRepeated(instruction);
      if (repeated && retired > 0 && instruction.row.semantics.build !== undefined) {
        // A REP instruction counts its steps from 0: it begins a block.
        if (this.#view.getUint8(at - recordBytes + record.kind) === RecordKind.shadow) {
          this.#writer.exit(
            at - recordBytes,
            ExitKind.step,
            this.#view.getUint16(at - recordBytes + record.offset, true),
            retired - 1,
          );
          break;
        }
        this.#writer.blank(at, fixedHandlers.blockEnd, offset, offset, retired);
        this.#view.setInt32(at + record.immediate, offset, true);
        at += recordBytes;
        break;
      }
      this.#mark(page, offset, instruction.length);
      this.decoded++;
      const { row } = instruction;
      const undecided = isUndecided(row, mode);
      if (undecided || (row.semantics.build === undefined && !this.#hasUsualForm(row))) {
        this.#writer.exit(at, undecided ? ExitKind.undecided : ExitKind.procedure, offset, retired);
        this.#view.setUint16(at + record.next, offset + instruction.length, true);
        this.#view.setInt32(at + record.displacement, this.#instructions.push(instruction) - 1, true);
        if (!undecided) {
          this.#view.setUint32(at + record.successor, 0, true);
          this.#view.setUint16(at + record.procedure, procedureNumber(row.semantics.mnemonic), true);
        }
        at += recordBytes;
        break;
      }
      const ripNow = rip + (offset - start);
      const near = isNear(instruction, ripNow, offset, lowest);
      const variant = this.#library.variant(instruction, mode, near);
      const { facts } = variant;
      const handler = facts.shadows
        ? this.#library.demand(variant, mode)
        : this.#library.handler(variant, mode);
      this.#writer.instruction(at, variant, handler, offset, retired);
      if (row.semantics.build === undefined)
        this.#view.setInt32(at + record.immediate, this.#instructions.push(instruction) - 1, true);
      if (handler === fixedHandlers.cold)
        this.#cold.set(at, { variant, mode, previous: undefined, next: undefined });
      // An instruction that sets the flags that the next one reads does both.
      if (previous !== undefined && !repeated && this.#library.fuses(previous.facts, facts)) {
        const before = this.#cold.get(at - recordBytes);
        const here = this.#cold.get(at);
        if (before !== undefined) before.next = variant;
        if (here !== undefined) here.previous = previous;
        if (before === undefined && here === undefined) this.#pair(at - recordBytes, previous, variant, mode);
      }
      at += recordBytes;
      offset += instruction.length;
      retired++;
      if (facts.ends) break;
      if (facts.shadows && (retired >= maximumBlock - 2 || offset >= 4096)) {
        // STI must not be the last thing before events are looked at: alone in a block that is stepped.
        at -= recordBytes;
        offset -= instruction.length;
        this.#writer.exit(at, ExitKind.step, offset, retired - 1);
        at += recordBytes;
        break;
      }
      if (repeated) {
        this.#writer.blank(at, fixedHandlers.blockEnd, offset, offset, retired);
        this.#view.setInt32(at + record.immediate, offset, true);
        if (offset === 4096)
          this.#writer.blank(
            at,
            mode.codeSize === 64 ? fixedHandlers.pageEnd64 : fixedHandlers.pageEnd32,
            offset,
            offset,
            retired,
          );
        at += recordBytes;
        break;
      }
      previous = facts.setsFlags && !facts.jumps && !repeated ? variant : undefined;
    }
    this.#next = at;
    if (this.#waitingPairs.length >= pairBatch) this.#makePairs();
    page.records.push(first, at);
    page.entries.set(key, first);
    return first;
  }

  #mark(page: CodePage, offset: number, length: number): void {
    for (let granule = offset >>> granuleShift; granule <= (offset + length - 1) >>> granuleShift; granule++)
      if (granule < page.granules.length) page.granules[granule] = 1;
  }

  /** Let the record at `at` carry out the next one, too: now, or with others when their handlers have been made. */
  #pair(at: number, first: Variant, second: Variant, mode: CodeMode): void {
    const handler = this.#library.pairHandler(first, second, mode);
    if (this.#module.ready(handler)) this.#usePair(at, handler);
    else this.#waitingPairs.push({ at, alone: this.#view.getUint32(at + record.handler, true), handler });
  }

  /** Make the pairs' handlers that have been asked for, and use them. Stale records stay so. */
  #makePairs(): void {
    this.#module.materialiseDeferred();
    for (const { at, alone, handler } of this.#waitingPairs)
      if (this.#view.getUint32(at + record.handler, true) === alone) this.#usePair(at, handler);
    this.#waitingPairs = [];
  }

  #usePair(at: number, handler: number): void {
    this.#view.setUint32(at + record.handler, handler, true);
    this.#view.setUint8(at + record.kind, RecordKind.paired);
  }

  /** The handler that the record at `#stopAt` has when no run is to stop there. */
  #stopHandler = 0;
  #stopAt = 0;

  /**
   * Let a run that begins at the block of `start` end before its instruction number `count`, if it comes that far in a straight
   * line. False when it cannot (the last one shares a handler, or casts an interrupt shadow): a shorter run or a step must do. `endStop` takes it back.
   */
  stopAfter(start: number, count: number): boolean {
    const view = this.#view;
    let n = 0;
    while (n < count) {
      const at = start + n * recordBytes;
      // The block ends before: the run does, too, and what follows must not be touched.
      const handler = view.getUint32(at + record.handler, true);
      if (handler === fixedHandlers.straddle) return false;
      if (handler < firstHandler) return true;
      const kind = view.getUint8(at + record.kind);
      n += kind === RecordKind.paired ? 2 : 1;
      if (n === count && kind === RecordKind.shadow) return false;
    }
    if (n > count) return false;
    // A region would run past the stop.
    this.hot.setAside(start);
    const at = start + count * recordBytes;
    this.#stopAt = at;
    this.#stopHandler = view.getUint32(at + record.handler, true);
    view.setUint32(at + record.handler, fixedHandlers.stop, true);
    return true;
  }

  endStop(): void {
    this.hot.putBack();
    if (this.#stopAt === 0) return;
    const { stop } = fixedHandlers;
    if (this.#view.getUint32(this.#stopAt + record.handler, true) === stop)
      this.#view.setUint32(this.#stopAt + record.handler, this.#stopHandler, true);
    this.#stopAt = 0;
  }

  /** A record of one instruction that returns to the processor after it; 0 when it is to be evaluated. `offset`: its page offset. */
  stepRecord(instruction: Instruction, offset: number, mode: CodeMode): number {
    const variant = this.#library.variant(instruction, mode, false);
    const handler = this.#library.meet(variant, mode);
    if (handler === fixedHandlers.cold) return 0;
    this.#writeStep(stepRecordsOffset, variant, handler, offset);
    return stepRecordsOffset;
  }

  #writeStep(at: number, variant: Variant, handler: number, offset: number): void {
    const { instruction } = variant;
    this.#writer.instruction(at, variant, handler, offset, 0);
    this.#writer.exit(at + recordBytes, ExitKind.stepped, (offset + instruction.length) & 0xffff, 1);
  }

  /**
   * Let the exit at `at` carry out the instruction that goes on in the next page by itself from now on, where it is known which page that
   * is. RIP is there.
   */
  straddle(at: number, mode: CodeMode): void {
    const view = this.#view;
    const offset = view.getUint16(at + record.offset, true);
    if (view.getUint32(at + record.handler, true) !== fixedHandlers.exit || this.full || !mode.flatCode)
      return;
    const first = this.#pageOfRecord(at);
    const second = this.#tlb.codePageAtDistance(4096);
    if (first < 0 || second < 0 || offset + maximumInstructionBytes <= 4096) return;
    const bytes = new Uint8Array(maximumInstructionBytes);
    bytes.set(this.#bytes.subarray(first + offset, first + 4096));
    bytes.set(this.#bytes.subarray(second, second + offset + maximumInstructionBytes - 4096), 4096 - offset);
    const instruction = decode(bytes, 0, bytes.length, mode, this.#has);
    if (!("row" in instruction) || offset + instruction.length <= 4096) return;
    if (instruction.row.semantics.build === undefined || isUndecided(instruction.row, mode)) return;
    const variant = this.#library.variant(instruction, mode, false);
    if (variant.facts.shadows || isRepeated(instruction)) return;
    const slot = this.slots.allocate([
      { distance: 0, offset: first },
      { distance: 1, offset: second },
    ]);
    if (slot === 0) return;
    const end = offset + instruction.length;
    const retired = view.getUint8(at + record.retired);
    const target = this.#next;
    this.#next += 2 * recordBytes;
    this.#blockStarts.push(target);
    this.#blockPages.push(first);
    this.#blockModes.push(this.#blockModes[this.#blockOfRecord(at)]!);
    this.#writer.instruction(target, variant, this.#library.demand(variant, mode), offset, retired);
    const pageEnd = mode.codeSize === 64 ? fixedHandlers.pageEnd64 : fixedHandlers.pageEnd32;
    this.#writer.blank(target + recordBytes, pageEnd, end, end, retired + 1);
    view.setUint32(at + record.handler, fixedHandlers.straddle, true);
    view.setInt32(at + record.displacement, target, true);
    view.setInt32(at + record.immediate, slot, true);
    this.#pageFor(first).records.push(target, this.#next);
    const page = this.#pageFor(second);
    page.records.push(at, at + recordBytes, target, this.#next);
    this.#mark(page, 0, end - 4096);
  }

  /**
   * The same for the instruction decoded into the record at `at`, kept for the next time; 0 where that cannot be. For
   * instructions that touch a device again and again.
   */
  repeatedStep(at: number, mode: CodeMode): number {
    const known = this.#stepRecords.get(at);
    if (known !== undefined) return known;
    // An exit record stands for bytes that only the processor can judge: undefined, or cut off by a page's end or the limit.
    const handler = this.#view.getUint32(at + record.handler, true);
    if (this.full || handler === fixedHandlers.exit || handler === fixedHandlers.straddle) return 0;
    const offset = this.#view.getUint16(at + record.offset, true);
    const page = this.#pageOfRecord(at);
    const decoded = decode(this.#bytes, page + offset, 4096 - offset, mode, this.#has);
    if (!("row" in decoded)) return 0;
    const { row } = decoded;
    if (
      row.semantics.build === undefined ||
      row.unit !== undefined ||
      row.protectedOnly ||
      row.semantics.mnemonic === "STI"
    )
      return 0;
    const step = this.#next;
    this.#next += 2 * recordBytes;
    const variant = this.#library.variant(decoded, mode, false);
    this.#writeStep(step, variant, this.#library.demand(variant, mode), offset);
    this.#stepRecords.set(at, step);
    return step;
  }
}
