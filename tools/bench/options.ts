/** What `npm run bench` can be asked. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { type Kind, kinds, type Size } from "./kinds.ts";
import { TITLES } from "./report.ts";
import type { Clock, ContenderId } from "./results.ts";
import type { Bits } from "./toolchain.ts";

const IDS = Object.keys(TITLES) as ContenderId[];

export const help = `Usage: npm run bench -- [options]

Runs kinds of guest work natively and on machines in turns, and prints how long each took.

  --only KIND,...           these kinds (default all): ${kinds
    .map(({ name }) => name)
    .join(", ")
    .replace(/(.{60}[^ ]*) /g, "$1\n                            ")}
  --contenders NAME,...     ${IDS.join(", ")} (default all but interpreter)
  --bits 64|32              one suite (default both)
  --rounds N                how often all is run; the least time counts (default 2; Bochs and interpreter once)
  --size short|normal       the work of every contender (default normal; Bochs and interpreter always do the short one)
  --clock wall|processor    what the tables show: wall time, or for a busy host processor time (default wall)
  --json FILE               write all samples
  --from FILE               measure nothing: show what --json wrote
  --chart FILE              draw an SVG
  --docs                    put the tables into docs/BENCH.md, and the chart into docs/bench.svg
  --ours FILE               the built main.js of this machine's command line (default dist/cli/main.js)
  --node FILE               the Node that runs this machine and v86 (default this one)
  --node-option OPTION      an option of Node for this machine, such as --cpu-prof; repeatable
  --our-option OPTION       an option of this machine, repeatable
  --verbose                 show what the guests print
`;

export interface Wishes {
  readonly contenders: readonly ContenderId[];
  readonly work: readonly Kind[];
  readonly bits: readonly Bits[];
  readonly rounds: number;
  readonly size: Size;
  readonly clock: Clock;
  readonly json: string | undefined;
  readonly from: string | undefined;
  readonly chart: string | undefined;
  readonly docs: boolean;
  readonly cli: string | undefined;
  readonly node: string;
  readonly nodeOptions: readonly string[];
  readonly ourOptions: readonly string[];
  readonly verbose: boolean;
}

/** A usage mistake, as a sentence without its end. */
export interface Mistake {
  readonly mistake: string;
}

const given = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    options: {
      only: { type: "string", default: kinds.map(({ name }) => name).join(",") },
      contenders: { type: "string", default: IDS.filter((id) => id !== "interpreter").join(",") },
      bits: { type: "string", default: "64,32" },
      rounds: { type: "string", default: "2" },
      size: { type: "string", default: "normal" },
      clock: { type: "string", default: "wall" },
      json: { type: "string" },
      from: { type: "string" },
      chart: { type: "string" },
      docs: { type: "boolean", default: false },
      ours: { type: "string" },
      node: { type: "string", default: process.execPath },
      "node-option": { type: "string", multiple: true, default: [] },
      "our-option": { type: "string", multiple: true, default: [] },
      verbose: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  }).values;

/** What the arguments ask for. */
export const wishesOf = (args: readonly string[]): Wishes | Mistake | "help" => {
  let values: ReturnType<typeof given>;
  try {
    values = given(args);
  } catch (error) {
    return { mistake: error instanceof Error ? error.message : String(error) };
  }
  if (values.help) return "help";
  const mistakes: string[] = [];
  const chosen = <T extends string>(words: string, allowed: readonly T[], what: string): readonly T[] =>
    words.split(",").flatMap((word) => {
      const found = allowed.find((name) => name === word);
      if (found === undefined) mistakes.push(`there is no ${what} ${word}, but ${allowed.join(", ")}`);
      return found ?? [];
    });
  const names = chosen(
    values.only,
    kinds.map(({ name }) => name),
    "kind",
  );
  const contenders = chosen(values.contenders, IDS, "contender");
  const bits = chosen(values.bits, ["64", "32"], "suite").map((word) => Number(word) as Bits);
  const [size = "normal"] = chosen<Size>(values.size, ["normal", "short"], "size");
  const [clock = "wall"] = chosen<Clock>(values.clock, ["wall", "processor"], "clock");
  const rounds = Number(values.rounds);
  if (!(rounds >= 1)) mistakes.push(`--rounds wants a number, not ${values.rounds}`);
  const [mistake] = mistakes;
  if (mistake !== undefined) return { mistake };
  return {
    // In the order of the tables, native first: its checksums are those that count.
    contenders: IDS.filter((id) => contenders.includes(id)),
    work: kinds.filter(({ name }) => names.includes(name)),
    ...{ bits, rounds, size, clock },
    ...{ json: values.json, from: values.from, chart: values.chart, docs: values.docs },
    cli: values.ours === undefined ? undefined : resolve(values.ours),
    node: values.node,
    nodeOptions: values["node-option"],
    ourOptions: values["our-option"],
    verbose: values.verbose,
  };
};
