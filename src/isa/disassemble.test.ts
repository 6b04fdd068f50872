import {
  CpuidFeature,
  Decoder,
  DecoderOptions,
  Formatter,
  FormatterSyntax,
  MemorySizeOptions,
} from "iced-x86";
import { describe, expect, it } from "vitest";
import { decode, isInstruction } from "./decode.ts";
import { disassemble } from "./disassemble.ts";
import type { Instruction } from "./instruction.ts";
import { rows } from "./maps/index.ts";
import { instancesOf, Random } from "./row-instances.fixture.ts";

const ADDRESS = 0x1000n;
type CodeSize = 16 | 32 | 64;

const read = (bytes: Uint8Array, codeSize: CodeSize): Instruction | undefined => {
  const mode = { codeSize, stackSize: codeSize, realLike: false };
  const decoded = decode(bytes, 0, Math.min(15, bytes.length), mode, () => true);
  return isInstruction(decoded) ? decoded : undefined;
};

const formatter = new Formatter(FormatterSyntax.Intel);
formatter.hexPrefix = "0x";
formatter.hexSuffix = "";
formatter.uppercaseHex = false;
formatter.spaceAfterOperandSeparator = true;
formatter.memorySizeOptions = MemorySizeOptions.Always;
formatter.smallHexNumbersInDecimal = false;
formatter.signedImmediateOperands = false;
formatter.ripRelativeAddresses = true;
formatter.branchLeadingZeros = false;
formatter.leadingZeros = false;
formatter.usePseudoOps = false;
formatter.showBranchSize = false;
formatter.showUselessPrefixes = true;
formatter.addLeadingZeroToHexNumbers = false;

interface Iced {
  readonly text: string;
  readonly length: number;
  readonly isValid: boolean;
  readonly features: readonly string[];
}

const iced = (bytes: Uint8Array, codeSize: CodeSize): Iced => {
  const decoder = new Decoder(codeSize, bytes.subarray(0, 15), DecoderOptions.None);
  decoder.ip = ADDRESS;
  const instruction = decoder.decode();
  const result = {
    text: formatter.format(instruction),
    length: instruction.length,
    isValid: !instruction.isInvalid,
    features: Array.from(instruction.cpuidFeatures(), (feature) => CpuidFeature[feature]!),
  };
  instruction.free();
  decoder.free();
  return result;
};

/** Where iced writes the same instruction in other words: its text becomes ours. */
// biome-ignore format: one row per deviation
const spellings: readonly (readonly [reason: string, pattern: RegExp, ours: string])[] = [
  ["prefixes are compared by the sizes they choose", /^((hint-(not-)?taken|xacquire|xrelease|bnd|notrack|lock|repe?|repne|data(16|32|64)|addr(16|32|64)|[cdefgs]s) )+/, ""],
  ["string operands are said by the mnemonic", /^((?:movs|cmps)[bwdq]) \w+ ptr \S+, \w+ ptr \S+$/, "$1"],
  ["string operands are said by the mnemonic", /^((?:ins|outs|stos|lods|scas)[bwdq]|xlat) (dx|\w+ ptr .*)$/, "$1"],
  ["string operands are said by the mnemonic", /^(outs[bwd]) dx, .*$/, "$1"],
  ["REX.W widens the lengths of PCMPESTRx", /^(pcmpestr[im])64/, "$1"],
  ["MASKMOVQ's destination is said by the mnemonic", /^(maskmov\w+) \S+ ptr .*\], /, "$1 "],
  ["the SDM lists RETF", /^ret far/, "retf"],
  ["far pointers are written selector:offset", /^(call|jmp) far (0x\w+), (0x\w+)/, "$1 far $3:$2"],
  ["pseudo-descriptors have no size keyword", /^([sl][gi]dt) \w+ ptr /, "$1 "],
  ["hints of no particular size have no size keyword", /^(prefetch\w+|cldemote|invlpg|fxsave\w*|fxrstor\w*|xsave\w*|xrstor\w*) \w+ ptr /, "$1 "],
  ["a NOP without operands stays one", /^xchg (ax, ax|eax, eax|rax, rax)$/, "nop"],
  ["names tell the operand size", /^(rdssp|getsec)[dq]/, "$1"],
  ["LAR and LSL read a word", /^(la|ls)(r|l) (\w+), \w+$/, "$1$2 $3"],
  ["MOVMSK and PEXTRW name the register that REX.W widens", /^(movmsk\w+|pmovmskb|pextrw) (r\d+|e)\w+/, "$1"],
  ["x87 memory operands go with ST(0)", /^(f\w+) st, (\w+ ptr .*)$/, "$1 $2"],
  ["x87 memory operands go with ST(0)", /^(f\w+) (\w+ ptr .*), st$/, "$1 $2"],
  ["ST(0) is written in full", /(?<=^f.* )st\b(?!\()/g, "st(0)"],
  ["what ST(0) is compared with, exchanged with or loaded from", /^(f(?:u?comp?|xch|ld)) st\(0\), (st\(\d\))$/, "$1 $2"],
  ["where ST(0) is stored to", /^(fstp?(?:nce)?) (st\(\d\)), st\(0\)$/, "$1 $2"],
  ["the undocumented FSTP", /^fstpnce/, "fstp"],
  ["x87 without a width", /^(f(?:n?saven?|rstor|n?stenv|ldenv)) \w+ ptr /, "$1 "],
];

