/**
 * Which status flags an instruction defines, by the "Flags Affected" section of its page in SDM Vol. 2. A flag that it does
 * not affect is defined: it keeps its value.
 */
import { flagBit } from "../../src/arch/flags.ts";

type Flag = "CF" | "PF" | "AF" | "ZF" | "SF" | "OF";

// biome-ignore format: one row per fact
const undefinedFlags: readonly (readonly [mnemonics: readonly string[], flags: readonly Flag[]])[] = [
  [["AND", "OR", "XOR", "TEST"], ["AF"]],
  [["AAA", "AAS"], ["OF", "SF", "ZF", "PF"]],
  [["AAD", "AAM"], ["OF", "AF", "CF"]],
  [["DAA", "DAS"], ["OF"]],
  [["MUL"], ["SF", "ZF", "AF", "PF"]],
  [["IMUL"], ["SF", "ZF", "AF", "PF"]],
  [["DIV", "IDIV"], ["CF", "OF", "SF", "ZF", "AF", "PF"]],
  [["BSF", "BSR"], ["CF", "OF", "SF", "AF", "PF"]],
  [["LZCNT", "TZCNT"], ["OF", "SF", "PF", "AF"]],
  [["BT", "BTS", "BTR", "BTC"], ["OF", "SF", "AF", "PF"]],
  [["ANDN", "BLSI", "BLSR", "BLSMSK", "BZHI"], ["AF", "PF"]],
  [["BEXTR"], ["AF", "SF", "PF"]],
];

const mask = (flags: readonly Flag[]): number => flags.reduce((bits, flag) => bits | (1 << flagBit[flag]), 0);
const byMnemonic = new Map(
  undefinedFlags.flatMap(([names, flags]) => names.map((name): [string, number] => [name, mask(flags)])),
);

/**
 * Undefined status flags, as a mask of RFLAGS. `width` is the destination's, `count` the unmasked count of shifts and
 * rotates.
 */
export const undefinedAfter = (mnemonic: string, width: number, count: number): number => {
  const n = count & (width === 64 ? 63 : 31);
  switch (mnemonic) {
    case "ROL":
    case "ROR":
    case "RCL":
    case "RCR":
      return n <= 1 ? 0 : mask(["OF"]);
    case "SHL":
    case "SHR":
    case "SAR": {
      if (n === 0) return 0;
      const beyond = mnemonic !== "SAR" && n >= width;
      return mask(["AF"]) | (n === 1 ? 0 : mask(["OF"])) | (beyond ? mask(["CF"]) : 0);
    }
    case "SHLD":
    case "SHRD":
      if (n === 0) return 0;
      return mask(["AF"]) | (n === 1 ? 0 : mask(["OF"]));
    default:
      return byMnemonic.get(mnemonic) ?? 0;
  }
};
