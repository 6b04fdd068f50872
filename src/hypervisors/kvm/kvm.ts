import { CR0, IA32_EFER } from "../../arch/control-registers.ts";
import { msrs } from "../../arch/msrs.ts";
import type { InterruptLine } from "../../bus/interrupt-line.ts";
import type { CpuModel, LocalApicSocket } from "../../cpu/core.ts";
import { Fault } from "../../cpu/fault.ts";
import { Access, walkLinear } from "../../cpu/page-walk.ts";
import type { ProcessorPins } from "../../devices/local-apic-doors.ts";
import type { CpuState } from "../../state/cpu-state.ts";
import { generalRegisters, segmentRegisters } from "../../state/layout.ts";
import { eptOptions } from "../host/ept-tables.ts";
import { noPins } from "../host/guest-board.ts";
import { UserApic } from "../host/guest-core.ts";
import { GuestMemoryMap } from "../host/guest-memory-map.ts";
import { type CpuidEntry, guestModel } from "../host/guest-model.ts";
import { loadState, storeRegisters } from "../host/guest-state.ts";
import type { Thread } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import type { KernelDevices } from "../host/kernel-devices.ts";
import { supportedCpuid } from "./cpuid.ts";
import { readGuestMsr, writeGuestMsr } from "./guest-msrs.ts";
import { errno, type KvmRun, type MpState } from "./kvm-run.ts";
import type { KvmSystem } from "./kvm-system.ts";
import { passedMsrs, sharedMsrs } from "./msr-lists.ts";
import { VcpuLoop } from "./vcpu.ts";
import { area, fpuBytes } from "./vcpu-area.ts";
import { Request, type VcpuVmx } from "./vcpu-vmx.ts";
import { type MemoryRegion, VmMemory } from "./vm-memory.ts";

/** /dev/kvm: a system makes virtual machines, these make virtual processors, and KVM_RUN runs one until it has something to say. */

/** KVM_CHECK_EXTENSION: what there is, by the names of the constants without KVM_CAP_. */
const extensions: Readonly<Record<string, number>> = {
  IRQCHIP: 1, HLT: 1, USER_MEMORY: 1, SET_TSS_ADDR: 1, EXT_CPUID: 1, NR_VCPUS: 8, NR_MEMSLOTS: 32, MP_STATE: 1, USER_NMI: 1, XSAVE: 1,
}; // biome-ignore format: one list

const regNames = [...generalRegisters, "RIP", "RFLAGS"] as const;
export type KvmRegs = Record<(typeof regNames)[number], bigint>;
const tables = ["GDTR", "IDTR"] as const;
const sregNames = [
  "CR0", "CR3", "CR4", "IA32_EFER",
  ...[...segmentRegisters, ...tables].flatMap((name) => [`${name}.base`, `${name}.limit`] as const),
  ...segmentRegisters.flatMap((name) => [`${name}.selector`, `${name}.access`] as const),
] as const; // biome-ignore format: one list
/** Special registers, by their names in the state of a processor. */
export type KvmSregs = Pick<CpuState, (typeof sregNames)[number] | "CR2"> & {
  readonly CR8: number;
  readonly apicBase: bigint;
};

/** Those of the named values that a caller has given become the state's. */
const take = <Name extends keyof CpuState>(
  state: CpuState,
  names: readonly Name[],
  values: { readonly [N in Name]?: CpuState[N] | undefined },
): void => {
  for (const name of names) if (values[name] !== undefined) Object.assign(state, { [name]: values[name] });
};

/** Interrupt controllers in the kernel: the chips, one local APIC for each virtual processor, and the lines into them. */
export interface Irqchip {
  /** What of them a virtual processor reaches by exits: its own local APIC's page among it. */
  devices(index: number): KernelDevices;
  apic(index: number): LocalApicSocket;
  /** The highest vector that waits in a local APIC, held back by its task priority or not; -1: none. */
  highestRequest(index: number): number;
  line(irq: number): InterruptLine;
}

