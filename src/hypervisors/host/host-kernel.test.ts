import { expect, it } from "vitest";
import { cpuModel } from "../../cpu/cpu-model.ts";
import { trapFrame } from "./host-image.ts";
import { HostKernel, hostVector } from "./host-kernel.ts";
import { fieldSlot, VmxDoor, vmInstruction } from "./vmx-door.ts";

const kernelOf = (processors = 1, model = "default"): HostKernel =>
  new HostKernel({ memoryBytes: 32 << 20, processors, model: cpuModel(model, { processors })! });

it("calls a function and gets control back with its result and the stack as it was", () => {
  const kernel = kernelOf();
  const cpu = kernel.cpus[0]!;
  kernel.place("test", "sum: lea rax, [rdi + rsi]\n add rax, rdx\n add rax, rcx\n ret");
  cpu.select();
  const before = cpu.stackPointer;
  expect(kernel.call(cpu, kernel.symbol("sum"), { rdi: 1, rsi: 20, rdx: 300, rcx: 4000 })).toBeUndefined();
  expect(cpu.rax).toBe(4321);
  expect(cpu.stackPointer).toBe(before);
});

it("ends a call that never returns when its budget is used up, and goes on with it later", () => {
  const kernel = kernelOf();
  const cpu = kernel.cpus[0]!;
  kernel.place("test", "loop: inc rax\n cmp byte [rdi], 0\n je loop\n ret");
  const flag = kernel.memory.allocate(8);
  expect(kernel.call(cpu, kernel.symbol("loop"), { rdi: flag }, 1000)).toBe("slice");
  kernel.memory.write32(flag, 1);
  kernel.sliceLeft = 1000;
  expect(cpu.proceed()).toBe(true);
});

it.each(["default", "nehalem"])("brings interrupts of the local APIC to a handler, on a %s", (model) => {
  const kernel = kernelOf(2, model);
  const [first, second] = kernel.cpus;
  const seen: string[] = [];
  kernel.onVector(hostVector.kick, ({ cpu }) => {
    seen.push(`kick ${cpu.index}`);
    cpu.apic.endOfInterrupt();
  });
  kernel.callouts.timer("test", () => seen.push(`timer at ${kernel.pc.clock.nowNs > 1000}`)).arm(1_000_000);
  first!.apic.sendInterrupt(1, hostVector.kick);
  for (const cpu of [first!, second!]) {
    const idle = (function* () {
      cpu.begin(kernel.symbol("idle"));
      if (!cpu.proceed()) yield* cpu.rest();
      return "awake";
    })();
    expect(kernel.finish(idle)).toBe("awake");
  }
  expect(seen).toEqual(["timer at true", "kick 1"]);
});

it("lets an interrupted function go on with all its registers", () => {
  const kernel = kernelOf();
  const cpu = kernel.cpus[0]!;
  kernel.place("test", `
work:   push rbx
        mov rbx, 0x1111
        mov r15, 0x2222
        int 0x70
        lea rax, [rbx + r15]
        pop rbx
        ret`); // biome-ignore format: assembly
  kernel.onVector(0x70, ({ frame }) => {
    expect(kernel.memory.read32(frame + trapFrame.r15)).toBe(0x2222);
    kernel.memory.write32(frame + trapFrame.r15, 0x4444);
  });
  expect(kernel.call(cpu, kernel.symbol("work"))).toBeUndefined();
  expect(cpu.rax).toBe(0x5555);
});

it("takes NMIs on a stack of their own", () => {
  const kernel = kernelOf();
  const cpu = kernel.cpus[0]!;
  let frame = 0;
  kernel.onVector(2, (trap) => {
    frame = trap.frame;
  });
  cpu.apic.sendNmi(0);
  expect(kernel.call(cpu, kernel.symbol("disableInterrupts"))).toBeUndefined();
  expect(kernel.memory.regionAt(frame, true)?.name).toBe("NMI stack of processor 0");
});

it("dies of an exception without a handler, and says where", () => {
  const kernel = kernelOf();
  kernel.place("test", "bad: ud2");
  expect(kernel.call(kernel.cpus[0]!, kernel.symbol("bad"))).toBe("died");
  expect(kernel.died?.says).toBe(
    `exception 6 in the host kernel at 0x${kernel.symbol("bad").toString(16)}, error code 0`,
  );
});

it("reads and writes the VMCS the same by instruction and directly", () => {
  const kernel = kernelOf();
  const cpu = kernel.cpus[0]!;
  const door = new VmxDoor(kernel);
  expect(door.vmptrld(cpu, door.enterVmxOperation(cpu) === 0 ? 0x1001 : 0)).toBe(vmInstruction.failInvalid);
  const region = door.newRegion(cpu);
  expect(door.vmclear(cpu, region)).toBe(vmInstruction.succeeded);
  expect(door.vmptrld(cpu, region)).toBe(vmInstruction.succeeded);
  const [rip, selector] = [fieldSlot("guest.rip"), fieldSlot("guest.cs.selector")];
  const seen = (["executed", "direct"] as const).map((path) => {
    door.path = path;
    door.write64(cpu, rip, 0xffff_8000_ffff_fffen);
    door.advance(cpu, rip, 3);
    door.write32(cpu, selector, 0x1_0033);
    return [door.read64(cpu, rip), door.read32(cpu, selector), door.readNumber(cpu, selector)];
  });
  expect(seen[0]).toEqual([0xffff_8001_0000_0001n, 0x33, 0x33]);
  expect(seen[1]).toEqual(seen[0]);
  expect(door.vmptrld(cpu, 0x1001)).toBe(vmInstruction.failValid);
  expect(door.error(cpu)).toBe(9);
});
