/** Constant and address expressions: numbers, symbols, `$` (this statement), `$$` (the origin), registers inside brackets. */
import { type NamedRegister, registersByName } from "../isa/syntax.ts";
import { Complaint, type TokenCursor } from "./tokens.ts";

export type Expression =
  | { readonly kind: "number"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "symbol"; readonly name: string }
  | { readonly kind: "register"; readonly name: string; readonly register: NamedRegister | "ip" }
  | { readonly kind: "here" }
  | { readonly kind: "start" }
  | { readonly kind: "unary"; readonly op: "-" | "~"; readonly a: Expression }
  | { readonly kind: "binary"; readonly op: string; readonly a: Expression; readonly b: Expression };

const precedence: Readonly<Record<string, number>> = {
  "|": 1,
  "^": 2,
  "&": 3,
  "<<": 4,
  ">>": 4,
  "+": 5,
  "-": 5,
  "*": 6,
  "/": 6,
  "%": 6,
};

/** A string as a number: its bytes, little-endian. */
const stringValue = (text: string): bigint =>
  [...new TextEncoder().encode(text)].reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);

const instructionPointers: ReadonlySet<string> = new Set(["rip", "eip"]);

/** A register name at the cursor, `st(n)` included; the cursor moves past it. */
export const acceptRegister = (
  cursor: TokenCursor,
): { name: string; register: NamedRegister } | undefined => {
  const name = cursor.word();
  if (name === undefined) return undefined;
  const digit = cursor.peek(2);
  if (name === "st" && cursor.isMark("(", 1) && digit?.kind === "number" && cursor.isMark(")", 3)) {
    const register = registersByName.get(`st(${digit.value})`);
    if (register === undefined) throw new Complaint(`there is no st(${digit.value})`);
    cursor.at += 4;
    return { name: `st(${digit.value})`, register };
  }
  const register = registersByName.get(name);
  if (register !== undefined) cursor.at++;
  return register && { name, register };
};

const parsePrimary = (cursor: TokenCursor): Expression => {
  if (cursor.accept("(")) {
    const inner = parseExpression(cursor);
    cursor.expect(")");
    return inner;
  }
  if (cursor.accept("-")) return { kind: "unary", op: "-", a: parsePrimary(cursor) };
  if (cursor.accept("~")) return { kind: "unary", op: "~", a: parsePrimary(cursor) };
  if (cursor.accept("+")) return parsePrimary(cursor);
  if (cursor.accept("$")) return { kind: "here" };
  if (cursor.accept("$$")) return { kind: "start" };
  const found = acceptRegister(cursor);
  if (found) return { kind: "register", ...found };
  const name = cursor.word();
  if (name !== undefined && instructionPointers.has(name)) {
    cursor.take();
    return { kind: "register", name, register: "ip" };
  }
  const token = cursor.peek();
  if (token === undefined || token.kind === "mark") throw new Complaint(`expected a value ${cursor.found()}`);
  cursor.take();
  if (token.kind === "number") return { kind: "number", value: token.value };
  if (token.kind === "float") return { kind: "float", value: token.value };
  if (token.kind === "string") return { kind: "number", value: stringValue(token.text) };
  return { kind: "symbol", name: token.text };
};

export const parseExpression = (cursor: TokenCursor, least = 1): Expression => {
  let a = parsePrimary(cursor);
  for (;;) {
    const token = cursor.peek();
    const level = token?.kind === "mark" ? precedence[token.text] : undefined;
    if (token?.kind !== "mark" || level === undefined || level < least) return a;
    cursor.take();
    a = { kind: "binary", op: token.text, a, b: parseExpression(cursor, level + 1) };
  }
};

/** A sum of registers and a constant. */
export interface Linear {
  readonly constant: bigint;
  readonly registers: readonly {
    readonly name: string;
    readonly register: NamedRegister | "ip";
    readonly factor: bigint;
    /** Written with a factor, were it 1: an index, not a base. */
    readonly isScaled: boolean;
  }[];
  /** It depends on an address that may move while encodings are chosen, so it takes full-size fields. */
  readonly symbolic: boolean;
  /** It names a symbol whose value is not known yet; the constant is a guess. */
  readonly unknown: boolean;
}

