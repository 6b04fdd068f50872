/** Rows that have no native vectors, by mnemonic, with the reason. All others are recorded for every operand form. */

const privileged = "privileged";
const inputOutput = "input and output, #GP(0) in user mode";
const segments = "loads a segment register or depends on descriptor tables";
const events = "transfers control through a gate or to the kernel";
const model = "its result is the processor model's or the kernel's, not the operands'";
const random = "its result is random or a time";
const vmx = "VT-x, which the recording processor need not have: Bochs is the witness (test/vmx)";
const later = "emulated or forbidden by the kernel in user mode";

// biome-ignore format: one row per reason
const reasons: readonly (readonly [reason: string, mnemonics: readonly string[]])[] = [
  [privileged, ["HLT", "LLDT", "LTR", "LGDT", "LIDT", "LMSW", "INVLPG", "CLTS", "INVD", "WBINVD", "WRMSR", "RDMSR", "RDPMC", "SYSRET", "SYSEXIT", "SWAPGS", "XSETBV", "INVPCID", "XSAVES", "XRSTORS", "MOV_FROM_CR", "MOV_FROM_CR2", "MOV_FROM_DR", "MOV_TO_CR", "MOV_TO_CR2", "MOV_TO_DR", "CLAC", "STAC", "CLI", "STI", "MONITOR", "MWAIT"]],
  [inputOutput, ["IN", "OUT", "INS", "OUTS"]],
  [segments, ["MOV_TO_SREG", "POP_SREG", "LES", "LDS", "LSS", "LFS", "LGS", "LAR", "LSL", "VERR", "VERW", "CALL_FAR", "JMP_FAR", "RETF", "RDFSBASE", "RDGSBASE", "WRFSBASE", "WRGSBASE"]],
  [events, ["INT", "INT1", "INT3", "INTO", "IRET", "SYSCALL", "SYSENTER"]],
  [model, ["CPUID", "XGETBV", "RDPID", "RDPKRU", "WRPKRU", "XSAVE", "XSAVEC", "XSAVEOPT", "XRSTOR", "FXSAVE", "FXRSTOR", "GETSEC", "RSM"]],
  [random, ["RDRAND", "RDSEED", "RDTSC", "RDTSCP"]],
  [vmx, ["VMCALL", "VMLAUNCH", "VMRESUME", "VMXOFF", "VMXON", "VMFUNC", "VMREAD", "VMWRITE", "VMPTRLD", "VMPTRST", "VMCLEAR", "INVEPT", "INVVPID"]],
  [later, ["SLDT", "STR", "SGDT", "SIDT", "SMSW", "UMWAIT", "UMONITOR", "TPAUSE"]],
];

export const excluded: ReadonlyMap<string, string> = new Map(
  reasons.flatMap(([reason, mnemonics]) => mnemonics.map((mnemonic): [string, string] => [mnemonic, reason])),
);

/** Instructions whose results the SDM bounds and does not give: the last bits are the processor's own. */
export const inexact: ReadonlySet<string> = new Set([
  "F2XM1",
  "FYL2X",
  "FYL2XP1",
  "FSIN",
  "FCOS",
  "FSINCOS",
  "FPTAN",
  "FPATAN",
  "RCPPS",
  "RCPSS",
  "RSQRTPS",
  "RSQRTSS",
]);
