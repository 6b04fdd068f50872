/** CPUID feature flags: where each is (SDM Vol. 2, CPUID, Tables 3-10, 3-11 and "Structured Extended Feature Flags"). */

export type CpuidRegister = "eax" | "ebx" | "ecx" | "edx";

export interface FeatureFlag {
  readonly name: string;
  readonly leaf: number;
  readonly subleaf: number;
  readonly register: CpuidRegister;
  readonly bit: number;
}

/** Names by bit number; undefined where this machine never sets the bit. */
const flags = (
  leaf: number,
  subleaf: number,
  register: CpuidRegister,
  names: Readonly<Record<number, string>>,
): FeatureFlag[] =>
  Object.entries(names).map(([bit, name]) => ({ name, leaf, subleaf, register, bit: Number(bit) }));

// biome-ignore format: one row per register
export const featureFlags: readonly FeatureFlag[] = [
  ...flags(0x1, 0, "ecx", { 0: "SSE3", 1: "PCLMULQDQ", 3: "MONITOR", 5: "VMX", 6: "SMX", 9: "SSSE3", 12: "FMA", 13: "CMPXCHG16B", 17: "PCID", 19: "SSE4_1", 20: "SSE4_2", 21: "X2APIC", 22: "MOVBE", 23: "POPCNT", 24: "TSC_DEADLINE", 25: "AES", 26: "XSAVE", 28: "AVX", 29: "F16C", 30: "RDRAND", 31: "HYPERVISOR" }),
  ...flags(0x1, 0, "edx", { 0: "FPU", 1: "VME", 2: "DE", 3: "PSE", 4: "TSC", 5: "MSR", 6: "PAE", 7: "MCE", 8: "CX8", 9: "APIC", 11: "SEP", 12: "MTRR", 13: "PGE", 14: "MCA", 15: "CMOV", 16: "PAT", 17: "PSE-36", 19: "CLFSH", 23: "MMX", 24: "FXSR", 25: "SSE", 26: "SSE2", 27: "SS", 28: "HTT" }),
  ...flags(0x6, 0, "eax", { 2: "ARAT" }),
  ...flags(0x7, 0, "ebx", { 0: "FSGSBASE", 1: "TSC_ADJUST", 3: "BMI1", 5: "AVX2", 6: "FDP_EXCPTN_ONLY", 7: "SMEP", 8: "BMI2", 9: "ERMS", 10: "INVPCID", 13: "FCS_FDS_DEPRECATED", 18: "RDSEED", 19: "ADX", 20: "SMAP", 23: "CLFLUSHOPT", 24: "CLWB", 29: "SHA" }),
  ...flags(0x7, 0, "ecx", { 2: "UMIP", 3: "PKU", 5: "WAITPKG", 7: "CET_SS", 16: "LA57", 22: "RDPID", 25: "CLDEMOTE", 27: "MOVDIRI", 28: "MOVDIR64B", 31: "PKS" }),
  ...flags(0x7, 0, "edx", { 4: "FSRM", 10: "MD_CLEAR", 14: "SERIALIZE", 26: "IBRS_IBPB", 27: "STIBP", 28: "L1D_FLUSH", 29: "ARCH_CAPABILITIES", 31: "SSBD" }),
  ...flags(0x7, 2, "edx", { 0: "PSFD", 1: "IPRED_CTRL", 2: "RRSBA_CTRL", 4: "BHI_CTRL", 5: "MCDT_NO" }),
  ...flags(0xd, 1, "eax", { 0: "XSAVEOPT", 1: "XSAVEC", 2: "XGETBV_ECX1", 3: "XSAVES" }),
  ...flags(0x8000_0001, 0, "ecx", { 0: "LAHF64", 5: "LZCNT", 8: "PREFETCHW" }),
  ...flags(0x8000_0001, 0, "edx", { 11: "SYSCALL", 20: "NX", 26: "PAGE1GB", 27: "RDTSCP", 29: "LM" }),
  ...flags(0x8000_0007, 0, "edx", { 8: "INVARIANT_TSC" }),
];

/** CPUID.1:ECX.OSXSAVE copies CR4.OSXSAVE. */
export const OSXSAVE = 1 << 27;
/** CPUID.1:EDX.APIC copies the global enable of IA32_APIC_BASE. */
export const APIC = 1 << 9;
/** CPUID.1:ECX.MONITOR follows IA32_MISC_ENABLE. */
export const MONITOR = 1 << 3;
/** CPUID.80000001H:EDX: SYSCALL is reported in 64-bit mode only, NX not while IA32_MISC_ENABLE hides it. */
export const SYSCALL = 1 << 11;
export const NX = 1 << 20;
