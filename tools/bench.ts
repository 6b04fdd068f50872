/**
 * `npm run bench`: kinds of guest work, each with a checksum, natively and on this machine, QEMU's translator, v86 and Bochs. Time
 * is the host's, from one mark on the guest's serial port to the next. `npm run bench -- --help` tells the options.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { chart } from "./bench/chart.ts";
import { makeSuite, type Suite } from "./bench/guest.ts";
import { type Kind, kinds, type Size } from "./bench/kinds.ts";
import { PassageListener } from "./bench/passages.ts";
import { aligned, markdown, suiteTable, TITLES } from "./bench/report.ts";
import { type Clock, type ContenderId, rowsOf, type Sample, wrongs } from "./bench/results.ts";
import type { Bits } from "./bench/toolchain.ts";
import { v86 } from "./bench/v86.ts";
import {
  bochs,
  type Contender,
  follow,
  type Launch,
  qemu,
  root,
  type Sight,
  worldswitchBy,
} from "./contenders.ts";
import { DONE_MARKER } from "./guests/guests.ts";

const help = `Usage: npm run bench -- [options]

Runs kinds of guest work natively and on machines in turns, and prints how long each took.

  --only KIND,...           these kinds (default all): ${kinds
    .map(({ name }) => name)
    .join(", ")
    .replace(/(.{60}[^ ]*) /g, "$1\n                            ")}
  --contenders NAME,...     native, qemu, v86, bochs, ours, interpreter (default all but interpreter)
  --bits 64|32              one suite (default both)
  --rounds N                how often all is run; the least time counts (default 2; Bochs and interpreter once)
  --size short|normal       the work of every contender (default normal; Bochs and interpreter always do the short one)
  --clock wall|processor    what the table shows: wall time, or for a busy host processor time (default wall)
  --json FILE               write all samples
  --chart FILE              draw an SVG
  --markdown FILE           write the tables
  --ours FILE               the built main.js of this machine's command line (default dist/cli/main.js)
  --node FILE               the Node that runs this machine and v86 (default this one)
  --node-option OPTION      an option of Node for this machine, such as --cpu-prof; repeatable
  --our-option OPTION       an option of this machine, repeatable
  --verbose                 show what the guests print
`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    contenders: { type: "string", default: "native,qemu,v86,bochs,ours" },
    bits: { type: "string" },
    rounds: { type: "string", default: "2" },
    size: { type: "string", default: "normal" },
    clock: { type: "string", default: "wall" },
    json: { type: "string" },
    chart: { type: "string" },
    markdown: { type: "string" },
    ours: { type: "string" },
    node: { type: "string", default: process.execPath },
    "node-option": { type: "string", multiple: true, default: [] },
    "our-option": { type: "string", multiple: true, default: [] },
    verbose: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(help);
  process.exit(0);
}

const refuse = (mistake: string): never => {
  console.error(`bench: ${mistake}; see npm run bench -- --help`);
  process.exit(2);
};
const chosen = <T extends string>(given: string, allowed: readonly T[], what: string): readonly T[] =>
  given.split(",").map((word) => allowed.find((name) => name === word) ?? refuse(`no ${what} ${word}`));

const MEMORY_MIB = 512;
const TIMEOUT_SECONDS = 600;
/** Native runs are short: one more costs nothing and one less is noise. */
const NATIVE_RUNS = 3;
const IDS = Object.keys(TITLES) as ContenderId[];
const SLOW: readonly ContenderId[] = ["bochs", "interpreter"];
const wanted = chosen(options.contenders, IDS, "contender");
const names =
  options.only === undefined
    ? undefined
    : chosen(
        options.only,
        kinds.map(({ name }) => name),
        "kind",
      );
const work = kinds.filter(({ name }) => names?.includes(name) ?? true);
const [size = "normal"] = chosen<Size>(options.size, ["normal", "short"], "size");
const [clock = "wall"] = chosen<Clock>(options.clock, ["wall", "processor"], "clock");
const suitesWanted =
  options.bits === undefined ? ([64, 32] as const) : chosen(options.bits, ["64", "32"], "suite").map(Number);
const rounds = Number(options.rounds);
if (!(rounds >= 1)) refuse(`--rounds wants a number, not ${options.rounds}`);

const caches = { guests: join(root, ".cache", "guests"), bench: join(root, ".cache", "bench") };
const progress = (line: string): void => void process.stderr.write(`${line}\n`);
const ourWay = {
  node: options.node,
  nodeOptions: options["node-option"],
  ...(options.ours === undefined ? {} : { cli: resolve(options.ours) }),
};
const machines: Partial<Record<ContenderId, Contender>> = {
  qemu,
  bochs,
  ours: worldswitchBy({ ...ourWay, options: options["our-option"] }),
  interpreter: worldswitchBy({ ...ourWay, options: ["--tier", "interpreter", ...options["our-option"]] }),
};
if (wanted.includes("v86")) machines.v86 = await v86(caches, options.node);

const isPresent = (id: ContenderId): boolean => {
  const reason = machines[id]?.missing();
  if (reason !== undefined) console.log(`${TITLES[id]} is left out: it ${reason}`);
  return reason === undefined;
};
/** Native first: its checksums are those that count. */
const contenders = IDS.filter((id) => wanted.includes(id) && isPresent(id));

