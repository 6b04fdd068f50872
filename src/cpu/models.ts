import { IA32_ARCH_CAPABILITIES as CAP, MSR_PLATFORM_INFO } from "../arch/msrs.ts";
import { type VmxFeature, vmxTraits } from "../arch/vmx-capabilities.ts";
import { vmxControls } from "../arch/vmx-controls.ts";

/** CPU models are data. Feature names are those of arch/cpuid-leaves.ts. */

export interface CacheRow {
  readonly level: 1 | 2 | 3;
  readonly type: "data" | "instruction" | "unified";
  readonly ways: number;
  readonly sets: number;
  /** Shared by all logical processors of the package. */
  readonly shared?: true;
}

export interface ModelRow {
  readonly name: string;
  /** What the model is, for --help. */
  readonly about: string;
  readonly vendor: string;
  readonly family: number;
  readonly model: number;
  readonly stepping: number;
  readonly brand: string;
  readonly maxBasicLeaf: number;
  readonly maxExtendedLeaf: number;
  readonly physicalAddressBits: number;
  readonly features: readonly string[];
  /** Controls and capabilities of VT-x (arch/vmx-controls.ts, arch/vmx-capabilities.ts), where `features` has VMX. */
  readonly vmx?: readonly VmxFeature[];
  readonly caches: readonly CacheRow[];
  /** CPUID leaf 2, the four registers. */
  readonly cacheDescriptors: readonly [number, number, number, number];
  readonly microcodeRevision: number;
  readonly architecturalCapabilities?: bigint;
  /** Values of the MSRs of arch/msrs.ts that are not architectural and that it has. */
  readonly msrs?: Readonly<Record<string, bigint>>;
}

/** The crystal clock of CPUID leaf 15H, which is also the local APIC timer's input clock. Hertz. */
export const crystalHz = 1_000_000_000;
/** Rate of the time-stamp counter. Hertz. */
export const tscHz = 1_000_000_000;

const words = (text: string): string[] => text.split(/\s+/).filter((word) => word !== "");

const pentium = words("FPU VME DE PSE TSC MSR MCE CX8");
const pentium3 = [...pentium, ...words("PAE APIC SEP MTRR PGE MCA CMOV PAT PSE-36 MMX FXSR SSE")];
const core2 = [...pentium3, ...words("SSE2 SSE3 SSSE3 CLFSH SS MONITOR VMX CMPXCHG16B SYSCALL NX LM LAHF64")];
const nehalem = [...core2, ...words("SSE4_1 SSE4_2 POPCNT RDTSCP INVARIANT_TSC")];
const modern = [
  ...nehalem,
  ...words(
    "AES PCLMULQDQ MOVBE RDRAND RDSEED PCID X2APIC TSC_DEADLINE XSAVE XSAVEOPT XSAVEC XGETBV_ECX1 XSAVES ARAT",
  ),
  ...words(
    "FSGSBASE TSC_ADJUST BMI1 BMI2 LZCNT ADX SHA SMEP SMAP UMIP INVPCID FDP_EXCPTN_ONLY FCS_FDS_DEPRECATED",
  ),
  ...words("ERMS FSRM CLFLUSHOPT CLWB RDPID PREFETCHW PAGE1GB SERIALIZE"),
  ...words("IBRS_IBPB STIBP SSBD ARCH_CAPABILITIES MD_CLEAR PSFD IPRED_CTRL RRSBA_CTRL BHI_CTRL MCDT_NO"),
];

// biome-ignore format: one list
/** VT-x of features that this machine has not: SGX, Intel PT, MPX, sub-page permissions, PCONFIG, SMM with a monitor of its own, tertiary controls. */
const vmxAbsent: ReadonlySet<VmxFeature> = new Set<VmxFeature>([
  "enableENCLSExiting", "enableENCLVExiting", "concealNonRootFromPT", "ptUsesGuestPhysicalAddresses", "concealVMXFromPTOnExit", "concealVMXFromPTOnEntry",
  "clearBNDCFGS", "loadBNDCFGS", "subPageWritePermissions", "enablePCONFIG", "entryToSMM", "deactivateDualMonitor", "activateTertiaryControls", "eptWalkLength5",
]);
const vmxModern: readonly VmxFeature[] = [...vmxControls, ...vmxTraits]
  .map(({ key }) => key)
  .filter((key) => !vmxAbsent.has(key));
// biome-ignore format: one list
const vmxCore2: readonly VmxFeature[] = [
  "externalInterruptExiting", "nmiExiting",
  "interruptWindowExiting", "useTSCOffsetting", "hltExiting", "invlpgExiting", "mwaitExiting", "rdpmcExiting", "rdtscExiting", "cr3LoadExiting", "cr3StoreExiting",
  "cr8LoadExiting", "cr8StoreExiting", "useTPRShadow", "movDRExiting", "unconditionalIOExiting", "useIOBitmaps", "useMSRBitmaps", "monitorExiting", "pauseExiting",
  "saveDebugControls", "hostAddressSpaceSize", "loadHostPerfGlobalCtrl", "acknowledgeInterruptOnExit",
  "loadDebugControls", "ia32eModeGuest", "loadGuestPerfGlobalCtrl",
  "hltState", "shutdownState", "waitForSIPIState",
];
// biome-ignore format: one list
const vmxNehalem: readonly VmxFeature[] = [
  ...vmxCore2, "virtualNMIs", "activatePreemptionTimer", "nmiWindowExiting", "monitorTrapFlag", "activateSecondaryControls",
  "virtualizeAPICAccesses", "enableEPT", "descriptorTableExiting", "enableRDTSCP", "enableVPID", "wbinvdExiting",
  "savePAT", "loadHostPAT", "saveEFER", "loadHostEFER", "savePreemptionTimer", "loadGuestPAT", "loadGuestEFER",
  "insOutsInformation", "trueControls", "eptExecuteOnly", "eptWalkLength4", "eptMemoryUC", "eptMemoryWB", "ept2MPages", "invept", "inveptSingleContext", "inveptAllContexts",
  "invvpid", "invvpidAddress", "invvpidSingleContext", "invvpidAllContexts", "invvpidRetainingGlobals",
];

