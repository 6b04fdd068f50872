import { CR0, IA32_EFER } from "../../arch/control-registers.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import { type ControlKey, controlMask } from "../../arch/vmx-controls.ts";
import { EptTables, eptOptions, memoryType } from "../host/ept-tables.ts";
import { hostSelector } from "../host/host-image.ts";
import type { HostKernel, Thread } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { msrBitmap } from "../host/permission-bitmaps.ts";
import { fieldSlot, type VmxDoor } from "../host/vmx-door.ts";
import { Context, contextLayout, guestRegisters } from "./context.ts";
import { isNmi, triage } from "./exits.ts";
import { injectEvents, requeueInterrupted } from "./injection.ts";
import { type ControlWords, controlWords, fixedBits, switchable } from "./vmcs-setup.ts";
import {
  type BhyveMode, type Capability, type Descriptor, type DescriptorName, type Errno, eventType, type GeneralName, type GuestEvent,
  noReason, type Outcome, type RegisterName, type SegmentName, type VcpuAround, VM_MAXCPU, type VmcsRegister, type VmExit, type VmmOps,
} from "./vmm.ts"; // biome-ignore format: one list
import { blocking, entryEvent, field, type VmxMachine, type VmxVcpu } from "./vmx-vcpu.ts";
import { contextSymbols, runGuest, setjmpReturn, worldSwitch } from "./world-switch.ts";

const msrAreaBytes = 64 * 16;
const IA32_KERNEL_GS_BASE = 0xc000_0102;
/** MSRs that the guest reads and writes without a VM exit: VM entry and VM exit switch them, or the MSR area. */
const passedThrough = [
  0xc000_0100,
  0xc000_0101,
  0x174,
  0x175,
  0x176,
  IA32_KERNEL_GS_BASE,
  0xc000_0080,
  0x277,
];
const machineCheck = 1 << 18;
const ia32eModeGuest = controlMask("ia32eModeGuest");

const registerField: Readonly<Record<VmcsRegister, VmcsFieldName>> = {
  rsp: "guest.rsp", rip: "guest.rip", rflags: "guest.rflags", cr0: "guest.cr0", cr3: "guest.cr3", cr4: "guest.cr4",
  dr7: "guest.dr7", efer: "guest.ia32Efer",
}; // biome-ignore format: one row per fact

const controlOf: Readonly<Record<Capability, ControlKey>> = {
  hlt_exit: "hltExiting",
  mtrap_exit: "monitorTrapFlag",
  pause_exit: "pauseExiting",
  unrestricted_guest: "unrestrictedGuest",
};

/** The backend for VT-x: the fourteen operations. */
export class VmxBackend implements VmmOps<VmxMachine> {
  readonly door: VmxDoor;
  readonly mode: BhyveMode;
  readonly #kernel: HostKernel;
  readonly #code: { readonly worldSwitch: string; readonly runGuest: string };
  #words: ControlWords | undefined;
  #nextVpid = 1;
  #isFirstInit = true;

  /** `code`: the world switch in other words, for experiments. */
  constructor(kernel: HostKernel, door: VmxDoor, mode: BhyveMode, code = { worldSwitch, runGuest }) {
    this.#code = code;
    this.#kernel = kernel;
    this.door = door;
    this.mode = mode;
  }

