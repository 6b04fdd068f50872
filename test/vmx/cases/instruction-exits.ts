import type { ExitReason } from "../../../src/arch/vm-exit-reasons.ts";
import type { ControlKey } from "../../../src/arch/vmx-controls.ts";
import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import {
  type ConformanceCase,
  exits,
  exitsAt,
  reachesHandler,
  reachesVmcall,
  type Values,
} from "../expectation.ts";

/** SDM Vol. 3, "Instructions That Cause VM Exits": each instruction, and each control on and off. */

type Reason = keyof typeof ExitReason;
const { guestCode, guestMemory } = vmxMemory;
const UD = reachesHandler(6);
const GP = reachesHandler(13);

/** Instructions that exit whatever the controls say. */
// biome-ignore format: one row per fact
const unconditional: readonly (readonly [guest: string, Reason, length: number, qualification?: number, values?: Values])[] = [
  ["cpuid", "CPUID", 2],
  ["invd", "INVD", 2],
  ["vmcall", "VMCALL", 3],
  ["vmclear [rax]", "VMCLEAR", 4],
  ["vmlaunch", "VMLAUNCH", 3],
  ["vmresume", "VMRESUME", 3],
  ["vmptrld [rax]", "VMPTRLD", 3],
  ["vmptrst [rax]", "VMPTRST", 3],
  ["vmread rax, rcx", "VMREAD", 3, 0, { "exit.instructionInformation": 0x1000_0400 }],
  ["vmwrite rcx, rax", "VMWRITE", 3, 0, { "exit.instructionInformation": 0x1000_0400 }],
  ["vmread [rbx + 0x10], rcx", "VMREAD", 4, 0x10],
  ["vmwrite rcx, [rbx + rdx * 4 + 0x1000]", "VMWRITE", 8, 0x1000],
  ["vmptrld [rip + 0x100]", "VMPTRLD", 7, guestCode + 0x107],
  ["vmptrld [rbx - 8]", "VMPTRLD", 4, -8],
  ["vmptrld gs:[r12 + r13 * 8]", "VMPTRLD", 6],
  ["vmxoff", "VMXOFF", 3],
  ["vmxon [rax]", "VMXON", 4],
  ["invept rax, [rbx]", "INVEPT", 5],
  ["invvpid r11, [rbx + 4]", "INVVPID", 7, 4],
];

