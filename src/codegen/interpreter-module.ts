import { foldNode } from "../ir/evaluate.ts";
import { intrinsicNamed } from "../ir/intrinsics.ts";
import type { Value } from "../ir/value.ts";
import { offsetOf } from "../state/layout.ts";
import { Code, i32, i64, type ValueType } from "../wasm/code.ts";
import { wasmPageBytes } from "../wasm/engine.ts";
import { type FunctionBody, ModuleBuilder } from "../wasm/module.ts";
import { type LazyFlags, stashOffsets } from "./flags.ts";
import { HandlerEmitter } from "./handler.ts";
import { AccessWord, type HandlerContext, type HandlerSpec, type Imports } from "./handler-spec.ts";
import {
  jumpCacheEntries, jumpCacheEntry, jumpCacheOffset, jumpCacheWay, regionSlot, regionSlotBytes, regionSlotsOffset,
  tlbEntries, tlbEntry, tlbEntryBytes, tlbEntryShift, tlbOffset, tlbVictims, tlbVictimsOffset,
} from "./memory-map.ts";
import { emitOutOfLine } from "./out-of-line.ts";
import { ExitKind, record } from "./record.ts";
import type { Region } from "./region/region.ts";
import { RegionEmitter } from "./region/region-emitter.ts";
import { emitSettle } from "./settle-flags.ts";

/** What translated code calls in TypeScript, of the processor that runs. */
export interface SlowPaths {
  /** Translate state.slowAddress for this access word; the memory offset, or 0 after storing why not in the exit fields. */
  miss(access: number): number;
  /** Segmentation: effective address in slowAddress -> linear address there. Word: segment | access << 8. 0 = exit. */
  checked(word: number): number;
  /** Carry out stores that went to the bounce buffer. */
  flush(): void;
}

export interface RuntimeCalls extends SlowPaths {
  /** Look up the pages of the region that has this slot (codegen/memory-map.ts). */
  lookUpPages(slot: number): void;
}

interface NamedFunction {
  /** Place in the table. */
  readonly index: number;
  readonly body: FunctionBody;
  /** For profiles. */
  readonly name: string;
}

/** Pending flags as parameters: the stash, and the settle function or -1. */
const flagTypes: readonly ValueType[] = [i64, i64, i64, i32];

/** Handlers every table has, by index. */
export const fixedHandlers = { exit: 1, blockEnd: 2, pageEnd64: 3, pageEnd32: 4, stale: 5, stop: 6, straddle: 7, cold: 8 } as const;
/** The first index that is an instruction's handler; all that have none share the cold one. */
export const firstHandler = fixedHandlers.cold;

const at = {
  RIP: offsetOf("RIP"), ripBase: offsetOf("ripBase"), exitKind: offsetOf("exitKind"), exitRecord: offsetOf("exitRecord"), exitBudget: offsetOf("exitBudget"),
  exitVector: offsetOf("exitVector"), exitErrorCode: offsetOf("exitErrorCode"), slowAddress: offsetOf("slowAddress"), tlbKey: offsetOf("tlbKey"), codeStamp: offsetOf("codeStamp"), lazyFlags: offsetOf("lazyFlags"), jumpKey: offsetOf("jumpKey"), codeBase: offsetOf("codeBase"), vectorScratch: offsetOf("vectorScratch"),
}; // biome-ignore format: one table

/**
 * The interpreter tier's code: one function per handler, made when a decoded instruction first needs it, all reached
 * through one table. The first module holds what they share.
 */
export class InterpreterModule {
  readonly #memory: WebAssembly.Memory;
  readonly #table: WebAssembly.Table;
  readonly #further = new Map<string, number>();
  readonly #outOfLine = new Map<HandlerSpec, number>();
  readonly #foreign = new Map<Value, number>();
  readonly #foreignNodes: Value[] = [];
  readonly #imports: WebAssembly.Imports;
  #pending: { index: number; spec: HandlerSpec }[] = [];
  readonly #deferred = new Map<number, HandlerSpec>();
  #next = firstHandler + 1;
  /** Enter translated code at a record with a budget of instructions. */
  readonly run: (record: number, budget: number) => void;
  /** Make RFLAGS hold the status flags. */
  readonly settle: () => void;

