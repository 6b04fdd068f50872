/**
 * `npm run bench:boot [-- --runs N] [--memory MIB] [--append S] [--only NAME,...]`: boots Debian's cloud kernel to its init on this
 * machine, on QEMU's translator and on Bochs, in turns, and prints how long each took from the start of its process to init's
 * first line on the serial port. What is not installed is named and left out.
 */
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { debianGuest, type Guest, INIT_MARKER } from "./guests/guests.ts";

interface Boot {
  readonly guest: Guest;
  readonly append: string;
  /** MiB. */
  readonly memory: number;
  /** A directory of this run's own. */
  readonly scratch: string;
}

/** How to start a machine, and the file its serial port goes to when that is not standard output. */
interface Launch {
  readonly command: readonly string[];
  readonly serialFile?: string;
}

interface Contender {
  readonly name: string;
  /** Why it cannot run here, as the rest of a sentence that begins with its name; undefined when it can. */
  missing(): string | undefined;
  version(): string;
  launch(boot: Boot): Launch;
}

const TIMEOUT_SECONDS = 300;
const POLL_MS = 10;
const root = resolve(dirname(new URL(import.meta.url).pathname), "..");

const output = (program: string, ...args: readonly string[]): string => {
  const child = spawnSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return child.error === undefined ? child.stdout + child.stderr : "";
};
const isInstalled = (program: string): boolean =>
  spawnSync("which", [program], { stdio: "ignore" }).status === 0;
const lacking = (...programs: readonly string[]): string | undefined => {
  const absent = programs.filter((program) => !isInstalled(program));
  return absent.length === 0 ? undefined : `needs ${absent.join(", ")}`;
};

const CLI = join(root, "dist", "cli", "main.js");

