import type { RegisterBlock } from "../bus/address-range.ts";
import type { DirectMemory } from "../bus/dma.ts";
import type { MessageInterrupt } from "../bus/interrupt-line.ts";
import { PCI, PciFunction, type PciFunctionState } from "./pci-function.ts";
import { Msix, type MsixState } from "./pci-msix.ts";
import type { VirtioDevice, VirtioTransport } from "./virtio-device.ts";
import { VIRTIO_F } from "./virtio-features.ts";
import { addVirtioCapabilities, NOTIFY_OFF_MULTIPLIER } from "./virtio-pci-capabilities.ts";
import {
  AREA_OF,
  type CommonField,
  DEVICE_STATUS,
  ISR,
  readRegisters,
  STRUCTURE,
  writeRegisters,
} from "./virtio-pci-registers.ts";
import { Virtqueue, type VirtqueueState } from "./virtqueue.ts";

// VIRTIO 1.2, "Virtio Over PCI Bus": a non-transitional device.

const VENDOR_ID = 0x1af4;
const DEVICE_ID_BASE = 0x1040;
const SUBSYSTEM_ID = 0x1100;

const MSIX_BAR = 1;
const REGISTERS_BAR = 4;
const REGISTERS_LENGTH = 0x4000;
const NO_VECTOR = 0xffff;

export interface VirtioPciState {
  deviceFeatureSelect: number;
  driverFeatureSelect: number;
  driverFeatures: bigint;
  deviceStatus: number;
  configGeneration: number;
  configMsixVector: number;
  queueSelect: number;
  isr: number;
  queueMsixVectors: number[];
  queues: VirtqueueState[];
  msix: MsixState;
  function: PciFunctionState;
}
type OwnState = Omit<VirtioPciState, "queues" | "msix" | "function">;

export interface VirtioPciOptions {
  readonly device: VirtioDevice;
  readonly memory: DirectMemory;
  readonly message: MessageInterrupt;
  /** Told of each rule that the driver broke. */
  readonly report?: (reason: string) => void;
}

/** A virtio device as a PCI function: BAR 4 holds its registers, BAR 1 its MSI-X vectors (one for configuration, one per queue). */
export class VirtioPci implements VirtioTransport {
  readonly function: PciFunction;
  readonly #options: VirtioPciOptions;
  readonly #device: VirtioDevice;
  readonly #queues: readonly Virtqueue[];
  readonly #msix: Msix;
  #own: OwnState;

  /** BAR 4. */
  readonly #registers: RegisterBlock = {
    read: (offset, size) => {
      const { COMMON: common, ISR: isr, DEVICE: device } = STRUCTURE;
      if (offset < common.offset + common.length)
        return readRegisters(offset, size, (name) => this.#readField(name));
      if (offset === isr.offset) return this.#readIsr();
      if (offset >= device.offset && offset < device.offset + device.length)
        return this.#readConfiguration(offset - device.offset, size);
      return 0;
    },
    write: (offset, value, size) => {
      const { COMMON: common, DEVICE: device, NOTIFY: notify } = STRUCTURE;
      if (offset < common.offset + common.length)
        writeRegisters(offset, value, size, {
          read: (name) => this.#readField(name),
          write: (name, written) => this.#writeField(name, written),
        });
      else if (offset >= notify.offset) this.#notify((offset - notify.offset) / NOTIFY_OFF_MULTIPLIER);
      else if (offset >= device.offset) this.#writeConfiguration(offset - device.offset, value, size);
    },
  };

