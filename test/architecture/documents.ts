import { resolveSpecifier, type SourceFile, type Violation } from "./source-text.ts";

/** Source files and other documents that a document names and that are not there. */
export const documentViolations = (files: readonly SourceFile[]): Violation[] => {
  const paths = new Set(files.map(({ path }) => path));
  const isThere = (name: string): boolean =>
    paths.has(name) || files.some(({ path }) => path.endsWith(`/${name}`));
  return files
    .filter(({ path }) => path.endsWith(".md"))
    .flatMap(({ path, source }) => {
      const prose = source.replace(/```[\s\S]*?```/g, "");
      const named = [...prose.matchAll(/`([a-z][\w./-]*\.ts)`/g)].map(([, name]) => name!);
      const linked = [...prose.matchAll(/\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g)].map(([, name]) =>
        resolveSpecifier(path, name!),
      );
      return [...named.filter((name) => !isThere(name)), ...linked.filter((name) => !paths.has(name))].map(
        (name) => ({
          path,
          says: `names ${name}, which is not there`,
        }),
      );
    });
};

/** The floors in the order of the first table of ARCHITECTURE.md, from the top. */
export const floorsOfDocument = (source: string): string[] =>
  [...source.matchAll(/^\| ((?:`[a-z]+`(?:, )?)+) \|/gm)].flatMap(([, cell]) =>
    [...cell!.matchAll(/`(\w+)`/g)].map(([, name]) => name!),
  );
