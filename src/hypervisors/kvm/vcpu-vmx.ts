import { CR0, IA32_EFER } from "../../arch/control-registers.ts";
import { RFLAGS } from "../../arch/flags.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import { supportedXCR0 } from "../../cpu/control-registers.ts";
import type { CpuModel, LocalApicSocket, PhysicalBus } from "../../cpu/core.ts";
import { powerOn } from "../../cpu/reset.ts";
import { GuestCore } from "../host/guest-core.ts";
import { type GuestFields, storeState } from "../host/guest-state.ts";
import { hostSelector } from "../host/host-image.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { controlBit, field } from "../host/vmcs-slots.ts";
import type { FieldSlot } from "../host/vmx-door.ts";
import { EventQueues, type EventWorld } from "./events.ts";
import { MpState } from "./kvm-run.ts";
import type { KvmSystem } from "./kvm-system.ts";
import { EFER } from "./msr-lists.ts";
import { area, areaBytes, labelArea, RIP, RSP, regOffset } from "./vcpu-area.ts";

/** Things to be done before the next VM entry. */
// biome-ignore format: one row
export const Request = { EVENT: 1, TLB_FLUSH: 2, TRIPLE_FAULT: 4, DEACTIVATE_FPU: 8 } as const;

/** What a virtual processor asks of its virtual machine. */
export interface VcpuSurroundings {
  readonly kvm: KvmSystem;
  readonly index: number;
  readonly name: string;
  readonly physical: PhysicalBus;
  readonly apic: LocalApicSocket;
  /** The interrupt controllers are the kernel's. */
  readonly hasIrqchip: boolean;
  readonly eptPointer: number;
  model(): CpuModel;
  /** The highest vector that the kernel's interrupt controller holds back or offers; -1: none. */
  highestRequest?(): number;
}

const { EVENT, TLB_FLUSH, TRIPLE_FAULT } = Request;
const guestFields = [RSP, RIP] as const;
const slotOf = { [RSP]: field["guest.rsp"], [RIP]: field["guest.rip"] } as const;
const CS = Number(hostSelector.kernelCode);

/**
 * A virtual processor on VT-x: its vcpu_vmx, its VMCS, and the registers between them. RSP and RIP are read from the VMCS when
 * somebody wants them, and written to it when somebody has changed them. Valid while its VMCS is current on `cpu`.
 */
export class VcpuVmx implements GuestFields, EventWorld {
  readonly around: VcpuSurroundings;
  /** Address of the vcpu_vmx, of the VMCS, of the virtual-APIC page. */
  readonly area: number;
  readonly vmcs: number;
  readonly virtualApic: number;
  readonly vpid: number;
  readonly core: GuestCore;
  readonly events: EventQueues;
  home: HostProcessor | undefined;
  /** The processor it is being used on. */
  cpu!: HostProcessor;
  requests = 0;
  fpuActive = false;
  mpState: MpState;
  readonly #memory;
  readonly #door;
  /** Bits of RSP and RIP: valid in the area, and changed there. */
  #available = 0;
  #dirty = 0;

  constructor(around: VcpuSurroundings, cpu: HostProcessor) {
    this.around = around;
    const { kvm, index } = around;
    const { memory } = kvm.kernel;
    this.#memory = memory;
    this.#door = kvm.door;
    this.cpu = cpu;
    this.area = memory.allocate(areaBytes);
    labelArea(memory, this.area, around.name);
    this.vmcs = kvm.door.newRegion(cpu);
    this.virtualApic = memory.allocate(4096);
    this.vpid = kvm.newVpid();
    this.mpState = index === 0 ? MpState.RUNNABLE : MpState.UNINITIALIZED;
    const { clock } = kvm.kernel.pc;
    this.core = new GuestCore({
      index,
      physical: around.physical,
      apic: around.apic,
      model: around.model,
      clockNs: () => clock.nowNs,
      timeStamp: () => BigInt(clock.nowNs),
      random: () => kvm.random(),
      flushTlb: () => this.request(TLB_FLUSH),
      reportUnimplemented: (what) => kvm.reportUnimplemented(what),
    });
    this.events = new EventQueues(this);
    this.#initialFpu();
  }

  request(bits: number): void {
    this.requests |= bits;
  }
  requestEvent(): void {
    this.requests |= EVENT;
  }
  tripleFault(): void {
    this.requests |= TRIPLE_FAULT;
  }

  // --- VMCS

