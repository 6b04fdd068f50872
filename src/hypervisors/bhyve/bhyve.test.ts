import { describe, expect, it } from "vitest";
import { DELIVERY_MODE } from "../../devices/apic-bus.ts";
import { gdt, interruptGate } from "../host/host-image.ts";
import { StepTrace, worldChange } from "../host/step-trace.fixture.ts";
import { fieldSlot } from "../host/vmx-door.ts";
import { HostWorld, worldValue } from "../host/world-oracle.fixture.ts";
import { Bench, guestCode } from "./bench.fixture.ts";
import { contextLayout } from "./context.ts";
import type { GeneralName, VmExit } from "./vmm.ts";
import { astFlag, setjmpReturn, worldSwitch } from "./world-switch.ts";

/** The acceptance checks of the first version's behaviour, by their numbers. */

const hostPromise = {
  registers: [
    "RBX",
    "RBP",
    "R12",
    "R13",
    "R14",
    "R15",
    "IA32_LSTAR",
    "IA32_CSTAR",
    "IA32_FMASK",
    "IA32_KERNEL_GS_BASE",
  ],
  hasVectors: true,
  stackBytes: 4096,
} as const;
const hostWorld = (bench: Bench): HostWorld =>
  new HostWorld(bench.kernel.cpus[0]!, bench.kernel.memory, hostPromise);

