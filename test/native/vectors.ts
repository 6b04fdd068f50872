/**
 * Reads the recorded native vectors. Inputs come from seeds (state.ts); the files hold each form's code, the adjustments
 * of its inputs, and what the instruction changed. One file per group: brotli over a header and byte streams.
 *
 *   header   JSON: the forms {key, mnemonic, mode, profile, seed}, and the table of masks
 *   variants per form: count; per variant: cases, code, pins, echoes
 *   flags    per case: CF PF AF ZF SF DF OF after it
 *   defined  per case: which of them the SDM defines
 *   ids      per case: the fields that changed (numbers below), then 255
 *   lengths  per changed field: bytes that follow in `values`, plus 128 where they are to be XORed with the input
 *   values   their bytes, the lowest first; the rest is 0
 *   memory   per case with a memory change: runs {offset, length, bytes}
 *   faults   per case with an exception: vector, error code, CR2
 */
import { readdirSync, readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import {
  DATA_PAGE,
  type Echo,
  field,
  fillInput,
  Generator,
  NativeState,
  PAGE_BYTES,
  type Pin,
  type Profile,
  WINDOW,
} from "./state.ts";

export interface NativeException {
  readonly vector: number;
  /** undefined where the exception pushes none. */
  readonly errorCode: number | undefined;
  /** The linear address of a page fault. */
  readonly cr2: bigint | undefined;
}

export interface MemoryChange {
  /** In the data page. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** One instruction run once. The object and its states are used again for the next one: copy what is kept. */
export interface NativeVector {
  /** Row and form, readable: "ADD 01 E.v,G.v 32 memory". */
  readonly key: string;
  readonly mnemonic: string;
  /** 64-bit mode, or 32-bit compatibility mode. */
  readonly mode: 64 | 32;
  /** The instruction, at START. */
  readonly code: Uint8Array;
  readonly variant: number;
  readonly case: number;
  readonly input: NativeState;
  /** After it: `rip` is the next instruction's, or the faulting one's. */
  readonly expected: NativeState;
  readonly exception: NativeException | undefined;
  readonly memory: readonly MemoryChange[];
  /** Bits of RFLAGS that are to be compared: defined status flags, DF and what else user code can change. */
  readonly definedFlags: bigint;
}

/** Numbers of fields in the stream of ids. */
export const changed = {
  gpr: 0,
  xmm: 16,
  st: 32,
  fcw: 40,
  fsw: 41,
  ftw: 42,
  mxcsr: 43,
  rip: 44,
  rflags: 45,
  fault: 46,
  memory: 47,
  end: 255,
} as const;

/** Where a changed field is in a state, and how many bytes it has. */
export const fieldAt = (id: number): { readonly offset: number; readonly bytes: number } => {
  if (id < changed.xmm) return { offset: field.gpr + 8 * id, bytes: 8 };
  if (id < changed.st) return { offset: field.xmm + 16 * (id - changed.xmm), bytes: 16 };
  if (id < changed.fcw) return { offset: field.st + 16 * (id - changed.st), bytes: 10 };
  switch (id) {
    case changed.fcw: return { offset: field.fcw, bytes: 2 };
    case changed.fsw: return { offset: field.fsw, bytes: 2 };
    case changed.ftw: return { offset: field.ftw, bytes: 2 };
    case changed.mxcsr: return { offset: field.mxcsr, bytes: 4 };
    case changed.rip: return { offset: field.rip, bytes: 8 };
    default: return { offset: field.rflags, bytes: 8 };
  } // biome-ignore format: one field a line
};

/** The seven flags that have a stream of their own, lowest bit first, by position in RFLAGS. */
export const streamedFlags = [0, 2, 4, 6, 7, 10, 11] as const;
const packFlagsTable = streamedFlags.map((bit) => 1 << bit);
export const packFlags = (rflags: number): number =>
  packFlagsTable.reduce((packed, mask, i) => packed | ((rflags & mask) === 0 ? 0 : 1 << i), 0);
const unpackTable = Array.from({ length: 128 }, (_, packed) =>
  packFlagsTable.reduce((rflags, mask, i) => rflags | (packed & (1 << i) ? mask : 0), 0),
);
/** Of packed flags. */
export const unpackFlags = (packed: number): number => unpackTable[packed & 0x7f]!;
/** All bits that `unpackFlags` may give. */
export const STREAMED_FLAGS = unpackFlags(0x7f);
/** Bits of RFLAGS besides the streamed ones that user code can change: NT, AC, ID. */
const OTHER_FLAGS = 0x24_4000n;

export interface FormHeader {
  readonly key: string;
  readonly mnemonic: string;
  readonly mode: 64 | 32;
  readonly profile: Profile;
  readonly seed: number;
}
export interface FileHeader {
  readonly forms: readonly FormHeader[];
  /** Masks of pins, in hexadecimal. */
  readonly masks: readonly string[];
}
export const streamNames = [
  "variants",
  "flags",
  "defined",
  "ids",
  "lengths",
  "values",
  "memory",
  "faults",
] as const;
export type StreamName = (typeof streamNames)[number];

/** Reads numbers off a stream. */
class Stream {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }
  get done(): boolean {
    return this.at >= this.#bytes.length;
  }
  u8(): number {
    return this.#bytes[this.at++]!;
  }
  u16(): number {
    this.at += 2;
    return this.#view.getUint16(this.at - 2, true);
  }
  u32(): number {
    this.at += 4;
    return this.#view.getUint32(this.at - 4, true);
  }
  u64(): bigint {
    this.at += 8;
    return this.#view.getBigUint64(this.at - 8, true);
  }
  take(length: number): Uint8Array {
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }
}

const directory = new URL("../vectors/native/", import.meta.url);

/** The files of vectors: one per group of instructions. */
export const vectorFiles = (): readonly string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith(".br"))
    .toSorted();

