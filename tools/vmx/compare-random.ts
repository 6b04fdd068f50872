import { readFileSync } from "node:fs";
import { randomVmcsKernel } from "../../src/guests/vmx-random.ts";
import { readKernelOutput } from "../../src/guests/vmx-report.ts";
import { runOnOurs } from "../../test/vmx/our-machine.ts";
import { randomDifferences } from "../../test/vmx/random-differences.ts";
import { randomVectorPath, readRandomVectors, verdictOf } from "../../test/vmx/random-verdict.ts";

const main = async (): Promise<void> => {
  const bochs = readRandomVectors(readFileSync(randomVectorPath, "utf8"));
  const { serial, reason } = await runOnOurs(
    randomVmcsKernel({ kind: "near", first: 0, count: bochs.length }),
    {},
    1e10,
  );
  const { random } = readKernelOutput(serial);
  console.log(reason, random.size);
  const uses = new Map<string, number>();
  for (const [seed, theirs] of bochs.entries()) {
    const line = random.get(seed);
    if (line === undefined) {
      console.log("lost", seed);
      break;
    }
    const ours = verdictOf(line);
    if (ours.outcome === theirs.outcome && ours.checksum === theirs.checksum) continue;
    const row = randomDifferences.find((candidate) => candidate.explains(ours, theirs));
    if (row) uses.set(row.quirk, (uses.get(row.quirk) ?? 0) + 1);
    else
      console.log(
        seed,
        ours.outcome,
        theirs.outcome,
        ours.checksum === theirs.checksum,
        ours.base,
        [...ours.changes].map(([name, value]) => `${name}=${value.toString(16)}`).join(" "),
      );
  }
  console.log(uses);
};
await main();
