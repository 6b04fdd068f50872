import { flagBit } from "../arch/flags.ts";
import { statusFlags } from "../ir/effects.ts";
import { offsetOf } from "../state/layout.ts";
import { Code } from "../wasm/code.ts";
import type { FunctionBody } from "../wasm/module.ts";
import { type Binding, ExpressionEmitter } from "./expression.ts";
import { type LazyFlags, stashOffsets, statusMask } from "./flags.ts";
import type { HandlerContext } from "./handler-spec.ts";
import { loadWidth, storeWidth } from "./widths.ts";

const RFLAGS = offsetOf("RFLAGS");
const lazyFlags = offsetOf("lazyFlags");
const vectorScratch = offsetOf("vectorScratch");

/** The body of the function that settles lazily computed flags: RFLAGS from the stash. */
export const emitSettle = (lazy: LazyFlags, context: HandlerContext, type: number): FunctionBody => {
  const code = new Code(0);
  const binding: Binding = {
    mulHighUnsigned: context.imports.mulHighUnsigned,
    leaf: (out, value) => {
      const index = lazy.inputs.indexOf(value);
      out.i32(0).memory(value.width === 64 ? "i64.load" : "i32.load", stashOffsets[index]!);
    },
    foreign: (out, value, emitArgument) => {
      value.args.forEach((arg, index) => {
        out.i32(0);
        emitArgument(index);
        storeWidth(out, arg.width, vectorScratch + 16 * index, true);
      });
      out.i32(context.foreignNode(value)).call(context.imports.foreign).i32(0);
      loadWidth(out, value.width, vectorScratch);
    },
  };
  const expressions = new ExpressionEmitter(code, binding, statusFlags.map((name) => lazy.flags[name]));
  code.i32(0).i32(0).memory("i32.load", RFLAGS).i32(~statusMask).op("i32.and");
  for (const name of statusFlags) {
    expressions.emit(lazy.flags[name]);
    code.i32(flagBit[name]).op("i32.shl").op("i32.or");
  }
  code.memory("i32.store", RFLAGS).i32(0).i32(0).memory("i32.store", lazyFlags);
  return { type, locals: code.locals, code: code.bytes() };
};
