import { describe, expect, it } from "vitest";
import { ApicBus } from "../../devices/apic-bus.ts";
import { LocalApic } from "../../devices/local-apic.ts";
import type { HostKernel } from "../host/host-kernel.ts";
import { blockingBy, field } from "../host/vmcs-slots.ts";
import { guestAddress, TestMachine } from "./kvm.fixture.ts";
import type { Irqchip, KvmVm } from "./kvm.ts";
import { errno, KvmExit } from "./kvm-run.ts";

/** One local APIC in the kernel and no other chip. */
const localApicOnly =
  (vm: () => KvmVm) =>
  (kernel: HostKernel): Irqchip => {
    const apic = new LocalApic({
      id: 0,
      bootstrap: true,
      clock: kernel.callouts,
      bus: new ApicBus(() => {}),
      pins: {
      interruptRequest: () => vm().vcpus[0]?.loop.interruptRequest(),
      nmi() {}, init() {}, startup() {}, smi() {}, apicPage() {},
    }, // biome-ignore format: one record
      externalVector: () => 0xff,
      tsc: () => BigInt(kernel.pc.clock.nowNs),
      nsUntilTsc: () => 0,
    });
    return {
      devices: () => ({
      ownsPort: () => false, ownsMemory: () => false, readPort: () => 0, writePort() {}, readMemory: () => 0, writeMemory() {},
    }), // biome-ignore format: one record
      apic: () => apic,
      highestRequest: () => -1,
      line: () => ({ set() {} }),
    };
  };

const later = ({ kernel }: TestMachine, ns: number, act: () => void): void =>
  kernel.pc.clock.timer("test", act).arm(kernel.pc.clock.nowNs + ns);

const spin = "spin: jmp spin";

it("K8: an external interrupt goes to the host's handler once, right after interrupts are enabled; the guest stays where it was", () => {
  const machine = new TestMachine(spin);
  const { kernel, cpu, vcpu } = machine;
  const seen: (string | boolean)[] = [];
  kernel.onVector(0x50, () => {
    cpu.apic.endOfInterrupt();
    seen.push("handler", vcpu.loop.exitReason === 1, vcpu.loop.guestMode);
    vcpu.loop.signal = true;
  });
  later(machine, 20_000, () => cpu.apic.sendInterrupt(0, 0x50));
  expect(machine.run()).toBe(errno.EINTR);
  expect(seen).toEqual(["handler", true, false]);
  expect(machine.exits(1)).toBe(1);
  expect(machine.regs.RIP).toBe(BigInt(machine.symbols.get("spin")!));
});

it("K9: a host NMI reaches the host's handler before any maskable interrupt", () => {
  const machine = new TestMachine(spin);
  const { kernel, cpu, vcpu } = machine;
  const seen: string[] = [];
  kernel.onVector(2, () => seen.push("NMI"));
  kernel.onVector(0x50, () => {
    cpu.apic.endOfInterrupt();
    seen.push("interrupt");
    vcpu.loop.signal = true;
  });
  later(machine, 20_000, () => {
    cpu.apic.sendInterrupt(0, 0x50);
    cpu.apic.sendNmi(0);
  });
  expect(machine.run()).toBe(errno.EINTR);
  expect(seen).toEqual(["NMI", "interrupt"]);
});

const countingHandler = `
vector64: inc qword [count]
        mov al, 0x40
        out 0x10, al
        iretq
        align 8
count:  dq 0`;

describe("K10: an EPT violation while an interrupt is delivered", () => {
  it("shows it in the IDT-vectoring information, and the same vector is delivered by the next entry, once", () => {
    const machine = new TestMachine(`nop\n ${spin}\n ${countingHandler}`);
    const { vcpu, cpu } = machine;
    const { events } = vcpu.loop.vmx;
    const vectoring: number[] = [];
    const complete = events.complete.bind(events);
    events.complete = (information) => {
      vectoring.push(information);
      complete(information);
    };
    vcpu.setRegs(cpu, { RFLAGS: 0x202n });
    vcpu.interrupt(0x40);
    machine.run();
    expect(vcpu.run.exitReason).toBe(KvmExit.IO);
    // The IDT and the stack have not been touched before: their pages come one by one.
    expect(vectoring).toContain(0x8000_0040);
    expect(machine.read64(machine.symbols.get("count")!)).toBe(1n);
    vcpu.loop.signal = true;
    machine.run();
    expect(machine.read64(machine.symbols.get("count")!)).toBe(1n);
  });
});

