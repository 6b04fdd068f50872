import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";

/**
 * What Linux KVM's `dump_vmcs` (arch/x86/kvm/vmx/vmx.c) and Xen's `vmcs_dump_vcpu` (xen/arch/x86/hvm/vmx/vmcs.c) print: one row
 * per piece of a line, of KVM since 2015 and of Xen. `{field}` is a hexadecimal number that is the field's value, `{}` one that is none,
 * a blank any white space or none (mail wraps lines). Rows are tried in order: what comes first may contain what comes later.
 */

/** Titles of the three parts of a dump. */
export const dumpSections = ["Guest State", "Host State", "Control State"] as const;
export type DumpSection = (typeof dumpSections)[number];

const segments = ["cs", "ds", "ss", "es", "fs", "gs", "ldtr", "tr"] as const;

/** `CS:   sel=0x0008, attr=0x0a09b, limit=0xffffffff, base=0x0000000000000000`, and Xen's `CS: 0008 0a09b ffffffff 0000000000000000`. */
const segmentRows = segments.flatMap((segment) => {
  const [name, field] = [segment.toUpperCase(), `guest.${segment}`];
  return [
    `${name}: sel={${field}.selector}, attr={${field}.access}, limit={${field}.limit}, base={${field}.base}`,
    `${name}: {${field}.selector} {${field}.access} {${field}.limit} {${field}.base}`,
  ];
});
const tableRows = (["gdtr", "idtr"] as const).flatMap((table) => {
  const [name, field] = [table.toUpperCase(), `guest.${table}`];
  return [
    `${name}: limit={${field}.limit}, base={${field}.base}`,
    `${name}: {${field}.limit} {${field}.base}`,
  ];
});

