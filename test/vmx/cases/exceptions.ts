import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import {
  type ConformanceCase,
  exception,
  exits,
  exitsAt,
  interruptionInformation,
  reachesHandler,
  reachesVmcall,
  type Values,
} from "../expectation.ts";

/** SDM Vol. 3, "Exceptions" under "Other Causes of VM Exits", "Information for VM Exits Due to Vectored Events". */

const { guestCode, guestMemory, guestStack, guestIdt64, guestIdt32 } = vmxMemory;
const bit = (vector: number): number => 2 ** vector;
const IDT_PAGE_GONE = { [vmxMemory.guestPageTable + 3 * 8]: 0 };
const UNMAPPED = 0x1234_5678_9000;

/** Each exception once with its bit in the exception bitmap and once without. */
interface Raised {
  readonly what: string;
  readonly vector: number;
  readonly errorCode?: number;
  readonly guest: string;
  readonly mode?: ConformanceCase["mode"];
  readonly set?: ConformanceCase["set"];
  readonly registers?: ConformanceCase["registers"];
  /** Of the exit: qualification and what the event's type asks for. */
  readonly values?: Values;
}
const software = (vector: number, length: number): Values => ({
  "exit.interruptionInformation": interruptionInformation(vector, 6),
  "exit.instructionLength": length,
});
// biome-ignore format: one row per fact
const raised: readonly Raised[] = [
  { what: "#DE", vector: 0, guest: "div ecx" },
  { what: "#DB of TF", vector: 1, guest: "nop\n nop\n vmcall", set: { "guest.rflags": 0x102 }, values: { "exit.qualification": 0x4000, "guest.rip": guestCode + 1 } },
  { what: "#DB of INT1", vector: 1, guest: "int1", values: { "exit.interruptionInformation": interruptionInformation(1, 5), "exit.instructionLength": 1 } },
  { what: "#BP", vector: 3, guest: "int3", values: software(3, 1) },
  { what: "#OF", vector: 4, guest: "mov al, 127\n add al, 1\n into", mode: "32-bit", values: { ...software(4, 1), "guest.rip": guestCode + 4 } },
  { what: "#BR", vector: 5, guest: "bound eax, [ebx]", mode: "32-bit", registers: { 0: 99, 3: guestMemory } },
  { what: "#UD", vector: 6, guest: "ud2" },
  { what: "#NM", vector: 7, guest: "fnop", set: { "guest.cr0": 0x8001_0039 } },
  { what: "#NP", vector: 11, errorCode: 0x70, guest: "mov ax, 0x70\n mov dword [0x202074], 0x0200\n lldt ax" },
  { what: "#SS", vector: 12, errorCode: 0, guest: "mov rax, [rsp + rcx]", registers: { 1: 0x4000_0000_0000_0000n } },
  { what: "#GP", vector: 13, errorCode: 0, guest: "mov rax, [rcx]", registers: { 1: 0x8000_0000_0000_0000n } },
  { what: "#GP of a selector", vector: 13, errorCode: 0x1234, guest: "mov ds, ecx", registers: { 1: 0x1235 } },
  { what: "#PF", vector: 14, errorCode: 0, guest: "mov rax, [rcx]", registers: { 1: UNMAPPED }, values: { "exit.qualification": UNMAPPED } },
  { what: "#PF of a write", vector: 14, errorCode: 2, guest: "mov [rcx], al", registers: { 1: UNMAPPED + 5 }, values: { "exit.qualification": UNMAPPED + 5 } },
  { what: "#PF of a fetch", vector: 14, errorCode: 0x10, guest: "jmp rcx", registers: { 1: UNMAPPED }, values: { "exit.qualification": UNMAPPED, "guest.rip": UNMAPPED } },
  { what: "#MF", vector: 16, guest: "fninit\n mov dword [rbx], 0x37e\n fldcw [rbx]\n fldz\n fldz\n fdivp\n fwait", registers: { 3: guestMemory } },
  { what: "#AC", vector: 17, errorCode: 0, guest: "mov eax, [rbx + 1]", mode: "64-bit user", registers: { 3: guestMemory }, set: { "guest.cr0": 0x8005_0031, "guest.rflags": 0x4_0002 } },
  { what: "#XM", vector: 19, guest: "mov dword [rbx], 0\n ldmxcsr [rbx]\n divss xmm0, xmm0", registers: { 3: guestMemory } },
];

