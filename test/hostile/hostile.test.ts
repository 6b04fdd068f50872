import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { hostileModes } from "./hostile-guest.ts";
import type { HostileSummary } from "./run.ts";

/** A little of `npm run hostile`: as many seeds, fewer instructions of each. */
const seeds = 200;
const instructions = 2000;
/** A trial takes milliseconds; one that says nothing for so long hangs. */
const silenceMs = 60_000;
/** Machines of 8 MiB with 48 MiB of decoded code; whatever the guest does adds no more than this. */
const heapLimitMiB = 80;
const residentLimitMiB = 350;

interface Outcome {
  readonly summaries: readonly HostileSummary[];
  readonly code: number | null;
  readonly lastTrial: string;
  readonly complaints: string;
}

/** In a process of its own, so that a hang can be ended and memory measured. */
const runHostile = (modes: readonly number[]): Promise<Outcome> =>
  new Promise((resolve) => {
    const script = fileURLToPath(new URL("run.ts", import.meta.url));
    const child = spawn(
      process.execPath,
      ["--import", "tsx", "--expose-gc", script, `${seeds}`, `${instructions}`, "1", modes.join()],
      { stdio: ["ignore", "pipe", "pipe"] },
    );
    let lastTrial = "";
    let complaints = "";
    const summaries: HostileSummary[] = [];
    const hang = (): NodeJS.Timeout =>
      setTimeout(() => {
        complaints += `nothing heard for ${silenceMs} ms`;
        child.kill("SIGKILL");
      }, silenceMs);
    let watchdog = hang();
    child.stderr.on("data", (text: Buffer) => {
      complaints += text.toString();
    });
    createInterface(child.stdout).on("line", (line) => {
      clearTimeout(watchdog);
      watchdog = hang();
      if (line.startsWith("trial ")) lastTrial = line;
      if (line.startsWith("summary ")) summaries.push(JSON.parse(line.slice("summary ".length)));
    });
    child.on("close", (code) => {
      clearTimeout(watchdog);
      resolve({ summaries, code, lastTrial, complaints });
    });
  });

describe("A guest of random bytes", () => {
  const all = hostileModes.map((_, n) => n);
  it.concurrent.each([0, 1])(
    "never makes the host throw, hang or grow: it ends in a defined exit (half %i)",
    async (half) => {
      const modes = all.filter((n) => n % 2 === half);
      const { summaries, code, lastTrial, complaints } = await runHostile(modes);
      expect(code, `${lastTrial}\n${complaints}`).toBe(0);
      expect(summaries.map(({ mode }) => mode)).toEqual(modes.map((n) => hostileModes[n]));
      for (const summary of summaries) {
        const { mode, stops, heapMiB, residentMiB, nsPerInstruction, slowest, guests } = summary;
        console.log(
          `${mode}: ${guests} guests, ${nsPerInstruction} ns an instruction, slowest ${slowest.seconds} s (seed ${slowest.seed})`,
        );
        const defined = ["budget", "idle", "power-off", "debug-exit", "triple-fault", "reset"];
        expect(Object.keys(stops).filter((kind) => !defined.includes(kind))).toEqual([]);
        expect(guests).toBe(seeds);
        expect(summary.instructions).toBeGreaterThan(0.3 * seeds * instructions);
        expect(heapMiB).toBeLessThan(heapLimitMiB);
        expect(residentMiB).toBeLessThan(residentLimitMiB);
      }
    },
  );
});
