import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import {
  type ConformanceCase,
  type Expected,
  exitsAt,
  failsValid,
  hostException,
  hostFailsInvalid,
  hostFailsValid,
  hostSucceeds,
  reachesVmcall,
} from "../expectation.ts";

/** SDM Vol. 3, chapter "VMX Instruction Reference": every VMsucceed, VMfailInvalid and VMfailValid, in VMX root operation. */

const { vmcs, otherVmcs, guestMemory, vmxon, vmreadBitmap, vmwriteBitmap } = vmxMemory;
const M = guestMemory;
/** The test kernel's VMCS becomes current again. */
const mend = "vmptrld [vmcsPointer]";
const mendVmx = "vmxon [vmxonPointer]\n vmptrld [vmcsPointer]";
/** A quadword in memory, then the instruction. */
const withPointer = (value: string, instruction: string): string =>
  `mov rax, ${value}\n mov [${M}], rax\n xor eax, eax\n ${instruction} [${M}]`;
const VMCALL_FAILS = 1;

const GP = hostException(13);
const UD = hostException(6);
const pointer = (value: number | bigint): Expected["values"] => ({ "memory+0": value });

// biome-ignore format: one row per fact
export const hostInstructions: readonly ConformanceCase[] = [
  { name: "VMCALL in root operation: error 1", host: "vmcall", expect: [hostFailsValid(VMCALL_FAILS)] },
  { name: "VMCALL without a current VMCS: VMfailInvalid", host: "vmclear [vmcsPointer]\n vmcall", between: mend, expect: [hostFailsInvalid] },
  { name: "VMCLEAR succeeds", host: "vmclear [vmcsPointer]", between: mend, expect: [hostSucceeds()] },
  { name: "VMCLEAR of another VMCS leaves the current one", host: `${withPointer("otherVmcs", "vmclear")}\n vmptrst [${M}]`, expect: [hostSucceeds(pointer(vmcs))] },
  { name: "VMCLEAR of the current VMCS: none is current", host: `vmclear [vmcsPointer]\n vmptrst [${M}]`, between: mend, expect: [hostSucceeds(pointer(0xffff_ffff_ffff_ffffn))] },
  { name: "VMCLEAR of an address that is not aligned: error 2", host: withPointer("0x218010", "vmclear"), expect: [hostFailsValid(2, pointer(0x21_8010))] },
  { name: "VMCLEAR of an address beyond the width: error 2", host: withPointer("0x1000000000000000", "vmclear"), expect: [hostFailsValid(2, pointer(0x1000_0000_0000_0000n))] },
  { name: "VMCLEAR of the VMXON pointer: error 3", host: withPointer(`${vmxon}`, "vmclear"), expect: [hostFailsValid(3, pointer(vmxon))] },
  { name: "VMCLEAR of a bad address without a current VMCS: VMfailInvalid", host: `vmclear [vmcsPointer]\n ${withPointer("1", "vmclear")}`, between: mend, expect: [{ ...hostFailsInvalid, values: { RFLAGS: 3, ...pointer(1) } }] },
  { name: "VMLAUNCH of a launched VMCS: error 4", guest: "vmcall", entries: 2, between: "mov byte [launched], 0", expect: [reachesVmcall(), failsValid(4)] },
  { name: "VMRESUME of a clear VMCS: error 5", prepare: "mov byte [launched], 1", expect: [failsValid(5)] },
  { name: "VMRESUME after VMCLEAR: error 5", guest: "vmcall", entries: 2, between: "vmclear [vmcsPointer]\n vmptrld [vmcsPointer]", expect: [reachesVmcall(), failsValid(5)] },
  { name: "VMRESUME after VMXOFF and VMXON", guest: "vmcall", entries: 2, advance: false, between: "vmxoff\n vmxon [vmxonPointer]\n vmptrld [vmcsPointer]", expect: [reachesVmcall(), reachesVmcall({ "exit.reason": undefined, "exit.instructionLength": undefined })] },
  { name: "VMLAUNCH again after VMCLEAR", guest: "vmcall", entries: 2, advance: false, between: "vmclear [vmcsPointer]\n vmptrld [vmcsPointer]\n mov byte [launched], 0", expect: [reachesVmcall(), reachesVmcall({ "exit.reason": undefined, "exit.instructionLength": undefined })] },
  { name: "a failed entry leaves the VMCS clear", set: { "guest.rflags": 0 }, expect: [{ kind: "X", values: { "exit.reason": 0x8000_0021 }, only: true }] },
  { name: "VMLAUNCH without a current VMCS: VMfailInvalid", host: "vmclear [vmcsPointer]\n vmlaunch", between: mend, expect: [hostFailsInvalid] },
  { name: "VMRESUME without a current VMCS: VMfailInvalid", host: "vmclear [vmcsPointer]\n vmresume", between: mend, expect: [hostFailsInvalid] },
  { name: "VMPTRLD succeeds", host: `${withPointer("otherVmcs", "vmptrld")}\n vmptrst [${M} + 8]`, between: mend, expect: [hostSucceeds({ "memory+0": otherVmcs, "memory+8": otherVmcs })] },
  { name: "VMPTRLD of an address that is not aligned: error 9", host: withPointer("0x21a001", "vmptrld"), expect: [hostFailsValid(9, pointer(0x21_a001))] },
  { name: "VMPTRLD of an address beyond the width: error 9", host: withPointer("0x8000000000000000", "vmptrld"), expect: [hostFailsValid(9, pointer(0x8000_0000_0000_0000n))] },
  { name: "VMPTRLD of the VMXON pointer: error 10", host: withPointer(`${vmxon}`, "vmptrld"), expect: [hostFailsValid(10, pointer(vmxon))] },
  { name: "VMPTRLD of another revision: error 11", host: `inc dword [${otherVmcs}]\n ${withPointer("otherVmcs", "vmptrld")}`, expect: [hostFailsValid(11, pointer(otherVmcs))] },
  { name: "VMPTRLD of a shadow VMCS", host: `or dword [${otherVmcs}], 0x80000000\n ${withPointer("otherVmcs", "vmptrld")}`, between: mend, expect: [hostSucceeds(pointer(otherVmcs))] },
  { name: "VMLAUNCH of a shadow VMCS: VMfailInvalid or error", host: `or dword [${otherVmcs}], 0x80000000\n ${withPointer("otherVmcs", "vmptrld")}\n vmlaunch`, between: mend, expect: [{ ...hostFailsInvalid, values: { RFLAGS: 3, ...pointer(otherVmcs) } }] },
  { name: "VMPTRST stores the current-VMCS pointer", host: `vmptrst [${M}]`, expect: [hostSucceeds(pointer(vmcs))] },
  { name: "VMREAD of a field", host: "mov eax, guest.rip\n vmread rcx, rax", expect: [hostSucceeds({ RAX: 0x681e, RCX: vmxMemory.guestCode })] },
  { name: "VMREAD to memory", host: `mov eax, guest.rip\n vmread [${M}], rax`, expect: [hostSucceeds({ RAX: 0x681e, "memory+0": vmxMemory.guestCode })] },
  { name: "VMREAD of a 16-bit field", host: "mov eax, guest.cs.selector\n vmread rcx, rax", expect: [hostSucceeds({ RAX: 0x802, RCX: 8 })] },
  { name: "VMREAD of the high half of a 64-bit field", host: "mov eax, guest.ia32Pat + 1\n vmread rcx, rax", expect: [hostSucceeds({ RAX: 0x2805, RCX: 0x0007_0406 })] },
  { name: "VMREAD of no field: error 12", host: "mov eax, 0x6c18\n vmread rcx, rax", expect: [hostFailsValid(12, { RAX: 0x6c18 })] },
  { name: "VMREAD of a field with bits above 31 set: error 12", host: "mov rax, 0x10000681e\n vmread rcx, rax", expect: [hostFailsValid(12, { RAX: 0x1_0000_681en })] },
  { name: "VMREAD of the high half of a 32-bit field: error 12", host: "mov eax, exit.reason + 1\n vmread rcx, rax", expect: [hostFailsValid(12, { RAX: 0x4403 })] },
  { name: "VMREAD without a current VMCS: VMfailInvalid", host: "vmclear [vmcsPointer]\n vmread rcx, rax", between: mend, expect: [hostFailsInvalid] },
  { name: "VMWRITE of a field", host: "mov eax, guest.rip\n mov ecx, 0x1234\n vmwrite rax, rcx", expect: [hostSucceeds({ RAX: 0x681e, RCX: 0x1234, "guest.rip": 0x1234 })] },
  { name: "VMWRITE of a 16-bit field drops high bits", host: "mov eax, guest.cs.selector\n mov ecx, 0x56781234\n vmwrite rax, rcx", expect: [hostSucceeds({ RAX: 0x802, RCX: 0x5678_1234, "guest.cs.selector": 0x1234 })] },
  { name: "VMWRITE of a 32-bit field drops high bits", host: "mov eax, control.exceptionBitmap\n mov rcx, 0x1234567890\n vmwrite rax, rcx", expect: [hostSucceeds({ RAX: 0x4004, RCX: 0x12_3456_7890n, "control.exceptionBitmap": 0x3456_7890 })] },
  { name: "VMWRITE of the high half of a 64-bit field", host: "mov eax, control.tscOffset + 1\n mov rcx, 0x1234567890\n vmwrite rax, rcx", expect: [hostSucceeds({ RAX: 0x2011, RCX: 0x12_3456_7890n, "control.tscOffset": 0x3456_7890_0000_0000n })] },
  { name: "VMWRITE of no field: error 12", host: "mov eax, 0x4830\n vmwrite rax, rcx", expect: [hostFailsValid(12, { RAX: 0x4830 })] },
  { name: "VMWRITE of a read-only field: as IA32_VMX_MISC bit 29 says", host: "mov eax, exit.qualification\n mov ecx, 5\n vmwrite rax, rcx", expect: [hostSucceeds({ RAX: 0x6400, RCX: 5, "exit.qualification": 5 })] },
  { name: "VMWRITE without a current VMCS: VMfailInvalid", host: "vmclear [vmcsPointer]\n vmwrite rcx, rax", between: mend, expect: [hostFailsInvalid] },
  { name: "VMXON in root operation: error 15", host: "vmxon [vmxonPointer]", expect: [hostFailsValid(15)] },
  { name: "VMXON in root operation without a current VMCS: VMfailInvalid", host: "vmclear [vmcsPointer]\n vmxon [vmxonPointer]", between: mend, expect: [hostFailsInvalid] },
  { name: "VMXOFF leaves VMX operation", host: "vmxoff", between: mendVmx, expect: [hostSucceeds()] },
  { name: "VMX instructions outside VMX operation are #UD", host: "vmxoff\n vmptrst [guestMemory]", between: mendVmx, expect: [UD] },
  { name: "VMXON again after VMXOFF: no current VMCS", host: `vmxoff\n vmxon [vmxonPointer]\n vmptrst [${M}]`, between: mend, expect: [hostSucceeds(pointer(0xffff_ffff_ffff_ffffn))] },
  { name: "VMXON of an address that is not aligned: VMfailInvalid", host: `vmxoff\n ${withPointer("0x240008", "vmxon")}`, between: mendVmx, expect: [{ ...hostFailsInvalid, values: { RFLAGS: 3, ...pointer(0x24_0008) } }] },
  { name: "VMXON of an address beyond the width: VMfailInvalid", host: `vmxoff\n ${withPointer("0x4000000000000000", "vmxon")}`, between: mendVmx, expect: [{ ...hostFailsInvalid, values: { RFLAGS: 3, ...pointer(0x4000_0000_0000_0000n) } }] },
  { name: "VMXON of another revision: VMfailInvalid", host: `vmxoff\n xor dword [${vmxon}], 4\n vmxon [vmxonPointer]`, between: `xor dword [${vmxon}], 4\n ${mendVmx}`, expect: [hostFailsInvalid] },
  { name: "VMXON with bit 31 of the revision set: VMfailInvalid", host: `vmxoff\n or dword [${vmxon}], 0x80000000\n vmxon [vmxonPointer]`, between: `and dword [${vmxon}], 0x7fffffff\n ${mendVmx}`, expect: [hostFailsInvalid] },
  { name: "VMXON with CR4.VMXE clear is #UD", host: "vmxoff\n mov rax, cr4\n and eax, 0xffffdfff\n mov cr4, rax\n vmxon [vmxonPointer]", between: "mov rax, cr4\n or eax, 0x2000\n mov cr4, rax\n vmxon [vmxonPointer]\n vmptrld [vmcsPointer]", expect: [UD] },
  { name: "VMXON with CR0.NE clear is #GP", host: "vmxoff\n mov rax, cr0\n and eax, 0xffffffdf\n mov cr0, rax\n vmxon [vmxonPointer]", between: "mov rax, cr0\n or eax, 0x20\n mov cr0, rax\n vmxon [vmxonPointer]\n vmptrld [vmcsPointer]", expect: [GP] },
  { name: "CR4.VMXE cannot be cleared in VMX operation", host: "mov rax, cr4\n and eax, 0xffffdfff\n mov cr4, rax", expect: [GP] },
  { name: "CR0.NE cannot be cleared in VMX operation", host: "mov rax, cr0\n and eax, 0xffffffdf\n mov cr0, rax", expect: [GP] },
  { name: "CR0.PG cannot be cleared in VMX operation", host: "mov rax, cr0\n and eax, 0x7fffffff\n mov cr0, rax", expect: [GP] },
  { name: "IA32_FEATURE_CONTROL is locked", host: "mov ecx, 0x3a\n xor eax, eax\n xor edx, edx\n wrmsr", expect: [GP] },
  { name: "capability MSRs cannot be written", host: "mov ecx, 0x480\n rdmsr\n wrmsr", expect: [GP] },
  { name: "a memory operand that is not canonical is #GP", host: "mov rbx, 0x8000000000000000\n vmptrld [rbx]", expect: [GP] },
  { name: "a stack operand that is not canonical is #SS", host: "mov rbp, 0x8000000000000000\n vmptrst [rbp]", expect: [hostException(12)] },
  { name: "VMREAD to memory that is not mapped is #PF", host: "mov rbx, 0x123456789000\n mov eax, guest.rip\n vmread [rbx], rax", expect: [hostException(14, 2)] },
  { name: "VMREAD of no field to memory that is not mapped: error 12 comes first", host: "mov rbx, 0x123456789000\n mov eax, 0x6c18\n vmread [rbx], rax", expect: [hostFailsValid(12, { RAX: 0x6c18, RBX: 0x1234_5678_9000 })] },
  { name: "INVEPT of a single context", host: `mov qword [${M}], eptPml4 + 0x1e\n mov eax, 1\n invept rax, [${M}]`, expect: [hostSucceeds({ RAX: 1, "memory+0": vmxMemory.eptPml4 + 0x1e })] },
  { name: "INVEPT of all contexts", host: `mov eax, 2\n invept rax, [${M}]`, expect: [hostSucceeds({ RAX: 2 })] },
  { name: "INVEPT of no type: error 28", host: `mov eax, 3\n invept rax, [${M}]`, expect: [hostFailsValid(28, { RAX: 3 })] },
  { name: "INVEPT of type 0: error 28", host: `invept rax, [${M}]`, expect: [hostFailsValid(28)] },
  { name: "INVEPT of a single context with a bad EPT pointer: error 28", host: `mov qword [${M}], 7\n mov eax, 1\n invept rax, [${M}]`, expect: [hostFailsValid(28, { RAX: 1, "memory+0": 7 })] },
  { name: "INVVPID of an address", host: `mov qword [${M}], 1\n invvpid rax, [${M}]`, expect: [hostSucceeds(pointer(1))] },
  { name: "INVVPID of a single context", host: `mov qword [${M}], 1\n mov eax, 1\n invvpid rax, [${M}]`, expect: [hostSucceeds({ RAX: 1, ...pointer(1) })] },
  { name: "INVVPID of all contexts: the VPID is not looked at", host: `mov eax, 2\n invvpid rax, [${M}]`, expect: [hostSucceeds({ RAX: 2 })] },
  { name: "INVVPID of a single context but for globals", host: `mov qword [${M}], 1\n mov eax, 3\n invvpid rax, [${M}]`, expect: [hostSucceeds({ RAX: 3, ...pointer(1) })] },
  { name: "INVVPID of no type: error 28", host: `mov qword [${M}], 1\n mov eax, 4\n invvpid rax, [${M}]`, expect: [hostFailsValid(28, { RAX: 4, ...pointer(1) })] },
  { name: "INVVPID of VPID 0: error 28", host: `mov eax, 1\n invvpid rax, [${M}]`, expect: [hostFailsValid(28, { RAX: 1 })] },
  { name: "INVVPID with reserved bits: error 28", host: `mov qword [${M}], 0x10001\n mov eax, 1\n invvpid rax, [${M}]`, expect: [hostFailsValid(28, { RAX: 1, ...pointer(0x1_0001) })] },
  { name: "INVVPID of an address that is not canonical: error 28", host: `mov qword [${M}], 1\n mov rbx, 0x8000000000000000\n mov [${M + 8}], rbx\n invvpid rax, [${M}]`, expect: [hostFailsValid(28, { RBX: 0x8000_0000_0000_0000n, ...pointer(1), "memory+8": 0x8000_0000_0000_0000n })] },
  { name: "VMFUNC in root operation is #UD", host: "vmfunc", expect: [UD] },
  { name: "VM entry with blocking by MOV SS: error 26", host: "mov ax, 0x10\n mov ss, eax\n vmlaunch", expect: [hostFailsValid(26, { RAX: 0x10 })] },
  { name: "VM entry with blocking by MOV SS comes before the launch state: error 26", host: "mov ax, 0x10\n mov ss, eax\n vmresume", expect: [hostFailsValid(26, { RAX: 0x10 })] },
  { name: "flags of VMsucceed: all six cleared", host: `stc\n vmptrst [${M}]`, expect: [hostSucceeds({ ...pointer(vmcs), RFLAGS: undefined })] },
  { name: "flags of VMfailInvalid: CF alone", host: "vmclear [vmcsPointer]\n xor eax, eax\n vmcall", between: mend, expect: [hostFailsInvalid] },
  { name: "the VM-instruction error field keeps the last error", host: "mov eax, 0x6c18\n vmread rcx, rax\n vmcall\n mov eax, exit.vmInstructionError\n vmread rcx, rax", expect: [hostSucceeds({ "exit.vmInstructionError": 1, RAX: 0x4400, RCX: 1 })] },

  // VMCS shadowing.
  { name: "VMCS shadowing: VMREAD of the guest reads the shadow VMCS", on: ["vmcsShadowing"], prepare: `vmclear [vmcsPointer]\n or dword [${otherVmcs}], 0x80000000\n mov qword [scratch], ${otherVmcs}\n vmptrld [scratch]\n mov eax, guest.rip\n mov ecx, 0x7777\n vmwrite rax, rcx\n vmclear [scratch]\n vmptrld [vmcsPointer]`, set: { "guest.vmcsLinkPointer": otherVmcs }, guest: "mov eax, 0x681e\n vmread rcx, rax\n vmcall", expect: [reachesVmcall({ RCX: 0x7777, RAX: 0x681e })] },
  { name: "VMCS shadowing: VMWRITE of the guest writes the shadow VMCS", on: ["vmcsShadowing"], prepare: `or dword [${otherVmcs}], 0x80000000`, set: { "guest.vmcsLinkPointer": otherVmcs }, guest: "mov eax, 0x681e\n mov ecx, 0x5555\n vmwrite rax, rcx\n xor ecx, ecx\n vmread rcx, rax\n vmcall", expect: [reachesVmcall({ RCX: 0x5555 })] },
  { name: "VMCS shadowing: a bit of the VMREAD bitmap exits", on: ["vmcsShadowing"], prepare: `or dword [${otherVmcs}], 0x80000000`, set: { "guest.vmcsLinkPointer": otherVmcs }, stores: { [vmreadBitmap + 0xd00]: 1n << 30n }, guest: "mov eax, 0x681e\n vmread rcx, rax", expect: [exitsAt("VMREAD", 3)] },
  { name: "VMCS shadowing: a bit of the VMWRITE bitmap exits", on: ["vmcsShadowing"], prepare: `or dword [${otherVmcs}], 0x80000000`, set: { "guest.vmcsLinkPointer": otherVmcs }, stores: { [vmwriteBitmap + 0xd00]: 1n << 30n }, guest: "mov eax, 0x681e\n vmwrite rax, rcx", expect: [exitsAt("VMWRITE", 3)] },
  { name: "VMCS shadowing: an encoding above 15 bits exits", on: ["vmcsShadowing"], prepare: `or dword [${otherVmcs}], 0x80000000`, set: { "guest.vmcsLinkPointer": otherVmcs }, guest: "mov eax, 0x8000\n vmread rcx, rax", expect: [exitsAt("VMREAD", 3)] },
  { name: "VMCS shadowing: no shadow VMCS: VMfailInvalid", on: ["vmcsShadowing"], guest: "mov eax, 0x681e\n vmread rcx, rax\n vmcall", expect: [reachesVmcall({ "guest.rflags": 3 })] },
  { name: "VMCS shadowing: no field: VMfailValid", on: ["vmcsShadowing"], prepare: `or dword [${otherVmcs}], 0x80000000`, set: { "guest.vmcsLinkPointer": otherVmcs }, guest: "mov eax, 0x6c18\n vmread rcx, rax\n pushfq\n pop rdi\n mov eax, 0x4400\n vmread rcx, rax\n vmcall", expect: [reachesVmcall({ RDI: 0x42 })] },
];
