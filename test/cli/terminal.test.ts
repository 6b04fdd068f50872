import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { monitorKernel } from "../../src/guests/monitor-kernel.ts";

const main = new URL("../../dist/cli/main.js", import.meta.url).pathname;
/** script(1) of util-linux runs a command on a terminal of its own. */
const hasScript =
  spawnSync("script", ["--version"], { encoding: "utf8" }).stdout?.includes("util-linux") ?? false;

let directory: string;
let image: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "worldswitch-terminal-"));
  image = join(directory, "monitor");
  writeFileSync(image, monitorKernel());
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What a child has written, to wait on. */
class Screen {
  text = "";
  readonly #child: ChildProcess;

  constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout!, child.stderr!]) stream.on("data", (bytes) => (this.text += bytes));
  }

  /** Waits until the text appears, and forgets what came before it. */
  async has(wanted: string): Promise<void> {
    while (!this.text.includes(wanted)) {
      if (this.#child.exitCode !== null) throw new Error(`ended without "${wanted}": ${this.text}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    this.text = this.text.slice(this.text.indexOf(wanted) + wanted.length);
  }

  status(): Promise<number | null> {
    return new Promise((resolve) => this.#child.on("close", resolve));
  }
}

describe.skipIf(!hasScript)("worldswitch run on a terminal", { timeout: 60_000 }, () => {
  const open = (): { child: ChildProcess; screen: Screen } => {
    const command = `${process.execPath} ${main} run ${image}; echo status=$?; stty -a`;
    const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "pipe"] });
    return { child, screen: new Screen(child) };
  };

  it("is the guest's serial port; Ctrl-A commands are ours, and the terminal is left as it was", async () => {
    const { child, screen } = open();
    await screen.has("Ctrl-A H shows help");
    await screen.has("> ");
    child.stdin!.write("mem 100000\r");
    await screen.has("0000000000100000: 02 b0 ad 1b");
    child.stdin!.write("\x01h");
    await screen.has("Ctrl-A X        quit");
    child.stdin!.write("\x01s");
    await screen.has("instructions in");
    // Ctrl-C goes to the guest, which ignores it.
    child.stdin!.write("\x03ticks\r");
    await screen.has("timer interrupts");
    child.stdin!.write("\x01x");
    await screen.has("Ctrl-A X was typed");
    await screen.has("status=0");
    await screen.has(" icanon");
    child.stdin!.end();
    expect(await screen.status()).toBe(0);
  });

  it("ends when the guest powers off", async () => {
    const { child, screen } = open();
    await screen.has("> ");
    child.stdin!.write("off\r");
    await screen.has("Switching off.");
    await screen.has("the guest powered off");
    await screen.has("status=0");
    child.stdin!.end();
    await screen.status();
  });
});

/** Seconds of processor time that a process has used. */
const processorSeconds = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

describe.skipIf(!existsSync("/proc/self/stat"))("an idle guest in real time", { timeout: 60_000 }, () => {
  // The promise is 5 %; what a busy host measures is no reason to fail. A machine that spun would use all of a core.
  it("sleeps between events, with a timer at 100 Hz", async () => {
    const child = spawn(process.execPath, [main, "run", image, "--real-time"], {
      stdio: ["pipe", "pipe", "pipe"],
    });
    const screen = new Screen(child);
    await screen.has("> ");
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const before = processorSeconds(child.pid!);
    const seconds = 4;
    await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
    const used = processorSeconds(child.pid!) - before;
    child.stdin.write("ticks\r");
    await screen.has(" timer interrupts");
    child.stdin.write("off\r");
    expect(await screen.status()).toBe(0);
    console.log(`idle guest: ${((100 * used) / seconds).toFixed(1)} % of a core`);
    expect(used / seconds).toBeLessThan(0.5);
  });
});
