/**
 * `npm run bench:nested [-- --runs N] [--io N] [--cpuid N] [--vmcall N] [--only NAME,...] [--json FILE]`: what a VM exit of a nested
 * guest costs, on this machine, on QEMU's translator (which has SVM) and on Bochs, in turns. Debian's KVM runs a guest that leaves
 * to its client by OUT, then one that executes CPUID, which KVM serves itself; and a bare hypervisor of ours resumes a guest that
 * executes VMCALL. Times are taken outside, between two lines on the serial port; each line's checksum is verified. What is not
 * installed is named and left out.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { EXIT_LOOP, exitLoopKernel } from "../src/guests/exit-loop-kernel.ts";
import {
  type Boot,
  bochs,
  type Contender,
  follow,
  median,
  qemu,
  root,
  type Sight,
  table,
  worldswitch,
} from "./contenders.ts";
import { cpuidChecksum, ioChecksum } from "./guests/kvm-client/index.ts";
import { kvmClientGuest } from "./guests/nested.ts";

const TIMEOUT_SECONDS = 600;
const contenders = [worldswitch, qemu, bochs] as const;

const { values: options } = parseArgs({
  options: {
    runs: { type: "string", default: "3" },
    io: { type: "string", default: "10000" },
    cpuid: { type: "string", default: "30000" },
    vmcall: { type: "string", default: "200000" },
    memory: { type: "string", default: "512" },
    only: { type: "string" },
    json: { type: "string" },
  },
});
const counts = { io: Number(options.io), cpuid: Number(options.cpuid), vmcall: Number(options.vmcall) };
const runs = Number(options.runs);
if (![runs, ...Object.values(counts)].every((count) => Number.isInteger(count) && count > 0)) {
  console.error("--runs, --io, --cpuid and --vmcall take numbers of 1 or more");
  process.exit(2);
}

/** One thing measured: the word its two lines begin with, and what the second must say. */
interface Measure {
  readonly title: string;
  readonly word: string;
  readonly count: number;
  readonly checksum: bigint;
}

// biome-ignore format: one row per measure
const measures = {
  io:     { title: "OUT to the client and back",    word: "bench-io",    count: counts.io,     checksum: ioChecksum(counts.io) },
  cpuid:  { title: "CPUID served inside KVM",       word: "bench-cpuid", count: counts.cpuid,  checksum: cpuidChecksum(counts.cpuid) },
  vmcall: { title: "VMCALL to a bare hypervisor",   word: EXIT_LOOP,     count: counts.vmcall, checksum: BigInt(counts.vmcall) },
} as const satisfies Record<string, Measure>;
type MeasureName = keyof typeof measures;

/** Microseconds for one exit. */
interface Cost {
  readonly elapsed: number;
  /** Of processor time. */
  readonly processor: number | undefined;
}

interface Mark {
  readonly seconds: number;
  readonly processor: number | undefined;
}

/** Watches for the lines of the measures asked for. */
class Watch {
  readonly #wanted: readonly MeasureName[];
  readonly #marks = new Map<string, Mark>();
  #wrong: string | undefined;

  constructor(wanted: readonly MeasureName[]) {
    this.#wanted = wanted;
  }

