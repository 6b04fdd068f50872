import { describe, expect, it } from "vitest";
import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { planLinux } from "./linux.ts";
import type { BootRefusal, BootRequest, LoadPlan } from "./load-plan.ts";
import { pcMemoryMap } from "./memory-map.ts";
import { planBoot } from "./plan.ts";

const MIB = 0x10_0000;
const PREF_ADDRESS = 16 * MIB;
const INIT_SIZE = 8 * MIB;

/** A bzImage with a one-sector setup and a body of 64 bytes, all 0x90; `fields` overwrites header fields by offset. */
const bzImage = (fields: Readonly<Record<number, number>> = {}): Uint8Array => {
  const bytes = new Uint8Array(1024 + 64).fill(0x90, 1024);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, 1);
  view.setUint32(0x1f4, 64 / 16, true);
  view.setUint16(0x1fe, 0xaa55, true);
  view.setUint16(0x200, 0x6aeb, true);
  view.setUint32(0x202, 0x53726448, true);
  view.setUint16(0x206, 0x20f, true);
  view.setUint8(0x211, 1);
  view.setUint32(0x22c, 0x7fff_ffff, true);
  view.setUint8(0x234, 1);
  view.setUint16(0x236, 1, true);
  view.setUint32(0x238, 2047, true);
  view.setUint32(0x258, PREF_ADDRESS, true);
  view.setUint32(0x260, INIT_SIZE, true);
  for (const [offset, byte] of Object.entries(fields)) bytes[Number(offset)] = byte;
  return bytes;
};

const request = (bytes: Uint8Array, rest: Partial<BootRequest> = {}): BootRequest => ({
  image: { name: "vmlinuz", bytes },
  commandLine: "console=ttyS0",
  modules: [],
  memoryMap: pcMemoryMap({ memory: 64 * MIB, pciHole: 0xe000_0000 }),
  ...rest,
});

const initrd = (length: number, name = "initrd") => ({
  name,
  args: "",
  bytes: new Uint8Array(length).fill(0xcc),
});

const planned = (outcome: LoadPlan | BootRefusal): LoadPlan => {
  if ("message" in outcome) throw new Error(outcome.message);
  return outcome;
};

const message = (outcome: LoadPlan | BootRefusal): string =>
  "message" in outcome ? outcome.message : "no refusal";

const segmentAt = (plan: LoadPlan, address: number | bigint): DataView => {
  const found = plan.segments.find((segment) => segment.address === Number(address));
  if (found === undefined) throw new Error(`no segment at ${address}`);
  return new DataView(found.bytes.buffer, found.bytes.byteOffset, found.bytes.byteLength);
};

const stringAt = (plan: LoadPlan, address: number): string =>
  Buffer.from(segmentAt(plan, address).buffer).toString("latin1").split("\0")[0] ?? "";

