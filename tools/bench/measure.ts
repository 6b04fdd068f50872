/** Runs the suites on the contenders, in turns. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import {
  bochs,
  type Contender,
  follow,
  type Launch,
  qemu,
  type Sight,
  worldswitchBy,
} from "../contenders.ts";
import { DONE_MARKER } from "../guests/guests.ts";
import type { Suite } from "./guest.ts";
import type { Kind, Size } from "./kinds.ts";
import type { Wishes } from "./options.ts";
import { PassageListener } from "./passages.ts";
import { TITLES } from "./report.ts";
import type { ContenderId, Sample } from "./results.ts";
import { v86 } from "./v86.ts";

/** The class of machine that a measurement is of. */
export interface Host {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
}

/** Everything that --json writes. */
export interface Measurements {
  readonly host: Host;
  readonly versions: Readonly<Partial<Record<ContenderId | "node", string>>>;
  readonly samples: readonly Sample[];
  /** What did not come to its end, each as a sentence. */
  readonly failures: readonly string[];
}

const MEMORY_MIB = 512;
const TIMEOUT_SECONDS = 600;
/** Native runs are short: one more costs nothing and one less is noise. */
const NATIVE_RUNS = 3;
/** They do the short work, and once. */
const SLOW: readonly ContenderId[] = ["bochs", "interpreter"];

export class Measurer {
  readonly #wishes: Wishes;
  readonly #benchCache: string;
  readonly #progress: (line: string) => void;
  readonly #machines = new Map<ContenderId, Contender>();
  readonly #samples: Sample[] = [];
  readonly #failures: string[] = [];

  constructor(wishes: Wishes, benchCache: string, progress: (line: string) => void) {
    this.#wishes = wishes;
    this.#benchCache = benchCache;
    this.#progress = progress;
  }

