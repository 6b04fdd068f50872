import type { Clock, Timer } from "../bus/clock.ts";
import { DEVICE_TYPE, type VirtioDevice, type VirtioTransport } from "./virtio-device.ts";
import type { DescriptorChain } from "./virtqueue.ts";

// VIRTIO 1.2, "Block Device".

export const SECTOR_LENGTH = 512;

/** An I/O error of the storage behind a disk: what happened, for the user's eyes. */
export interface StorageFailure {
  readonly failed: string;
}

/** What holds a disk's contents. Nothing throws; an I/O error is a value. Sectors are 512 bytes. */
export interface BlockStorage {
  readonly sectors: number;
  readonly readOnly: boolean;
  /** `count` sectors from `sector`, all within the disk. */
  read(sector: number, count: number): Uint8Array | StorageFailure;
  /** Whole sectors, all within the disk. */
  write(sector: number, bytes: Uint8Array): StorageFailure | undefined;
  /** Everything written so far is on stable storage once this returns without a failure. */
  flush(): StorageFailure | undefined;
}

/** "Feature bits". */
// biome-ignore format: one row per fact
const VIRTIO_BLK_F = {
  SEG_MAX: 1n << 2n, RO: 1n << 5n, BLK_SIZE: 1n << 6n, FLUSH: 1n << 9n, TOPOLOGY: 1n << 10n, WRITE_ZEROES: 1n << 14n,
} as const;

/** "Device Operation": request types and status codes. */
// biome-ignore format: one row per fact
const TYPE = { IN: 0, OUT: 1, FLUSH: 4, GET_ID: 8, WRITE_ZEROES: 13 } as const;
// biome-ignore format: one row per fact
const STATUS = { OK: 0, IOERR: 1, UNSUPP: 2 } as const;

const HEADER_LENGTH = 16;
const ID_LENGTH = 20;
/** struct virtio_blk_discard_write_zeroes. */
const RANGE_LENGTH = 16;
const WRITE_ZEROES_FLAG_UNMAP = 1;
const CONFIGURATION_LENGTH = 60;

const QUEUE_SIZE = 128;
/** The header and the status take two of the queue's descriptors. */
const SEG_MAX = QUEUE_SIZE - 2;
const MAX_WRITE_ZEROES_SECTORS = 0x8000;
/** Requests beyond this fail: the host copies a request in one go. */
const MAX_REQUEST_BYTES = 64 * 2 ** 20;
/** The host copies in pieces of this. */
const PIECE_SECTORS = 128;
/** After this many bytes for one notification the rest waits a moment, so that no instruction takes long. */
const BYTES_PER_TURN = 16 * 2 ** 20;
const TURN_NS = 1000;

export interface VirtioBlkOptions {
  readonly storage: BlockStorage;
  readonly clock: Clock;
  /** What GET_ID answers: up to 20 ASCII characters. */
  readonly serial?: string;
  /** Told of each failure of the storage. */
  readonly report?: (reason: string) => void;
}

/** A disk. It has no state but its queue's: storage answers at once, and a write-through rule holds until FLUSH is negotiated. */
export class VirtioBlk implements VirtioDevice {
  readonly name = "virtio block device";
  readonly deviceType = DEVICE_TYPE.BLOCK;
  readonly pciClassCode = 0x01_00_00;
  readonly queueSizes = [QUEUE_SIZE];
  readonly features: bigint;
  readonly #options: VirtioBlkOptions;
  readonly #storage: BlockStorage;
  readonly #nextTurn: Timer;
  #transport: VirtioTransport | undefined;
  #bytesThisTurn = 0;

  constructor(options: VirtioBlkOptions) {
    const { SEG_MAX: segMax, RO, BLK_SIZE, FLUSH, TOPOLOGY, WRITE_ZEROES } = VIRTIO_BLK_F;
    this.#options = options;
    this.#storage = options.storage;
    this.features = segMax | BLK_SIZE | FLUSH | TOPOLOGY | (options.storage.readOnly ? RO : WRITE_ZEROES);
    this.#nextTurn = options.clock.timer("virtio block device", () => this.notified());
  }

