import { ExitReason } from "../arch/vm-exit-reasons.ts";
import type { Core } from "../cpu/core.ts";
import type { Event, Fault } from "../cpu/fault.ts";
import type { GuestMemory } from "../cpu/guest-memory.ts";
import {
  type GuestPhysicalTranslation,
  type VmExit,
  VmxOperation,
  type VmxSocket,
} from "../cpu/vmx-socket.ts";
import type { Instruction } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { Vmcs } from "./vmcs.ts";

const operationOffset = offsetOf("vmx.operation");

/**
 * VT-x of one logical processor. The VMX state proper (operation, pointers) is in the processor's state; the fields here
 * are caches of the current VMCS, renewed by VM entry: the controls in force while a guest runs.
 */
export class VmxProcessor implements VmxSocket {
  readonly core: Core;
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

  constructor(core: Core, memory: GuestMemory) {
    this.core = core;
    this.memory = memory;
    this.vmcs = new Vmcs(memory.view);
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

  // Filled in by their rooms.
  intercept(_instruction: Instruction): Fault | "done" | undefined {
    return undefined;
  }
  interceptEvent(_event: Event, _during: Event | undefined): boolean {
    return false;
  }
  interceptTripleFault(): boolean {
    return false;
  }
  exit(_exit: VmExit, _during: Event | undefined): void {}
  boundaryBeforeTraps(): boolean {
    return false;
  }
  boundaryBeforeNmi(): boolean {
    return false;
  }
  boundaryBeforeInterrupts(): boolean {
    return false;
  }
  externalInterruptExiting = false;
  wantsInterruptibility = false;
  wakes = false;
  instructionsAllowed(): number {
    return Number.POSITIVE_INFINITY;
  }
  eptEnabled = false;
  translateGuestPhysical(
    _address: number,
    _access: number,
    _isTable: boolean,
    _linearHigh: number,
    _linearLow: number,
  ): GuestPhysicalTranslation | Fault {
    throw new Error(`EPT walk ${ExitReason.EPT_VIOLATION}`);
  }
  world = 0;
  guestTimeStamp(host: bigint): bigint {
    return host;
  }
}
