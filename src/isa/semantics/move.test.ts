import { describe, expect, it } from "vitest";
import { run } from "./one-step.fixture.ts";

describe("moves", () => {
  it("MOVZX, MOVSX and MOVSXD extend to the operand size", () => {
    expect(run("48 0f be c1", { RCX: 0x80 }).get("RAX")).toBe(2n ** 64n - 128n);
    expect(run("0f b6 c5", { RCX: 0x8012 }).get("RAX")).toBe(0x80n); // movzx eax, ch
    expect(run("48 63 c1", { RCX: 0x8000_0000n }).get("RAX")).toBe(0xffff_ffff_8000_0000n);
    expect(run("66 63 c1", { RAX: 0x1111_0000, RCX: 0x1_8000 }).get("RAX")).toBe(0x1111_8000n);
  });

  it("CMOV zero-extends a 32-bit destination even when the condition fails", () => {
    expect(run("0f 44 c1", { RAX: 0x1_0000_0002n, RCX: 3 }).get("RAX")).toBe(2n); // cmove eax, ecx
    expect(run("0f 44 c1", { RAX: 0x1_0000_0002n, RCX: 3, flags: "ZF" }).get("RAX")).toBe(3n);
  });

  it("LEA truncates to the operand size and reads nothing", () => {
    expect(run("66 8d 43 01", { RAX: 0xffff_0000n, RBX: 0x1_ffff }).get("RAX")).toBe(0xffff_0000n);
    expect(run("67 48 8d 43 01", { RBX: 0xffff_ffffn }).get("RAX")).toBe(0n); // 32-bit address
  });

  it("MOV from a segment register stores 16 bits and zero-extends into registers", () => {
    expect(run("8c d8", { RAX: -1n & 0xffff_ffff_ffff_ffffn, "DS.selector": 0x2b }).get("RAX")).toBe(0x2bn);
    const memory = { 256: 2n ** 64n - 1n };
    expect(run("48 8c 1b", { RBX: 0x100, "DS.selector": 0x2b, memory }).read(0x100n, 64)).toBe(
      2n ** 64n - 0x10000n + 0x2bn,
    );
  });

  it("XLAT adds AL to rBX within the address size, in the overridden segment", () => {
    const { get, result } = run("64 67 d7", { RAX: 0x55ff, RBX: 0xffff_ff02n, memory: { 1: 0x77n } });
    expect(get("RAX")).toBe(0x5577n);
    expect(result).toMatchObject({ segments: [0], instruction: { operands: [{ segment: "FS" }] } });
  });

  it("90 is NOP, 41 90 exchanges R8, F3 90 is PAUSE with any REX", () => {
    expect(run("90", { RAX: 2n ** 40n }).get("RAX")).toBe(2n ** 40n);
    expect(run("49 90", { RAX: 1, R8: 2 }).get("RAX")).toBe(2n);
    expect(run("f3 41 90", { RAX: 1, R8: 2 }).get("RAX")).toBe(1n);
  });

  it("CBW and CWD families follow the operand size", () => {
    expect(run("66 98", { RAX: 0x1_1280 }).get("RAX")).toBe(0x1_ff80n);
    expect(run("48 98", { RAX: 0x8000_0000n }).get("RAX")).toBe(0xffff_ffff_8000_0000n);
    expect(run("99", { RAX: 0x8000_0000n, RDX: 2n ** 40n }).get("RDX")).toBe(0xffff_ffffn);
    expect(run("48 99", { RAX: 2n ** 63n }).get("RDX")).toBe(2n ** 64n - 1n);
  });

  it("MOVBE swaps on the way to and from memory", () => {
    expect(run("0f 38 f1 0b", { RBX: 0x100, RCX: 0x0102_0304 }).read(0x100n, 32)).toBe(0x0403_0201n);
    expect(run("66 0f 38 f0 0b", { RBX: 0x100, memory: { 256: 0x0102n } }).get("RCX")).toBe(0x0201n);
    expect(run("f3 0f 38 f0 0b", { RBX: 0x100 }).result).toMatchObject({ kind: "fault", vector: 6 });
  });
});
