/** Operands of an instruction as text says them, before a row is chosen. */
import type { SegmentName } from "../ir/effects.ts";
import { type NamedRegister, sizeKeywords } from "../isa/syntax.ts";
import { acceptRegister, type Expression, parseExpression } from "./expression.ts";
import { Complaint, type Token, TokenCursor } from "./tokens.ts";

export type TextOperand =
  | { readonly kind: "register"; readonly name: string; readonly register: NamedRegister }
  | {
      readonly kind: "memory";
      readonly address: Expression;
      readonly segment: SegmentName | undefined;
      /** Bits by keyword; undefined without one. */
      readonly size: number | undefined;
      readonly far: boolean;
      /** [rel x]: relative to RIP. */
      readonly relative: boolean;
    }
  | {
      readonly kind: "value";
      readonly value: Expression;
      readonly size: number | undefined;
      readonly distance: "short" | "near" | undefined;
      /** The field is as wide as the keyword says: no shorter encoding. */
      readonly strict: boolean;
    }
  | {
      readonly kind: "far";
      readonly selector: Expression;
      readonly offset: Expression;
      readonly size: number | undefined;
    };

const segmentOf = (register: NamedRegister): SegmentName | undefined =>
  register.file === "segment" ? (["ES", "CS", "SS", "DS", "FS", "GS"] as const)[register.number] : undefined;

/** `fs:` at the cursor. */
const acceptSegment = (cursor: TokenCursor): SegmentName | undefined => {
  if (!cursor.isMark(":", 1)) return undefined;
  const start = cursor.at;
  const found = acceptRegister(cursor);
  const segment = found && segmentOf(found.register);
  if (segment === undefined) {
    cursor.at = start;
    return undefined;
  }
  cursor.expect(":");
  return segment;
};

const parseOperand = (cursor: TokenCursor): TextOperand => {
  let size: number | undefined;
  let distance: "short" | "near" | undefined;
  let strict = false;
  let far = false;
  for (;;) {
    const word = cursor.word();
    if (word === undefined) break;
    if (sizeKeywords.has(word)) size = sizeKeywords.get(word)!;
    else if (word === "short" || word === "near") distance = word;
    else if (word === "strict") strict = true;
    else if (word === "far") far = true;
    else if (word !== "ptr" && word !== "offset") break;
    cursor.take();
  }
  let segment = acceptSegment(cursor);
  if (cursor.accept("[")) {
    let relative = false;
    if (cursor.acceptWord("rel")) relative = true;
    else cursor.acceptWord("abs");
    segment = acceptSegment(cursor) ?? segment;
    const address = parseExpression(cursor);
    cursor.expect("]");
    return { kind: "memory", address, segment, size, far, relative };
  }
  if (segment !== undefined) {
    // fs:0x28 is memory, as in [fs:0x28].
    return { kind: "memory", address: parseExpression(cursor), segment, size, far, relative: false };
  }
  const start = cursor.at;
  const found = acceptRegister(cursor);
  if (found && (cursor.done || cursor.isMark(","))) return { kind: "register", ...found };
  cursor.at = start;
  const value = parseExpression(cursor);
  if (cursor.accept(":")) return { kind: "far", selector: value, offset: parseExpression(cursor), size };
  if (far) throw new Complaint("a far target is selector:offset or memory");
  return { kind: "value", value, size, distance, strict };
};

/** The operands of a statement, separated by commas. */
export const parseOperands = (tokens: readonly Token[]): TextOperand[] => {
  const cursor = new TokenCursor(tokens);
  const operands: TextOperand[] = [];
  if (cursor.done) return operands;
  do operands.push(parseOperand(cursor));
  while (cursor.accept(","));
  if (!cursor.done) throw new Complaint(`expected "," ${cursor.found()}`);
  return operands;
};

/** How a complaint names an operand. */
export const describe = (operand: TextOperand): string => {
  switch (operand.kind) {
    case "register":
      return operand.name;
    case "memory":
      return operand.size === undefined ? "memory" : `${operand.size}-bit memory`;
    case "value":
      return "an immediate";
    case "far":
      return "a far pointer";
  }
};
