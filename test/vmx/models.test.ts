import { describe, expect, it } from "vitest";
import { vmxKernel } from "../../src/guests/vmx-kernel.ts";
import { readKernelOutput, reportText } from "../../src/guests/vmx-report.ts";
import { models } from "./cases/models.ts";
import { departure } from "./expectation.ts";
import { runOnOurs } from "./our-machine.ts";

/** VT-x of lesser processors: what a model does not offer is refused, and what it offers still works. */
describe.each(
  models.map((row) => [row.model.length > 60 ? "default without any control" : row.model, row] as const),
)("CPU model %s", (_title, { model, cases }) => {
  it("treats a VMM as the SDM says", async () => {
    const { serial, reason } = await runOnOurs(vmxKernel(cases), { model });
    expect(reason).toBe("debug-exit");
    const output = readKernelOutput(serial);
    const wrong = cases.flatMap(({ name, expect: [expected] }, number) => {
      const report = output.cases.get(number)?.[0];
      const found = departure(expected, report);
      return found === undefined ? [] : [`${name}: ${found} (${report && reportText(report)})`];
    });
    expect(wrong).toEqual([]);
  });
});
