import { describe, expect, it } from "vitest";
import { type MsrList, msrAccessRule, msrEntryRefusal } from "./msr-entries.ts";

const refusal = (list: MsrList, index: number, reserved = 0): string | undefined =>
  msrEntryRefusal(list, index, reserved)?.id;

describe("entries of MSR areas", () => {
  it("refuse FS and GS bases where they are loaded, not where they are stored", () => {
    for (const index of [0xc000_0100, 0xc000_0101])
      expect((["entry", "exit", "store"] as const).map((list) => refusal(list, index))).toEqual([
        "msr-load-segment-base",
        "msr-load-segment-base",
        undefined,
      ]);
    expect(refusal("entry", 0xc000_0102)).toBeUndefined();
  });

  it("refuse 800H to 8FFH and nothing beside", () => {
    for (const [index, refused] of [
      [0x7ff, false],
      [0x800, true],
      [0x8ff, true],
      [0x900, false],
      [0xc000_0800, false],
    ] as const)
      for (const list of ["entry", "exit", "store"] as const)
        expect(refusal(list, index)?.endsWith("x2apic") ?? false).toBe(refused);
  });

  it("refuse what belongs to SMM or the model", () => {
    expect([refusal("entry", 0x9b), refusal("store", 0x9b), refusal("store", 0x9e)]).toEqual([
      "msr-load-smm",
      undefined,
      "msr-store-smm",
    ]);
    expect([refusal("exit", 0x79), refusal("store", 0x79)]).toEqual(["msr-load-model", undefined]);
  });

  it("refuse bits 63:32, all others go on to RDMSR or WRMSR", () => {
    expect([refusal("entry", 0x10, 1), refusal("store", 0x10, 0x8000_0000)]).toEqual([
      "msr-load-reserved",
      "msr-store-reserved",
    ]);
    expect(refusal("entry", 0x1234)).toBeUndefined();
    expect(msrAccessRule("entry", 0x1234, 5n).hint).toContain("WRMSR of 0x1234 with 0x5");
    expect(msrAccessRule("store", 0x1234).id).toBe("msr-store-rdmsr");
  });
});
