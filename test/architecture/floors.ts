import {
  isFixture,
  isProduct,
  isTest,
  resolveSpecifier,
  type SourceFile,
  specifiersOf,
  type Violation,
} from "./source-text.ts";

/** The floors of src/, lowest first: a file imports its own floor and those below. */
// biome-ignore format: one list
export const floors = [
  "base", "arch", "wasm", "ir", "isa", "asm", "guests", "state", "codegen", "cpu", "vmx", "bus", "devices", "machine",
  "hypervisors", "debug", "api", "cli", "web",
] as const;

/** Floors that may import less than all below them. */
const onlyThese: Readonly<Record<string, readonly string[]>> = {
  bus: ["base"],
  devices: ["bus", "base", "arch"],
  guests: ["asm", "isa", "ir", "arch", "base"],
  cli: ["api"],
  web: ["api"],
};

export const floorOf = (path: string): string | undefined => /^src\/([^/]+)\//.exec(path)?.[1];

/** Imports of product files that go up, sideways where they must not, nowhere, or out of the product. */
export const floorViolations = (files: readonly SourceFile[]): Violation[] => {
  const paths = new Set(files.map(({ path }) => path));
  const violations: Violation[] = [];
  for (const file of files) {
    const { path } = file;
    if (!isProduct(path)) continue;
    const refuse = (says: string): number => violations.push({ path, says });
    const floor = floorOf(path) ?? "";
    const level = (floors as readonly string[]).indexOf(floor);
    if (level < 0) {
      refuse("stands on no floor");
      continue;
    }
    for (const specifier of specifiersOf(file)) {
      if (!specifier.startsWith(".")) {
        if (!specifier.startsWith("node:"))
          refuse(`imports the package ${specifier}: the product has no dependencies`);
        continue;
      }
      const target = resolveSpecifier(path, specifier);
      const targetFloor = floorOf(target);
      if (isTest(target) || isFixture(target) || target.startsWith("test/")) continue; // isolationViolations
      if (!paths.has(target)) refuse(`imports ${specifier}, which is not there`);
      else if (targetFloor === undefined) refuse(`imports ${target}, which is not of the product`);
      else if (targetFloor === floor) continue;
      else if (onlyThese[floor] && !onlyThese[floor].includes(targetFloor))
        refuse(`imports ${target}: ${floor} imports only ${onlyThese[floor].join(", ")}`);
      else if ((floors as readonly string[]).indexOf(targetFloor) > level)
        refuse(`imports ${target}: ${targetFloor} is above ${floor}`);
    }
  }
  return violations;
};

/** Tests and fixtures are the end of the line: the product imports neither, and nothing imports a test. */
export const isolationViolations = (files: readonly SourceFile[]): Violation[] => {
  const violations: Violation[] = [];
  for (const file of files) {
    if (!file.path.endsWith(".ts")) continue;
    for (const specifier of specifiersOf(file)) {
      if (!specifier.startsWith(".")) continue;
      const target = resolveSpecifier(file.path, specifier);
      if (isTest(target)) violations.push({ path: file.path, says: `imports the test ${target}` });
      else if (isProduct(file.path) && (isFixture(target) || target.startsWith("test/")))
        violations.push({ path: file.path, says: `imports ${target}, which only tests may` });
    }
  }
  return violations;
};

/** Each set of files that import each other in a circle, as one such circle; values and types alike. */
export const importCycles = (files: readonly SourceFile[]): string[][] => {
  const edges = new Map<string, string[]>();
  for (const file of files)
    if (isProduct(file.path))
      edges.set(
        file.path,
        specifiersOf(file)
          .filter((specifier) => specifier.startsWith("."))
          .map((specifier) => resolveSpecifier(file.path, specifier)),
      );
  const cycles: string[][] = [];
  const finished = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    if (finished.has(path)) return;
    const before = trail.indexOf(path);
    if (before >= 0) {
      cycles.push([...trail.slice(before), path]);
      return;
    }
    trail.push(path);
    for (const target of edges.get(path) ?? []) visit(target);
    trail.pop();
    finished.add(path);
  };
  for (const path of edges.keys()) visit(path);
  return cycles;
};
