import { describe, expect, it } from "vitest";
import { goldenNames, readGolden } from "./files.ts";
import { regionText } from "./region-text.ts";
import { snippets } from "./snippets.ts";

/** The WebAssembly of small regions, to be read; `npm run golden:bless` after a change that is meant. */
describe("the region of", () => {
  it.each(Object.entries(snippets))("%s is the one that was blessed", (name, snippet) => {
    expect(regionText(name, snippet)).toBe(readGolden(name));
  });

  it("every golden file is made by a snippet", () => {
    expect(goldenNames()).toEqual(Object.keys(snippets).sort());
  });

  it("a snippet is the same text each time, and another when one constant of it changes", () => {
    const { "counted-loop": loop } = snippets;
    expect(regionText("a", loop!)).toBe(regionText("a", loop!));
    const other = { ...loop!, source: loop!.source.replace("rax, rbx", "rax, 17") };
    expect(regionText("a", other)).not.toBe(regionText("a", loop!));
  });
});
