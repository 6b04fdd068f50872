import { Exception } from "../../arch/exceptions.ts";
import { RFLAGS } from "../../arch/flags.ts";
import { isDoubleFault } from "../../cpu/exceptions.ts";
import { blockingBy, controlBit, eventType, field, interruption } from "../host/vmcs-slots.ts";
import type { FieldSlot } from "../host/vmx-door.ts";

/** The current VMCS and what may bring interrupts, as the queues use them. */
export interface EventWorld {
  read32(slot: FieldSlot): number;
  write32(slot: FieldSlot, value: number): void;
  readonly hasVirtualNmis: boolean;
  /** A new interrupt waits, in the interrupt controller or by KVM_INTERRUPT. */
  hasInterrupt(): boolean;
  /** Take it: its vector. */
  takeInterrupt(): number;
  /** Look at events again before the next VM entry. */
  requestEvent(): void;
  /** An exception while a double fault was delivered. */
  tripleFault(): void;
  readonly forgetsNmiBlocking: boolean;
}

const { valid, deliversErrorCode, nmiUnblocked } = interruption;
const interruptWindow = controlBit("interruptWindowExiting");
const nmiWindow = controlBit("nmiWindowExiting");
const IF = Number(RFLAGS.IF);

const isSoft = (vector: number): boolean => vector === Exception.BP || vector === Exception.OF;

/**
 * What is to be delivered to the guest. An event is in one of three places: in a queue here, in the VM-entry interruption
 * information, or delivered; and after an exit in the midst of delivery it comes back from the IDT-vectoring information.
 */
export class EventQueues {
  readonly exception = { pending: false, hasErrorCode: false, vector: 0, errorCode: 0 };
  readonly interrupt = { pending: false, isSoft: false, vector: 0 };
  /** Asked for, not yet on its way. */
  nmiPending = false;
  /** On its way: to be delivered by the next VM entry, whatever blocks NMIs. */
  nmiInjected = false;
  /** Bytes of the instruction of a software event. */
  instructionLength = 0;
  readonly #world: EventWorld;

  constructor(world: EventWorld) {
    this.#world = world;
  }

  get anyQueued(): boolean {
    return this.exception.pending || this.interrupt.pending || this.nmiInjected;
  }

  queueException(vector: number, errorCode?: number): void {
    const { exception } = this;
    const before = exception.pending ? exception.vector : -1;
    exception.pending = true;
    exception.hasErrorCode = errorCode !== undefined;
    exception.vector = vector;
    exception.errorCode = errorCode ?? 0;
    this.#world.requestEvent();
    // SDM Vol. 3, "Double Fault Exception": two contributory exceptions, or a page fault and one of them.
    if (before === Exception.DF) this.#world.tripleFault();
    if (before < 0 || !isDoubleFault(before, vector)) return;
    exception.vector = Exception.DF;
    exception.hasErrorCode = true;
    exception.errorCode = 0;
  }

  queueInterrupt(vector: number, soft = false): void {
    Object.assign(this.interrupt, { pending: true, isSoft: soft, vector });
  }

  get nmiAllowed(): boolean {
    const blocking = blockingBy.STI | blockingBy.MOVSS | blockingBy.NMI;
    return (this.#world.read32(field["guest.interruptibility"]) & blocking) === 0;
  }

  get interruptAllowed(): boolean {
    return (
      (this.#world.read32(field["guest.rflags"]) & IF) !== 0 &&
      (this.#world.read32(field["guest.interruptibility"]) & (blockingBy.STI | blockingBy.MOVSS)) === 0
    );
  }

  /** Put the most urgent event into the VM-entry fields: one already on its way first, then a new NMI, then a new interrupt. */
  inject(): void {
    const { exception, interrupt } = this;
    if (exception.pending) this.#injectException();
    else if (this.nmiInjected) this.#injectNmi();
    else if (interrupt.pending) this.#injectInterrupt();
    else if (this.nmiPending) {
      if (this.nmiAllowed) {
        this.nmiPending = false;
        this.nmiInjected = true;
        this.#injectNmi();
      }
    } else if (this.#world.hasInterrupt() && this.interruptAllowed) {
      this.queueInterrupt(this.#world.takeInterrupt());
      this.#injectInterrupt();
    }
  }

  #injectException(): void {
    const { vector, hasErrorCode, errorCode } = this.exception;
    if (hasErrorCode) this.#world.write32(field["control.entryExceptionErrorCode"], errorCode);
    const type = isSoft(vector) ? eventType.softwareException : eventType.hardwareException;
    if (isSoft(vector)) this.#world.write32(field["control.entryInstructionLength"], this.instructionLength);
    this.#entry(vector | type | (hasErrorCode ? deliversErrorCode : 0));
  }

  #injectNmi(): void {
    this.#entry(Exception.NMI | eventType.NMI);
  }

  #injectInterrupt(): void {
    const { vector, isSoft: soft } = this.interrupt;
    if (soft) this.#world.write32(field["control.entryInstructionLength"], this.instructionLength);
    this.#entry(vector | (soft ? eventType.softwareInterrupt : eventType.external));
  }

  #entry(information: number): void {
    this.#world.write32(field["control.entryInterruptionInformation"], (valid | information) >>> 0);
  }

