import { CR0 } from "../../arch/control-registers.ts";
import type { GuestMemoryMap } from "../host/guest-memory-map.ts";
import { type HostKernel, hostVector, type Thread } from "../host/host-kernel.ts";
import { fpuImageBytes, type HostProcessor } from "../host/host-processor.ts";
import { GuestCpuid } from "./guest-cpuid.ts";
import { GuestMsrs } from "./guest-msrs.ts";
import {
  type BhyveMode, type Capability, type Descriptor, type DescriptorName, type Errno, type GuestEvent, noReason, type Outcome, prot,
  type RegisterName, type VcpuAround, type VcpuStats, type VirtualApic, VM_MAXCPU, type VmExit, type VmmOps,
} from "./vmm.ts"; // biome-ignore format: one list
import { astFlag, switchFpu } from "./world-switch.ts";

const pageBytes = 4096;
const fxsaveBytes = 512;
/** With its terminator 32 bytes. */
const longestName = 31;
/** The original had two, below and above 4 GiB: its memory came from where the host liked, ours from around the host's own hole. */
const mostSegments = 4;
const videoStart = 0xa_0000;
const videoEnd = 0xc_0000;

/** FPU and vector registers of one owner while the other has the processor: for FXSAVE, and for the direct way. */
interface FpuImage {
  readonly address: number;
  readonly registers: Uint8Array;
}

/** Who may act on a virtual processor now. */
type VcpuState = "IDLE" | "RUNNING" | "CANNOT_RUN";

/** What virtual processors share. */
interface VmAround {
  readonly kernel: HostKernel;
  readonly memory: GuestMemoryMap;
  readonly cpuid: GuestCpuid;
}

/** A virtual processor, without what is VT-x's. */
export class Vcpu implements VcpuAround {
  readonly index: number;
  readonly apic: VirtualApic;
  readonly msrs: GuestMsrs;
  readonly stats: VcpuStats = { exits: 0, migrations: 0, externalInterrupts: 0, hlts: 0, userExits: 0 };
  state: VcpuState = "IDLE";
  /** The host's processor, from VM_RUN's beginning to its end. */
  hostcpu: HostProcessor | undefined;
  /** Where its thread sleeps while the guest is in HLT. */
  sleepsOn: HostProcessor | undefined;
  /** An interrupt would wake it. */
  isInterruptible = true;
  nmiPending = false;
  /** Reset by INIT, waiting for a start-up IPI. */
  waitsForSipi: boolean;
  spinup: VcpuAround["spinup"];
  /** Images of the FPU, the guest's and the host's, in the host kernel's memory. */
  readonly guestFpu: FpuImage;
  readonly hostFpu: FpuImage;
  readonly #vm: VmAround;

  constructor(vm: VmAround, index: number, apic: VirtualApic) {
    this.#vm = vm;
    this.index = index;
    this.apic = apic;
    this.msrs = new GuestMsrs(() => this.apic);
    this.waitsForSipi = index !== 0;
    const { memory, cpus } = vm.kernel;
    const image = (): FpuImage => {
      const made = { address: memory.allocate(fxsaveBytes, 64), registers: new Uint8Array(fpuImageBytes) };
      // Both begin as the processor is now: as FNINIT and a reset leave it.
      memory.write32(made.address, 0x037f);
      memory.write32(made.address + 24, 0x1f80);
      cpus[0]!.select();
      cpus[0]!.saveFpu(made.registers);
      return made;
    };
    this.guestFpu = image();
    this.hostFpu = image();
  }

  cpuid(leaf: number, subleaf: number) {
    return this.#vm.cpuid.answer(this.index, leaf, subleaf);
  }
  readMsr(index: number): bigint | "GP" | undefined {
    return this.msrs.read(index);
  }
  writeMsr(index: number, value: bigint): true | "GP" | undefined {
    return this.msrs.write(index, value, this.hostcpu!.state);
  }
  readMemory32(address: number): number {
    return this.#vm.memory.read32(address);
  }
  readMemory(address: number, length: number): Uint8Array {
    return this.#vm.memory.readBytes(address, length);
  }
}

/** What VM_RUN gives back: an error number, or why the guest stopped. ENOEXEC comes with an exit that says more. */
export interface RunResult {
  readonly errno: Outcome;
  readonly exit: VmExit | undefined;
}

export interface VmOptions<Cookie> {
  readonly name: string;
  readonly kernel: HostKernel;
  readonly ops: VmmOps<Cookie>;
  readonly memory: GuestMemoryMap;
  readonly processors: number;
  readonly mode: BhyveMode;
  /** Switch the FPU without FXSAVE and FXRSTOR, to the same effect; default true. */
  readonly isFpuDirect?: boolean;
  /** The virtual local APIC of each virtual processor. */
  apic(index: number): VirtualApic;
}

