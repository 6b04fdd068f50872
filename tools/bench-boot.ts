/**
 * `npm run bench:boot [-- --runs N] [--memory MIB] [--append S] [--only NAME,...]`: boots Debian's cloud kernel to its init on this
 * machine, on QEMU's translator and on Bochs, in turns, and prints how long each took from the start of its process to init's
 * first line on the serial port. What is not installed is named and left out.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type Boot,
  bochs,
  type Contender,
  follow,
  median,
  qemu,
  root,
  table,
  worldswitch,
} from "./contenders.ts";
import { debianGuest, INIT_MARKER } from "./guests/guests.ts";

const TIMEOUT_SECONDS = 300;
const contenders = [worldswitch, qemu, bochs] as const;

interface Timing {
  /** From the start of the process to the marker. */
  readonly seconds: number;
  readonly processor: number | undefined;
}

/** How long a boot took, or how it ended without init. */
const timeBoot = (contender: Contender, boot: Boot): Promise<Timing | string> =>
  follow(contender.launch(boot), TIMEOUT_SECONDS, ({ serial, seconds, processorSeconds }) =>
    serial.includes(INIT_MARKER) ? { seconds, processor: processorSeconds() } : undefined,
  );

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
        kernel: guest.kernel,
        initrd: guest.initrd,
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
