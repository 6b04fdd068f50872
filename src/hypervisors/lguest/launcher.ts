import type { CpuModel } from "../../cpu/core.ts";
import { cpuModel } from "../../cpu/cpu-model.ts";
import type { BlockStorage } from "../../devices/virtio-blk.ts";
import { Host, hostVector, type Thread } from "../host32/host.ts";
import { consoleKey, deviceDescriptor, deviceFeature, deviceType, powerDownReason } from "./abi.ts";
import { BlockDevice } from "./block-device.ts";
import { DeviceFile, request } from "./device-file.ts";
import { gather, scatter } from "./dma.ts";
import type { LoadedGuest } from "./image.ts";
import type { Mode } from "./quirks.ts";
import { errno, Lguest } from "./run-guest.ts";

const MIB = 0x10_0000;
/** The host's own RAM, below the guest's: 1 MiB of a PC's, text and tables, and the pool for shadow page tables. */
export const hostBytes = 16 * MIB;
const serialPort = 0x3f8;
const lineStatus = 5;
const dataReady = 1;
const controlC = 3;
/** How soon input is offered again that the guest had no buffer for. */
const retryNs = 1_000_000;

export interface LguestOptions {
  readonly loaded: LoadedGuest;
  /** Of the guest, whole MiB. */
  readonly memoryBytes: number;
  readonly disks?: readonly BlockStorage[];
  readonly mode?: Mode;
  readonly model?: CpuModel;
  readonly seed?: bigint;
  readonly startUnixSeconds?: number;
  readonly unimplemented?: (what: string) => void;
  /** A byte of the guest's console. */
  readonly output: (byte: number) => void;
}

/** Why `run` came back. */
export type LguestStop =
  | { readonly kind: "budget" }
  | { readonly kind: "idle"; readonly untilNs: number | undefined }
  | { readonly kind: "power-off" }
  /** The host has killed the guest, or it gave up itself. */
  | { readonly kind: "guest-died"; readonly reason: string }
  | { readonly kind: "host-died"; readonly reason: string };

/** What the Launcher's host lacks for a guest of these bytes. */
const machineBytes = (memoryBytes: number): number => hostBytes + memoryBytes + 4096 * mostDevicePages;
/** Above the guest's memory: descriptors, and a page for each device. */
export const mostDevicePages = 1 + deviceDescriptor.most;

/** A guest and its Launcher: the process that is its devices, and reads /dev/lguest in a loop. Its terminal is the host's first serial port. */
export class Launcher {
  readonly host: Host;
  readonly module: Lguest;
  readonly file: DeviceFile;
  readonly blocks: readonly BlockDevice[];
  #typed: number[] = [];
  #controlCs: number[] = [];
  readonly #waker = {};
  readonly #main: Thread<string>;
  #ended: LguestStop | undefined;

  constructor(options: LguestOptions) {
    const {
      loaded,
      memoryBytes,
      disks = [],
      mode = "fixed",
      model = cpuModel("default", { processors: 1 })!,
    } = options;
    const { seed, startUnixSeconds, unimplemented, output } = options;
    this.host = new Host({
      memoryBytes: machineBytes(memoryBytes),
      hostBytes,
      model,
      serial: output,
      ...(seed === undefined ? {} : { seed }),
      ...(startUnixSeconds === undefined ? {} : { startUnixSeconds }),
      ...(unimplemented === undefined ? {} : { unimplemented }),
    });
    const { host } = this;
    this.module = new Lguest(host, mode);
    const pages = memoryBytes / 4096 + mostDevicePages;
    this.file = new DeviceFile(this.module, { base: hostBytes, pages });
    for (const { address, bytes } of loaded.parts) host.memory.write(hostBytes + address, bytes);
    const outcome = this.file.write(this, [
      request.INITIALIZE,
      pages,
      loaded.directory,
      loaded.start,
      loaded.pageOffset,
    ]);
    if (outcome !== 0) throw new Error(`/dev/lguest says ${outcome} to a loaded guest`);
    const { guest } = this.file;
    this.blocks = disks.map(
      (storage, n) => new BlockDevice(guest!, storage, memoryBytes + 4096 * (1 + n), n + 2),
    );
    this.#describeDevices(memoryBytes, disks);
    host.onVector(hostVector.serial, () => this.#takeInput());
    this.#retry = host.callouts.timer("input for the guest", () => this.#wake());
    this.#main = this.#loop();
  }
  readonly #retry;

  /** The page above the guest's memory, where it finds its devices. */
  #describeDevices(at: number, disks: readonly BlockStorage[]): void {
    const guest = this.file.guest!;
    const describe = (index: number, type: number, pages: number, pfn: number): void => {
      const entry = at + deviceDescriptor.bytes * index;
      guest.write32(entry + deviceDescriptor.type, type | (deviceFeature.randomness << 16));
      guest.write32(entry + deviceDescriptor.num_pages - 2, pages << 16);
      guest.write32(entry + deviceDescriptor.pfn, pfn);
    };
    describe(0, deviceType.console, 0, 0);
    disks.forEach((_, n) => {
      describe(1 + n, deviceType.block, 1, at / 4096 + 1 + n);
    });
  }

