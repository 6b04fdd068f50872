import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { HostKernel } from "../host/host-kernel.ts";
import { fieldSlot, type VmxDoor } from "../host/vmx-door.ts";
import type { Core } from "./core.ts";
import { slot } from "./guest-core.ts";
import {
  type AkarosBugs,
  contextType,
  entryFailed,
  frameRegisters,
  hw,
  perCpu,
  vm,
  vmFlag,
} from "./layout.ts";
import { readGuestMsr, writeGuestMsr } from "./msr-table.ts";
import { vmmFlag } from "./process.ts";
import { userSelector } from "./trap-table.ts";

/** A VM exit: the frame is completed from the VMCS, becomes the core's context, and the kernel looks whether it is its own affair. */

/** The kernel, as exits need it. */
export interface ExitKernel {
  readonly kernel: HostKernel;
  readonly door: VmxDoor;
  readonly bugs: AkarosBugs;
  readonly print: (byte: number) => void;
  writtenMsrs(core: Core): Map<number, bigint>;
  irq(core: Core, number: number, frame: number): void;
  reflect(core: Core): boolean;
  destroy(core: Core, status: number, says: string): void;
}

/** Lengths of the instructions that the kernel carries out itself. */
const length = { VMCALL: 3, CPUID: 2, MSR: 2, XSETBV: 3 } as const;
const nmiType = 2;
// biome-ignore format: one list
const sysenterFields: readonly VmcsFieldName[] = ["guest.ia32SysenterCs", "guest.ia32SysenterEsp", "guest.ia32SysenterEip"];
const sysenter = sysenterFields.map(fieldSlot);
const IA32_SYSENTER_CS = 0x174;

/** True: dealt with, the guest goes on; false: the user-level scheduler's. */
type ExitAction = (akaros: ExitKernel, core: Core, frame: number) => boolean;

const advance = (akaros: ExitKernel, frame: number, by: number): true => {
  akaros.kernel.memory.add(frame + vm.rip, by);
  return true;
};

const vmcall: ExitAction = (akaros, core, frame) => {
  const { process } = core;
  if (process?.machine === undefined || !(process.machine.flags & vmmFlag.VMCALL_PRINTF)) return false;
  akaros.print(akaros.kernel.memory.read32(frame + vm.rdi) & 0xff);
  return advance(akaros, frame, length.VMCALL);
};

/** The host's own CPUID: as the C part's instruction would give it. */
const cpuid: ExitAction = (akaros, core, frame) => {
  const { memory } = akaros.kernel;
  const { processor } = core.cpu;
  const found = processor.model.cpuid(
    processor,
    memory.read32(frame + vm.rax),
    memory.read32(frame + vm.rcx),
  );
  memory.writeNumber(frame + vm.rax, found.eax);
  memory.writeNumber(frame + vm.rbx, found.ebx);
  memory.writeNumber(frame + vm.rcx, found.ecx);
  memory.writeNumber(frame + vm.rdx, found.edx);
  return advance(akaros, frame, length.CPUID);
};

/** A guest-physical address is an address of the process, and this its page fault. */
const eptViolation: ExitAction = (akaros, core, frame) => {
  const { memory } = akaros.kernel;
  const qualification = memory.read32(frame + vm.exitQual);
  const access = { write: (qualification & 2) !== 0, execute: (qualification & 4) !== 0 };
  // What is present and refused would be refused again.
  if (qualification & 0x38) return false;
  return core.process!.memory.fault(memory.readNumber(frame + vm.guestPa), access);
};

const nmi: ExitAction = (akaros, core, frame) => {
  const information = akaros.kernel.memory.read32(frame + vm.intrinfo2);
  if (((information >>> 8) & 7) !== nmiType) return false;
  core.countNmi();
  return true;
};

/** The processor has acknowledged it: the handlers run as if it had interrupted a thread of the process. */
const externalInterrupt: ExitAction = (akaros, core, frame) => {
  const { memory } = akaros.kernel;
  const fake = core.areaAt + perCpu.fakeFrame;
  const number = memory.read32(frame + vm.intrinfo2) & 0xff;
  for (const name of frameRegisters) memory.write64(fake + hw[name], memory.read64(frame + vm[name]));
  memory.write32(fake + hw.trapno, number);
  memory.write64(fake + hw.rip, memory.read64(frame + vm.rip));
  memory.write64(fake + hw.rsp, memory.read64(frame + vm.rsp));
  memory.write64(fake + hw.rflags, memory.read64(frame + vm.rflags));
  memory.write32(fake + hw.cs, userSelector.code);
  memory.write32(fake + hw.ss, userSelector.data);
  core.counters.irqs++;
  akaros.irq(core, number, fake);
  return true;
};

const readMsr: ExitAction = (akaros, core, frame) => {
  const { memory } = akaros.kernel;
  const { bugs } = akaros;
  const msr = memory.read32(frame + vm.rcx);
  const own = bugs.msrTable ? undefined : sysenter[msr - IA32_SYSENTER_CS];
  const value =
    own !== undefined
      ? akaros.door.read64(core.cpu, own)
      : readGuestMsr(core.cpu.processor, akaros.writtenMsrs(core), msr, bugs.msrTable);
  if (value === undefined) return false;
  memory.write64(frame + vm.rax, value & 0xffff_ffffn);
  memory.write64(frame + vm.rdx, value >> 32n);
  return advance(akaros, frame, length.MSR);
};