describe("the 64-bit Linux boot protocol", () => {
  it("enters 0x200 bytes into the protected-mode kernel, in long mode with interrupts off", () => {
    const plan = planned(planBoot(request(bzImage())));
    expect(plan.protocol).toBe("linux-64");
    expect(plan.segments[0]).toMatchObject({ address: PREF_ADDRESS, bytes: new Uint8Array(64).fill(0x90) });
    expect(plan.cpu).toMatchObject({
      mode: "long64",
      RIP: BigInt(PREF_ADDRESS + 0x200),
      RFLAGS: 2n,
      CR0: CR0.PE | CR0.ET | CR0.PG,
      CR4: CR4.PAE,
      IA32_EFER: IA32_EFER.LME | IA32_EFER.LMA,
    });
    expect(plan.cpu.segments.CS).toEqual({ selector: 0x10, base: 0n, limit: 0xffff_ffff, access: 0xa09b });
    for (const register of ["DS", "ES", "SS"] as const)
      expect(plan.cpu.segments[register]).toEqual({
        selector: 0x18,
        base: 0n,
        limit: 0xffff_ffff,
        access: 0xc093,
      });
  });

  it("keeps the GDT in memory in agreement with the hidden parts of the segment registers", () => {
    const plan = planned(planBoot(request(bzImage())));
    const gdt = segmentAt(plan, plan.cpu.GDTR.base);
    expect(plan.cpu.GDTR.limit).toBe(gdt.byteLength - 1);
    expect(gdt.getBigUint64(0x10, true)).toBe(0x00af_9b00_0000_ffffn);
    expect(gdt.getBigUint64(0x18, true)).toBe(0x00cf_9300_0000_ffffn);
  });

  it("maps the first 4 GiB to themselves in 2-MByte pages", () => {
    const plan = planned(planBoot(request(bzImage())));
    const base = Number(plan.cpu.CR3);
    const tables = segmentAt(plan, base);
    const entry = (table: number, index: number) =>
      Number(tables.getBigUint64(table - base + 8 * index, true));
    for (const linear of [0, PREF_ADDRESS + 0x200, 0x7fff_ffff, 0xfee0_0000, 0xffff_ffff]) {
      const directory = entry(entry(base, 0) & ~0xfff, Math.floor(linear / 2 ** 30)) & ~0xfff;
      const page = entry(directory, Math.floor(linear / 2 ** 21) % 512);
      expect(page).toBe(linear - (linear % 2 ** 21) + 0x83);
    }
    expect(entry(base, 1)).toBe(0);
  });

  it("hands over header, command line, memory map and RSDP in boot_params", () => {
    const RSDP = { address: 0xf_5000, bytes: new Uint8Array(36) };
    const memoryMap = pcMemoryMap({
      memory: 5 * 1024 * MIB,
      pciHole: 0xe000_0000,
      carved: [
        { start: 0xdff0_0000, length: MIB, type: "acpiReclaimable" },
        { start: 0xe000_0000, length: 256 * MIB, type: "reserved" },
      ],
      RSDP,
    });
    const plan = planned(planBoot(request(bzImage(), { memoryMap })));
    const params = segmentAt(plan, plan.cpu.registers.RSI ?? 0n);
    expect(params.byteLength).toBe(4096);
    expect(params.getUint32(0x202, true)).toBe(0x53726448);
    expect(params.getUint8(0x210)).toBe(0xff);
    expect(params.getUint8(0x1ef)).toBe(0);
    expect(params.getUint32(0x214, true)).toBe(PREF_ADDRESS);
    expect(stringAt(plan, params.getUint32(0x228, true))).toBe("console=ttyS0");
    expect(params.getBigUint64(0x070, true)).toBe(0xf_5000n);
    const rows = Array.from({ length: params.getUint8(0x1e8) }, (_, index) => {
      const at = 0x2d0 + 20 * index;
      return [
        Number(params.getBigUint64(at, true)),
        Number(params.getBigUint64(at + 8, true)),
        params.getUint32(at + 16, true),
      ];
    });
    expect(rows).toEqual([
      [0, 0x9_fc00, 1],
      [0x9_fc00, 0x400, 2],
      [0xf_0000, 0x1_0000, 2],
      [MIB, 0xdff0_0000 - MIB, 1],
      [0xdff0_0000, MIB, 3],
      [0xe000_0000, 256 * MIB, 2],
      [0x1_0000_0000, 5 * 1024 * MIB - 0xe000_0000, 1],
    ]);
  });

  it("concatenates initial RAM disks, each padded to 4 bytes, at the top of low memory", () => {
    const plan = planned(planBoot(request(bzImage(), { modules: [initrd(5, "a"), initrd(3, "b")] })));
    const params = segmentAt(plan, plan.cpu.registers.RSI ?? 0n);
    const address = params.getUint32(0x218, true);
    expect(address).toBe(64 * MIB - 4096);
    expect(params.getUint32(0x21c, true)).toBe(12);
    const disk = segmentAt(plan, address);
    expect([...new Uint8Array(disk.buffer)]).toEqual([
      0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0, 0, 0, 0xcc, 0xcc, 0xcc, 0,
    ]);
  });

  it("keeps the initial RAM disk below initrd_addr_max and out of the kernel's working memory", () => {
    const below = planned(
      planBoot(request(bzImage({ 556: 0xff, 557: 0xff, 558: 0x2f, 559: 2 }), { modules: [initrd(100)] })),
    );
    const params = segmentAt(below, below.cpu.registers.RSI ?? 0n);
    expect(params.getUint32(0x218, true)).toBe(0x230_0000 - 4096);
    const tight = planned(
      planBoot(request(bzImage({ 556: 0, 557: 0, 558: 0x20, 559: 1 }), { modules: [initrd(100)] })),
    );
    const address = segmentAt(tight, tight.cpu.registers.RSI ?? 0n).getUint32(0x218, true);
    expect(address).toBe(PREF_ADDRESS - 4096);
  });

  it("places nothing on top of anything else", () => {
    const plan = planned(planBoot(request(bzImage(), { modules: [initrd(30 * MIB)] })));
    const spans = plan.segments
      .map(({ address, bytes, zeros }) => [address, address + bytes.length + zeros] as const)
      .sort((a, b) => a[0] - b[0]);
    for (let i = 1; i < spans.length; i++) expect(spans[i]![0]).toBeGreaterThanOrEqual(spans[i - 1]![1]);
    expect(spans[0]![0]).toBeGreaterThanOrEqual(0x1000);
  });
});

