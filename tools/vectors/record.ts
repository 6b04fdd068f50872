/**
 * `npx tsx tools/vectors/record.ts`: compiles native.c with gcc, runs every form of forms.ts on this processor and writes
 * test/vectors/native/*.br (format: test/native/vectors.ts). An argument is a regular expression on keys: then nothing is
 * written and the outcomes are printed instead.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants } from "node:zlib";
import { decode, isInstruction } from "../../src/isa/decode.ts";
import { disassemble } from "../../src/isa/disassemble.ts";
import type { Instruction } from "../../src/isa/instruction.ts";
import { field, fillInput, Generator, NativeState, START, STATE_BYTES } from "../../test/native/state.ts";
import {
  changed,
  type FileHeader,
  fieldAt,
  packFlags,
  STREAMED_FLAGS,
  streamNames,
} from "../../test/native/vectors.ts";
import { undefinedAfter } from "./defined-flags.ts";
import { type FormPlan, forms, type VariantPlan } from "./forms.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const IN_BYTES = 24 + STATE_BYTES;
const OUT_BYTES = STATE_BYTES + 24;

// ---------------------------------------------------------------------------------------------------------- running

interface Outcome {
  readonly state: NativeState;
  /** -1: none. */
  readonly vector: number;
  readonly error: number;
  readonly cr2: bigint;
  readonly runs: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
}

const casesOf = (form: FormPlan): number => form.variants.reduce((sum, { cases }) => sum + cases, 0);

const inputsOf = (form: FormPlan): Uint8Array => {
  const random = new Generator();
  const state = new NativeState();
  const records = new Uint8Array(casesOf(form) * IN_BYTES);
  const view = new DataView(records.buffer);
  let number = 0;
  for (const { code, cases, pins, echoes } of form.variants)
    for (let n = 0; n < cases; n++, number++) {
      fillInput(state, random, form.seed, number, form.profile, pins, echoes);
      const at = number * IN_BYTES;
      records.set(code, at);
      view.setUint32(at + 16, code.length, true);
      view.setUint32(at + 20, form.mode, true);
      records.set(state.bytes, at + 24);
    }
  return records;
};

const run = (harness: string, list: readonly FormPlan[]): Outcome[] => {
  const input = Buffer.concat(list.map(inputsOf));
  const output = execFileSync(harness, { input, maxBuffer: 1 << 30 });
  const outcomes: Outcome[] = [];
  for (let at = 0; at < output.length; ) {
    const state = new NativeState();
    state.bytes.set(output.subarray(at, at + STATE_BYTES));
    const vector = output.readInt32LE(at + STATE_BYTES);
    const error = output.readUInt32LE(at + STATE_BYTES + 4);
    const cr2 = output.readBigUInt64LE(at + STATE_BYTES + 8);
    const count = output.readUInt32LE(at + STATE_BYTES + 16);
    at += OUT_BYTES;
    const runs = Array.from({ length: count }, () => {
      const offset = output.readUInt16LE(at);
      const length = output.readUInt16LE(at + 2);
      at += 4 + length;
      return { offset, bytes: output.subarray(at - length, at) };
    });
    outcomes.push({ state, vector, error, cr2, runs });
  }
  return outcomes;
};

// ---------------------------------------------------------------------------------------------------------- encoding

