import type { Event, EventType } from "../cpu/fault.ts";

/**
 * The format that four fields share: VM-entry and VM-exit interruption information, IDT-vectoring information, and what a dump
 * shows of them (SDM Vol. 3, "VM-Entry Controls for Event Injection", Table "Format of the VM-Entry Interruption-Information Field").
 */
export const interruption = {
  vector: 0xff,
  typeShift: 8,
  type: 7 << 8,
  deliverErrorCode: 1 << 11,
  /** VM-exit interruption information only. */
  nmiUnblocking: 1 << 12,
  valid: 0x8000_0000,
} as const;

/** Interruption types by number; "other event" is injection of a pending monitor trap flag VM exit. */
export const interruptionTypes: readonly (EventType | "reserved" | "other event")[] = [
  "external interrupt",
  "reserved",
  "NMI",
  "hardware exception",
  "software interrupt",
  "privileged software exception",
  "software exception",
  "other event",
];

const numberOf = new Map(interruptionTypes.map((name, number) => [name, number]));

/** An event in that format. */
export const interruptionOf = ({ type, vector, errorCode }: Event): number =>
  (interruption.valid |
    (numberOf.get(type)! << interruption.typeShift) |
    (errorCode === undefined ? 0 : interruption.deliverErrorCode) |
    vector) >>>
  0;
