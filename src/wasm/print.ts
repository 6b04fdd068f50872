import { laneOpcode, memoryOpcode, opcode, simdOpcode } from "./code.ts";
import { f32, f64, i32, i64, v128 } from "./module.ts";

/**
 * Modules as `ModuleBuilder` makes them, as text: the reader that golden files, and whoever looks at emitted code, have. Instructions are
 * written as in the text format, folded: operands stand in parentheses within what uses them. Structure is indented; functions go by the
 * names they are imported under or were given.
 */

const typeNames: ReadonlyMap<number, string> = new Map([
  [i32, "i32"],
  [i64, "i64"],
  [f32, "f32"],
  [f64, "f64"],
  [v128, "v128"],
]);

const namesOf = (table: Readonly<Record<string, number>>): ReadonlyMap<number, string> =>
  new Map(Object.entries(table).map(([name, code]) => [code, name]));
const plainNames = namesOf(opcode);
const memoryNames = namesOf(memoryOpcode);
const simdNames = namesOf(simdOpcode);
const laneNames = namesOf(laneOpcode);

const fc = { saturating: 8, memoryCopy: 0x0a, memoryFill: 0x0b } as const;
const structure: ReadonlyMap<number, string> = new Map([
  [0x02, "block"],
  [0x03, "loop"],
  [0x04, "if"],
]);
const section = { type: 1, import: 2, function: 3, code: 10, custom: 0 } as const;

class ByteReader {
  readonly #bytes: Uint8Array;
  at: number;
  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }
  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }
  byte(): number {
    return this.#bytes[this.at++]!;
  }
  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }
  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; ) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return BigInt.asIntN(Number(shift), value);
    }
  }
  take(length: number): Uint8Array {
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
  text(): string {
    return new TextDecoder().decode(this.take(this.unsigned()));
  }
}

interface Signature {
  readonly text: string;
  readonly params: number;
  readonly results: number;
}

/** A function of a module, with what its code needs to be read. */
interface Printed {
  readonly name: string;
  readonly type: string;
  readonly locals: string;
  readonly code: Uint8Array;
}

interface ReadModule {
  readonly types: readonly Signature[];
  /** Imports first, then the module's own functions. */
  readonly callees: readonly { readonly name: string; readonly type: Signature }[];
  readonly functions: readonly Printed[];
}

const limits = (bytes: ByteReader): void => {
  const isBounded = bytes.byte() === 1;
  bytes.unsigned();
  if (isBounded) bytes.unsigned();
};

/** Names and type indices of the imported functions. */
const readImports = (bytes: ByteReader): { name: string; type: number }[] => {
  const functions: { name: string; type: number }[] = [];
  for (let n = bytes.unsigned(); n > 0; n--) {
    const name = `${bytes.text()}.${bytes.text()}`;
    const kind = bytes.byte();
    if (kind === 0) {
      functions.push({ name, type: bytes.unsigned() });
    } else {
      if (kind === 1) bytes.byte();
      limits(bytes);
    }
  }
  return functions;
};

const list = (bytes: ByteReader): string[] =>
  Array.from({ length: bytes.unsigned() }, () => typeNames.get(bytes.byte())!);

const readTypes = (bytes: ByteReader): Signature[] =>
  Array.from({ length: bytes.unsigned() }, () => {
    bytes.byte();
    const [params, results] = [list(bytes), list(bytes)];
    const parts = [
      ...(params.length > 0 ? [`(param ${params.join(" ")})`] : []),
      ...(results.length > 0 ? [`(result ${results.join(" ")})`] : []),
    ];
    return { text: parts.join(" "), params: params.length, results: results.length };
  });

/** The body of a function: its locals by runs of one type, and its instructions. */
const readBody = (bytes: ByteReader): { locals: string; code: Uint8Array } => {
  const end = bytes.unsigned() + bytes.at;
  const locals: string[] = [];
  for (let n = bytes.unsigned(); n > 0; n--) {
    const count = bytes.unsigned();
    const type = typeNames.get(bytes.byte())!;
    for (let k = 0; k < count; k++) locals.push(type);
  }
  return { locals: locals.join(" "), code: bytes.take(end - bytes.at) };
};

