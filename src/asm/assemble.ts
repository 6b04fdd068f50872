/**
 * A text assembler for Intel syntax: instructions of every row, labels, `equ`, data, `times`, `align`, `org`, `bits`.
 * Lengths are settled by passes that only ever grow an instruction, so that they end; the shortest encoding wins.
 */
import type { SegmentName } from "../ir/effects.ts";
import { type Expression, evaluate, parseExpression, type Scope, type SymbolValue } from "./expression.ts";
import { parseOperands } from "./operand.ts";
import { type InstructionText, select } from "./select.ts";
import { Complaint, type Token, TokenCursor, tokenize } from "./tokens.ts";

export interface AssemblyOptions {
  /** Bits of the code, until a `bits` directive; 64 by default. */
  readonly codeSize?: 16 | 32 | 64;
  /** Address of the first byte; 0 by default. */
  readonly origin?: bigint | number;
  /** Symbols known beforehand. */
  readonly symbols?: Readonly<Record<string, bigint | number>>;
}

export interface AssembledLine {
  /** Counted from 1. */
  readonly line: number;
  readonly address: bigint;
  readonly length: number;
}

/** Code and the addresses of its labels. */
export interface Assembly {
  readonly kind: "assembly";
  readonly origin: bigint;
  readonly bytes: Uint8Array;
  /** Labels (local ones as `label.local`) and `equ` constants. */
  readonly symbols: ReadonlyMap<string, bigint>;
  readonly lines: readonly AssembledLine[];
}

export interface AssemblyError {
  /** Counted from 1. */
  readonly line: number;
  readonly message: string;
}

/** Why there is no code; at least one error. */
export interface AssemblyErrors {
  readonly kind: "errors";
  readonly errors: readonly AssemblyError[];
}

type DataUnit = { readonly text: string } | { readonly expression: Expression };

type Statement =
  | { readonly kind: "label"; readonly name: string }
  | { readonly kind: "equ"; readonly name: string; readonly value: Expression }
  | { readonly kind: "instruction"; readonly instruction: InstructionText }
  | { readonly kind: "values"; readonly size: 1 | 2 | 4 | 8; readonly units: readonly DataUnit[] }
  | { readonly kind: "reserve"; readonly size: number; readonly count: Expression }
  | { readonly kind: "align"; readonly boundary: Expression; readonly fill: Expression | undefined }
  | { readonly kind: "org"; readonly address: Expression }
  | { readonly kind: "bits"; readonly codeSize: 16 | 32 | 64 }
  | { readonly kind: "times"; readonly count: Expression; readonly statement: Statement };

interface Placed {
  readonly line: number;
  readonly statement: Statement;
  /** The label that local names (.x) belong to. */
  readonly parent: string;
}

/** More than any program of ours; a runaway `times` ends here. */
const LARGEST = 1 << 26;
const MAXIMUM_PASSES = 64;

// ---------------------------------------------------------------------------------------------------------- parsing

const valueSizes: Readonly<Record<string, 1 | 2 | 4 | 8>> = { db: 1, dw: 2, dd: 4, dq: 8 };
const reserveSizes: Readonly<Record<string, number>> = { resb: 1, resw: 2, resd: 4, resq: 8 };
const segmentWords: Readonly<Record<string, SegmentName>> = {
  es: "ES",
  cs: "CS",
  ss: "SS",
  ds: "DS",
  fs: "FS",
  gs: "GS",
};
const repeatWords: Readonly<Record<string, "repz" | "repnz">> = {
  rep: "repz",
  repe: "repz",
  repz: "repz",
  xrelease: "repz",
  repne: "repnz",
  repnz: "repnz",
  xacquire: "repnz",
  bnd: "repnz",
};
const operandSizeWords: Readonly<Record<string, 16 | 32 | 64>> = { o16: 16, o32: 32, o64: 64 };
const addressSizeWords: Readonly<Record<string, 16 | 32 | 64>> = {
  a16: 16,
  a32: 32,
  a64: 64,
  addr16: 16,
  addr32: 32,
};

const restOf = (cursor: TokenCursor): Token[] => cursor.tokens.slice(cursor.at);

const parseUnits = (cursor: TokenCursor): DataUnit[] => {
  const units: DataUnit[] = [];
  do {
    const token = cursor.peek();
    const next = cursor.peek(1);
    const alone = next === undefined || (next.kind === "mark" && next.text === ",");
    if (token?.kind === "string" && alone) {
      cursor.take();
      units.push({ text: token.text });
    } else units.push({ expression: parseExpression(cursor) });
  } while (cursor.accept(","));
  return units;
};

type Prefixes = { -readonly [Key in keyof InstructionText]: InstructionText[Key] };

