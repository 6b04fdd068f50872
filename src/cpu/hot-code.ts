import type { HandlerSpec } from "../codegen/handler-spec.ts";
import { firstHandler, fixedHandlers, type InterpreterModule } from "../codegen/interpreter-module.ts";
import { recordsBytes, recordsOffset } from "../codegen/memory-map.ts";
import { RecordKind, record, recordBytes } from "../codegen/record.ts";
import type { BlockEnd, Region, RegionBlock, RegionInstruction } from "../codegen/region/region.ts";
import { withImmediate, withoutDeadFlags } from "../codegen/region/specialise.ts";

/** Bounds of one region. */
const maximumBlocks = 48;
const maximumInstructions = 600;
/** Calls whose returns a region expects. */
const maximumReturns = 6;
/** Samples in a block before it is translated. */
const threshold = 4;
/** Regions are translated this many at a time: a module each would cost more. */
const batch = 32;
/** Samples that a request waits for others, at most; and where every entry is a sample. */
const patience = 400;
const eagerPatience = 16;

/** An entry that has a region for its handler. */
interface Translated {
  readonly region: number;
  /** The handler of its first instruction. */
  readonly own: number;
}

/** The second tier: finds hot blocks by sampling, and gives their first records a region for a handler. */
export class HotCode {
  readonly #module: InterpreterModule;
  readonly #view: DataView;
  readonly #heat = new Uint8Array(recordsBytes / recordBytes);
  readonly #translated = new Map<number, Translated>();
  #requests: number[] = [];
  /** Samples since the first request. */
  #waited = 0;
  regions = 0;

  /** The record of the code at a page offset, in the page and mode of another record; 0 where none is decoded. */
  readonly #entry: (at: number, pageOffset: number) => number;

  constructor(module: InterpreterModule, view: DataView, entry: (at: number, pageOffset: number) => number) {
    this.#module = module;
    this.#entry = entry;
    this.#view = view;
  }

  /** Every block that is entered from here is hot, the first time it is: for tests. */
  eager = false;

