import { describe, expect, it } from "vitest";
import { isKeyName, keyNames, set1Codes, set2Codes, set3Code, translate } from "./ps2-scancodes.ts";

const hex = (codes: readonly number[]) => codes.map((code) => code.toString(16)).join(" ");

describe("scan codes", () => {
  // biome-ignore format: one row per fact
  it.each([
    ["Escape",      "1",                 "81"],
    ["KeyA",        "1e",                "9e"],
    ["Enter",       "1c",                "9c"],
    ["NumpadEnter", "e0 1c",             "e0 9c"],
    ["ArrowUp",     "e0 48",             "e0 c8"],
    ["Delete",      "e0 53",             "e0 d3"],
    ["ControlRight","e0 1d",             "e0 9d"],
    ["F7",          "41",                "c1"],
    ["F11",         "57",                "d7"],
    ["F12",         "58",                "d8"],
    ["IntlBackslash", "56",              "d6"],
    ["MetaLeft",    "e0 5b",             "e0 db"],
    ["PrintScreen", "e0 2a e0 37",       "e0 b7 e0 aa"],
    ["Pause",       "e1 1d 45 e1 9d c5", ""],
  ] as const)("set 1 of %s is what BIOSes document", (key, make, breaks) => {
    expect([hex(set1Codes(key, true)), hex(set1Codes(key, false))]).toEqual([make, breaks]);
  });
  it("set 2 breaks with a prefix, after the extension's", () => {
    expect(hex(set2Codes("KeyA", false))).toBe("f0 1c");
    expect(hex(set2Codes("ArrowUp", false))).toBe("e0 f0 75");
  });
  it.each(["set 1", "set 2", "set 3"])("no two keys share a make code in %s", (set) => {
    const codes = keyNames.map((key) =>
      set === "set 1"
        ? hex(set1Codes(key, true))
        : set === "set 2"
          ? hex(set2Codes(key, true))
          : hex([set3Code(key).code]),
    );
    expect(new Set(codes).size).toBe(keyNames.length);
  });
  it("translated make codes fit below the break bit, and no two set 2 bytes collide but those the 8042 merges", () => {
    const seen = new Map<number, number[]>();
    for (let byte = 1; byte < 0x80; byte++) {
      const { byte: translated } = translate(byte, false);
      expect(translated).toBeLessThan(0x80);
      seen.set(translated!, [...(seen.get(translated!) ?? []), byte]);
    }
    expect([...seen.values()].filter((bytes) => bytes.length > 1)).toEqual([]);
  });
  it("knows a key's name from any other string", () => {
    expect([isKeyName("KeyA"), isKeyName("Pause"), isKeyName("toString"), isKeyName("keya")]).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