  /** The host's serial interrupt: its terminal has input, and the Waker brings the Launcher out of read(). */
  #takeInput(): void {
    const { portBus } = this.host.pc;
    while (portBus.read(serialPort + lineStatus, 1) & dataReady) {
      const byte = portBus.read(serialPort, 1);
      this.#typed.push(byte);
      if (byte === controlC) this.#controlCs.push(this.host.pc.clock.nowNs);
    }
    this.#wake();
  }
  #wake(): void {
    if (this.#typed.length > 0) this.file.write(this.#waker, [request.BREAK, 1]);
  }

  /** The Launcher: the guest's words on its end. */
  *#loop(): Thread<string> {
    for (;;) {
      const outcome = yield* this.file.read(this);
      if (outcome === errno.ENOENT) break;
      if (outcome === errno.EAGAIN) {
        this.file.write(this.#waker, [request.BREAK, 0]);
        if (this.#threeControlCs()) return "three Ctrl-C within a second";
        this.#offerInput();
      } else if (typeof outcome !== "number") {
        const [dma, key] = new Uint32Array(outcome.buffer);
        this.#output(dma!, key!);
      }
    }
    const reason = yield* this.file.read(this);
    return typeof reason === "number" ? `error ${reason}` : new TextDecoder().decode(reason.subarray(0, -1));
  }

  #threeControlCs(): boolean {
    const recent = this.#controlCs.slice(-3);
    return recent.length === 3 && recent[2]! - recent[0]! < 1_000_000_000;
  }

  /** What was typed goes into a buffer that the guest has bound to its console. */
  #offerInput(): void {
    const words = [request.GETDMA, consoleKey];
    const dma = this.file.write(this, words);
    if (dma < 0) {
      this.#retry.arm(this.host.pc.clock.nowNs + retryNs);
      return;
    }
    this.#typed.splice(0, scatter(this.file.guest!, dma, new Uint8Array(this.#typed)));
    this.file.write(this, [request.IRQ, words[1]!]);
    if (this.#typed.length > 0) this.#retry.arm(this.host.pc.clock.nowNs + retryNs);
  }

  /** The guest has sent something to one of its devices, or to nobody. */
  #output(dma: number, key: number): void {
    const guest = this.file.guest!;
    const block = this.blocks.find((one) => one.key === key);
    if (key === consoleKey) {
      for (const byte of gather(guest, dma)) {
        // As a terminal line does.
        if (byte === 10) this.host.pc.portBus.write(serialPort, 13, 1);
        this.host.pc.portBus.write(serialPort, byte, 1);
      }
    } else if (block !== undefined) {
      const irq = block.serve(dma, () => {
        const words = [request.GETDMA, key];
        const buffer = this.file.write(this, words);
        return buffer < 0 ? undefined : { address: buffer, interrupt: words[1]! };
      });
      if (irq !== undefined) this.file.write(this, [request.IRQ, irq]);
    }
  }

  /** Run at most `maximum` instructions of host and guest together. `warp` as in Pc.run. */
  run(maximum: number, warp: boolean): LguestStop {
    if (this.#ended) return this.#ended;
    const driven = this.host.drive(this.#main, maximum, warp);
    if (driven.kind === "budget" || driven.kind === "idle") return driven;
    if (driven.kind === "died") this.#ended = { kind: "host-died", reason: this.host.died! };
    else if (driven.result === powerDownReason) this.#ended = { kind: "power-off" };
    else this.#ended = { kind: "guest-died", reason: driven.result };
    return this.#ended;
  }
}