  /** Every processor of the host enters VMX operation. */
  init(): Outcome {
    const kernel = this.#kernel;
    const words = controlWords(kernel.cpus[0]!, this.mode);
    if (typeof words === "string") return "ENXIO";
    this.#words = words;
    if (this.#isFirstInit) {
      kernel.place("world switch", this.#code.worldSwitch, contextSymbols);
      kernel.place("vmx_run_guest", this.#code.runGuest, contextSymbols);
      kernel.place("host NMI", "host_nmi: int 2\n ret");
    }
    this.#isFirstInit = false;
    for (const cpu of kernel.cpus) if (this.door.enterVmxOperation(cpu) !== 0) return "ENXIO";
    return 0;
  }

  cleanup(): void {
    for (const cpu of this.#kernel.cpus) this.door.vmxoff(cpu);
  }

  /** struct vmx: EPT root, VMCSs, MSR bitmap, MSR areas, register files. */
  vminit(vcpus: readonly VcpuAround[]): VmxMachine | Errno {
    const { memory } = this.#kernel;
    const cpu = this.#kernel.cpus[0]!;
    if (this.#words === undefined) return "ENXIO";
    if (vcpus.length > VM_MAXCPU) return "EINVAL";
    const ept = new EptTables(memory, eptOptions(cpu.vmx.capability));
    const regions = vcpus.map(() => this.door.newRegion(cpu));
    const bitmap = msrBitmap(memory, passedThrough);
    const areas = vcpus.map(() => memory.allocate(msrAreaBytes, 16));
    const contexts = vcpus.map(
      ({ index }) => new Context(memory, memory.allocate(contextLayout.bytes, 16), index),
    );
    const made = vcpus.map((around, index): VmxVcpu => {
      memory.write32(areas[index]!, IA32_KERNEL_GS_BASE);
      memory.label({ start: areas[index]!, length: 16, name: `MSR area of vcpu ${index}`, owner: "guest" });
      const vcpu: VmxVcpu = {
        index,
        context: contexts[index]!,
        vmcs: regions[index]!,
        vpid: this.#words!.hasVpid ? this.#nextVpid++ : 0,
        around,
        capabilities: new Set(),
        processorBased: this.#words!.processorBased,
        lastCpu: -1,
      };
      return vcpu;
    });
    for (const vcpu of made) this.#initVmcs(cpu, vcpu, ept, bitmap, areas[vcpu.index]!);
    return { ept, vcpus: made };
  }

  #initVmcs(cpu: HostProcessor, vcpu: VmxVcpu, ept: EptTables, bitmap: number, area: number): void {
    const { door } = this;
    const words = this.#words!;
    this.#clear(cpu, vcpu);
    this.#load(cpu, vcpu);
    const write = (name: VmcsFieldName, value: bigint | number): void =>
      door.write64(cpu, fieldSlot(name), BigInt(value));
    const { state } = cpu;
    const { cr0, cr4 } = fixedBits(cpu, false);
    // biome-ignore format: one row per fact
    const values: readonly (readonly [VmcsFieldName, bigint | number])[] = [
      ["control.pinBased", words.pinBased], ["control.processorBased", words.processorBased],
      ["control.secondaryProcessorBased", words.secondary], ["control.exitControls", words.exit], ["control.entryControls", words.entry],
      ["control.exceptionBitmap", machineCheck], ["control.eptPointer", ept.pointer], ["control.msrBitmaps", bitmap],
      ["control.exitMsrStoreAddress", area], ["control.exitMsrStoreCount", 1],
      ["control.entryMsrLoadAddress", area], ["control.entryMsrLoadCount", 1],
      ["control.cr0GuestHostMask", cr0.ones | cr0.zeros], ["control.cr4GuestHostMask", cr4.ones | cr4.zeros],
      ["control.cr0ReadShadow", cr0.ones], ["control.cr4ReadShadow", this.mode === "historic" ? cr4.ones : 0],
      ["guest.vmcsLinkPointer", 0xffff_ffff_ffff_ffffn], ["guest.dr7", 0x400], ["guest.rflags", 2],
      ["guest.cr0", cr0.ones], ["guest.cr4", cr4.ones],
      ["host.cr0", state.CR0 | CR0.TS], ["host.cr3", state.CR3], ["host.cr4", state.CR4], ["host.ia32Efer", state.IA32_EFER],
      ["host.cs.selector", hostSelector.kernelCode],
      ["host.ss.selector", hostSelector.kernelData], ["host.ds.selector", hostSelector.kernelData],
      ["host.es.selector", hostSelector.kernelData], ["host.fs.selector", hostSelector.kernelData],
      ["host.gs.selector", hostSelector.kernelData], ["host.tr.selector", hostSelector.TSS],
      ["host.fs.base", 0], ["host.idtr.base", this.#kernel.IDT],
      ["host.rip", this.#kernel.symbol("vmx_longjmp")], ["host.rsp", vcpu.context.address],
    ];
    for (const [name, value] of values) write(name, value);
    if (words.hasVpid) write("control.vpid", vcpu.vpid);
    if (words.hasPat) {
      write("host.ia32Pat", state.IA32_PAT);
      write("guest.ia32Pat", state.IA32_PAT);
    }
    this.#clear(cpu, vcpu);
  }

  #load(cpu: HostProcessor, { vmcs }: VmxVcpu): void {
    if (this.door.vmptrld(cpu, vmcs) !== 0) throw new Error("VMPTRLD of a VMCS of ours failed");
  }
  #clear(cpu: HostProcessor, { vmcs }: VmxVcpu): void {
    if (this.door.vmclear(cpu, vmcs) !== 0) throw new Error("VMCLEAR of a VMCS of ours failed");
  }

  *vmrun(vm: VmxMachine, index: number, cpu: HostProcessor, rip: bigint): Thread<VmExit> {
    const vcpu = vm.vcpus[index]!;
    const { door, mode } = this;
    // VMCLEAR at the end of the last run has made the VMCS "clear".
    vcpu.context.launched = false;
    cpu.select();
    this.#load(cpu, vcpu);
    door.write64(cpu, field.hostCr3, cpu.state.CR3);
    // Where an instruction was emulated outside, the shadow of STI or MOV SS before it is over. The first version kept it.
    if (mode === "fixed" && door.read64(cpu, field.rip) !== rip) {
      const interruptibility = door.read32(cpu, field.interruptibility);
      if (interruptibility & (blocking.STI | blocking.movSS))
        door.write32(cpu, field.interruptibility, interruptibility & ~(blocking.STI | blocking.movSS));
    }
    door.write64(cpu, field.rip, rip);
    if (vcpu.lastCpu !== cpu.index) this.#migrate(cpu, vcpu);
    const enter = this.#kernel.symbol("vmx_run_guest");
    const { context } = vcpu;
    const at = { door, cpu, vcpu, mode };
    let exit: VmExit | undefined;
    do {
      // The first version tried with interrupts on: a kick that came now was taken by the host, and the event waited.
      if (mode === "fixed") cpu.interruptsEnabled = false;
      injectEvents(door, cpu, vcpu);
      cpu.begin(enter, context.address);
      if (!cpu.proceed()) yield* cpu.rest();
      exit = this.#returned(at, cpu.rax);
    } while (exit === undefined);
    this.#clear(cpu, vcpu);
    return exit;
  }

  #returned(at: Parameters<typeof triage>[0], code: number): VmExit | undefined {
    const { door, cpu, mode } = at;
    if (code === setjmpReturn.longjmp) {
      const reason = door.read32(cpu, field.reason) & 0xffff;
      if (mode === "fixed") {
        requeueInterrupted(door, cpu);
        if (reason === 0 && isNmi(door.read32(cpu, field.interruptionInformation)))
          this.#kernel.call(cpu, this.#kernel.symbol("host_nmi"));
      }
      this.#enableInterrupts(cpu);
      return triage(at, reason);
    }
    if (code === setjmpReturn.ast) {
      this.#enableInterrupts(cpu);
      return { code: "BOGUS", rip: door.read64(cpu, field.rip), instLength: 0 };
    }
    // The first version forgot that interrupts were off.
    if (mode === "fixed") this.#enableInterrupts(cpu);
    const isInvalid = at.vcpu.context.launchError === 1;
    return {
      code: "VMX",
      rip: 0n,
      instLength: 0,
      error: isInvalid ? 0 : door.error(cpu),
      reason: noReason,
      qualification: BigInt(noReason),
    };
  }

  /** An interrupt that waits is taken here, through the host's IDT. */
  #enableInterrupts(cpu: HostProcessor): void {
    if (cpu.processor.apic.hasInterrupt()) this.#kernel.call(cpu, this.#kernel.symbol("enableInterrupts"));
    else cpu.interruptsEnabled = true;
  }

  /** What a processor has of its own, and the guest's translations that it may remember from long ago. */
  #migrate(cpu: HostProcessor, vcpu: VmxVcpu): void {
    const { door } = this;
    if (vcpu.lastCpu >= 0) vcpu.around.stats.migrations++;
    vcpu.lastCpu = cpu.index;
    door.write64(cpu, field.hostTrBase, BigInt(cpu.TSS));
    door.write64(cpu, field.hostGdtrBase, BigInt(cpu.GDT));
    door.write64(cpu, field.hostGsBase, BigInt(cpu.area));
    if (vcpu.vpid !== 0) door.invvpid(cpu, 1, vcpu.vpid);
  }

