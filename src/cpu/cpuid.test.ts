import { describe, expect, it } from "vitest";
import { CR4 } from "../arch/control-registers.ts";
import { featureFlags } from "../arch/cpuid-leaves.ts";
import { rows } from "../isa/maps/index.ts";
import { cpuModel } from "./cpu-model.ts";
import { FakeCore, longMode, protectedMode } from "./fake-core.fixture.ts";
import { crystalHz, modelRows, tscHz } from "./models.ts";
import { writeMsr } from "./msrs.ts";

const ask = (core: FakeCore, leaf: number, subleaf = 0) => core.model.cpuid(core, leaf, subleaf);
const text = (...registers: number[]): string =>
  String.fromCharCode(
    ...registers.flatMap((value) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff)),
  );

describe("every model", () => {
  for (const { name, features, maxBasicLeaf } of modelRows)
    it(`${name} reports exactly its features`, () => {
      const core = longMode(new FakeCore(name));
      const dynamic = (flag: (typeof featureFlags)[number]): boolean =>
        flag.leaf > maxBasicLeaf && flag.leaf < 0x8000_0000;
      const reported = featureFlags
        .filter((flag) => !dynamic(flag))
        .filter(
          ({ leaf, subleaf, register, bit }) =>
            leaf <= ask(core, leaf >= 0x8000_0000 ? 0x8000_0000 : 0).eax >>> 0 &&
            (ask(core, leaf, subleaf)[register] >>> bit) & 1,
        )
        .map((flag) => flag.name);
      const known = featureFlags.filter((flag) => !dynamic(flag)).map((flag) => flag.name);
      expect(reported.toSorted()).toEqual(known.filter((flag) => features.includes(flag)).toSorted());
      expect(features.filter((feature) => !featureFlags.some((flag) => flag.name === feature))).toEqual([]);
    });

  it("can offer every feature that gates rows of the opcode maps", () => {
    const gates = new Set(rows.flatMap(({ feature }) => (feature ? [feature as string] : [])));
    expect([...gates].filter((gate) => !featureFlags.some(({ name }) => name === gate))).toEqual([]);
  });

  it("is found by name, unknown ones are not", () => {
    for (const { name } of modelRows) expect(cpuModel(name)?.name).toBe(name);
    expect(cpuModel("z80")).toBeUndefined();
  });
});

