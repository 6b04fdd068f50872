import { describe, expect, it } from "vitest";
import { intrinsicNamed } from "../ir/intrinsics.ts";
import { constant, intrinsic, type Width } from "../ir/value.ts";
import "../isa/semantics/float-lanes.ts";
import { packedWidth } from "../isa/semantics/float-lanes.ts";
import { Code, i32, i64 } from "../wasm/code.ts";
import { ModuleBuilder } from "../wasm/module.ts";
import { emitFloatLane } from "./float-lane.ts";
import { storeWidth } from "./widths.ts";

type Bits = 32 | 64;
interface Case {
  readonly name: string;
  readonly from: Bits;
  readonly value: 8 | Bits;
  readonly operands: 1 | 2;
}

// biome-ignore format: one row per fact
const cases: readonly Case[] = [32, 64].flatMap((bits): Case[] => {
  const from = bits as Bits;
  const name = `binary${bits}`;
  return [
    ...["add", "sub", "mul", "div", "min", "max"].map((operation): Case => ({ name: `${name}.${operation}`, from, value: from, operands: 2 })),
    { name: `${name}.sqrt`, from, value: from, operands: 1 },
    ...["order", "quietOrder"].map((operation): Case => ({ name: `${name}.${operation}`, from, value: 8, operands: 2 })),
    ...([32, 64] as const).map((to): Case => ({ name: `${name}.toInt${to}`, from, value: to, operands: 1 })),
  ];
}).concat([
  { name: "binary32.fromInt32", from: 32, value: 32, operands: 1 }, { name: "binary32.fromInt64", from: 64, value: 32, operands: 1 },
  { name: "binary64.fromInt64", from: 64, value: 64, operands: 1 },
  { name: "binary32.toBinary64", from: 32, value: 64, operands: 1 }, { name: "binary64.toBinary32", from: 64, value: 32, operands: 1 },
]);

/** The intrinsic as emitted; its slow way leaves all ones. */
const compile = ({ name, from, value, operands }: Case): ((a: bigint, b: bigint, mxcsr: number) => bigint) => {
  const width = packedWidth(value);
  const builder = new ModuleBuilder();
  builder.importMemory("host", "memory", 1, 1);
  const code = new Code(3);
  const args = [...Array.from({ length: operands }, () => constant(0, from as Width)), constant(0, 32)];
  code.i32(0);
  const emitted = emitFloatLane(
    code,
    intrinsic(name, width, args),
    (index) => {
      if (index === operands) code.get(2);
      else if (from === 32) code.get(index).op("i32.wrap_i64");
      else code.get(index);
    },
    () => {
      if (width === 128) code.v128((1n << 128n) - 1n);
      else if (width === 64) code.i64(-1n);
      else code.i32(-1);
    },
  );
  if (!emitted) throw new Error(`${name} has no native form`);
  storeWidth(code, width, 0, true);
  builder.export("run", builder.function({ type: builder.type([i64, i64, i32]), locals: code.locals, code: code.bytes() }, name));
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(builder.build()), { host: { memory } });
  const run = exports["run"] as unknown as (a: bigint, b: bigint, mxcsr: number) => void;
  const view = new DataView(memory.buffer);
  return (a, b, mxcsr) => {
    run(a, b, mxcsr);
    const low = view.getBigUint64(0, true);
    return width === 128 ? low | (view.getBigUint64(8, true) << 64n) : BigInt.asUintN(width, low);
  };
};

let seed = 12345n;
const random = (): bigint => {
  seed = BigInt.asUintN(64, seed * 6364136223846793005n + 1442695040888963407n);
  return seed ^ (seed >> 29n);
};

/** Patterns where the rules change, and ordinary ones near each other. */
const pattern = (bits: Bits): bigint => {
  const fraction = bits === 32 ? 23n : 52n;
  const largest = bits === 32 ? 255n : 2047n;
  const bias = largest / 2n;
  const sign = (random() & 1n) << BigInt(bits - 1);
  const near = random() % 8n;
  const exponent =
    near === 0n ? random() % (largest + 1n)
    : near === 1n ? [0n, 1n, 2n, largest, largest - 1n, largest - 2n][Number(random() % 6n)]!
    : near === 2n ? bias + fraction + (random() % 16n) - 8n
    : bias + (random() % 70n) - 35n; // biome-ignore format: one row per kind
  const mask = (1n << fraction) - 1n;
  const kind = random() % 4n;
  const low = kind === 0n ? 0n : kind === 1n ? random() & mask & ~0n << (fraction - 8n) : kind === 2n ? mask : random() & mask;
  return sign | (exponent << fraction) | (low & mask);
};

const controls = [0x1f80, 0x1fa0, 0x1fbf, 0x3fa0, 0x5fa0, 0x7fa0, 0x7f80, 0x9fe0, 0x0fa0, 0x1f20, 0x0000];

describe.each(cases)("$name by native instructions", (row) => {
  it("gives what the intrinsic gives, but for PE where MXCSR has it already; and does not leave all to the intrinsic", () => {
    const run = compile(row);
    const { compute } = intrinsicNamed(row.name);
    const width = BigInt(row.value);
    let native = 0;
    for (let n = 0; n < 2200; n++) {
      const mxcsr = controls[n % controls.length]!;
      const isInteger = row.name.includes("fromInt");
      const operand = (): bigint => (isInteger ? random() >> (random() % 64n) : pattern(row.from));
      const a = BigInt.asUintN(row.from, operand());
      const b = n % 7 === 0 ? a : BigInt.asUintN(row.from, operand());
      const found = run(BigInt.asIntN(64, a), BigInt.asIntN(64, b), mxcsr);
      if (found === (1n << BigInt(packedWidth(row.value))) - 1n) continue;
      native++;
      const args = row.operands === 2 ? [a, b] : [a];
      const wanted = compute(...args, BigInt(mxcsr));
      const value = (packed: bigint): bigint => packed & ((1n << width) - 1n);
      const flags = (packed: bigint): bigint => (packed >> width) | BigInt(mxcsr & 0x3f);
      const text = `${a.toString(16)} ${b.toString(16)} mxcsr ${mxcsr.toString(16)}`;
      expect(`${text}: ${value(found).toString(16)} ${flags(found)}`).toBe(`${text}: ${value(wanted).toString(16)} ${flags(wanted)}`);
    }
    expect(native).toBeGreaterThan(150);
  });
});
