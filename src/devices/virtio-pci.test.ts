import { beforeEach, describe, expect, it } from "vitest";
import type { VirtioDevice, VirtioTransport } from "./virtio-device.ts";
import { INDIRECT, NEXT, TestDriver, WRITE } from "./virtio-driver.fixture.ts";
import { VIRTIO_F } from "./virtio-features.ts";

const { VERSION_1, EVENT_IDX, INDIRECT_DESC, RING_RESET } = VIRTIO_F;

/** Answers each chain with the bytes it reads, inverted. */
class Inverter implements VirtioDevice {
  readonly name = "inverter";
  readonly deviceType = 42;
  readonly pciClassCode = 0xff_00_00;
  readonly features = 1n << 7n;
  readonly queueSizes = [256, 64];
  readonly settings = Uint8Array.of(1, 2, 3, 4, 5, 6, 7);
  resets = 0;
  served = 0;
  transport: VirtioTransport | undefined;

  configuration() {
    return this.settings;
  }
  writeConfiguration(offset: number, bytes: Uint8Array) {
    this.settings.set(bytes, offset);
  }
  connect(transport: VirtioTransport) {
    this.transport = transport;
  }
  notified(queue: number) {
    this.transport!.queue(queue).service((chain) => {
      this.served++;
      const bytes = chain.read(0, Math.min(chain.readableLength, 4096)).map((byte) => ~byte);
      chain.write(0, bytes);
      return Math.min(bytes.length, chain.writableLength);
    });
  }
  reset() {
    this.resets++;
  }
}

let device: Inverter;
let driver: TestDriver;
const DATA = 0x8_0000;
const ANSWER = 0x9_0000;
const buffers = [
  { address: DATA, length: 4 },
  { address: ANSWER, length: 4, write: true },
];
beforeEach(() => {
  device = new Inverter();
  driver = new TestDriver(device);
  driver.memory.bytes.set([1, 2, 3, 4], DATA);
});
const answer = () => [...driver.memory.bytes.subarray(ANSWER, ANSWER + 4)];
const NEEDS_RESET = 64;

describe("virtio over PCI: what the driver finds", () => {
  it("is a non-transitional device", () => {
    expect([driver.config(0), driver.config(8), driver.config(0x2c)]).toEqual([
      0x106a_1af4, 0xff00_0001, 0x1100_1af4,
    ]);
  });
  it("lists one capability for each structure, all inside BAR 4, and MSI-X with a vector more than queues", () => {
    const found = driver.capabilities().map(({ id, offset }) => {
      if (id === 0x11) return `msix ${driver.config(offset + 2, undefined, 2)}`;
      const bytes = [2, 3, 4].map((at) => driver.config(offset + at, undefined, 1));
      return `${bytes.join(" ")} ${driver.config(offset + 8).toString(16)} ${driver.config(offset + 12).toString(16)}`;
    });
    expect(found).toEqual([
      "msix 2",
      "16 1 4 0 40",
      "16 3 4 1000 1",
      "16 4 4 2000 1000",
      "20 2 4 3000 1000",
      "20 5 0 0 0",
    ]);
    const notify = driver.capabilities()[4]!.offset;
    expect(driver.config(notify + 16)).toBe(4);
  });
  it("offers the device's features and the reserved ones; beyond 64 bits there are none", () => {
    expect(driver.offeredFeatures()).toBe(VERSION_1 | EVENT_IDX | INDIRECT_DESC | RING_RESET | (1n << 7n));
    driver.setCommon(0, 2, 4);
    expect(driver.common(4, 4)).toBe(0);
  });
  it("has the device's configuration, byte by byte, and nothing behind its end", () => {
    expect(driver.deviceConfig(0, 4)).toBe(0x0403_0201);
    expect([driver.deviceConfig(5, 2), driver.deviceConfig(6, 2), driver.deviceConfig(0xffc, 4)]).toEqual([
      0x0706, 7, 0,
    ]);
    driver.setDeviceConfig(1, 0xaabb, 2);
    driver.setDeviceConfig(6, 0xffff, 2);
    expect([...device.settings]).toEqual([1, 0xbb, 0xaa, 4, 5, 6, 7]);
  });
  it("lets BAR registers be reached through the PCI configuration access capability", () => {
    const window = driver.capabilities().at(-1)!.offset;
    const select = (bar: number, offset: number, length: number) => {
      driver.config(window + 4, bar, 1);
      driver.config(window + 8, offset);
      driver.config(window + 12, length);
    };
    select(4, 18, 2);
    expect(driver.config(window + 16)).toBe(2); // num_queues
    select(4, 20, 1);
    driver.config(window + 16, 0xffff_ff01);
    expect(driver.status).toBe(1);
    for (const [bar, offset, length] of [
      [1, 0, 4],
      [4, 0, 3],
      [4, 2, 4],
      [4, 0x4000, 4],
      [4, 0xffff_fffc, 4],
    ]) {
      select(bar!, offset!, length!);
      expect(driver.config(window + 16)).toBe(0xffff_ffff);
    }
  });
});

