/**
 * Random programs on evaluator, interpreter and JIT: `npm run programs`. Arguments: how many programs (half of them 32-bit code), the
 * first seed, and the tier beside the evaluator, if not both. One line for each difference, a summary per tier, exit status 1 if there was one.
 */
import { places } from "./program-places.ts";
import { trial } from "./random-trial.ts";
import { TwoTiers } from "./two-tiers.ts";

const [programsText, firstText, tierText] = process.argv.slice(2);
const programs = Number(programsText ?? 5000);
const first = Number(firstText ?? 0);
let differences = 0;

for (const tier of ["interpreter", "jit"] as const) {
  if (tierText !== undefined && tierText !== tier) continue;
  let two = new TwoTiers(places.ramBytes, tier);
  const sum = { programs: 0, instructions: 0, ranRegions: 0, regionEntries: 0, regions: 0 };
  const usedBefore = process.cpuUsage().user;
  for (let n = 0; n < programs; n++) {
    if (n > 0 && n % 500 === 0) process.stdout.write(`${tier}: ${n} programs, ${differences} differences\n`);
    const { difference, compared, entries, regions } = trial(two, first + (n >> 1), n & 1 ? 64 : 32);
    sum.programs++;
    sum.instructions += compared;
    sum.regionEntries += entries;
    sum.regions += regions;
    if (entries > 0) sum.ranRegions++;
    if (difference === undefined) continue;
    differences++;
    process.stdout.write(`${difference}\n`);
    two = new TwoTiers(places.ramBytes, tier);
  }
  const cpuSeconds = Math.round((process.cpuUsage().user - usedBefore) / 1e5) / 10;
  process.stdout.write(`${tier}: ${JSON.stringify({ ...sum, cpuSeconds })}\n`);
  if (tier === "jit" && sum.ranRegions < programs / 2) {
    process.stdout.write("fewer than half of the programs ran regions\n");
    differences++;
  }
}
process.stdout.write(`${differences} differences\n`);
process.exitCode = differences === 0 ? 0 : 1;
