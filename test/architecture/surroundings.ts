import { floorOf, floors } from "./floors.ts";
import { codeOfFile, isProduct, type SourceFile, specifiersOf, type Violation } from "./source-text.ts";

/**
 * What the machine must not see of the world around it: Node, the page, wall-clock time, chance. Otherwise a run is not a
 * function of its configuration and inputs alone.
 */
// biome-ignore format: one list
const surroundings = [
  "process", "Buffer", "require", "__dirname", "__filename", "console", "globalThis",
  "window", "document", "navigator", "localStorage", "Worker", "postMessage", "fetch", "WebSocket", "XMLHttpRequest",
  "Date", "performance", "setTimeout", "setInterval", "setImmediate", "queueMicrotask", "requestAnimationFrame",
  "crypto", "Intl",
];

/** Floors that live without: everything up to the machine itself. */
const pureFloors: readonly string[] = floors.slice(0, floors.indexOf("machine") + 1);

/** Not a property, not a key, and not the name of a method being declared. */
const useOf = (name: string): RegExp => new RegExp(`(?<![.\\w$#])${name}\\b(?!\\s*\\??:)(?!\\(.*\\{$)`, "m");
const declarationOf = (name: string): RegExp =>
  new RegExp(`\\b(?:const|let|function|class|type|interface)\\s+${name}\\b`);
const checks = surroundings.map((name) => ({ name, use: useOf(name), declaration: declarationOf(name) }));
const anyOfThem = new RegExp(`\\b(?:${surroundings.join("|")})\\b`);

export const surroundingsViolations = (files: readonly SourceFile[]): Violation[] => {
  const violations: Violation[] = [];
  for (const file of files) {
    const { path } = file;
    if (!isProduct(path) || !pureFloors.includes(floorOf(path) ?? "")) continue;
    for (const specifier of specifiersOf(file))
      if (specifier.startsWith("node:")) violations.push({ path, says: `imports ${specifier}` });
    const { code } = codeOfFile(file);
    if (/\bMath\s*\.\s*random\b/.test(code)) violations.push({ path, says: "uses Math.random" });
    if (!anyOfThem.test(code)) continue;
    for (const { name, use, declaration } of checks)
      if (use.test(code) && !declaration.test(code)) violations.push({ path, says: `uses ${name}` });
  }
  return violations;
};
