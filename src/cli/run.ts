import { ConfigurationError, type Line, Machine, type RunResult, stopReasons } from "../api/index.ts";
import { DiskFile, tierFromEnvironment } from "../api/node/index.ts";
import { complain, say } from "./complain.ts";
import { isMistake, parseArguments } from "./options.ts";
import { paintFor } from "./paint.ts";
import { type RunSettings, runSettings } from "./run-settings.ts";
import { EscapeFilter, terminalHelp } from "./terminal.ts";
import { ExitsLog, reportVmx } from "./vmx-reports.ts";

/** Exit statuses of our own; the rest come from the guest. */
const SIGNAL_STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Bytes typed ahead beyond which standard input waits. */
const INPUT_LIMIT = 0x1_0000;
const INPUT_CHECK_MS = 20;
/** Different reports of --log unimplemented, at most. */
const REPORT_LIMIT = 1000;

/** How a run was ended from outside, with the status that stands for it. */
interface Ending {
  readonly exitStatus: number;
  readonly says: string;
}

const isInteractive = (): boolean => process.stdin.isTTY === true && process.stdout.isTTY === true;

const grouped = (count: number): string => count.toLocaleString("en-US");

/** Standard output: waits while it is full, and tells once when nobody reads it any more. */
class Output {
  #isAtLineStart = true;
  #isClosed = false;
  #resume: (() => void) | undefined;

