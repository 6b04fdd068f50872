import { beforeEach, describe, expect, it } from "vitest";
import { SteppedClock } from "../bus/stepped-clock.ts";
import { type BlockStorage, type StorageFailure, VirtioBlk } from "./virtio-blk.ts";
import { TestDriver } from "./virtio-driver.fixture.ts";
import { VIRTIO_F } from "./virtio-features.ts";

const FLUSH = 1n << 9n;
const HEADER = 0x8_0000;
const DATA = 0x8_1000;
const STATUS = 0x8_0800;
const NEEDS_RESET = 64;

/** A disk in memory that logs what is asked of it, and fails when told to. */
class MemoryStorage implements BlockStorage {
  readonly bytes: Uint8Array;
  readonly log: string[] = [];
  readonly readOnly: boolean;
  readonly sectors: number;
  fails = false;

  constructor(sectors: number, readOnly = false) {
    this.sectors = sectors;
    this.readOnly = readOnly;
    this.bytes = new Uint8Array(sectors * 512);
  }
  #attempt(what: string): StorageFailure | undefined {
    this.log.push(what);
    return this.fails ? { failed: "the disk is on fire" } : undefined;
  }
  read(sector: number, count: number) {
    const failure = this.#attempt(`read ${sector} ${count}`);
    return failure ?? this.bytes.subarray(sector * 512, (sector + count) * 512);
  }
  write(sector: number, bytes: Uint8Array) {
    const failure = this.#attempt(`write ${sector} ${bytes.length / 512}`);
    if (failure === undefined) this.bytes.set(bytes, sector * 512);
    return failure;
  }
  flush() {
    return this.#attempt("flush");
  }
}

let clock: SteppedClock;
let storage: MemoryStorage;
let driver: TestDriver;
let reports: string[];
const build = (made: MemoryStorage, features = VIRTIO_F.VERSION_1 | FLUSH) => {
  storage = made;
  clock = new SteppedClock();
  reports = [];
  driver = new TestDriver(
    new VirtioBlk({ storage, clock, serial: "worldswitch-0", report: (reason) => reports.push(reason) }),
  );
  driver.start(features);
};
beforeEach(() => build(new MemoryStorage(2048)));

/** Submit one request and return its status and used length. */
const request = (
  type: number,
  sector: number | bigint,
  data: readonly { address: number; length: number; write?: boolean }[] = [],
) => {
  const view = new DataView(driver.memory.bytes.buffer, HEADER);
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  driver.memory.bytes[STATUS] = 0xee;
  driver.submit(0, [{ address: HEADER, length: 16 }, ...data, { address: STATUS, length: 1, write: true }]);
  const [used] = driver.used();
  return { status: driver.memory.bytes[STATUS], length: used?.length };
};
const into = (length: number) => [{ address: DATA, length, write: true }];
const from = (length: number) => [{ address: DATA, length }];

