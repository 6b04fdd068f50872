import { VmxMsr } from "./vmx-capabilities.ts";

/**
 * Model-specific registers: one row each (SDM Vol. 4, "Architectural MSRs"). What a row without a state field does is
 * written beside its name in cpu/msrs.ts.
 */

export interface MsrRow {
  readonly index: number;
  readonly name: string;
  /** Field of the processor state that holds it. */
  readonly field?: string;
  /** Bits that WRMSR may set; the others are reserved (#GP). Absent: all 64. 0 with `readOnly` absent: only 0 may be written. */
  readonly writable?: bigint;
  /** The value must be a canonical address. */
  readonly canonical?: true;
  /** WRMSR is #GP. */
  readonly readOnly?: true;
  /** RDMSR is #GP. */
  readonly writeOnly?: true;
  /** Exists only on processors with one of these features, CPUID's or controls of VT-x. */
  readonly features?: readonly string[];
  /** Not architectural: exists on models that give it a value (cpu/models.ts), which is what it reads as. */
  readonly ofModel?: true;
  /** Value at power-on; 0 when absent. */
  readonly reset?: bigint;
}

// biome-ignore format: one row per fact
export const msrs: readonly MsrRow[] = [
  { index: 0x000, name: "IA32_P5_MC_ADDR", features: ["MCE"] },
  { index: 0x001, name: "IA32_P5_MC_TYPE", features: ["MCE"] },
  { index: 0x010, name: "IA32_TIME_STAMP_COUNTER", features: ["TSC"] },
  { index: 0x017, name: "IA32_PLATFORM_ID", readOnly: true },
  { index: 0x01b, name: "IA32_APIC_BASE", features: ["APIC"] },
  { index: 0x03a, name: "IA32_FEATURE_CONTROL", field: "IA32_FEATURE_CONTROL", features: ["VMX", "SMX"], writable: 0xffffn },
  { index: 0x034, name: "MSR_SMI_COUNT", ofModel: true, readOnly: true },
  { index: 0x03b, name: "IA32_TSC_ADJUST", features: ["TSC_ADJUST"] },
  { index: 0x048, name: "IA32_SPEC_CTRL", field: "IA32_SPEC_CTRL", features: ["IBRS_IBPB", "STIBP", "SSBD"] },
  { index: 0x049, name: "IA32_PRED_CMD", features: ["IBRS_IBPB"], writable: 0x1n, writeOnly: true },
  { index: 0x04e, name: "MSR_PPIN_CTL", ofModel: true, readOnly: true },
  { index: 0x079, name: "IA32_BIOS_UPDT_TRIG", writeOnly: true },
  { index: 0x08b, name: "IA32_BIOS_SIGN_ID", field: "IA32_BIOS_SIGN_ID" },
  { index: 0x0ce, name: "MSR_PLATFORM_INFO", ofModel: true, readOnly: true },
  { index: 0x0fe, name: "IA32_MTRRCAP", features: ["MTRR"], readOnly: true },
  { index: 0x10a, name: "IA32_ARCH_CAPABILITIES", features: ["ARCH_CAPABILITIES"], readOnly: true },
  { index: 0x10b, name: "IA32_FLUSH_CMD", features: ["L1D_FLUSH"], writable: 0x1n, writeOnly: true },
  { index: 0x140, name: "MSR_MISC_FEATURES_ENABLES", field: "MSR_MISC_FEATURES_ENABLES", writable: 0x1n },
  { index: 0x174, name: "IA32_SYSENTER_CS", field: "IA32_SYSENTER_CS", features: ["SEP"], writable: 0xffff_ffffn },
  { index: 0x175, name: "IA32_SYSENTER_ESP", field: "IA32_SYSENTER_ESP", features: ["SEP"], canonical: true },
  { index: 0x176, name: "IA32_SYSENTER_EIP", field: "IA32_SYSENTER_EIP", features: ["SEP"], canonical: true },
  { index: 0x179, name: "IA32_MCG_CAP", features: ["MCA"], readOnly: true },
  { index: 0x17a, name: "IA32_MCG_STATUS", field: "IA32_MCG_STATUS", features: ["MCA"], writable: 0x7n },
  { index: 0x1a0, name: "IA32_MISC_ENABLE", field: "IA32_MISC_ENABLE" },
  { index: 0x1d9, name: "IA32_DEBUGCTL", field: "IA32_DEBUGCTL", writable: 0x3n },
  { index: 0x277, name: "IA32_PAT", field: "IA32_PAT", features: ["PAT"], reset: 0x0007_0406_0007_0406n },
  { index: 0x2ff, name: "IA32_MTRR_DEF_TYPE", field: "IA32_MTRR_DEF_TYPE", features: ["MTRR"], writable: 0xcffn },
  { index: 0x38f, name: "IA32_PERF_GLOBAL_CTRL", field: "IA32_PERF_GLOBAL_CTRL", features: ["loadHostPerfGlobalCtrl", "loadGuestPerfGlobalCtrl"], writable: 0x7_0000_000fn },
  { index: 0x6e0, name: "IA32_TSC_DEADLINE", features: ["TSC_DEADLINE"] },
  { index: 0xda0, name: "IA32_XSS", field: "IA32_XSS", features: ["XSAVES"], writable: 0n },
  { index: 0xe1, name: "IA32_UMWAIT_CONTROL", field: "IA32_UMWAIT_CONTROL", features: ["WAITPKG"], writable: 0xffff_fffdn },
  { index: 0xc000_0080, name: "IA32_EFER", field: "IA32_EFER", features: ["SYSCALL", "NX", "LM"] },
  { index: 0xc000_0081, name: "IA32_STAR", field: "IA32_STAR", features: ["SYSCALL"] },
  { index: 0xc000_0082, name: "IA32_LSTAR", field: "IA32_LSTAR", features: ["LM"], canonical: true },
  { index: 0xc000_0083, name: "IA32_CSTAR", field: "IA32_CSTAR", features: ["LM"], canonical: true },
  { index: 0xc000_0084, name: "IA32_FMASK", field: "IA32_FMASK", features: ["SYSCALL"], writable: 0xffff_ffffn },
  { index: 0xc000_0100, name: "IA32_FS_BASE", field: "FS.base", features: ["LM"], canonical: true },
  { index: 0xc000_0101, name: "IA32_GS_BASE", field: "GS.base", features: ["LM"], canonical: true },
  { index: 0xc000_0102, name: "IA32_KERNEL_GS_BASE", field: "IA32_KERNEL_GS_BASE", features: ["LM"], canonical: true },
  { index: 0xc000_0103, name: "IA32_TSC_AUX", field: "IA32_TSC_AUX", features: ["RDTSCP", "RDPID"], writable: 0xffff_ffffn },
];

