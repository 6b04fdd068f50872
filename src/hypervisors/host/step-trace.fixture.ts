import { VmxOperation } from "../../cpu/vmx-socket.ts";
import type { HostProcessor, InstructionTrace } from "./host-processor.ts";

/** Executes one instruction at a time and shows where the host is before each: for tests that look into a world switch. */
export class StepTrace implements InstructionTrace {
  /** Instructions of the host so far. */
  count = 0;
  readonly #before: (rip: number, cpu: HostProcessor, count: number) => void;

  constructor(before: (rip: number, cpu: HostProcessor, count: number) => void) {
    this.#before = before;
  }

  run(cpu: HostProcessor): number {
    const { state } = cpu;
    if (state["vmx.operation"] !== VmxOperation.nonRoot) this.#before(Number(state.RIP), cpu, this.count++);
    return Math.max(1, cpu.processor.run(1));
  }
}

/** What bytes at an address of the host are, of the instructions that change worlds. */
export const worldChange = (bytes: Uint8Array): "VMLAUNCH" | "VMRESUME" | undefined =>
  bytes[0] === 0x0f && bytes[1] === 0x01
    ? bytes[2] === 0xc2
      ? "VMLAUNCH"
      : bytes[2] === 0xc3
        ? "VMRESUME"
        : undefined
    : undefined;
