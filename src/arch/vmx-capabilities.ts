import { type ControlFieldName, type ControlKey, vmxControls } from "./vmx-controls.ts";

/**
 * What the VMX capability MSRs report beside the controls (SDM Vol. 3, Appendix "VMX Capability Reporting Facility"): the
 * MSRs, one row per bit that a processor may or may not have, and what needs what. Keys are names of features, as are
 * those of controls: a CPU model lists the ones it offers (cpu/models.ts).
 */

// biome-ignore format: one row per fact
export const VmxMsr = {
  IA32_VMX_BASIC: 0x480, IA32_VMX_PINBASED_CTLS: 0x481, IA32_VMX_PROCBASED_CTLS: 0x482, IA32_VMX_EXIT_CTLS: 0x483, IA32_VMX_ENTRY_CTLS: 0x484,
  IA32_VMX_MISC: 0x485, IA32_VMX_CR0_FIXED0: 0x486, IA32_VMX_CR0_FIXED1: 0x487, IA32_VMX_CR4_FIXED0: 0x488, IA32_VMX_CR4_FIXED1: 0x489,
  IA32_VMX_VMCS_ENUM: 0x48a, IA32_VMX_PROCBASED_CTLS2: 0x48b, IA32_VMX_EPT_VPID_CAP: 0x48c,
  IA32_VMX_TRUE_PINBASED_CTLS: 0x48d, IA32_VMX_TRUE_PROCBASED_CTLS: 0x48e, IA32_VMX_TRUE_EXIT_CTLS: 0x48f, IA32_VMX_TRUE_ENTRY_CTLS: 0x490,
  IA32_VMX_VMFUNC: 0x491, IA32_VMX_PROCBASED_CTLS3: 0x492,
} as const;
export type VmxMsrName = keyof typeof VmxMsr;

/** Which MSRs report a word of controls: the plain one, and the TRUE one where it exists. */
// biome-ignore format: one row per fact
export const controlMsrs: Readonly<Record<ControlFieldName, { readonly plain: VmxMsrName; readonly exact?: VmxMsrName }>> = {
  "control.pinBased": { plain: "IA32_VMX_PINBASED_CTLS", exact: "IA32_VMX_TRUE_PINBASED_CTLS" },
  "control.processorBased": { plain: "IA32_VMX_PROCBASED_CTLS", exact: "IA32_VMX_TRUE_PROCBASED_CTLS" },
  "control.secondaryProcessorBased": { plain: "IA32_VMX_PROCBASED_CTLS2" },
  "control.tertiaryProcessorBased": { plain: "IA32_VMX_PROCBASED_CTLS3" },
  "control.exitControls": { plain: "IA32_VMX_EXIT_CTLS", exact: "IA32_VMX_TRUE_EXIT_CTLS" },
  "control.entryControls": { plain: "IA32_VMX_ENTRY_CTLS", exact: "IA32_VMX_TRUE_ENTRY_CTLS" },
};

/** Single bits of IA32_VMX_BASIC, IA32_VMX_MISC, IA32_VMX_EPT_VPID_CAP and IA32_VMX_VMFUNC. */
// biome-ignore format: one row per fact
const rows = [
  ["insOutsInformation", "IA32_VMX_BASIC", 54, "VM exits by INS and OUTS report the address size and segment"],
  ["trueControls", "IA32_VMX_BASIC", 55, "default1 controls may be 0, as the TRUE MSRs say"],
  ["anyErrorCode", "IA32_VMX_BASIC", 56, "any hardware exception may be injected with or without an error code"],
  ["exitsStoreLMA", "IA32_VMX_MISC", 5, "VM exits store IA32_EFER.LMA into the \"IA-32e mode guest\" VM-entry control"],
  ["hltState", "IA32_VMX_MISC", 6, "activity state 1 (HLT)"],
  ["shutdownState", "IA32_VMX_MISC", 7, "activity state 2 (shutdown)"],
  ["waitForSIPIState", "IA32_VMX_MISC", 8, "activity state 3 (wait-for-SIPI)"],
  ["vmwriteAnyField", "IA32_VMX_MISC", 29, "VMWRITE may write every supported field, VM-exit information too"],
  ["zeroLengthInjection", "IA32_VMX_MISC", 30, "software events may be injected with instruction length 0"],
  ["eptExecuteOnly", "IA32_VMX_EPT_VPID_CAP", 0, "execute-only translations by EPT"],
  ["eptWalkLength4", "IA32_VMX_EPT_VPID_CAP", 6, "EPT page-walk length 4"],
  ["eptWalkLength5", "IA32_VMX_EPT_VPID_CAP", 7, "EPT page-walk length 5"],
  ["eptMemoryUC", "IA32_VMX_EPT_VPID_CAP", 8, "EPT paging structures of memory type UC"],
  ["eptMemoryWB", "IA32_VMX_EPT_VPID_CAP", 14, "EPT paging structures of memory type WB"],
  ["ept2MPages", "IA32_VMX_EPT_VPID_CAP", 16, "2-MByte pages in EPT"],
  ["ept1GPages", "IA32_VMX_EPT_VPID_CAP", 17, "1-GByte pages in EPT"],
  ["invept", "IA32_VMX_EPT_VPID_CAP", 20, "INVEPT"],
  ["eptAccessedDirty", "IA32_VMX_EPT_VPID_CAP", 21, "accessed and dirty flags for EPT"],
  ["eptViolationDetails", "IA32_VMX_EPT_VPID_CAP", 22, "advanced VM-exit information for EPT violations"],
  ["inveptSingleContext", "IA32_VMX_EPT_VPID_CAP", 25, "INVEPT type 1, single-context"],
  ["inveptAllContexts", "IA32_VMX_EPT_VPID_CAP", 26, "INVEPT type 2, all-context"],
  ["invvpid", "IA32_VMX_EPT_VPID_CAP", 32, "INVVPID"],
  ["invvpidAddress", "IA32_VMX_EPT_VPID_CAP", 40, "INVVPID type 0, individual-address"],
  ["invvpidSingleContext", "IA32_VMX_EPT_VPID_CAP", 41, "INVVPID type 1, single-context"],
  ["invvpidAllContexts", "IA32_VMX_EPT_VPID_CAP", 42, "INVVPID type 2, all-context"],
  ["invvpidRetainingGlobals", "IA32_VMX_EPT_VPID_CAP", 43, "INVVPID type 3, single-context-retaining-globals"],
  ["eptpSwitching", "IA32_VMX_VMFUNC", 0, "VM function 0, EPTP switching"],
] as const;

