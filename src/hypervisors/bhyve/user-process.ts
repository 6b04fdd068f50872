import { exitReasonName } from "../../arch/vm-exit-reasons.ts";
import type { PcStop } from "../../machine/pc-doors.ts";
import type { GuestBoard } from "../host/guest-board.ts";
import type { HostKernel, Thread } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { type MmioWorld, performMmio } from "../host/mmio-instruction.ts";
import { byNumber } from "./context.ts";
import { emulateInoutString } from "./inout-string.ts";
import type { Vm } from "./vm.ts";
import { type BhyveMode, noReason, type RegisterName, type VmExit } from "./vmm.ts";

export interface UserProcessOptions<Cookie> {
  readonly kernel: HostKernel;
  readonly vm: Vm<Cookie>;
  readonly board: GuestBoard;
  readonly mode: BhyveMode;
  /** End the guest's machine. */
  end(stop: PcStop): void;
  /** It has ended. */
  isEnded(): boolean;
  readonly unimplemented?: (what: string) => void;
}

/** The process of one virtual machine: a thread for each virtual processor, which runs the guest and answers its exits with devices. */
export class UserProcess<Cookie> {
  /** Why the guest was killed. */
  verdict: string | undefined;
  readonly #kernel: HostKernel;
  readonly #vm: Vm<Cookie>;
  readonly #board: GuestBoard;
  readonly #mode: BhyveMode;
  readonly #unimplemented: ((what: string) => void) | undefined;
  readonly #options: UserProcessOptions<Cookie>;

  constructor(options: UserProcessOptions<Cookie>) {
    const { kernel, vm, board, mode, unimplemented } = options;
    this.#options = options;
    this.#kernel = kernel;
    this.#vm = vm;
    this.#board = board;
    this.#mode = mode;
    this.#unimplemented = unimplemented;
  }