const readNames = (bytes: ByteReader): Map<number, string> => {
  const names = new Map<number, string>();
  if (bytes.text() !== "name" || bytes.byte() !== 1) return names;
  bytes.unsigned();
  for (let n = bytes.unsigned(); n > 0; n--) names.set(bytes.unsigned(), bytes.text());
  return names;
};

const readModule = (module: Uint8Array): ReadModule => {
  const bytes = new ByteReader(module, 8);
  let types: Signature[] = [];
  let imports: { name: string; type: number }[] = [];
  let typeOf: number[] = [];
  let bodies: { locals: string; code: Uint8Array }[] = [];
  let given = new Map<number, string>();
  while (!bytes.isAtEnd) {
    const id = bytes.byte();
    const content = new ByteReader(bytes.take(bytes.unsigned()));
    if (id === section.type) types = readTypes(content);
    else if (id === section.import) imports = readImports(content);
    else if (id === section.function)
      typeOf = Array.from({ length: content.unsigned() }, () => content.unsigned());
    else if (id === section.code)
      bodies = Array.from({ length: content.unsigned() }, () => readBody(content));
    else if (id === section.custom) given = readNames(content);
  }
  const nameOf = (n: number): string => given.get(imports.length + n) ?? `${imports.length + n}`;
  const own = bodies.map((body, n) => ({ ...body, name: nameOf(n), type: types[typeOf[n]!]! }));
  return {
    types,
    callees: [...imports.map(({ name, type }) => ({ name, type: types[type]! })), ...own],
    functions: own.map(({ type, ...body }) => ({ ...body, type: type.text })),
  };
};

/** One instruction: what is written, how many operands it takes from the stack, and whether it leaves a result there. */
interface Step {
  readonly text: string;
  readonly operands: number;
  readonly results: number;
}

const step = (text: string, operands: number, results: number): Step => ({ text, operands, results });

/** Plain and vector instructions that do not take two operands and leave one. */
const unusual: ReadonlyMap<string, readonly [operands: number, results: number]> = new Map([
  ["unreachable", [0, 0]],
  ["else", [0, 0]],
  ["end", [0, 0]],
  ["return", [0, 0]],
  ["drop", [1, 0]],
  ["select", [3, 1]],
  ["v128.bitselect", [3, 1]],
]);
const isUnary = (name: string): boolean =>
  /\.(eqz|clz|ctz|popcnt|wrap|extend|convert|demote|promote|reinterpret|nearest|sqrt|trunc|not|abs|neg|bitmask|any_true|all_true|splat|ceil|floor)/.test(
    name,
  );

const arithmetic = (name: string): Step => {
  const [operands, results] = unusual.get(name) ?? [isUnary(name) ? 1 : 2, 1];
  return step(name, operands, results);
};

/** The instruction of a function where `bytes` stands. */
const instruction = (bytes: ByteReader, { types, callees }: ReadModule): Step => {
  const first = bytes.byte();
  const at = (name: string): Step => {
    bytes.unsigned();
    const offset = bytes.unsigned();
    const stores = name.includes("store");
    return step(offset === 0 ? name : `${name} offset=${offset}`, stores ? 2 : 1, stores ? 0 : 1);
  };
  const opens = structure.get(first);
  if (opens !== undefined) {
    const result = typeNames.get(bytes.byte());
    return step(result === undefined ? opens : `${opens} (result ${result})`, opens === "if" ? 1 : 0, 0);
  }
  const plain = plainNames.get(first);
  if (plain !== undefined) return arithmetic(plain);
  const access = memoryNames.get(first);
  if (access !== undefined) return at(access);
  switch (first) {
    case 0x0c:
      return step(`br ${bytes.unsigned()}`, 0, 0);
    case 0x0d:
      return step(`br_if ${bytes.unsigned()}`, 1, 0);
    case 0x0e: {
      const depths = Array.from({ length: bytes.unsigned() + 1 }, () => bytes.unsigned());
      return step(`br_table ${depths.join(" ")}`, 1, 0);
    }
    case 0x10:
    case 0x12: {
      const { name, type } = callees[bytes.unsigned()]!;
      return step(`${first === 0x10 ? "call" : "return_call"} $${name}`, type.params, first === 0x10 ? type.results : 0);
    }
    case 0x11:
    case 0x13: {
      const { text, params, results } = types[bytes.unsigned()]!;
      bytes.byte();
      const name = first === 0x11 ? "call_indirect" : "return_call_indirect";
      return step(`${name} ${text}`.trimEnd(), params + 1, first === 0x11 ? results : 0);
    }
    case 0x20:
      return step(`local.get ${bytes.unsigned()}`, 0, 1);
    case 0x21:
      return step(`local.set ${bytes.unsigned()}`, 1, 0);
    case 0x22:
      return step(`local.tee ${bytes.unsigned()}`, 1, 1);
    case 0x41:
      return step(`i32.const ${bytes.signed()}`, 0, 1);
    case 0x42:
      return step(`i64.const ${bytes.signed()}`, 0, 1);
    case 0xfc:
      return numbered(bytes);
    case 0xfd:
      return vector(bytes, at);
    default:
      throw new Error(`there is no text for opcode 0x${first.toString(16)}`);
  }
};

