import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { Machine, type RunResult } from "../../src/api/index.ts";
import { MemoryDisk } from "../../src/api/memory-disk.ts";
import { debianGuest, type Flavour, type Guest } from "../../tools/guests/guests.ts";
import { DONE_MARKER, INIT_MARKER } from "../../tools/guests/initramfs.ts";

/**
 * Debian's own kernels do what a user would: the cloud kernel in every run, the slow generic and 32-bit ones and two
 * processors with `npm run guests:all`. Where Debian's packages cannot be had, these tests are left out and say so.
 */
const all = process.env["WORLDSWITCH_ALL_GUESTS"] !== undefined;

/** What runs in the guest; no double quotes, for it travels on the kernel's command line. */
const script = [
  "uname -m",
  "grep -c ^processor /proc/cpuinfo",
  "dmesg | head -n 1 | grep -c Linux.version",
  "seq 1 2000 | sort -rn | head -n 3 | tr '\\n' ' '; echo",
  "dd if=/dev/zero bs=1M count=50 2>/dev/null | sha256sum",
  "mke2fs /dev/vda >/dev/null 2>&1 && mount /dev/vda /mnt && seq 1 5000 > /mnt/f && umount /mnt && echo 3 > /proc/sys/vm/drop_caches && mount /dev/vda /mnt && sha256sum < /mnt/f && umount /mnt",
  "dmesg | grep -v 'ommand line' | grep -ci -e 'call trace' -e 'kernel bug' -e unstable",
].join("; ");

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const numbers = new TextEncoder().encode(Array.from({ length: 5000 }, (_, n) => `${n + 1}\n`).join(""));

interface Outcome {
  readonly result: RunResult;
  readonly text: string;
  readonly hash: string;
  readonly bytes: number;
}

const bootAndRun = async (guest: Guest, processors: number, options = ""): Promise<Outcome> => {
  const disk = new MemoryDisk(16 * 1024 * 1024);
  const machine = await Machine.create({ memoryMiB: 512, processors, disks: [disk] });
  let text = "";
  machine.serial.on("data", (chunk) => {
    text += new TextDecoder("latin1").decode(chunk);
  });
  const booted = await machine.boot({
    image: readFileSync(guest.kernel),
    initrd: readFileSync(guest.initrd),
    commandLine: `console=ttyS0 quiet ${options} ws.run="${script}"`,
  });
  expect(booted.message).toBeUndefined();
  const result = await machine.run({ timeout: 600 });
  return { result, text, hash: await machine.hash(), bytes: process.memoryUsage.rss() };
};

const cases: readonly { flavour: Flavour; processors: number; machine: string }[] = [
  { flavour: "cloud-amd64", processors: 1, machine: "x86_64" },
  ...(all
    ? ([
        { flavour: "cloud-amd64", processors: 2, machine: "x86_64" },
        { flavour: "amd64", processors: 1, machine: "x86_64" },
        { flavour: "686", processors: 1, machine: "i686" },
      ] as const)
    : []),
];

describe.each(cases)("Debian $flavour on $processors processor(s)", ({ flavour, processors, machine }) => {
  let guest: Guest | undefined;
  let outcome: Outcome | undefined;
  beforeAll(async () => {
    const made = await debianGuest(flavour, { progress: (line) => console.error(line) });
    if ("unavailable" in made) {
      console.error(`left out: ${made.unavailable}`);
      return;
    }
    guest = made;
    outcome = await bootAndRun(guest, processors);
  }, 900_000);

  it("reaches a shell, does as it is told, and powers off with status 0", (context) => {
    if (outcome === undefined) return context.skip("Debian's packages are not available");
    const { result, text } = outcome;
    expect(text).toContain(INIT_MARKER);
    const lines = text.split(/\r?\n/);
    const at = lines.indexOf(INIT_MARKER);
    expect(lines.slice(at + 1, at + 6)).toEqual([
      machine,
      `${processors}`,
      "1",
      "2000 1999 1998 ",
      `${sha256(new Uint8Array(50 * 1024 * 1024))}  -`,
    ]);
    expect(lines).toContain(`${sha256(numbers)}  -`);
    expect(text).toContain(`0\r\n${DONE_MARKER} 1`);
    expect({ reason: result.reason, exitStatus: result.exitStatus }).toEqual({
      reason: "power-off",
      exitStatus: 0,
    });
  });

  it.runIf(all && flavour === "cloud-amd64")(
    "gives the same instruction count and the same hash again",
    async (context) => {
      if (guest === undefined || outcome === undefined)
        return context.skip("Debian's packages are not available");
      const again = await bootAndRun(guest, processors);
      expect([again.result.instructions, again.hash]).toEqual([outcome.result.instructions, outcome.hash]);
    },
    900_000,
  );
});

/** A kernel that is told to leave part of the board alone. */
describe.runIf(all)("Debian's cloud kernel, with less than the board offers", () => {
  it.for([
    // The HPET or the 8254 ticks, and PCI interrupts come through the 8259s.
    { option: "nolapic", reason: "power-off" },
    // The PCI IRQ Routing Table says where PCI interrupts go; nothing says how to power off.
    { option: "acpi=off", reason: "halted" },
  ])(
    "writes to its disk with $option, and stops as well as it can",
    { timeout: 900_000 },
    async ({ option, reason }, context) => {
      const guest = await debianGuest("cloud-amd64", { progress: (line) => console.error(line) });
      if ("unavailable" in guest) return context.skip("Debian's packages are not available");
      const { result, text } = await bootAndRun(guest, 1, option);
      expect(text.split(/\r?\n/)).toContain(`${sha256(numbers)}  -`);
      expect(text).toContain(DONE_MARKER);
      expect(result.reason).toBe(reason);
    },
  );
});
