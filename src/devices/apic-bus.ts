import type { MessageInterrupt } from "../bus/interrupt-line.ts";

/** Delivery modes: SDM Vol. 3, "Interrupt Command Register (ICR)"; LVT, I/O APIC and MSI use the same codes (3 is reserved). */
// biome-ignore format: one row per fact
export const DELIVERY_MODE = {
  FIXED: 0, LOWEST_PRIORITY: 1, SMI: 2, NMI: 4, INIT: 5, STARTUP: 6, EXTINT: 7,
} as const;

/** The delivery mode in an ICR, an LVT entry, a redirection entry, or the data of a message. */
export const deliveryModeOf = (register: number): number => (register >>> 8) & 7;

/** What travels between interrupt controllers: from an IPI, an I/O APIC pin, or a message-signalled interrupt. */
export interface InterruptMessage {
  /** The message destination address (MDA). */
  readonly destination: number;
  /** Its width: 8 bits from xAPICs, I/O APICs and MSIs, 32 bits from x2APICs. All ones means every local APIC. */
  readonly destinationBits: 8 | 32;
  readonly logical: boolean;
  /** A code of DELIVERY_MODE. */
  readonly deliveryMode: number;
  readonly vector: number;
  readonly levelTriggered: boolean;
  /** Logical destinations only: choose one processor of the set, as lowest-priority delivery does. */
  readonly redirectionHint?: boolean;
}

/** What a local APIC needs to know of a message that names it. */
export type ArrivingInterrupt = Pick<InterruptMessage, "deliveryMode" | "vector" | "levelTriggered">;

/** A local APIC, as the bus sees it. */
export interface ApicAgent {
  isDestinationOf(message: InterruptMessage): boolean;
  /** Software-enabled: fixed and lowest-priority interrupts are accepted. */
  readonly acceptsVectors: boolean;
  /** The arbitration priority (APR), for lowest-priority delivery. */
  readonly arbitrationPriority: number;
  /** Take the message, whatever its destination says; false when it was refused. */
  accept(message: InterruptMessage): boolean;
}

/** An I/O APIC, as the bus sees it: told of every broadcast EOI. */
export interface EoiListener {
  endOfInterrupt(vector: number): void;
}

/** SDM Vol. 3, "Message Address Register Format": bits 31:20. */
const MESSAGE_ADDRESS = 0xfee;

/** Whether a memory write to this address is a message-signalled interrupt. */
export const isMessageAddress = (address: number): boolean =>
  address <= 0xffff_ffff && address >>> 20 === MESSAGE_ADDRESS;

/**
 * The interrupt bus between local APICs, I/O APICs and message-signalling devices. Delivery is immediate, in the order
 * in which local APICs were attached; lowest-priority arbitration prefers the lowest APR, then the earliest attached.
 * It holds no state of its own.
 */
export class ApicBus implements MessageInterrupt {
  readonly #agents: ApicAgent[] = [];
  readonly #listeners: EoiListener[] = [];
  readonly #strayWrite: ((address: number, value: number) => void) | undefined;

  /** `strayWrite` gets messages whose address is not an interrupt message's: on a PC they are plain 4-byte memory writes. */
  constructor(strayWrite?: (address: number, value: number) => void) {
    this.#strayWrite = strayWrite;
  }

  attach(agent: ApicAgent): void {
    this.#agents.push(agent);
  }

  attachIoApic(listener: EoiListener): void {
    this.#listeners.push(listener);
  }

  /** Deliver to whom the message names; true when at least one local APIC accepted it. */
  deliver(message: InterruptMessage): boolean {
    return this.#dispatch(
      this.#agents.filter((agent) => agent.isDestinationOf(message)),
      message,
    );
  }

  /** The ICR's shorthands "all including self" and "all excluding self". */
  broadcast(message: InterruptMessage, except?: ApicAgent): boolean {
    return this.#dispatch(
      this.#agents.filter((agent) => agent !== except && agent.isDestinationOf({ ...message, ...everyApic })),
      message,
    );
  }

  #dispatch(targets: readonly ApicAgent[], message: InterruptMessage): boolean {
    if (
      message.deliveryMode === DELIVERY_MODE.LOWEST_PRIORITY ||
      (message.redirectionHint === true && message.logical && message.deliveryMode === DELIVERY_MODE.FIXED)
    )
      return lowestPriority(targets)?.accept(message) ?? false;
    let accepted = false;
    for (const target of targets) if (target.accept(message)) accepted = true;
    return accepted;
  }

  /** A broadcast EOI: a local APIC has finished a level-triggered interrupt. */
  endOfInterrupt(vector: number): void {
    for (const listener of this.#listeners) listener.endOfInterrupt(vector);
  }

  /** SDM Vol. 3, "Message Signalled Interrupts": the 4-byte write of a device to 0xFEEx_xxxx. */
  send(address: number, value: number): void {
    if (!isMessageAddress(address)) {
      this.#strayWrite?.(address, value);
      return;
    }
    const levelTriggered = (value & (1 << 15)) !== 0;
    const asserted = (value & (1 << 14)) !== 0;
    if (levelTriggered && !asserted) return;
    this.deliver({
      destination: (address >>> 12) & 0xff,
      destinationBits: 8,
      logical: (address & (1 << 2)) !== 0,
      redirectionHint: (address & (1 << 3)) !== 0,
      deliveryMode: deliveryModeOf(value),
      vector: value & 0xff,
      levelTriggered,
    });
  }
}

const everyApic = { destination: 0xffff_ffff, destinationBits: 32, logical: false } as const;

const lowestPriority = (targets: readonly ApicAgent[]): ApicAgent | undefined => {
  let chosen: ApicAgent | undefined;
  for (const target of targets)
    if (
      target.acceptsVectors &&
      (chosen === undefined || target.arbitrationPriority < chosen.arbitrationPriority)
    )
      chosen = target;
  return chosen;
};
