import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import {
  type ConformanceCase,
  type Expected,
  exits,
  exitsAt,
  reachesHandler,
  reachesVmcall,
  type Values,
} from "../expectation.ts";

/** EPT, VPID, page-modification logging, #VE, and APIC virtualization (SDM Vol. 3, "VMX Support for Address Translation", "APIC Virtualization and Virtual Interrupts"). */

const {
  eptPml4,
  eptPdpt,
  eptDirectories,
  eptPageTable,
  guestMemory,
  guestCode,
  guestPageTable,
  apicAccess,
  virtualApic,
} = vmxMemory;
const {
  pageModificationLog,
  virtualizationException,
  guestPml4,
  postedDescriptor,
  guestIdt64,
  guestDirectories,
} = vmxMemory;
const entryOf = (address: number): number => eptPageTable + ((address >> 12) & 0x1ff) * 8;
const page = (address: number, rights: number, memoryType = 6): Record<number, bigint | number> => ({
  [entryOf(address)]: (address & ~0xfff) | (memoryType << 3) | rights,
});
const EPT = { on: ["enableEPT"] } as const;
/** Bits 11:9 are advanced VM-exit information, which not every processor gives. */
const advanced = { "exit.qualification": 0xe00n, watch1: 0xe00n };
const violation = (
  qualification: number,
  physical: number,
  linear: number | undefined = physical,
  more: Values = {},
): Expected => ({
  ...exits("EPT_VIOLATION", {
    "exit.qualification": qualification,
    "exit.guestPhysicalAddress": physical,
    "exit.guestLinearAddress": linear,
    ...more,
  }),
  open: advanced,
});
const misconfiguration = (physical: number) =>
  exits("EPT_MISCONFIGURATION", { "exit.guestPhysicalAddress": physical });
const ACCESSED_DIRTY = vmxMemory.eptPml4 | 0x5e;
const apic = { "control.apicAccessAddress": apicAccess };

