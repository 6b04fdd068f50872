import type { DirectMemory } from "../bus/dma.ts";
import { VIRTIO_F } from "./virtio-features.ts";

// VIRTIO 1.2, "Split Virtqueues". Everything in a ring is the guest's word: nothing is followed, and no length believed,
// before it was checked; a driver that breaks a rule gets DEVICE_NEEDS_RESET.

/** struct virtq_desc. */
// biome-ignore format: one row per fact
const DESCRIPTOR = { LENGTH: 16, LEN: 8, FLAGS: 12, NEXT: 14 } as const;
// biome-ignore format: one row per fact
const DESC_F = { NEXT: 1, WRITE: 2, INDIRECT: 4 } as const;
const AVAIL_F_NO_INTERRUPT = 1;
/** Offset of the ring in struct virtq_avail and struct virtq_used, after flags and idx. */
const RING = 4;
const USED_ELEMENT_LENGTH = 8;
/** Required alignments of descriptor table, available ring and used ring. */
const ALIGNMENT = [16n, 2n, 4n];
/** The longest chain in an indirect table; kernels may go beyond the queue size there. */
const INDIRECT_LIMIT = 1024;
/** No guest-physical address lies beyond. */
const ADDRESS_LIMIT = 2 ** 52;

export interface VirtqueueState {
  /** Descriptors, a power of two up to the device's maximum. */
  size: number;
  enabled: boolean;
  /** Guest-physical addresses of the three areas. */
  descriptors: bigint;
  driverArea: bigint;
  deviceArea: bigint;
  /** The available index up to which buffers were taken; 16 bits. */
  lastAvailable: number;
  /** The used index; 16 bits. */
  usedIndex: number;
  /** The used index when the driver was last considered for an interrupt. */
  signalledUsed: number;
}

export interface VirtqueueDoors {
  readonly memory: DirectMemory;
  /** Negotiated features. */
  readonly features: () => bigint;
  readonly interrupt: () => void;
  readonly broken: (reason: string) => void;
}

interface Segment {
  readonly address: number;
  readonly length: number;
}

/** A chain of buffers taken from the queue: what the device may read, then what it may write. */
export class DescriptorChain {
  readonly head: number;
  readonly readableLength: number;
  readonly writableLength: number;
  readonly #memory: DirectMemory;
  readonly #readable: readonly Segment[];
  readonly #writable: readonly Segment[];

  constructor(
    memory: DirectMemory,
    head: number,
    readable: readonly Segment[],
    writable: readonly Segment[],
  ) {
    this.#memory = memory;
    this.head = head;
    this.#readable = readable;
    this.#writable = writable;
    this.readableLength = lengthOf(readable);
    this.writableLength = lengthOf(writable);
  }

