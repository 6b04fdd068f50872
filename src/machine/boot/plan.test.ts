import { describe, expect, it } from "vitest";
import { CR0 } from "../../arch/control-registers.ts";
import { CpuState } from "../../state/cpu-state.ts";
import { stateBytes } from "../../state/layout.ts";
import { FreeSpace } from "./free-space.ts";
import { applyInitialState } from "./initial-state.ts";
import type { BootRefusal, BootRequest, LoadPlan } from "./load-plan.ts";
import { pcMemoryMap } from "./memory-map.ts";
import { planBoot } from "./plan.ts";

const MIB = 0x10_0000;
const memoryMap = pcMemoryMap({ memory: 16 * MIB, pciHole: 0xe000_0000 });

const request = (bytes: Uint8Array): BootRequest => ({
  image: { name: "image", bytes },
  commandLine: "",
  modules: [],
  memoryMap,
});
const planned = (outcome: LoadPlan | BootRefusal): LoadPlan => {
  if ("message" in outcome) throw new Error(outcome.message);
  return outcome;
};
const message = (outcome: LoadPlan | BootRefusal): string =>
  "message" in outcome ? outcome.message : "no refusal";

const EXPECTED =
  "expected a Linux bzImage, a multiboot or multiboot 2 kernel, or an ELF file with a PVH entry note";

describe("a file that is no kernel", () => {
  const bootSector = new Uint8Array(512);
  bootSector.set([0x55, 0xaa], 0x1fe);
  it.each([
    ["empty", new Uint8Array(), "image is empty, expected a kernel image"],
    ["short", new Uint8Array(10), `image has 10 bytes and no known header, ${EXPECTED}`],
    [
      "a boot sector",
      bootSector,
      `image is a boot sector without the Linux header "HdrS" at 0x202, ${EXPECTED}`,
    ],
    [
      "zeros",
      new Uint8Array(4096),
      `image is not a kernel image: boot_flag at 0x1fe is 0x0 and there is no other known header, ${EXPECTED}`,
    ],
  ])("%s is refused with what was found and expected", (_, bytes, expected) => {
    expect(message(planBoot(request(bytes)))).toBe(expected);
  });

  it.each([
    ["linux-64", 'image has no Linux header (0xaa55 at 0x1fe and "HdrS" at 0x202), expected a bzImage'],
    ["pvh", "image is not an ELF file, expected one with a PVH entry note"],
    [
      "multiboot",
      "image: no multiboot header (0x1badb002 with a checksum that holds) in its first 8192 bytes, expected one",
    ],
    [
      "multiboot2",
      "image: no multiboot 2 header (0xe85250d6 with a checksum that holds) in its first 32768 bytes, expected one",
    ],
  ] as const)("is refused by the %s protocol when that is asked for", (protocol, expected) => {
    expect(message(planBoot(request(new Uint8Array(1024)), { protocol }))).toBe(expected);
  });
});

describe("a flat binary", () => {
  const code = new Uint8Array([0xf4, 0xeb, 0xfd]);

  it("is entered as a boot sector is, at 0000:7C00", () => {
    const plan = planned(planBoot(request(code), { protocol: "flat" }));
    expect(plan.segments).toEqual([{ address: 0x7c00, bytes: code, zeros: 0 }]);
    expect(plan.cpu).toMatchObject({ mode: "real", RIP: 0x7c00n, CR0: CR0.ET | CR0.CD | CR0.NW });
    expect(plan.cpu.segments.CS).toEqual({ selector: 0, base: 0n, limit: 0xffff, access: 0x93 });
  });

  it("gets a code segment of its own above 64 KiB", () => {
    const plan = planned(planBoot(request(code), { protocol: "flat", address: 0x1_2348 }));
    expect(plan.cpu.segments.CS).toMatchObject({ selector: 0x1234, base: 0x1_2340n });
    expect(plan.cpu.RIP).toBe(8n);
  });

  it.each(["protected32", "long64"] as const)("can be entered in %s mode anywhere in RAM", (mode) => {
    const plan = planned(planBoot(request(code), { protocol: "flat", address: 2 * MIB, mode }));
    expect(plan.cpu).toMatchObject({ mode, RIP: BigInt(2 * MIB) });
    expect(plan.segments.some((segment) => BigInt(segment.address) === plan.cpu.GDTR.base)).toBe(true);
    if (mode === "long64")
      expect(plan.segments.some((segment) => BigInt(segment.address) === plan.cpu.CR3)).toBe(true);
  });

  it.each([
    [0x10_0000, "image: load address is 0x100000, expected one below 0x100000 to enter it in real mode"],
    [0xa_0000, "image: 3 bytes at 0xa0000 do not lie in RAM, of which there is 16 MiB"],
  ])("is refused at address %i", (address, expected) => {
    expect(message(planBoot(request(code), { protocol: "flat", address }))).toBe(expected);
  });

  it("is refused when empty", () => {
    expect(message(planBoot(request(new Uint8Array()), { protocol: "flat" }))).toBe(
      "image is empty, expected a flat binary",
    );
  });
});

