import type { DirectMemory } from "../bus/dma.ts";
import { MmioBus } from "../bus/mmio.ts";
import { PortBus } from "../bus/port-io.ts";
import { PciBus } from "./pci.ts";
import type { VirtioDevice } from "./virtio-device.ts";
import { VIRTIO_F } from "./virtio-features.ts";
import { VirtioPci } from "./virtio-pci.ts";

/** 1 MiB of RAM at address 0; beyond it reads give ones and writes vanish, as the bus says. */
export class TestMemory implements DirectMemory {
  readonly bytes = new Uint8Array(1 << 20);
  /** Bytes asked for by the largest read or write so far. */
  largest = 0;
  reads = 0;

  read(address: number, length: number): Uint8Array {
    this.reads++;
    this.largest = Math.max(this.largest, length);
    const result = new Uint8Array(length).fill(0xff);
    if (address < this.bytes.length) result.set(this.bytes.subarray(address, address + length));
    return result;
  }

  write(address: number, bytes: Uint8Array): void {
    this.largest = Math.max(this.largest, bytes.length);
    if (address < this.bytes.length) this.bytes.set(bytes.subarray(0, this.bytes.length - address), address);
  }
}

export interface TestBuffer {
  readonly address: number;
  readonly length: number;
  readonly write?: boolean;
}

const REGISTERS = 0xe000_0000;
const VECTORS = 0xe010_0000;
export const NEXT = 1;
export const WRITE = 2;
export const INDIRECT = 4;

/** A virtio device on a PCI bus, and the least driver that can use it: what Linux's virtio_pci_modern does, in order. */
export class TestDriver {
  readonly memory = new TestMemory();
  readonly mmio = new MmioBus();
  readonly messages: number[] = [];
  readonly complaints: string[] = [];
  readonly transport: VirtioPci;
  readonly #pci: PciBus;
  intx = false;
  queueSize = 8;
  #nextAvailable = [0, 0];
  #nextUsed = [0, 0];

  constructor(device: VirtioDevice) {
    this.transport = new VirtioPci({
      device,
      memory: this.memory,
      message: { send: (_address, value) => this.messages.push(value) },
      report: (reason) => this.complaints.push(reason),
    });
    const wire = {
      set: (asserted: boolean) => {
        this.intx = asserted;
      },
    };
    const pirq = Array.from({ length: 8 }, (_, i) => (i === 0 ? wire : { set() {} }));
    this.#pci = new PciBus({ mmio: this.mmio, ports: new PortBus(), pirq });
    this.#pci.add(0, 0, this.transport.function);
    this.config(0x14, VECTORS);
    this.config(0x20, REGISTERS);
    this.config(0x04, 0x6, 2);
  }

  /** Write (or, without a value, read) configuration space. */
  config(register: number, value?: number, size: 1 | 2 | 4 = 4): number {
    if (value === undefined) return this.#pci.ecam.read(register, size);
    this.#pci.ecam.write(register, value, size);
    return value;
  }

  common(offset: number, size: 1 | 2 | 4): number {
    return this.mmio.read(REGISTERS + offset, size);
  }

  setCommon(offset: number, value: number, size: 1 | 2 | 4): void {
    this.mmio.write(REGISTERS + offset, value, size);
  }

  get status(): number {
    return this.common(20, 1);
  }

  set status(value: number) {
    this.setCommon(20, value, 1);
  }

  readIsr(): number {
    return this.mmio.read(REGISTERS + 0x1000, 1);
  }

  deviceConfig(offset: number, size: 1 | 2 | 4): number {
    return this.mmio.read(REGISTERS + 0x2000 + offset, size);
  }

  setDeviceConfig(offset: number, value: number, size: 1 | 2 | 4): void {
    this.mmio.write(REGISTERS + 0x2000 + offset, value, size);
  }

  offeredFeatures(): bigint {
    let features = 0n;
    for (const select of [0, 1]) {
      this.setCommon(0, select, 4);
      features |= BigInt(this.common(4, 4)) << BigInt(32 * select);
    }
    return features;
  }

  /** Offer our side of the features; returns whether the device kept FEATURES_OK. */
  negotiate(features: bigint): boolean {
    this.status = 0;
    this.status = 1;
    this.status = 3;
    for (const select of [0, 1]) {
      this.setCommon(8, select, 4);
      this.setCommon(12, Number((features >> BigInt(32 * select)) & 0xffff_ffffn), 4);
    }
    this.status = 3 | 8;
    return (this.status & 8) !== 0;
  }

  /** Where the three areas of a queue are. */
  areas(queue: number): [descriptors: number, driver: number, device: number] {
    return [0x1_0000 + 0x8000 * queue, 0x1_2000 + 0x8000 * queue, 0x1_4000 + 0x8000 * queue];
  }