  constructor(memory: WebAssembly.Memory, calls: RuntimeCalls) {
    this.#memory = memory;
    this.#table = new WebAssembly.Table({ element: "anyfunc", initial: 8192 });
    const view = new DataView(memory.buffer);
    const foreign = (number: number): void => {
      const node = this.#foreignNodes[number]!;
      const inPlace = node.op === "intrinsic" ? intrinsicNamed(node.attr as string).inPlace : undefined;
      if (inPlace !== undefined) {
        inPlace(view, at.vectorScratch);
        return;
      }
      const args = node.args.map(({ width }, index) => {
        const base = at.vectorScratch + 16 * index;
        const low = view.getBigUint64(base, true);
        return width === 128 ? low | (view.getBigUint64(base + 8, true) << 64n) : BigInt.asUintN(width, low);
      });
      const result = foldNode(node, args);
      view.setBigUint64(at.vectorScratch, BigInt.asUintN(64, result), true);
      if (node.width === 128) view.setBigUint64(at.vectorScratch + 8, result >> 64n, true);
    };
    const host = { memory, table: this.#table, miss: calls.miss, checked: calls.checked, flush: calls.flush, lookUpPages: calls.lookUpPages, foreign };
    const core = new WebAssembly.Instance(new WebAssembly.Module(this.#buildCore()), { host });
    this.#imports = { host, core: core.exports };
    this.run = core.exports["run"] as (record: number, budget: number) => void;
    this.settle = core.exports["settle"] as () => void;
    for (const [name, index] of Object.entries(fixedHandlers))
      this.#table.set(index, core.exports[name] as () => void);
  }

  readonly #specs = new Map<number, HandlerSpec>();

  /** What a handler was made for; undefined: it is none of an instruction. */
  specOf(handler: number): HandlerSpec | undefined {
    return this.#specs.get(handler);
  }

  /** Handlers made so far. */
  handlerCount = 0;
  /** Bytes of WebAssembly made so far. */
  codeBytes = 0;

  /** Asks for a handler: its table index, callable after the next `materialise`. */
  add(spec: HandlerSpec): number {
    const index = this.#next++;
    this.#pending.push({ index, spec });
    this.#specs.set(index, spec);
    this.handlerCount++;
    return index;
  }

  /** Asks for a handler that is not needed yet: callable after the next `materialiseDeferred`. */
  defer(spec: HandlerSpec): number {
    const index = this.#next++;
    this.#deferred.set(index, spec);
    this.#specs.set(index, spec);
    this.handlerCount++;
    return index;
  }

  /** Can this handler be called already? */
  ready(index: number): boolean {
    return !this.#deferred.has(index);
  }

  /** Compile the handlers that could wait. */
  materialiseDeferred(): void {
    for (const [index, spec] of this.#deferred) this.#pending.push({ index, spec });
    this.#deferred.clear();
    this.materialise();
  }

  /** Compile every handler asked for since the last call. Must be called before their records run. */
  materialise(): void {
    if (this.#pending.length === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    this.#compile((context) =>
      pending.map(({ index, spec }) => ({ index, body: new HandlerEmitter(spec, context).emit(), name: nameOf(spec) })),
    );
  }

  /** Modules of regions, by the place of the first: how many regions and bytes they have. */
  readonly #regions = new Map<number, { readonly count: number; readonly bytes: number }>();
  /** Places in the table that regions have left. */
  #free: { readonly first: number; readonly count: number }[] = [];

  /** Consecutive places in the table. */
  #placesFor(count: number): number {
    const known = this.#free.findIndex((run) => run.count >= count);
    if (known < 0) {
      this.#next += count;
      return this.#next - count;
    }
    const run = this.#free[known]!;
    if (run.count === count) this.#free.splice(known, 1);
    else this.#free[known] = { first: run.first + count, count: run.count - count };
    return run.first;
  }

  /** Compile regions; their places in the table, from the first on. */
  addRegions(regions: readonly Region[], view: DataView): number {
    const first = this.#placesFor(regions.length);
    const bytes = this.#compile((context) =>
      regions.map((region, n) => ({
        index: first + n,
        body: new RegionEmitter(region, context, view, first + n).emit(),
        name: `region of ${region.blocks.length} blocks`,
      })),
    );
    this.#regions.set(first, { count: regions.length, bytes });
    return first;
  }

  /** Forget the regions that were added with the one at this place. No record may have one for a handler any more. */
  removeRegions(first: number): void {
    const { count, bytes } = this.#regions.get(first)!;
    this.#regions.delete(first);
    this.codeBytes -= bytes;
    for (let index = first; index < first + count; index++) this.#table.set(index, null);
    this.#free.push({ first, count });
  }

  /** Functions, put into the table; the bytes of their module. What they turn out to need is a module of its own: it outlives them. */
  #compile(emit: (context: HandlerContext) => NamedFunction[]): number {
    let needed: ((context: HandlerContext) => NamedFunction)[] = [];
    const bytes = this.#compileModule(emit, needed);
    while (needed.length > 0) {
      const emitters = needed;
      needed = [];
      this.#compileModule((context) => emitters.map((emitOne) => emitOne(context)), needed);
    }
    return bytes;
  }

  #compileModule(
    emit: (context: HandlerContext) => NamedFunction[],
    needed: ((context: HandlerContext) => NamedFunction)[],
  ): number {
    const builder = new ModuleBuilder();
    const imports = this.#declareImports(builder);
    const settleType = builder.type([]);
    const context: HandlerContext = {
      imports,
      settleFunction: (flags: LazyFlags): number => {
        let index = this.#further.get(flags.key);
        if (index === undefined) {
          index = this.#next++;
          this.#further.set(flags.key, index);
          const place = index;
          needed.push((inner) => ({ index: place, body: emitSettle(flags, inner, settleType), name: "settle flags" }));
        }
        return index;
      },
      outOfLine: (spec) => {
        let index = this.#outOfLine.get(spec);
        if (index === undefined) {
          index = this.#next++;
          this.#outOfLine.set(spec, index);
          const place = index;
          needed.push((inner) => ({ index: place, body: emitOutOfLine(spec, inner), name: `out of line ${nameOf(spec)}` }));
        }
        return index;
      },
      foreignNode: (value) => {
        let number = this.#foreign.get(value);
        if (number === undefined) {
          number = this.#foreignNodes.push(value) - 1;
          this.#foreign.set(value, number);
        }
        return number;
      },
    };
    const bodies = emit(context);
    for (const { index, body, name } of bodies) builder.export(`${index}`, builder.function(body, name));
    const binary = builder.build();
    this.codeBytes += binary.length;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(binary), this.#imports);
    if (this.#next > this.#table.length) this.#table.grow(Math.max(4096, this.#next - this.#table.length));
    for (const { index } of bodies) this.#table.set(index, exports[`${index}`] as () => void);
    return binary.length;
  }

  #declareImports(builder: ModuleBuilder): Imports {
    const handlerType = builder.type([i32, i32]);
    const pages = this.#memory.buffer.byteLength / wasmPageBytes;
    builder.importMemory("host", "memory", pages, pages);
    builder.importTable("host", "table", 1);
    const toI32 = builder.type([i32], [i32]);
    return {
      handlerType,
      miss: builder.importFunction("host", "miss", toI32),
      checked: builder.importFunction("host", "checked", toI32),
      flush: builder.importFunction("host", "flush", builder.type([])),
      foreign: builder.importFunction("host", "foreign", builder.type([i32])),
      settle: builder.importFunction("core", "settle", builder.type([])),
      mulHighUnsigned: builder.importFunction("core", "mulHighUnsigned", builder.type([i64, i64], [i64])),
      dispatch64: builder.importFunction("core", "dispatch64", builder.type([i64, i32])),
      dispatch32: builder.importFunction("core", "dispatch32", builder.type([i64, i32])),
      jumpNear: builder.importFunction("core", "jumpNear", handlerType),
      missAt: builder.importFunction("core", "missAt", builder.type([i64, i32], [i32])),
      spillFlags: builder.importFunction("core", "spillFlags", builder.type(flagTypes)),
      leaveRegion: builder.importFunction("core", "leaveRegion", builder.type([i32, i32, ...flagTypes])),
      resumeRecord: builder.importFunction("core", "resumeRecord", builder.type([i32, i32, ...flagTypes])),
      outOfLineType: toI32,
      regionToNear: builder.importFunction("core", "regionToNear", builder.type([i32, i32, ...flagTypes])),
      regionDispatch64: builder.importFunction("core", "regionDispatch64", builder.type([i64, i32, ...flagTypes])),
      regionDispatch32: builder.importFunction("core", "regionDispatch32", builder.type([i64, i32, ...flagTypes])),
      regionBudget: builder.importFunction("core", "regionBudget", builder.type([i64, i32, ...flagTypes])),
      regionRaise: builder.importFunction("core", "regionRaise", builder.type([i32, i32, ...flagTypes, i32, i32])),
      storedSlowly: builder.importFunction("core", "storedSlowly", toI32),
      lookUpPages: builder.importFunction("host", "lookUpPages", builder.type([i32])),
    };
  }

