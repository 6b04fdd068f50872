import type { CpuModel, LocalApicSocket, PortSpace } from "./core.ts";

/** What a logical processor needs from the machine around it. */
export interface ProcessorSockets {
  readonly ports: PortSpace;
  readonly apic: LocalApicSocket;
  readonly model: CpuModel;
  /** Virtual time-stamp counter, ticks since power-on, not counting instructions that the run in progress has not reported. */
  timeStamp(): bigint;
  /** Virtual time, nanoseconds since power-on. */
  clockNs(): number;
  random(): bigint;
  /** Called as instructions retire, so that virtual time is exact whenever a device or RDTSC looks. */
  retire(count: number): void;
  /** Virtual time passes without an instruction: an event is delivered. */
  elapse(ns: number): void;
  reportUnimplemented(what: string): void;
}
