/**
 * Boots Debian's cloud kernel in a machine with 512 MB: to a shell on a terminal, else to run two commands, power off and print what it
 * took. Where Debian's packages cannot be had, a small kernel of our own.
 */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { monitorKernel } from "../src/guests/monitor-kernel.ts";
import { debianGuest } from "./guests/guests.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cli = join(root, "dist", "cli", "main.js");
const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
const tell = (line: string): void => {
  process.stderr.write(`worldswitch: ${line}\n`);
};

const debianWords = (kernel: string, initrd: string): string[] => [
  kernel,
  "--initrd",
  initrd,
  "--append",
  interactive ? "console=ttyS0" : `console=ttyS0 quiet ws.run="uname -a; cat /proc/cpuinfo"`,
];

const monitorWords = (): string[] => {
  const image = join(root, ".cache", "guests", "monitor.bin");
  mkdirSync(dirname(image), { recursive: true });
  writeFileSync(image, monitorKernel());
  return [image, "--no-file-name", ...(interactive ? [] : ["--append", "cpu; regs; map; ticks; off"])];
};

const guestWords = async (): Promise<string[]> => {
  const guest = await debianGuest("cloud-amd64", { cache: join(root, ".cache", "guests"), progress: tell });
  if (!("unavailable" in guest)) {
    tell(
      `booting Debian's kernel ${guest.release}${interactive ? "; type poweroff in its shell to leave" : ""}`,
    );
    return debianWords(guest.kernel, guest.initrd);
  }
  tell(`booting our own small kernel instead of Debian's, as ${guest.unavailable}`);
  return monitorWords();
};

interface Outcome {
  readonly instructions: number;
  readonly seconds: number;
  readonly mips: number;
}

/** The line that `--stats json` printed. */
const statistics = (stderr: string): Outcome | undefined => {
  const line = stderr.split("\n").find((candidate) => candidate.startsWith("{"));
  return line === undefined ? undefined : (JSON.parse(line) as Outcome);
};

const words = ["run", ...(await guestWords()), "--memory", "512"];
if (!interactive) words.push("--quiet", "--stats", "json");
const machine = spawn(process.execPath, [cli, ...words], {
  // Without a terminal nothing is typed: the run is the same every time.
  stdio: interactive ? "inherit" : ["ignore", "inherit", "pipe"],
});
let stderr = "";
machine.stderr?.on("data", (bytes: Buffer) => {
  stderr += bytes;
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => machine.kill(signal));
machine.on("close", (status) => {
  const outcome = statistics(stderr);
  if (outcome !== undefined) {
    const { instructions, seconds, mips } = outcome;
    console.log(
      `worldswitch: ${instructions.toLocaleString("en-US")} instructions in ${seconds.toFixed(1)} seconds: ${mips.toFixed(1)} million instructions per second (MIPS)`,
    );
  } else process.stderr.write(stderr);
  process.exitCode = status ?? 1;
});
