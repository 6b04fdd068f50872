import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type HypervisorName, Machine } from "../../src/api/index.ts";
import { MemoryDisk } from "../../src/api/memory-disk.ts";
import { debianGuest } from "../../tools/guests/guests.ts";
import { DONE_MARKER, INIT_MARKER } from "../../tools/guests/initramfs.ts";

/**
 * Debian's unmodified cloud kernel as the guest of our hypervisors: shell, disk, timer, power-off; with `npm run guests:all`. Left
 * out where Debian's packages cannot be had.
 */
const all = process.env["WORLDSWITCH_ALL_GUESTS"] !== undefined;

const cases: readonly { hypervisor: HypervisorName; processors: number }[] = [
  ...(all
    ? ([
        { hypervisor: "bhyve", processors: 1 },
        { hypervisor: "bhyve", processors: 2 },
        { hypervisor: "kvm", processors: 1 },
        { hypervisor: "kvm", processors: 2 },
        { hypervisor: "akaros", processors: 1 },
      ] as const)
    : []),
];

const script = [
  "grep -c ^processor /proc/cpuinfo",
  "seq 1 2000 | sort -rn | head -n 2 | tr '\\n' ' '; echo",
  "mke2fs /dev/vda >/dev/null 2>&1 && mount /dev/vda /mnt && seq 1 500 > /mnt/f && umount /mnt && mount /dev/vda /mnt && tail -n 1 /mnt/f; umount /mnt",
  "dmesg | grep -v 'ommand line' | grep -ci -e 'call trace' -e 'kernel bug' -e unstable",
].join("; ");

it.for(cases)(
  "Debian runs under $hypervisor on $processors processor(s), and powers off",
  { timeout: 900_000 },
  async ({ hypervisor, processors }, context) => {
    const guest = await debianGuest("cloud-amd64", { progress: (line) => console.error(line) });
    if ("unavailable" in guest) return context.skip("Debian's packages are not available");
    const disk = new MemoryDisk(16 * 1024 * 1024);
    const machine = await Machine.create({ memoryMiB: 512, processors, disks: [disk], hypervisor });
    machine.vmx.watchExits();
    let text = "";
    machine.serial.on("data", (chunk) => {
      text += new TextDecoder("latin1").decode(chunk);
    });
    const booted = await machine.boot({
      image: readFileSync(guest.kernel),
      initrd: readFileSync(guest.initrd),
      commandLine: `console=ttyS0 quiet ws.run="${script}"`,
    });
    expect(booted.message).toBeUndefined();
    const result = await machine.run({ timeout: 800 });
    const lines = text.split(/\r?\n/);
    const at = lines.indexOf(INIT_MARKER);
    expect(lines.slice(at + 1, at + 5)).toEqual([`${processors}`, "2000 1999 ", "500", "0"]);
    expect(text).toContain(DONE_MARKER);
    expect(result).toMatchObject({ reason: "power-off", exitStatus: 0 });
    expect(machine.vmx.exits.length).toBeGreaterThan(4);
    expect(machine.vmx.lastEntryFailure).toBeUndefined();
  },
);

it.runIf(all)(
  "Debian finds Akaros's virtio console by its ACPI device, as hvc0",
  { timeout: 900_000 },
  async (context) => {
    const guest = await debianGuest("cloud-amd64", {
      moduleGroups: { "virtio-mmio": ["virtio_mmio", "virtio_console"] },
      variant: "mmio",
    });
    if ("unavailable" in guest) return context.skip("Debian's packages are not available");
    const machine = await Machine.create({ memoryMiB: 512, hypervisor: "akaros" });
    let text = "";
    machine.console.on("data", (chunk) => {
      text += new TextDecoder("latin1").decode(chunk);
    });
    await machine.boot({
      image: readFileSync(guest.kernel),
      initrd: readFileSync(guest.initrd),
      commandLine: `console=ttyS0 quiet ws.modules=virtio-mmio ws.run="readlink -f /sys/bus/virtio/drivers/virtio_console/virtio* > /dev/hvc0"`,
    });
    expect(await machine.run({ timeout: 800 })).toMatchObject({ reason: "power-off" });
    expect(text).toMatch(/LNRO0005:00\/virtio\d/);
  },
);

it("an image that cannot be a guest is refused in one sentence", async () => {
  const image = { name: "kernel", bytes: new Uint8Array(4096) };
  const flat = { protocol: "flat", mode: "long64", address: 0x10_0000 } as const;
  const without = await Machine.create({ model: "core2", hypervisor: "bhyve" });
  expect((await without.boot({ image: image.bytes, ...flat })).message).toBe(
    "bhyve needs VT-x with EPT, which the processor (core2) has not",
  );
  const large = await Machine.create({ memoryMiB: 3840, hypervisor: "bhyve" });
  expect((await large.boot({ image: image.bytes, ...flat })).message).toContain("expected at most 3824 MiB");
  const real = await Machine.create({ model: "nehalem", hypervisor: "bhyve" });
  expect((await real.boot({ image: image.bytes, ...flat, mode: "real", address: 0x7c00 })).message).toBe(
    "bhyve cannot start an image in real mode on nehalem: it needs unrestricted guest",
  );
});
