/** Machines that are measured side by side: this one, QEMU's translator, Bochs. How each is started, watched and ended. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** What is booted. */
export interface Boot {
  readonly kernel: string;
  /** None: the kernel is a multiboot image. */
  readonly initrd?: string;
  readonly append: string;
  /** MiB. */
  readonly memory: number;
  /** A directory of this run's own, in one that all runs share. */
  readonly scratch: string;
}

/** How to start a machine, and the file its serial port goes to when that is not standard output. */
export interface Launch {
  readonly command: readonly string[];
  readonly serialFile?: string;
}

export interface Contender {
  readonly name: string;
  /** Why it cannot run here, as the rest of a sentence that begins with its name; undefined when it can. */
  missing(): string | undefined;
  version(): string;
  launch(boot: Boot): Launch;
}

export const root = resolve(dirname(new URL(import.meta.url).pathname), "..");

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

/** How this machine is started, where that is not the usual way. */
export interface OurWay {
  readonly name?: string;
  /** The built command line's main.js. */
  readonly cli?: string;
  /** Options of Node, such as --cpu-prof. */
  readonly nodeOptions?: readonly string[];
  readonly node?: string;
  readonly options?: readonly string[];
}

export const worldswitchBy = (way: OurWay): Contender => {
  const { name = "Worldswitch", cli = CLI, node = process.execPath, nodeOptions = [], options = [] } = way;
  return {
    name,
    missing: () => (existsSync(cli) ? undefined : `is not built: no ${cli}, run \`npm run build\``),
    version: () =>
      (JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string }).version,
    launch: ({ kernel, initrd, append, memory }) => ({
      command: [
        ...[node, ...nodeOptions, cli, "run", kernel, ...(initrd === undefined ? [] : ["--initrd", initrd])],
        ...["--append", append, "--memory", String(memory), ...options],
      ],
    }),
  };
};
export const worldswitch = worldswitchBy({});

export const qemu: Contender = {
  name: "QEMU TCG",
  missing: () => lacking("qemu-system-x86_64"),
  version: () => /version ([\d.]+)/.exec(output("qemu-system-x86_64", "--version"))?.[1] ?? "?",
  launch: ({ kernel, initrd, append, memory }) => ({
    command: [
      ...[
        "qemu-system-x86_64",
        "-accel",
        "tcg,thread=single",
        "-cpu",
        "max",
        "-m",
        String(memory),
        "-net",
        "none",
      ],
      ...["-nographic", "-no-reboot", "-kernel", kernel, "-append", append],
      ...(initrd === undefined ? [] : ["-initrd", initrd]),
    ],
  }),
};

const BIOS = "/usr/share/bochs/BIOS-bochs-latest";
const VGA_BIOS = "/usr/share/bochs/VGABIOS-lgpl-latest";

/** GRUB on a CD: Bochs boots disks, not kernels. Made once for all runs of a kernel. */
const bootableIso = ({ kernel, initrd, append, scratch }: Boot): string => {
  const name = initrd === undefined ? "multiboot" : "guest";
  const iso = join(dirname(scratch), `${name}.iso`);
  if (existsSync(iso)) return iso;
  const tree = join(dirname(scratch), name);
  mkdirSync(join(tree, "boot", "grub"), { recursive: true });
  writeFileSync(join(tree, "kernel"), readFileSync(kernel));
  if (initrd !== undefined) writeFileSync(join(tree, "initrd"), readFileSync(initrd));
  // GRUB passes words on one by one, and puts quotation marks around those with spaces.
  const words = append.match(/(?:[^\s"]|"[^"]*")+/g) ?? [];
  const quoted = words.map((word) => `'${word.replaceAll('"', "").replaceAll("'", "'\\''")}'`).join(" ");
  const boot =
    initrd === undefined ? "  multiboot /kernel\n" : `  linux /kernel ${quoted}\n  initrd /initrd\n`;
  writeFileSync(join(tree, "boot", "grub", "grub.cfg"), `set timeout=0\nmenuentry guest {\n${boot}}\n`);
  output("grub-mkrescue", "-d", "/usr/lib/grub/i386-pc", "-o", iso, tree);
  return iso;
};

export const bochs: Contender = {
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

/** Processor seconds of a process and its descendants so far (proc(5), /proc/PID/stat); undefined where there is no /proc. */
export const processorSeconds = (ancestor: number): number | undefined => {
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

/** Processor seconds of a process's living threads (Linux, Documentation/scheduler/sched-stats.rst, /proc/PID/schedstat). */
const threadSeconds = (pid: number): number | undefined => {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const read = (thread: string) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
    return threads.reduce((sum, thread) => sum + read(thread), 0) / 1e9;
  } catch {
    return undefined;
  }
};

/** How far a machine has come. */
export interface Sight {
  /** All that it has written to its serial port. */
  readonly serial: string;
  /** Since the start of its process. */
  readonly seconds: number;
  /** Of the machine's processes; undefined where that cannot be read. */
  processorSeconds(): number | undefined;
  /** Of the threads of the first process that live, to the nanosecond; undefined where that cannot be read. */
  threadSeconds(): number | undefined;
}

const POLL_MS = 10;

/** Ends the process group, which is the machine's own. */
const end = async (child: ChildProcess): Promise<void> => {
  if (child.pid === undefined) return;
  const gone = new Promise((settle) => child.on("close", settle));
  process.kill(-child.pid, "SIGKILL");
  await gone;
};

/**
 * Starts a machine and calls `look` whenever it has written more, until that gives something; or a sentence on how the machine
 * ended before. Its processes are gone afterwards.
 */
export const follow = async <T>(
  { command, serialFile }: Launch,
  timeoutSeconds: number,
  look: (sight: Sight) => T | undefined,
): Promise<T | string> => {
  const [program = "", ...args] = command;
  const start = performance.now();
  const child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], cwd: root });
  let serial = "";
  let complaint = "";
  let ended: string | undefined;
  let found: T | undefined;
  const see = (): void => {
    if (found !== undefined) return;
    const seconds = (performance.now() - start) / 1000;
    found = look({
      serial,
      seconds,
      processorSeconds: () => child.pid && processorSeconds(child.pid),
      threadSeconds: () => child.pid && threadSeconds(child.pid),
    });
  };
  child.stdout.on("data", (chunk: Buffer) => {
    if (serialFile !== undefined) return;
    serial += chunk.toString("latin1");
    see();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  child.on("error", (error) => {
    ended = error.message;
  });
  child.on("close", (status, signal) => {
    const reason = complaint.trim().split("\n").at(-1);
    ended = `ended with ${signal ?? `status ${status}`} too early${reason ? `: ${reason}` : ""}`;
  });
  try {
    for (;;) {
      const hasEnded = ended;
      if (serialFile !== undefined && existsSync(serialFile)) {
        const written = readFileSync(serialFile, "latin1");
        if (written.length > serial.length) {
          serial = written;
          see();
        }
      }
      if (found !== undefined) return found;
      if (hasEnded !== undefined) return hasEnded;
      if (performance.now() - start > timeoutSeconds * 1000) return `was not done after ${timeoutSeconds} s`;
      await new Promise((wake) => setTimeout(wake, POLL_MS));
    }
  } finally {
    if (ended === undefined) await end(child);
  }
};

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
};

/** Columns as wide as their widest cell. */
export const table = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ")).join("\n");
};
