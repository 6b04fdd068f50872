import { fusion } from "../codegen/fusion.ts";
import type { AddressShape, HandlerSpec, SegmentPlan } from "../codegen/handler-spec.ts";
import { firstHandler, fixedHandlers, type InterpreterModule } from "../codegen/interpreter-module.ts";
import { ramOffset, recordsBytes, recordsOffset, stepRecordsOffset } from "../codegen/memory-map.ts";
import { ExitKind, maximumBlock, RecordKind, record, recordBytes } from "../codegen/record.ts";
import type { Effect } from "../ir/effects.ts";
import { decode, formKey, formOf } from "../isa/decode.ts";
import { effectsOf, type Semantics } from "../isa/define.ts";
import type { Instruction, MemoryOperand } from "../isa/instruction.ts";
import type { Feature, Row } from "../isa/row.ts";
import { offsetOf, segmentRegisters } from "../state/layout.ts";
import { type CodeMode, planNumber } from "./code-mode.ts";
import { GuestMemory } from "./guest-memory.ts";
import { registerOffset } from "./register-offset.ts";
import type { Tlb } from "./tlb.ts";

/** Decoded code of one page. */
interface CodePage {
  /** Record by mode and page offset (and RIP of the page, where the code segment is not flat). */
  readonly entries: Map<number | string, number>;
  /** Stretches of records, as (start, end) pairs. */
  readonly records: number[];
  /** 64-byte granules that hold code: one byte each. */
  readonly granules: Uint8Array;
}

const shapeNumber: Record<AddressShape, number> = { base: 0, full: 1, wide: 2 };
const repeatNumber = { none: 0, repz: 1, repnz: 2 } as const;

/** Pairs' handlers are made this many uses at a time: a module for each would cost more than it gains. */
const pairBatch = 256;

const granuleShift = 6;
const zeroSlot = offsetOf("zero");
const ripBaseSlot = offsetOf("ripBase");
const segmentBaseSlots = segmentRegisters.map((name) => offsetOf(`${name}.base`));

const semanticsNumbers = new Map<Semantics, number>();
const kindNumbers = new Map<string, number>();
const rowNumbers = new WeakMap<Row, number>();
/** A number shared by the rows whose handlers are the same: equal meaning, operand places and frame rules. */
const numberOf = (row: Row): number => {
  const known = rowNumbers.get(row);
  if (known !== undefined) return known;
  if (!semanticsNumbers.has(row.semantics)) semanticsNumbers.set(row.semantics, semanticsNumbers.size);
  const operands = row.operands.map(({ addressing, access }) => `${addressing}${access}`);
  const kind = `${semanticsNumbers.get(row.semantics)}:${operands}:${row.unit}:${row.aligned}:${row.privileged}:${row.repeat}`;
  const number = kindNumbers.get(kind) ?? kindNumbers.size;
  kindNumbers.set(kind, number);
  rowNumbers.set(row, number);
  return number;
};

const isRelative = (row: Row): boolean => row.operands.some(({ addressing }) => addressing === "J");

/** Whether control may leave after the instruction, so that decoding straight on would be guesswork. */
const endsBlock = (effects: readonly Effect[]): boolean =>
  effects.some((effect) => effect.kind === "jump" && effect.when === undefined);

/** What is known of an instruction form once its effects have been built. */
interface FormFacts {
  /** Small, dense. */
  readonly number: number;
  readonly effects: readonly Effect[];
  readonly ends: boolean;
  readonly jumps: boolean;
  readonly shadows: boolean;
  readonly setsFlags: boolean;
  /** Handlers of its variants, alone; and, by the number of the second one's variant, with another after it. */
  readonly handlers: Map<number, number>;
  readonly pairs: Map<number, Map<number, number>>;
  /** Whether a form (by number) that follows can share its handler. */
  readonly fusesWith: Map<number, boolean>;
}

