/** Walks docs/ADD-AN-INSTRUCTION.md: its three pieces of code stand below word for word, and work. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { indexRows } from "../src/isa/decode.ts";
import { define } from "../src/isa/define.ts";
import { rows as allRows } from "../src/isa/maps/index.ts";
import { E, G, w } from "../src/isa/operands.ts";
import { mapBuilder } from "../src/isa/row.ts";
import { type Given, run as runWith } from "../src/isa/semantics/one-step.fixture.ts";

const { op } = mapBuilder("0F38");

/** NIBSWAP: DEST <- SRC with the two digits of every byte exchanged. */
const NIBSWAP = define("NIBSWAP", (_dest, src) => {
  const low = src!.from(BigInt.asUintN(src!.width, 0x0f0f_0f0f_0f0f_0f0fn));
  const result = src!.and(low).shl(4).or(src!.shr(4).and(low));
  return { dest: result, flags: { ZF: result.isZero() } };
});

// biome-ignore format: as in the document
const rows = [
  op(0xfe, NIBSWAP, [w(G.v), E.v], { prefix: "sized" }),
];

const index = indexRows([...allRows, ...rows]);
const run = (bytes: string, given: Given) => runWith(bytes, given, index);

describe("docs/ADD-AN-INSTRUCTION.md", () => {
  it("NIBSWAP exchanges the digits of every byte", () => {
    const { get, flags } = run("0f 38 fe c1", { RAX: 2n ** 64n - 1n, RCX: 0x1234_5678 }); // nibswap eax, ecx
    expect([get("RAX"), flags]).toEqual([0x2143_6587n, ""]);
  });

  it("holds for the other forms that the one row stands for", () => {
    const memory = { 256: 0x1234_5678_9abc_def0n };
    expect(run("48 0f 38 fe 0b", { RBX: 0x100, memory }).get("RCX")).toBe(0x2143_6587_a9cb_ed0fn);
    expect(run("66 0f 38 fe c1", { RAX: 0xffff_ffff, RCX: 0 })).toMatchObject({ flags: "ZF" });
    expect(run("f3 0f 38 fe c1", {}).result).toMatchObject({ kind: "fault", vector: 6 });
  });

  it("is true to the document: every piece of code in it is in this file", () => {
    const lines = (text: string) =>
      text
        .split("\n")
        .map((line) => line.trim().replace(/^export /, ""))
        .filter((line) => line !== "");
    const document = readFileSync(new URL("../docs/ADD-AN-INSTRUCTION.md", import.meta.url), "utf8");
    const here = lines(readFileSync(new URL(import.meta.url), "utf8")).join("\n");
    const pieces = [...document.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, piece]) =>
      lines(piece!).join("\n"),
    );
    expect(pieces).toHaveLength(3);
    for (const piece of pieces) expect(here).toContain(piece);
  });

  it("names files that exist", () => {
    const document = readFileSync(new URL("../docs/ADD-AN-INSTRUCTION.md", import.meta.url), "utf8");
    const paths = [...document.matchAll(/`(src\/[\w./-]+\.ts)`/g)].map(([, path]) => path!);
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths)
      expect(() => readFileSync(new URL(`../${path}`, import.meta.url))).not.toThrow();
  });
});
