import { describe, expect, it } from "vitest";
import type { BlockStorage } from "../../devices/virtio-blk.ts";
import { EchoOutputs } from "./echo-outputs.ts";
import { EchoStorage } from "./echo-storage.ts";

const storage = (): { disk: BlockStorage; bytes: Uint8Array; writes: () => number } => {
  const bytes = new Uint8Array(2048);
  let writes = 0;
  const disk: BlockStorage = {
    sectors: 4,
    readOnly: false,
    read: (sector, count) => bytes.slice(512 * sector, 512 * (sector + count)),
    write: (sector, content) => {
      writes++;
      bytes.set(content, 512 * sector);
      return undefined;
    },
    flush: () => undefined,
  };
  return { disk, bytes, writes: () => writes };
};

describe("a disk for two machines", () => {
  it("is written once, and shows the second machine what the first one saw", () => {
    const differences: string[] = [];
    const { disk, bytes, writes } = storage();
    const echo = new EchoStorage(disk, (says) => differences.push(says));
    expect(echo.first.read(1, 1)).toEqual(new Uint8Array(512));
    echo.first.write(1, new Uint8Array(512).fill(7));
    expect(echo.second.read(1, 1)).toEqual(new Uint8Array(512));
    echo.second.write(1, new Uint8Array(512).fill(7));
    expect([writes(), bytes[512], differences]).toEqual([1, 7, []]);
    echo.check();
    expect(differences).toEqual([]);
  });

  it("tells requests that are not the same, other bytes, and one that only the first makes", () => {
    const differences: string[] = [];
    const echo = new EchoStorage(storage().disk, (says) => differences.push(says));
    echo.first.read(0, 1);
    echo.second.read(1, 1);
    echo.first.write(0, new Uint8Array(512));
    echo.second.write(0, new Uint8Array(512).fill(1));
    echo.first.flush();
    echo.check();
    echo.second.flush();
    expect(differences).toEqual([
      "a disk gets a read of 1 sectors from 0 and a read of 1 sectors from 1",
      "a disk gets a write of 1 sectors from 0 with other bytes",
      "a disk gets a flush and nothing",
      "a disk gets nothing and a flush",
    ]);
  });
});

describe("outputs of two machines", () => {
  it("go out once, must be the same, and interrupt both at the same one", () => {
    const sent: number[] = [];
    const differences: string[] = [];
    let interrupts = 0;
    const echo: EchoOutputs = new EchoOutputs(
      {
        serial: (_port, byte) => {
          sent.push(byte);
          if (byte === 2) echo.interrupted();
        },
        debugcon: () => {},
        virtioConsole: () => {},
      },
      (says) => differences.push(says),
    );
    echo.onInterrupt = () => interrupts++;
    for (const byte of [1, 2, 3]) echo.first.serial(1, byte);
    echo.second.serial(1, 1);
    expect(interrupts).toBe(0);
    echo.second.serial(1, 2);
    expect(interrupts).toBe(1);
    echo.second.serial(1, 4);
    echo.first.debugcon(9);
    echo.check();
    expect(sent).toEqual([1, 2, 3]);
    expect(differences).toEqual([
      "byte 3 on serial port 1 and byte 4 on serial port 1 are sent",
      "byte 9 on the debug console and nothing are sent",
    ]);
  });
});