interface OpenFile {
  readonly header: FileHeader;
  readonly streams: Readonly<Record<StreamName, Stream>>;
}

const open = (name: string): OpenFile => {
  const bytes = brotliDecompressSync(readFileSync(new URL(name, directory)));
  const whole = new Stream(bytes);
  const header = JSON.parse(new TextDecoder().decode(whole.take(whole.u32()))) as FileHeader;
  const streams = Object.fromEntries(
    streamNames.map((stream) => [stream, new Stream(whole.take(whole.u32()))]),
  );
  return { header, streams: streams as Record<StreamName, Stream> };
};

interface Variant {
  readonly cases: number;
  readonly code: Uint8Array;
  readonly pins: readonly Pin[];
  readonly echoes: readonly Echo[];
}

const readVariant = (stream: Stream, masks: readonly bigint[]): Variant => {
  const cases = stream.u8();
  const code = stream.take(stream.u8());
  const pins = Array.from({ length: stream.u8() }, () => ({
    offset: stream.u16(),
    mask: masks[stream.u8()]!,
    value: stream.u64(),
  }));
  const echoes = Array.from({ length: stream.u8() }, () => ({
    from: stream.u16(),
    to: stream.u16(),
    bytes: stream.u8(),
  }));
  return { cases, code, pins, echoes };
};

const applyValue = (state: NativeState, id: number, lengths: Stream, values: Stream): void => {
  const { offset, bytes } = fieldAt(id);
  const length = lengths.u8();
  const value = values.take(length & 0x7f);
  const isXor = (length & 0x80) !== 0;
  for (let n = 0; n < bytes; n++) {
    const byte = value[n] ?? 0;
    state.bytes[offset + n] = isXor ? state.bytes[offset + n]! ^ byte : byte;
  }
};

const readMemory = (stream: Stream): MemoryChange[] =>
  Array.from({ length: stream.u8() }, () => {
    const offset = stream.u16();
    return { offset, bytes: stream.take(stream.u16()) };
  });

const pushesErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14, 17, 21]);

const readFault = (stream: Stream): NativeException => {
  const vector = stream.u8();
  const errorCode = pushesErrorCode.has(vector) ? stream.u16() : undefined;
  return { vector, errorCode, cr2: vector === 14 ? stream.u64() : undefined };
};

export interface VectorSelection {
  /** Names of files (without .br), for example "integer". All when absent. */
  readonly files?: readonly string[];
  /** By form key. */
  readonly wants?: (form: FormHeader) => boolean;
  /** Every n-th case of each form only. */
  readonly every?: number;
}

/** All recorded vectors, form by form. */
export function* vectors({ files, wants, every = 1 }: VectorSelection = {}): Generator_<NativeVector> {
  const random = new Generator();
  const input = new NativeState();
  const expected = new NativeState();
  for (const name of vectorFiles()) {
    if (files !== undefined && !files.includes(name.replace(/\.br$/, ""))) continue;
    const { header, streams } = open(name);
    const masks = header.masks.map((mask) => BigInt(`0x${mask}`));
    for (const form of header.forms) {
      const list = Array.from({ length: streams.variants.u16() }, () => readVariant(streams.variants, masks));
      const isWanted = wants === undefined || wants(form);
      let number = 0;
      for (const [variant, { cases, code, pins, echoes }] of list.entries())
        for (let n = 0; n < cases; n++, number++) {
          const packed = streams.flags.u8();
          const defined = streams.defined.u8();
          const isTaken = isWanted && number % every === 0;
          if (isTaken) {
            fillInput(input, random, form.seed, number, form.profile, pins, echoes);
            expected.bytes.set(input.bytes);
            expected.view.setBigUint64(field.rip, input.rip + BigInt(code.length), true);
          }
          let exception: NativeException | undefined;
          let memory: readonly MemoryChange[] = [];
          for (let id = streams.ids.u8(); id !== changed.end; id = streams.ids.u8()) {
            if (id === changed.fault) exception = readFault(streams.faults);
            else if (id === changed.memory) memory = readMemory(streams.memory);
            else applyValue(expected, id, streams.lengths, streams.values);
          }
          if (!isTaken) continue;
          const flags = (expected.view.getUint32(field.rflags, true) & ~STREAMED_FLAGS) | unpackFlags(packed);
          expected.view.setUint32(field.rflags, flags, true);
          for (const { offset, bytes } of memory)
            for (let i = 0; i < bytes.length; i++) {
              const at = offset + i - WINDOW;
              if (at >= 0 && at < expected.window.length) expected.window[at] = bytes[i]!;
            }
          const definedFlags = BigInt(unpackFlags(defined)) | OTHER_FLAGS;
          const { key, mnemonic, mode } = form;
          yield {
            key,
            mnemonic,
            mode,
            code,
            variant,
            case: number,
            input,
            expected,
            exception,
            memory,
            definedFlags,
          };
        }
    }
  }
}
type Generator_<T> = globalThis.Generator<T, void, void>;

/** The forms that have vectors, with the number of their cases. */
export const recordedForms = (): readonly (FormHeader & {
  readonly cases: number;
  readonly file: string;
})[] =>
  vectorFiles().flatMap((file) => {
    const { header, streams } = open(file);
    const masks = header.masks.map((mask) => BigInt(`0x${mask}`));
    return header.forms.map((form) => {
      let cases = 0;
      for (let n = streams.variants.u16(); n > 0; n--) cases += readVariant(streams.variants, masks).cases;
      return { ...form, cases, file };
    });
  });

/** The data page before the instruction, or after it, whole. */
export const dataPage = (vector: NativeVector, when: "before" | "after"): Uint8Array => {
  const page = new Uint8Array(PAGE_BYTES);
  page.set(vector.input.window, WINDOW);
  if (when === "after") for (const { offset, bytes } of vector.memory) page.set(bytes, offset);
  return page;
};

export { DATA_PAGE };
