import type { ProcessorPins } from "../../devices/local-apic-doors.ts";
import type { VirtioConsole } from "../../devices/virtio-console.ts";
import { buildAcpiTables } from "../../machine/acpi-tables.ts";
import { type BootRefusal, refuse } from "../../machine/boot/load-plan.ts";
import { type BootableMachine, boardFacts } from "../../machine/boot-machine.ts";
import type { PcOutputs, PcStop } from "../../machine/pc-doors.ts";
import { noPins } from "../host/guest-board.ts";
import { loadGuest } from "../host/guest-loader.ts";
import { guestRefusal, VirtualMachine } from "../host/virtual-machine.ts";
import { Akaros } from "./kernel.ts";
import { type AkarosMode, bugsOf, registerNumbers } from "./layout.ts";
import { consoleDevice, Vmm } from "./vmm.ts";

/** The process's memory is one piece, below the holes of the address space. */
const largestGuest = 0xb000_0000;

/** The ACPI tables tell of the console. */
const withConsole = (bootable: BootableMachine): BootableMachine => {
  const { acpi, configuration } = bootable;
  if (acpi === undefined) return bootable;
  const { start, bytes: length, input } = consoleDevice;
  const board = { ...boardFacts(configuration.processors), virtioMmio: { start, length, input } };
  return { ...bootable, acpi: buildAcpiTables(board, acpi.tables.address, acpi.rsdp.address) };
};

/** The machine with Akaros as its kernel, and an image as the guest of its one process. */
export class AkarosMachine extends VirtualMachine {
  readonly akaros: Akaros;
  readonly vmm: Vmm;

  /** One sentence where the guest cannot be had. */
  static create(
    bootable: BootableMachine,
    outputs: PcOutputs,
    kept?: WebAssembly.Memory,
    mode: AkarosMode = "fixed",
  ): AkarosMachine | BootRefusal {
    const { configuration, plan } = bootable;
    const { model, processors, memoryBytes } = configuration;
    const refusal = guestRefusal(bootable);
    if (refusal !== undefined) return refusal;
    if (plan.cpu.mode !== "long64")
      return refuse(
        `Akaros starts guests in 64-bit mode only, and this image begins in ${plan.cpu.mode} mode`,
      );
    if (processors !== 1) return refuse(`a guest of Akaros has one processor here, not ${processors}`);
    if (memoryBytes > largestGuest) return refuse("a guest of Akaros has at most 2816 MiB of memory here");
    if (!model.has("VMX") || !model.has("X2APIC"))
      return refuse(`Akaros needs VT-x and x2APIC mode, which ${model.name} as configured does not have`);
    const machine = new AkarosMachine(bootable, outputs, kept, mode);
    if (machine.akaros.controls !== undefined) return machine;
    return refuse(
      `Akaros needs EPT, APIC virtualization and posted interrupts, which ${model.name} as configured does not have`,
    );
  }

  private constructor(
    bootable: BootableMachine,
    outputs: PcOutputs,
    kept: WebAssembly.Memory | undefined,
    mode: AkarosMode,
  ) {
    // Its virtio console is the process's own.
    super(
      { ...bootable, configuration: { ...bootable.configuration, lacksPciConsole: true } },
      outputs,
      kept,
    );
    const { kernel, board, memory } = this;
    const akaros = new Akaros(kernel, { bugs: bugsOf(mode) });
    this.akaros = akaros;
    const { registers, RIP, RFLAGS, CR3 } = bootable.plan.cpu;
    const core = akaros.cores[0]!;
    this.vmm = new Vmm({
      akaros,
      board,
      memory,
      configuration: bootable.configuration,
      outputs,
      mmioConsole: (bytes) => outputs.virtioConsole(bytes),
      end: (stop) => this.end(stop),
      load: (vmm, thread) => {
        loadGuest(vmm.memory, withConsole(bootable), core.cpu.processor);
        for (const [number, name] of registerNumbers.entries())
          thread.setGeneral(number, registers[name.toUpperCase() as "RAX"] ?? 0n);
        thread.set64("rip", RIP);
        thread.set64("rflags", RFLAGS);
        thread.set64("cr3", CR3);
      },
    });
    akaros.grant(core, this.vmm.process);
    kernel.start(core.cpu, akaros.thread(core));
  }

  protected pins(): ProcessorPins {
    return {
      ...noPins,
      interruptRequest: (pending) => {
        if (pending) (this.vmm as Vmm | undefined)?.postPending();
      },
    };
  }

  override get console(): VirtioConsole {
    return this.vmm.console;
  }

  override end(stop: PcStop): void {
    super.end(stop);
    this.vmm.hasEnded = true;
  }

  takesInterrupts(): boolean {
    return this.vmm.takesInterrupts;
  }
}
