/**
 * `npx tsx tools/goldens/objdump.ts`: writes src/isa/objdump.golden.txt, what GNU objdump says of encodings of every row.
 * Needs binutils.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rows } from "../../src/isa/maps/index.ts";
import { instancesOf, Random, type RowInstance } from "../../src/isa/row-instances.fixture.ts";

/** Of each row two encodings in 64-bit code, or in 32-bit code where the row is not valid there. */
const PER_ROW = 2;

const random = new Random(77);
const chosen = (list: readonly RowInstance[]): readonly RowInstance[] =>
  list.length <= PER_ROW ? list : Array.from({ length: PER_ROW }, () => list[random.next(list.length)]!);
const instances = rows.flatMap((row) => chosen([...instancesOf(row, row.i64 ? 32 : 64, random)]));

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** The first instruction under each label: [length, text]. */
const disassembled = (
  list: readonly RowInstance[],
  codeSize: 32 | 64,
  scratch: string,
): readonly (readonly [number, string])[] => {
  // INT3s after each keep what objdump makes of one from the next.
  const source = list
    .map(({ bytes }, n) => `L${n}: .byte ${[...bytes, ...Array(16).fill(0xcc)].join(",")}`)
    .join("\n");
  writeFileSync(join(scratch, "code.s"), `${source}\n`);
  execFileSync("as", ["-o", join(scratch, "code.o"), join(scratch, "code.s")]);
  const machine = codeSize === 64 ? "intel,x86-64" : "intel,i386";
  const options = ["-d", "-w", "-M", machine, "--insn-width=16", join(scratch, "code.o")];
  const listing = execFileSync("objdump", options, { encoding: "utf8", maxBuffer: 1 << 28 });
  const found = new Map<string, readonly [number, string]>();
  let label: string | undefined;
  for (const line of listing.split("\n")) {
    label = /<(L\d+)>:$/.exec(line)?.[1] ?? label;
    const [, bytes, text] = /^ *[0-9a-f]+:\t((?:[0-9a-f]{2} )+) *\t?(.*)$/.exec(line) ?? [];
    if (label === undefined || bytes === undefined || found.has(label)) continue;
    found.set(label, [
      bytes.trim().split(" ").length,
      text!
        .replace(/ *(#|<).*$/, "")
        .replace(/\s+/g, " ")
        .trim(),
    ]);
  }
  return list.map((_, n) => found.get(`L${n}`)!);
};

const scratch = mkdtempSync(join(tmpdir(), "objdump-"));
try {
  const lines: string[] = [];
  for (const codeSize of [64, 32] as const) {
    const list = instances.filter((instance) => instance.codeSize === codeSize);
    const texts = disassembled(list, codeSize, scratch);
    for (const [n, { bytes }] of list.entries()) lines.push([codeSize, hex(bytes), ...texts[n]!].join("\t"));
  }
  const version = execFileSync("objdump", ["--version"], { encoding: "utf8" }).split("\n")[0]!;
  const head = `# ${version}: code size, bytes, length, text. Written by tools/goldens/objdump.ts.`;
  writeFileSync(
    fileURLToPath(new URL("../../src/isa/objdump.golden.txt", import.meta.url)),
    `${[head, ...lines].join("\n")}\n`,
  );
  console.log(`${lines.length} encodings`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
