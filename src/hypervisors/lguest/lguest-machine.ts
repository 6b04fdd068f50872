import { type BootRefusal, isRefusal, refuse } from "../../machine/boot/load-plan.ts";
import type { BootableMachine } from "../../machine/boot-machine.ts";
import type { PcOutputs, PcStop } from "../../machine/pc-doors.ts";
import type { SwitchStep } from "../host/switch-trace.ts";
import { guestRefusal, type ImageRunner } from "../host/virtual-machine.ts";
import { placeKernel } from "./image.ts";
import { hostBytes, Launcher, mostDevicePages } from "./launcher.ts";
import type { Mode } from "./quirks.ts";
import { LguestTrace } from "./switch-trace.ts";

/** Linux's, and what a kernel is taken to be linked at whose boot protocol tells physical addresses only. */
const pageOffset = 0xc000_0000;
const kernelStart = 0x10_0000;

/** The machine with lguest on it, and an image as its guest. */
export class LguestMachine implements ImageRunner {
  readonly launcher: Launcher;
  readonly #memoryBytes: number;
  readonly #outputs: PcOutputs;
  #isInterrupted = false;
  #hasSaid = false;
  #trace: LguestTrace | undefined;

  /** One sentence where the image cannot be a guest. */
  static create(
    bootable: BootableMachine,
    outputs: PcOutputs,
    mode: Mode = "fixed",
  ): LguestMachine | BootRefusal {
    const { plan, configuration } = bootable;
    const { memoryBytes, processors, commandLine = "" } = configuration;
    const refusal = guestRefusal(bootable);
    if (refusal !== undefined) return refusal;
    if (processors > 1) return refuse(`a guest of lguest has one processor, found ${processors}`);
    // What a boot protocol leaves below is about a PC, which the guest has none of.
    const kernel = plan.segments.filter(({ address }) => address >= kernelStart);
    const loaded = placeKernel("the image", kernel, pageOffset, commandLine, memoryBytes, mostDevicePages);
    if (isRefusal(loaded)) return loaded;
    const { model, seed, startUnixSeconds, disks } = configuration;
    const { unimplemented } = outputs;
    const launcher = new Launcher({
      loaded,
      memoryBytes,
      mode,
      model,
      seed,
      disks: disks.map(({ storage }) => storage),
      output: (byte) => outputs.serial(1, byte),
      ...(startUnixSeconds === undefined ? {} : { startUnixSeconds }),
      ...(unimplemented === undefined ? {} : { unimplemented }),
    });
    return new LguestMachine(launcher, memoryBytes, outputs);
  }

  private constructor(launcher: Launcher, memoryBytes: number, outputs: PcOutputs) {
    this.launcher = launcher;
    this.#memoryBytes = memoryBytes;
    this.#outputs = outputs;
  }

  /** Tell of each instruction of the world switch, or no more. */
  traceSwitch(listener: ((step: SwitchStep) => void) | undefined): void {
    const { host, module } = this.launcher;
    this.#trace?.end();
    this.#trace = listener === undefined ? undefined : new LguestTrace(host, module.switcher, listener);
  }

  run(maximum: number, warp: boolean): PcStop {
    this.launcher.host.stopping = false;
    const stop = this.launcher.run(maximum, warp);
    if (stop.kind === "guest-died" || stop.kind === "host-died") {
      this.#say(`lguest: ${stop.kind === "host-died" ? "the host has died: " : ""}${stop.reason}`);
      return { kind: "triple-fault", processor: 0 };
    }
    if (stop.kind !== "budget" || !this.#isInterrupted) return stop;
    this.#isInterrupted = false;
    return { kind: "interrupted" };
  }

  /** The Launcher's last words go where the guest's went. */
  #say(text: string): void {
    if (!this.#hasSaid)
      for (const byte of new TextEncoder().encode(`\r\n${text}\r\n`)) this.#outputs.serial(1, byte);
    this.#hasSaid = true;
  }

  interrupt(): void {
    this.#isInterrupted = true;
    this.launcher.host.stopping = true;
  }

  skipTo(ns: number): void {
    this.#pc.skipTo(ns);
  }

  /** Console and disks wake it as long as it has interrupts to come. */
  takesInterrupts(): boolean {
    return this.launcher.file.guest?.shared !== undefined;
  }

  get #pc() {
    return this.launcher.host.pc;
  }
  get guest(): ImageRunner["guest"] {
    const memory = this.#pc.guest;
    const length = (address: number, wanted: number): number =>
      Math.max(0, Math.min(wanted, this.#memoryBytes - address));
    return {
      ramBytes: this.#memoryBytes,
      readBytes: (address, wanted) => {
        const bytes = new Uint8Array(wanted).fill(0xff);
        bytes.set(memory.readBytes(hostBytes + address, length(address, wanted)));
        return bytes;
      },
      writeBytes: (address, bytes) =>
        memory.writeBytes(hostBytes + address, bytes.subarray(0, length(address, bytes.length))),
      ram: () => memory.ram(),
      memory: memory.memory,
    };
  }
  get clock() {
    return this.#pc.clock;
  }
  get retired() {
    return this.#pc.retired;
  }
  get serial() {
    return this.#pc.serial;
  }
  get console() {
    return this.#pc.console;
  }
  get processors() {
    return this.#pc.processors;
  }
  get engine() {
    return this.#pc.engine;
  }
  get tier() {
    return this.#pc.tier;
  }
  set tier(tier) {
    this.#pc.tier = tier;
  }
}
