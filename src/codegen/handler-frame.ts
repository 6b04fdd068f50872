import { offsetOf } from "../state/layout.ts";
import type { Code } from "../wasm/code.ts";
import type { HandlerContext, HandlerSpec } from "./handler-spec.ts";
import { ExitKind, record, recordBytes } from "./record.ts";

const offset = {
  RFLAGS: offsetOf("RFLAGS"),
  lazyFlags: offsetOf("lazyFlags"),
  exitRecord: offsetOf("exitRecord"),
  exitBudget: offsetOf("exitBudget"),
  exitKind: offsetOf("exitKind"),
  exitVector: offsetOf("exitVector"),
  exitErrorCode: offsetOf("exitErrorCode"),
  ripBase: offsetOf("ripBase"),
};

/** Parameters of every handler. */
export const ip = 0;
export const budget = 1;

/** One instruction's place in its handler: where its record is, how control leaves. */
export class HandlerFrame {
  readonly code: Code;
  readonly spec: HandlerSpec;
  readonly context: HandlerContext;
  /** Where this instruction's record is, from `ip`: the second of a pair follows the first. */
  readonly at: number;
  /** RFLAGS before a repeated comparison: what a fault or an unfinished step leaves. */
  savedFlags: number | undefined;

  constructor(code: Code, spec: HandlerSpec, context: HandlerContext, second: boolean) {
    this.code = code;
    this.spec = spec;
    this.context = context;
    this.at = second ? recordBytes : 0;
  }

  restoreFlags(): void {
    if (this.savedFlags === undefined) return;
    const { code } = this;
    code.i32(0).get(this.savedFlags).memory("i32.store", offset.RFLAGS);
    code.i32(0).i32(0).memory("i32.store", offset.lazyFlags);
  }

  /** Return to the processor; the exit's kind has been stored. */
  leave(): void {
    const { code } = this;
    this.restoreFlags();
    code.i32(0);
    this.here();
    code.memory("i32.store", offset.exitRecord);
    code.i32(0).get(budget).memory("i32.store", offset.exitBudget).op("return");
  }

  /** Exit with an exception. */
  raise(vector: number, errorCode: (() => void) | undefined): void {
    const { code } = this;
    code.i32(0).i32(ExitKind.fault).memory("i32.store", offset.exitKind);
    code.i32(0).i32(vector).memory("i32.store", offset.exitVector);
    code.i32(0);
    if (errorCode) errorCode();
    else code.i32(-1);
    code.memory("i32.store", offset.exitErrorCode);
    this.leave();
  }

  /** Push an offset in CS made of ripBase and a page offset of the record. */
  nextRip(field: number): void {
    const { code } = this;
    code.i32(0).memory("i64.load", offset.ripBase).get(ip).memory("i64.load16_u", field + this.at).op("i64.add");
    if (this.spec.form.codeSize !== 64) code.i64(0xffff_ffffn).op("i64.and");
  }

  /** The function that looks up the code at an offset in CS. */
  get dispatch(): number {
    const { imports } = this.context;
    return this.spec.form.codeSize === 64 ? imports.dispatch64 : imports.dispatch32;
  }

  /** Is this a jump by a displacement? */
  isRelative(): boolean {
    return this.spec.row.operands.some(({ addressing }) => addressing === "J");
  }

  /** Count the instructions up to and including this one. */
  spend(): void {
    this.code.get(budget).get(ip).memory("i32.load8_u", record.retired + this.at).op("i32.sub").i32(1).op("i32.sub").set(budget);
  }

  /** Push the address of this instruction's record. */
  here(): void {
    this.code.get(ip);
    if (this.at !== 0) this.code.i32(this.at).op("i32.add");
  }

  /** Go on with the record `distance` bytes after this one. */
  tailCall(distance: number): void {
    const total = this.at + distance;
    this.code
      .get(ip).i32(total).op("i32.add").get(budget)
      .get(ip).memory("i32.load", total + record.handler)
      .returnCallIndirect(this.context.imports.handlerType);
  }
}