/** Ours, with what the table above takes from iced's text taken from ours too. */
// biome-ignore format: one row per deviation
const ourSpellings: readonly (readonly [pattern: RegExp, plain: string])[] = [
  [/^((o16|o32|o64|a16|a32|lock|repn?z?|[cdefgs]s) )+/, ""],
  [/^(sysret|sysexit)d$/, "$1"],
  [/^retf[dq]/, "retf"],
  [/^(la|ls)(r|l) (\w+), \w+$/, "$1$2 $3"],
  [/^(movmsk\w+|pmovmskb|pextrw) (r\d+|[er])\w+/, "$1"],
  [/^(fstp|fcom|fcomp|fxch)\d /, "$1 "],
  [/^(pblendvb|blendvp[sd]|sha256rnds2) (.*), xmm0$/, "$1 $2"],
];

/** Opcodes that Intel CPUs run as NOP, whatever iced calls them, and whatever ModRM.reg is: 0F 0D and 0F 18 to 0F 1F. */
const isReservedNop = ({ row }: Instruction): boolean => row.semantics.mnemonic === "NOP" && row.map === "0F";

/** Mnemonics by which other CPUs' or later CPUs' instructions take a prefix that this CPU ignores. */
const laterMeanings: ReadonlySet<string> = new Set([
  "wbnoinvd",
  "prefetchw",
  "prefetch_reserved",
  "prefetch_exclusive",
]);

const plain = (text: string): string =>
  ourSpellings.reduce((out, [pattern, to]) => out.replace(pattern, to), text);
const ourWords = (theirs: string): string =>
  spellings.reduce((out, [, pattern, to]) => out.replace(pattern, to), theirs);