  constructor(options: VirtioPciOptions) {
    this.#options = options;
    this.#device = options.device;
    this.#queues = this.#device.queueSizes.map(
      (maximumSize, index) =>
        new Virtqueue(maximumSize, {
          memory: options.memory,
          features: () => this.features,
          interrupt: () => this.#interrupt(this.#own.queueMsixVectors[index]!, ISR.QUEUE),
          broken: (reason) => this.needsReset(reason),
        }),
    );
    this.#own = powerOn(this.#queues.length);
    this.function = new PciFunction(this.#device.name, {
      vendorId: VENDOR_ID,
      deviceId: DEVICE_ID_BASE + this.#device.deviceType,
      revisionId: 1,
      classCode: this.#device.pciClassCode,
      subsystemVendorId: VENDOR_ID,
      subsystemId: SUBSYSTEM_ID,
      interruptPin: 1,
    });
    this.#msix = new Msix(this.function, MSIX_BAR, this.#queues.length + 1, options.message);
    this.function.addBar({
      index: REGISTERS_BAR,
      space: "memory64",
      length: REGISTERS_LENGTH,
      prefetchable: true,
      block: this.#registers,
    });
    addVirtioCapabilities(this.function, REGISTERS_BAR, { block: this.#registers, length: REGISTERS_LENGTH });
    this.function.watch(PCI.COMMAND, 1, () => this.#notifyAll());
    this.function.watch(this.#msix.controlOffset, 1, () => this.#driveInterrupt());
    this.#device.connect(this);
  }

  get state(): VirtioPciState {
    return {
      ...this.#own,
      queues: this.#queues.map((queue) => queue.state),
      msix: this.#msix.state,
      function: this.function.state,
    };
  }

  set state({ queues, msix, function: fn, ...own }: VirtioPciState) {
    this.#own = own;
    for (const [i, queue] of this.#queues.entries()) queue.state = queues[i]!;
    this.#msix.state = msix;
    this.function.state = fn;
    this.driveOutputs();
  }

  driveOutputs(): void {
    this.function.driveOutputs();
    this.#driveInterrupt();
  }

  /** RESET of the machine: the function, its vectors and the device. */
  reset(): void {
    this.#resetDevice();
    this.#msix.reset();
    this.function.reset();
  }

  // --- the device's side

  get features(): bigint {
    return this.#own.driverFeatures & this.#offered;
  }

  get live(): boolean {
    const { DRIVER_OK, DEVICE_NEEDS_RESET } = DEVICE_STATUS;
    const status = this.#own.deviceStatus & (DRIVER_OK | DEVICE_NEEDS_RESET);
    return status === DRIVER_OK && this.function.busMaster;
  }

  queue(index: number): Virtqueue {
    return this.#queues[index]!;
  }

  configurationChanged(): void {
    this.#own.configGeneration = (this.#own.configGeneration + 1) & 0xff;
    if ((this.#own.deviceStatus & DEVICE_STATUS.DRIVER_OK) !== 0)
      this.#interrupt(this.#own.configMsixVector, ISR.CONFIGURATION);
  }

  needsReset(reason: string): void {
    this.#options.report?.(`${this.#device.name}: ${reason}`);
    if ((this.#own.deviceStatus & DEVICE_STATUS.DEVICE_NEEDS_RESET) !== 0) return;
    this.#own.deviceStatus |= DEVICE_STATUS.DEVICE_NEEDS_RESET;
    this.configurationChanged();
  }

  // --- interrupts

  #interrupt(vector: number, isr: number): void {
    if (this.#msix.enabled) this.#msix.signal(vector);
    else {
      this.#own.isr |= isr;
      this.#driveInterrupt();
    }
  }

  #driveInterrupt(): void {
    this.function.interrupt.set(this.#own.isr !== 0 && !this.#msix.enabled);
  }

  #readIsr(): number {
    const { isr } = this.#own;
    this.#own.isr = 0;
    this.#driveInterrupt();
    return isr;
  }

  // --- notifications

  #notify(index: number): void {
    if (this.live && this.#queues[index]?.state.enabled === true) this.#device.notified(index);
  }

  #notifyAll(): void {
    for (const index of this.#queues.keys()) this.#notify(index);
  }

  // --- "Common configuration structure layout"

  get #offered(): bigint {
    const { INDIRECT_DESC, EVENT_IDX, VERSION_1, RING_RESET } = VIRTIO_F;
    return this.#device.features | INDIRECT_DESC | EVENT_IDX | VERSION_1 | RING_RESET;
  }

  #readField(name: CommonField): number {
    const s = this.#own;
    const queue = this.#queues[s.queueSelect];
    const area = AREA_OF[name];
    if (area !== undefined) {
      const address = queue?.state[area[0]] ?? 0n;
      return Number(area[1] ? address >> 32n : address & 0xffff_ffffn);
    }
    switch (name) {
      case "device_feature_select":
        return s.deviceFeatureSelect;
      case "device_feature":
        return featureWord(this.#offered, s.deviceFeatureSelect);
      case "driver_feature_select":
        return s.driverFeatureSelect;
      case "driver_feature":
        return featureWord(s.driverFeatures, s.driverFeatureSelect);
      case "config_msix_vector":
        return s.configMsixVector;
      case "num_queues":
        return this.#queues.length;
      case "device_status":
        return s.deviceStatus;
      case "config_generation":
        return s.configGeneration;
      case "queue_select":
        return s.queueSelect;
      case "queue_size":
        return queue?.state.size ?? 0;
      case "queue_msix_vector":
        return s.queueMsixVectors[s.queueSelect] ?? NO_VECTOR;
      case "queue_enable":
        return queue?.state.enabled === true ? 1 : 0;
      case "queue_notify_off":
      case "queue_notify_data":
        return queue === undefined ? 0 : s.queueSelect;
      default: // queue_reset: done as soon as it is asked for
        return 0;
    }
  }

  #writeField(name: CommonField, value: number): void {
    const s = this.#own;
    switch (name) {
      case "device_feature_select":
        s.deviceFeatureSelect = value;
        return;
      case "driver_feature_select":
        s.driverFeatureSelect = value;
        return;
      case "driver_feature":
        this.#writeDriverFeature(value);
        return;
      case "config_msix_vector":
        s.configMsixVector = this.#vector(value);
        return;
      case "device_status":
        this.#writeStatus(value);
        return;
      case "queue_select":
        s.queueSelect = value;
        return;
      default:
        this.#writeQueueField(name, value);
    }
  }

  #writeQueueField(name: CommonField, value: number): void {
    const s = this.#own;
    const queue = this.#queues[s.queueSelect];
    if (queue === undefined) return;
    const area = AREA_OF[name];
    if (name === "queue_msix_vector") s.queueMsixVectors[s.queueSelect] = this.#vector(value);
    else if (name === "queue_reset") {
      if (value === 1 && (this.features & VIRTIO_F.RING_RESET) !== 0n) queue.reset();
    } else if (queue.state.enabled)
      return; // size and areas are fixed from then on
    else if (name === "queue_size") {
      if (value !== 0 && value <= queue.maximumSize && (value & (value - 1)) === 0) queue.state.size = value;
    } else if (name === "queue_enable") {
      // Buffers may already wait there: a ring can be enabled again after its reset.
      if (value === 1 && queue.enable()) this.#notify(s.queueSelect);
    } else if (area !== undefined) {
      const old = queue.state[area[0]];
      const written = BigInt(value >>> 0);
      queue.state[area[0]] = area[1]
        ? (written << 32n) | (old & 0xffff_ffffn)
        : (old & ~0xffff_ffffn) | written;
    }
  }

  #writeDriverFeature(value: number): void {
    const s = this.#own;
    if ((s.deviceStatus & DEVICE_STATUS.FEATURES_OK) !== 0 || s.driverFeatureSelect > 1) return;
    const shift = BigInt(32 * s.driverFeatureSelect);
    s.driverFeatures = (s.driverFeatures & ~(0xffff_ffffn << shift)) | (BigInt(value >>> 0) << shift);
  }

  /** A vector that does not exist reads back as NO_VECTOR. */
  #vector(value: number): number {
    return value < this.#msix.vectors ? value : NO_VECTOR;
  }

  /** "Device Initialization": 0 resets; FEATURES_OK stays only if the device agrees; bits cannot be taken back. */
  #writeStatus(value: number): void {
    const s = this.#own;
    if (value === 0) {
      this.#resetDevice();
      return;
    }
    const { ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, FAILED } = DEVICE_STATUS;
    const before = s.deviceStatus;
    s.deviceStatus |= value & (ACKNOWLEDGE | DRIVER | FAILED);
    const agreed =
      (s.driverFeatures & ~this.#offered) === 0n && (s.driverFeatures & VIRTIO_F.VERSION_1) !== 0n;
    if (agreed) s.deviceStatus |= value & FEATURES_OK;
    if ((s.deviceStatus & FEATURES_OK) !== 0) s.deviceStatus |= value & DRIVER_OK;
    if ((s.deviceStatus & ~before & DRIVER_OK) !== 0) this.#notifyAll();
  }

  #resetDevice(): void {
    this.#own = powerOn(this.#queues.length);
    for (const queue of this.#queues) queue.reset();
    this.#device.reset();
    this.#driveInterrupt();
  }

  // --- "Device-specific configuration"

  #readConfiguration(offset: number, size: number): number {
    const bytes = this.#device.configuration();
    let value = 0;
    for (let i = 0; i < size; i++) value |= (bytes[offset + i] ?? 0) << (8 * i);
    return value >>> 0;
  }

  #writeConfiguration(offset: number, value: number, size: number): void {
    if (offset + size > this.#device.configuration().length) return;
    const bytes = Uint8Array.from({ length: size }, (_, i) => value >>> (8 * i));
    this.#device.writeConfiguration(offset, bytes);
  }
}

/** Bits 31:0 (select 0) or 63:32 (select 1); 0 beyond. */
const featureWord = (features: bigint, select: number): number =>
  select > 1 ? 0 : Number((features >> BigInt(32 * select)) & 0xffff_ffffn);

const powerOn = (queues: number): OwnState => ({
  deviceFeatureSelect: 0,
  driverFeatureSelect: 0,
  driverFeatures: 0n,
  deviceStatus: 0,
  configGeneration: 0,
  configMsixVector: NO_VECTOR,
  queueSelect: 0,
  isr: 0,
  queueMsixVectors: new Array<number>(queues).fill(NO_VECTOR),
});
