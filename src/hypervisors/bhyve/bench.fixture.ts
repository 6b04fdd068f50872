import { assemble } from "../../asm/index.ts";
import { SteppedClock } from "../../bus/stepped-clock.ts";
import { cpuModel } from "../../cpu/cpu-model.ts";
import { ApicBus } from "../../devices/apic-bus.ts";
import { LocalApic } from "../../devices/local-apic.ts";
import { identityMapBytes } from "../../machine/boot/initial-state.ts";
import { GuestMemoryMap } from "../host/guest-memory-map.ts";
import { HostKernel, hostKernelBytes, type Thread } from "../host/host-kernel.ts";
import { fieldSlot, VmxDoor } from "../host/vmx-door.ts";
import { isErrno, type RunResult, Vm } from "./vm.ts";
import type { BhyveMode, RegisterName, VmExit } from "./vmm.ts";
import { VmxBackend } from "./vmx-backend.ts";
import type { VmxMachine } from "./vmx-vcpu.ts";
import { runGuest, worldSwitch } from "./world-switch.ts";

const guestBytes = 4 << 20;
const guestTables = 0x1_0000;
/** Where the guest's code is, in guest-physical memory; its stack is below. */
export const guestCode = 0x10_0000;

export interface BenchOptions {
  /** Assembly of the guest: 64-bit code at CPL 0, memory mapped to itself. */
  readonly guest: string;
  readonly mode?: BhyveMode;
  readonly processors?: number;
  readonly model?: string;
  readonly worldSwitch?: string;
  readonly runGuest?: string;
}

/** A virtual machine of bhyve without a board: for one VM exit after another. */
export class Bench {
  readonly kernel: HostKernel;
  readonly door: VmxDoor;
  readonly vm: Vm<VmxMachine>;
  readonly ops: VmxBackend;
  readonly apics: LocalApic[] = [];
  readonly symbols: ReadonlyMap<string, bigint>;
  /** VMX instructions of the C part, in order. */
  readonly instructions: string[] = [];
  cookie!: VmxMachine;

  constructor(options: BenchOptions) {
    const { guest, mode = "fixed", processors = 1, model = "default" } = options;
    this.kernel = new HostKernel({
      memoryBytes: hostKernelBytes + guestBytes,
      processors,
      model: cpuModel(model, { processors })!,
    });
    const { kernel } = this;
    this.door = new VmxDoor(kernel);
    this.ops = new VmxBackend(kernel, this.door, mode, {
      worldSwitch: options.worldSwitch ?? worldSwitch,
      runGuest: options.runGuest ?? runGuest,
    });
    if (this.ops.init() !== 0) throw new Error("no VT-x");
    this.door.observer = (name) => this.instructions.push(name.toUpperCase());
    const init = this.ops.vminit.bind(this.ops);
    this.ops.vminit = (vcpus) => {
      const made = init(vcpus);
      if (typeof made !== "string") this.cookie = made;
      return made;
    };
    const memory = new GuestMemoryMap(kernel.pc.guest);
    const vm = Vm.create({
      name: "bench",
      kernel,
      ops: this.ops,
      memory,
      processors,
      mode,
      apic: (index) => this.#apic(index),
    });
    if (isErrno(vm)) throw new Error(vm);
    this.vm = vm;
    vm.mapMemory(0, hostKernelBytes, guestBytes);
    memory.writeBytes(guestTables, identityMapBytes(guestTables));
    const assembly = assemble(guest, { codeSize: 64, origin: guestCode });
    if (assembly.kind === "errors") throw new Error(JSON.stringify(assembly.errors));
    memory.writeBytes(guestCode, assembly.bytes);
    this.symbols = assembly.symbols;
    for (let index = 0; index < processors; index++) this.#longMode(index);
  }

  #apic(index: number): LocalApic {
    const apic = new LocalApic({
      id: index,
      bootstrap: index === 0,
      clock: new SteppedClock(),
      bus: new ApicBus(),
      pins: {
        interruptRequest: (pending) => {
          if (pending) this.vm?.notify(index);
        },
        nmi() {},
        init() {},
        startup() {},
        smi() {},
        apicPage() {},
      },
      externalVector: () => 0,
      tsc: () => 0n,
      nsUntilTsc: () => Number.POSITIVE_INFINITY,
    });
    this.apics[index] = apic;
    apic.write(0xf0, 0x1ff, 4);
    return apic;
  }

  /** The first virtual processor as it was at the beginning; memory is left. */
  reset(): void {
    this.vm.memory.writeBytes(guestTables, identityMapBytes(guestTables));
    this.inVmcs(() => {
      for (const name of [
        "control.entryInterruptionInformation",
        "guest.interruptibility",
        "guest.activity",
        "guest.pendingDebugExceptions",
      ] as const)
        this.door.write32(this.kernel.cpus[0]!, fieldSlot(name), 0);
    });
    this.#longMode(0);
  }

  #longMode(index: number): void {
    const { vm } = this;
    const set = (name: RegisterName, value: bigint): void => {
      vm.setRegister(index, name, value);
    };
    for (const name of ["cs", "ss", "ds", "es", "fs", "gs"] as const) {
      vm.setDescriptor(index, name, {
        base: 0n,
        limit: 0xffff_ffff,
        access: name === "cs" ? 0xa09b : 0xc093,
      });
      set(name, name === "cs" ? 8n : 16n);
    }
    vm.setDescriptor(index, "tr", { base: 0n, limit: 0x67, access: 0x8b });
    vm.setDescriptor(index, "ldtr", { base: 0n, limit: 0, access: 0x1_0000 });
    set("efer", 0x500n);
    set("cr0", 0x8000_0031n);
    set("cr3", BigInt(guestTables));
    set("cr4", 0x20n);
    set("rsp", BigInt(guestCode));
    set("rflags", 2n);
  }

  /** VM_RUN to its end, on one processor with nothing beside it. */
  run(rip: bigint | number = guestCode, vcpu = 0, cpu = 0, budget = 10_000_000): RunResult {
    const thread: Thread<RunResult> = this.vm.run(vcpu, this.kernel.cpus[cpu]!, BigInt(rip));
    const result = this.kernel.finish(thread, budget);
    if (typeof result === "string")
      throw new Error(`VM_RUN did not end: ${result} ${this.kernel.died?.says ?? ""}`);
    return result;
  }

  /** VM_RUN that comes back with an exit. */
  exit(rip: bigint | number = guestCode, vcpu = 0, cpu = 0): VmExit {
    const { errno, exit } = this.run(rip, vcpu, cpu);
    if (errno !== 0)
      throw new Error(
        `VM_RUN: ${errno} ${JSON.stringify(exit, (_, v) => (typeof v === "bigint" ? String(v) : v))}`,
      );
    return exit!;
  }

  register(name: RegisterName, vcpu = 0): bigint {
    const value = this.vm.getRegister(vcpu, name);
    if (typeof value !== "bigint") throw new Error(value);
    return value;
  }

  /** With the VMCS of a virtual processor that does not run. */
  inVmcs<Result>(act: () => Result, vcpu = 0): Result {
    const { vmcs } = this.cookie.vcpus[vcpu]!;
    const cpu = this.kernel.cpus[0]!;
    this.door.vmptrld(cpu, vmcs);
    const result = act();
    this.door.vmclear(cpu, vmcs);
    return result;
  }

  /** A callout of the host after so many nanoseconds. */
  after(ns: number, fire: () => void): void {
    this.kernel.callouts.timer("bench", fire).arm(this.kernel.pc.clock.nowNs + ns);
  }
}
