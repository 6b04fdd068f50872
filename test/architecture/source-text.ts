/** A file of the project: its path from the root, with slashes, and its text. */
export interface SourceFile {
  readonly path: string;
  readonly source: string;
}

/** A rule that a file breaks, as one sentence. */
export interface Violation {
  readonly path: string;
  readonly says: string;
}

/** TypeScript without what is not code: comments and the insides of string literals are blanks, at their old places. */
export interface CodeText {
  readonly code: string;
  /** Text of each plain string literal, by the place of its opening quote. */
  readonly strings: ReadonlyMap<number, string>;
}

const regexMayFollow = /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else))\s*$/;

/** Blanks out comments and literals. Knows as much of the grammar as telling a regular expression from a division takes. */
export const codeOf = (source: string): CodeText => {
  const strings = new Map<number, string>();
  const pieces: string[] = [];
  /** Braces open within each template substitution that we are in. */
  const substitutions: number[] = [];
  let at = 0;
  const blank = (end: number): void => {
    pieces.push(source.slice(at, end).replace(/[^\n]/g, " "));
    at = end;
  };
  const keep = (end: number): void => {
    pieces.push(source.slice(at, end));
    at = end;
  };
  /** From within a template literal to its end, or to the code of its next substitution. */
  const template = (): void => {
    let end = at;
    while (end < source.length && source[end] !== "`" && !source.startsWith("${", end))
      end += source[end] === "\\" ? 2 : 1;
    blank(Math.min(end, source.length));
    if (source[at] === "$") substitutions.push(0);
    keep(Math.min(at + (source[at] === "$" ? 2 : 1), source.length));
  };
  const interesting = /["'`/{}]/g;
  while (at < source.length) {
    interesting.lastIndex = at;
    const found = interesting.exec(source);
    if (found === null) {
      keep(source.length);
      break;
    }
    keep(found.index);
    const character = source[at]!;
    if (character === '"' || character === "'") {
      let end = at + 1;
      while (end < source.length && source[end] !== character && source[end] !== "\n")
        end += source[end] === "\\" ? 2 : 1;
      strings.set(at, source.slice(at + 1, end));
      keep(at + 1);
      blank(Math.min(end, source.length));
      keep(Math.min(end + 1, source.length));
    } else if (character === "`") {
      keep(at + 1);
      template();
    } else if (source.startsWith("//", at)) {
      const end = source.indexOf("\n", at);
      blank(end < 0 ? source.length : end);
    } else if (source.startsWith("/*", at)) {
      const end = source.indexOf("*/", at + 2);
      blank(end < 0 ? source.length : end + 2);
    } else if (character === "/") {
      if (!regexMayFollow.test(pieces.slice(-4).join("").slice(-40))) keep(at + 1);
      else {
        let end = at + 1;
        let bracket = false;
        while (end < source.length && source[end] !== "\n" && (bracket || source[end] !== "/")) {
          if (source[end] === "[") bracket = true;
          else if (source[end] === "]") bracket = false;
          end += source[end] === "\\" ? 2 : 1;
        }
        blank(Math.min(end + 1, source.length));
        pieces.push("");
      }
    } else {
      const depth = substitutions.length - 1;
      keep(at + 1);
      if (depth < 0) continue;
      if (character === "{") substitutions[depth]!++;
      else if (substitutions[depth]! > 0) substitutions[depth]!--;
      else {
        substitutions.pop();
        template();
      }
    }
  }
  return { code: pieces.join(""), strings };
};

const codeCache = new WeakMap<SourceFile, CodeText>();
/** The code of a file. */
export const codeOfFile = (file: SourceFile): CodeText => {
  let found = codeCache.get(file);
  if (found === undefined) {
    found = codeOf(file.source);
    codeCache.set(file, found);
  }
  return found;
};

/** What a file imports or re-exports, types included, as it is written there. */
export const specifiersOf = (file: SourceFile): string[] => {
  const { code, strings } = codeOfFile(file);
  const specifiers: string[] = [];
  for (const [at, text] of strings)
    if (/(?:\bfrom|\bimport)\s*\(?\s*$/.test(code.slice(Math.max(0, at - 24), at))) specifiers.push(text);
  return specifiers;
};

/** The path that a relative specifier means, seen from the file that says it. */
export const resolveSpecifier = (from: string, specifier: string): string => {
  const steps = from.split("/").slice(0, -1);
  for (const step of specifier.split("/"))
    if (step === "..") steps.pop();
    else if (step !== ".") steps.push(step);
  return steps.join("/");
};

export const isTest = (path: string): boolean => /\.test\.ts$/.test(path);
export const isFixture = (path: string): boolean => /\.fixture\.ts$/.test(path);
/** Part of the product: built and shipped. */
export const isProduct = (path: string): boolean =>
  path.startsWith("src/") && path.endsWith(".ts") && !isTest(path) && !isFixture(path);