  /** The functions all handlers share. */
  #buildCore(): Uint8Array {
    const builder = new ModuleBuilder();
    const handlerType = builder.type([i32, i32]);
    const pages = this.#memory.buffer.byteLength / wasmPageBytes;
    builder.importMemory("host", "memory", pages, pages);
    builder.importTable("host", "table", 1);
    const miss = builder.importFunction("host", "miss", builder.type([i32], [i32]));
    const flush = builder.importFunction("host", "flush", builder.type([]));
    const lookUpPages = builder.importFunction("host", "lookUpPages", builder.type([i32]));
    const define = (name: string, type: number, params: number, write: (code: Code) => void): number => {
      const code = new Code(params);
      write(code);
      const index = builder.function({ type, locals: code.locals, code: code.bytes() }, name);
      builder.export(name, index);
      return index;
    };
    const none = builder.type([]);
    const leave = (code: Code, kind: number, budget: number): void => {
      code.i32(0).i32(kind).memory("i32.store", at.exitKind);
      code.i32(0).get(budget).memory("i32.store", at.exitBudget).op("return");
    };

    define("settle", none, 0, (code) => {
      const pending = code.local(i32);
      code.i32(0).memory("i32.load", at.lazyFlags).tee(pending).if().get(pending).callIndirect(none).end();
    });

