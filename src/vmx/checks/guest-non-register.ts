import { IA32_DEBUGCTL, pendingDebug } from "../../arch/debug-registers.ts";
import { access } from "../../arch/descriptors.ts";
import { RFLAGS } from "../../arch/flags.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { beyondWidth, bitList, bitsOf, type Check, hex, lowOf } from "./check.ts";
import { InterruptionType, injectedType, injectedVector, injects } from "./event-injection.ts";

/** SDM Vol. 3, "Checks on Guest Non-Register State", in its order. */

const sdm = "Checks on Guest Non-Register State";
const information = "control.entryInterruptionInformation";

const Activity = { active: 0, HLT: 1, shutdown: 2, waitForSIPI: 3 } as const;
/** Interruptibility state. */
const Blocking = { STI: 1, movSS: 2, SMI: 4, NMI: 8, enclave: 16, defined: 31 } as const;

const activity = lowOf("guest.activity");
const interruptibility = lowOf("guest.interruptibility");
const ssRights = lowOf("guest.ss.access");
const flags = lowOf("guest.rflags");
const debugctl = lowOf("guest.ia32Debugctl");
const IF = Number(RFLAGS.IF);
const TF = Number(RFLAGS.TF);
const BTF = Number(IA32_DEBUGCTL.BTF);

/** An event that the activity state would not block (#DB 1, #MC 18). */
const wakesFrom = (state: number, type: number, vector: number): boolean => {
  const exception = type === InterruptionType.hardwareException;
  switch (state) {
    case Activity.active:
      return true;
    case Activity.HLT:
      return (
        type === InterruptionType.externalInterrupt ||
        type === InterruptionType.NMI ||
        (exception && (vector === 1 || vector === 18)) ||
        (type === InterruptionType.otherEvent && vector === 0)
      );
    case Activity.shutdown:
      return type === InterruptionType.NMI || (exception && vector === 18);
    default:
      return false;
  }
};

const activityState: readonly Check[] = [
  {
    id: "guest-activity",
    sdm,
    says: "The activity state must be one that the processor supports, from 0 to 3",
    reads: ["guest.activity"],
    consults: [],
    holds: (facts) => {
      const state = activity(facts);
      const { capability } = facts;
      return (
        state === Activity.active ||
        (state === Activity.HLT && capability.has("hltState")) ||
        (state === Activity.shutdown && capability.has("shutdownState")) ||
        (state === Activity.waitForSIPI && capability.has("waitForSIPIState"))
      );
    },
    hint: () => "use 0 (active); bits 8:6 of IA32_VMX_MISC report 1 (HLT), 2 (shutdown), 3 (wait-for-SIPI)",
  },
  {
    id: "guest-activity-hlt-dpl",
    sdm,
    says: "The activity state must not be HLT if the DPL of guest SS is not 0",
    reads: ["guest.activity", "guest.ss.access"],
    bits: { "guest.ss.access": access.DPL },
    consults: [],
    holds: (facts) => activity(facts) !== Activity.HLT || (ssRights(facts) & access.DPL) === 0,
    hint: () => "HLT is an instruction of privilege level 0: use activity state 0",
  },
  {
    id: "guest-activity-blocking",
    sdm,
    says: "The activity state must be active if there is blocking by STI or by MOV SS",
    reads: ["guest.activity", "guest.interruptibility"],
    consults: [],
    holds: (facts) =>
      activity(facts) === Activity.active ||
      (interruptibility(facts) & (Blocking.STI | Blocking.movSS)) === 0,
    hint: () => "clear bits 0 and 1 of the interruptibility state: the HLT ended that blocking",
  },
  {
    id: "guest-activity-injection",
    sdm,
    says: "An injected event must not be one that the activity state blocks",
    reads: ["guest.activity", information],
    consults: [],
    holds: (facts) => {
      const state = activity(facts);
      return (
        state === Activity.active ||
        !injects(facts) ||
        wakesFrom(state, injectedType(facts), injectedVector(facts))
      );
    },
    hint: () => "make the activity state active (0) before the event is injected",
  },
  {
    id: "guest-activity-smm",
    sdm,
    says: 'The activity state must not be wait-for-SIPI if "entry to SMM" is 1',
    reads: ["guest.activity"],
    consults: ["entryToSMM"],
    holds: (facts) => !facts.controls.entryToSMM || activity(facts) !== Activity.waitForSIPI,
    hint: () => "use another activity state",
  },
];

