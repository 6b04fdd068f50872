import type { Report } from "../../src/guests/vmx-report.ts";

/**
 * Where Bochs 2.7 and this machine differ, and which row of docs/QUIRKS.md ("VT-x beside Bochs") says why. A row
 * explains single values, so that it hides nothing else.
 */
export interface Difference {
  /** First cell of the row in docs/QUIRKS.md. */
  readonly quirk: string;
  /** Names of cases; absent: all, as far as `when` goes. */
  readonly cases?: readonly string[];
  /** What may differ; absent: everything. */
  readonly names?: readonly string[];
  readonly when?: (ours: Report | undefined, bochs: Report | undefined, name: string) => boolean;
}

const value = (report: Report | undefined, name: string): bigint => report?.changes.get(name) ?? 0n;
const reasonOf = (report: Report | undefined): bigint => value(report, "exit.reason");
const isFailedEntry = (report: Report | undefined): boolean => (reasonOf(report) & 0x8000_0000n) !== 0n;
const RF = 0x1_0000n;
const sameBut =
  (bits: bigint) =>
  (ours: Report | undefined, bochs: Report | undefined, name: string): boolean =>
    ((value(ours, name) ^ value(bochs, name)) & ~bits) === 0n;
/** A value that did not change is not reported: one that has RF, beside what was there before. */
const sameButRF = (ours: Report | undefined, bochs: Report | undefined, name: string): boolean => {
  const [first, second] = [value(ours, name), value(bochs, name)];
  if (first === 0n || second === 0n) return ((first | second) & RF) !== 0n;
  return ((first ^ second) & ~RF) === 0n;
};
const reasonIs =
  (...reasons: number[]) =>
  (ours: Report | undefined): boolean =>
    reasons.includes(Number(reasonOf(ours)));

