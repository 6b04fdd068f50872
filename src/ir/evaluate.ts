import { intrinsicNamed } from "./intrinsics.ts";
import {
  type BinaryOp,
  foldBinary,
  foldLaneShift,
  foldLaneSigns,
  foldLanewise,
  foldNarrow,
  foldShuffle,
  foldSwizzle,
  foldUnary,
  type LaneOp,
  type LaneShift,
  laneAttribute,
  shuffleBytes,
  type UnaryOp,
  type Value,
  type Width,
} from "./value.ts";

/** What the leaves of a graph stand for: the state before the instruction. Unsigned bit patterns. */
export interface Leaves {
  operand(index: number, width: Width): bigint;
  address(index: number): bigint;
  register(name: string, width: Width): bigint;
  flag(name: string): bigint;
  rflags(): bigint;
  nextRip(): bigint;
  load(index: number): bigint;
}

/** The meaning of one inner node, given its arguments' bit patterns. The executable specification of the language. */
export const foldNode = (value: Value, args: readonly bigint[]): bigint => {
  const { op, width, attr } = value;
  const all = (1n << BigInt(width)) - 1n;
  const inner = value.args[0]?.width as Width;
  switch (op) {
    case "select": return args[0] === 1n ? args[1]! : args[2]!;
    case "zeroExtend": return args[0]!;
    case "signExtend": return BigInt.asIntN(inner, args[0]!) & all;
    case "extract": return (args[0]! >> BigInt(attr as number)) & all;
    case "concat": return (args[0]! << BigInt(value.args[1]!.width)) | args[1]!;
    case "vector": {
      let bits = 0n;
      for (let lane = args.length - 1; lane >= 0; lane--) bits = (bits << BigInt(inner)) | args[lane]!;
      return bits;
    }
    case "lanewise": {
      const { op: laneOp, lane } = laneAttribute<LaneOp>(attr);
      return foldLanewise(laneOp, lane, args[0]!, args[1]!, width);
    }
    case "laneShift": {
      const { op: laneOp, lane } = laneAttribute<LaneShift>(attr);
      return foldLaneShift(laneOp, lane, args[0]!, args[1]!, width);
    }
    case "shuffle": return foldShuffle(shuffleBytes(attr), args[0]!, args[1]!, width);
    case "swizzle": return foldSwizzle(args[0]!, args[1]!, width);
    case "narrow": {
      const { op: to, lane } = laneAttribute<"signed" | "unsigned">(attr);
      return foldNarrow(to, lane as 16 | 32, args[0]!, args[1]!, width);
    }
    case "laneSigns": return foldLaneSigns(attr as 8 | 16 | 32 | 64, args[0]!, inner);
    case "intrinsic": return intrinsicNamed(attr as string).compute(...args);
    case "not": case "neg": case "clz": case "ctz": case "popcnt": case "bswap":
      return foldUnary(op as UnaryOp, args[0]!, inner);
    default:
      return foldBinary(op as BinaryOp, args[0]!, args[1]!, inner);
  }
};

/** Evaluates values over one state; equal nodes are computed once. */
export const evaluator = (leaves: Leaves): ((value: Value) => bigint) => {
  const known = new Map<Value, bigint>();
  const evaluate = (value: Value): bigint => {
    if (value.op === "const") return value.bits;
    const found = known.get(value);
    if (found !== undefined) return found;
    const result = compute(value);
    known.set(value, result);
    return result;
  };
  const compute = (value: Value): bigint => {
    switch (value.op) {
      case "operand": return leaves.operand(value.attr as number, value.width);
      case "address": return leaves.address(value.attr as number);
      case "register": return leaves.register(value.attr as string, value.width);
      case "flag": return leaves.flag(value.attr as string);
      case "rflags": return leaves.rflags();
      case "nextRip": return leaves.nextRip();
      case "load": return leaves.load(value.attr as number);
      case "select": return evaluate(value.args[0]!) === 1n ? evaluate(value.args[1]!) : evaluate(value.args[2]!);
      default: return foldNode(value, value.args.map(evaluate));
    }
  };
  return evaluate;
};
