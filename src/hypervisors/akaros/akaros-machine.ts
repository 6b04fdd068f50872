import type { BootRefusal } from "../../machine/boot/load-plan.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import type { PcOutputs, PcStop } from "../../machine/pc-doors.ts";
import type { GuestBoard } from "../host/guest-board.ts";
import { loadGuest } from "../host/guest-loader.ts";
import { type HostKernel, hostKernelBytes } from "../host/host-kernel.ts";
import { Akaros } from "./kernel.ts";
import { type AkarosMode, bugsOf, registerNumbers } from "./layout.ts";
import { Vmm } from "./vmm.ts";

/** Where the room for guests begins and ends: alignment costs up to a large page. */
const slack = 4 * 1024 * 1024;
const largestGuest = 0xb000_0000;

/** The machine with Akaros as its kernel, and an image as the guest of its one process. */
export class AkarosMachine {
  readonly akaros: Akaros;
  readonly vmm: Vmm;
  #isStopRequested = false;

  /** One sentence where the guest cannot be had. */
  static create(
    bootable: BootableMachine,
    outputs: PcOutputs,
    mode: AkarosMode = "fixed",
    kept?: WebAssembly.Memory,
  ): AkarosMachine | BootRefusal {
    const { configuration, plan } = bootable;
    const { model, processors, memoryBytes } = configuration;
    if (plan.cpu.mode !== "long64")
      return {
        message: `Akaros starts guests in 64-bit mode only; this image begins in ${plan.cpu.mode} mode`,
      };
    if (processors !== 1) return { message: `Akaros's guest has one processor here, not ${processors}` };
    if (memoryBytes > largestGuest)
      return { message: "Akaros's guest has at most 2816 MiB here, below the holes of the address space" };
    if (!model.has("VMX")) return { message: "Akaros needs VT-x, which this processor does not have" };
    const akaros = new Akaros(
      {
        memoryBytes: memoryBytes + hostKernelBytes + slack,
        processors,
        model,
        seed: configuration.seed,
        ...(kept === undefined ? {} : { keptMemory: kept }),
        ...(outputs.unimplemented === undefined ? {} : { unimplemented: outputs.unimplemented }),
      },
      { bugs: bugsOf(mode) },
    );
    if (akaros.controls === undefined)
      return {
        message: `Akaros needs EPT, APIC virtualization and posted interrupts, which ${model.name} as configured does not have`,
      };
    return new AkarosMachine(akaros, bootable, outputs);
  }

  private constructor(akaros: Akaros, bootable: BootableMachine, outputs: PcOutputs) {
    this.akaros = akaros;
    const { registers, RIP, RFLAGS, CR3 } = bootable.plan.cpu;
    const core = akaros.cores[0]!;
    this.vmm = new Vmm({
      akaros,
      configuration: bootable.configuration,
      outputs,
      mmioConsole: (bytes) => outputs.virtioConsole(bytes),
      load: (vmm, thread) => {
        loadGuest(vmm.memory, bootable, core.cpu.processor);
        for (const [number, name] of registerNumbers.entries())
          thread.setGeneral(number, registers[name.toUpperCase() as "RAX"] ?? 0n);
        thread.set64("rip", RIP);
        thread.set64("rflags", RFLAGS);
        thread.set64("cr3", CR3);
      },
    });
    akaros.grant(core, this.vmm.process);
    akaros.kernel.start(core.cpu, akaros.thread(core));
  }

  get kernel(): HostKernel {
    return this.akaros.kernel;
  }
  get board(): GuestBoard {
    return this.vmm.board;
  }

  run(maximum: number, warp: boolean): PcStop {
    const stop = this.kernel.run(maximum, warp);
    if (this.vmm.stop !== undefined) return this.vmm.stop;
    if (this.#isStopRequested) {
      this.#isStopRequested = false;
      return { kind: "interrupted" };
    }
    return stop;
  }

  /** End `run` soon. */
  interrupt(): void {
    this.#isStopRequested = true;
    this.kernel.stopping = true;
  }
}