  /** The block at this record was about to run when a sample was taken. */
  sample(at: number): void {
    if (this.#requests.length > 0 && ++this.#waited >= (this.eager ? eagerPatience : patience))
      this.translate();
    const slot = (at - recordsOffset) / recordBytes;
    if (slot < 0 || slot >= this.#heat.length) return;
    const hot = this.eager ? 1 : threshold;
    const heat = this.#heat[slot]! + 1;
    if (heat > hot) return;
    this.#heat[slot] = heat;
    if (heat === hot) this.#requests.push(at);
    if (this.#requests.length >= batch) this.translate();
  }

  /** Translate every block at these records that has no region yet: for tests. Not while translated code runs. */
  translateAll(starts: readonly number[]): void {
    const asked = new Set(this.#requests);
    for (const at of starts) if (!asked.has(at) && !this.isRegion(at)) this.#requests.push(at);
    this.translate();
  }

  /** Does a region stand for the block at this record? */
  isRegion(at: number): boolean {
    return this.ownHandler(at) !== this.#view.getUint32(at + record.handler, true);
  }

  /** The handler that a record has or would have without a region. */
  ownHandler(at: number): number {
    const handler = this.#view.getUint32(at + record.handler, true);
    const translated = this.#translated.get(at);
    return translated !== undefined && translated.region === handler ? translated.own : handler;
  }

  #aside = 0;

  /** Let the record at `at` run as the interpreter does, until `putBack`. */
  setAside(at: number): void {
    const translated = this.#translated.get(at);
    if (translated === undefined || this.#view.getUint32(at + record.handler, true) !== translated.region)
      return;
    this.#view.setUint32(at + record.handler, translated.own, true);
    this.#aside = at;
  }

  putBack(): void {
    const at = this.#aside;
    if (at === 0) return;
    this.#aside = 0;
    const { region, own } = this.#translated.get(at)!;
    if (this.#view.getUint32(at + record.handler, true) === own)
      this.#view.setUint32(at + record.handler, region, true);
  }

  /** Forget all: records have moved. */
  clear(): void {
    this.#heat.fill(0);
    this.#translated.clear();
    this.#requests = [];
  }

  /** Translate what was asked for. Not while translated code runs. */
  translate(): void {
    const requests = this.#requests;
    this.#requests = [];
    this.#waited = 0;
    const regions: { readonly at: number; readonly region: Region }[] = [];
    for (const at of requests) {
      if (this.#translated.has(at) && this.ownHandler(at) !== this.#view.getUint32(at + record.handler, true))
        continue;
      const region = this.#collect(at);
      if (region !== undefined) regions.push({ at, region });
      else this.#heat[(at - recordsOffset) / recordBytes] = 0;
    }
    if (regions.length === 0) return;
    const handlers = this.#module.addRegions(
      regions.map(({ region }) => region),
      this.#view,
    );
    regions.forEach(({ at }, n) => {
      const own = this.#view.getUint32(at + record.handler, true);
      this.#translated.set(at, { region: handlers[n]!, own });
      this.#view.setUint32(at + record.handler, handlers[n]!, true);
    });
    this.regions += regions.length;
  }

  /** The blocks that are reached from a hot one by jumps within its page that have been taken before. */
  #collect(entry: number): Region | undefined {
    const numbers = new Map<number, number>([[entry, 0]]);
    const starts = [entry];
    const blocks: RegionBlock[] = [];
    const returns: number[] = [];
    let room = maximumInstructions;
    const numberOf = (at: number): number | undefined => {
      if (at === 0 || this.#view.getUint32(at + record.handler, true) === fixedHandlers.stale)
        return undefined;
      const known = numbers.get(at);
      if (known !== undefined) return known;
      if (starts.length === maximumBlocks || room <= 0) return undefined;
      const number = starts.push(at) - 1;
      numbers.set(at, number);
      return number;
    };
    for (let n = 0; n < starts.length; n++) {
      const block = this.#block(starts[n]!, numberOf, returns);
      room -= block.instructions.length;
      blocks.push(block);
    }
    return blocks[0]!.instructions.length === 0
      ? undefined
      : { blocks: blocks.map((block) => returning(block, returns)) };
  }

  /** `returns`: collects the blocks behind calls that stay in the region. */
  #block(start: number, numberOf: (at: number) => number | undefined, returns: number[]): RegionBlock {
    const view = this.#view;
    const instructions: RegionInstruction[] = [];
    for (let at = start; ; at += recordBytes) {
      const end = (kind: BlockEnd): RegionBlock => ({
        at: start,
        instructions: withoutDeadFlags(instructions),
        end: kind,
      });
      const handler = this.ownHandler(at);
      if (handler === fixedHandlers.blockEnd)
        return end({ kind: "block", at, target: numberOf(view.getInt32(at + record.displacement, true)) });
      const spec = handler < firstHandler ? undefined : this.#module.specOf(handler);
      if (spec === undefined || !translatable(spec) || view.getUint8(at + record.kind) === RecordKind.shadow)
        return end({ kind: "record", at });
      const jump = spec.effects.find((effect) => effect.kind === "jump");
      const near = jump !== undefined && spec.near;
      const target = near ? numberOf(view.getInt32(at + record.displacement, true)) : undefined;
      instructions.push({
        at,
        spec: withImmediate(spec, view.getInt32(at + record.immediate, true)),
        target,
      });
      if (target !== undefined && spec.row.semantics.mnemonic === "CALL" && returns.length < maximumReturns) {
        const behind = numberOf(this.#entry(at, view.getUint16(at + record.next, true)));
        if (behind !== undefined && !returns.includes(behind)) returns.push(behind);
      }
      if (jump !== undefined && jump.when === undefined) return end({ kind: "jumped" });
    }
  }
}

/** Can this instruction be part of a region? Others are left to their handlers. */
const translatable = (spec: HandlerSpec): boolean =>
  spec.repeat === "none" && !spec.effects.some(({ kind }) => kind === "interruptShadow");

/** A block whose return, if it ends in one, may go to these blocks. */
const returning = (block: RegionBlock, returns: readonly number[]): RegionBlock => {
  const last = block.instructions.at(-1);
  if (last === undefined || last.spec.row.semantics.mnemonic !== "RET") return block;
  return { ...block, instructions: [...block.instructions.slice(0, -1), { ...last, returns }] };
};
