import type { Width } from "../ir/value.ts";
import { type GeneralRegister, generalRegisters, offsetOf } from "../state/layout.ts";
import type { Code } from "../wasm/code.ts";

const generalOffsets = new Set(generalRegisters.map((name: GeneralRegister) => offsetOf(name)));

/** Emit: address on the stack -> value of that width, zero-extended. */
export const loadWidth = (code: Code, width: Width, at: number): void => {
  if (width === 128) code.v128Load(at);
  else if (width === 64) code.memory("i64.load", at);
  else if (width === 32) code.memory("i32.load", at);
  else if (width === 16) code.memory("i32.load16_u", at);
  else if (width === 8) code.memory("i32.load8_u", at);
  else if (width === 1) code.memory("i32.load8_u", at).i32(1).op("i32.and");
  else throw new Error(`load of ${width} bits`);
};

/** Emit: address and value on the stack -> store. `whole`: a value narrower than 32 bits fills a 32-bit slot. */
export const storeWidth = (code: Code, width: Width, at: number, whole: boolean): void => {
  if (width === 128) code.v128Store(at);
  else if (width === 64) code.memory("i64.store", at);
  else if (width === 32 || whole) code.memory("i32.store", at);
  else if (width === 16) code.memory("i32.store16", at);
  else if (width === 8) code.memory("i32.store8", at);
  else throw new Error(`store of ${width} bits`);
};

/** Emit: address on the stack -> a register as wide as addresses are, zero-extended to 64 bits. */
export const loadAddress = (code: Code, size: 16 | 32 | 64, at: number): void => {
  if (!generalOffsets.has(at)) throw new Error("not a general register");
  code.memory(size === 64 ? "i64.load" : size === 32 ? "i64.load32_u" : "i64.load16_u", at);
};
