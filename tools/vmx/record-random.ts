import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { randomVmcsKernel } from "../../src/guests/vmx-random.ts";
import { readKernelOutput } from "../../src/guests/vmx-report.ts";
import { randomVectorPath, verdictOf } from "../../test/vmx/random-verdict.ts";
import { runOnBochs } from "./bochs.ts";

/** Records Bochs's verdicts on random VMCSs of seeds from 0: tsx tools/vmx/record-random.ts [COUNT] */
const main = async (): Promise<void> => {
  const count = Number(process.argv[2] ?? 3000);
  const { serial } = await runOnBochs(randomVmcsKernel({ kind: "near", first: 0, count }), { seconds: 300 });
  const { random, complete } = readKernelOutput(serial);
  if (!complete || random.size !== count)
    throw new Error(`Bochs stopped after ${random.size} of ${count} seeds`);
  const words = Array.from({ length: count }, (_, seed) => {
    const { outcome, checksum } = verdictOf(random.get(seed)!);
    return `${outcome}.${checksum}`;
  });
  const lines: string[] = [];
  for (let at = 0; at < count; at += 8) lines.push(words.slice(at, at + 8).join(" "));
  mkdirSync(dirname(randomVectorPath), { recursive: true });
  writeFileSync(
    randomVectorPath,
    `; Bochs 2.7, CPU model corei7_icelake_u: verdicts on random VMCSs of seeds 0 to ${count - 1}\n${lines.join("\n")}\n`,
  );
};
await main();
