import type { Clock } from "../bus/clock.ts";
import type { ApicBus } from "./apic-bus.ts";

/** The local APIC's wires to its own processor. */
export interface ProcessorPins {
  /** INTR: an interrupt waits for `acknowledge` (or no longer does). Called when that changes. */
  interruptRequest(pending: boolean): void;
  /** An edge on NMI. */
  nmi(): void;
  /** An INIT has arrived, which the processor may have to keep waiting; it calls `initialize` on this local APIC when it takes it. */
  init(): void;
  /** A start-up IPI has arrived; only a processor that waits for one heeds it. */
  startup(vector: number): void;
  smi(): void;
  /** Where this processor's xAPIC page is now; undefined while there is none (disabled, or x2APIC mode). */
  apicPage(address: number | undefined): void;
}

export interface LocalApicOptions {
  /** The initial APIC ID: the whole 32-bit x2APIC ID; its low 8 bits are the xAPIC ID. */
  readonly id: number;
  readonly bootstrap: boolean;
  readonly clock: Clock;
  readonly bus: ApicBus;
  readonly pins: ProcessorPins;
  /** The INTA cycle to the external (8259) controller, for ExtINT; returns its vector. */
  readonly externalVector: () => number;
  /** The processor's time-stamp counter now. */
  readonly tsc: () => bigint;
  /** Nanoseconds until the time-stamp counter reaches a value; 0 when it has, Infinity for never. */
  readonly nsUntilTsc: (tsc: bigint) => number;
  /** The timer's clock before division. Default: 1 GHz. */
  readonly busHz?: number;
  /** MAXPHYADDR, for reserved bits of IA32_APIC_BASE. Default: 40. */
  readonly physicalAddressBits?: number;
  /** Whether CPUID offers x2APIC mode. Default: true. */
  readonly x2apic?: boolean;
  /** Whether CPUID offers the TSC-deadline mode. Default: true. */
  readonly tscDeadline?: boolean;
}
