import { CR0 } from "../arch/control-registers.ts";
import { vmxControl } from "../arch/vmx-controls.ts";
import type { Core } from "../cpu/core.ts";
import type { ExecutionEngine, Observer } from "../cpu/execution-engine.ts";
import type { Event, Fault } from "../cpu/fault.ts";
import type { GuestMemory } from "../cpu/guest-memory.ts";
import { codeSize } from "../cpu/mode.ts";
import {
  type GuestPhysicalTranslation,
  type VmExit,
  VmxOperation,
  type VmxSocket,
} from "../cpu/vmx-socket.ts";
import type { Instruction } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { accessExit } from "./access-exit.ts";
import { apicAccessPage, virtualizeApicAccess } from "./apic-virtualization/apic-access.ts";
import { postponeApicWrite } from "./apic-virtualization/apic-write.ts";
import { clearPending } from "./apic-virtualization/pending.ts";
import { enterVirtualApic } from "./apic-virtualization/virtual-interrupts.ts";
import { capabilitiesOf, type VmxCapabilities } from "./capabilities.ts";
import { EntryChecks } from "./checks/recheck.ts";
import type { EntryFacts } from "./entry-facts.ts";
import { translateGuestPhysical } from "./ept.ts";
import { EptCache } from "./ept-cache.ts";
import * as events from "./events.ts";
import { execute } from "./instructions.ts";
import { intercept, refused, stepsOf } from "./intercepts/index.ts";
import { noPauseYet } from "./intercepts/pause.ts";
import { liveFacts } from "./live-facts.ts";
import { PreemptionTimer } from "./preemption-timer.ts";
import { guestTimeStamp } from "./time-stamp.ts";
import { virtualizationException } from "./virtualization-exception.ts";
import { vmExit } from "./vm-exit.ts";
import { Vmcs } from "./vmcs.ts";
import { type VmcsFieldIndex, vmcsFieldIndex } from "./vmcs-fields-of-model.ts";
import { invalidateOnTransition, Worlds } from "./worlds.ts";

const operationOffset = offsetOf("vmx.operation");
const enableEPT = 1 << vmxControl("enableEPT").bit;
const unrestrictedGuest = 1 << vmxControl("unrestrictedGuest").bit;

/** Why VM entry did not get past its checks. */
export type EntryRefusal =
  | { readonly kind: "VMfailValid"; readonly error: 7 | 8 }
  | { readonly kind: "VM-entry failure"; readonly reason: 33; readonly qualification: bigint };

/**
 * VT-x of one logical processor. The VMX state proper (operation, pointers) is in the processor's state; the fields here
 * are caches of the current VMCS, renewed by VM entry: the controls in force while a guest runs.
 */
export class VmxProcessor implements VmxSocket {
  readonly core: Core;
  readonly engine: Pick<ExecutionEngine, "guest" | "observer">;
  readonly memory: GuestMemory;
  /** The current VMCS. */
  readonly vmcs: Vmcs;
  /** The control words of the running guest; 0 for those that are not activated. */
  pinBased = 0;
  processorBased = 0;
  secondary = 0;
  exitControls = 0;
  entryControls = 0;
  exceptionBitmap = 0;

  readonly capability: VmxCapabilities;
  /** The fields that VMREAD and VMWRITE know. */
  readonly fields: VmcsFieldIndex;
  /** IA32_VMX_MISC[29]: VMWRITE may write VM-exit information. */
  readonly writesInformation: boolean;
  /** The VMCS that a guest's VMREAD and VMWRITE reach. */
  readonly shadow: Vmcs;
  pauseLoop = noPauseYet();
  transitions = 0;

  /** What the checks of VM entry look at. */
  readonly facts: EntryFacts;
  /** The checks, made again where something has changed. VMWRITE and whatever makes another VMCS current tell it. */
  readonly checks: EntryChecks;
  /** Numbers of the address spaces that guests have had. */
  readonly worlds = new Worlds(this);
  readonly eptCache = new EptCache();

  readonly preemptionTimer: PreemptionTimer;
  /** A monitor trap flag VM exit is due at the next boundary: VM entry injected one. */
  monitorTrapPending = false;
  /** Instructions retired (low half) at the last boundary under the monitor trap flag. */
  monitorTrapFrom = 0;
  /** An event was delivered since the last boundary. */
  eventDelivered = false;
  /** The IRET in progress has unblocked NMIs. */
  nmiUnblockedByIret = false;
  /** Blocking by NMI outside the guest, while "virtual NMIs" gives interruptibility bit 3 another meaning. */
  hostNmiBlocking = 0;

  constructor(core: Core, engine: Pick<ExecutionEngine, "guest" | "observer">) {
    this.core = core;
    this.engine = engine;
    this.memory = engine.guest;
    this.vmcs = new Vmcs(engine.guest.view);
    this.shadow = new Vmcs(engine.guest.view);
    this.capability = capabilitiesOf(core.model);
    this.fields = vmcsFieldIndex(core.model);
    this.writesInformation = this.capability.has("vmwriteAnyField");
    this.preemptionTimer = new PreemptionTimer(core);
    this.facts = liveFacts(this);
    this.checks = new EntryChecks(this.facts);
  }

  get observer(): Observer | undefined {
    return this.engine.observer;
  }

