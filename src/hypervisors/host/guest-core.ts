import { msrRow } from "../../arch/msrs.ts";
import type {
  Core, CpuModel, Invalidation, LocalApicSocket, PhysicalBus, PortSpace,
} from "../../cpu/core.ts"; // biome-ignore format: one list
import { CpuState } from "../../state/cpu-state.ts";
import { stateBytes } from "../../state/layout.ts";

/** What a virtual processor has around it. */
export interface GuestCoreSurroundings {
  readonly index: number;
  readonly physical: PhysicalBus;
  readonly apic: LocalApicSocket;
  model(): CpuModel;
  clockNs(): number;
  timeStamp(): bigint;
  random(): bigint;
  /** Translations that the processor has of the guest are out of date. */
  flushTlb(): void;
  reportUnimplemented(what: string): void;
}

/**
 * The virtual processor as software that emulates it sees it: registers that no VMCS field holds live here for good, the others
 * while an instruction is emulated. What instructions, MSRs and control registers do is the machine's own description of them.
 */
export class GuestCore implements Core {
  readonly state = new CpuState(new ArrayBuffer(stateBytes));
  readonly index: number;
  readonly physical: PhysicalBus;
  readonly apic: LocalApicSocket;
  readonly vmx = undefined;
  readonly midRepeat = false;
  nmiPending = false;
  initPending = false;
  sipiVector: number | undefined = undefined;
  readonly #around: GuestCoreSurroundings;

  constructor(around: GuestCoreSurroundings) {
    this.#around = around;
    this.index = around.index;
    this.physical = around.physical;
    this.apic = around.apic;
  }

  /** Ports are reached by VM exits only. */
  readonly ports: PortSpace = { read: () => 0xffff_ffff, write: () => {} };

  get model(): CpuModel {
    return this.#around.model();
  }
  clockNs(): number {
    return this.#around.clockNs();
  }
  timeStamp(): bigint {
    return this.#around.timeStamp();
  }
  random(): bigint {
    return this.#around.random();
  }
  invalidate(_what: Invalidation): void {
    this.#around.flushTlb();
  }
  reportUnimplemented(what: string): void {
    this.#around.reportUnimplemented(what);
  }
}

/** Interrupts for a virtual processor whose interrupt controller is its user's: IA32_APIC_BASE and the task priority are kept here. */
export class UserApic implements LocalApicSocket {
  apicBase = 0xfee0_0900n;
  taskPriorityClass = 0;
  readonly bootstrap: boolean;
  readonly #index: number = msrRow(0x1b)!.index;

  constructor(bootstrap: boolean) {
    this.bootstrap = bootstrap;
    if (!bootstrap) this.apicBase = 0xfee0_0800n;
  }

  readMsr(index: number): bigint | undefined {
    return index === this.#index ? this.apicBase : undefined;
  }
  writeMsr(index: number, value: bigint): boolean {
    if (index !== this.#index) return false;
    this.apicBase = value;
    return true;
  }
  hasInterrupt(): boolean {
    return false;
  }
  acknowledge(): number {
    return 0xff;
  }
  endOfInterrupt(): void {}
  initialize(): void {}
  timeStampChanged(): void {}
}
