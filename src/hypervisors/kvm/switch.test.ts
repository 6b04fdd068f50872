import { describe, expect, it } from "vitest";
import { CR0 } from "../../arch/control-registers.ts";
import { generalRegisters } from "../../state/layout.ts";
import { trapFrame } from "../host/host-image.ts";
import { field } from "../host/vmcs-slots.ts";
import { TestMachine, traceLabels } from "./kvm.fixture.ts";
import { KvmExit } from "./kvm-run.ts";
import { processDataSegment } from "./kvm-system.ts";

const values = generalRegisters.map((name, number) => ({
  name,
  value: 0x0111_0000_0000_0000n * BigInt(number + 1) + BigInt(number),
}));
const outLoop = "loop: out 0x10, al\n jmp loop";

it("K1: general registers and CR2 go through a VMCALL exit unchanged, RCX, RDX and RBP included", () => {
  const machine = new TestMachine(`
        ${values.map(({ name, value }) => `mov ${name.toLowerCase()}, 0x${value.toString(16)}`).join("\n")}
        mov cr2, r15
        vmcall
        ${values.map(({ name }, n) => `mov [found + ${8 * n}], ${name.toLowerCase()}`).join("\n")}
        mov rax, cr2
        mov [found + 128], rax
        out 0x10, al
        align 8
found:  ${"dq 0, 0, 0, 0, 0, 0, 0, 0, 0\n".repeat(2)}`);
  machine.run();
  expect(machine.exits(18)).toBe(1);
  const found = machine.symbols.get("found")!;
  // The hypercall's result, for none has this number: -KVM_ENOSYS.
  const noSuchCall = BigInt.asUintN(64, -1000n);
  expect(values.map((_, n) => machine.read64(found + 8 * n))).toEqual(
    values.map(({ name, value }) => (name === "RAX" ? noSuchCall : value)),
  );
  expect(machine.read64(found + 128)).toBe(values[15]!.value);
  expect(machine.vcpu.loop.vmx.cr2).toBe(values[15]!.value);
});

it("K2: VMLAUNCH comes first, then VMRESUME without VMPTRLD; on another processor VMCLEAR, VMPTRLD and VMLAUNCH", () => {
  const machine = new TestMachine(outLoop, { processors: 2 });
  const [first, second] = machine.kernel.cpus;
  const seen = traceLabels(machine, ["kvmLaunch", "kvmResume"]);
  machine.system.door.observer = (instruction, cpu) => {
    if (!instruction.startsWith("inv")) seen.push(`${instruction} on ${cpu.index}`);
  };
  machine.run(first);
  expect(seen.shift()).toBe("kvmLaunch");
  expect(new Set(seen)).toEqual(new Set(["kvmResume"]));
  seen.length = 0;
  machine.run(first);
  expect(seen).toEqual(["kvmResume"]);
  seen.length = 0;
  machine.run(second);
  expect(seen).toEqual(["vmclear on 0", "vmptrld on 1", "kvmLaunch"]);
  seen.length = 0;
  machine.run(second);
  expect(seen).toEqual(["kvmResume"]);
});

it("K3: HOST_RSP is written once for all entries from one depth of the stack, and once more from another", () => {
  const machine = new TestMachine(outLoop);
  const seen = traceLabels(machine, ["kvmWriteHostRsp"]);
  for (let n = 0; n < 100; n++) machine.run();
  expect(seen).toHaveLength(1);
  machine.cpu.select();
  machine.cpu.state.RSP -= 256n;
  machine.run();
  machine.run();
  expect(seen).toHaveLength(2);
});

it("K4: CR2 is written when it differs and only then, and the host's page faults do not become the guest's", () => {
  const machine = new TestMachine(outLoop);
  const { kernel, cpu, vcpu } = machine;
  vcpu.setSregs(cpu, { CR2: 0x6e57n });
  machine.run();
  const seen = traceLabels(machine, ["kvmWriteCr2"]);
  machine.run();
  expect(seen).toHaveLength(0);
  kernel.place("test", "touch: mov rax, [rdi]\ntouched: ret");
  kernel.onVector(14, ({ frame }) =>
    kernel.memory.writeNumber(frame + trapFrame.rip, kernel.symbol("touched")),
  );
  kernel.call(cpu, kernel.symbol("touch"), { rdi: 0x40_0000_0000 });
  expect(cpu.state.CR2).toBe(0x40_0000_0000n);
  machine.run();
  expect(seen).toHaveLength(1);
  expect(vcpu.loop.vmx.cr2).toBe(0x6e57n);
});