describe("virtio block device", () => {
  it("offers what it can do, read-only disks without write commands", () => {
    const own = driver.offeredFeatures() & 0xff_ffffn;
    expect(own).toBe((1n << 2n) | (1n << 6n) | (1n << 9n) | (1n << 10n) | (1n << 14n));
    build(new MemoryStorage(8, true));
    expect(driver.offeredFeatures() & 0xff_ffffn).toBe(
      (1n << 2n) | (1n << 5n) | (1n << 6n) | (1n << 9n) | (1n << 10n),
    );
  });
  it("tells capacity, segment limit, block size and topology", () => {
    expect(driver.deviceConfig(0, 4)).toBe(2048);
    expect(driver.deviceConfig(12, 4)).toBe(126);
    expect(driver.deviceConfig(20, 4)).toBe(512);
    expect([driver.deviceConfig(24, 1), driver.deviceConfig(26, 2)]).toEqual([3, 8]);
    driver.setDeviceConfig(0, 1, 4);
    expect(driver.deviceConfig(0, 4)).toBe(2048);
  });
  it("writes and reads sectors, scattered over buffers of any length", () => {
    const bytes = driver.memory.bytes;
    for (let i = 0; i < 1024; i++) bytes[DATA + i] = i * 7;
    expect(
      request(1, 5, [
        { address: DATA, length: 100 },
        { address: DATA + 100, length: 924 },
      ]),
    ).toEqual({ status: 0, length: 1 });
    expect(storage.bytes[5 * 512 + 1023]).toBe((1023 * 7) & 0xff);
    bytes.fill(0, DATA, DATA + 4096);
    const result = request(0, 5, [
      { address: DATA + 2000, length: 1000, write: true },
      { address: DATA, length: 24, write: true },
    ]);
    expect(result).toEqual({ status: 0, length: 1025 });
    expect([bytes[DATA + 2000 + 999], bytes[DATA + 23]]).toEqual([(999 * 7) & 0xff, (1023 * 7) & 0xff]);
  });
  it("moves large requests in pieces", () => {
    expect(request(0, 0, into(0x4_0000))).toEqual({ status: 0, length: 0x4_0001 });
    expect(storage.log).toEqual(["read 0 128", "read 128 128", "read 256 128", "read 384 128"]);
  });
  it("takes the status byte at the end of the data buffer", () => {
    storage.bytes.fill(7);
    new DataView(driver.memory.bytes.buffer).setUint32(HEADER, 0, true);
    driver.submit(0, [
      { address: HEADER, length: 16 },
      { address: DATA, length: 513, write: true },
    ]);
    expect([driver.memory.bytes[DATA + 511], driver.memory.bytes[DATA + 512]]).toEqual([7, 0]);
  });
  it("answers GET_ID with the serial, padded with zeros, cut to the buffer", () => {
    expect(request(8, 0, into(20))).toEqual({ status: 0, length: 21 });
    expect(String.fromCharCode(...driver.memory.bytes.subarray(DATA, DATA + 20))).toBe(
      "worldswitch-0\0\0\0\0\0\0\0",
    );
    driver.memory.bytes.fill(0, DATA, DATA + 20);
    expect(request(8, 0, into(5)).length).toBe(6);
    expect(driver.memory.bytes[DATA + 5]).toBe(0);
  });
  it("says UNSUPP to request types it does not know", () => {
    for (const type of [2, 3, 11, 0xffff_ffff])
      expect(request(type, 0, into(512))).toEqual({ status: 2, length: 0 });
  });
  it("fails what lies beyond the disk, is not whole sectors, or is too large, without touching storage", () => {
    expect(request(0, 2047, into(1024)).status).toBe(1);
    expect(request(0, 2048, into(512)).status).toBe(1);
    expect(request(0, 0xffff_ffff_ffff_ffffn, into(512)).status).toBe(1);
    expect(request(0, 0, into(100)).status).toBe(1);
    expect(request(1, 0, from(511)).status).toBe(1);
    const huge = { address: 0x10_0000, length: 0xffff_fe00, write: true };
    expect(request(0, 0, [huge, { ...huge }]).status).toBe(1);
    expect([storage.log, driver.memory.largest < 0x1_0001]).toEqual([[], true]);
  });
  it("writes zeroes, within its limit, and refuses unknown flags", () => {
    storage.bytes.fill(0xff);
    const range = (sector: number, count: number, flags = 0) => {
      const view = new DataView(driver.memory.bytes.buffer, DATA);
      view.setBigUint64(0, BigInt(sector), true);
      view.setUint32(8, count, true);
      view.setUint32(12, flags, true);
      return request(13, 0, from(16)).status;
    };
    expect(range(10, 200, 1)).toBe(0);
    expect([
      storage.bytes[10 * 512 - 1],
      storage.bytes[10 * 512],
      storage.bytes[210 * 512 - 1],
      storage.bytes[210 * 512],
    ]).toEqual([0xff, 0, 0, 0xff]);
    expect([range(0, 1, 2), range(2047, 2), range(0, 0x8001)]).toEqual([2, 1, 1]);
    expect(request(13, 0, from(32)).status).toBe(1);
  });
});

describe("stable storage", () => {
  it("is reached by FLUSH", () => {
    request(1, 0, from(512));
    expect(storage.log).toEqual(["write 0 1"]);
    expect(request(4, 0).status).toBe(0);
    expect(storage.log).toEqual(["write 0 1", "flush"]);
  });
  it("is reached by each write when the driver did not take FLUSH", () => {
    build(new MemoryStorage(2048), VIRTIO_F.VERSION_1);
    request(1, 0, from(512));
    expect(storage.log).toEqual(["write 0 1", "flush"]);
  });
  it("that fails is told to guest and host, for each kind of request", () => {
    storage.fails = true;
    expect([request(0, 0, into(512)).status, request(1, 0, from(512)).status, request(4, 0).status]).toEqual([
      1, 1, 1,
    ]);
    expect(reports).toEqual(Array(3).fill("the disk is on fire"));
    storage.fails = false;
    expect(request(0, 0, into(512)).status).toBe(0);
  });
  it("is not written through a read-only disk", () => {
    build(new MemoryStorage(8, true));
    expect([request(1, 0, from(512)).status, request(13, 0, from(16)).status]).toEqual([1, 2]);
    expect(storage.log).toEqual([]);
  });
});

describe("a broken block driver", () => {
  it("with no room for header or status gets DEVICE_NEEDS_RESET", () => {
    for (const buffers of [
      [{ address: HEADER, length: 16 }],
      [
        { address: HEADER, length: 15 },
        { address: STATUS, length: 1, write: true },
      ],
      [{ address: STATUS, length: 600, write: true }],
    ]) {
      build(new MemoryStorage(8));
      driver.submit(0, buffers);
      expect(driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
    }
  });
});

describe("much work at once", () => {
  it("is spread over turns, and a reset forgets the rest", () => {
    const megabytes = 12;
    build(new MemoryStorage(megabytes * 2048));
    const view = new DataView(driver.memory.bytes.buffer, HEADER);
    view.setUint32(0, 0, true);
    driver.chain(0, [
      { address: HEADER, length: 16 },
      { address: 0x10_0000, length: megabytes << 20, write: true },
      { address: STATUS, length: 1, write: true },
    ]);
    for (let i = 0; i < 5; i++) driver.offer(0);
    driver.kick(0);
    expect(driver.used().length).toBe(2);
    clock.advance(1000);
    expect(driver.used().length).toBe(2);
    driver.status = 0;
    expect(clock.advance(10_000)).toBe(0);
  });
});
