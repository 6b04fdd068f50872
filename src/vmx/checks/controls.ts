import { addressRows, msrAreaRows } from "./address-rows.ts";
import { type Check, hex } from "./check.ts";
import { dependence, reservedBits } from "./control-rows.ts";
import { eventInjection } from "./event-injection.ts";

/** SDM Vol. 3, "Checks on VMX Controls", in its order. */

const execution = "VM-Execution Control Fields";
const exit = "VM-Exit Control Fields";
const entry = "VM-Entry Control Fields";

const tprThreshold: readonly Check[] = [
  {
    id: "tpr-threshold-reserved",
    sdm: execution,
    says: 'Bits 31:4 of the TPR threshold must be 0 if "use TPR shadow" is 1 and "virtual-interrupt delivery" is 0',
    reads: ["control.tprThreshold"],
    consults: ["useTPRShadow", "virtualInterruptDelivery"],
    holds: ({ controls, vmcs }) =>
      !controls.useTPRShadow || controls.virtualInterruptDelivery || vmcs.control.tprThreshold <= 15n,
    hint: () => "use a threshold from 0 to 15",
    allowed: () => ({
      field: "control.tprThreshold",
      mustBe1: 0n,
      mustBe0: 0xffff_fff0n,
      from: "reserved bits",
    }),
  },
  {
    id: "tpr-threshold-vtpr",
    sdm: execution,
    says: 'The TPR threshold must not be above bits 7:4 of VTPR (byte 80H of the virtual-APIC page) if "use TPR shadow" is 1 and "virtualize APIC accesses" and "virtual-interrupt delivery" are 0',
    reads: ["control.tprThreshold", "control.virtualApicAddress"],
    consults: ["useTPRShadow", "virtualizeAPICAccesses", "virtualInterruptDelivery"],
    holds: (facts) => {
      const { controls, vmcs } = facts;
      if (!controls.useTPRShadow || controls.virtualizeAPICAccesses || controls.virtualInterruptDelivery)
        return true;
      const threshold = vmcs.control.tprThreshold & 0xfn;
      if (threshold === 0n) return true;
      const vtpr = facts.read32(vmcs.control.virtualApicAddress + 0x80n);
      return Number(threshold) <= ((vtpr >>> 4) & 0xf);
    },
    hint: (facts) =>
      `lower the threshold to ${(facts.read32(facts.vmcs.control.virtualApicAddress + 0x80n) >>> 4) & 0xf}, or raise the task priority in the virtual-APIC page`,
  },
];

const postedInterrupts: readonly Check[] = [
  dependence("posted-needs-delivery", execution, "processPostedInterrupts", "virtualInterruptDelivery"),
  dependence("posted-needs-acknowledge", execution, "processPostedInterrupts", "acknowledgeInterruptOnExit"),
  {
    id: "posted-vector",
    sdm: execution,
    says: 'The posted-interrupt notification vector must be at most 255 if "process posted interrupts" is 1',
    reads: ["control.postedInterruptNotificationVector"],
    consults: ["processPostedInterrupts"],
    holds: ({ controls, vmcs }) =>
      !controls.processPostedInterrupts || vmcs.control.postedInterruptNotificationVector <= 0xffn,
    hint: () => "use a vector from 0 to 255",
  },
  ...addressRows({
    id: "posted-descriptor",
    sdm: execution,
    what: "The posted-interrupt descriptor address",
    field: "control.postedInterruptDescriptorAddress",
    control: "processPostedInterrupts",
    alignedBits: 6,
  }),
];

