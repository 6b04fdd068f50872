import type { Report, ReportKind } from "../../src/guests/vmx-report.ts";

/**
 * What Bochs made of the cases, as tools/vmx/record-bochs.ts writes it down: a line per VM entry, "case name | what the
 * kernel reported". A case in which Bochs stopped has "stops". Lines that begin with ";" are for people.
 */

export const vectorPath = (table: string): string => `test/vectors/vmx/${table.replaceAll(" ", "-")}.txt`;

/** "X exit.reason=c ...", as `reportText` writes it. */
export const parseReport = (text: string): Report => {
  const [kind = "", ...words] = text.split(" ");
  return {
    kind: kind as ReportKind,
    changes: new Map(
      words.map((word) => {
        const [name = "", value = "0"] = word.split("=");
        return [name.replace(":", " "), BigInt(`0x${value}`)];
      }),
    ),
  };
};

/** Reports by name of case; an empty list: Bochs stopped. */
export const readVectors = (text: string): ReadonlyMap<string, readonly Report[]> => {
  const recorded = new Map<string, Report[]>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith(";")) continue;
    const [name = "", report = ""] = line.split(" | ");
    const reports = recorded.get(name) ?? [];
    if (report !== "stops") reports.push(parseReport(report));
    recorded.set(name, reports);
  }
  return recorded;
};