export type VmxTrait = (typeof rows)[number][0];

export interface VmxTraitRow {
  readonly key: VmxTrait;
  readonly msr: VmxMsrName;
  readonly bit: number;
  /** What the processor does if the bit is 1. */
  readonly says: string;
}

export const vmxTraits: readonly VmxTraitRow[] = rows.map(([key, msr, bit, says]) => ({
  key,
  msr,
  bit,
  says,
}));

/** Everything of VT-x that a CPU model may offer or not. */
export type VmxFeature = ControlKey | VmxTrait;

/** The names of all of it. */
export const vmxFeatures: ReadonlySet<string> = new Set([...vmxControls, ...vmxTraits].map(({ key }) => key));

/**
 * What a control or capability is no use without: VT-x features, or CPUID features in capitals. A model that lacks one of them
 * does not offer it either. All of VT-x needs VMX; secondary controls need their activation.
 */
// biome-ignore format: one row per fact
const needs: Readonly<Partial<Record<VmxFeature, readonly string[]>>> = {
  virtualNMIs: ["nmiExiting"],
  nmiWindowExiting: ["virtualNMIs"],
  processPostedInterrupts: ["virtualInterruptDelivery", "acknowledgeInterruptOnExit"],
  savePreemptionTimer: ["activatePreemptionTimer"],
  cr8LoadExiting: ["LM"], cr8StoreExiting: ["LM"],
  useTPRShadow: ["APIC"],
  mwaitExiting: ["MONITOR"], monitorExiting: ["MONITOR"],
  virtualizeAPICAccesses: ["APIC"],
  virtualizeX2APICMode: ["useTPRShadow", "X2APIC"], apicRegisterVirtualization: ["useTPRShadow"],
  virtualInterruptDelivery: ["useTPRShadow", "externalInterruptExiting"],
  unrestrictedGuest: ["enableEPT", "exitsStoreLMA"],
  enablePML: ["enableEPT", "eptAccessedDirty"], eptViolationVE: ["enableEPT"], modeBasedExecuteControl: ["enableEPT"], subPageWritePermissions: ["enableEPT"],
  enableVMFunctions: ["enableEPT", "eptpSwitching"], eptpSwitching: ["enableEPT"],
  enableRDTSCP: ["RDTSCP"], enableINVPCID: ["INVPCID"], rdrandExiting: ["RDRAND"], rdseedExiting: ["RDSEED"], enableXSAVES: ["XSAVES"],
  enableUserWaitAndPause: ["WAITPKG"],
  ia32eModeGuest: ["LM"], hostAddressSpaceSize: ["LM"],
  enableEPT: ["invept", "eptWalkLength4", "eptMemoryWB"], enableVPID: ["invvpid"],
  // IA32_VMX_EPT_VPID_CAP is empty without the controls it is about: KVM refuses a processor where it is not.
  eptExecuteOnly: ["enableEPT"], eptWalkLength4: ["enableEPT"], eptWalkLength5: ["enableEPT"], eptMemoryUC: ["enableEPT"], eptMemoryWB: ["enableEPT"],
  ept2MPages: ["enableEPT"], ept1GPages: ["enableEPT"], eptAccessedDirty: ["enableEPT"], eptViolationDetails: ["enableEPT"],
  invept: ["enableEPT"], inveptSingleContext: ["invept"], inveptAllContexts: ["invept"],
  invvpid: ["enableVPID"], invvpidAddress: ["invvpid"], invvpidSingleContext: ["invvpid"], invvpidAllContexts: ["invvpid"], invvpidRetainingGlobals: ["invvpid"],
};

export const vmxNeeds: Readonly<Partial<Record<VmxFeature, readonly string[]>>> = {
  ...needs,
  ...Object.fromEntries(
    vmxControls
      .filter(({ field }) => field === "control.secondaryProcessorBased")
      .map(({ key }) => [key, ["activateSecondaryControls", ...(needs[key] ?? [])]]),
  ),
};