// biome-ignore format: one list
const general: readonly GeneralName[] = ["rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

const isInout = (exit: VmExit): exit is VmExit & { code: "INOUT" } => exit.code === "INOUT";
const inout = (exit: VmExit): VmExit & { code: "INOUT" } => {
  if (!isInout(exit)) throw new Error(`exit ${exit.code}`);
  return exit;
};
const next = ({ rip, instLength }: VmExit): bigint => rip + BigInt(instLength);
const irq = (bench: Bench, vector: number): boolean =>
  bench.apics[0]!.accept({ deliveryMode: DELIVERY_MODE.FIXED, vector, levelTriggered: false });

/** Which world changes and VMX instructions a run is made of. */
const changesOf = (bench: Bench, run: () => void): readonly string[] => {
  const { kernel, instructions } = bench;
  instructions.length = 0;
  kernel.trace = new StepTrace((rip) => {
    const change = worldChange(kernel.memory.read(rip, 3));
    if (change !== undefined) instructions.push(change);
  });
  run();
  kernel.trace = undefined;
  return [...instructions];
};

const tables = { gdt: 0x2_0000, idt: 0x2_1000 } as const;
/** A GDT and an IDT with one handler for the guest. */
const giveIdt = ({ vm, symbols }: Bench, vector: number, handler: string): void => {
  vm.memory.writeBytes(tables.gdt, gdt(0));
  vm.memory.writeBytes(tables.idt + 16 * vector, interruptGate(Number(symbols.get(handler))));
  vm.setDescriptor(0, "gdtr", { base: BigInt(tables.gdt), limit: 0x3f, access: 0 });
  vm.setDescriptor(0, "idtr", { base: BigInt(tables.idt), limit: 0xfff, access: 0 });
};

describe.each(["fixed", "historic"] as const)("bhyve, %s", (mode) => {
  it("B1: the register file has the guest's registers after an exit", () => {
    const set = general.map((name, n) => `mov ${name}, 0x${worldValue("guest", n).toString(16)}`).join("\n");
    const guest = `mov rax, 0x5a5a000\n mov cr2, rax\n mov rsp, 0x7f000\n ${set}\n out 0x80, al`;
    const bench = new Bench({ guest, mode });
    const exit = inout(bench.exit());
    const { context } = bench.cookie.vcpus[0]!;
    general.forEach((name, n) => {
      expect(context.guest(name), name).toBe(worldValue("guest", n));
      expect(bench.register(name), name).toBe(worldValue("guest", n));
    });
    expect(bench.register("cr2")).toBe(0x5a5a000n);
    expect(bench.register("rsp")).toBe(0x7f000n);
    expect(bench.register("rip")).toBe(exit.rip);
    expect(bench.register("rflags")).toBe(2n);
  });

  it("B2: the host's callee-saved registers, stack and MSRs are as before, after 1, 2 and 1000 exits", () => {
    const bench = new Bench({ guest: "again: out 0x80, al\n jmp again", mode });
    const world = hostWorld(bench);
    for (const exits of [1, 2, 1000]) {
      world.fill();
      for (let n = 0; n < exits; n++) bench.exit();
      expect(world.mixed()).toEqual([]);
    }
  });

  it("B3: one VM_RUN loads the VMCS, launches once, resumes, and clears it", () => {
    const bench = new Bench({ guest: "again: cpuid\n cpuid\n cpuid\n out 0x80, al\n jmp again", mode });
    const one = ["VMPTRLD", "INVVPID", "VMLAUNCH", "VMRESUME", "VMRESUME", "VMRESUME", "VMCLEAR"];
    expect(changesOf(bench, () => bench.exit())).toEqual(one);
    expect(changesOf(bench, () => bench.exit())).toEqual(one.filter((name) => name !== "INVVPID"));
  });

  it("B4: vmx_setjmp returns twice at one call site, whose return slot had been used in between", () => {
    const bench = new Bench({ guest: "out 0x80, al", mode });
    const { kernel } = bench;
    const { context } = bench.cookie.vcpus[0]!;
    const seen: number[] = [];
    const at = kernel.symbol("vmx_run_guest");
    const returned = [...kernel.memory.read(at, 32)].findIndex(
      (byte, n, all) => byte === 0x85 && all[n + 1] === 0xc0,
    );
    kernel.trace = new StepTrace((rip, cpu) => {
      if (rip === at + returned) seen.push(cpu.rax);
      if (rip === kernel.symbol("vmx_longjmp"))
        kernel.memory.write64(Number(context.host("rsp")), 0xdead_dead_deadn);
    });
    expect(bench.exit().code).toBe("INOUT");
    expect(seen).toEqual([setjmpReturn.direct, setjmpReturn.longjmp]);
  });

  it("B4: without writing that slot again the host is lost", () => {
    const broken = worldSwitch.replace("mov [rsp], rax", "");
    const bench = new Bench({ guest: "out 0x80, al", mode, worldSwitch: broken });
    const { kernel } = bench;
    const { context } = bench.cookie.vcpus[0]!;
    kernel.trace = new StepTrace((rip) => {
      if (rip === kernel.symbol("vmx_longjmp"))
        kernel.memory.write64(Number(context.host("rsp")), 0xdead_dead_deadn);
    });
    expect(() => bench.exit()).toThrow(/died/);
  });

  it("B5: the temporary stack takes one return address, and nothing is written below the register file", () => {
    const writes = (text: string): number[] => {
      const bench = new Bench({ guest: "out 0x80, al", mode, worldSwitch: text });
      const { kernel } = bench;
      const { address } = bench.cookie.vcpus[0]!.context;
      const from = address - 64;
      const before = kernel.memory.read(from, 64 + contextLayout.temporaryStackTop);
      bench.exit();
      const after = kernel.memory.read(from, before.length);
      return [...after].flatMap((byte, n) => (byte === before[n] ? [] : [Math.floor((n - 64) / 8)]));
    };
    expect([...new Set(writes(worldSwitch))]).toEqual([31]);
    const broken = worldSwitch.replace(/add rsp, tmpstktop\s+; the call pushes.*/, "");
    expect([...new Set(writes(broken))]).toEqual([-1]);
  });

  it("B6: a bad host field is VMfailValid 8: code 3, ENOEXEC, and the host unharmed", () => {
    const bench = new Bench({ guest: "out 0x80, al", mode });
    bench.inVmcs(() => bench.door.write64(bench.kernel.cpus[0]!, fieldSlot("host.cr4"), 0x20n));
    const world = hostWorld(bench);
    world.fill();
    const { errno, exit } = bench.run();
    expect(world.mixed()).toEqual([]);
    expect(errno).toBe("ENOEXEC");
    expect(exit).toMatchObject({ code: "VMX", error: 8, reason: 0xffff_ffff, qualification: 0xffff_ffffn });
    expect(bench.cookie.vcpus[0]!.context.launchError).toBe(2);
    // The first version's error exit forgot to enable interrupts again.
    expect(bench.kernel.cpus[0]!.interruptsEnabled).toBe(mode === "fixed");
  });

  it("B6: without a current VMCS it is VMfailInvalid", () => {
    const bench = new Bench({ guest: "out 0x80, al", mode });
    const cpu = bench.kernel.cpus[0]!;
    const { context } = bench.cookie.vcpus[0]!;
    expect(
      bench.kernel.call(cpu, bench.kernel.symbol("vmx_run_guest"), { rdi: context.address }),
    ).toBeUndefined();
    expect(cpu.rax).toBe(setjmpReturn.vmlaunch);
    expect(context.launchError).toBe(1);
  });

  it("B7: resuming what was not launched is put right by launching it, with the same setjmp", () => {
    const bench = new Bench({ guest: "out 0x80, al", mode });
    const cpu = bench.kernel.cpus[0]!;
    const { context, vmcs } = bench.cookie.vcpus[0]!;
    const world = hostWorld(bench);
    bench.exit();
    const changes = changesOf(bench, () => {
      bench.door.vmptrld(cpu, vmcs);
      context.launched = true;
      world.fill();
      expect(
        bench.kernel.call(cpu, bench.kernel.symbol("vmx_run_guest"), { rdi: context.address }),
      ).toBeUndefined();
    });
    expect(changes).toEqual(["VMPTRLD", "VMRESUME", "VMLAUNCH"]);
    expect(cpu.rax).toBe(setjmpReturn.longjmp);
    expect(world.mixed().filter((line) => !line.includes("IA32_"))).toEqual([]);
  });

  it("B8: an invalid guest state is an exit for the user, reason 33", () => {
    const bench = new Bench({ guest: "out 0x80, al", mode });
    bench.vm.setRegister(0, "rflags", 0n);
    expect(bench.exit()).toMatchObject({ code: "VMX", error: 0, reason: 33 });
  });

  it("B9: an AST abandons the entry, and the interrupt is not lost", () => {
    const bench = new Bench({ guest: "nop\n hlt\n handler: out 0x81, al", mode });
    giveIdt(bench, 0x40, "handler");
    bench.vm.setRegister(0, "rflags", 0x202n);
    irq(bench, 0x40);
    const cpu = bench.kernel.cpus[0]!;
    bench.kernel.memory.write32(cpu.area + astFlag, 1);
    let exit: VmExit | undefined;
    const changes = changesOf(bench, () => {
      exit = bench.exit();
    });
    expect(changes).toEqual(["VMPTRLD", "INVVPID", "VMCLEAR"]);
    expect(exit).toMatchObject({ code: "BOGUS", instLength: 0, rip: BigInt(guestCode) });
    expect(inout(bench.exit(exit!.rip)).port).toBe(0x81);
    const { ISR, IRR } = bench.apics[0]!.state;
    expect([ISR[2], IRR[2]]).toEqual([1, 0]);
  });

  it("B10: the host takes its timer interrupt, and VM_RUN does not come back for it", () => {
    const guest = "spin: inc rax\n cmp byte [0x30000], 0\n je spin\n out 0x80, al";
    const bench = new Bench({ guest, mode });
    let fired = 0;
    bench.after(20_000, () => {
      fired++;
      bench.vm.memory.writeBytes(0x3_0000, Uint8Array.of(1));
    });
    expect(inout(bench.exit()).port).toBe(0x80);
    expect(fired).toBe(1);
    expect(bench.vm.vcpus[0]!.stats).toMatchObject({ externalInterrupts: 1, exits: 2 });
    expect(bench.register("rax")).toBeGreaterThan(1000n);
  });

  it("B11: OUT and IN go to the user, who sets RAX", () => {
    const guest = "mov dx, 0x3f8\n mov eax, 0x1241\n out dx, al\n in eax, dx\n out 0x80, eax";
    const bench = new Bench({ guest, mode });
    const out = inout(bench.exit());
    expect(out).toMatchObject({
      bytes: 1,
      in: false,
      port: 0x3f8,
      eax: 0x1241,
      instLength: 1,
      string: false,
      rep: false,
    });
    const input = inout(bench.exit(next(out)));
    expect(input).toMatchObject({ bytes: 4, in: true, port: 0x3f8 });
    bench.vm.setRegister(0, "rax", 0x1234_5678n);
    expect(inout(bench.exit(next(input)))).toMatchObject({ bytes: 4, port: 0x80, eax: 0x1234_5678 });
  });

  it("B12: an interrupt waits for its window, and comes after the shadow of STI", () => {
    const guest =
      "mov ecx, 100\n wait: dec ecx\n jnz wait\n sti\n nop\n after: jmp after\n handler: mov rax, [rsp]\n out 0x80, al";
    const bench = new Bench({ guest, mode });
    giveIdt(bench, 0x50, "handler");
    irq(bench, 0x50);
    expect(inout(bench.exit()).port).toBe(0x80);
    expect(bench.register("rax")).toBe(bench.symbols.get("after"));
    expect(bench.vm.vcpus[0]!.stats.exits).toBe(2);
  });

  it("B13: CPUID shows a hypervisor and no VMX", () => {
    const guest = "mov eax, 0x40000000\n cpuid\n out 0x80, al\n mov eax, 1\n cpuid\n out 0x80, al";
    const bench = new Bench({ guest, mode });
    const signature = inout(bench.exit());
    const words = (["rbx", "rcx", "rdx"] as const).map((name) => Number(bench.register(name)));
    expect(Buffer.from(new Uint32Array(words).buffer).toString()).toBe("bhyve bhyve ");
    bench.exit(next(signature));
    expect(Number(bench.register("rcx")) >>> 31).toBe(1);
    expect(Number(bench.register("rcx")) & (1 << 5)).toBe(0);
  });

  it("B14: a store where no memory is goes to the user decoded", () => {
    const bench = new Bench({ guest: "mov rbx, 0x10000000\n mov [rbx + 8], ecx", mode });
    expect(bench.exit()).toMatchObject({
      code: "PAGING",
      gpa: 0x1000_0008,
      access: { kind: "store", size: 4, register: { number: 1 } },
      instLength: 3,
    });
  });

  it("B15: HLT sleeps in the kernel until an interrupt of the local APIC wakes it", () => {
    const bench = new Bench({ guest: "sti\n hlt\n nop\n out 0x80, al\n handler: out 0x81, al", mode });
    giveIdt(bench, 0x60, "handler");
    bench.vm.setCapability(0, "hlt_exit", true);
    bench.after(1_000_000, () => irq(bench, 0x60));
    expect(inout(bench.exit()).port).toBe(0x81);
    expect(bench.kernel.pc.clock.nowNs).toBeGreaterThan(1_000_000);
    expect(bench.vm.vcpus[0]!.stats).toMatchObject({ hlts: 1, userExits: 2 });
  });

  it("B16: a virtual processor that runs is busy", () => {
    const bench = new Bench({ guest: "spin: jmp spin", mode, processors: 2 });
    const [first, second] = bench.kernel.cpus;
    const running = bench.vm.run(0, first!, BigInt(guestCode));
    bench.kernel.sliceLeft = 1000;
    expect(running.next()).toEqual({ done: false, value: "slice" });
    expect(bench.kernel.finish(bench.vm.run(0, second!, 0n))).toMatchObject({ errno: "EBUSY" });
    expect(bench.vm.getRegister(0, "rax")).toBe("EBUSY");
    expect(bench.vm.setCapability(0, "hlt_exit", true)).toBe("EBUSY");
  });

  it("B17: on another processor the host's own bases are written and the VPID is invalidated, once", () => {
    const bench = new Bench({ guest: "again: out 0x80, al\n jmp again", mode, processors: 2 });
    bench.exit();
    bench.instructions.length = 0;
    bench.exit(guestCode, 0, 1);
    bench.exit(guestCode, 0, 1);
    expect(bench.instructions.filter((name) => name === "INVVPID")).toHaveLength(1);
    expect(bench.vm.vcpus[0]!.stats.migrations).toBe(1);
    const other = bench.kernel.cpus[1]!;
    const bases = bench.inVmcs(() =>
      (["host.tr.base", "host.gdtr.base", "host.gs.base"] as const).map((name) =>
        bench.door.readNumber(bench.kernel.cpus[0]!, fieldSlot(name)),
      ),
    );
    expect(bases).toEqual([other.TSS, other.GDT, other.area]);
  });

  it("B18: the host cannot use the FPU between exit and saving it without noticing", () => {
    const bench = new Bench({ guest: "out 0x80, al", mode });
    bench.kernel.place("careless", "careless: movaps xmm0, xmm1\n ret");
    let seen = false;
    bench.kernel.trace = new StepTrace((rip, cpu) => {
      if (rip !== bench.kernel.symbol("vmx_longjmp")) return;
      seen = true;
      expect(cpu.state.CR0 & 8n).toBe(8n);
    });
    bench.exit();
    bench.kernel.trace = undefined;
    expect(seen).toBe(true);
    expect(bench.kernel.call(bench.kernel.cpus[0]!, bench.kernel.symbol("careless"))).toBe("died");
    expect(bench.kernel.died?.says).toContain("exception 7 ");
  });
});

describe("bugs of the first version, and their later fixes", () => {
  it("B14: a wrong instruction length made decoding fail; it is not looked at any more", () => {
    const outcome = (mode: "historic" | "fixed"): string => {
      const bench = new Bench({ guest: "mov rbx, 0x10000000\n mov [rbx + 8], ecx", mode });
      const read32 = bench.door.read32.bind(bench.door);
      bench.door.read32 = (cpu, slot) => (slot.name === "exit.instructionLength" ? 7 : read32(cpu, slot));
      return bench.exit().code;
    };
    expect(outcome("historic")).toBe("VMX");
    expect(outcome("fixed")).toBe("PAGING");
  });

  it("a host NMI killed the guest; it reaches the host's handler now, and the guest goes on", () => {
    const outcome = (mode: "historic" | "fixed") => {
      const bench = new Bench({ guest: "spin: cmp byte [0x30000], 0\n je spin\n out 0x80, al", mode });
      let nmis = 0;
      bench.kernel.onVector(2, () => {
        nmis++;
        bench.vm.memory.writeBytes(0x3_0000, Uint8Array.of(1));
      });
      let isSent = false;
      bench.kernel.pc.engine.observer = {
        vmEntry: (processor) => {
          processor.nmiPending ||= !isSent;
          isSent = true;
        },
      };
      return { code: bench.exit().code, nmis };
    };
    expect(outcome("historic")).toEqual({ code: "VMX", nmis: 0 });
    expect(outcome("fixed")).toEqual({ code: "INOUT", nmis: 1 });
  });

  it("the shadow of STI outlived an instruction that was emulated", () => {
    const port = (mode: "historic" | "fixed"): number => {
      const bench = new Bench({ guest: "sti\n in al, 0x70\n out 0x80, al\n handler: out 0x81, al", mode });
      giveIdt(bench, 0x60, "handler");
      const input = inout(bench.exit());
      irq(bench, 0x60);
      return inout(bench.exit(next(input))).port;
    };
    expect(port("historic")).toBe(0x80);
    expect(port("fixed")).toBe(0x81);
  });

  it("CR0's read shadow did not follow the guest", () => {
    const seen = (mode: "historic" | "fixed"): bigint => {
      const guest = "mov rax, cr0\n or rax, 0x40000000\n mov cr0, rax\n mov rax, cr0\n out 0x80, al";
      const bench = new Bench({ guest, mode });
      bench.exit();
      return bench.register("rax") & 0x4000_0000n;
    };
    expect(seen("historic")).toBe(0n);
    expect(seen("fixed")).toBe(0x4000_0000n);
  });

  it("an interrupt whose delivery met an EPT violation was lost", () => {
    const outcome = (mode: "historic" | "fixed") => {
      const bench = new Bench({ guest: "sti\n spin: jmp spin\n handler: out 0x81, al", mode });
      giveIdt(bench, 0x70, "handler");
      // The IDT lies in memory that is not mapped yet: delivery exits, the user maps it, and runs the guest again.
      const host = bench.kernel.memory.allocate(4096);
      bench.kernel.memory.write(host, bench.vm.memory.readBytes(tables.idt, 4096));
      const far = 0x50_0000;
      bench.vm.setDescriptor(0, "idtr", { base: BigInt(far), limit: 0xfff, access: 0 });
      irq(bench, 0x70);
      const exit = bench.exit();
      expect(exit).toMatchObject({ code: "VMX", reason: 48 });
      bench.vm.mapMemory(far, host, 4096);
      bench.after(100_000, () => bench.vm.requestAst(0));
      return bench.exit(exit.rip).code;
    };
    expect(outcome("historic")).toBe("BOGUS");
    expect(outcome("fixed")).toBe("INOUT");
  });

  it("refuses what cannot be: names, virtual processors, capabilities, a second event", () => {
    const bench = new Bench({ guest: "hlt", model: "nehalem" });
    expect(bench.vm.setCapability(0, "unrestricted_guest", true)).toBe("ENOENT");
    expect(bench.vm.getRegister(1, "rax")).toBe("EINVAL");
    expect(bench.vm.mapMemory(0x1000, 0, 4096)).toBe("EINVAL");
    expect(bench.vm.injectEvent(0, { type: "hardwareException", vector: 13, errorCode: 0 })).toBe(0);
    expect(bench.vm.injectEvent(0, { type: "NMI", vector: 2 })).toBe("EAGAIN");
  });
});
