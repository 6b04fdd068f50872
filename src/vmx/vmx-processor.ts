import { CR0 } from "../arch/control-registers.ts";
import { controlMask } from "../arch/vmx-controls.ts";
import type { Core, Invalidation } from "../cpu/core.ts";
import type { ExecutionEngine, Observer } from "../cpu/execution-engine.ts";
import type { GuestMemory, VmcsOwner } from "../cpu/guest-memory.ts";
import { codeSize } from "../cpu/mode.ts";
import { VmxOperation } from "../cpu/vmx-socket.ts";
import { offsetOf } from "../state/layout.ts";
import { capabilitiesOf, type VmxCapabilities } from "./capabilities.ts";
import type { EntryChecks } from "./checks/recheck.ts";
import type { EntryFacts } from "./entry-facts.ts";
import { EptCache } from "./ept-cache.ts";
import { noPauseYet } from "./pause-loop.ts";
import { PreemptionTimer } from "./preemption-timer.ts";
import { Vmcs } from "./vmcs.ts";
import { type VmcsFieldIndex, vmcsFieldIndex } from "./vmcs-fields-of-model.ts";

const operationOffset = offsetOf("vmx.operation");
const enableEPT = controlMask("enableEPT");
const unrestrictedGuest = controlMask("unrestrictedGuest");

/** Why VM entry did not get past its checks. */
export type EntryRefusal =
  | { readonly kind: "VMfailValid"; readonly error: 7 | 8 }
  | { readonly kind: "VM-entry failure"; readonly reason: 33; readonly qualification: bigint };

/** Numbers of the address spaces that guests have had (worlds.ts). */
export interface GuestWorlds {
  /** The running guest's. */
  current(): number;
  hasVpid(world: number, vpid: number): boolean;
  /** Translated by EPT with this EP4TA: bits 51:12 of the EPT pointer, as two halves. */
  hasRoot(world: number, low: number, high: number): boolean;
  usesEpt(world: number): boolean;
  /** Invalidation of what has VPID 0. */
  readonly withoutVpid: Invalidation;
  /** The VPID that instructions are about now. */
  currentVpid(): number;
}

/**
 * VT-x of one logical processor, as its rooms know it. The VMX state proper (operation, pointers) is in the processor's state; the
 * fields here are caches of the current VMCS, renewed by VM entry: the controls in force while a guest runs.
 */
export abstract class VmxProcessor {
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
  abstract readonly facts: EntryFacts;
  /** The checks, made again where something has changed. VMWRITE and whatever makes another VMCS current tell it. */
  abstract readonly checks: EntryChecks;
  /** What memory tells of stores to the current VMCS. */
  readonly owner: VmcsOwner;
  /** Numbers of the address spaces that guests have had. */
  abstract readonly worlds: GuestWorlds;
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
  /** The VMX-abort indicator (SDM Vol. 3, "VMX Aborts") that has stopped the processor for good; 0: none. */
  abortIndicator = 0;
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
    this.owner = {
      region: () => this.vmcs.base,
      sharesRegion: false,
      stored: () => this.checks.forget(),
    };
    this.memory.vmcsOwners.push(this.owner);
  }

  get observer(): Observer | undefined {
    return this.engine.observer;
  }

  get operation(): number {
    return this.core.state.view.getUint32(operationOffset, true);
  }
  get nonRoot(): boolean {
    return this.core.state.view.getUint32(operationOffset, true) === VmxOperation.nonRoot;
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

  get eptEnabled(): boolean {
    return (this.secondary & enableEPT) !== 0 && this.nonRoot;
  }
  /** Bits of RIP. */
  instructionPointerWidth(): 16 | 32 | 64 {
    return codeSize(this.core.state);
  }

  // What VM entry, VM exit and events ask of other rooms; vt-x.ts has the answers.

  /** The first check of VM entry that does not hold, of those that need be made again. */
  abstract refusal(): EntryRefusal | undefined;
  /** The guest's state is loaded. */
  abstract enterGuest(): void;
  /** VM entry is complete, but for event injection. */
  abstract entered(): void;
  /** The host's state is loaded. */
  abstract leaveGuest(): void;
  /** Blocking by NMI after a VM exit that no NMI caused. */
  abstract physicalNmiBlocking(blocking: number): number;
  /** Physical address of the APIC-access page; -1 when there is none. */
  abstract readonly apicAccessPage: number;
}
