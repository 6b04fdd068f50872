import { describe, expect, it } from "vitest";
import { conditions } from "./conditions.ts";
import { run } from "./one-step.fixture.ts";

const GP0 = { kind: "fault", vector: 13, errorCode: 0n };

describe("near transfers", () => {
  it("relative targets count from the next instruction and wrap with the operand size", () => {
    expect(run("eb fe", { RIP: 0x1000 }).get("RIP")).toBe(0x1000n);
    expect(run("eb 10", { codeSize: 16, RIP: 0xfffe }).get("RIP")).toBe(0x10n);
    expect(run("66 eb 10", { codeSize: 32, RIP: 0x1_fff0 }).get("RIP")).toBe(0x3n);
  });

  it("66 does not shorten near branches in 64-bit mode", () => {
    const { get, read } = run("66 e8 00 00 00 00", { RIP: 0x1_2345_6000n, RSP: 0x100 });
    expect([get("RIP"), get("RSP"), read(0xf8n, 64)]).toEqual([0x1_2345_6006n, 0xf8n, 0x1_2345_6006n]);
  });

  it("a target that is not canonical is #GP(0) before anything changes", () => {
    const jump = run("ff e0", { RAX: 2n ** 47n });
    expect(jump.result).toMatchObject(GP0);
    const call = run("ff d0", { RAX: 2n ** 47n, RSP: 0x100, memory: { 248: 5n } });
    expect([call.result.kind, call.get("RSP"), call.read(0xf8n, 64)]).toEqual(["fault", 0x100n, 5n]);
    expect(run("c3", { RSP: 0x100, memory: { 256: 2n ** 63n } }).result).toMatchObject(GP0);
    expect(run("eb 02", { RIP: 2n ** 47n - 3n }).result).toMatchObject(GP0);
    expect(run("74 02", { RIP: 2n ** 47n - 3n }).result.kind).toBe("done"); // not taken
    expect(run("ff e0", { RAX: 2n ** 64n - 2n ** 47n }).result.kind).toBe("done");
  });

  it("RET imm16 releases parameters", () => {
    const { get } = run("c2 10 00", { RSP: 0x100, memory: { 256: 0x4444n } });
    expect([get("RIP"), get("RSP")]).toEqual([0x4444n, 0x118n]);
  });

  it("each pair of conditions is complementary, for every flag setting", () => {
    for (let setting = 0; setting < 32; setting++) {
      const flags = ["CF", "PF", "ZF", "SF", "OF"].filter((_, bit) => (setting >> bit) & 1).join(" ");
      const taken = conditions.map(
        (_, n) => run(`${(0x70 + n).toString(16)} 10`, { flags }).get("RIP") === 0x12n,
      );
      for (let n = 0; n < 16; n += 2) expect(taken[n]).toBe(!taken[n + 1]);
      const [CF, , ZF, SF, OF] = [0, 1, 2, 3, 4].map((bit) => ((setting >> bit) & 1) === 1);
      expect([taken[6], taken[12], taken[14]]).toEqual([CF || ZF, SF !== OF, ZF || SF !== OF]);
    }
  });

  it("LOOP counts in the address size without touching flags", () => {
    const { get } = run("67 e2 10", { RCX: 0x1_0000_0000n }); // ecx wraps to all-ones and RCX is zero-extended
    expect([get("RCX"), get("RIP")]).toEqual([0xffff_ffffn, 0x13n]);
    expect(run("e2 10", { RCX: 1 }).get("RIP")).toBe(2n);
    expect(run("e1 10", { RCX: 5 }).get("RIP")).toBe(2n); // loope, ZF clear
    expect(run("67 e3 10", { RCX: 2n ** 32n }).get("RIP")).toBe(0x13n); // jecxz
  });

  it("BOUND compares signed and raises #BR", () => {
    const memory = { 256: (5n << 32n) | 0xffff_fffen }; // -2 ... 5
    const at = (RAX: bigint) => run("62 03", { codeSize: 32, RAX, RBX: 0x100, memory }).result;
    expect(at(0xffff_fffen).kind).toBe("done");
    expect(at(5n).kind).toBe("done");
    expect(at(6n)).toMatchObject({ kind: "fault", vector: 5 });
    expect(at(0xffff_fffdn)).toMatchObject({ kind: "fault", vector: 5 });
  });

  it("UD0, UD1, UD2, RSM and GETSEC are #UD", () => {
    for (const bytes of ["0f ff c0", "0f b9 c0", "0f 0b", "0f aa", "0f 37"])
      expect(run(bytes).result).toMatchObject({ kind: "fault", vector: 6 });
  });
});
