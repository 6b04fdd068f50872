/** Interruption types of SDM Vol. 3, "Event Injection"; INT n is a software interrupt, INT3 and INTO software exceptions, INT1 the privileged one. */
export type EventType =
  | "external interrupt"
  | "NMI"
  | "hardware exception"
  | "software interrupt"
  | "privileged software exception"
  | "software exception";

/** An interrupt or exception to be delivered through the IDT. */
export interface Event {
  readonly type: EventType;
  readonly vector: number;
  readonly errorCode?: number | undefined;
  /** New CR2 for #PF; DR6 bits for #DB. */
  readonly payload?: bigint | undefined;
  /** Pushed instruction pointer; state.RIP when absent. */
  readonly returnRip?: bigint;
  /** Taken between two iterations of a repeated string instruction: RF is set in the pushed image. */
  readonly midRepeat?: boolean;
  /** Bytes of the instruction of a software interrupt or exception. */
  readonly instructionLength?: number;
  /** Injected by VM entry: it does not cause a VM exit by itself. */
  readonly injected?: boolean;
  /** An NMI whose delivery does not block further ones. */
  readonly leavesNmisUnblocked?: boolean;
}

/** An exception or trap on its way to the guest: the value that stands for it. */
export class Fault {
  readonly vector: number;
  /** Pushed only when present. */
  readonly errorCode: number | undefined;
  /** New CR2 for #PF; DR6 bits for #DB. */
  readonly payload: bigint | undefined;
  /** The software interrupt or exception whose delivery raised it. */
  during: Event | undefined;
  constructor(vector: number, errorCode?: number, payload?: bigint) {
    this.vector = vector;
    this.errorCode = errorCode;
    this.payload = payload;
    this.during = undefined;
  }
}
