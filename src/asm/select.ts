/** From mnemonic and operands to bytes: every row and size that fits is encoded, and the shortest wins, first in map order. */
import type { SegmentName } from "../ir/effects.ts";
import type { Width } from "../ir/value.ts";
import { operandBits, operandPlaces, sharedRegister } from "../isa/decode.ts";
import { defaultOperandSize, encode, isRefusal } from "../isa/encode.ts";
import type { DecodedOperand, MemoryOperand } from "../isa/instruction.ts";
import type { Operand } from "../isa/operands.ts";
import type { Row } from "../isa/row.ts";
import { isHidden, type Meaning, meaningsOf, takesXmm0 } from "../isa/syntax.ts";
import { evaluate, evaluateLinear, type Scope } from "./expression.ts";
import { describe, type TextOperand } from "./operand.ts";
import { Complaint } from "./tokens.ts";

type Size3 = 16 | 32 | 64;

/** An instruction statement. */
export interface InstructionText {
  readonly mnemonic: string;
  readonly operands: readonly TextOperand[];
  readonly lock: boolean;
  readonly rep: "none" | "repz" | "repnz";
  readonly segment: SegmentName | undefined;
  readonly operandSize: Size3 | undefined;
  readonly addressSize: Size3 | undefined;
  readonly displacementBytes: 1 | 4 | undefined;
  /** GNU's {load} and {store}: which of two encodings of the same meaning. */
  readonly direction: "load" | "store" | undefined;
  readonly rex: boolean;
}

/** A memory operand's parts; `target` when the displacement is relative to the next instruction. */
interface Address {
  readonly base: number | "RIP" | undefined;
  readonly index: number | undefined;
  readonly scale: 1 | 2 | 4 | 8;
  readonly displacement: bigint;
  readonly addressSize: Size3;
  readonly symbolic: boolean;
  readonly target: bigint | undefined;
  readonly plain: boolean;
}

const address16 = (numbers: readonly number[]): { base: number | undefined; index: number | undefined } => {
  const base = numbers.find((n) => n === 3 || n === 5);
  const index = numbers.find((n) => n === 6 || n === 7);
  const [first] = numbers;
  const known = numbers.every((n) => n === base || n === index) && numbers.length <= 2;
  if (!known) throw new Complaint("16-bit addresses are made of bx or bp and si or di");
  return base === undefined ? { base: first, index: undefined } : { base, index };
};

const resolveAddress = (
  operand: TextOperand & { kind: "memory" },
  wanted: InstructionText,
  codeSize: Size3,
  scope: Scope,
): Address => {
  const { constant, registers, symbolic } = evaluateLinear(operand.address, scope);
  const plainSize = wanted.addressSize ?? codeSize;
  const nothing = { base: undefined, index: undefined, scale: 1, target: undefined, symbolic } as const;
  const ip = registers.find(({ register }) => register === "ip");
  if (ip !== undefined || operand.relative) {
    if (registers.length > (ip ? 1 : 0))
      throw new Complaint("an address relative to rip has no other register");
    const addressSize = ip?.name === "eip" ? 32 : plainSize === 32 && codeSize === 64 ? 32 : 64;
    const target = operand.relative || symbolic ? constant : undefined;
    return {
      ...nothing,
      base: "RIP",
      displacement: target === undefined ? constant : 0n,
      addressSize,
      target,
      plain: false,
    };
  }
  if (registers.length === 0)
    return { ...nothing, displacement: BigInt.asIntN(64, constant), addressSize: plainSize, plain: true };
  const parts = registers.map(({ name, register, factor, isScaled }) => {
    if (register === "ip" || register.file !== "general" || register.width < 16)
      throw new Complaint(`${name} cannot be part of an address`);
    return { name, number: register.number, width: register.width as Size3, factor, isScaled };
  });
  const addressSize = parts[0]!.width;
  if (parts.some(({ width }) => width !== addressSize))
    throw new Complaint("an address mixes registers of different widths");
  const common = {
    displacement: BigInt.asIntN(64, constant),
    addressSize,
    symbolic,
    target: undefined,
    plain: false,
  };
  if (addressSize === 16) {
    if (parts.some(({ factor }) => factor !== 1n)) throw new Complaint("16-bit addresses have no scale");
    return { ...common, ...address16(parts.map(({ number }) => number)), scale: 1 };
  }
  const first = parts.find(({ isScaled }) => !isScaled);
  const others = parts.filter((part) => part !== first);
  if (others.length > 1) throw new Complaint("an address has at most a base and an index");
  let base = first?.number;
  let index = others[0]?.number;
  let factor = others[0]?.factor ?? 1n;
  if (base === undefined && (factor === 3n || factor === 5n || factor === 9n)) {
    base = index;
    factor -= 1n;
  }
  if (index === 4 && factor === 1n && base !== undefined) [base, index] = [index, base];
  if (factor !== 1n && factor !== 2n && factor !== 4n && factor !== 8n)
    throw new Complaint(`an index cannot be scaled by ${factor}`);
  return { ...common, base, index, scale: Number(factor) as 1 | 2 | 4 | 8 };
};