  /** The machines that are asked for and can run here; `leftOut` is told of the others. */
  async prepare(guestCache: string, leftOut: (sentence: string) => void): Promise<void> {
    const { contenders, node, cli, nodeOptions, ourOptions } = this.#wishes;
    const way = { node, nodeOptions, ...(cli === undefined ? {} : { cli }) };
    const known: Partial<Record<ContenderId, () => Promise<Contender> | Contender>> = {
      qemu: () => qemu,
      bochs: () => bochs,
      v86: () => v86({ guests: guestCache, bench: this.#benchCache }, node),
      ours: () => worldswitchBy({ ...way, options: ourOptions }),
      interpreter: () => worldswitchBy({ ...way, options: ["--tier", "interpreter", ...ourOptions] }),
    };
    for (const id of contenders) {
      const contender = await known[id]?.();
      if (contender === undefined) continue;
      const reason = contender.missing();
      if (reason === undefined) this.#machines.set(id, contender);
      else leftOut(`${TITLES[id]} is left out: it ${reason}`);
    }
  }

  async measure(suites: readonly Suite[]): Promise<Measurements> {
    const scratch = mkdtempSync(join(this.#benchCache, "run-"));
    try {
      for (let round = 1; round <= this.#wishes.rounds; round++)
        for (const suite of suites) await this.#runSuite(suite, round, scratch);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
    const versions = Object.fromEntries([...this.#machines].map(([id, machine]) => [id, machine.version()]));
    const { node } = this.#wishes;
    return {
      host: {
        processor: cpus()[0]?.model ?? "unknown",
        cores: availableParallelism(),
        memoryGiB: Math.round(totalmem() / 2 ** 30),
        kernel: release(),
      },
      versions: { ...versions, node: node === process.execPath ? process.versions.node : node },
      samples: this.#samples,
      failures: this.#failures,
    };
  }

  async #runSuite(suite: Suite, round: number, scratch: string): Promise<void> {
    const { rounds, contenders, work } = this.#wishes;
    const present = contenders.filter((id) => id === "native" || this.#machines.has(id));
    for (const id of present) {
      if (SLOW.includes(id) && round > 1) continue;
      // It is a 32-bit processor.
      if (id === "v86" && suite.bits === 64) continue;
      this.#progress(`round ${round} of ${rounds}, ${suite.bits}-bit: ${TITLES[id]}`);
      if (id !== "native") await this.#runMachine(id, suite, round, scratch);
      else
        for (const size of new Set(present.map((other) => this.#sizeOf(other))))
          for (const kind of work)
            for (let run = 0; run < NATIVE_RUNS; run++) await this.#runNatively(suite, kind, size, round);
    }
  }

  #sizeOf(id: ContenderId): Size {
    return SLOW.includes(id) ? "short" : this.#wishes.size;
  }

  async #runNatively(
    { programs, linker, bits }: Suite,
    kind: Kind,
    size: Size,
    round: number,
  ): Promise<void> {
    const environment = [`WORK_ROOT=${programs}`, `WORK_LINKER=/${linker}`, "WORK_CLOCK=1"];
    const command = ["env", ...environment, join(programs, "work"), kind.name, String(kind[size])];
    const about = { contender: "native", bits, size, round } as const;
    const failure = await this.#listen({ command }, about, (_, passages) => passages === 1);
    if (failure !== undefined) this.#failures.push(`native ${bits}-bit ${kind.name} ${failure}`);
  }

  async #runMachine(id: ContenderId, { bits, guest }: Suite, round: number, scratch: string): Promise<void> {
    const size = this.#sizeOf(id);
    const directory = join(scratch, `${bits}-${size}`, `${id}-${round}`);
    mkdirSync(directory, { recursive: true });
    const list = this.#wishes.work.map((kind) => `${kind.name} ${kind[size]}`).join(" ");
    const launch = this.#machines.get(id)!.launch({
      kernel: guest.kernel,
      initrd: guest.initrd,
      append: `console=ttyS0 panic=-1 quiet ws.run="bench ${list}"`,
      memory: MEMORY_MIB,
      scratch: directory,
    });
    const about = { contender: id, bits, size, round } as const;
    const failure = await this.#listen(launch, about, ({ serial }) => serial.includes(DONE_MARKER));
    if (failure !== undefined) this.#failures.push(`${TITLES[id]} ${bits}-bit ${failure}`);
    const done = new Set(
      this.#samples
        .filter((sample) => sample.contender === id && sample.bits === bits && sample.round === round)
        .map((sample) => sample.kind),
    );
    const lost = this.#wishes.work.filter(({ name }) => !done.has(name)).map(({ name }) => name);
    if (failure === undefined && lost.length > 0)
      this.#failures.push(`${TITLES[id]} ${bits}-bit did not end: ${lost.join(", ")}`);
  }

  /** Follows a launch to its end and keeps every passage; a sentence when it fails. */
  async #listen(
    launch: Launch,
    about: Pick<Sample, "contender" | "bits" | "size" | "round">,
    isDone: (sight: Sight, passages: number) => boolean,
  ): Promise<string | undefined> {
    const listener = new PassageListener();
    let passages = 0;
    let shown = 0;
    const outcome = await follow(launch, TIMEOUT_SECONDS, (sight) => {
      if (this.#wishes.verbose) process.stderr.write(sight.serial.slice(shown));
      shown = sight.serial.length;
      const now = () => ({ seconds: sight.seconds, processorSeconds: sight.threadSeconds() });
      for (const passage of listener.hear(sight.serial, now)) {
        passages++;
        this.#samples.push({ ...passage, ...about });
        if (about.contender !== "native")
          this.#progress(
            `  ${TITLES[about.contender]} ${passage.kind}: ${passage.seconds.toFixed(3)} s, ${passage.checksum}`,
          );
      }
      return isDone(sight, passages) ? true : undefined;
    });
    return outcome === true ? undefined : outcome;
  }
}