describe("virtio over PCI: device initialization", () => {
  it("keeps FEATURES_OK for a subset with VERSION_1 only", () => {
    expect(driver.negotiate(VERSION_1)).toBe(true);
    expect(driver.negotiate(VERSION_1 | (1n << 7n))).toBe(true);
    expect(driver.negotiate(1n << 7n)).toBe(false);
    expect(driver.negotiate(VERSION_1 | (1n << 8n))).toBe(false);
  });
  it("freezes features after FEATURES_OK and refuses DRIVER_OK before it", () => {
    driver.negotiate(VERSION_1);
    driver.setCommon(8, 0, 4);
    driver.setCommon(12, 1 << 7, 4);
    expect(device.transport!.features).toBe(VERSION_1);
    driver.negotiate(0n);
    driver.status = 7;
    expect(driver.status & 4).toBe(0);
  });
  it("resets by status 0, everything but the PCI side", () => {
    driver.start();
    const resets = device.resets;
    driver.setCommon(16, 0, 2);
    driver.status = 0;
    expect(device.resets).toBe(resets + 1);
    driver.setCommon(22, 0, 2);
    expect([driver.status, driver.common(28, 2), driver.common(32, 4), driver.common(24, 2)]).toEqual([
      0, 0, 0, 256,
    ]);
    expect(driver.common(16, 2)).toBe(0xffff);
    expect(driver.config(4, undefined, 2)).toBe(6);
  });
  it("takes queue sizes that are powers of two up to the maximum, and freezes an enabled queue", () => {
    driver.negotiate(VERSION_1);
    driver.setCommon(22, 1, 2);
    for (const size of [128, 3, 0]) driver.setCommon(24, size, 2);
    expect(driver.common(24, 2)).toBe(64);
    driver.setUpQueue(1);
    driver.setCommon(24, 4, 2);
    driver.setCommon(32, 0x5000, 4);
    driver.setCommon(28, 0, 2);
    expect([driver.common(24, 2), driver.common(32, 4), driver.common(28, 2)]).toEqual([8, 0x1_8000, 1]);
    expect([driver.common(30, 2), driver.common(18, 2)]).toEqual([1, 2]);
  });
  it("says a queue that does not exist has size 0", () => {
    driver.setCommon(22, 2, 2);
    expect([24, 28, 30].map((field) => driver.common(field, 2))).toEqual([0, 0, 0]);
    driver.setCommon(24, 8, 2);
    driver.setCommon(28, 1, 2);
    driver.kick(2);
    expect(driver.status).toBe(0);
  });
  it("reads and writes fields in other widths by the bytes they cover", () => {
    driver.setCommon(22, 0, 2);
    expect(driver.common(22, 4)).toBe(256 << 16);
    driver.setCommon(24, 0x0010, 1);
    expect(driver.common(24, 2)).toBe(256); // 0x110 is no power of two: kept
    driver.setCommon(32, 0x1234_5678, 4);
    driver.setCommon(33, 0xaa, 1);
    expect(driver.common(32, 4)).toBe(0x1234_aa78);
  });
});

