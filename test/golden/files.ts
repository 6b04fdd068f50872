import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "regions");
const suffix = ".wat";
const pathOf = (name: string): string => join(folder, `${name}${suffix}`);

/** Names of the golden files there are. */
export const goldenNames = (): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith(suffix))
    .map((file) => file.slice(0, -suffix.length))
    .sort();

export const readGolden = (name: string): string => readFileSync(pathOf(name), "utf8");

export const writeGolden = (name: string, text: string): void => {
  mkdirSync(folder, { recursive: true });
  writeFileSync(pathOf(name), text);
};

export const removeGolden = (name: string): void => rmSync(pathOf(name));
