import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";

/** All modules that a compiled file imports, directly or not; those that are not our own by their bare names. */
const importsOf = (entry: string): Set<string> => {
  const found = new Set<string>();
  const visit = (path: string): void => {
    if (found.has(path)) return;
    found.add(path);
    const source = readFileSync(path, "utf8");
    for (const [, name = ""] of source.matchAll(
      /^(?:import|export)\b[^;]*?from\s*"([^"]+)"|^import\s*"([^"]+)"/gm,
    ))
      if (name.startsWith(".")) visit(normalize(join(dirname(path), name)));
      else found.add(name);
  };
  visit(entry);
  return found;
};

describe("the library", () => {
  it("loads where there is no Node: it imports files of its own alone", () => {
    const modules = [...importsOf("dist/api/index.js")];
    expect(modules.length).toBeGreaterThan(50);
    expect(modules.filter((name) => !name.startsWith("dist/"))).toEqual([]);
  });

  it("has Node's parts behind worldswitch/node", () => {
    expect([...importsOf("dist/api/node/index.js")]).toContain("node:fs");
  });
});
