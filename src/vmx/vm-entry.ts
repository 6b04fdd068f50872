import { CR0, CR4, IA32_EFER } from "../arch/control-registers.ts";
import { DR7 } from "../arch/debug-registers.ts";
import { ExitReason } from "../arch/vm-exit-reasons.ts";
import type { VmcsFieldName } from "../arch/vmcs-fields.ts";
import { controlMask } from "../arch/vmx-controls.ts";
import { deliver } from "../cpu/exceptions.ts";
import type { Event } from "../cpu/fault.ts";
import { loadPdptes } from "../cpu/pdptes.ts";
import { VmxOperation } from "../cpu/vmx-socket.ts";
import { offsetOf } from "../state/layout.ts";
import { noteWrite } from "./current-vmcs.ts";
import { loadGuestArea, loadGuestPdptes } from "./guest-area.ts";
import { interruption, interruptionTypes } from "./interruption.ts";
import { loadMsrs } from "./msr-areas.ts";
import { keptCr0, loadHostState } from "./vm-exit.ts";
import { fieldOffset, header } from "./vmcs.ts";
import type { VmxProcessor } from "./vmx-processor.ts";

/** SDM Vol. 3, "VM Entries": from the checks to event injection. Hot: words, no bigint on the common way. */

const activateSecondary = controlMask("activateSecondaryControls");
const loadDebugControls = controlMask("loadDebugControls");
const ia32eModeGuest = controlMask("ia32eModeGuest");
const loadGuestPerfGlobalCtrl = controlMask("loadGuestPerfGlobalCtrl");
const loadGuestPAT = controlMask("loadGuestPAT");
const loadGuestEFER = controlMask("loadGuestEFER");
const enableEPT = controlMask("enableEPT");
const nmiExiting = controlMask("nmiExiting");
const virtualNMIs = controlMask("virtualNMIs");
const activatePreemptionTimer = controlMask("activatePreemptionTimer");

const at = (name: VmcsFieldName): number => fieldOffset(name);
const field = {
  pinBased: at("control.pinBased"),
  processorBased: at("control.processorBased"),
  secondary: at("control.secondaryProcessorBased"),
  exitControls: at("control.exitControls"),
  entryControls: at("control.entryControls"),
  exceptionBitmap: at("control.exceptionBitmap"),
  injection: at("control.entryInterruptionInformation"),
  injectionErrorCode: at("control.entryExceptionErrorCode"),
  injectionLength: at("control.entryInstructionLength"),
  cr0: at("guest.cr0"),
  dr7: at("guest.dr7"),
  debugctl: at("guest.ia32Debugctl"),
  pat: at("guest.ia32Pat"),
  efer: at("guest.ia32Efer"),
  perfGlobalCtrl: at("guest.ia32PerfGlobalCtrl"),
  interruptibility: at("guest.interruptibility"),
  timer: at("guest.vmxPreemptionTimer"),
  reason: at("exit.reason"),
  qualification: at("exit.qualification"),
} as const;

const state = {
  CR0: offsetOf("CR0"),
  CR4: offsetOf("CR4"),
  DR7: offsetOf("DR7"),
  EFER: offsetOf("IA32_EFER"),
  PAT: offsetOf("IA32_PAT"),
  DEBUGCTL: offsetOf("IA32_DEBUGCTL"),
  PERF_GLOBAL_CTRL: offsetOf("IA32_PERF_GLOBAL_CTRL"),
  interruptibility: offsetOf("interruptibility"),
  activity: offsetOf("activity"),
  operation: offsetOf("vmx.operation"),
  monitor: offsetOf("MONITOR.armed"),
} as const;

const [PG, PAE, LMA, LME] = [
  Number(CR0.PG) | 0,
  Number(CR4.PAE),
  Number(IA32_EFER.LMA),
  Number(IA32_EFER.LME),
];
/** Interruptibility bit 3. */
const nmiBlocking = 8;
const [dr7Fixed, dr7Reserved] = [Number(DR7.FIXED), Number(DR7.reserved)];

/** How VMLAUNCH or VMRESUME ends: undefined is a VM entry, or one that failed late and has loaded the host's state; a number is VMfailValid. */
export type VmEntryOutcome = number | undefined;

/**
 * VM entry through the current VMCS. The instruction's own checks (current VMCS, launch state, blocking by MOV SS) have passed;
 * state.RIP is its address. Afterwards RIP is where to go on, unless a number is returned.
 */
export const vmEntry = (vmx: VmxProcessor, launch: boolean): VmEntryOutcome => {
  const refusal = vmx.refusal();
  if (refusal !== undefined) {
    if (refusal.kind === "VMfailValid") return refusal.error;
    fail(vmx, launch, ExitReason.INVALID_GUEST_STATE, refusal.qualification);
    return undefined;
  }
  const { vmcs, core } = vmx;
  const { view } = core.state;
  const hostBlocking = view.getUint32(state.interruptibility, true);
  vmx.hostNmiBlocking = hostBlocking & nmiBlocking;
  readControls(vmx);
  loadGuestState(vmx);
  view.setUint32(state.operation, VmxOperation.nonRoot, true);
  vmx.enterGuest();
  const entry = loadMsrs(vmx, "entry");
  if (entry !== undefined) {
    view.setUint32(state.interruptibility, hostBlocking, true);
    fail(vmx, launch, ExitReason.MSR_LOADING, BigInt(entry));
    return undefined;
  }
  if (launch) {
    noteWrite(vmx, vmcs.base);
    vmcs.view.setUint32(vmcs.base + header.launchState, 1, true);
  }
  vmx.entered();
  vmx.observer?.vmEntry?.(core);
  inject(vmx);
  return undefined;
};

