/**
 * `npm start`: Debian's cloud kernel as the guest of our bhyve, on the machine's VT-x, 512 MB: to a shell on a terminal, else to run
 * two commands there, power off and print what it took; then the table of VM exits. Where Debian's packages cannot be had, a small
 * kernel of our own under each of the four hypervisors in turn. `npm run start:bare`: the same on the machine itself.
 */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { flatMonitorAddress, flatMonitorKernel, monitorKernel } from "../src/guests/monitor-kernel.ts";
import { debianGuest, type Guest } from "./guests/guests.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cli = join(root, "dist", "cli", "main.js");
const cache = join(root, ".cache", "guests");
const interactive = process.stdin.isTTY === true && process.stdout.isTTY === true;
const isBare = process.argv.includes("--bare");
const tell = (line: string): void => {
  process.stderr.write(`worldswitch: ${line}\n`);
};

/** One machine to run: words of the command line, and what is said before. */
interface Run {
  readonly says: string;
  readonly words: readonly string[];
}

const debianRun = ({ kernel, initrd, release }: Guest): Run => {
  const append = interactive ? "console=ttyS0" : `console=ttyS0 quiet ws.run="uname -a; cat /proc/cpuinfo"`;
  const hint = interactive ? "; type poweroff in its shell to leave" : "";
  return {
    says: `booting Debian's kernel ${release}${isBare ? "" : " as the guest of bhyve, on the machine's VT-x"}${hint}`,
    words: [
      kernel,
      "--initrd",
      initrd,
      "--append",
      append,
      "--memory",
      "512",
      ...(isBare ? [] : under("bhyve")),
    ],
  };
};

const under = (hypervisor: string): string[] => [
  "--hypervisor",
  hypervisor,
  ...(hypervisor === "lguest" ? [] : ["--exits"]),
];

/** A kernel of our own, as a file in the cache. */
const imageFile = (name: string, bytes: Uint8Array): string => {
  const file = join(cache, name);
  mkdirSync(cache, { recursive: true });
  writeFileSync(file, bytes);
  return file;
};

const commands = "cpu; regs; ticks; off";
const bareMonitor = (): string[] => {
  const image = imageFile("monitor.bin", monitorKernel());
  return [
    image,
    "--no-file-name",
    ...(interactive ? [] : ["--append", `map; ${commands}`]),
    "--memory",
    "512",
  ];
};

/** Akaros begins in 64-bit mode, and lguest's guest knows that it is one. */
const ownRuns = (): Run[] => {
  const flat = imageFile("monitor-flat.bin", flatMonitorKernel(interactive ? "" : commands));
  const entered = ["--protocol", "flat", "--mode", "long64", "--address", String(flatMonitorAddress)];
  const monitor = [flat, ...entered, "--memory", "64"];
  const paravirtual = [
    "builtin:lguest",
    "--memory",
    "8",
    ...(interactive ? [] : ["--append", "ps;calls;ticks;off"]),
  ];
  const leave = interactive ? " (off leaves it)" : "";
  return ["bhyve", "kvm", "lguest", "akaros"].map((name) => ({
    says: `under ${name}${leave}`,
    words: [...(name === "lguest" ? paravirtual : monitor), ...under(name)],
  }));
};

const runs = async (): Promise<readonly Run[]> => {
  const guest = await debianGuest("cloud-amd64", { cache, progress: tell });
  if (!("unavailable" in guest)) return [debianRun(guest)];
  const where = isBare ? "" : " under each of four hypervisors in turn";
  tell(`booting our own small kernel${where} instead of Debian's, as ${guest.unavailable}`);
  return isBare ? [{ says: "on the machine itself", words: bareMonitor() }] : ownRuns();
};

interface Outcome {
  readonly instructions: number;
  readonly seconds: number;
  readonly mips: number;
}

/** The line that `--stats json` printed, and what else there was. */
const statistics = (stderr: string): { readonly outcome: Outcome | undefined; readonly rest: string } => {
  const lines = stderr.split("\n");
  const at = lines.findIndex((candidate) => candidate.startsWith("{"));
  if (at < 0) return { outcome: undefined, rest: stderr };
  return { outcome: JSON.parse(lines[at]!) as Outcome, rest: lines.filter((_, n) => n !== at).join("\n") };
};

/** Runs a machine to its end: the exit status. */
const runMachine = ({ says, words }: Run): Promise<number> => {
  tell(says);
  const quiet = interactive ? [] : ["--quiet", "--stats", "json"];
  const machine = spawn(process.execPath, [cli, "run", ...words, ...quiet], {
    // Without a terminal nothing is typed: the run is the same every time.
    stdio: interactive ? "inherit" : ["ignore", "inherit", "pipe"],
  });
  let stderr = "";
  machine.stderr?.on("data", (bytes: Buffer) => {
    stderr += bytes;
  });
  const pass = (signal: NodeJS.Signals): void => void machine.kill(signal);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, pass);
  return new Promise((resolve) => {
    machine.on("close", (status) => {
      for (const signal of signals) process.off(signal, pass);
      const { outcome, rest } = statistics(stderr);
      if (outcome !== undefined) {
        const { instructions, seconds, mips } = outcome;
        console.log(
          `worldswitch: ${instructions.toLocaleString("en-US")} instructions in ${seconds.toFixed(1)} seconds: ${mips.toFixed(1)} million instructions per second (MIPS)`,
        );
      }
      (outcome === undefined ? process.stderr : process.stdout).write(rest);
      resolve(status ?? 1);
    });
  });
};

for (const one of await runs()) {
  process.exitCode = await runMachine(one);
  if (process.exitCode !== 0) break;
}
