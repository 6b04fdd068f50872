import { describe, expect, it } from "vitest";
import type { VmxFailure } from "../api/index.ts";
import { paintFor } from "./paint.ts";
import { failureReporter } from "./vmx-reports.ts";

const failureAt = (rip: number, number = 12): VmxFailure => ({
  instruction: "VMREAD",
  kind: "VMfailValid",
  number,
  says: "VMREAD/VMWRITE from/to unsupported VMCS component",
  hint: "no field has this encoding",
  cpu: 0,
  instructionNumber: 1234567,
  rip: `0x${rip.toString(16)}`,
  operands: [{ operand: "RDX", value: "0x2ffe", means: "no field known here" }],
  failures: [],
  checks: 0,
});

describe("failing VMX instructions", () => {
  it("are told with what they did", () => {
    const told: string[] = [];
    failureReporter(
      (text) => told.push(text),
      (_style, text) => text,
    )(failureAt(0x1000));
    expect(told).toEqual([
      `worldswitch: a VMX instruction failed (each failure is told once)
VMREAD at RIP 0x1000, instruction 1,234,567 of processor 0
VMfailValid(12): VMREAD/VMWRITE from/to unsupported VMCS component
   operand   RDX = 0x2ffe: no field known here
   fix       no field has this encoding
`,
    ]);
  });

  it("are told once, however often a loop repeats them", () => {
    const told: string[] = [];
    const report = failureReporter(
      (text) => told.push(text),
      (_style, text) => text,
    );
    for (let time = 0; time < 5; time++) report(failureAt(0x1000));
    report(failureAt(0x1000, 13));
    report(failureAt(0x1003));
    expect(told).toHaveLength(3);
  });

  it("of a guest that makes ever new ones are told up to a limit", () => {
    const told: string[] = [];
    const report = failureReporter(
      (text) => told.push(text),
      (_style, text) => text,
    );
    for (let rip = 0; rip < 1000; rip++) report(failureAt(rip));
    expect(told).toHaveLength(21);
    expect(told.at(-1)).toBe("worldswitch: further failures of VMX instructions are not explained\n");
  });
});

describe("colours", () => {
  it("are for terminals that want them", () => {
    const terminal = { isTTY: true };
    expect(paintFor(terminal, { TERM: "xterm" })("bad", "no")).toBe("\u001b[31mno\u001b[0m");
    expect(paintFor(terminal, { TERM: "xterm", NO_COLOR: "1" })("bad", "no")).toBe("no");
    expect(paintFor(terminal, { TERM: "dumb" })("bad", "no")).toBe("no");
    expect(paintFor({}, { TERM: "xterm" })("bad", "no")).toBe("no");
    expect(paintFor(terminal, {})("faint", "   ")).toBe("   ");
  });
});
