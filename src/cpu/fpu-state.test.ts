import { describe, expect, it } from "vitest";
import { CR0, CR4 } from "../arch/control-registers.ts";
import { atUser64, FakeCore, longMode, protectedMode, snapshot } from "./fake-core.fixture.ts";

const area = 0x5000;

/** 64-bit mode with XSAVE on, RBX at the area, all components asked for. */
const ready = (core = longMode(new FakeCore())) => {
  const { state } = core;
  state.CR4 |= CR4.OSXSAVE | CR4.OSFXSR;
  state.XCR0 = 3n;
  Object.assign(state, { RBX: BigInt(area), RAX: 0xffff_ffffn, RDX: 0xffff_ffffn });
  initial(core);
  return core;
};
const initial = ({ state }: FakeCore): void => {
  Object.assign(state, {
    FCW: 0x37f,
    FSW: 0,
    FTW: 0xffff,
    FOP: 0,
    FIP: 0n,
    FDP: 0n,
    FCS: 0,
    FDS: 0,
    MXCSR: 0x1f80,
  });
  for (let n = 0; n < 8; n++) state.bytes(`x87.${n}`).fill(0);
  for (let n = 0; n < 16; n++) state.bytes(`XMM${n}`).fill(0);
};
/** Something of everything: TOP = 6, ST(0) = 1.0, ST(1) = 0, XMM registers numbered. */
const fill = ({ state }: FakeCore): void => {
  Object.assign(state, {
    FCW: 0x27f,
    FSW: 0x3000,
    FTW: 0x4fff,
    FOP: 0x123,
    FIP: 0x1_2345_6789n,
    FDP: 0x8_7654_3210n,
    MXCSR: 0x1fa0,
  });
  state.bytes("x87.6").set([0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f]);
  for (let n = 0; n < 16; n++) state.bytes(`XMM${n}`).fill(n + 1, 0, 16);
};
const registers = ({ state }: FakeCore): string =>
  [
    ...(["FCW", "FSW", "FTW", "FOP", "FIP", "FDP", "MXCSR"] as const).map((name) => state[name].toString(16)),
    ...Array.from({ length: 8 }, (_, n) => state.bytes(`x87.${n}`).join()),
    ...Array.from({ length: 16 }, (_, n) => state.bytes(`XMM${n}`).join()),
  ].join(" ");

describe("FXSAVE and FXRSTOR", () => {
  it("are a round trip in the layout of the manual", () => {
    const core = ready();
    fill(core);
    const before = registers(core);
    core.write32(area + 464, 0x5555_5555);
    expect(core.execute("48 0f ae 03")).toBeUndefined();
    expect([core.read16(area), core.read16(area + 2), core.read16(area + 4), core.read16(area + 6)]).toEqual([
      0x27f, 0x3000, 0xc0, 0x123,
    ]);
    expect([core.read64(area + 8), core.read64(area + 16)]).toEqual([0x1_2345_6789n, 0x8_7654_3210n]);
    expect([core.read32(area + 24), core.read32(area + 28)]).toEqual([0x1fa0, 0xffff]);
    expect([core.read64(area + 32), core.read16(area + 40)]).toEqual([1n << 63n, 0x3fff]); // ST(0) = R6
    expect([
      core.memory.getUint8(area + 160),
      core.memory.getUint8(area + 400),
      core.read32(area + 464),
    ]).toEqual([1, 16, 0x5555_5555]);
    initial(core);
    expect(core.execute("48 0f ae 0b")).toBeUndefined();
    expect(registers(core)).toBe(before); // the tags again: R6 valid, R7 zero
  });

  it("outside 64-bit mode know eight XMM registers and 32-bit pointers", () => {
    const core = ready(protectedMode(new FakeCore()));
    fill(core);
    core.execute("0f ae 03");
    expect([core.read32(area + 8), core.read32(area + 12), core.memory.getUint8(area + 160 + 128)]).toEqual([
      0x2345_6789, 0, 0,
    ]);
  });

  it("fault for TS, EM, misalignment and reserved MXCSR bits", () => {
    const core = ready();
    core.write32(area + 24, 0x1_0000);
    expect(core.execute("0f ae 0b")).toBe("#GP(0)");
    core.state.RBX = BigInt(area + 8);
    expect(core.execute("0f ae 03")).toBe("#GP(0)");
    core.state.CR0 |= CR0.TS;
    expect(core.execute("0f ae 03")).toBe("#NM");
    core.state.CR0 = (core.state.CR0 & ~CR0.TS) | CR0.EM;
    expect(core.execute("0f ae 03")).toBe("#NM");
  });

  it("recompute ES and B from flags and masks", () => {
    const core = ready();
    core.write16(area, 0x37e); // invalid operation unmasked
    core.write16(area + 2, 0x0001);
    core.write32(area + 24, 0x1f80);
    core.execute("0f ae 0b");
    expect(core.state.FSW).toBe(0x8081);
  });
});