const blocked = (
  id: string,
  says: string,
  mask: number,
  type: number,
  hint: string,
  more: Partial<Check> = {},
): Check => ({
  id,
  sdm,
  says,
  reads: ["guest.interruptibility", information],
  consults: [],
  holds: (facts) => (interruptibility(facts) & mask) === 0 || !injects(facts) || injectedType(facts) !== type,
  hint: () => hint,
  ...more,
});

const interruptibilityState: readonly Check[] = [
  {
    id: "guest-interruptibility-reserved",
    sdm,
    says: "Bits 31:5 of the interruptibility state must be 0",
    reads: ["guest.interruptibility"],
    consults: [],
    holds: (facts) => (interruptibility(facts) & ~Blocking.defined) === 0,
    hint: (facts) => `clear them: ${hex(interruptibility(facts) & Blocking.defined)}`,
    allowed: () => ({
      field: "guest.interruptibility",
      mustBe1: 0n,
      mustBe0: 0xffff_ffe0n,
      from: "reserved bits",
    }),
  },
  {
    id: "guest-interruptibility-both",
    sdm,
    says: "Blocking by STI (bit 0) and by MOV SS (bit 1) must not both be 1",
    reads: ["guest.interruptibility"],
    consults: [],
    holds: (facts) => (interruptibility(facts) & 3) !== 3,
    hint: () => "keep the one of the last instruction",
  },
  {
    id: "guest-sti-blocking-if",
    sdm,
    says: "Blocking by STI (bit 0) must be 0 if RFLAGS.IF is 0",
    reads: ["guest.interruptibility", "guest.rflags"],
    bits: { "guest.rflags": IF },
    consults: [],
    holds: (facts) => (interruptibility(facts) & Blocking.STI) === 0 || (flags(facts) & IF) !== 0,
    hint: () => "clear bit 0 of the interruptibility state, or set RFLAGS.IF (bit 9)",
  },
  blocked(
    "guest-blocking-external-interrupt",
    "Blocking by STI and by MOV SS (bits 0 and 1) must be 0 if an external interrupt is injected",
    Blocking.STI | Blocking.movSS,
    InterruptionType.externalInterrupt,
    "wait for the end of the blocking (interrupt-window exiting) before the interrupt is injected",
  ),
  blocked(
    "guest-mov-ss-blocking-nmi",
    "Blocking by MOV SS (bit 1) must be 0 if an NMI is injected",
    Blocking.movSS,
    InterruptionType.NMI,
    "wait for the end of the blocking (NMI-window exiting) before the NMI is injected",
  ),
  {
    id: "guest-smi-blocking-outside-smm",
    sdm,
    says: "Blocking by SMI (bit 2) must be 0 if the processor is not in SMM",
    reads: ["guest.interruptibility"],
    consults: [],
    holds: (facts) => facts.cpu.inSMM || (interruptibility(facts) & Blocking.SMI) === 0,
    hint: () => "clear bit 2 of the interruptibility state",
  },
  {
    id: "guest-smi-blocking-entry-to-smm",
    sdm,
    says: 'Blocking by SMI (bit 2) must be 1 if "entry to SMM" is 1',
    reads: ["guest.interruptibility"],
    consults: ["entryToSMM"],
    holds: (facts) => !facts.controls.entryToSMM || (interruptibility(facts) & Blocking.SMI) !== 0,
    hint: () => "set bit 2 of the interruptibility state",
  },
  blocked(
    "guest-sti-blocking-nmi",
    "Blocking by STI (bit 0) must be 0 if an NMI is injected (a processor may require it, this one does)",
    Blocking.STI,
    InterruptionType.NMI,
    "wait for the end of the blocking (NMI-window exiting) before the NMI is injected",
    { qualification: 3 },
  ),
  {
    ...blocked(
      "guest-nmi-blocking-nmi",
      'Blocking by NMI (bit 3) must be 0 if an NMI is injected and "virtual NMIs" is 1',
      Blocking.NMI,
      InterruptionType.NMI,
      "wait until the guest's IRET ends the blocking (NMI-window exiting)",
    ),
    consults: ["virtualNMIs"],
    holds: (facts) =>
      (interruptibility(facts) & Blocking.NMI) === 0 ||
      !facts.controls.virtualNMIs ||
      !injects(facts) ||
      injectedType(facts) !== InterruptionType.NMI,
  },
  {
    id: "guest-enclave-interruption",
    sdm,
    says: "If enclave interruption (bit 4) is 1, blocking by MOV SS must be 0 and the processor must support SGX",
    reads: ["guest.interruptibility"],
    consults: [],
    holds: (facts) =>
      (interruptibility(facts) & Blocking.enclave) === 0 ||
      ((interruptibility(facts) & Blocking.movSS) === 0 && facts.cpu.has("SGX")),
    hint: () => "clear bit 4 of the interruptibility state",
  },
];