/** Instructions that exit with one control (and others that they need), and what they do without. */
interface Controlled {
  readonly guest: string;
  readonly on: readonly ControlKey[];
  readonly reason: Reason;
  readonly length: number;
  readonly qualification?: number;
  readonly values?: Values;
  /** Controls without which the rest is done; default: none of `on`. */
  readonly stillOn?: readonly ControlKey[];
  readonly without: ConformanceCase["expect"][number];
  readonly rest?: Omit<ConformanceCase, "name" | "expect" | "on" | "guest">;
}
// biome-ignore format: one row per fact
const controlled: readonly Controlled[] = [
  { guest: "hlt", on: ["hltExiting"], reason: "HLT", length: 1, without: exits("PREEMPTION_TIMER", { "guest.activity": 1, "guest.rip": guestCode + 1 }) },
  { guest: "invlpg [rbx]", on: ["invlpgExiting"], reason: "INVLPG", length: 3, qualification: 0x123456789, without: reachesVmcall(), rest: { registers: { 3: 0x123456789 } } },
  { guest: "mwait", on: ["mwaitExiting"], reason: "MWAIT", length: 3, without: reachesVmcall() },
  { guest: "monitor", on: ["monitorExiting"], reason: "MONITOR", length: 3, without: reachesVmcall(), rest: { registers: { 0: guestMemory } } },
  { guest: "rdpmc", on: ["rdpmcExiting"], reason: "RDPMC", length: 2, without: GP, rest: { registers: { 1: 0x100 } } },
  { guest: "rdtsc\n xor eax, eax\n xor edx, edx", on: ["rdtscExiting"], reason: "RDTSC", length: 2, without: reachesVmcall() },
  { guest: "rdtscp\n xor eax, eax\n xor edx, edx\n xor ecx, ecx", on: ["rdtscExiting", "enableRDTSCP"], stillOn: ["enableRDTSCP"], reason: "RDTSCP", length: 3, without: reachesVmcall() },
  { guest: "mov cr3, rax", on: ["cr3LoadExiting"], reason: "CR_ACCESS", length: 3, qualification: 0x003, without: reachesVmcall(), rest: { registers: { 0: vmxMemory.guestPml4 } } },
  { guest: "mov rcx, cr3", on: ["cr3StoreExiting"], reason: "CR_ACCESS", length: 3, qualification: 0x113, without: reachesVmcall({ RCX: vmxMemory.guestPml4 }) },
  { guest: "mov cr8, r9", on: ["cr8LoadExiting"], reason: "CR_ACCESS", length: 4, qualification: 0x908, without: reachesVmcall() },
  { guest: "mov rdx, cr8", on: ["cr8StoreExiting"], reason: "CR_ACCESS", length: 4, qualification: 0x218, without: reachesVmcall() },
  { guest: "mov dr7, rbx", on: ["movDRExiting"], reason: "MOV_DR", length: 3, qualification: 0x307, without: reachesVmcall(), rest: { registers: { 3: 0x400 } } },
  { guest: "mov rsi, dr6", on: ["movDRExiting"], reason: "MOV_DR", length: 3, qualification: 0x616, without: reachesVmcall({ RSI: 0xffff0ff0 }) },
  { guest: "in al, dx", on: ["unconditionalIOExiting"], reason: "IO_INSTRUCTION", length: 1, qualification: 0x0080_0008, without: reachesVmcall(), rest: { registers: { 2: 0x80 } } },
  { guest: "out 0x80, eax", on: ["unconditionalIOExiting"], reason: "IO_INSTRUCTION", length: 2, qualification: 0x0080_0043, without: reachesVmcall() },
  { guest: "out dx, ax", on: ["unconditionalIOExiting"], reason: "IO_INSTRUCTION", length: 2, qualification: 0x0080_0001, without: reachesVmcall(), rest: { registers: { 2: 0x80 } } },
  { guest: "pause", on: ["pauseExiting"], reason: "PAUSE", length: 2, without: reachesVmcall() },
  { guest: "sgdt [rbx + 16]", on: ["descriptorTableExiting"], reason: "GDTR_IDTR_ACCESS", length: 4, qualification: 16, without: reachesVmcall(), rest: { registers: { 3: guestMemory } } },
  { guest: "sidt [rbx]", on: ["descriptorTableExiting"], reason: "GDTR_IDTR_ACCESS", length: 3, without: reachesVmcall(), rest: { registers: { 3: guestMemory } } },
  { guest: "lgdt [rbx]", on: ["descriptorTableExiting"], reason: "GDTR_IDTR_ACCESS", length: 3, without: reachesVmcall({ "guest.gdtr.limit": 0x77, "guest.gdtr.base": 0x1234 }), rest: { registers: { 3: guestMemory }, stores: { [guestMemory]: 0x1234_0077 } } },
  { guest: "lidt [rbx]", on: ["descriptorTableExiting"], reason: "GDTR_IDTR_ACCESS", length: 3, without: reachesVmcall({ "guest.idtr.limit": 0x77, "guest.idtr.base": 0x1234 }), rest: { registers: { 3: guestMemory }, stores: { [guestMemory]: 0x1234_0077 } } },
  { guest: "sldt eax", on: ["descriptorTableExiting"], reason: "LDTR_TR_ACCESS", length: 3, without: reachesVmcall() },
  { guest: "str rcx", on: ["descriptorTableExiting"], reason: "LDTR_TR_ACCESS", length: 4, without: reachesVmcall({ RCX: 0x48 }) },
  { guest: "lldt ax", on: ["descriptorTableExiting"], reason: "LDTR_TR_ACCESS", length: 3, without: reachesVmcall({ "guest.ldtr.selector": 0x70, "guest.ldtr.base": 0x20_2800, "guest.ldtr.limit": 0x1f, "guest.ldtr.access": 0x82 }), rest: { registers: { 0: 0x70 } } },
  { guest: "ltr [rbx + 8]", on: ["descriptorTableExiting"], reason: "LDTR_TR_ACCESS", length: 4, qualification: 8, without: GP, rest: { registers: { 3: guestMemory } } },
  { guest: "wbinvd", on: ["wbinvdExiting"], reason: "WBINVD", length: 2, without: reachesVmcall() },
  { guest: "rdrand eax\n xor eax, eax", on: ["rdrandExiting"], reason: "RDRAND", length: 3, without: reachesVmcall(), },
  { guest: "rdseed ecx\n xor ecx, ecx", on: ["rdseedExiting"], reason: "RDSEED", length: 3, without: reachesVmcall() },
  { guest: "invpcid rax, [rbx]", on: ["enableINVPCID", "invlpgExiting"], stillOn: ["enableINVPCID"], reason: "INVPCID", length: 5, without: reachesVmcall(), rest: { registers: { 0: 2, 3: guestMemory } } },
];

