import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { type HypervisorName, Machine } from "../../src/api/index.ts";
import { MemoryDisk } from "../../src/api/memory-disk.ts";
import { debianGuest, type Guest } from "../../tools/guests/guests.ts";

/** Debian's unmodified cloud kernel as the guest of our hypervisors, with `npm run guests:all`. */
const all = process.env["WORLDSWITCH_ALL_GUESTS"] !== undefined;

const cases: readonly { hypervisor: HypervisorName; processors: number }[] = [
  { hypervisor: "kvm", processors: 1 },
  { hypervisor: "kvm", processors: 2 },
];

/** What runs in the guest; no double quotes, for it travels on the kernel's command line. */
const script = [
  "uname -m",
  "grep -c ^processor /proc/cpuinfo",
  "mke2fs /dev/vda >/dev/null 2>&1 && mount /dev/vda /mnt && seq 1 5000 > /mnt/f && umount /mnt && echo 3 > /proc/sys/vm/drop_caches && mount /dev/vda /mnt && sha256sum < /mnt/f && umount /mnt",
  "echo to-the-console > /dev/hvc0; sleep 1",
  "dmesg | grep -v 'ommand line' | grep -ci -e 'call trace' -e 'kernel bug' -e unstable",
].join("; ");

const numbers = Array.from({ length: 5000 }, (_, n) => `${n + 1}\n`).join("");

describe.runIf(all)("Debian's cloud kernel", () => {
  let guest: Guest | undefined;
  beforeAll(async () => {
    const made = await debianGuest("cloud-amd64");
    if (!("unavailable" in made)) guest = made;
  }, 600_000);

  it.for(cases)(
    "is a guest of $hypervisor with $processors processors",
    { timeout: 900_000 },
    async ({ hypervisor, processors }, context) => {
      if (guest === undefined) return context.skip("Debian's packages are not available");
      const disks = [new MemoryDisk(16 * 1024 * 1024)];
      const machine = await Machine.create({ memoryMiB: 512, processors, disks, hypervisor });
      let text = "";
      for (const line of [machine.serial, machine.console])
        line.on("data", (chunk) => {
          text += new TextDecoder("latin1").decode(chunk);
        });
      const booted = await machine.boot({
        image: readFileSync(guest.kernel),
        initrd: readFileSync(guest.initrd),
        commandLine: `console=ttyS0 quiet ws.run="${script}"`,
      });
      expect(booted.message).toBeUndefined();
      const { reason } = await machine.run({ timeout: 600 });
      expect(reason).toBe("power-off");
      const lines = text.split(/\r?\n/);
      expect(lines).toContain("x86_64");
      expect(lines).toContain(String(processors));
      expect(lines).toContain("to-the-console");
      expect(text).toContain(createHash("sha256").update(numbers).digest("hex"));
    },
  );
});
