import { describe, expect, it } from "vitest";
import { CR0, IA32_EFER } from "../arch/control-registers.ts";
import { msrs } from "../arch/msrs.ts";
import { FakeCore, longMode, protectedMode } from "./fake-core.fixture.ts";
import { readMsr, writeMsr } from "./msrs.ts";

const write = (core: FakeCore, index: number, value: bigint): boolean => writeMsr(core, index, value);

describe("RDMSR and WRMSR", () => {
  it("use ECX and EDX:EAX", () => {
    const core = longMode(new FakeCore());
    Object.assign(core.state, {
      RCX: 0xffff_ffff_c000_0082n,
      RAX: 0xffff_ffff_8765_4321n,
      RDX: 0xffff_8000n,
    });
    expect(core.execute("0f 30")).toBeUndefined();
    expect(core.state.IA32_LSTAR).toBe(0xffff_8000_8765_4321n);
    Object.assign(core.state, { RAX: 0n, RDX: 0n });
    expect(core.execute("0f 32")).toBeUndefined();
    expect([core.state.RAX, core.state.RDX]).toEqual([0x8765_4321n, 0xffff_8000n]);
  });

  it("refuse and report an MSR that nobody knows, by number or by name", () => {
    const core = protectedMode(new FakeCore("pentium3"));
    Object.assign(core.state, { RCX: 0x1234n, RDX: 0n });
    expect(core.execute("0f 32")).toBe("#GP(0)");
    expect(core.execute("0f 30")).toBe("#GP(0)");
    core.state.RCX = 0x3an;
    expect(core.execute("0f 32")).toBe("#GP(0)");
    expect(core.unimplemented).toEqual([
      "RDMSR of MSR 0x1234",
      "WRMSR of MSR 0x1234, value 0x0",
      "RDMSR of IA32_FEATURE_CONTROL",
    ]);
  });

  it("keep exactly the writable bits of every plain row", () => {
    for (const { index, name, field, writable, canonical, features } of msrs) {
      if (writable === undefined || field === undefined || canonical || name === "IA32_FEATURE_CONTROL")
        continue;
      const core = new FakeCore();
      if (features && !features.some((feature) => core.model.has(feature))) continue;
      for (let bit = 0n; bit < 64n; bit++) {
        const value = 1n << bit;
        if (name === "IA32_MTRR_DEF_TYPE" && bit < 8n) continue; // a memory type
        expect(`${name} ${bit} ${write(core, index, value)}`).toBe(
          `${name} ${bit} ${(writable & value) !== 0n}`,
        );
        if (writable & value) expect(readMsr(core, index)).toBe(value);
      }
    }
  });

  it("keep IA32_FEATURE_CONTROL once it is locked", () => {
    const core = new FakeCore();
    expect(write(core, 0x3a, 4n)).toBe(true);
    expect(write(core, 0x3a, 5n)).toBe(true);
    expect(write(core, 0x3a, 0n)).toBe(false);
    expect(readMsr(core, 0x3a)).toBe(5n);
  });

  it("refuse the capability MSRs of VT-x without VT-x, and writes to them ever", () => {
    const core = new FakeCore();
    expect([readMsr(core, 0x480), write(core, 0x480, 0n)]).toEqual([undefined, false]);
  });

  it("want canonical addresses", () => {
    const core = new FakeCore();
    for (const index of [0x175, 0x176, 0xc000_0082, 0xc000_0083, 0xc000_0100, 0xc000_0101, 0xc000_0102]) {
      expect(write(core, index, 1n << 47n)).toBe(false);
      expect(write(core, index, 0xffff_8000_0000_0000n)).toBe(true);
      expect(readMsr(core, index)).toBe(0xffff_8000_0000_0000n);
    }
  });

  it("are not for reading, or not for writing, where the row says so", () => {
    const core = new FakeCore();
    expect([readMsr(core, 0x49), write(core, 0x49, 1n), write(core, 0x49, 2n)]).toEqual([
      undefined,
      true,
      false,
    ]);
    expect([readMsr(core, 0xfe), write(core, 0xfe, 0n)]).toEqual([0x50an, false]);
    expect([readMsr(core, 0x10a)! & 1n, write(core, 0x10a, 0n)]).toEqual([1n, false]);
  });
});

