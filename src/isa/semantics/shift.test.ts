import { describe, expect, it } from "vitest";
import { run } from "./one-step.fixture.ts";

describe("shifts and rotates", () => {
  it("a masked count of zero keeps every flag and still clears bits 63:32", () => {
    const { get, flags } = run("c1 e0 20", { RAX: 0xffff_ffff_8000_0000n, flags: "CF OF" }); // shl eax, 32
    expect([get("RAX"), flags]).toEqual([0x8000_0000n, "CF OF"]);
  });

  it("counts are taken modulo 64 for 64-bit operands only", () => {
    expect(run("48 d3 e0", { RAX: 1, RCX: 33 }).get("RAX")).toBe(2n ** 33n); // shl rax, cl
    expect(run("d3 e0", { RAX: 1, RCX: 33 }).get("RAX")).toBe(2n); // shl eax, cl
  });

  it("shifting a byte by more than its width gives zero and no carry", () => {
    const { get, flags } = run("d2 e8", { RAX: 0xff, RCX: 9 }); // shr al, cl
    expect([get("RAX"), flags.includes("CF")]).toEqual([0n, false]);
    expect(run("d2 f8", { RAX: 0x80, RCX: 31 }).get("RAX")).toBe(0xffn); // sar al, cl
  });

  it("the carry is the last bit out", () => {
    expect(run("c0 e0 08", { RAX: 1 }).flags).toBe("CF PF ZF"); // shl al, 8
    expect(run("d1 e8", { RAX: 0x8000_0001n }).flags).toBe("CF PF OF"); // shr eax, 1
  });

  it("/6 of group 2 is SHL", () => expect(run("d1 f0", { RAX: 3 }).get("RAX")).toBe(6n));

  it("RCL and RCR rotate through nine and seventeen places", () => {
    const left = run("c0 d0 09", { RAX: 0x5a, flags: "CF" }); // rcl al, 9: a full turn
    expect([left.get("RAX"), left.flags]).toEqual([0x5an, "CF"]);
    const right = run("66 c1 d8 11", { RAX: 0x1234, flags: "CF" }); // rcr ax, 17
    expect([right.get("RAX"), right.flags]).toEqual([0x1234n, "CF"]);
    expect(run("48 d1 d8", { RAX: 0, flags: "CF" }).get("RAX")).toBe(2n ** 63n); // rcr rax, 1
  });

  it("a rotation by the width of a byte still sets CF", () => {
    expect(run("c0 c0 08", { RAX: 0x81 }).flags).toContain("CF"); // rol al, 8
  });

  it("SHLD and SHRD fill from the source", () => {
    expect(run("0f a4 d0 08", { RAX: 0x1234_5678, RDX: 0x9abc_def0 }).get("RAX")).toBe(0x3456_789an);
    expect(run("0f ac d0 08", { RAX: 0x1234_5678, RDX: 0x9abc_def0 }).get("RAX")).toBe(0xf012_3456n);
  });

  it("SHLD of 16 bits by more than 16 goes on with the destination", () => {
    expect(run("66 0f a4 d0 14", { RAX: 0x1234, RDX: 0x5678 }).get("RAX")).toBe(0x6781n);
  });

  it("BMI2 shifts leave the flags alone", () => {
    const { get, flags } = run("c4 e2 71 f7 c2", { RCX: 35, RDX: 1, flags: "CF ZF OF" }); // shlx eax, edx, ecx
    expect([get("RAX"), flags]).toEqual([8n, "CF ZF OF"]);
    expect(run("c4 e3 fb f0 c2 04", { RDX: 0x12 }).get("RAX")).toBe(0x2000_0000_0000_0001n); // rorx rax, rdx, 4
  });
});