const pending = bitsOf("guest.pendingDebugExceptions");
const lowPending = lowOf("guest.pendingDebugExceptions");
const RTM = 1 << 16;
const pendingReserved = 0xffff_ffff_fffe_aff0n;

/** Single steps may be pending: there is blocking, or the guest halts. */
const stepsMayPend = (facts: EntryFacts): boolean =>
  (interruptibility(facts) & (Blocking.STI | Blocking.movSS)) !== 0 || activity(facts) === Activity.HLT;
const singleSteps = (facts: EntryFacts): boolean =>
  (flags(facts) & TF) !== 0 && (debugctl(facts) & BTF) === 0;
const readsOfSteps: readonly VmcsFieldName[] = [
  "guest.pendingDebugExceptions",
  "guest.interruptibility",
  "guest.activity",
  "guest.rflags",
  "guest.ia32Debugctl",
];

const pendingDebugExceptions: readonly Check[] = [
  {
    id: "guest-pending-debug-reserved",
    sdm,
    says: "Bits 63:17, 15, 13 and 11:4 of the pending debug exceptions must be 0",
    reads: ["guest.pendingDebugExceptions"],
    consults: [],
    holds: (facts) => (pending(facts) & pendingReserved) === 0n,
    hint: (facts) =>
      `clear ${bitList(pending(facts) & pendingReserved)}: ${hex(pending(facts) & ~pendingReserved)} would do`,
    allowed: () => ({
      field: "guest.pendingDebugExceptions",
      mustBe1: 0n,
      mustBe0: pendingReserved,
      from: "reserved bits",
    }),
  },
  {
    id: "guest-pending-bs-set",
    sdm,
    says: "With blocking by STI or MOV SS, or in HLT, BS (bit 14) must be 1 if RFLAGS.TF is 1 and IA32_DEBUGCTL.BTF is 0",
    reads: readsOfSteps,
    bits: { "guest.rflags": TF },
    consults: [],
    holds: (facts) =>
      !stepsMayPend(facts) || !singleSteps(facts) || (lowPending(facts) & pendingDebug.BS) !== 0,
    hint: () => "set bit 14: the single step of the last instruction is still to come",
  },
  {
    id: "guest-pending-bs-clear",
    sdm,
    says: "With blocking by STI or MOV SS, or in HLT, BS (bit 14) must be 0 if RFLAGS.TF is 0 or IA32_DEBUGCTL.BTF is 1",
    reads: readsOfSteps,
    bits: { "guest.rflags": TF },
    consults: [],
    holds: (facts) =>
      !stepsMayPend(facts) || singleSteps(facts) || (lowPending(facts) & pendingDebug.BS) === 0,
    hint: () => "clear bit 14: no single step is pending",
  },
  {
    id: "guest-pending-rtm",
    sdm,
    says: "If RTM (bit 16) is 1, bits 63:17, 15:13 and 11:0 must be 0, bit 12 must be 1, there must be no blocking by MOV SS, and the processor must support RTM",
    reads: ["guest.pendingDebugExceptions", "guest.interruptibility"],
    consults: [],
    holds: (facts) =>
      (lowPending(facts) & RTM) === 0 ||
      (pending(facts) === BigInt(RTM | pendingDebug.enabledBreakpoint) &&
        (interruptibility(facts) & Blocking.movSS) === 0 &&
        facts.cpu.has("RTM")),
    hint: () => "clear bit 16",
  },
];

