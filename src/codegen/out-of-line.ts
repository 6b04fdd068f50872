import { Code } from "../wasm/code.ts";
import type { FunctionBody } from "../wasm/module.ts";
import { HandlerFrame } from "./handler-frame.ts";
import type { HandlerContext, HandlerSpec } from "./handler-spec.ts";
import { InstructionEmitter } from "./instruction-emitter.ts";

/** The place of an instruction in a function that a region calls: (record) -> 0, or 1 after storing why the region must return. */
class OutOfLineFrame extends HandlerFrame {
  override leave(): void {
    this.restoreFlags();
    this.code.i32(1).op("return");
  }
}

/** One instruction as a function of its record; it reads and changes the state in memory. */
export const emitOutOfLine = (spec: HandlerSpec, context: HandlerContext): FunctionBody => {
  const code = new Code(1);
  const instruction = new InstructionEmitter(new OutOfLineFrame(code, spec, context, false));
  instruction.quick = undefined;
  instruction.begin(instruction.effects, []);
  instruction.emitOnce([]);
  code.i32(0);
  return { type: context.imports.outOfLineType, locals: code.locals, code: code.bytes() };
};
