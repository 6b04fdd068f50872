import { describe, expect, it } from "vitest";
import { HostWorld } from "../host/world-oracle.fixture.ts";
import { Bench, guestCode } from "./bench.fixture.ts";
import type { VmExit } from "./vmm.ts";

/** Guests of random bytes: whatever they do, VM_RUN comes back with an exit, and the host is as it was. */

const seeds = process.env["WORLDSWITCH_ALL_GUESTS"] === undefined ? 25 : 200;
const hostPromise = {
  registers: ["RBX", "RBP", "R12", "R13", "R14", "R15", "IA32_LSTAR"],
  hasVectors: true,
  stackBytes: 1024,
} as const;

/** Numerical Recipes' generator: enough for bytes. */
const bytesOf = (seed: number, length: number): Uint8Array => {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
};

const goesOn = (exit: VmExit): boolean => exit.code !== "VMX";

describe("a guest of random bytes under bhyve", () => {
  const bench = new Bench({ guest: "nop" });
  const { kernel, vm } = bench;
  const cpu = kernel.cpus[0]!;
  const world = new HostWorld(cpu, kernel.memory, hostPromise);
  const descriptors = kernel.memory.read(cpu.GDT, 64);
  const gates = kernel.memory.read(kernel.IDT, 4096);

  it.each(Array.from({ length: seeds }, (_, seed) => seed))("with seed %i leaves the host intact", (seed) => {
    vm.memory.writeBytes(guestCode, bytesOf(seed + 1, 4096));
    bench.reset();
    world.fill();
    let rip = BigInt(guestCode);
    // Some spin for ever: a callout of the host brings them out.
    for (let exits = 0; exits < 200; exits++) {
      bench.after(50_000, () => vm.requestAst(0));
      const { errno, exit } = bench.run(rip);
      if (errno !== 0) break;
      if (!goesOn(exit!)) break;
      rip = exit!.rip + BigInt(exit!.instLength);
      if (exit!.code === "BOGUS") break;
    }
    expect(world.mixed()).toEqual([]);
    expect(kernel.died).toBeUndefined();
    expect(kernel.memory.read(cpu.GDT, 64)).toEqual(descriptors);
    expect(kernel.memory.read(kernel.IDT, 4096)).toEqual(gates);
    cpu.select();
    expect([cpu.state["GDTR.base"], cpu.state["IDTR.base"], cpu.state["TR.base"], cpu.state.CR3]).toEqual(
      [cpu.GDT, kernel.IDT, cpu.TSS, kernel.pageTables].map(BigInt),
    );
  });
});
