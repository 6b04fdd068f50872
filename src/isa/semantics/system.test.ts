import { describe, expect, it } from "vitest";
import { run } from "./one-step.fixture.ts";

const UD = { kind: "fault", vector: 6 };
const FSGSBASE = 0x1_0000;

describe("system instructions", () => {
  it("RDFSBASE and its like are #UD without CR4.FSGSBASE", () => {
    expect(run("f3 48 0f ae c0", { "FS.base": 5 }).result).toMatchObject(UD);
    expect(run("f3 0f ae c0", { "FS.base": 0x1_0000_0005n, CR4: FSGSBASE }).get("RAX")).toBe(5n);
  });

  it("WRGSBASE refuses a base that is not canonical and zero-extends 32 bits", () => {
    expect(run("f3 48 0f ae d8", { RAX: 2n ** 47n, CR4: FSGSBASE }).result).toMatchObject({
      vector: 13,
      errorCode: 0n,
    });
    expect(run("f3 0f ae d8", { RAX: 0xffff_ffff_8000_0000n, CR4: FSGSBASE }).get("GS.base")).toBe(
      0x8000_0000n,
    );
  });

  it("SWAPGS exchanges the two bases", () => {
    const { get } = run("0f 01 f8", { "GS.base": 1, IA32_KERNEL_GS_BASE: 2 });
    expect([get("GS.base"), get("IA32_KERNEL_GS_BASE")]).toEqual([2n, 1n]);
  });

  it("RDPID gives IA32_TSC_AUX in all 64 bits whatever the operand size", () => {
    expect(run("66 f3 0f c7 f8", { RAX: 2n ** 64n - 1n, IA32_TSC_AUX: 3 }).get("RAX")).toBe(3n);
  });

  it("CLFLUSH reads its line in the operand's segment; hints touch nothing", () => {
    expect(run("64 0f ae 3b", { RBX: 0x100 }).result).toMatchObject({ kind: "done", segments: [0] });
    for (const bytes of [
      "0f 18 0b",
      "0f 0d 0b",
      "0f 1f 44 00 00",
      "f3 0f 1e fa",
      "f3 48 0f 1e c8",
      "0f 1c 03",
      "f3 0f 1e fb",
    ])
      expect(run(bytes, { RAX: 9, RBX: 2n ** 63n })).toMatchObject({
        result: { kind: "done", segments: [] },
      });
  });

  it("fences take any rm, and no prefix", () => {
    for (const bytes of ["0f ae e8", "0f ae ef", "0f ae f0", "0f ae f8"])
      expect(run(bytes).result.kind).toBe("done");
    for (const bytes of ["66 0f ae e8", "f3 0f ae f8"]) expect(run(bytes).result).toMatchObject(UD);
  });
});