describe("XSAVE and XRSTOR", () => {
  it("XSAVE writes everything asked for and says in XSTATE_BV what is in use", () => {
    const core = ready();
    core.write64(area + 512, 0xf00n);
    core.state.bytes("XMM1")[0] = 1;
    expect(core.execute("0f ae 23")).toBeUndefined();
    expect([core.read64(area + 512), core.read16(area), core.read32(area + 24)]).toEqual([
      0xf02n,
      0x37f,
      0x1f80,
    ]);
  });

  it("XSAVEOPT and XSAVEC skip components in their initial configuration", () => {
    const core = ready();
    core.state.bytes("XMM1")[0] = 1;
    core.write16(area, 0x1234);
    expect(core.execute("0f ae 33")).toBeUndefined();
    expect([core.read64(area + 512), core.read16(area), core.memory.getUint8(area + 176)]).toEqual([
      2n,
      0x1234,
      1,
    ]);
    core.write64(area + 512, 0n);
    expect(core.execute("0f c7 23")).toBeUndefined();
    expect([core.read64(area + 512), core.read64(area + 520), core.read16(area)]).toEqual([
      2n,
      (1n << 63n) | 3n,
      0x1234,
    ]);
  });

  it("XSAVEC saves SSE for MXCSR alone", () => {
    const core = ready();
    core.state.MXCSR = 0x1f81;
    core.execute("0f c7 23");
    expect([core.read64(area + 512), core.read32(area + 24)]).toEqual([2n, 0x1f81]);
  });

  it("XRSTOR gives the initial configuration to what XSTATE_BV lacks, and leaves what is not asked for", () => {
    const core = ready();
    fill(core);
    core.execute("0f ae 23");
    core.write64(area + 512, 1n);
    core.state.MXCSR = 0x1f80;
    core.state.FCW = 0x37f;
    expect(core.execute("0f ae 2b")).toBeUndefined();
    expect([core.state.FCW, core.state.MXCSR, core.state.bytes("XMM5")[0]]).toEqual([0x27f, 0x1fa0, 0]);
    fill(core);
    core.state.RAX = 1n;
    core.write64(area + 512, 0n);
    core.execute("0f ae 2b");
    expect([core.state.FCW, core.state.FTW, core.state.bytes("XMM5")[0]]).toEqual([0x37f, 0xffff, 6]);
  });

  it("XSAVES and XRSTORS are a round trip in compacted format", () => {
    const core = ready();
    fill(core);
    const before = registers(core);
    expect(core.execute("48 0f c7 2b")).toBeUndefined();
    initial(core);
    expect(core.execute("48 0f c7 1b")).toBeUndefined();
    expect(registers(core)).toBe(before);
  });

  // 48 0f ae ...: FXSAVE, XSAVE, XSAVEOPT; 48 0f c7 ...: XSAVEC, XSAVES; and what restores it.
  for (const [saves, restores] of [
    ["48 0f ae 03", "48 0f ae 0b"],
    ["48 0f ae 23", "48 0f ae 2b"],
    ["48 0f ae 33", "48 0f ae 2b"],
    ["48 0f c7 23", "48 0f ae 2b"],
    ["48 0f c7 2b", "48 0f c7 1b"],
  ] as const)
    it(`write the same area within a page and across two, and read it: ${saves}`, () => {
      const images = [area, area + 0x1000 - 128, area + 0x1000 - 512, area + 0x1000 - 576].map((at) => {
        const core = ready(longMode(new FakeCore("default", { plus: ["AVX"] })));
        core.state.XCR0 = 7n;
        core.state.RBX = BigInt(at);
        fill(core);
        core.state.bytes("XMM3").fill(0x77, 16, 32);
        const before = registers(core);
        for (let n = 0; n < 832; n += 8)
          core.write64(at + n, n < 512 || n >= 576 ? 0x5a5a_0000n + BigInt(n) : 0n);
        expect(core.execute(saves)).toBeUndefined();
        const image = Array.from({ length: 832 / 8 }, (_, n) => core.read64(at + 8 * n).toString(16)).join(
          " ",
        );
        initial(core);
        if (saves === "48 0f ae 03") core.state.bytes("XMM3").fill(0x77, 16, 32);
        expect(core.execute(restores)).toBeUndefined();
        expect(registers(core)).toBe(before);
        return image;
      });
      expect(new Set(images).size).toBe(1);
    });

  // biome-ignore format: one row per fact
  const headers: [string, string, [number, bigint][], string | undefined][] = [
    ["XRSTOR, a component beyond XCR0",              "0f ae 2b", [[512, 4n]], "#GP(0)"],
    ["XRSTOR, XCOMP_BV set without bit 63",          "0f ae 2b", [[520, 1n]], "#GP(0)"],
    ["XRSTOR, a reserved byte of the standard form", "0f ae 2b", [[528, 1n]], "#GP(0)"],
    ["XRSTOR, bytes that only compaction reserves",  "0f ae 2b", [[536, 1n]], undefined],
    ["XRSTOR, compacted",                            "0f ae 2b", [[520, (1n << 63n) | 3n]], undefined],
    ["XRSTOR, compacted with an unknown component",  "0f ae 2b", [[520, (1n << 63n) | 8n]], "#GP(0)"],
    ["XRSTOR, XSTATE_BV beyond XCOMP_BV",            "0f ae 2b", [[520, (1n << 63n) | 1n], [512, 2n]], "#GP(0)"],
    ["XRSTOR, compacted with a reserved byte",       "0f ae 2b", [[520, (1n << 63n) | 3n], [568, 1n << 56n]], "#GP(0)"],
    ["XRSTORS, standard format",                     "0f c7 1b", [], "#GP(0)"],
    ["XRSTOR, reserved MXCSR bits",                  "0f ae 2b", [[24, 0x1_0000n], [512, 2n]], "#GP(0)"],
  ];
  for (const [what, hex, writes, expected] of headers)
    it(`${what}: ${expected ?? "accepted"}`, () => {
      const core = ready();
      for (const [at, value] of writes) core.write64(area + at, value);
      const before = snapshot(core);
      expect(core.execute(hex)).toBe(expected);
      if (expected) expect(snapshot(core)).toEqual(before);
    });

  it("fault without OSXSAVE, with TS, misaligned, and in supervisor form at CPL 3", () => {
    const core = ready();
    core.state.CR4 &= ~CR4.OSXSAVE;
    expect(core.execute("0f ae 23")).toBe("#UD");
    core.state.CR4 |= CR4.OSXSAVE;
    core.state.CR0 |= CR0.TS;
    expect(core.execute("0f ae 2b")).toBe("#NM");
    core.state.CR0 &= ~CR0.TS;
    core.state.RBX += 16n;
    expect(core.execute("0f ae 23")).toBe("#GP(0)");
    atUser64(core);
    expect(core.execute("0f c7 2b")).toBe("#GP(0)");
  });
});

describe("AVX state", () => {
  it("is saved behind the header, in both formats, on a model that has it", () => {
    const core = ready(longMode(new FakeCore("default", { plus: ["AVX"] })));
    core.state.XCR0 = 7n;
    core.state.bytes("XMM2").fill(9, 16, 32);
    core.execute("0f ae 23");
    expect([core.read64(area + 512), core.memory.getUint8(area + 576 + 32)]).toEqual([4n, 9]);
    core.state.bytes("XMM2").fill(0);
    core.execute("0f ae 2b");
    expect(core.state.bytes("XMM2")[20]).toBe(9);
    core.write64(area + 512, 0n);
    core.write64(area + 520, (1n << 63n) | 3n);
    core.execute("0f ae 2b"); // wanted, but the compacted area has none
    expect(core.state.bytes("XMM2")[20]).toBe(0);
  });
});
