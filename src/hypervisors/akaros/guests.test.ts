import { describe, expect, it } from "vitest";
import { fieldSlot } from "../host/vmx-door.ts";
import { Bench, distinct, guestBytes, guestCode, guestStack, guestTables } from "./akaros.fixture.ts";
import { autoloadMsrs } from "./guest-core.ts";
import { contextType, errno, frameRegisters, hw, kernelExit, pageBytes, userAddress, vector, vm, vmFlag } from "./layout.ts"; // biome-ignore format: one list
import { userSelector } from "./trap-table.ts";

/** systems.md section 5.10: checks of guests. */

const failed = (reason: number): number => (reason | 0x8000_0000) >>> 0;
const HLT = 12;
const invalidGuestState = 33;

/** A virtual machine whose guest runs this. */
const guest = (
  text: string,
  options: ConstructorParameters<typeof Bench>[0] & { cores?: number } = {},
): Bench => {
  const bench = new Bench(options);
  expect(bench.setUpGuest(options.cores ?? 1)).toEqual({ error: 0, result: options.cores ?? 1 });
  bench.process.memory.fault(guestCode, { write: true, execute: true });
  bench.writeGuest(text);
  return bench;
};
/** Every VMX instruction of the kernel's, and each entry, from now on. */
const recorded = (bench: Bench): string[] => {
  const all: string[] = [];
  bench.akaros.door.observer = (name) => all.push(name);
  return all;
};
const uthread = (bench: Bench, name: keyof typeof vm, core = bench.core): number =>
  bench.memory.read32(bench.uthread(core).frame + vm[name]);
const uthread64 = (bench: Bench, name: keyof typeof vm): bigint =>
  bench.memory.read64(bench.uthread().frame + vm[name]);

describe("A9: a VM exit", () => {
  it("has 15 registers, CR2, CR3, RIP, RFLAGS and RSP in a frame of 0xD0 bytes under the stack top", () => {
    const bench = guest("mov cr2, rax\n hlt");
    const registers = distinct(9n);
    bench.pop(bench.guestThread(registers));
    const seen = bench.until("vmexit")!;
    expect(bench.core.stackTop - 0xffff_8000_0000_0000n - BigInt(seen.frame)).toBe(0xd0n);
    for (const name of frameRegisters) expect(uthread64(bench, name), name).toBe(registers[name]);
    expect(uthread64(bench, "cr2")).toBe(registers.rax);
    expect(uthread64(bench, "cr3")).toBe(BigInt(guestTables));
    expect(uthread64(bench, "rip")).toBe(BigInt(guestCode + 3));
    expect(uthread64(bench, "rflags")).toBe(2n);
    expect(uthread64(bench, "rsp")).toBe(BigInt(guestStack));
    expect([uthread(bench, "exitReason"), uthread(bench, "guestPcoreId")]).toEqual([HLT, 0]);
  });
});

describe("A10: launch and resume", () => {
  it("VMLAUNCH first, VMRESUME after CPUID, VMCLEAR and VMLAUNCH after the user-level scheduler", () => {
    const bench = guest("xor eax, eax\n cpuid\n hlt\n hlt");
    const instructions = recorded(bench);
    const thread = bench.guestThread();
    bench.pop(thread);
    bench.until("vmexit");
    expect(bench.core.counters).toMatchObject({ launches: 1, resumes: 0 });
    expect(bench.core.context.isPartial).toBe(true);
    bench.until("vmexit");
    expect(bench.core.counters).toMatchObject({ launches: 1, resumes: 1 });
    expect(instructions).toEqual(["vmptrld", "invept", "invept", "vmclear"]);
    const at = bench.process.memory.physical(thread);
    bench.memory.write(at, bench.memory.read(bench.uthread().at, 0xe0));
    const rip = at + 0x10 + vm.rip;
    bench.memory.write64(rip, bench.memory.read64(rip) + 1n);
    bench.pop(thread);
    bench.until("vmexit");
    expect(bench.core.counters).toMatchObject({ launches: 2, resumes: 1 });
    expect(instructions.slice(4)).toEqual(["vmptrld", "invept", "invept", "vmclear"]);
  });
});