    define("mulHighUnsigned", builder.type([i64, i64], [i64]), 2, (code) => {
      // Schoolbook on 32-bit halves.
      const low = 0xffff_ffffn;
      const middle1 = code.local(i64);
      const middle2 = code.local(i64);
      code.get(0).i64(32n).op("i64.shr_u").get(1).i64(low).op("i64.and").op("i64.mul");
      code.get(0).i64(low).op("i64.and").get(1).i64(low).op("i64.and").op("i64.mul").i64(32n).op("i64.shr_u").op("i64.add").set(middle1);
      code.get(0).i64(low).op("i64.and").get(1).i64(32n).op("i64.shr_u").op("i64.mul");
      code.get(middle1).i64(low).op("i64.and").op("i64.add").set(middle2);
      code.get(0).i64(32n).op("i64.shr_u").get(1).i64(32n).op("i64.shr_u").op("i64.mul");
      code.get(middle1).i64(32n).op("i64.shr_u").op("i64.add").get(middle2).i64(32n).op("i64.shr_u").op("i64.add");
    });

    const dispatch = (name: string, long: boolean): number =>
      define(name, builder.type([i64, i32]), 2, (code) => {
        const linear = code.local(i64);
        const slot = code.local(i32);
        const target = code.local(i32);
        const key = code.local(i32);
        code.i32(0).get(0).memory("i64.store", at.RIP);
        code.get(1).i32(0).op("i32.le_s").if();
        leave(code, ExitKind.budget, 1);
        code.end();
        code.get(0);
        if (!long) code.i32(0).memory("i64.load", at.codeBase).op("i64.add").i64(0xffff_ffffn).op("i64.and");
        code.set(linear);
        code.get(linear).op("i32.wrap_i64").get(linear).i64(12n).op("i64.shr_u").op("i32.wrap_i64").op("i32.xor");
        code.i32(0).memory("i32.load", at.jumpKey).tee(key).op("i32.xor");
        code.i32(jumpCacheEntries - 1).op("i32.and").i32(4).op("i32.shl").set(slot);
        const found = (): Code => {
          code.get(slot).memory("i64.load", jumpCacheOffset + jumpCacheEntry.linear).get(linear).op("i64.eq");
          return code.get(slot).memory("i32.load", jumpCacheOffset + jumpCacheEntry.key).get(key).op("i32.eq").op("i32.and");
        };
        found().op("i32.eqz").if();
        code.get(slot).i32(jumpCacheWay).op("i32.xor").set(slot);
        found().op("i32.eqz").if();
        leave(code, ExitKind.dispatch, 1);
        code.end().end();
        code.i32(0).get(0).get(linear).i64(0xfffn).op("i64.and").op("i64.sub").memory("i64.store", at.ripBase);
        code.get(slot).memory("i32.load", jumpCacheOffset + jumpCacheEntry.record).tee(target).get(1);
        code.get(target).memory("i32.load", record.handler).returnCallIndirect(handlerType);
      });
    const dispatch64 = dispatch("dispatch64", true);
    const dispatch32 = dispatch("dispatch32", false);