/** The capability MSRs of VT-x that a processor has (vmx/capabilities.ts says which, and their values). */
const vmxMsrs: readonly MsrRow[] = Object.entries(VmxMsr).map(([name, index]) => ({
  index,
  name,
  readOnly: true,
  features: ["VMX"],
}));

/** First MSR of the pairs IA32_MTRR_PHYSBASEn (even), IA32_MTRR_PHYSMASKn (odd), and how many pairs this machine has. */
export const variableMtrrs = { first: 0x200, pairs: 10 } as const;

/** IA32_MTRR_FIX64K_00000 ... IA32_MTRR_FIX4K_F8000, in the order of the state. */
// biome-ignore format: one list
export const fixedMtrrs: readonly number[] = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];

/** Memory types of MTRRs and the PAT (SDM Vol. 3, "Memory Types and Their Properties"); the PAT also has 7, UC-. */
export const memoryTypes: readonly number[] = [0, 1, 4, 5, 6];

/** Bits of IA32_MISC_ENABLE. */
// biome-ignore format: one row per fact
export const IA32_MISC_ENABLE = {
  fastStrings: 1n << 0n, BTSUnavailable: 1n << 11n, PEBSUnavailable: 1n << 12n, monitor: 1n << 18n, limitCpuidMaxval: 1n << 22n, xTPRDisable: 1n << 23n, XDDisable: 1n << 34n,
} as const;

