import { expect, it } from "vitest";
import { hostKernelBytes } from "../host/host-kernel.ts";
import { guestAddress, guestBytes, TestMachine } from "./kvm.fixture.ts";
import { KvmExit } from "./kvm-run.ts";

it("K14: OUT is an exit with RIP already past it, IN takes its value from the page at the next KVM_RUN", () => {
  const machine = new TestMachine(
    "mov al, 0x5a\n mov dx, 0x3f8\n out dx, al\nafter: in al, dx\n out 0x11, al",
  );
  const { vcpu } = machine;
  machine.run();
  expect(vcpu.run).toMatchObject({
    exitReason: KvmExit.IO,
    io: { isOut: true, size: 1, port: 0x3f8, count: 1 },
  });
  expect(vcpu.run.buffer.getUint8(0)).toBe(0x5a);
  expect(machine.regs.RIP).toBe(BigInt(machine.symbols.get("after")!));
  machine.run();
  expect(vcpu.run.io).toMatchObject({ isOut: false, port: 0x3f8 });
  vcpu.run.buffer.setUint8(0, 0x77);
  machine.run();
  expect(vcpu.run.buffer.getUint8(0)).toBe(0x77);
});

it("K15: RDMSR of an MSR that there is not is #GP(0), RIP at the instruction", () => {
  const machine = new TestMachine(`
        mov ecx, 0x12345
bad:    rdmsr
vector13: pop rax
        pop rbx
        out 0x11, al`);
  machine.run();
  expect(machine.regs).toMatchObject({ RAX: 0n, RBX: BigInt(machine.symbols.get("bad")!) });
});

it("K16: the guest's first use of the FPU is one exit, and one more after another thread had the processor", () => {
  const machine = new TestMachine(`
        mov ebx, 3
again:  movd xmm0, ebx
        cpuid
        movd xmm0, ebx
        vmcall
        out 0x11, al
        jmp again`);
  const { vcpu, cpu, kernel } = machine;
  machine.run();
  expect(machine.exits(0)).toBe(1);
  // Another thread of the host has the processor for a while, and the guest's state leaves the FPU.
  vcpu.loop.needResched = true;
  const thread = vcpu.ioctlRun(cpu);
  kernel.sliceLeft = 1_000_000;
  expect(thread.next().value).toBe("slice");
  while (!thread.next().done);
  expect(machine.exits(0)).toBe(2);
  expect(vcpu.loop.counts.fpuLoads).toBe(2);
});

it("gives memory that is no slot's to the user, as a store and as a load that waits for its value", () => {
  const machine = new TestMachine(`
        mov rdi, 0x10000000
        mov dword [rdi + 8], 0x12345678
        add [rdi + 16], ebx
        mov rax, [rdi]
        out 0x11, al`);
  const { vcpu } = machine;
  const { run } = vcpu;
  vcpu.setRegs(machine.cpu, { RBX: 5n });
  machine.run();
  expect(run).toMatchObject({
    exitReason: KvmExit.MMIO,
    mmio: { address: 0x1000_0008, length: 4, isWrite: true, value: 0x1234_5678 },
  });
  machine.run();
  expect(run.mmio).toMatchObject({ address: 0x1000_0010, isWrite: false });
  run.mmio.value = 37;
  machine.run();
  expect(run.mmio).toMatchObject({ address: 0x1000_0010, isWrite: true, value: 42 });
  for (const [half, value] of [
    [0, 0x9abc_def0],
    [4, 0x1234_5678],
  ] as const) {
    machine.run();
    expect(run.mmio).toMatchObject({ address: 0x1000_0000 + half, length: 4, isWrite: false });
    run.mmio.value = value;
  }
  machine.run();
  expect(machine.regs.RAX).toBe(0x1234_5678_9abc_def0n);
});

it("logs the pages that the guest writes, once each until the log is read", () => {
  const machine = new TestMachine(
    "mov rdi, 0x180000\nagain: mov [rdi], rax\n out 0x11, al\n add rdi, 0x1000\n jmp again",
  );
  const { vm } = machine;
  const region = { slot: 0, guestPhysAddr: 0, memorySize: guestBytes, userspaceAddr: hostKernelBytes };
  expect(vm.setUserMemoryRegion({ ...region, logsDirtyPages: true })).toBe(0);
  const written = (): number[] => {
    const log = vm.getDirtyLog(0)!;
    return Array.from({ length: guestBytes / 4096 }, (_, page) => page).filter(
      (page) => log[page >> 3]! & (1 << (page & 7)) && page >= 0x180 && page < 0x200,
    );
  };
  machine.run();
  machine.run();
  expect(written()).toEqual([0x180, 0x181]);
  machine.run();
  expect(written()).toEqual([0x182]);
  expect(written()).toEqual([]);
});

it("moves a string to ports element by element", () => {
  const machine = new TestMachine(
    'lea rsi, [text]\n mov ecx, 3\n mov dx, 0x3f8\n rep outsb\n hlt\ntext: db "abc"',
  );
  const { run } = machine.vcpu;
  let text = "";
  for (machine.run(); run.exitReason === KvmExit.IO; machine.run())
    text += String.fromCharCode(run.buffer.getUint8(0));
  expect(text).toBe("abc");
  expect(run.exitReason).toBe(KvmExit.HLT);
});

it.each([
  ["a triple fault", "ud2", KvmExit.SHUTDOWN],
  [
    "an instruction that nobody emulates, at a device",
    "mov rdi, 0x10000000\n fxsave [rdi]",
    KvmExit.INTERNAL_ERROR,
  ],
])("ends the guest's run by %s", (_what, text, reason) => {
  const machine = new TestMachine(text);
  machine.vcpu.setSregs(machine.cpu, { "IDTR.base": 0n, "IDTR.limit": 0 });
  machine.run();
  expect(machine.vcpu.run.exitReason).toBe(reason);
});

it("translates linear addresses by the guest's page tables", () => {
  const machine = new TestMachine("hlt");
  expect(machine.vcpu.translate(machine.cpu, BigInt(guestAddress.code))).toBe(guestAddress.code);
  expect(machine.vcpu.translate(machine.cpu, 0x80_0000_0000n)).toBeUndefined();
});