// biome-ignore format: one row per fact
export const memory: readonly ConformanceCase[] = [
  // EPT violations. Qualification: 0-2 access, 3-5 allowed, 7 linear address valid, 8 not a paging structure.
  { name: "EPT violation: read of a page that is not present", ...EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: page(guestMemory, 0), expect: [violation(0x181, guestMemory)] },
  { name: "EPT violation: write to a read-only page", ...EPT, guest: "mov [rbx + 5], al", registers: { 3: guestMemory }, stores: page(guestMemory, 1), expect: [violation(0x18a, guestMemory + 5)] },
  { name: "EPT violation: write to a read-execute page", ...EPT, guest: "mov [rbx + 5], al", registers: { 3: guestMemory }, stores: page(guestMemory, 5), expect: [violation(0x1aa, guestMemory + 5)] },
  { name: "EPT violation: read-modify-write reports a read and a write", ...EPT, guest: "add [rbx], al", registers: { 3: guestMemory }, stores: page(guestMemory, 0), expect: [exits("EPT_VIOLATION", { "exit.guestPhysicalAddress": guestMemory })] },
  { name: "EPT violation: fetch from a page that is not executable", ...EPT, guest: "jmp rbx", registers: { 3: guestMemory }, stores: page(guestMemory, 3), expect: [violation(0x19c, guestMemory, guestMemory, { "guest.rip": guestMemory })] },
  { name: "EPT violation: read of an execute-only page", ...EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: page(guestMemory, 4), expect: [violation(0x1a1, guestMemory)] },
  { name: "fetch from an execute-only page", ...EPT, guest: "jmp rbx", registers: { 3: guestMemory }, stores: { ...page(guestMemory, 4), [guestMemory]: 0xc1_010f }, expect: [reachesVmcall({ "guest.rip": guestMemory })] },
  { name: "EPT violation: a paging-structure access", ...EPT, guest: "mov al, [rbx]", registers: { 3: 0x4000_0000 }, stores: page(guestDirectories + 0x1000, 0), expect: [violation(0x081, guestDirectories + 0x1000, 0x4000_0000)] },
  { name: "EPT violation: the PML4 table", ...EPT, stores: page(guestPml4, 0), expect: [violation(0x081, guestPml4, guestCode)] },
  { name: "EPT violation: an accessed flag in a read-only table is a write", ...EPT, guest: "mov al, [rbx]", registers: { 3: 0x4000_0000 }, stores: page(guestDirectories + 0x1000, 1), expect: [violation(0x08a, guestDirectories + 0x1000, 0x4000_0000)] },
  { name: "EPT violation with accessed and dirty flags: a table is read and written", ...EPT, set: { "control.eptPointer": ACCESSED_DIRTY }, guest: "mov al, [rbx]", registers: { 3: 0x4000_0000 }, stores: page(guestDirectories + 0x1000, 1), expect: [violation(0x08b, guestDirectories + 0x1000, 0x4000_0000)] },
  { name: "EPT violation: a PML4 entry that is not present", ...EPT, stores: { [eptPml4]: 0 }, expect: [exits("EPT_VIOLATION", { "exit.guestPhysicalAddress": guestPml4 })] },
  { name: "EPT violation: a large page", ...EPT, guest: "mov al, [rbx]", registers: { 3: 0x60_0123 }, stores: { [eptDirectories + 24]: 0 }, expect: [violation(0x181, 0x60_0123)] },
  { name: "EPT violation: rights are those of all levels together", ...EPT, guest: "mov [rbx], al", registers: { 3: 0x4000_0123 }, stores: { [eptPdpt + 8]: eptDirectories + 0x1000 + 5 }, expect: [violation(0x1aa, 0x4000_0123)] },
  { name: "EPT violation during the delivery of an event", ...EPT, guest: "ud2", stores: page(guestIdt64, 0), expect: [violation(0x181, guestIdt64 + 0x60, guestIdt64 + 0x60, { "exit.idtVectoringInformation": 0x8000_0306 })] },
  { name: "EPT violation of an access across two pages", ...EPT, guest: "mov eax, [rbx]", registers: { 3: guestMemory - 2 }, stores: page(guestMemory, 0), expect: [violation(0x181, guestMemory)] },
  { name: "EPT violation without paging: the linear address is the physical one", mode: "unpaged", guest: "mov al, [ebx]", registers: { 3: guestMemory }, stores: page(guestMemory, 0), expect: [violation(0x181, guestMemory)] },
  { name: "EPT violation of MOV CR3's PDPTEs: no linear address", mode: "PAE", ...EPT, guest: "mov eax, cr3\n mov cr3, eax", stores: page(vmxMemory.guestPaePdpt, 0), expect: [exits("EPT_VIOLATION", { "exit.qualification": 0x001, "exit.guestPhysicalAddress": vmxMemory.guestPaePdpt })] },
  { name: "EPT: guest-physical addresses beyond 48 bits or the tables", ...EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: { [guestPageTable + 5 * 8]: 0x40_0000_0007n }, expect: [exits("EPT_VIOLATION", { "exit.guestPhysicalAddress": 0x40_0000_0000n })] },

  // EPT misconfigurations.
  { name: "EPT misconfiguration: write without read", ...EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: page(guestMemory, 2), expect: [misconfiguration(guestMemory)] },
  { name: "EPT misconfiguration: write and execute without read", ...EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory + 8 }, stores: page(guestMemory, 6), expect: [misconfiguration(guestMemory + 8)] },
  { name: "EPT misconfiguration: memory type 2", ...EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: page(guestMemory, 7, 2), expect: [misconfiguration(guestMemory)] },
  { name: "EPT misconfiguration: memory type 3", ...EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: page(guestMemory, 7, 3), expect: [misconfiguration(guestMemory)] },
  { name: "EPT misconfiguration: memory type 7", ...EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: page(guestMemory, 7, 7), expect: [misconfiguration(guestMemory)] },
  { name: "memory types 0, 1, 4 and 5 are fine", ...EPT, guest: "mov al, [rbx]\n mov al, [rbx + 0x1000 - 0x2000]\n xor eax, eax\n vmcall", registers: { 3: guestMemory }, stores: { ...page(guestMemory, 7, 0), ...page(guestMemory - 0x1000, 7, 4) }, expect: [reachesVmcall()] },
  { name: "EPT misconfiguration: a reserved bit in a table entry", ...EPT, guest: "mov al, [rbx]", registers: { 3: 0x4000_0123 }, stores: { [eptPdpt + 8]: eptDirectories + 0x1000 + 7 + 0x40 }, expect: [misconfiguration(0x4000_0123)] },
  { name: "EPT misconfiguration: low address bits of a 2-MByte page", ...EPT, guest: "mov al, [rbx]", registers: { 3: 0x60_0000 }, stores: { [eptDirectories + 24]: 0x60_1000 + 0xb7 }, expect: [misconfiguration(0x60_0000)] },
  { name: "EPT misconfiguration: bits beyond the physical-address width", ...EPT, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: { [entryOf(guestMemory)]: 0x8_0000_0020_5037n }, expect: [misconfiguration(guestMemory)] },
  { name: "EPT misconfiguration: bit 7 of a PML4 entry", ...EPT, stores: { [eptPml4]: eptPdpt + 0x87 }, expect: [exits("EPT_MISCONFIGURATION", { "exit.guestPhysicalAddress": guestPml4 })] },
  { name: "bits that EPT ignores are ignored", ...EPT, guest: "mov al, [rbx]\n xor eax, eax\n vmcall", registers: { 3: guestMemory }, stores: { [entryOf(guestMemory)]: 0x0ff0_0000_0020_5c77n }, expect: [reachesVmcall()] },
  { name: "a 1-GByte page", ...EPT, guest: "mov al, [rbx]\n xor eax, eax\n vmcall", registers: { 3: 0x123_4567 }, stores: { [eptPdpt]: 0xb7 }, expect: [reachesVmcall()] },

  // Accessed and dirty flags, page-modification log.
  { name: "EPT accessed and dirty flags are set", ...EPT, set: { "control.eptPointer": ACCESSED_DIRTY }, guest: "mov [rbx], al\n mov al, [rbx + 0x2000]\n xor eax, eax\n vmcall", registers: { 3: guestMemory }, watch: [entryOf(guestMemory), entryOf(guestMemory + 0x2000), eptPml4, eptPdpt], expect: [reachesVmcall({ watch0: guestMemory | 0x337, watch1: (guestMemory + 0x2000) | 0x137, watch2: eptPdpt | 0x107, watch3: eptDirectories | 0x107 })] },
  { name: "EPT accessed and dirty flags stay without bit 6 of the EPTP", ...EPT, guest: "mov [rbx], al\n vmcall", registers: { 3: guestMemory }, watch: [entryOf(guestMemory), eptPml4], expect: [reachesVmcall({ watch0: undefined, watch1: undefined })] },
  { name: "page-modification log: a page's first write is logged", on: ["enableEPT", "enablePML"], set: { "control.eptPointer": ACCESSED_DIRTY, "guest.pmlIndex": 511 }, guest: "mov [rbx + 0x123], al\n mov [rbx], al\n vmcall", registers: { 3: guestMemory }, stores: { [entryOf(vmxMemory.guestStack)]: vmxMemory.guestStack | 0x237 }, expect: [exits("VMCALL")] },
  { name: "page-modification log: full", on: ["enableEPT", "enablePML"], set: { "control.eptPointer": ACCESSED_DIRTY, "guest.pmlIndex": 0xffff }, guest: "mov [rbx + 0x123], al\n vmcall", registers: { 3: guestMemory }, watch: [pageModificationLog], expect: [exits("PML_FULL")] },

  // Virtualization exceptions.
  { name: "#VE takes the place of an EPT violation", on: ["enableEPT", "eptViolationVE"], guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: { ...page(guestMemory, 0), [virtualizationException]: 0 }, watch: [virtualizationException, virtualizationException + 8, virtualizationException + 16, virtualizationException + 24], expect: [{ ...reachesHandler(20, { watch0: 0xffff_ffff_0000_0030n, watch1: 0x181, watch2: guestMemory, watch3: guestMemory }), open: advanced }] },
  { name: "no #VE when bit 63 of the entry suppresses it", on: ["enableEPT", "eptViolationVE"], guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: { [entryOf(guestMemory)]: 1n << 63n }, expect: [violation(0x181, guestMemory)] },
  { name: "no #VE when the last is not acknowledged", on: ["enableEPT", "eptViolationVE"], guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: { ...page(guestMemory, 0), [virtualizationException]: 0xffff_ffff_0000_0000n }, expect: [violation(0x181, guestMemory)] },
  { name: "#VE whose bit is in the exception bitmap exits", on: ["enableEPT", "eptViolationVE"], set: { "control.exceptionBitmap": 1 << 20 }, guest: "mov al, [rbx]", registers: { 3: guestMemory }, stores: page(guestMemory, 0), expect: [exits("EXCEPTION_OR_NMI", { "exit.interruptionInformation": 0x8000_0314 })] },

  // Mode-based execute control.
  { name: "mode-based execute: a fetch from a user-mode page needs bit 10", on: ["enableEPT", "modeBasedExecuteControl"], guest: "jmp rbx", registers: { 3: guestMemory }, stores: { [eptPml4]: eptPdpt + 0x407, [eptPdpt]: eptDirectories + 0x407, [eptDirectories + 8]: eptPageTable + 0x407, [entryOf(guestCode)]: guestCode | 0x433, ...page(guestMemory, 7) }, expect: [exits("EPT_VIOLATION", { "exit.guestPhysicalAddress": guestMemory })] },

  // VPID.
  { name: "INVVPID, INVEPT in the guest exit", on: ["enableEPT", "enableVPID"], guest: "invept rax, [rbx]", expect: [exitsAt("INVEPT", 5)] },

  // APIC-access page.
  { name: "APIC access: a read", on: ["virtualizeAPICAccesses"], set: apic, guest: "mov eax, [rbx + 0x80]", registers: { 3: apicAccess }, expect: [exits("APIC_ACCESS", { "exit.qualification": 0x0080 })] },
  { name: "APIC access: a write", on: ["virtualizeAPICAccesses"], set: apic, guest: "mov [rbx + 0x300], eax", registers: { 3: apicAccess }, expect: [exits("APIC_ACCESS", { "exit.qualification": 0x1300 })] },
  { name: "APIC access: a fetch", on: ["virtualizeAPICAccesses"], set: apic, guest: "jmp rbx", registers: { 3: apicAccess }, expect: [exits("APIC_ACCESS", { "exit.qualification": 0x2000 })] },
  { name: "APIC access: during the delivery of an event", on: ["virtualizeAPICAccesses"], set: { ...apic, "guest.rsp": apicAccess + 0x100 }, guest: "ud2", expect: [exits("APIC_ACCESS", { "exit.qualification": 0x30f8, "exit.idtVectoringInformation": 0x8000_0306 })] },
  { name: "APIC access: VTPR with the TPR shadow is virtualized", on: ["virtualizeAPICAccesses", "useTPRShadow"], set: apic, guest: "mov eax, [rbx + 0x80]\n mov ecx, 0x30\n mov [rbx + 0x80], ecx\n vmcall", registers: { 3: apicAccess }, stores: { [virtualApic + 0x80]: 0x50 }, watch: [virtualApic + 0x80], expect: [reachesVmcall({ RAX: 0x50, watch0: 0x30 })] },
  { name: "APIC access: a VTPR write below the threshold exits", on: ["virtualizeAPICAccesses", "useTPRShadow"], set: { ...apic, "control.tprThreshold": 4 }, guest: "mov ecx, 0x30\n mov [rbx + 0x80], ecx\n vmcall", registers: { 3: apicAccess }, stores: { [virtualApic + 0x80]: 0x50 }, expect: [exits("TPR_BELOW_THRESHOLD", { "guest.rip": guestCode + 11 })] },
  { name: "APIC-register virtualization: a read of the ID", on: ["virtualizeAPICAccesses", "useTPRShadow", "apicRegisterVirtualization"], set: apic, guest: "mov eax, [rbx + 0x20]\n vmcall", registers: { 3: apicAccess }, stores: { [virtualApic + 0x20]: 0x1234_5678 }, expect: [reachesVmcall({ RAX: 0x1234_5678 })] },
  { name: "APIC-register virtualization: a read of what is not virtualized", on: ["virtualizeAPICAccesses", "useTPRShadow", "apicRegisterVirtualization"], set: apic, guest: "mov eax, [rbx + 0x390]\n vmcall", registers: { 3: apicAccess }, expect: [exits("APIC_ACCESS", { "exit.qualification": 0x0390 })] },
  { name: "APIC-register virtualization: a write is an APIC-write exit after it", on: ["virtualizeAPICAccesses", "useTPRShadow", "apicRegisterVirtualization"], set: apic, guest: "mov [rbx + 0x320], eax\n vmcall", registers: { 0: 0x1_00fe, 3: apicAccess }, watch: [virtualApic + 0x320], expect: [exits("APIC_WRITE", { "exit.qualification": 0x320, "guest.rip": guestCode + 6, watch0: 0x1_00fe })] },
  { name: "APIC-register virtualization: a read that crosses registers", on: ["virtualizeAPICAccesses", "useTPRShadow", "apicRegisterVirtualization"], set: apic, guest: "mov rax, [rbx + 0x20]\n vmcall", registers: { 3: apicAccess }, expect: [exits("APIC_ACCESS", { "exit.qualification": 0x0020 })] },

  // TPR shadow.
  { name: "mov to cr8 with the TPR shadow", on: ["useTPRShadow"], guest: "mov eax, 5\n mov cr8, rax\n mov rcx, cr8\n vmcall", watch: [virtualApic + 0x80], expect: [reachesVmcall({ RCX: 5, watch0: 0x50 })] },
  { name: "mov to cr8 below the threshold exits after it", on: ["useTPRShadow"], set: { "control.tprThreshold": 6 }, guest: "mov eax, 5\n mov cr8, rax\n vmcall", stores: { [virtualApic + 0x80]: 0x60 }, watch: [virtualApic + 0x80], expect: [exits("TPR_BELOW_THRESHOLD", { "guest.rip": guestCode + 9, watch0: 0x50 })] },
  { name: "mov to cr8 at the threshold goes on", on: ["useTPRShadow"], set: { "control.tprThreshold": 5 }, guest: "mov eax, 5\n mov cr8, rax\n vmcall", stores: { [virtualApic + 0x80]: 0x60 }, expect: [reachesVmcall()] },
  { name: "entry with VTPR below the threshold exits at once under APIC accesses", on: ["useTPRShadow", "virtualizeAPICAccesses"], set: { ...apic, "control.tprThreshold": 6 }, stores: { [virtualApic + 0x80]: 0x50 }, expect: [exits("TPR_BELOW_THRESHOLD", { "guest.rip": undefined })] },

  // x2APIC mode, virtual interrupts.
  { name: "x2APIC virtualization: TPR is read and written in the page", on: ["useTPRShadow", "virtualizeX2APICMode", "useMSRBitmaps"], guest: "mov ecx, 0x808\n rdmsr\n mov esi, eax\n mov eax, 0x70\n wrmsr\n vmcall", stores: { [virtualApic + 0x80]: 0x20 }, watch: [virtualApic + 0x80], expect: [reachesVmcall({ RSI: 0x20, watch0: 0x70 })] },
  { name: "x2APIC virtualization: other registers with APIC-register virtualization", on: ["useTPRShadow", "virtualizeX2APICMode", "apicRegisterVirtualization", "useMSRBitmaps"], guest: "mov ecx, 0x803\n rdmsr\n vmcall", stores: { [virtualApic + 0x30]: 0x1_4321 }, expect: [reachesVmcall({ RAX: 0x1_4321 })] },
  { name: "a virtual interrupt is delivered at entry", on: ["useTPRShadow", "virtualInterruptDelivery", "externalInterruptExiting", "virtualizeAPICAccesses"], set: { ...apic, "guest.rflags": 0x202, "guest.interruptStatus": 0x51 }, stores: { [virtualApic + 0x220]: 1 << 17 }, watch: [virtualApic + 0x120, virtualApic + 0x220, virtualApic + 0xa0], expect: [reachesHandler(0x51, { "guest.interruptStatus": 0x5100, watch0: 1 << 17, watch1: 0, watch2: 0x50 })] },
  { name: "a virtual interrupt waits for RFLAGS.IF", on: ["useTPRShadow", "virtualInterruptDelivery", "externalInterruptExiting", "virtualizeAPICAccesses"], set: { ...apic, "guest.interruptStatus": 0x51 }, guest: "nop\n sti\n nop\n vmcall", stores: { [virtualApic + 0x220]: 1 << 17 }, expect: [reachesHandler(0x51, { "stack-40": guestCode + 3 })] },
  { name: "a virtual interrupt waits for VPPR", on: ["useTPRShadow", "virtualInterruptDelivery", "externalInterruptExiting", "virtualizeAPICAccesses"], set: { ...apic, "guest.rflags": 0x202, "guest.interruptStatus": 0x51 }, stores: { [virtualApic + 0x220]: 1 << 17, [virtualApic + 0x80]: 0x50 }, expect: [reachesVmcall({ "guest.interruptStatus": undefined })] },
  { name: "a virtual interrupt wakes a halted guest", on: ["useTPRShadow", "virtualInterruptDelivery", "externalInterruptExiting", "virtualizeAPICAccesses"], set: { ...apic, "guest.rflags": 0x202, "guest.interruptStatus": 0x51, "guest.activity": 1 }, stores: { [virtualApic + 0x220]: 1 << 17 }, expect: [reachesHandler(0x51, { "guest.activity": 0 })] },
  { name: "an EOI of a vector in the EOI-exit bitmap exits", on: ["useTPRShadow", "virtualInterruptDelivery", "externalInterruptExiting", "virtualizeAPICAccesses"], set: { ...apic, "guest.interruptStatus": 0x5100, "control.eoiExitBitmap1": 1 << 17 }, guest: "mov dword [rbx + 0xb0], 0\n vmcall", registers: { 3: apicAccess }, stores: { [virtualApic + 0x120]: 1 << 17 }, expect: [exits("VIRTUALIZED_EOI", { "exit.qualification": 0x51, "guest.interruptStatus": 0 })] },
  { name: "an EOI of another vector goes on", on: ["useTPRShadow", "virtualInterruptDelivery", "externalInterruptExiting", "virtualizeAPICAccesses"], set: { ...apic, "guest.interruptStatus": 0x5100 }, guest: "mov dword [rbx + 0xb0], 0\n vmcall", registers: { 3: apicAccess }, stores: { [virtualApic + 0x120]: 1 << 17 }, expect: [reachesVmcall({ "guest.interruptStatus": 0 })] },
  { name: "a self-IPI is a virtual interrupt", on: ["useTPRShadow", "virtualInterruptDelivery", "externalInterruptExiting", "virtualizeAPICAccesses", "apicRegisterVirtualization"], set: { ...apic, "guest.rflags": 0x202 }, guest: "mov dword [rbx + 0x300], 0x40061\n nop\n vmcall", registers: { 3: apicAccess }, expect: [reachesHandler(0x61, { "guest.interruptStatus": 0x6100 })] },
  { name: "a posted interrupt is delivered without an exit", on: ["useTPRShadow", "virtualInterruptDelivery", "externalInterruptExiting", "acknowledgeInterruptOnExit", "virtualizeAPICAccesses", "processPostedInterrupts"], prepare: "mov eax, 0xfee00000\n mov dword [rax + 0x300], 0x400f2\n nop\n nop", set: { ...apic, "guest.rflags": 0x202, "control.postedInterruptNotificationVector": 0xf2 }, stores: { [postedDescriptor + 8]: 1 << 17, [postedDescriptor + 32]: 1 }, watch: [postedDescriptor + 8, postedDescriptor + 32], guest: "nop\n nop\n vmcall", expect: [reachesHandler(0x51, { "guest.interruptStatus": 0x5100, watch0: 0, watch1: 0 })] },
  { name: "another vector than the notification vector exits", on: ["useTPRShadow", "virtualInterruptDelivery", "externalInterruptExiting", "acknowledgeInterruptOnExit", "virtualizeAPICAccesses", "processPostedInterrupts"], prepare: "mov eax, 0xfee00000\n mov dword [rax + 0x300], 0x400f3\n nop\n nop", set: { ...apic, "guest.rflags": 0x202, "control.postedInterruptNotificationVector": 0xf2 }, expect: [exits("EXTERNAL_INTERRUPT", { "exit.interruptionInformation": 0x8000_00f3 })] },
];