const sizeOf = (id: ContenderId): Size => (SLOW.includes(id) ? "short" : size);
const samples: Sample[] = [];
const failures: string[] = [];

/** Follows a launch to its end and keeps every passage; a sentence when it fails. */
const listen = async (
  launch: Launch,
  about: Pick<Sample, "contender" | "bits" | "size" | "round">,
  isDone: (sight: Sight, passages: number) => boolean,
): Promise<string | undefined> => {
  const listener = new PassageListener();
  let passages = 0;
  let shown = 0;
  const outcome = await follow(launch, TIMEOUT_SECONDS, (sight) => {
    if (options.verbose) process.stderr.write(sight.serial.slice(shown));
    shown = sight.serial.length;
    const now = () => ({ seconds: sight.seconds, processorSeconds: sight.threadSeconds() });
    for (const passage of listener.hear(sight.serial, now)) {
      passages++;
      samples.push({ ...passage, ...about });
      if (about.contender !== "native")
        progress(
          `  ${about.contender} ${about.bits} ${passage.kind}: ${passage.seconds.toFixed(3)} s, ${passage.checksum}`,
        );
    }
    return isDone(sight, passages) ? true : undefined;
  });
  return outcome === true ? undefined : outcome;
};

const runNatively = async (suite: Suite, kind: Kind, size: Size, round: number): Promise<void> => {
  const { programs, linker, bits } = suite;
  const environment = [`WORK_ROOT=${programs}`, `WORK_LINKER=/${linker}`, "WORK_CLOCK=1"];
  const command = ["env", ...environment, join(programs, "work"), kind.name, String(kind[size])];
  const failure = await listen(
    { command },
    { contender: "native", bits, size, round },
    (_, passages) => passages === 1,
  );
  if (failure !== undefined) failures.push(`native ${bits}-bit ${kind.name} ${failure}`);
};

const runMachine = async (id: ContenderId, suite: Suite, round: number, scratch: string): Promise<void> => {
  const { bits, guest } = suite;
  const size = sizeOf(id);
  const directory = join(scratch, `${bits}-${size}`, `${id}-${round}`);
  mkdirSync(directory, { recursive: true });
  const list = work.map((kind) => `${kind.name} ${kind[size]}`).join(" ");
  const launch = machines[id]?.launch({
    kernel: guest.kernel,
    initrd: guest.initrd,
    append: `console=ttyS0 panic=-1 quiet ws.run="bench ${list}"`,
    memory: MEMORY_MIB,
    scratch: directory,
  });
  if (launch === undefined) return;
  const about = { contender: id, bits, size, round } as const;
  const failure = await listen(launch, about, ({ serial }) => serial.includes(DONE_MARKER));
  if (failure !== undefined) failures.push(`${TITLES[id]} ${bits}-bit ${failure}`);
};

const suites: Suite[] = [];
for (const bits of suitesWanted) {
  const suite = await makeSuite(bits as Bits, caches, progress);
  if ("unavailable" in suite) console.log(`The ${bits}-bit suite is left out: ${suite.unavailable}`);
  else suites.push(suite);
}
const scratch = mkdtempSync(join(caches.bench, "run-"));
const started = performance.now();
try {
  for (let round = 1; round <= rounds; round++)
    for (const suite of suites)
      for (const id of contenders) {
        if (SLOW.includes(id) && round > 1) continue;
        if (id === "v86" && suite.bits === 64) continue;
        progress(`round ${round} of ${rounds}, ${suite.bits}-bit: ${TITLES[id]}`);
        if (id !== "native") await runMachine(id, suite, round, scratch);
        else
          for (const nativeSize of new Set<Size>(contenders.map(sizeOf)))
            for (const kind of work)
              for (let run = 0; run < NATIVE_RUNS; run++) await runNatively(suite, kind, nativeSize, round);
      }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const rows = rowsOf(samples, clock);
const tables = suites.map(({ bits }) => suiteTable(rows, bits));
const host = {
  processor: cpus()[0]?.model ?? "unknown",
  cores: availableParallelism(),
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: options.node === process.execPath ? process.version : options.node,
};
const versions = Object.fromEntries(contenders.map((id) => [id, machines[id]?.version() ?? ""]));
for (const table of tables) console.log(`\n${aligned(table)}`);
console.log(
  "\nSeconds of the host's clock, the least of all rounds, and how many times as long as native. * marks a shorter run.",
);
const mistakes = [...failures, ...wrongs(rows)];
for (const mistake of mistakes) console.log(`FAILED: ${mistake}`);
progress(`${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
const json = { host, versions, clock, kinds: work, samples, failures: mistakes };
if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(json, null, 1)}\n`);
if (options.markdown !== undefined) writeFileSync(options.markdown, `${tables.map(markdown).join("\n\n")}\n`);
const subtitle = `${host.cores} cores, Node ${process.version}; ${contenders
  .filter((id) => id !== "native")
  .map((id) => `${TITLES[id]} ${versions[id]}`)
  .join(", ")}`;
if (options.chart !== undefined) writeFileSync(options.chart, chart(rows, subtitle));
if (mistakes.length > 0) process.exitCode = 1;
