import { beforeEach, describe, expect, it } from "vitest";
import { VirtioConsole } from "./virtio-console.ts";
import { TestDriver } from "./virtio-driver.fixture.ts";
import { VIRTIO_F } from "./virtio-features.ts";

const BUFFER = 0x8_0000;
let output: string;
let terminal: VirtioConsole;
let driver: TestDriver;
const text = (bytes: Uint8Array) => String.fromCharCode(...bytes);
const bytes = (characters: string) => Uint8Array.from(characters, (character) => character.charCodeAt(0));
beforeEach(() => {
  output = "";
  terminal = new VirtioConsole((sent) => {
    output += text(sent);
  });
  driver = new TestDriver(terminal);
  driver.start(VIRTIO_F.VERSION_1 | 1n, 2);
});

describe("virtio console", () => {
  it("transmits what the guest writes, in order", () => {
    driver.memory.bytes.set(bytes("hello world"), BUFFER);
    driver.submit(1, [
      { address: BUFFER + 6, length: 5 },
      { address: BUFFER, length: 5 },
    ]);
    expect([output, driver.used(1)]).toEqual(["worldhello", [{ head: 0, length: 0 }]]);
  });
  it("fills receive buffers with input, one after the other", () => {
    driver.chain(0, [{ address: BUFFER, length: 4, write: true }], 0);
    driver.chain(0, [{ address: BUFFER + 16, length: 4, write: true }], 1);
    driver.offer(0, 0);
    driver.offer(0, 1);
    driver.kick(0);
    expect(driver.used()).toEqual([]);
    expect(terminal.receive(bytes("abcdef"))).toBe(6);
    expect(driver.used()).toEqual([
      { head: 0, length: 4 },
      { head: 1, length: 2 },
    ]);
    expect(text(driver.memory.bytes.subarray(BUFFER, BUFFER + 4))).toBe("abcd");
    expect(text(driver.memory.bytes.subarray(BUFFER + 16, BUFFER + 18))).toBe("ef");
  });
  it("keeps input until the guest offers buffers, but not without end", () => {
    expect(terminal.receive(new Uint8Array(70_000))).toBe(65_536);
    expect(terminal.receive(new Uint8Array(1))).toBe(0);
    driver.submit(0, [{ address: BUFFER, length: 1000, write: true }]);
    expect(driver.used()).toEqual([{ head: 0, length: 1000 }]);
    expect(terminal.receive(new Uint8Array(2000))).toBe(1000);
  });
  it("with EVENT_IDX, is told of buffers offered after it ran dry", () => {
    driver.start(VIRTIO_F.VERSION_1 | VIRTIO_F.EVENT_IDX, 2);
    terminal.receive(bytes("abc"));
    driver.submit(0, [{ address: BUFFER, length: 2, write: true }]);
    const availEvent = driver.areas(0)[2] + 4 + 8 * driver.queueSize;
    expect(driver.u16(availEvent)).toBe(1);
    driver.submit(0, [{ address: BUFFER, length: 2, write: true }]);
    expect(driver.used().map(({ length }) => length)).toEqual([2, 1]);
  });
  it("keeps input from before the driver was there", () => {
    const early = new VirtioConsole(() => {});
    early.receive(bytes("x"));
    const late = new TestDriver(early);
    late.negotiate(VIRTIO_F.VERSION_1);
    late.setUpQueue(0);
    late.chain(0, [{ address: BUFFER, length: 1, write: true }]);
    late.offer(0);
    late.status = 15;
    expect(late.used()).toEqual([{ head: 0, length: 1 }]);
  });
  it("tells its size, and interrupts when that changes", () => {
    expect([driver.deviceConfig(0, 2), driver.deviceConfig(2, 2), driver.deviceConfig(4, 4)]).toEqual([
      80, 25, 1,
    ]);
    const generation = driver.common(21, 1);
    terminal.resize(132, 50);
    expect([driver.deviceConfig(0, 4), driver.readIsr(), driver.common(21, 1)]).toEqual([
      (50 << 16) | 132,
      2,
      generation + 1,
    ]);
  });
  it("transmits an emergency write without any queue", () => {
    driver.status = 0;
    driver.setDeviceConfig(8, 0x21, 4);
    expect(output).toBe("!");
  });
  it("refuses one write of gigabytes", () => {
    driver.submit(1, [{ address: BUFFER, length: 0xffff_0000 }]);
    expect([driver.status & 64, output, driver.memory.largest < 5000]).toEqual([64, "", true]);
  });
});