/** AAM and AAD without an operand are in base ten. */
const ten: TextOperand = {
  kind: "value",
  value: { kind: "number", value: 10n },
  size: undefined,
  distance: undefined,
  strict: false,
};
const st0: TextOperand = {
  kind: "register",
  name: "st",
  register: { file: "x87", number: 0, high: false, width: 0 },
};
const st1: TextOperand = {
  kind: "register",
  name: "st(1)",
  register: { file: "x87", number: 1, high: false, width: 0 },
};
const isX87Arithmetic = (row: Row): boolean =>
  row.unit === "x87" && row.operands.length > 0 && row.operands.every(({ size }) => size === "t");

/** Exchanging and testing mean the same either way round; text may have the operands in either order. */
const commutes: ReadonlySet<string> = new Set(["XCHG", "TEST"]);

/** The text's operand for each of the row's: undefined where the mnemonic says it. */
type Arrangement = readonly (TextOperand | undefined)[];

/** The text's operands as the row counts those that are written: no, one or two ways. */
const arrangeShown = (row: Row, length: number, operands: readonly TextOperand[]): readonly Arrangement[] => {
  const { mnemonic } = row.semantics;
  if (operands.length === length)
    return length === 2 && commutes.has(mnemonic) ? [operands, [operands[1]!, operands[0]!]] : [operands];
  if (operands.length === 0 && (mnemonic === "AAM" || mnemonic === "AAD")) return [[ten]];
  const [first, second] = operands;
  if (mnemonic === "IMUL" && operands.length === 2 && length === 3 && second!.kind === "value")
    return [[first!, first!, second!]];
  const last = operands.at(-1);
  if (
    operands.length === length + 1 &&
    takesXmm0.has(mnemonic) &&
    last?.kind === "register" &&
    last.name === "xmm0"
  )
    return [operands.slice(0, -1)];
  if (isX87Arithmetic(row)) {
    // fadd st(1) and faddp st(1) leave out ST(0); without operands it is ST(1), ST(0).
    const toStack = row.operands[0]!.addressing === "F";
    if (operands.length === 0) return [length === 1 ? [st1] : toStack ? [st1, st0] : [st0, st1]];
    if (operands.length === 1 && length === 2) return [toStack ? [first!, st0] : [st0, first!]];
  }
  return [];
};

const arrange = (row: Row, operands: readonly TextOperand[]): readonly Arrangement[] => {
  const shown = row.operands.filter((form) => !isHidden(row, form)).length;
  const arrangements = arrangeShown(row, shown, operands);
  if (shown === row.operands.length) return arrangements;
  return arrangements.map((arrangement) => {
    let next = 0;
    return row.operands.map((form) => (isHidden(row, form) ? undefined : arrangement[next++]));
  });
};

const dependsOnOperandSize = (form: Operand): boolean =>
  ["v", "z", "y", "p", "a"].includes(form.size) || form.registerSize === "v";

const memoryForms: ReadonlySet<string> = new Set(["E", "M", "W", "Q"]);

