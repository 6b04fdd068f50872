import type { Clock } from "../../bus/clock.ts";
import { MmioBus } from "../../bus/mmio.ts";
import { PortBus } from "../../bus/port-io.ts";
import { ApicBus } from "../../devices/apic-bus.ts";
import { LocalApic } from "../../devices/local-apic.ts";
import type { ProcessorPins } from "../../devices/local-apic-doors.ts";
import { setUpChipset } from "../../machine/board-setup.ts";
import { Chipset } from "../../machine/chipset.ts";
import type { PcConfiguration, PcOutputs, PcStop } from "../../machine/pc-doors.ts";
import type { GuestMemoryMap } from "./guest-memory-map.ts";

/** What the guest's board is put into. */
export interface BoardSurroundings {
  readonly configuration: PcConfiguration;
  readonly outputs: PcOutputs;
  /** Timers of the host kernel. */
  readonly clock: Clock;
  readonly memory: GuestMemoryMap;
  /** What the local APIC of a virtual processor drives. */
  pins(index: number): ProcessorPins;
  /** What RDTSC gives on a virtual processor. */
  timeStamp(index: number): bigint;
  /** Virtual time that an access to a device takes goes on. */
  spendTime(ns: number): void;
  /** The guest has ended the machine, or reset it. */
  halt(stop: PcStop): void;
}

/** What a local APIC drives where nobody listens. */
export const noPins: ProcessorPins = {
  interruptRequest() {},
  nmi() {},
  init() {},
  startup() {},
  smi() {},
  apicPage() {},
};

/** As on the machine itself. */
const deviceAccessNs = 500;

/** The chips of the machine once more, on buses of their own, for a guest: what a hypervisor's device model stands on. */
export class GuestBoard {
  readonly portBus = new PortBus();
  readonly mmio = new MmioBus();
  readonly apicBus: ApicBus;
  readonly chipset: Chipset;
  /** Virtual local APICs by index of the virtual processor. */
  readonly apics: readonly LocalApic[];
  readonly #around: BoardSurroundings;

  constructor(around: BoardSurroundings) {
    this.#around = around;
    const { configuration, outputs, clock, memory, halt } = around;
    const { unimplemented } = outputs;
    this.apicBus = new ApicBus((address, value) =>
      unimplemented?.(`interrupt message ${hex(address)} <- ${hex(value)}`),
    );
    if (unimplemented !== undefined) {
      const reportOf = (space: string) => (address: number, size: number, written: number | undefined) =>
        unimplemented(
          `${space} ${hex(address)} ${written === undefined ? "read" : `written with ${hex(written)}`} (${size} bytes)`,
        );
      this.portBus.onUnmapped = reportOf("port");
      this.mmio.onUnmapped = reportOf("memory");
    }
    this.apics = Array.from({ length: configuration.processors }, (_, index) => this.#localApic(index));
    this.chipset = new Chipset({
      configuration,
      outputs,
      clock,
      guest: memory,
      portBus: this.portBus,
      mmio: this.mmio,
      apicBus: this.apicBus,
      intr: { set: (asserted) => this.apics[0]!.lint0.set(asserted) },
      remapped() {},
      halt,
    });
    setUpChipset(this.chipset);
    this.apics[0]!.virtualWire();
  }

  #localApic(index: number): LocalApic {
    const { clock, configuration, pins, timeStamp } = this.#around;
    return new LocalApic({
      id: index,
      bootstrap: index === 0,
      clock,
      bus: this.apicBus,
      pins: pins(index),
      externalVector: () => this.chipset.pic.acknowledge(),
      tsc: () => timeStamp(index),
      nsUntilTsc: (tsc) => Math.max(0, Number(tsc - timeStamp(index))),
      physicalAddressBits: configuration.model.physicalAddressBits,
    });
  }

  readPort(port: number, size: 1 | 2 | 4): number {
    this.#around.spendTime(deviceAccessNs);
    return this.portBus.read(port, size);
  }
  writePort(port: number, value: number, size: 1 | 2 | 4): void {
    this.#around.spendTime(deviceAccessNs);
    this.portBus.write(port, value, size);
  }
  readMemory(address: number, size: 1 | 2 | 4): number {
    this.#around.spendTime(deviceAccessNs);
    return this.mmio.read(address, size);
  }
  writeMemory(address: number, value: number, size: 1 | 2 | 4): void {
    this.#around.spendTime(deviceAccessNs);
    this.mmio.write(address, value, size);
  }
}

const hex = (value: number): string => `0x${value.toString(16)}`;
