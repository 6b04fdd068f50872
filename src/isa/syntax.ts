/**
 * Intel syntax: the words that the disassembler writes and the assembler reads. SDM mnemonics in lower case; where the SDM
 * gives one row several names by size, the table says which.
 */
import type { RegisterOperand } from "./instruction.ts";
import { rows } from "./maps/index.ts";
import type { Operand } from "./operands.ts";
import type { Row } from "./row.ts";

type Size3 = 16 | 32 | 64;

/** Names by operand size 16, 32, 64. Where the first is the stem of the others, the plain name means the default size. */
// biome-ignore format: one row per fact
const byOperandSize: Readonly<Record<string, readonly [string, string, string]>> = {
  CBW: ["cbw", "cwde", "cdqe"],
  CWD: ["cwd", "cdq", "cqo"],
  PUSHA: ["pusha", "pushad", "pushad"],
  POPA: ["popa", "popad", "popad"],
  PUSHF: ["pushf", "pushfd", "pushfq"],
  POPF: ["popf", "popfd", "popfq"],
  IRET: ["iret", "iretd", "iretq"],
  RETF: ["retf", "retfd", "retfq"],
  SYSRET: ["sysret", "sysretd", "sysretq"],
  SYSEXIT: ["sysexit", "sysexitd", "sysexitq"],
  FXSAVE: ["fxsave", "fxsave", "fxsave64"],
  FXRSTOR: ["fxrstor", "fxrstor", "fxrstor64"],
  XSAVE: ["xsave", "xsave", "xsave64"],
  XSAVEC: ["xsavec", "xsavec", "xsavec64"],
  XSAVEOPT: ["xsaveopt", "xsaveopt", "xsaveopt64"],
  XSAVES: ["xsaves", "xsaves", "xsaves64"],
  XRSTOR: ["xrstor", "xrstor", "xrstor64"],
  XRSTORS: ["xrstors", "xrstors", "xrstors64"],
};

/** Names by address size 16, 32, 64. */
const byAddressSize: Readonly<Record<string, readonly [string, string, string]>> = {
  JCXZ: ["jcxz", "jecxz", "jrcxz"],
};

/** Far branches: the word "far" is part of the name, since it chooses the row. */
const farBranches: ReadonlySet<string> = new Set(["CALL_FAR", "JMP_FAR"]);

/** String instructions end in the letter of their element's width. */
const strings: ReadonlySet<string> = new Set(["MOVS", "CMPS", "STOS", "LODS", "SCAS", "INS", "OUTS"]);
const elementLetter = (bits: number): string =>
  bits === 8 ? "b" : bits === 16 ? "w" : bits === 32 ? "d" : "q";

/** Bits of a string instruction's element. */
const elementBits = (row: Row, operandSize: Size3): number => {
  const element = row.operands.find(({ addressing }) => addressing === "X" || addressing === "Y");
  if (element?.size === "b") return 8;
  return element?.size === "z" && operandSize === 64 ? 32 : operandSize;
};

/** The mnemonic of a row in a form, in lower case. */
export const mnemonicText = (row: Row, operandSize: Size3, addressSize: Size3): string => {
  const { mnemonic } = row.semantics;
  if (strings.has(mnemonic)) return mnemonic.toLowerCase() + elementLetter(elementBits(row, operandSize));
  const named = byOperandSize[mnemonic]?.[operandSize >> 5] ?? byAddressSize[mnemonic]?.[addressSize >> 5];
  const name = named ?? row.syntax ?? mnemonic.toLowerCase();
  return farBranches.has(mnemonic) ? `${name} far` : name;
};

/** PUSHF beside PUSHFD and PUSHFQ: the plain name stands for the default size of the code. */
const isStem = (name: string, names: readonly string[]): boolean =>
  names.some((other) => other !== name && other.startsWith(name));

/** True when the name in this form says the operand size, so that no prefix word need. */
export const namesOperandSize = (row: Row, operandSize: Size3): boolean => {
  if (strings.has(row.semantics.mnemonic)) return true;
  const names = byOperandSize[row.semantics.mnemonic];
  return names !== undefined && !isStem(names[operandSize >> 5]!, names);
};
export const namesAddressSize = (row: Row): boolean => row.semantics.mnemonic in byAddressSize;

/**
 * True for operands that the mnemonic says, so that text leaves them out: DS:rSI and ES:rDI, and the accumulator or DX of
 * string instructions.
 */
export const isHidden = (row: Row, form: Operand): boolean =>
  form.addressing === "X" || form.addressing === "Y" || strings.has(row.semantics.mnemonic);

/** What a mnemonic may stand for: a row, and the sizes that the name fixes. */
export interface Meaning {
  readonly row: Row;
  readonly operandSize: Size3 | undefined;
  readonly addressSize: Size3 | undefined;
}

/** Other names of the same instructions (SDM's own synonyms, and GNU's and NASM's spellings). */
// biome-ignore format: one row per fact
const synonyms: Readonly<Record<string, readonly string[]>> = {
  b: ["c", "nae"], ae: ["nb", "nc"], e: ["z"], ne: ["nz"], be: ["na"], a: ["nbe"], p: ["pe"], np: ["po"], l: ["nge"], ge: ["nl"], le: ["ng"], g: ["nle"],
};
// biome-ignore format: one row per fact
const aliases: readonly (readonly [name: string, is: string])[] = [
  ["sal", "shl"], ["loopz", "loope"], ["loopnz", "loopne"], ["retn", "ret"], ["wait", "fwait"], ["xlatb", "xlat"], ["icebp", "int1"], ["movabs", "mov"],
];

