/**
 * The fields of a VMCS: one row each (SDM Vol. 3, Appendix "Field Encoding in VMCS"). Width, area and access type are
 * read out of the encoding. A field that only some processors have names the control it comes with (arch/vmx-controls.ts).
 */

// biome-ignore format: one row per fact
const rows = [
  // 16-bit control fields
  ["control.vpid", 0x0000, "enableVPID"],
  ["control.postedInterruptNotificationVector", 0x0002, "processPostedInterrupts"],
  ["control.eptpIndex", 0x0004, "eptViolationVE"],
  // 16-bit guest-state fields
  ["guest.es.selector", 0x0800], ["guest.cs.selector", 0x0802], ["guest.ss.selector", 0x0804], ["guest.ds.selector", 0x0806],
  ["guest.fs.selector", 0x0808], ["guest.gs.selector", 0x080a], ["guest.ldtr.selector", 0x080c], ["guest.tr.selector", 0x080e],
  ["guest.interruptStatus", 0x0810, "virtualInterruptDelivery"],
  ["guest.pmlIndex", 0x0812, "enablePML"],
  // 16-bit host-state fields
  ["host.es.selector", 0x0c00], ["host.cs.selector", 0x0c02], ["host.ss.selector", 0x0c04], ["host.ds.selector", 0x0c06],
  ["host.fs.selector", 0x0c08], ["host.gs.selector", 0x0c0a], ["host.tr.selector", 0x0c0c],
  // 64-bit control fields
  ["control.ioBitmapA", 0x2000], ["control.ioBitmapB", 0x2002],
  ["control.msrBitmaps", 0x2004, "useMSRBitmaps"],
  ["control.exitMsrStoreAddress", 0x2006], ["control.exitMsrLoadAddress", 0x2008], ["control.entryMsrLoadAddress", 0x200a],
  ["control.executiveVmcsPointer", 0x200c],
  ["control.pmlAddress", 0x200e, "enablePML"],
  ["control.tscOffset", 0x2010],
  ["control.virtualApicAddress", 0x2012, "useTPRShadow"],
  ["control.apicAccessAddress", 0x2014, "virtualizeAPICAccesses"],
  ["control.postedInterruptDescriptorAddress", 0x2016, "processPostedInterrupts"],
  ["control.vmFunctionControls", 0x2018, "enableVMFunctions"],
  ["control.eptPointer", 0x201a, "enableEPT"],
  ["control.eoiExitBitmap0", 0x201c, "virtualInterruptDelivery"], ["control.eoiExitBitmap1", 0x201e, "virtualInterruptDelivery"],
  ["control.eoiExitBitmap2", 0x2020, "virtualInterruptDelivery"], ["control.eoiExitBitmap3", 0x2022, "virtualInterruptDelivery"],
  ["control.eptpListAddress", 0x2024, "enableVMFunctions"],
  ["control.vmreadBitmapAddress", 0x2026, "vmcsShadowing"], ["control.vmwriteBitmapAddress", 0x2028, "vmcsShadowing"],
  ["control.virtualizationExceptionInformationAddress", 0x202a, "eptViolationVE"],
  ["control.xssExitingBitmap", 0x202c, "enableXSAVES"],
  ["control.enclsExitingBitmap", 0x202e, "enableENCLSExiting"],
  ["control.tscMultiplier", 0x2032, "useTSCScaling"],
  ["control.tertiaryProcessorBased", 0x2034, "activateTertiaryControls"],
  // 64-bit read-only data field
  ["exit.guestPhysicalAddress", 0x2400, "enableEPT"],
  // 64-bit guest-state fields
  ["guest.vmcsLinkPointer", 0x2800], ["guest.ia32Debugctl", 0x2802], ["guest.ia32Pat", 0x2804], ["guest.ia32Efer", 0x2806],
  ["guest.ia32PerfGlobalCtrl", 0x2808, "loadGuestPerfGlobalCtrl"],
  ["guest.pdpte0", 0x280a, "enableEPT"], ["guest.pdpte1", 0x280c, "enableEPT"], ["guest.pdpte2", 0x280e, "enableEPT"], ["guest.pdpte3", 0x2810, "enableEPT"],
  // 64-bit host-state fields
  ["host.ia32Pat", 0x2c00], ["host.ia32Efer", 0x2c02],
  ["host.ia32PerfGlobalCtrl", 0x2c04, "loadHostPerfGlobalCtrl"],
  // 32-bit control fields
  ["control.pinBased", 0x4000], ["control.processorBased", 0x4002], ["control.exceptionBitmap", 0x4004],
  ["control.pageFaultErrorCodeMask", 0x4006], ["control.pageFaultErrorCodeMatch", 0x4008], ["control.cr3TargetCount", 0x400a],
  ["control.exitControls", 0x400c], ["control.exitMsrStoreCount", 0x400e], ["control.exitMsrLoadCount", 0x4010],
  ["control.entryControls", 0x4012], ["control.entryMsrLoadCount", 0x4014],
  ["control.entryInterruptionInformation", 0x4016], ["control.entryExceptionErrorCode", 0x4018], ["control.entryInstructionLength", 0x401a],
  ["control.tprThreshold", 0x401c, "useTPRShadow"],
  ["control.secondaryProcessorBased", 0x401e, "activateSecondaryControls"],
  ["control.pleGap", 0x4020, "pauseLoopExiting"], ["control.pleWindow", 0x4022, "pauseLoopExiting"],
  // 32-bit read-only data fields
  ["exit.vmInstructionError", 0x4400], ["exit.reason", 0x4402], ["exit.interruptionInformation", 0x4404], ["exit.interruptionErrorCode", 0x4406],
  ["exit.idtVectoringInformation", 0x4408], ["exit.idtVectoringErrorCode", 0x440a], ["exit.instructionLength", 0x440c], ["exit.instructionInformation", 0x440e],
  // 32-bit guest-state fields
  ["guest.es.limit", 0x4800], ["guest.cs.limit", 0x4802], ["guest.ss.limit", 0x4804], ["guest.ds.limit", 0x4806],
  ["guest.fs.limit", 0x4808], ["guest.gs.limit", 0x480a], ["guest.ldtr.limit", 0x480c], ["guest.tr.limit", 0x480e],
  ["guest.gdtr.limit", 0x4810], ["guest.idtr.limit", 0x4812],
  ["guest.es.access", 0x4814], ["guest.cs.access", 0x4816], ["guest.ss.access", 0x4818], ["guest.ds.access", 0x481a],
  ["guest.fs.access", 0x481c], ["guest.gs.access", 0x481e], ["guest.ldtr.access", 0x4820], ["guest.tr.access", 0x4822],
  ["guest.interruptibility", 0x4824], ["guest.activity", 0x4826], ["guest.smbase", 0x4828], ["guest.ia32SysenterCs", 0x482a],
  ["guest.vmxPreemptionTimer", 0x482e, "activatePreemptionTimer"],
  // 32-bit host-state field
  ["host.ia32SysenterCs", 0x4c00],
  // natural-width control fields
  ["control.cr0GuestHostMask", 0x6000], ["control.cr4GuestHostMask", 0x6002], ["control.cr0ReadShadow", 0x6004], ["control.cr4ReadShadow", 0x6006],
  ["control.cr3Target0", 0x6008], ["control.cr3Target1", 0x600a], ["control.cr3Target2", 0x600c], ["control.cr3Target3", 0x600e],
  // natural-width read-only data fields
  ["exit.qualification", 0x6400], ["exit.ioRcx", 0x6402], ["exit.ioRsi", 0x6404], ["exit.ioRdi", 0x6406], ["exit.ioRip", 0x6408],
  ["exit.guestLinearAddress", 0x640a],
  // natural-width guest-state fields
  ["guest.cr0", 0x6800], ["guest.cr3", 0x6802], ["guest.cr4", 0x6804],
  ["guest.es.base", 0x6806], ["guest.cs.base", 0x6808], ["guest.ss.base", 0x680a], ["guest.ds.base", 0x680c],
  ["guest.fs.base", 0x680e], ["guest.gs.base", 0x6810], ["guest.ldtr.base", 0x6812], ["guest.tr.base", 0x6814],
  ["guest.gdtr.base", 0x6816], ["guest.idtr.base", 0x6818], ["guest.dr7", 0x681a], ["guest.rsp", 0x681c], ["guest.rip", 0x681e],
  ["guest.rflags", 0x6820], ["guest.pendingDebugExceptions", 0x6822], ["guest.ia32SysenterEsp", 0x6824], ["guest.ia32SysenterEip", 0x6826],
  // natural-width host-state fields
  ["host.cr0", 0x6c00], ["host.cr3", 0x6c02], ["host.cr4", 0x6c04], ["host.fs.base", 0x6c06], ["host.gs.base", 0x6c08],
  ["host.tr.base", 0x6c0a], ["host.gdtr.base", 0x6c0c], ["host.idtr.base", 0x6c0e], ["host.ia32SysenterEsp", 0x6c10],
  ["host.ia32SysenterEip", 0x6c12], ["host.rsp", 0x6c14], ["host.rip", 0x6c16],
] as const;

