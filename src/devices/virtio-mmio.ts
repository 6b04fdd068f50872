import type { RegisterBlock } from "../bus/address-range.ts";
import type { DirectMemory } from "../bus/dma.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import type { VirtioDevice, VirtioTransport } from "./virtio-device.ts";
import { VIRTIO_F } from "./virtio-features.ts";
import { DEVICE_STATUS, ISR } from "./virtio-pci-registers.ts";
import { Virtqueue } from "./virtqueue.ts";

/** VIRTIO 1.2, "MMIO Device Register Layout". */
// biome-ignore format: one row per fact
const register = {
  MagicValue: 0x000, Version: 0x004, DeviceID: 0x008, VendorID: 0x00c, DeviceFeatures: 0x010, DeviceFeaturesSel: 0x014,
  DriverFeatures: 0x020, DriverFeaturesSel: 0x024, QueueSel: 0x030, QueueNumMax: 0x034, QueueNum: 0x038, QueueReady: 0x044,
  QueueNotify: 0x050, InterruptStatus: 0x060, InterruptACK: 0x064, Status: 0x070, QueueDescLow: 0x080, QueueDescHigh: 0x084,
  QueueDriverLow: 0x090, QueueDriverHigh: 0x094, QueueDeviceLow: 0x0a0, QueueDeviceHigh: 0x0a4, ConfigGeneration: 0x0fc, Config: 0x100,
} as const;
const magic = 0x7472_6976;
const version = 2;
const vendor = 0x1af4;
const areas = ["descriptors", "driverArea", "deviceArea"] as const;

/** A virtio device behind memory-mapped registers and one interrupt line. */
export class VirtioMmio implements VirtioTransport, RegisterBlock {
  readonly #device: VirtioDevice;
  readonly #line: InterruptLine;
  readonly #queues: readonly Virtqueue[];
  #select = { device: 0, driver: 0, queue: 0 };
  #driverFeatures = 0n;
  #status = 0;
  #isr = 0;
  #generation = 0;

