import { describe, expect, it } from "vitest";
import { exitTable } from "./exit-table.ts";

describe("the table of VM exits", () => {
  it("has a line per reason, in columns", () => {
    const text = exitTable([
      {
        reason: 30,
        name: "IO_INSTRUCTION",
        count: 12_000,
        share: 0.96,
        meanHandlerInstructions: 152.4,
        longestHandlerInstructions: 30_001,
      },
      {
        reason: 10,
        name: "CPUID",
        count: 499,
        share: 0.03992,
        meanHandlerInstructions: 40,
        longestHandlerInstructions: 41,
      },
      {
        reason: 12,
        name: "HLT",
        count: 1,
        share: 0.00008,
        meanHandlerInstructions: undefined,
        longestHandlerInstructions: undefined,
      },
    ]);
    expect(text).toBe(
      `VM exits: 12,500; a handler is what runs from the exit to the next VM entry of the same VMCS, in instructions
reason                   count   share  mean handler  longest
    30  IO_INSTRUCTION  12,000  96.0 %           152   30,001
    10  CPUID              499   4.0 %            40       41
    12  HLT                  1   0.0 %             -        -
`,
    );
  });

  it("says so when there were none", () => {
    expect(exitTable([])).toBe("VM exits: none\n");
  });
});