describe("split virtqueues", () => {
  it("carry buffers both ways and give them back", () => {
    driver.start();
    driver.submit(0, buffers);
    expect(answer()).toEqual([0xfe, 0xfd, 0xfc, 0xfb]);
    expect(driver.used()).toEqual([{ head: 0, length: 4 }]);
  });
  it("carry data that is scattered differently on each side", () => {
    driver.start();
    driver.submit(0, [
      { address: DATA, length: 1 },
      { address: DATA + 1, length: 3 },
      { address: ANSWER, length: 3, write: true },
      { address: ANSWER + 3, length: 100, write: true },
    ]);
    expect(answer()).toEqual([0xfe, 0xfd, 0xfc, 0xfb]);
    expect(driver.used()).toEqual([{ head: 0, length: 4 }]);
  });
  it("wrap their 16-bit indices", () => {
    driver.start();
    driver.skipTo(0, 0xfffd);
    for (let i = 0; i < 6; i++) driver.submit(0, buffers);
    expect(driver.used().length).toBe(6);
    expect(driver.u16(driver.areas(0)[2] + 2)).toBe(3);
    expect(driver.status & NEEDS_RESET).toBe(0);
  });
  it("follow an indirect table, when negotiated", () => {
    driver.start(VERSION_1 | INDIRECT_DESC);
    driver.descriptor(0xa_0000, 0, DATA, 4, NEXT, 2);
    driver.descriptor(0xa_0000, 2, ANSWER, 4, WRITE);
    driver.descriptor(driver.areas(0)[0], 5, 0xa_0000, 48, INDIRECT);
    driver.offer(0, 5);
    driver.kick(0);
    expect(answer()).toEqual([0xfe, 0xfd, 0xfc, 0xfb]);
    expect(driver.used()).toEqual([{ head: 5, length: 4 }]);
  });
  it("wait for DRIVER_OK, for bus mastering and for the queue to be enabled", () => {
    driver.negotiate(VERSION_1);
    driver.setUpQueue(0);
    driver.submit(0, buffers);
    expect(device.served).toBe(0);
    driver.config(4, 2, 2);
    driver.status = 15;
    expect(device.served).toBe(0);
    driver.config(4, 6, 2);
    expect(device.served).toBe(1);
    driver.kick(1);
    expect(device.served).toBe(1);
  });
  it("are reset one by one, when negotiated", () => {
    driver.start(VERSION_1 | RING_RESET, 2);
    driver.submit(0, buffers);
    driver.setCommon(22, 0, 2);
    driver.setCommon(58, 1, 2);
    expect([driver.common(58, 2), driver.common(28, 2)]).toEqual([0, 0]);
    driver.forget();
    driver.setUpQueue(0);
    driver.submit(0, buffers);
    expect(driver.used()).toEqual([{ head: 0, length: 4 }]);
    expect(driver.status & NEEDS_RESET).toBe(0);
  });
});

describe("virtio interrupts", () => {
  it("through the pin: ISR says why, and reading it lets go", () => {
    driver.start();
    driver.submit(0, buffers);
    expect(driver.intx).toBe(true);
    expect([driver.readIsr(), driver.intx, driver.readIsr()]).toEqual([1, false, 0]);
    device.transport!.configurationChanged();
    expect([driver.intx, driver.common(21, 1), driver.readIsr()]).toEqual([true, 1, 2]);
  });
  it("through MSI-X: the queue's and the configuration's vectors, never the pin", () => {
    driver.enableMsix();
    driver.negotiate(VERSION_1);
    driver.setUpQueue(0);
    driver.setCommon(16, 2, 2);
    driver.setCommon(26, 1, 2);
    driver.status = 15;
    driver.submit(0, buffers);
    device.transport!.configurationChanged();
    expect(driver.messages).toEqual([0x41, 0x42]);
    expect([driver.intx, driver.readIsr()]).toEqual([false, 0]);
    driver.setCommon(26, 3, 2);
    expect(driver.common(26, 2)).toBe(0xffff);
    driver.submit(0, buffers);
    expect(driver.messages.length).toBe(2);
  });
  it("are suppressed by the available ring's flag", () => {
    driver.start();
    driver.u16(driver.areas(0)[1], 1);
    driver.submit(0, buffers);
    expect([driver.used().length, driver.intx]).toEqual([1, false]);
  });
  it("with EVENT_IDX, come when the used index passes used_event, and avail_event asks for the next buffer", () => {
    driver.start(VERSION_1 | EVENT_IDX);
    const [, available, used] = driver.areas(0);
    driver.u16(available + 4 + 2 * 8, 1); // after the second buffer
    driver.submit(0, buffers);
    expect([driver.used().length, driver.intx]).toEqual([1, false]);
    expect(driver.u16(used + 4 + 8 * 8)).toBe(1);
    driver.submit(0, buffers);
    expect(driver.intx).toBe(true);
    driver.readIsr();
    driver.submit(0, buffers);
    expect([driver.intx, driver.u16(used + 4 + 8 * 8)]).toEqual([false, 3]);
  });
});

