/** Words of a source line. */
export type Token =
  | { readonly kind: "number"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "name"; readonly text: string }
  | { readonly kind: "mark"; readonly text: string };

/**
 * What is wrong with a line, in one clause. It leaves the depths of the parser by being thrown and becomes a value at the
 * statement it belongs to: `assemble` never throws it.
 */
export class Complaint extends Error {}

const marks = [
  "<<",
  ">>",
  "$$",
  "$",
  "[",
  "]",
  "(",
  ")",
  ",",
  ":",
  "+",
  "-",
  "*",
  "/",
  "%",
  "&",
  "|",
  "^",
  "~",
  "{",
  "}",
];
const number =
  /^(?:0x([0-9a-f_]+)|0b([01_]+)|0o([0-7_]+)|([0-9][0-9a-f_]*)h|([01_]+)b|([0-9][0-9_]*))(?![0-9a-z_.])/i;
const float = /^[0-9][0-9_]*\.[0-9]*(?:e[+-]?[0-9]+)?/i;
const name = /^[a-z_.@?][a-z0-9_.@?$#]*/i;

const escapes: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "0": "\0" };

/** A quoted string from `text[0]`; backslash escapes count in double quotes and backquotes. */
const quoted = (text: string): { readonly value: string; readonly length: number } => {
  const quote = text[0]!;
  let value = "";
  for (let at = 1; at < text.length; at++) {
    const char = text[at]!;
    if (char === quote) return { value, length: at + 1 };
    if (char === "\\" && quote !== "'" && at + 1 < text.length) {
      const escaped = text[++at]!;
      value += escapes[escaped] ?? escaped;
    } else value += char;
  }
  throw new Complaint("a string has no end");
};

const numberValue = (match: RegExpExecArray): bigint => {
  const [, hex, binary, octal, hexH, binaryB, decimal] = match.map((part) => part?.replaceAll("_", ""));
  if (hex !== undefined || hexH !== undefined) return BigInt(`0x${hex ?? hexH}`);
  if (binary !== undefined || binaryB !== undefined) return BigInt(`0b${binary ?? binaryB}`);
  return octal === undefined ? BigInt(decimal!) : BigInt(`0o${octal}`);
};

/** The tokens of a line; a comment starts with `;` or `//`. */
export const tokenize = (line: string): Token[] => {
  const tokens: Token[] = [];
  let rest = line;
  for (;;) {
    rest = rest.trimStart();
    if (rest === "" || rest[0] === ";" || rest.startsWith("//")) return tokens;
    if (rest[0] === '"' || rest[0] === "'" || rest[0] === "`") {
      const { value, length } = quoted(rest);
      tokens.push({ kind: "string", text: value });
      rest = rest.slice(length);
      continue;
    }
    const floating = float.exec(rest);
    if (floating) {
      tokens.push({ kind: "float", value: Number(floating[0].replaceAll("_", "")) });
      rest = rest.slice(floating[0].length);
      continue;
    }
    const numeric = number.exec(rest);
    if (numeric) {
      tokens.push({ kind: "number", value: numberValue(numeric) });
      rest = rest.slice(numeric[0].length);
      continue;
    }
    const word = name.exec(rest);
    if (word) {
      tokens.push({ kind: "name", text: word[0] });
      rest = rest.slice(word[0].length);
      continue;
    }
    const mark = marks.find((candidate) => rest.startsWith(candidate));
    if (mark === undefined) throw new Complaint(`unexpected "${rest[0]}"`);
    tokens.push({ kind: "mark", text: mark });
    rest = rest.slice(mark.length);
  }
};

/** A walk over tokens. */
export class TokenCursor {
  readonly tokens: readonly Token[];
  at = 0;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
  }

  get done(): boolean {
    return this.at >= this.tokens.length;
  }

  peek(ahead = 0): Token | undefined {
    return this.tokens[this.at + ahead];
  }

  /** The next token's text in lower case when it is a name. */
  word(ahead = 0): string | undefined {
    const token = this.peek(ahead);
    return token?.kind === "name" ? token.text.toLowerCase() : undefined;
  }

  isMark(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token?.kind === "mark" && token.text === text;
  }

  take(): Token {
    const token = this.tokens[this.at++];
    if (token === undefined) throw new Complaint("the line ends too early");
    return token;
  }

  /** Take the mark if it is next. */
  accept(text: string): boolean {
    if (!this.isMark(text)) return false;
    this.at++;
    return true;
  }

  acceptWord(text: string): boolean {
    if (this.word() !== text) return false;
    this.at++;
    return true;
  }

  expect(text: string): void {
    if (!this.accept(text)) throw new Complaint(`expected "${text}" ${this.found()}`);
  }

  /** What stands at the cursor, for complaints. */
  found(): string {
    const token = this.peek();
    if (token === undefined) return "at the end of the line";
    return `before "${token.kind === "number" || token.kind === "float" ? token.value : token.text}"`;
  }
}
