import type { ProcessorPins } from "../../devices/local-apic-doors.ts";
import { highest } from "../../devices/vector-set.ts";
import { applyInitialState } from "../../machine/boot/initial-state.ts";
import { type BootRefusal, refuse } from "../../machine/boot/load-plan.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import type { PcOutputs } from "../../machine/pc-doors.ts";
import { CpuState } from "../../state/cpu-state.ts";
import { stateBytes } from "../../state/layout.ts";
import type { GuestBoard } from "../host/guest-board.ts";
import { loadGuest } from "../host/guest-loader.ts";
import type { Thread } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { interruptChips } from "../host/kernel-devices.ts";
import { guestRefusal, VirtualMachine } from "../host/virtual-machine.ts";
import { type Irqchip, Kvm, type KvmVcpu, type KvmVm, vcpuPins } from "./kvm.ts";
import { errno, KvmExit } from "./kvm-run.ts";
import { KvmSystem } from "./kvm-system.ts";

/** The machine with KVM as its host: the process that opens /dev/kvm, with a board of devices, and an image as its guest. */

export type KvmMode = "fixed" | "historic";

const leaf = { features: 1, topology: 0xb } as const;
const initialApicId = 24;

/** The interrupt controllers of a board as KVM's own. */
const irqchipOf = (board: GuestBoard): Irqchip => ({
  devices: (index) => interruptChips(board, index),
  apic: (index) => board.apics[index]!,
  highestRequest: (index) => highest(board.apics[index]!.state.IRR) ?? -1,
  line: (irq) => board.chipset.ioApic.pin(irq),
});

export class KvmMachine extends VirtualMachine {
  readonly vm: KvmVm;
  /** Why the guest was killed. */
  verdict: string | undefined;
  readonly #outputs: PcOutputs;

  /** One sentence where the guest cannot be had on this processor. */
  static create(
    bootable: BootableMachine,
    outputs: PcOutputs,
    kept?: WebAssembly.Memory,
    mode: KvmMode = "fixed",
  ): KvmMachine | BootRefusal {
    const refusal = guestRefusal(bootable);
    if (refusal !== undefined) return refusal;
    const { configuration, plan } = bootable;
    const { model, processors } = configuration;
    if (!model.has("enableEPT"))
      return refuse(`KVM needs VT-x with EPT, which the processor (${model.name}) has not`);
    if (!model.has("unrestrictedGuest") && (plan.cpu.mode !== "long64" || processors > 1))
      return refuse(
        `KVM needs unrestricted guests for more than one processor in 64-bit mode, and the processor (${model.name}) has them not`,
      );
    return new KvmMachine(bootable, outputs, kept, mode);
  }

  private constructor(
    bootable: BootableMachine,
    outputs: PcOutputs,
    kept: WebAssembly.Memory | undefined,
    mode: KvmMode,
  ) {
    super(bootable, outputs, kept);
    const { kernel } = this;
    this.#outputs = outputs;
    const { unimplemented } = outputs;
    const system = KvmSystem.load(kernel, {
      mode,
      ...(unimplemented === undefined ? {} : { reportUnimplemented: unimplemented }),
    });
    if (typeof system === "number") throw new Error(`a processor with EPT that KVM cannot use: ${system}`);
    const kvm = new Kvm(system);
    this.vm = kvm.createVm(this.memory);
    this.vm.createIrqchip(irqchipOf(this.board));
    this.guestSegments.forEach(({ guest, host, length }, slot) => {
      const region = { slot, guestPhysAddr: guest, memorySize: length, userspaceAddr: host };
      if (this.vm.setUserMemoryRegion({ ...region, logsDirtyPages: false }) !== 0)
        throw new Error("a memory slot of the guest was refused");
    });
    this.#boot(kvm, bootable);
  }

  protected override pins(index: number): ProcessorPins {
    return vcpuPins(() => this.vm?.vcpus[index]);
  }

  protected override timeStamp(index: number): bigint {
    const offset = this.vm?.vcpus[index]?.loop.vmx.core.state.tscOffset ?? 0n;
    return BigInt.asUintN(64, super.timeStamp(index) + offset);
  }

  takesInterrupts(): boolean {
    return this.vm.vcpus.some((vcpu) => vcpu?.loop.isBlocked && vcpu.loop.isInterruptible);
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
    const start = new CpuState(new ArrayBuffer(stateBytes));
    applyInitialState(start, plan.cpu);
    vcpu.setSregs(first, start);
    vcpu.setRegs(first, start);
  }

  #kill(vcpu: KvmVcpu, says: string): false {
    this.verdict ??= `vCPU ${vcpu.id}: ${says}`;
    this.#outputs.unimplemented?.(`guest killed: ${this.verdict}`);
    this.end({ kind: "triple-fault", processor: vcpu.id });
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
    if (isOut) this.board.writePort(port, run.ioValue(size), size);
    else run.buffer.setUint32(0, this.board.readPort(port, size), true);
  }
}