describe("A11: a guest core on two cores", () => {
  it("is refused to the second with 0x80000101, and the first goes on", () => {
    const bench = guest("loop: inc rbx\n jmp loop", { processors: 2 });
    const [first, second] = bench.akaros.cores as [Bench["core"], Bench["core"]];
    bench.pop(bench.guestThread(), first);
    expect(bench.step(first, 5000)).toBe("slice");
    bench.akaros.grant(second, bench.process);
    bench.pop(bench.guestThread({}, 0, 1), second);
    // The refusal comes where the core would enter: its scheduler runs instead, and goes to sleep.
    expect(bench.until("syscall", second)).toBeDefined();
    expect(uthread(bench, "exitReason", second)).toBe(failed(kernelExit.GUEST_IN_USE));
    expect(uthread(bench, "flags", second) & vmFlag.HAS_FAULT).toBe(vmFlag.HAS_FAULT);
    expect(bench.process.machine!.guestCores[0]!.cpu).toBe(0);
    bench.akaros.kernel.sliceLeft = 5000;
    first.cpu.proceed();
    first.cpu.select();
    expect(first.cpu.state.RBX).toBeGreaterThan(2000n);
    expect(first.cpu.state["vmx.operation"]).toBe(2);
  });
});

describe("A12: entries that fail", () => {
  it("for an event that is none: the VM-instruction error, 0x80000102, and an unloaded guest core", () => {
    const bench = guest("hlt");
    const invalid = 0x8000_0000 | (1 << 8) | 32;
    bench.pop(bench.guestThread({ trapInject: BigInt(invalid >>> 0) }));
    expect(bench.until("entry failed")).toBeDefined();
    expect(uthread(bench, "exitReason")).toBe(failed(kernelExit.VMENTER_FAILED));
    expect(uthread(bench, "exitQual")).toBe(7);
    expect(bench.process.machine!.guestCores[0]!.cpu).toBe(-1);
  });
  it("for RFLAGS bit 1 behind the kernel's back: exit 33 with bit 31, by the way of every exit", () => {
    const bench = guest("hlt");
    bench.pop(bench.guestThread());
    bench.memory.write64(bench.core.context.frame + vm.rflags, 0n);
    expect(bench.until("vmexit")).toBeDefined();
    expect(uthread(bench, "exitReason")).toBe(failed(invalidGuestState));
    expect(bench.core.counters.vmExits).toBe(1);
  });
  it("`secure` gives RFLAGS bit 1 to whoever forgot it", () => {
    const bench = guest("hlt");
    bench.pop(bench.guestThread({ rflags: 0n }));
    bench.until("vmexit");
    expect(uthread(bench, "exitReason")).toBe(HLT);
  });
  it("`historic` leaves the guest core loaded: it can never be entered again", () => {
    const bench = guest("hlt", { mode: "historic" });
    bench.pop(bench.guestThread({ trapInject: 0x8000_0120n }));
    bench.until("entry failed");
    expect(bench.process.machine!.guestCores[0]!.cpu).toBe(0);
    bench.pop(bench.guestThread());
    bench.until("syscall");
    expect(uthread(bench, "exitReason")).toBe(failed(kernelExit.GUEST_IN_USE));
  });
});

describe("A13: an external interrupt in a guest", () => {
  it("is acknowledged by the exit, handled once with a frame of the user's, and the guest goes on where it was", () => {
    const bench = guest("loop: inc rbx\n jmp loop");
    const { akaros, core } = bench;
    const frames: { cs: number; rip: bigint; rbx: bigint }[] = [];
    akaros.onIrq(100, (_, frame) => {
      frames.push({
        cs: bench.memory.read32(frame + hw.cs),
        rip: bench.hw(frame, "rip"),
        rbx: bench.hw(frame, "rbx"),
      });
    });
    bench.pop(bench.guestThread());
    expect(bench.step(core, 5000)).toBe("slice");
    core.cpu.apic.sendInterrupt(0, 100);
    akaros.kernel.sliceLeft = 5000;
    expect(core.cpu.proceed()).toBe(true);
    const rbx = core.cpu.state.RBX;
    akaros.enterC(core);
    expect(bench.vm("intrinfo2")).toBe((0x8000_0000 | 100) >>> 0);
    expect(frames).toEqual([{ cs: userSelector.code, rip: bench.vm64("rip"), rbx }]);
    expect(core.cpu.processor.apic.hasInterrupt()).toBe(false);
    expect(bench.step(core, 5000)).toBe("slice");
    expect(core.cpu.state.RBX).toBeGreaterThan(rbx);
    expect(frames).toHaveLength(1);
  });
});

