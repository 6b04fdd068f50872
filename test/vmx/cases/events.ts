import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import {
  type ConformanceCase,
  exception,
  exits,
  exitsAt,
  interruptionInformation,
  reachesHandler,
  reachesVmcall,
} from "../expectation.ts";

/** SDM Vol. 3, "Other Causes of VM Exits": interrupts, NMIs, windows, timer, monitor trap flag, task switches. */

const { guestCode, guestMemory } = vmxMemory;
/** A vector sent to itself through the local APIC's interrupt command register. */
const selfInterrupt = (vector: number): string =>
  `mov eax, 0xfee00000\n mov dword [rax + 0x300], 0x40000 + ${vector}\n nop\n nop`;
const INTERRUPTIBLE = { "guest.rflags": 0x202 };
const loop = "again: nop\n jmp again";

// biome-ignore format: one row per fact
export const events: readonly ConformanceCase[] = [
  // External interrupts: pending at entry, or sent by the guest.
  { name: "an interrupt that waits exits at entry, not acknowledged", on: ["externalInterruptExiting"], prepare: selfInterrupt(0x51), set: INTERRUPTIBLE, expect: [exits("EXTERNAL_INTERRUPT", { "exit.interruptionInformation": undefined, "guest.rip": undefined, interrupts: 0x51 })] },
  { name: "an interrupt that waits is acknowledged at the exit", on: ["externalInterruptExiting", "acknowledgeInterruptOnExit"], prepare: selfInterrupt(0x51), set: INTERRUPTIBLE, expect: [exits("EXTERNAL_INTERRUPT", { "exit.interruptionInformation": interruptionInformation(0x51, 0), "guest.rip": undefined, interrupts: undefined })] },
  { name: "an interrupt exits whatever RFLAGS.IF says", on: ["externalInterruptExiting"], prepare: selfInterrupt(0x51), expect: [exits("EXTERNAL_INTERRUPT", { interrupts: 0x51 })] },
  { name: "an interrupt is delivered to the guest without external-interrupt exiting", prepare: selfInterrupt(0x51), set: INTERRUPTIBLE, expect: [reachesHandler(0x51, { interrupts: undefined })] },
  { name: "an interrupt waits for RFLAGS.IF without external-interrupt exiting", prepare: selfInterrupt(0x51), expect: [reachesVmcall({ interrupts: 0x51 })] },
  { name: "an interrupt waits for the end of blocking by STI", prepare: selfInterrupt(0x51), set: { "guest.rflags": 0x202, "guest.interruptibility": 1 }, guest: "nop\n vmcall", expect: [reachesHandler(0x51, { "stack-40": guestCode + 1, "guest.interruptibility": 0 })] },
  { name: "an interrupt exit waits for the end of blocking by STI", on: ["externalInterruptExiting"], prepare: selfInterrupt(0x51), set: { "guest.rflags": 0x202, "guest.interruptibility": 1 }, guest: "nop\n vmcall", expect: [exits("EXTERNAL_INTERRUPT", { "guest.rip": guestCode + 1, "guest.interruptibility": 0 })] },
  { name: "an interrupt exit waits for the end of blocking by MOV SS", on: ["externalInterruptExiting"], prepare: selfInterrupt(0x51), set: { "guest.rflags": 0x202, "guest.interruptibility": 2 }, guest: "nop\n vmcall", expect: [exits("EXTERNAL_INTERRUPT", { "guest.rip": guestCode + 1, "guest.interruptibility": 0 })] },
  { name: "an interrupt wakes a halted guest that it exits from", on: ["externalInterruptExiting"], prepare: selfInterrupt(0x51), set: { "guest.rflags": 0x202, "guest.activity": 1 }, expect: [exits("EXTERNAL_INTERRUPT", { "guest.activity": undefined, "guest.rip": undefined })] },
  { name: "an interrupt wakes a halted guest that it is delivered to", prepare: selfInterrupt(0x51), set: { "guest.rflags": 0x202, "guest.activity": 1 }, expect: [reachesHandler(0x51, { "guest.activity": 0 })] },
  { name: "an interrupt does not wake a guest in shutdown", on: ["externalInterruptExiting"], prepare: selfInterrupt(0x51), set: { "guest.rflags": 0x202, "guest.activity": 2 }, expect: [exits("PREEMPTION_TIMER", { interrupts: 0x51 })] },
  { name: "an injected event comes before an interrupt that waits", on: ["externalInterruptExiting"], prepare: selfInterrupt(0x51), set: { "guest.rflags": 0x202, "control.entryInterruptionInformation": 0x8000_0306 }, expect: [exits("EXTERNAL_INTERRUPT", { "guest.rip": 0x20_1060, "stack-40": guestCode })] },
  { name: "an interrupt during the guest exits between instructions", on: ["externalInterruptExiting"], guest: `mov eax, 0xfee00000\n mov dword [rax + 0x300], 0x40052\n${loop}`, set: INTERRUPTIBLE, expect: [exits("EXTERNAL_INTERRUPT", { interrupts: 0x52 })] },
  { name: "two interrupts: the higher is acknowledged", on: ["externalInterruptExiting", "acknowledgeInterruptOnExit"], prepare: `${selfInterrupt(0x51)}\n${selfInterrupt(0x61)}`, set: INTERRUPTIBLE, expect: [exits("EXTERNAL_INTERRUPT", { "exit.interruptionInformation": interruptionInformation(0x61, 0), interrupts: 0x51 })] },

  // NMIs.
  { name: "an NMI exits", on: ["nmiExiting"], guest: `mov eax, 0xfee00000\n mov dword [rax + 0x300], 0x4400\n${loop}`, expect: [exits("EXCEPTION_OR_NMI", { "exit.interruptionInformation": interruptionInformation(2, 2), NMIs: undefined })] },
  { name: "an NMI is delivered without NMI exiting", guest: `mov eax, 0xfee00000\n mov dword [rax + 0x300], 0x4400\n${loop}`, expect: [reachesHandler(2, { "guest.interruptibility": 8, NMIs: undefined })] },
  { name: "an NMI is blocked by blocking by NMI", on: ["nmiExiting"], guest: `mov eax, 0xfee00000\n mov dword [rax + 0x300], 0x4400\n nop\n nop\n vmcall`, set: { "guest.interruptibility": 8 }, expect: [reachesVmcall({ NMIs: 1 })] },
  { name: "an NMI exits despite virtual-NMI blocking", on: ["nmiExiting", "virtualNMIs"], guest: `mov eax, 0xfee00000\n mov dword [rax + 0x300], 0x4400\n${loop}`, set: { "guest.interruptibility": 8 }, expect: [exits("EXCEPTION_OR_NMI", { "exit.interruptionInformation": interruptionInformation(2, 2), "guest.interruptibility": undefined })] },
  { name: "IRET ends virtual-NMI blocking", on: ["nmiExiting", "virtualNMIs"], guest: "push 0x10\n push rsp\n pushfq\n push 8\n push done\n iretq\ndone: vmcall", set: { "guest.interruptibility": 8 }, expect: [reachesVmcall({ "guest.interruptibility": 0 })] },
  { name: "IRET ends blocking by NMI without NMI exiting", guest: "push 0x10\n push rsp\n pushfq\n push 8\n push done\n iretq\ndone: vmcall", set: { "guest.interruptibility": 8 }, expect: [reachesVmcall({ "guest.interruptibility": 0 })] },
  { name: "IRET leaves blocking by NMI with NMI exiting", on: ["nmiExiting"], guest: "push 0x10\n push rsp\n pushfq\n push 8\n push done\n iretq\ndone: vmcall", set: { "guest.interruptibility": 8 }, expect: [reachesVmcall({ "guest.interruptibility": undefined })] },

  // Windows.
  { name: "an interrupt window is open at entry", on: ["interruptWindowExiting"], set: INTERRUPTIBLE, expect: [exits("INTERRUPT_WINDOW", { "guest.rip": undefined })] },
  { name: "an interrupt window opens after STI and one instruction", on: ["interruptWindowExiting"], guest: "sti\n nop\n vmcall", expect: [exits("INTERRUPT_WINDOW", { "guest.rip": guestCode + 2, "guest.rflags": 0x202 })] },
  { name: "an interrupt window opens after POPF", on: ["interruptWindowExiting"], guest: "push 0x202\n popfq\n vmcall", expect: [exits("INTERRUPT_WINDOW", { "guest.rip": guestCode + 6, "guest.rflags": 0x202 })] },
  { name: "an interrupt window opens after IRET", on: ["interruptWindowExiting"], guest: "push 0x10\n push rsp\n push 0x202\n push 8\n push done\n iretq\ndone: vmcall", expect: [exits("INTERRUPT_WINDOW", { "guest.rip": guestCode + 17, "guest.rflags": 0x202 })] },
  { name: "no interrupt window while blocking by MOV SS", on: ["interruptWindowExiting"], set: { "guest.rflags": 0x202, "guest.interruptibility": 2 }, guest: "nop\n vmcall", expect: [exits("INTERRUPT_WINDOW", { "guest.rip": guestCode + 1, "guest.interruptibility": 0 })] },
  { name: "an interrupt window ends HLT", on: ["interruptWindowExiting"], set: { "guest.rflags": 0x202, "guest.activity": 1 }, expect: [exits("INTERRUPT_WINDOW", { "guest.activity": undefined })] },
  { name: "an interrupt window after an injected interrupt: its handler has IF 0", on: ["interruptWindowExiting"], set: { "guest.rflags": 0x202, "control.entryInterruptionInformation": 0x8000_0050 }, expect: [reachesHandler(0x50)] },
  { name: "an interrupt window comes before an interrupt's exit", on: ["interruptWindowExiting", "externalInterruptExiting"], prepare: selfInterrupt(0x51), set: INTERRUPTIBLE, expect: [exits("INTERRUPT_WINDOW", { interrupts: 0x51 })] },
  { name: "an NMI window is open at entry", on: ["nmiExiting", "virtualNMIs", "nmiWindowExiting"], expect: [exits("NMI_WINDOW", { "guest.rip": undefined })] },
  { name: "an NMI window waits for the end of virtual-NMI blocking", on: ["nmiExiting", "virtualNMIs", "nmiWindowExiting"], set: { "guest.interruptibility": 8 }, expect: [reachesVmcall()] },
  { name: "an NMI window opens after IRET", on: ["nmiExiting", "virtualNMIs", "nmiWindowExiting"], set: { "guest.interruptibility": 8 }, guest: "push 0x10\n push rsp\n pushfq\n push 8\n push done\n iretq\ndone: vmcall", expect: [exits("NMI_WINDOW", { "guest.rip": guestCode + 13, "guest.interruptibility": 0 })] },
  { name: "an NMI window waits for the end of blocking by MOV SS", on: ["nmiExiting", "virtualNMIs", "nmiWindowExiting"], set: { "guest.interruptibility": 2 }, guest: "nop\n vmcall", expect: [exits("NMI_WINDOW", { "guest.rip": guestCode + 1 })] },
  { name: "an NMI window ends HLT", on: ["nmiExiting", "virtualNMIs", "nmiWindowExiting"], set: { "guest.activity": 1 }, expect: [exits("NMI_WINDOW", { "guest.activity": undefined })] },
  { name: "an NMI window comes before an interrupt window", on: ["nmiExiting", "virtualNMIs", "nmiWindowExiting", "interruptWindowExiting"], set: INTERRUPTIBLE, expect: [exits("NMI_WINDOW")] },

  // Preemption timer.
  { name: "the preemption timer ends a loop", guest: loop, expect: [exits("PREEMPTION_TIMER")] },
  { name: "a preemption timer of 0 exits before the first instruction", set: { "guest.vmxPreemptionTimer": 0 }, expect: [exits("PREEMPTION_TIMER", { "guest.rip": undefined })] },
  { name: "a preemption timer of 0 exits after the injected event", set: { "guest.vmxPreemptionTimer": 0, "control.entryInterruptionInformation": 0x8000_0306 }, expect: [exits("PREEMPTION_TIMER", { "guest.rip": 0x20_1060 })] },
  { name: "a preemption timer of 0 comes after pending debug exceptions", set: { "guest.vmxPreemptionTimer": 0, "guest.pendingDebugExceptions": 0x1001, "control.exceptionBitmap": 2 }, expect: [exception(1, undefined, { "exit.qualification": 1 })] },
  { name: "a preemption timer of 0 comes before an NMI window", set: { "guest.vmxPreemptionTimer": 0 }, on: ["nmiExiting", "virtualNMIs", "nmiWindowExiting"], expect: [exits("PREEMPTION_TIMER")] },
  { name: "a preemption timer of 0 comes before an interrupt", set: { "guest.vmxPreemptionTimer": 0, ...INTERRUPTIBLE }, on: ["externalInterruptExiting"], prepare: selfInterrupt(0x51), expect: [exits("PREEMPTION_TIMER", { interrupts: 0x51 })] },
  { name: "the preemption timer is not blocked by STI", set: { "guest.vmxPreemptionTimer": 0, "guest.rflags": 0x202, "guest.interruptibility": 1 }, expect: [exits("PREEMPTION_TIMER", { "guest.rip": undefined, "guest.interruptibility": undefined })] },
  { name: "the preemption timer's value is saved: 0 after it ran out", on: ["savePreemptionTimer"], guest: loop, expect: [exits("PREEMPTION_TIMER", { "guest.vmxPreemptionTimer": 0 })] },
  { name: "the preemption timer's value is not saved without the control", guest: loop, expect: [exits("PREEMPTION_TIMER", { "guest.vmxPreemptionTimer": undefined })] },
  { name: "without the preemption timer a loop goes on to its end", off: ["activatePreemptionTimer"], set: { "guest.vmxPreemptionTimer": 0 }, guest: "mov ecx, 1000\nagain: dec ecx\n jnz again\n vmcall", expect: [reachesVmcall()] },

  // Monitor trap flag.
  { name: "the monitor trap flag exits after one instruction", on: ["monitorTrapFlag"], guest: "nop\n nop\n nop", expect: [exits("MONITOR_TRAP_FLAG", { "guest.rip": guestCode + 1 })] },
  { name: "the monitor trap flag exits before the first instruction after an injected event", on: ["monitorTrapFlag"], set: { "control.entryInterruptionInformation": 0x8000_0306 }, expect: [exits("MONITOR_TRAP_FLAG", { "guest.rip": 0x20_1060 })] },
  { name: "the monitor trap flag exits after the delivery of a fault", on: ["monitorTrapFlag"], guest: "ud2", expect: [exits("MONITOR_TRAP_FLAG", { "guest.rip": 0x20_1060 })] },
  { name: "an instruction that exits comes before the monitor trap flag", on: ["monitorTrapFlag"], guest: "cpuid", expect: [exitsAt("CPUID", 2)] },
  { name: "the monitor trap flag after INT n", on: ["monitorTrapFlag"], guest: "int 0x50", expect: [exits("MONITOR_TRAP_FLAG", { "guest.rip": 0x20_1500 })] },
  { name: "the monitor trap flag after MOV SS", on: ["monitorTrapFlag"], guest: "mov ss, ecx\n nop", registers: { 1: 0x10 }, expect: [exits("MONITOR_TRAP_FLAG", { "guest.rip": guestCode + 2, "guest.interruptibility": 2 })] },
  { name: "the monitor trap flag between the iterations of REP", on: ["monitorTrapFlag"], guest: "rep stosb\n nop", registers: { 1: 3, 7: guestMemory }, expect: [exits("MONITOR_TRAP_FLAG", { "guest.rip": undefined, RCX: 2 })] },
  { name: "steps by the monitor trap flag", on: ["monitorTrapFlag"], guest: "nop\n inc eax\n nop\n vmcall", entries: 4, advance: false, expect: [exits("MONITOR_TRAP_FLAG", { "guest.rip": guestCode + 1 }), exits("MONITOR_TRAP_FLAG", { "exit.reason": undefined, "guest.rip": guestCode + 3 }), exits("MONITOR_TRAP_FLAG", { "exit.reason": undefined, "guest.rip": guestCode + 4 }), exits("VMCALL", { "guest.rip": undefined })] },

  // Task switches.
  { name: "JMP to a TSS exits", mode: "32-bit", guest: "jmp 0x60:0", expect: [exitsAt("TASK_SWITCH", 7, 0x8000_0060)] },
  { name: "CALL to a TSS exits", mode: "32-bit", guest: "call 0x60:0", expect: [exitsAt("TASK_SWITCH", 7, 0x0000_0060)] },
  { name: "JMP to a task gate exits", mode: "32-bit", guest: "jmp 0x68:0", expect: [exitsAt("TASK_SWITCH", 7, 0x8000_0060)] },
  { name: "IRET with NT exits", mode: "32-bit", guest: "mov dword [0x202400], 0x60\n mov byte [0x202065], 0x8b\n iretd", set: { "guest.rflags": 0x4002 }, expect: [exitsAt("TASK_SWITCH", 1, 0x4000_0060)] },
  { name: "INT n to a task gate exits", mode: "32-bit", guest: "int 0x20", expect: [exitsAt("TASK_SWITCH", 2, 0xc000_0060, { "exit.idtVectoringInformation": interruptionInformation(0x20, 4) })] },
  { name: "an injected interrupt to a task gate exits", mode: "32-bit", set: { "guest.rflags": 0x202, "control.entryInterruptionInformation": 0x8000_0020 }, expect: [exits("TASK_SWITCH", { "exit.qualification": 0xc000_0060, "exit.idtVectoringInformation": interruptionInformation(0x20, 0) })] },
  { name: "JMP to a busy TSS is #GP before the exit", mode: "32-bit", guest: "jmp 0x58:0", set: { "control.exceptionBitmap": 0x2000 }, expect: [exception(13, 0x58)] },
  { name: "JMP to a TSS that is not present is #NP before the exit", mode: "32-bit", guest: "mov byte [0x202065], 9\n jmp 0x60:0", set: { "control.exceptionBitmap": 0x800 }, expect: [exception(11, 0x60)] },
  { name: "JMP to a TSS whose limit is too small is #TS before the exit", mode: "32-bit", guest: "mov word [0x202060], 0x20\n jmp 0x60:0", set: { "control.exceptionBitmap": 0x400 }, expect: [exception(10, 0x60)] },
];
