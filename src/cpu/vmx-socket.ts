import type { ExitReason } from "../arch/vm-exit-reasons.ts";
import type { Instruction } from "../isa/instruction.ts";
import type { Row } from "../isa/row.ts";
import { type Event, Fault } from "./fault.ts";

/**
 * The socket that VT-x plugs into: what a logical processor asks before it acts, in VMX non-root operation above all.
 * `cpu/` owns it and knows no more of VT-x; `vmx/` implements it.
 */

/** The instructions introduced with VMX; `VmxSocket.execute` knows them by their places. */
// biome-ignore format: one list
export const vmxInstructionNames = [
  "VMXON", "VMXOFF", "VMCLEAR", "VMPTRLD", "VMPTRST", "VMREAD", "VMWRITE", "VMLAUNCH", "VMRESUME", "VMCALL", "VMFUNC", "INVEPT", "INVVPID",
] as const;
export type VmxInstructionName = (typeof vmxInstructionNames)[number];

/** state["vmx.operation"]. */
export const VmxOperation = { off: 0, root: 1, nonRoot: 2 } as const;

/** state["vmx.steps"]: instructions that are no procedures and yet asked of `intercept`, by bits. */
export const VmxStep = { PAUSE: 1, RDPID: 2, STI: 4 } as const;
const steps: Readonly<Record<string, number>> = VmxStep;
export const stepOf = ({ semantics }: Row): number => steps[semantics.mnemonic] ?? 0;

/** What an exit reports beside reason and qualification; absent fields of the VMCS become 0, or stay undefined by the manual. */
export interface VmExitDetails {
  /** Bytes of the instruction that caused the exit. */
  readonly instructionLength?: number;
  readonly instructionInformation?: number;
  readonly guestLinearAddress?: bigint;
  /** Guest-physical address, EPT violations and misconfigurations. */
  readonly guestPhysicalAddress?: number;
  /** VM-exit interruption information, with its valid bit, and error code. */
  readonly interruptionInformation?: number;
  readonly interruptionErrorCode?: number;
  /** An EPT violation that is delivered as #VE when the guest's state allows it (SDM Vol. 3, "Convertible EPT Violations"). */
  readonly convertible?: boolean;
  /** RFLAGS.RF of the saved image; without it 0. */
  readonly resumeFlag?: boolean;
  /** Bit 12 of an EPT violation's qualification, or of the interruption information: an IRET had unblocked NMIs. */
  readonly nmiUnblocking?: boolean;
}

/**
 * A VM exit on its way: returned wherever a fault would be, so that an instruction or an event's delivery is given up
 * with nothing changed, as by a fault.
 */
export class VmExit extends Fault {
  readonly reason: ExitReason;
  readonly qualification: bigint;
  readonly details: VmExitDetails;
  constructor(reason: ExitReason, qualification = 0n, details: VmExitDetails = {}) {
    super(-1);
    this.reason = reason;
    this.qualification = qualification;
    this.details = details;
  }
}

/** What `translateGuestPhysical` is told beside WRITE and FETCH of page-walk.ts, in the same number. */
export const GuestPhysicalAccess = {
  /** To a paging structure of the guest: a read of an entry, or with WRITE the update of its accessed or dirty flag. */
  TABLE: 1 << 4,
  /** PDPTEs loaded by MOV to CR: no linear address is being translated. */
  NO_LINEAR_ADDRESS: 1 << 5,
  /** Of the linear address, by the paging structures of the guest: user-mode, writable, not executable. */
  USER_MODE_ADDRESS: 1 << 6,
  WRITABLE: 1 << 7,
  EXECUTE_DISABLE: 1 << 8,
} as const;

/** Result of a walk of the EPT paging structures; the rights are those of the 4-KByte frame under the present controls. */
export class GuestPhysicalTranslation {
  /** Physical address of the byte. */
  address = 0;
  /** Bytes of the page that maps it. */
  pageSize = 0;
  mayRead = false;
  /** Without setting a dirty flag or logging a page first. */
  mayWrite = false;
  /** For supervisor-mode linear addresses, and for user-mode ones (they differ with mode-based execute control). */
  mayFetch = false;
  mayFetchUser = false;
}

export interface VmxSocket {
  /** In VMX non-root operation: the questions below are asked only then. */
  readonly nonRoot: boolean;
  /** VM entries and VM exits so far: tells whether an instruction has brought one about. */
  readonly transitions: number;
  /** In VMX operation: CR0 and CR4 have fixed bits, INIT is blocked in root operation. */
  readonly inVmxOperation: boolean;
  /** Why the processor is in shutdown, if a VMX abort did it: the VMX-abort indicator; else 0. */
  readonly abortIndicator: number;
  /** Bits of CR0 and CR4 that must be 1 in VMX operation, in the guest of now (an unrestricted one may clear PE and PG). */
  readonly cr0Fixed: bigint;
  readonly cr4Fixed: bigint;
  /** An IA32_VMX_* capability MSR; undefined: the processor lacks it (#GP). */
  capabilityMsr(index: number): bigint | undefined;

