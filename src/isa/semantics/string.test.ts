import { describe, expect, it } from "vitest";
import { run } from "./one-step.fixture.ts";

describe("string instructions, one element", () => {
  it("move both pointers up, or down with DF", () => {
    const memory = { 256: 0x1122_3344_5566_7788n };
    const up = run("48 a5", { RSI: 0x100, RDI: 0x200, memory });
    expect([up.read(0x200n, 64), up.get("RSI"), up.get("RDI")]).toEqual([
      0x1122_3344_5566_7788n,
      0x108n,
      0x208n,
    ]);
    const down = run("66 a5", { RSI: 0x100, RDI: 0x200, memory, flags: "DF" });
    expect([down.read(0x200n, 64), down.get("RSI"), down.get("RDI")]).toEqual([0x7788n, 0xfen, 0x1fen]);
  });

  it("pointers are as wide as the address size", () => {
    expect(run("67 aa", { RDI: 0x1_ffff_ffffn }).get("RDI")).toBe(0n);
    expect(run("aa", { codeSize: 16, RDI: 0x1_ffff }).get("RDI")).toBe(0x1_0000n);
  });

  it("CMPS compares rSI with rDI, SCAS the accumulator with rDI", () => {
    const memory = { 256: 1n, 512: 2n };
    expect(run("a6", { RSI: 0x100, RDI: 0x200, memory }).flags).toBe("CF PF AF SF");
    expect(run("ae", { RAX: 2, RDI: 0x200, memory }).flags).toBe("PF ZF");
  });

  it("LODS into EAX clears bits 63:32", () => {
    expect(run("ad", { RAX: 2n ** 64n - 1n, RSI: 0x100, memory: { 256: 5n } }).get("RAX")).toBe(5n);
  });
});
