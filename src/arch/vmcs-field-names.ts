import { type VmcsFieldName, vmcsFields } from "./vmcs-fields.ts";

/**
 * What the fields of a VMCS are called: in the SDM (Vol. 3, Appendix "Field Encoding in VMCS"), in Linux
 * (arch/x86/include/asm/vmx.h), and elsewhere. Segments and plain registers follow one rule; all others have a row.
 */

/** Names of one field: the SDM's, Linux's constant, and further spellings people write. */
export interface FieldNames {
  readonly sdm: string;
  readonly linux: string;
  readonly others: readonly string[];
}

// biome-ignore format: one row per fact
const rows: Partial<Record<VmcsFieldName, readonly [sdm: string, linux: string, ...others: string[]]>> = {
  "control.vpid": ["Virtual-processor identifier (VPID)", "VIRTUAL_PROCESSOR_ID", "VPID"],
  "control.postedInterruptNotificationVector": ["Posted-interrupt notification vector", "POSTED_INTR_NV", "POSTED_INTR_NOTIFICATION_VECTOR", "PostedIntrVec"],
  "control.eptpIndex": ["EPTP index", "EPTP_INDEX"],
  "guest.interruptStatus": ["Guest interrupt status", "GUEST_INTR_STATUS"],
  "guest.pmlIndex": ["PML index", "GUEST_PML_INDEX"],
  "control.ioBitmapA": ["Address of I/O bitmap A", "IO_BITMAP_A", "I/O bitmap A address", "IO_BITMAP_A_ADDR"],
  "control.ioBitmapB": ["Address of I/O bitmap B", "IO_BITMAP_B", "I/O bitmap B address", "IO_BITMAP_B_ADDR"],
  "control.msrBitmaps": ["Address of MSR bitmaps", "MSR_BITMAP", "MSR-bitmap address", "MSR bitmaps", "MSR_BITMAP_ADDR"],
  "control.exitMsrStoreAddress": ["VM-exit MSR-store address", "VM_EXIT_MSR_STORE_ADDR"],
  "control.exitMsrLoadAddress": ["VM-exit MSR-load address", "VM_EXIT_MSR_LOAD_ADDR"],
  "control.entryMsrLoadAddress": ["VM-entry MSR-load address", "VM_ENTRY_MSR_LOAD_ADDR"],
  "control.executiveVmcsPointer": ["Executive-VMCS pointer", "EXECUTIVE_VMCS_POINTER"],
  "control.pmlAddress": ["PML address", "PML_ADDRESS"],
  "control.tscOffset": ["TSC offset", "TSC_OFFSET"],
  "control.virtualApicAddress": ["Virtual-APIC address", "VIRTUAL_APIC_PAGE_ADDR", "virt-APIC addr"],
  "control.apicAccessAddress": ["APIC-access address", "APIC_ACCESS_ADDR"],
  "control.postedInterruptDescriptorAddress": ["Posted-interrupt descriptor address", "POSTED_INTR_DESC_ADDR", "PI_DESC_ADDR"],
  "control.vmFunctionControls": ["VM-function controls", "VM_FUNCTION_CONTROL", "VMfunc controls"],
  "control.eptPointer": ["EPT pointer (EPTP)", "EPT_POINTER", "EPTP", "EPT pointer"],
  "control.eoiExitBitmap0": ["EOI-exit bitmap 0", "EOI_EXIT_BITMAP0"],
  "control.eoiExitBitmap1": ["EOI-exit bitmap 1", "EOI_EXIT_BITMAP1"],
  "control.eoiExitBitmap2": ["EOI-exit bitmap 2", "EOI_EXIT_BITMAP2"],
  "control.eoiExitBitmap3": ["EOI-exit bitmap 3", "EOI_EXIT_BITMAP3"],
  "control.eptpListAddress": ["EPTP-list address", "EPTP_LIST_ADDRESS", "EPTP_LIST_ADDR"],
  "control.vmreadBitmapAddress": ["VMREAD-bitmap address", "VMREAD_BITMAP"],
  "control.vmwriteBitmapAddress": ["VMWRITE-bitmap address", "VMWRITE_BITMAP"],
  "control.virtualizationExceptionInformationAddress": ["Virtualization-exception information address", "VE_INFORMATION_ADDRESS", "VIRT_EXCEPTION_INFO", "VE info address"],
  "control.xssExitingBitmap": ["XSS-exiting bitmap", "XSS_EXIT_BITMAP"],
  "control.enclsExitingBitmap": ["ENCLS-exiting bitmap", "ENCLS_EXITING_BITMAP"],
  "control.tscMultiplier": ["TSC multiplier", "TSC_MULTIPLIER"],
  "control.tertiaryProcessorBased": ["Tertiary processor-based VM-execution controls", "TERTIARY_VM_EXEC_CONTROL", "TERTIARY_EXEC_CONTROL", "TertiaryExec"],
  "exit.guestPhysicalAddress": ["Guest-physical address", "GUEST_PHYSICAL_ADDRESS"],
  "guest.vmcsLinkPointer": ["VMCS link pointer", "VMCS_LINK_POINTER", "VMCS link", "link pointer"],
  "guest.ia32Debugctl": ["Guest IA32_DEBUGCTL", "GUEST_IA32_DEBUGCTL"],
  "guest.ia32Pat": ["Guest IA32_PAT", "GUEST_IA32_PAT"],
  "guest.ia32Efer": ["Guest IA32_EFER", "GUEST_IA32_EFER"],
  "guest.ia32PerfGlobalCtrl": ["Guest IA32_PERF_GLOBAL_CTRL", "GUEST_IA32_PERF_GLOBAL_CTRL"],
  "host.ia32Pat": ["Host IA32_PAT", "HOST_IA32_PAT"],
  "host.ia32Efer": ["Host IA32_EFER", "HOST_IA32_EFER"],
  "host.ia32PerfGlobalCtrl": ["Host IA32_PERF_GLOBAL_CTRL", "HOST_IA32_PERF_GLOBAL_CTRL"],
  "control.pinBased": ["Pin-based VM-execution controls", "PIN_BASED_VM_EXEC_CONTROL", "PinBased", "pin-based controls"],
  "control.processorBased": ["Primary processor-based VM-execution controls", "CPU_BASED_VM_EXEC_CONTROL", "CPUBased", "Processor-based VM-execution controls", "primary processor-based controls", "PROC_BASED_VM_EXEC_CONTROL", "PRI_PROC_BASED_VM_EXEC_CONTROL"],
  "control.exceptionBitmap": ["Exception bitmap", "EXCEPTION_BITMAP"],
  "control.pageFaultErrorCodeMask": ["Page-fault error-code mask", "PAGE_FAULT_ERROR_CODE_MASK", "PFECmask"],
  "control.pageFaultErrorCodeMatch": ["Page-fault error-code match", "PAGE_FAULT_ERROR_CODE_MATCH", "PFECmatch"],
  "control.cr3TargetCount": ["CR3-target count", "CR3_TARGET_COUNT"],
  "control.exitControls": ["VM-exit controls", "VM_EXIT_CONTROLS", "Primary VM-exit controls", "ExitControls"],
  "control.exitMsrStoreCount": ["VM-exit MSR-store count", "VM_EXIT_MSR_STORE_COUNT"],
  "control.exitMsrLoadCount": ["VM-exit MSR-load count", "VM_EXIT_MSR_LOAD_COUNT"],
  "control.entryControls": ["VM-entry controls", "VM_ENTRY_CONTROLS", "EntryControls"],
  "control.entryMsrLoadCount": ["VM-entry MSR-load count", "VM_ENTRY_MSR_LOAD_COUNT"],
  "control.entryInterruptionInformation": ["VM-entry interruption-information field", "VM_ENTRY_INTR_INFO_FIELD", "VM_ENTRY_INTR_INFO", "VM-entry interruption information"],
  "control.entryExceptionErrorCode": ["VM-entry exception error code", "VM_ENTRY_EXCEPTION_ERROR_CODE"],
  "control.entryInstructionLength": ["VM-entry instruction length", "VM_ENTRY_INSTRUCTION_LEN"],
  "control.tprThreshold": ["TPR threshold", "TPR_THRESHOLD"],
  "control.secondaryProcessorBased": ["Secondary processor-based VM-execution controls", "SECONDARY_VM_EXEC_CONTROL", "SecondaryExec", "secondary processor-based controls", "SEC_PROC_BASED_VM_EXEC_CONTROL"],
  "control.pleGap": ["PLE_Gap", "PLE_GAP"],
  "control.pleWindow": ["PLE_Window", "PLE_WINDOW"],
  "exit.vmInstructionError": ["VM-instruction error", "VM_INSTRUCTION_ERROR"],
  "exit.reason": ["Exit reason", "VM_EXIT_REASON", "EXIT_REASON"],
  "exit.interruptionInformation": ["VM-exit interruption information", "VM_EXIT_INTR_INFO", "VM-exit interruption-information field"],
  "exit.interruptionErrorCode": ["VM-exit interruption error code", "VM_EXIT_INTR_ERROR_CODE"],
  "exit.idtVectoringInformation": ["IDT-vectoring information field", "IDT_VECTORING_INFO_FIELD", "IDT_VECTORING_INFO", "IDT-vectoring information"],
  "exit.idtVectoringErrorCode": ["IDT-vectoring error code", "IDT_VECTORING_ERROR_CODE"],
  "exit.instructionLength": ["VM-exit instruction length", "VM_EXIT_INSTRUCTION_LEN"],
  "exit.instructionInformation": ["VM-exit instruction information", "VMX_INSTRUCTION_INFO", "VM_EXIT_INSTRUCTION_INFO"],
  "guest.interruptibility": ["Guest interruptibility state", "GUEST_INTERRUPTIBILITY_INFO", "Interruptibility", "interruptibility state"],
  "guest.activity": ["Guest activity state", "GUEST_ACTIVITY_STATE", "ActivityState"],
  "guest.smbase": ["Guest SMBASE", "GUEST_SMBASE"],
  "guest.ia32SysenterCs": ["Guest IA32_SYSENTER_CS", "GUEST_SYSENTER_CS"],
  "guest.vmxPreemptionTimer": ["VMX-preemption timer value", "VMX_PREEMPTION_TIMER_VALUE", "GUEST_PREEMPTION_TIMER", "preemption timer value"],
  "host.ia32SysenterCs": ["Host IA32_SYSENTER_CS", "HOST_IA32_SYSENTER_CS"],
  "control.cr0GuestHostMask": ["CR0 guest/host mask", "CR0_GUEST_HOST_MASK", "CR0_MASK"],
  "control.cr4GuestHostMask": ["CR4 guest/host mask", "CR4_GUEST_HOST_MASK", "CR4_MASK"],
  "control.cr0ReadShadow": ["CR0 read shadow", "CR0_READ_SHADOW", "CR0_SHADOW"],
  "control.cr4ReadShadow": ["CR4 read shadow", "CR4_READ_SHADOW", "CR4_SHADOW"],
  "control.cr3Target0": ["CR3-target value 0", "CR3_TARGET_VALUE0", "CR3_TARGET_VALUE(0)"],
  "control.cr3Target1": ["CR3-target value 1", "CR3_TARGET_VALUE1", "CR3_TARGET_VALUE(1)"],
  "control.cr3Target2": ["CR3-target value 2", "CR3_TARGET_VALUE2", "CR3_TARGET_VALUE(2)"],
  "control.cr3Target3": ["CR3-target value 3", "CR3_TARGET_VALUE3", "CR3_TARGET_VALUE(3)"],
  "exit.qualification": ["Exit qualification", "EXIT_QUALIFICATION"],
  "exit.ioRcx": ["I/O RCX", "EXIT_IO_RCX"],
  "exit.ioRsi": ["I/O RSI", "EXIT_IO_RSI"],
  "exit.ioRdi": ["I/O RDI", "EXIT_IO_RDI"],
  "exit.ioRip": ["I/O RIP", "EXIT_IO_RIP"],
  "exit.guestLinearAddress": ["Guest-linear address", "GUEST_LINEAR_ADDRESS"],
  "guest.pendingDebugExceptions": ["Guest pending debug exceptions", "GUEST_PENDING_DBG_EXCEPTIONS", "Pending debug exceptions"],
  "guest.ia32SysenterEsp": ["Guest IA32_SYSENTER_ESP", "GUEST_SYSENTER_ESP"],
  "guest.ia32SysenterEip": ["Guest IA32_SYSENTER_EIP", "GUEST_SYSENTER_EIP"],
  "host.ia32SysenterEsp": ["Host IA32_SYSENTER_ESP", "HOST_IA32_SYSENTER_ESP"],
  "host.ia32SysenterEip": ["Host IA32_SYSENTER_EIP", "HOST_IA32_SYSENTER_EIP"],
};