const eptPointer: readonly Check[] = [
  {
    id: "eptp-memory-type",
    sdm: execution,
    says: 'Bits 2:0 of the EPTP must be a memory type that the processor supports for EPT paging structures if "enable EPT" is 1',
    reads: ["control.eptPointer"],
    consults: ["enableEPT"],
    holds: ({ controls, vmcs, capability }) => {
      if (!controls.enableEPT) return true;
      const type = vmcs.control.eptPointer & 7n;
      return (type === 6n && capability.has("eptMemoryWB")) || (type === 0n && capability.has("eptMemoryUC"));
    },
    hint: ({ capability }) =>
      `use ${[capability.has("eptMemoryWB") ? "6 (write-back)" : "", capability.has("eptMemoryUC") ? "0 (uncacheable)" : ""].filter((type) => type !== "").join(" or ")}, as IA32_VMX_EPT_VPID_CAP reports`,
  },
  {
    id: "eptp-walk-length",
    sdm: execution,
    says: 'Bits 5:3 of the EPTP must be one less than an EPT page-walk length that the processor supports if "enable EPT" is 1',
    reads: ["control.eptPointer"],
    consults: ["enableEPT"],
    holds: ({ controls, vmcs, capability }) => {
      if (!controls.enableEPT) return true;
      const length = ((vmcs.control.eptPointer >> 3n) & 7n) + 1n;
      return (
        (length === 4n && capability.has("eptWalkLength4")) ||
        (length === 5n && capability.has("eptWalkLength5"))
      );
    },
    hint: () => "use 3 in bits 5:3, for a page-walk length of 4",
  },
  {
    id: "eptp-accessed-dirty",
    sdm: execution,
    says: 'Bit 6 of the EPTP (accessed and dirty flags) must be 0 if the processor does not support them, if "enable EPT" is 1',
    reads: ["control.eptPointer"],
    consults: ["enableEPT"],
    holds: ({ controls, vmcs, capability }) =>
      !controls.enableEPT || (vmcs.control.eptPointer & 0x40n) === 0n || capability.has("eptAccessedDirty"),
    hint: () => "clear bit 6: IA32_VMX_EPT_VPID_CAP bit 21 is 0",
  },
  {
    id: "eptp-reserved",
    sdm: execution,
    says: 'Bits 11:7 of the EPTP, and those beyond the physical-address width, must be 0 if "enable EPT" is 1',
    reads: ["control.eptPointer"],
    consults: ["enableEPT"],
    holds: ({ controls, vmcs, cpu }) =>
      !controls.enableEPT ||
      ((vmcs.control.eptPointer & 0xf80n) === 0n &&
        vmcs.control.eptPointer >> BigInt(cpu.physicalAddressBits) === 0n),
    hint: ({ cpu, vmcs }) =>
      `clear them: ${hex(vmcs.control.eptPointer & ~0xf80n & ((1n << BigInt(cpu.physicalAddressBits)) - 1n))} would do`,
    allowed: ({ cpu }) => ({
      field: "control.eptPointer",
      mustBe1: 0n,
      mustBe0: 0xf80n | ((1n << 64n) - (1n << BigInt(cpu.physicalAddressBits))),
      from: "reserved bits and physical-address width (CPUID.80000008H:EAX)",
    }),
  },
];

const vmFunctions: readonly Check[] = [
  {
    id: "vm-function-controls-reserved",
    sdm: execution,
    says: 'Reserved bits of the VM-function controls must be 0 if "enable VM functions" is 1',
    reads: ["control.vmFunctionControls"],
    consults: ["enableVMFunctions"],
    holds: ({ controls, vmcs, capability }) =>
      !controls.enableVMFunctions ||
      (vmcs.control.vmFunctionControls & ~capability.msr("IA32_VMX_VMFUNC")) === 0n,
    hint: ({ vmcs, capability }) =>
      `use ${hex(vmcs.control.vmFunctionControls & capability.msr("IA32_VMX_VMFUNC"))}: only what IA32_VMX_VMFUNC has set`,
    allowed: ({ capability }) => ({
      field: "control.vmFunctionControls",
      mustBe1: 0n,
      mustBe0: BigInt.asUintN(64, ~capability.msr("IA32_VMX_VMFUNC")),
      from: "IA32_VMX_VMFUNC",
    }),
  },
  {
    id: "eptp-switching-needs-ept",
    sdm: execution,
    says: 'If "EPTP switching" (bit 0 of the VM-function controls) is 1, "enable EPT" must be 1',
    reads: ["control.vmFunctionControls", "control.secondaryProcessorBased"],
    consults: ["enableVMFunctions", "enableEPT"],
    holds: ({ controls, vmcs }) =>
      !controls.enableVMFunctions || (vmcs.control.vmFunctionControls & 1n) === 0n || controls.enableEPT,
    hint: () => 'set "enable EPT" or clear bit 0 of the VM-function controls',
  },
  ...addressRows({
    id: "eptp-list",
    sdm: execution,
    what: "The EPTP-list address",
    field: "control.eptpListAddress",
    control: "enableVMFunctions",
    and: ({ vmcs }) => (vmcs.control.vmFunctionControls & 1n) !== 0n,
    alsoReads: ["control.vmFunctionControls"],
  }),
];

