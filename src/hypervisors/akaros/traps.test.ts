import { describe, expect, it } from "vitest";
import { Bench, distinct, program } from "./akaros.fixture.ts";
import { contextType, fastcallSetFsbase, frameRegisters, hw, kernbase, reflectedMark, sw, syscallNumber, vector } from "./layout.ts"; // biome-ignore format: one list
import { fillIdt, gateOf, idtGates, trapRecords, userSelector } from "./trap-table.ts";

/** systems.md section 5.10: checks of traps, interrupts and system calls. */

const registers = distinct(7n);
const inProgram = {
  ...registers,
  rip: BigInt(program),
  rsp: BigInt(program) + 0x800n,
  gsbase: 0x1234_5678n,
  fsbase: 0x7777_0000n,
};
const interruptGateType = 0xe;
const jumpToItself = 0xfeeb;

/** The process's program, entered, its pages present. */
const running = (text: string, options: ConstructorParameters<typeof Bench>[0] = {}): Bench => {
  const bench = new Bench(options);
  bench.write(text);
  bench.process.memory.fault(program, { write: true, execute: true });
  bench.setHw(bench.core, inProgram);
  return bench;
};

/** What the C part is called for next: the frame on the stack, before anything is copied. */
const nextFrame = (bench: Bench): { frame: number; values: Uint8Array; gs: bigint; kernelGs: bigint } => {
  let found: ReturnType<typeof nextFrame> | undefined;
  const { observer } = bench.akaros;
  bench.akaros.observer = (core, entry) => {
    observer?.(core, entry);
    const { state } = core.cpu;
    const frame = state.low32(entry === "syscall" ? "RDX" : "RDI");
    found ??= {
      frame,
      values: bench.memory.read(frame, hw.bytes),
      gs: state["GS.base"],
      kernelGs: state.IA32_KERNEL_GS_BASE,
    };
  };
  const died = bench.step();
  bench.akaros.observer = observer;
  if (found === undefined) throw new Error(`the C part was not called: ${died}`);
  return found;
};

describe("A1: trap table and IDT", () => {
  const { akaros, memory } = new Bench();
  const { kernel, bugs } = akaros;
  const records = trapRecords(memory, kernel.symbol("trapTable"), kernel.symbol("trapTableEnd"));
  const gate = (n: number) => gateOf(memory, kernel.IDT, n);
  const byDefault = kernbase + BigInt(kernel.symbol("trapDefault"));

  it("has 256 interrupt gates at the kernel's code selector, and the user may call 3 and 48 only", () => {
    for (let n = 0; n < idtGates; n++)
      expect(gate(n)).toMatchObject({
        present: true,
        type: interruptGateType,
        selector: 8,
        level: n === vector.BP || n === vector.syscall ? 3 : 0,
      });
  });
  it("sends vectors without a record to the default stub", () => {
    for (let n = 20; n < 32; n++) expect(gate(n).handler).toBe(byDefault);
    expect(gate(vector.syscall).handler).toBe(kernbase + BigInt(kernel.symbol("trapSyscall")));
  });
  it("lets a later record of a vector win, and the last reach no gate of its own", () => {
    const idt = memory.allocate(4096);
    const other = 0xffff_8000_1234_5678n;
    const more = [...records.slice(0, -1), { handler: other, vector: 50 }, records.at(-1)!];
    expect(fillIdt(memory, idt, more, bugs)).toBeUndefined();
    expect(gateOf(memory, idt, 50).handler).toBe(other);
    expect(records.at(-1)).toEqual({ handler: byDefault, vector: 0xbeef });
    fillIdt(memory, idt, [...records, { handler: other, vector: 51 }], bugs);
    expect(gateOf(memory, idt, 51).handler).not.toBe(byDefault);
    expect(gateOf(memory, idt, 20).handler).toBe(other);
  });
  it("refuses a table whose gate 48 is not the system call's", () => {
    const idt = memory.allocate(4096);
    const stolen = [...records.slice(0, -1), { handler: byDefault, vector: 48 }, records.at(-1)!];
    expect(fillIdt(memory, idt, stolen, bugs)).toBe("gate 48 is not the system call's");
  });
});

