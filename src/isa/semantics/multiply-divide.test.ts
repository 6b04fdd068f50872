import { describe, expect, it } from "vitest";
import { run } from "./one-step.fixture.ts";

const all64 = 2n ** 64n - 1n;
const DE = { kind: "fault", vector: 0 };

describe("multiplication", () => {
  it("MUL of all-ones fills both halves and says so in CF and OF", () => {
    const { get, flags } = run("48 f7 e1", { RAX: all64, RCX: all64 }); // mul rcx
    expect([get("RDX"), get("RAX")]).toEqual([all64 - 1n, 1n]);
    expect(flags).toBe("CF OF");
  });

  it("MUL of bytes leaves DX alone and gives AX", () => {
    const { get } = run("f6 e1", { RAX: 0xffff_ff10n, RCX: 0x10, RDX: 7 }); // mul cl
    expect([get("RAX"), get("RDX")]).toEqual([0xffff_0100n, 7n]);
  });

  it("IMUL says whether the sign extension was lost", () => {
    expect(run("f6 e9", { RAX: 0xff, RCX: 0xff }).flags).toBe(""); // -1 * -1 = 1
    expect(run("f6 e9", { RAX: 0x80, RCX: 0x02 }).flags).toContain("CF"); // -128 * 2
    expect(run("48 6b c1 ff", { RCX: 2n ** 63n }).flags).toContain("OF"); // imul rax, rcx, -1
  });

  it("MULX leaves the flags and lets the high half win", () => {
    const { get, flags } = run("c4 e2 e3 f6 d9", { RDX: all64, RCX: 4, flags: "CF" }); // mulx rbx, rbx, rcx
    expect([get("RBX"), flags]).toEqual([3n, "CF"]);
  });
});

describe("division", () => {
  it("128 by 64 bits", () => {
    for (const [dividend, divisor] of [
      [(all64 - 1n) * all64 + 5n, all64],
      [2n ** 127n - 1n, 2n ** 63n + 1n],
      [2n ** 64n * 6n + 123n, 7n],
      [(2n ** 32n - 1n) * 2n ** 64n, 2n ** 32n],
      [12345n, 10n],
    ] as const) {
      const { get } = run("48 f7 f1", { RDX: dividend >> 64n, RAX: dividend & all64, RCX: divisor }); // div rcx
      expect([get("RAX"), get("RDX")]).toEqual([dividend / divisor, dividend % divisor]);
    }
  });

  it("#DE when the quotient is one too large, and for zero", () => {
    expect(run("48 f7 f1", { RDX: 6, RAX: all64, RCX: 7 }).result.kind).toBe("done");
    expect(run("48 f7 f1", { RDX: 7, RAX: 0, RCX: 7 }).result).toMatchObject(DE);
    expect(run("48 f7 f1", { RAX: 1 }).result).toMatchObject(DE);
    expect(run("f6 f1", { RAX: 0x100, RCX: 1 }).result).toMatchObject(DE); // div cl
    expect(run("f7 f1", { RDX: 1, RCX: 1 }).result).toMatchObject(DE); // div ecx
  });

  it("IDIV truncates toward zero; the remainder has the dividend's sign", () => {
    const { get } = run("48 f7 f9", { RDX: all64, RAX: BigInt.asUintN(64, -7n), RCX: 2 }); // idiv rcx
    expect([BigInt.asIntN(64, get("RAX")), BigInt.asIntN(64, get("RDX"))]).toEqual([-3n, -1n]);
  });

  it("IDIV may give the most negative quotient and no more", () => {
    const most = run("f6 f9", { RAX: 0xff80, RCX: 1 }); // idiv cl: -128 / 1
    expect(most.get("RAX")).toBe(0x0080n);
    expect(run("f6 f9", { RAX: 0xff80, RCX: 0xff }).result).toMatchObject(DE); // -128 / -1
    expect(run("48 f7 f9", { RDX: all64, RAX: 2n ** 63n, RCX: 1 }).get("RAX")).toBe(2n ** 63n);
    expect(run("48 f7 f9", { RDX: all64, RAX: 2n ** 63n, RCX: all64 }).result).toMatchObject(DE);
    expect(run("f6 f9", { RAX: 0xff7f, RCX: 1 }).result).toMatchObject(DE); // -129 / 1
  });
});
