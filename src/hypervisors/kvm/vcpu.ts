import { CR0 } from "../../arch/control-registers.ts";
import { DR7 } from "../../arch/debug-registers.ts";
import { Exception } from "../../arch/exceptions.ts";
import { RFLAGS } from "../../arch/flags.ts";
import { VirtualApic } from "../../arch/virtual-apic.ts";
import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { readMsr } from "../../cpu/msrs.ts";
import { takeInit, takeStartup } from "../../cpu/reset.ts";
import { EmulatedBus } from "../host/emulated-bus.ts";
import { loadControlState, storeControlState } from "../host/guest-state.ts";
import { hostVector, type Thread } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import type { KernelDevices } from "../host/kernel-devices.ts";
import { eventType, field, interruption } from "../host/vmcs-slots.ts";
import { answerExit } from "./exit-table.ts";
import type { ExitingVcpu } from "./exiting-vcpu.ts";
import { errno, KvmExit, KvmRun, MpState } from "./kvm-run.ts";
import { sharedMsrs } from "./msr-lists.ts";
import { area } from "./vcpu-area.ts";
import { Request, type VcpuSurroundings, VcpuVmx } from "./vcpu-vmx.ts";
import type { VmMemory } from "./vm-memory.ts";

const { EVENT, TLB_FLUSH, TRIPLE_FAULT, DEACTIVATE_FPU } = Request;
const { valid } = interruption;
const TS = Number(CR0.TS);
const selectorIsUser = 7;

export interface RunCounts {
  exits: number;
  /** By exit reason. */
  readonly reasons: Map<number, number>;
  entries: number;
  fpuLoads: number;
}

/** A virtual processor: KVM_RUN, and the world switch with what belongs before and after it. */
export class VcpuLoop implements ExitingVcpu {
  readonly vmx: VcpuVmx;
  readonly run = new KvmRun();
  readonly memory: VmMemory;
  readonly bus: EmulatedBus;
  readonly counts: RunCounts = { exits: 0, reasons: new Map(), entries: 0, fpuLoads: 0 };
  exitReason = 0;
  exitInterruption = 0;
  idtVectoring = 0;
  complete: (() => 0 | 1) | undefined;
  /** Somebody wants KVM_RUN to return. */
  signal = false;
  /** The scheduler wants the processor for something else. */
  needResched = false;
  /** The guest may be running, or is just about to: a kick must interrupt its processor. */
  guestMode = false;
  isBlocked = false;
  /** RFLAGS.IF of the guest when it went to sleep. */
  isInterruptible = false;
  isRunning = false;
  /** INIT and a start-up IPI that have arrived. */
  initPending = false;
  sipiVector: number | undefined;
  readonly #devices: () => KernelDevices | undefined;
  /** The guest's MSRs are in the processor, and what of the host a VM exit does not bring back is in the vcpu_vmx. */
  #isSwitched = false;
  /** The FPU registers are those of the process that called. */
  #hasHostFpu = false;
  #fpuLoaded = false;
  #xcr0Loaded = false;
  #debugInUse = false;

  constructor(
    around: VcpuSurroundings,
    memory: VmMemory,
    devices: () => KernelDevices | undefined,
    cpu: HostProcessor,
  ) {
    this.memory = memory;
    this.#devices = devices;
    this.vmx = new VcpuVmx(around, cpu);
    this.bus = new EmulatedBus(memory, devices);
  }

  get devices(): KernelDevices | undefined {
    return this.#devices();
  }

