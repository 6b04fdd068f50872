import {
  type BinaryOp,
  concat,
  intrinsic,
  type LaneOp,
  type LaneShift,
  laneAttribute,
  select,
  shuffleBytes,
  type UnaryOp,
  type Value,
  vector,
} from "./value.ts";

/**
 * The value with some leaves replaced: how the condition of a jump becomes a function of the operands of the comparison
 * before it. Covers the operations conditions are made of; `undefined` where another one occurs.
 */
export const substitute = (value: Value, replace: (leaf: Value) => Value | undefined): Value | undefined => {
  const replaced = replace(value);
  if (replaced !== undefined) return replaced;
  if (value.isConst) return value;
  const args: Value[] = [];
  for (const arg of value.args) {
    const inner = substitute(arg, replace);
    if (inner === undefined) return undefined;
    args.push(inner);
  }
  const [a, b, c] = args as [Value, Value, Value];
  switch (value.op) {
    case "not": return a.not();
    case "and": return a.and(b);
    case "or": return a.or(b);
    case "xor": return signedLess(a, b) ?? a.xor(b);
    case "equal": {
      // SF = OF: the negation of SF xor OF
      const less = a.width === 1 ? signedLess(a, b) : undefined;
      return less !== undefined ? less.not() : a.equal(b);
    }
    case "select": return select(a, b, c);
    default: return undefined;
  }
};

/** SF xor OF of a - b is a < b (signed): recognises the two flags as a subtraction defines them. */
const signedLess = (x: Value, y: Value): Value | undefined => {
  for (const [sf, of] of [[x, y], [y, x]] as const) {
    if (sf.op !== "extract" || of.op !== "extract") continue;
    const difference = sf.args[0]!;
    const overflow = of.args[0]!;
    if (difference.op !== "sub" || overflow.op !== "and") continue;
    if (sf.attr !== difference.width - 1 || of.attr !== sf.attr) continue;
    const [a, b] = difference.args as [Value, Value];
    const halves = [a.xor(b), b.xor(a), difference.xor(a), a.xor(difference)];
    if (overflow.args.every((half) => halves.includes(half))) return a.less(b);
  }
  return undefined;
};

/** The value with some nodes replaced, everything above them built anew: what becomes constant folds. */
export const rebuilder = (replace: (node: Value, rebuild: (value: Value) => Value) => Value | undefined): ((value: Value) => Value) => {
  const known = new Map<Value, Value>();
  const rebuild = (value: Value): Value => {
    let found = known.get(value);
    if (found === undefined) {
      found = replace(value, rebuild) ?? again(value, rebuild);
      known.set(value, found);
    }
    return found;
  };
  return rebuild;
};

const again = (value: Value, rebuild: (value: Value) => Value): Value => {
  if (value.args.length === 0) return value;
  const args = value.args.map(rebuild);
  if (args.every((arg, n) => arg === value.args[n])) return value;
  const [a, b, c] = args as [Value, Value, Value];
  const { op, attr, width } = value;
  switch (op) {
    case "select": return select(a, b, c);
    case "zeroExtend": return a.zeroExtend(width);
    case "signExtend": return a.signExtend(width);
    case "extract": return a.extract(attr as number, width);
    case "concat": return concat(a, b);
    case "vector": return vector(args);
    case "lanewise": {
      const { op: laneOp, lane } = laneAttribute<LaneOp>(attr);
      return a.lanewise(laneOp, lane, b);
    }
    case "laneShift": {
      const { op: laneShift, lane } = laneAttribute<LaneShift>(attr);
      return a.laneShift(laneShift, lane as 16 | 32 | 64, b);
    }
    case "shuffle": return a.shuffle(b, 8, shuffleBytes(attr));
    case "swizzle": return a.swizzle(b);
    case "narrow": {
      const { op: to, lane } = laneAttribute<"signed" | "unsigned">(attr);
      return a.narrow(to, lane as 16 | 32, b);
    }
    case "laneSigns": return a.laneSigns(attr as 8 | 16 | 32 | 64);
    case "intrinsic": return intrinsic(attr as string, width, args);
    case "not": case "neg": case "clz": case "ctz": case "popcnt": case "bswap":
      return a[op as UnaryOp]();
    default:
      return a[op as BinaryOp](b);
  }
};
