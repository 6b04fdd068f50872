import type { CpuModel } from "../../src/cpu/core.ts";
import { cpuModel } from "../../src/cpu/cpu-model.ts";
import { ExecutionEngine } from "../../src/cpu/execution-engine.ts";
import { GuestMemory } from "../../src/cpu/guest-memory.ts";
import { LogicalProcessor } from "../../src/cpu/logical-processor.ts";

/** One processor with RAM and nothing else: ports float, time stands still, interrupts come from a list. */
export interface BareProcessor {
  readonly guest: GuestMemory;
  readonly engine: ExecutionEngine;
  readonly processor: LogicalProcessor;
  /** Vectors of maskable interrupts that wait, first come, first served. */
  readonly interrupts: number[];
}

export const bareProcessor = (ramBytes: number, model: CpuModel = cpuModel("default")!): BareProcessor => {
  const guest = new GuestMemory(ramBytes, 0, {
    read: (_address, size) => 2 ** (8 * size) - 1,
    write: () => {},
  });
  const interrupts: number[] = [];
  const engine = new ExecutionEngine(guest, model);
  const processor = new LogicalProcessor(0, engine, {
    ports: { read: (_port, size) => 2 ** (8 * size) - 1, write: () => {} },
    apic: {
      readMsr: () => undefined,
      writeMsr: () => false,
      taskPriorityClass: 0,
      hasInterrupt: () => interrupts.length > 0,
      acknowledge: () => interrupts.shift()!,
      endOfInterrupt: () => {},
      bootstrap: true,
      initialize: () => {},
      timeStampChanged: () => {},
    },
    model,
    clockNs: () => 0,
    timeStamp: () => 0n,
    random: () => 0n,
    retire: () => {},
    elapse: () => {},
    reportUnimplemented: () => {},
  });
  processor.select();
  return { guest, engine, processor, interrupts };
};
