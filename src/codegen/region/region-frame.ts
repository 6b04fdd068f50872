import type { Effect, Flags } from "../../ir/effects.ts";
import type { Value } from "../../ir/value.ts";
import { offsetOf } from "../../state/layout.ts";
import { Code, i32, i64, v128 } from "../../wasm/code.ts";
import { type Binding, ExpressionEmitter } from "../expression.ts";
import type { LazyFlags } from "../flags.ts";
import { conditionsOn } from "../fusion.ts";
import type { HandlerContext } from "../handler-spec.ts";
import { regionSlot, regionSlotBytes, regionSlotsOffset } from "../memory-map.ts";
import { loadWidth, storeWidth } from "../widths.ts";
import { generalBytes, vectorAt, vectorBytes, vectorOffset } from "./held-registers.ts";
import { NestedCode } from "./nested-code.ts";
import type { Region } from "./region.ts";

const offset = {
  codeStamp: offsetOf("codeStamp"),
  tlbKey: offsetOf("tlbKey"),
  ripBase: offsetOf("ripBase"),
  vectorScratch: offsetOf("vectorScratch"),
};

/** Parameters of a region, as of every handler. */
export const ip = 0;
export const budget = 1;

/** Where the record's page is: what is needed to know an address within it. */
export interface Position {
  readonly page: number;
  readonly offset: number;
}

/** Flags that are a known function of the stash, at the point of emission. */
interface Pending {
  readonly lazy: LazyFlags;
}

/**
 * The function of a region. General registers are read from locals; what is written goes to the state, too, before the next
 * instruction that could leave, so that no way out has registers to write back. Pending flags live in locals alone.
 */
export class RegionFrame {
  readonly code = new NestedCode(2);
  readonly context: HandlerContext;
  readonly view: DataView;
  /** Local of each general register in use. */
  readonly #general: (number | undefined)[] = new Array(16).fill(undefined);
  /** Registers whose locals are newer than the state. */
  readonly #dirty = new Set<number>();
  /** The same of XMM registers. */
  readonly #vector: (number | undefined)[] = new Array(16).fill(undefined);
  readonly #dirtyVectors = new Set<number>();
  readonly #stash: readonly number[];
  /** Settle function of the flags in the stash; -1: memory has the flags. */
  readonly #lazy: number;
  /** Not 0 while a store of the instruction went through the slow path. */
  readonly slow: number;
  pending: Pending | undefined;
  /** The dispatch function for the region's code. */
  dispatch = 0;
  /** Key of TLB lookups. */
  readonly tlbKey: number;
  /** RIP of byte 0 of the entry's page. */
  readonly #base: number;
  /** Bit n: page n is where the region expects it. */
  readonly #present: number;
  readonly region: Region;

  constructor(region: Region, context: HandlerContext, view: DataView) {
    this.region = region;
    this.context = context;
    this.view = view;
    const { code } = this;
    this.#stash = [code.lasting(i64), code.lasting(i64), code.lasting(i64)];
    this.#lazy = code.lasting(i32);
    this.slow = code.lasting(i32);
    this.tlbKey = code.lasting(i64);
    this.#base = code.lasting(i64);
    this.#present = code.lasting(i32);
  }