describe("A14: memory of the process is memory of the guest", () => {
  it("not present: the process's page fault, and the guest tries again without a word to user level", () => {
    const bench = guest(`mov rax, [${guestStack}]\n mov [${guestStack}], rsp\n hlt`);
    const calls = bench.calls.length;
    bench.memory.write64(bench.process.memory.physical(guestStack), 0x77n);
    const { faults } = bench.process.memory;
    // The whole guest is smaller than a large page at a large page's alignment, so one fault brings all of it.
    const before = bench.process.memory.entries(guestStack);
    bench.pop(bench.guestThread());
    bench.until("vmexit");
    if (before.ept === 0n) expect(bench.process.memory.faults).toBeGreaterThan(faults);
    while (uthread(bench, "exitReason") !== HLT) if (bench.step() !== undefined) break;
    expect(uthread64(bench, "rax")).toBe(0x77n);
    expect(bench.calls.length - calls).toBeLessThanOrEqual(2);
  });
  it("keeps the two kinds of tables in lock step", () => {
    const bench = guest("hlt");
    const { memory } = bench.process;
    memory.fault(userAddress.pages, { write: true, execute: false });
    for (const address of [guestCode, userAddress.pages]) {
      const { page, ept } = memory.entries(address);
      expect(page & 0xf_ffff_ffff_f000n).toBe(ept & 0xf_ffff_ffff_f000n);
      expect([page & 7n, ept & 7n]).toEqual([7n, 7n]);
    }
  });
  it("not mapped: HAS_FAULT and the guest-physical address for user level", () => {
    const bench = guest(`mov rax, [${guestBytes + 0x5008}]`);
    bench.pop(bench.guestThread());
    bench.until("vmexit");
    expect(uthread(bench, "exitReason")).toBe(48);
    expect(uthread(bench, "flags")).toBe(vmFlag.HAS_FAULT);
    expect(uthread64(bench, "guestPa")).toBe(BigInt(guestBytes + 0x5008));
    expect(bench.akaros.kernel.died).toBeUndefined();
  });
});

/** A guest with an IDT whose handler of 0x41 counts in R15. */
const withHandler = (mode: "historic" | "fixed" = "fixed"): Bench => {
  const bench = guest(
    `lidt [pointer]
     sti
     loop: inc rbx
     jmp loop
     handler: inc r15
     iretq
     align 16
     pointer: dw 0xfff
     dq 0x4000`,
    { mode },
  );
  const { process, memory } = bench;
  process.memory.mmap({ start: 0xfee0_0000, length: pageBytes, host: bench.pages!.access });
  const handler = BigInt(guestCode + handlerOffset(bench));
  const gate = process.memory.physical(0x4000) + 16 * 0x41;
  memory.write64(gate, (handler & 0xffffn) | (0x08n << 16n) | (0x8e00n << 32n));
  memory.write64(gate + 8, 0n);
  // The guest's GDT is read when the interrupt loads CS, and IRETQ SS.
  const gdt = process.memory.physical(0);
  memory.write64(gdt + 8, 0x00af_9b00_0000_ffffn);
  memory.write64(gdt + 16, 0x00cf_9300_0000_ffffn);
  return bench;
};
/** INC R15 is 49 FF C7. */
const handlerOffset = (bench: Bench): number => {
  const bytes = bench.memory.read(bench.process.memory.physical(guestCode), 64);
  return bytes.findIndex((_, n) => bytes[n] === 0x49 && bytes[n + 1] === 0xff && bytes[n + 2] === 0xc7);
};
const postedGuestRuns = (bench: Bench, budget = 20_000): void => {
  for (let n = 0; n < 20; n++) if (bench.step(bench.core, budget) === "slice") return;
};
const gdtLimit = (bench: Bench): void => {
  const { core, akaros } = bench;
  const [only] = bench.process.machine!.guestCores;
  akaros.door.vmptrld(core.cpu, only!.vmcs);
  akaros.door.write64(core.cpu, fieldSlot("guest.gdtr.limit"), 0xffffn);
  akaros.door.write64(core.cpu, fieldSlot("guest.idtr.limit"), 0xfffn);
  akaros.door.vmclear(core.cpu, only!.vmcs);
};

