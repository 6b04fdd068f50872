import { type HostKernel, hostKernelBytes, type Thread } from "../host/host-kernel.ts";
import type { ChosenControls } from "../host/vmx-controls.ts";
import { VmxDoor, vmInstruction } from "../host/vmx-door.ts";
import { UserContext } from "./context.ts";
import { Core } from "./core.ts";
import { vmExit } from "./exits.ts";
import { guestControls, slot } from "./guest-core.ts";
import {
  type AkarosBugs, contextType, entryFailed, hw, KERNBASE, kernelExit, pageBytes, RPL, reflectedMark, trapInject, userAddress, userGateDevice, vcpd, vector, vm, vmFlag,
} from "./layout.ts"; // biome-ignore format: one list
import { Process, type UserLevel } from "./process.ts";
import { kernelStubs, userStubs } from "./stubs.ts";
import { runSystemCalls } from "./system-calls.ts";
import { fillIdt, linear, trapRecords, userSelector } from "./trap-table.ts";

/** From where the assembly called the C part. */
export type KernelEntry = "trap" | "irq" | "syscall" | "vmexit" | "entry failed" | "idle";
// biome-ignore format: one row per fact
const entryLabels: readonly (readonly [string, KernelEntry])[] = [
  ["trapsCalled", "trap"], ["irqsCalled", "irq"], ["syscallCalled", "syscall"], ["vmExitCalled", "vmexit"],
  ["vmEntryFailed", "entry failed"], ["idleCalled", "idle"],
];

export interface AkarosOptions {
  readonly bugs: AkarosBugs;
  /** Other stubs, for experiments: the text as it would be, changed. */
  readonly changeStubs?: (text: string) => string;
}

const largePage = 0x20_0000;
/** Of the kernel's memory, for itself. */
const reservedBytes = 0x40_0000;
/** A context that cannot be entered and not be told of becomes this, which faults. */
const nowhere = 0xcafe_babe;

/** The C part of the kernel. */
export class Akaros {
  readonly kernel: HostKernel;
  readonly door: VmxDoor;
  readonly cores: readonly Core[];
  readonly bugs: AkarosBugs;
  /** Undefined: this processor has not all that virtual machines need. */
  readonly controls: ChosenControls | undefined;
  /** Told of each call of the C part, before it acts. RDI, or RDX of a system call, is the frame. */
  observer: ((core: Core, entry: KernelEntry) => void) | undefined;
  /** Characters that guests print by VMCALL. */
  print: (byte: number) => void = () => {};
  /** The original keeps what guests write to MSRs that only seem to be there in one place for all guests. */
  readonly #sharedMsrs = new Map<number, bigint>();
  readonly userSymbols: ReadonlyMap<string, number>;
  readonly #userCode: Uint8Array;
  readonly #entries = new Map<number, KernelEntry>();
  readonly #irqHandlers = new Map<number, ((core: Core, frame: number) => void)[]>();
  #nextUserFrame: number;