const maximumVcpus = 8;

export class KvmVm {
  readonly kvm: KvmSystem;
  readonly memory: VmMemory;
  readonly vcpus: (KvmVcpu | undefined)[] = [];
  irqchip: Irqchip | undefined;
  tssAddr = 0;

  constructor(kvm: KvmSystem, map: GuestMemoryMap) {
    this.kvm = kvm;
    const { memory, cpus } = kvm.kernel;
    this.memory = new VmMemory(memory, map, eptOptions(cpus[0]!.vmx.capability));
  }

  /** KVM_CREATE_VCPU, on a processor that is in no call: the virtual processor, or an error. */
  createVcpu(id: number, cpu: HostProcessor): KvmVcpu | number {
    if (!Number.isInteger(id) || id < 0 || id >= maximumVcpus) return errno.EINVAL;
    if (this.vcpus[id] !== undefined) return errno.EEXIST;
    const vcpu = new KvmVcpu(this, id, cpu);
    this.vcpus[id] = vcpu;
    return vcpu;
  }

  /** KVM_SET_USER_MEMORY_REGION */
  setUserMemoryRegion(region: MemoryRegion): number {
    const result = this.memory.setRegion(region);
    this.#flushTlbs();
    return result;
  }
  /** KVM_GET_DIRTY_LOG: one bit a page; undefined: nothing is logged there. */
  getDirtyLog(slot: number): Uint8Array | undefined {
    const log = this.memory.dirtyLog(slot);
    this.#flushTlbs();
    return log;
  }
  #flushTlbs(): void {
    for (const vcpu of this.vcpus) {
      vcpu?.loop.vmx.request(Request.TLB_FLUSH);
      vcpu?.loop.kick();
    }
  }

  /** KVM_SET_TSS_ADDR: three pages for virtual-8086 mode, which a processor with unrestricted guests does without. */
  setTssAddr(address: number): number {
    this.tssAddr = address;
    return 0;
  }

  /** KVM_CREATE_IRQCHIP: before the virtual processors. */
  createIrqchip(irqchip: Irqchip): number {
    if (this.irqchip !== undefined || this.vcpus.length > 0) return errno.EEXIST;
    this.irqchip = irqchip;
    return 0;
  }
  /** KVM_IRQ_LINE */
  irqLine(irq: number, level: boolean): number {
    if (this.irqchip === undefined) return errno.ENXIO;
    this.irqchip.line(irq).set(level);
    return 0;
  }
}

/** What a local APIC in the kernel drives; the virtual processor may come after it. */
export const vcpuPins = (vcpu: () => KvmVcpu | undefined): ProcessorPins => ({
  ...noPins,
  interruptRequest: (pending) => vcpu()?.loop.interruptRequest(pending),
  nmi: () => vcpu()?.nmi(),
  init: () => vcpu()?.loop.signalInit(),
  startup: (vector) => vcpu()?.loop.signalStartup(vector),
});

/** A virtual processor and its ioctls. But for `ioctlRun` they answer at once; `cpu` is the processor that the caller runs on. */
export class KvmVcpu {
  readonly id: number;
  readonly loop: VcpuLoop;
  readonly #vm: KvmVm;
  #model: CpuModel;

