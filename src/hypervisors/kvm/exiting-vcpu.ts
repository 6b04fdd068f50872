import type { EmulatedBus } from "../host/emulated-bus.ts";
import type { KernelDevices } from "../host/kernel-devices.ts";
import { KvmExit, type KvmRun } from "./kvm-run.ts";
import type { VcpuVmx } from "./vcpu-vmx.ts";
import type { VmMemory } from "./vm-memory.ts";

/** A virtual processor whose guest has exited, as the exit's handler sees it. */
export interface ExitingVcpu {
  readonly vmx: VcpuVmx;
  readonly run: KvmRun;
  readonly memory: VmMemory;
  readonly bus: EmulatedBus;
  readonly devices: KernelDevices | undefined;
  /** Of the last exit. */
  readonly exitReason: number;
  readonly exitInterruption: number;
  readonly idtVectoring: number;
  /** What the next KVM_RUN does first: 1 when the guest may go on. */
  complete: (() => 0 | 1) | undefined;
  /** XCR0 of the guest has changed. */
  loadXcr0(): void;
  /** The guest may use the FPU from now on. */
  activateFpu(): void;
  /** DR0-DR3 must be the guest's while it runs. */
  debugRegistersChanged(): void;
}

export const internalError = ({ run }: ExitingVcpu, suberror: number, ...words: number[]): 0 => {
  run.exitReason = KvmExit.INTERNAL_ERROR;
  run.internal.suberror = suberror;
  run.internal.words = words;
  return 0;
};

/** A write to a port, whose instruction is done: to a device of the kernel's, else to the user. */
export const exitIo = (
  { run, devices }: ExitingVcpu,
  port: number,
  size: 1 | 2 | 4,
  value: number,
): 0 | 1 => {
  if (devices?.ownsPort(port)) {
    devices.writePort(port, value, size);
    return 1;
  }
  run.exitReason = KvmExit.IO;
  Object.assign(run.io, { isOut: true, size, port, count: 1 });
  run.buffer.setUint32(0, value, true);
  return 0;
};