describe("the default model", () => {
  it("is a GenuineIntel of family 6 with its brand", () => {
    const core = longMode(new FakeCore());
    const { eax, ebx, ecx, edx } = ask(core, 0);
    expect([eax, text(ebx, edx, ecx)]).toEqual([0x16, "GenuineIntel"]);
    expect(ask(core, 1).eax).toBe(0x0008_06f8);
    const brand = [0x8000_0002, 0x8000_0003, 0x8000_0004].map((leaf) => Object.values(ask(core, leaf)));
    expect(text(...brand.flat())).toMatch(/^Worldswitch x86-64 processor @ 1\.00GHz\0+$/);
  });

  it("has VMX, but neither AVX nor the hypervisor bit", () => {
    const core = longMode(new FakeCore());
    expect(core.model.has("VMX")).toBe(true);
    expect(["AVX", "AVX2", "HYPERVISOR", "PKU"].filter((name) => core.model.has(name))).toEqual([]);
    expect(new FakeCore("default", { hypervisor: true }).model.has("HYPERVISOR")).toBe(true);
  });

  it("gives the clocks in leaves 15H and 16H", () => {
    const { eax, ebx, ecx } = ask(new FakeCore(), 0x15);
    expect((ecx * ebx) / eax).toBe(tscHz);
    expect(ecx).toBe(crystalHz);
    expect(ask(new FakeCore(), 0x16).eax).toBe(tscHz / 1e6);
  });

  it("answers beyond its last leaf with the last basic one", () => {
    const core = new FakeCore();
    expect(ask(core, 0x17)).toEqual(ask(core, 0x16));
    expect(ask(core, 0x4000_0000)).toEqual(ask(core, 0x16));
    expect(ask(core, 0x8000_0009)).toEqual(ask(core, 0x16));
    expect(ask(core, 0xffff_ffff)).toEqual(ask(core, 0x16));
  });

  it("follows CR4.OSXSAVE, 64-bit mode and IA32_MISC_ENABLE", () => {
    const core = protectedMode(new FakeCore());
    const bit = (leaf: number, register: "ecx" | "edx", n: number): number =>
      (ask(core, leaf)[register] >>> n) & 1;
    expect([bit(1, "ecx", 27), bit(0x8000_0001, "edx", 11)]).toEqual([0, 0]);
    core.state.CR4 |= CR4.OSXSAVE;
    longMode(core);
    core.state.CR4 |= CR4.OSXSAVE;
    expect([
      bit(1, "ecx", 27),
      bit(0x8000_0001, "edx", 11),
      bit(0x8000_0001, "edx", 20),
      bit(1, "ecx", 3),
    ]).toEqual([1, 1, 1, 1]);
    core.state.IA32_MISC_ENABLE |= (1n << 34n) | (1n << 22n);
    core.state.IA32_MISC_ENABLE &= ~(1n << 18n);
    expect([bit(0x8000_0001, "edx", 20), bit(1, "ecx", 3), ask(core, 0).eax]).toEqual([0, 0, 3]);
  });

  it("sizes the XSAVE area by XCR0", () => {
    const core = new FakeCore();
    expect(ask(core, 0xd, 0)).toEqual({ eax: 3, ebx: 576, ecx: 576, edx: 0 });
    expect(ask(core, 0xd, 1)).toMatchObject({ eax: 0xf, ebx: 576 });
    const avx = new FakeCore("default", { plus: ["AVX"] });
    avx.state.XCR0 = 7n;
    expect(ask(avx, 0xd, 0)).toEqual({ eax: 7, ebx: 832, ecx: 832, edx: 0 });
    expect(ask(avx, 0xd, 2)).toEqual({ eax: 256, ebx: 576, ecx: 0, edx: 0 });
  });

  it("describes the topology of up to eight processors", () => {
    for (const [processors, shift] of [
      [1, 0],
      [2, 1],
      [3, 2],
      [8, 3],
    ] as const) {
      const core = new FakeCore("default", { processors });
      expect(ask(core, 0xb, 0)).toEqual({ eax: 0, ebx: 1, ecx: 0x100, edx: 0 });
      expect(ask(core, 0xb, 1)).toEqual({ eax: shift, ebx: processors, ecx: 0x201, edx: 0 });
      expect(ask(core, 0xb, 2)).toEqual({ eax: 0, ebx: 0, ecx: 2, edx: 0 });
      expect(ask(core, 4, 3).eax >>> 26).toBe((1 << shift) - 1);
      expect((ask(core, 1).edx >>> 28) & 1).toBe(processors > 1 ? 1 : 0);
    }
    expect(ask(new FakeCore(), 4, 4).eax).toBe(0);
  });

  it("tells how many subleaves leaf 7 has, and the controls of speculation in the last", () => {
    expect(ask(new FakeCore(), 7, 0).eax).toBe(2);
    expect(ask(new FakeCore(), 7, 2)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0x37 });
    expect(ask(new FakeCore(), 7, 3)).toEqual({ eax: 0, ebx: 0, ecx: 0, edx: 0 });
    const without = ["PSFD", "IPRED_CTRL", "RRSBA_CTRL", "BHI_CTRL", "MCDT_NO"];
    expect(ask(new FakeCore("default", { minus: without }), 7, 0).eax).toBe(0);
  });

  it("faults above privilege level 0 where software asks for it", () => {
    const core = longMode(new FakeCore());
    writeMsr(core, 0x140, 1n);
    expect(core.execute("0f a2")).toBeUndefined();
    core.state["CS.selector"] |= 3;
    core.state["SS.access"] |= 3 << 5;
    expect(core.execute("0f a2")).toBe("#GP(0)");
    writeMsr(core, 0x140, 0n);
    expect(core.execute("0f a2")).toBeUndefined();
  });

  it("loads the microcode revision when the signature is read", () => {
    const core = longMode(new FakeCore());
    core.state.IA32_BIOS_SIGN_ID = 0n;
    core.state.RAX = 1n;
    core.execute("0f a2");
    expect(core.state.IA32_BIOS_SIGN_ID).toBe(0x1000_0000_0000_0000n);
    expect([core.state.RAX, core.state.RIP]).toEqual([0x0008_06f8n, 0x1_0002n]);
  });
});
