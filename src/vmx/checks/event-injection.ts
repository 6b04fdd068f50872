import type { EntryFacts } from "../entry-facts.ts";
import { interruption } from "../interruption.ts";
import { type Check, hex, lowOf } from "./check.ts";

/** SDM Vol. 3, "VM-Entry Control Fields": the fields relevant to event injection must be consistent. */

const sdm = "VM-Entry Control Fields";

/** The field read as a number, and its parts. Types are those of `interruptionTypes`. */
const lowInformation = lowOf("control.entryInterruptionInformation");
export const injects = (facts: EntryFacts): boolean => (lowInformation(facts) & interruption.valid) !== 0;
export const injectedType = (facts: EntryFacts): number =>
  (lowInformation(facts) & interruption.type) >> interruption.typeShift;
export const injectedVector = (facts: EntryFacts): number => lowInformation(facts) & interruption.vector;

export const InterruptionType = {
  externalInterrupt: 0,
  reserved: 1,
  NMI: 2,
  hardwareException: 3,
  softwareInterrupt: 4,
  privilegedSoftwareException: 5,
  softwareException: 6,
  otherEvent: 7,
} as const;

/** #DF, #TS, #NP, #SS, #GP, #PF, #AC. */
const deliversErrorCode = new Set([8, 10, 11, 12, 13, 14, 17]);

const information = "control.entryInterruptionInformation";

const wantsErrorCode = (facts: EntryFacts): boolean | "either" => {
  if (injectedType(facts) !== InterruptionType.hardwareException) return false;
  // A guest in real-address mode, which needs "unrestricted guest", gets no error codes.
  if (facts.controls.unrestrictedGuest && (facts.vmcs.guest.cr0 & 1n) === 0n) return false;
  if (facts.capability.has("anyErrorCode")) return "either";
  return deliversErrorCode.has(injectedVector(facts));
};

const hasErrorCode = (facts: EntryFacts): boolean =>
  (lowInformation(facts) & interruption.deliverErrorCode) !== 0;

const isSoftware = (type: number): boolean =>
  type === InterruptionType.softwareInterrupt ||
  type === InterruptionType.privilegedSoftwareException ||
  type === InterruptionType.softwareException;

const lowLength = lowOf("control.entryInstructionLength");
const lowErrorCode = lowOf("control.entryExceptionErrorCode");

export const eventInjection: readonly Check[] = [
  {
    id: "injection-type",
    sdm,
    says: 'The type of an injected event must not be 1, nor 7 (other event) on processors without "monitor trap flag"',
    reads: [information],
    consults: [],
    holds: (facts) => {
      if (!injects(facts)) return true;
      const type = injectedType(facts);
      if (type === InterruptionType.otherEvent) return facts.capability.offers("monitorTrapFlag");
      return type !== InterruptionType.reserved;
    },
    hint: () => "use bits 10:8: 0 external interrupt, 2 NMI, 3 hardware exception, 4 to 6 software events",
  },
  {
    id: "injection-vector",
    sdm,
    says: "The vector of an injected event must fit its type: 2 of an NMI, at most 31 of a hardware exception, 0 of an other event",
    reads: [information],
    consults: [],
    holds: (facts) => {
      if (!injects(facts)) return true;
      const type = injectedType(facts);
      const vector = injectedVector(facts);
      if (type === InterruptionType.NMI) return vector === 2;
      if (type === InterruptionType.hardwareException) return vector <= 31;
      return type !== InterruptionType.otherEvent || vector === 0;
    },
    hint: (facts) =>
      injectedType(facts) === InterruptionType.NMI
        ? "the vector of an NMI is 2"
        : injectedType(facts) === InterruptionType.otherEvent
          ? "the vector of an other event is 0"
          : "exceptions have vectors 0 to 31; an interrupt's type is 0 (external) or 4 (software)",
  },
  {
    id: "injection-deliver-error-code",
    sdm,
    says: "An injected event must deliver an error code if and only if it is a hardware exception with one (#DF, #TS, #NP, #SS, #GP, #PF, #AC) in protected mode; with IA32_VMX_BASIC bit 56, any hardware exception in protected mode may",
    reads: [information, "guest.cr0"],
    bits: { "guest.cr0": 1 },
    consults: ["unrestrictedGuest"],
    holds: (facts) => {
      if (!injects(facts)) return true;
      const wants = wantsErrorCode(facts);
      return wants === "either" || wants === hasErrorCode(facts);
    },
    hint: (facts) =>
      hasErrorCode(facts)
        ? "clear bit 11: this event has no error code"
        : "set bit 11 and write the VM-entry exception error code",
  },
  {
    id: "injection-reserved",
    sdm,
    says: "Bits 30:12 of the VM-entry interruption information must be 0 if an event is injected",
    reads: [information],
    consults: [],
    holds: (facts) => !injects(facts) || (lowInformation(facts) & 0x7fff_f000) === 0,
    hint: (facts) => `clear them: ${hex((lowInformation(facts) & 0x8000_0fff) >>> 0)} would do`,
    allowed: () => ({ field: information, mustBe1: 0n, mustBe0: 0x7fff_f000n, from: "reserved bits" }),
  },
  {
    id: "injection-error-code-reserved",
    sdm,
    says: "Bits 31:16 of the VM-entry exception error code must be 0 if an injected event delivers it",
    reads: ["control.entryExceptionErrorCode", information],
    consults: [],
    holds: (facts) => !injects(facts) || !hasErrorCode(facts) || lowErrorCode(facts) >>> 16 === 0,
    hint: (facts) => `use ${hex(lowErrorCode(facts) & 0xffff)}`,
    allowed: () => ({
      field: "control.entryExceptionErrorCode",
      mustBe1: 0n,
      mustBe0: 0xffff_0000n,
      from: "reserved bits",
    }),
  },
  {
    id: "injection-length",
    sdm,
    says: "The VM-entry instruction length must be from 1 to 15 if a software event is injected; 0 too with IA32_VMX_MISC bit 30",
    reads: ["control.entryInstructionLength", information],
    consults: [],
    holds: (facts) => {
      if (!injects(facts) || !isSoftware(injectedType(facts))) return true;
      const length = lowLength(facts);
      return length <= 15 && (length > 0 || facts.capability.has("zeroLengthInjection"));
    },
    hint: () => "write the length of the INT n, INT1, INT3 or INTO, 1 to 15 bytes",
  },
];