    const jumpNear = define("jumpNear", handlerType, 2, (code) => {
      const target = code.local(i32);
      code.get(0).memory("i32.load", record.displacement).tee(target).op("i32.eqz").if();
      code.i32(0).get(0).memory("i32.store", at.exitRecord);
      leave(code, ExitKind.resolve, 1);
      code.end();
      code.get(1).i32(0).op("i32.le_s").if();
      code.i32(0).i32(0).memory("i64.load", at.ripBase).get(0).memory("i64.load32_u", record.immediate).op("i64.add").memory("i64.store", at.RIP);
      leave(code, ExitKind.budget, 1);
      code.end();
      code.get(target).get(1).get(target).memory("i32.load", record.handler).returnCallIndirect(handlerType);
    });

    const spillFlags = define("spillFlags", builder.type(flagTypes), 4, (code) => {
      code.get(3).i32(-1).op("i32.eq").if().op("return").end();
      stashOffsets.forEach((offset, index) => {
        code.i32(0).get(index).memory("i64.store", offset);
      });
      code.i32(0).get(3).memory("i32.store", at.lazyFlags);
    });
    const spill = (code: Code): Code => code.get(2).get(3).get(4).get(5);
    const recordWay = builder.type([i32, i32, ...flagTypes]);
    const ripWay = builder.type([i64, i32, ...flagTypes]);
    const leaveRegion = define("leaveRegion", recordWay, 6, (code) => {
      code.i32(0).get(0).memory("i32.store", at.exitRecord);
      code.i32(0).get(1).memory("i32.store", at.exitBudget);
      spill(code).returnCall(spillFlags);
    });
    define("regionToNear", recordWay, 6, (code) => {
      spill(code).call(spillFlags).get(0).get(1).returnCall(jumpNear);
    });
    for (const [name, way] of [["regionDispatch64", dispatch64], ["regionDispatch32", dispatch32]] as const)
      define(name, ripWay, 6, (code) => {
        spill(code).call(spillFlags).get(0).get(1).returnCall(way);
      });
    define("regionBudget", ripWay, 6, (code) => {
      code.i32(0).get(0).memory("i64.store", at.RIP);
      code.i32(0).i32(ExitKind.budget).memory("i32.store", at.exitKind);
      code.i32(0);
      spill(code.get(1)).returnCall(leaveRegion);
    });
    define("regionRaise", builder.type([i32, i32, ...flagTypes, i32, i32]), 8, (code) => {
      code.i32(0).i32(ExitKind.fault).memory("i32.store", at.exitKind);
      code.i32(0).get(6).memory("i32.store", at.exitVector);
      code.i32(0).get(7).memory("i32.store", at.exitErrorCode);
      spill(code.get(0).get(1)).returnCall(leaveRegion);
    });
    define("missAt", builder.type([i64, i32], [i32]), 2, (code) => {
      const key = code.local(i64);
      const tag = code.local(i64);
      const victim = code.local(i32);
      const entry = code.local(i32);
      const field = code.local(i32);
      const kept = code.local(i64);
      code.get(0).i64(-4096n).op("i64.and").i32(0).memory("i64.load", at.tlbKey).tee(key).op("i64.xor").set(tag);
      // The write tag is behind the read tag.
      code.get(1).i32(AccessWord.write).op("i32.and").i32(Math.log2(AccessWord.write / tlbEntry.writeTag)).op("i32.shr_u").set(field);
      code.get(0).op("i32.wrap_i64").i32(0xfff).op("i32.and").get(1).i32(AccessWord.size).op("i32.and").op("i32.add").i32(4096).op("i32.le_u").if();
      code.loop();
      code.get(victim).get(field).op("i32.add").memory("i64.load", tlbVictimsOffset).get(tag).op("i64.eq").if();
      code.get(0).get(key).op("i64.xor").op("i32.wrap_i64").i32(12 - tlbEntryShift).op("i32.shr_u").i32((tlbEntries - 1) << tlbEntryShift).op("i32.and").set(entry);
      for (let n = 0; n < tlbEntryBytes; n += 8) {
        code.get(victim).memory("i64.load", tlbVictimsOffset + n).set(kept);
        code.get(victim).get(entry).memory("i64.load", tlbOffset + n).memory("i64.store", tlbVictimsOffset + n);
        code.get(entry).get(kept).memory("i64.store", tlbOffset + n);
      }
      code.get(0).op("i32.wrap_i64").get(entry).memory("i32.load", tlbOffset + tlbEntry.addend).op("i32.add").op("return");
      code.end();
      code.get(victim).i32(tlbEntryBytes).op("i32.add").tee(victim).i32(tlbVictims * tlbEntryBytes).op("i32.lt_u").brIf(0);
      code.end().end();
      code.i32(0).get(0).memory("i64.store", at.slowAddress).get(1).returnCall(miss);
    });
    define("storedSlowly", builder.type([i32], [i32]), 1, (code) => {
      code.call(flush).get(0).memory("i32.load", record.handler);
    });