  constructor(vm: KvmVm, id: number, cpu: HostProcessor) {
    this.id = id;
    this.#vm = vm;
    const { kvm, irqchip, memory } = vm;
    const userApic = new UserApic(id === 0);
    const host = kvm.kernel.pc.configuration.model;
    this.#model = guestModel(host, [], () => this.loop.vmx);
    const name = `vCPU ${id}`;
    const devices = irqchip?.devices(id);
    this.loop = new VcpuLoop(
      {
        kvm,
        index: id,
        name,
        physical: {
          read: (...at) => this.loop.bus.read(...at),
          write: (...at) => this.loop.bus.write(...at),
          isRam: (at) => this.loop.bus.isRam(at),
        },
        apic: irqchip?.apic(id) ?? userApic,
        hasIrqchip: irqchip !== undefined,
        eptPointer: memory.ept.pointer,
        model: () => this.#model,
        ...(irqchip === undefined ? {} : { highestRequest: () => irqchip.highestRequest(id) }),
      },
      memory,
      () => devices,
      cpu,
    );
    this.#loaded(cpu, (vmx) => {
      vmx.setUpVmcs();
      vmx.reset();
    });
  }

  get run(): KvmRun {
    return this.loop.run;
  }

  /** KVM_RUN */
  ioctlRun(cpu: HostProcessor): Thread<number> {
    return this.loop.ioctlRun(cpu);
  }

  /** vcpu_load, do something, vcpu_put: what it gives, or an error. */
  #loaded<Result>(cpu: HostProcessor, act: (vmx: VcpuVmx) => Result): Result | number {
    if (this.loop.isRunning) return errno.EBUSY;
    // The first time the VMCS is of no processor yet: it must be clear.
    if (this.loop.vmx.home === undefined) this.#vm.kvm.door.vmclear(cpu, this.loop.vmx.vmcs);
    if (!this.loop.load(cpu).next().done) return errno.EBUSY;
    const result = act(this.loop.vmx);
    this.loop.put();
    return result;
  }
  /** The same with all registers in the emulated state. */
  #inState<Result>(cpu: HostProcessor, act: (vmx: VcpuVmx, state: CpuState) => Result): Result | number {
    return this.#loaded(cpu, (vmx) => {
      loadState(vmx.core.state, vmx);
      return act(vmx, vmx.core.state);
    });
  }

  /** KVM_GET_REGS */
  getRegs(cpu: HostProcessor): KvmRegs | number {
    return this.#inState(
      cpu,
      (_vmx, state) => Object.fromEntries(regNames.map((name) => [name, state[name]])) as KvmRegs,
    );
  }
  /** KVM_SET_REGS: an exception on its way is forgotten. */
  setRegs(cpu: HostProcessor, regs: Partial<KvmRegs>): number {
    return this.#inState(cpu, (vmx, state) => {
      take(state, regNames, regs);
      storeRegisters(state, vmx);
      vmx.events.exception.pending = false;
      return 0;
    });
  }

  /** KVM_GET_SREGS */
  getSregs(cpu: HostProcessor): KvmSregs | number {
    return this.#inState(cpu, ({ cr2, core }, state) => ({
      ...(Object.fromEntries(sregNames.map((name) => [name, state[name]])) as KvmSregs),
      CR2: cr2,
      CR8: core.apic.taskPriorityClass,
      apicBase: core.apic.readMsr(0x1b) ?? 0n,
    }));
  }
  /** KVM_SET_SREGS */
  setSregs(cpu: HostProcessor, sregs: Partial<KvmSregs>): number {
    return this.#inState(cpu, (vmx, state) => {
      take(state, sregNames, sregs);
      const isLong = (state.CR0 & CR0.PG) !== 0n && (state.IA32_EFER & IA32_EFER.LME) !== 0n;
      state.IA32_EFER = isLong ? state.IA32_EFER | IA32_EFER.LMA : state.IA32_EFER & ~IA32_EFER.LMA;
      vmx.cr2 = sregs.CR2 ?? vmx.cr2;
      vmx.core.apic.taskPriorityClass = this.run.cr8 = sregs.CR8 ?? vmx.core.apic.taskPriorityClass;
      vmx.storeAll();
      return 0;
    });
  }

  /** KVM_TRANSLATE: the guest-physical address of a linear one; undefined: it has none. */
  translate(cpu: HostProcessor, linear: bigint): number | undefined {
    this.#inState(cpu, () => 0);
    this.loop.bus.restart();
    const walked = walkLinear(this.loop.vmx.core, linear, Access.READ);
    return walked instanceof Fault ? undefined : walked.address;
  }

  /** KVM_INTERRUPT: a vector from the user's interrupt controller. */
  interrupt(vector: number): number {
    if (vector < 0 || vector > 255) return errno.EINVAL;
    if (this.#vm.irqchip !== undefined) return errno.ENXIO;
    this.loop.vmx.events.queueInterrupt(vector);
    this.loop.interruptRequest();
    return 0;
  }
  /** KVM_NMI */
  nmi(): number {
    this.loop.vmx.events.nmiPending = true;
    this.loop.interruptRequest();
    return 0;
  }

  /** KVM_GET_MSRS: values in order, up to the first that there is not. */
  getMsrs(cpu: HostProcessor, indices: readonly number[]): bigint[] {
    const values = this.#loaded(cpu, (vmx) => indices.map((index) => readGuestMsr(vmx, index)));
    if (typeof values === "number") return [];
    const end = values.indexOf(undefined);
    return values.slice(0, end < 0 ? values.length : end) as bigint[];
  }
  /** KVM_SET_MSRS: how many were set before the first that cannot be. */
  setMsrs(cpu: HostProcessor, entries: readonly (readonly [index: number, value: bigint])[]): number {
    return this.#loaded(cpu, (vmx) => {
      const failed = entries.findIndex(([index, value]) => !writeGuestMsr(vmx, index, value));
      return failed < 0 ? entries.length : failed;
    });
  }

  /** KVM_SET_CPUID2 */
  setCpuid(cpu: HostProcessor, entries: readonly CpuidEntry[]): number {
    if (entries.length > 100) return errno.E2BIG;
    this.#model = guestModel(this.#vm.kvm.kernel.pc.configuration.model, entries, () => this.loop.vmx);
    return this.#loaded(cpu, (vmx) => {
      vmx.updateSecondary();
      return 0;
    });
  }

  /** KVM_GET_FPU, KVM_SET_FPU: an FXSAVE or XSAVE image. */
  getFpu(): Uint8Array {
    const { kernel } = this.#vm.kvm;
    return kernel.memory.read(this.loop.vmx.area + area.guestFpu, fpuBytes);
  }
  setFpu(image: Uint8Array): number {
    if (image.length > fpuBytes) return errno.EINVAL;
    this.#vm.kvm.kernel.memory.write(this.loop.vmx.area + area.guestFpu, image);
    return 0;
  }

  get mpState(): MpState {
    return this.loop.vmx.mpState;
  }
  set mpState(state: MpState) {
    this.loop.vmx.mpState = state;
  }
}

