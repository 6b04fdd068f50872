/** Basic exit reasons (SDM Vol. 3, Appendix "VMX Basic Exit Reasons"). */
// biome-ignore format: one row per fact
export const ExitReason = {
  EXCEPTION_OR_NMI: 0, EXTERNAL_INTERRUPT: 1, TRIPLE_FAULT: 2, INIT_SIGNAL: 3, SIPI: 4, IO_SMI: 5, OTHER_SMI: 6,
  INTERRUPT_WINDOW: 7, NMI_WINDOW: 8, TASK_SWITCH: 9, CPUID: 10, GETSEC: 11, HLT: 12, INVD: 13, INVLPG: 14, RDPMC: 15, RDTSC: 16, RSM: 17,
  VMCALL: 18, VMCLEAR: 19, VMLAUNCH: 20, VMPTRLD: 21, VMPTRST: 22, VMREAD: 23, VMRESUME: 24, VMWRITE: 25, VMXOFF: 26, VMXON: 27,
  CR_ACCESS: 28, MOV_DR: 29, IO_INSTRUCTION: 30, RDMSR: 31, WRMSR: 32, INVALID_GUEST_STATE: 33, MSR_LOADING: 34,
  MWAIT: 36, MONITOR_TRAP_FLAG: 37, MONITOR: 39, PAUSE: 40, MACHINE_CHECK: 41, TPR_BELOW_THRESHOLD: 43, APIC_ACCESS: 44, VIRTUALIZED_EOI: 45,
  GDTR_IDTR_ACCESS: 46, LDTR_TR_ACCESS: 47, EPT_VIOLATION: 48, EPT_MISCONFIGURATION: 49, INVEPT: 50, RDTSCP: 51, PREEMPTION_TIMER: 52,
  INVVPID: 53, WBINVD: 54, XSETBV: 55, APIC_WRITE: 56, RDRAND: 57, INVPCID: 58, VMFUNC: 59, ENCLS: 60, RDSEED: 61, PML_FULL: 62,
  XSAVES: 63, XRSTORS: 64, PCONFIG: 65, SPP: 66, UMWAIT: 67, TPAUSE: 68, LOADIWKEY: 69, ENCLV: 70,
} as const;
export type ExitReason = (typeof ExitReason)[keyof typeof ExitReason];

const names = new Map(Object.entries(ExitReason).map(([name, number]) => [number as number, name]));

/** Name of a basic exit reason, or its number. */
export const exitReasonName = (reason: number): string =>
  names.get(reason & 0xffff) ?? `reason ${reason & 0xffff}`;
