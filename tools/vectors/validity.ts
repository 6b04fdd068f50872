/**
 * `npx tsx tools/vectors/validity.ts`: lets this processor say which of many random strings of bytes are instructions, and
 * writes test/vectors/validity.bin. Nothing is run that leaves the harness (branches, system calls, segment loads), nor what
 * belongs to instruction sets that this machine does not have.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CpuidFeature, Decoder, DecoderOptions, FlowControl, Mnemonic } from "iced-x86";
import { decode, isInstruction } from "../../src/isa/decode.ts";
import { DATA_PAGE, field, Generator, STATE_BYTES } from "../../test/native/state.ts";
import { fillBytes, modes, type Outcome, outcomes, STRINGS } from "../../test/native/validity.ts";

const IN_BYTES = 24 + STATE_BYTES;
const OUT_BYTES = STATE_BYTES + 24;
const UD = 6;

const leavesHarness =
  /^(SYSCALL|SYSENTER|SYSRET|SYSEXIT|INT|INT1|INT3|INTO|IRET|JMP|CALL|RET|RETF|CALL_FAR|JMP_FAR|LOOP|LOOPE|LOOPNE|JCXZ|J[A-Z]{1,2}|WR[FG]SBASE|MOV_TO_SREG|POP_SREG|L[DEFGS]S|XRSTORS?|FXRSTOR|FRSTOR|WRPKRU|XSETBV|RDPMC|MONITOR|MWAIT)$/;
const elsewhere =
  /AVX|FMA|F16C|BMI|VMX|SVM|AMX|GFNI|VAES|VPCLM|ENQCMD|MOVDIR64|RTM|HLE|SGX|SMX|MPX|CET|TSX|UINTR|WAITPKG|PTWRITE|KL|SERIAL|PCONFIG|XOP|3DNOW|D3NOW|MONITORX|INVLPGB|FSGS|PKU|HRESET|WBNO/;

/** How many of the bytes to run; undefined: none. */
const runnable = (bytes: Uint8Array, mode: 64 | 32): number | undefined => {
  const ours = decode(
    bytes,
    0,
    bytes.length,
    { codeSize: mode, stackSize: mode, realLike: false },
    () => true,
  );
  if (isInstruction(ours) && leavesHarness.test(ours.row.semantics.mnemonic)) return undefined;
  const decoder = new Decoder(mode, bytes, DecoderOptions.None);
  const theirs = decoder.decode();
  const flow = theirs.flowControl;
  const isValid = !theirs.isInvalid;
  const mnemonic = Mnemonic[theirs.mnemonic]!.toUpperCase();
  const sets = Array.from(theirs.cpuidFeatures(), (feature) => CpuidFeature[feature]).join();
  theirs.free();
  decoder.free();
  if (isValid && flow !== FlowControl.Next && flow !== FlowControl.Exception) return undefined;
  if (isValid && leavesHarness.test(mnemonic)) return undefined;
  if (isValid && !isInstruction(ours) && elsewhere.test(`${sets} ${mnemonic}`)) return undefined;
  return isInstruction(ours) ? ours.length : bytes.length;
};

/** Every register points into the data page; RCX is a small count. */
const record = (bytes: Uint8Array, length: number, mode: 64 | 32): Buffer => {
  const input = Buffer.alloc(IN_BYTES);
  input.set(bytes);
  input.writeUInt32LE(length, 16);
  input.writeUInt32LE(mode, 20);
  for (let register = 0; register < 16; register++)
    input.writeBigUInt64LE(register === 1 ? 3n : BigInt(DATA_PAGE + 0x800), 24 + field.gpr + 8 * register);
  input.writeUInt32LE(0x1f80, 24 + field.mxcsr);
  input.writeUInt16LE(0x37f, 24 + field.fcw);
  return input;
};

const vectorsOf = (harness: string, records: readonly Buffer[]): number[] => {
  const output = execFileSync(harness, { input: Buffer.concat(records), maxBuffer: 1 << 30 });
  const vectors: number[] = [];
  for (let at = 0; at < output.length; ) {
    vectors.push(output.readInt32LE(at + STATE_BYTES));
    const runs = output.readUInt32LE(at + STATE_BYTES + 16);
    at += OUT_BYTES;
    for (let n = 0; n < runs; n++) at += 4 + output.readUInt16LE(at + 2);
  }
  return vectors;
};

const scratch = mkdtempSync(join(tmpdir(), "validity-"));
try {
  const harness = join(scratch, "native");
  const source = fileURLToPath(new URL("native.c", import.meta.url));
  execFileSync("gcc", ["-O2", "-o", harness, source], { stdio: "inherit" });
  const packed = Buffer.alloc((modes.length * STRINGS) / 4);
  const random = new Generator();
  for (const [part, mode] of modes.entries()) {
    const records: Buffer[] = [];
    const numbers: number[] = [];
    for (let n = 0; n < STRINGS; n++) {
      const bytes = new Uint8Array(15);
      fillBytes(bytes, random, mode, n);
      const length = runnable(bytes, mode);
      if (length === undefined) continue;
      records.push(record(bytes, length, mode));
      numbers.push(n);
    }
    const counts: Partial<Record<Outcome, number>> = {};
    for (const [i, vector] of vectorsOf(harness, records).entries()) {
      const outcome: Outcome = vector === UD ? "#UD" : "instruction";
      counts[outcome] = (counts[outcome] ?? 0) + 1;
      const at = part * STRINGS + numbers[i]!;
      packed[at >> 2]! |= outcomes.indexOf(outcome) << (2 * (at & 3));
    }
    console.log(`${mode}-bit mode: ${JSON.stringify(counts)} of ${STRINGS}`);
  }
  writeFileSync(fileURLToPath(new URL("../../test/vectors/validity.bin", import.meta.url)), packed);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