  vmcleanup(vm: VmxMachine): void {
    // The first version cleared only that of the first virtual processor; nothing here outlives the machine either way.
    const all = this.mode === "historic" ? vm.vcpus.slice(0, 1) : vm.vcpus;
    for (const vcpu of all) this.#clear(this.#kernel.cpus[0]!, vcpu);
  }

  mmapSet(vm: VmxMachine, gpa: number, hpa: number, length: number, protection: number): Outcome {
    if ((gpa | hpa | length) & 0xfff) return "EINVAL";
    vm.ept.map({
      guest: gpa,
      host: hpa,
      length,
      permissions: protection,
      memoryType: memoryType.writeBack,
      ignorePat: true,
    });
    return 0;
  }

  mmapGet(vm: VmxMachine, gpa: number): number {
    return vm.ept.lookUp(gpa)?.host ?? -1;
  }

  /** With a VMCS that is current for a moment. */
  #inVmcs<Result>(vm: VmxMachine, index: number, cpu: HostProcessor, act: (vcpu: VmxVcpu) => Result): Result {
    const vcpu = vm.vcpus[index]!;
    this.#load(cpu, vcpu);
    const result = act(vcpu);
    this.#clear(cpu, vcpu);
    return result;
  }

  getreg(vm: VmxMachine, index: number, cpu: HostProcessor, name: RegisterName): bigint {
    if (name in guestRegisters) return vm.vcpus[index]!.context.guest(name as GeneralName);
    const slot = fieldSlot(fieldOf(name));
    return this.#inVmcs(vm, index, cpu, () => this.door.read64(cpu, slot));
  }

  setreg(vm: VmxMachine, index: number, cpu: HostProcessor, name: RegisterName, value: bigint): Outcome {
    if (name in guestRegisters) {
      vm.vcpus[index]!.context.setGuest(name as GeneralName, value);
      return 0;
    }
    const { door, mode } = this;
    const slot = fieldSlot(fieldOf(name));
    return this.#inVmcs(vm, index, cpu, (vcpu) => {
      if (name === "cr0" || name === "cr4") {
        const bits = fixedBits(cpu, vcpu.capabilities.has("unrestricted_guest"))[name];
        if (mode === "fixed") door.write64(cpu, name === "cr0" ? field.cr0Shadow : field.cr4Shadow, value);
        door.write64(cpu, slot, (value | bits.ones) & ~bits.zeros);
        return 0;
      }
      door.write64(cpu, slot, value);
      if (name === "efer") {
        const controls = door.read32(cpu, field.entryControls);
        const isLong = (value & IA32_EFER.LMA) !== 0n;
        door.write32(
          cpu,
          field.entryControls,
          isLong ? controls | ia32eModeGuest : controls & ~ia32eModeGuest,
        );
      }
      return 0;
    });
  }

  getdesc(vm: VmxMachine, index: number, cpu: HostProcessor, name: DescriptorName): Descriptor {
    const { door } = this;
    const slot = (part: string) => fieldSlot(`guest.${name}.${part}` as VmcsFieldName);
    return this.#inVmcs(vm, index, cpu, () => ({
      base: door.read64(cpu, slot("base")),
      limit: door.read32(cpu, slot("limit")),
      access: isTable(name) ? 0 : door.read32(cpu, slot("access")),
    }));
  }

  setdesc(
    vm: VmxMachine,
    index: number,
    cpu: HostProcessor,
    name: DescriptorName,
    value: Descriptor,
  ): Outcome {
    const { door } = this;
    const slot = (part: string) => fieldSlot(`guest.${name}.${part}` as VmcsFieldName);
    return this.#inVmcs(vm, index, cpu, () => {
      door.write64(cpu, slot("base"), value.base);
      door.write32(cpu, slot("limit"), value.limit);
      if (!isTable(name)) door.write32(cpu, slot("access"), value.access);
      return 0;
    });
  }

  inject(vm: VmxMachine, index: number, cpu: HostProcessor, event: GuestEvent): Outcome {
    const { door, mode } = this;
    return this.#inVmcs(vm, index, cpu, () => {
      if (door.read32(cpu, field.entryInterruption) & entryEvent.valid) return "EAGAIN";
      const hasCode = event.errorCode !== undefined;
      const type = eventType[event.type];
      door.write32(
        cpu,
        field.entryInterruption,
        entryEvent.valid | (type << 8) | (hasCode ? entryEvent.errorCode : 0) | event.vector,
      );
      if (hasCode) door.write32(cpu, field.entryErrorCode, event.errorCode!);
      // The first version never said how long the instruction was.
      if (mode === "fixed" && type >= eventType.softwareInterrupt)
        door.write32(cpu, field.entryInstructionLength, event.instLength ?? 0);
      return 0;
    });
  }

  getcap(vm: VmxMachine, index: number, capability: Capability): boolean | undefined {
    const bit = switchable(this.#kernel.cpus[0]!, controlOf[capability]);
    return bit === undefined ? undefined : vm.vcpus[index]!.capabilities.has(capability);
  }

  setcap(vm: VmxMachine, index: number, cpu: HostProcessor, capability: Capability, value: boolean): Outcome {
    const { door } = this;
    const bit = switchable(cpu, controlOf[capability]);
    if (bit === undefined) return "ENOENT";
    return this.#inVmcs(vm, index, cpu, (vcpu) => {
      if (value) vcpu.capabilities.add(capability);
      else vcpu.capabilities.delete(capability);
      if (capability === "unrestricted_guest") {
        const controls = door.read32(cpu, field.secondary);
        door.write32(cpu, field.secondary, value ? controls | bit : controls & ~bit);
        const { cr0 } = fixedBits(cpu, value);
        door.write64(cpu, field.cr0Mask, cr0.ones | cr0.zeros);
        return 0;
      }
      vcpu.processorBased = value ? vcpu.processorBased | bit : vcpu.processorBased & ~bit;
      door.write32(cpu, field.processorBased, vcpu.processorBased);
      return 0;
    });
  }
}

const isTable = (name: DescriptorName): boolean => name === "gdtr" || name === "idtr";

const fieldOf = (name: RegisterName): VmcsFieldName =>
  registerField[name as VmcsRegister] ?? (`guest.${name as SegmentName}.selector` as const);
