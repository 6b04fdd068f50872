import { select, type Value } from "./value.ts";

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
