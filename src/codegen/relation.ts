import type { Value } from "../ir/value.ts";
import { ordering } from "../isa/semantics/float-lanes.ts";
import type { Code } from "../wasm/code.ts";

/** How two floats compare (the intrinsic `relation` of isa/semantics/float-lanes.ts), by WebAssembly's comparisons. */

const bit = { less: 1 << ordering.less, equal: 1 << ordering.equal, greater: 1 << ordering.greater, unordered: 1 << ordering.unordered };

const isRelation = (value: Value): boolean => value.op === "intrinsic" && (value.attr as string).endsWith(".relation");

/** The relation, and the outcomes of it for which a value of one bit is 1. */
const outcomesOf = (value: Value): { readonly relation: Value; readonly outcomes: number } | undefined => {
  const [a, b] = value.args as [Value, Value];
  if (value.width !== 1) return undefined;
  if (value.op === "extract") return isRelation(a) ? { relation: a, outcomes: 1 << (value.attr as number) } : undefined;
  if (value.op !== "or") return undefined;
  const one = outcomesOf(a);
  const other = outcomesOf(b);
  if (one === undefined || other === undefined || one.relation !== other.relation) return undefined;
  return { relation: one.relation, outcomes: one.outcomes | other.outcomes };
};

type Comparison = "eq" | "ne" | "lt" | "gt" | "le" | "ge";

/** The outcomes that one comparison, or the negation of one, tells. */
// biome-ignore format: one row per fact
const comparisons: readonly { readonly outcomes: number; readonly op: Comparison; readonly not?: true }[] = [
  { outcomes: bit.less, op: "lt" },
  { outcomes: bit.equal, op: "eq" },
  { outcomes: bit.greater, op: "gt" },
  { outcomes: bit.less | bit.equal, op: "le" },
  { outcomes: bit.greater | bit.equal, op: "ge" },
  { outcomes: bit.less | bit.greater | bit.unordered, op: "ne" },
  { outcomes: bit.less | bit.unordered, op: "ge", not: true },
  { outcomes: bit.greater | bit.unordered, op: "le", not: true },
  { outcomes: bit.less | bit.equal | bit.unordered, op: "gt", not: true },
  { outcomes: bit.greater | bit.equal | bit.unordered, op: "lt", not: true },
];

/** Push a value that is a choice among the outcomes of one relation. False: it is none. `push` pushes an operand as a float. */
export const emitRelation = (code: Code, value: Value, push: (operand: Value) => void): boolean => {
  const found = outcomesOf(value);
  if (found === undefined) return false;
  const { relation, outcomes } = found;
  const [x, y] = relation.args as [Value, Value];
  const t = x.width === 32 ? "f32" : "f64";
  const compare = (a: Value, b: Value, op: Comparison): void => {
    push(a);
    push(b);
    code.op(`${t}.${op}`);
  };
  const row = comparisons.find((candidate) => candidate.outcomes === outcomes);
  if (row !== undefined) {
    compare(x, y, row.op);
    if (row.not) code.op("i32.eqz");
    return true;
  }
  code.i32(0);
  if (outcomes & bit.less) {
    compare(x, y, "lt");
    code.op("i32.or");
  }
  if (outcomes & bit.equal) {
    compare(x, y, "eq");
    code.op("i32.or");
  }
  if (outcomes & bit.greater) {
    compare(x, y, "gt");
    code.op("i32.or");
  }
  if (outcomes & bit.unordered) {
    compare(x, x, "ne");
    compare(y, y, "ne");
    code.op("i32.or").op("i32.or");
  }
  return true;
};

const DAZ = 0x40;

/** Push an operand with denormals as zeros, where MXCSR says so: the intrinsic `flush`. */
export const emitFlush = (code: Code, value: Value, operand: (index: number) => void): boolean => {
  if (!(value.attr as string).endsWith(".flush")) return false;
  const wide = value.width === 64;
  if (wide) code.i64(-1n).i64(-(1n << 63n));
  else code.i32(-1).i32(-(2 ** 31));
  operand(1);
  code.i32(DAZ).op("i32.and").op("i32.eqz");
  operand(0);
  if (wide) code.i64(0x7ff0_0000_0000_0000n).op("i64.and").op("i64.eqz").op("i32.eqz");
  else code.i32(0x7f80_0000).op("i32.and").op("i32.eqz").op("i32.eqz");
  code.op("i32.or").op("select");
  operand(0);
  code.op(wide ? "i64.and" : "i32.and");
  return true;
};