// biome-ignore format: one row per fact
export const exceptions: readonly ConformanceCase[] = [
  ...raised.flatMap(({ what, vector, errorCode, guest, mode, set = {}, registers = {}, values = {} }) => {
    const common = { guest, registers, ...(mode ? { mode } : {}) };
    return [
      {
        name: `${what} with its bit in the exception bitmap exits`,
        ...common,
        set: { ...set, "control.exceptionBitmap": bit(vector) },
        expect: [exception(vector, errorCode, values)],
      },
      {
        name: `${what} without its bit is delivered`,
        ...common,
        set: { ...set, "control.exceptionBitmap": 0xffff_ffff - bit(vector) },
        expect: [reachesHandler(vector)],
      },
    ];
  }),
  // #PF: mask and match.
  { name: "#PF whose masked error code matches exits", guest: "mov [rcx], al", registers: { 1: UNMAPPED }, set: { "control.exceptionBitmap": bit(14), "control.pageFaultErrorCodeMask": 2, "control.pageFaultErrorCodeMatch": 2 }, expect: [exception(14, 2, { "exit.qualification": UNMAPPED })] },
  { name: "#PF whose masked error code does not match is delivered", guest: "mov al, [rcx]", registers: { 1: UNMAPPED }, set: { "control.exceptionBitmap": bit(14), "control.pageFaultErrorCodeMask": 2, "control.pageFaultErrorCodeMatch": 2 }, expect: [reachesHandler(14)] },
  { name: "#PF that does not match exits when the bitmap's bit is clear", guest: "mov al, [rcx]", registers: { 1: UNMAPPED }, set: { "control.pageFaultErrorCodeMask": 2, "control.pageFaultErrorCodeMatch": 2 }, expect: [exception(14, 0, { "exit.qualification": UNMAPPED })] },
  { name: "#PF that exits leaves CR2", guest: "mov al, [rcx]", registers: { 1: UNMAPPED }, set: { "control.exceptionBitmap": bit(14) }, expect: [exception(14, 0, { "host CR2": undefined })] },
  { name: "#PF that is delivered sets CR2", guest: "mov al, [rcx]", registers: { 1: UNMAPPED }, expect: [reachesHandler(14, { "host CR2": UNMAPPED })] },
  { name: "#DB that exits leaves DR6 and DR7", guest: "nop\n nop", set: { "guest.rflags": 0x102, "control.exceptionBitmap": 2 }, expect: [exception(1, undefined, { "exit.qualification": 0x4000, "guest.rip": guestCode + 1, "host DR6": undefined, "guest.dr7": undefined })] },
  { name: "#DB of a data breakpoint says which", guest: "mov dr0, rbx\n mov [rbx], al\n nop", registers: { 3: guestMemory + 0x100 }, set: { "guest.dr7": 0x1_0402, "control.exceptionBitmap": 2 }, expect: [exception(1, undefined, { "exit.qualification": 1, "guest.rip": guestCode + 5 })] },
  { name: "#DB of DR7.GD", guest: "mov rax, dr0", set: { "guest.dr7": 0x2400, "control.exceptionBitmap": 2 }, expect: [exception(1, undefined, { "exit.qualification": 0x2000, "guest.rip": undefined })] },

  // Events during the delivery of events.
  { name: "#PF while #UD is delivered: IDT-vectoring information", guest: "ud2", stores: IDT_PAGE_GONE, set: { "control.exceptionBitmap": bit(14) }, expect: [exception(14, 0, { "exit.qualification": guestIdt64 + 0x60, "exit.idtVectoringInformation": interruptionInformation(6, 3) })] },
  { name: "#PF while #GP is delivered: its error code too", guest: "mov ds, ecx", registers: { 1: 0x1234 }, stores: IDT_PAGE_GONE, set: { "control.exceptionBitmap": bit(14) }, expect: [exception(14, 0, { "exit.qualification": guestIdt64 + 0xd0, "exit.idtVectoringInformation": interruptionInformation(13, 3, true), "exit.idtVectoringErrorCode": 0x1234 })] },
  { name: "#PF while INT n is delivered: the length of INT n", guest: "int 0x50", stores: IDT_PAGE_GONE, set: { "control.exceptionBitmap": bit(14) }, expect: [exception(14, 0, { "exit.qualification": guestIdt64 + 0x500, "exit.idtVectoringInformation": interruptionInformation(0x50, 4), "exit.instructionLength": 2 })] },
  { name: "#PF while INT3 is delivered", guest: "int3", stores: IDT_PAGE_GONE, set: { "control.exceptionBitmap": bit(14) }, expect: [exception(14, 0, { "exit.qualification": guestIdt64 + 0x30, "exit.idtVectoringInformation": interruptionInformation(3, 6), "exit.instructionLength": 1 })] },
  { name: "#PF while INT1 is delivered", guest: "int1", stores: IDT_PAGE_GONE, set: { "control.exceptionBitmap": bit(14) }, expect: [exception(14, 0, { "exit.qualification": guestIdt64 + 0x10, "exit.idtVectoringInformation": interruptionInformation(1, 5), "exit.instructionLength": 1 })] },
  { name: "#GP while INT n beyond the IDT is delivered", guest: "int 0x50", set: { "guest.idtr.limit": 0xff, "control.exceptionBitmap": bit(13) }, expect: [exception(13, 0x282, { "exit.idtVectoringInformation": interruptionInformation(0x50, 4), "exit.instructionLength": 2 })] },
  { name: "#DF after #GP in the delivery of #GP exits with its bit", guest: "mov ds, ecx", registers: { 1: 0x1234 }, set: { "guest.idtr.limit": 0x8f, "control.exceptionBitmap": bit(8) }, expect: [exception(8, 0, { "exit.idtVectoringInformation": undefined })] },
  { name: "#GP in the delivery of #GP exits with #GP's bit, before it is #DF", guest: "mov ds, ecx", registers: { 1: 0x1234 }, set: { "guest.idtr.limit": 0x8f, "control.exceptionBitmap": bit(13) }, expect: [exception(13, 0x1234)] },
  { name: "#DF is delivered", guest: "mov ds, ecx", registers: { 1: 0x1234 }, set: { "guest.idtr.limit": 0x8f }, expect: [reachesHandler(8)] },
  { name: "#GP while #UD is delivered is #GP and not #DF", guest: "ud2", stores: { [guestIdt64 + 0x60]: 0 }, set: { "control.exceptionBitmap": bit(8) }, expect: [reachesHandler(13)] },
  { name: "a third fault is a triple-fault exit", guest: "ud2", set: { "guest.idtr.limit": 0 }, expect: [exits("TRIPLE_FAULT", { "exit.qualification": undefined, "exit.idtVectoringInformation": undefined })] },
  { name: "a triple fault after INT n", guest: "int 0x50", set: { "guest.idtr.limit": 0 }, expect: [exits("TRIPLE_FAULT", { "guest.rip": undefined })] },
  { name: "#SS while #UD is pushed to a non-canonical stack", guest: "ud2", set: { "guest.rsp": 0x8000_0000_0000_0000n, "control.exceptionBitmap": bit(12) }, expect: [exception(12, 1, { "exit.idtVectoringInformation": interruptionInformation(6, 3) })] },

  // INT n and what exits do not do.
  { name: "INT 13 is no #GP to the exception bitmap", guest: "int 13", mode: "64-bit", set: { "control.exceptionBitmap": 0xffff_ffff }, expect: [reachesHandler(13)] },
  { name: "INT 2 is no NMI", guest: "int 2", on: ["nmiExiting"], expect: [reachesHandler(2)] },
  { name: "RF is set in the saved RFLAGS of a fault", guest: "ud2", set: { "control.exceptionBitmap": bit(6) }, expect: [exception(6, undefined, { "guest.rflags": 0x1_0002 })] },
  { name: "RF is clear in the saved RFLAGS of an instruction that exits", guest: "cpuid", expect: [exitsAt("CPUID", 2, 0, { "guest.rflags": undefined })] },
  { name: "RF of the entry stays for a fault", guest: "ud2", set: { "guest.rflags": 0x1_0002, "control.exceptionBitmap": bit(6) }, expect: [exception(6, undefined, { "guest.rflags": undefined })] },
  { name: "RF of the entry suppresses an instruction breakpoint", guest: "nop\n vmcall", set: { "guest.rflags": 0x1_0002, "guest.dr7": 0x402 }, expect: [reachesVmcall({ "guest.rflags": 2 })] },
  { name: "the single-step trap after MOV SS is held back", guest: "mov ss, ecx\n nop\n nop", registers: { 1: 0x10 }, set: { "guest.rflags": 0x102, "control.exceptionBitmap": 2 }, expect: [exception(1, undefined, { "exit.qualification": 0x4000, "guest.rip": guestCode + 3 })] },
  { name: "a VMCALL that is single-stepped exits first", guest: "vmcall", set: { "guest.rflags": 0x102 }, expect: [reachesVmcall()] },
  { name: "an exit right after STI saves blocking by STI", guest: "sti\n vmcall", expect: [reachesVmcall({ "guest.interruptibility": 1, "guest.rflags": 0x202 })] },
  { name: "an exit right after MOV SS saves blocking by MOV SS", guest: "mov ss, ecx\n vmcall", registers: { 1: 0x10 }, expect: [reachesVmcall({ "guest.interruptibility": 2 })] },
  { name: "an exit right after POP SS saves blocking by MOV SS", mode: "32-bit", guest: "push 0x10\n pop ss\n vmcall", expect: [reachesVmcall({ "guest.interruptibility": 2 })] },
  { name: "a data breakpoint of MOV SS is pending at the exit after it", guest: "mov dr0, rbx\n mov ss, [rbx]\n vmcall", registers: { 3: guestMemory }, stores: { [guestMemory]: 0x10 }, set: { "guest.dr7": 0xf_0402 }, expect: [reachesVmcall({ "guest.interruptibility": 2, "guest.pendingDebugExceptions": 0x1001 })] },
  { name: "a single-step trap of MOV SS is pending at the exit after it", guest: "mov ss, ecx\n vmcall", registers: { 1: 0x10 }, set: { "guest.rflags": 0x102 }, expect: [reachesVmcall({ "guest.interruptibility": 2, "guest.pendingDebugExceptions": 0x4000 })] },
  { name: "pending debug exceptions of the entry are delivered", guest: "vmcall", set: { "guest.pendingDebugExceptions": 0x1001, "control.exceptionBitmap": 2 }, expect: [exception(1, undefined, { "exit.qualification": 1 })] },
  { name: "pending BS of the entry is delivered", guest: "vmcall", set: { "guest.pendingDebugExceptions": 0x4000, "guest.rflags": 0x102, "control.exceptionBitmap": 2 }, expect: [exception(1, undefined, { "exit.qualification": 0x4000 })] },
  { name: "pending debug exceptions wait for MOV SS blocking to end", guest: "nop\n nop\n vmcall", set: { "guest.pendingDebugExceptions": 0x1001, "guest.interruptibility": 2, "control.exceptionBitmap": 2 }, expect: [exception(1, undefined, { "exit.qualification": 1, "guest.rip": guestCode + 1 })] },
  { name: "a page fault in 32-bit paging", mode: "32-bit", guest: "mov dword [guestDirectory32 + 0x100], 0\n invlpg [0x10000000]\n mov eax, [0x10000004]", set: { "control.exceptionBitmap": bit(14) }, expect: [exception(14, 0, { "exit.qualification": 0x1000_0004 })] },
  { name: "an exception of a real-mode guest exits without error code", mode: "real", guest: "mov bx, 0xffff\n mov eax, [bx]", set: { "control.exceptionBitmap": bit(13) }, expect: [exception(13, undefined, { "guest.rip": 3 })] },
  { name: "an exception of a virtual-8086 guest has one", mode: "virtual-8086", guest: "hlt", set: { "control.exceptionBitmap": bit(13) }, expect: [exception(13, 0)] },
  { name: "IDT-vectoring in 32-bit mode", mode: "32-bit", guest: "int 0x50", set: { "guest.idtr.limit": 0xff, "control.exceptionBitmap": bit(13) }, expect: [exception(13, 0x282, { "exit.idtVectoringInformation": interruptionInformation(0x50, 4), "exit.instructionLength": 2 })] },
  { name: "IRET that faults with virtual NMIs gives blocking back", guest: "iretq", on: ["nmiExiting", "virtualNMIs"], set: { "guest.interruptibility": 8, "control.exceptionBitmap": bit(13) }, expect: [exception(13, 0, { "exit.interruptionInformation": interruptionInformation(13, 3, true) + 0x1000 })] },
  { name: "IRET that faults without virtual NMIs", guest: "iretq", on: ["nmiExiting"], set: { "guest.interruptibility": 8, "control.exceptionBitmap": bit(13) }, expect: [exception(13, 0)] },
  { name: "#PF on the IDT in 32-bit paging", mode: "PAE", guest: "ud2", stores: { [vmxMemory.guestPageTable + 4 * 8]: 0 }, set: { "control.exceptionBitmap": bit(14) }, expect: [exception(14, 0, { "exit.qualification": guestIdt32 + 0x30, "exit.idtVectoringInformation": interruptionInformation(6, 3) })] },
  { name: "#PF of the stack during delivery", guest: "ud2", stores: { [vmxMemory.guestPageTable + 6 * 8]: 0 }, set: { "control.exceptionBitmap": bit(14) }, expect: [exception(14, 2, { "exit.qualification": guestStack + 0xef8, "exit.idtVectoringInformation": interruptionInformation(6, 3) })] },
];