  read32(slot: FieldSlot): number {
    return this.#door.read32(this.cpu, slot);
  }
  read64(slot: FieldSlot): bigint {
    return this.#door.read64(this.cpu, slot);
  }
  readNumber(slot: FieldSlot): number {
    return this.#door.readNumber(this.cpu, slot);
  }
  write32(slot: FieldSlot, value: number): void {
    this.#door.write32(this.cpu, slot, value);
  }
  write64(slot: FieldSlot, value: bigint): void {
    this.#door.write64(this.cpu, slot, value);
  }
  writeNumber(slot: FieldSlot, value: number): void {
    this.#door.write64(this.cpu, slot, BigInt(value));
  }

  // --- what rules and queues ask

  get hasVirtualNmis(): boolean {
    return this.around.kvm.controls.has("virtualNMIs");
  }
  get isUnrestricted(): boolean {
    return this.around.kvm.controls.has("unrestrictedGuest");
  }
  get forgetsNmiBlocking(): boolean {
    return this.around.kvm.quirks.forgetsNmiBlocking;
  }
  get cr0Fixed0(): bigint {
    return this.cpu.vmx.capability.cr0.fixed0;
  }
  hasInterrupt(): boolean {
    if (!this.around.hasIrqchip) return this.events.interrupt.pending;
    return this.around.apic.hasInterrupt();
  }
  takeInterrupt(): number {
    return this.around.apic.acknowledge();
  }

  // --- registers

  #cache(number: number): void {
    if (number !== RSP && number !== RIP) return;
    const bit = 1 << number;
    if (this.#available & bit) return;
    this.#available |= bit;
    this.#door.readInto(this.cpu, slotOf[number], this.area + regOffset(number));
  }