    define("resumeRecord", recordWay, 6, (code) => {
      spill(code).call(spillFlags);
      code.get(0).get(1).get(0).memory("i32.load", record.handler).returnCallIndirect(handlerType);
    });

    define("exit", handlerType, 2, (code) => {
      code.i32(0).get(0).memory("i32.load", record.immediate).memory("i32.store", at.exitKind);
      code.i32(0).get(0).memory("i32.store", at.exitRecord);
      code.i32(0).get(1).memory("i32.store", at.exitBudget);
    });

    for (const [name, kind] of [["stale", ExitKind.stale], ["stop", ExitKind.stop], ["cold", ExitKind.cold]] as const)
      define(name, handlerType, 2, (code) => {
        code.i32(0).i32(kind).memory("i32.store", at.exitKind);
        code.i32(0).get(0).memory("i32.store", at.exitRecord);
        code.i32(0).get(1).memory("i32.store", at.exitBudget);
      });

    const spend = (code: Code): Code => code.get(1).get(0).memory("i32.load8_u", record.retired).op("i32.sub");
    define("blockEnd", handlerType, 2, (code) => {
      code.get(0);
      spend(code).returnCall(jumpNear);
    });
    const pageEnd = (name: string, target: number): number =>
      define(name, handlerType, 2, (code) => {
        code.i32(0).memory("i64.load", at.ripBase).get(0).memory("i64.load16_u", record.offset).op("i64.add");
        if (target === dispatch32) code.i64(0xffff_ffffn).op("i64.and");
        spend(code).returnCall(target);
      });
    pageEnd("pageEnd64", dispatch64);
    pageEnd("pageEnd32", dispatch32);

    // An instruction that goes on in the next page, as long as that page is the one that it was decoded from.
    define("straddle", handlerType, 2, (code) => {
      const slot = code.local(i32);
      code.get(0).memory("i32.load", record.immediate).i32(Math.log2(regionSlotBytes)).op("i32.shl").tee(slot);
      code.memory("i32.load", regionSlotsOffset + regionSlot.stamp).i32(0).memory("i32.load", at.codeStamp).op("i32.ne").if();
      code.get(0).memory("i32.load", record.immediate).call(lookUpPages).end();
      code.get(slot).memory("i32.load", regionSlotsOffset + regionSlot.pages).i32(2).op("i32.and").op("i32.eqz").if();
      code.i32(0).get(0).memory("i32.store", at.exitRecord);
      leave(code, ExitKind.step, 1);
      code.end();
      code.get(0).memory("i32.load", record.displacement).tee(slot).get(1).get(slot).memory("i32.load", record.handler).returnCallIndirect(handlerType);
    });

    define("run", handlerType, 2, (code) => {
      code.get(0).get(1).get(0).memory("i32.load", record.handler).callIndirect(handlerType);
    });
    return builder.build();
  }
}

/** For profiles: mnemonic, operand letters and widths, what it is fused with. */
const nameOf = ({ row, form, fused, repeat }: HandlerSpec): string => {
  const operands = form.operands.map(({ kind, width }) => `${kind[0]}${width}`);
  return `${repeat === "none" ? "" : "rep "}${row.semantics.mnemonic} ${operands}${fused ? ` + ${fused.row.semantics.mnemonic}` : ""}`;
};
