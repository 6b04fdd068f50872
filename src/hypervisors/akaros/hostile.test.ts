import { describe, expect, it } from "vitest";
import { cpuModel } from "../../cpu/cpu-model.ts";
import { flatState, flatTable32, identityMapBytes } from "../../machine/boot/initial-state.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import { AkarosMachine } from "./akaros-machine.ts";

/** Guests that do anything at all. Seeds: 200 with WORLDSWITCH_ALL_SEEDS, else a few. */
const seeds = process.env["WORLDSWITCH_ALL_SEEDS"] === undefined ? 6 : 200;
const MIB = 0x10_0000;
const codeAt = 0x10_0000;
const tablesAt = 0x8_0000;
const model = cpuModel("default")!;
const outputs = { serial() {}, debugcon() {}, virtioConsole() {} };

/** Numerical Recipes' generator: the same bytes for the same seed. */
const bytesOf = (seed: number, length: number): Uint8Array => {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
};

/** Instructions that leave the guest, between random bytes. */
// biome-ignore format: one list
const exits = [[0x0f, 0xa2], [0xf4], [0x0f, 0x01, 0xc1], [0x0f, 0x32], [0x0f, 0x30], [0xe6, 0x80], [0xec], [0xee], [0x0f, 0x01, 0xd1], [0x0f, 0x09], [0x0f, 0x33], [0x0f, 0x22, 0xe0], [0x0f, 0x22, 0xc0], [0x0f, 0x01, 0xc2], [0xcd, 0x80], [0x6e], [0x48, 0x89, 0x08], [0x48, 0x8b, 0x0b]] as const;
const programOf = (seed: number): Uint8Array => {
  const random = bytesOf(seed, 4096);
  if (seed % 2 === 0) return random;
  const parts: number[] = [];
  for (let n = 0; parts.length < 2048; n += 9) {
    // MOV RAX, RCX, RDX, RBX with an immediate, then something that exits.
    parts.push(0x48, 0xb8 + (random[n]! & 3), ...random.subarray(n + 1, n + 5), 0, 0, 0, 0);
    parts.push(...exits[random[n + 5]! % exits.length]!);
  }
  return Uint8Array.from(parts);
};

const guestOf = (bytes: Uint8Array): BootableMachine => ({
  configuration: { memoryBytes: 8 * MIB, processors: 1, model, disks: [], seed: 1n, romBytes: 0 },
  plan: {
    protocol: "flat",
    segments: [
      { address: tablesAt, bytes: identityMapBytes(tablesAt), zeros: 0 },
      { address: codeAt, bytes, zeros: 0 },
    ],
    roms: [],
    cpu: flatState(
      { ...flatTable32, mode: "long64", address: 0x7000 },
      codeAt,
      { RSP: 0x6000n, RBX: 0xfee0_0000n },
      tablesAt,
    ),
  },
});

describe("A guest that does anything", () => {
  it.each(Array.from({ length: seeds }, (_, seed) => seed))(
    "leaves the kernel as it was: seed %i",
    (seed) => {
      const machine = AkarosMachine.create(guestOf(programOf(seed)), outputs);
      if (!(machine instanceof AkarosMachine)) throw new Error(machine.message);
      const { kernel, akaros, vmm } = machine;
      const core = akaros.cores[0]!;
      const code = kernel.code.map(({ start, end }) => kernel.memory.read(start, end - start));
      const tables = (): Uint8Array[] => [
        kernel.memory.read(kernel.IDT, 4096),
        kernel.memory.read(core.physical(core.gdt), 64),
        kernel.memory.read(core.physical(core.tss), 104),
      ];
      const before = tables();
      const stop = machine.run(300_000, true);
      expect(kernel.died).toBeUndefined();
      expect(kernel.code.map(({ start, end }) => kernel.memory.read(start, end - start))).toEqual(code);
      expect(tables()).toEqual(before);
      expect(vmm.verdict === undefined).toBe(stop.kind !== "triple-fault");
      if (vmm.verdict !== undefined) expect(vmm.verdict).toMatch(/^[A-Za-z].{10,}/);
      // The process is done away with, and the core is the kernel's again.
      if (stop.kind === "triple-fault") {
        machine.run(10_000, true);
        core.cpu.select();
        expect(vmm.process.ended).toBeDefined();
        expect(core.guestCore).toBeUndefined();
        const { state } = core.cpu;
        expect([state["GS.base"], state["GDTR.base"], state["TR.base"]]).toEqual([
          core.area,
          core.gdt,
          core.tss,
        ]);
      }
    },
  );
});

describe("What cannot be a guest", () => {
  const refusal = (bootable: BootableMachine): string => {
    const made = AkarosMachine.create(bootable, outputs);
    return made instanceof AkarosMachine ? "no refusal" : made.message;
  };
  const guest = guestOf(new Uint8Array([0xf4]));
  it("is told in a sentence", () => {
    const { configuration, plan } = guest;
    expect(refusal({ configuration: { ...configuration, processors: 2 }, plan })).toMatch(
      /one processor here, not 2/,
    );
    expect(refusal({ configuration, plan: { ...plan, cpu: { ...plan.cpu, mode: "real" } } })).toMatch(
      /64-bit mode only/,
    );
    const old = cpuModel("default", { minus: ["processPostedInterrupts"] })!;
    expect(refusal({ configuration: { ...configuration, model: old }, plan })).toMatch(/posted interrupts/);
    expect(
      refusal({ configuration: { ...configuration, model: cpuModel("default", { minus: ["VMX"] })! }, plan }),
    ).toMatch(/needs VT-x/);
  });
});