  /** A general register, or RIP (16). */
  register(number: number): bigint {
    this.#cache(number);
    return this.#memory.read64(this.area + regOffset(number));
  }
  /** Its low half. */
  low(number: number): number {
    this.#cache(number);
    return this.#memory.read32(this.area + regOffset(number));
  }
  setRegister(number: number, value: bigint): void {
    this.#touch(number);
    this.#memory.write64(this.area + regOffset(number), value);
  }
  /** A 32-bit result: zero-extended. */
  setLow(number: number, value: number): void {
    this.#touch(number);
    const at = this.area + regOffset(number);
    this.#memory.write32(at, value);
    this.#memory.write32(at + 4, 0);
  }
  #touch(number: number): void {
    if (number !== RSP && number !== RIP) return;
    this.#available |= 1 << number;
    this.#dirty |= 1 << number;
  }

  /** The registers that are fields of the VMCS are not known any more. */
  forgetRegisters(): void {
    this.#available = this.#dirty = 0;
  }
  /** Bring changed ones into the VMCS. */
  flushRegisters(): void {
    if (this.#dirty === 0) return;
    for (const number of guestFields)
      if (this.#dirty & (1 << number))
        this.#door.writeFrom(this.cpu, slotOf[number], this.area + regOffset(number));
    this.#dirty = 0;
  }

  /** Past the instruction that exited; the shadow of STI or MOV SS is over with it. */
  skipInstruction(): void {
    const length = this.read32(field["exit.instructionLength"]);
    this.#cache(RIP);
    this.#touch(RIP);
    this.#memory.add(this.area + regOffset(RIP), length);
    this.clearShadow();
  }
  clearShadow(): void {
    const blocking = this.read32(field["guest.interruptibility"]);
    if (blocking & 3) this.write32(field["guest.interruptibility"], blocking & ~3);
  }

  // --- vcpu_vmx

  get launched(): boolean {
    return this.#memory.read32(this.area + area.launched) !== 0;
  }
  set launched(is: boolean) {
    this.#memory.write32(this.area + area.launched, is ? 1 : 0);
  }
  get fail(): boolean {
    return (this.#memory.read32(this.area + area.fail) & 0xff) !== 0;
  }
  get cr2(): bigint {
    return this.#memory.read64(this.area + area.cr2);
  }
  set cr2(value: bigint) {
    this.#memory.write64(this.area + area.cr2, value);
  }

  /** The VMCS was taken off its processor. */
  cleared(): void {
    this.launched = false;
  }

  #initialFpu(): void {
    const at = this.area + area.guestFpu;
    // FNINIT's control word, and MXCSR; XSTATE_BV says that the rest is in its initial configuration.
    for (const fpu of [at, this.area + area.hostFpu]) {
      this.#memory.write32(fpu, 0x37f);
      this.#memory.write32(fpu + 24, 0x1f80);
    }
    const { model } = this.cpu.processor;
    this.#memory.write64(this.area + area.hostXcr0, supportedXCR0(model));
    this.#memory.write64(this.area + area.guestXcr0, 1n);
  }

  // --- the VMCS as a whole

  /** Everything that stays: controls, where the guest exits to, the host's state as far as it is the same everywhere. */
  setUpVmcs(): void {
    const { kvm, eptPointer } = this.around;
    const { controls } = kvm;
    const put = (name: VmcsFieldName, value: number): void => this.writeNumber(field[name], value);
    for (const [name, word] of controls.words) put(name, word);
    this.updateSecondary();
    put("control.ioBitmapA", kvm.ioBitmaps);
    put("control.ioBitmapB", kvm.ioBitmaps + 4096);
    put("control.msrBitmaps", kvm.msrBitmap);
    put("control.virtualApicAddress", this.virtualApic);
    put("control.eptPointer", eptPointer);
    if (controls.has("enableVPID")) put("control.vpid", this.vpid);
    put("control.exitMsrLoadAddress", this.area + area.autoloadHost);
    put("control.entryMsrLoadAddress", this.area + area.autoloadGuest);
    this.write64(field["guest.vmcsLinkPointer"], 0xffff_ffff_ffff_ffffn);
    this.updateExceptionBitmap();
    const { state } = this.cpu;
    this.cpu.select();
    this.write64(field["host.cr0"], state.CR0 | CR0.TS);
    this.write64(field["host.cr3"], state.CR3);
    this.write64(field["host.cr4"], state.CR4);
    put("host.cs.selector", CS);
    for (const name of ["ss", "ds", "es"] as const) put(`host.${name}.selector`, hostSelector.kernelData);
    put("host.tr.selector", hostSelector.TSS);
    put("host.idtr.base", Number(state["IDTR.base"]));
    put("host.rip", kvm.kernel.symbol("kvmVmxReturn"));
    if (controls.has("loadHostPAT")) this.write64(field["host.ia32Pat"], state.IA32_PAT);
  }

  /** Instructions that the guest's CPUID does not offer are undefined ones. */
  updateSecondary(): void {
    const { kvm, model } = this.around;
    let bits = kvm.controls.words.get("control.secondaryProcessorBased")!;
    if (!model().has("RDTSCP") && !model().has("RDPID")) bits &= ~controlBit("enableRDTSCP");
    if (!model().has("INVPCID")) bits &= ~controlBit("enableINVPCID");
    this.write32(field["control.secondaryProcessorBased"], bits >>> 0);
  }

  /** #UD, #DB and #MC are looked at; #NM while the FPU is not the guest's; #BP where a debugger has asked for it. */
  updateExceptionBitmap(): void {
    let bits = (1 << 6) | (1 << 18) | (1 << 1);
    if (!this.fpuActive) bits |= 1 << 7;
    if (this.debugging) bits |= 1 << 3;
    this.write32(field["control.exceptionBitmap"], bits);
  }
  /** Breakpoints go to the user. */
  debugging = false;

  /** As RESET leaves a processor. */
  reset(): void {
    const { core, events } = this;
    const bootstrap = this.around.index === 0;
    powerOn(core, bootstrap);
    core.state.tscOffset = 0n;
    if (this.around.kvm.quirks.lowResetBase) core.state["CS.base"] = 0xf_0000n;
    core.state.RFLAGS = RFLAGS.FIXED;
    core.state.DR7 = 0x400n;
    events.exception.pending = events.interrupt.pending = events.nmiInjected = events.nmiPending = false;
    this.fpuActive = false;
    this.cr2 = 0n;
    this.storeAll();
  }

  /** The emulated state becomes the guest's. */
  storeAll(): void {
    storeState(this.core.state, this);
    this.write32(field["guest.activity"], 0);
    this.write64(field["guest.pendingDebugExceptions"], 0n);
    this.write64(field["control.tscOffset"], this.core.state.tscOffset);
    this.#memory.write64(this.area + area.guestXcr0, this.core.state.XCR0);
    this.switchEfer();
    this.updateExceptionBitmap();
    this.request(TLB_FLUSH);
  }

  /**
   * EFER bits that decide how guest-physical memory is reached, or whether SYSCALL is an instruction: where the guest's differ from the
   * host's, VM entry and VM exit load EFER.
   */
  switchEfer(): void {
    const { state } = this.core;
    const host = this.cpu.state.IA32_EFER;
    let guest = state.IA32_EFER;
    const matters = IA32_EFER.NXE | (guest & IA32_EFER.LMA ? IA32_EFER.SCE : 0n);
    const isDifferent = ((guest ^ host) & matters) !== 0n;
    if (!(guest & IA32_EFER.LMA)) guest &= ~IA32_EFER.LME;
    for (const [offset, value] of [
      [area.autoloadGuest, guest],
      [area.autoloadHost, host],
    ] as const) {
      this.#memory.writeNumber(this.area + offset, EFER);
      this.#memory.write64(this.area + offset + 8, value);
    }
    this.write32(field["control.entryMsrLoadCount"], isDifferent ? 1 : 0);
    this.write32(field["control.exitMsrLoadCount"], isDifferent ? 1 : 0);
  }
}