it.each([
  ["fixed", blockingBy.NMI],
  ["historic", 0],
] as const)("K11: an IRET that met an EPT violation leaves NMIs blocked, in %s mode %i", (mode, expected) => {
  const machine = new TestMachine(
    `nop
back:   out 0x11, al
vector2: mov rsp, 0x150000
        iretq`,
    { mode },
  );
  const { vcpu, vm } = machine;
  const frame = BigUint64Array.of(
    BigInt(machine.symbols.get("back")!),
    8n,
    2n,
    BigInt(guestAddress.stack),
    0x10n,
  );
  machine.write(0x15_0000, new Uint8Array(frame.buffer));
  let blocking = -1;
  const fault = vm.memory.fault.bind(vm.memory);
  vm.memory.fault = (address, isWrite) => {
    if (address === 0x15_0000)
      blocking = vcpu.loop.vmx.read32(field["guest.interruptibility"]) & blockingBy.NMI;
    return fault(address, isWrite);
  };
  vcpu.nmi();
  machine.run();
  expect(vcpu.run.io.port).toBe(0x11);
  expect(blocking).toBe(expected);
});

it("K11: an IRET that faulted with an exception that is looked at leaves NMIs blocked", () => {
  const machine = new TestMachine(spin);
  const { vmx } = machine.vcpu.loop;
  machine.vcpu.loop.load(machine.cpu).next();
  const recovered = (information: number, vectoring: number): number => {
    vmx.write32(field["guest.interruptibility"], 0);
    vmx.events.recoverNmiBlocking(information, vectoring);
    return vmx.read32(field["guest.interruptibility"]);
  };
  const page = 0x8000_1b0e;
  expect(recovered(page, 0)).toBe(blockingBy.NMI);
  expect(recovered(page - 0x1000, 0)).toBe(0);
  expect(recovered(page, 0x8000_0040)).toBe(0);
  expect(recovered(0x8000_1b08, 0)).toBe(0);
});

it("K12: a signal between injection and entry puts the event back into its queue", () => {
  const machine = new TestMachine(`nop\n ${spin}\n ${countingHandler}`);
  const { vcpu, cpu } = machine;
  vcpu.setRegs(cpu, { RFLAGS: 0x202n });
  vcpu.interrupt(0x40);
  vcpu.loop.signal = true;
  expect(machine.run()).toBe(errno.EINTR);
  expect(vcpu.loop.counts.entries).toBe(0);
  expect(vcpu.loop.vmx.read32(field["control.entryInterruptionInformation"])).toBe(0);
  expect(vcpu.loop.vmx.events.interrupt).toMatchObject({ pending: true, vector: 0x40 });
  vcpu.loop.signal = false;
  machine.run();
  expect(machine.read64(machine.symbols.get("count")!)).toBe(1n);
});

describe("K13: HLT", () => {
  it("without interrupt controllers in the kernel is an exit, RIP already past it", () => {
    const machine = new TestMachine("hlt\nafter: nop");
    machine.run();
    expect(machine.vcpu.run.exitReason).toBe(KvmExit.HLT);
    expect(machine.regs.RIP).toBe(BigInt(machine.symbols.get("after")!));
  });

  it("with them puts the thread to sleep until an interrupt wakes it", () => {
    let machine: TestMachine | undefined;
    machine = new TestMachine(
      `
        mov ecx, 0x1b
        rdmsr
        or eax, 0xc00
        wrmsr
        xor edx, edx
        mov ecx, 0x80f
        mov eax, 0x1ff
        wrmsr
        mov ecx, 0x832
        mov eax, 0x40
        wrmsr
        mov ecx, 0x838
        mov eax, 1000000
        wrmsr
        sti
        hlt
        out 0x11, al
vector64: inc qword [count]
        iretq
        align 8
count:  dq 0`,
      { irqchip: localApicOnly(() => machine!.vm) },
    );
    const { pc } = machine.kernel;
    machine.run();
    expect(machine.vcpu.run.io.port).toBe(0x11);
    expect(machine.exits(12)).toBe(1);
    expect(machine.read64(machine.symbols.get("count")!)).toBe(1n);
    // It slept: time went by, and hardly an instruction.
    expect(pc.clock.nowNs).toBeGreaterThan(1_000_000 - 100_000);
    expect(pc.retired).toBeLessThan(100_000);
  });
});

it("K17: an interrupt window that the user asks for opens after STI and its shadow, not before", () => {
  const machine = new TestMachine("nop\n nop\n sti\n nop\nafter: out 0x10, al");
  const { vcpu } = machine;
  vcpu.run.requestInterruptWindow = true;
  machine.run();
  expect(vcpu.run).toMatchObject({
    exitReason: KvmExit.IRQ_WINDOW_OPEN,
    readyForInterruptInjection: true,
    ifFlag: true,
  });
  expect(machine.regs.RIP).toBe(BigInt(machine.symbols.get("after")!));
});