/** What the parts of a segment register are called. */
// biome-ignore format: one row per fact
const parts: Readonly<Record<string, readonly [sdm: string, linux: string, ...others: string[]]>> = {
  selector: ["selector", "SELECTOR", "sel"],
  limit:    ["limit", "LIMIT"],
  access:   ["access rights", "AR_BYTES", "access", "AR", "attributes", "attr"],
  base:     ["base", "BASE"],
};

/** "guest.cs.access", "host.cr0", "guest.pdpte0": an area, a register, perhaps a part of it. */
const ruled = (name: VmcsFieldName): FieldNames => {
  const [area = "", register = "", part = ""] = name.split(".");
  const owner = area === "guest" ? "Guest" : "Host";
  const upper = register.toUpperCase();
  const [sdm, linux, ...others] = parts[part] ?? ["", ""];
  const words = (last: string): string => `${owner} ${upper} ${last}`.trim();
  return {
    sdm: words(sdm),
    linux: words(linux).toUpperCase().replaceAll(" ", "_").replace("PDPTE", "PDPTR"),
    others: others.map(words),
  };
};

const named = (name: VmcsFieldName): FieldNames => {
  const row = rows[name];
  if (row === undefined) return ruled(name);
  const [sdm, linux, ...others] = row;
  return { sdm, linux, others };
};

const names = new Map(vmcsFields.map(({ name }) => [name, named(name)]));

export const vmcsFieldNames = (name: VmcsFieldName): FieldNames => names.get(name)!;
