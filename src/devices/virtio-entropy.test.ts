import { describe, expect, it } from "vitest";
import { TestDriver } from "./virtio-driver.fixture.ts";
import { VirtioEntropy } from "./virtio-entropy.ts";

const BUFFER = 0x8_0000;
const fetch = (driver: TestDriver, length: number) => {
  driver.submit(0, [{ address: BUFFER, length, write: true }]);
  const [used] = driver.used();
  return [...driver.memory.bytes.slice(BUFFER, BUFFER + (used?.length ?? 0))];
};
const started = (seed: number) => {
  const device = new VirtioEntropy(seed);
  const driver = new TestDriver(device);
  driver.start();
  return { device, driver };
};

describe("virtio entropy source", () => {
  it("gives the same bytes for the same seed, others for another", () => {
    const first = fetch(started(1).driver, 64);
    expect(fetch(started(1).driver, 64)).toEqual(first);
    expect(fetch(started(2).driver, 64)).not.toEqual(first);
    expect(fetch(started(2 ** 33 + 1).driver, 64)).not.toEqual(first);
  });
  it("uses every byte value about equally, also from seed 0", () => {
    const { driver } = started(0);
    const counts = new Array<number>(256).fill(0);
    for (const byte of fetch(driver, 65_536)) counts[byte]!++;
    expect(Math.min(...counts)).toBeGreaterThan(180);
    expect(Math.max(...counts)).toBeLessThan(340);
  });
  it("gives at most 64 KiB for one buffer, and goes on after a reset", () => {
    const { driver } = started(3);
    const before = fetch(driver, 100_000);
    expect(before.length).toBe(65_536);
    driver.forget();
    driver.start();
    expect(fetch(driver, 16)).not.toEqual(before.slice(0, 16));
  });
  it("continues the sequence from a restored state", () => {
    const one = started(4);
    fetch(one.driver, 10);
    const other = started(5);
    other.device.state = structuredClone(one.device.state);
    expect(fetch(other.driver, 32)).toEqual(fetch(one.driver, 32));
  });
  it("wants buffers to write to, and only those", () => {
    const { driver } = started(6);
    driver.submit(0, [{ address: BUFFER, length: 8 }]);
    expect(driver.status & 64).toBe(64);
  });
});
