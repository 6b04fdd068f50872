import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { caseGroups, outcomeText, places, recordedCases, recordedText } from "./cases.ts";
import { Replay } from "./replay.ts";

const recorded = new Map(
  readFileSync(new URL("../vectors/x87/outcomes.txt", import.meta.url), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [name, outcomes] = line.split(": ") as [string, string];
      return [name, outcomes.split(";")];
    }),
);
const groups = caseGroups(recordedCases);

describe("x87 instructions do what an Intel processor did", () => {
  it("has outcomes of every row, and no others", () => {
    expect(groups.map(({ name }) => name)).toEqual([...recorded.keys()]);
  });

  const replay = new Replay();
  it.each(groups)("$name", ({ name, cases }) => {
    const outcomes = cases.map((one) => recordedText(replay.run(one)));
    const differences = outcomes.flatMap((got, n) => (got === recorded.get(name)![n] ? [] : [{ n, got }]));
    expect(differences.map(({ n, got }) => `case ${n}: ${recorded.get(name)![n]}, here ${got}`)).toEqual([]);
    expect(outcomes).toHaveLength(recorded.get(name)!.length);
  });

  it("would be noticed to differ in C1, a pointer, a tag or a byte of memory", () => {
    const one = groups[0]!.cases[0]!;
    const { before } = one;
    const memory = before.memory.slice();
    memory[127]! ^= 1;
    const texts = [
      before,
      { ...before, FSW: before.FSW ^ 0x200 },
      { ...before, FIP: BigInt(places.code) },
      { ...before, inUse: before.inUse ^ 1 },
      { ...before, memory },
    ].map((after) => outcomeText(one, after, undefined));
    expect(new Set(texts).size).toBe(texts.length);
    expect(texts[0]).toBe("");
  });
});