export const executionControls: readonly Check[] = [
  reservedBits("pin-based-reserved", execution, "pin-based VM-execution controls", "control.pinBased"),
  reservedBits(
    "processor-based-reserved",
    execution,
    "primary processor-based VM-execution controls",
    "control.processorBased",
  ),
  reservedBits(
    "secondary-reserved",
    execution,
    "secondary processor-based VM-execution controls",
    "control.secondaryProcessorBased",
    "activateSecondaryControls",
  ),
  {
    id: "tertiary-reserved",
    sdm: execution,
    says: 'Reserved bits of the tertiary processor-based VM-execution controls must be 0 if "activate tertiary controls" is 1',
    reads: ["control.tertiaryProcessorBased"],
    consults: ["activateTertiaryControls"],
    holds: ({ controls, vmcs, capability }) =>
      !controls.activateTertiaryControls ||
      (vmcs.control.tertiaryProcessorBased & ~capability.msr("IA32_VMX_PROCBASED_CTLS3")) === 0n,
    hint: ({ capability }) =>
      `set only bits of ${hex(capability.msr("IA32_VMX_PROCBASED_CTLS3"))}, IA32_VMX_PROCBASED_CTLS3`,
    allowed: ({ capability }) => ({
      field: "control.tertiaryProcessorBased",
      mustBe1: 0n,
      mustBe0: BigInt.asUintN(64, ~capability.msr("IA32_VMX_PROCBASED_CTLS3")),
      from: "IA32_VMX_PROCBASED_CTLS3",
    }),
  },
  {
    id: "cr3-target-count",
    sdm: execution,
    says: "The CR3-target count must not be greater than the number of CR3-target values, 4",
    reads: ["control.cr3TargetCount"],
    consults: [],
    holds: ({ vmcs, capability }) => vmcs.control.cr3TargetCount <= BigInt(capability.cr3TargetCount),
    hint: ({ capability }) =>
      `use at most ${capability.cr3TargetCount}, which bits 24:16 of IA32_VMX_MISC report`,
  },
  ...addressRows({
    id: "io-bitmap-a",
    sdm: execution,
    what: "The address of I/O bitmap A",
    field: "control.ioBitmapA",
    control: "useIOBitmaps",
  }),
  ...addressRows({
    id: "io-bitmap-b",
    sdm: execution,
    what: "The address of I/O bitmap B",
    field: "control.ioBitmapB",
    control: "useIOBitmaps",
  }),
  ...addressRows({
    id: "msr-bitmaps",
    sdm: execution,
    what: "The MSR-bitmap address",
    field: "control.msrBitmaps",
    control: "useMSRBitmaps",
  }),
  ...addressRows({
    id: "virtual-apic",
    sdm: execution,
    what: "The virtual-APIC address",
    field: "control.virtualApicAddress",
    control: "useTPRShadow",
  }),
  ...tprThreshold,
  dependence("virtual-nmis-need-nmi-exiting", execution, "virtualNMIs", "nmiExiting"),
  dependence("nmi-window-needs-virtual-nmis", execution, "nmiWindowExiting", "virtualNMIs"),
  ...addressRows({
    id: "apic-access",
    sdm: execution,
    what: "The APIC-access address",
    field: "control.apicAccessAddress",
    control: "virtualizeAPICAccesses",
  }),
  dependence("x2apic-needs-tpr-shadow", execution, "virtualizeX2APICMode", "useTPRShadow"),
  dependence("apic-registers-need-tpr-shadow", execution, "apicRegisterVirtualization", "useTPRShadow"),
  dependence("delivery-needs-tpr-shadow", execution, "virtualInterruptDelivery", "useTPRShadow"),
  dependence("x2apic-without-apic-accesses", execution, "virtualizeX2APICMode", "virtualizeAPICAccesses", 0),
  dependence(
    "delivery-needs-external-interrupt-exiting",
    execution,
    "virtualInterruptDelivery",
    "externalInterruptExiting",
  ),
  ...postedInterrupts,
  {
    id: "vpid-not-zero",
    sdm: execution,
    says: 'The VPID must not be 0000H if "enable VPID" is 1',
    reads: ["control.vpid"],
    consults: ["enableVPID"],
    holds: ({ controls, vmcs }) => !controls.enableVPID || vmcs.control.vpid !== 0n,
    hint: () => 'give each virtual processor a VPID from 1 to 65535, or clear "enable VPID"',
  },
  ...eptPointer,
  dependence("pml-needs-ept", execution, "enablePML", "enableEPT"),
  ...addressRows({
    id: "pml",
    sdm: execution,
    what: "The PML address",
    field: "control.pmlAddress",
    control: "enablePML",
  }),
  dependence("unrestricted-needs-ept", execution, "unrestrictedGuest", "enableEPT"),
  dependence("mode-based-execute-needs-ept", execution, "modeBasedExecuteControl", "enableEPT"),
  dependence("sub-page-needs-ept", execution, "subPageWritePermissions", "enableEPT"),
  ...vmFunctions,
  ...addressRows({
    id: "vmread-bitmap",
    sdm: execution,
    what: "The VMREAD-bitmap address",
    field: "control.vmreadBitmapAddress",
    control: "vmcsShadowing",
  }),
  ...addressRows({
    id: "vmwrite-bitmap",
    sdm: execution,
    what: "The VMWRITE-bitmap address",
    field: "control.vmwriteBitmapAddress",
    control: "vmcsShadowing",
  }),
  ...addressRows({
    id: "ve-information",
    sdm: execution,
    what: "The virtualization-exception information address",
    field: "control.virtualizationExceptionInformationAddress",
    control: "eptViolationVE",
  }),
  dependence("pt-guest-physical-needs-ept", execution, "ptUsesGuestPhysicalAddresses", "enableEPT"),
  {
    id: "tsc-multiplier-not-zero",
    sdm: execution,
    says: 'The TSC multiplier must not be 0 if "use TSC scaling" is 1',
    reads: ["control.tscMultiplier"],
    consults: ["useTSCScaling"],
    holds: ({ controls, vmcs }) => !controls.useTSCScaling || vmcs.control.tscMultiplier !== 0n,
    hint: () => "use 0x1000000000000 (1 with 48 fraction bits) to leave the TSC's rate as it is",
  },
];

