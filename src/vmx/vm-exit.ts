import { CR0, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { DR7 } from "../arch/debug-registers.ts";
import { access as rights, segmentType } from "../arch/descriptors.ts";
import { RFLAGS } from "../arch/flags.ts";
import { ExitReason } from "../arch/vm-exit-reasons.ts";
import type { VmcsFieldName } from "../arch/vmcs-fields.ts";
import { type VmxAbortCause, vmxAbortIndicator } from "../arch/vmx-aborts.ts";
import { controlMask } from "../arch/vmx-controls.ts";
import { flagsImage } from "../cpu/exceptions.ts";
import type { Event } from "../cpu/fault.ts";
import { loadPdptes } from "../cpu/pdptes.ts";
import { type VmExit, VmxOperation } from "../cpu/vmx-socket.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf, type segmentRegisters } from "../state/layout.ts";
import { noteWrite } from "./current-vmcs.ts";
import { saveGuestArea, saveGuestPdptes } from "./guest-area.ts";
import { interruption, interruptionOf } from "./interruption.ts";
import { loadMsrs, storeMsrs } from "./msr-areas.ts";
import { fieldOffset, header } from "./vmcs.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/** SDM Vol. 3, "VM Exits": information, saving guest state, loading host state. Hot: words, no bigint on the common way. */

const saveDebugControls = controlMask("saveDebugControls");
const hostAddressSpaceSize = controlMask("hostAddressSpaceSize");
const savePAT = controlMask("savePAT");
const loadHostPAT = controlMask("loadHostPAT");
const saveEFER = controlMask("saveEFER");
const loadHostEFER = controlMask("loadHostEFER");
const loadHostPerfGlobalCtrl = controlMask("loadHostPerfGlobalCtrl");
const savePreemptionTimer = controlMask("savePreemptionTimer");
const activatePreemptionTimer = controlMask("activatePreemptionTimer");
const ia32eModeGuest = controlMask("ia32eModeGuest");
const enableEPT = controlMask("enableEPT");

const at = (name: VmcsFieldName): number => fieldOffset(name);
const field = {
  reason: at("exit.reason"),
  qualification: at("exit.qualification"),
  interruptionInformation: at("exit.interruptionInformation"),
  interruptionErrorCode: at("exit.interruptionErrorCode"),
  idtVectoringInformation: at("exit.idtVectoringInformation"),
  idtVectoringErrorCode: at("exit.idtVectoringErrorCode"),
  instructionLength: at("exit.instructionLength"),
  instructionInformation: at("exit.instructionInformation"),
  guestLinearAddress: at("exit.guestLinearAddress"),
  guestPhysicalAddress: at("exit.guestPhysicalAddress"),
  entryInterruptionInformation: at("control.entryInterruptionInformation"),
  entryControls: at("control.entryControls"),
  exitControls: at("control.exitControls"),
  guestCr0: at("guest.cr0"),
  guestDr7: at("guest.dr7"),
  guestDebugctl: at("guest.ia32Debugctl"),
  guestPat: at("guest.ia32Pat"),
  guestEfer: at("guest.ia32Efer"),
  guestInterruptibility: at("guest.interruptibility"),
  guestTimer: at("guest.vmxPreemptionTimer"),
} as const;

const state = {
  RFLAGS: offsetOf("RFLAGS"),
  RIP: offsetOf("RIP"),
  RSP: offsetOf("RSP"),
  CR0: offsetOf("CR0"),
  CR3: offsetOf("CR3"),
  CR4: offsetOf("CR4"),
  DR7: offsetOf("DR7"),
  EFER: offsetOf("IA32_EFER"),
  PAT: offsetOf("IA32_PAT"),
  DEBUGCTL: offsetOf("IA32_DEBUGCTL"),
  PERF_GLOBAL_CTRL: offsetOf("IA32_PERF_GLOBAL_CTRL"),
  operation: offsetOf("vmx.operation"),
  interruptibility: offsetOf("interruptibility"),
  activity: offsetOf("activity"),
  pendingDebug: offsetOf("pendingDebug"),
  monitor: offsetOf("MONITOR.armed"),
} as const;

const RF = Number(RFLAGS.RF);
const [PE, PG, PAE, PCIDE, LMA, LME] = [
  Number(CR0.PE),
  Number(CR0.PG) | 0,
  Number(CR4.PAE),
  Number(CR4.PCIDE),
  Number(IA32_EFER.LMA),
  Number(IA32_EFER.LME),
];

/** Bits of CR0 that neither VM entry nor VM exit changes: ET, CD, NW and the reserved ones (SDM Vol. 3, "Loading Host Control Registers, Debug Registers, MSRs"). */
export const keptCr0 = 0x7ffa_ffd0 | 0;

/** Exits by instructions, which save RF as 0; the others leave it, or have a rule of their own. */
const byInstruction = new Set<number>([
  ExitReason.CPUID,
  ExitReason.GETSEC,
  ExitReason.HLT,
  ExitReason.INVD,
  ExitReason.INVLPG,
  ExitReason.RDPMC,
  ExitReason.RDTSC,
  ExitReason.RSM,
  ExitReason.VMCALL,
  ExitReason.VMCLEAR,
  ExitReason.VMLAUNCH,
  ExitReason.VMPTRLD,
  ExitReason.VMPTRST,
  ExitReason.VMREAD,
  ExitReason.VMRESUME,
  ExitReason.VMWRITE,
  ExitReason.VMXOFF,
  ExitReason.VMXON,
  ExitReason.CR_ACCESS,
  ExitReason.MOV_DR,
  ExitReason.IO_INSTRUCTION,
  ExitReason.RDMSR,
  ExitReason.WRMSR,
  ExitReason.MWAIT,
  ExitReason.MONITOR,
  ExitReason.PAUSE,
  ExitReason.GDTR_IDTR_ACCESS,
  ExitReason.LDTR_TR_ACCESS,
  ExitReason.INVEPT,
  ExitReason.RDTSCP,
  ExitReason.INVVPID,
  ExitReason.WBINVD,
  ExitReason.XSETBV,
  ExitReason.RDRAND,
  ExitReason.INVPCID,
  ExitReason.VMFUNC,
  ExitReason.RDSEED,
  ExitReason.XSAVES,
  ExitReason.XRSTORS,
]);
/** Exits by an access to memory: RF is saved as 1, or as the interrupted event would have saved it. */
const byAccess = new Set<number>([
  ExitReason.APIC_ACCESS,
  ExitReason.EPT_VIOLATION,
  ExitReason.EPT_MISCONFIGURATION,
  ExitReason.PML_FULL,
]);

const setRF = (view: DataView, value: boolean): void => {
  const flags = view.getUint32(state.RFLAGS, true);
  view.setUint32(state.RFLAGS, value ? flags | RF : flags & ~RF, true);
};

const savedRF = (
  vmx: VmxProcessor,
  exit: VmExit,
  event: Event | undefined,
  during: Event | undefined,
): void => {
  const { core } = vmx;
  const { view } = core.state;
  if (core.midRepeat) setRF(view, true);
  else if (event) setRF(view, (Number(flagsImage(core, event) & 0xffff_ffffn) & RF) !== 0);
  else if (exit.details.resumeFlag !== undefined) setRF(view, exit.details.resumeFlag);
  else if (byAccess.has(exit.reason))
    setRF(view, during === undefined || (Number(flagsImage(core, during) & 0xffff_ffffn) & RF) !== 0);
  else if (byInstruction.has(exit.reason)) setRF(view, false);
};

/**
 * A VM exit. `event`: the exception, interrupt or NMI that causes it directly; `during`: the event whose delivery met it.
 * Afterwards the processor is in VMX root operation at the host's RIP.
 */
export const vmExit = (vmx: VmxProcessor, exit: VmExit, event?: Event, during?: Event): void => {
  const { vmcs, core } = vmx;
  const { details } = exit;
  noteWrite(vmx, vmcs.base);
  savedRF(vmx, exit, event, during);
  vmcs.setLow(field.reason, exit.reason);
  vmcs.setValue(field.qualification, exit.qualification);
  // "Bit 11 is always 0 if the VM exit occurred while the logical processor was in real-address mode."
  const errorCodes = (core.state.view.getUint32(state.CR0, true) & PE) !== 0;
  const known = errorCodes ? -1 : ~interruption.deliverErrorCode;
  vmcs.setLow(field.interruptionInformation, ((details.interruptionInformation ?? 0) & known) >>> 0);
  vmcs.setLow(field.interruptionErrorCode, errorCodes ? (details.interruptionErrorCode ?? 0) : 0);
  vmcs.setLow(field.idtVectoringInformation, during ? (interruptionOf(during) & known) >>> 0 : 0);
  vmcs.setLow(field.idtVectoringErrorCode, errorCodes ? (during?.errorCode ?? 0) : 0);
  vmcs.setLow(field.instructionLength, details.instructionLength ?? during?.instructionLength ?? 0);
  vmcs.setLow(field.instructionInformation, details.instructionInformation ?? 0);
  if (details.guestLinearAddress !== undefined)
    vmcs.setValue(field.guestLinearAddress, details.guestLinearAddress);
  if (details.guestPhysicalAddress !== undefined) {
    const physical = details.guestPhysicalAddress;
    vmcs.view.setUint32(vmcs.base + field.guestPhysicalAddress, physical >>> 0, true);
    vmcs.view.setUint32(
      vmcs.base + field.guestPhysicalAddress + 4,
      Math.floor(physical / 0x1_0000_0000),
      true,
    );
  }
  const injection = vmcs.low(field.entryInterruptionInformation);
  if (injection & (1 << 31)) vmcs.setLow(field.entryInterruptionInformation, injection & 0x7fff_ffff);
  saveGuestState(vmx);
  vmx.observer?.vmExit?.(exit, core);
  const refused = storeMsrs(vmx);
  const isNmi = event?.type === "NMI";
  if (refused !== undefined) abort(vmx, "savingMsrs");
  else if (isCorrupted(vmx)) abort(vmx, "corruptedVmcs");
  else if (leavesIa32eMode(vmx)) abort(vmx, "addressSpaceSize");
  else loadHostState(vmx, isNmi);
};

/** Stores to the region have left controls or a host state that a VM exit cannot be completed with. */
const isCorrupted = ({ checks, owner }: VmxProcessor): boolean =>
  (!checks.known || owner.sharesRegion) && !checks.hostHolds();

/** A guest that is in IA-32e mode cannot be left for a host that is not. */
const leavesIa32eMode = ({ core, vmcs }: VmxProcessor): boolean =>
  (core.state.view.getUint32(state.EFER, true) & LMA) !== 0 &&
  (vmcs.low(field.exitControls) & hostAddressSpaceSize) === 0;

const saveGuestState = (vmx: VmxProcessor): void => {
  const { vmcs, core, exitControls } = vmx;
  const { view } = core.state;
  saveGuestArea(vmcs, core.state);
  vmcs.view.setUint32(vmcs.base + field.guestCr0, view.getUint32(state.CR0, true), true);
  vmcs.view.setUint32(vmcs.base + field.guestCr0 + 4, 0, true);
  vmcs.setLow(field.guestInterruptibility, view.getUint32(state.interruptibility, true) & ~4);
  if (exitControls & saveDebugControls) {
    vmcs.setLow(field.guestDr7, view.getUint32(state.DR7, true));
    vmcs.setLow(field.guestDebugctl, view.getUint32(state.DEBUGCTL, true));
  }
  if (exitControls & savePAT) copyOut(vmx, field.guestPat, state.PAT);
  if (exitControls & saveEFER) copyOut(vmx, field.guestEfer, state.EFER);
  const efer = view.getUint32(state.EFER, true);
  // IA32_VMX_MISC bit 5: the control follows IA32_EFER.LMA.
  const entryControls = vmcs.low(field.entryControls) & ~ia32eModeGuest;
  vmcs.setLow(field.entryControls, (efer & LMA ? entryControls | ia32eModeGuest : entryControls) >>> 0);
  if (
    vmx.secondary & enableEPT &&
    (efer & LMA) === 0 &&
    view.getUint32(state.CR0, true) & PG &&
    view.getUint32(state.CR4, true) & PAE
  )
    saveGuestPdptes(vmcs, core.state);
  if (vmx.pinBased & activatePreemptionTimer && exitControls & savePreemptionTimer)
    vmcs.setLow(field.guestTimer, vmx.preemptionTimer.value());
};

const copyOut = ({ vmcs, core }: VmxProcessor, fieldAt: number, stateAt: number): void => {
  const { view } = core.state;
  vmcs.view.setUint32(vmcs.base + fieldAt, view.getUint32(stateAt, true), true);
  vmcs.view.setUint32(vmcs.base + fieldAt + 4, view.getUint32(stateAt + 4, true), true);
};

/** Field of the host-state area, field of the state: both halves. */
const hostPairs = Uint16Array.from(
  (
    [
      ["host.cr3", "CR3"],
      ["host.cr4", "CR4"],
      ["host.rsp", "RSP"],
      ["host.rip", "RIP"],
      ["host.ia32SysenterEsp", "IA32_SYSENTER_ESP"],
      ["host.ia32SysenterEip", "IA32_SYSENTER_EIP"],
      ["host.ia32SysenterCs", "IA32_SYSENTER_CS"],
      ["host.fs.base", "FS.base"],
      ["host.gs.base", "GS.base"],
      ["host.tr.base", "TR.base"],
      ["host.gdtr.base", "GDTR.base"],
      ["host.idtr.base", "IDTR.base"],
    ] as const
  ).flatMap(([name, place]) => [fieldOffset(name), offsetOf(place)]),
);

const { code, readable, writable, accessed } = segmentType;
const flatData = rights.P | rights.S | writable | accessed | rights.DB | rights.G;
const flatCode = rights.P | rights.S | code | readable | accessed | rights.G;
const busyTss = rights.P | 11;
const segmentPlace = (name: (typeof segmentRegisters)[number]) => ({
  selector: offsetOf(`${name}.selector`),
  base: offsetOf(`${name}.base`),
  limit: offsetOf(`${name}.limit`),
  access: offsetOf(`${name}.access`),
});
const place = {
  CS: segmentPlace("CS"),
  TR: segmentPlace("TR"),
  LDTR: segmentPlace("LDTR"),
} as const;
const dataSegments = (["ES", "SS", "DS", "FS", "GS"] as const).map((name) => ({
  ...segmentPlace(name),
  field: fieldOffset(`host.${name.toLowerCase()}.selector` as "host.es.selector"),
  keepsBase: name === "FS" || name === "GS",
}));
const hostCs = at("host.cs.selector");
const hostTr = at("host.tr.selector");
const hostCr0 = at("host.cr0");
const hostPat = at("host.ia32Pat");
const hostEfer = at("host.ia32Efer");
const hostPerfGlobalCtrl = at("host.ia32PerfGlobalCtrl");
const gdtrLimit = offsetOf("GDTR.limit");
const idtrLimit = offsetOf("IDTR.limit");
const flat = 0xffff_ffff;

const loadHostSegments = ({ vmcs }: VmxProcessor, view: DataView, long: boolean): void => {
  const { CS, TR, LDTR } = place;
  view.setUint32(CS.selector, vmcs.low(hostCs), true);
  view.setUint32(CS.base, 0, true);
  view.setUint32(CS.base + 4, 0, true);
  view.setUint32(CS.limit, flat, true);
  view.setUint32(CS.access, flatCode | (long ? rights.L : rights.DB), true);
  for (let n = 0; n < dataSegments.length; n++) {
    const { selector, base, limit, access, field: from, keepsBase } = dataSegments[n]!;
    const value = vmcs.low(from);
    view.setUint32(selector, value, true);
    if (!keepsBase) {
      view.setUint32(base, 0, true);
      view.setUint32(base + 4, 0, true);
    }
    view.setUint32(limit, flat, true);
    view.setUint32(access, value === 0 ? flatData | rights.unusable : flatData, true);
  }
  view.setUint32(TR.selector, vmcs.low(hostTr), true);
  view.setUint32(TR.limit, 0x67, true);
  view.setUint32(TR.access, busyTss, true);
  view.setUint32(LDTR.selector, 0, true);
  view.setUint32(LDTR.access, rights.unusable, true);
  view.setUint32(gdtrLimit, 0xffff, true);
  view.setUint32(idtrLimit, 0xffff, true);
};

/** SDM Vol. 3, "Loading Host State"; also how a VM entry that failed after the checks of host state ends. */
export const loadHostState = (vmx: VmxProcessor, blockNmis: boolean): void => {
  const { vmcs, core } = vmx;
  const cpu: CpuState = core.state;
  const { view } = cpu;
  const exitControls = vmcs.low(field.exitControls);
  const long = (exitControls & hostAddressSpaceSize) !== 0;
  const { view: from, base } = vmcs;
  for (let n = 0; n < hostPairs.length; n += 2) {
    const source = base + hostPairs[n]!;
    const target = hostPairs[n + 1]!;
    view.setUint32(target, from.getUint32(source, true), true);
    view.setUint32(target + 4, from.getUint32(source + 4, true), true);
  }
  const cr0 = (view.getUint32(state.CR0, true) & keptCr0) | (vmcs.low(hostCr0) & ~keptCr0);
  view.setUint32(state.CR0, cr0 >>> 0, true);
  const cr4 = view.getUint32(state.CR4, true);
  view.setUint32(state.CR4, long ? cr4 | PAE : cr4 & ~PCIDE, true);
  view.setUint32(state.DR7, Number(DR7.FIXED), true);
  view.setUint32(state.DR7 + 4, 0, true);
  view.setUint32(state.DEBUGCTL, 0, true);
  if (exitControls & loadHostEFER) copyIn(vmx, hostEfer, state.EFER);
  else {
    const efer = view.getUint32(state.EFER, true) & ~(LMA | LME);
    view.setUint32(state.EFER, long ? efer | LMA | LME : efer, true);
  }
  if (exitControls & loadHostPAT) copyIn(vmx, hostPat, state.PAT);
  if (exitControls & loadHostPerfGlobalCtrl) copyIn(vmx, hostPerfGlobalCtrl, state.PERF_GLOBAL_CTRL);
  loadHostSegments(vmx, view, long);
  view.setUint32(state.RFLAGS, Number(RFLAGS.FIXED), true);
  view.setUint32(state.RFLAGS + 4, 0, true);
  const blocking = view.getUint32(state.interruptibility, true);
  view.setUint32(state.interruptibility, blockNmis ? 8 : vmx.physicalNmiBlocking(blocking), true);
  view.setUint32(state.activity, 0, true);
  view.setUint32(state.pendingDebug, 0, true);
  view.setUint32(state.monitor, 0, true);
  view.setUint32(state.operation, VmxOperation.root, true);
  vmx.leaveGuest();
  const ia32e = (view.getUint32(state.EFER, true) & LMA) !== 0;
  if (!ia32e && cr0 & PG && cr4 & PAE && !loadPdptes(core, cpu.CR3)) {
    abort(vmx, "hostPdptes");
    return;
  }
  if (loadMsrs(vmx, "exit") !== undefined) abort(vmx, "loadingMsrs");
};

const copyIn = ({ vmcs, core }: VmxProcessor, fieldAt: number, stateAt: number): void => {
  const { view } = core.state;
  view.setUint32(stateAt, vmcs.low(fieldAt), true);
  view.setUint32(stateAt + 4, vmcs.high(fieldAt), true);
};

/** SDM Vol. 3, "VMX Aborts": the indicator goes to the VMCS region, and the processor stops for good. */
const abort = (vmx: VmxProcessor, cause: VmxAbortCause): void => {
  const { vmcs, core } = vmx;
  const indicator = vmxAbortIndicator(cause);
  vmx.abortIndicator = indicator;
  vmcs.view.setUint32(vmcs.base + header.vmxAbort, indicator, true);
  core.state["vmx.operation"] = VmxOperation.root;
  vmx.leaveGuest();
  core.state.activity = 2;
};