const buildMeanings = (): ReadonlyMap<string, readonly Meaning[]> => {
  const meanings = new Map<string, Meaning[]>();
  const add = (name: string, meaning: Meaning): void => {
    const list = meanings.get(name);
    if (list === undefined) meanings.set(name, [meaning]);
    else list.push(meaning);
  };
  const sizes: readonly Size3[] = [16, 32, 64];
  for (const row of rows) {
    const { mnemonic } = row.semantics;
    // Reserved NOPs are read but not written: 0F 1F is the one with a ModRM byte.
    if (mnemonic === "NOP" && row.map === "0F" && row.opcode !== 0x1f) continue;
    for (const name of byAddressSize[mnemonic] ?? []) {
      const addressSize = sizes[byAddressSize[mnemonic]!.indexOf(name)];
      add(name, { row, operandSize: undefined, addressSize });
    }
    const names = byOperandSize[mnemonic];
    const elements = strings.has(mnemonic) && elementBits(row, 16) !== elementBits(row, 32);
    if (names !== undefined || elements) {
      const seen = new Set<string>();
      for (const operandSize of sizes) {
        const name = mnemonicText(row, operandSize, 64);
        if (seen.has(name)) continue;
        seen.add(name);
        const plain = names !== undefined && isStem(name, names);
        add(name, { row, operandSize: plain ? undefined : operandSize, addressSize: undefined });
      }
    } else if (byAddressSize[mnemonic] === undefined)
      add(mnemonicText(row, 32, 64), { row, operandSize: undefined, addressSize: undefined });
  }
  for (const [condition, others] of Object.entries(synonyms))
    for (const stem of ["j", "set", "cmov"])
      for (const other of others)
        for (const meaning of meanings.get(stem + condition) ?? []) add(stem + other, meaning);
  for (const [name, is] of aliases) for (const meaning of meanings.get(is) ?? []) add(name, meaning);
  return meanings;
};

let meanings: ReadonlyMap<string, readonly Meaning[]> | undefined;

/** The rows that a mnemonic (lower case) names, in map order; empty when there is no such instruction. */
export const meaningsOf = (name: string): readonly Meaning[] => {
  meanings ??= buildMeanings();
  return meanings.get(name) ?? [];
};

// -------------------------------------------------------------------------------------------------------- registers

const classic = ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di"];
const high = ["ah", "ch", "dh", "bh"];
const low = ["al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"];
const segments = ["es", "cs", "ss", "ds", "fs", "gs"];

/** The name of a general register: number 0 ... 15, width in bits. */
export const generalRegisterName = (number: number, width: number): string => {
  if (number >= 8) return `r${number}${width === 8 ? "b" : width === 16 ? "w" : width === 32 ? "d" : ""}`;
  if (width === 8) return low[number]!;
  return (width === 32 ? "e" : width === 64 ? "r" : "") + classic[number]!;
};

export const registerText = (operand: RegisterOperand): string => {
  const { file, number } = operand;
  switch (file) {
    case "general":
      return operand.high ? high[number]! : generalRegisterName(number, operand.width);
    case "segment":
      return segments[number]!;
    case "control":
      return `cr${number}`;
    case "debug":
      return `dr${number}`;
    case "xmm":
      return `xmm${number}`;
    case "mmx":
      return `mm${number}`;
    case "x87":
      return `st(${number})`;
  }
};

/** A register as text names it: `width` is 0 for files whose operands have the row's width. */
export interface NamedRegister {
  readonly file: RegisterOperand["file"];
  readonly number: number;
  readonly high: boolean;
  readonly width: 0 | 8 | 16 | 32 | 64;
}

const buildRegisters = (): ReadonlyMap<string, NamedRegister> => {
  const table = new Map<string, NamedRegister>();
  for (let number = 0; number < 16; number++) {
    for (const width of [8, 16, 32, 64] as const)
      table.set(generalRegisterName(number, width), { file: "general", number, high: false, width });
    if (number >= 8) table.set(`r${number}l`, { file: "general", number, high: false, width: 8 });
    table.set(`xmm${number}`, { file: "xmm", number, high: false, width: 0 });
    table.set(`cr${number}`, { file: "control", number, high: false, width: 0 });
    table.set(`dr${number}`, { file: "debug", number, high: false, width: 0 });
  }
  for (const [number, name] of high.entries())
    table.set(name, { file: "general", number, high: true, width: 8 });
  for (const [number, name] of segments.entries())
    table.set(name, { file: "segment", number, high: false, width: 0 });
  for (let number = 0; number < 8; number++) {
    table.set(`mm${number}`, { file: "mmx", number, high: false, width: 0 });
    table.set(`st${number}`, { file: "x87", number, high: false, width: 0 });
    table.set(`st(${number})`, { file: "x87", number, high: false, width: 0 });
  }
  table.set("st", { file: "x87", number: 0, high: false, width: 0 });
  return table;
};

/** Registers by name, lower case. */
export const registersByName: ReadonlyMap<string, NamedRegister> = buildRegisters();

/** Size keywords and their bits. */
// biome-ignore format: one list
export const sizeKeywords: ReadonlyMap<string, number> = new Map([
  ["byte", 8], ["word", 16], ["dword", 32], ["fword", 48], ["qword", 64], ["mmword", 64], ["tword", 80], ["tbyte", 80], ["oword", 128], ["xmmword", 128],
]);

/** The keyword the disassembler writes for a memory operand of so many bits. */
// biome-ignore format: one list
export const sizeText: ReadonlyMap<number, string> = new Map([
  [8, "byte"], [16, "word"], [32, "dword"], [48, "fword"], [64, "qword"], [80, "tbyte"], [128, "xmmword"],
]);

/** Rows that take XMM0 without encoding it; text names it as the last operand. */
export const takesXmm0: ReadonlySet<string> = new Set(["PBLENDVB", "BLENDVPS", "BLENDVPD", "SHA256RNDS2"]);
