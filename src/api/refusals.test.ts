import { describe, expect, it } from "vitest";
import { ConfigurationError, type MachineOptions } from "./configuration.ts";
import { type BootOptions, Machine } from "./machine.ts";
import { MemoryDisk } from "./memory-disk.ts";

describe("a configuration or image that cannot be", () => {
  it.each<[MachineOptions, RegExp]>([
    [{ memoryMiB: 0 }, /^memoryMiB is 0, expected a whole number from 1 to 3840$/],
    [{ memoryMiB: 4096 }, /^memoryMiB is 4096, expected/],
    [{ processors: 9 }, /^processors is 9, expected a whole number from 1 to 8$/],
    [{ model: "486" }, /^there is no CPU model "486", expected one of default, /],
    [{ model: "default,+NOPE" }, /there is no feature "NOPE" here, expected one of .*PCID/],
    [{ model: "default,PCID" }, /"PCID" is not a change, expected \+FEATURE or -FEATURE$/],
    [{ debugconPort: 65536 }, /^debugconPort is 65536, expected/],
    [{ seed: 1.5 }, /^seed is 1.5, expected/],
    [{ startTime: new Date("never") }, /^startTime is NaN, expected a date$/],
    [
      { disks: Array.from({ length: 9 }, () => new MemoryDisk(512)) },
      /^there are 9 disks, expected at most 8$/,
    ],
  ])("is refused in one sentence (%#)", async (options, message) => {
    await expect(Machine.create(options)).rejects.toThrow(ConfigurationError);
    await expect(Machine.create(options)).rejects.toThrow(message);
  });

  it.each<[BootOptions, RegExp]>([
    [{ image: "no/such/file" }, /^no\/such\/file: there is no such file, expected a kernel image$/],
    [{ image: "src" }, /^src is a directory, expected a kernel image$/],
    [{ image: new Uint8Array(0) }, /^kernel is empty, expected a kernel image$/],
    [{ image: new Uint8Array(4096) }, /^kernel is not a kernel image: /],
    [
      { image: Uint8Array.of(0xf4), protocol: "flat", initrd: "nowhere" },
      /^nowhere: there is no such file, expected an initial RAM disk/,
    ],
    [
      { image: Uint8Array.of(0xf4), protocol: "flat", initrd: new Uint8Array(0) },
      /^initrd is empty, expected an initial RAM disk/,
    ],
    [{ firmware: new Uint8Array(4) }, /^firmware has 4 bytes, expected a firmware ROM/],
  ])("is refused by boot in one sentence (%#)", async (options, message) => {
    const machine = await Machine.create({ memoryMiB: 4 });
    expect((await machine.boot(options)).message).toMatch(message);
  });
});