// biome-ignore format: one row per fact
export const differences: readonly Difference[] = [
  // What is written on every exit of some kind.
  { quirk: "failed VM entry", names: ["exit.instructionLength"], when: (ours, bochs) => isFailedEntry(ours) && (isFailedEntry(bochs) || reasonOf(bochs) === 18n) },
  { quirk: "RFLAGS.RF that a fault's VM exit saves", names: ["guest.rflags", "stack-24"], when: sameButRF },
  { quirk: "RFLAGS.RF that a fault's VM exit saves", names: ["guest.rflags"], cases: ["RF of the entry stays for a fault"] },
  { quirk: "EPT violation, bits 11:9", names: ["exit.qualification", "watch1"], when: sameBut(0xe00n) },
  { quirk: "CS of a guest in real-address mode", names: ["guest.cs.access"], when: (ours, bochs) => value(ours, "guest.cs.access") === 0n && value(bochs, "guest.cs.access") === 0x93n },
  { quirk: "preemption timer", names: ["guest.rip", "guest.vmxPreemptionTimer"], when: (ours, bochs) => reasonIs(52)(ours) && reasonIs(52)(bochs) },
  { quirk: "preemption timer", cases: ["enters: 64-bit with activatePreemptionTimer, savePreemptionTimer", "savePreemptionTimer is 1"], names: ["guest.vmxPreemptionTimer"] },

  // What Bochs's model of a processor lacks.
  { quirk: "controls that Bochs's model lacks", when: (_ours, bochs) => bochs?.kind === "U" },
  { quirk: "controls that Bochs's model lacks", cases: [
    "mode-based execute: a fetch from a user-mode page needs bit 10", "processPostedInterrupts is 1", "modeBasedExecuteControl is 1",
    "enters: 64-bit with externalInterruptExiting, processPostedInterrupts, useTPRShadow, activateSecondaryControls, virtualInterruptDelivery, acknowledgeInterruptOnExit",
  ] },
  { quirk: "MSRs that do not exist", cases: ["rdmsr of no MSR is #GP when its bit is 0", "VM entry cannot load an MSR that does not exist"] },
  { quirk: "where Bochs stops", cases: ["VMCALL in root operation: error 1", "the VM-instruction error field keeps the last error", "APIC access: a fetch"] },

  // Checks of VM entry.
  { quirk: "entry to SMM", cases: ["violates smm-controls-outside-smm", "violates guest-activity-smm", "violates guest-smi-blocking-entry-to-smm"] },
  { quirk: "IA32_PERF_GLOBAL_CTRL", cases: ["violates host-perf-global-ctrl", "violates guest-perf-global-ctrl"] },
  { quirk: "IA32_DEBUGCTL", cases: ["violates guest-debugctl"] },
  { quirk: "canonical guest RIP", cases: ["violates guest-rip-64"] },
  { quirk: "RFLAGS.VM without CR0.PE", cases: ["violates guest-rflags-vm"] },
  { quirk: "NMI injection while blocking by STI", cases: ["violates guest-sti-blocking-nmi"] },
  { quirk: "NMI injection while virtual NMIs are blocked", cases: ["violates guest-nmi-blocking-nmi"] },
  { quirk: "pending debug exceptions, BS", cases: ["violates guest-pending-bs-set", "violates guest-pending-bs-clear"] },
  { quirk: "event injection into HLT", cases: ["enter HLT with an exception other than #DB or #MC injected: entry fails"] },
  { quirk: "VM entry with a shadow VMCS", cases: ["VMLAUNCH of a shadow VMCS: VMfailInvalid or error"] },

  // Events and exits.
  { quirk: "REP OUTS and INS with a count of 0", cases: ["rep outsb with RCX 0 executes nothing, so nothing exits"] },
  { quirk: "single-stepped instruction that exits", cases: ["a VMCALL that is single-stepped exits first"], names: ["guest.pendingDebugExceptions"] },
  { quirk: "error code in real-address mode", cases: ["an exception of a real-mode guest exits without error code"], names: ["exit.interruptionInformation"] },
  { quirk: "NMI injected with NMI exiting alone", cases: ["inject an NMI with NMI exiting: no exit"], names: ["guest.interruptibility"] },
  { quirk: "IRET with NMI exiting alone", cases: ["IRET that faults without virtual NMIs"], names: ["exit.interruptionInformation"] },
  { quirk: "software interrupt into virtual-8086 mode", cases: ["inject a software interrupt into virtual-8086 mode with IOPL 0: no #GP"] },
  { quirk: "pending debug exception and HLT", cases: ["enter HLT with a pending debug exception"] },
  { quirk: "activity state HLT after an event's exit", names: ["guest.activity"], cases: ["enter HLT with a monitor trap flag injected", "an interrupt wakes a halted guest that it exits from", "an NMI window ends HLT"] },
  { quirk: "external interrupt with RFLAGS.IF 0", cases: ["an interrupt exits whatever RFLAGS.IF says"] },
  { quirk: "shutdown state and RFLAGS.IF", cases: ["an interrupt does not wake a guest in shutdown"], names: ["guest.rflags"] },
  { quirk: "blocking by NMI that an NMI's exit saves", cases: ["an NMI exits"], names: ["guest.interruptibility"] },
  { quirk: "first instruction of an NMI's handler", cases: ["an NMI is delivered without NMI exiting"], names: ["guest.rip", "exit.instructionLength"] },
  { quirk: "interrupt window and HLT", cases: ["an interrupt window ends HLT", "a virtual interrupt wakes a halted guest"] },
  { quirk: "preemption timer and blocking by STI", cases: ["the preemption timer is not blocked by STI"] },
  { quirk: "monitor trap flag", cases: [
    "the monitor trap flag exits after one instruction", "the monitor trap flag exits before the first instruction after an injected event",
    "the monitor trap flag exits after the delivery of a fault", "the monitor trap flag after INT n", "the monitor trap flag after MOV SS",
    "the monitor trap flag between the iterations of REP", "steps by the monitor trap flag", "monitorTrapFlag is 1",
  ] },

  // EPT.
  { quirk: "guest linear address of EPT misconfigurations", names: ["exit.guestLinearAddress"], when: reasonIs(49) },
  { quirk: "accessed flag in a read-only table under EPT", cases: ["EPT violation: an accessed flag in a read-only table is a write"] },
  { quirk: "accessed and dirty flags of EPT: guest tables", cases: ["EPT violation with accessed and dirty flags: a table is read and written"], names: ["exit.qualification"] },
  { quirk: "EPT entries of 2-MByte pages, low address bits", cases: ["EPT misconfiguration: low address bits of a 2-MByte page"] },
  { quirk: "VM-instruction error of a shadowed VMREAD", cases: ["VMCS shadowing: no field: VMfailValid"], names: ["exit.vmInstructionError", "RCX"] },
];