  constructor(kernel: HostKernel, { bugs, changeStubs = (text) => text }: AkarosOptions) {
    this.kernel = kernel;
    this.bugs = bugs;
    this.door = new VmxDoor(kernel);
    const { memory } = kernel;
    // The kernel's memory once more, in the upper half.
    memory.write64(kernel.pageTables + 8 * 256, memory.read64(kernel.pageTables));
    kernel.place("Akaros", changeStubs(kernelStubs({ bugs })), { KERNBASE });
    const user = kernel.place("Akaros user level", userStubs);
    const base = user.symbols.get("vcoreEntry")!;
    this.#userCode = memory.read(base, user.end - base);
    this.userSymbols = new Map([...user.symbols].map(([name, at]) => [name, userAddress.code + (at - base)]));
    for (const [label, entry] of entryLabels) this.#entries.set(kernel.symbol(label), entry);
    const records = trapRecords(memory, kernel.symbol("trapTable"), kernel.symbol("trapTableEnd"));
    const refusal = fillIdt(memory, kernel.IDT, records, bugs);
    if (refusal !== undefined) throw new Error(refusal);
    this.cores = kernel.cpus.map((cpu) => new Core(kernel, cpu));
    for (const core of this.cores) {
      core.boot(linear(kernel.symbol("syscallEntry")));
      if (this.door.enterVmxOperation(core.cpu) !== vmInstruction.succeeded) throw new Error("VMXON failed");
    }
    this.controls = guestControls(kernel.cpus[0]!, bugs);
    kernel.pc.mmio.map(
      userGateDevice,
      pageBytes,
      { read: () => 0, write: () => this.#atUserGate() },
      "user level",
    );
    this.#nextUserFrame = Math.ceil(hostKernelBytes / largePage) * largePage;
    this.onIrq(vector.timer, () => kernel.callouts.interrupted());
    this.cores[0]!.cpu.select();
  }

  #atUserGate(): void {
    const { current } = this.kernel.pc.engine;
    this.cores[current!.index]!.atUserGate = true;
    this.kernel.stopping = true;
  }

  /** Memory for processes: what is smaller than a large page comes from the kernel's own. Physical, or -1. */
  allocateFrames(bytes: number): number {
    const { memory, pc } = this.kernel;
    if (bytes < largePage) return bytes <= memory.free - reservedBytes ? memory.allocate(bytes) : -1;
    const at = this.#nextUserFrame;
    if (at + bytes > pc.guest.lowBytes) return -1;
    this.#nextUserFrame = Math.ceil((at + bytes) / largePage) * largePage;
    return at;
  }

  /** A handler of an interrupt vector; several form a chain. */
  onIrq(number: number, handler: (core: Core, frame: number) => void): void {
    this.#irqHandlers.set(number, [...(this.#irqHandlers.get(number) ?? []), handler]);
  }