/** Behind prefix FC. */
const numbered = (bytes: ByteReader): Step => {
  const number = bytes.unsigned();
  if (number < fc.saturating) {
    const [to, from] = [number < 4 ? "i32" : "i64", number & 2 ? "f64" : "f32"];
    return step(`${to}.trunc_sat_${from}_${number & 1 ? "u" : "s"}`, 1, 1);
  }
  bytes.byte();
  if (number === fc.memoryFill) return step("memory.fill", 3, 0);
  if (number !== fc.memoryCopy) throw new Error(`there is no text for opcode 0xfc ${number}`);
  bytes.byte();
  return step("memory.copy", 3, 0);
};

/** Behind prefix FD. */
const vector = (bytes: ByteReader, at: (name: string) => Step): Step => {
  const number = bytes.unsigned();
  if (number === 0) return at("v128.load");
  if (number === 0x0b) return at("v128.store");
  if (number === 0x5c) return at("v128.load32_zero");
  if (number === 0x5d) return at("v128.load64_zero");
  const listed = (): string => [...bytes.take(16)].join(" ");
  if (number === 0x0c) return step(`v128.const i8x16 ${listed()}`, 0, 1);
  if (number === 0x0d) return step(`i8x16.shuffle ${listed()}`, 2, 1);
  const lane = laneNames.get(number);
  if (lane !== undefined) return step(`${lane} ${bytes.byte()}`, lane.includes("extract") ? 1 : 2, 1);
  const name = simdNames.get(number);
  if (name === undefined) throw new Error(`there is no text for opcode 0xfd ${number}`);
  return arithmetic(name);
};

/** Instructions with their operands inside them, one line for each that leaves nothing on the stack. */
const lines = (code: Uint8Array, module: ReadModule): string[] => {
  const bytes = new ByteReader(code);
  const text: string[] = [];
  let waiting: string[] = [];
  let depth = 1;
  const put = (line: string): void => {
    text.push("  ".repeat(depth) + line);
  };
  while (!bytes.isAtEnd) {
    const { text: word, operands, results } = instruction(bytes, module);
    const inside = waiting.length >= operands ? waiting.splice(waiting.length - operands) : undefined;
    const whole = inside === undefined || inside.length === 0 ? word : `${word} ${inside.join(" ")}`;
    if (results > 0 && inside !== undefined) {
      waiting.push(`(${whole})`);
      continue;
    }
    // What was left on the stack before comes first; it is an operand of something further on.
    for (const other of waiting) put(other);
    waiting = [];
    if (bytes.isAtEnd && word === "end") break; // the function's own
    if (word === "end" || word === "else") depth--;
    put(whole);
    if (word === "else" || /^(block|loop|if)\b/.test(word)) depth++;
  }
  return text;
};

/** One function as text. */
export interface FunctionText {
  readonly name: string;
  /** `(func $name ...`, then the instructions, then `)`. */
  readonly lines: readonly string[];
}

/** The functions that a module defines, not those it imports. */
export const printModule = (module: Uint8Array): readonly FunctionText[] => {
  const read = readModule(module);
  return read.functions.map(({ name, type, locals, code }) => ({
    name,
    lines: [
      `(func $${name} ${type}`.trimEnd(),
      ...(locals === "" ? [] : [`  (local ${locals})`]),
      ...lines(code, read),
      ")",
    ],
  }));
};
