import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import type { VmxFailure } from "../../src/api/index.ts";
import { vmxKernel } from "../../src/guests/vmx-kernel.ts";
import { type KernelOutput, type Report, readKernelOutput, reportText } from "../../src/guests/vmx-report.ts";
import { disagreements, unexplained } from "./agreement.ts";
import { type CheckCase, checks } from "./cases/checks.ts";
import { tables } from "./cases/index.ts";
import { type Difference, differences } from "./differences.ts";
import { departure } from "./expectation.ts";
import { runOnOurs } from "./our-machine.ts";
import { randomDifferences } from "./random-differences.ts";
import { readVectors, vectorPath } from "./vectors.ts";

/**
 * The VMX test kernel on this machine: each VM entry comes to what the SDM says, and to what Bochs made of it, but for
 * differences that docs/QUIRKS.md explains.
 */

/** Where this machine departs from the SDM, as docs/QUIRKS.md says under "Time". */
const ourDepartures: ReadonlySet<string> = new Set(["the monitor trap flag between the iterations of REP"]);

const outputs = new Map<string, KernelOutput>();
const failures: VmxFailure[] = [];
/** Failed VM entries; the kernel's search for the fields of the VMCS fails on purpose, too. */
const noteEntry = (failure: VmxFailure): void => {
  if (failure.instruction === "VMLAUNCH") failures.push(failure);
};
beforeAll(async () => {
  for (const [table, cases] of Object.entries(tables)) {
    const { serial, reason } = await runOnOurs(vmxKernel(cases), {
      ...(table === "checks" ? { onFailure: noteEntry } : {}),
    });
    expect([table, reason]).toEqual([table, "debug-exit"]);
    outputs.set(table, readKernelOutput(serial));
  }
}, 120_000);

const reportsOf = (table: string, number: number): readonly Report[] =>
  outputs.get(table)!.cases.get(number) ?? [];

describe.each(Object.entries(tables))("VMX cases: %s", (table, cases) => {
  it("have names of their own", () => {
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  it("run to their end", () => {
    expect(outputs.get(table)!.complete).toBe(true);
  });

  it.each(cases.map((row, number) => [row.name, row, number] as const))("%s", (name, row, number) => {
    const reports = reportsOf(table, number);
    const steps = Math.max(reports.length, row.expect.length);
    const departures = Array.from({ length: steps }, (_, step) => departure(row.expect[step], reports[step]));
    expect(departures.filter((text) => text !== undefined)).toHaveLength(ourDepartures.has(name) ? 1 : 0);
  });
});

describe("agreement with Bochs", () => {
  const used = new Set<Difference>();
  it.each(Object.keys(tables))("%s: every difference is explained", (table) => {
    const recorded = readVectors(readFileSync(vectorPath(table), "utf8"));
    const unknown: string[] = [];
    for (const [number, { name }] of tables[table]!.entries()) {
      const [ours, bochs] = [reportsOf(table, number), recorded.get(name)];
      if (bochs === undefined) unknown.push(`${name}: not recorded`);
      for (let step = 0; step < Math.max(ours.length, bochs?.length ?? 0); step++) {
        const [first, second] = [ours[step], bochs?.[step]];
        const left = unexplained(name, disagreements(first, second), first, second);
        for (const row of left.used) used.add(row);
        if (left.names.length > 0)
          unknown.push(
            `${name}: ${left.names.join(", ")}: ${first && reportText(first)} / ${second && reportText(second)}`,
          );
      }
    }
    expect(unknown).toEqual([]);
  });

  it("needs each explanation", () => {
    expect(differences.filter((row) => !used.has(row)).map(({ quirk }) => quirk)).toEqual([]);
  });

  it("has a row in QUIRKS.md for each, and no others", () => {
    const quirks = readFileSync("docs/QUIRKS.md", "utf8");
    const section = quirks.slice(quirks.indexOf("## VT-x beside Bochs\n"));
    const rows = section.slice(0, section.indexOf("\n## ")).match(/^\| [^|]+/gm) ?? [];
    const titles = rows
      .map((row) => row.slice(2).trim())
      .filter((title) => title !== "what" && title !== "---");
    const needed = new Set([...differences, ...randomDifferences].map(({ quirk }) => quirk));
    expect(titles.toSorted()).toEqual([...needed].toSorted());
  });
});

describe("the explainer", () => {
  it("names the violated check of every failed VM entry", () => {
    expect(failures.length).toBe(checks.length);
    const missed = checks.filter(
      ({ check }: CheckCase, number) =>
        !failures[number]!.failures.some((failure) => failure.check === check),
    );
    expect(missed.map(({ check }) => check)).toEqual([]);
  });

  it("names the one first that decides how the entry ends", () => {
    const wrong = checks.filter(({ first }, number) => failures[number]!.failures[0]?.check !== first);
    expect(wrong.map(({ check }) => check)).toEqual([]);
  });
});
