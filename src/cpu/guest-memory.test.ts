import { beforeEach, describe, expect, it } from "vitest";
import { GuestMemory } from "./guest-memory.ts";

const KiB = 1024;
const MiB = 1024 * KiB;
const SEGMENT = 0xc_8000;
const LENGTH = 16 * KiB;

let memory: GuestMemory;
let deviceWrites: number[];
beforeEach(() => {
  deviceWrites = [];
  memory = new GuestMemory(2 * MiB, 64 * KiB, {
    read: (_address, size) => 2 ** (8 * size) - 1,
    write: (address) => deviceWrites.push(address),
  });
});

/** Writes a byte, then reads it. */
const writeAndRead = (address: number, value: number): number => {
  memory.write(address, value, 1);
  return memory.read(address, 1);
};

describe("memory between 0xC0000 and 1 MiB", () => {
  it("is RAM until a chipset or a ROM says otherwise", () => {
    expect(writeAndRead(SEGMENT, 0x5a)).toBe(0x5a);
    expect(memory.isWritable(SEGMENT)).toBe(true);
    memory.addRom(SEGMENT, Uint8Array.of(1, 2, 3));
    expect([writeAndRead(SEGMENT, 7), memory.isWritable(SEGMENT)]).toEqual([1, false]);
  });
  it("can be hidden: nothing answers, and nothing is written", () => {
    memory.write(SEGMENT, 0x5a, 1);
    memory.shadow(SEGMENT, LENGTH, false, false);
    expect([writeAndRead(SEGMENT, 1), memory.isRam(SEGMENT), deviceWrites]).toEqual([0xff, false, []]);
    expect(writeAndRead(SEGMENT - 1, 1)).toBe(1);
    expect(writeAndRead(SEGMENT + LENGTH, 1)).toBe(1);
    memory.shadow(SEGMENT, LENGTH, true, true);
    expect(memory.read(SEGMENT, 1)).toBe(0x5a);
  });
  it("can be read-only, for loaders and devices too", () => {
    memory.write(SEGMENT, 0x5a, 1);
    memory.shadow(SEGMENT, LENGTH, true, false);
    expect([writeAndRead(SEGMENT, 1), memory.isWritable(SEGMENT)]).toEqual([0x5a, false]);
    memory.writeBytes(SEGMENT - 1, Uint8Array.of(8, 9));
    expect([...memory.readBytes(SEGMENT - 1, 2)]).toEqual([8, 0x5a]);
  });
  it("takes copies of the ROM that hides it, and shows them when it is opened", () => {
    memory.addRom(SEGMENT, Uint8Array.of(1, 2, 3));
    memory.shadow(SEGMENT, LENGTH, false, true);
    expect([writeAndRead(SEGMENT, 0x5a), memory.isWritable(SEGMENT)]).toEqual([1, false]);
    memory.writeBytes(SEGMENT + 1, Uint8Array.of(0x6b));
    memory.shadow(SEGMENT, LENGTH, true, true);
    expect([...memory.readBytes(SEGMENT, 3)]).toEqual([0x5a, 0x6b, 0]);
    expect([writeAndRead(SEGMENT, 4), memory.isWritable(SEGMENT)]).toEqual([4, true]);
  });
  it("tells of code that changes beneath a ROM", () => {
    memory.write(SEGMENT, 0x90, 1);
    const offset = memory.offsetOf(SEGMENT);
    memory.watchedPages[GuestMemory.pageOf(offset)] = 1;
    const changed: number[] = [];
    memory.onCodeWrite = (at) => changed.push(at);
    memory.addRom(SEGMENT, Uint8Array.of(1));
    memory.shadow(SEGMENT, LENGTH, false, true);
    memory.write(SEGMENT, 0xcc, 1);
    expect(changed).toEqual([offset]);
  });
});