  /** The local of a general register. */
  general(number: number): number {
    return (this.#general[number] ??= this.code.lasting(i64));
  }

  setGeneral(number: number): void {
    this.#dirty.add(number);
    this.code.set(this.general(number));
  }

  /** The local of an XMM register. */
  vector(number: number): number {
    return (this.#vector[number] ??= this.code.lasting(v128));
  }

  setVector(number: number): void {
    this.#dirtyVectors.add(number);
    this.code.set(this.vector(number));
  }

  /** Let the state have every register: before anything that could leave the region, or meet another path. */
  sync(): void {
    this.storeRegisters();
    this.#dirty.clear();
    this.#dirtyVectors.clear();
  }

  /** The same on one of two paths. */
  storeRegisters(): void {
    const { code } = this;
    for (const number of this.#dirty) code.i32(0).get(this.#general[number]!).memory("i64.store", 8 * number);
    for (const number of this.#dirtyVectors) code.i32(0).get(this.#vector[number]!).v128Store(vectorOffset + vectorBytes * number);
  }

  /** The register at a state offset has been changed there. */
  reload(at: number): void {
    const { code } = this;
    const vector = vectorAt(at);
    if (at < generalBytes) code.i32(0).memory("i64.load", at & ~7).set(this.general(at >>> 3));
    else if (vector !== undefined) code.i32(0).v128Load(at).set(this.vector(vector));
  }

  /** Code to run before the rest: registers come from the state. Which ones is known only after the rest is emitted. */
  prologue(): Code {
    const code = new Code(2);
    this.#general.forEach((local, number) => {
      if (local !== undefined) code.i32(0).memory("i64.load", 8 * number).set(local);
    });
    this.#vector.forEach((local, number) => {
      if (local !== undefined) code.i32(0).v128Load(vectorOffset + vectorBytes * number).set(local);
    });
    code.i32(-1).set(this.#lazy);
    code.i32(0).memory("i64.load", offset.tlbKey).set(this.tlbKey);
    code.i32(0).memory("i64.load", offset.ripBase).set(this.#base);
    if (this.region.pages.length > 1) {
      const slot = regionSlotsOffset + this.region.slot * regionSlotBytes;
      code.i32(0).memory("i32.load", slot + regionSlot.stamp).i32(0).memory("i32.load", offset.codeStamp).op("i32.ne").if();
      code.i32(this.region.slot).call(this.context.imports.lookUpPages).end();
      code.i32(0).memory("i32.load", slot + regionSlot.pages).set(this.#present);
    }
    return code;
  }

  /** Go to another page of the region: ripBase becomes its own; if it is not where the region expects it, its code is looked up. */
  enterPage(to: Position): void {
    const { code } = this;
    code.get(this.#present).i32(1 << to.page).op("i32.and").op("i32.eqz").if();
    // Once it has been looked up it may be there.
    code.i32(0).i32(0).memory("i32.store", regionSlotsOffset + this.region.slot * regionSlotBytes + regionSlot.stamp);
    this.toDispatch(() => this.ripOf(to));
    code.end();
  }

  /** Let ripBase be that of a page. */
  setPage(page: number): void {
    this.code.i32(0);
    this.ripOf({ page, offset: 0 });
    this.code.memory("i64.store", offset.ripBase);
  }

  #pushFlags(): void {
    for (const local of this.#stash) this.code.get(local);
    this.code.get(this.#lazy);
  }

  /** Let memory have the status flags. */
  spillFlags(): void {
    this.#pushFlags();
    this.code.call(this.context.imports.spillFlags);
    this.flagsInMemory();
  }

  flagsInMemory(): void {
    this.code.i32(-1).set(this.#lazy);
  }

  writeLazy(lazy: LazyFlags, input: (index: number) => void): void {
    const { code } = this;
    // All inputs first: one of them may be read from the stash.
    lazy.inputs.forEach(({ width }, index) => {
      input(index);
      if (width <= 32) code.op("i64.extend_i32_u");
    });
    for (let index = lazy.inputs.length - 1; index >= 0; index--) code.set(this.#stash[index]!);
    code.i32(this.context.settleFunction(lazy)).set(this.#lazy);
    this.pending = { lazy };
  }

  /** The conditions of an instruction on flags that are pending here, computed now. */
  conditions(effects: readonly Effect[]): ReadonlyMap<Value, number> {
    const given = new Map<Value, number>();
    const { pending, code } = this;
    if (pending === undefined) return given;
    const conditions = conditionsOn(pending.lazy.flags as Flags, effects);
    if (conditions === undefined) return given;
    const binding: Binding = {
      mulHighUnsigned: this.context.imports.mulHighUnsigned,
      leaf: (out, value) => {
        out.get(this.#stash[pending.lazy.inputs.indexOf(value)]!);
        if (value.width <= 32) out.op("i32.wrap_i64");
      },
      foreign: (out, value, emitArgument) => {
        value.args.forEach((arg, index) => {
          out.i32(0);
          emitArgument(index);
          storeWidth(out, arg.width, offset.vectorScratch + 16 * index, true);
        });
        out.i32(this.context.foreignNode(value)).call(this.context.imports.foreign).i32(0);
        loadWidth(out, value.width, offset.vectorScratch);
      },
    };
    const values = [...conditions.values()];
    const expressions = new ExpressionEmitter(code, binding, values);
    for (const [node, value] of conditions) {
      const local = code.local(i32);
      expressions.emit(value);
      code.set(local);
      given.set(node, local);
    }
    return given;
  }

  // ---- ways out; registers are synchronised

  /** Return to the processor; the exit's kind is stored. `at`: the record to report. */
  leave(at: number): void {
    this.code.i32(at).get(budget);
    this.#pushFlags();
    this.code.returnCall(this.context.imports.leaveRegion);
  }

  /** Return with an exception of the record at `at`. */
  raise(at: number, vector: number, errorCode: (() => void) | undefined): void {
    const { code } = this;
    code.i32(at).get(budget);
    this.#pushFlags();
    code.i32(vector);
    if (errorCode) errorCode();
    else code.i32(-1);
    code.returnCall(this.context.imports.regionRaise);
  }

  /** Go on with the record at `at`. */
  toRecord(at: number): void {
    this.code.i32(at).get(budget);
    this.#pushFlags();
    this.code.returnCall(this.context.imports.resumeRecord);
  }

  /** Take the jump of the record at `at`. */
  toNear(at: number): void {
    this.code.i32(at).get(budget);
    this.#pushFlags();
    this.code.returnCall(this.context.imports.regionToNear);
  }

  /** Go on at the offset in CS that `push` leaves. */
  toDispatch(push: () => void): void {
    push();
    this.code.get(budget);
    this.#pushFlags();
    this.code.returnCall(this.dispatch);
  }

  /** Leave when the budget is used up; the next instruction is there. */
  checkBudget(next: Position): void {
    const { code } = this;
    code.get(budget).i32(0).op("i32.le_s").if();
    this.ripOf(next);
    code.get(budget);
    this.#pushFlags();
    code.returnCall(this.context.imports.regionBudget).end();
  }

  /** Push the offset in CS of something in a page, 64 bits. */
  ripOf({ page, offset: inPage }: Position): void {
    const distance = 4096 * this.region.pages[page]!.distance + inPage;
    this.code.get(this.#base);
    if (distance !== 0) this.code.i64(BigInt(distance)).op("i64.add");
  }
}