/** Change the VMCS as no ioctl would let. */
const spoil = (machine: TestMachine, act: (vmx: TestMachine["vcpu"]["loop"]["vmx"]) => void): void => {
  machine.vcpu.loop.load(machine.cpu).next();
  act(machine.vcpu.loop.vmx);
  machine.vcpu.loop.put();
};

describe("K5: a failed VMLAUNCH is an exit to the user", () => {
  it.each([
    [
      "control",
      7,
      (machine: TestMachine) => spoil(machine, (vmx) => vmx.write32(field["control.pinBased"], 0)),
    ],
    ["host-state", 8, (machine: TestMachine) => spoil(machine, (vmx) => vmx.write64(field["host.cr4"], 0n))],
  ] as const)("a bad %s field: error %i", (_area, error, act) => {
    const machine = new TestMachine(outLoop);
    const { kernel, cpu, vcpu } = machine;
    act(machine);
    expect(machine.run()).toBe(0);
    expect(vcpu.loop.vmx.fail).toBe(true);
    expect(vcpu.run).toMatchObject({ exitReason: KvmExit.FAIL_ENTRY, hardwareEntryFailureReason: error });
    cpu.select();
    cpu.state.RBP = 0x4057_5555n;
    const rsp = cpu.stackPointer;
    vcpu.loop.load(cpu).next();
    const encoding = field["host.rsp"].encoding;
    kernel.call(cpu, kernel.symbol("vmxVcpuRun"), { rcx: vcpu.loop.vmx.area, rdx: encoding });
    expect([cpu.stackPointer, cpu.state.RBP, cpu.state.RCX, cpu.state.RDX]).toEqual([
      rsp, 0x4057_5555n, BigInt(vcpu.loop.vmx.area), BigInt(encoding),
    ]); // biome-ignore format: one list
  });

  it("is launched again in fixed mode; in historic mode the next try is a VMRESUME of a VMCS that was never launched", () => {
    const errors = (["fixed", "historic"] as const).map((mode) => {
      const machine = new TestMachine(outLoop, { mode });
      let before = 0;
      spoil(machine, (vmx) => {
        before = vmx.read32(field["control.pinBased"]);
        vmx.write32(field["control.pinBased"], 0);
      });
      machine.run();
      spoil(machine, (vmx) => vmx.write32(field["control.pinBased"], before));
      machine.run();
      const { run } = machine.vcpu;
      return run.exitReason === KvmExit.IO ? "runs" : run.hardwareEntryFailureReason;
    });
    expect(errors).toEqual(["runs", 5]);
  });
});

it("K6: invalid guest state is a failed entry with the processor's reason, and no failed instruction", () => {
  const machine = new TestMachine(outLoop);
  spoil(machine, (vmx) => vmx.write64(field["guest.rflags"], 0n));
  machine.run();
  expect(machine.vcpu.run).toMatchObject({
    exitReason: KvmExit.FAIL_ENTRY,
    hardwareEntryFailureReason: 0x8000_0021,
  });
  expect(machine.vcpu.loop.vmx.fail).toBe(false);
});

it("K7: an instruction that changes flags before SETBE hides the failure", () => {
  const failOf = (worldSwitch?: (text: string) => string): boolean => {
    const machine = new TestMachine(outLoop, worldSwitch === undefined ? {} : { worldSwitch });
    spoil(machine, (vmx) => vmx.write32(field["control.pinBased"], 0));
    machine.vcpu.loop.load(machine.cpu).next();
    const { vmx } = machine.vcpu.loop;
    machine.kernel.call(machine.cpu, machine.kernel.symbol("vmxVcpuRun"), {
      rcx: vmx.area,
      rdx: field["host.rsp"].encoding,
    });
    return vmx.fail;
  };
  expect(failOf()).toBe(true);
  expect(failOf((text) => text.replace("setbe", "add rdx, 0\n setbe"))).toBe(false);
});