/** A virtual machine: the layer that knows no VT-x. Its methods are the ioctls of /dev/vmm/NAME. */
export class Vm<Cookie> {
  readonly name: string;
  readonly vcpus: readonly Vcpu[];
  readonly memory: GuestMemoryMap;
  readonly #kernel: HostKernel;
  readonly #ops: VmmOps<Cookie>;
  readonly #cookie: Cookie;
  readonly #isFpuDirect: boolean;

  /** An error number where there cannot be such a virtual machine. */
  static create<Cookie>(options: VmOptions<Cookie>): Vm<Cookie> | Errno {
    const { name, processors, ops, kernel, memory, apic } = options;
    if (name.length === 0 || name.length > longestName || processors < 1 || processors > VM_MAXCPU)
      return "EINVAL";
    if (!kernel.code.some((code) => code.name === "vmm")) kernel.place("vmm", switchFpu);
    const cpuid = new GuestCpuid(kernel.cpus[0]!.processor, processors);
    const around = { kernel, memory, cpuid };
    const vcpus = Array.from({ length: processors }, (_, index) => new Vcpu(around, index, apic(index)));
    const cookie = ops.vminit(vcpus);
    return isErrno(cookie) ? cookie : new Vm(options, vcpus, cookie);
  }

  private constructor(
    { name, kernel, ops, memory, isFpuDirect = true }: VmOptions<Cookie>,
    vcpus: readonly Vcpu[],
    cookie: Cookie,
  ) {
    this.name = name;
    this.memory = memory;
    this.vcpus = vcpus;
    this.#kernel = kernel;
    this.#ops = ops;
    this.#cookie = cookie;
    this.#isFpuDirect = isFpuDirect;
    kernel.onVector(hostVector.kick, ({ cpu }) => cpu.apic.endOfInterrupt());
  }

  destroy(): void {
    this.#ops.vmcleanup(this.#cookie);
  }

  /** VM_MAP_MEMORY: a segment of guest-physical memory; at most four, and none twice. */
  mapMemory(guest: number, host: number, length: number): Outcome {
    if ((guest | host | length) & (pageBytes - 1) || length <= 0) return "EINVAL";
    const { segments } = this.memory;
    if (segments.some((other) => other.guest === guest && other.length === length)) return 0;
    const overlaps = segments.some(
      (other) => guest < other.guest + other.length && other.guest < guest + length,
    );
    if (overlaps) return "EINVAL";
    if (segments.length >= mostSegments) return "ENOMEM";
    // The hole of the video memory is the user process's.
    for (const [start, end] of [
      [guest, Math.min(guest + length, videoStart)],
      [Math.max(guest, videoEnd), guest + length],
    ] as const) {
      const outcome =
        end > start
          ? this.#ops.mmapSet(this.#cookie, start, host + (start - guest), end - start, prot.all)
          : 0;
      if (outcome !== 0) return outcome;
    }
    this.memory.add({ guest, host, length });
    return 0;
  }

  /** Host-physical address of a guest-physical one; -1: not mapped. */
  hostAddress(guest: number): number {
    return this.#ops.mmapGet(this.#cookie, guest);
  }

  /** An ioctl about one virtual processor: nobody may run it meanwhile. */
  #whileIdle<Result>(index: number, act: (cpu: HostProcessor) => Result): Result | Errno {
    const vcpu = this.vcpus[index];
    if (vcpu === undefined) return "EINVAL";
    if (vcpu.state !== "IDLE") return "EBUSY";
    vcpu.state = "CANNOT_RUN";
    const result = act(this.#kernel.current ?? this.#kernel.cpus[0]!);
    vcpu.state = "IDLE";
    return result;
  }

  getRegister(index: number, name: RegisterName): bigint | Errno {
    return this.#whileIdle(index, (cpu) => this.#ops.getreg(this.#cookie, index, cpu, name));
  }
  setRegister(index: number, name: RegisterName, value: bigint): Outcome {
    return this.#whileIdle(index, (cpu) => this.#ops.setreg(this.#cookie, index, cpu, name, value));
  }
  getDescriptor(index: number, name: DescriptorName): Descriptor | Errno {
    return this.#whileIdle(index, (cpu) => this.#ops.getdesc(this.#cookie, index, cpu, name));
  }
  setDescriptor(index: number, name: DescriptorName, value: Descriptor): Outcome {
    return this.#whileIdle(index, (cpu) => this.#ops.setdesc(this.#cookie, index, cpu, name, value));
  }
  injectEvent(index: number, event: GuestEvent): Outcome {
    return this.#whileIdle(index, (cpu) => this.#ops.inject(this.#cookie, index, cpu, event));
  }
  getCapability(index: number, capability: Capability): boolean | Errno {
    return this.#whileIdle(index, () => this.#ops.getcap(this.#cookie, index, capability) ?? "ENOENT");
  }
  setCapability(index: number, capability: Capability, value: boolean): Outcome {
    return this.#whileIdle(index, (cpu) => this.#ops.setcap(this.#cookie, index, cpu, capability, value));
  }
  /** VM_INJECT_NMI. */
  injectNmi(index: number): Outcome {
    const vcpu = this.vcpus[index];
    if (vcpu === undefined) return "EINVAL";
    vcpu.nmiPending = true;
    this.notify(index);
    return 0;
  }