export const exitControls: readonly Check[] = [
  reservedBits("exit-controls-reserved", exit, "VM-exit controls", "control.exitControls"),
  dependence("save-timer-needs-timer", exit, "savePreemptionTimer", "activatePreemptionTimer"),
  ...msrAreaRows(
    "exit-msr-store",
    exit,
    "The VM-exit MSR-store",
    "control.exitMsrStoreCount",
    "control.exitMsrStoreAddress",
  ),
  ...msrAreaRows(
    "exit-msr-load",
    exit,
    "The VM-exit MSR-load",
    "control.exitMsrLoadCount",
    "control.exitMsrLoadAddress",
  ),
];

export const entryControls: readonly Check[] = [
  reservedBits("entry-controls-reserved", entry, "VM-entry controls", "control.entryControls"),
  ...eventInjection,
  ...msrAreaRows(
    "entry-msr-load",
    entry,
    "The VM-entry MSR-load",
    "control.entryMsrLoadCount",
    "control.entryMsrLoadAddress",
  ),
  {
    id: "smm-controls-outside-smm",
    sdm: entry,
    says: 'Outside SMM, "entry to SMM" and "deactivate dual-monitor treatment" must be 0',
    reads: ["control.entryControls"],
    consults: ["entryToSMM", "deactivateDualMonitor"],
    holds: ({ controls, cpu }) => cpu.inSMM || (!controls.entryToSMM && !controls.deactivateDualMonitor),
    hint: () => "clear bits 10 and 11 of the VM-entry controls",
  },
  dependence("smm-controls-not-both", entry, "entryToSMM", "deactivateDualMonitor", 0),
];

export const controls: readonly Check[] = [...executionControls, ...exitControls, ...entryControls];
