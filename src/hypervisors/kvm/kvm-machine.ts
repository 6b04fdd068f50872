import { highest } from "../../devices/vector-set.ts";
import { memoryMap } from "../../machine/board-map.ts";
import type { BootRefusal } from "../../machine/boot/load-plan.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import type { PcOutputs, PcStop } from "../../machine/pc-doors.ts";
import { GuestBoard } from "../host/guest-board.ts";
import { loadGuest } from "../host/guest-loader.ts";
import { guestSegments } from "../host/guest-memory-map.ts";
import { HostKernel, hostKernelBytes, type Thread } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import type { KernelDevices } from "./kernel-devices.ts";
import { type Irqchip, Kvm, type KvmVcpu, type KvmVm } from "./kvm.ts";
import { errno, KvmExit } from "./kvm-run.ts";
import { KvmSystem } from "./kvm-system.ts";

/** The machine with KVM as its host: the process that opens /dev/kvm, with a board of devices, and an image as its guest. */

export type KvmMode = "fixed" | "historic";

/** Ports of chips that KVM has in the kernel: the 8259s, and the 8254 with its gate. */
const kernelPorts = new Set([0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, 0x40, 0x41, 0x42, 0x43, 0x61]);
const pageBytes = 4096;
const leaf = { features: 1, topology: 0xb } as const;
const initialApicId = 24;

/** The interrupt controllers of a board as KVM's own. */
const irqchipOf = (board: GuestBoard): Irqchip => ({
  devices: (index): KernelDevices => {
    const apic = board.apics[index]!;
    const isApic = (address: number): boolean =>
      apic.page !== undefined && address >= apic.page && address < apic.page + pageBytes;
    return {
      ownsPort: (port) => kernelPorts.has(port),
      ownsMemory: (address) =>
        isApic(address) || (address >= memoryMap.ioApic && address < memoryMap.ioApic + pageBytes),
      readPort: (port, size) => board.readPort(port, size),
      writePort: (port, value, size) => board.writePort(port, value, size),
      readMemory: (address, size) =>
        isApic(address) ? apic.read(address % pageBytes, size) : board.readMemory(address, size),
      writeMemory: (address, value, size) => {
        if (isApic(address)) apic.write(address % pageBytes, value, size);
        else board.writeMemory(address, value, size);
      },
    };
  },
  apic: (index) => board.apics[index]!,
  highestRequest: (index) => highest(board.apics[index]!.state.IRR) ?? -1,
  line: (irq) => board.chipset.ioApic.pin(irq),
});

export class KvmMachine {
  readonly kernel: HostKernel;
  readonly board: GuestBoard;
  readonly vm: KvmVm;
  /** Why the machine stopped; undefined while it runs. */
  stop: PcStop | undefined;
  /** Why the guest was killed. */
  verdict: string | undefined;
  readonly #outputs: PcOutputs;
  #isStopRequested = false;

  /** One sentence where the guest cannot be had on this processor. */
  static create(
    bootable: BootableMachine,
    outputs: PcOutputs,
    mode: KvmMode = "fixed",
    kept?: WebAssembly.Memory,
  ): KvmMachine | BootRefusal {
    const { configuration, plan } = bootable;
    const { model, processors, memoryBytes, seed } = configuration;
    const { unimplemented } = outputs;
    const told = unimplemented === undefined ? {} : { unimplemented };
    const needsVtx = { message: `KVM needs VT-x with EPT, which ${model.name} as configured does not have` };
    if (!model.has("VMX") || !model.has("enableEPT")) return needsVtx;
    const kernel = new HostKernel({
      memoryBytes: memoryBytes + hostKernelBytes,
      processors,
      model,
      seed,
      ...(kept === undefined ? {} : { keptMemory: kept }),
      ...told,
    });
    const system = KvmSystem.load(kernel, {
      mode,
      ...(unimplemented === undefined ? {} : { reportUnimplemented: unimplemented }),
    });
    if (typeof system === "number") return needsVtx;
    if (!system.controls.has("unrestrictedGuest") && (plan.cpu.mode !== "long64" || processors > 1))
      return {
        message: `KVM without unrestricted guests starts one processor, in 64-bit mode; this would begin in ${plan.cpu.mode} mode with ${processors}`,
      };
    return new KvmMachine(new Kvm(system), bootable, outputs);
  }

  private constructor(kvm: Kvm, bootable: BootableMachine, outputs: PcOutputs) {
    const { configuration } = bootable;
    const { kernel } = kvm.system;
    this.kernel = kernel;
    this.#outputs = outputs;
    this.vm = kvm.createVm();
    const { clock } = kernel.pc;
    this.board = new GuestBoard({
      configuration,
      outputs,
      clock: kernel.callouts,
      memory: this.vm.memory.map,
      pins: (index) => this.vm.pins(index),
      timeStamp: (index) => this.#timeStamp(index),
      spendTime: (ns) => {
        clock.nowNs += ns;
      },
      halt: (stop) => this.#end(stop),
    });
    this.vm.createIrqchip(irqchipOf(this.board));
    const segments = guestSegments(kernel.pc.guest, hostKernelBytes, configuration.memoryBytes);
    if (segments === undefined) throw new Error("the host has less memory than it was made with");
    segments.forEach(({ guest, host, length }, slot) => {
      const region = {
        slot,
        logsDirtyPages: false,
        guestPhysAddr: guest,
        memorySize: length,
        userspaceAddr: host,
      };
      if (this.vm.setUserMemoryRegion(region) !== 0)
        throw new Error("a memory slot of the guest was refused");
    });
    this.#boot(kvm, bootable);
  }

