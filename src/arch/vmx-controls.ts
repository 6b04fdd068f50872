/**
 * The VM-execution, VM-exit and VM-entry controls: one row each (SDM Vol. 3, "VM-Execution Control Fields", "VM-Exit
 * Control Fields", "VM-Entry Control Fields"). A key is the SDM's quoted name in camelCase. Capability MSRs, effective
 * controls, checks and the dump reader are made of these rows.
 */

export type ControlFieldName =
  | "control.pinBased"
  | "control.processorBased"
  | "control.secondaryProcessorBased"
  | "control.tertiaryProcessorBased"
  | "control.exitControls"
  | "control.entryControls";

// biome-ignore format: one row per fact
const pinBased = [
  [0, "externalInterruptExiting", "external-interrupt exiting"],
  [3, "nmiExiting", "NMI exiting"],
  [5, "virtualNMIs", "virtual NMIs"],
  [6, "activatePreemptionTimer", "activate VMX-preemption timer"],
  [7, "processPostedInterrupts", "process posted interrupts"],
] as const;
// biome-ignore format: one row per fact
const processorBased = [
  [2, "interruptWindowExiting", "interrupt-window exiting"],
  [3, "useTSCOffsetting", "use TSC offsetting"],
  [7, "hltExiting", "HLT exiting"],
  [9, "invlpgExiting", "INVLPG exiting"],
  [10, "mwaitExiting", "MWAIT exiting"],
  [11, "rdpmcExiting", "RDPMC exiting"],
  [12, "rdtscExiting", "RDTSC exiting"],
  [15, "cr3LoadExiting", "CR3-load exiting"],
  [16, "cr3StoreExiting", "CR3-store exiting"],
  [17, "activateTertiaryControls", "activate tertiary controls"],
  [19, "cr8LoadExiting", "CR8-load exiting"],
  [20, "cr8StoreExiting", "CR8-store exiting"],
  [21, "useTPRShadow", "use TPR shadow"],
  [22, "nmiWindowExiting", "NMI-window exiting"],
  [23, "movDRExiting", "MOV-DR exiting"],
  [24, "unconditionalIOExiting", "unconditional I/O exiting"],
  [25, "useIOBitmaps", "use I/O bitmaps"],
  [27, "monitorTrapFlag", "monitor trap flag"],
  [28, "useMSRBitmaps", "use MSR bitmaps"],
  [29, "monitorExiting", "MONITOR exiting"],
  [30, "pauseExiting", "PAUSE exiting"],
  [31, "activateSecondaryControls", "activate secondary controls"],
] as const;
// biome-ignore format: one row per fact
const secondaryProcessorBased = [
  [0, "virtualizeAPICAccesses", "virtualize APIC accesses"],
  [1, "enableEPT", "enable EPT"],
  [2, "descriptorTableExiting", "descriptor-table exiting"],
  [3, "enableRDTSCP", "enable RDTSCP"],
  [4, "virtualizeX2APICMode", "virtualize x2APIC mode"],
  [5, "enableVPID", "enable VPID"],
  [6, "wbinvdExiting", "WBINVD exiting"],
  [7, "unrestrictedGuest", "unrestricted guest"],
  [8, "apicRegisterVirtualization", "APIC-register virtualization"],
  [9, "virtualInterruptDelivery", "virtual-interrupt delivery"],
  [10, "pauseLoopExiting", "PAUSE-loop exiting"],
  [11, "rdrandExiting", "RDRAND exiting"],
  [12, "enableINVPCID", "enable INVPCID"],
  [13, "enableVMFunctions", "enable VM functions"],
  [14, "vmcsShadowing", "VMCS shadowing"],
  [15, "enableENCLSExiting", "enable ENCLS exiting"],
  [16, "rdseedExiting", "RDSEED exiting"],
  [17, "enablePML", "enable PML"],
  [18, "eptViolationVE", "EPT-violation #VE"],
  [19, "concealNonRootFromPT", "conceal VMX non-root operation from Intel PT"],
  [20, "enableXSAVES", "enable XSAVES/XRSTORS"],
  [22, "modeBasedExecuteControl", "mode-based execute control for EPT"],
  [23, "subPageWritePermissions", "sub-page write permissions for EPT"],
  [24, "ptUsesGuestPhysicalAddresses", "Intel PT uses guest physical addresses"],
  [25, "useTSCScaling", "use TSC scaling"],
  [26, "enableUserWaitAndPause", "enable user wait and pause"],
  [27, "enablePCONFIG", "enable PCONFIG"],
  [28, "enableENCLVExiting", "enable ENCLV exiting"],
] as const;
const tertiaryProcessorBased = [] as readonly (readonly [number, never, string])[];
// biome-ignore format: one row per fact
const exitControls = [
  [2, "saveDebugControls", "save debug controls"],
  [9, "hostAddressSpaceSize", "host address-space size"],
  [12, "loadHostPerfGlobalCtrl", "load IA32_PERF_GLOBAL_CTRL"],
  [15, "acknowledgeInterruptOnExit", "acknowledge interrupt on exit"],
  [18, "savePAT", "save IA32_PAT"],
  [19, "loadHostPAT", "load IA32_PAT"],
  [20, "saveEFER", "save IA32_EFER"],
  [21, "loadHostEFER", "load IA32_EFER"],
  [22, "savePreemptionTimer", "save VMX-preemption timer value"],
  [23, "clearBNDCFGS", "clear IA32_BNDCFGS"],
  [24, "concealVMXFromPTOnExit", "conceal VMX from PT"],
] as const;
// biome-ignore format: one row per fact
const entryControls = [
  [2, "loadDebugControls", "load debug controls"],
  [9, "ia32eModeGuest", "IA-32e mode guest"],
  [10, "entryToSMM", "entry to SMM"],
  [11, "deactivateDualMonitor", "deactivate dual-monitor treatment"],
  [13, "loadGuestPerfGlobalCtrl", "load IA32_PERF_GLOBAL_CTRL"],
  [14, "loadGuestPAT", "load IA32_PAT"],
  [15, "loadGuestEFER", "load IA32_EFER"],
  [16, "loadBNDCFGS", "load IA32_BNDCFGS"],
  [17, "concealVMXFromPTOnEntry", "conceal VMX from PT"],
] as const;