/** /dev/kvm itself. */
export class Kvm {
  readonly system: KvmSystem;

  constructor(system: KvmSystem) {
    this.system = system;
  }

  /** KVM_GET_API_VERSION */
  readonly apiVersion = 12;
  /** KVM_GET_VCPU_MMAP_SIZE: the kvm_run page, and a page for data of I/O. */
  readonly vcpuMmapSize = 8192;
  /** KVM_CREATE_VM. `map`: of the guest's memory as its devices see it. */
  createVm(map = new GuestMemoryMap(this.system.kernel.memory.physical)): KvmVm {
    return new KvmVm(this.system, map);
  }
  /** KVM_CHECK_EXTENSION: 0 where there is no such thing. */
  checkExtension(name: string): number {
    return extensions[name] ?? 0;
  }
  /** KVM_GET_MSR_INDEX_LIST: those whose values a migration must carry over. */
  msrIndexList(): number[] {
    const kept = msrs
      .filter(({ field: name, readOnly }) => name !== undefined && !readOnly)
      .map(({ index }) => index);
    return [...new Set([...kept, ...passedMsrs, ...sharedMsrs])];
  }
  /** KVM_GET_SUPPORTED_CPUID */
  supportedCpuid(): CpuidEntry[] {
    const { processor } = this.system.kernel.cpus[0]!;
    processor.select();
    return supportedCpuid(processor);
  }
}
