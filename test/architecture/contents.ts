import type { SourceFile, Violation } from "./source-text.ts";

/** Places of one machine, and hosts that packages come from there: a fresh clone elsewhere must not meet them. */
const machinePath = /(?<![\w.])\/(?:work|tmp|home|root|Users)\/[\w.-]|\b[A-Z]:\\+Users\b/;
const registryHost = /https?:\/\/[^\s"'/]*(?:registry|artifact|nexus|mirror|proxy)[^\s"'/]*|"resolved"[ ]*:/i;

export const placeViolations = (files: readonly SourceFile[]): Violation[] =>
  files.flatMap(({ path, source }) => {
    const found = machinePath.exec(source)?.[0] ?? registryHost.exec(source)?.[0];
    return found === undefined ? [] : [{ path, says: `has "${found}", which is of one machine` }];
  });

/** Guest images and programs are made where they are needed, never committed; recorded vectors may be compressed. */
export const binaryViolations = (files: readonly SourceFile[]): Violation[] =>
  files
    .filter(({ path, source }) => !path.startsWith("test/vectors/") && source.includes("\0"))
    .map(({ path }) => ({ path, says: "is binary" }));

/** Groups of package.json whose packages an installation brings along. */
const runtimeGroups = [
  "dependencies",
  "optionalDependencies",
  "peerDependencies",
  "bundledDependencies",
  "bundleDependencies",
];

export const dependencyViolations = (packageJson: string): Violation[] => {
  const groups = JSON.parse(packageJson) as Record<string, object | undefined>;
  return runtimeGroups
    .filter((group) => Object.keys(groups[group] ?? {}).length > 0)
    .map((group) => ({ path: "package.json", says: `has ${group}: the product has no dependencies` }));
};