/** One way to read the text as a row: what is known before lengths are. */
interface Reading {
  readonly operands: readonly DecodedOperand[];
  readonly addressSize: Size3;
  readonly displacementBytes: 1 | 2 | 4 | undefined;
  /** Operand to be made relative to the next instruction, and the address it must reach. */
  readonly relative: { readonly operand: number; readonly target: bigint } | undefined;
  /** Width of a memory operand that the text does not say. */
  readonly unsaidWidth: number | undefined;
}

/** The bits of a memory operand's form. */
const memoryBits = (form: Operand, operandSize: Size3, codeSize: Size3): number =>
  form.size === "s" ? (codeSize === 64 ? 80 : 48) : operandBits(form, operandSize, false);

const implicitOperand = (
  form: Operand,
  operandSize: Size3,
  segment: SegmentName | undefined,
): DecodedOperand => {
  if (form.addressing === "X" || form.addressing === "Y")
    return {
      kind: "memory",
      segment: form.addressing === "X" ? (segment ?? "DS") : "ES",
      base: form.addressing === "X" ? 6 : 7,
      index: undefined,
      scale: 1,
      displacement: 0n,
      width: operandBits(form, operandSize, false),
    };
  return sharedRegister(
    operandPlaces(form).file,
    form.fixed as number,
    operandBits(form, operandSize, true) as Width,
  );
};

const readRegister = (
  form: Operand,
  operand: TextOperand & { kind: "register" },
  operandSize: Size3,
  row: Row,
): DecodedOperand | undefined => {
  const { file, place } = operandPlaces(form);
  const { register } = operand;
  if (file !== register.file || ["memory", "immediate", "relative", "moffs", "far", "one"].includes(place))
    return undefined;
  const width = operandBits(form, operandSize, true) as Width;
  if (file === "general" && register.width !== width) {
    // A selector may come from a wider register: the rest of it is not looked at.
    const loadsSelector = row.operands[0]!.addressing === "S" && form.size === "w" && register.width > 16;
    if (!loadsSelector) return undefined;
  }
  if (form.fixed !== undefined && form.fixed !== register.number) return undefined;
  return sharedRegister(file, register.number, width, register.high);
};

/** Read the text as this row with this operand size; undefined where an operand does not fit. */
const read = (
  meaning: Meaning,
  text: Arrangement,
  wanted: InstructionText,
  operandSize: Size3,
  codeSize: Size3,
  scope: Scope,
): Reading | undefined => {
  const { row } = meaning;
  let addressSize: Size3 = meaning.addressSize ?? wanted.addressSize ?? codeSize;
  let displacementBytes: 1 | 2 | 4 | undefined = wanted.displacementBytes;
  let relative: Reading["relative"];
  let unsaidWidth: number | undefined;
  const operands: DecodedOperand[] = [];
  for (const [i, form] of row.operands.entries()) {
    const operand = text[i];
    const { place } = operandPlaces(form);
    if (operand === undefined) {
      operands.push(implicitOperand(form, operandSize, wanted.segment));
      continue;
    }
    switch (operand.kind) {
      case "register": {
        const register = readRegister(form, operand, operandSize, row);
        if (register === undefined) return undefined;
        operands.push(register);
        break;
      }
      case "memory": {
        if (!memoryForms.has(form.addressing) && form.addressing !== "O") return undefined;
        const width = memoryBits(form, operandSize, codeSize);
        if (operand.size !== undefined && width !== 0 && form.size !== "s" && operand.size !== width)
          return undefined;
        if (operand.size === undefined) unsaidWidth = width;
        const address = resolveAddress(operand, wanted, codeSize, scope);
        if (form.addressing === "O" && !address.plain) return undefined;
        addressSize = address.addressSize;
        if (address.target !== undefined) relative = { operand: i, target: address.target };
        if (address.symbolic) displacementBytes = addressSize === 16 ? 2 : 4;
        const { base, index, scale, displacement } = address;
        const onStack = base === 4 || base === 5;
        const memory: MemoryOperand = {
          kind: "memory",
          segment: operand.segment ?? wanted.segment ?? (onStack ? "SS" : "DS"),
          base,
          index,
          scale,
          displacement: form.addressing === "O" ? BigInt.asUintN(addressSize, displacement) : displacement,
          width,
        };
        operands.push(memory);
        break;
      }
      case "value": {
        const { value, symbolic } = evaluate(operand.value, scope);
        const bits = operandBits(form, operandSize, false);
        if (place === "relative") {
          if (operand.distance === "short" && bits !== 8) return undefined;
          if (operand.distance === "near" && bits === 8) return undefined;
          relative = { operand: i, target: value };
          operands.push({ kind: "immediate", value: 0n, width: operandSize });
          break;
        }
        if (place === "one") {
          if (value !== 1n || symbolic || operand.strict) return undefined;
          operands.push({ kind: "immediate", value: 1n, width: 8 });
          break;
        }
        if (place !== "immediate" || operand.distance !== undefined) return undefined;
        if (form.signExtended && bits === 8 && symbolic) return undefined;
        if (operand.size !== undefined && (operand.strict || operand.size < bits) && operand.size !== bits)
          return undefined;
        const width = (form.signExtended ? operandSize : bits) as Width;
        if (value >= 1n << BigInt(width) || value < -(1n << BigInt(width - 1))) return undefined;
        operands.push({ kind: "immediate", value: BigInt.asUintN(width, value), width });
        break;
      }
      case "far": {
        if (place !== "far") return undefined;
        const selector = evaluate(operand.selector, scope).value;
        const target = evaluate(operand.offset, scope).value;
        if (selector < 0n || selector > 0xffffn) return undefined;
        if (target < 0n || target >= 1n << BigInt(Math.min(32, operandSize))) return undefined;
        operands.push({ kind: "far", selector: Number(selector), offset: Number(target) });
        break;
      }
    }
  }
  return { operands, addressSize, displacementBytes, relative, unsaidWidth };
};

