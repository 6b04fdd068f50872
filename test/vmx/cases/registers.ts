import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import { type ConformanceCase, exits, exitsAt, reachesHandler, reachesVmcall } from "../expectation.ts";

/** Control registers under masks and shadows, I/O and MSR bitmaps, the TSC (SDM Vol. 3, "VM-Execution Control Fields"). */

const { ioBitmapA, ioBitmapB, msrBitmap, entryMsrLoad, exitMsrStore, exitMsrLoad, guestMemory } = vmxMemory;
const GP = reachesHandler(13);
const MP = 2;
const TS = 8;
const qualificationOf = (register: number, type: number, gpr: number, more = 0): number =>
  register | (type << 4) | (gpr << 8) | more;
const msrEntry = (
  area: number,
  index: number,
  msr: number,
  value: bigint | number,
): Record<number, bigint | number> => ({
  [area + 16 * index]: msr,
  [area + 16 * index + 8]: value,
});

// biome-ignore format: one row per fact
export const registers: readonly ConformanceCase[] = [
  // CR0 and CR4.
  { name: "mov cr0 that changes a masked bit from its shadow exits", guest: "mov cr0, rax", registers: { 0: 0x8001_0039 }, set: { "control.cr0GuestHostMask": TS, "control.cr0ReadShadow": 0 }, expect: [exitsAt("CR_ACCESS", 3, qualificationOf(0, 0, 0))] },
  { name: "mov cr0 that agrees with the shadow of masked bits goes on, and masked bits stay", guest: "mov cr0, rcx\n vmcall", registers: { 1: 0x8001_003b }, set: { "control.cr0GuestHostMask": TS, "control.cr0ReadShadow": TS }, expect: [reachesVmcall({ "guest.cr0": 0x8001_0033 })] },
  { name: "mov from cr0 gives the shadow of masked bits", guest: "mov rax, cr0\n vmcall", set: { "control.cr0GuestHostMask": TS | MP, "control.cr0ReadShadow": TS }, expect: [reachesVmcall({ RAX: 0x8001_0039 })] },
  { name: "smsw gives the shadow of masked bits", guest: "smsw eax\n vmcall", set: { "control.cr0GuestHostMask": TS, "control.cr0ReadShadow": TS }, expect: [reachesVmcall({ RAX: 0x8001_0039 })] },
  { name: "mov cr0 that clears PE with the mask clear is #GP by fixed bits", guest: "mov cr0, rax", registers: { 0: 0x30 }, expect: [GP] },
  { name: "mov cr0 that clears NE is #GP by fixed bits", guest: "mov cr0, rax", registers: { 0: 0x8001_0011 }, expect: [GP] },
  { name: "mov cr4 that clears VMXE is #GP by fixed bits", guest: "mov cr4, rax", registers: { 0: 0x620 }, expect: [GP] },
  { name: "mov cr4 that changes a masked bit exits", guest: "mov cr4, rbx", registers: { 3: 0x2624 }, set: { "control.cr4GuestHostMask": 4 }, expect: [exitsAt("CR_ACCESS", 3, qualificationOf(4, 0, 3))] },
  { name: "mov cr4 that agrees with the shadow goes on", guest: "mov cr4, rbx\n vmcall", registers: { 3: 0x0624 }, set: { "control.cr4GuestHostMask": 0x2000 }, expect: [reachesVmcall({ "guest.cr4": 0x2624 })] },
  { name: "mov from cr4 gives the shadow", guest: "mov rax, cr4\n vmcall", set: { "control.cr4GuestHostMask": 0x2000 }, expect: [reachesVmcall({ RAX: 0x620 })] },
  { name: "clts exits when TS is masked and its shadow 1", guest: "clts", set: { "control.cr0GuestHostMask": TS, "control.cr0ReadShadow": TS }, expect: [exitsAt("CR_ACCESS", 2, qualificationOf(0, 2, 0))] },
  { name: "clts does nothing when TS is masked and its shadow 0", guest: "clts\n vmcall", set: { "guest.cr0": 0x8001_0039, "control.cr0GuestHostMask": TS }, expect: [reachesVmcall({ "guest.cr0": undefined })] },
  { name: "clts clears TS when it is not masked", guest: "clts\n vmcall", set: { "guest.cr0": 0x8001_0039 }, expect: [reachesVmcall({ "guest.cr0": 0x8001_0031 })] },
  { name: "lmsw that sets a masked bit exits with its source", guest: "lmsw ax", registers: { 0: 0x9 }, set: { "control.cr0GuestHostMask": TS }, expect: [exitsAt("CR_ACCESS", 3, qualificationOf(0, 3, 0, 0x9_0000))] },
  { name: "lmsw of memory exits with its linear address", guest: "lmsw [rbx]", registers: { 3: guestMemory }, stores: { [guestMemory]: 0xb }, set: { "control.cr0GuestHostMask": TS }, expect: [exitsAt("CR_ACCESS", 3, qualificationOf(0, 3, 0, 0xb_0040), { "exit.guestLinearAddress": guestMemory })] },
  { name: "lmsw that clears masked TS whose shadow is 1 exits", guest: "lmsw ax", registers: { 0: 0x1 }, set: { "control.cr0GuestHostMask": TS, "control.cr0ReadShadow": TS }, expect: [exitsAt("CR_ACCESS", 3, qualificationOf(0, 3, 0, 0x1_0000))] },
  { name: "lmsw that agrees leaves masked bits", guest: "lmsw ax\n vmcall", registers: { 0: 0xb }, set: { "control.cr0GuestHostMask": TS, "control.cr0ReadShadow": TS }, expect: [reachesVmcall({ "guest.cr0": 0x8001_0033 })] },
  { name: "lmsw that sets masked PE whose shadow is 0 exits", guest: "lmsw ax", registers: { 0: 1 }, set: { "control.cr0GuestHostMask": 1 }, expect: [exitsAt("CR_ACCESS", 3, qualificationOf(0, 3, 0, 0x1_0000))] },
  { name: "lmsw that clears masked PE does not exit: it never clears PE", guest: "lmsw ax\n vmcall", registers: { 0: 0 }, set: { "control.cr0GuestHostMask": 1, "control.cr0ReadShadow": 1 }, expect: [reachesVmcall()] },
  { name: "mov cr3 of a target value does not exit", on: ["cr3LoadExiting"], guest: "mov cr3, rax\n vmcall", registers: { 0: vmxMemory.guestPml4 }, set: { "control.cr3TargetCount": 2, "control.cr3Target1": vmxMemory.guestPml4 }, expect: [reachesVmcall()] },
  { name: "mov cr3 of a target value beyond the count exits", on: ["cr3LoadExiting"], guest: "mov cr3, rax\n vmcall", registers: { 0: vmxMemory.guestPml4 }, set: { "control.cr3TargetCount": 1, "control.cr3Target1": vmxMemory.guestPml4 }, expect: [exitsAt("CR_ACCESS", 3, qualificationOf(3, 0, 0))] },
  { name: "mov cr3 with a reserved bit is #GP", guest: "mov cr3, rax", registers: { 0: 0x4000_0000_0020_8000n }, expect: [GP] },
  { name: "mov cr3 with a reserved bit that would exit exits", on: ["cr3LoadExiting"], guest: "mov cr3, rax", registers: { 0: 0x4000_0000_0020_8000n }, expect: [exitsAt("CR_ACCESS", 3, qualificationOf(3, 0, 0))] },
  { name: "mov cr3 in PAE mode saves the PDPTEs", mode: "PAE", on: ["enableEPT"], guest: "mov dword [guestPaePdpt + 8], guestDirectories + 1\n mov eax, guestPaePdpt\n mov cr3, eax\n vmcall", expect: [reachesVmcall({ "guest.pdpte1": vmxMemory.guestDirectories + 1 })] },

  // I/O bitmaps.
  { name: "in of a port in bitmap A exits", on: ["useIOBitmaps"], guest: "in al, 0x80\n vmcall", stores: { [ioBitmapA + 0x10]: 1 }, expect: [exitsAt("IO_INSTRUCTION", 2, 0x80_0048)] },
  { name: "in of a port not in bitmap A goes on", on: ["useIOBitmaps"], guest: "in al, 0x80\n xor eax, eax\n vmcall", stores: { [ioBitmapA + 0x10]: 2 }, expect: [reachesVmcall()] },
  { name: "in of two bytes looks at both ports", on: ["useIOBitmaps"], guest: "in ax, 0x80\n vmcall", stores: { [ioBitmapA + 0x10]: 2 }, expect: [exitsAt("IO_INSTRUCTION", 2 + 1, 0x80_0049)] },
  { name: "in of a port in bitmap B exits", on: ["useIOBitmaps"], guest: "in al, dx\n vmcall", registers: { 2: 0x8010 }, stores: { [ioBitmapB]: 0x1_0000 }, expect: [exitsAt("IO_INSTRUCTION", 1, 0x8010_0008)] },
  { name: "in across the two bitmaps looks at both", on: ["useIOBitmaps"], guest: "in eax, dx\n vmcall", registers: { 2: 0x7ffe }, stores: { [ioBitmapB]: 1 }, expect: [exitsAt("IO_INSTRUCTION", 1, 0x7ffe_000b)] },
  { name: "in that wraps around the ports exits", on: ["useIOBitmaps"], guest: "in eax, dx\n vmcall", registers: { 2: 0xfffe }, expect: [exitsAt("IO_INSTRUCTION", 1, 0xfffe_000bn)] },
  { name: "I/O bitmaps override unconditional exiting", on: ["useIOBitmaps", "unconditionalIOExiting"], guest: "in al, 0x80\n xor eax, eax\n vmcall", expect: [reachesVmcall()] },

  // MSR bitmaps.
  { name: "rdmsr exits without bitmaps", guest: "rdmsr", registers: { 1: 0x174 }, expect: [exitsAt("RDMSR", 2)] },
  { name: "wrmsr exits without bitmaps", guest: "wrmsr", registers: { 1: 0x174 }, expect: [exitsAt("WRMSR", 2)] },
  { name: "rdmsr of an MSR whose bit is 0 goes on", on: ["useMSRBitmaps"], guest: "rdmsr\n vmcall", registers: { 1: 0x174 }, set: { "guest.ia32SysenterCs": 5 }, expect: [reachesVmcall({ RAX: 5 })] },
  { name: "rdmsr of an MSR whose bit is 1 exits", on: ["useMSRBitmaps"], guest: "rdmsr", registers: { 1: 0x174 }, stores: { [msrBitmap + 0x28]: 1n << 0x34n }, expect: [exitsAt("RDMSR", 2)] },
  { name: "rdmsr of a high MSR whose bit is 1 exits", on: ["useMSRBitmaps"], guest: "rdmsr", registers: { 1: 0xc000_0102 }, stores: { [msrBitmap + 0x400 + 0x20]: 4 }, expect: [exitsAt("RDMSR", 2)] },
  { name: "wrmsr has bits of its own", on: ["useMSRBitmaps"], guest: "wrmsr\n vmcall", registers: { 0: 7, 1: 0x174 }, stores: { [msrBitmap + 0x28]: 1n << 0x34n }, expect: [reachesVmcall({ "guest.ia32SysenterCs": 7 })] },
  { name: "wrmsr of an MSR whose bit is 1 exits", on: ["useMSRBitmaps"], guest: "wrmsr", registers: { 0: 7, 1: 0x174 }, stores: { [msrBitmap + 0x800 + 0x28]: 1n << 0x34n }, expect: [exitsAt("WRMSR", 2)] },
  { name: "wrmsr of a high MSR whose bit is 1 exits", on: ["useMSRBitmaps"], guest: "wrmsr", registers: { 1: 0xc000_0102 }, stores: { [msrBitmap + 0xc00 + 0x20]: 4 }, expect: [exitsAt("WRMSR", 2)] },
  { name: "rdmsr outside both ranges exits", on: ["useMSRBitmaps"], guest: "rdmsr", registers: { 1: 0x2000 }, expect: [exitsAt("RDMSR", 2)] },
  { name: "rdmsr above the high range exits", on: ["useMSRBitmaps"], guest: "rdmsr", registers: { 1: 0xc000_2000 }, expect: [exitsAt("RDMSR", 2)] },
  { name: "rdmsr of no MSR is #GP when its bit is 0", on: ["useMSRBitmaps"], guest: "rdmsr", registers: { 1: 0x1ff0 }, expect: [GP] },

  // MSR areas.
  { name: "VM entry loads MSRs", set: { "control.entryMsrLoadCount": 2 }, stores: { ...msrEntry(entryMsrLoad, 0, 0xc000_0102, 0x1234_5678n), ...msrEntry(entryMsrLoad, 1, 0xc000_0103, 9) }, guest: "swapgs\n rdtscp\n xor eax, eax\n xor edx, edx\n vmcall", on: ["enableRDTSCP"], expect: [reachesVmcall({ "guest.gs.base": 0x1234_5678, RCX: 9, "host IA32_TSC_AUX": 9 })] },
  { name: "VM exit stores MSRs", set: { "control.exitMsrStoreCount": 1, "guest.gs.base": 0x7777 }, stores: msrEntry(exitMsrStore, 0, 0xc000_0102, 0), watch: [exitMsrStore, exitMsrStore + 8], guest: "swapgs\n vmcall", expect: [reachesVmcall({ watch1: 0x7777 })] },
  { name: "VM exit loads MSRs", set: { "control.exitMsrLoadCount": 1 }, stores: msrEntry(exitMsrLoad, 0, 0xc000_0102, 0x4321), expect: [reachesVmcall({ "host IA32_KERNEL_GS_BASE": 0x4321 })] },
  { name: "VM entry cannot load IA32_FS_BASE: failure 34 with the entry's number", set: { "control.entryMsrLoadCount": 2 }, stores: { ...msrEntry(entryMsrLoad, 0, 0xc000_0103, 1), ...msrEntry(entryMsrLoad, 1, 0xc000_0100, 0) }, expect: [{ kind: "X", values: { "exit.reason": 0x8000_0022, "exit.qualification": 2, "host IA32_TSC_AUX": 1 }, only: true }] },
  { name: "VM entry cannot load IA32_GS_BASE", set: { "control.entryMsrLoadCount": 1 }, stores: msrEntry(entryMsrLoad, 0, 0xc000_0101, 0), expect: [{ kind: "X", values: { "exit.reason": 0x8000_0022, "exit.qualification": 1 }, only: true }] },
  { name: "VM entry cannot load an x2APIC MSR outside x2APIC mode", set: { "control.entryMsrLoadCount": 1 }, stores: msrEntry(entryMsrLoad, 0, 0x808, 0), expect: [{ kind: "X", values: { "exit.reason": 0x8000_0022, "exit.qualification": 1 }, only: true }] },
  { name: "VM entry cannot load an MSR that does not exist", set: { "control.entryMsrLoadCount": 1 }, stores: msrEntry(entryMsrLoad, 0, 0x1ff0, 0), expect: [{ kind: "X", values: { "exit.reason": 0x8000_0022, "exit.qualification": 1 }, only: true }] },
  { name: "VM entry cannot load a value that WRMSR would refuse", set: { "control.entryMsrLoadCount": 1 }, stores: msrEntry(entryMsrLoad, 0, 0xc000_0102, 0x8000_0000_0000_0000n), expect: [{ kind: "X", values: { "exit.reason": 0x8000_0022, "exit.qualification": 1 }, only: true }] },
  { name: "VM entry cannot load with reserved bits of the entry set", set: { "control.entryMsrLoadCount": 1 }, stores: msrEntry(entryMsrLoad, 0, 0x1_c000_0103, 0), expect: [{ kind: "X", values: { "exit.reason": 0x8000_0022, "exit.qualification": 1 }, only: true }] },

  // Time-stamp counter.
  { name: "rdtsc adds the offset", on: ["useTSCOffsetting"], guest: "rdtsc\n sub edx, 0x1000000\n shr edx, 16\n xor eax, eax\n vmcall", set: { "control.tscOffset": 0x0100_0000_0000_0000n }, expect: [reachesVmcall({ RDX: undefined })] },
  { name: "rdtscp adds the offset", on: ["useTSCOffsetting", "enableRDTSCP"], guest: "rdtscp\n sub edx, 0x1000000\n shr edx, 16\n xor eax, eax\n xor ecx, ecx\n vmcall", set: { "control.tscOffset": 0x0100_0000_0000_0000n }, expect: [reachesVmcall({ RDX: undefined })] },
  { name: "rdmsr of the TSC adds the offset", on: ["useTSCOffsetting", "useMSRBitmaps"], registers: { 1: 0x10 }, guest: "rdmsr\n sub edx, 0x1000000\n shr edx, 16\n xor eax, eax\n vmcall", set: { "control.tscOffset": 0x0100_0000_0000_0000n }, expect: [reachesVmcall({ RDX: undefined })] },
  { name: "rdtsc is scaled", on: ["useTSCOffsetting", "useTSCScaling"], guest: "rdtsc\n shr edx, 12\n xor eax, eax\n vmcall", set: { "control.tscMultiplier": 0xffff_ffff_ffff_ffffn, "control.tscOffset": 0 }, expect: [exits("VMCALL")] },

  // PAUSE loops.
  { name: "a PAUSE loop exits", on: ["pauseLoopExiting"], guest: "again: pause\n jmp again", set: { "control.pleGap": 0x1000, "control.pleWindow": 0x400 }, expect: [exits("PAUSE")] },
  { name: "a PAUSE loop at CPL 3 does not exit by PAUSE-loop exiting", mode: "64-bit user", on: ["pauseLoopExiting"], guest: "again: pause\n jmp again", set: { "control.pleGap": 0x1000, "control.pleWindow": 0x400 }, expect: [exits("PREEMPTION_TIMER")] },
  { name: "PAUSEs far apart are no loop", on: ["pauseLoopExiting"], guest: "mov ecx, 20\nagain: pause\n mov ebx, 100\nlater: dec ebx\n jnz later\n dec ecx\n jnz again\n vmcall", set: { "control.pleGap": 8, "control.pleWindow": 0x100 }, expect: [reachesVmcall()] },
  { name: "a guest loops over VMCALL", guest: "mov ecx, 5\nagain: vmcall\n add eax, ecx\n dec ecx\n jnz again\n vmcall", entries: 6, expect: [reachesVmcall(), ...Array.from({ length: 5 }, () => exits("VMCALL", { "exit.reason": undefined }))] },
];