const worldswitch: Contender = {
  name: "Worldswitch",
  missing: () => (existsSync(CLI) ? undefined : "is not built: no dist/cli/main.js, run `npm run build`"),
  version: () =>
    (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version,
  launch: ({ guest, append, memory }) => ({
    command: [
      process.execPath,
      CLI,
      "run",
      guest.kernel,
      "--initrd",
      guest.initrd,
      "--append",
      append,
    ].concat(["--memory", String(memory), "--until", INIT_MARKER]),
  }),
};

const qemu: Contender = {
  name: "QEMU TCG",
  missing: () => lacking("qemu-system-x86_64"),
  version: () => /version ([\d.]+)/.exec(output("qemu-system-x86_64", "--version"))?.[1] ?? "?",
  launch: ({ guest, append, memory }) => ({
    command: [
      "qemu-system-x86_64",
      "-accel",
      "tcg",
      "-cpu",
      "max",
      "-m",
      String(memory),
      "-net",
      "none",
    ].concat([
      "-nographic",
      "-no-reboot",
      "-kernel",
      guest.kernel,
      "-initrd",
      guest.initrd,
      "-append",
      append,
    ]),
  }),
};

const BIOS = "/usr/share/bochs/BIOS-bochs-latest";
const VGA_BIOS = "/usr/share/bochs/VGABIOS-lgpl-latest";

/** GRUB on a CD: Bochs boots disks, not kernels. Made once for all runs. */
const bootableIso = ({ guest, append, scratch }: Boot): string => {
  const iso = join(dirname(scratch), "guest.iso");
  if (existsSync(iso)) return iso;
  const tree = join(dirname(scratch), "iso");
  mkdirSync(join(tree, "boot", "grub"), { recursive: true });
  writeFileSync(join(tree, "vmlinuz"), readFileSync(guest.kernel));
  writeFileSync(join(tree, "initrd"), readFileSync(guest.initrd));
  const quoted = append.replaceAll("\\", "\\\\").replaceAll("'", "'\\''");
  writeFileSync(
    join(tree, "boot", "grub", "grub.cfg"),
    `set timeout=0\nmenuentry guest {\n  linux /vmlinuz '${quoted}'\n  initrd /initrd\n}\n`,
  );
  output("grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", iso, tree);
  return iso;
};

const bochs: Contender = {
  name: "Bochs",
  missing: () =>
    lacking("bochs", "script", "grub-mkrescue", "xorriso", "mformat") ??
    (existsSync(BIOS) && existsSync(VGA_BIOS) ? undefined : "needs the packages bochsbios and vgabios"),
  version: () => /Bochs x86 Emulator ([\d.]+)/.exec(output("bochs", "--help"))?.[1] ?? "?",
  launch: (boot) => {
    const serialFile = join(boot.scratch, "serial");
    const rc = join(boot.scratch, "bochsrc");
    const commands = join(boot.scratch, "commands");
    writeFileSync(commands, "c\n");
    writeFileSync(
      rc,
      [
        "plugin_ctrl: unmapped=true, biosdev=true, serial=true",
        "display_library: term",
        // The serial port is paced in emulated time: at 200 million ips the boot messages alone would cost 40 s.
        "cpu: model=corei7_skylake_x, count=1, ips=20000000",
        "clock: sync=none",
        `memory: guest=${boot.memory}, host=${boot.memory}`,
        `romimage: file=${BIOS}`,
        `vgaromimage: file=${VGA_BIOS}`,
        "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
        `ata0-master: type=cdrom, path=${bootableIso(boot)}, status=inserted`,
        "boot: cdrom",
        `com1: enabled=1, mode=file, dev=${serialFile}`,
        `log: ${join(boot.scratch, "log")}`,
        "panic: action=report",
        "error: action=ignore",
        "info: action=ignore",
        "",
      ].join("\n"),
    );
    // Debian's Bochs draws on a terminal and will not start without one; `script` lends it a pseudoterminal.
    return { command: ["script", "-qec", `bochs -q -f ${rc} -rc ${commands}`, "/dev/null"], serialFile };
  },
};

const contenders = [worldswitch, qemu, bochs] as const;

/** Processor seconds of a process and its descendants so far (proc(5), /proc/PID/stat); undefined where there is no /proc. */
const processorSeconds = (ancestor: number): number | undefined => {
  if (!existsSync("/proc/self/stat")) return undefined;
  const ticksPerSecond = Number(output("getconf", "CLK_TCK")) || 100;
  const processes = new Map<number, { readonly parent: number; readonly ticks: number }>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      // The second field, the command in parentheses, may hold anything; the state follows it.
      const fields = readFileSync(`/proc/${entry}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")
        .map(Number);
      processes.set(Number(entry), { parent: fields[1] ?? 0, ticks: (fields[11] ?? 0) + (fields[12] ?? 0) });
    } catch {
      // It has ended since the directory was read.
    }
  }
  const descends = (pid: number): boolean => {
    const parent = processes.get(pid)?.parent;
    return pid === ancestor || (parent !== undefined && descends(parent));
  };
  const ours = [...processes].filter(([pid]) => descends(pid));
  return ours.reduce((sum, [, { ticks }]) => sum + ticks, 0) / ticksPerSecond;
};

interface Timing {
  /** From the start of the process to the marker. */
  readonly seconds: number;
  readonly processor: number | undefined;
}

/** How long a boot took, or how it ended without init. The process group is ours and is ended here. */
const timeBoot = async (contender: Contender, boot: Boot): Promise<Timing | string> => {
  const { command, serialFile } = contender.launch(boot);
  const [program = "", ...args] = command;
  const start = performance.now();
  const child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], cwd: root });
  let seen = "";
  let complaint = "";
  let ended: string | undefined;
  let marked: Timing | undefined;
  const look = (): void => {
    if (marked !== undefined || !seen.includes(INIT_MARKER)) return;
    const seconds = (performance.now() - start) / 1000;
    marked = { seconds, processor: child.pid && processorSeconds(child.pid) };
  };
  child.stdout.on("data", (chunk: Buffer) => {
    if (serialFile !== undefined) return;
    seen += chunk.toString("latin1");
    look();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  child.on("error", (error) => {
    ended = error.message;
  });
  child.on("close", (status, signal) => {
    const reason = complaint.trim().split("\n").at(-1);
    ended = `ended with ${signal ?? `status ${status}`} before init${reason ? `: ${reason}` : ""}`;
  });
  try {
    for (;;) {
      if (serialFile !== undefined && existsSync(serialFile)) seen = readFileSync(serialFile, "latin1");
      look();
      if (marked !== undefined) return marked;
      if (ended !== undefined) return ended;
      if (performance.now() - start > TIMEOUT_SECONDS * 1000) return `no init after ${TIMEOUT_SECONDS} s`;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    if (ended === undefined && child.pid !== undefined) {
      const gone = new Promise((resolve) => child.on("close", resolve));
      process.kill(-child.pid, "SIGKILL");
      await gone;
    }
  }
};

const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
};

const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")).join("\n");
};

const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    memory: { type: "string", default: "512" },
    append: { type: "string", default: "console=ttyS0 panic=-1" },
    only: { type: "string" },
  },
});
const runs = Number(options.runs);
const memory = Number(options.memory);
const progress = (line: string): void => void process.stderr.write(`${line}\n`);

const guest = await debianGuest("cloud-amd64", { cache: join(root, ".cache", "guests"), progress });
if ("unavailable" in guest) {
  console.log(`nothing to boot: ${guest.unavailable}`);
  process.exit(1);
}
const wanted = options.only?.toLowerCase().split(",");
const present = contenders.filter((contender) => {
  if (wanted !== undefined && !wanted.some((word) => contender.name.toLowerCase().startsWith(word)))
    return false;
  const reason = contender.missing();
  if (reason !== undefined) console.log(`${contender.name} left out: it ${reason}`);
  return reason === undefined;
});

mkdirSync(join(root, ".cache"), { recursive: true });
const scratch = mkdtempSync(join(root, ".cache", "bench-boot-"));
const timings = new Map<Contender, Timing[]>(present.map((contender) => [contender, []]));
try {
  for (let run = 1; run <= runs; run++)
    for (const contender of present) {
      const directory = join(scratch, `${run}-${present.indexOf(contender)}`);
      mkdirSync(directory);
      const outcome = await timeBoot(contender, {
        guest,
        append: options.append,
        memory,
        scratch: directory,
      });
      const isTiming = typeof outcome !== "string";
      progress(
        `run ${run} of ${runs}: ${contender.name} ${isTiming ? `${outcome.seconds.toFixed(2)} s` : outcome}`,
      );
      if (isTiming) timings.get(contender)?.push(outcome);
    }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const cell = (
  values: readonly (number | undefined)[],
  pick: (values: readonly number[]) => number,
): string => {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? pick(known).toFixed(2) : "-";
};
console.log(`\nBoot of ${guest.release} to init, ${memory} MiB, one CPU, "${options.append}"; seconds:\n`);
console.log(
  table([
    ["machine", "version", "median", "least", "most", "processor", "runs"],
    ...[...timings].map(([contender, found]) => {
      const seconds = found.map((timing) => timing.seconds);
      return [
        contender.name,
        contender.version(),
        cell(seconds, median),
        cell(seconds, (values) => Math.min(...values)),
        cell(seconds, (values) => Math.max(...values)),
        cell(
          found.map((timing) => timing.processor),
          median,
        ),
        `${found.length} of ${runs}`,
      ];
    }),
  ]),
);
console.log(
  '\n"processor" is the median of processor seconds used: it tells a slow machine from a busy one.',
);
if ([...timings.values()].some((found) => found.length < runs)) process.exitCode = 1;