/** Operand sizes worth trying: all when an operand tells which is meant, else the one named, else the default. */
const operandSizes = (
  meaning: Meaning,
  text: Arrangement,
  wanted: InstructionText,
  codeSize: Size3,
): readonly Size3[] => {
  const { row } = meaning;
  const named = meaning.operandSize ?? wanted.operandSize;
  if (named !== undefined) return [named];
  const standard = defaultOperandSize(row, codeSize);
  const pushed = text[0]?.kind === "value" && row.semantics.mnemonic === "PUSH" ? text[0].size : undefined;
  if (pushed === 16 || (pushed === 32 && codeSize !== 64)) return [pushed];
  const told = row.operands.some((form, i) => {
    const operand = text[i];
    if (operand === undefined || !dependsOnOperandSize(form)) return false;
    if (operand.kind === "register") return true;
    return (operand.kind === "memory" || operand.kind === "far") && operand.size !== undefined;
  });
  return told ? [standard, ...([16, 32, 64] as const).filter((size) => size !== standard)] : [standard];
};

export interface Selection {
  readonly bytes: Uint8Array;
  readonly row: Row;
}

/** Relative operands depend on the length, which does not depend on them. */
const encodeReading = (
  meaning: Meaning,
  reading: Reading,
  wanted: InstructionText,
  operandSize: Size3,
  codeSize: Size3,
  here: bigint,
): Uint8Array | string => {
  const attempt = (operands: readonly DecodedOperand[]) =>
    encode({
      row: meaning.row,
      codeSize,
      operandSize,
      addressSize: reading.addressSize,
      operands,
      rep: wanted.rep,
      lock: wanted.lock,
      segmentOverride: wanted.segment,
      displacementBytes: reading.displacementBytes,
      rex: wanted.rex,
    });
  const first = attempt(reading.operands);
  if (isRefusal(first)) return first.reason;
  if (reading.relative === undefined) return first;
  const { operand, target } = reading.relative;
  const distance = target - here - BigInt(first.length);
  const operands = [...reading.operands];
  const old = operands[operand]!;
  if (old.kind === "memory")
    operands[operand] = { ...old, displacement: BigInt.asIntN(reading.addressSize, distance) };
  else
    operands[operand] = {
      kind: "immediate",
      value: BigInt.asUintN(operandSize, distance),
      width: operandSize,
    };
  const second = attempt(operands);
  return isRefusal(second) ? second.reason : second;
};

