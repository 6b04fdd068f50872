import { Machine } from "../../src/api/index.ts";
import { randomVmcsKernel } from "../../src/guests/vmx-random.ts";
import { readKernelOutput } from "../../src/guests/vmx-report.ts";

/**
 * Hostile random VMCSs on this machine: whatever a VMCS says, the host neither throws nor hangs. The VMM inside may lose its
 * footing, when a VMCS sends it where there is no code: the machine then starts again with the next seed.
 */

/** A kernel runs this many seeds before the next is booted. */
const SEEDS_AT_ONCE = 2000;
/** A seed takes some thousand instructions, the start a hundred thousand; a machine that prints nothing in so many is lost. */
const SLICE = 300_000;

export interface HostileOutcome {
  readonly seeds: number;
  /** Seeds after which the VMM was lost, by how the machine stopped. */
  readonly lost: ReadonlyMap<string, number>;
  /** Verdicts by outcome: "V 7", "X 80000021" ... */
  readonly outcomes: ReadonlyMap<string, number>;
}

/** Runs seeds from `first`. `progress` is told how many are done. */
export const runHostile = async (
  first: number,
  count: number,
  progress: (done: number) => void = () => {},
): Promise<HostileOutcome> => {
  const lost = new Map<string, number>();
  const outcomes = new Map<string, number>();
  const add = (to: Map<string, number>, what: string): void => void to.set(what, (to.get(what) ?? 0) + 1);
  let done = 0;
  while (done < count) {
    const wanted = Math.min(SEEDS_AT_ONCE, count - done);
    const machine = await Machine.create({ memoryMiB: 16, realTime: false, onReset: "stop" });
    let text = "";
    let bytes = 0;
    machine.serial.on("data", (chunk) => {
      bytes += chunk.length;
      text += Buffer.from(chunk).toString("latin1");
    });
    const image = randomVmcsKernel({ kind: "hostile", first: first + done, count: wanted });
    const { message } = await machine.boot({ image, withFileName: false });
    if (message !== undefined) throw new Error(message);
    let reason: string;
    let before: number;
    do {
      before = bytes;
      reason = (await machine.run({ maxInstructions: SLICE })).reason;
    } while (reason === "instruction-limit" && bytes > before);
    const { random, complete } = readKernelOutput(text);
    for (const verdict of random.values()) add(outcomes, verdict.split(" ").slice(0, 2).join(" "));
    if (!complete) add(lost, reason);
    // The seed that the VMM was lost in has no verdict.
    done += complete ? wanted : Math.min(wanted, random.size + 1);
    progress(done);
  }
  return { seeds: done, lost, outcomes };
};

const main = async (): Promise<void> => {
  const seeds = Number(process.argv[2] ?? 100_000);
  const first = Number(process.argv[3] ?? 0);
  if (!Number.isSafeInteger(seeds) || seeds < 1 || !Number.isSafeInteger(first) || first < 0) {
    console.error("usage: npm run vmx:random -- SEEDS [FIRST]");
    process.exitCode = 2;
    return;
  }
  const { outcomes, lost } = await runHostile(first, seeds, (done) =>
    process.stderr.write(`\r${done} of ${seeds}`),
  );
  process.stderr.write("\n");
  for (const [what, times] of [...outcomes].toSorted(([, a], [, b]) => b - a))
    console.log(`${what}: ${times}`);
  for (const [reason, times] of lost) console.log(`the VMM was lost, ${reason}: ${times}`);
  console.log(`${seeds} random VMCSs entered; the machine never threw, and never hung`);
};
if (process.argv[1]?.endsWith("random-run.ts")) await main();
