import { fixedHandlers, type InterpreterModule } from "../codegen/interpreter-module.ts";
import { recordsBytes, recordsOffset } from "../codegen/memory-map.ts";
import { record, recordBytes } from "../codegen/record.ts";
import type { Region } from "../codegen/region/region.ts";
import type { PageSlots } from "./page-slots.ts";
import { type DecodedCode, RegionCollector } from "./region-collector.ts";

/** Samples in a block before it is translated. */
const threshold = 8;
/** Regions are translated this many at a time: a module each would cost more. */
const regionsAtOnce = 32;
/** Samples that a request waits for others, at most; and where every entry is a sample. */
const patience = 400;
const eagerPatience = 16;

/** Regions at once: above it, those that were seen least lately go. */
const maximumRegions = 3072;

/** Regions of one module. */
interface Batch {
  /** Place of the first in the table. */
  readonly first: number;
  readonly entries: readonly number[];
  /** The last sample that met one of them. */
  seen: number;
}

/** An entry that has a region for its handler. */
interface Translated {
  readonly batch: Batch;
  readonly region: number;
  /** The handler of its first instruction. */
  readonly own: number;
}

/** The second tier: finds hot blocks by sampling, and gives their first records a region for a handler. */
export class HotCode {
  readonly #module: InterpreterModule;
  readonly #view: DataView;
  readonly #code: DecodedCode;
  readonly #heat = new Uint8Array(recordsBytes / recordBytes);
  readonly #translated = new Map<number, Translated>();
  #requests: { readonly at: number; readonly region: Region }[] = [];
  /** Samples since the first request. */
  #waited = 0;
  readonly #slots: PageSlots;
  regions = 0;
  evicted = 0;
  #batches: Batch[] = [];
  #live = 0;
  #samples = 0;

  constructor(module: InterpreterModule, view: DataView, code: DecodedCode, slots: PageSlots) {
    this.#slots = slots;
    this.#module = module;
    this.#view = view;
    this.#code = code;
  }

  /** Every block that is entered from here is hot, the first time it is: for tests. */
  eager = false;

  /** The block at this record is about to run: RIP is there. */
  sample(at: number): void {
    if (this.#requests.length > 0 && ++this.#waited >= (this.eager ? eagerPatience : patience))
      this.translate();
    const slot = (at - recordsOffset) / recordBytes;
    if (slot < 0 || slot >= this.#heat.length) return;
    this.#samples++;
    const translated = this.#translated.get(at);
    if (translated !== undefined) translated.batch.seen = this.#samples;
    const hot = this.eager ? 1 : threshold;
    const heat = this.#heat[slot]! + 1;
    if (heat > hot) return;
    this.#heat[slot] = heat;
    if (heat === hot) this.#request(at, this.#code);
    if (this.#requests.length >= regionsAtOnce) this.translate();
  }

  /** Translate every block at these records that has no region yet: for tests. Not while translated code runs. */
  translateAll(starts: readonly number[]): void {
    // They are not about to run.
    const beside: DecodedCode = { ...this.#code, atDistance: () => 0 };
    const asked = new Set(this.#requests.map(({ at }) => at));
    for (const at of starts) if (!asked.has(at)) this.#request(at, beside);
    this.translate();
  }

  /** Does a region stand for the block at this record? */
  isRegion(at: number): boolean {
    return this.ownHandler(at) !== this.#view.getUint32(at + record.handler, true);
  }

  #request(at: number, code: DecodedCode): void {
    if (this.isRegion(at)) return;
    const region = this.#collect(at, code);
    if (region !== undefined) this.#requests.push({ at, region });
    else this.#cool(at);
  }

  #cool(at: number): void {
    this.#heat[(at - recordsOffset) / recordBytes] = 0;
  }

  /** A page of the region at this entry has changed. */
  unhook(at: number): void {
    const translated = this.#translated.get(at);
    if (translated === undefined) return;
    this.#translated.delete(at);
    this.#cool(at);
    if (this.#view.getUint32(at + record.handler, true) === translated.region)
      this.#view.setUint32(at + record.handler, translated.own, true);
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
    const translated = this.#translated.get(at);
    // A store may have changed one of its pages meanwhile.
    if (translated === undefined) return;
    const { region, own } = translated;
    if (this.#view.getUint32(at + record.handler, true) === own)
      this.#view.setUint32(at + record.handler, region, true);
  }

  /** Forget all: records have moved. */
  clear(): void {
    for (const { first } of this.#batches) this.#module.removeRegions(first);
    this.#batches = [];
    this.#live = 0;
    this.#heat.fill(0);
    this.#translated.clear();
    this.#requests = [];
  }

  #isStale(at: number): boolean {
    return this.#view.getUint32(at + record.handler, true) === fixedHandlers.stale;
  }

  /** Translate what was asked for. Not while translated code runs. */
  translate(): void {
    const requests = this.#requests.filter(({ at, region }) => {
      // Collected a while ago.
      const valid = !region.blocks.some((block) => this.#isStale(block.at));
      if (!valid) this.#cool(at);
      return valid;
    });
    this.#requests = [];
    this.#waited = 0;
    if (requests.length === 0) return;
    const first = this.#module.addRegions(
      requests.map(({ region }) => region),
      this.#view,
    );
    const batch: Batch = { first, entries: requests.map(({ at }) => at), seen: this.#samples };
    this.#batches.push(batch);
    this.#live += requests.length;
    requests.forEach(({ at, region }, n) => {
      this.#translated.set(at, { batch, region: first + n, own: this.ownHandler(at) });
      this.#view.setUint32(at + record.handler, first + n, true);
      for (const { offset } of region.pages) this.#code.include(offset, at);
    });
    this.regions += requests.length;
    while (this.#live > maximumRegions && this.#batches.length > 1) this.#evict();
  }

  /** The module that no sample has met for the longest time goes; what is hot in it comes again. */
  #evict(): void {
    let oldest = 0;
    // The newest stays.
    for (let n = 1; n < this.#batches.length - 1; n++)
      if (this.#batches[n]!.seen < this.#batches[oldest]!.seen) oldest = n;
    const [batch] = this.#batches.splice(oldest, 1) as [Batch];
    for (const at of batch.entries) if (this.#translated.get(at)?.batch === batch) this.unhook(at);
    this.#live -= batch.entries.length;
    this.evicted += batch.entries.length;
    this.#module.removeRegions(batch.first);
  }

  /** The blocks that are reached from a hot one, which is about to run, by jumps that have been taken before. */
  #collect(entry: number, code: DecodedCode): Region | undefined {
    const collector = new RegionCollector(this.#view, code, this.#module, (at) => this.ownHandler(at), entry);
    const found = collector.collect();
    if (found === undefined) return undefined;
    const slot = found.pages.length > 1 ? this.#slots.allocate(found.pages) : 0;
    return { ...found, slot };
  }
}