/** The direction of a row with a register and an r/m operand: "load" where ModRM.reg is the destination. */
const direction = (row: Row): "load" | "store" | undefined => {
  const places = row.operands.map((form) => operandPlaces(form).place);
  if (!places.includes("reg") || !places.includes("rm")) return undefined;
  return places[0] === "reg" ? "load" : "store";
};

/** True where an unsaid operand size is no guess: the stack and branches have one of their own. */
const hasOwnSize = (row: Row): boolean =>
  row.d64 === true || row.f64 === true || ["CALL", "JMP", "PUSH", "POP"].includes(row.semantics.mnemonic);

/** True when nothing in the text tells the width of the row's memory operand. */
const guessesWidth = (row: Row, text: Arrangement, reading: Reading, sizes: readonly Size3[]): boolean => {
  if (!reading.unsaidWidth || sizes.length > 1 || row.rexW !== undefined || hasOwnSize(row)) return false;
  const form = row.operands[text.findIndex((operand) => operand?.kind === "memory")]!;
  return form.size === "v" || form.size === "z" || form.size === "y";
};

/** Of several encodings: those as long as earlier passes needed, in the wanted direction, the shortest, the first. */
const prefer = (
  candidates: readonly Selection[],
  wanted: InstructionText,
  leastLength: number,
): Selection => {
  let list = candidates.filter(({ bytes }) => bytes.length >= leastLength);
  if (list.length === 0) list = [...candidates];
  const directed = list.filter(({ row }) => direction(row) === wanted.direction);
  if (wanted.direction !== undefined && directed.length > 0) list = directed;
  return list.reduce((best, other) => (other.bytes.length < best.bytes.length ? other : best));
};

/** A far branch that does not say so: by a far pointer, or through memory that holds a 48-bit one. */
const isFar = ({ mnemonic, operands }: InstructionText): boolean =>
  (mnemonic === "jmp" || mnemonic === "call") &&
  operands.some((operand) => operand.kind === "far" || (operand.kind === "memory" && operand.size === 48));

/** Choose the bytes of an instruction, at least `leastLength` long where several would do. Throws a Complaint. */
export const select = (
  wanted: InstructionText,
  codeSize: Size3,
  scope: Scope,
  leastLength: number,
): Selection => {
  const meanings = meaningsOf(isFar(wanted) ? `${wanted.mnemonic} far` : wanted.mnemonic);
  if (meanings.length === 0) throw new Complaint(`there is no instruction "${wanted.mnemonic}"`);
  const candidates: Selection[] = [];
  const unsaidWidths = new Set<number>();
  let reason: string | undefined;
  let guesses = false;
  for (const meaning of meanings) {
    const { row } = meaning;
    for (const text of arrange(row, wanted.operands)) {
      const sizes = operandSizes(meaning, text, wanted, codeSize);
      for (const operandSize of sizes) {
        const reading = read(meaning, text, wanted, operandSize, codeSize, scope);
        if (reading === undefined) continue;
        const bytes = encodeReading(meaning, reading, wanted, operandSize, codeSize, scope.here);
        if (typeof bytes === "string") {
          reason ??= bytes;
          continue;
        }
        candidates.push({ bytes, row });
        if (reading.unsaidWidth) unsaidWidths.add(reading.unsaidWidth);
        guesses ||= guessesWidth(row, text, reading, sizes);
      }
    }
  }
  if (candidates.length > 0) {
    const named = wanted.operandSize !== undefined && unsaidWidths.size === 1;
    if ((guesses && !named) || unsaidWidths.size > 1)
      throw new Complaint("the memory operand needs a size: byte, word, dword or qword");
    return prefer(candidates, wanted, leastLength);
  }
  const kinds = wanted.operands.map(describe).join(", ");
  if (reason !== undefined) throw new Complaint(`${wanted.mnemonic} ${kinds}: ${reason}`);
  throw new Complaint(`no form of ${wanted.mnemonic} takes ${kinds === "" ? "no operands" : kinds}`);
};