/** A field's name: its area, and Appendix B's name in camelCase. */
export type VmcsFieldName = (typeof rows)[number][0];

export type VmcsFieldWidth = "16" | "32" | "64" | "natural";
/** The four types of field of an encoding's bits 11:10; "exit" is the read-only data of VM exits. */
export type VmcsFieldArea = "control" | "exit" | "guest" | "host";

export interface VmcsField {
  readonly name: VmcsFieldName;
  /** Full-access encoding; bit 0 set gives the high half of a 64-bit field. */
  readonly encoding: number;
  readonly width: VmcsFieldWidth;
  readonly area: VmcsFieldArea;
  /** Bits 9:1 of the encoding. */
  readonly index: number;
  /** Key of the control that brings the field; undefined: every processor with VMX has it. */
  readonly comesWith: string | undefined;
  /** Position in `vmcsFields`. */
  readonly ordinal: number;
}

const widths = ["16", "64", "32", "natural"] as const;
const areas = ["control", "exit", "guest", "host"] as const;

export const vmcsFields: readonly VmcsField[] = rows.map(([name, encoding, comesWith], ordinal) => ({
  name,
  encoding,
  width: widths[(encoding >> 13) & 3]!,
  area: areas[(encoding >> 10) & 3]!,
  index: (encoding >> 1) & 0x1ff,
  comesWith,
  ordinal,
}));

const byName = new Map(vmcsFields.map((field) => [field.name, field]));
const byEncoding = new Map(vmcsFields.map((field) => [field.encoding, field]));

export const vmcsField = (name: VmcsFieldName): VmcsField => byName.get(name)!;

/** The field of an encoding, with its access-type bit (bit 0) clear; undefined where there is none. */
export const vmcsFieldOf = (encoding: number): VmcsField | undefined => byEncoding.get(encoding);