  #kill(vcpu: number, says: string): void {
    this.verdict ??= `vcpu ${vcpu}: ${says}`;
    this.#unimplemented?.(`guest killed: ${this.verdict}`);
    this.#options.end({ kind: "triple-fault", processor: vcpu });
  }

  /** The thread of a virtual processor, on its processor of the host. */
  *thread(vcpu: number, cpu: HostProcessor, from: bigint): Thread {
    let rip = from;
    while (!this.#options.isEnded()) {
      const { errno, exit } = yield* this.#vm.run(vcpu, cpu, rip);
      if (exit === undefined) {
        this.#kill(vcpu, `VM_RUN failed with ${errno}`);
        return;
      }
      rip = exit.rip + BigInt(exit.instLength);
      const goesOn = this.#answer(vcpu, exit);
      if (goesOn === "again") rip = exit.rip;
      else if (goesOn === "end") return;
    }
  }

  /** Continue behind the instruction, or at it again, or never. */
  #answer(vcpu: number, exit: VmExit): "continue" | "again" | "end" {
    switch (exit.code) {
      case "INOUT":
        return this.#port(vcpu, exit);
      case "PAGING":
        return this.#memory(vcpu, exit);
      case "RDMSR":
        return this.#msr(vcpu, `RDMSR of 0x${exit.msr.toString(16)}`, true);
      case "WRMSR":
        return this.#msr(vcpu, `WRMSR of 0x${exit.msr.toString(16)} with 0x${exit.wval.toString(16)}`, false);
      case "SPINUP_AP":
        this.#spinUp(exit.vcpu, exit.entry);
        return "continue";
      case "MTRAP":
      case "BOGUS":
        return "again";
      case "PAUSE":
      case "HLT":
        return "continue";
      case "VMX": {
        const says =
          exit.reason === noReason
            ? `VM entry failed, VM-instruction error ${exit.error}`
            : `VM exit ${exitReasonName(exit.reason)} with qualification 0x${exit.qualification.toString(16)}`;
        this.#kill(vcpu, `${says} at RIP 0x${exit.rip.toString(16)}, which nobody knows how to answer`);
        return "end";
      }
    }
  }

  #port(vcpu: number, exit: VmExit & { code: "INOUT" }): "continue" | "again" | "end" {
    const { port, bytes, str } = exit;
    if (str !== undefined) {
      const outcome = emulateInoutString(this.#vm, vcpu, this.#board, str);
      return this.#options.isEnded() ? "end" : outcome;
    }
    if (exit.string || exit.rep) {
      this.#kill(vcpu, `a string instruction on port 0x${port.toString(16)}, which is not emulated`);
      return "end";
    }
    const mask = bytes === 4 ? 0xffff_ffff : bytes === 2 ? 0xffff : 0xff;
    if (exit.in) {
      const value = this.#board.readPort(port, bytes);
      const kept = bytes === 4 ? 0n : (this.#get(vcpu, "rax") as bigint) & ~BigInt(mask);
      this.#vm.setRegister(vcpu, "rax", kept | BigInt(value));
    } else this.#board.writePort(port, (exit.eax & mask) >>> 0, bytes);
    return this.#options.isEnded() ? "end" : "continue";
  }

  #get(vcpu: number, name: RegisterName): bigint {
    const value = this.#vm.getRegister(vcpu, name);
    if (typeof value !== "bigint") throw new Error(`a register of an idle virtual processor: ${value}`);
    return value;
  }

  #memory(vcpu: number, { access, gpa }: VmExit & { code: "PAGING" }): "continue" | "again" {
    const vm = this.#vm;
    const world: MmioWorld = {
      general: (number) => this.#get(vcpu, byNumber[number]!),
      setGeneral: (number, value) => vm.setRegister(vcpu, byNumber[number]!, value),
      flags: () => this.#get(vcpu, "rflags"),
      setFlags: (value) => vm.setRegister(vcpu, "rflags", value),
      read: (address, size) => this.#board.readMemory(address, size),
      write: (address, value, size) => this.#board.writeMemory(address, value, size),
    };
    return performMmio(access, world, gpa) ? "continue" : "again";
  }

  /** MSRs that nobody knows: the first version ended there, later ones read 0 and write nothing. */
  #msr(vcpu: number, what: string, isRead: boolean): "continue" | "end" {
    if (this.#mode === "historic") {
      this.#kill(vcpu, `${what}, an MSR that is not emulated`);
      return "end";
    }
    this.#unimplemented?.(what);
    if (isRead) {
      this.#vm.setRegister(vcpu, "rax", 0n);
      this.#vm.setRegister(vcpu, "rdx", 0n);
    }
    return "continue";
  }

  /** A start-up IPI: real mode at the page that it names, on a thread and a processor of its own. */
  #spinUp(vcpu: number, entry: number): void {
    const vm = this.#vm;
    const cpu = this.#kernel.cpus[vcpu]!;
    if (vm.setCapability(vcpu, "unrestricted_guest", true) !== 0) {
      this.#kill(vcpu, "this processor cannot run a guest in real mode (no unrestricted guest)");
      return;
    }
    vm.setCapability(vcpu, "hlt_exit", true);
    const registers: Readonly<Partial<Record<RegisterName, bigint>>> = {
      cr0: 0x30n, cr3: 0n, cr4: 0n, efer: 0n, rflags: 2n, rip: 0n, rsp: 0n, rdx: 0xf00n, dr7: 0x400n,
      rax: 0n, rbx: 0n, rcx: 0n, rsi: 0n, rdi: 0n, rbp: 0n,
    }; // biome-ignore format: one record
    for (const [name, value] of Object.entries(registers)) vm.setRegister(vcpu, name as RegisterName, value);
    const real = { base: 0n, limit: 0xffff, access: 0x93 };
    for (const name of ["ds", "es", "fs", "gs", "ss"] as const) {
      vm.setDescriptor(vcpu, name, real);
      vm.setRegister(vcpu, name, 0n);
    }
    vm.setDescriptor(vcpu, "cs", { base: BigInt(entry), limit: 0xffff, access: 0x9b });
    vm.setRegister(vcpu, "cs", BigInt(entry >>> 4));
    vm.setDescriptor(vcpu, "tr", { base: 0n, limit: 0xffff, access: 0x8b });
    vm.setDescriptor(vcpu, "ldtr", { base: 0n, limit: 0xffff, access: 0x82 });
    for (const name of ["gdtr", "idtr"] as const)
      vm.setDescriptor(vcpu, name, { base: 0n, limit: 0xffff, access: 0 });
    this.#kernel.start(cpu, this.thread(vcpu, cpu, 0n));
  }
}
