/**
 * `npm run bench`: kinds of guest work, each with a checksum, natively and on this machine, QEMU's translator, v86 and Bochs. Time
 * is the host's, from one mark on the guest's serial port to the next. `npm run bench -- --help` tells the options.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chart } from "./bench/chart.ts";
import { makeSuite, type Suite } from "./bench/guest.ts";
import { type Measurements, Measurer } from "./bench/measure.ts";
import { help, type Wishes, wishesOf } from "./bench/options.ts";
import { aligned, className, markdown, suiteTable, withTables } from "./bench/report.ts";
import { rowsOf, wrongs } from "./bench/results.ts";
import { root } from "./contenders.ts";

const caches = { guests: join(root, ".cache", "guests"), bench: join(root, ".cache", "bench") };
const progress = (line: string): void => void process.stderr.write(`${line}\n`);

const measured = async (wishes: Wishes): Promise<Measurements> => {
  const suites: Suite[] = [];
  for (const bits of wishes.bits) {
    const suite = await makeSuite(bits, caches, progress);
    if ("unavailable" in suite) console.log(`The ${bits}-bit suite is left out: ${suite.unavailable}`);
    else suites.push(suite);
  }
  const measurer = new Measurer(wishes, caches.bench, progress);
  await measurer.prepare(caches.guests, (sentence) => console.log(sentence));
  const started = performance.now();
  const measurements = await measurer.measure(suites);
  progress(`${((performance.now() - started) / 60_000).toFixed(1)} minutes`);
  return measurements;
};

const bench = async (wishes: Wishes): Promise<number> => {
  const { from, json, clock } = wishes;
  const measurements =
    from === undefined ? await measured(wishes) : (JSON.parse(readFileSync(from, "utf8")) as Measurements);
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(measurements, null, 1)}\n`);
  const rows = rowsOf(measurements.samples, clock);
  const tables = [...new Set(rows.map(({ bits }) => bits))].map((bits) => suiteTable(rows, bits));
  for (const table of tables) console.log(`\n${aligned(table)}`);
  console.log(
    `\nSeconds of ${clock} time, the least of all rounds, and how many times as long as native; * marks a shorter run.`,
  );
  const mistakes = [...measurements.failures, ...wrongs(rows)];
  for (const mistake of mistakes) console.log(`FAILED: ${mistake}`);
  const about = className(measurements);
  const drawing = chart(rows, about);
  if (wishes.chart !== undefined) writeFileSync(wishes.chart, drawing);
  if (wishes.docs) {
    const page = join(root, "docs", "BENCH.md");
    const text = [about, ...tables.map(markdown)].join("\n\n");
    writeFileSync(page, withTables(readFileSync(page, "utf8"), text));
    writeFileSync(join(root, "docs", "bench.svg"), drawing);
  }
  return mistakes.length > 0 ? 1 : 0;
};

const wishes = wishesOf(process.argv.slice(2));
if (wishes === "help") console.log(help);
else if ("mistake" in wishes) {
  console.error(`bench: ${wishes.mistake}; see npm run bench -- --help`);
  process.exitCode = 2;
} else process.exitCode = await bench(wishes);