describe("A2: frames of traps", () => {
  it("have every register of a user at its offset, partial, with the kernel's GS in place and the user's put away", () => {
    const bench = running("ud2");
    const { frame, gs, kernelGs } = nextFrame(bench);
    for (const name of frameRegisters) expect(bench.hw(frame, name), name).toBe(registers[name]);
    expect(bench.hw(frame, "rip")).toBe(inProgram.rip);
    expect(bench.hw(frame, "rsp")).toBe(inProgram.rsp);
    expect(Number(bench.hw(frame, "cs")) & 0xffff).toBe(userSelector.code);
    expect(Number(bench.hw(frame, "ss")) & 0xffff).toBe(userSelector.data);
    expect(bench.memory.read32(frame + hw.padding0)).toBe(1);
    expect(gs).toBe(bench.core.area);
    expect(kernelGs).toBe(inProgram.gsbase);
    expect(bench.uthread().type).toBe(contextType.HW);
    expect(bench.memory.read32(bench.uthread().frame + hw.cs) >>> 16).toBe(reflectedMark);
  });

  it("of a kernel that is interrupted leave padding0 and GS alone, and give every register back", () => {
    const bench = new Bench();
    const { core, akaros } = bench;
    core.process = undefined;
    akaros.kernel.callouts.timer("test", () => {}).arm(akaros.kernel.pc.clock.nowNs + 5000);
    akaros.leaveC(core);
    expect(core.cpu.proceed()).toBe(false);
    const before = Object.fromEntries(frameRegisters.map((name) => [name, registers[name]]));
    const { state } = core.cpu;
    for (const name of frameRegisters) state[name.toUpperCase() as "RAX"] = registers[name];
    const { rip, rsp } = { rip: state.RIP, rsp: state.RSP };
    const kernelGs = state.IA32_KERNEL_GS_BASE;
    akaros.kernel.pc.clock.nowNs += 10_000;
    let padding: number | undefined;
    let atC: Record<string, bigint> | undefined;
    akaros.observer = (_, entry) => {
      if (entry !== "irq") return;
      const frame = state.low32("RDI");
      padding = bench.memory.read32(frame + hw.padding0);
      atC = {
        rip: bench.hw(frame, "rip"),
        rsp: bench.hw(frame, "rsp"),
        gs: state["GS.base"],
        kernelGs: state.IA32_KERNEL_GS_BASE,
      };
    };
    bench.resume();
    expect(padding).toBe(0);
    expect(atC).toEqual({ rip, rsp, gs: core.area, kernelGs });
    bench.proceedTo(rip);
    expect(
      Object.fromEntries(frameRegisters.map((name) => [name, state[name.toUpperCase() as "RAX"]])),
    ).toEqual(before);
    expect(state.RSP).toBe(rsp);
  });
});

describe("A3: the C part is called", () => {
  it("with RSP at a multiple of 16 before the call and RBP 0, but for system calls, whose frame has 0x58 bytes", () => {
    const bench = new Bench();
    bench.setUpGuest();
    bench.writeGuest("cpuid\n hlt");
    bench.pop(bench.guestThread());
    bench.akaros.kernel.callouts.timer("test", () => {}).arm(bench.akaros.kernel.pc.clock.nowNs + 20_000);
    for (let n = 0; n < 20; n++) bench.step();
    const kinds = new Set(bench.seen.map(({ entry }) => entry));
    expect([...kinds].sort()).toEqual(["syscall", "trap", "vmexit"]);
    for (const { entry, rsp, rbp } of bench.seen) {
      expect((rsp + 8n) % 16n, entry).toBe(entry === "syscall" ? 8n : 0n);
      expect(rbp).toBe(0n);
    }
  });
});

