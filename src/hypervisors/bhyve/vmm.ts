import type { GuestPaging } from "../host/guest-paging.ts";
import type { Thread } from "../host/host-kernel.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import type { MmioAccess } from "../host/mmio-instruction.ts";
import type { StringIo } from "../host/string-io.ts";

/** What the architecture-neutral layer, the backend for VT-x and the user process agree on. */

/** Behave as the code of early 2013 did, its bugs included, or as its later fixes. */
export type BhyveMode = "historic" | "fixed";

export const VM_MAXCPU = 8;

/** Why an operation was refused; 0 is success. */
export type Errno =
  | "EEXIST"
  | "EINVAL"
  | "ENXIO"
  | "EBUSY"
  | "EAGAIN"
  | "ENOENT"
  | "ENOEXEC"
  | "EFAULT"
  | "ENOMEM";
export type Outcome = 0 | Errno;

/** Why VM_RUN came back, and all that the user process needs to carry on. */
export type VmExit = { readonly instLength: number; readonly rip: bigint } & (
  | { readonly code: "INOUT"; readonly bytes: 1 | 2 | 4; readonly in: boolean; readonly string: boolean; readonly rep: boolean; readonly port: number; readonly eax: number; /** Of INS and OUTS. */ readonly str?: InoutString }
  | { readonly code: "VMX"; readonly error: number; readonly reason: number; readonly qualification: bigint }
  | { readonly code: "BOGUS" | "MTRAP" | "PAUSE" }
  | { readonly code: "HLT"; readonly interruptible: boolean }
  | { readonly code: "RDMSR"; readonly msr: number }
  | { readonly code: "WRMSR"; readonly msr: number; readonly wval: bigint }
  | { readonly code: "PAGING"; readonly gpa: number; readonly access: MmioAccess }
  | { readonly code: "SPINUP_AP"; readonly vcpu: number; readonly entry: number }
); // biome-ignore format: one row per code

/** reason and qualification of an exit VMX that is a VMfail. */
export const noReason = 0xffff_ffff;

// biome-ignore format: one list
export type GeneralName = "rax" | "rbx" | "rcx" | "rdx" | "rsi" | "rdi" | "rbp" | "r8" | "r9" | "r10" | "r11" | "r12" | "r13" | "r14" | "r15" | "cr2";
export type VmcsRegister = "rsp" | "rip" | "rflags" | "cr0" | "cr3" | "cr4" | "dr7" | "efer";
export type SegmentName = "es" | "cs" | "ss" | "ds" | "fs" | "gs" | "ldtr" | "tr";
export type RegisterName = GeneralName | VmcsRegister | SegmentName;
export type DescriptorName = SegmentName | "gdtr" | "idtr";

/** A segment's hidden part; `access` is in the VMCS format. Tables have no access rights. */
export interface Descriptor {
  readonly base: bigint;
  readonly limit: number;
  readonly access: number;
}

/** What the kernel tells beyond port and size: struct vm_inout_str. */
export interface InoutString extends StringIo {
  readonly paging: GuestPaging;
  /** The segment of the operand, and whether it is looked at: in 64-bit mode only its base is. */
  readonly descriptor: Descriptor;
  readonly is64Bit: boolean;
  readonly cpl: number;
  readonly rflags: bigint;
  /** RSI or RDI, and RCX. */
  readonly index: bigint;
  readonly count: bigint;
}

/** Events by what raises them. */
// biome-ignore format: one row per fact
export const eventType = {
  hardwareInterrupt: 0, NMI: 2, hardwareException: 3, softwareInterrupt: 4, privilegedSoftwareException: 5, softwareException: 6,
} as const;

export interface GuestEvent {
  readonly type: keyof typeof eventType;
  readonly vector: number;
  readonly errorCode?: number;
  /** Bytes of the instruction, of software events. */
  readonly instLength?: number;
}

export type Capability = "hlt_exit" | "mtrap_exit" | "pause_exit" | "unrestricted_guest";

/** Protection of a guest-physical mapping. */
export const prot = { none: 0, read: 1, write: 2, execute: 4, all: 7 } as const;

/** The virtual local APIC, as the backend reaches it. */
export interface VirtualApic {
  /** Physical address of the page, in xAPIC mode. */
  readonly page: number | undefined;
  taskPriorityClass: number;
  hasInterrupt(): boolean;
  acknowledge(): number;
  readMsr(index: number): bigint | undefined;
  writeMsr(index: number, value: bigint): boolean;
  read(offset: number, size: 1 | 2 | 4): number;
  write(offset: number, value: number, size: 1 | 2 | 4): void;
}

/** The part of a virtual machine that does not know VT-x, as the backend reaches it. */
export interface VcpuAround {
  readonly index: number;
  readonly apic: VirtualApic;
  nmiPending: boolean;
  /** A start-up IPI has told another virtual processor where to begin; the exit that reports it takes it away. */
  spinup: { readonly vcpu: number; readonly entry: number } | undefined;
  /** CPUID as the guest shall see it, of these registers. */
  cpuid(leaf: number, subleaf: number): { eax: number; ebx: number; ecx: number; edx: number };
  /** An MSR that software switches or emulates: its value, or #GP. Undefined: not one of those. */
  readMsr(index: number): bigint | "GP" | undefined;
  writeMsr(index: number, value: bigint): true | "GP" | undefined;
  /** Guest-physical memory, a doubleword; -1 where there is none. */
  readMemory32(address: number): number;
  /** Bytes of guest-physical memory. */
  readMemory(address: number, length: number): Uint8Array;
  readonly stats: VcpuStats;
}

export interface VcpuStats {
  exits: number;
  migrations: number;
  externalInterrupts: number;
  hlts: number;
  userExits: number;
}

/** The fourteen operations of a backend; the order is that of the original's table. `Cookie` is its own state of a virtual machine. */
export interface VmmOps<Cookie> {
  init(): Outcome;
  cleanup(): void;
  vminit(vcpus: readonly VcpuAround[]): Cookie | Errno;
  /** Until an exit is for somebody else: the neutral layer, or the user process. */
  vmrun(vm: Cookie, vcpu: number, cpu: HostProcessor, rip: bigint): Thread<VmExit>;
  vmcleanup(vm: Cookie): void;
  mmapSet(vm: Cookie, gpa: number, hpa: number, length: number, protection: number): Outcome;
  /** -1 where nothing is mapped. */
  mmapGet(vm: Cookie, gpa: number): number;
  getreg(vm: Cookie, vcpu: number, cpu: HostProcessor, name: RegisterName): bigint;
  setreg(vm: Cookie, vcpu: number, cpu: HostProcessor, name: RegisterName, value: bigint): Outcome;
  getdesc(vm: Cookie, vcpu: number, cpu: HostProcessor, name: DescriptorName): Descriptor;
  setdesc(vm: Cookie, vcpu: number, cpu: HostProcessor, name: DescriptorName, value: Descriptor): Outcome;
  inject(vm: Cookie, vcpu: number, cpu: HostProcessor, event: GuestEvent): Outcome;
  /** Undefined: the processor lacks it. */
  getcap(vm: Cookie, vcpu: number, capability: Capability): boolean | undefined;
  setcap(vm: Cookie, vcpu: number, cpu: HostProcessor, capability: Capability, value: boolean): Outcome;
}
