import { beforeEach, describe, expect, it } from "vitest";
import { VirtioConsole } from "./virtio-console.ts";
import { TestMemory } from "./virtio-driver.fixture.ts";
import { VirtioMmio } from "./virtio-mmio.ts";

/** VIRTIO 1.2, "MMIO-specific Initialization And Device Operation", as a driver does it. */
const [descriptors, available, used, buffer] = [0x1000, 0x2000, 0x3000, 0x4000];
let output: string;
let line: boolean;
let memory: TestMemory;
let device: VirtioMmio;
let terminal: VirtioConsole;
const write = (offset: number, value: number): void => device.write(offset, value, 4);

beforeEach(() => {
  output = "";
  line = false;
  memory = new TestMemory();
  terminal = new VirtioConsole((bytes) => {
    output += String.fromCharCode(...bytes);
  });
  device = new VirtioMmio(terminal, memory, { set: (asserted) => (line = asserted) });
});

const start = (queue: number): void => {
  for (const status of [1, 3]) write(0x70, status);
  write(0x24, 1);
  write(0x20, 1);
  write(0x70, 11);
  write(0x30, queue);
  write(0x38, 8);
  for (const [at, area] of [descriptors, available, used].entries()) write(0x80 + 16 * at, area);
  write(0x44, 1);
  write(0x70, 15);
};
const offer = (length: number, flags: number): void => {
  const view = new DataView(memory.bytes.buffer);
  view.setBigUint64(descriptors, BigInt(buffer), true);
  view.setUint32(descriptors + 8, length, true);
  view.setUint16(descriptors + 12, flags, true);
  view.setUint16(available + 2, 1, true);
};

describe("virtio over memory-mapped registers", () => {
  it("says what it is", () => {
    expect([0, 4, 8].map((offset) => device.read(offset, 4))).toEqual([0x7472_6976, 2, 3]);
    write(0x30, 1);
    expect(device.read(0x34, 4)).toBe(128);
    write(0x30, 9);
    expect(device.read(0x34, 4)).toBe(0);
    write(0x14, 1);
    expect(device.read(0x10, 4) & 1).toBe(1);
    expect(device.read(0x100, 2)).toBe(80);
  });

  it("transmits, and interrupts until that is acknowledged", () => {
    start(1);
    memory.bytes.set([0x68, 0x69], buffer);
    offer(2, 0);
    write(0x50, 1);
    expect([output, line, device.read(0x60, 4)]).toEqual(["hi", true, 1]);
    write(0x64, 1);
    expect([line, device.read(0x60, 4)]).toEqual([false, 0]);
  });

  it("receives what comes from outside", () => {
    start(0);
    offer(4, 2);
    write(0x50, 0);
    terminal.receive(Uint8Array.of(0x61, 0x62));
    expect([...memory.bytes.subarray(buffer, buffer + 2), line]).toEqual([0x61, 0x62, true]);
  });

  it("does nothing for a driver without VERSION_1, nor after a reset", () => {
    write(0x70, 3);
    write(0x70, 11);
    expect(device.read(0x70, 4)).toBe(3);
    start(1);
    write(0x70, 0);
    offer(2, 0);
    write(0x50, 1);
    expect([output, device.read(0x70, 4), device.read(0x44, 4)]).toEqual(["", 0, 0]);
  });

  it("has its console's emergency write, a byte before anything is set up", () => {
    device.write(0x108, 0x21, 1);
    write(0x108, 0x3f);
    expect(output).toBe("!?");
  });
});
