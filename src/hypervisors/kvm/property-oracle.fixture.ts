import { CR0 } from "../../arch/control-registers.ts";
import { type GeneralRegister, generalRegisters } from "../../state/layout.ts";
import type { HostKernel } from "../host/host-kernel.ts";
import { field } from "../host/vmcs-slots.ts";
import { guestAddress, newKernel, TestMachine, type TestOptions } from "./kvm.fixture.ts";
import { errno, KvmExit } from "./kvm-run.ts";
import { area } from "./vcpu-area.ts";

/**
 * The property that every world switch has: each register of both worlds has a value of its own, one of a few things happens, and
 * afterwards every value is where it was. Gives what was not so.
 */

// biome-ignore format: one list
export const scenarios = ["exit", "VMfail", "failed entry", "abandoned entry", "interrupt", "NMI", "fault in the switch"] as const;
export type Scenario = (typeof scenarios)[number];

const guestValue = (number: number): bigint => 0x6e57_0000_0000_0100n + BigInt(number) * 0x0101_0101n;
const hostValue = (number: number): bigint => 0x4057_0000_0000_0200n + BigInt(number) * 0x0202_0202n;
const guestCR2 = 0x6e57_cccc_0000n;
const guestXmm = 0x6e57_7777;
const hostXmm = 0x4057_7777;
const calleeSaved: readonly GeneralRegister[] = ["RBX", "RBP", "R12", "R13", "R14", "R15"];
const IA32 = {
  STAR: 0xc000_0081,
  LSTAR: 0xc000_0082,
  FMASK: 0xc000_0084,
  KERNEL_GS_BASE: 0xc000_0102,
} as const;
const guestMsrs = [guestValue(20), 0x6e57_1000n, 0x6e57n, 0x6e57_2000n];
const sharedNames = ["IA32_STAR", "IA32_LSTAR", "IA32_FMASK"] as const;
const stackWords = 64;

const names = generalRegisters.map((name) => name.toLowerCase());
const each = (line: (name: string, number: number) => string): string => names.map(line).join("\n");
/** Round after round the guest writes down what it finds in its registers, changes each, and exits. */
const guestText = `
        movd xmm0, [xmmValue]
round:  ${each((name, number) => `mov [found + ${8 * number}], ${name}`)}
        mov rax, cr2
        mov [found + 128], rax
        inc rax
        mov cr2, rax
        mov rax, [found]
        ${each((name, number) => `lea ${name}, [${name} + ${number + 1}]`)}
spin:   jmp go
go:     out 0x10, al
        inc qword [rounds]
        jmp round
        align 8
rounds: dq 0
xmmValue: dd ${guestXmm}
        align 8
found:  ${"dq 0, 0, 0, 0, 0, 0, 0, 0, 0\n".repeat(2)}
`;
const spinText = guestText.replace("spin:   jmp go", "spin:   jmp spin");

/** What the guest should have found in its registers, and what it has left there. */
const checkGuest = (machine: TestMachine, rounds: number): string[] => {
  const { vcpu, cpu, symbols } = machine;
  const regs = vcpu.getRegs(cpu);
  if (typeof regs === "number") throw new Error("the vCPU is busy");
  const wrong: string[] = [];
  const check = (name: string, is: bigint, shouldBe: bigint): void => {
    if (is !== shouldBe) wrong.push(`guest: ${name} is ${is.toString(16)}, not ${shouldBe.toString(16)}`);
  };
  generalRegisters.forEach((name, number) => {
    const step = BigInt(number + 1);
    const left = guestValue(number) + BigInt(rounds) * step;
    check(name, regs[name], left);
    check(`${name} as the guest found it`, machine.read64(symbols.get("found")! + 8 * number), left - step);
  });
  const { cr2 } = vcpu.loop.vmx;
  check("CR2", cr2, guestCR2 + BigInt(rounds));
  check(
    "CR2 as the guest found it",
    machine.read64(symbols.get("found")! + 128),
    guestCR2 + BigInt(rounds) - 1n,
  );
  const values = vcpu.getMsrs(cpu, Object.values(IA32));
  Object.keys(IA32).forEach((name, n) => {
    check(name, values[n]!, guestMsrs[n]!);
  });
  check("XMM0", BigInt(new DataView(vcpu.getFpu().buffer).getUint32(160, true)), BigInt(guestXmm));
  return wrong;
};