/** A failure after the checks of controls and host state: only reason and qualification are written; the host's state is loaded. */
const fail = (
  vmx: VmxProcessor,
  launch: boolean,
  reason: typeof ExitReason.INVALID_GUEST_STATE | typeof ExitReason.MSR_LOADING,
  qualification: bigint,
): void => {
  const { vmcs, core } = vmx;
  vmx.observer?.vmEntryFailure?.(
    { instruction: launch ? "VMLAUNCH" : "VMRESUME", reason, qualification },
    core,
  );
  noteWrite(vmx, vmcs.base);
  vmcs.setLow(field.reason, (reason | 0x8000_0000) >>> 0);
  vmcs.setValue(field.qualification, qualification);
  loadHostState(vmx, false);
};

const readControls = (vmx: VmxProcessor): void => {
  const { vmcs } = vmx;
  vmx.pinBased = vmcs.low(field.pinBased);
  vmx.processorBased = vmcs.low(field.processorBased);
  vmx.secondary = vmx.processorBased & activateSecondary ? vmcs.low(field.secondary) : 0;
  vmx.exitControls = vmcs.low(field.exitControls);
  vmx.entryControls = vmcs.low(field.entryControls);
  vmx.exceptionBitmap = vmcs.low(field.exceptionBitmap);
};

const loadGuestState = (vmx: VmxProcessor): void => {
  const { vmcs, core, entryControls } = vmx;
  const { view } = core.state;
  loadGuestArea(vmcs, core.state);
  const cr0 = (view.getUint32(state.CR0, true) & keptCr0) | (vmcs.low(field.cr0) & ~keptCr0);
  view.setUint32(state.CR0, cr0 >>> 0, true);
  if (entryControls & loadDebugControls) {
    view.setUint32(state.DR7, ((vmcs.low(field.dr7) & ~dr7Reserved) | dr7Fixed) >>> 0, true);
    view.setUint32(state.DR7 + 4, 0, true);
    view.setUint32(state.DEBUGCTL, vmcs.low(field.debugctl), true);
  }
  if (entryControls & loadGuestEFER) copyIn(vmx, field.efer, state.EFER);
  else {
    const long = (entryControls & ia32eModeGuest) !== 0;
    let efer = view.getUint32(state.EFER, true);
    efer = long ? efer | LMA : efer & ~LMA;
    if (cr0 & PG) efer = long ? efer | LME : efer & ~LME;
    view.setUint32(state.EFER, efer >>> 0, true);
  }
  if (entryControls & loadGuestPAT) copyIn(vmx, field.pat, state.PAT);
  if (entryControls & loadGuestPerfGlobalCtrl) copyIn(vmx, field.perfGlobalCtrl, state.PERF_GLOBAL_CTRL);
  view.setUint32(state.interruptibility, vmcs.low(field.interruptibility) & 0xf, true);
  view.setUint32(state.monitor, 0, true);
  const pae = cr0 & PG && view.getUint32(state.CR4, true) & PAE && !(view.getUint32(state.EFER, true) & LMA);
  if (pae) {
    if (vmx.secondary & enableEPT) loadGuestPdptes(vmcs, core.state);
    else loadPdptes(core, core.state.CR3); // their check has passed
  }
  if (vmx.pinBased & activatePreemptionTimer) vmx.preemptionTimer.start(vmcs.low(field.timer));
};

const copyIn = ({ vmcs, core }: VmxProcessor, fieldAt: number, stateAt: number): void => {
  const { view } = core.state;
  view.setUint32(stateAt, vmcs.low(fieldAt), true);
  view.setUint32(stateAt + 4, vmcs.high(fieldAt), true);
};

/**
 * SDM Vol. 3, "Event Injection". With "NMI exiting" alone an injected NMI blocks none: "NMIs are blocked if bit 3 (blocking by NMI) in
 * the interruptibility-state field is 1", as long as the guest runs; "unless the VM entry is injecting an NMI" is said of virtual-NMI
 * blocking only ("Interruptibility State").
 */
const inject = (vmx: VmxProcessor): void => {
  const { vmcs, core } = vmx;
  const word = vmcs.low(field.injection);
  if ((word & interruption.valid) === 0) return;
  const type = interruptionTypes[(word & interruption.type) >>> interruption.typeShift]!;
  if (type === "other event") {
    vmx.monitorTrapPending = true;
    return;
  }
  if (type === "reserved") return;
  const software = type.startsWith("software") || type.startsWith("privileged");
  const length = vmcs.low(field.injectionLength);
  const { view } = core.state;
  const event: Event = {
    type,
    vector: word & interruption.vector,
    errorCode: word & interruption.deliverErrorCode ? vmcs.low(field.injectionErrorCode) : undefined,
    injected: true,
    leavesNmisUnblocked: (vmx.pinBased & (nmiExiting | virtualNMIs)) === nmiExiting,
    ...(software && {
      returnRip: BigInt.asUintN(vmx.instructionPointerWidth(), core.state.RIP + BigInt(length)),
      instructionLength: length,
    }),
  };
  // Delivery ends the state HLT, and it is not held back by blocking.
  view.setUint32(state.activity, 0, true);
  vmx.eventDelivered = true;
  deliver(core, event);
};