/** One decoded instruction as a handler sees it. */
interface Variant {
  readonly instruction: Instruction;
  readonly facts: FormFacts;
  readonly shape: AddressShape;
  readonly wideImmediate: boolean;
  readonly near: boolean;
  readonly operandSegments: readonly (SegmentPlan | undefined)[];
  /** Everything of it besides the form, as a number. */
  readonly number: number;
}

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
  readonly #facts = new Map<number, FormFacts>();
  /** Records that a single step of the instruction at a record runs. */
  #stepRecords = new Map<number, number>();
  /** Records whose pair's handler has not been made yet. */
  #waitingPairs: { readonly at: number; readonly alone: number; readonly handler: number }[] = [];
  /** Where each block's records begin, ascending, and the memory offset of its page. */
  #blockStarts: number[] = [];
  #blockPages: number[] = [];

  /** How often everything was dropped; instructions decoded in all. */
  flushes = 0;
  decoded = 0;

  constructor(guest: GuestMemory, module: InterpreterModule, tlb: Tlb, has: (feature: Feature) => boolean) {
    this.#guest = guest;
    this.#module = module;
    this.#tlb = tlb;
    this.#view = guest.view;
    this.#bytes = guest.bytes;
    this.#has = has;
    guest.onCodeWrite = (offset, length) => this.beforeWrite(offset, length);
  }

  #entryKey(mode: CodeMode, offset: number, ripBase: number): number | string {
    return mode.flatCode ? mode.number * 4096 + offset : `${mode.number}:${offset}:${ripBase}`;
  }

  /** Record of the code at a page (memory offset) and offset in it, decoded now if need be. `rip`: low 32 bits of its offset in CS. */
  find(pageOffset: number, offset: number, rip: number, limit: number, mode: CodeMode): number {
    const page = this.#pages.get(pageOffset);
    const key = this.#entryKey(mode, offset, rip - offset);
    return page?.entries.get(key) ?? this.#decodeBlock(pageOffset, offset, rip, limit, mode, key);
  }

  /** Memory offset of the page that a record was decoded from. */
  #pageOfRecord(at: number): number {
    let low = 0;
    let high = this.#blockStarts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#blockStarts[middle]! <= at) low = middle;
      else high = middle;
    }
    return this.#blockPages[low] ?? -1;
  }

  /** Let the jump of a record go straight to `target`, provided that both are of one page. */
  link(at: number, target: number): void {
    if (this.#pageOfRecord(at) === this.#pageOfRecord(target))
      this.#view.setInt32(at + record.displacement, target, true);
  }

  /** Drop every record. Must not be called while translated code runs. */
  flush(): void {
    for (const pageOffset of this.#pages.keys()) this.#guest.codePages[GuestMemory.pageOf(pageOffset)] = 0;
    this.#pages.clear();
    this.#instructions = [];
    this.#stepRecords.clear();
    this.#waitingPairs = [];
    this.#blockStarts = [];
    this.#blockPages = [];
    this.#next = recordsOffset;
    this.#tlb.purgeJumps();
    this.flushes++;
  }

  /** True when the next block might not fit: time to `flush`. */
  get full(): boolean {
    return (
      this.#next + (maximumBlock + 2) * recordBytes > recordsOffset + recordsBytes ||
      this.#instructions.length > 2_000_000
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
        for (let granule = first; granule <= last; granule++)
          if (page.granules[granule] !== 0) {
            this.#drop(pageOffset, page);
            break;
          }
      }
      at = end;
    }
  }

  /** Forget a page: its records, wherever they are still reached from, return to the processor. */
  #drop(pageOffset: number, page: CodePage): void {
    for (let n = 0; n < page.records.length; n += 2)
      for (let at = page.records[n]!; at < page.records[n + 1]!; at += recordBytes)
        this.#view.setUint32(at + record.handler, fixedHandlers.stale, true);
    this.#pages.delete(pageOffset);
    this.#guest.codePages[GuestMemory.pageOf(pageOffset)] = 0;
  }

  #pageFor(pageOffset: number): CodePage {
    let page = this.#pages.get(pageOffset);
    if (page === undefined) {
      page = { entries: new Map(), records: [], granules: new Uint8Array(4096 >>> granuleShift) };
      this.#pages.set(pageOffset, page);
      this.#guest.codePages[GuestMemory.pageOf(pageOffset)] = 1;
      this.#tlb.protect(pageOffset);
    }
    return page;
  }

  /** The instruction of a procedure record. */
  instruction(recordOffset: number): Instruction {
    return this.#instructions[this.#view.getInt32(recordOffset + record.displacement, true)]!;
  }

  #factsOf(instruction: Instruction): FormFacts {
    const key = numberOf(instruction.row) * 2 ** 28 + formKey(instruction);
    let facts = this.#facts.get(key);
    if (facts === undefined) {
      const { effects } = effectsOf(instruction.row.semantics, formOf(instruction));
      facts = {
        number: this.#facts.size,
        effects,
        ends: endsBlock(effects),
        jumps: effects.some(({ kind }) => kind === "jump"),
        shadows: effects.some(({ kind }) => kind === "interruptShadow"),
        setsFlags: effects.some(({ kind }) => kind === "flags"),
        handlers: new Map(),
        pairs: new Map(),
        fusesWith: new Map(),
      };
      this.#facts.set(key, facts);
    }
    return facts;
  }

  #exitRecord(at: number, kind: number, offset: number, retired: number): void {
    this.#blank(at, fixedHandlers.exit, offset, offset, retired);
    this.#view.setInt32(at + record.immediate, kind, true);
  }

  #blank(at: number, handler: number, offset: number, next: number, retired: number): void {
    const view = this.#view;
    view.setUint32(at + record.handler, handler, true);
    view.setUint16(at + record.slot0, zeroSlot, true);
    view.setUint16(at + record.slot1, zeroSlot, true);
    view.setUint16(at + record.slot2, zeroSlot, true);
    view.setUint16(at + record.base, zeroSlot, true);
    view.setUint16(at + record.index, zeroSlot, true);
    view.setUint8(at + record.scale, 0);
    view.setUint8(at + record.retired, retired);
    view.setUint16(at + record.offset, offset, true);
    view.setUint16(at + record.next, next, true);
    view.setUint16(at + record.segmentBase, zeroSlot, true);
    view.setUint8(at + record.segment, 3);
    view.setUint8(at + record.kind, RecordKind.plain);
    view.setBigUint64(at + record.wide, 0n, true);
  }

  #decodeBlock(
    pageOffset: number,
    start: number,
    rip: number,
    limit: number,
    mode: CodeMode,
    key: number | string,
  ): number {
    const page = this.#pageFor(pageOffset);
    const first = this.#next;
    let at = first;
    let offset = start;
    let retired = 0;
    let previous: { readonly at: number; readonly variant: Variant } | undefined;
    this.#blockStarts.push(first);
    this.#blockPages.push(pageOffset);
    for (;;) {
      // How far the code segment reaches: beyond it the fetch faults, which the processor reports.
      const room = mode.flatCode
        ? 4096 - offset
        : Math.min(4096 - offset, limit - (rip + offset - start) + 1);
      if (retired >= maximumBlock - 2) {
        this.#blank(at, fixedHandlers.blockEnd, offset, offset, retired);
        this.#view.setInt32(at + record.immediate, offset, true);
        at += recordBytes;
        break;
      }
      if (offset === 4096) {
        this.#blank(
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
        // Undefined, cut by the page's end or beyond the limit: the processor looks again, with all of the bytes.
        this.#mark(page, offset, Math.min(15, 4096 - offset));
        this.#exitRecord(at, ExitKind.step, offset, retired);
        at += recordBytes;
        break;
      }
      const instruction = decoded;
      const repeated = instruction.row.repeat !== undefined && instruction.rep !== "none";
      if (repeated && retired > 0 && instruction.row.semantics.build !== undefined) {
        // A REP instruction counts its steps from 0: it begins a block.
        if (this.#view.getUint8(at - recordBytes + record.kind) === RecordKind.shadow) {
          this.#exitRecord(
            at - recordBytes,
            ExitKind.step,
            this.#view.getUint16(at - recordBytes + record.offset, true),
            retired - 1,
          );
          break;
        }
        this.#blank(at, fixedHandlers.blockEnd, offset, offset, retired);
        this.#view.setInt32(at + record.immediate, offset, true);
        at += recordBytes;
        break;
      }
      this.#mark(page, offset, instruction.length);
      this.decoded++;
      const { row } = instruction;
      const undecided = (mode.unitsBlocked && row.unit !== undefined) || (row.protectedOnly && mode.realLike);
      if (undecided || row.semantics.build === undefined) {
        this.#exitRecord(at, undecided ? ExitKind.step : ExitKind.procedure, offset, retired);
        this.#view.setUint16(at + record.next, offset + instruction.length, true);
        this.#view.setInt32(at + record.displacement, this.#instructions.push(instruction) - 1, true);
        at += recordBytes;
        break;
      }
      const ripNow = rip + (offset - start);
      const facts = this.#factsOf(instruction);
      const variant = this.#variant(instruction, facts, mode, this.#isNear(instruction, ripNow, offset));
      this.#writeRecord(at, variant, mode, offset, retired);
      // An instruction that sets the flags that the next one reads does both.
      if (previous !== undefined && !repeated && this.#fuses(previous.variant.facts, facts))
        this.#pair(previous, variant, mode);
      at += recordBytes;
      offset += instruction.length;
      retired++;
      if (facts.ends) break;
      if (facts.shadows && (retired >= maximumBlock - 2 || offset >= 4096)) {
        // STI must not be the last thing before events are looked at: alone in a block that is stepped.
        at -= recordBytes;
        offset -= instruction.length;
        this.#exitRecord(at, ExitKind.step, offset, retired - 1);
        at += recordBytes;
        break;
      }
      if (repeated) {
        this.#blank(at, fixedHandlers.blockEnd, offset, offset, retired);
        this.#view.setInt32(at + record.immediate, offset, true);
        if (offset === 4096)
          this.#blank(
            at,
            mode.codeSize === 64 ? fixedHandlers.pageEnd64 : fixedHandlers.pageEnd32,
            offset,
            offset,
            retired,
          );
        at += recordBytes;
        break;
      }
      previous = facts.setsFlags && !facts.jumps ? { at: at - recordBytes, variant } : undefined;
    }
    this.#next = at;
    this.#module.materialise();
    if (this.#waitingPairs.length >= pairBatch) this.#makePairs();
    page.records.push(first, at);
    page.entries.set(key, first);
    return first;
  }

  #mark(page: CodePage, offset: number, length: number): void {
    for (let granule = offset >>> granuleShift; granule <= (offset + length - 1) >>> granuleShift; granule++)
      if (granule < page.granules.length) page.granules[granule] = 1;
  }

  #fuses(first: FormFacts, second: FormFacts): boolean {
    let fuses = first.fusesWith.get(second.number);
    if (fuses === undefined) {
      fuses = fusion(first.effects, second.effects) !== undefined;
      first.fusesWith.set(second.number, fuses);
    }
    return fuses;
  }

  #handler(variant: Variant, mode: CodeMode): number {
    const { handlers } = variant.facts;
    let handler = handlers.get(variant.number);
    if (handler === undefined) {
      handler = this.#module.add(this.#spec(variant, mode));
      handlers.set(variant.number, handler);
    }
    return handler;
  }

  /** Let the record at `at` carry out the next one, too: now, or with others when their handlers have been made. */
  #pair(
    { at, variant: first }: { readonly at: number; readonly variant: Variant },
    second: Variant,
    mode: CodeMode,
  ): void {
    const handler = this.#pairHandler(first, second, mode);
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
      if (view.getUint32(at + record.handler, true) < firstHandler) return true;
      const kind = view.getUint8(at + record.kind);
      n += kind === RecordKind.paired ? 2 : 1;
      if (n === count && kind === RecordKind.shadow) return false;
    }
    if (n > count) return false;
    const at = start + count * recordBytes;
    this.#stopAt = at;
    this.#stopHandler = view.getUint32(at + record.handler, true);
    view.setUint32(at + record.handler, fixedHandlers.stop, true);
    return true;
  }

  endStop(): void {
    if (this.#stopAt === 0) return;
    const { stop } = fixedHandlers;
    if (this.#view.getUint32(this.#stopAt + record.handler, true) === stop)
      this.#view.setUint32(this.#stopAt + record.handler, this.#stopHandler, true);
    this.#stopAt = 0;
  }

  #pairHandler(first: Variant, second: Variant, mode: CodeMode): number {
    let bySecond = first.facts.pairs.get(first.number);
    if (bySecond === undefined) {
      bySecond = new Map();
      first.facts.pairs.set(first.number, bySecond);
    }
    const key = second.facts.number * 2 ** 24 + second.number;
    let handler = bySecond.get(key);
    if (handler === undefined) {
      handler = this.#module.defer({ ...this.#spec(first, mode), fused: this.#spec(second, mode) });
      bySecond.set(key, handler);
    }
    return handler;
  }

  /** Does a relative branch stay in its page, without any truncation of the target taking part? */
  #isNear(instruction: Instruction, rip: number, offset: number): boolean {
    if (!isRelative(instruction.row)) return false;
    if (instruction.operandSize !== instruction.codeSize && instruction.codeSize !== 64) return false;
    const displacement = this.#displacement(instruction);
    const target = offset + instruction.length + displacement;
    if (target < 0 || target >= 4096) return false;
    if (instruction.codeSize === 64) return true;
    const targetRip = (rip >>> 0) + instruction.length + displacement;
    return targetRip >= 0 && targetRip <= (instruction.codeSize === 16 ? 0xffff : 0xffff_ffff);
  }

  #displacement(instruction: Instruction): number {
    const operand = instruction.operands[0]!;
    return operand.kind === "immediate" ? Number(BigInt.asIntN(operand.width, operand.value)) : 0;
  }

  #variant(instruction: Instruction, facts: FormFacts, mode: CodeMode, near: boolean): Variant {
    const { operands, row } = instruction;
    let shape: AddressShape = "base";
    let wideImmediate = false;
    let operandPlans = 0;
    const operandSegments: (SegmentPlan | undefined)[] = [];
    for (let n = 0; n < operands.length; n++) {
      const operand = operands[n]!;
      if (operand.kind === "memory") {
        if (operand.index !== undefined) shape = "full";
        if (operand.displacement > 0x7fff_ffffn || operand.displacement < -0x8000_0000n) shape = "wide";
        const plan = mode.plans[operand.segment];
        operandSegments.push(plan);
        operandPlans = operandPlans * 4 + planNumber[plan];
        continue;
      }
      if (
        operand.kind === "immediate" &&
        operand.width === 64 &&
        BigInt.asIntN(32, operand.value) !== BigInt.asIntN(64, operand.value)
      )
        wideImmediate = true;
      operandSegments.push(undefined);
    }
    const repeat = row.repeat === undefined ? 0 : repeatNumber[instruction.rep];
    const place = (mode.plansNumber * 16 + operandPlans) * 3 + shapeNumber[shape];
    const number = ((place * 3 + repeat) * 2 + (near ? 1 : 0)) * 2 + (wideImmediate ? 1 : 0);
    return { instruction, facts, shape, wideImmediate, near, operandSegments, number };
  }

  #spec({ instruction, shape, near, operandSegments, wideImmediate }: Variant, mode: CodeMode): HandlerSpec {
    const { row } = instruction;
    const repeat = row.repeat === undefined ? "none" : instruction.rep;
    const form = formOf(instruction);
    const { plans } = mode;
    return { row, form, shape, operandSegments, plans, near, repeat, fused: undefined, wideImmediate };
  }

  #writeRecord(at: number, variant: Variant, mode: CodeMode, offset: number, retired: number): void {
    const view = this.#view;
    const { instruction, near } = variant;
    this.#blank(at, this.#handler(variant, mode), offset, offset + instruction.length, retired);
    if (variant.facts.shadows) view.setUint8(at + record.kind, RecordKind.shadow);
    let slot = 0;
    for (const [index, operand] of instruction.operands.entries()) {
      if (operand.kind === "register") {
        view.setUint16(at + record.slot0 + 2 * slot, registerOffset(operand), true);
        slot++;
      } else if (operand.kind === "immediate") {
        if (variant.wideImmediate) view.setBigUint64(at + record.wide, operand.value, true);
        else view.setInt32(at + record.immediate, Number(BigInt.asIntN(32, operand.value)), true);
      } else if (operand.kind === "memory" && instruction.row.operands[index]!.addressing !== "Y")
        // ES:rDI needs nothing from the record: the one encoded address is the other operand's.
        this.#writeAddress(at, operand, offset + instruction.length, variant.shape);
    }
    if (near) {
      view.setInt32(
        at + record.immediate,
        offset + instruction.length + this.#displacement(instruction),
        true,
      );
      view.setInt32(at + record.displacement, 0, true);
    }
  }

  #writeAddress(at: number, operand: MemoryOperand, next: number, shape: AddressShape): void {
    const view = this.#view;
    const segment = segmentRegisters.indexOf(operand.segment);
    view.setUint8(at + record.segment, segment);
    view.setUint16(at + record.segmentBase, segmentBaseSlots[segment]!, true);
    if (shape === "wide") {
      view.setBigUint64(at + record.wide, BigInt.asUintN(64, operand.displacement), true);
      return;
    }
    let displacement = Number(operand.displacement);
    if (operand.base === "RIP") {
      view.setUint16(at + record.base, ripBaseSlot, true);
      displacement += next;
    } else if (operand.base !== undefined) view.setUint16(at + record.base, 8 * operand.base, true);
    if (operand.index !== undefined) {
      view.setUint16(at + record.index, 8 * operand.index, true);
      view.setUint8(at + record.scale, Math.log2(operand.scale));
    }
    view.setInt32(at + record.displacement, displacement, true);
  }

  /** A record of one instruction that returns to the processor after it. `offset`: its page offset. */
  stepRecord(instruction: Instruction, offset: number, mode: CodeMode): number {
    this.#writeStep(stepRecordsOffset, instruction, offset, mode);
    return stepRecordsOffset;
  }

  #writeStep(at: number, instruction: Instruction, offset: number, mode: CodeMode): void {
    const variant = this.#variant(instruction, this.#factsOf(instruction), mode, false);
    this.#writeRecord(at, variant, mode, offset, 0);
    this.#exitRecord(at + recordBytes, ExitKind.stepped, (offset + instruction.length) & 0xffff, 1);
    this.#module.materialise();
  }

  /**
   * The same for the instruction decoded into the record at `at`, kept for the next time; 0 where that cannot be. For
   * instructions that touch a device again and again.
   */
  repeatedStep(at: number, mode: CodeMode): number {
    const known = this.#stepRecords.get(at);
    if (known !== undefined) return known;
    // An exit record stands for bytes that only the processor can judge: undefined, or cut off by a page's end or the limit.
    if (this.full || this.#view.getUint32(at + record.handler, true) === fixedHandlers.exit) return 0;
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
    this.#writeStep(step, decoded, offset, mode);
    this.#stepRecords.set(at, step);
    return step;
  }
}
