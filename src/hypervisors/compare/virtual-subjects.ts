import { vmcsField } from "../../arch/vmcs-fields.ts";
import { controlMask } from "../../arch/vmx-controls.ts";
import { VmxOperation } from "../../cpu/vmx-socket.ts";
import { decode, MAXIMUM_LENGTH } from "../../isa/decode.ts";
import { disassemble } from "../../isa/disassemble.ts";
import { type BootRefusal, isRefusal } from "../../machine/boot/load-plan.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import type { PcOutputs } from "../../machine/pc-doors.ts";
import { storeField } from "../../vmx/vmcs-access.ts";
import { AkarosMachine } from "../akaros/akaros-machine.ts";
import { BhyveMachine } from "../bhyve/bhyve-machine.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { physical } from "../host/register-moves.ts";
import type { VirtualMachine } from "../host/virtual-machine.ts";
import { KvmMachine } from "../kvm/kvm-machine.ts";
import { type GuestEnd, type GuestImage, virtualGuest } from "./guests.ts";
import { bootable, hostVector, killed, type Wires, wiresOf } from "./stage.ts";
import type { Spoiled, Subject } from "./subject.ts";

/** The three hypervisors with VT-x as subjects. */

const NMI = 2;
const NOP = 0x90;
const unknownGuestCore = 7;

type Own = Pick<Subject, "interruptsServed" | "nmisServed" | "abandonNextEntry">;

/** What they have in the same way. */
class VirtualSubject implements Subject {
  readonly machine: VirtualMachine;
  readonly guest: GuestImage;
  readonly keptByFunctions = ["RBX", "RBP", "R12", "R13", "R14", "R15"] as const;
  readonly wordBits = 64;
  readonly spoils = ["control", "guest state"] as const;
  onStep: Subject["onStep"];
  onDevice: Subject["onDevice"];
  readonly #wires: Wires;
  readonly #own: Own;
  #spoils: Spoiled | undefined;
  leftOut = 0;
  #leavesOut: string | undefined;

  constructor(machine: VirtualMachine, guest: GuestImage, wires: Wires, own: Own) {
    this.machine = machine;
    this.guest = guest;
    this.#wires = wires;
    this.#own = own;
    const { kernel } = machine;
    wires.device = () => this.onDevice?.();
    machine.traceSwitch((step) => this.onStep?.(step));
    const trace = kernel.trace!;
    kernel.trace = {
      run: (cpu, budget) => {
        this.#look(cpu);
        return trace.run(cpu, budget);
      },
    };
  }

