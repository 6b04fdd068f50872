import { vmxKernel } from "../../src/guests/vmx-kernel.ts";
import { type Report, readKernelOutput } from "../../src/guests/vmx-report.ts";
import type { ConformanceCase } from "../../test/vmx/expectation.ts";
import { runOnBochs } from "./bochs.ts";

/** Reports by case; undefined where Bochs stopped or hung in the case. */
export const casesOnBochs = async (
  cases: readonly ConformanceCase[],
): Promise<readonly (readonly Report[] | undefined)[]> => {
  const reports: (readonly Report[] | undefined)[] = [];
  while (reports.length < cases.length) {
    const rest = cases.slice(reports.length);
    const { serial } = await runOnBochs(vmxKernel(rest), { seconds: 60, silentSeconds: 6 });
    const output = readKernelOutput(serial);
    // A case is whole when the next one has begun, or the kernel has come to its end.
    const whole = output.complete ? rest.length : Math.max(-1, ...output.cases.keys());
    for (let i = 0; i < whole; i++) reports.push(output.cases.get(i) ?? []);
    if (output.complete) break;
    const partial = whole < 0 ? undefined : output.cases.get(whole);
    // The last line may be cut off: the case counts as whole if it has all its lines, and the next one stopped it.
    if (partial !== undefined && partial.length >= rest[whole]!.expect.length) {
      reports.push(partial);
      if (reports.length < cases.length) reports.push(undefined);
    } else reports.push(undefined);
  }
  return reports;
};