export type ControlKey =
  | (typeof pinBased)[number][1]
  | (typeof processorBased)[number][1]
  | (typeof secondaryProcessorBased)[number][1]
  | (typeof exitControls)[number][1]
  | (typeof entryControls)[number][1];

export interface VmxControl {
  readonly key: ControlKey;
  readonly field: ControlFieldName;
  readonly bit: number;
  /** The SDM's quoted name. */
  readonly name: string;
}

const rowsOf = (
  field: ControlFieldName,
  rows: readonly (readonly [number, ControlKey, string])[],
): VmxControl[] => rows.map(([bit, key, name]) => ({ key, field, bit, name }));

export const vmxControls: readonly VmxControl[] = [
  ...rowsOf("control.pinBased", pinBased),
  ...rowsOf("control.processorBased", processorBased),
  ...rowsOf("control.secondaryProcessorBased", secondaryProcessorBased),
  ...rowsOf("control.tertiaryProcessorBased", tertiaryProcessorBased),
  ...rowsOf("control.exitControls", exitControls),
  ...rowsOf("control.entryControls", entryControls),
];

/** Bits that are 1 in every processor's plain capability MSR: the default1 class (SDM Vol. 3, Appendix "VMX Capability Reporting Facility"). */
export const default1: Readonly<Record<ControlFieldName, number>> = {
  "control.pinBased": 0x0000_0016,
  "control.processorBased": 0x0401_e172,
  "control.secondaryProcessorBased": 0,
  "control.tertiaryProcessorBased": 0,
  "control.exitControls": 0x0003_6dff,
  "control.entryControls": 0x0000_11ff,
};

const byKey = new Map(vmxControls.map((control) => [control.key, control]));
export const vmxControl = (key: ControlKey): VmxControl => byKey.get(key)!;

/** The bit of a control in its field, as a signed 32-bit number, for `&`. */
export const controlMask = (key: ControlKey): number => 1 << vmxControl(key).bit;
