/**
 * The state of one logical processor, laid out in linear memory: one row per field. TypeScript reads it through
 * `CpuState`, translated code by constant offset, a snapshot copies it. General registers come first: register n is at 8n.
 */

type FieldType = "u32" | "u64" | "bytes";

interface Field {
  readonly type: FieldType;
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** Architectural state is saved, restored and hashed; the rest is the tiers' own. */
  readonly architectural: boolean;
}

// biome-ignore format: SDM order
export const generalRegisters = [
  "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
  "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15",
] as const;
export type GeneralRegister = (typeof generalRegisters)[number];

/** Encoding order of segment registers, then the two system segments. */
export const segmentRegisters = ["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"] as const;
export type SegmentRegister = (typeof segmentRegisters)[number];

// biome-ignore format: one row per group of facts
const u64Fields = [
  "RIP",
  /** Status flags are valid here only when lazyFlags is 0; readers outside translated code see them settled at every exit. */ "RFLAGS",
  "CR0", "CR2", "CR3", "CR4", "XCR0", "DR0", "DR1", "DR2", "DR3", "DR6", "DR7",
  "GDTR.base", "IDTR.base",
  "ES.base", "CS.base", "SS.base", "DS.base", "FS.base", "GS.base", "LDTR.base", "TR.base",
  "IA32_EFER", "IA32_STAR", "IA32_LSTAR", "IA32_CSTAR", "IA32_FMASK", "IA32_KERNEL_GS_BASE",
  "IA32_SYSENTER_CS", "IA32_SYSENTER_ESP", "IA32_SYSENTER_EIP", "IA32_PAT", "IA32_DEBUGCTL", "IA32_XSS",
  "IA32_TSC_AUX", "IA32_TSC_ADJUST", "IA32_MISC_ENABLE", "IA32_FEATURE_CONTROL", "IA32_SPEC_CTRL", "IA32_BIOS_SIGN_ID", "IA32_PERF_GLOBAL_CTRL",
  "IA32_MTRR_DEF_TYPE", "IA32_MCG_STATUS", "IA32_UMWAIT_CONTROL", "MSR_MISC_FEATURES_ENABLES",
  /** The four PDPTEs loaded by MOV to CR3 in PAE mode (SDM Vol. 3, "PDPTE Registers"). */ "PDPTE0", "PDPTE1", "PDPTE2", "PDPTE3",
  /** Added to virtual time to give the TSC; WRMSR of IA32_TIME_STAMP_COUNTER and IA32_TSC_ADJUST change it. */ "tscOffset",
  /** Instructions retired since power-on: the clock of everything. */ "retired",
  "FIP", "FDP",
  "MONITOR.address",
  /** VMX (SDM Vol. 3, "Virtual Machine Control Structures"): the VMXON pointer, the current-VMCS pointer (all ones: none), time stamp at which the preemption timer expires. */ "vmx.vmxonPointer", "vmx.currentVmcs", "vmx.preemptionDeadline",
] as const;

// biome-ignore format: one row per group of facts
const u32Fields = [
  "ES.selector", "CS.selector", "SS.selector", "DS.selector", "FS.selector", "GS.selector", "LDTR.selector", "TR.selector",
  "ES.limit", "CS.limit", "SS.limit", "DS.limit", "FS.limit", "GS.limit", "LDTR.limit", "TR.limit",
  /** Access rights in the VMCS format (SDM Vol. 3, "Guest Register State"): type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
  "ES.access", "CS.access", "SS.access", "DS.access", "FS.access", "GS.access", "LDTR.access", "TR.access",
  "GDTR.limit", "IDTR.limit",
  "MXCSR", "FCW", "FSW", /** Full 16-bit tag word: two bits a register, 3 = empty. */ "FTW", "FOP", "FCS", "FDS",
  /** VMCS encoding: 0 active, 1 HLT, 2 shutdown, 3 wait-for-SIPI. */ "activity",
  /** VMCS encoding: bit 0 blocking by STI, 1 by MOV SS, 2 by SMI, 3 by NMI. */ "interruptibility",
  /** Bits: 1 armed by MONITOR, 2 MWAIT waits on MONITOR.address, 4 interrupts end the wait even with IF = 0 (cpu/system.ts, Monitor). */ "MONITOR.armed",
  "PKRU",
  /** Debug exceptions to deliver after the instruction, in the VMCS format of "pending debug exceptions" (BT is bit 15). */ "pendingDebug",
  /** 0 outside VMX operation, 1 root, 2 non-root (cpu/vmx-socket.ts, VmxOperation); and what waits for the next boundary there (vmx/events.ts). */ "vmx.operation", "vmx.pending",
  /** Instructions that the processor must look at in this guest although they are no procedures: bits of cpu/vmx-socket.ts, VmxStep. */ "vmx.steps",
] as const;

