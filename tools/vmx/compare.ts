import { readFileSync } from "node:fs";
import { vmxKernel } from "../../src/guests/vmx-kernel.ts";
import { readKernelOutput, reportText } from "../../src/guests/vmx-report.ts";
import { disagreements, unexplained } from "../../test/vmx/agreement.ts";
import { tables } from "../../test/vmx/cases/index.ts";
import { type Difference, differences } from "../../test/vmx/differences.ts";
import { runOnOurs } from "../../test/vmx/our-machine.ts";
import { readVectors, vectorPath } from "../../test/vmx/vectors.ts";

const used = new Set<Difference>();
const main = async (): Promise<void> => {
  const wanted = process.argv.slice(2);
  for (const [table, cases] of Object.entries(tables)) {
    if (wanted.length > 0 && !wanted.includes(table)) continue;
    const { serial } = await runOnOurs(vmxKernel(cases));
    const output = readKernelOutput(serial);
    const bochs = readVectors(readFileSync(vectorPath(table), "utf8"));
    let explained = 0;
    for (const [number, { name }] of cases.entries()) {
      const ours = output.cases.get(number) ?? [];
      const theirs = bochs.get(name) ?? [];
      for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
        const names = disagreements(ours[i], theirs[i]);
        if (names.length === 0) continue;
        const left = unexplained(name, names, ours[i], theirs[i]);
        for (const row of left.used) used.add(row);
        if (left.names.length === 0) {
          explained++;
          continue;
        }
        console.log(
          `${name}: ${left.names.join(", ")}\n  ours  ${ours[i] ? reportText(ours[i]!) : "-"}\n  Bochs ${theirs[i] ? reportText(theirs[i]!) : "-"}`,
        );
      }
    }
    console.log(`${table}: ${explained} explained`);
  }
};
await main();
for (const row of differences) if (!used.has(row)) console.log(`not needed: ${row.quirk}`);
