import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Case, MEMORY_BYTES, outcomeText, STATUS_FLAGS, type State } from "../../test/x87/cases.ts";

/** Runs cases on this processor, by run.c. */

const RECORD = 368;
const at = {
  code: 0,
  length: 16,
  signal: 20,
  RAX: 24,
  RBX: 32,
  RFLAGS: 40,
  fxsave: 80,
  memory: 240,
} as const;
const fxsave = { FCW: 0, FSW: 2, FTW: 4, FOP: 6, FIP: 8, FDP: 16, MXCSR: 24, ST0: 32 } as const;
const INTERRUPTS = 0x202n;

const input = ({ code, address, before }: Case): Uint8Array => {
  const record = new Uint8Array(RECORD);
  const view = new DataView(record.buffer);
  record.set(code, at.code);
  view.setUint32(at.length, code.length, true);
  view.setBigUint64(at.RAX, before.RAX, true);
  view.setBigUint64(at.RBX, BigInt(address), true);
  view.setBigUint64(at.RFLAGS, before.RFLAGS | INTERRUPTS, true);
  const area = new DataView(record.buffer, at.fxsave);
  area.setUint16(fxsave.FCW, before.FCW, true);
  area.setUint16(fxsave.FSW, before.FSW, true);
  area.setUint8(fxsave.FTW, before.inUse);
  area.setUint16(fxsave.FOP, before.FOP, true);
  area.setBigUint64(fxsave.FIP, before.FIP, true);
  area.setBigUint64(fxsave.FDP, before.FDP, true);
  area.setUint32(fxsave.MXCSR, 0x1f80, true);
  const top = (before.FSW >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const bits = before.registers[(top + i) & 7]!;
    area.setBigUint64(fxsave.ST0 + 16 * i, BigInt.asUintN(64, bits), true);
    area.setUint16(fxsave.ST0 + 16 * i + 8, Number(bits >> 64n), true);
  }
  record.set(before.memory, at.memory);
  return record;
};

/** The signal by which Linux reports an exception. */
const faults: Readonly<Record<number, string>> = { 4: "UD", 7: "AC", 8: "MF", 11: "SEGV" };

const outcome = (one: Case, record: Uint8Array): string => {
  const view = new DataView(record.buffer, record.byteOffset);
  const area = new DataView(record.buffer, record.byteOffset + at.fxsave);
  const FSW = area.getUint16(fxsave.FSW, true);
  const top = (FSW >> 11) & 7;
  const registers = Array.from({ length: 8 }, (_, number) => {
    const place = fxsave.ST0 + 16 * ((number - top) & 7);
    return (BigInt(area.getUint16(place + 8, true)) << 64n) | area.getBigUint64(place, true);
  });
  const after: State = {
    FCW: area.getUint16(fxsave.FCW, true),
    FSW,
    inUse: area.getUint8(fxsave.FTW),
    FOP: area.getUint16(fxsave.FOP, true),
    FIP: area.getBigUint64(fxsave.FIP, true),
    FDP: area.getBigUint64(fxsave.FDP, true),
    registers,
    RAX: view.getBigUint64(at.RAX, true),
    RFLAGS: view.getBigUint64(at.RFLAGS, true) & STATUS_FLAGS,
    memory: record.slice(at.memory, at.memory + MEMORY_BYTES),
  };
  const signal = view.getUint32(at.signal, true);
  return outcomeText(one, after, signal === 0 ? undefined : (faults[signal] ?? `signal ${signal}`));
};

/** The program, compiled (gcc). `close` removes it. */
export class Native {
  readonly #directory = mkdtempSync(join(tmpdir(), "x87-vectors-"));
  readonly #program = join(this.#directory, "run");

  constructor() {
    const source = fileURLToPath(new URL("run.c", import.meta.url));
    execFileSync("gcc", ["-O1", "-mno-red-zone", "-Wall", "-Wextra", "-o", this.#program, source]);
  }

  /** Outcomes as text, in the order of the cases. */
  run(cases: readonly Case[]): string[] {
    const stdin = Buffer.concat(cases.map(input));
    const stdout = execFileSync(this.#program, [], { input: stdin, maxBuffer: stdin.length + 1 });
    return cases.map((one, n) => outcome(one, stdout.subarray(RECORD * n, RECORD * (n + 1))));
  }

  close(): void {
    rmSync(this.#directory, { recursive: true });
  }
}