/** A word in front of the mnemonic, if it is one: true when it was taken. */
const acceptPrefix = (cursor: TokenCursor, prefixes: Prefixes): boolean => {
  const word = cursor.word();
  if (cursor.isMark("{")) {
    const name = cursor.word(1);
    if (name === "disp8") prefixes.displacementBytes = 1;
    else if (name === "disp32") prefixes.displacementBytes = 4;
    else if (name === "load" || name === "store") prefixes.direction = name;
    else if (name === "rex") prefixes.rex = true;
    else
      throw new Complaint(`there is no {${name ?? ""}}: only {disp8}, {disp32}, {load}, {store} and {rex}`);
    cursor.at += 2;
    cursor.expect("}");
    return true;
  }
  if (word === undefined) return false;
  if (word === "lock") prefixes.lock = true;
  else if (repeatWords[word]) prefixes.rep = repeatWords[word];
  else if (segmentWords[word]) prefixes.segment = segmentWords[word];
  else if (operandSizeWords[word]) prefixes.operandSize = operandSizeWords[word];
  else if (addressSizeWords[word]) prefixes.addressSize = addressSizeWords[word];
  else return false;
  cursor.take();
  return true;
};

const parseInstruction = (cursor: TokenCursor): Statement => {
  const prefixes: Prefixes = {
    mnemonic: "",
    operands: [],
    lock: false,
    rep: "none",
    segment: undefined,
    operandSize: undefined,
    addressSize: undefined,
    displacementBytes: undefined,
    direction: undefined,
    rex: false,
  };
  while (acceptPrefix(cursor, prefixes));
  const mnemonic = cursor.word();
  if (mnemonic === undefined) throw new Complaint(`expected an instruction ${cursor.found()}`);
  cursor.take();
  prefixes.mnemonic = mnemonic;
  if (cursor.word() === "far") {
    cursor.take();
    prefixes.mnemonic += " far";
  }
  prefixes.operands = parseOperands(restOf(cursor));
  return { kind: "instruction", instruction: prefixes };
};

const parseStatement = (cursor: TokenCursor): Statement => {
  const word = cursor.word();
  const finish = (statement: Statement): Statement => {
    if (!cursor.done) throw new Complaint(`expected the end of the line ${cursor.found()}`);
    return statement;
  };
  if (word === undefined) return parseInstruction(cursor);
  const valueSize = valueSizes[word];
  if (valueSize !== undefined) {
    cursor.take();
    return finish({ kind: "values", size: valueSize, units: parseUnits(cursor) });
  }
  const reserveSize = reserveSizes[word];
  if (reserveSize !== undefined) {
    cursor.take();
    return finish({ kind: "reserve", size: reserveSize, count: parseExpression(cursor) });
  }
  switch (word) {
    case "align": {
      cursor.take();
      const boundary = parseExpression(cursor);
      if (!cursor.accept(",")) return finish({ kind: "align", boundary, fill: undefined });
      cursor.acceptWord("db");
      return finish({ kind: "align", boundary, fill: parseExpression(cursor) });
    }
    case "org":
      cursor.take();
      return finish({ kind: "org", address: parseExpression(cursor) });
    case "bits": {
      cursor.take();
      const token = cursor.take();
      const codeSize = token.kind === "number" ? Number(token.value) : 0;
      if (codeSize !== 16 && codeSize !== 32 && codeSize !== 64)
        throw new Complaint("bits takes 16, 32 or 64");
      return finish({ kind: "bits", codeSize });
    }
    case "times": {
      cursor.take();
      const count = parseExpression(cursor);
      return { kind: "times", count, statement: parseStatement(cursor) };
    }
    default:
      return parseInstruction(cursor);
  }
};

/** The statements of one line: a label and what follows it. */
const parseLine = (text: string): Statement[] => {
  const cursor = new TokenCursor(tokenize(text));
  const statements: Statement[] = [];
  while (cursor.peek()?.kind === "name") {
    const token = cursor.peek()!;
    const name = token.kind === "name" ? token.text : "";
    if (cursor.word(1) === "equ") {
      cursor.at += 2;
      statements.push({ kind: "equ", name, value: parseExpression(cursor) });
      if (!cursor.done) throw new Complaint(`expected the end of the line ${cursor.found()}`);
      return statements;
    }
    // A segment register before a colon is an override, not a label.
    if (!cursor.isMark(":", 1) || segmentWords[name.toLowerCase()] !== undefined) break;
    statements.push({ kind: "label", name });
    cursor.at += 2;
  }
  if (!cursor.done) statements.push(parseStatement(cursor));
  return statements;
};

const fullName = (name: string, parent: string): string => (name.startsWith(".") ? parent + name : name);

// ----------------------------------------------------------------------------------------------------------- passes

