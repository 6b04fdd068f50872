import { recordsBytes, recordsOffset } from "../../src/codegen/memory-map.ts";
import { record, recordBytes } from "../../src/codegen/record.ts";
import { layout } from "../../src/state/layout.ts";
import { printModule } from "../../src/wasm/print.ts";
import { bareProcessor } from "../conformance/bare-processor.ts";
import { places } from "../conformance/program-places.ts";
import { placeProgram } from "../conformance/random-program.ts";
import type { Snippet } from "./snippets.ts";

/** Instructions before the translation: every loop has been gone around. */
const warmUp = 700;

const fields = new Map([...layout].map(([name, { offset }]) => [offset, name]));

/** Let a bare processor run the snippet; the module that its region is in, and the region's record. */
const translated = ({
  bits,
  source,
}: Snippet): {
  readonly module: Uint8Array;
  readonly at: number;
  readonly offsetOf: (at: number) => number;
} => {
  const { engine, processor } = bareProcessor(places.ramBytes);
  engine.tier = "jit";
  engine.eager = true;
  placeProgram(
    { engine, processor, guest: engine.guest, interrupts: [] },
    1,
    bits,
    `bits ${bits}\norg ${places.code}\n${source}`,
  );
  const { state } = processor;
  for (const name of ["RAX", "RBX", "RCX", "RDX"] as const) state[name] = 5n;
  state.RSI = BigInt(places.data + 64);
  state.RDI = BigInt(places.data + 128);
  state.RFLAGS = 2n;
  state.MXCSR = 0x1f80;
  let at = 0;
  const { module } = engine;
  const { run } = module;
  Object.defineProperty(module, "run", {
    value: (start: number, budget: number) => {
      at ||= start;
      run(start, budget);
    },
  });
  // The snippet must be through its setup once before it is made a region.
  engine.cache.hot.eager = false;
  processor.run(warmUp);
  const modules: Uint8Array[] = [];
  const { Module } = WebAssembly;
  WebAssembly.Module = class extends Module {
    constructor(bytes: Uint8Array) {
      super(bytes);
      modules.push(bytes);
    }
  };
  try {
    engine.cache.hot.translateAll([at]);
  } finally {
    WebAssembly.Module = Module;
  }
  // What it turns out to need is a module of its own.
  if (modules.length === 0) throw new Error("the snippet did not become a region");
  const { view } = state;
  return { module: modules[0]!, at, offsetOf: (other) => view.getUint16(other + record.offset, true) };
};

/** What the constants and offsets of a line stand for, in their order. */
const notesOn = (line: string, offsetOf: (at: number) => number): string => {
  const notes: string[] = [];
  const note = (text: string | undefined): void => {
    if (text !== undefined && !notes.includes(text)) notes.push(text);
  };
  // An address of 0 and the offset: a field of the state.
  for (const [, offset, constant] of line.matchAll(
    /(?:load|store)\w*(?: offset=(\d+))? \(i32\.const 0\)|i32\.const (\d+)/g,
  )) {
    if (constant === undefined) note(fields.get(Number(offset ?? 0)));
    else if (isRecord(Number(constant)))
      note(
        `record ${(Number(constant) - recordsOffset) / recordBytes}, at ${hex(offsetOf(Number(constant)))}`,
      );
  }
  return notes.length === 0 ? "" : ` ;; ${notes.join(", ")}`;
};

const isRecord = (value: number): boolean => value >= recordsOffset && value < recordsOffset + recordsBytes;

const hex = (value: number): string => `0x${value.toString(16)}`;

/** The golden text of a snippet: what it is, its source, and the functions of its module. */
export const regionText = (name: string, snippet: Snippet): string => {
  const { module, offsetOf } = translated(snippet);
  const head = [`${name}: ${snippet.shows}`, "", ...snippet.source.split("\n")];
  const functions = printModule(module).map(({ lines }) =>
    lines.map((line) => line + notesOn(line, offsetOf)).join("\n"),
  );
  return `${head.map((line) => `;; ${line}`.trimEnd()).join("\n")}\n\n${functions.join("\n\n")}\n`;
};