describe("a broken driver", () => {
  const breaks = (name: string, act: () => void, features = VERSION_1) =>
    it(`${name} gets DEVICE_NEEDS_RESET, a configuration interrupt, and service again after a reset`, () => {
      driver.start(features);
      act();
      driver.kick(0);
      expect(driver.status & NEEDS_RESET).toBe(NEEDS_RESET);
      expect(driver.readIsr() & 2).toBe(2);
      expect([device.served, driver.complaints.length]).toEqual([0, 1]);
      driver.submit(0, buffers);
      expect(device.served).toBe(0);
      driver.status = 0;
      driver.forget();
      driver.start();
      driver.submit(0, buffers);
      expect(device.served).toBe(1);
    });
  const table = () => driver.areas(0)[0];

  breaks("with more buffers than the queue is long", () => driver.u16(driver.areas(0)[1] + 2, 9));
  breaks("with a head outside the table", () => driver.offer(0, 8));
  breaks("with a next outside the table", () => {
    driver.descriptor(table(), 0, DATA, 4, NEXT, 8);
    driver.offer(0);
  });
  breaks("with a loop", () => {
    driver.descriptor(table(), 0, DATA, 4, NEXT, 1);
    driver.descriptor(table(), 1, DATA, 4, NEXT, 0);
    driver.offer(0);
  });
  breaks("with an empty buffer", () => {
    driver.descriptor(table(), 0, DATA, 0, 0);
    driver.offer(0);
  });
  breaks("with a buffer that wraps around the address space", () => {
    driver.descriptor(table(), 0, 2 ** 52 - 2, 4, 0);
    driver.offer(0);
  });
  breaks("with a readable buffer after a writable one", () => {
    driver.descriptor(table(), 0, ANSWER, 4, WRITE | NEXT, 1);
    driver.descriptor(table(), 1, DATA, 4, 0);
    driver.offer(0);
  });
  breaks("with an indirect table that was not negotiated", () => {
    driver.descriptor(table(), 0, 0xa_0000, 16, INDIRECT);
    driver.offer(0);
  });
  breaks(
    "with an indirect table of odd length",
    () => {
      driver.descriptor(table(), 0, 0xa_0000, 24, INDIRECT);
      driver.offer(0);
    },
    VERSION_1 | INDIRECT_DESC,
  );
  breaks(
    "with an indirect table that goes on",
    () => {
      driver.descriptor(table(), 0, 0xa_0000, 16, INDIRECT | NEXT, 1);
      driver.offer(0);
    },
    VERSION_1 | INDIRECT_DESC,
  );
  breaks(
    "with an indirect table in an indirect table",
    () => {
      driver.descriptor(table(), 0, 0xa_0000, 16, INDIRECT);
      driver.descriptor(0xa_0000, 0, 0xa_0000, 16, INDIRECT);
      driver.offer(0);
    },
    VERSION_1 | INDIRECT_DESC,
  );
  breaks(
    "with an endless chain in a huge indirect table",
    () => {
      driver.descriptor(table(), 0, 0xa_0000, 0x10_0000, INDIRECT);
      driver.descriptor(0xa_0000, 0, DATA, 4, NEXT, 1);
      driver.descriptor(0xa_0000, 1, DATA, 4, NEXT, 0);
      driver.offer(0);
    },
    VERSION_1 | INDIRECT_DESC,
  );
  it("with misaligned or unreachable areas is refused when it enables the queue", () => {
    for (const areas of [
      [0x1_0008, 0x1_2000, 0x1_4000],
      [0x1_0000, 0x1_2001, 0x1_4000],
      [0x1_0000, 0x1_2000, 0x1_4002],
      [2 ** 52 - 16, 0x1_2000, 0x1_4000],
    ] as [number, number, number][]) {
      driver.negotiate(VERSION_1);
      driver.setUpQueue(0, areas);
      expect([driver.common(28, 2), driver.status & NEEDS_RESET]).toEqual([0, NEEDS_RESET]);
    }
  });
  it("that moves the available index from under the device costs one round of the ring", () => {
    driver.start();
    const [, available] = driver.areas(0);
    // Each answer overwrites the available index with one more.
    device.notified = (queue) => {
      device.transport!.queue(queue).service((chain) => {
        device.served++;
        chain.write(0, Uint8Array.of(device.served + 1, 0));
        return 2;
      });
    };
    driver.submit(0, [{ address: available + 2, length: 2, write: true }]);
    expect(device.served).toBe(8);
  });
  it("with rings in memory that does not exist harms nobody", () => {
    driver.negotiate(VERSION_1);
    driver.setUpQueue(0, [0xf000_0000, 0xf001_0000, 0xf002_0000]);
    driver.status = 15;
    driver.kick(0);
    expect(driver.status & NEEDS_RESET).toBe(NEEDS_RESET); // reads all ones: 65535 buffers
    expect(driver.memory.largest).toBeLessThan(100);
  });
});

it("virtio state round-trips in the middle of work", () => {
  driver.start();
  driver.submit(0, buffers);
  const saved = structuredClone(driver.transport.state);
  expect(driver.intx).toBe(true);
  driver.transport.reset();
  expect([driver.intx, driver.common(20, 1)]).toEqual([false, 0xff]);
  driver.transport.state = saved;
  expect([driver.intx, driver.status]).toEqual([true, 15]);
  driver.submit(0, buffers);
  expect(driver.used().length).toBe(2);
});