  setUpQueue(queue: number, areas = this.areas(queue)): void {
    this.setCommon(22, queue, 2);
    this.setCommon(24, this.queueSize, 2);
    for (const [i, area] of areas.entries()) {
      this.setCommon(32 + 8 * i, area, 4);
      this.setCommon(36 + 8 * i, Math.floor(area / 2 ** 32), 4);
    }
    this.setCommon(28, 1, 2);
  }

  /** The whole initialization. */
  start(features = VIRTIO_F.VERSION_1, queues = 1): void {
    this.negotiate(features);
    for (let queue = 0; queue < queues; queue++) this.setUpQueue(queue);
    this.status = 1 | 2 | 8 | 4;
  }

  u16(address: number, value?: number): number {
    const view = new DataView(this.memory.bytes.buffer);
    if (value !== undefined) view.setUint16(address, value, true);
    return view.getUint16(address, true);
  }

  u32(address: number): number {
    return new DataView(this.memory.bytes.buffer).getUint32(address, true);
  }

  /** Write one descriptor into a table. */
  descriptor(table: number, index: number, address: number, length: number, flags: number, next = 0): void {
    const view = new DataView(this.memory.bytes.buffer, table + 16 * index);
    view.setBigUint64(0, BigInt(address), true);
    view.setUint32(8, length, true);
    view.setUint16(12, flags, true);
    view.setUint16(14, next, true);
  }

  /** Write a chain into the queue's table from descriptor `first` on. */
  chain(queue: number, buffers: readonly TestBuffer[], first = 0): void {
    for (const [i, { address, length, write }] of buffers.entries()) {
      const last = i === buffers.length - 1;
      const flags = (write === true ? WRITE : 0) | (last ? 0 : NEXT);
      this.descriptor(this.areas(queue)[0], first + i, address, length, flags, first + i + 1);
    }
  }

  /** Make a chain available without telling the device. */
  offer(queue: number, head = 0): void {
    const [, available] = this.areas(queue);
    const index = this.#nextAvailable[queue]!;
    this.#nextAvailable[queue] = (index + 1) & 0xffff;
    this.u16(available + 4 + 2 * (index % this.queueSize), head);
    this.u16(available + 2, (index + 1) & 0xffff);
  }

  kick(queue: number): void {
    this.mmio.write(REGISTERS + 0x3000 + 4 * queue, queue, 2);
  }

  /** Chain, offer and kick. */
  submit(queue: number, buffers: readonly TestBuffer[], first = 0): void {
    this.chain(queue, buffers, first);
    this.offer(queue, first);
    this.kick(queue);
  }

  /** Chains given back since the last call: their heads and lengths. */
  used(queue = 0): { head: number; length: number }[] {
    const [, , used] = this.areas(queue);
    const result = [];
    for (
      ;
      this.#nextUsed[queue] !== this.u16(used + 2);
      this.#nextUsed[queue] = (this.#nextUsed[queue]! + 1) & 0xffff
    ) {
      const element = used + 4 + 8 * (this.#nextUsed[queue]! % this.queueSize);
      result.push({ head: this.u32(element), length: this.u32(element + 4) });
    }
    return result;
  }

  /** Forget the rings: after a reset. */
  forget(): void {
    this.memory.bytes.fill(0, 0x1_0000, 0x3_0000);
    this.#nextAvailable = [0, 0];
    this.#nextUsed = [0, 0];
  }

  /** As if `index` buffers had gone through an idle queue already. */
  skipTo(queue: number, index: number): void {
    this.#nextAvailable[queue] = index;
    this.#nextUsed[queue] = index;
    Object.assign(this.transport.queue(queue).state, {
      lastAvailable: index,
      usedIndex: index,
      signalledUsed: index,
    });
  }

  /** Turn MSI-X on with the data of each vector being 0x40 + its number. */
  enableMsix(): void {
    for (let vector = 0; vector < 3; vector++) {
      this.mmio.write(VECTORS + 16 * vector, 0xfee0_0000, 4);
      this.mmio.write(VECTORS + 16 * vector + 8, 0x40 + vector, 4);
      this.mmio.write(VECTORS + 16 * vector + 12, 0, 4);
    }
    this.config(0x42, 0x8000, 2);
  }

  /** Offsets of the capabilities in configuration space, by ID, in list order. */
  capabilities(): { id: number; offset: number }[] {
    const found = [];
    for (
      let offset = this.config(0x34, undefined, 1);
      offset !== 0;
      offset = this.config(offset + 1, undefined, 1)
    )
      found.push({ id: this.config(offset, undefined, 1), offset });
    return found;
  }
}
