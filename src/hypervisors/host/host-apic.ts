import type { LogicalProcessor } from "../../cpu/logical-processor.ts";
import { LocalApic } from "../../devices/local-apic.ts";
import { has } from "../../devices/vector-set.ts";

/** Registers of a processor's own local APIC, as offsets in the xAPIC page. */
// biome-ignore format: one row per fact
const register = {
  EOI: 0x0b0, SVR: 0x0f0, ICR: 0x300, ICR_HIGH: 0x310, LVT_TIMER: 0x320, INITIAL_COUNT: 0x380, DCR: 0x3e0,
} as const;
const IA32_APIC_BASE = 0x1b;
const EXTD = 1n << 10n;
const softwareEnabled = 0x100;
const divideByOne = 0b1011;
const icrAssert = 1 << 14;
const nmiDelivery = 4 << 8;

/** The local APIC as the host kernel of one processor uses it: in x2APIC mode where there is one, else through its page. */
export class HostApic {
  readonly #apic: LocalApic;
  readonly #x2apic: boolean;

  constructor(processor: LogicalProcessor) {
    if (!(processor.apic instanceof LocalApic)) throw new Error("the host's processors have local APICs");
    this.#apic = processor.apic;
    this.#x2apic = processor.model.has("X2APIC");
  }

  /** Once, before interrupts are enabled. `timerVector`: of the one-shot timer. */
  enable(timerVector: number, spuriousVector: number): void {
    const apic = this.#apic;
    if (this.#x2apic) apic.writeMsr(IA32_APIC_BASE, apic.readMsr(IA32_APIC_BASE)! | EXTD);
    this.#write(register.SVR, softwareEnabled | spuriousVector);
    this.#write(register.DCR, divideByOne);
    this.#write(register.LVT_TIMER, timerVector);
  }

  /** Has the processor taken this vector, and software not ended it? */
  isInService(vector: number): boolean {
    return has(this.#apic.state.ISR, vector);
  }

  endOfInterrupt(): void {
    this.#write(register.EOI, 0);
  }

  /** Interrupt once after so many nanoseconds (the timer runs at 1 GHz), 1 to 2^32-1; 0 stops the timer. */
  startTimer(ns: number): void {
    this.#write(register.INITIAL_COUNT, ns);
  }

  /** A fixed interrupt to the processor with this APIC ID. */
  sendInterrupt(id: number, vector: number): void {
    this.#send(id, vector);
  }

  sendNmi(id: number): void {
    this.#send(id, nmiDelivery);
  }

  #send(id: number, low: number): void {
    const command = low | icrAssert;
    if (this.#x2apic) this.#apic.writeMsr(0x830, (BigInt(id) << 32n) | BigInt(command));
    else {
      this.#write(register.ICR_HIGH, (id << 24) >>> 0);
      this.#write(register.ICR, command);
    }
  }

  #write(offset: number, value: number): void {
    if (this.#x2apic) this.#apic.writeMsr(0x800 + (offset >>> 4), BigInt(value));
    else this.#apic.write(offset, value, 4);
  }
}
