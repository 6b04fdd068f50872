import { describe, expect, it } from "vitest";
import { decode, isInstruction } from "../decode.ts";
import { rows } from "./x87.ts";

/**
 * Which encodings an Intel processor runs (x) and which are #UD (.): memory forms by /digit, register forms by ModRM from C0,
 * eight a word. Recorded natively.
 */
// biome-ignore format: one row per escape
const valid: readonly (readonly [opcode: number, memory: string, registers: string])[] = [
  [0xd8, "xxxxxxxx", "xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx"],
  [0xd9, "x.xxxxxx", "xxxxxxxx xxxxxxxx x....... xxxxxxxx xx..xx.. xxxxxxx. xxxxxxxx xxxxxxxx"],
  [0xda, "xxxxxxxx", "xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx ........ .x...... ........ ........"],
  [0xdb, "xxxx.x.x", "xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxx... xxxxxxxx xxxxxxxx ........"],
  [0xdc, "xxxxxxxx", "xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx"],
  [0xdd, "xxxxx.xx", "xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx ........ ........"],
  [0xde, "xxxxxxxx", "xxxxxxxx xxxxxxxx xxxxxxxx .x...... xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx"],
  [0xdf, "xxxxxxxx", "xxxxxxxx xxxxxxxx xxxxxxxx xxxxxxxx x....... xxxxxxxx xxxxxxxx ........"],
];

const modes = ([16, 32, 64] as const).map((size) => ({
  codeSize: size,
  stackSize: size,
  realLike: size === 16,
}));

const decodes = (bytes: readonly number[], mode: (typeof modes)[number]): string =>
  isInstruction(decode(Uint8Array.from([...bytes, 0, 0]), 0, bytes.length + 2, mode, () => true)) ? "x" : ".";

describe("x87 rows", () => {
  it.each(valid)("of escape %x are those of a processor, in every mode", (opcode, memory, registers) => {
    for (const mode of modes) {
      const byDigit = Array.from({ length: 8 }, (_, digit) => decodes([opcode, (digit << 3) | 7], mode));
      expect(byDigit.join("")).toBe(memory);
      const byModRM = Array.from({ length: 64 }, (_, n) => decodes([opcode, 0xc0 + n], mode));
      expect(byModRM.join("").match(/.{8}/g)!.join(" ")).toBe(registers);
    }
  });

  it("take operand-size and repeat prefixes, which do not change the instruction, but no LOCK", () => {
    for (const prefix of [0x66, 0xf2, 0xf3]) expect(decodes([prefix, 0xd8, 0xc1], modes[2]!)).toBe("x");
    expect(decodes([0xf0, 0xd8, 0x07], modes[2]!)).toBe(".");
    expect(decodes([0xf0, 0xd9, 0x1f], modes[2]!)).toBe(".");
  });

  it("all belong to the x87 unit", () => {
    expect(rows.filter(({ unit }) => unit !== "x87")).toEqual([]);
  });
});
