import { describe, expect, it } from "vitest";
import { MemoryDisk } from "../../../api/memory-disk.ts";
import { isRefusal } from "../../../machine/boot/load-plan.ts";
import { SerialWire } from "../../../machine/serial-wire.ts";
import { loadGuest } from "../image.ts";
import { Launcher, type LguestStop, mostDevicePages } from "../launcher.ts";
import type { Mode } from "../quirks.ts";
import { paravirtualKernel } from "./index.ts";

const image = { name: "kernel", bytes: paravirtualKernel() };
const mark = new TextDecoder("latin1").decode(image.bytes).indexOf("GenuineLguest");
const MIB = 0x10_0000;

const session = (commandLine: string, mode: Mode = "fixed") => {
  const disk = new MemoryDisk(8192);
  let text = "";
  const memoryBytes = 4 * MIB;
  const loaded = loadGuest(image, commandLine, memoryBytes, mostDevicePages);
  if (isRefusal(loaded)) throw new Error(loaded.message);
  const output = (byte: number): void => {
    text += String.fromCharCode(byte);
  };
  const machine = new Launcher({ loaded, memoryBytes, disks: [disk], mode, output });
  const wire = new SerialWire(machine.host.pc.clock, machine.host.pc.serial[0]);
  const type = (keys: string): void => wire.send(new TextEncoder().encode(keys));
  const run = (instructions = 20_000_000): LguestStop => machine.run(instructions, true);
  return { machine, disk, run, type, text: () => text };
};

describe.each(["fixed", "historic"] as const)("the paravirtual kernel under lguest, %s", (mode) => {
  it("runs its shell, tasks that take turns by the timer, and the disk; off ends it", () => {
    const { run, text, disk, machine } = session(
      "count;count;ps;sleep;write 3 some words;read 3;read 99;fault;sleep;off",
      mode,
    );
    expect(run()).toEqual({ kind: "power-off" });
    expect(text()).toContain("2   0   ready     count\r\n3   0   ready     count\r\n");
    expect(text().match(/counted to 5/g)).toHaveLength(2);
    expect(new TextDecoder().decode(disk.bytes.subarray(3 * 512, 3 * 512 + 11))).toBe("some words\0");
    expect(text()).toContain("$ read 3\r\nsome words\r\n$ read 99\r\nno such sector, or no disk\r\n");
    expect(text()).toMatch(/task 2: exception 14 at 0x4[0-9a-f]+: killed/);
    expect(machine.host.pc.clock.nowNs).toBeGreaterThan(2_000_000_000);
  });

  it("makes 10000 system calls without an exit", () => {
    const { run, text, type, machine } = session("", mode);
    run(30_000);
    const { guest } = machine.file;
    const exits = (): number => guest!.exits.reduce((sum, count) => sum + count, 0);
    const before = exits();
    type("calls\r");
    for (let n = 0; n < 100 && !text().includes("done"); n++) run(5_000);
    expect(text()).toMatch(/\$ calls\r\ndone/);
    // Echoes, the prompt and a few ticks.
    expect(exits() - before).toBeLessThan(60);
  });
});

describe("the console", () => {
  it("takes what is typed while the guest sleeps, a line at a time or all at once", () => {
    const { run, text, type } = session("");
    run(100_000);
    for (const key of "echo abcx\x7f\r") {
      type(key);
      run(5_000);
    }
    type(`${"echo 1234567890;".repeat(20)}\rticks\r`);
    run(400_000);
    expect(text()).toContain("$ echo abcx\b \b\r\nabc\r\n");
    expect(text()).toMatch(/ticks\r\n\d+\r\n/);
  });

  it("ends the Launcher at three Ctrl-C within a second", () => {
    const { run, type } = session("");
    run(100_000);
    type("\x03\x03\x03");
    expect(run(100_000)).toEqual({ kind: "guest-died", reason: "three Ctrl-C within a second" });
  });
});

describe("an image that cannot be a guest", () => {
  it.each([
    ["is no ELF file", new Uint8Array(100), 8, "x is no ELF file, expected a paravirtual kernel for lguest"],
    ["has too little memory", image.bytes, 1, /^x: a segment lies at 0x100000 to .* too little memory$/],
    [
      "has no mark",
      image.bytes.map((byte, at) => (at === mark ? byte ^ 1 : byte)),
      8,
      /^x does not contain "GenuineLguest"/,
    ],
    ["is cut short", image.bytes.subarray(0, 60), 8, /^x is truncated/],
    ["has too much memory", image.bytes, 1020, /reach into the Switcher's window at 0xffc00000$/],
  ])("is refused in one sentence: it %s", (_, bytes, mebibytes, says) => {
    const refused = loadGuest({ name: "x", bytes }, "", mebibytes * MIB, mostDevicePages);
    expect(isRefusal(refused) ? refused.message : "").toMatch(says);
  });
});