/** Values that a switch in VMX root operation must leave alone, or bring back. */
const hostPicture = (machine: TestMachine): string[] => {
  const { cpu, kernel } = machine;
  cpu.select();
  const { state } = cpu;
  const words: string[] = [];
  const say = (name: string, value: bigint | number): void => {
    words.push(`${name} ${value.toString(16)}`);
  };
  for (const name of calleeSaved) say(name, state[name]);
  say("RSP", state.RSP);
  for (let n = 0; n < stackWords; n++) say(`stack ${n}`, kernel.memory.read64(Number(state.RSP) + 8 * n));
  for (const name of [
    "CR3",
    "CR4",
    "GDTR.base",
    "IDTR.base",
    "TR.base",
    "FS.base",
    "GS.base",
    "XCR0",
  ] as const)
    say(name, state[name]);
  say("CR0", state.CR0 & ~CR0.TS);
  for (const name of [
    "GDTR.limit",
    "TR.limit",
    "TR.access",
    "DS.selector",
    "ES.selector",
    "CS.selector",
    "SS.selector",
  ] as const)
    say(name, state[name]);
  for (const name of [...sharedNames, "IA32_KERNEL_GS_BASE", "IA32_EFER"] as const) say(name, state[name]);
  say("IF", state.RFLAGS & 0x200n);
  return words;
};

const fillHost = (machine: TestMachine): void => {
  const { cpu, kernel } = machine;
  cpu.select();
  const { state } = cpu;
  calleeSaved.forEach((name, number) => {
    state[name] = hostValue(number);
  });
  state.IA32_STAR = hostValue(20);
  state.IA32_LSTAR = 0x4057_1000n;
  state.IA32_FMASK = 0x4057n;
  state.IA32_KERNEL_GS_BASE = 0x4057_2000n;
  state["FS.base"] = 0x4057_3000n;
  // Room above, as if callers had frames there.
  state.RSP -= BigInt(8 * stackWords);
  for (let n = 0; n < stackWords; n++) kernel.memory.write64(Number(state.RSP) + 8 * n, hostValue(100 + n));
  state.CR0 &= ~CR0.TS;
  state.bytes("XMM0").set(new Uint8Array(Uint32Array.of(hostXmm).buffer));
};

const fillGuest = (machine: TestMachine): void => {
  const { vcpu, cpu } = machine;
  const registers = Object.fromEntries(generalRegisters.map((name, number) => [name, guestValue(number)]));
  vcpu.setRegs(cpu, { ...registers, RIP: BigInt(guestAddress.code), RFLAGS: 2n });
  vcpu.setSregs(cpu, { CR2: guestCR2 });
  vcpu.setMsrs(
    cpu,
    Object.values(IA32).map((index, n) => [index, guestMsrs[n]!] as const),
  );
};

const compare = (whose: string, before: readonly string[], after: readonly string[]): string[] =>
  before.flatMap((value, n) => (after[n] === value ? [] : [`${whose}: ${value} became ${after[n]}`]));

/** Between two functions that the C part calls, what a callee saves is as it was. */
const watchCalls = ({ cpu, kernel }: TestMachine, found: string[]): void => {
  const { state } = cpu;
  const rsp = state.RSP;
  const begin = cpu.begin.bind(cpu);
  cpu.begin = (...call) => {
    cpu.select();
    // Calls of a trap's handler stand on its frame.
    const isNested = state.RIP === BigInt(kernel.trapGate + 1);
    const isWrong =
      !isNested &&
      (state.RSP !== rsp || calleeSaved.some((name, number) => state[name] !== hostValue(number)));
    if (isWrong && found.length < 20)
      found.push("host: a register that a callee saves has changed between two calls");
    begin(...call);
  };
};

let spare: { readonly kernel: HostKernel; readonly picture: Uint8Array } | undefined;

/** Run one scenario; what it did to the registers of either world. */
export const violations = (scenario: Scenario, options: TestOptions = {}): string[] => {
  const { kernel, picture } = spare ?? fresh();
  spare = undefined;
  const spins = scenario === "interrupt" || scenario === "NMI";
  const machine = new TestMachine(spins ? spinText : guestText, { ...options, kernel });
  const { cpu, system } = machine;
  const begin = cpu.begin;
  const outcome = check(machine, scenario, spins);
  cpu.begin = begin;
  if (outcome.isSound) {
    // For the next test: as it was before.
    if (!system.isRebooting) system.unload();
    cpu.state.architectural().set(picture);
    spare = { kernel, picture };
  }
  return outcome.found;
};