/** A symbol's value; `relative` for labels, and what is computed from them. */
export interface SymbolValue {
  readonly value: bigint;
  readonly symbolic: boolean;
  readonly unknown: boolean;
}

export interface Scope {
  readonly here: bigint;
  readonly start: bigint;
  /** undefined: there is no such symbol. */
  lookup(name: string): SymbolValue | undefined;
}

const fold = (op: string, a: bigint, b: bigint): bigint => {
  switch (op) {
    case "|":
      return a | b;
    case "^":
      return a ^ b;
    case "&":
      return a & b;
    case "<<":
      return b < 0n || b > 4096n ? 0n : a << b;
    case ">>":
      return b < 0n || b > 4096n ? 0n : a >> b;
    case "*":
      return a * b;
    default:
      if (b === 0n) throw new Complaint("division by zero");
      return op === "/" ? a / b : a % b;
  }
};

const scaled = (x: Linear, factor: bigint): Linear => ({
  ...x,
  constant: x.constant * factor,
  registers: x.registers.map((term) => ({ ...term, factor: term.factor * factor, isScaled: true })),
});

const sum = (x: Linear, y: Linear): Linear => ({
  constant: x.constant + y.constant,
  registers: [...x.registers, ...y.registers],
  symbolic: x.symbolic || y.symbolic,
  unknown: x.unknown || y.unknown,
});

const absolute = (constant: bigint): Linear => ({ constant, registers: [], symbolic: false, unknown: false });

/** The value of an expression, registers kept apart. */
export const evaluateLinear = (expression: Expression, scope: Scope): Linear => {
  switch (expression.kind) {
    case "number":
      return absolute(expression.value);
    case "float":
      throw new Complaint("a floating-point number is allowed in dd and dq only");
    case "here":
      return { ...absolute(scope.here), symbolic: true };
    case "start":
      return absolute(scope.start);
    case "register":
      return { ...absolute(0n), registers: [{ ...expression, factor: 1n, isScaled: false }] };
    case "symbol": {
      const found = scope.lookup(expression.name);
      if (found === undefined) throw new Complaint(`there is no symbol "${expression.name}"`);
      return { constant: found.value, registers: [], symbolic: found.symbolic, unknown: found.unknown };
    }
    case "unary": {
      const a = evaluateLinear(expression.a, scope);
      if (expression.op === "-") return scaled(a, -1n);
      if (a.registers.length > 0) throw new Complaint("~ of a register");
      return { ...a, constant: ~a.constant };
    }
    case "binary": {
      const a = evaluateLinear(expression.a, scope);
      const b = evaluateLinear(expression.b, scope);
      if (expression.op === "+") return sum(a, b);
      if (expression.op === "-") return sum(a, scaled(b, -1n));
      if (expression.op === "*" && a.registers.length === 0)
        return { ...scaled(b, a.constant), symbolic: a.symbolic || b.symbolic };
      if (expression.op === "*" && b.registers.length === 0)
        return { ...scaled(a, b.constant), symbolic: a.symbolic || b.symbolic };
      if (a.registers.length + b.registers.length > 0)
        throw new Complaint(`a register beside ${expression.op}`);
      const value = a.unknown || b.unknown ? 0n : fold(expression.op, a.constant, b.constant);
      return {
        constant: value,
        registers: [],
        symbolic: a.symbolic || b.symbolic,
        unknown: a.unknown || b.unknown,
      };
    }
  }
};

/** The value of an expression without registers. */
export const evaluate = (expression: Expression, scope: Scope): SymbolValue => {
  const { constant, registers, symbolic, unknown } = evaluateLinear(expression, scope);
  if (registers.length > 0)
    throw new Complaint(`the register ${registers[0]!.name} stands where a constant must`);
  return { value: constant, symbolic, unknown };
};
