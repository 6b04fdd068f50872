/**
 * Effects as pseudocode, one line each, for the explorer. Values used more than once are named first, on lines of their
 * own: `t0 = dest + src`.
 *
 *   + - * & | ^ << >>   as in C, unsigned; sar(), rotl(), rotr(), mulHighSigned() ... by name
 *   = <u <s             equal, less unsigned, less signed
 *   a[7:0] a[31]        bits of a value; {a, b} is a above b; zx64(a), sx64(a) extend
 */
import { Exception } from "../arch/exceptions.ts";
import type { Effect, Effects, SegmentSource } from "./effects.ts";
import type { Value } from "./value.ts";

export interface PrintNames {
  /** Of the operands; "dest", "src", "third", "fourth" by default. */
  readonly operands?: readonly string[];
}

const defaultOperands = ["dest", "src", "third", "fourth"];

/** How tightly an operator binds; a function call or a leaf is above all. */
// biome-ignore format: one row per fact
const operators: Readonly<Record<string, readonly [text: string, level: number]>> = {
  equal: ["=", 2], below: ["<u", 2], less: ["<s", 2],
  or: ["|", 3], xor: ["^", 4], and: ["&", 5], shl: ["<<", 6], shr: [">>", 6], add: ["+", 7], sub: ["-", 7], mul: ["*", 8],
};
const SELECT = 1;
const UNARY = 9;
const ATOM = 10;

const exceptionNames = new Map<number, string>(
  Object.entries(Exception).map(([name, vector]) => [vector, name]),
);

const constantText = (bits: bigint): string => (bits < 10n ? String(bits) : `0x${bits.toString(16)}`);

/** Leaves and what reads as shortly as its name are written where they are used. */
const isShort = ({ op, args }: Value): boolean =>
  args.length === 0 ||
  ((op === "extract" || op === "zeroExtend" || op === "not") && args[0]!.args.length === 0);

class Printer {
  readonly #operands: readonly string[];
  readonly #names = new Map<Value, string>();
  readonly #uses = new Map<Value, number>();

  constructor(operands: readonly string[]) {
    this.#operands = operands;
  }

  /** Count how often values are used, over all effects. */
  count(roots: readonly Value[]): void {
    for (const value of roots) {
      const count = this.#uses.get(value) ?? 0;
      this.#uses.set(value, count + 1);
      if (count === 0) this.count(value.args);
    }
  }

  /** Lines that name what is used more than once in these values, after what it is made of; nothing is named twice. */
  definitions(roots: readonly Value[]): string[] {
    return roots.flatMap((value) => {
      if (this.#names.has(value)) return [];
      const lines = this.definitions(value.args);
      if (this.#uses.get(value)! < 2 || isShort(value)) return lines;
      const text = this.text(value);
      const name = `t${this.#names.size}`;
      this.#names.set(value, name);
      return [...lines, `${name} = ${text}`];
    });
  }

  /** Parenthesised where its operator binds less than `level`. */
  text(value: Value, level = 0): string {
    const name = this.#names.get(value);
    if (name !== undefined) return name;
    const [written, own] = this.#write(value);
    return own < level ? `(${written})` : written;
  }

  #write(value: Value): readonly [text: string, level: number] {
    const { op, args, attr, width } = value;
    const [a, b, c] = args;
    const operator = operators[op];
    if (operator !== undefined) {
      const [mark, level] = operator;
      return [`${this.text(a!, level)} ${mark} ${this.text(b!, level + 1)}`, level];
    }
    switch (op) {
      case "const":
        return [constantText(value.bits), ATOM];
      case "operand":
        return [this.#operands[attr as number] ?? `operand${attr}`, ATOM];
      case "address":
        return [`address(${this.#operands[attr as number] ?? `operand${attr}`})`, ATOM];
      case "register":
        return [width === 64 ? (attr as string) : `${attr}[${width - 1}:0]`, ATOM];
      case "flag":
        return [attr as string, ATOM];
      case "rflags":
        return ["RFLAGS", ATOM];
      case "nextRip":
        return ["nextRIP", ATOM];
      case "load":
        return [`loaded${attr}`, ATOM];
      case "select":
        return [
          `${this.text(a!, SELECT + 1)} ? ${this.text(b!, SELECT + 1)} : ${this.text(c!, SELECT)}`,
          SELECT,
        ];
      case "zeroExtend":
      case "signExtend":
        return [`${op === "zeroExtend" ? "zx" : "sx"}${width}(${this.text(a!)})`, ATOM];
      case "extract": {
        const low = attr as number;
        return [`${this.text(a!, ATOM)}[${width === 1 ? low : `${low + width - 1}:${low}`}]`, ATOM];
      }
      case "concat":
        return [`{${this.text(a!)}, ${this.text(b!)}}`, ATOM];
      case "not":
        return [`${width === 1 ? "!" : "~"}${this.text(a!, UNARY)}`, UNARY];
      case "neg":
        return [`-${this.text(a!, UNARY)}`, UNARY];
      case "lanewise":
      case "laneShift":
      case "narrow":
      case "laneSigns":
      case "intrinsic":
        return [
          `${op === "lanewise" || op === "intrinsic" ? "" : `${op}.`}${attr}(${this.#list(args)})`,
          ATOM,
        ];
      case "shuffle":
        return [`shuffle(${this.#list(args)}; bytes ${attr})`, ATOM];
      default:
        return [`${op}(${this.#list(args)})`, ATOM];
    }
  }

  #list(args: readonly Value[]): string {
    return args.map((arg) => this.text(arg)).join(", ");
  }

  place(segment: SegmentSource, address: Value): string {
    const of =
      typeof segment === "number" ? `segment(${this.#operands[segment] ?? `operand${segment}`})` : segment;
    return `${of}:[${this.text(address)}]`;
  }

  #guard(when: Value | undefined): string {
    if (when === undefined || (when.isConst && when.bits === 1n)) return "";
    return `if ${this.text(when)}: `;
  }

