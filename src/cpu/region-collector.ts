import type { HandlerSpec } from "../codegen/handler-spec.ts";
import { isRelative } from "../codegen/instruction-emitter.ts";
import { firstHandler, fixedHandlers, type InterpreterModule } from "../codegen/interpreter-module.ts";
import { RecordKind, record, recordBytes } from "../codegen/record.ts";
import {
  type BlockEnd,
  maximumPages,
  type Region,
  type RegionBlock,
  type RegionInstruction,
  type RegionPage,
} from "../codegen/region/region.ts";
import { withImmediate, withoutDeadFlags } from "../codegen/region/specialise.ts";

/** Bounds of one region. */
const maximumBlocks = 24;
const maximumInstructions = 300;
/** Calls whose returns a region expects. */
const maximumReturns = 6;

/** What the second tier asks about decoded code. Distances are in bytes from byte 0 of the page of the running code, by linear address. */
export interface DecodedCode {
  /** The record of the code at a page offset, in the page and mode of another record; 0 where none is decoded. */
  beside(at: number, pageOffset: number): number;
  /** The same at a distance, as the running code would find it in the jump cache. */
  atDistance(distance: number): number;
  /** Memory offset of the page that a record was decoded from. */
  pageOf(at: number): number;
  /** Call `unhook` for an entry when code of this page changes. */
  include(pageOffset: number, entry: number): void;
}

/** Finds what belongs to the region of a hot block, which is about to run. */
export class RegionCollector {
  readonly #view: DataView;
  readonly #code: DecodedCode;
  readonly #module: InterpreterModule;
  readonly #ownHandler: (at: number) => number;
  readonly #starts: { readonly at: number; readonly page: number }[] = [];
  readonly #numbers = new Map<number, number>();
  readonly #pages: RegionPage[];
  readonly #returns: number[] = [];
  #room = maximumInstructions;

  /** `ownHandler`: of a record, were there no regions. */
  constructor(
    view: DataView,
    code: DecodedCode,
    module: InterpreterModule,
    ownHandler: (at: number) => number,
    entry: number,
  ) {
    this.#view = view;
    this.#code = code;
    this.#module = module;
    this.#ownHandler = ownHandler;
    this.#pages = [{ distance: 0, offset: code.pageOf(entry) }];
    this.#starts.push({ at: entry, page: 0 });
    this.#numbers.set(entry, 0);
  }

  collect(): Omit<Region, "slot"> | undefined {
    const blocks: RegionBlock[] = [];
    for (const { at, page } of this.#starts) {
      const block = this.#block(at, page);
      this.#room -= block.instructions.length;
      blocks.push(block);
    }
    if (blocks[0]!.instructions.length === 0) return undefined;
    return { blocks: blocks.map((block) => returning(block, this.#returns)), pages: this.#pages };
  }

  /** The number of a block of the region; undefined: it does not belong to it. */
  #numberOf(at: number, page: number): number | undefined {
    if (at === 0 || this.#view.getUint32(at + record.handler, true) === fixedHandlers.stale) return undefined;
    const known = this.#numbers.get(at);
    // One page may be in two places.
    if (known !== undefined) return this.#starts[known]!.page === page ? known : undefined;
    if (this.#starts.length === maximumBlocks || this.#room <= 0) return undefined;
    const number = this.#starts.push({ at, page }) - 1;
    this.#numbers.set(at, number);
    return number;
  }

  /** The same of the code `bytes` after byte 0 of a page of the region. */
  #numberBeyond(page: number, bytes: number): number | undefined {
    const away = 4096 * this.#pages[page]!.distance + bytes;
    const at = this.#code.atDistance(away);
    if (at === 0) return undefined;
    const distance = Math.floor(away / 4096);
    const offset = this.#code.pageOf(at);
    let number = this.#pages.findIndex((known) => known.distance === distance);
    if (number < 0) {
      if (this.#pages.length === maximumPages) return undefined;
      number = this.#pages.push({ distance, offset }) - 1;
    } else if (this.#pages[number]!.offset !== offset) return undefined;
    return this.#numberOf(at, number);
  }

  #block(start: number, page: number): RegionBlock {
    const view = this.#view;
    const instructions: RegionInstruction[] = [];
    for (let at = start; ; at += recordBytes) {
      const end = (kind: BlockEnd): RegionBlock => ({
        at: start,
        page,
        instructions: withoutDeadFlags(instructions),
        end: kind,
      });
      const handler = this.#ownHandler(at);
      if (handler === fixedHandlers.blockEnd)
        return end({
          kind: "block",
          at,
          target: this.#numberOf(view.getInt32(at + record.displacement, true), page),
        });
      if (handler === fixedHandlers.pageEnd64 || handler === fixedHandlers.pageEnd32)
        return end({ kind: "block", at, target: this.#numberBeyond(page, 4096) });
      const spec = handler < firstHandler ? undefined : this.#module.specOf(handler);
      if (spec === undefined || !translatable(spec) || view.getUint8(at + record.kind) === RecordKind.shadow)
        return end({ kind: "record", at });
      const jump = spec.effects.find((effect) => effect.kind === "jump");
      const target = jump === undefined || !isRelative(spec) ? undefined : this.#target(at, page, spec);
      const known = withImmediate(spec, view.getInt32(at + record.immediate, true));
      instructions.push({ at, spec: known, target });
      if (target !== undefined && spec.row.semantics.mnemonic === "CALL") this.#expectReturn(at, page);
      if (jump !== undefined && jump.when === undefined) return end({ kind: "jumped" });
    }
  }

  /** The block that a relative jump goes to. */
  #target(at: number, page: number, { near, form }: HandlerSpec): number | undefined {
    const view = this.#view;
    if (near) return this.#numberOf(view.getInt32(at + record.displacement, true), page);
    if (form.codeSize !== 64 && (form.codeSize !== 32 || form.operandSize !== 32)) return undefined;
    return this.#numberBeyond(
      page,
      view.getUint16(at + record.next, true) + view.getInt32(at + record.immediate, true),
    );
  }

  /** The block behind a call that stays in the region is one that a return may go to. */
  #expectReturn(at: number, page: number): void {
    if (this.#returns.length === maximumReturns) return;
    const behind = this.#numberOf(this.#code.beside(at, this.#view.getUint16(at + record.next, true)), page);
    if (behind !== undefined && !this.#returns.includes(behind)) this.#returns.push(behind);
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