  constructor(closed: () => void) {
    process.stdout.on("error", () => {
      this.#isClosed = true;
      this.#resume?.();
      closed();
    });
    process.stdout.on("drain", () => this.#resume?.());
  }

  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#isClosed) return undefined;
    this.#isAtLineStart = bytes.at(-1) === 0x0a;
    if (process.stdout.write(bytes)) return undefined;
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  /** Ends a line the guest has begun, on a terminal, so that what we say begins one. */
  freshLine(): void {
    if (process.stdout.isTTY && !this.#isAtLineStart) this.write(Uint8Array.of(0x0d, 0x0a));
  }

  /** All is written. */
  async finished(): Promise<void> {
    if (!this.#isClosed) await new Promise<void>((resolve) => process.stdout.write("", () => resolve()));
  }
}

/** A terminal in raw mode: every key goes to the guest. */
class RawMode {
  readonly #raw = (): void => {
    process.stdin.setRawMode(true);
  };

  begin(): void {
    this.#raw();
    // A shell that stopped us has taken the terminal back in between.
    process.on("SIGCONT", this.#raw);
  }

  end(): void {
    process.off("SIGCONT", this.#raw);
    process.stdin.setRawMode(false);
  }
}

/** Standard input to the guest. */
const connectInput = (machine: Machine, line: Line, interactive: boolean, quit: () => void): void => {
  const { stdin } = process;
  // A terminal whose output goes elsewhere stays as it is: its Ctrl-C is ours.
  if (stdin.isTTY && !interactive) return;
  const filter = new EscapeFilter();
  machine.expectInput = true;
  let check: NodeJS.Timeout | undefined;
  /** Wait until the guest has taken enough. */
  const holdBack = (): void => {
    stdin.pause();
    check = setTimeout(() => {
      if (line.pending < INPUT_LIMIT) stdin.resume();
      else holdBack();
    }, INPUT_CHECK_MS);
    check.unref();
  };
  stdin.on("data", (bytes: Buffer) => {
    for (const part of interactive ? filter.take(bytes) : [bytes]) {
      if (part === "quit") quit();
      else if (part === "help") process.stderr.write(terminalHelp.replaceAll("\n", "\r\n"));
      else if (part === "statistics") process.stderr.write(`\r\n${statisticsLine(machine)}\r\n`);
      else line.write(part);
    }
    if (line.pending >= INPUT_LIMIT) {
      clearTimeout(check);
      holdBack();
    }
  });
  const ended = (): void => {
    clearTimeout(check);
    machine.expectInput = false;
  };
  stdin.on("end", ended);
  stdin.on("error", ended);
};

const statisticsLine = (machine: Machine): string => {
  const { instructions, seconds, mips, virtualSeconds } = machine.stats();
  return `${grouped(instructions)} instructions in ${seconds.toFixed(1)} s (${mips.toFixed(1)} million per second), ${virtualSeconds.toFixed(1)} s of virtual time`;
};

/** Why the run ended. */
const endingOf = ({ reason, vmxAbort, difference }: RunResult): string => {
  const { says } = stopReasons[reason];
  if (difference !== undefined) return `${says}: ${difference}`;
  return vmxAbort === undefined
    ? says
    : `${says} of processor ${vmxAbort.cpu}: indicator ${vmxAbort.indicator}, ${vmxAbort.says}`;
};

const statisticsJson = (machine: Machine, result: RunResult, exitStatus: number): string => {
  const { instructions, seconds, mips, virtualSeconds, resets } = machine.stats();
  const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
  return JSON.stringify({
    exit: exitStatus,
    reason: result.reason,
    ...(result.vmxAbort === undefined ? {} : { vmxAbort: result.vmxAbort }),
    ...(result.difference === undefined ? {} : { difference: result.difference }),
    instructions,
    hash: machine.hash(),
    seconds: rounded(seconds, 3),
    wallSeconds: rounded(result.seconds, 3),
    mips: rounded(mips, 2),
    virtualSeconds: rounded(virtualSeconds, 6),
    resets,
  });
};

const openDisks = (settings: RunSettings): DiskFile[] | string => {
  const disks: DiskFile[] = [];
  for (const { name, readOnly } of settings.disks) {
    const disk = DiskFile.open(name, { readOnly });
    if (!(disk instanceof DiskFile)) {
      for (const other of disks) other.close();
      return disk.message;
    }
    disks.push(disk);
  }
  return disks;
};

/** Told of what the machine does not have: each thing once. */
const reporter = (): ((what: string) => void) => {
  const told = new Set<string>();
  return (what) => {
    if (told.has(what) || told.size >= REPORT_LIMIT) return;
    told.add(what);
    say(`worldswitch: unimplemented: ${what}`);
    if (told.size === REPORT_LIMIT) say("worldswitch: unimplemented: further reports are left out");
  };
};

/** Runs a booted machine with the terminal or the pipes of this process. */
const runBooted = async (
  machine: Machine,
  settings: RunSettings,
  log: ExitsLog | undefined,
): Promise<number> => {
  const interactive = isInteractive();
  let ending: Ending | undefined;
  const end = (exitStatus: number, says: string): void => {
    ending ??= { exitStatus, says };
    machine.pause();
  };
  const output = new Output(() => end(0, "standard output was closed"));
  const signals = Object.entries(SIGNAL_STATUS).map(([signal, status]) => {
    const listener = (): void => end(status, `${signal} was received`);
    process.on(signal, listener);
    return { signal, listener };
  });
  const line = settings.console === "virtio" ? machine.console : machine.serial;
  line.on("data", (bytes) => output.write(bytes));
  if (settings.showsDebugcon) machine.debugcon.on("data", (bytes) => output.write(bytes));
  if (interactive && !settings.isQuiet) say("worldswitch: Ctrl-A X quits, Ctrl-A H shows help");
  const raw = interactive ? new RawMode() : undefined;
  /** In raw mode a terminal does not go back to the first column by itself. */
  const tell = (text: string): void => {
    process.stderr.write(process.stdin.isRaw ? `\r\n${text.replaceAll("\n", "\r\n")}` : text);
  };
  const resized = (): void => machine.resizeConsole(process.stdout.columns, process.stdout.rows);
  if (interactive) {
    resized();
    process.stdout.on("resize", resized);
  }
  raw?.begin();
  const reports = reportVmx(
    machine,
    { ...settings, explains: settings.explains ?? (process.stderr.isTTY === true && !settings.isQuiet) },
    log,
    tell,
    paintFor(process.stderr, process.env),
  );
  try {
    connectInput(machine, line, interactive, () => end(0, "Ctrl-A X was typed"));
    const { until, timeout, maxInstructions } = settings;
    const limits = {
      ...(until === undefined ? {} : { until }),
      ...(timeout === undefined ? {} : { timeout }),
      ...(maxInstructions === undefined ? {} : { maxInstructions }),
    };
    const result = await machine.run(limits);
    output.freshLine();
    raw?.end();
    const outcome = result.reason === "paused" && ending !== undefined ? ending : undefined;
    const exitStatus = outcome?.exitStatus ?? result.exitStatus;
    const says = outcome?.says ?? endingOf(result);
    if (!settings.isQuiet) say(`worldswitch: ${says}: ${statisticsLine(machine)}`);
    if (settings.hasStats) say(statisticsJson(machine, result, exitStatus));
    reports.finish();
    await output.finished();
    return exitStatus;
  } finally {
    if (process.stdin.isTTY && process.stdin.isRaw) raw?.end();
    process.stdout.off("resize", resized);
    for (const { signal, listener } of signals) process.off(signal, listener);
    process.stdin.pause();
  }
};

/** `worldswitch run`: the exit status. */
export const run = async (words: readonly string[]): Promise<number> => {
  const given = parseArguments(words);
  if (isMistake(given)) return complain(given.mistake);
  const settings = runSettings(given);
  if (isMistake(settings)) return complain(settings.mistake);
  const mistake = tierFromEnvironment();
  if (mistake !== undefined) return complain(mistake);
  const disks = openDisks(settings);
  if (typeof disks === "string") return complain(disks);
  // Whatever ends the process, a lock is not left behind.
  const closeAll = (): void => {
    for (const disk of disks) {
      const failure = disk.close();
      if (failure !== undefined) say(`worldswitch: ${failure.failed}`);
    }
  };
  process.once("exit", closeAll);
  try {
    const realTime = settings.realTime ?? isInteractive();
    const machine = await Machine.create({
      ...settings.machine,
      disks: disks.map((storage) => ({ storage })),
      realTime,
      ...(realTime ? { startTime: new Date() } : {}),
      ...(settings.logsUnimplemented ? { unimplemented: reporter() } : {}),
    });
    const booted = await machine.boot(settings.boot);
    if (booted.message !== undefined) return complain(booted.message);
    const log = settings.exitsLog === undefined ? undefined : ExitsLog.open(settings.exitsLog);
    if (typeof log === "string") return complain(log);
    return await runBooted(machine, settings, log);
  } catch (error) {
    if (error instanceof ConfigurationError) return complain(inOptionWords(error.message));
    throw error;
  } finally {
    closeAll();
    process.off("exit", closeAll);
  }
};

/** The library names its options, the user has ours. */
const inOptionWords = (message: string): string =>
  message
    .replace(/^memoryMiB\b/, "--memory")
    .replace(/^processors\b/, "--cpus")
    .replace(/^debugconPort\b/, "--debugcon");
