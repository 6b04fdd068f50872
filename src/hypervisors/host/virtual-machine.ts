import type { Clock } from "../../bus/clock.ts";
import type { Tier } from "../../cpu/execution-engine.ts";
import { type GuestMemory, maximumRamBytes } from "../../cpu/guest-memory.ts";
import type { LogicalProcessor } from "../../cpu/logical-processor.ts";
import type { ProcessorPins } from "../../devices/local-apic-doors.ts";
import type { Uart16550 } from "../../devices/uart-16550.ts";
import type { VirtioConsole } from "../../devices/virtio-console.ts";
import { type BootRefusal, refuse } from "../../machine/boot/load-plan.ts";
import { mebibytes } from "../../machine/boot/memory-map.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import type { Pc } from "../../machine/pc.ts";
import type { PcOutputs, PcStop } from "../../machine/pc-doors.ts";
import { GuestBoard } from "./guest-board.ts";
import { GuestMemoryMap, guestSegments, type MemorySegment } from "./guest-memory-map.ts";
import { HostKernel, hostKernelBytes } from "./host-kernel.ts";
import { type SwitchStep, SwitchTrace } from "./switch-trace.ts";

/** What an image runs on: the PC itself, or a virtual machine on it. */
export interface ImageRunner {
  /** Memory as the image sees it; `ram` is all of the machine's. */
  readonly guest: Pick<GuestMemory, "ramBytes" | "readBytes" | "writeBytes" | "ram" | "memory">;
  readonly clock: Clock;
  /** Instructions of all processors, the host's too. */
  readonly retired: number;
  readonly serial: readonly [Uart16550, Uart16550];
  readonly console: VirtioConsole;
  /** Those of the machine. */
  readonly processors: readonly LogicalProcessor[];
  readonly engine: Pick<Pc["engine"], "observer">;
  tier: Tier;
  /** The same image on a second machine that runs behind the first one, to be given the same inputs. */
  readonly second?: ImageRunner;
  run(maximum: number, warp: boolean): PcStop;
  interrupt(): void;
  skipTo(ns: number): void;
  /** Would a device interrupt wake the image? Without it the machine's processors tell. */
  takesInterrupts?(): boolean;
  /** Tell of each instruction of the world switch from now on, or no longer. Only a hypervisor has one. */
  traceSwitch?(listener: ((step: SwitchStep) => void) | undefined): void;
}

/** A hypervisor that makes a virtual machine of what would else be booted on the machine. */
export type Hypervisor = (
  bootable: BootableMachine,
  outputs: PcOutputs,
  /** Memory of the same machine before a reset. */
  kept?: WebAssembly.Memory,
) => ImageRunner | BootRefusal;

/** A sentence where an image cannot be a guest of any hypervisor here. */
export const guestRefusal = ({ plan, configuration }: BootableMachine): BootRefusal | undefined => {
  if (plan.roms.length > 0)
    return refuse("a firmware ROM is booted on the machine itself, not under a hypervisor");
  const most = maximumRamBytes - hostKernelBytes;
  if (configuration.memoryBytes > most)
    return refuse(
      `${mebibytes(configuration.memoryBytes)} of memory are too much under a hypervisor, which needs ${mebibytes(hostKernelBytes)} itself: expected at most ${mebibytes(most)}`,
    );
  return undefined;
};

/** What the pieces of a virtual machine's board do to their hypervisor. */
export interface BoardPins {
  pins(index: number): ProcessorPins;
  halt(stop: PcStop): void;
}

/** The machine with a 64-bit host kernel on it and the board of a guest: what the hypervisors with VT-x begin with. */
export abstract class VirtualMachine implements ImageRunner {
  readonly kernel: HostKernel;
  readonly memory: GuestMemoryMap;
  readonly board: GuestBoard;
  /** Why the guest's machine has stopped. */
  stop: PcStop | undefined;
  readonly #guestBytes: number;
  #isInterrupted = false;
  #trace: SwitchTrace | undefined;

  constructor({ configuration }: BootableMachine, outputs: PcOutputs, kept: WebAssembly.Memory | undefined) {
    const { unimplemented } = outputs;
    const kernel = new HostKernel({
      memoryBytes: configuration.memoryBytes + hostKernelBytes,
      processors: configuration.processors,
      model: configuration.model,
      seed: configuration.seed,
      ...(kept === undefined ? {} : { keptMemory: kept }),
      ...(unimplemented === undefined ? {} : { unimplemented }),
    });
    this.kernel = kernel;
    this.#guestBytes = configuration.memoryBytes;
    this.memory = new GuestMemoryMap(kernel.pc.guest);
    this.board = new GuestBoard({
      configuration,
      outputs,
      clock: kernel.callouts,
      memory: this.memory,
      pins: (index) => this.pins(index),
      timeStamp: (index) => this.timeStamp(index),
      spendTime: (ns) => {
        kernel.pc.clock.nowNs += ns;
      },
      halt: (stop) => this.end(stop),
    });
  }

  /** Where in the machine's memory the guest's is. */
  protected get guestSegments(): readonly MemorySegment[] {
    const { guest } = this.kernel.pc;
    const segments = guestSegments(guest, hostKernelBytes, this.#guestBytes);
    if (segments === undefined) throw new Error("the host has less memory than it was made with");
    return segments;
  }

  /** What the virtual local APIC of a virtual processor drives; the board asks while it is made. */
  protected abstract pins(index: number): ProcessorPins;

  /** RDTSC on a virtual processor. */
  protected timeStamp(_index: number): bigint {
    return BigInt(this.kernel.pc.clock.nowNs);
  }

  /** The guest has ended its machine, or its hypervisor has. */
  end(stop: PcStop): void {
    this.stop ??= stop;
    this.kernel.stopping = true;
  }

  run(maximum: number, warp: boolean): PcStop {
    const stop = this.kernel.run(maximum, warp);
    if (this.stop !== undefined) return this.stop;
    if (!this.#isInterrupted) return stop;
    this.#isInterrupted = false;
    return { kind: "interrupted" };
  }

  interrupt(): void {
    this.#isInterrupted = true;
    this.kernel.stopping = true;
  }

  traceSwitch(listener: ((step: SwitchStep) => void) | undefined): void {
    const { kernel } = this;
    this.#trace?.end();
    this.#trace = listener === undefined ? undefined : new SwitchTrace(kernel, listener);
    kernel.trace = this.#trace;
  }

  skipTo(ns: number): void {
    this.kernel.pc.skipTo(ns);
  }

  get guest(): ImageRunner["guest"] {
    const { memory } = this;
    return {
      ramBytes: memory.segments.reduce((sum, { length }) => sum + length, 0),
      readBytes: (address, length) => memory.readBytes(address, length),
      writeBytes: (address, bytes) => memory.writeBytes(address, bytes),
      ram: () => memory.physical.ram(),
      memory: memory.physical.memory,
    };
  }
  get clock(): Clock {
    return this.kernel.callouts;
  }
  get retired(): number {
    return this.kernel.pc.retired;
  }
  get serial(): readonly [Uart16550, Uart16550] {
    return this.board.chipset.serial;
  }
  get console(): VirtioConsole {
    return this.board.chipset.console;
  }
  get processors(): readonly LogicalProcessor[] {
    return this.kernel.pc.processors;
  }
  get engine(): ImageRunner["engine"] {
    return this.kernel.pc.engine;
  }
  get tier(): Tier {
    return this.kernel.pc.tier;
  }
  set tier(tier: Tier) {
    this.kernel.pc.tier = tier;
  }
}