/** Grows as bytes come. */
class Sink {
  #bytes = new Uint8Array(1 << 16);
  length = 0;
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
  put(bytes: ArrayLike<number>): void {
    while (this.length + bytes.length > this.#bytes.length) {
      const grown = new Uint8Array(2 * this.#bytes.length);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
  }
  u8(value: number): void {
    this.put([value]);
  }
  u16(value: number): void {
    this.put([value & 0xff, value >> 8]);
  }
  u64(value: bigint): void {
    this.put(Array.from({ length: 8 }, (_, n) => Number((value >> BigInt(8 * n)) & 0xffn)));
  }
}

type Sinks = Record<(typeof streamNames)[number], Sink>;

const putVariant = (sink: Sink, { cases, code, pins, echoes }: VariantPlan, masks: bigint[]): void => {
  sink.u8(cases);
  sink.u8(code.length);
  sink.put(code);
  sink.u8(pins.length);
  for (const { offset, mask, value } of pins) {
    sink.u16(offset);
    if (!masks.includes(mask)) masks.push(mask);
    sink.u8(masks.indexOf(mask));
    sink.u64(value);
  }
  sink.u8(echoes.length);
  for (const { from, to, bytes } of echoes) {
    sink.u16(from);
    sink.u16(to);
    sink.u8(bytes);
  }
};

const trimmed = (bytes: Uint8Array): number => {
  let length = bytes.length;
  while (length > 0 && bytes[length - 1] === 0) length--;
  return length;
};

/** The value itself or what changed in it, whichever is shorter. */
const putChange = (sinks: Sinks, id: number, before: Uint8Array, after: Uint8Array): void => {
  const { offset, bytes } = fieldAt(id);
  const value = after.subarray(offset, offset + bytes);
  const difference = value.map((byte, n) => byte ^ before[offset + n]!);
  const isXor = trimmed(difference) < trimmed(value);
  const chosen = isXor ? difference : value;
  const length = trimmed(chosen);
  sinks.ids.u8(id);
  sinks.lengths.u8(length | (isXor ? 0x80 : 0));
  sinks.values.put(chosen.subarray(0, length));
};

const fieldIds = [...Array(40).keys(), changed.fcw, changed.fsw, changed.ftw, changed.mxcsr];

const widthOf = ({ operands }: Instruction): number => {
  const first = operands[0];
  return first === undefined || first.kind === "far" ? 64 : first.width;
};

/** The unmasked count of a shift or rotate. */
const countOf = ({ operands }: Instruction, before: NativeState): number => {
  const last = operands.at(-1);
  if (last?.kind === "immediate") return Number(last.value & 0xffn);
  return Number(before.gpr(1) & 0xffn);
};

/** Bits that 32-bit code can see: the upper halves and R8 to R15 are undefined there. */
const forgetUpper = (state: NativeState, before: NativeState): void => {
  for (let n = 0; n < 16; n++)
    for (let byte = n < 8 ? 4 : 0; byte < 8; byte++)
      state.bytes[field.gpr + 8 * n + byte] = before.bytes[field.gpr + 8 * n + byte]!;
};

/**
 * Whether a faulting store or conversion of MMX registers has already made x87 state MMX state is this processor's habit:
 * no manual says so, and the restarted instruction hides it.
 */
const forgetTransition = (state: NativeState, before: NativeState): void => {
  state.view.setUint16(field.fsw, before.fsw, true);
  state.view.setUint16(field.ftw, before.ftw, true);
};

const putCase = (
  sinks: Sinks,
  form: FormPlan,
  code: Uint8Array,
  instruction: Instruction,
  before: NativeState,
  outcome: Outcome,
): void => {
  const { state: after, vector, runs } = outcome;
  if (form.mode === 32) forgetUpper(after, before);
  if (vector >= 0 && instruction.row.unit?.endsWith("mmx")) forgetTransition(after, before);
  const rflags = after.view.getUint32(field.rflags, true);
  sinks.flags.u8(packFlags(rflags));
  const isUndefined =
    vector < 0 ? undefinedAfter(form.mnemonic, widthOf(instruction), countOf(instruction, before)) : 0;
  sinks.defined.u8(packFlags(~isUndefined));
  for (const id of fieldIds) {
    const { offset, bytes } = fieldAt(id);
    for (let n = offset; n < offset + bytes; n++)
      if (before.bytes[n] !== after.bytes[n]) {
        putChange(sinks, id, before.bytes, after.bytes);
        break;
      }
  }
  // `rip` is expected after the instruction.
  before.view.setBigUint64(field.rip, BigInt(START + code.length), true);
  if (after.rip !== before.rip) putChange(sinks, changed.rip, before.bytes, after.bytes);
  if (((rflags ^ before.view.getUint32(field.rflags, true)) & ~STREAMED_FLAGS) !== 0)
    putChange(sinks, changed.rflags, before.bytes, after.bytes);
  if (vector >= 0) {
    sinks.ids.u8(changed.fault);
    sinks.faults.u8(vector);
    if ([8, 10, 11, 12, 13, 14, 17, 21].includes(vector)) sinks.faults.u16(outcome.error);
    if (vector === 14) sinks.faults.u64(outcome.cr2);
  }
  if (runs.length > 0) {
    sinks.ids.u8(changed.memory);
    sinks.memory.u8(runs.length);
    for (const { offset, bytes } of runs) {
      sinks.memory.u16(offset);
      sinks.memory.u16(bytes.length);
      sinks.memory.put(bytes);
    }
  }
  sinks.ids.u8(changed.end);
};

const instructionOf = (form: FormPlan, code: Uint8Array): Instruction => {
  const mode = { codeSize: form.mode, stackSize: form.mode, realLike: false };
  const decoded = decode(code, 0, code.length, mode, () => true);
  if (!isInstruction(decoded)) throw new Error(`${form.key}: not an instruction`);
  return decoded;
};

/** Walk the cases of a form with their inputs. */
function* casesWith(
  form: FormPlan,
  outcomes: readonly Outcome[],
  first: number,
): Generator_<{ variant: VariantPlan; instruction: Instruction; before: NativeState; outcome: Outcome }> {
  const random = new Generator();
  let number = 0;
  for (const variant of form.variants) {
    const instruction = instructionOf(form, variant.code);
    for (let n = 0; n < variant.cases; n++, number++) {
      const before = new NativeState();
      fillInput(before, random, form.seed, number, form.profile, variant.pins, variant.echoes);
      yield { variant, instruction, before, outcome: outcomes[first + number]! };
    }
  }
}
type Generator_<T> = globalThis.Generator<T, void, void>;

const encodeFile = (list: readonly FormPlan[], harness: string): Uint8Array => {
  const sinks = Object.fromEntries(streamNames.map((name) => [name, new Sink()])) as Sinks;
  const masks: bigint[] = [];
  const BATCH = 40;
  for (let at = 0; at < list.length; at += BATCH) {
    const batch = list.slice(at, at + BATCH);
    const outcomes = run(harness, batch);
    let first = 0;
    for (const form of batch) {
      sinks.variants.u16(form.variants.length);
      for (const variant of form.variants) putVariant(sinks.variants, variant, masks);
      for (const { variant, instruction, before, outcome } of casesWith(form, outcomes, first))
        putCase(sinks, form, variant.code, instruction, before, outcome);
      first += casesOf(form);
    }
  }
  const header: FileHeader = {
    forms: list.map(({ key, mnemonic, mode, profile, seed }) => ({ key, mnemonic, mode, profile, seed })),
    masks: masks.map((mask) => mask.toString(16)),
  };
  const parts = [
    new TextEncoder().encode(JSON.stringify(header)),
    ...streamNames.map((name) => sinks[name].bytes),
  ];
  const whole = new Sink();
  for (const part of parts) {
    whole.put([
      part.length & 0xff,
      (part.length >> 8) & 0xff,
      (part.length >> 16) & 0xff,
      part.length >>> 24,
    ]);
    whole.put(part);
  }
  for (const name of streamNames) console.log(`  ${name.padEnd(9)} ${sinks[name].length}`);
  return brotliCompressSync(whole.bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: whole.length,
    },
  });
};