  line(effect: Effect): string {
    switch (effect.kind) {
      case "load": {
        const how = effect.forWrite ? ", to be written" : "";
        return `loaded${effect.index} = ${this.place(effect.segment, effect.address)} (${effect.width} bits${how})`;
      }
      case "fault": {
        const name = exceptionNames.get(effect.vector) ?? String(effect.vector);
        const code = effect.errorCode === undefined ? "" : `(${this.text(effect.errorCode)})`;
        const commit =
          effect.commit === undefined ? "" : `, ${effect.commit.name} <- ${this.text(effect.commit.value)}`;
        return `${this.#guard(effect.when)}#${name}${code}${commit}`;
      }
      case "store":
        return `${this.place(effect.segment, effect.address)} <- ${this.text(effect.value)} (${effect.value.width} bits)`;
      case "writeOperand":
        return `${this.#operands[effect.index] ?? `operand${effect.index}`} <- ${this.text(effect.value)}`;
      case "writeRegister": {
        const { width } = effect.value;
        return `${effect.name}${width === 64 ? "" : `[${width - 1}:0]`} <- ${this.text(effect.value)}`;
      }
      case "flags": {
        const flags = Object.entries(effect.flags).map(([name, value]) => `${name} <- ${this.text(value)}`);
        return `${this.#guard(effect.when)}${flags.join("; ")}`;
      }
      case "jump":
        return `${this.#guard(effect.when)}RIP <- ${this.text(effect.target)}`;
      case "interruptShadow":
        return `${this.#guard(effect.when)}interrupts wait for one more instruction`;
      case "procedure":
        return `${this.#guard(effect.when)}the procedure`;
      case "attention":
        return `${this.#guard(effect.when)}look for events`;
    }
  }
}

/** The values an effect is made of. */
const valuesOf = (effect: Effect): readonly Value[] => {
  const list: (Value | undefined)[] = [];
  if ("address" in effect) list.push(effect.address);
  if ("value" in effect) list.push(effect.value);
  if ("when" in effect) list.push(effect.when);
  if (effect.kind === "fault") list.push(effect.errorCode, effect.commit?.value);
  if (effect.kind === "flags") list.push(...Object.values(effect.flags));
  if (effect.kind === "jump") list.push(effect.target);
  return list.filter((value) => value !== undefined);
};

/** Pseudocode, line by line, in the order in which things happen. */
export const printEffects = ({ effects }: Effects, names: PrintNames = {}): readonly string[] => {
  const printer = new Printer(names.operands ?? defaultOperands);
  for (const effect of effects) printer.count(valuesOf(effect));
  return effects.flatMap((effect) => [...printer.definitions(valuesOf(effect)), printer.line(effect)]);
};
