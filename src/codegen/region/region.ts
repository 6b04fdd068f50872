import type { HandlerSpec } from "../handler-spec.ts";

/** Hot code to be translated as one function: decoded blocks by their records in linear memory, of one page or of several. */

export interface RegionInstruction {
  /** Its record. */
  readonly at: number;
  /** What its handler does; the instruction after it, which may share that, has an entry of its own. */
  readonly spec: HandlerSpec;
  /** Block that its jump goes to; undefined: outside the region, or it does not jump. */
  readonly target: number | undefined;
  /** Blocks that a return may go to: behind the calls of the region. */
  readonly returns?: readonly number[];
}

/** How a block goes on behind its last instruction. */
export type BlockEnd =
  /** It does not: the last instruction always jumps. */
  | { readonly kind: "jumped" }
  /** With the record there, as the interpreter does: a procedure, a page's end, an instruction left to its handler. */
  | { readonly kind: "record"; readonly at: number }
  /** With another block of the page. `at`: the record that says so; `target`: its number, when it is in the region. */
  | { readonly kind: "block"; readonly at: number; readonly target: number | undefined };

export interface RegionBlock {
  /** Its first record. */
  readonly at: number;
  /** Number of its page. */
  readonly page: number;
  readonly instructions: readonly RegionInstruction[];
  readonly end: BlockEnd;
}

export interface RegionPage {
  /** How many pages after the one of block 0 it is, by linear address. */
  readonly distance: number;
  /** Memory offset. */
  readonly offset: number;
}

/** Block 0 is where the region is entered. */
export interface Region {
  readonly blocks: readonly RegionBlock[];
  /** The page of block 0 first. */
  readonly pages: readonly RegionPage[];
  /** Number of its slot in linear memory (memory-map.ts). */
  readonly slot: number;
}

/** More pages than these are not looked up. */
export const maximumPages = 8;
