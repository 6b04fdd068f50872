import type { SourceFile, Violation } from "./source-text.ts";

/** Words that say nothing. */
// biome-ignore format: one list
const refusedWords = new Set([
  "util", "utils", "utility", "utilities", "helper", "helpers", "manager", "managers", "common", "misc", "handle", "data", "info",
  "process", "do", "my",
]);

/** A hypervisor's host runs processes: there, and only there, the word is a noun of the subject. */
const says = (path: string, word: string): boolean =>
  !refusedWords.has(word) || (word === "process" && path.startsWith("src/hypervisors/"));

const roomsOfCode = /^(?:src|test|tools)\//;
/** One or more words of lower-case letters and digits, then extensions. */
const kebabCase = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+)*$/;

/** The name that sites show a folder by. */
const lesson = "README.md";

/** Names of folders and files: kebab-case, none of the refused words. */
export const nameViolations = (files: readonly SourceFile[]): Violation[] => {
  const violations: Violation[] = [];
  for (const { path } of files) {
    if (!roomsOfCode.test(path)) continue;
    for (const step of path.split("/").slice(1)) {
      // The lesson of a folder has the name that everybody looks for.
      if (step === "README.md") continue;
      if (!kebabCase.test(step) && step !== lesson)
        violations.push({ path, says: `"${step}" is not in kebab-case` });
      for (const word of step.split(/[-._]/))
        if (!says(path, word.toLowerCase()))
          violations.push({ path, says: `"${word}" in its name says nothing` });
    }
  }
  return violations;
};

const exported = /^export (?:abstract )?(?:const|let|class|function|interface|type) (\w+)/gm;
const wordsOf = (name: string): string[] => name.split(/_|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/);

/** "Data" says what is not code, in the SDM's words, and may be part of an exported name. */
const refusedInExports = new Set([...refusedWords].filter((word) => word !== "data"));

/** Names that a product file exports. `allowed`: names in which a refused word is the manual's own. */
export const exportViolations = (files: readonly SourceFile[], allowed: ReadonlySet<string>): Violation[] => {
  const violations: Violation[] = [];
  for (const { path, source } of files) {
    if (!path.startsWith("src/") || !path.endsWith(".ts")) continue;
    for (const [, name] of source.matchAll(exported)) {
      const refused = wordsOf(name!).find(
        (word) => refusedInExports.has(word.toLowerCase()) && !says(path, word.toLowerCase()),
      );
      if (refused !== undefined && !allowed.has(name!))
        violations.push({ path, says: `exports ${name}: "${refused}" says nothing` });
    }
  }
  return violations;
};