  /** Something has come up for a virtual processor: bring it out of the guest, or its thread out of its sleep. */
  notify(index: number): void {
    const vcpu = this.vcpus[index]!;
    const target = vcpu.hostcpu ?? vcpu.sleepsOn;
    const { current } = this.#kernel;
    if (target === undefined || target === current) return;
    (current ?? target).apic.sendInterrupt(target.index, hostVector.kick);
  }

  /** The thread of a virtual processor is wanted outside the guest: VM_RUN comes back with BOGUS. */
  requestAst(index: number): void {
    const vcpu = this.vcpus[index]!;
    const target = vcpu.hostcpu ?? vcpu.sleepsOn;
    if (target === undefined) return;
    this.#kernel.memory.write32(target.area + astFlag, 1);
    this.notify(index);
  }

  /** VM_RUN, from `rip` on. */
  *run(index: number, cpu: HostProcessor, rip: bigint): Thread<RunResult> {
    const vcpu = this.vcpus[index];
    if (vcpu === undefined) return { errno: "EINVAL", exit: undefined };
    if (vcpu.state !== "IDLE") return { errno: "EBUSY", exit: undefined };
    vcpu.state = "RUNNING";
    let exit: VmExit;
    let next = rip;
    for (;;) {
      this.#enterCritical(vcpu, cpu);
      exit = yield* this.#ops.vmrun(this.#cookie, index, cpu, next);
      this.#leaveCritical(vcpu, cpu);
      if (exit.code !== "HLT") break;
      next = exit.rip + BigInt(exit.instLength);
      yield* this.#sleep(vcpu, cpu, exit.interruptible);
    }
    vcpu.state = "IDLE";
    // Back in user mode an AST is over.
    if (exit.code === "BOGUS") this.#kernel.memory.write32(cpu.area + astFlag, 0);
    const isFailure = exit.code === "VMX" && exit.reason === noReason;
    return { errno: isFailure ? "ENOEXEC" : 0, exit };
  }

  /** The guest's syscall MSRs and FPU come in; from here on the guest has the processor. */
  #enterCritical(vcpu: Vcpu, cpu: HostProcessor): void {
    cpu.select();
    cpu.interruptsEnabled = true;
    vcpu.msrs.loadGuest(cpu.state);
    this.#switchFpu(cpu, vcpu.hostFpu, vcpu.guestFpu);
    vcpu.hostcpu = cpu;
  }

  #leaveCritical(vcpu: Vcpu, cpu: HostProcessor): void {
    vcpu.hostcpu = undefined;
    this.#switchFpu(cpu, vcpu.guestFpu, vcpu.hostFpu);
    vcpu.msrs.restoreHost(cpu.state);
  }

  /** From one owner's registers to the other's; afterwards CR0.TS is set. */
  #switchFpu(cpu: HostProcessor, from: FpuImage, to: FpuImage): void {
    if (this.#isFpuDirect) {
      cpu.saveFpu(from.registers);
      cpu.loadFpu(to.registers);
      cpu.state.CR0 |= CR0.TS;
      return;
    }
    this.#kernel.call(cpu, this.#kernel.symbol("vmm_switch_fpu"), { rdi: from.address, rsi: to.address });
  }

  /** HLT: the thread sleeps in the host's idle loop until there is an event for the guest. */
  *#sleep(vcpu: Vcpu, cpu: HostProcessor, isInterruptible: boolean): Thread {
    const idle = this.#kernel.symbol("idle");
    vcpu.sleepsOn = cpu;
    vcpu.isInterruptible = isInterruptible;
    cpu.interruptsEnabled = false;
    while (
      !vcpu.nmiPending &&
      !(isInterruptible && vcpu.apic.hasInterrupt()) &&
      this.#kernel.memory.read32(cpu.area + astFlag) === 0
    ) {
      cpu.begin(idle);
      if (!cpu.proceed()) yield* cpu.rest();
    }
    vcpu.sleepsOn = undefined;
  }
}

// biome-ignore format: one list
const errnos: readonly unknown[] = ["EEXIST", "EINVAL", "ENXIO", "EBUSY", "EAGAIN", "ENOENT", "ENOEXEC", "EFAULT", "ENOMEM"] satisfies Errno[];
export const isErrno = (value: unknown): value is Errno => errnos.includes(value);
