/**
 * `npx tsx tools/bench-revisions.ts OLD [NEW] [--pairs N] [--cpu MODEL]`: boots Debian's cloud kernel to its power-off on two revisions
 * of this machine in turns, and compares the processor time that each took: a busy host changes that little, and the median over
 * pairs less. NEW is HEAD unless given; --cpu is NEW's CPU model. Revisions are built under .cache/revisions and kept there.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { median, root, table } from "./contenders.ts";
import { debianGuest } from "./guests/guests.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { pairs: { type: "string", default: "5" }, cpu: { type: "string" } },
});
const pairs = Number(options.pairs);
const [oldName, newName = "HEAD"] = positionals;
if (oldName === undefined || !Number.isInteger(pairs) || pairs < 1) {
  console.error("give a revision, perhaps a second one, and --pairs N");
  process.exit(2);
}

const ran = (program: string, args: readonly string[], directory: string): string => {
  const child = spawnSync(program, args, { cwd: directory, encoding: "utf8", maxBuffer: 1 << 28 });
  if (child.status !== 0) throw new Error(`${program} ${args.join(" ")}: ${child.stdout}${child.stderr}`);
  return child.stdout.trim();
};

/** The command line program of a revision, built if it has not been. */
const built = (name: string): string => {
  const commit = ran("git", ["rev-parse", "--verify", `${name}^{commit}`], root);
  const directory = join(root, ".cache", "revisions", commit);
  const program = join(directory, "dist", "cli", "main.js");
  if (existsSync(program)) return program;
  mkdirSync(directory, { recursive: true });
  ran("sh", ["-c", `git archive ${commit} | tar -x -C '${directory}'`], root);
  const modules = join(directory, "node_modules");
  if (!existsSync(modules)) symlinkSync(join(root, "node_modules"), modules);
  ran(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"], directory);
  return program;
};

/** Ticks of processor time in user mode that children of this process have had: /proc/self/stat, cutime. */
const ticksPerSecond = 100;
const childSeconds = (): number => {
  const stat = readFileSync("/proc/self/stat", "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  return Number(stat[13]) / ticksPerSecond;
};

interface Boot {
  readonly seconds: number;
  readonly instructions: number;
}

const guest = await debianGuest("cloud-amd64", {
  cache: join(root, ".cache", "guests"),
  progress: (line) => void process.stderr.write(`${line}\n`),
});
if ("unavailable" in guest) {
  console.log(`nothing to boot: ${guest.unavailable}`);
  process.exit(1);
}
const append = 'console=ttyS0 quiet ws.run="true"';

const boot = (program: string, more: readonly string[]): Promise<Boot> =>
  new Promise((settle, refuse) => {
    const before = childSeconds();
    const words = [guest.kernel, "--initrd", guest.initrd, "--append", append, "--memory", "512"];
    const child = spawn(process.execPath, [program, "run", ...words, "--quiet", "--stats", "json", ...more], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let told = "";
    child.stderr.on("data", (chunk: Buffer) => {
      told += chunk.toString();
    });
    child.on("close", () => {
      const line = told.split("\n").find((candidate) => candidate.startsWith("{"));
      if (line === undefined) {
        refuse(new Error(told));
        return;
      }
      const { instructions } = JSON.parse(line) as { instructions: number };
      settle({ seconds: childSeconds() - before, instructions });
    });
  });

const contenders = [
  { name: oldName, program: built(oldName), more: [] as string[], boots: [] as Boot[] },
  { name: newName, program: built(newName), more: options.cpu ? ["--cpu", options.cpu] : [], boots: [] },
];
for (let pair = 1; pair <= pairs; pair++)
  for (const { name, program, more, boots } of pair % 2 ? contenders : [...contenders].reverse()) {
    const found = await boot(program, more);
    boots.push(found);
    process.stderr.write(`pair ${pair} of ${pairs}: ${name} ${found.seconds.toFixed(2)} s\n`);
  }

const perInstruction = (boots: readonly Boot[]): number =>
  median(boots.map(({ seconds, instructions }) => (seconds * 1e9) / instructions));
console.log(
  table([
    ["revision", "processor seconds, median", "least", "most", "instructions", "ns per instruction"],
    ...contenders.map(({ name, boots }) => {
      const seconds = boots.map((one) => one.seconds);
      const figures = [median(seconds), Math.min(...seconds), Math.max(...seconds)];
      return [
        name,
        ...figures.map((figure) => figure.toFixed(2)),
        String(boots[0]!.instructions),
        perInstruction(boots).toFixed(2),
      ];
    }),
  ]),
);
const [first, second] = contenders.map(({ boots }) => median(boots.map(({ seconds }) => seconds)));
console.log(`\n${newName} takes ${(second! / first!).toFixed(3)} of the processor time of ${oldName}.`);
