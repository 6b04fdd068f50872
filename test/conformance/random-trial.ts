import type { Invalidation } from "../../src/cpu/core.ts";
import { Dice } from "../hostile/dice.ts";
import { type Bits, places } from "./program-places.ts";
import { placeProgram, programText } from "./random-program.ts";
import type { TwoTiers } from "./two-tiers.ts";

/** Instructions of one program. */
const instructions = 1600;
/** Lengths of the runs that a program is cut into: 1 is all single steps, the others begin in translated code. */
const slices = [1000, 65, 333, 100, 1600, 1, 200];
/** Instructions after which the JIT makes regions of what has been decoded: loops have been gone around by then. */
const translateAfter = [64, 150, 400, 900];

/** Words of the page tables, without their accessed and dirty flags: the upper levels, then an entry of two words for each page. */
const mapped = (ram: Uint8Array): Uint32Array =>
  new Uint32Array(ram.slice(places.pml4, places.table + mappedPages * 8).buffer).map((word) => word & ~0x60);
/** Linear pages from 0 that a program may map. */
const mappedPages = (places.remapped >>> 12) + 1;

/** Place in `mapped` of the low half of a page's entry, which is all that programs change. */
const wordOf = (address: bigint): number =>
  (places.table - places.pml4) / 4 + 2 * (Number(BigInt.asUintN(32, address) >> 12n) & 511);

/** From a store to a page table to the instruction that makes it valid, instructions at most: MOV from CR4, XOR, MOV to CR4. */
const soon = 3;

/**
 * Knows the page tables as they were when translations were last invalidated. A program that changes them and does not say so at once (it has
 * come among them by chance, or its stack has) is over: a processor may see the old translations or the new ones.
 */
class TableWatch {
  readonly #two: TwoTiers;
  readonly #ram: Uint8Array;
  #known: Uint32Array;
  #isStale = false;
  /** Instructions that have been fetched since the page tables were found changed. */
  #late = 0;

  constructor(two: TwoTiers) {
    this.#two = two;
    const { processor, guest } = two.evaluator;
    this.#ram = guest.ram();
    this.#known = mapped(this.#ram);
    const own = Object.getPrototypeOf(processor) as typeof processor;
    // The evaluator's processor tells: it executes the same invalidations, and fetches each instruction.
    Object.defineProperty(processor, "invalidate", {
      configurable: true,
      value: (what: Invalidation) => {
        const now = mapped(this.#ram);
        const told = what.kind === "page" ? wordOf(what.address) : undefined;
        if (told !== undefined && now.some((word, n) => word !== this.#known[n] && n !== told))
          this.#isStale = true;
        this.#known = now;
        this.#late = 0;
        own.invalidate.call(processor, what);
      },
    });
    Object.defineProperty(processor, "fetch", {
      configurable: true,
      value: () => {
        if (!this.#isKnown() && ++this.#late > soon) this.#isStale = true;
        return own.fetch.call(processor);
      },
    });
  }

  #isKnown(): boolean {
    const now = new Uint32Array(this.#ram.buffer, this.#ram.byteOffset + places.pml4, this.#known.length);
    for (let n = (places.table - places.pml4) / 4; n < now.length; n++)
      if (((now[n]! ^ this.#known[n]!) & ~0x60) !== 0) return false;
    return true;
  }

  end(): void {
    const { processor } = this.#two.evaluator;
    Reflect.deleteProperty(processor, "invalidate");
    Reflect.deleteProperty(processor, "fetch");
  }

  /** Has the program changed its page tables behind its own back? */
  get isOver(): boolean {
    const { RSP } = this.#two.evaluator.processor.state;
    if (RSP > BigInt(places.pml4 - 0x80) && RSP < BigInt(places.table + 0x1080)) return true;
    const now = mapped(this.#ram);
    return this.#isStale || now.some((word, n) => word !== this.#known[n]);
  }
}

/** What came of one program. */
export interface Trial {
  /** Where the two tiers differ, with the program's text; undefined: they agree. */
  readonly difference: string | undefined;
  /** Instructions that were compared. */
  readonly compared: number;
  /** Regions made, and times that one was entered. */
  readonly regions: number;
  readonly entries: number;
}

/** Run a program on both: states are compared wherever the run is cut, interrupts come between. */
export const trial = (two: TwoTiers, seed: number, bits: Bits): Trial => {
  const slice = slices[seed % slices.length]!;
  const place = (bare: Parameters<typeof placeProgram>[0]): void => placeProgram(bare, seed, bits);
  let compared = 0;
  const once = (total: number): number | undefined => {
    two.start(place);
    const watch = new TableWatch(two);
    const due = [...translateAfter];
    const between = (ran: number): "stop" | undefined => {
      if (watch.isOver) return "stop";
      compared = ran;
      const dice = new Dice(seed * 7919 + ran);
      if (dice.once(3)) two.interrupt(dice.once(4) ? "NMI" : 0x30 + dice.below(8));
      return undefined;
    };
    // Cut where regions are to be made; within these pieces by slices.
    let ran = 0;
    let found: number | undefined;
    try {
      while (ran < total && found === undefined) {
        const end = Math.min(total, due.shift() ?? total);
        const before = ran;
        const outcome = two.run(end - before, slice, (n) => between(before + n));
        if (outcome !== undefined) found = before + outcome;
        else if (two.isOver) return undefined;
        ran = end;
        if (found === undefined && ran < total) two.translate();
      }
    } finally {
      watch.end();
    }
    return found;
  };
  const { entries, regions } = two.use;
  const at = once(instructions);
  const result = { compared, entries: two.use.entries - entries, regions: two.use.regions - regions };
  if (at === undefined) return { ...result, difference: undefined };
  const narrowed = two.narrow(at, once);
  return {
    ...result,
    difference: `program ${seed}, ${bits} bits, slice ${slice}: ${JSON.stringify(narrowed, undefined, 1)}\n${programText(seed, bits)}`,
  };
};