  constructor(device: VirtioDevice, memory: DirectMemory, line: InterruptLine) {
    this.#device = device;
    this.#line = line;
    this.#queues = device.queueSizes.map(
      (size) =>
        new Virtqueue(size, {
          memory,
          features: () => this.features,
          interrupt: () => this.#interrupt(ISR.QUEUE),
          broken: () => this.needsReset(),
        }),
    );
    device.connect(this);
  }

  get #offered(): bigint {
    return this.#device.features | VIRTIO_F.INDIRECT_DESC | VIRTIO_F.EVENT_IDX | VIRTIO_F.VERSION_1;
  }
  get features(): bigint {
    return this.#driverFeatures & this.#offered;
  }
  get live(): boolean {
    return (
      (this.#status & (DEVICE_STATUS.DRIVER_OK | DEVICE_STATUS.DEVICE_NEEDS_RESET)) ===
      DEVICE_STATUS.DRIVER_OK
    );
  }
  queue(index: number): Virtqueue {
    return this.#queues[index]!;
  }
  configurationChanged(): void {
    this.#generation = (this.#generation + 1) >>> 0;
    if (this.#status & DEVICE_STATUS.DRIVER_OK) this.#interrupt(ISR.CONFIGURATION);
  }
  needsReset(): void {
    if (this.#status & DEVICE_STATUS.DEVICE_NEEDS_RESET) return;
    this.#status |= DEVICE_STATUS.DEVICE_NEEDS_RESET;
    this.configurationChanged();
  }

  #interrupt(isr: number): void {
    this.#isr |= isr;
    this.#line.set(true);
  }

  read(offset: number, size: 1 | 2 | 4): number {
    if (offset >= register.Config) {
      const bytes = this.#device.configuration();
      let value = 0;
      for (let n = 0; n < size; n++) value |= (bytes[offset - register.Config + n] ?? 0) << (8 * n);
      return value >>> 0;
    }
    switch (offset) {
      case register.MagicValue:
        return magic;
      case register.Version:
        return version;
      case register.DeviceID:
        return this.#device.deviceType;
      case register.VendorID:
        return vendor;
      case register.DeviceFeatures:
        return this.#select.device > 1
          ? 0
          : Number((this.#offered >> BigInt(32 * this.#select.device)) & 0xffff_ffffn);
      case register.QueueNumMax:
        return this.#queues[this.#select.queue]?.maximumSize ?? 0;
      case register.QueueReady:
        return this.#queues[this.#select.queue]?.state.enabled ? 1 : 0;
      case register.InterruptStatus:
        return this.#isr;
      case register.Status:
        return this.#status;
      case register.ConfigGeneration:
        return this.#generation;
      default:
        return 0;
    }
  }

  write(offset: number, value: number, size: 1 | 2 | 4): void {
    if (offset >= register.Config) {
      const at = offset - register.Config;
      if (at + size > this.#device.configuration().length) return;
      this.#device.writeConfiguration(
        at,
        Uint8Array.from({ length: size }, (_, n) => value >>> (8 * n)),
      );
      return;
    }
    const select = this.#select;
    switch (offset) {
      case register.DeviceFeaturesSel:
        select.device = value;
        return;
      case register.DriverFeaturesSel:
        select.driver = value;
        return;
      case register.DriverFeatures: {
        if (this.#status & DEVICE_STATUS.FEATURES_OK || select.driver > 1) return;
        const shift = BigInt(32 * select.driver);
        this.#driverFeatures =
          (this.#driverFeatures & ~(0xffff_ffffn << shift)) | (BigInt(value >>> 0) << shift);
        return;
      }
      case register.QueueSel:
        select.queue = value;
        return;
      case register.QueueNotify:
        if (this.live && this.#queues[value]?.state.enabled) this.#device.notified(value);
        return;
      case register.InterruptACK:
        this.#isr &= ~value;
        this.#line.set(this.#isr !== 0);
        return;
      case register.Status:
        this.#writeStatus(value);
        return;
      default:
        this.#writeQueue(offset, value);
    }
  }

  #writeQueue(offset: number, value: number): void {
    const queue = this.#queues[this.#select.queue];
    if (queue === undefined) return;
    if (offset === register.QueueReady) {
      if (value === 1) queue.enable();
      else queue.reset();
    } else if (queue.state.enabled) return;
    else if (offset === register.QueueNum) {
      if (value !== 0 && value <= queue.maximumSize && (value & (value - 1)) === 0) queue.state.size = value;
    } else if (offset >= register.QueueDescLow && offset <= register.QueueDeviceHigh) {
      const area = areas[(offset - register.QueueDescLow) >>> 4];
      if (area === undefined) return;
      const before = queue.state[area];
      queue.state[area] =
        offset & 4
          ? (BigInt(value >>> 0) << 32n) | (before & 0xffff_ffffn)
          : (before & ~0xffff_ffffn) | BigInt(value >>> 0);
    }
  }

  /** 0 resets; FEATURES_OK stays only where the device agrees. */
  #writeStatus(value: number): void {
    if (value === 0) {
      for (const queue of this.#queues) queue.reset();
      this.#driverFeatures = 0n;
      this.#status = 0;
      this.#isr = 0;
      this.#line.set(false);
      this.#device.reset();
      return;
    }
    const agreed =
      (this.#driverFeatures & ~this.#offered) === 0n && (this.#driverFeatures & VIRTIO_F.VERSION_1) !== 0n;
    const before = this.#status;
    this.#status |= agreed ? value & 0x8f : value & ~DEVICE_STATUS.FEATURES_OK & 0x87;
    if (this.#status & ~before & DEVICE_STATUS.DRIVER_OK)
      for (const index of this.#queues.keys()) this.write(register.QueueNotify, index, 4);
  }
}