const difference = (
  bytes: Uint8Array,
  codeSize: CodeSize,
  ours: Instruction,
  theirs: Iced,
): string | undefined => {
  const text = plain(disassemble(ours, ADDRESS));
  // In 64-bit mode the ES, CS, SS and DS overrides do nothing, and ours does not write them.
  const effective = codeSize === 64 ? theirs.text.replace(/[c-es]s:\[/, "[") : theirs.text;
  const words = ourWords(effective);
  if (
    ours.length === theirs.length &&
    (text === words || isReservedNop(ours) || laterMeanings.has(words.split(" ")[0]!))
  )
    return undefined;
  return `${codeSize}-bit ${Buffer.from(bytes).toString("hex")}: ${text} (${ours.length}), iced ${theirs.text} (${theirs.length})`;
};

describe("disassemble", () => {
  it("agrees with iced on length and text of encodings of every row", () => {
    const random = new Random(11);
    const differences: string[] = [];
    let turn = 0;
    for (const row of rows)
      for (const codeSize of [16, 32, 64] as const)
        for (const { bytes } of instancesOf(row, codeSize, random)) {
          // A fifth of them, other forms for each row, is enough and takes a fifth of the time.
          if (turn++ % 5 !== 0) continue;
          const theirs = iced(bytes, codeSize);
          const ours = read(bytes, codeSize)!;
          if (!theirs.isValid) {
            if (!validHereOnly.has(row.semantics.mnemonic))
              differences.push(`iced does not know ${disassemble(ours)}`);
            continue;
          }
          const found = difference(bytes, codeSize, ours, theirs);
          if (found) differences.push(found);
        }
    expect(differences).toEqual([]);
  });

  it("agrees with iced on what random bytes are", () => {
    const random = new Random(12);
    const differences: string[] = [];
    for (const codeSize of [16, 32, 64] as const)
      for (let n = 0; n < 4000; n++) {
        const bytes = randomBytes(random);
        const ours = read(bytes, codeSize);
        const theirs = iced(bytes, codeSize);
        if (ours !== undefined && theirs.isValid) {
          const found = difference(bytes, codeSize, ours, theirs);
          if (found) differences.push(found);
        } else if (ours !== undefined) {
          if (!validHereOnly.has(ours.row.semantics.mnemonic))
            differences.push(`only here: ${disassemble(ours)}`);
        } else if (theirs.isValid && !theirs.features.some((feature) => absent.test(feature))) {
          const isOther = otherMode.some(([, pattern]) => pattern.test(ourWords(theirs.text)));
          if (!isOther)
            differences.push(`only iced: ${codeSize}-bit ${theirs.text} (${theirs.features.join()})`);
        }
      }
    expect(differences).toEqual([]);
  });

  it("writes sizes that no operand shows, and only those", () => {
    const text = (hex: string, codeSize: CodeSize = 64): string =>
      disassemble(read(Buffer.from(hex, "hex"), codeSize)!);
    expect(text("6690")).toBe("o16 nop");
    expect(text("6650")).toBe("push ax");
    expect(text("9c")).toBe("pushfq");
    expect(text("669c")).toBe("o16 pushf");
    expect(text("9c", 16)).toBe("pushf");
    expect(text("67a4")).toBe("a32 movsb");
    expect(text("67e300")).toBe("jecxz $+0x3");
    expect(text("74fe")).toBe("je $+0x0");
    expect(text("f367648b00")).toBe("repz mov eax, dword ptr fs:[eax]");
    expect(text("64f348a5")).toBe("rep fs movsq");
    expect(text("48cb")).toBe("retfq");
  });

  it("tells VMX instructions apart by prefix, and knows none with another one", () => {
    const text = (hex: string, codeSize: CodeSize = 64): string | undefined => {
      const instruction = read(Buffer.from(hex, "hex"), codeSize);
      return instruction && disassemble(instruction);
    };
    // biome-ignore format: one row per fact
    const rows = [
      ["0f01c1", "vmcall"], ["0f01c2", "vmlaunch"], ["0f01c3", "vmresume"], ["0f01c4", "vmxoff"], ["0f01d4", "vmfunc"],
      ["660f01c1", undefined], ["f30f01c2", undefined], ["f20f01c3", undefined],
      ["0fc730", "vmptrld qword ptr [rax]"], ["660fc730", "vmclear qword ptr [rax]"], ["f30fc730", "vmxon qword ptr [rax]"],
      ["f20fc730", undefined], ["0fc738", "vmptrst qword ptr [rax]"], ["660fc738", undefined],
      ["0f78d8", "vmread rax, rbx"], ["0f7818", "vmread qword ptr [rax], rbx"], ["0f79d8", "vmwrite rbx, rax"],
      ["660f78c0", undefined], ["f30f79d8", undefined],
      ["660f388018", "invept rbx, xmmword ptr [rax]"], ["660f388118", "invvpid rbx, xmmword ptr [rax]"],
      ["0f388018", undefined], ["660f3880c0", undefined], ["0f37", "getsec"],
    ] as const;
    for (const [bytes, expected] of rows) expect([bytes, text(bytes)]).toEqual([bytes, expected]);
    expect(text("0f78d8", 32)).toBe("vmread eax, ebx");
    expect(text("0f7918", 16)).toBe("vmwrite ebx, dword ptr [bx+si]");
    expect(text("660f38811a", 32)).toBe("invvpid ebx, xmmword ptr [edx]");
  });
});

/** Instructions iced refuses: GETSEC with a prefix, which is #UD here by itself. */
const validHereOnly: ReadonlySet<string> = new Set(["GETSEC"]);

/** Features (iced's names) whose instructions this machine does not have yet, or that are not Intel's. */
const absent =
  /D3NOW|AVX|SVM|XOP|3DNOW|FMA|CET|PADLOCK|KNC|AMX|TBM|SSE4A|RAO_INT|KL|GFNI|ENQCMD|MOVDIR64B|OSS|MSR|INVLPGB|MONITORX|MCOMMIT|RDPRU|RDPRU|SMX|SGX|PTWRITE|RTM|HLE|WAITPKG|UINTR|HRESET|PCONFIG|SNP|SEV|SKINIT|CLZERO|LWP|F16C|VAES|VPCLMUL|CYRIX|GEODE|CENTAUR|PBNDKB|SMAP_|MPX|FRED|LKGS|UDBG|XSAVES_|TSXLDTRK|TDX|INTEL8|INTEL3|CL1INVMB|CMPCCXADD/;

/** Valid for iced, #UD on an Intel CPU in this mode. */
// biome-ignore format: one row per deviation
const otherMode: readonly (readonly [reason: string, pattern: RegExp])[] = [
  ["SYSCALL and SYSRET outside 64-bit mode are AMD's", /^(syscall|sysretd)/],
];

/** Bytes that are often nearly an instruction: prefixes, an escape, noise. */
function randomBytes(random: Random): Uint8Array {
  const prefixes = [0x66, 0xf2, 0xf3, 0x67, 0x48, 0x41, 0x64, 0x2e, 0xf0, 0x4f];
  const bytes: number[] = [];
  for (let n = random.next(3); n > 0; n--) bytes.push(prefixes[random.next(prefixes.length)]!);
  const map = random.next(5);
  if (map > 0 && map < 4) bytes.push(0x0f);
  if (map === 2) bytes.push(0x38);
  if (map === 3) bytes.push(0x3a);
  while (bytes.length < 16) bytes.push(random.next(256));
  return Uint8Array.from(bytes);
}