  get #cpu(): HostProcessor {
    return this.machine.kernel.cpus[0]!;
  }
  get state() {
    return this.machine.kernel.pc.engine.state;
  }

  /** Before an instruction of the kernel's. */
  #look({ state, processor, vmx }: HostProcessor): void {
    if (state["vmx.operation"] === VmxOperation.nonRoot || (state["CS.selector"] & 3) !== 0) return;
    const { kernel } = this.machine;
    const at = physical(state.RIP);
    if (!kernel.code.some(({ start, end }) => at >= start && at < end)) return;
    const bytes = kernel.memory.read(at, MAXIMUM_LENGTH);
    const mode = { codeSize: 64, stackSize: 64, realLike: false } as const;
    const decoded = decode(bytes, 0, bytes.length, mode, (feature) => processor.model.has(feature));
    if (!("row" in decoded)) return;
    const text = disassemble(decoded, BigInt(at));
    if (this.#leavesOut !== undefined && text.includes(this.#leavesOut)) {
      kernel.memory.write(at, new Uint8Array(decoded.length).fill(NOP));
      this.leftOut++;
    }
    if (this.#spoils === undefined || !/^vm(launch|resume)/.test(text)) return;
    const { ordinal } = vmcsField(this.#spoils === "control" ? "control.pinBased" : "guest.rflags");
    storeField(vmx, vmx.vmcs, ordinal, false, 0, 0);
    this.#spoils = undefined;
  }

  interrupt(): void {
    this.#cpu.apic.sendInterrupt(0, hostVector);
  }
  interruptsServed(): number {
    return this.#own.interruptsServed();
  }
  nmi(): void {
    this.#cpu.apic.sendNmi(0);
  }
  nmisServed(): number {
    return this.#own.nmisServed();
  }
  abandonNextEntry(): void {
    this.#own.abandonNextEntry();
  }
  spoilNextEntry(what: Spoiled): void {
    this.#spoils = what;
  }
  leaveOut(text: string): void {
    this.#leavesOut = text;
  }

  translation() {
    const { vmcs } = this.#cpu.vmx;
    const hasEpt = Number(vmcs.read("control.secondaryProcessorBased")) & controlMask("enableEPT");
    const inUse = vmcs.read("guest.cr3");
    const nested = hasEpt ? vmcs.read("control.eptPointer") & ~0xfffn : undefined;
    return { inUse, guestsOwn: inUse, hosts: vmcs.read("host.cr3"), nested };
  }

  isAcknowledged(): boolean {
    return this.#cpu.apic.isInService(hostVector);
  }

  hostStack(): Uint8Array {
    const { memory } = this.machine.kernel;
    const at = physical(this.state.RSP);
    const stack = memory.regionAt(at, true);
    return stack === undefined ? new Uint8Array() : memory.read(at, stack.start + stack.length - at);
  }

  verdict(): string | undefined {
    return killed(this.#wires.said);
  }
}

/** Counts what the host's own handlers serve. */
const counted = ({ kernel }: VirtualMachine): Pick<Own, "interruptsServed" | "nmisServed"> => {
  let [interrupts, nmis] = [0, 0];
  kernel.onVector(hostVector, ({ cpu }) => {
    interrupts++;
    cpu.apic.endOfInterrupt();
  });
  kernel.onVector(NMI, () => {
    nmis++;
  });
  return { interruptsServed: () => interrupts, nmisServed: () => nmis };
};

/** Act once, before the first instruction of a function of the kernel. */
const atFunction = (machine: VirtualMachine, name: string, act: () => void): void => {
  const { kernel } = machine;
  const trace = kernel.trace!;
  kernel.trace = {
    run: (cpu, budget) => {
      if (physical(cpu.state.RIP) === kernel.symbol(name)) {
        kernel.trace = trace;
        act();
      }
      return trace.run(cpu, budget);
    },
  };
};

type Create<Machine> = (image: BootableMachine, outputs: PcOutputs) => Machine | BootRefusal;
const booted = <Machine>(create: Create<Machine>, end: GuestEnd) => {
  const guest = virtualGuest(end);
  const wires = wiresOf();
  const image = bootable(guest.bytes, { protocol: "flat", mode: "long64", address: guest.origin });
  const machine = create(image, wires.outputs);
  if (isRefusal(machine as object)) throw new Error((machine as BootRefusal).message);
  return { machine: machine as Machine, guest, wires };
};

export const bhyveSubject = (end: GuestEnd): Subject => {
  const { machine, guest, wires } = booted((...given) => BhyveMachine.create(...given), end);
  return new VirtualSubject(machine, guest, wires, {
    ...counted(machine),
    abandonNextEntry: () => atFunction(machine, "vmx_run_guest", () => machine.vm.requestAst(0)),
  });
};

export const kvmSubject = (end: GuestEnd): Subject => {
  const { machine, guest, wires } = booted((...given) => KvmMachine.create(...given), end);
  return new VirtualSubject(machine, guest, wires, {
    ...counted(machine),
    abandonNextEntry: () =>
      atFunction(machine, "kvmSaveHostState", () => machine.vm.vcpus[0]!.loop.vmx.requestEvent()),
  });
};

export const akarosSubject = (end: GuestEnd): Subject => {
  const { machine, guest, wires } = booted((...given) => AkarosMachine.create(...given), end);
  const core = machine.akaros.cores[0]!;
  let interrupts = 0;
  machine.akaros.onIrq(hostVector, () => {
    interrupts++;
  });
  return new VirtualSubject(machine, guest, wires, {
    interruptsServed: () => interrupts,
    nmisServed: () => core.nmis,
    // A context for a guest core that there is not.
    abandonNextEntry: () => machine.vmm.thread!.set("guestPcoreId", unknownGuestCore),
  });
};
