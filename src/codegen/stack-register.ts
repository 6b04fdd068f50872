import { offsetOf } from "../state/layout.ts";
import type { Code } from "../wasm/code.ts";

/** The x87 register stack: ST(i) is where TOP says, which only the running processor knows. */

const FSW = offsetOf("FSW");
const registers = offsetOf("x87.0");

/** Of `ST3.significand`: where it is in a register, and its width; push the register's place. Undefined: the name is none of these. */
const address = (code: Code, name: string): "significand" | "sign" | undefined => {
  const found = /^ST(\d)\.(significand|sign)$/.exec(name);
  if (found === null) return undefined;
  code.i32(0).memory("i32.load", FSW).i32(11).op("i32.shr_u");
  if (found[1] !== "0") code.i32(Number(found[1])).op("i32.add");
  code.i32(7).op("i32.and").i32(4).op("i32.shl");
  return found[2] as "significand" | "sign";
};

/** Push a part of a stack register, by the TOP that is in the state. False: the name is of another field. */
export const readStack = (code: Code, name: string): boolean => {
  const part = address(code, name);
  if (part === undefined) return false;
  if (part === "significand") code.memory("i64.load", registers);
  else code.memory("i32.load16_u", registers + 8);
  return true;
};

export const writeStack = (code: Code, name: string, push: () => void): boolean => {
  const part = address(code, name);
  if (part === undefined) return false;
  push();
  if (part === "significand") code.memory("i64.store", registers);
  else code.memory("i32.store16", registers + 8);
  return true;
};