  /** RDTSC on a virtual processor. */
  #timeStamp(index: number): bigint {
    const offset = this.vm.vcpus[index]?.loop.vmx.core.state.tscOffset ?? 0n;
    return BigInt.asUintN(64, BigInt(this.kernel.pc.clock.nowNs) + offset);
  }

  #boot(kvm: Kvm, bootable: BootableMachine): void {
    const { kernel, vm } = this;
    const cpuid = kvm.supportedCpuid();
    for (const cpu of kernel.cpus) {
      cpu.select();
      const vcpu = vm.createVcpu(cpu.index, cpu);
      if (typeof vcpu === "number") throw new Error(`a virtual processor was refused: ${vcpu}`);
      const isId = (entry: (typeof cpuid)[number]): number =>
        entry.function === leaf.features ? (entry.ebx & 0xff_ffff) | (cpu.index << initialApicId) : entry.ebx;
      vcpu.setCpuid(
        cpu,
        cpuid.map((entry) => ({
          ...entry,
          ebx: isId(entry) >>> 0,
          edx: entry.function === leaf.topology ? cpu.index : entry.edx,
        })),
      );
      kernel.start(cpu, this.#thread(vcpu, cpu));
    }
    const first = kernel.cpus[0]!;
    first.select();
    loadGuest(vm.memory.map, bootable, first.processor);
    const { plan } = bootable;
    const vcpu = vm.vcpus[0]!;
    vcpu.setSregs(first, plan.cpu);
    vcpu.setRegs(first, {
      ...zeroRegisters,
      ...plan.cpu.registers,
      RIP: plan.cpu.RIP,
      RFLAGS: plan.cpu.RFLAGS,
    });
  }

  #end(stop: PcStop): void {
    this.stop ??= stop;
    this.kernel.stopping = true;
  }

  #kill(vcpu: KvmVcpu, says: string): false {
    this.verdict ??= `vCPU ${vcpu.id}: ${says}`;
    this.#outputs.unimplemented?.(`guest killed: ${this.verdict}`);
    this.#end({ kind: "triple-fault", processor: vcpu.id });
    return false;
  }

  /** The thread of a virtual processor: KVM_RUN, and what its exits ask of the devices. */
  *#thread(vcpu: KvmVcpu, cpu: HostProcessor): Thread {
    while (this.stop === undefined) {
      const result = yield* vcpu.ioctlRun(cpu);
      if (result === errno.EAGAIN || result === errno.EINTR) continue;
      if (result !== 0 || !this.#answer(vcpu)) return;
    }
  }

  /** False: the guest does not go on. */
  #answer(vcpu: KvmVcpu): boolean {
    const { run } = vcpu;
    switch (run.exitReason) {
      case KvmExit.IO:
        this.#port(vcpu);
        return true;
      case KvmExit.MMIO: {
        const { address, length, isWrite, value } = run.mmio;
        if (isWrite) this.board.writeMemory(address, value, length);
        else run.mmio.value = this.board.readMemory(address, length);
        return true;
      }
      case KvmExit.INTR:
      case KvmExit.IRQ_WINDOW_OPEN:
      case KvmExit.SET_TPR:
        return true;
      case KvmExit.SHUTDOWN:
        return this.#kill(vcpu, "triple fault");
      case KvmExit.FAIL_ENTRY:
        return this.#kill(
          vcpu,
          `VM entry failed, hardware reason 0x${run.hardwareEntryFailureReason.toString(16)}`,
        );
      case KvmExit.INTERNAL_ERROR:
        return this.#kill(vcpu, `KVM internal error, suberror ${run.internal.suberror}`);
      default:
        return this.#kill(
          vcpu,
          `exit ${run.exitReason} of KVM_RUN, hardware reason ${run.hardwareExitReason}`,
        );
    }
  }

  #port({ run }: KvmVcpu): void {
    const { isOut, size, port } = run.io;
    const { buffer } = run;
    if (isOut) {
      const value =
        size === 1 ? buffer.getUint8(0) : size === 2 ? buffer.getUint16(0, true) : buffer.getUint32(0, true);
      this.board.writePort(port, value, size);
    } else buffer.setUint32(0, this.board.readPort(port, size), true);
  }

  /** As Pc.run. */
  run(maximum: number, warp: boolean): PcStop {
    const stop = this.kernel.run(maximum, warp);
    if (this.stop !== undefined) return this.stop;
    if (this.#isStopRequested) {
      this.#isStopRequested = false;
      return { kind: "interrupted" };
    }
    return stop;
  }

  /** End `run` soon. */
  interrupt(): void {
    this.#isStopRequested = true;
    this.kernel.stopping = true;
  }
}

const zeroRegisters = {
  RAX: 0n, RCX: 0n, RDX: 0n, RBX: 0n, RSP: 0n, RBP: 0n, RSI: 0n, RDI: 0n,
  R8: 0n, R9: 0n, R10: 0n, R11: 0n, R12: 0n, R13: 0n, R14: 0n, R15: 0n,
} as const; // biome-ignore format: one record