it("K18: after vcpu_put the host's tables, task register, segments and lazy registers are the host's", () => {
  const machine = new TestMachine(`
        mov ecx, 0xc0000102
        mov eax, 0x6e57
        xor edx, edx
        wrmsr
        movd xmm0, eax
        ${outLoop}`);
  const { cpu, kernel } = machine;
  const read = () => {
    cpu.select();
    const { state } = cpu;
    return [
      state["TR.limit"], state["TR.selector"], state["TR.access"], state["GDTR.limit"], state["FS.selector"], state["FS.base"], state["GS.base"],
      state["DS.selector"], state["ES.selector"], state["DS.access"], state.IA32_KERNEL_GS_BASE, state.XCR0,
    ]; // biome-ignore format: one list
  };
  kernel.place(
    "test",
    "setFs: mov fs, edi\n mov ecx, 0xc0000100\n mov eax, 0x4057\n xor edx, edx\n wrmsr\n ret",
  );
  kernel.call(cpu, kernel.symbol("setFs"), { rdi: processDataSegment });
  cpu.state.IA32_KERNEL_GS_BASE = 0x4057_2000n;
  const before = read();
  expect(before).toContain(processDataSegment);
  machine.run();
  expect(read()).toEqual(before);
  // The guest's FPU state is out of the registers: the next use by the host traps.
  expect(cpu.state.CR0 & CR0.TS).toBe(CR0.TS);
  machine.run();
  expect(read()).toEqual(before);
});

it("leaves none of the guest's values in registers that nobody saves, as the original did", () => {
  const left = (["fixed", "historic"] as const).map((mode) => {
    const machine = new TestMachine(`mov r8, 0x6e57\n ${outLoop}`, { mode });
    machine.run();
    machine.vcpu.loop.load(machine.cpu).next();
    const { kernel, cpu, vcpu } = machine;
    kernel.call(cpu, kernel.symbol("vmxVcpuRun"), {
      rcx: vcpu.loop.vmx.area,
      rdx: field["host.rsp"].encoding,
    });
    return cpu.state.R8;
  });
  expect(left).toEqual([0n, 0x6e57n]);
});

it("survives VMX operation ending under it when the machine restarts", () => {
  const machine = new TestMachine(outLoop);
  machine.run();
  const { kernel, cpu, vcpu, system } = machine;
  vcpu.loop.load(cpu).next();
  system.emergencyDisable(cpu);
  expect(
    kernel.call(cpu, kernel.symbol("vmxVcpuRun"), {
      rcx: vcpu.loop.vmx.area,
      rdx: field["host.rsp"].encoding,
    }),
  ).toBeUndefined();
  expect(kernel.died).toBeUndefined();
});

it("believes no exit field after a failed VMRESUME; the original queued the event of the exit before once more", () => {
  const outcomes = (["fixed", "historic"] as const).map((mode) => {
    const machine = new TestMachine(outLoop, { mode });
    machine.run();
    spoil(machine, (vmx) => {
      vmx.write32(field["control.pinBased"], 0);
      vmx.write32(field["exit.idtVectoringInformation"], 0x8000_0b0d);
      vmx.write32(field["exit.reason"], 0x8000_0021);
    });
    machine.run();
    const { run, loop } = machine.vcpu;
    return [run.hardwareEntryFailureReason, loop.vmx.events.exception.pending];
  });
  expect(outcomes).toEqual([
    [7, false],
    [0x8000_0021, true],
  ]);
});

it("starts at the reset vector below 4 GiB; in historic mode at the one below 1 MiB", () => {
  const bases = (["fixed", "historic"] as const).map((mode) => {
    const machine = new TestMachine(outLoop, { mode });
    const vcpu = machine.vm.createVcpu(1, machine.cpu);
    if (typeof vcpu === "number") return vcpu;
    const sregs = vcpu.getSregs(machine.cpu);
    return typeof sregs === "number" ? sregs : sregs["CS.base"];
  });
  expect(bases).toEqual([0xffff_0000n, 0xf_0000n]);
});

it("is not to be had on a processor without EPT", () => {
  expect(() => new TestMachine(outLoop, { without: new Set(["enableEPT"]) })).toThrow(/-19/);
});

it("runs on a processor of 2008, without unrestricted guests and XSAVE", () => {
  const machine = new TestMachine(`movd xmm0, eax\n ${outLoop}`, { model: "nehalem" });
  for (let n = 0; n < 3; n++) machine.run();
  expect(machine.vcpu.run.exitReason).toBe(KvmExit.IO);
});
