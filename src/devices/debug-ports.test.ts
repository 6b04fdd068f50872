import { describe, expect, it } from "vitest";
import { debugcon, debugExit, ShutdownPort } from "./debug-ports.ts";

describe("debug console", () => {
  it("tells each byte and says that it exists", () => {
    const told: number[] = [];
    const port = debugcon((byte) => told.push(byte));
    port.write(0, 0x48, 1);
    port.write(0, 0x6948, 2);
    expect([told, port.read(0, 1)]).toEqual([[0x48, 0x48], 0xe9]);
  });
});

describe("debug exit", () => {
  it.each([
    [0, 1, 1],
    [0x10, 1, 0x21],
    [0x1234, 2, 0x2469],
    [0xffff_ffff, 4, 0xffff_ffff],
  ] as const)("ends with (%i << 1) | 1 at any size", (value, size, status) => {
    const exits: number[] = [];
    debugExit((got) => exits.push(got)).write(0, value, size);
    expect(exits).toEqual([status]);
  });
});

describe("Bochs shutdown port", () => {
  const powerOffs = (text: string) => {
    let count = 0;
    const port = new ShutdownPort(() => count++);
    for (const letter of text) port.registers.write(0, letter.charCodeAt(0), 1);
    return count;
  };
  it("powers off at the last letter, each time", () => {
    expect([powerOffs("Shutdow"), powerOffs("Shutdown"), powerOffs("ShutdownShutdown")]).toEqual([0, 1, 2]);
  });
  it("starts again after a wrong letter, which may be the first", () => {
    expect([
      powerOffs("ShutXdown"),
      powerOffs("ShutShutdown"),
      powerOffs("SShutdown"),
      powerOffs("shutdown"),
    ]).toEqual([0, 1, 1, 0]);
  });
});
