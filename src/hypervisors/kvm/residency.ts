import { type HostKernel, hostVector, type Thread } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import type { VmxDoor } from "../host/vmx-door.ts";

/** A VMCS that may stay on a processor while others run there. */
export interface Resident {
  readonly vmcs: number;
  /** The processor that has it in its caches; undefined: none, it is clear. */
  home: HostProcessor | undefined;
  /** It has been taken off its processor by VMCLEAR, and so must be launched again. */
  cleared(): void;
}

/**
 * Which VMCSs are on which processor. One stays where it was last used, current or not, until it is wanted elsewhere: then its
 * old processor gets an interrupt and clears it.
 */
export class Residency {
  readonly #kernel: HostKernel;
  readonly #door: VmxDoor;
  /** The current VMCS of each processor. */
  readonly #current: (Resident | undefined)[] = [];
  /** What each processor is asked to clear. */
  readonly #wanted: (Resident | undefined)[] = [];

  constructor(kernel: HostKernel, door: VmxDoor) {
    this.#kernel = kernel;
    this.#door = door;
    kernel.onVector(hostVector.reschedule, ({ cpu }) => {
      cpu.apic.endOfInterrupt();
      const resident = this.#wanted[cpu.index];
      this.#wanted[cpu.index] = undefined;
      if (resident?.home === cpu) this.clear(resident, cpu);
    });
  }

  /** VMCLEAR on the processor that has it. */
  clear(resident: Resident, cpu: HostProcessor): void {
    this.#door.vmclear(cpu, resident.vmcs);
    if (this.#current[cpu.index] === resident) this.#current[cpu.index] = undefined;
    resident.home = undefined;
    resident.cleared();
  }

  /** Make it the current VMCS of a processor. True: it was not there before. */
  *load(resident: Resident, cpu: HostProcessor): Thread<boolean> {
    const { home } = resident;
    if (home !== undefined && home !== cpu) yield* this.#clearElsewhere(resident, home, cpu);
    if (this.#current[cpu.index] !== resident) {
      this.#door.vmptrld(cpu, resident.vmcs);
      this.#current[cpu.index] = resident;
    }
    const isNew = resident.home !== cpu;
    resident.home = cpu;
    return isNew;
  }

  *#clearElsewhere(resident: Resident, home: HostProcessor, cpu: HostProcessor): Thread {
    this.#wanted[home.index] = resident;
    cpu.apic.sendInterrupt(home.index, hostVector.reschedule);
    if (this.#isIdle(home)) {
      // A processor without a thread is in its idle loop, where interrupts are on.
      this.#kernel.call(home, this.#kernel.symbol("enableInterrupts"));
      this.#kernel.call(home, this.#kernel.symbol("disableInterrupts"));
    }
    cpu.select();
    while (resident.home === home) {
      cpu.unfinished = "waiting";
      yield "waiting";
    }
    cpu.select();
  }

  #isIdle(cpu: HostProcessor): boolean {
    cpu.select();
    const rip = Number(cpu.state.RIP);
    return rip === this.#kernel.returnGate || rip === this.#kernel.returnGate + 1;
  }
}
