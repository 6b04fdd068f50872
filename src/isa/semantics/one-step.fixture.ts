/** Runs one instruction's effects over plain state: what the tests of this folder call "the CPU". Flat segments, no paging. */
import { flagBit } from "../../arch/flags.ts";
import type { SegmentSource } from "../../ir/effects.ts";
import { evaluator } from "../../ir/evaluate.ts";
import type { Value, Width } from "../../ir/value.ts";
import { decodeWith, indexRows, isInstruction, type OpcodeIndex } from "../decode.ts";
import { effectsOf } from "../define.ts";
import type { Instruction, MemoryOperand, RegisterOperand } from "../instruction.ts";
import { rows } from "../maps/index.ts";

export interface StepState {
  /** State fields by name, unsigned; a field that is absent is 0. */
  readonly fields: Map<string, bigint>;
  readonly memory: Map<bigint, number>;
}

export type StepResult =
  | { readonly kind: "done"; readonly instruction: Instruction; readonly segments: readonly SegmentSource[] }
  | { readonly kind: "fault"; readonly vector: number; readonly errorCode: bigint | undefined }
  | { readonly kind: "procedure"; readonly mnemonic: string };

/** State field names by register number; the state's own list lies on a higher floor. */
const generalRegisters = "RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15".split(" ");

const mask = (width: number): bigint => (1n << BigInt(width)) - 1n;

export const readMemory = (state: StepState, address: bigint, width: number): bigint => {
  let bits = 0n;
  for (let n = width / 8 - 1; n >= 0; n--)
    bits = (bits << 8n) | BigInt(state.memory.get(address + BigInt(n)) ?? 0);
  return bits;
};

export const writeMemory = (state: StepState, address: bigint, width: number, bits: bigint): void => {
  for (let n = 0; n < width / 8; n++)
    state.memory.set(address + BigInt(n), Number((bits >> BigInt(8 * n)) & 0xffn));
};

const formOf = (instruction: Instruction) => ({
  operandSize: instruction.operandSize,
  addressSize: instruction.addressSize,
  stackSize: instruction.stackSize,
  codeSize: instruction.codeSize,
  operands: instruction.operands.map((operand) => {
    if (operand.kind === "far") throw new Error("far pointers belong to procedures");
    return { kind: operand.kind, width: operand.width as Width };
  }),
});

const allRows = indexRows(rows);