  /** Have the guest exit as soon as it could take what had to wait. */
  armWindows(userWantsWindow: boolean): void {
    const wantsInterrupt = userWantsWindow || this.#world.hasInterrupt();
    if (this.nmiPending) this.#armNmiWindow();
    else if (wantsInterrupt) this.#setControl(interruptWindow, true);
  }

  #armNmiWindow(): void {
    // In the shadow of STI an NMI window is at once, but an NMI could not be injected.
    const inShadow = (this.#world.read32(field["guest.interruptibility"]) & blockingBy.STI) !== 0;
    this.#setControl(this.#world.hasVirtualNmis && !inShadow ? nmiWindow : interruptWindow, true);
  }

  windowOpened(which: "interrupt" | "NMI"): void {
    this.#setControl(which === "NMI" ? nmiWindow : interruptWindow, false);
    this.#world.requestEvent();
  }

  #setControl(bit: number, on: boolean): void {
    const slot = field["control.processorBased"];
    const before = this.#world.read32(slot);
    const after = (on ? before | bit : before & ~bit) >>> 0;
    if (after !== before) this.#world.write32(slot, after);
  }

  #setNmiBlocking(on: boolean): void {
    const slot = field["guest.interruptibility"];
    const before = this.#world.read32(slot);
    this.#world.write32(slot, on ? before | blockingBy.NMI : before & ~blockingBy.NMI);
  }

  /** An IRET that unblocked NMIs has faulted: they are blocked again, as the guest is still in its handler. */
  recoverNmiBlocking(exitInterruption: number, idtVectoring: number): void {
    if (!this.#world.hasVirtualNmis) return;
    const faulted = exitInterruption >= valid && (exitInterruption & nmiUnblocked) !== 0;
    if (faulted && (exitInterruption & interruption.vector) !== Exception.DF && idtVectoring < valid)
      this.#setNmiBlocking(true);
  }

  /** The same where the IRET met an EPT violation. `qualification`: low half. */
  recoverFromViolation(qualification: number, idtVectoring: number): void {
    if (this.#world.forgetsNmiBlocking || !this.#world.hasVirtualNmis) return;
    if ((qualification & nmiUnblocked) !== 0 && idtVectoring < valid) this.#setNmiBlocking(true);
  }

  /** After an exit: what the queues held was delivered, but for an event that the exit interrupted. */
  complete(idtVectoring: number): void {
    this.#requeue(idtVectoring, field["exit.instructionLength"], field["exit.idtVectoringErrorCode"]);
  }

  /** An entry is given up after injection: the event goes back into its queue. */
  cancel(): void {
    const slot = field["control.entryInterruptionInformation"];
    this.#requeue(
      this.#world.read32(slot),
      field["control.entryInstructionLength"],
      field["control.entryExceptionErrorCode"],
    );
    this.#world.write32(slot, 0);
  }

  #requeue(information: number, length: FieldSlot, errorCode: FieldSlot): void {
    const { exception, interrupt } = this;
    this.nmiInjected = false;
    exception.pending = false;
    interrupt.pending = false;
    if (information < valid) return;
    this.#world.requestEvent();
    const vector = information & interruption.vector;
    const type = information & interruption.type;
    const isSoftware = type === eventType.softwareException || type === eventType.softwareInterrupt;
    if (isSoftware) this.instructionLength = this.#world.read32(length);
    if (type === eventType.NMI) {
      this.nmiInjected = true;
      this.#setNmiBlocking(false);
    } else if (type === eventType.hardwareException || type === eventType.softwareException)
      this.queueException(
        vector,
        information & deliversErrorCode ? this.#world.read32(errorCode) : undefined,
      );
    else this.queueInterrupt(vector, type === eventType.softwareInterrupt);
  }
}