/** Fields of the tiers: derived or transient, never saved. */
// biome-ignore format: one row per group of facts
const tierU64 = [
  /** Always 0: the base or index of an address that has none. */ "zero",
  /** RIP of byte 0 of the code page being run; an instruction's RIP is this plus its page offset. */ "ripBase",
  /** What is added to an offset in CS to give a linear address: 0 in 64-bit mode. */ "codeBase",
  "lazyA", "lazyB", "lazyC",
  /** Linear address handed to the slow path of a memory access. */ "slowAddress",
  /** XORed into the page part of a linear address to look it up in the TLB: context and privilege class, spread (cpu/tlb.ts). */ "tlbKey",
  /** What tlbKey becomes when RFLAGS.AC changes: supervisor with AC clear, with AC set. */ "tlbKeyAcClear", "tlbKeyAcSet",
] as const;
// biome-ignore format: one row per group of facts
const tierU32 = [
  /** Which flags function and stash settle the status flags; 0: RFLAGS holds them. */ "lazyFlags",
  /** Context and decode mode of the running code: the jump cache's second tag. */ "jumpKey",
  /** Changes with every change of where the running code's pages are: what regions of several pages are checked against. */ "codeStamp",
  /** Why translated code returned (codegen/record.ts), at which record, with how much budget, and the exception it raised. */
  "exitKind", "exitRecord", "exitBudget", "exitVector", "exitErrorCode",
  /** Nonzero: an interrupt could be taken if RFLAGS.IF allowed it. */ "interruptPending",
  /** Nonzero while one instruction is stepped by the processor, which may then touch MMIO. */ "stepping",
] as const;

const layoutTable = new Map<string, Field>();
let end = 0;
const place = (
  name: string,
  type: FieldType,
  size: number,
  architectural: boolean,
  alignment = size,
): void => {
  end = Math.ceil(end / alignment) * alignment;
  layoutTable.set(name, { type, offset: end, size, architectural });
  end += size;
};
for (const name of generalRegisters) place(name, "u64", 8, true);
for (const name of u64Fields) place(name, "u64", 8, true);
for (const name of u32Fields) place(name, "u32", 4, true);
/** x87 physical registers (80 bits each, MMX in the low 64) and vector registers (room for 256 bits). */
for (let n = 0; n < 8; n++) place(`x87.${n}`, "bytes", 16, true);
for (let n = 0; n < 16; n++) place(`XMM${n}`, "bytes", 32, true);
/** Variable-range MTRRs (base, mask pairs) and the eleven fixed-range ones. */
place("mtrr.variable", "bytes", 10 * 16, true, 8);
place("mtrr.fixed", "bytes", 11 * 8, true, 8);
export const architecturalBytes = end;
for (const name of tierU64) place(name, "u64", 8, false);
for (const name of tierU32) place(name, "u32", 4, false);
/** Where a page-crossing or device access is gathered before it is used, and vector arguments of intrinsics. */
place("bounce", "bytes", 1024, false, 64);
place("vectorScratch", "bytes", 128, false, 16);
export const stateBytes = Math.ceil(end / 64) * 64;

export const layout: ReadonlyMap<string, Field> = layoutTable;

/** Offset of a field from the start of the state. */
export const offsetOf = (name: string): number => {
  const field = layout.get(name);
  if (field === undefined) throw new Error(`no state field ${name}`);
  return field.offset;
};

export type U64Field = GeneralRegister | (typeof u64Fields)[number] | (typeof tierU64)[number];
export type U32Field = (typeof u32Fields)[number] | (typeof tierU32)[number];
export type BytesField =
  | `x87.${number}`
  | `XMM${number}`
  | "mtrr.variable"
  | "mtrr.fixed"
  | "bounce"
  | "vectorScratch";
export { tierU32, tierU64, u32Fields, u64Fields };