  /** A process whose virtual cores begin where user level says. Give it cores with `grant`. */
  createProcess(user: UserLevel): Process {
    const { memory, pageTables } = this.kernel;
    const made = new Process(memory, pageTables, this.cores.length, this.#userCode, user);
    for (const { index } of this.cores) {
      const begin = new UserContext(memory, made.vcpd(index) + vcpd.vcoreContext);
      memory.write32(begin.at, contextType.HW);
      memory.writeNumber(begin.frame + hw.rip, this.userSymbols.get("vcoreEntry")!);
      memory.writeNumber(begin.frame + hw.rsp, made.stackTop(index) - 64);
    }
    return made;
  }

  /** A core becomes the process's, and begins its virtual core. */
  grant(core: Core, given: Process): void {
    core.cpu.select();
    core.call("loadCr3", BigInt(given.memory.root));
    core.process = given;
    this.runVcoreContext(core, given);
  }

  // --- the loop of one core: machine code until it calls the C part or user level

  *thread(core: Core): Thread {
    const { cpu } = core;
    const { kernel } = this;
    for (;;) {
      this.leaveC(core);
      while (!cpu.proceed()) {
        if (core.atUserGate) {
          core.atUserGate = false;
          kernel.stopping = false;
          this.#userGate(core);
        } else if (kernel.died !== undefined) return;
        else yield cpu.unfinished;
      }
      this.enterC(core);
      if (kernel.died !== undefined) return;
    }
  }

  /** One step for tests: run until the C part has been called and has done its work. Undefined: it was; else why not. */
  step(core: Core, budgetInstructions = 100_000): string | undefined {
    const { cpu } = core;
    const { kernel } = this;
    this.leaveC(core);
    kernel.sliceLeft = budgetInstructions;
    while (!cpu.proceed()) {
      if (!core.atUserGate) return kernel.died?.says ?? cpu.unfinished;
      core.atUserGate = false;
      kernel.stopping = false;
      this.#userGate(core);
    }
    this.enterC(core);
    return kernel.died?.says;
  }

  /** Whether the C part has decided how the core goes on. */
  #decided = new Set<Core>();

  leaveC(core: Core): void {
    if (!this.#decided.delete(core)) this.restart(core);
  }

  /** An interrupt may have come right after the store: then the store is repeated later. */
  #userGate(core: Core): void {
    const { cpu } = core;
    cpu.select();
    const { state } = cpu;
    if (core.process === undefined || state["CS.selector"] !== userSelector.code) return;
    const rip = Number(state.RIP);
    if (rip === this.userSymbols.get("vcoreGateDone")) core.process.user.vcoreEntry(core);
    else if (rip === this.userSymbols.get("returnedGateDone")) core.process.user.returned(core);
  }

  /** The C part has been called: do its work. */
  enterC(core: Core): void {
    const { cpu, counters } = core;
    const { kernel } = this;
    cpu.select();
    const { state } = cpu;
    const rsp = state.low32("RSP");
    const entry = this.#entries.get(kernel.memory.read32(rsp));
    if (entry === undefined) throw new Error(`the C part was called from nowhere: ${state.RSP.toString(16)}`);
    if (state["GS.base"] !== core.area) {
      this.panic(core, `${entry}: GS.base is 0x${state["GS.base"].toString(16)}, not this core's area`);
      return;
    }
    this.observer?.(core, entry);
    switch (entry) {
      case "trap":
        counters.traps++;
        this.#trap(core, state.low32("RDI"));
        return;
      case "irq":
        counters.irqs++;
        this.#irqEntry(core, state.low32("RDI"));
        return;
      case "syscall":
        counters.syscalls++;
        this.#syscalls(core, Number(state.RDI), state.low32("RSI"), state.low32("RDX"));
        return;
      case "vmexit":
        counters.vmExits++;
        vmExit(this, core, state.low32("RDI"));
        return;
      case "entry failed":
        this.#entryFailed(core, state.low32("RDI") !== 0);
        return;
      case "idle":
        core.halted = false;
    }
  }

  panic(core: Core, says: string): void {
    this.kernel.died ??= { processor: core.index, says: `the kernel panics: ${says}` };
  }

  /** The C part returns to a kernel frame. */
  #resume(core: Core): void {
    core.returnFromC();
    this.#decided.add(core);
  }

  writtenMsrs({ process }: Core): Map<number, bigint> {
    return this.bugs.msrTable ? this.#sharedMsrs : (process?.machine?.writtenMsrs ?? this.#sharedMsrs);
  }

  // --- traps and interrupts

