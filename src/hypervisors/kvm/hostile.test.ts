import { expect, it } from "vitest";
import { HostWorld } from "../host/world-oracle.fixture.ts";
import { guestAddress, newKernel, TestMachine } from "./kvm.fixture.ts";
import { KvmExit } from "./kvm-run.ts";

/** A guest of random bytes does anything at all; KVM_RUN comes back, and the host is as it was. More with WORLDSWITCH_HOSTILE_SEEDS. */
const seeds = Number(process.env["WORLDSWITCH_HOSTILE_SEEDS"] ?? 6);
const exitsEach = 40;
const slice = 5_000;

const hostPromise = {
  registers: ["RBX", "RBP", "R12", "R13", "R14", "R15"],
  hasVectors: false,
  stackBytes: 1024,
} as const;

const randomBytes = (seed: number, length: number): Uint8Array => {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return Uint8Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state = (state ^ (state << 5)) >>> 0;
    return state >>> 24;
  });
};

const hostPicture = ({ cpu, kernel }: TestMachine): string => {
  cpu.select();
  const { state } = cpu;
  const registers = [
    state.RBX, state.RBP, state.RSP, state.R12, state.R13, state.R14, state.R15, state.CR3, state.CR4, state["GDTR.base"], state["GDTR.limit"],
    state["IDTR.base"], state["TR.base"], state["TR.selector"], state["GS.base"], state["DS.selector"], state.IA32_EFER, state.IA32_LSTAR, state.XCR0,
  ]; // biome-ignore format: one list
  const tables = [...kernel.memory.read(cpu.GDT, 0x40), ...kernel.memory.read(kernel.IDT, 4096)];
  return JSON.stringify([registers.map(String), tables]);
};

it("keeps the host intact under guests of random bytes", () => {
  let kernel = newKernel();
  let picture = kernel.cpus[0]!.state.architectural().slice();
  for (let seed = 1; seed <= seeds; seed++) {
    const machine = new TestMachine("nop", { kernel });
    const { vcpu, cpu } = machine;
    machine.write(guestAddress.code, randomBytes(seed, 0x8000));
    // Handlers of random bytes too, so that exceptions are not the end at once.
    for (let vector = 0; vector < 32; vector++) machine.setGate(vector, guestAddress.code + 0x400 * vector);
    const world = new HostWorld(cpu, kernel.memory, hostPromise);
    world.fill();
    const before = hostPicture(machine);
    let isOver = false;
    for (let n = 0; n < exitsEach && !isOver; n++) {
      const thread = vcpu.ioctlRun(cpu);
      kernel.sliceLeft = slice;
      let step = thread.next();
      // A guest that never exits is told to.
      for (let more = 0; !step.done && more < 3; more++) {
        vcpu.loop.signal = true;
        vcpu.loop.kick();
        kernel.sliceLeft = slice;
        step = thread.next();
      }
      expect(kernel.died, `seed ${seed}`).toBeUndefined();
      expect(step.done, `seed ${seed}: KVM_RUN comes back`).toBe(true);
      vcpu.loop.signal = false;
      const { exitReason } = vcpu.run;
      isOver = exitReason !== KvmExit.IO && exitReason !== KvmExit.MMIO && exitReason !== KvmExit.INTR;
    }
    expect(hostPicture(machine), `seed ${seed}`).toBe(before);
    expect(world.mixed(), `seed ${seed}`).toEqual([]);
    machine.system.unload();
    cpu.state.architectural().set(picture);
    if (kernel.memory.free < 0x10_0000) {
      kernel = newKernel();
      picture = kernel.cpus[0]!.state.architectural().slice();
    }
  }
}, 600_000);