  get operation(): number {
    return this.core.state.view.getUint32(operationOffset, true);
  }
  get nonRoot(): boolean {
    return this.operation === VmxOperation.nonRoot;
  }
  get inVmxOperation(): boolean {
    return this.operation !== VmxOperation.off;
  }

  get cr0Fixed(): bigint {
    const unrestricted = this.nonRoot && (this.secondary & unrestrictedGuest) !== 0;
    return this.capability.cr0.fixed0 & (unrestricted ? ~(CR0.PE | CR0.PG) : ~0n);
  }
  get cr4Fixed(): bigint {
    return this.capability.cr4.fixed0;
  }
  capabilityMsr(index: number): bigint | undefined {
    return this.capability.msrs.get(index);
  }

  // VM entry and VM exit (vm-entry.ts, vm-exit.ts) tell when a guest starts and stops.

  /** The first check of VM entry that does not hold, of those that need be made again. */
  refusal(): EntryRefusal | undefined {
    const failure = this.checks.refusal();
    if (failure === undefined) return undefined;
    const { check, group } = failure;
    const { otherwise } = group;
    return otherwise.kind === "VMfailValid"
      ? otherwise
      : { ...otherwise, qualification: BigInt(check.qualification ?? 0) };
  }

  /** The guest's state is loaded. */
  enterGuest(): void {
    this.transitions++;
    this.monitorTrapPending = false;
    this.eventDelivered = false;
    // VMLAUNCH or VMRESUME itself has not retired yet.
    this.monitorTrapFrom = (this.core.state.low32("retired") + 1) >>> 0;
    this.nmiUnblockedByIret = false;
    invalidateOnTransition(this);
    enterVirtualApic(this);
    this.pauseLoop = noPauseYet();
    this.core.state["vmx.steps"] = stepsOf(this);
  }

  /** VM entry is complete, but for event injection. */
  entered(): void {}

  /** The host's state is loaded. */
  leaveGuest(): void {
    this.transitions++;
    this.preemptionTimer.stop();
    invalidateOnTransition(this);
    clearPending(this);
    this.monitorTrapPending = false;
    this.core.state["vmx.steps"] = 0;
  }

  /** Blocking by NMI after a VM exit that no NMI caused. */
  physicalNmiBlocking(blocking: number): number {
    return events.physicalNmiBlocking(this, blocking);
  }

  /** Bits of RIP. */
  instructionPointerWidth(): 16 | 32 | 64 {
    return codeSize(this.core.state);
  }

  // VmxSocket

  intercept(instruction: Instruction): Fault | "done" | undefined {
    return intercept(this, instruction);
  }
  refused(instruction: Instruction): Fault {
    return refused(this, instruction);
  }
  execute(instruction: Instruction): Fault | undefined {
    return execute(this, instruction);
  }
  unblockNmis(): void {
    events.unblockNmis(this);
  }
  interceptEvent(event: Event, during: Event | undefined): boolean {
    return events.interceptEvent(this, event, during);
  }
  interceptTripleFault(): boolean {
    return events.interceptTripleFault(this);
  }
  exit(exit: VmExit, during: Event | undefined): void {
    if (exit.details.convertible && during === undefined && virtualizationException(this, exit)) return;
    vmExit(this, accessExit(this, exit, during), undefined, during);
  }
  boundaryBeforeTraps(): boolean {
    return events.boundaryBeforeTraps(this);
  }
  boundaryBeforeNmi(): boolean {
    return events.boundaryBeforeNmi(this);
  }
  boundaryBeforeInterrupts(): boolean {
    return events.boundaryBeforeInterrupts(this);
  }
  get externalInterruptExiting(): boolean {
    return events.exitsExternalInterrupts(this);
  }
  get virtualNmis(): boolean {
    return events.hasVirtualNmis(this);
  }
  get wantsInterruptibility(): boolean {
    return events.wantsInterruptWindow(this);
  }
  get wakes(): boolean {
    return events.wakes(this);
  }
  get wakeNs(): number {
    return this.nonRoot ? this.preemptionTimer.deadlineNs : Number.POSITIVE_INFINITY;
  }
  instructionsAllowed(): number {
    if (events.stepsByMonitorTrap(this)) return 1;
    return this.preemptionTimer.active
      ? Math.max(1, this.preemptionTimer.deadlineNs - this.core.clockNs())
      : Number.POSITIVE_INFINITY;
  }
  get eptEnabled(): boolean {
    return (this.secondary & enableEPT) !== 0 && this.nonRoot;
  }
  translateGuestPhysical(
    address: number,
    access: number,
    linearHigh: number,
    linearLow: number,
  ): GuestPhysicalTranslation | Fault {
    return translateGuestPhysical(this, address, access, linearHigh, linearLow);
  }
  get apicAccessPage(): number {
    return apicAccessPage(this);
  }
  apicAccess(offset: number, size: number, access: number): number | Fault {
    return virtualizeApicAccess(this, offset, size, access);
  }
  apicWritten(offset: number): void {
    postponeApicWrite(this, offset);
  }
  get world(): number {
    return this.nonRoot ? this.worlds.current() : 0;
  }
  readonly sharesVpid = (world: number): boolean => this.worlds.hasVpid(world, this.worlds.currentVpid());
  guestTimeStamp(host: bigint): bigint {
    return guestTimeStamp(this, host);
  }
}
