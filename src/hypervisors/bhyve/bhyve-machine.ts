import type { ProcessorPins } from "../../devices/local-apic-doors.ts";
import { type BootRefusal, refuse } from "../../machine/boot/load-plan.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import type { PcOutputs } from "../../machine/pc-doors.ts";
import { generalRegisters, segmentRegisters } from "../../state/layout.ts";
import { noPins } from "../host/guest-board.ts";
import { loadGuest } from "../host/guest-loader.ts";
import { guestRefusal, VirtualMachine } from "../host/virtual-machine.ts";
import { VmxDoor } from "../host/vmx-door.ts";
import { UserProcess } from "./user-process.ts";
import { isErrno, Vm } from "./vm.ts";
import type { BhyveMode, Capability, RegisterName } from "./vmm.ts";
import { VmxBackend } from "./vmx-backend.ts";
import type { VmxMachine } from "./vmx-vcpu.ts";

const IA32_APIC_BASE = 0x1b;
const EXTD = 1n << 10n;

/** The machine with bhyve as its host, and an image as the guest. */
export class BhyveMachine extends VirtualMachine {
  readonly vm: Vm<VmxMachine>;
  readonly user: UserProcess<VmxMachine>;
  readonly door: VmxDoor;

  /** One sentence where the guest cannot be had on this processor. */
  static create(
    bootable: BootableMachine,
    outputs: PcOutputs,
    kept?: WebAssembly.Memory,
    mode: BhyveMode = "fixed",
  ): BhyveMachine | BootRefusal {
    const refusal = guestRefusal(bootable);
    if (refusal !== undefined) return refusal;
    const { model } = bootable.configuration;
    if (!model.has("enableEPT"))
      return refuse(`bhyve needs VT-x with EPT, which the processor (${model.name}) has not`);
    const machine = new BhyveMachine(bootable, outputs, kept, mode);
    return machine.#boot(bootable) ?? machine;
  }

  private constructor(
    bootable: BootableMachine,
    outputs: PcOutputs,
    kept: WebAssembly.Memory | undefined,
    mode: BhyveMode,
  ) {
    super(bootable, outputs, kept);
    const { kernel, memory, board } = this;
    const { processors } = bootable.configuration;
    this.door = new VmxDoor(kernel);
    const ops = new VmxBackend(kernel, this.door, mode);
    const initialised = ops.init();
    if (initialised !== 0) throw new Error(`a processor with EPT that bhyve cannot use: ${initialised}`);
    const apic = (index: number) => board.apics[index]!;
    const vm = Vm.create({ name: "guest", kernel, ops, memory, processors, mode, apic });
    if (isErrno(vm)) throw new Error(`the virtual machine could not be made: ${vm}`);
    this.vm = vm;
    const { unimplemented } = outputs;
    this.user = new UserProcess({
      kernel,
      vm,
      board,
      mode,
      end: (stop) => this.end(stop),
      isEnded: () => this.stop !== undefined,
      ...(unimplemented === undefined ? {} : { unimplemented }),
    });
    for (const { guest, host, length } of this.guestSegments) vm.mapMemory(guest, host, length);
  }

  /** What the virtual local APIC of a virtual processor drives. */
  protected override pins(index: number): ProcessorPins {
    return {
      ...noPins,
      interruptRequest: (pending) => {
        if (pending) this.vm?.notify(index);
      },
      nmi: () => this.vm.injectNmi(index),
      init: () => {
        const vcpu = this.vm.vcpus[index]!;
        this.board.apics[index]!.initialize();
        vcpu.waitsForSipi = index !== 0;
      },
      startup: (vector) => this.#startUp(index, vector),
    };
  }

  /** Only a virtual processor that waits for it is started; whoever sent it reports that to the user process. */
  #startUp(index: number, vector: number): void {
    const { vcpus } = this.vm;
    const vcpu = vcpus[index]!;
    if (!vcpu.waitsForSipi) return;
    vcpu.waitsForSipi = false;
    const { current } = this.kernel;
    const sender = vcpus.find(({ hostcpu }) => hostcpu !== undefined && hostcpu === current) ?? vcpus[0]!;
    sender.spinup = { vcpu: index, entry: vector << 12 };
  }

  #boot(bootable: BootableMachine): BootRefusal | undefined {
    const { vm, kernel } = this;
    const cpu = kernel.cpus[0]!;
    loadGuest(this.memory, bootable, cpu.processor);
    // The first version's default, where there is x2APIC mode.
    if (bootable.configuration.model.has("X2APIC"))
      for (const apic of this.board.apics)
        apic.writeMsr(IA32_APIC_BASE, apic.readMsr(IA32_APIC_BASE)! | EXTD);
    const { plan, configuration } = bootable;
    const start = plan.cpu;
    const needed: Capability[] = ["hlt_exit"];
    if (start.mode !== "long64") needed.push("unrestricted_guest");
    for (const capability of needed)
      if (vm.setCapability(0, capability, true) !== 0)
        return {
          message: `bhyve cannot start an image in ${start.mode} mode on ${configuration.model.name}: it needs ${capability.replace("_", " ")}`,
        };
    for (const name of generalRegisters)
      this.#set(name.toLowerCase() as RegisterName, start.registers[name] ?? 0n);
    for (const name of segmentRegisters) {
      const lower = name.toLowerCase() as "cs";
      const { selector, base, limit, access } = start.segments[name];
      this.#set(lower, BigInt(selector));
      vm.setDescriptor(0, lower, { base, limit, access });
    }
    vm.setDescriptor(0, "gdtr", { ...start.GDTR, access: 0 });
    vm.setDescriptor(0, "idtr", { ...start.IDTR, access: 0 });
    this.#set("rflags", start.RFLAGS);
    this.#set("efer", start.IA32_EFER);
    this.#set("cr0", start.CR0);
    this.#set("cr3", start.CR3);
    this.#set("cr4", start.CR4);
    kernel.start(cpu, this.user.thread(0, cpu, start.RIP));
    return undefined;
  }

  #set(name: RegisterName, value: bigint): void {
    const outcome = this.vm.setRegister(0, name, value);
    if (outcome !== 0) throw new Error(`register ${name} of a new virtual machine: ${outcome}`);
  }

  takesInterrupts(): boolean {
    return this.vm.vcpus.some(({ sleepsOn, isInterruptible }) => sleepsOn !== undefined && isInterruptible);
  }
}