describe("a firmware ROM", () => {
  const ROM = Uint8Array.from({ length: 256 * 1024 }, (_, index) => (index >> 12) & 0xff);

  it("ends at 4 GiB, has its last 128 KiB below 1 MiB, and starts at the reset vector", () => {
    const plan = planned(planBoot(request(ROM), { protocol: "firmware" }));
    expect(plan.roms).toHaveLength(2);
    expect(plan.roms[0]!.address).toBe(0xfffc_0000);
    expect(Buffer.compare(plan.roms[0]!.bytes, ROM)).toBe(0);
    expect(plan.roms[1]!.address).toBe(0xe_0000);
    expect(Buffer.compare(plan.roms[1]!.bytes, ROM.subarray(128 * 1024))).toBe(0);
    expect(plan.segments).toEqual([]);
    expect(plan.cpu).toMatchObject({ mode: "real", RIP: 0xfff0n });
    expect(plan.cpu.segments.CS).toMatchObject({ selector: 0xf000, base: 0xffff_0000n });
  });

  it("is padded in front to whole pages", () => {
    const plan = planned(planBoot(request(ROM.subarray(0, 5000)), { protocol: "firmware" }));
    expect(plan.roms[0]!.address).toBe(0xffff_e000);
    expect(Buffer.compare(plan.roms[0]!.bytes.subarray(8192 - 5000), ROM.subarray(0, 5000))).toBe(0);
  });

  it.each([
    [
      new Uint8Array(15),
      "image has 15 bytes, expected a firmware ROM of 16 bytes or more with the reset vector at its end",
    ],
    [new Uint8Array(17 * MIB), "image is 17 MiB long, expected a firmware ROM of at most 16 MiB"],
  ])("is refused with a wrong size", (bytes, expected) => {
    expect(message(planBoot(request(bytes), { protocol: "firmware" }))).toBe(expected);
  });
});

describe("the processor's initial state", () => {
  it("reaches every field of the state it describes", () => {
    const state = new CpuState(new ArrayBuffer(stateBytes));
    state.RBP = 77n;
    const plan = planned(
      planBoot(request(new Uint8Array([0xf4])), { protocol: "flat", address: MIB, mode: "long64" }),
    );
    applyInitialState(state, plan.cpu);
    expect(state.RBP).toBe(0n);
    expect([state.RIP, state.CR3, state.CR0, state.IA32_EFER]).toEqual([
      BigInt(MIB),
      plan.cpu.CR3,
      plan.cpu.CR0,
      plan.cpu.IA32_EFER,
    ]);
    expect(state["CS.access"]).toBe(0xa09b);
    expect(state["SS.limit"]).toBe(0xffff_ffff);
    expect(state["LDTR.access"]).toBe(0x1_0000);
    expect(state["GDTR.base"]).toBe(plan.cpu.GDTR.base);
    expect(state["GDTR.limit"]).toBe(23);
  });
});

describe("a PC's memory map", () => {
  it("continues RAM above the PCI hole at 4 GiB", () => {
    const map = pcMemoryMap({ memory: 4096 * MIB, pciHole: 0xc000_0000 });
    expect(map.ranges.filter((range) => range.type === "RAM")).toEqual([
      { start: 0, length: 0x9_fc00, type: "RAM" },
      { start: MIB, length: 0xbff0_0000, type: "RAM" },
      { start: 0x1_0000_0000, length: 0x4000_0000, type: "RAM" },
    ]);
  });

  it("splits RAM around a carved range", () => {
    const map = pcMemoryMap({
      memory: 16 * MIB,
      pciHole: 0xc000_0000,
      carved: [{ start: 4 * MIB, length: MIB, type: "acpiNvs" }],
    });
    expect(map.ranges.slice(-3)).toEqual([
      { start: MIB, length: 3 * MIB, type: "RAM" },
      { start: 4 * MIB, length: MIB, type: "acpiNvs" },
      { start: 5 * MIB, length: 11 * MIB, type: "RAM" },
    ]);
  });
});

describe("free guest memory", () => {
  it("never gives a place twice and never the first page", () => {
    const space = new FreeSpace(memoryMap);
    expect([space.lowest(16), space.lowest(4096), space.lowest(4096)]).toEqual([0x1000, 0x2000, 0x3000]);
    expect([space.highest(1), space.highest(4097)]).toEqual([16 * MIB - 4096, 16 * MIB - 3 * 4096]);
  });

  it("has no place across a hole or beyond its bounds", () => {
    const space = new FreeSpace(memoryMap);
    expect(space.lowest(MIB, { end: MIB })).toBeUndefined();
    expect(space.highest(16 * MIB)).toBeUndefined();
    expect(space.lowest(MIB, { start: 4 * MIB, alignment: 3 * MIB })).toBe(6 * MIB);
  });
});