describe("the 32-bit Linux boot protocol", () => {
  it("is used for a kernel without a 64-bit entry point, and enters its first byte without paging", () => {
    const plan = planned(planBoot(request(bzImage({ 566: 0 }))));
    expect(plan.protocol).toBe("linux-32");
    expect(plan.cpu).toMatchObject({
      mode: "protected32",
      RIP: BigInt(PREF_ADDRESS),
      CR0: CR0.PE | CR0.ET,
      CR3: 0n,
      IA32_EFER: 0n,
    });
    expect(plan.cpu.registers.RBX ?? 0n).toBe(0n);
    expect(plan.cpu.segments.CS).toMatchObject({ selector: 0x10, access: 0xc09b });
  });

  it("can be asked for with a 64-bit kernel", () => {
    expect(planned(planBoot(request(bzImage()), { protocol: "linux-32" })).cpu.RIP).toBe(
      BigInt(PREF_ADDRESS),
    );
  });

  it("loads a kernel from before relocation at 1 MiB", () => {
    const plan = planned(planBoot(request(bzImage({ 518: 0x04 }))));
    expect(plan.cpu).toMatchObject({ mode: "protected32", RIP: 0x10_0000n });
  });
});

describe("a Linux kernel that cannot be booted", () => {
  it.each([
    [
      "truncated",
      bzImage().subarray(0, 1050),
      "vmlinuz is truncated: setup_sects and syssize say 1088 bytes, the file has 1050",
    ],
    [
      "a zImage",
      bzImage({ 529: 0 }),
      "vmlinuz: loadflags bit LOADED_HIGH is 0 (a zImage), expected 1 (a bzImage)",
    ],
    [
      "older than protocol 2.02",
      bzImage({ 518: 1 }),
      "vmlinuz: Linux boot protocol version is 2.01, expected 2.02 or later",
    ],
    [
      "without a body",
      bzImage({ 500: 0 }),
      "vmlinuz: syssize is 0, expected the length of the protected-mode kernel",
    ],
  ])("%s is refused by name, field, found and expected", (_, bytes, expected) => {
    expect(message(planBoot(request(bytes)))).toBe(expected);
  });

  it("is refused when memory does not hold what it needs to unpack itself", () => {
    const memoryMap = pcMemoryMap({ memory: 20 * MIB, pciHole: 0xe000_0000 });
    expect(message(planBoot(request(bzImage(), { memoryMap })))).toBe(
      "20 MiB of memory is too little for vmlinuz: it needs RAM from 0x1000000 to 0x1800000 (pref_address and init_size), so at least 24 MiB",
    );
  });

  it("is refused with an initial RAM disk larger than memory", () => {
    expect(message(planBoot(request(bzImage(), { modules: [initrd(65 * MIB)] })))).toBe(
      "initrd: an initial RAM disk of 65 MiB does not fit into 64 MiB of memory beside vmlinuz",
    );
  });

  it("is refused with a command line longer than it takes", () => {
    expect(message(planBoot(request(bzImage(), { commandLine: "x".repeat(2048) })))).toBe(
      "the command line has 2048 bytes, but vmlinuz takes at most 2047 (cmdline_size)",
    );
  });

  it("is refused by the 64-bit protocol when it has no 64-bit entry point", () => {
    expect(message(planLinux(request(bzImage({ 566: 0 })), "linux-64"))).toBe(
      "vmlinuz: xloadflags bit XLF_KERNEL_64 is 0, expected 1 for the 64-bit boot protocol",
    );
  });

  it("never throws, whatever one header byte holds", () => {
    for (let offset = 0x1f1; offset < 0x26c; offset++)
      for (const byte of [0, 1, 0x7f, 0x80, 0xff]) {
        const outcome = planBoot(request(bzImage({ [offset]: byte }), { modules: [initrd(10)] }));
        expect("message" in outcome || outcome.segments.length > 0).toBe(true);
      }
  });
});