  /** A copy of `length` bytes (or what there is of them) from `offset` of the readable part. The caller bounds `length`. */
  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.readableLength - offset)));
    for (const piece of pieces(this.#readable, offset, bytes.length))
      bytes.set(this.#memory.read(piece.address, piece.length), piece.at);
    return bytes;
  }

  /** Write `bytes` at `offset` of the writable part; what does not fit is dropped. */
  write(offset: number, bytes: Uint8Array): void {
    for (const piece of pieces(this.#writable, offset, bytes.length))
      this.#memory.write(piece.address, bytes.subarray(piece.at, piece.at + piece.length));
  }
}

/** One split virtqueue, the device's side. */
export class Virtqueue {
  state: VirtqueueState;
  readonly maximumSize: number;
  readonly #doors: VirtqueueDoors;

  constructor(maximumSize: number, doors: VirtqueueDoors) {
    this.maximumSize = maximumSize;
    this.#doors = doors;
    this.state = powerOn(maximumSize);
  }

  reset(): void {
    this.state = powerOn(this.maximumSize);
  }

  /** The driver has set size and areas. False, and the driver is broken, when they cannot be. */
  enable(): boolean {
    const s = this.state;
    const lengths = [
      DESCRIPTOR.LENGTH * s.size,
      RING + 2 * s.size + 2,
      RING + USED_ELEMENT_LENGTH * s.size + 2,
    ];
    for (const [i, area] of [s.descriptors, s.driverArea, s.deviceArea].entries()) {
      if (area % ALIGNMENT[i]! === 0n && Number(area) + lengths[i]! <= ADDRESS_LIMIT) continue;
      this.#doors.broken(`virtqueue area ${i} at 0x${area.toString(16)} is misaligned or outside memory`);
      return false;
    }
    s.enabled = true;
    return true;
  }

  /** The next chain that the driver has made available; none when there is none, or the driver broke a rule. */
  take(): DescriptorChain | undefined {
    const s = this.state;
    if (!s.enabled) return undefined;
    const available = Number(s.driverArea);
    const waiting = (this.#u16(available + 2) - s.lastAvailable) & 0xffff;
    if (waiting === 0) {
      if (this.#negotiated(VIRTIO_F.EVENT_IDX)) this.#writeAvailableEvent();
      return undefined;
    }
    if (waiting > s.size) return this.#broken(`${waiting} buffers available in a queue of ${s.size}`);
    const head = this.#u16(available + RING + 2 * (s.lastAvailable % s.size));
    const chain = this.#walk(head);
    if (chain !== undefined) s.lastAvailable = (s.lastAvailable + 1) & 0xffff;
    return chain;
  }

  /** Give a chain back, with `written` bytes of its writable part filled. */
  complete(chain: DescriptorChain, written: number): void {
    const s = this.state;
    const used = Number(s.deviceArea);
    const element = new Uint8Array(USED_ELEMENT_LENGTH);
    const view = new DataView(element.buffer);
    view.setUint32(0, chain.head, true);
    view.setUint32(4, written, true);
    this.#doors.memory.write(used + RING + USED_ELEMENT_LENGTH * (s.usedIndex % s.size), element);
    s.usedIndex = (s.usedIndex + 1) & 0xffff;
    this.#writeU16(used + 2, s.usedIndex);
  }

  /** After one or more `complete`: interrupt the driver if it wants that ("Used Buffer Notification Suppression"). */
  signal(): void {
    const s = this.state;
    const available = Number(s.driverArea);
    const before = s.signalledUsed;
    s.signalledUsed = s.usedIndex;
    if (before === s.usedIndex) return;
    if (this.#negotiated(VIRTIO_F.EVENT_IDX)) {
      const usedEvent = this.#u16(available + RING + 2 * s.size);
      if (((s.usedIndex - usedEvent - 1) & 0xffff) >= ((s.usedIndex - before) & 0xffff)) return;
    } else if ((this.#u16(available) & AVAIL_F_NO_INTERRUPT) !== 0) return;
    this.#doors.interrupt();
  }

  /**
   * Serve what is available: `serve` returns the bytes it wrote, or undefined to stop (the driver is broken). Ends after
   * one round of the ring, or once `enough` says so; returns whether buffers may be left.
   */
  service(serve: (chain: DescriptorChain) => number | undefined, enough = () => false): boolean {
    let left = false;
    for (let round = 0; !left; round++) {
      left = round === this.state.size || enough();
      if (left) break;
      const chain = this.take();
      if (chain === undefined) break;
      const written = serve(chain);
      if (written === undefined) break;
      this.complete(chain, written);
    }
    this.signal();
    return left;
  }

  /** Follow a chain: a bounded number of descriptors, readable before writable, at most one indirect table and that last. */
  #walk(head: number): DescriptorChain | undefined {
    const { size, descriptors } = this.state;
    const readable: Segment[] = [];
    const writable: Segment[] = [];
    let table = Number(descriptors);
    let tableSize = size;
    let index = head;
    let indirect = false;
    for (let count = 0; ; count++) {
      if (count === (indirect ? INDIRECT_LIMIT : size)) return this.#broken("a descriptor chain has no end");
      if (index >= tableSize) return this.#broken(`descriptor ${index} lies outside a table of ${tableSize}`);
      const bytes = this.#doors.memory.read(table + DESCRIPTOR.LENGTH * index, DESCRIPTOR.LENGTH);
      const view = new DataView(bytes.buffer, bytes.byteOffset, DESCRIPTOR.LENGTH);
      const address = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
      const length = view.getUint32(DESCRIPTOR.LEN, true);
      const flags = view.getUint16(DESCRIPTOR.FLAGS, true);
      if (length === 0 || address + length > ADDRESS_LIMIT)
        return this.#broken(`a descriptor of ${length} bytes at 0x${address.toString(16)}`);
      if ((flags & DESC_F.INDIRECT) !== 0) {
        if (!this.#negotiated(VIRTIO_F.INDIRECT_DESC) || indirect || (flags & DESC_F.NEXT) !== 0)
          return this.#broken("an indirect descriptor where none may be");
        if (length % DESCRIPTOR.LENGTH !== 0) return this.#broken(`an indirect table of ${length} bytes`);
        indirect = true;
        table = address;
        tableSize = length / DESCRIPTOR.LENGTH;
        index = 0;
        count--; // the table itself is no buffer
        continue;
      }
      if ((flags & DESC_F.WRITE) !== 0) writable.push({ address, length });
      else if (writable.length > 0) return this.#broken("a readable buffer after a writable one");
      else readable.push({ address, length });
      if ((flags & DESC_F.NEXT) === 0) break;
      index = view.getUint16(DESCRIPTOR.NEXT, true);
    }
    return new DescriptorChain(this.#doors.memory, head, readable, writable);
  }

  /** "Available Buffer Notification Suppression": tell at the very next buffer. */
  #writeAvailableEvent(): void {
    const { deviceArea, size, lastAvailable } = this.state;
    this.#writeU16(Number(deviceArea) + RING + USED_ELEMENT_LENGTH * size, lastAvailable);
  }

  #negotiated(feature: bigint): boolean {
    return (this.#doors.features() & feature) !== 0n;
  }

  #broken(reason: string): undefined {
    this.#doors.broken(reason);
    return undefined;
  }

  #u16(address: number): number {
    const bytes = this.#doors.memory.read(address, 2);
    return bytes[0]! | (bytes[1]! << 8);
  }

  #writeU16(address: number, value: number): void {
    this.#doors.memory.write(address, Uint8Array.of(value & 0xff, value >>> 8));
  }
}

const lengthOf = (segments: readonly Segment[]): number =>
  segments.reduce((sum, { length }) => sum + length, 0);

/** The parts of guest memory that hold bytes [offset, offset + length) of the segments; `at` counts from `offset`. */
function* pieces(segments: readonly Segment[], offset: number, length: number) {
  let start = 0;
  for (const segment of segments) {
    const from = Math.max(offset, start);
    const to = Math.min(offset + length, start + segment.length);
    if (from < to) yield { address: segment.address + from - start, length: to - from, at: from - offset };
    start += segment.length;
    if (start >= offset + length) return;
  }
}

const powerOn = (size: number): VirtqueueState => ({
  size,
  enabled: false,
  descriptors: 0n,
  driverArea: 0n,
  deviceArea: 0n,
  lastAvailable: 0,
  usedIndex: 0,
  signalledUsed: 0,
});