const fresh = (): NonNullable<typeof spare> => {
  const kernel = newKernel();
  const [cpu] = kernel.cpus;
  cpu!.select();
  return { kernel, picture: cpu!.state.architectural().slice() };
};

const check = (
  machine: TestMachine,
  scenario: Scenario,
  spins: boolean,
): { isSound: boolean; found: string[] } => {
  const { kernel, vcpu, cpu, system } = machine;
  const { loop } = vcpu;
  const { vmx } = loop;
  const found: string[] = [];
  kernel.place("oracle", "oracleXmm: movd eax, xmm0\n ret");
  fillGuest(machine);
  fillHost(machine);
  watchCalls(machine, found);
  const expectExit = (reason: number, result = 0): boolean => {
    const got = kernel.finish(vcpu.ioctlRun(cpu), 200_000);
    if (typeof got !== "number") found.push(`KVM_RUN does not return: ${kernel.died?.says ?? got}`);
    else if (got !== result || vcpu.run.exitReason !== reason)
      found.push(`KVM_RUN gives ${got} with exit ${vcpu.run.exitReason}, not ${result} with ${reason}`);
    else return true;
    return false;
  };
  const loaded = (act: () => void): void => {
    loop.load(cpu).next();
    act();
    loop.put();
  };
  const before = hostPicture(machine);
  // VMLAUNCH, then VMRESUME; the guest has its FPU by then.
  if (!spins) for (let n = 0; n < 2; n++) if (!expectExit(KvmExit.IO)) return { isSound: false, found };
  let rounds = spins ? 1 : 2;
  let [reason, result]: [number, number] = [KvmExit.INTR, errno.EINTR];
  switch (scenario) {
    case "exit":
      rounds++;
      [reason, result] = [KvmExit.IO, 0];
      break;
    case "VMfail":
      loaded(() => vmx.write32(field["control.pinBased"], 0));
      [reason, result] = [KvmExit.FAIL_ENTRY, 0];
      break;
    case "failed entry":
      loaded(() => vmx.write64(field["guest.rflags"], 0n));
      [reason, result] = [KvmExit.FAIL_ENTRY, 0];
      break;
    case "abandoned entry":
      loop.signal = true;
      break;
    case "interrupt":
    case "NMI":
      interruptLater(machine, scenario);
      break;
    case "fault in the switch":
      loop.load(cpu).next();
      system.emergencyDisable(cpu);
      kernel.call(cpu, kernel.symbol("vmxVcpuRun"), { rcx: vmx.area, rdx: field["host.rsp"].encoding });
      if (kernel.died) return { isSound: false, found: [kernel.died.says] };
      generalRegisters.forEach((name, number) => {
        if (
          name !== "RSP" &&
          kernel.memory.read64(vmx.area + area.regs + 8 * number) !==
            guestValue(number) + BigInt(2 * (number + 1))
        )
          found.push(`guest: ${name} is another`);
      });
      found.push(
        ...compare("host", before.slice(0, calleeSaved.length + 1 + stackWords), hostPicture(machine)),
      );
      return { isSound: true, found };
  }
  if (!expectExit(reason, result)) return { isSound: false, found };
  if (scenario === "VMfail" && vcpu.run.hardwareEntryFailureReason !== 7) found.push("another error than 7");
  found.push(...compare("host", before, hostPicture(machine)), ...checkGuest(machine, rounds));
  // The host's FPU comes back when the host uses it.
  kernel.call(cpu, kernel.symbol("oracleXmm"));
  if (cpu.rax !== hostXmm) found.push(`host: XMM0 became ${cpu.rax.toString(16)}`);
  return { isSound: true, found };
};

const interruptLater = ({ kernel, cpu, vcpu }: TestMachine, what: "interrupt" | "NMI"): void => {
  const end = (): void => {
    vcpu.loop.signal = true;
  };
  kernel.onVector(0x50, () => {
    cpu.apic.endOfInterrupt();
    end();
  });
  kernel.onVector(2, end);
  const send = (): void => (what === "NMI" ? cpu.apic.sendNmi(0) : cpu.apic.sendInterrupt(0, 0x50));
  kernel.pc.clock.timer("test", send).arm(kernel.pc.clock.nowNs + 20_000);
};