const caches: readonly CacheRow[] = [
  { level: 1, type: "data", ways: 8, sets: 64 },
  { level: 1, type: "instruction", ways: 8, sets: 64 },
  { level: 2, type: "unified", ways: 16, sets: 1024 },
  { level: 3, type: "unified", ways: 16, sets: 8192, shared: true },
];
const cachesCore2: readonly CacheRow[] = [
  { level: 1, type: "data", ways: 8, sets: 64 },
  { level: 1, type: "instruction", ways: 8, sets: 64 },
  { level: 2, type: "unified", ways: 16, sets: 4096, shared: true },
];

/** A processor without the flaws that kernels work around: nothing to mitigate. */
const unaffected =
  CAP.RDCL_NO | CAP.IBRS_ALL | CAP.SKIP_L1DFL_VMENTRY | CAP.SSB_NO | CAP.MDS_NO | CAP.IF_PSCHANGE_MC_NO | CAP.TAA_NO |
  CAP.SBDR_SSDP_NO | CAP.FBSDP_NO | CAP.PSDP_NO | CAP.BHI_NO | CAP.PBRSB_NO | CAP.GDS_NO | CAP.RFDS_NO | CAP.ITS_NO; // biome-ignore format: one list

/** The ratios of MSR_PLATFORM_INFO: a processor that runs at one frequency. */
const ratios =
  (BigInt(tscHz / 100_000_000) << MSR_PLATFORM_INFO.maximumNonTurboRatio) |
  (BigInt(tscHz / 100_000_000) << MSR_PLATFORM_INFO.maximumEfficiencyRatio);
/** No SMI has ever happened. */
const nehalemMsrs = { MSR_SMI_COUNT: 0n, MSR_PLATFORM_INFO: ratios } as const;
/** The protected processor inventory number is locked out, as firmware leaves it. */
const modernMsrs = {
  ...nehalemMsrs,
  MSR_PLATFORM_INFO: ratios | MSR_PLATFORM_INFO.CPUIDFaulting,
  MSR_PPIN_CTL: 1n,
} as const;

// biome-ignore format: one row per fact
export const modelRows: readonly ModelRow[] = [
  {
    name: "default", about: "x86-64-v2 and what a recent Intel server has, with VT-x, without AVX",
    vendor: "GenuineIntel", family: 6, model: 0x8f, stepping: 8, brand: "Worldswitch x86-64 processor @ 1.00GHz",
    maxBasicLeaf: 0x16, maxExtendedLeaf: 0x8000_0008, physicalAddressBits: 40,
    features: modern, vmx: vmxModern, caches, cacheDescriptors: [0x7603_6301, 0x00f0_b5ff, 0, 0x00c3_0000],
    microcodeRevision: 0x1000_0000, architecturalCapabilities: unaffected, msrs: modernMsrs,
  },
  {
    name: "nehalem", about: "2008: SSE4.2, no PCID, SMEP or XSAVE; VT-x with EPT and VPID, no unrestricted guest",
    vendor: "GenuineIntel", family: 6, model: 0x1a, stepping: 5, brand: "Intel(R) Xeon(R) CPU X5570 (Worldswitch)",
    maxBasicLeaf: 0xb, maxExtendedLeaf: 0x8000_0008, physicalAddressBits: 40,
    features: nehalem, vmx: vmxNehalem, caches, cacheDescriptors: [0x5503_5a01, 0x00f0_b2e4, 0, 0x09ca_212c],
    microcodeRevision: 0x1d, msrs: nehalemMsrs,
  },
  {
    name: "core2", about: "2006: SSSE3, the first 64-bit Core; VT-x without EPT and secondary controls",
    vendor: "GenuineIntel", family: 6, model: 0xf, stepping: 11, brand: "Intel(R) Core(TM)2 Duo CPU (Worldswitch)",
    maxBasicLeaf: 0xa, maxExtendedLeaf: 0x8000_0008, physicalAddressBits: 36,
    features: core2, vmx: vmxCore2, caches: cachesCore2, cacheDescriptors: [0x05b0_b101, 0x0056_57f0, 0, 0x2cb4_3049],
    microcodeRevision: 0xba,
  },
  {
    name: "pentium3", about: "1999: 32-bit only, PAE and SSE",
    vendor: "GenuineIntel", family: 6, model: 8, stepping: 6, brand: "",
    maxBasicLeaf: 2, maxExtendedLeaf: 0x8000_0000, physicalAddressBits: 36,
    features: pentium3, caches: [], cacheDescriptors: [0x0302_0101, 0, 0, 0x0c04_0882],
    microcodeRevision: 0x8,
  },
  {
    name: "pentium", about: "1993: 32-bit only, no PAE",
    vendor: "GenuineIntel", family: 5, model: 2, stepping: 12, brand: "",
    maxBasicLeaf: 1, maxExtendedLeaf: 0, physicalAddressBits: 32,
    features: [...pentium, "APIC"], caches: [], cacheDescriptors: [0, 0, 0, 0],
    microcodeRevision: 0,
  },
];