  configuration(): Uint8Array {
    const bytes = new Uint8Array(CONFIGURATION_LENGTH);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt(this.#storage.sectors), true);
    view.setUint32(12, SEG_MAX, true);
    view.setUint32(20, SECTOR_LENGTH, true);
    view.setUint8(24, 3); // physical_block_exp: 4 KiB physical blocks
    view.setUint16(26, 8, true); // min_io_size: one of them
    if (!this.#storage.readOnly) {
      view.setUint32(48, MAX_WRITE_ZEROES_SECTORS, true);
      view.setUint32(52, 1, true); // max_write_zeroes_seg
    }
    return bytes;
  }

  /** No field is writable. */
  writeConfiguration(): void {}

  connect(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  /** Drop what a reset makes void. */
  reset(): void {
    this.#nextTurn.disarm();
  }

  /** Also after a restored snapshot: requests that waited for their turn are served. */
  notified(): void {
    const transport = this.#transport!;
    if (!transport.live) return;
    this.#bytesThisTurn = 0;
    const left = transport.queue(0).service(
      (chain) => this.#serve(chain),
      () => this.#bytesThisTurn >= BYTES_PER_TURN,
    );
    if (left) this.#nextTurn.arm(this.#options.clock.nowNs + TURN_NS);
  }

  #serve(chain: DescriptorChain): number | undefined {
    const { readableLength, writableLength } = chain;
    if (readableLength < HEADER_LENGTH || writableLength < 1) {
      this.#transport!.needsReset(`a request of ${readableLength} + ${writableLength} bytes`);
      return undefined;
    }
    const header = new DataView(chain.read(0, HEADER_LENGTH).buffer);
    const type = header.getUint32(0, true);
    const sector = Number(header.getBigUint64(8, true));
    const statusAt = writableLength - 1;
    const { status, written = 0 } = this.#perform(type, sector, chain, statusAt);
    chain.write(statusAt, Uint8Array.of(status));
    // The used length counts from the start without holes; the status is the last byte.
    return written === statusAt ? writableLength : written;
  }

  #perform(type: number, sector: number, chain: DescriptorChain, room: number): Outcome {
    switch (type) {
      case TYPE.IN:
        return this.#read(sector, chain, room);
      case TYPE.OUT:
        return this.#write(sector, chain);
      case TYPE.FLUSH:
        return this.#outcome(this.#storage.flush());
      case TYPE.GET_ID: {
        const id = new Uint8Array(Math.min(ID_LENGTH, room));
        const serial = this.#options.serial ?? "";
        for (let i = 0; i < id.length; i++) id[i] = serial.charCodeAt(i) || 0;
        chain.write(0, id);
        return { status: STATUS.OK, written: id.length };
      }
      case TYPE.WRITE_ZEROES:
        return this.#writeZeroes(chain);
      default:
        return { status: STATUS.UNSUPP };
    }
  }

  #read(sector: number, chain: DescriptorChain, length: number): Outcome {
    if (!this.#fits(sector, length)) return { status: STATUS.IOERR };
    for (let at = 0; at < length; at += PIECE_SECTORS * SECTOR_LENGTH) {
      const count = Math.min(PIECE_SECTORS, (length - at) / SECTOR_LENGTH);
      const bytes = this.#storage.read(sector + at / SECTOR_LENGTH, count);
      if ("failed" in bytes) return this.#outcome(bytes);
      chain.write(at, bytes);
    }
    this.#bytesThisTurn += length;
    return { status: STATUS.OK, written: length };
  }

  #write(sector: number, chain: DescriptorChain): Outcome {
    const length = chain.readableLength - HEADER_LENGTH;
    if (this.#storage.readOnly || !this.#fits(sector, length)) return { status: STATUS.IOERR };
    for (let at = 0; at < length; at += PIECE_SECTORS * SECTOR_LENGTH) {
      const bytes = chain.read(HEADER_LENGTH + at, Math.min(PIECE_SECTORS * SECTOR_LENGTH, length - at));
      const failure = this.#storage.write(sector + at / SECTOR_LENGTH, bytes);
      if (failure !== undefined) return this.#outcome(failure);
    }
    this.#bytesThisTurn += length;
    return this.#written();
  }

  #writeZeroes(chain: DescriptorChain): Outcome {
    if (this.#storage.readOnly) return { status: STATUS.UNSUPP };
    if (chain.readableLength !== HEADER_LENGTH + RANGE_LENGTH) return { status: STATUS.IOERR };
    const range = new DataView(chain.read(HEADER_LENGTH, RANGE_LENGTH).buffer);
    const sector = Number(range.getBigUint64(0, true));
    const count = range.getUint32(8, true);
    if ((range.getUint32(12, true) & ~WRITE_ZEROES_FLAG_UNMAP) !== 0) return { status: STATUS.UNSUPP };
    if (count > MAX_WRITE_ZEROES_SECTORS || !this.#fits(sector, count * SECTOR_LENGTH))
      return { status: STATUS.IOERR };
    const zeroes = new Uint8Array(PIECE_SECTORS * SECTOR_LENGTH);
    for (let at = 0; at < count; at += PIECE_SECTORS) {
      const length = Math.min(PIECE_SECTORS, count - at) * SECTOR_LENGTH;
      const failure = this.#storage.write(sector + at, zeroes.subarray(0, length));
      if (failure !== undefined) return this.#outcome(failure);
    }
    this.#bytesThisTurn += count * SECTOR_LENGTH;
    return this.#written();
  }

  /** A driver that did not take FLUSH relies on every completed write being stable. */
  #written(): Outcome {
    const flushes = (this.#transport!.features & VIRTIO_BLK_F.FLUSH) !== 0n;
    return this.#outcome(flushes ? undefined : this.#storage.flush());
  }

  #fits(sector: number, length: number): boolean {
    const whole = length % SECTOR_LENGTH === 0 && length <= MAX_REQUEST_BYTES;
    return whole && sector + length / SECTOR_LENGTH <= this.#storage.sectors;
  }

  #outcome(failure: StorageFailure | undefined): Outcome {
    if (failure === undefined) return { status: STATUS.OK };
    this.#options.report?.(failure.failed);
    return { status: STATUS.IOERR };
  }
}

/** What a request came to, and how many bytes from the start of the writable part were filled. */
interface Outcome {
  readonly status: number;
  readonly written?: number;
}