  #symbol(name: string): number {
    return this.vmx.around.kvm.kernel.symbol(name);
  }

  #call(name: string, rsi = 0, rdi = this.vmx.area): void {
    const { kernel } = this.vmx.around.kvm;
    kernel.call(this.vmx.cpu, kernel.symbol(name), { rdi, rsi });
  }

  // --- the processor this runs on

  /** vcpu_load: the VMCS becomes the current one of `cpu`. */
  *load(cpu: HostProcessor): Thread {
    const { vmx } = this;
    const { kvm } = vmx.around;
    const isNew = yield* kvm.residency.load(vmx, cpu);
    cpu.select();
    vmx.cpu = cpu;
    vmx.forgetRegisters();
    if (!isNew) return;
    const { state } = cpu;
    vmx.writeNumber(field["host.tr.base"], cpu.TSS);
    vmx.writeNumber(field["host.gdtr.base"], cpu.GDT);
    vmx.write64(field["host.ia32SysenterEsp"], state.IA32_SYSENTER_ESP);
    vmx.request(TLB_FLUSH);
  }

  /** vcpu_put: what was lazy is made good. The VMCS stays. */
  put(): void {
    const { vmx } = this;
    vmx.flushRegisters();
    if (!this.#isSwitched) return;
    this.#isSwitched = false;
    this.#call("kvmLoadHostState");
    if (this.#hasHostFpu) this.#call("kvmClearTs");
    if (this.#fpuLoaded) {
      this.#fpuLoaded = false;
      this.#call("kvmSaveGuestFpu");
      vmx.request(DEACTIVATE_FPU);
    }
    if (this.#xcr0Loaded) this.#call("kvmHostXcr0");
    this.#xcr0Loaded = false;
    this.#shareMsrs("host");
  }

  /** What a VM entry does not load, once for each time on the processor. */
  #prepareSwitch(): void {
    const { vmx } = this;
    if (!this.#isSwitched) {
      this.#isSwitched = true;
      this.#saveHostState();
      this.#shareMsrs("guest");
      if (vmx.around.kvm.kernel.memory.read32(vmx.area + area.guestXcr0) !== this.#hostXcr0)
        this.#loadGuestXcr0();
    }
    if (vmx.fpuActive && !this.#fpuLoaded) {
      const { cpu, around } = vmx;
      if (this.#hasHostFpu) {
        this.#hasHostFpu = false;
        around.kvm.hostFpuSaved[cpu.index] = vmx.area;
        this.#call("kvmSaveHostFpu");
      }
      this.#fpuLoaded = true;
      this.#xcr0Loaded = around.kvm.kernel.pc.configuration.model.has("XSAVE");
      this.counts.fpuLoads++;
      this.#call("kvmLoadGuestFpu");
    }
    if (this.#debugInUse) this.#call("kvmLoadDebugRegisters");
  }

  get #hostXcr0(): number {
    return this.vmx.around.kvm.kernel.memory.read32(this.vmx.area + area.hostXcr0);
  }

  #saveHostState(): void {
    const { vmx } = this;
    const { memory } = vmx.around.kvm.kernel;
    const at = vmx.area;
    const { cpu } = vmx;
    memory.write32(at + area.hostGdtr, (cpu.state["GDTR.limit"] & 0xffff) + (cpu.GDT % 0x1_0000) * 0x1_0000);
    memory.writeNumber(at + area.hostGdtr + 2, cpu.GDT);
    memory.writeNumber(at + area.hostTss, cpu.GDT + cpu.state["TR.selector"]);
    this.#hasHostFpu = (cpu.state.low32("CR0") & TS) === 0;
    this.#call("kvmSaveHostState");
    let reload = 0;
    for (const [bit, offset, slot] of [
      [1, area.hostFs, field["host.fs.selector"]],
      [2, area.hostGs, field["host.gs.selector"]],
    ] as const) {
      const selector = memory.read32(at + offset) & 0xffff;
      const isLoadable = (selector & selectorIsUser) === 0;
      vmx.write32(slot, isLoadable ? selector : 0);
      if (!isLoadable) reload |= bit;
    }
    if ((memory.read32(at + area.hostLdt) & 0xffff) !== 0) reload |= 4;
    memory.write32(at + area.reload, reload);
    vmx.write64(field["host.fs.base"], memory.read64(at + area.hostFsBase));
    vmx.write64(field["host.gs.base"], memory.read64(at + area.hostGsBase));
  }

  /** Shared MSRs: those that differ. */
  #shareMsrs(whose: "guest" | "host"): void {
    const { vmx } = this;
    const { memory } = vmx.around.kvm.kernel;
    const { processor } = vmx.cpu;
    let count = 0;
    for (const index of sharedMsrs) {
      const now = readMsr(processor, index);
      const saved = vmx.area + area.hostMsrs + 8 * sharedMsrs.indexOf(index);
      if (now === undefined) continue;
      if (whose === "guest") memory.write64(saved, now);
      const wanted = whose === "guest" ? (readMsr(vmx.core, index) ?? now) : memory.read64(saved);
      if (wanted === now) continue;
      memory.writeNumber(vmx.area + area.guestMsrs + 16 * count, index);
      memory.write64(vmx.area + area.guestMsrs + 16 * count + 8, wanted);
      count++;
    }
    if (count > 0) this.#call("kvmLoadMsrs", count, vmx.area + area.guestMsrs);
  }

  // --- what handlers ask

  activateFpu(): void {
    const { vmx } = this;
    if (vmx.fpuActive) return;
    loadControlState(vmx.core.state, vmx);
    vmx.fpuActive = true;
    storeControlState(vmx.core.state, vmx);
    vmx.updateExceptionBitmap();
  }

  #deactivateFpu(): void {
    const { vmx } = this;
    loadControlState(vmx.core.state, vmx);
    vmx.fpuActive = false;
    storeControlState(vmx.core.state, vmx);
    vmx.updateExceptionBitmap();
  }

  loadXcr0(): void {
    const { vmx } = this;
    vmx.around.kvm.kernel.memory.write64(vmx.area + area.guestXcr0, vmx.core.state.XCR0);
    this.#loadGuestXcr0();
  }
  #loadGuestXcr0(): void {
    if (!this.vmx.around.kvm.kernel.pc.configuration.model.has("XSAVE")) return;
    this.#xcr0Loaded = true;
    this.#call("kvmGuestXcr0");
  }

  debugRegistersChanged(): void {
    const { vmx } = this;
    const { memory } = vmx.around.kvm.kernel;
    for (const n of [0, 1, 2, 3] as const)
      memory.write64(vmx.area + area.debug + 8 * n, vmx.core.state[`DR${n}`]);
    this.#debugInUse = (vmx.read64(field["guest.dr7"]) & DR7.enables) !== 0n;
  }

  // --- signals between processors

  /** Have the virtual processor look at its requests: out of its guest, or out of its sleep. */
  kick(): void {
    if (!this.guestMode && !this.isBlocked) return;
    const { cpu, around } = this.vmx;
    around.kvm.kernel.cpus[0]!.apic.sendInterrupt(cpu.index, hostVector.kick);
  }

  /** The interrupt controller, or the user, has something or has it no longer. */
  interruptRequest(pending = true): void {
    this.vmx.request(EVENT);
    if (pending) this.kick();
  }

  signalInit(): void {
    this.initPending = true;
    this.sipiVector = undefined;
    this.interruptRequest();
  }
  signalStartup(vector: number): void {
    this.sipiVector ??= vector;
    this.kick();
  }

  // --- KVM_RUN

  /** vcpu_load, run until there is something for the caller, vcpu_put: 0, or an error. */
  *ioctlRun(cpu: HostProcessor): Thread<number> {
    if (this.isRunning) return errno.EBUSY;
    this.isRunning = true;
    yield* this.load(cpu);
    const result = yield* this.#run();
    this.put();
    this.isRunning = false;
    return result;
  }

  *#run(): Thread<number> {
    const { vmx, run } = this;
    if (vmx.mpState === MpState.UNINITIALIZED) {
      yield* this.#block();
      return errno.EAGAIN;
    }
    if (!vmx.around.hasIrqchip) vmx.core.apic.taskPriorityClass = run.cr8;
    if (this.complete !== undefined) {
      const complete = this.complete;
      this.complete = undefined;
      if (complete() === 0) return this.#leave(0);
    }
    for (;;) {
      let goesOn: 0 | 1 = 1;
      if (vmx.mpState === MpState.RUNNABLE && !this.initPending) {
        if (!this.#beforeEntry()) return this.#leave(0);
        if (!this.#entryAbandoned()) {
          vmx.cpu.begin(this.#symbol("vmxVcpuRun"), 0, 0, field["host.rsp"].encoding, vmx.area);
          if (!vmx.cpu.proceed()) yield* vmx.cpu.rest();
          const fail = this.#afterExit();
          if (this.#isNmi && !fail) {
            vmx.cpu.begin(this.#symbol("kvmRaiseNmi"));
            if (!vmx.cpu.proceed()) yield* vmx.cpu.rest();
          }
          this.guestMode = false;
          // Interrupts on: where none waits, STI and CLI would come to nothing.
          if (vmx.cpu.processor.apic.hasInterrupt()) {
            vmx.cpu.begin(this.#symbol("kvmInterruptWindow"));
            if (!vmx.cpu.proceed()) yield* vmx.cpu.rest();
          }
          goesOn = answerExit(this, fail);
        }
      } else yield* this.#block();
      if (goesOn === 0) return this.#leave(0);
      if (!vmx.around.hasIrqchip && run.requestInterruptWindow && this.#isReadyForInterrupt) {
        run.exitReason = KvmExit.IRQ_WINDOW_OPEN;
        return this.#leave(0);
      }
      if (this.signal) {
        run.exitReason = KvmExit.INTR;
        return this.#leave(errno.EINTR);
      }
      if (this.needResched) yield* this.#reschedule();
    }
  }

  /** The rest of the processors' time is others': then back, perhaps elsewhere. */
  *#reschedule(): Thread {
    const { cpu } = this.vmx;
    this.needResched = false;
    this.put();
    cpu.unfinished = "slice";
    yield "slice";
    yield* this.load(cpu);
  }

  /** What KVM_RUN leaves in the shared page besides the exit. */
  #leave(result: number): number {
    const { vmx, run } = this;
    run.ifFlag = (vmx.read32(field["guest.rflags"]) & Number(RFLAGS.IF)) !== 0;
    run.cr8 = vmx.core.apic.taskPriorityClass;
    run.apicBase = Number(vmx.core.apic.readMsr(0x1b) ?? 0n);
    run.readyForInterruptInjection = vmx.around.hasIrqchip || this.#isReadyForInterrupt;
    return result;
  }

  get #isReadyForInterrupt(): boolean {
    const { events } = this.vmx;
    return !events.anyQueued && events.interruptAllowed;
  }

  /** Requests and events. False: there is something for the caller first. */
  #beforeEntry(): boolean {
    const { vmx, run } = this;
    if (vmx.requests & TRIPLE_FAULT) {
      vmx.requests &= ~TRIPLE_FAULT;
      run.exitReason = KvmExit.SHUTDOWN;
      return false;
    }
    if (vmx.requests & TLB_FLUSH) this.#flushTlb();
    if (vmx.requests & DEACTIVATE_FPU) this.#deactivateFpu();
    const wantsWindow = !vmx.around.hasIrqchip && run.requestInterruptWindow;
    const hasEvent = (vmx.requests & EVENT) !== 0;
    vmx.requests = 0;
    if (hasEvent || wantsWindow) {
      vmx.events.inject();
      vmx.events.armWindows(wantsWindow);
      this.#loadTaskPriority();
    }
    this.#prepareSwitch();
    this.guestMode = true;
    return true;
  }

  /** With interrupts off: is there still a reason to enter? If not, what was injected goes back into its queue. */
  #entryAbandoned(): boolean {
    const { vmx } = this;
    if (vmx.requests === 0 && !this.signal && !this.needResched) {
      vmx.flushRegisters();
      this.counts.entries++;
      return false;
    }
    this.guestMode = false;
    vmx.events.cancel();
    vmx.requestEvent();
    return true;
  }

  #flushTlb(): void {
    const { vmx } = this;
    const { kvm, eptPointer } = vmx.around;
    if (kvm.controls.has("enableVPID")) kvm.door.invvpid(vmx.cpu, 1, vmx.vpid);
    kvm.door.invept(vmx.cpu, 1, eptPointer);
  }

  /** CR8 of the guest in the virtual-APIC page, and below which value of it an interrupt could come. */
  #loadTaskPriority(): void {
    const { vmx } = this;
    const { apic } = vmx.core;
    const priority = apic.taskPriorityClass;
    vmx.around.kvm.kernel.memory.write32(vmx.virtualApic + VirtualApic.VTPR, priority << 4);
    const waiting = vmx.around.highestRequest?.() ?? -1;
    vmx.write32(field["control.tprThreshold"], waiting < 0 || priority < waiting >> 4 ? 0 : waiting >> 4);
  }

  #storeTaskPriority(): void {
    const { vmx } = this;
    const priority = (vmx.around.kvm.kernel.memory.read32(vmx.virtualApic + VirtualApic.VTPR) >>> 4) & 0xf;
    if (priority !== vmx.core.apic.taskPriorityClass) vmx.core.apic.taskPriorityClass = priority;
  }

  get #isNmi(): boolean {
    return (
      (this.exitReason & 0xffff) === ExitReason.EXCEPTION_OR_NMI &&
      this.exitInterruption >= valid &&
      (this.exitInterruption & interruption.type) === eventType.NMI
    );
  }

  /** Right after the switch, interrupts still off. True: VMLAUNCH or VMRESUME itself failed. */
  #afterExit(): boolean {
    const { vmx, counts } = this;
    const { quirks } = vmx.around.kvm;
    vmx.forgetRegisters();
    const { fail } = vmx;
    if (!fail || quirks.launchedAfterFailure) vmx.launched = true;
    this.exitReason = vmx.read32(field["exit.reason"]);
    if (fail && !quirks.believesStaleFields) {
      // Nothing was delivered, and nothing has come.
      this.exitInterruption = this.idtVectoring = 0;
      vmx.events.cancel();
      return true;
    }
    counts.exits++;
    const basic = this.exitReason & 0xffff;
    counts.reasons.set(basic, (counts.reasons.get(basic) ?? 0) + 1);
    this.idtVectoring = vmx.read32(field["exit.idtVectoringInformation"]);
    this.exitInterruption =
      basic === ExitReason.EXCEPTION_OR_NMI ? vmx.read32(field["exit.interruptionInformation"]) : 0;
    this.#storeTaskPriority();
    const isMachineCheck = (this.exitInterruption & 0xff) === Exception.MC && this.exitInterruption >= valid;
    if (isMachineCheck) vmx.around.kvm.machineChecks++;
    vmx.events.recoverNmiBlocking(this.exitInterruption, this.idtVectoring);
    if (this.exitReason < valid || quirks.believesStaleFields) vmx.events.complete(this.idtVectoring);
    return fail;
  }

  // --- sleep

  /** Until there is something to run for: HLT, or waiting for INIT and a start-up IPI. */
  *#block(): Thread {
    const { vmx } = this;
    const { cpu } = vmx;
    this.isInterruptible = (vmx.read32(field["guest.rflags"]) & Number(RFLAGS.IF)) !== 0;
    this.put();
    while (!this.#mayRun() && !this.signal) {
      this.isBlocked = true;
      cpu.begin(this.#symbol("idle"));
      if (!cpu.proceed()) yield* cpu.rest();
      this.isBlocked = false;
    }
    yield* this.load(cpu);
    if (this.initPending) this.#takeInit();
    if (this.sipiVector !== undefined && vmx.mpState === MpState.INIT_RECEIVED) this.#takeStartup();
    if (vmx.mpState === MpState.HALTED && this.#mayRun()) vmx.mpState = MpState.RUNNABLE;
  }

  #mayRun(): boolean {
    const { vmx } = this;
    if (this.initPending) return true;
    if (vmx.mpState === MpState.INIT_RECEIVED) return this.sipiVector !== undefined;
    if (vmx.mpState === MpState.UNINITIALIZED) return false;
    if (vmx.mpState === MpState.RUNNABLE) return true;
    const { events } = vmx;
    return events.nmiPending || events.anyQueued || (vmx.around.hasIrqchip && vmx.around.apic.hasInterrupt());
  }

  #takeInit(): void {
    const { vmx } = this;
    const { core } = vmx;
    this.initPending = false;
    core.apic.initialize();
    takeInit(core, core.apic.bootstrap);
    vmx.mpState = core.apic.bootstrap ? MpState.RUNNABLE : MpState.INIT_RECEIVED;
    vmx.storeAll();
  }

  #takeStartup(): void {
    const { vmx } = this;
    takeStartup(vmx.core, this.sipiVector!);
    this.sipiVector = undefined;
    vmx.core.state.activity = 0;
    vmx.mpState = MpState.RUNNABLE;
    vmx.storeAll();
  }
}
