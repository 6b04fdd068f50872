import { describe, expect, it } from "vitest";
import { StepTrace } from "../host/step-trace.fixture.ts";
import { fieldSlot } from "../host/vmx-door.ts";
import { guestMixed, HostWorld, listingMutations, worldValue } from "../host/world-oracle.fixture.ts";
import { Bench, guestCode } from "./bench.fixture.ts";
import type { GeneralName } from "./vmm.ts";
import { astFlag, contextSymbols, runGuest, setjmpReturn, worldSwitch } from "./world-switch.ts";

/** The property of the world switch (host/world-oracle.fixture.ts) over every way back, and over every way to break the listing. */

// biome-ignore format: one list
const names = ["rax", "rcx", "rdx", "rbx", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cr2"] as const satisfies readonly GeneralName[];
const guestStores = 0x3_0000;
/** Stores all registers, CR2 last, and exits with them unchanged. */
const guest = `${names
  .slice(0, -1)
  .map((name, n) => `mov [0x${(guestStores + 8 * n).toString(16)}], ${name}`)
  .join("\n")}
        mov [0x30100], rax
        mov rax, cr2
        mov [0x${(guestStores + 8 * 15).toString(16)}], rax
        mov rax, [0x30100]
        out 0x80, al
spin:   cmp byte [0x30200], 0
        je spin
        out 0x80, al`;

const hostPromise = {
  registers: ["RBX", "RBP", "R12", "R13", "R14", "R15"],
  hasVectors: false,
  stackBytes: 512,
} as const;

/** Everything that is not as it should be after a launch, a resume, an abandoned entry, a VMfail of either instruction. */
const problems = (bench: Bench): string[] => {
  const { kernel, door } = bench;
  const cpu = kernel.cpus[0]!;
  const { context, vmcs } = bench.cookie.vcpus[0]!;
  const host = new HostWorld(cpu, kernel.memory, hostPromise);
  const rip = fieldSlot("guest.rip");
  const hostCr4 = fieldSlot("host.cr4");
  const enter = kernel.symbol("vmx_run_guest");
  const says: string[] = [];
  kernel.pc.engine.observer = {
    // What is found in the register file after an exit has been stored by it.
    vmEntry: () => {
      for (const name of names) context.setGuest(name, 0x5ca1ab1en);
    },
    vmFail: ({ instruction, error }) =>
      says.push(`${instruction.row.semantics.mnemonic} fails with ${error}`),
  };
  const expectThat = (what: string, found: unknown, expected: unknown): void => {
    if (found !== expected) says.push(`${what}: ${String(found)}, expected ${String(expected)}`);
  };
  /** One call of the inner step; false: the host did not survive. */
  const once = (what: string, code: number): boolean => {
    names.forEach((name, n) => {
      context.setGuest(name, worldValue("guest", n));
    });
    bench.vm.memory.writeBytes(guestStores, new Uint8Array(8 * names.length));
    door.write64(cpu, rip, BigInt(guestCode));
    cpu.interruptsEnabled = true;
    host.fill();
    const unfinished = kernel.call(cpu, enter, { rdi: context.address }, 20_000);
    if (unfinished !== undefined) {
      says.push(`${what}: the host did not come back: ${kernel.died?.says ?? unfinished}`);
      return false;
    }
    expectThat(`${what}: code`, cpu.rax, code);
    expectThat(`${what}: interrupts enabled`, cpu.interruptsEnabled, false);
    if (code === setjmpReturn.vmlaunch || code === setjmpReturn.vmresume) {
      const failures = says.filter((line) => line.endsWith("fails with 8"));
      expectThat(`${what}: VMfails`, failures.length, 1);
      for (const line of failures) says.splice(says.indexOf(line), 1);
    }
    says.push(...host.mixed().map((line) => `${what}: ${line}`));
    says.push(...guestMixed(names, (name) => context.guest(name), "in the register file"));
    if (code === setjmpReturn.longjmp) {
      const stored = new DataView(bench.vm.memory.readBytes(guestStores, 8 * names.length).buffer);
      says.push(...guestMixed(names, (_, n) => stored.getBigUint64(8 * n, true), "in the guest"));
    }
    return true;
  };
  door.vmptrld(cpu, vmcs);
  door.write64(cpu, fieldSlot("host.rip"), BigInt(kernel.symbol("vmx_longjmp")));
  const good = door.read64(cpu, hostCr4);
  kernel.memory.write32(cpu.area + astFlag, 1);
  context.launched = false;
  let alive = once("abandoned launch", setjmpReturn.ast);
  context.launched = true;
  alive &&= once("abandoned resume", setjmpReturn.ast);
  kernel.memory.write32(cpu.area + astFlag, 0);
  context.launched = false;
  if (alive) door.write64(cpu, hostCr4, 0x20n);
  alive &&= once("failed launch", setjmpReturn.vmlaunch);
  if (alive) expectThat("launch error", context.launchError, 2);
  if (alive) door.write64(cpu, hostCr4, good);
  context.launched = false;
  alive &&= once("launch", setjmpReturn.longjmp);
  alive &&= once("resume", setjmpReturn.longjmp);
  if (alive) door.write64(cpu, hostCr4, 0x20n);
  kernel.memory.write32(context.address + contextSymbols["launch_error"]!, 0);
  alive &&= once("failed resume", setjmpReturn.vmresume);
  if (alive) expectThat("resume error", context.launchError, 2);
  if (!alive) return says;
  door.write64(cpu, hostCr4, good);
  door.vmclear(cpu, vmcs);
  return says;
};

/** The inner step without anything that would hide a mistake: it keeps nothing in registers, and what never returns must not. */
const probe = `
vmx_run_guest:
        mov [gs:0x40], rdi
        call vmx_setjmp
        test eax, eax
        jnz .returned
        mov rdi, [gs:0x40]
        cmp dword [rdi + launched], 0
        jne .resume
        mov dword [rdi + launched], 1
        call vmx_launch
        ud2
.resume:
        call vmx_resume
        ud2
.returned:
        ret
`;

const place = (bench: Bench, text: string, inner = runGuest): void => {
  bench.kernel.place("world switch", text, contextSymbols);
  bench.kernel.place("vmx_run_guest", inner, contextSymbols);
};

describe("the world switch of bhyve", () => {
  it("mixes nothing up, whichever way it comes back", () => {
    expect(problems(new Bench({ guest }))).toEqual([]);
  });

  it("is broken noticeably by every store or load left out, and every two stores exchanged", {
    timeout: 60_000,
  }, () => {
    const mutations = listingMutations(worldSwitch, /^\s*mov (\[|\w+,\s*\[)|^\s*mov (cr2|\w+, cr2)/);
    expect(mutations.length).toBeGreaterThan(80);
    let bench = new Bench({ guest });
    const unnoticed = mutations.filter(({ text }) => {
      place(bench, text, probe);
      const says = problems(bench);
      if (says.some((line) => line.includes("did not come back")) || bench.kernel.died)
        bench = new Bench({ guest });
      return says.length === 0;
    });
    expect(unnoticed.map(({ name }) => name)).toEqual([]);
  });

  it("is broken noticeably by a launched test that is left out, or made after the flag is set", () => {
    const test = "cmp dword [rbx + launched], 0\n        jne .resume\n";
    const set = "mov dword [rbx + launched], 1\n";
    expect(runGuest).toContain(test);
    const moved = [
      runGuest.replace(test, ""),
      runGuest.replace(set, "").replace(test, `${set}        ${test}`),
      runGuest.replace(set, ""),
    ];
    for (const inner of moved) {
      const bench = new Bench({ guest });
      place(bench, worldSwitch, inner);
      expect(problems(bench)).not.toEqual([]);
    }
  });

  it("has its oracle look through the inner step as it is compiled, and as the probe has it", () => {
    const bench = new Bench({ guest });
    place(bench, worldSwitch, probe);
    expect(problems(bench)).toEqual([]);
  });

  it("is broken noticeably by leaving interrupts on", () => {
    const bench = new Bench({ guest });
    place(bench, worldSwitch.replaceAll(/^\s*cli.*$/gm, ""));
    expect(problems(bench)).toContainEqual(expect.stringContaining("interrupts enabled"));
  });

  it("survives an NMI at each of its instructions, for the host to have", { timeout: 60_000 }, () => {
    const bench = new Bench({ guest });
    const { kernel } = bench;
    const cpu = kernel.cpus[0]!;
    let nmis = 0;
    kernel.onVector(2, () => {
      nmis++;
    });
    const host = new HostWorld(cpu, kernel.memory, hostPromise);
    const from = kernel.symbol("vmx_run_guest");
    for (let target = 0; ; target++) {
      let step = -1;
      kernel.trace = new StepTrace((rip, { processor }) => {
        if (rip === from && step < 0) step = 0;
        else if (step >= 0) step++;
        if (step === target) processor.nmiPending = true;
      });
      names.forEach((name, n) => {
        bench.vm.setRegister(0, name, worldValue("guest", n));
      });
      host.fill();
      nmis = 0;
      expect(bench.exit(guestCode).code).toBe("INOUT");
      kernel.trace = undefined;
      if (step < target) break;
      expect(nmis, `at step ${target}`).toBe(1);
      expect(host.mixed(), `at step ${target}`).toEqual([]);
      expect(guestMixed(names, (name) => bench.register(name), "after")).toEqual([]);
    }
  });

  it("lets an interrupt through only where a stack is a stack", { timeout: 60_000 }, () => {
    const bench = new Bench({ guest });
    const { kernel } = bench;
    const cpu = kernel.cpus[0]!;
    const { context } = bench.cookie.vcpus[0]!;
    const vector = 0x90;
    let taken = 0;
    kernel.onVector(vector, ({ frame }) => {
      taken++;
      cpu.apic.endOfInterrupt();
      expect(kernel.memory.regionAt(frame, true)?.name).toBe("kernel stack of processor 0");
      expect(frame < context.address || frame > context.address + 0x1d0).toBe(true);
    });
    const host = new HostWorld(cpu, kernel.memory, hostPromise);
    for (let target = 0; target < 120; target += 3) {
      let step = -1;
      kernel.trace = new StepTrace((rip) => {
        if (rip === kernel.symbol("vmx_run_guest") && step < 0) step = 0;
        else if (step >= 0) step++;
        if (step === target) cpu.apic.sendInterrupt(0, vector);
      });
      host.fill();
      taken = 0;
      expect(bench.exit(guestCode).code).toBe("INOUT");
      kernel.trace = undefined;
      if (step < target) break;
      expect(taken).toBe(1);
      expect(host.mixed()).toEqual([]);
    }
  });
});
