import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { Machine, type RunResult } from "../../src/api/index.ts";
import { EXIT_LOOP, exitLoopKernel } from "../../src/guests/exit-loop-kernel.ts";
import { DONE_MARKER, type Flavour, type Guest, type Unavailable } from "../../tools/guests/guests.ts";
import { cpuidChecksum, ioChecksum } from "../../tools/guests/kvm-client/index.ts";
import { kvmClientGuest, nestedGuest } from "../../tools/guests/nested.ts";

/**
 * Debian's kvm_intel on the machine's VT-x: our KVM client checks real-mode, protected and 64-bit guests; with `npm run guests:all`
 * on further kernels and CPU models, and Debian's QEMU boots Debian's kernel as a nested guest. Where Debian's packages cannot be
 * had, these tests are left out and say so.
 */
const all = process.env["WORLDSWITCH_ALL_GUESTS"] !== undefined;
const LEFT_OUT = "Debian's packages are not available";
const progress = (line: string): void => console.error(line);

interface Outcome {
  readonly result: RunResult;
  readonly lines: readonly string[];
}

interface Program {
  readonly image: Uint8Array;
  readonly initrd?: Uint8Array;
  readonly commandLine?: string;
}

const run = async (program: Program, memoryMiB: number, cpu?: string): Promise<Outcome> => {
  const machine = await Machine.create({ memoryMiB, ...(cpu === undefined ? {} : { model: cpu }) });
  let text = "";
  machine.serial.on("data", (chunk) => {
    text += new TextDecoder("latin1").decode(chunk);
  });
  const booted = await machine.boot(program);
  expect(booted.message).toBeUndefined();
  const result = await machine.run({ timeout: 900 });
  // A console within a console: each adds its carriage return.
  return { result, lines: text.split(/\r*\n/) };
};

const withCommands = (guest: Guest, commands: string): Program => ({
  image: readFileSync(guest.kernel),
  initrd: readFileSync(guest.initrd),
  commandLine: `console=ttyS0 quiet ws.run="${commands}"`,
});

const available = (guest: Guest | Unavailable): Guest | undefined => {
  if (!("unavailable" in guest)) return guest;
  progress(`left out: ${guest.unavailable}`);
  return undefined;
};

describe("a bare hypervisor", () => {
  it("resumes a guest after each of its VMCALLs", async () => {
    const { result, lines } = await run({ image: exitLoopKernel({ roundTrips: 2000 }) }, 16);
    expect(lines).toEqual([`${EXIT_LOOP} start 2000`, `${EXIT_LOOP} end 2000 2000`, ""]);
    expect(result.reason).toBe("power-off");
  });
});

interface ClientCase {
  readonly flavour: Flavour;
  /** CPU model. */
  readonly cpu?: string;
  /** Parameters of kvm_intel: EPT, VPID, unrestricted guest. */
  readonly parameters: string;
  /** Scenarios that this processor cannot show. */
  readonly skipped?: number;
}

// biome-ignore format: one row per case
const cases: readonly ClientCase[] = [
  { flavour: "cloud-amd64", cpu: "default", parameters: "Y Y Y" },
  ...(all
    ? ([
        { flavour: "amd64",       parameters: "Y Y Y", cpu: "default" },
        { flavour: "cloud-amd64", parameters: "Y Y N", cpu: "default,-unrestrictedGuest" },
        { flavour: "cloud-amd64", parameters: "Y N Y", cpu: "default,-enableVPID" },
        { flavour: "cloud-amd64", parameters: "N Y N", cpu: "default,-enableEPT" },
        { flavour: "cloud-amd64", parameters: "Y Y N", cpu: "nehalem" },
        { flavour: "cloud-amd64", parameters: "N N N", cpu: "core2", skipped: 1 },
      ] as const)
    : []),
];

const COUNT = 500;

describe.each(cases)(
  "KVM of Debian's $flavour kernel on CPU $cpu",
  ({ flavour, cpu, parameters, skipped }) => {
    let outcome: Outcome | undefined;
    beforeAll(async () => {
      const guest = available(await kvmClientGuest(flavour, { progress }));
      if (guest === undefined) return;
      const shown = ["ept", "vpid", "unrestricted_guest"].map(
        (name) => `/sys/module/kvm_intel/parameters/${name}`,
      );
      const commands = `load-kvm; echo $(cat ${shown.join(" ")}); kvm-client test; kvm-client bench-io ${COUNT}; kvm-client bench-cpuid ${COUNT}; dmesg | grep -v ommand.line | grep -ci -e call.trace -e kernel.bug -e vmwrite.error`;
      outcome = await run(withCommands(guest, commands), 512, cpu);
    }, 900_000);

    it("runs real-mode, protected and 64-bit guests with every register as it should be", (context) => {
      if (outcome === undefined) return context.skip(LEFT_OUT);
      const { lines } = outcome;
      expect(lines.filter((line) => /^FAILED|BUG:|no \/dev\/kvm/.test(line))).toEqual([]);
      expect(lines).toContain(parameters);
      const summary = /^kvm-client: (\d+) ok, (\d+) failed, (\d+) skipped$/;
      const counts = lines.map((line) => summary.exec(line)).find((match) => match !== null);
      expect(counts?.slice(2).map(Number)).toEqual([0, skipped ?? 0]);
      // Some lines belong to each scenario that is not skipped.
      expect(Number(counts?.[1])).toBeGreaterThan(65);
      expect(lines.filter((line) => line.startsWith("ok "))).toHaveLength(Number(counts?.[1]));
    });

    it("loses no exit in a loop, and the kernel has nothing to complain of", (context) => {
      if (outcome === undefined) return context.skip(LEFT_OUT);
      const { lines, result } = outcome;
      expect(lines).toContain(`bench-io end ${COUNT} ${ioChecksum(COUNT)}`);
      expect(lines).toContain(`bench-cpuid end ${COUNT} ${cpuidChecksum(COUNT)}`);
      expect(lines.slice(lines.indexOf(`${DONE_MARKER} 1`) - 1)[0]).toBe("0");
      expect(result.reason).toBe("power-off");
    });
  },
);

const numbers = Array.from({ length: 2000 }, (_, n) => `${n + 1}\n`).join("");

describe.runIf(all).each([1, 2])("Debian's QEMU in the guest, with %i processor(s)", (processors) => {
  it("boots Debian's kernel to a shell on a virtio console", async (context) => {
    const guest = available(await nestedGuest({ progress }));
    if (guest === undefined) return context.skip(LEFT_OUT);
    const inner =
      "uname -r; grep -c ^processor /proc/cpuinfo; cat /sys/class/tty/console/active; seq 1 2000 | sha256sum";
    const { lines, result } = await run(withCommands(guest, `nested ${processors} '${inner}'`), 1024);
    const at = lines.indexOf(guest.release);
    expect(lines.slice(at, at + 4)).toEqual([
      guest.release,
      `${processors}`,
      "hvc0",
      `${createHash("sha256").update(numbers).digest("hex")}  -`,
    ]);
    expect(lines.filter((line) => line === `${DONE_MARKER} 0`)).toHaveLength(2);
    expect(result.reason).toBe("power-off");
  }, 900_000);
});