describe("A15: posted interrupts", () => {
  it("reach a running guest without an exit", () => {
    const bench = withHandler();
    gdtLimit(bench);
    bench.pop(bench.guestThread());
    postedGuestRuns(bench);
    const { core, process } = bench;
    const exits = core.counters.vmExits;
    process.machine!.guestCores[0]!.post(0x41);
    bench.akaros.poke(process, 0);
    bench.akaros.kernel.sliceLeft = 300;
    expect(core.cpu.proceed()).toBe(false);
    expect(core.cpu.state.R15).toBe(1n);
    expect(core.counters.vmExits).toBe(exits);
    expect(process.machine!.guestCores[0]!.hasOutstandingNotification).toBe(false);
  });
  it("that come between exit and entry are taken right after the entry, by an IPI to itself", () => {
    const bench = withHandler();
    gdtLimit(bench);
    bench.pop(bench.guestThread());
    postedGuestRuns(bench);
    const { core, akaros, process } = bench;
    // An interrupt of the host brings the guest out; its handler posts one, and sends no IPI.
    akaros.onIrq(100, () => process.machine!.guestCores[0]!.post(0x41));
    core.cpu.apic.sendInterrupt(0, 100);
    akaros.kernel.sliceLeft = 5000;
    expect(core.cpu.proceed()).toBe(true);
    akaros.enterC(core);
    expect(core.cpu.state.R15).toBe(0n);
    expect(bench.step(core, 300)).toBe("slice");
    expect(core.cpu.state.R15).toBe(1n);
  });
  it("`historic`: a poke in guest mode is swallowed; `fixed`: it brings the guest out", () => {
    const exitsOfPoke = (mode: "historic" | "fixed"): number => {
      const bench = guest("loop: jmp loop", { mode });
      bench.pop(bench.guestThread());
      bench.step(bench.core, 5000);
      const { core } = bench;
      const exits = core.counters.vmExits;
      core.cpu.apic.sendInterrupt(0, vector.POKE_CORE);
      bench.akaros.kernel.sliceLeft = 5000;
      if (core.cpu.proceed()) bench.akaros.enterC(core);
      return core.counters.vmExits - exits;
    };
    expect([exitsOfPoke("historic"), exitsOfPoke("fixed")]).toEqual([0, 1]);
  });
});

describe("A16: HLT", () => {
  it("goes to the controller, which moves RIP on by 1, injects, and the guest continues in its handler", () => {
    const bench = withHandler();
    gdtLimit(bench);
    bench.writeGuest("nop\n hlt", 0x5000);
    const thread = bench.guestThread({ rip: 0x5001n, rflags: 0x202n });
    const at = bench.process.memory.physical(thread);
    const { core } = bench;
    core.cpu.select();
    // IDTR as LIDT would leave it.
    const [only] = bench.process.machine!.guestCores;
    bench.akaros.door.vmptrld(core.cpu, only!.vmcs);
    bench.akaros.door.write64(core.cpu, fieldSlot("guest.idtr.base"), 0x4000n);
    bench.akaros.door.vmclear(core.cpu, only!.vmcs);
    bench.pop(thread);
    for (let n = 0; n < 9 && uthread(bench, "exitReason") !== HLT; n++) bench.until("vmexit");
    expect(uthread(bench, "exitReason")).toBe(HLT);
    bench.memory.write(at, bench.memory.read(bench.uthread().at, 0xe0));
    bench.memory.write64(at + 0x10 + vm.rip, 0x5002n);
    bench.memory.write32(at + 0x10 + vm.trapInject, 0x8000_0041);
    bench.writeGuest("loop: jmp loop", 0x5002);
    bench.pop(thread);
    postedGuestRuns(bench, 2000);
    expect(core.cpu.state.R15).toBe(1n);
    expect(core.cpu.state.RIP).toBe(0x5002n);
  });
});