  /** Costs when all lines have been seen, a sentence when one is wrong, undefined when some are still to come. */
  look(sight: Sight): ReadonlyMap<MeasureName, Cost> | { readonly wrong: string } | undefined {
    for (const name of this.#wanted) {
      const { word, count, checksum } = measures[name];
      this.#note(`${name} start`, sight, new RegExp(`${word} start ${count}\\r?\\n`), word);
      const end = new RegExp(`${word} end (\\d+) (\\d+)\\r?\\n`).exec(sight.serial);
      if (end !== null && (end[1] !== String(count) || end[2] !== String(checksum)))
        this.#wrong = `${word} ended with "${end[1]} ${end[2]}", expected "${count} ${checksum}"`;
      this.#note(`${name} end`, sight, new RegExp(`${word} end \\d+ \\d+\\r?\\n`), word);
    }
    if (this.#wrong !== undefined) return { wrong: this.#wrong };
    const failure =
      /^(FAILED|no \/dev\/kvm|kvm-client: \/dev|a VMX instruction failed|another VM exit).*$/m.exec(
        sight.serial,
      );
    if (failure !== null && sight.serial.includes("\n", failure.index)) return { wrong: failure[0] };
    const costs = new Map<MeasureName, Cost>();
    for (const name of this.#wanted) {
      const [from, to] = [this.#marks.get(`${name} start`), this.#marks.get(`${name} end`)];
      if (from === undefined || to === undefined) return undefined;
      const each = (seconds: number): number => (seconds * 1e6) / measures[name].count;
      costs.set(name, {
        elapsed: each(to.seconds - from.seconds),
        processor:
          from.processor === undefined || to.processor === undefined
            ? undefined
            : each(to.processor - from.processor),
      });
    }
    return costs;
  }

  #note(key: string, sight: Sight, line: RegExp, word: string): void {
    if (this.#marks.has(key) || !sight.serial.includes(word) || !line.test(sight.serial)) return;
    this.#marks.set(key, { seconds: sight.seconds, processor: sight.processorSeconds() });
  }
}

const progress = (line: string): void => void process.stderr.write(`${line}\n`);

const guest = await kvmClientGuest("cloud-amd64", { cache: join(root, ".cache", "guests"), progress });
if ("unavailable" in guest) {
  console.log(`nothing to measure KVM with: ${guest.unavailable}`);
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
const scratch = mkdtempSync(join(root, ".cache", "bench-nested-"));
const hypervisor = join(scratch, "exit-loop.bin");
writeFileSync(hypervisor, exitLoopKernel({ roundTrips: counts.vmcall }));

interface Task {
  readonly measures: readonly MeasureName[];
  readonly boot: Omit<Boot, "scratch">;
}
const commands = `load-kvm; kvm-client bench-io ${counts.io}; kvm-client bench-cpuid ${counts.cpuid}`;
const nested: Task = {
  measures: ["io", "cpuid"],
  boot: {
    kernel: guest.kernel,
    initrd: guest.initrd,
    append: `console=ttyS0 quiet panic=-1 ws.run="${commands}"`,
    memory: Number(options.memory),
  },
};
const bare: Task = { measures: ["vmcall"], boot: { kernel: hypervisor, append: "", memory: 64 } };
/** QEMU's translator has no VMX for the bare hypervisor. */
const tasksOf = (contender: Contender): readonly Task[] => (contender === qemu ? [nested] : [nested, bare]);

const found = new Map<Contender, Map<MeasureName, Cost[]>>(
  present.map((contender) => [
    contender,
    new Map(tasksOf(contender).flatMap((task) => task.measures.map((name) => [name, []] as const))),
  ]),
);
const show = (costs: ReadonlyMap<MeasureName, Cost>): string =>
  [...costs].map(([name, cost]) => `${name} ${cost.elapsed.toFixed(1)} us`).join(", ");

let failures = 0;
try {
  for (let run = 1; run <= runs; run++)
    for (const contender of present)
      for (const task of tasksOf(contender)) {
        const directory = join(scratch, `${run}-${present.indexOf(contender)}-${task.measures[0]}`);
        mkdirSync(directory);
        const watch = new Watch(task.measures);
        const launch = contender.launch({ ...task.boot, scratch: directory });
        const outcome = await follow(launch, TIMEOUT_SECONDS, (sight) => watch.look(sight));
        const told = `run ${run} of ${runs}: ${contender.name}`;
        if (typeof outcome === "string" || "wrong" in outcome) {
          failures++;
          progress(`${told} ${typeof outcome === "string" ? outcome : `is wrong: ${outcome.wrong}`}`);
          continue;
        }
        progress(`${told} ${show(outcome)}`);
        for (const [name, cost] of outcome) found.get(contender)?.get(name)?.push(cost);
      }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

interface Row {
  readonly measure: MeasureName;
  readonly machine: string;
  readonly version: string;
  readonly count: number;
  /** Microseconds for one exit. */
  readonly median: number | undefined;
  readonly least: number | undefined;
  readonly most: number | undefined;
  readonly processor: number | undefined;
  readonly runs: number;
}

const rows: readonly Row[] = (Object.keys(measures) as MeasureName[]).flatMap((measure) =>
  [...found].flatMap(([contender, costs]) => {
    const list = costs.get(measure);
    if (list === undefined) return [];
    const elapsed = list.map((cost) => cost.elapsed);
    const processor = list.map((cost) => cost.processor).filter((cost) => cost !== undefined);
    const some = <T>(values: readonly T[], pick: (values: readonly T[]) => number): number | undefined =>
      values.length === 0 ? undefined : pick(values);
    return {
      measure,
      machine: contender.name,
      version: contender.version(),
      count: measures[measure].count,
      median: some(elapsed, median),
      least: some(elapsed, (values) => Math.min(...values)),
      most: some(elapsed, (values) => Math.max(...values)),
      processor: some(processor, median),
      runs: list.length,
    };
  }),
);
const cell = (value: number | undefined): string => (value === undefined ? "-" : value.toFixed(1));
console.log(
  `\nVM exits of nested guests under Debian's ${guest.release}, and of a bare hypervisor; microseconds each:\n`,
);
console.log(
  table([
    ["exit", "machine", "version", "median", "least", "most", "processor", "exits", "runs"],
    ...rows.map((row) => [
      ...[measures[row.measure].title, row.machine, row.version],
      ...[cell(row.median), cell(row.least), cell(row.most), cell(row.processor)],
      ...[String(row.count), `${row.runs} of ${runs}`],
    ]),
  ]),
);
console.log(
  '\n"processor" is the median of processor time used: it tells a slow machine from a busy one. QEMU has AMD\'s SVM,\nso it runs kvm_amd; the others run kvm_intel.',
);
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify({ kernel: guest.release, runs, rows }, null, 2)}\n`);
if (failures > 0) process.exitCode = 1;