/** Bits of IA32_FEATURE_CONTROL (SDM Vol. 3, "Enabling and Entering VMX Operation"). */
export const IA32_FEATURE_CONTROL = {
  /** WRMSR is #GP until power-on; VMXON asks for it. */ lock: 1n << 0n,
  vmxInsideSMX: 1n << 1n,
  vmxOutsideSMX: 1n << 2n,
} as const;

/** Bits of IA32_ARCH_CAPABILITIES (SDM Vol. 4, Table 2-2). */
// biome-ignore format: one row per fact
export const IA32_ARCH_CAPABILITIES = {
  RDCL_NO: 1n << 0n, IBRS_ALL: 1n << 1n, SKIP_L1DFL_VMENTRY: 1n << 3n, SSB_NO: 1n << 4n, MDS_NO: 1n << 5n, IF_PSCHANGE_MC_NO: 1n << 6n, TAA_NO: 1n << 8n,
  SBDR_SSDP_NO: 1n << 13n, FBSDP_NO: 1n << 14n, PSDP_NO: 1n << 15n, BHI_NO: 1n << 20n, PBRSB_NO: 1n << 24n, GDS_NO: 1n << 26n, RFDS_NO: 1n << 27n, ITS_NO: 1n << 62n,
} as const;

/** Which feature allows which bit of IA32_SPEC_CTRL (SDM Vol. 4, Table 2-2). */
// biome-ignore format: one row per fact
export const IA32_SPEC_CTRL: readonly { readonly feature: string; readonly bits: bigint }[] = [
  { feature: "IBRS_IBPB", bits: 1n << 0n }, { feature: "STIBP", bits: 1n << 1n }, { feature: "SSBD", bits: 1n << 2n },
  { feature: "IPRED_CTRL", bits: 3n << 3n }, { feature: "RRSBA_CTRL", bits: 3n << 5n }, { feature: "PSFD", bits: 1n << 7n },
  { feature: "BHI_CTRL", bits: 1n << 10n },
];

/** MSR_PLATFORM_INFO (SDM Vol. 4, "MSRs in Processors Based on Ivy Bridge Microarchitecture"). */
export const MSR_PLATFORM_INFO = {
  /** CPUID may be made to fault above privilege level 0. */ CPUIDFaulting: 1n << 31n,
  /** The guaranteed frequency over 100 MHz. */ maximumNonTurboRatio: 8n,
  /** The lowest frequency over 100 MHz. */ maximumEfficiencyRatio: 40n,
} as const;

/** MSR_MISC_FEATURES_ENABLES, the same. */
export const MSR_MISC_FEATURES_ENABLES = {
  /** CPUID above privilege level 0 is #GP. */ CPUIDFaulting: 1n << 0n,
} as const;

const byIndex = new Map([...msrs, ...vmxMsrs].map((row) => [row.index, row]));

/** The row of an MSR with a row of its own (MTRR ranges and the x2APIC's have none). */
export const msrRow = (index: number): MsrRow | undefined => byIndex.get(index);

/** The SDM's name, for reports; the number in hexadecimal where we know none. */
export const msrName = (index: number): string => {
  const row = byIndex.get(index);
  if (row) return row.name;
  if (index >= 0x800 && index < 0x900) return `x2APIC MSR 0x${index.toString(16)}`;
  if (index >= 0x200 && index < 0x200 + 2 * variableMtrrs.pairs)
    return `IA32_MTRR_PHYS${index & 1 ? "MASK" : "BASE"}${(index - 0x200) >> 1}`;
  return `MSR 0x${index.toString(16)}`;
};
