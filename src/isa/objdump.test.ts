import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { decode, isInstruction } from "./decode.ts";
import { disassemble } from "./disassemble.ts";
import type { Instruction } from "./instruction.ts";

const signed64 = (digits: string): string => {
  const value = BigInt.asIntN(64, BigInt(`0x${digits}`));
  return value < 0n ? `-0x${(-value).toString(16)}` : `+0x${value.toString(16)}`;
};

/** Where objdump writes the same instruction in other words: its text becomes ours. */
// biome-ignore format: one row per deviation
const spellings: readonly (readonly [reason: string, pattern: RegExp, ours: string | ((...groups: string[]) => string)])[] = [
  ["prefixes are compared by the sizes they choose", /^((data16|addr16|addr32|rex(\.\w+)?|repz|repnz|rep|lock|[c-gs]s) )+/, ""],
  ["no space after a comma", /,\s*/g, ","],
  ["a displacement of zero is not written", /[+-]0x0(?=\])/, ""],
  ["SIB without an index", /\+?\b[er]iz\*1\b/, ""],
  ["SIB without base and index", /\[\]/, "[0x0]"],
  ["SIB without base and index", /\[\+?(-?0x)/, "[$1"],
  ["a scale of 1 beside a base is not written", /(\[\w+\+\w+)\*1\b/, "$1"],
  ["a bare offset is in brackets", /\b([c-gs]s):(0x\w+)/, "$1:[$2]"],
  ["the default segment is not written", /\bds:(?=\[)/, ""],
  ["RIP-relative displacements are signed", /(?<=\[[re]ip)\+0x(f{8}[0-9a-f]{8})(?=\])/, (_, digits) => signed64(digits!)],
  ["the top of the stack", /\bst\b(?!\()/g, "st(0)"],
  ["the count of one has a size", /^(ro[lr]|rc[lr]|sh[lr]|sar)( .*),1$/, "$1$2,0x1"],
  ["operand-size suffixes", /^(fn?stenv|fldenv|fn?save|frstor|enter|leave|push|pop|ret|retf|call|jmp)w( |$)/, "$1$2"],
  ["string operands are said by the mnemonic", /^(ins|outs|movs|cmps|stos|lods|scas) .*$/, "$1"],
  ["the table of XLAT is said by the mnemonic", /^xlat .*$/, "xlat"],
  ["names tell the operand size", /^(iret|retf|lret|pushf?a?|popf?a?|sysret|sysexit|rdssp)[dwq]( |$)/, "$1$2"],
  ["PCMPESTRx with REX.W", /^(pcmpestr[im])q/, "$1"],
  ["MOV with an absolute address or 64-bit immediate", /^movabs/, "mov"],
  ["an absolute address without a size", /^(mov) (\w+),(?:[fgcdes]s:)?\[/, "$1 $2,*["],
  ["an absolute address without a size", /^(mov) (?:[fgcdes]s:)?\[/, "$1 *["],
  ["notes", /\(.*only\)$/, ""],
  ["hints and cache instructions have no size", /^(prefetch\w*|cldemote|invlpg|clflush|clflushopt|clwb) byte ptr /, "$1 "],
  ["CMPXCHG16B's operand", /\boword ptr/, "xmmword ptr"],
  ["LAR and LSL read a word", /^(lar|lsl) (\w+),\w+$/, "$1 $2"],
  ["MOV Sreg takes a word", /^mov ([c-gs]s),[re](\w\w)$/, "mov $1,$2"],
  ["a far pointer after REX.W has 80 bits", /^(l[sfg]s \w+,|(?:call|jmp) )fword/, "$1far-pointer"],
  ["memory operands whose size objdump leaves out", /^(invpcid|lddqu) (\w+),\[/, "$1 $2,xmmword ptr ["],
  ["PEXTRW names the register that REX.W widens", /^pextrw (r\d+d|e\w\w),/, "pextrw *,"],
  ["predicates and selectors are immediates", /^(cmp)\w+([sp][sd]) /, "$1$2 "],
  ["predicates and selectors are immediates", /^pclmul\w+qdq /, "pclmulqdq "],
  ["an absolute address without a size", /^mov (a[lx]|[er]ax),\w+ ptr (?:[fgcdes]s:)?(?=\[0x\w+\]$)/, "mov $1,*"],
  ["an absolute address without a size", /^mov \w+ ptr (?:[fgcdes]s:)?(?=\[0x\w+\],(a[lx]|[er]ax)$)/, "mov *"],
  ["predicates and selectors are immediates", /^(cmp[sp][sd] .*|pclmulqdq .*),0x\w+$/, "$1"],
  ["branch targets", /^(j\w+|call|loop\w*) [0-9a-f]+$/, "$1 target"],
  ["far pointers name their row", /^(call|jmp) (0x\w+:|far-pointer|dword)/, "$1 far $2"],
];

/** The same differences taken from our text. */
// biome-ignore format: one row per deviation
const ours: readonly (readonly [pattern: RegExp, plain: string])[] = [
  [/^((o16|o32|o64|a16|a32|lock|repn?z|rep|[c-gs]s) )+/, ""],
  [/,\s*/g, ","],
  [/^(ins|outs|movs|cmps|stos|lods|scas)[bwdq]$/, "$1"],
  [/^(iret|retf|pushf?a?|popf?a?|sysret|sysexit)[dwq]( |$)/, "$1$2"],
  [/^(clflush|clflushopt|clwb) byte ptr /, "$1 "],
  [/^mov (a[lx]|[er]ax),\w+ ptr (?:[fgcdes]s:)?(?=\[0x\w+\]$)/, "mov $1,*"],
  [/^(l[sfg]s \w+,|(?:call|jmp) far )[ft]\w+(?= ptr)/, "$1far-pointer"],
  [/^pextrw (r\d+d?|[re]\w\w),/, "pextrw *,"],
  [/^(cmp[sp][sd] .*|pclmulqdq .*),0x\w+$/, "$1"],
  [/^mov \w+ ptr (?:[fgcdes]s:)?(?=\[0x\w+\],(a[lx]|[er]ax)$)/, "mov *"],
  [/^(lar|lsl) (\w+),\w+$/, "$1 $2"],
  [/^(j\w+|call|loop\w*) \$.*$/, "$1 target"],
];

/** Where objdump is not to be compared, with the reason. */
// biome-ignore format: one row per deviation
const notCompared: readonly (readonly [reason: string, applies: (instruction: Instruction, text: string) => boolean])[] = [
  ["reserved NOPs run as NOP, whatever later CPUs make of them", ({ row }) => row.semantics.mnemonic === "NOP" && row.map === "0F"],
  ["aliases that only processors know", (_, text) => text.includes("(bad)")],
  ["FWAIT after a prefix is two instructions for objdump", ({ row }, text) => row.semantics.mnemonic === "FWAIT" && text !== "fwait"],
  ["WRFSBASE and its kin have no 16-bit form", ({ row, operandSize }) => /^(RD|WR)[FG]SBASE$/.test(row.semantics.mnemonic) && operandSize === 16],
  ["MOVQ2DQ reads an MMX register", ({ row }) => row.semantics.mnemonic === "MOVQ2DQ"],
];

it("disassembles and measures encodings of every row as GNU objdump does", () => {
  const golden = readFileSync(new URL("./objdump.golden.txt", import.meta.url), "utf8");
  const differences: string[] = [];
  for (const line of golden.split("\n")) {
    const [size, hex, length, text] = line.split("\t");
    if (text === undefined) continue;
    const codeSize = Number(size) as 32 | 64;
    const bytes = Buffer.from(hex!, "hex");
    const decoded = decode(
      bytes,
      0,
      bytes.length,
      { codeSize, stackSize: codeSize, realLike: false },
      () => true,
    );
    if (!isInstruction(decoded)) throw new Error(`${hex} is no instruction`);
    if (notCompared.some(([, applies]) => applies(decoded, text))) continue;
    const plain = ours.reduce((out, [pattern, to]) => out.replace(pattern, to), disassemble(decoded));
    const words = spellings.reduce(
      (out, [, pattern, to]) => out.replace(pattern, to as string),
      text.toLowerCase(),
    );
    if (Number(length) !== decoded.length || plain !== words)
      differences.push(`${size}-bit ${hex}: ${plain} (${decoded.length}), objdump ${words} (${length})`);
  }
  expect(differences).toEqual([]);
});