describe("A17: refusals", () => {
  it("vmm_setup twice: EINVAL; without the processor's help: ENODEV", () => {
    const bench = guest("hlt");
    expect(bench.setUpGuest().error).toBe(errno.EINVAL);
    expect(new Bench({ minus: ["processPostedInterrupts"] }).setUpGuest().error).toBe(errno.ENODEV);
  });
  it("an unknown guest core: GUEST_IN_USE", () => {
    const bench = guest("hlt");
    bench.pop(bench.guestThread({}, 7, 0));
    bench.until("syscall");
    expect(uthread(bench, "exitReason")).toBe(failed(kernelExit.GUEST_IN_USE));
  });
  it("a guest's exit while notifications are disabled: the process ends, the kernel does not", () => {
    const bench = guest("hlt");
    bench.pop(bench.guestThread());
    bench.process.setNotificationsDisabled(0, true);
    bench.until("vmexit");
    expect(bench.process.ended?.says).toBe("VM exit 12 that nobody takes");
    expect(bench.akaros.kernel.died).toBeUndefined();
    expect(bench.process.machine!.guestCores[0]!.cpu).toBe(-1);
    expect(bench.step(bench.core, 2000)).toBe("waiting");
  });
});

describe("A18: unloading", () => {
  const hostMsrs = (bench: Bench) => {
    const { state } = bench.core.cpu;
    return {
      LSTAR: state.IA32_LSTAR,
      STAR: state.IA32_STAR,
      SFMASK: state.IA32_FMASK,
      KERNEL_GS_BASE: state.IA32_KERNEL_GS_BASE,
      XCR0: state.XCR0,
    };
  };
  const setAll = `${Object.values(autoloadMsrs)
    .map((msr, n) => `mov ecx, ${msr}\n mov eax, ${0x1000 + n}\n xor edx, edx\n wrmsr`)
    .join("\n")}
    mov eax, 0x50620
    mov cr4, rax
    xor ecx, ecx
    mov eax, 1
    xor edx, edx
    xsetbv
    hlt`;
  it("restores XCR0, LSTAR, STAR, SFMASK and KERNEL_GS_BASE after a run, and the guest's come back with it", () => {
    const bench = guest(setAll);
    const host = { ...hostMsrs(bench), KERNEL_GS_BASE: bench.core.area };
    const thread = bench.guestThread();
    bench.pop(thread);
    while (uthread(bench, "exitReason") !== HLT) expect(bench.step()).toBeUndefined();
    expect(hostMsrs(bench)).toEqual(host);
    expect(bench.core.cpu.state.XCR0).toBe(3n);
    const at = bench.process.memory.physical(thread);
    bench.memory.write(at, bench.memory.read(bench.uthread().at, 0xe0));
    bench.memory.write64(at + 0x10 + vm.rip, BigInt(guestStack - 0x100));
    bench.writeGuest("loop: jmp loop", guestStack - 0x100);
    bench.pop(thread);
    bench.step(bench.core, 2000);
    const { state } = bench.core.cpu;
    expect([
      state.IA32_KERNEL_GS_BASE,
      state.IA32_LSTAR,
      state.IA32_STAR,
      state.IA32_FMASK,
      state.XCR0,
    ]).toEqual([0x1000n, 0x1001n, 0x1002n, 0x1003n, 1n]);
  });
  it("restores them after an entry that failed", () => {
    const bench = guest("hlt");
    const host = { ...hostMsrs(bench), KERNEL_GS_BASE: bench.core.area };
    bench.pop(bench.guestThread({ trapInject: 0x8000_0120n }));
    bench.until("entry failed");
    expect(hostMsrs(bench)).toEqual(host);
    bench.pop(bench.guestThread());
    bench.memory.write64(bench.core.context.frame + vm.rflags, 0n);
    bench.until("vmexit");
    expect(hostMsrs(bench)).toEqual(host);
    expect(bench.core.cpu.state["vmx.operation"]).toBe(1);
  });
});

describe("Contexts from user level", () => {
  it("keep IOPL in `historic` only, and every address is the user's", () => {
    for (const mode of ["historic", "fixed"] as const) {
      const bench = new Bench({ mode });
      bench.setHw(bench.core, { rip: 0xffff_8000_0000_0000n, gsbase: 1n << 60n, rflags: 0x3002n });
      const { frame } = bench.core.context;
      expect(bench.hw(frame, "rip")).toBe(0n);
      expect(bench.hw(frame, "gsbase")).toBe(0n);
      expect(bench.hw(frame, "rflags")).toBe(mode === "historic" ? 0x3202n : 0x202n);
      expect(bench.core.context.type).toBe(contextType.HW);
    }
  });
});