/** Executes the instruction at the start of `code`. RIP is the offset of `code`; jumps and the next offset go to RIP. */
export const step = (
  state: StepState,
  code: readonly number[],
  codeSize: 16 | 32 | 64,
  index: OpcodeIndex = allRows,
): StepResult => {
  const bytes = Uint8Array.from(code);
  const mode = { codeSize, stackSize: codeSize, realLike: false } as const;
  const instruction = decodeWith(index, bytes, 0, bytes.length, mode, () => true);
  if (!isInstruction(instruction))
    return { kind: "fault", vector: "vector" in instruction ? instruction.vector : -1, errorCode: undefined };
  const { semantics } = instruction.row;
  if (!semantics.build) return { kind: "procedure", mnemonic: semantics.mnemonic };

  const field = (name: string): bigint => state.fields.get(name) ?? 0n;
  const rflags = field("RFLAGS") | 2n;
  const next = (field("RIP") + BigInt(instruction.length)) & mask(codeSize);
  const registerName = ({ file, number }: RegisterOperand): string => {
    if (file === "general") return generalRegisters[number]!;
    if (file === "segment") return `${["ES", "CS", "SS", "DS", "FS", "GS"][number]}.selector`;
    throw new Error(`no ${file} registers here`);
  };
  const popped = instruction.row.popAddress ? BigInt(instruction.operandSize / 8) : 0n;
  const addressOf = ({ base, index, scale, displacement }: MemoryOperand): bigint => {
    const from =
      base === undefined
        ? 0n
        : base === "RIP"
          ? next
          : field(generalRegisters[base]!) + (base === 4 ? popped : 0n);
    const indexed = index === undefined ? 0n : field(generalRegisters[index]!) * BigInt(scale);
    return (from + indexed + displacement) & mask(instruction.addressSize);
  };
  const loads = new Map<number, bigint>();
  const evaluate = evaluator({
    operand(index, width) {
      const operand = instruction.operands[index]!;
      if (operand.kind === "immediate") return operand.value;
      if (operand.kind === "memory") return readMemory(state, addressOf(operand), width);
      if (operand.kind === "far") throw new Error("far pointers belong to procedures");
      return (field(registerName(operand)) >> (operand.high ? 8n : 0n)) & mask(width);
    },
    address: (index) => addressOf(instruction.operands[index] as MemoryOperand),
    register: (name, width) => field(name) & mask(width),
    flag: (name) => (rflags >> BigInt(flagBit[name as keyof typeof flagBit])) & 1n,
    rflags: () => rflags,
    nextRip: () => next,
    load: (index) => loads.get(index)!,
  });

  const frame = effectsOf(semantics, formOf(instruction));
  const segments: SegmentSource[] = [];
  // Loads and faults in order; everything else is computed before anything changes.
  const changes: (() => void)[] = [];
  const setRegister = (name: string, width: number, bits: bigint, low = 0): void => {
    const old = field(name);
    const cleared = width === 32 ? 0n : old & ~(mask(width) << BigInt(low)) & mask(64);
    state.fields.set(name, cleared | (bits << BigInt(low)));
  };
  let target = next;
  let flags = rflags;
  for (const effect of frame.effects) {
    const holds = (condition: Value | undefined): boolean =>
      condition === undefined || evaluate(condition) === 1n;
    switch (effect.kind) {
      case "load":
        segments.push(effect.segment);
        loads.set(effect.index, readMemory(state, evaluate(effect.address), effect.width));
        break;
      case "fault":
        if (holds(effect.when))
          return {
            kind: "fault",
            vector: effect.vector,
            errorCode: effect.errorCode && evaluate(effect.errorCode),
          };
        break;
      case "store": {
        segments.push(effect.segment);
        const [address, bits] = [evaluate(effect.address), evaluate(effect.value)];
        changes.push(() => writeMemory(state, address, effect.value.width, bits));
        break;
      }
      case "writeOperand": {
        const operand = instruction.operands[effect.index]!;
        const bits = evaluate(effect.value);
        if (operand.kind === "memory") {
          const address = addressOf(operand);
          changes.push(() => writeMemory(state, address, effect.value.width, bits));
        } else if (operand.kind === "register")
          changes.push(() =>
            setRegister(registerName(operand), effect.value.width, bits, operand.high ? 8 : 0),
          );
        break;
      }
      case "writeRegister": {
        const bits = evaluate(effect.value);
        changes.push(() => setRegister(effect.name, effect.value.width, bits));
        break;
      }
      case "flags":
        if (holds(effect.when))
          for (const [name, value] of Object.entries(effect.flags)) {
            const bit = 1n << BigInt(flagBit[name as keyof typeof flagBit]);
            flags = evaluate(value) === 1n ? flags | bit : flags & ~bit;
          }
        break;
      case "jump":
        if (holds(effect.when)) target = evaluate(effect.target);
        break;
      case "interruptShadow":
      case "attention":
        break;
      default:
        throw new Error(`no ${(effect as { kind: string }).kind} here`);
    }
  }
  for (const change of changes) change();
  state.fields.set("RFLAGS", flags);
  state.fields.set("RIP", target);
  return { kind: "done", instruction, segments };
};

export interface RunResult {
  readonly result: StepResult;
  /** A state field, unsigned. */
  readonly get: (name: string) => bigint;
  /** The flags that are set, in RFLAGS order: "CF ZF". */
  readonly flags: string;
  readonly read: (address: bigint, width: number) => bigint;
}

export interface Given {
  readonly codeSize?: 16 | 32 | 64;
  /** "CF ZF": the flags set before. */
  readonly flags?: string;
  /** Quadwords in memory. */
  readonly memory?: Readonly<Record<number, bigint>>;
  /** State fields. */
  readonly [field: string]: bigint | number | string | Readonly<Record<number, bigint>> | undefined;
}

const flagNames = Object.entries(flagBit).sort(([, a], [, b]) => a - b);

/** Runs the bytes (hexadecimal) once on a state of which only what matters is given; the rest is 0. */
export const run = (bytes: string, given: Given = {}, index: OpcodeIndex = allRows): RunResult => {
  const { codeSize = 64, flags = "", memory = {}, ...fields } = given;
  const state: StepState = { fields: new Map(), memory: new Map() };
  for (const [name, value] of Object.entries(fields))
    state.fields.set(name, BigInt(value as bigint | number));
  for (const [address, value] of Object.entries(memory)) writeMemory(state, BigInt(address), 64, value);
  let rflags = 2n;
  for (const name of flags.split(" "))
    if (name !== "") rflags |= 1n << BigInt(flagBit[name as keyof typeof flagBit]);
  state.fields.set("RFLAGS", rflags);
  const code = bytes
    .split(" ")
    .join("")
    .match(/../g)!
    .map((byte) => Number.parseInt(byte, 16));
  const result = step(state, code, codeSize, index);
  const after = state.fields.get("RFLAGS")!;
  return {
    result,
    get: (name) => state.fields.get(name) ?? 0n,
    flags: flagNames
      .filter(([, bit]) => ((after >> BigInt(bit)) & 1n) === 1n)
      .map(([name]) => name)
      .join(" "),
    read: (address, width) => readMemory(state, address, width),
  };
};
