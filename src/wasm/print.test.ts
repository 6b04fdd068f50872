import { describe, expect, it } from "vitest";
import { Code, laneOpcode, memoryOpcode, opcode, simdOpcode } from "./code.ts";
import { i32, i64, ModuleBuilder, v128 } from "./module.ts";
import { printModule } from "./print.ts";

const printed = (write: (code: Code) => void, results: (typeof i32)[] = []): string => {
  const builder = new ModuleBuilder();
  const type = builder.type([i32, i64], results);
  builder.importMemory("host", "memory", 1, 2);
  builder.importTable("host", "table", 1);
  builder.importFunction("core", "settle", builder.type([]));
  const code = new Code(2);
  write(code);
  builder.function({ type, locals: code.locals, code: code.bytes() }, "it");
  return printModule(builder.build())
    .flatMap(({ lines }) => lines)
    .join("\n");
};

describe("a module as text", () => {
  it("has functions by name, with their types and locals, and instructions by structure", () => {
    const text = printed((code) => {
      code.local(i64);
      code.local(v128);
      code.loop().get(0).op("i32.eqz").if(i32).i32(-5).else().i32(1 << 20).end().br(0).end();
      code.get(1).i64(-(2n ** 63n)).op("i64.add").tee(2).set(2).call(0).i32(0).v128Load(32).op("drop");
    });
    expect(text).toBe(`(func $it (param i32 i64)
  (local i64 v128)
  loop
    if (result i32) (i32.eqz (local.get 0))
      (i32.const -5)
    else
      (i32.const 1048576)
    end
    br 0
  end
  local.set 2 (local.tee 2 (i64.add (local.get 1) (i64.const -9223372036854775808)))
  call $core.settle
  drop (v128.load offset=32 (i32.const 0))
)`);
  });

  it("keeps the order in which things are done where an operand waits on the stack", () => {
    const text = printed((code) => {
      code.get(0).i32(7).call(0).op("i32.add").op("drop");
    });
    expect(text.split("\n").slice(1, -1)).toEqual([
      "  (local.get 0)",
      "  (i32.const 7)",
      "  call $core.settle",
      "  i32.add",
      "  drop",
    ]);
  });

  it("writes every instruction that the assembler has", () => {
    const text = printed((code) => {
      for (const name of Object.keys(opcode) as (keyof typeof opcode)[])
        if (name !== "else" && name !== "end") code.op(name);
      for (const name of Object.keys(memoryOpcode) as (keyof typeof memoryOpcode)[]) code.memory(name, 300);
      for (const name of Object.keys(simdOpcode) as (keyof typeof simdOpcode)[]) code.simd(name);
      for (const name of Object.keys(laneOpcode) as (keyof typeof laneOpcode)[]) code.simdLane(name, 3);
      code.truncSat("i32", "f64").truncSat("i64", "f32").memoryCopy().memoryFill().v128(1n).shuffle([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 31]);
      code.v128Store(16).brIf(0).brTable([0, 1], 2).callIndirect(0).returnCall(0).returnCallIndirect(0);
    });
    const known = [opcode, memoryOpcode, simdOpcode, laneOpcode].flatMap((table) => Object.keys(table));
    const words = text.split(/[\s()]+/);
    expect(known.filter((name) => name !== "else" && name !== "end" && !words.includes(name))).toEqual([]);
    const others = [
      "i32.trunc_sat_f64_s", "i64.trunc_sat_f32_s", "memory.copy", "memory.fill", "v128.const", "i8x16.shuffle", "v128.store",
      "br_if", "br_table", "call_indirect", "return_call", "return_call_indirect",
    ]; // biome-ignore format: one list
    expect(others.filter((name) => !words.includes(name))).toEqual([]);
    expect(text).toContain("i32.load offset=300");
    expect(text).toContain("br_table 0 1 2");
    expect(text).toContain("return_call $core.settle");
  });
});