const link = bitsOf("guest.vmcsLinkPointer");
const noLink = 0xffff_ffff_ffff_ffffn;
const linkRule = (
  id: string,
  says: string,
  holds: (pointer: bigint, facts: EntryFacts) => boolean,
  hint: string,
  consults: Check["consults"] = [],
): Check => ({
  id,
  sdm,
  says: `${says}, unless the pointer is FFFFFFFF_FFFFFFFFH`,
  reads: ["guest.vmcsLinkPointer"],
  consults,
  holds: (facts) => {
    const pointer = link(facts);
    return pointer === noLink || holds(pointer, facts);
  },
  hint: (facts) =>
    facts.controls.vmcsShadowing
      ? hint
      : "write 0xffffffffffffffff: without VMCS shadowing nothing is linked",
  qualification: 4,
});

/** Not an address at all: what lies there cannot be looked at. */
const isNoAddress = (pointer: bigint, facts: EntryFacts): boolean =>
  (pointer & 0xfffn) !== 0n || beyondWidth(facts, pointer) !== 0n;

const linkPointer: readonly Check[] = [
  linkRule(
    "link-pointer-aligned",
    "Bits 11:0 of the VMCS link pointer must be 0",
    (pointer) => (pointer & 0xfffn) === 0n,
    "give the physical address of a 4-KByte VMCS region",
  ),
  linkRule(
    "link-pointer-width",
    "The VMCS link pointer must not set bits beyond the physical-address width",
    (pointer, facts) => beyondWidth(facts, pointer) === 0n,
    "give the physical address of a 4-KByte VMCS region",
  ),
  linkRule(
    "link-pointer-revision",
    "The VMCS that the link pointer references must have the processor's revision identifier in bits 30:0",
    (pointer, facts) =>
      isNoAddress(pointer, facts) || (facts.read32(pointer) & 0x7fff_ffff) === facts.capability.revision,
    "write bits 30:0 of IA32_VMX_BASIC to the first 4 bytes of the region",
  ),
  linkRule(
    "link-pointer-shadow",
    'Bit 31 of the VMCS that the link pointer references (shadow-VMCS indicator) must equal "VMCS shadowing"',
    (pointer, facts) =>
      isNoAddress(pointer, facts) || facts.read32(pointer) >>> 31 === (facts.controls.vmcsShadowing ? 1 : 0),
    "set bit 31 of the first 4 bytes of the region: it must be a shadow VMCS",
    ["vmcsShadowing"],
  ),
  linkRule(
    "link-pointer-current",
    "The VMCS link pointer must not be the current-VMCS pointer",
    (pointer, facts) => pointer !== facts.currentVmcs,
    "link another VMCS",
  ),
];

export const guestNonRegisterState: readonly Check[] = [
  ...activityState,
  ...interruptibilityState,
  ...pendingDebugExceptions,
  ...linkPointer,
];
