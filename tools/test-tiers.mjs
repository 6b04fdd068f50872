/**
 * `npm run test:tiers [-- TIER...] [-- vitest's arguments]`: the whole suite on the interpreter alone, with the JIT forced (whatever is
 * entered is hot), and with defaults; one after the other, one file at a time. A table at the end; exit status 1 when a test failed.
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { setPriority } from "node:os";
import { join, relative } from "node:path";
import { installDependencies, root, run } from "./bootstrap.mjs";

const known = ["interpreter", "jit-forced", "jit"];
const words = process.argv.slice(2);
const chosen = words.filter((word) => known.includes(word));
const rest = words.filter((word) => !known.includes(word));
const tiers = chosen.length > 0 ? chosen : known;

installDependencies();
setPriority(10);
const cache = join(root, ".cache");
mkdirSync(cache, { recursive: true });

const rows = [];
for (const tier of tiers) {
  const results = join(cache, `test-results-${tier}.json`);
  rmSync(results, { force: true });
  const began = performance.now();
  run(
    join(root, "node_modules", ".bin", "vitest"),
    [
      "run",
      "--no-file-parallelism",
      "--testTimeout=300000",
      "--reporter=default",
      "--reporter=json",
      `--outputFile.json=${results}`,
      ...rest,
    ],
    { env: { ...process.env, WORLDSWITCH_TIER: tier } },
  );
  const seconds = Math.round((performance.now() - began) / 1000);
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(results, "utf8"));
    const failed = testResults
      .filter(({ status }) => status === "failed")
      .map(({ name }) => relative(root, name));
    rows.push({
      tier,
      passed: numPassedTests,
      failed: Math.max(numFailedTests, failed.length),
      seconds,
      files: failed,
    });
  } catch {
    rows.push({ tier, passed: 0, failed: 1, seconds, files: ["(no results)"] });
  }
}
console.log("\ntier         passed  failed  seconds");
for (const { tier, passed, failed, seconds, files } of rows)
  console.log(
    [
      tier.padEnd(12),
      `${passed}`.padStart(6),
      `${failed}`.padStart(7),
      `${seconds}`.padStart(8),
      ` ${files.join(" ")}`,
    ]
      .join(" ")
      .trimEnd(),
  );
process.exitCode = rows.some(({ failed }) => failed > 0) ? 1 : 0;
