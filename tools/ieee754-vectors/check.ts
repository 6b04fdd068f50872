/**
 * `npx tsx tools/ieee754-vectors/check.ts SEED CASES [MNEMONIC-PREFIX...]`: executes CASES random cases per mnemonic on this
 * processor and replays them at once, without recording. Prints each mnemonic with disagreements, and the first few.
 */
import { spawnSync } from "node:child_process";
import { agrees, isTranscendental, nearlyAgrees, replay } from "../../src/base/ieee754/recorded.fixture.ts";
import { withGenerator } from "./generator.ts";

const SHOWN = 5;
/** Cases per run of the generator: bounds the text held at a time. */
const PORTION = 20_000;

const [seed = "1", cases = "10000", ...prefixes] = process.argv.slice(2);
const executed = new Map<string, number>();
const wrong = new Map<string, string[]>();
const off = new Map<string, number>();

withGenerator((program) => {
  let rest = Number(cases);
  for (let portion = 0; rest > 0; portion += 1, rest -= PORTION) {
    const count = Math.min(rest, PORTION);
    const seedOfPortion = BigInt(seed) * 1_000_003n + BigInt(portion);
    const run = spawnSync(program, [`${seedOfPortion}`, `${count}`, ...prefixes], { maxBuffer: 2 ** 30 });
    if (run.status !== 0) throw new Error(`the generator failed: ${run.stderr}`);
    for (const line of run.stdout.toString().trimEnd().split("\n")) {
      const mnemonic = line.slice(0, line.indexOf(" "));
      executed.set(mnemonic, (executed.get(mnemonic) ?? 0) + 1);
      const replayed = replay(line);
      if (replayed && agrees(replayed)) continue;
      if (replayed && isTranscendental(mnemonic) && nearlyAgrees(replayed)) {
        off.set(mnemonic, (off.get(mnemonic) ?? 0) + 1);
        continue;
      }
      const lines = wrong.get(mnemonic) ?? [];
      wrong.set(mnemonic, lines);
      lines.push(line);
    }
  }
});

let total = 0;
let failures = 0;
for (const [mnemonic, count] of executed) {
  total += count;
  const lines = wrong.get(mnemonic) ?? [];
  failures += lines.length;
  if (off.has(mnemonic))
    console.log(`${mnemonic}: ${off.get(mnemonic)} of ${count} off by one in the last place`);
  if (lines.length > 0) console.log(`${mnemonic}: ${lines.length} of ${count} wrong`);
  for (const line of lines.slice(0, SHOWN)) {
    const actual = replay(line)?.actual;
    const results = actual?.results.map((bits) => bits.toString(16)).join();
    console.log(`  ${line}\n    here ${results} ${actual?.status.toString(16)}`);
  }
}
console.log(`${total} executions, ${failures} wrong`);
process.exitCode = failures > 0 ? 1 : 0;