describe("A4: error codes", () => {
  const trapped = (text: string) => {
    const bench = running(text);
    const { frame } = nextFrame(bench);
    return {
      number: bench.memory.read32(frame + hw.trapno),
      error: bench.memory.read32(frame + hw.err),
      frame,
    };
  };
  it("of #GP are the processor's, of #UD 0, in frames of one size", () => {
    const protection = trapped("mov eax, 0x1230\n mov ds, eax");
    expect(protection).toMatchObject({ number: vector.GP, error: 0x1230 });
    expect(trapped("ud2")).toEqual({ number: vector.UD, error: 0, frame: protection.frame });
  });

  /** A double fault in the kernel: its stack is not there when a page fault is to be delivered. */
  const doubleFault = (mode: "historic" | "fixed"): Bench => {
    const bench = running("int 48", { mode });
    const { core, akaros } = bench;
    bench.setHw(core, { ...inProgram, rsi: 0n });
    bench.step();
    // The user's GS is put away. IRETQ takes a frame that is none: #GP; the gate of its handler is taken away: #DF.
    core.enter("trapReturn");
    bench.memory.write64(akaros.kernel.IDT + 16 * vector.GP, 0n);
    akaros.kernel.sliceLeft = 10_000;
    bench.resume();
    return bench;
  };
  it("of #DF: `fixed` has the kernel's frame and says where", () => {
    expect(doubleFault("fixed").akaros.kernel.died?.says).toMatch(
      /trap 8 in the kernel at 0xffff8000.*error code 0/,
    );
  });
  it("of #DF: `historic` is 8 bytes off, takes the kernel for a user, and swaps the kernel's GS away", () => {
    const bench = doubleFault("historic");
    const last = bench.akaros.kernel.died?.says ?? "";
    expect(last).toMatch(/GS.base/);
  });
});

describe("A5: POKE outside a guest", () => {
  it("writes the EOI register and changes nothing else", () => {
    const bench = running("poke: inc rbx\n jmp poke");
    const { core, akaros } = bench;
    akaros.kernel.sliceLeft = 1000;
    akaros.leaveC(core);
    core.cpu.proceed();
    const counters = { ...core.counters };
    core.cpu.apic.sendInterrupt(0, vector.POKE_CORE);
    const eoi: number[] = [];
    const { apic } = core.cpu.processor;
    const write = apic.writeMsr.bind(apic);
    apic.writeMsr = (index, value) => {
      eoi.push(index);
      return write(index, value);
    };
    akaros.kernel.sliceLeft = 1000;
    core.cpu.proceed();
    const { state } = core.cpu;
    expect(eoi).toEqual([0x80b]);
    expect(core.counters).toEqual(counters);
    expect([state.RAX, state.RCX, state.RDX]).toEqual([registers.rax, registers.rcx, registers.rdx]);
    expect(apic.hasInterrupt()).toBe(false);
  });
});

describe("A6: the system call that sets FS.base", () => {
  const fastcall = (address: bigint) => {
    const bench = running(`mov rdi, ${fastcallSetFsbase}\n mov rsi, ${address}\n syscall\n after: jmp after`);
    bench.akaros.kernel.sliceLeft = 2000;
    bench.akaros.leaveC(bench.core);
    bench.core.cpu.proceed();
    return bench;
  };
  it("does that, and nothing to stack, GS or the kernel's counters", () => {
    const bench = fastcall(0x1357_9bdfn);
    const { core } = bench;
    const { state } = core.cpu;
    expect(state["FS.base"]).toBe(0x1357_9bdfn);
    expect([state["GS.base"], state.IA32_KERNEL_GS_BASE]).toEqual([inProgram.gsbase, core.area]);
    expect(state.RSP).toBe(inProgram.rsp);
    expect(state.RIP).toBe(state.RCX);
    expect(bench.memory.read32(bench.process.memory.physical(Number(state.RIP))) & 0xffff).toBe(jumpToItself);
    expect(core.counters.syscalls + core.counters.traps).toBe(0);
  });
  it("takes no address outside the user's half, and does not fault", () => {
    const { core } = fastcall(0x8000_0000_0000n);
    expect(core.cpu.state["FS.base"]).toBe(inProgram.fsbase);
    expect(core.cpu.state.RIP).toBe(core.cpu.state.RCX);
    expect(core.counters.traps).toBe(0);
  });
});