/** Bytes being laid down. */
class Output {
  bytes = new Uint8Array(256);
  length = 0;

  append(bytes: Uint8Array | readonly number[]): void {
    const end = this.length + bytes.length;
    if (end > LARGEST) throw new Complaint(`more than ${LARGEST >> 20} MiB of code`);
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2));
      grown.set(this.bytes.subarray(0, this.length));
      this.bytes = grown;
    }
    this.bytes.set(bytes, this.length);
    this.length = end;
  }

  fill(count: number, byte: number): void {
    if (this.length + count > LARGEST) throw new Complaint(`more than ${LARGEST >> 20} MiB of code`);
    this.append(new Uint8Array(count).fill(byte));
  }
}

const littleEndian = (value: bigint, size: number): number[] =>
  Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

const floatBytes = (value: number, size: number): number[] => {
  const view = new DataView(new ArrayBuffer(8));
  if (size === 4) view.setFloat32(0, value, true);
  else if (size === 8) view.setFloat64(0, value, true);
  else throw new Complaint("a floating-point number is allowed in dd and dq only");
  return Array.from({ length: size }, (_, i) => view.getUint8(i));
};

const floatValue = (expression: Expression): number | undefined => {
  if (expression.kind === "float") return expression.value;
  return expression.kind === "unary" && expression.op === "-" && expression.a.kind === "float"
    ? -expression.a.value
    : undefined;
};

/** One walk over all statements with the symbol values of the walk before. */
class Pass {
  readonly output = new Output();
  readonly symbols = new Map<string, SymbolValue>();
  readonly lines: AssembledLine[] = [];
  readonly errors: AssemblyError[] = [];
  /** A symbol was asked for before its value was known. */
  guessed = false;
  readonly #before: ReadonlyMap<string, SymbolValue>;
  readonly #lengths: Map<string, number>;
  readonly #first: boolean;
  #codeSize: 16 | 32 | 64;
  origin: bigint;
  #parent = "";
  #sawUnknown = false;
  #copy = "";

  constructor(
    options: AssemblyOptions,
    before: ReadonlyMap<string, SymbolValue>,
    lengths: Map<string, number>,
    first: boolean,
  ) {
    this.#before = before;
    this.#lengths = lengths;
    this.#first = first;
    this.#codeSize = options.codeSize ?? 64;
    this.origin = BigInt(options.origin ?? 0);
  }

  get here(): bigint {
    return this.origin + BigInt(this.output.length);
  }

