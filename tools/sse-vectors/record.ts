/**
 * `npx tsx tools/sse-vectors/record.ts`: compiles run.c (gcc), runs every case of test/sse/cases.ts on this processor and
 * writes the outcomes to test/vectors/sse/outcomes.txt.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Case, caseGroups, outcomeText, STATUS_FLAGS, type State } from "../../test/sse/cases.ts";

const RECORD = 160;
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const input = ({ bytes, before }: Case): Uint8Array => {
  const record = new Uint8Array(RECORD);
  const view = new DataView(record.buffer);
  const wide = (offset: number, value: bigint): void => {
    view.setBigUint64(offset, value, true);
    view.setBigUint64(offset + 8, value >> 64n, true);
  };
  record.set(bytes);
  view.setUint32(16, bytes.length, true);
  view.setUint32(20, Number(before.MXCSR), true);
  view.setBigUint64(24, before.RFLAGS | 0x202n, true);
  view.setBigUint64(32, before.RAX, true);
  view.setBigUint64(40, before.RCX, true);
  view.setBigUint64(48, before.RDX, true);
  wide(64, before.XMM0);
  wide(80, before.XMM1);
  wide(96, before.XMM2);
  view.setBigUint64(112, before.MM1, true);
  view.setBigUint64(120, before.MM2, true);
  wide(128, before.memory);
  return record;
};

/** The signal by which Linux reports an exception. */
const exceptions: Record<number, string> = { 4: "UD", 8: "XM", 11: "GP" };

const outcome = ({ before }: Case, record: Uint8Array): string => {
  const view = new DataView(record.buffer, record.byteOffset);
  const wide = (offset: number): bigint =>
    view.getBigUint64(offset, true) | (view.getBigUint64(offset + 8, true) << 64n);
  const after: State = {
    XMM0: wide(64),
    XMM1: wide(80),
    XMM2: wide(96),
    MM1: view.getBigUint64(112, true),
    MM2: view.getBigUint64(120, true),
    memory: wide(128),
    RAX: view.getBigUint64(32, true),
    RCX: view.getBigUint64(40, true),
    RDX: view.getBigUint64(48, true),
    MXCSR: BigInt(view.getUint32(20, true)),
    RFLAGS: view.getBigUint64(24, true) & STATUS_FLAGS,
  };
  const signal = view.getUint32(144, true);
  const top = (view.getUint16(148, true) >> 11) & 7;
  return outcomeText(
    before,
    after,
    signal === 0 ? undefined : (exceptions[signal] ?? `signal ${signal}`),
    top === 3 ? undefined : view.getUint16(150, true),
  );
};

const groups = caseGroups();
const directory = mkdtempSync(join(tmpdir(), "sse-vectors-"));
const program = join(directory, "run");
execFileSync("gcc", ["-O1", "-o", program, here("run.c")]);
const cases = groups.flatMap((group) => group.cases);
const stdin = Buffer.concat(cases.map(input));
const stdout = execFileSync(program, [], { input: stdin, maxBuffer: stdin.length + 1 });
rmSync(directory, { recursive: true });

let next = 0;
const lines = groups.map(({ name, cases }) => {
  const outcomes = cases.map((one) => outcome(one, stdout.subarray(RECORD * next, RECORD * ++next)));
  return `${name}: ${outcomes.join("; ")}\n`;
});
const folder = here("../../test/vectors/sse");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "outcomes.txt"), lines.join(""));
console.log(`${groups.length} forms, ${cases.length} cases`);