  #trap(core: Core, frame: number): void {
    const { memory } = this.kernel;
    const number = memory.read32(frame + hw.trapno);
    const isUser = (memory.read32(frame + hw.cs) & RPL) === RPL;
    if (number === vector.NMI) core.countNmi();
    if (!isUser) {
      if (number === vector.NMI) this.#resume(core);
      else
        this.panic(
          core,
          `trap ${number} in the kernel at 0x${memory.read64(frame + hw.rip).toString(16)}, error code ${memory.read32(frame + hw.err)}`,
        );
      return;
    }
    core.context.take(contextType.HW, frame);
    const { process } = core;
    const error = memory.read32(frame + hw.err);
    if (number === vector.NMI || process === undefined) return;
    if (number === vector.syscall) {
      const at = core.context.frame;
      runSystemCalls(this, core, Number(memory.read64(at + hw.rdi)), memory.read32(at + hw.rsi));
      return;
    }
    if (number === vector.PF) {
      const address = core.cpu.state.CR2;
      if (
        !(error & 1) &&
        process.memory.fault(Number(address), { write: (error & 2) !== 0, execute: (error & 16) !== 0 })
      )
        return;
      this.#reflectTrap(core, number, error, address);
    } else this.#reflectTrap(core, number, error, 0n);
  }

  #reflectTrap(core: Core, number: number, error: number, aux: bigint): void {
    const { memory } = this.kernel;
    const { frame } = core.context;
    memory.write32(frame + hw.trapno, number);
    memory.write32(frame + hw.trapno + 4, Number(aux >> 32n));
    memory.write32(frame + hw.err, error);
    memory.write32(frame + hw.err + 4, Number(aux & 0xffff_ffffn));
    memory.write32(frame + hw.cs, (memory.read32(frame + hw.cs) & 0xffff) | (reflectedMark << 16));
    if (!this.reflect(core)) this.destroy(core, 1, `trap ${number} that nobody takes`);
  }

  #irqEntry(core: Core, frame: number): void {
    const { memory } = this.kernel;
    const isUser = (memory.read32(frame + hw.cs) & RPL) === RPL;
    if (isUser) core.context.take(contextType.HW, frame);
    this.irq(core, memory.read32(frame + hw.trapno), frame);
    if (!isUser) this.#resume(core);
  }

  /** The chain of a vector's handlers, and the end of the interrupt at its controller. */
  irq(core: Core, number: number, frame: number): void {
    if (number === vector.spurious) return;
    core.cpu.apic.endOfInterrupt();
    for (const handler of this.#irqHandlers.get(number) ?? []) handler(core, frame);
    core.cpu.select();
  }

  // --- contexts

  /** Everything of the core's context into its frame. Idempotent. */
  finalize(core: Core): void {
    const { context: own, cpu } = core;
    if (!own.isPartial) return;
    own.clearPartial();
    if (own.type === contextType.VM) {
      this.unloadGuestCore(core);
      return;
    }
    const { memory } = this.kernel;
    const { state } = cpu;
    memory.write64(own.frame + hw.gsbase, state.IA32_KERNEL_GS_BASE);
    memory.write64(own.frame + hw.fsbase, state["FS.base"]);
    state.IA32_KERNEL_GS_BASE = state["GS.base"];
  }

  unloadGuestCore(core: Core): void {
    core.guestCore?.unload(core);
    core.guestCore = undefined;
  }

  /** What the core ran goes to the user-level scheduler, which runs instead. False: it was running itself. */
  reflect(core: Core): boolean {
    const { process } = core;
    if (process === undefined) return false;
    this.finalize(core);
    if (process.notificationsDisabled(core.index)) return false;
    new UserContext(this.kernel.memory, process.vcpd(core.index) + vcpd.uthreadContext).copyFrom(
      core.context.at,
    );
    this.runVcoreContext(core, process);
    return true;
  }

  runVcoreContext(core: Core, process: Process): void {
    process.setNotificationsDisabled(core.index, true);
    core.context.copyFrom(process.vcpd(core.index) + vcpd.vcoreContext);
    core.context.secure(this.bugs);
  }

  /** A process ends on this core; on others it does when they come to the kernel. */
  destroy(core: Core, status: number, says: string): void {
    const { process } = core;
    if (process !== undefined) process.ended ??= { status, says };
    this.#takeAway(core);
  }

  #takeAway(core: Core): void {
    core.cpu.select();
    if (core.guestCore !== undefined) this.unloadGuestCore(core);
    core.process = undefined;
    this.kernel.memory.write32(core.context.at, contextType.none);
    core.call("loadCr3", BigInt(this.kernel.pageTables));
  }

  /** Restart core: the context that it has, or nothing. */
  restart(core: Core): void {
    const { context: own } = core;
    core.cpu.select();
    if (core.process?.ended !== undefined) this.#takeAway(core);
    if (core.halted || core.process === undefined) {
      core.enter("idleCore");
      return;
    }
    if (own.type === contextType.VM) {
      if (this.#enterGuest(core)) return;
      this.restart(core);
      return;
    }
    core.enter(own.type === contextType.HW ? "popHw" : "popSw", own.frame);
  }

  /** False: it could not be, and the core has another context now. */
  #enterGuest(core: Core): boolean {
    const { memory } = this.kernel;
    const { frame } = core.context;
    if (!core.context.isPartial) {
      const wanted = core.process?.machine?.guestCores[memory.read32(frame + vm.guestPcoreId)];
      if (wanted === undefined || wanted.cpu !== -1) {
        this.#refuseEntry(core, kernelExit.GUEST_IN_USE, 0);
        return false;
      }
      wanted.load(core);
      core.guestCore = wanted;
      core.counters.launches++;
    } else core.counters.resumes++;
    const { cpu } = core;
    const { door } = this;
    door.writeFrom(cpu, slot.rsp, frame + vm.rsp);
    door.writeFrom(cpu, slot.cr3, frame + vm.cr3);
    door.writeFrom(cpu, slot.rip, frame + vm.rip);
    door.writeFrom(cpu, slot.rflags, frame + vm.rflags);
    if (!this.bugs.adaptedGuestsOnly)
      door.write32(cpu, slot.interruptibility, memory.read32(frame + vm.intrinfo1));
    cpu.state.CR2 = memory.read64(frame + vm.cr2);
    const inject = memory.read32(frame + vm.trapInject);
    // The processor's format has room for an error code, which it has elsewhere.
    const hasError = (inject & trapInject.deliverErrorCode) !== 0 && (inject & trapInject.errorCode) !== 0;
    door.write32(cpu, slot.inject, hasError ? (inject & ~trapInject.errorCode) >>> 0 : inject);
    if (hasError)
      door.write32(cpu, slot.injectError, (inject & trapInject.errorCode) >>> trapInject.errorShift);
    if (core.guestCore!.hasOutstandingNotification)
      cpu.apic.sendInterrupt(core.index, this.bugs.sharedNotification ? vector.POKE_CORE : vector.POSTED);
    core.enter("popVm", frame);
    return true;
  }

  /** VMLAUNCH or VMRESUME failed. `valid`: there is an error number. */
  #entryFailed(core: Core, valid: boolean): void {
    if (!valid) {
      this.panic(core, "no VMCS is current where a guest is entered");
      return;
    }
    if (!this.bugs.failedEntryStaysLoaded) {
      // As after an exit, so that what follows unloads the guest core.
      const { memory } = this.kernel;
      const at = core.context.frame + vm.flags;
      memory.write32(at, memory.read32(at) | vmFlag.PARTIAL);
    }
    this.#refuseEntry(core, kernelExit.VMENTER_FAILED, this.door.error(core.cpu));
  }

  #refuseEntry(core: Core, reason: number, error: number): void {
    const { memory } = this.kernel;
    const { frame } = core.context;
    memory.write32(frame + vm.exitReason, (reason | entryFailed) >>> 0);
    memory.write32(frame + vm.exitQual, error);
    memory.write32(frame + vm.flags, memory.read32(frame + vm.flags) | vmFlag.HAS_FAULT);
    if (this.reflect(core)) return;
    memory.write32(core.context.at, contextType.HW);
    memory.write(core.context.frame, new Uint8Array(hw.bytes));
    memory.writeNumber(core.context.frame + hw.rip, nowhere);
    core.context.secure(this.bugs);
  }

  // --- system calls

  #syscalls(core: Core, calls: number, count: number, frame: number): void {
    core.context.take(contextType.SW, frame);
    runSystemCalls(this, core, calls, count);
  }

  /** Something has happened that the user-level scheduler of a core should look at. */
  notify(process: Process, index: number): void {
    this.kernel.memory.write32(process.vcpd(index) + vcpd.notifPending, 1);
    if (this.cores[index]!.halted) this.cores[index]!.cpu.apic.sendInterrupt(index, vector.POKE_CORE);
  }

  /** Best effort: the core on which a guest core is loaded looks at what is posted. */
  poke(process: Process, id: number): void {
    const found = process.machine?.guestCores[id];
    if (found === undefined || found.cpu < 0) return;
    const number = this.bugs.sharedNotification ? vector.POKE_CORE : vector.POSTED;
    this.cores[found.cpu]!.cpu.apic.sendInterrupt(found.cpu, number);
  }
}
