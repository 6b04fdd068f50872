/** Logic: SDM Vol. 1, "Logical Instructions". */
import { define } from "../define.ts";
import { logicFlags } from "./status.ts";

export const AND = define("AND", (dest, src) => {
  const result = dest.and(src!);
  return { dest: result, flags: logicFlags(result) };
});

export const OR = define("OR", (dest, src) => {
  const result = dest.or(src!);
  return { dest: result, flags: logicFlags(result) };
});

export const XOR = define("XOR", (dest, src) => {
  const result = dest.xor(src!);
  return { dest: result, flags: logicFlags(result) };
});

/** TEST: the flags of SRC1 AND SRC2. */
export const TEST = define("TEST", (first, second) => ({ flags: logicFlags(first.and(second!)) }));

/** NOT: no flags. */
export const NOT = define("NOT", (dest) => ({ dest: dest.not() }));