describe("A7: a system call", () => {
  it("keeps what C functions preserve, and gives back nothing of the kernel's", () => {
    const bench = running(
      "ldmxcsr [rel control]\n fldcw [rel word]\n mov rdx, rsp\n syscall\n after: jmp after\n control: dd 0x1fa0\n word: dw 0x27f",
    );
    const { core, memory } = bench;
    const calls = BigInt(bench.process.vcpdAddress(0) + 0x300);
    memory.write32(bench.process.vcpd(0) + 0x300, syscallNumber.null);
    bench.setHw(core, { ...inProgram, rdi: calls, rsi: 1n });
    const { frame } = nextFrame(bench);
    const { rbx, rbp, r12, r13, r14, r15 } = registers;
    const saved = { rbx, rbp, r12, r13, r14, r15, rsp: inProgram.rsp };
    for (const [name, value] of Object.entries(saved))
      expect(bench.sw(frame, name as keyof typeof sw), name).toBe(value);
    expect(memory.read32(frame + sw.mxcsr)).toBe(0x1fa0);
    expect(memory.read32(frame + sw.fpucw)).toBe(0x1_027f);
    const back = bench.sw(frame, "rip");
    bench.akaros.kernel.sliceLeft = 1000;
    bench.akaros.leaveC(core);
    core.cpu.proceed();
    const { state } = core.cpu;
    expect(state.RIP).toBe(back);
    for (const name of ["RAX", "RDX", "RSI", "RDI", "R8", "R9", "R10"] as const)
      expect(state[name], name).toBe(0n);
    expect(state.R11).toBe(0x200n);
    for (const [name, value] of Object.entries(saved))
      expect(state[name.toUpperCase() as "RAX"], name).toBe(value);
    expect(state["GS.base"]).toBe(inProgram.gsbase);
  });
  it("outside the process ends the process and not the kernel", () => {
    const bench = running("mov rdi, 0x12345000\n mov esi, 1\n mov rdx, rsp\n syscall");
    bench.step();
    expect(bench.process.ended?.says).toBe("a system call outside the process");
    expect(bench.akaros.kernel.died).toBeUndefined();
  });
});

describe("A8: partial contexts", () => {
  it("are finalized once, however often they are, and can then be popped on another core", () => {
    const bench = running("int 48\n after: jmp after", { processors: 2 });
    const { akaros, core } = bench;
    bench.setHw(core, { ...inProgram, rsi: 0n });
    bench.step();
    expect(core.context.isPartial).toBe(true);
    akaros.finalize(core);
    const once = bench.memory.read(core.context.at, 0xe0);
    const kernelGs = core.cpu.state.IA32_KERNEL_GS_BASE;
    akaros.finalize(core);
    expect(bench.memory.read(core.context.at, 0xe0)).toEqual(once);
    expect([core.cpu.state.IA32_KERNEL_GS_BASE, kernelGs]).toEqual([core.area, core.area]);
    const other = akaros.cores[1]!;
    akaros.grant(other, bench.process);
    other.context.copyFrom(core.context.at);
    akaros.kernel.sliceLeft = 1000;
    akaros.leaveC(other);
    other.cpu.proceed();
    other.cpu.select();
    const { state } = other.cpu;
    expect([state["GS.base"], state["FS.base"], state.RIP]).toEqual([
      inProgram.gsbase,
      inProgram.fsbase,
      inProgram.rip + 2n,
    ]);
  });
});