  #scope(): Scope {
    return {
      here: this.here,
      start: this.origin,
      lookup: (written) => {
        const name = fullName(written, this.#parent);
        const found = this.#before.get(name) ?? this.symbols.get(name);
        if (found !== undefined) return found;
        if (!this.#first) return undefined;
        this.#sawUnknown = true;
        this.guessed = true;
        return { value: this.here, symbolic: true, unknown: true };
      },
    };
  }

  #count(expression: Expression, what: string): number {
    const { value, unknown } = evaluate(expression, this.#scope());
    if (unknown) return 0;
    if (value < 0n || value > BigInt(LARGEST)) throw new Complaint(`${what} cannot be ${value}`);
    return Number(value);
  }

  run(program: readonly Placed[]): void {
    for (const [i, { line, statement, parent }] of program.entries()) {
      this.#parent = parent;
      const address = this.here;
      const { length } = this.output;
      try {
        this.#copy = String(i);
        this.#lay(statement);
      } catch (complaint) {
        if (!(complaint instanceof Complaint)) throw complaint;
        this.errors.push({ line, message: complaint.message });
      }
      const laid = this.output.length - length;
      if (laid > 0) this.lines.push({ line, address, length: laid });
    }
  }

  #define(name: string, value: SymbolValue): void {
    const full = fullName(name, this.#parent);
    if (this.symbols.has(full)) throw new Complaint(`"${full}" is defined twice`);
    this.symbols.set(full, value);
  }

  #lay(statement: Statement): void {
    switch (statement.kind) {
      case "label":
        this.#define(statement.name, { value: this.here, symbolic: true, unknown: false });
        break;
      case "equ":
        this.#define(statement.name, evaluate(statement.value, this.#scope()));
        break;
      case "instruction": {
        const key = this.#copy;
        this.#sawUnknown = false;
        const { bytes } = select(
          statement.instruction,
          this.#codeSize,
          this.#scope(),
          this.#lengths.get(key) ?? 0,
        );
        if (!this.#sawUnknown) this.#lengths.set(key, bytes.length);
        this.output.append(bytes);
        break;
      }
      case "values":
        for (const unit of statement.units) this.#layUnit(unit, statement.size);
        break;
      case "reserve":
        this.output.fill(this.#count(statement.count, "a count") * statement.size, 0);
        break;
      case "align": {
        const boundary = this.#count(statement.boundary, "an alignment");
        if (boundary < 1 || (boundary & (boundary - 1)) !== 0)
          throw new Complaint("an alignment is a power of two");
        const fill = statement.fill ? this.#count(statement.fill, "a fill byte") : 0x90;
        this.output.fill(Number(-this.here & BigInt(boundary - 1)), fill);
        break;
      }
      case "org":
        this.#org(evaluate(statement.address, this.#scope()).value);
        break;
      case "bits":
        this.#codeSize = statement.codeSize;
        break;
      case "times": {
        const count = this.#count(statement.count, "a count");
        const copy = this.#copy;
        for (let n = 0; n < count; n++) {
          this.#copy = `${copy}.${n}`;
          this.#lay(statement.statement);
        }
        break;
      }
    }
  }

  /** Before any byte, `org` says where they will be; later it fills with zeroes up to the address. */
  #org(address: bigint): void {
    if (this.output.length === 0) {
      this.origin = address;
      return;
    }
    if (address < this.here)
      throw new Complaint(`org 0x${address.toString(16)} is behind 0x${this.here.toString(16)}`);
    if (address - this.here > BigInt(LARGEST))
      throw new Complaint(`org 0x${address.toString(16)} is too far ahead`);
    this.output.fill(Number(address - this.here), 0);
  }

  #layUnit(unit: DataUnit, size: number): void {
    if ("text" in unit) {
      const bytes = new TextEncoder().encode(unit.text);
      this.output.append(bytes);
      this.output.fill((size - (bytes.length % size)) % size, 0);
      return;
    }
    const { expression } = unit;
    const float = floatValue(expression);
    if (float !== undefined) {
      this.output.append(floatBytes(float, size));
      return;
    }
    const { value } = evaluate(expression, this.#scope());
    const limit = 1n << BigInt(8 * size);
    if (value >= limit || value < -limit / 2n)
      throw new Complaint(`${value} does not fit in ${8 * size} bits`);
    this.output.append(littleEndian(value, size));
  }
}

const sameSymbols = (a: ReadonlyMap<string, SymbolValue>, b: ReadonlyMap<string, SymbolValue>): boolean =>
  a.size === b.size && [...a].every(([name, { value }]) => b.get(name)?.value === value);

const parse = (text: string, errors: AssemblyError[]): Placed[] => {
  const program: Placed[] = [];
  let parent = "";
  for (const [i, source] of text.split(/\r?\n/).entries()) {
    const line = i + 1;
    try {
      for (const statement of parseLine(source)) {
        if (statement.kind === "label" && !statement.name.startsWith(".")) parent = statement.name;
        program.push({ line, statement, parent });
      }
    } catch (complaint) {
      if (!(complaint instanceof Complaint)) throw complaint;
      errors.push({ line, message: complaint.message });
    }
  }
  return program;
};

/** Assemble a program. Every error has its line; with any error there is no code. */
export const assemble = (text: string, options: AssemblyOptions = {}): Assembly | AssemblyErrors => {
  const errors: AssemblyError[] = [];
  const program = parse(text, errors);
  if (errors.length > 0) return { kind: "errors", errors };

  const given = new Map<string, SymbolValue>();
  for (const [name, value] of Object.entries(options.symbols ?? {}))
    given.set(name, { value: BigInt(value), symbolic: false, unknown: false });
  const lengths = new Map<string, number>();
  let before: ReadonlyMap<string, SymbolValue> = given;
  for (let n = 0; n < MAXIMUM_PASSES; n++) {
    const pass = new Pass(options, before, lengths, n === 0);
    pass.run(program);
    const symbols = new Map([...given, ...pass.symbols]);
    // A pass that had to guess values is no result, and its complaints may be about the guesses.
    if (!pass.guessed && pass.errors.length > 0) return { kind: "errors", errors: pass.errors };
    if (!pass.guessed && sameSymbols(before, symbols)) {
      const bytes = pass.output.bytes.slice(0, pass.output.length);
      const values = new Map([...symbols].map(([name, { value }]) => [name, value]));
      return { kind: "assembly", origin: pass.origin, bytes, symbols: values, lines: pass.lines };
    }
    before = symbols;
  }
  return { kind: "errors", errors: [{ line: 1, message: "the addresses do not settle" }] };
};

/** Machine code of a program that is part of ours, and so has no errors. */
export const machineCode = (text: string, options: AssemblyOptions = {}): Uint8Array => {
  const result = assemble(text, options);
  if (result.kind === "assembly") return result.bytes;
  throw new Error(result.errors.map(({ line, message }) => `line ${line}: ${message}`).join("\n"));
};