// -------------------------------------------------------------------------------------------------------------- main

const show = (harness: string, list: readonly FormPlan[]): void => {
  for (const form of list) {
    console.log(`${form.key}: ${casesOf(form)} cases`);
    let last: VariantPlan | undefined;
    for (const { variant, instruction, before, outcome } of casesWith(form, run(harness, [form]), 0)) {
      if (variant === last) continue;
      last = variant;
      const changes = fieldIds.filter((id) => {
        const { offset, bytes } = fieldAt(id);
        return (
          Buffer.compare(
            before.bytes.subarray(offset, offset + bytes),
            outcome.state.bytes.subarray(offset, offset + bytes),
          ) !== 0
        );
      });
      const memory = outcome.runs.map(
        ({ offset, bytes }) => `${offset.toString(16)}:${Buffer.from(bytes).toString("hex")}`,
      );
      const text = disassemble(instruction, BigInt(START));
      console.log(
        `  ${text.padEnd(50)} ${outcome.vector < 0 ? "" : `#${outcome.vector}(${outcome.error}) ${outcome.cr2.toString(16)} `}rip ${outcome.state.rip.toString(16)} fields ${changes.join()} ${memory.join(" ")}`,
      );
    }
  }
};

const scratch = mkdtempSync(join(tmpdir(), "native-vectors-"));
try {
  const harness = join(scratch, "native");
  execFileSync("gcc", ["-O2", "-o", harness, here("native.c")], { stdio: "inherit" });
  const plans = forms();
  const [pattern] = process.argv.slice(2);
  if (pattern !== undefined)
    show(
      harness,
      plans.filter(({ key }) => new RegExp(pattern).test(key)),
    );
  else {
    const directory = here("../../test/vectors/native");
    const encodedFiles = new Map<string, Uint8Array>();
    for (const file of new Set(plans.map((plan) => plan.file))) {
      const list = plans.filter((plan) => plan.file === file);
      const encoded = encodeFile(list, harness);
      encodedFiles.set(`${file}.br`, encoded);
      const cases = list.reduce((sum, form) => sum + casesOf(form), 0);
      console.log(`${file}: ${list.length} forms, ${cases} cases, ${encoded.length} bytes`);
    }
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    for (const [name, encoded] of encodedFiles) writeFileSync(join(directory, name), encoded);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