/** Instructions that are #UD unless a control enables them. */
// biome-ignore format: one row per fact
const enabling: readonly (readonly [guest: string, ControlKey, registers?: Record<number, number>, set?: ConformanceCase["set"]])[] = [
  ["rdtscp\n xor eax, eax\n xor edx, edx\n xor ecx, ecx", "enableRDTSCP"],
  ["invpcid rax, [rbx]", "enableINVPCID", { 0: 2, 3: guestMemory }],
  ["xsaves [rbx]", "enableXSAVES", { 3: guestMemory + 0x100 }, { "guest.cr4": 0x4_2620 }],
  ["xrstors [rbx]", "enableXSAVES", { 3: guestMemory + 0x400 }, { "guest.cr4": 0x4_2620 }],
];

const nameOf = (guest: string): string => guest.split("\n")[0]!;

// biome-ignore format: one row per fact
export const instructionExits: readonly ConformanceCase[] = [
  ...unconditional.map(([guest, reason, length, qualification = 0, values = {}]) => ({
    name: `${guest} exits`,
    guest,
    expect: [exitsAt(reason, length, qualification, values)],
  })),
  ...controlled.flatMap(
    ({ guest, on, reason, length, qualification = 0, values, stillOn = [], without, rest }) => [
      {
        name: `${nameOf(guest)} exits with ${on[0]}`,
        guest,
        ...rest,
        on,
        expect: [exitsAt(reason, length, qualification, values)],
      },
      {
        name: `${nameOf(guest)} without ${on[0]}`,
        guest: `${guest}\n vmcall`,
        ...rest,
        on: stillOn,
        expect: [without],
      },
    ],
  ),
  ...enabling.flatMap(([guest, control, registers = {}, set = {}]) => [
    {
      name: `${nameOf(guest)} with ${control}`,
      guest: `${guest}\n vmcall`,
      on: [control],
      registers,
      set,
      expect: [reachesVmcall()],
    },
    {
      name: `${nameOf(guest)} is #UD without ${control}`,
      guest: `${guest}\n vmcall`,
      registers,
      set,
      expect: [UD],
    },
  ]),
  { name: "xsetbv exits", guest: "xsetbv", set: { "guest.cr4": 0x4_2620 }, expect: [exitsAt("XSETBV", 3)] },
  { name: "xsetbv without CR4.OSXSAVE is #UD", guest: "xsetbv", expect: [UD] },
  { name: "getsec without CR4.SMXE is #UD", guest: "getsec", expect: [UD] },
  { name: "rsm outside SMM is #UD", guest: "rsm", expect: [UD] },
  { name: "vmfunc without VM functions is #UD", guest: "vmfunc", expect: [UD] },
  { name: "vmfunc of a function that is off exits", guest: "vmfunc", on: ["enableVMFunctions", "enableEPT"], registers: { 0: 1 }, expect: [exitsAt("VMFUNC", 3)] },
  { name: "vmfunc 0 switches the EPT pointer", guest: "vmfunc\n vmcall", on: ["enableVMFunctions", "enableEPT"], set: { "control.vmFunctionControls": 1 }, stores: { [vmxMemory.eptpList]: vmxMemory.eptOtherPml4 | 0x1e }, expect: [reachesVmcall({ "control.eptPointer": vmxMemory.eptOtherPml4 | 0x1e })] },
  { name: "vmfunc 0 with a bad EPT pointer exits", guest: "vmfunc\n vmcall", on: ["enableVMFunctions", "enableEPT"], set: { "control.vmFunctionControls": 1 }, expect: [exitsAt("VMFUNC", 3)] },
  { name: "vmfunc 0 beyond the list exits", guest: "vmfunc\n vmcall", on: ["enableVMFunctions", "enableEPT"], set: { "control.vmFunctionControls": 1 }, registers: { 1: 512 }, expect: [exitsAt("VMFUNC", 3)] },
  { name: "vmfunc 64 is #UD", guest: "vmfunc\n vmcall", on: ["enableVMFunctions", "enableEPT"], set: { "control.vmFunctionControls": 1 }, registers: { 0: 64 }, expect: [UD] },

  // Priority: a privilege fault before the exit, the exit before other faults.
  { name: "hlt at CPL 3 is #GP, not an exit", mode: "64-bit user", guest: "hlt", on: ["hltExiting"], expect: [GP] },
  { name: "vmxoff at CPL 3 exits", mode: "64-bit user", guest: "vmxoff", expect: [exitsAt("VMXOFF", 3)] },
  { name: "vmcall at CPL 3 exits", mode: "64-bit user", guest: "vmcall", expect: [exitsAt("VMCALL", 3)] },
  { name: "vmread at CPL 3 exits", mode: "64-bit user", guest: "vmread rax, rcx", expect: [exitsAt("VMREAD", 3)] },
  { name: "cpuid at CPL 3 exits", mode: "64-bit user", guest: "cpuid", expect: [exitsAt("CPUID", 2)] },
  { name: "invd at CPL 3 is #GP", mode: "64-bit user", guest: "invd", expect: [GP] },
  { name: "mov cr3 at CPL 3 is #GP", mode: "64-bit user", guest: "mov cr3, rax", on: ["cr3LoadExiting"], expect: [GP] },
  { name: "rdmsr at CPL 3 is #GP", mode: "64-bit user", guest: "rdmsr", expect: [GP] },
  { name: "rdpmc at CPL 3 with CR4.PCE 0 is #GP", mode: "64-bit user", guest: "rdpmc", on: ["rdpmcExiting"], expect: [GP] },
  { name: "rdtsc at CPL 3 with CR4.TSD is #GP", mode: "64-bit user", guest: "rdtsc", on: ["rdtscExiting"], set: { "guest.cr4": 0x2624 }, expect: [GP] },
  { name: "in at CPL 3 without I/O permission is #GP", mode: "64-bit user", guest: "in al, 0x80", on: ["unconditionalIOExiting"], expect: [GP] },
  // "Changes to Instruction Behavior in VMX Non-Root Operation", MOV DR: an exception to the priorities.
  { name: "mov dr at CPL 3 exits", mode: "64-bit user", guest: "mov rax, dr7", on: ["movDRExiting"], expect: [exitsAt("MOV_DR", 3, 0x017)] },
  { name: "mov dr at CPL 3 without MOV-DR exiting is #GP", mode: "64-bit user", guest: "mov rax, dr7", expect: [GP] },
  { name: "mov dr7 with DR7.GD exits", guest: "mov dr7, rax", on: ["movDRExiting"], set: { "guest.dr7": 0x2400 }, expect: [exitsAt("MOV_DR", 3, 0x007)] },
  { name: "mov dr4 with CR4.DE exits", guest: "mov rax, dr4", on: ["movDRExiting"], set: { "guest.cr4": 0x2628 }, expect: [exitsAt("MOV_DR", 3, 0x014)] },
  { name: "mov dr4 with CR4.DE without MOV-DR exiting is #UD", guest: "mov rax, dr4", set: { "guest.cr4": 0x2628 }, expect: [UD] },
  { name: "mov dr4 without CR4.DE exits", guest: "mov rax, dr4", on: ["movDRExiting"], expect: [exitsAt("MOV_DR", 3, 0x014)] },
  { name: "lgdt at CPL 3 is #GP", mode: "64-bit user", guest: "lgdt [rbx]", on: ["descriptorTableExiting"], expect: [GP] },
  { name: "sgdt at CPL 3 exits", mode: "64-bit user", guest: "sgdt [rbx]", on: ["descriptorTableExiting"], expect: [exitsAt("GDTR_IDTR_ACCESS", 3)] },
  { name: "sgdt at CPL 3 with UMIP is #GP", mode: "64-bit user", guest: "sgdt [rbx]", on: ["descriptorTableExiting"], set: { "guest.cr4": 0x2e20 }, expect: [GP] },
  { name: "invlpg at CPL 3 is #GP", mode: "64-bit user", guest: "invlpg [rbx]", on: ["invlpgExiting"], expect: [GP] },
  { name: "pause at CPL 3 exits", mode: "64-bit user", guest: "pause", on: ["pauseExiting"], expect: [exitsAt("PAUSE", 2)] },
  { name: "in of an aligned port exits before memory is touched", guest: "rep insd", on: ["unconditionalIOExiting"], registers: { 1: 5, 2: 0x80, 7: 0x8000_0000_0000 }, expect: [exits("IO_INSTRUCTION", { "exit.qualification": 0x0080_003b, "exit.instructionLength": 2 })] },
  { name: "outsb exits with its linear address", guest: "outsb", on: ["unconditionalIOExiting"], registers: { 2: 0x1234, 6: 0x5678 }, expect: [exitsAt("IO_INSTRUCTION", 1, 0x1234_0010, { "exit.guestLinearAddress": 0x5678 })] },
  { name: "fs outsw exits", guest: "fs outsw", on: ["unconditionalIOExiting"], registers: { 2: 0x1234, 6: 0x5678 }, set: { "guest.fs.base": 0x10_0000_0000 }, expect: [exitsAt("IO_INSTRUCTION", 3, 0x1234_0011, { "exit.guestLinearAddress": 0x10_0000_5678 })] },
  { name: "rep outsb with RCX 0 executes nothing, so nothing exits", guest: "rep outsb\n vmcall", on: ["unconditionalIOExiting"], registers: { 2: 0x80 }, expect: [reachesVmcall()] },
  { name: "lock before hlt is #UD", guest: "db 0xf0, 0xf4", on: ["hltExiting"], expect: [UD] },
  { name: "vmcall after its own prefix keeps the length", guest: "db 0x2e, 0x0f, 0x01, 0xc1", expect: [exitsAt("VMCALL", 4)] },
];