  /**
   * An instruction that is a procedure, or one of `VmxStep`, is about to be carried out; its privilege level has been checked. A VmExit, a fault
   * that has priority over one, "done" when it has been carried out here (a shadowed register), or undefined: go on.
   */
  intercept(instruction: Instruction): Fault | "done" | undefined;

  /** The privilege level forbids an instruction in non-root operation: the fault that this is, or the VM exit that comes before. */
  refused(instruction: Instruction): Fault;

  /**
   * One of the instructions introduced with VMX, in whatever mode and operation: from its exceptions and VM exits to the instruction pointer,
   * which afterwards is where to go on.
   */
  execute(instruction: Instruction, number: number): Fault | undefined;

  /** IRET begins, in non-root operation: NMIs, or virtual NMIs, are no longer blocked even if it faults. */
  unblockNmis(): void;

  /**
   * An event is about to be delivered. True: a VM exit took its place. `during` is the event whose delivery raised it.
   */
  interceptEvent(event: Event, during: Event | undefined): boolean;

  /** A third fault. True: a VM exit took the place of shutdown. */
  interceptTripleFault(): boolean;

  /** Carry out a VM exit met on the way. `during`: while that event was delivered. RIP is the instruction's own. */
  exit(exit: VmExit, during: Event | undefined): void;

  /** At an instruction boundary, before debug traps: INIT, SIPI, trap-like exits, monitor trap flag. True: a VM exit. */
  boundaryBeforeTraps(): boolean;
  /** Before NMIs: preemption timer, NMI window, NMI exiting. True: a VM exit. */
  boundaryBeforeNmi(): boolean;
  /** Before external interrupts: interrupt window, external-interrupt exiting, virtual interrupts. True: a VM exit or a delivery. */
  boundaryBeforeInterrupts(): boolean;
  /** Physical interrupts are not delivered through the guest's IDT: only their VM exit counts. */
  readonly externalInterruptExiting: boolean;
  /** Interruptibility bit 3 is blocking of virtual NMIs; real ones cause VM exits, which boundaryBeforeNmi has seen to. */
  readonly virtualNmis: boolean;
  /** Some event would be recognized if RFLAGS.IF allowed it: an interrupt window, a virtual interrupt. */
  readonly wantsInterruptibility: boolean;
  /** An event could end the activity state HLT, shutdown or wait-for-SIPI of a guest. */
  readonly wakes: boolean;
  /** Virtual time at which the preemption timer of a guest that waits ends that; Infinity when it does not run. */
  readonly wakeNs: number;
  /** Instructions until the preemption timer may expire; Infinity when it does not run. */
  instructionsAllowed(): number;

  /** EPT translates guest-physical addresses; otherwise they are physical ones. */
  readonly eptEnabled: boolean;
  /**
   * Guest-physical to physical, under EPT. `access`: WRITE or FETCH of page-walk.ts (neither: a read) and `GuestPhysicalAccess`;
   * `linearHigh`, `linearLow`: the linear address being translated. The refusal is a VmExit: EPT violation (perhaps one that
   * becomes #VE), misconfiguration, full page-modification log, APIC access. The success value is shared: read it before the
   * next walk.
   */
  translateGuestPhysical(
    address: number,
    access: number,
    linearHigh: number,
    linearLow: number,
  ): GuestPhysicalTranslation | Fault;

  /** Physical address of the APIC-access page whose accesses are virtualized or exit; -1 when there is none. */
  readonly apicAccessPage: number;
  /**
   * An access of `size` bytes at an offset in that page, by linear address; `access` as in page-walk.ts. The physical address to
   * use instead, or the VM exit.
   */
  apicAccess(offset: number, size: number, access: number): number | Fault;
  /** A write that `apicAccess` let through has been carried out: what it does to the virtual APIC. */
  apicWritten(offset: number): void;

  /** Number that tells address spaces of this processor apart beyond PCID: VPID and EPT pointer. 0 in root operation and outside VMX. */
  readonly world: number;
  /** Does a world have the current VPID (0 in root operation)? Instructions that invalidate are about those. */
  readonly sharesVpid: (world: number) => boolean;

  /** Added to (after multiplication) the host's TSC by RDTSC in non-root operation. */
  guestTimeStamp(host: bigint): bigint;
}
