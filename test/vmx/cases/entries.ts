import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import {
  type ConformanceCase,
  entryFailure,
  exception,
  exits,
  failsValid,
  reachesHandler,
  reachesLowHandler,
  reachesVmcall,
} from "../expectation.ts";

/** SDM Vol. 3, "Loading Guest State", "Event Injection", "Special Features of VM Entry". */

const { guestCode, guestStack, guestPageTable } = vmxMemory;
const VALID = 0x8000_0000;
const ERROR_CODE = 0x800;
const inject = (vector: number, type: number, more = 0): number => VALID + more + type * 0x100 + vector;
const info = "control.entryInterruptionInformation";
/** VM exits clear the valid bit, failed entries do not. */
const injected = (value: number): Record<string, number> => ({ [info]: value - VALID });
const top = guestStack + 0xf00;
const IDT_PAGE_GONE = { [guestPageTable + 3 * 8]: 0 };

// biome-ignore format: one row per fact
export const entries: readonly ConformanceCase[] = [
  // Modes.
  { name: "enter 64-bit mode", expect: [reachesVmcall()] },
  { name: "enter compatibility mode", mode: "compatibility", expect: [reachesVmcall()] },
  { name: "enter protected mode with 32-bit paging", mode: "32-bit", expect: [reachesVmcall()] },
  { name: "enter protected mode with PAE paging", mode: "PAE", expect: [reachesVmcall()] },
  { name: "enter protected mode with PAE paging under EPT", mode: "PAE", on: ["enableEPT"], expect: [reachesVmcall()] },
  { name: "enter protected mode without paging", mode: "unpaged", expect: [reachesVmcall()] },
  { name: "enter real-address mode", mode: "real", expect: [reachesVmcall()] },
  { name: "enter virtual-8086 mode", mode: "virtual-8086", expect: [reachesVmcall()] },
  { name: "enter 64-bit mode at CPL 3", mode: "64-bit user", expect: [reachesVmcall()] },
  { name: "enter protected mode at CPL 3", mode: "32-bit user", expect: [reachesVmcall()] },
  { name: "enter 64-bit mode under EPT", on: ["enableEPT"], expect: [reachesVmcall()] },
  { name: "enter 64-bit mode with a VPID", on: ["enableVPID"], expect: [reachesVmcall()] },
  { name: "leave 64-bit mode in the guest: the IA-32e control follows", on: ["enableEPT", "unrestrictedGuest", "useMSRBitmaps"], guest: "push 0x18\n push low\n retfq\n bits 32\nlow: mov eax, cr0\n and eax, 0x7fffffff\n mov cr0, eax\n mov ecx, 0xc0000080\n rdmsr\n xor eax, eax\n wrmsr\n xor ecx, ecx\n xor edx, edx\n vmcall", expect: [reachesVmcall({ "control.entryControls": 0x91ff, "guest.ia32Efer": 0 })] },
  { name: "enter 64-bit mode in the guest: the IA-32e control follows", mode: "unpaged", on: ["useMSRBitmaps"], guest: "mov eax, 0x2020\n mov cr4, eax\n mov eax, guestPml4\n mov cr3, eax\n mov ecx, 0xc0000080\n rdmsr\n or eax, 0x100\n wrmsr\n mov eax, 0x80000031\n mov cr0, eax\n vmcall", expect: [reachesVmcall({ "guest.ia32Efer": 0x500 })] },
  { name: "the guest's general-purpose registers are untouched by entry and exit", registers: { 0: 1, 1: 2, 2: 3, 3: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 10: 10, 11: 11, 12: 12, 13: 13, 14: 14, 15: 15 }, expect: [reachesVmcall({ RAX: undefined, RCX: undefined, RSI: undefined, R15: undefined })] },
  { name: "the guest's segments are loaded as the VMCS says", set: { "guest.fs.base": 0x1234_5678_9abc, "guest.gs.base": 0xffff_8000_0000_0000n, "guest.fs.selector": 0xfff8 }, guest: "mov eax, fs\n  vmcall", expect: [reachesVmcall({ RAX: 0xfff8 })] },

  // Loaded and saved registers.
  { name: "debug registers: DR7 is loaded and saved", guest: "mov rax, dr7\n mov ecx, 0x700\n mov dr7, rcx\n vmcall", set: { "guest.dr7": 0x4ff }, expect: [reachesVmcall({ RAX: 0x4ff, "guest.dr7": 0x700 })] },
  { name: "debug registers: DR7 is neither loaded nor saved without the controls", off: ["loadDebugControls", "saveDebugControls"], guest: "mov rax, dr7\n mov ecx, 0x700\n mov dr7, rcx\n vmcall", set: { "guest.dr7": 0x4ff }, expect: [reachesVmcall({ RAX: 0x400, "guest.dr7": undefined })] },
  { name: "DR7 is 400H after the exit", guest: "mov ecx, 0x7ff\n mov dr7, rcx\n vmcall", expect: [reachesVmcall({ "host DR7": undefined })] },
  { name: "IA32_PAT is loaded, saved and loaded back", on: ["useMSRBitmaps", "loadGuestPAT", "savePAT", "loadHostPAT"], guest: "mov ecx, 0x277\n rdmsr\n mov esi, eax\n mov eax, 0x01010101\n wrmsr\n vmcall", set: { "guest.ia32Pat": 0x0606_0606_0606_0606n }, expect: [reachesVmcall({ RSI: 0x0606_0606, "guest.ia32Pat": 0x0606_0606_0101_0101n, "host IA32_PAT": undefined })] },
  { name: "IA32_PAT is the host's without the controls", guest: "mov ecx, 0x277\n rdmsr\n mov esi, eax\n vmcall", on: ["useMSRBitmaps"], set: { "guest.ia32Pat": 0x0606_0606_0606_0606n }, expect: [reachesVmcall({ RSI: 0x0007_0406 })] },
  { name: "IA32_EFER is loaded and saved", on: ["useMSRBitmaps"], guest: "mov ecx, 0xc0000080\n rdmsr\n mov esi, eax\n xor eax, 1\n wrmsr\n vmcall", expect: [reachesVmcall({ RSI: 0xd01, "guest.ia32Efer": 0xd00, "host IA32_EFER": undefined })] },
  { name: "IA32_EFER without its controls: LMA and LME follow the IA-32e control", off: ["loadGuestEFER", "saveEFER", "loadHostEFER", "ia32eModeGuest"], mode: "32-bit", on: ["useMSRBitmaps"], guest: "mov ecx, 0xc0000080\n rdmsr\n mov esi, eax\n vmcall", expect: [reachesVmcall({ RSI: 0x801, "host IA32_EFER": undefined })] },
  { name: "SYSENTER MSRs and segment bases are loaded, saved, and the host's afterwards", on: ["useMSRBitmaps"], set: { "guest.ia32SysenterCs": 0x11, "guest.ia32SysenterEsp": 0x22, "guest.ia32SysenterEip": 0x33, "host.ia32SysenterCs": 0x44, "host.ia32SysenterEsp": 0x55, "host.ia32SysenterEip": 0x66, "host.fs.base": 0x7777, "host.gs.base": 0x8888 }, guest: "mov ecx, 0x174\n rdmsr\n mov esi, eax\n mov ecx, 0x175\n rdmsr\n mov edi, eax\n inc ecx\n rdmsr\n mov ebp, eax\n inc eax\n wrmsr\n vmcall", expect: [reachesVmcall({ RSI: 0x11, RDI: 0x22, RBP: 0x33, "guest.ia32SysenterEip": 0x34, "host IA32_SYSENTER_CS": 0x44, "host IA32_SYSENTER_ESP": 0x55, "host IA32_SYSENTER_EIP": 0x66, "host IA32_FS_BASE": 0x7777, "host IA32_GS_BASE": 0x8888 })] },
  { name: "host selectors are loaded", set: { "host.ds.selector": 0x10, "host.es.selector": 0, "host.fs.selector": 0x10, "host.gs.selector": 0x10, "host.ss.selector": 0 }, expect: [reachesVmcall({ "host ES": 0, "host FS": 0x10, "host GS": 0x10, "host SS": 0 })] },
  { name: "GDTR and IDTR limits are FFFFH after the exit, LDTR is null", expect: [reachesVmcall({ "host GDTR.limit": undefined, "host IDTR.limit": undefined, "host LDTR": undefined })] },
  { name: "the guest's GDTR, IDTR, LDTR and TR are saved", guest: "mov word [rbx], 0x55\n mov qword [rbx + 2], 0x123000\n lgdt [rbx]\n vmcall", registers: { 3: vmxMemory.guestMemory }, expect: [reachesVmcall({ "guest.gdtr.limit": 0x55, "guest.gdtr.base": 0x12_3000 })] },
  { name: "CR2 is untouched by entry and exit", guest: "mov rax, cr2\n vmcall", expect: [reachesVmcall({ RAX: undefined })] },
  { name: "the host's RFLAGS after an exit has only bit 1", guest: "std\n stc\n vmcall", expect: [reachesVmcall({ "guest.rflags": 0x403, RFLAGS: undefined })] },

  // Event injection: every type.
  { name: "inject an external interrupt", set: { [info]: inject(0x50, 0), "guest.rflags": 0x202 }, expect: [reachesHandler(0x50, { ...injected(inject(0x50, 0)), "guest.rflags": 2, "guest.rsp": top - 40, "stack-40": guestCode, "stack-24": 0x202 })] },
  { name: "inject an external interrupt with RFLAGS.IF 0: entry fails", set: { [info]: inject(0x50, 0) }, expect: [entryFailure("INVALID_GUEST_STATE")] },
  { name: "inject an NMI", set: { [info]: inject(2, 2) }, expect: [reachesHandler(2, { ...injected(inject(2, 2)), "guest.interruptibility": 8 })] },
  { name: "inject an NMI with NMI exiting: no exit", on: ["nmiExiting"], set: { [info]: inject(2, 2) }, expect: [reachesHandler(2, { "guest.interruptibility": undefined })] },
  { name: "inject an NMI with virtual NMIs: virtual blocking", on: ["nmiExiting", "virtualNMIs"], set: { [info]: inject(2, 2) }, expect: [reachesHandler(2, { "guest.interruptibility": 8 })] },
  { name: "inject a hardware exception without error code", set: { [info]: inject(6, 3) }, expect: [reachesHandler(6, { "guest.rsp": top - 40, "stack-40": guestCode })] },
  { name: "inject a hardware exception with error code", set: { [info]: inject(13, 3, ERROR_CODE), "control.entryExceptionErrorCode": 0x1234 }, expect: [reachesHandler(13, { "guest.rsp": top - 48, "stack-48": 0x1234, "stack-40": guestCode })] },
  { name: "inject #PF: CR2 is the hypervisor's affair", set: { [info]: inject(14, 3, ERROR_CODE), "control.entryExceptionErrorCode": 6 }, expect: [reachesHandler(14, { "stack-48": 6, "host CR2": undefined })] },
  { name: "inject a hardware exception whose bit is in the exception bitmap: no exit", set: { [info]: inject(6, 3), "control.exceptionBitmap": 0xffff_ffff }, expect: [reachesHandler(6)] },
  { name: "inject a software interrupt: RIP moves past the instruction", set: { [info]: inject(0x50, 4), "control.entryInstructionLength": 2 }, expect: [reachesHandler(0x50, { "stack-40": guestCode + 2 })] },
  { name: "inject a privileged software exception", set: { [info]: inject(1, 5), "control.entryInstructionLength": 1 }, expect: [reachesHandler(1, { "stack-40": guestCode + 1 })] },
  { name: "inject a software exception", set: { [info]: inject(3, 6), "control.entryInstructionLength": 1 }, expect: [reachesHandler(3, { "stack-40": guestCode + 1 })] },
  { name: "inject a software interrupt of length 0 fails where that is not offered", set: { [info]: inject(0x50, 4) }, expect: [reachesHandler(0x50, { "stack-40": guestCode })] },
  { name: "inject a pending monitor trap flag", set: { [info]: inject(0, 7) }, expect: [exits("MONITOR_TRAP_FLAG", { "guest.rip": undefined, ...injected(inject(0, 7)) })] },
  { name: "inject into 32-bit protected mode", mode: "32-bit", set: { [info]: inject(13, 3, ERROR_CODE), "control.entryExceptionErrorCode": 0x1234 }, expect: [reachesHandler(13, { "guest.rsp": top - 16 })] },
  { name: "inject from CPL 3: the stack of the TSS", mode: "64-bit user", set: { [info]: inject(0x80, 3), "control.exceptionBitmap": 0 }, expect: [failsValid(7)] },
  { name: "inject an external interrupt at CPL 3: the stack of the TSS", mode: "64-bit user", set: { [info]: inject(0x50, 0), "guest.rflags": 0x202, "guest.rsp": 0x20_7800 }, expect: [reachesHandler(0x50, { "guest.ss.selector": 0, "guest.cs.selector": 8, "guest.rsp": top - 40, "stack-16": 0x20_7800 })] },
  { name: "inject a software interrupt at CPL 3 through a gate of DPL 0: #GP", mode: "64-bit user", set: { [info]: inject(0x50, 4), "control.entryInstructionLength": 2, "control.exceptionBitmap": 0x2000 }, expect: [exception(13, 0x282, { "exit.idtVectoringInformation": inject(0x50, 4), "exit.instructionLength": 2, "guest.rip": undefined })] },
  { name: "inject a software interrupt at CPL 3 through a gate of DPL 3", mode: "64-bit user", set: { [info]: inject(0x80, 4), "control.entryInstructionLength": 2 }, expect: [reachesHandler(0x80)] },
  { name: "inject into virtual-8086 mode", mode: "virtual-8086", set: { [info]: inject(6, 3) }, expect: [reachesHandler(6, { "guest.rflags": 0x3002 })] },
  { name: "inject a software interrupt into virtual-8086 mode with IOPL 0: no #GP", mode: "virtual-8086", set: { [info]: inject(0x80, 4), "control.entryInstructionLength": 2, "guest.rflags": 0x2_0002, "control.exceptionBitmap": 0x2000 }, expect: [reachesHandler(0x80)] },
  { name: "inject into real-address mode", mode: "real", set: { [info]: inject(0x50, 0), "guest.rflags": 0x202 }, expect: [reachesLowHandler(0x50, { "guest.rsp": 0xefa, "guest.cs.selector": vmxMemory.lowHandlers >> 4, "guest.rflags": 2 })] },
  { name: "inject into real-address mode with an error code: entry fails", mode: "real", set: { [info]: inject(13, 3, ERROR_CODE) }, expect: [failsValid(7)] },
  { name: "inject #GP into real-address mode without error code", mode: "real", set: { [info]: inject(13, 3) }, expect: [reachesLowHandler(13)] },
  { name: "an injected event that faults: IDT-vectoring information", stores: IDT_PAGE_GONE, set: { [info]: inject(0x50, 0), "guest.rflags": 0x202, "control.exceptionBitmap": 0x4000 }, expect: [exception(14, 0, { "exit.idtVectoringInformation": inject(0x50, 0), "guest.rip": undefined })] },
  { name: "an injected NMI that faults: IDT-vectoring information", on: ["nmiExiting", "virtualNMIs"], stores: IDT_PAGE_GONE, set: { [info]: inject(2, 2), "control.exceptionBitmap": 0x4000 }, expect: [exception(14, 0, { "exit.idtVectoringInformation": inject(2, 2), "guest.interruptibility": 8 })] },
  { name: "an injected exception with error code that faults", stores: IDT_PAGE_GONE, set: { [info]: inject(10, 3, ERROR_CODE), "control.entryExceptionErrorCode": 0x77, "control.exceptionBitmap": 0x4000 }, expect: [exception(14, 0, { "exit.idtVectoringInformation": inject(10, 3, ERROR_CODE), "exit.idtVectoringErrorCode": 0x77 })] },
  { name: "an injected #PF whose delivery is #PF: a #PF exit, no double fault yet", stores: IDT_PAGE_GONE, set: { [info]: inject(14, 3, ERROR_CODE), "control.entryExceptionErrorCode": 2, "control.exceptionBitmap": 0x4000 }, expect: [exception(14, 0, { "exit.idtVectoringInformation": inject(14, 3, ERROR_CODE), "exit.idtVectoringErrorCode": 2 })] },
  { name: "an injected #GP whose delivery is #GP: #DF exit", set: { [info]: inject(13, 3, ERROR_CODE), "guest.idtr.limit": 0x8f, "control.exceptionBitmap": 0x100 }, expect: [exception(8, 0)] },
  { name: "an injected #DF that faults: triple fault", set: { [info]: inject(8, 3, ERROR_CODE), "guest.idtr.limit": 0 }, expect: [exits("TRIPLE_FAULT")] },
  { name: "an injected external interrupt beyond the IDT: #GP has EXT", set: { [info]: inject(0x50, 0), "guest.rflags": 0x202, "guest.idtr.limit": 0xff, "control.exceptionBitmap": 0x2000 }, expect: [exception(13, 0x283, { "exit.idtVectoringInformation": inject(0x50, 0) })] },
  { name: "an injected software exception saves its length", stores: IDT_PAGE_GONE, set: { [info]: inject(4, 6), "control.entryInstructionLength": 7, "control.exceptionBitmap": 0x4000 }, expect: [exception(14, 0, { "exit.idtVectoringInformation": inject(4, 6), "exit.instructionLength": 7 })] },
  { name: "an injected external interrupt wakes a halted guest", set: { [info]: inject(0x50, 0), "guest.rflags": 0x202, "guest.activity": 1 }, expect: [reachesHandler(0x50, { "guest.activity": 0 })] },
  { name: "an injected event ends blocking by STI", set: { [info]: inject(6, 3), "guest.rflags": 0x202, "guest.interruptibility": 1 }, expect: [reachesHandler(6, { "guest.interruptibility": 0 })] },
  { name: "an injected trap of TF: BS stays pending or not", set: { [info]: inject(0x50, 0), "guest.rflags": 0x302 }, expect: [reachesHandler(0x50, { "stack-24": 0x302, "guest.rflags": 2 })] },
  { name: "RF in the image that an injected fault pushes is the hypervisor's affair", set: { [info]: inject(6, 3) }, expect: [reachesHandler(6, { "stack-24": 2 })] },

  // Activity states.
  { name: "enter HLT: the timer ends it", set: { "guest.activity": 1 }, expect: [exits("PREEMPTION_TIMER", { "guest.activity": undefined, "guest.rip": undefined })] },
  { name: "enter HLT with an NMI injected", set: { "guest.activity": 1, [info]: inject(2, 2) }, expect: [reachesHandler(2, { "guest.activity": 0 })] },
  { name: "enter shutdown: the timer ends it", set: { "guest.activity": 2 }, expect: [exits("PREEMPTION_TIMER", { "guest.activity": undefined })] },
  { name: "enter shutdown with an NMI injected: delivered", set: { "guest.activity": 2, [info]: inject(2, 2) }, expect: [reachesHandler(2, { "guest.activity": 0 })] },
  { name: "enter shutdown with #MC injected: delivered", set: { "guest.activity": 2, [info]: inject(18, 3) }, expect: [reachesHandler(18, { "guest.activity": 0 })] },
  { name: "enter shutdown with another event injected: entry fails", set: { "guest.activity": 2, [info]: inject(6, 3) }, expect: [entryFailure("INVALID_GUEST_STATE")] },
  { name: "enter wait-for-SIPI with an event injected: entry fails", set: { "guest.activity": 3, [info]: inject(2, 2) }, expect: [entryFailure("INVALID_GUEST_STATE")] },
  { name: "enter HLT with an exception other than #DB or #MC injected: entry fails", set: { "guest.activity": 1, [info]: inject(6, 3) }, expect: [entryFailure("INVALID_GUEST_STATE")] },
  { name: "enter HLT with #DB injected: delivered", set: { "guest.activity": 1, [info]: inject(1, 3) }, expect: [reachesHandler(1, { "guest.activity": 0 })] },
  { name: "enter HLT with a pending debug exception", set: { "guest.activity": 1, "guest.pendingDebugExceptions": 0x1001 }, expect: [reachesHandler(1)] },
  { name: "enter HLT with a monitor trap flag injected", set: { "guest.activity": 1, [info]: inject(0, 7) }, expect: [exits("MONITOR_TRAP_FLAG", { "guest.activity": undefined })] },
];
