import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { reportText } from "../../src/guests/vmx-report.ts";
import { tables } from "../../test/vmx/cases/index.ts";
import { vectorPath } from "../../test/vmx/vectors.ts";
import { casesOnBochs } from "./run-cases.ts";

/** Records what Bochs makes of the tables of VMX cases, all or those named: tsx tools/vmx/record-bochs.ts [TABLE ...] */
const main = async (): Promise<void> => {
  const wanted = process.argv.slice(2);
  for (const [table, cases] of Object.entries(tables)) {
    if (wanted.length > 0 && !wanted.includes(table)) continue;
    const reports = await casesOnBochs(cases);
    const lines = cases.flatMap(({ name }, number) => {
      const found = reports[number] ?? [];
      return found.length === 0
        ? [`${name} | stops`]
        : found.map((report) => `${name} | ${reportText(report)}`);
    });
    mkdirSync(dirname(vectorPath(table)), { recursive: true });
    writeFileSync(vectorPath(table), `; Bochs 2.7, CPU model corei7_icelake_u\n${lines.join("\n")}\n`);
    console.log(`${table}: ${cases.length} cases`);
  }
};
await main();
