import type { Core } from "../cpu/core.ts";
import type { ExecutionEngine } from "../cpu/execution-engine.ts";
import type { Event, Fault } from "../cpu/fault.ts";
import type { GuestPhysicalTranslation, VmExit, VmxSocket } from "../cpu/vmx-socket.ts";
import type { Instruction } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { accessExit } from "./access-exit.ts";
import { apicAccessPage, virtualizeApicAccess } from "./apic-virtualization/apic-access.ts";
import { postponeApicWrite } from "./apic-virtualization/apic-write.ts";
import { clearPending } from "./apic-virtualization/pending.ts";
import { enterVirtualApic } from "./apic-virtualization/virtual-interrupts.ts";
import { EntryChecks } from "./checks/recheck.ts";
import type { EntryFacts } from "./entry-facts.ts";
import { translateGuestPhysical } from "./ept.ts";
import * as events from "./events.ts";
import { execute } from "./instructions.ts";
import { intercept, refused, stepsOf } from "./intercepts/index.ts";
import { liveFacts } from "./live-facts.ts";
import { noPauseYet } from "./pause-loop.ts";
import { guestTimeStamp } from "./time-stamp.ts";
import { virtualizationException } from "./virtualization-exception.ts";
import { vmExit } from "./vm-exit.ts";
import { type EntryRefusal, VmxProcessor } from "./vmx-processor.ts";
import { invalidateOnTransition, Worlds } from "./worlds.ts";

const retiredOffset = offsetOf("retired");
const stepsOffset = offsetOf("vmx.steps");

/** VT-x of one logical processor, put together: what the processor asks goes to the room that knows it. */
export class VtX extends VmxProcessor implements VmxSocket {
  readonly facts: EntryFacts;
  readonly checks: EntryChecks;
  readonly worlds: Worlds;

  constructor(core: Core, engine: Pick<ExecutionEngine, "guest" | "observer">) {
    super(core, engine);
    this.worlds = new Worlds(this);
    this.facts = liveFacts(this);
    this.checks = new EntryChecks(this.facts);
  }

  /** The first check of VM entry that does not hold, of those that need be made again. */
  refusal(): EntryRefusal | undefined {
    if (this.owner.sharesRegion) this.checks.forget();
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
    this.monitorTrapFrom = (this.core.state.view.getUint32(retiredOffset, true) + 1) >>> 0;
    this.nmiUnblockedByIret = false;
    invalidateOnTransition(this);
    enterVirtualApic(this);
    this.pauseLoop = noPauseYet();
    this.core.state.view.setUint32(stepsOffset, stepsOf(this), true);
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
    this.core.state.view.setUint32(stepsOffset, 0, true);
  }

  /** Blocking by NMI after a VM exit that no NMI caused. */
  physicalNmiBlocking(blocking: number): number {
    return events.physicalNmiBlocking(this, blocking);
  }

  // VmxSocket

  intercept(instruction: Instruction): Fault | "done" | undefined {
    return intercept(this, instruction);
  }
  refused(instruction: Instruction): Fault {
    return refused(this, instruction);
  }
  execute(instruction: Instruction, number: number): Fault | undefined {
    return execute(this, instruction, number);
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
    // "The timer does not cause a VM exit if it counts down to zero in the wait-for-SIPI state."
    return this.nonRoot && this.core.state.activity !== events.Activity.waitForSipi
      ? this.preemptionTimer.deadlineNs
      : Number.POSITIVE_INFINITY;
  }
  instructionsAllowed(): number {
    if (events.stepsByMonitorTrap(this)) return 1;
    return this.preemptionTimer.active
      ? Math.max(1, this.preemptionTimer.deadlineNs - this.core.clockNs())
      : Number.POSITIVE_INFINITY;
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
