import type { EptTables } from "../host/ept-tables.ts";
import type { HostProcessor } from "../host/host-processor.ts";
import { fieldSlot, type VmxDoor } from "../host/vmx-door.ts";
import type { Context } from "./context.ts";
import type { BhyveMode, Capability, VcpuAround } from "./vmm.ts";

/** Fields that the run loop reads and writes. */
export const field = {
  reason: fieldSlot("exit.reason"),
  qualification: fieldSlot("exit.qualification"),
  instructionLength: fieldSlot("exit.instructionLength"),
  interruptionInformation: fieldSlot("exit.interruptionInformation"),
  idtVectoringInformation: fieldSlot("exit.idtVectoringInformation"),
  idtVectoringErrorCode: fieldSlot("exit.idtVectoringErrorCode"),
  guestLinearAddress: fieldSlot("exit.guestLinearAddress"),
  guestPhysicalAddress: fieldSlot("exit.guestPhysicalAddress"),
  instructionError: fieldSlot("exit.vmInstructionError"),
  entryInterruption: fieldSlot("control.entryInterruptionInformation"),
  entryErrorCode: fieldSlot("control.entryExceptionErrorCode"),
  entryInstructionLength: fieldSlot("control.entryInstructionLength"),
  processorBased: fieldSlot("control.processorBased"),
  secondary: fieldSlot("control.secondaryProcessorBased"),
  entryControls: fieldSlot("control.entryControls"),
  cr0Mask: fieldSlot("control.cr0GuestHostMask"),
  cr4Mask: fieldSlot("control.cr4GuestHostMask"),
  cr0Shadow: fieldSlot("control.cr0ReadShadow"),
  cr4Shadow: fieldSlot("control.cr4ReadShadow"),
  rip: fieldSlot("guest.rip"),
  rsp: fieldSlot("guest.rsp"),
  rflags: fieldSlot("guest.rflags"),
  cr0: fieldSlot("guest.cr0"),
  cr3: fieldSlot("guest.cr3"),
  cr4: fieldSlot("guest.cr4"),
  efer: fieldSlot("guest.ia32Efer"),
  instructionInformation: fieldSlot("exit.instructionInformation"),
  csBase: fieldSlot("guest.cs.base"),
  csAccess: fieldSlot("guest.cs.access"),
  fsBase: fieldSlot("guest.fs.base"),
  gsBase: fieldSlot("guest.gs.base"),
  interruptibility: fieldSlot("guest.interruptibility"),
  pdptes: ([0, 1, 2, 3] as const).map((n) => fieldSlot(`guest.pdpte${n}`)),
  hostCr3: fieldSlot("host.cr3"),
  hostTrBase: fieldSlot("host.tr.base"),
  hostGdtrBase: fieldSlot("host.gdtr.base"),
  hostGsBase: fieldSlot("host.gs.base"),
} as const;

/** Guest interruptibility state. */
export const blocking = { STI: 1, movSS: 2, NMI: 8 } as const;
/** VM-entry interruption information. */
export const entryEvent = {
  valid: 0x8000_0000,
  errorCode: 1 << 11,
  NMI: 2 << 8,
  nmiUnblocking: 1 << 12,
} as const;

/** One virtual processor, as VT-x knows it. */
export interface VmxVcpu {
  readonly index: number;
  readonly context: Context;
  /** Physical address of its VMCS. */
  readonly vmcs: number;
  readonly vpid: number;
  readonly around: VcpuAround;
  readonly capabilities: Set<Capability>;
  /** The processor-based controls, as the VMCS has them. */
  processorBased: number;
  /** Index of the host's processor that it ran on last; -1: none. */
  lastCpu: number;
}

/** One virtual machine, as VT-x knows it. */
export interface VmxMachine {
  readonly ept: EptTables;
  readonly vcpus: readonly VmxVcpu[];
}

/** The VM exit at hand. */
export interface ExitAtHand {
  readonly door: VmxDoor;
  readonly cpu: HostProcessor;
  readonly vcpu: VmxVcpu;
  readonly mode: BhyveMode;
}
