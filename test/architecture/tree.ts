import { readdirSync, readFileSync, statSync } from "node:fs";
import type { SourceFile } from "./source-text.ts";

const root = new URL("../../", import.meta.url);

/** The two kinds of pattern our .gitignore has: `name/` and `*.ending`. */
const ignoredBy = (gitignore: string): ((name: string) => boolean) => {
  const lines = gitignore.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const names = new Set([".git", ...lines.map((line) => line.replace(/\/$/, ""))]);
  const endings = lines.filter((line) => line.startsWith("*")).map((line) => line.slice(1));
  return (name) => names.has(name) || endings.some((ending) => name.endsWith(ending));
};

export interface Tree {
  readonly files: readonly SourceFile[];
  /** Bytes of each file. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** Every file of the project that version control does not ignore. */
export const readTree = (): Tree => {
  const isIgnored = ignoredBy(readFileSync(new URL(".gitignore", root), "utf8"));
  const files: SourceFile[] = [];
  const sizes = new Map<string, number>();
  const visit = (folder: string): void => {
    for (const entry of readdirSync(new URL(folder, root), { withFileTypes: true })) {
      if (isIgnored(entry.name)) continue;
      const path = `${folder}${entry.name}`;
      if (entry.isDirectory()) visit(`${path}/`);
      else if (entry.isFile()) {
        sizes.set(path, statSync(new URL(path, root)).size);
        files.push({ path, source: readFileSync(new URL(path, root), "latin1") });
      }
    }
  };
  visit("");
  return { files, sizes };
};
