/** `npm test`: lint, types, unit and system tests, from a fresh clone. Ends with the line "N passed, N failed". */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { installDependencies, root, run } from "./bootstrap.mjs";

installDependencies();

const tool = (name) => join(root, "node_modules", ".bin", name);
const results = join(root, ".cache", "test-results.json");
mkdirSync(join(root, ".cache"), { recursive: true });
rmSync(results, { force: true });

let passed = 0;
let failed = 0;
const count = (isRight, what) => {
  if (isRight) passed++;
  else failed++;
  console.log(`${isRight ? "passed" : "FAILED"}: ${what}`);
};

count(run(tool("biome"), ["check", "--error-on-warnings", "."]), "lint and format (biome check)");
count(run(tool("tsc"), ["--noEmit"]), "types (tsc)");
const isGreen = run(tool("vitest"), [
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${results}`,
  ...process.argv.slice(2),
]);
try {
  const totals = JSON.parse(readFileSync(results, "utf8"));
  passed += totals.numPassedTests;
  failed += totals.numFailedTests;
  // A file that cannot be loaded has no tests that could fail.
  if (!isGreen && totals.numFailedTests === 0) failed += Math.max(1, totals.numFailedTestSuites);
} catch {
  failed++;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