const writeMsr: ExitAction = (akaros, core, frame) => {
  const { memory } = akaros.kernel;
  const msr = memory.read32(frame + vm.rcx);
  const value = (BigInt(memory.read32(frame + vm.rdx)) << 32n) | BigInt(memory.read32(frame + vm.rax));
  const own = akaros.bugs.msrTable ? undefined : sysenter[msr - IA32_SYSENTER_CS];
  if (own !== undefined) akaros.door.write64(core.cpu, own, value);
  else if (!writeGuestMsr(core.cpu.processor, akaros.writtenMsrs(core), msr, value)) return false;
  return advance(akaros, frame, length.MSR);
};

/** XCR0 may be what the host has, or less; x87 cannot be missing. */
const xsetbv: ExitAction = (akaros, core, frame) => {
  const { memory } = akaros.kernel;
  const { guestCore } = core;
  const value = (BigInt(memory.read32(frame + vm.rdx)) << 32n) | BigInt(memory.read32(frame + vm.rax));
  if (memory.read32(frame + vm.rcx) !== 0 || (value & ~guestCore!.hostXcr0) !== 0n) return false;
  if (!core.cpu.processor.model.has("XSAVE") || (value & 1n) === 0n || (value & 6n) === 4n) return false;
  core.loadXcr0(value);
  guestCore!.xcr0 = value;
  return advance(akaros, frame, length.XSETBV);
};

const actions = new Map<number, ExitAction>([
  [ExitReason.VMCALL, vmcall],
  [ExitReason.CPUID, cpuid],
  [ExitReason.EPT_VIOLATION, eptViolation],
  [ExitReason.EXCEPTION_OR_NMI, nmi],
  [ExitReason.EXTERNAL_INTERRUPT, externalInterrupt],
  [ExitReason.RDMSR, readMsr],
  [ExitReason.WRMSR, writeMsr],
  [ExitReason.XSETBV, xsetbv],
]);

const eventFields = 0x8000_0fff;
/** An event that was being delivered when the exit came is not lost: it is injected at the next entry (SDM Vol. 3, "Information for VM Exits That Occur During Event Delivery"). */
const injectAgain = ({ kernel, door }: ExitKernel, { cpu }: Core, frame: number): void => {
  const event = door.read32(cpu, slot.vectoring);
  const isEvent = event >>> 31 !== 0;
  if (isEvent) {
    kernel.memory.write32(frame + vm.trapInject, (event & eventFields) >>> 0);
    door.write32(cpu, slot.injectLength, door.read32(cpu, slot.instructionLength));
  }
  door.write32(cpu, slot.injectError, isEvent ? door.read32(cpu, slot.vectoringError) : 0);
};

/** `stackFrame`: where the stub has put the general registers. */
export const vmExit = (akaros: ExitKernel, core: Core, stackFrame: number): void => {
  const { memory } = akaros.kernel;
  const { door } = akaros;
  const { cpu } = core;
  core.context.take(contextType.VM, stackFrame);
  const { frame } = core.context;
  door.readInto(cpu, slot.rip, frame + vm.rip);
  door.readInto(cpu, slot.rflags, frame + vm.rflags);
  door.readInto(cpu, slot.rsp, frame + vm.rsp);
  door.readInto(cpu, slot.cr3, frame + vm.cr3);
  memory.write64(frame + vm.cr2, cpu.state.CR2);
  memory.write32(frame + vm.guestPcoreId, core.guestCore!.id);
  memory.write32(frame + vm.flags, vmFlag.PARTIAL);
  const reason = door.read32(cpu, slot.reason);
  memory.write32(frame + vm.exitReason, reason);
  const qualification = door.read64(cpu, slot.qualification);
  memory.write32(frame + vm.exitQual, Number(qualification & 0xffff_ffffn));
  if (!akaros.bugs.truncatedQualification) memory.write32(frame + vm.pad, Number(qualification >> 32n));
  memory.write32(frame + vm.intrinfo1, door.read32(cpu, slot.interruptibility));
  memory.write32(frame + vm.intrinfo2, door.read32(cpu, slot.interruption));
  door.readInto(cpu, slot.linearAddress, frame + vm.guestVa);
  door.readInto(cpu, slot.physicalAddress, frame + vm.guestPa);
  if (!akaros.bugs.losesEvents) injectAgain(akaros, core, frame);
  const { exits } = core.process!.machine!;
  exits[Math.min(reason & 0xffff, exits.length - 1)]!++;
  const action = reason & entryFailed ? undefined : actions.get(reason);
  if (action?.(akaros, core, frame)) return;
  memory.write32(frame + vm.flags, memory.read32(frame + vm.flags) | vmFlag.HAS_FAULT);
  if (!akaros.reflect(core)) akaros.destroy(core, 1, `VM exit ${reason & 0xffff} that nobody takes`);
};