// biome-ignore format: one row per fact
export const dumpLines: Readonly<Record<DumpSection, readonly string[]>> = {
  "Guest State": [
    "CR0: actual={guest.cr0}, shadow={control.cr0ReadShadow}, gh_mask={control.cr0GuestHostMask}",
    "CR4: actual={guest.cr4}, shadow={control.cr4ReadShadow}, gh_mask={control.cr4GuestHostMask}",
    // Xen before 4.6, and in its other sections.
    "CR3: actual={guest.cr3}, target_count={}",
    "target0={control.cr3Target0}, target1={control.cr3Target1}",
    "target2={control.cr3Target2}, target3={control.cr3Target3}",
    "CR3 = {guest.cr3}",
    "PDPTR0 = {guest.pdpte0} PDPTR1 = {guest.pdpte1}", "PDPTR2 = {guest.pdpte2} PDPTR3 = {guest.pdpte3}",
    "PDPTE0 = {guest.pdpte0} PDPTE1 = {guest.pdpte1}", "PDPTE2 = {guest.pdpte2} PDPTE3 = {guest.pdpte3}",
    "Sysenter RSP={guest.ia32SysenterEsp} CS:RIP={guest.ia32SysenterCs}:{guest.ia32SysenterEip}",
    // In brackets, Xen's own idea of the registers.
    "RSP = {guest.rsp} ({}) RIP = {guest.rip} ({})", "RSP = {guest.rsp} RIP = {guest.rip}",
    "RFLAGS={guest.rflags} ({}) DR7 = {guest.dr7}", "RFLAGS={guest.rflags} DR7 = {guest.dr7}",
    "sel attr limit base",
    ...segmentRows, ...tableRows,
    // Not the fields: what KVM has in its list of MSRs, or would like to have.
    "EFER= {} (autoload)", "EFER= {} (effective)",
    "EFER = {guest.ia32Efer}", "Guest PAT = {guest.ia32Pat}", "PAT = {guest.ia32Pat}", "TSC Offset = {control.tscOffset}",
    "PreemptionTimer = {guest.vmxPreemptionTimer}", "SM Base = {guest.smbase}",
    "DebugCtl = {guest.ia32Debugctl}", "DebugExceptions = {guest.pendingDebugExceptions}",
    "PerfGlobCtl = {guest.ia32PerfGlobalCtrl}",
    "Interruptibility = {guest.interruptibility}", "ActivityState = {guest.activity}", "InterruptStatus = {guest.interruptStatus}",
    "MSR guest autoload:", "MSR autostore:", "MSR guest autostore:", "#: msr={} value={}",
  ],
  "Host State": [
    "Sysenter RSP={host.ia32SysenterEsp} CS:RIP={host.ia32SysenterCs}:{host.ia32SysenterEip}",
    "RIP = {host.rip} (@) RSP = {host.rsp}", "RIP = {host.rip} RSP = {host.rsp}", "RSP = {host.rsp} RIP = {host.rip}",
    "CS={host.cs.selector} SS={host.ss.selector} DS={host.ds.selector} ES={host.es.selector} FS={host.fs.selector} GS={host.gs.selector} TR={host.tr.selector}",
    "CS={host.cs.selector} DS={host.ds.selector} ES={host.es.selector} FS={host.fs.selector} GS={host.gs.selector} SS={host.ss.selector} TR={host.tr.selector}",
    "FSBase={host.fs.base} GSBase={host.gs.base} TRBase={host.tr.base}",
    "GDTBase={host.gdtr.base} IDTBase={host.idtr.base}",
    "CR0={host.cr0} CR3={host.cr3} CR4={host.cr4}",
    "EFER = {host.ia32Efer}", "Host PAT = {host.ia32Pat}", "PAT = {host.ia32Pat}", "PerfGlobCtl = {host.ia32PerfGlobalCtrl}",
    "MSR host autoload:", "#: msr={} value={}",
  ],
  "Control State": [
    "PinBased={control.pinBased}", "CPUBased={control.processorBased}",
    "SecondaryExec={control.secondaryProcessorBased}", "TertiaryExec={control.tertiaryProcessorBased}",
    "EntryControls={control.entryControls}", "ExitControls={control.exitControls}",
    "ExceptionBitmap={control.exceptionBitmap} PFECmask={control.pageFaultErrorCodeMask} PFECmatch={control.pageFaultErrorCodeMatch}",
    "ExceptionBitmap={control.exceptionBitmap}",
    "VMEntry: intr_info={control.entryInterruptionInformation} errcode={control.entryExceptionErrorCode} ilen={control.entryInstructionLength}",
    "VMExit: intr_info={exit.interruptionInformation} errcode={exit.interruptionErrorCode} ilen={exit.instructionLength}",
    "reason={exit.reason} qualification={exit.qualification}",
    "IDTVectoring: info={exit.idtVectoringInformation} errcode={exit.idtVectoringErrorCode}",
    "TSC Offset = {control.tscOffset}", "TSC Multiplier = {control.tscMultiplier}",
    // The guest interrupt status again.
    "SVI|RVI = {}|{}",
    "TPR Threshold = {control.tprThreshold}", "PostedIntrVec = {control.postedInterruptNotificationVector}",
    "APIC-access addr = {control.apicAccessAddress}", "virt-APIC addr = {control.virtualApicAddress}",
    "EPT pointer = {control.eptPointer}", "EPTP index = {control.eptpIndex}",
    "CR3 target0={control.cr3Target0}", "target1={control.cr3Target1}", "CR3 target2={control.cr3Target2}", "target3={control.cr3Target3}",
    "PLE Gap={control.pleGap} Window={control.pleWindow}",
    "Virtual processor ID = {control.vpid}", "VMfunc controls = {control.vmFunctionControls}",
    "VE info address = {control.virtualizationExceptionInformationAddress}", "ve_info: {} {} {} {} {} {}",
  ],
};

/** Every dump has these, and the last one near its end: without it the dump is cut off. */
export const lastAlwaysThere: Readonly<Record<DumpSection, VmcsFieldName>> = {
  "Guest State": "guest.interruptibility",
  "Host State": "host.ia32SysenterEip",
  "Control State": "exit.idtVectoringInformation",
};
