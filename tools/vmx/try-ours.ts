import { vmxKernel } from "../../src/guests/vmx-kernel.ts";
import { readKernelOutput, reportText } from "../../src/guests/vmx-report.ts";
import { tables } from "../../test/vmx/cases/index.ts";
import { departure } from "../../test/vmx/expectation.ts";
import { runOnOurs } from "../../test/vmx/our-machine.ts";

/** Runs tables of cases (all, or those named) on our machine and lists where it departs from what the SDM says. */
const main = async (): Promise<void> => {
  const wanted = process.argv.slice(2);
  for (const [table, cases] of Object.entries(tables)) {
    if (wanted.length > 0 && !wanted.includes(table)) continue;
    const { serial, reason } = await runOnOurs(vmxKernel(cases));
    const output = readKernelOutput(serial);
    let wrong = 0;
    for (const [number, test] of cases.entries()) {
      const reports = output.cases.get(number) ?? [];
      for (let i = 0; i < Math.max(reports.length, test.expect.length); i++) {
        const found = departure(test.expect[i], reports[i]);
        if (found === undefined) continue;
        wrong++;
        console.log(`${test.name}: ${found}\n      ${reports[i] ? reportText(reports[i]!) : ""}`);
      }
    }
    console.log(
      `${table}: ${cases.length} cases, ${wrong} departures, ${reason}, ${output.complete ? "complete" : `...${serial.slice(-300)}`}`,
    );
  }
};
await main();