describe("IA32_EFER", () => {
  const index = 0xc000_0080;
  it("keeps LMA, refuses reserved bits, and LME while paging is on", () => {
    const core = longMode(new FakeCore());
    expect(write(core, index, IA32_EFER.SCE | IA32_EFER.LME)).toBe(true);
    expect(core.state.IA32_EFER).toBe(IA32_EFER.SCE | IA32_EFER.LME | IA32_EFER.LMA);
    expect(write(core, index, IA32_EFER.SCE)).toBe(false);
    core.state.CR0 &= ~CR0.PG;
    core.state.IA32_EFER = 0n;
    expect(write(core, index, IA32_EFER.LMA)).toBe(true);
    expect(core.state.IA32_EFER).toBe(0n);
    for (let bit = 0n; bit < 64n; bit++)
      expect(`${bit} ${write(core, index, 1n << bit)}`).toBe(`${bit} ${[0n, 8n, 10n, 11n].includes(bit)}`);
  });

  it("has no NXE while IA32_MISC_ENABLE disables XD", () => {
    const core = new FakeCore();
    core.state.IA32_MISC_ENABLE |= 1n << 34n;
    expect(write(core, index, IA32_EFER.NXE)).toBe(false);
  });

  it("keeps translations when NXE changes: they are told apart by it", () => {
    const core = new FakeCore();
    core.invalidations.length = 0;
    write(core, index, IA32_EFER.NXE);
    write(core, index, IA32_EFER.NXE);
    expect(core.invalidations).toEqual([]);
  });
});

describe("registers of some models", () => {
  it("are missing on others", () => {
    const values = (name: string) =>
      [0x34, 0x4e, 0xce, 0x140].map((index) => readMsr(new FakeCore(name), index));
    expect(values("default")).toEqual([0n, 1n, 0xa00_8000_0a00n, 0n]);
    expect(values("nehalem")).toEqual([0n, undefined, 0xa00_0000_0a00n, undefined]);
    expect(values("core2")).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("that tell facts may not be written", () => {
    const core = new FakeCore();
    expect([0x34, 0x4e, 0xce].filter((index) => write(core, index, 0n))).toEqual([]);
  });

  it.each([
    ["default", 0x4ffn],
    ["nehalem", 0n],
  ])("control speculation by the bits that %s enumerates", (name, bits) => {
    const core = new FakeCore(name);
    const writable = Array.from({ length: 64 }, (_, n) => 1n << BigInt(n)).filter((bit) =>
      write(core, 0x48, bit),
    );
    expect(writable.reduce((sum, bit) => sum | bit, 0n)).toBe(bits);
  });
});

describe("the time-stamp counter", () => {
  it("moves with writes of itself and of IA32_TSC_ADJUST alike", () => {
    const core = new FakeCore();
    core.ticks = 1000n;
    write(core, 0x10, 400n);
    expect([readMsr(core, 0x10), readMsr(core, 0x3b)]).toEqual([400n, BigInt.asUintN(64, -600n)]);
    core.ticks = 1100n;
    expect(readMsr(core, 0x10)).toBe(500n);
    write(core, 0x3b, 0n);
    expect(readMsr(core, 0x10)).toBe(1100n);
  });
});

describe("memory types", () => {
  it("of the PAT are checked byte by byte", () => {
    const core = new FakeCore();
    expect(readMsr(core, 0x277)).toBe(0x0007_0406_0007_0406n);
    for (let type = 0n; type < 9n; type++)
      expect(`${type} ${write(core, 0x277, type << 40n)}`).toBe(
        `${type} ${[0n, 1n, 4n, 5n, 6n, 7n].includes(type)}`,
      );
  });

  it("of MTRRs too, with addresses within the physical width", () => {
    const core = new FakeCore();
    expect(write(core, 0x200, 0xff_ffff_f006n)).toBe(true);
    expect(write(core, 0x200, 0x100_0000_0006n)).toBe(false);
    expect(write(core, 0x200, 2n)).toBe(false);
    expect(write(core, 0x201, 0xff_0000_0800n)).toBe(true);
    expect(write(core, 0x201, 1n)).toBe(false);
    expect([readMsr(core, 0x200), readMsr(core, 0x201)]).toEqual([0xff_ffff_f006n, 0xff_0000_0800n]);
    expect(write(core, 0x26f, 0x0606_0606_0606_0606n)).toBe(true);
    expect(write(core, 0x250, 0x0206_0606_0606_0606n)).toBe(false);
    expect(readMsr(core, 0x26f)).toBe(0x0606_0606_0606_0606n);
    expect(write(core, 0x2ff, 0xc06n)).toBe(true);
    expect(write(core, 0x2ff, 0xc02n)).toBe(false);
    expect(readMsr(core, 0x214)).toBeUndefined();
  });
});
