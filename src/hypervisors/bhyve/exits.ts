import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { controlMask } from "../../arch/vmx-controls.ts";
import { type StringIo, stringIo } from "../host/string-io.ts";
import { type FieldSlot, fieldSlot } from "../host/vmx-door.ts";
import { byNumber, guestRegisters } from "./context.ts";
import { closeWindow, interruptWindow, nmiWindow } from "./injection.ts";
import { emulateMmio, is64BitCode, pagingOf } from "./mmio.ts";
import { fixedBits } from "./vmcs-setup.ts";
import type { InoutString, VmExit } from "./vmm.ts";
import { type ExitAtHand, entryEvent, field, type VmxVcpu } from "./vmx-vcpu.ts";

/** Exit triage: what the kernel does about a VM exit by itself, and what it tells the user process. */

const ia32eModeGuest = controlMask("ia32eModeGuest");
const { rax, rbx, rcx, rdx } = guestRegisters;
const IF = 1 << 9;
const gp = entryEvent.valid | (3 << 8) | entryEvent.errorCode | 13;

/** Undefined: the guest goes on. Its RIP has been moved past an instruction that was emulated. */
export const triage = (at: ExitAtHand, reason: number): VmExit | undefined => {
  const { door, cpu, vcpu } = at;
  const { stats } = vcpu.around;
  stats.exits++;
  switch (reason) {
    case ExitReason.EXTERNAL_INTERRUPT:
      // Not acknowledged: the host has taken it from its local APIC when it enabled interrupts.
      stats.externalInterrupts++;
      return undefined;
    case ExitReason.INTERRUPT_WINDOW:
      closeWindow(door, cpu, vcpu, interruptWindow);
      return undefined;
    case ExitReason.NMI_WINDOW:
      closeWindow(door, cpu, vcpu, nmiWindow);
      return undefined;
    case ExitReason.CPUID:
      emulateCpuid(vcpu);
      return advance(at);
    case ExitReason.CR_ACCESS:
      return controlRegister(at);
    case ExitReason.RDMSR:
      return readMsr(at);
    case ExitReason.WRMSR:
      return writeMsr(at);
    case ExitReason.HLT:
      stats.hlts++;
      if (hasEvent(at)) return advance(at);
      return toUser(at, { code: "HLT", interruptible: isInterruptible(at) });
    case ExitReason.MONITOR_TRAP_FLAG:
      return { ...toUser(at, { code: "MTRAP" }), instLength: 0 };
    case ExitReason.PAUSE:
      return toUser(at, { code: "PAUSE" });
    case ExitReason.IO_INSTRUCTION:
      return portAccess(at);
    case ExitReason.EPT_VIOLATION:
      return memoryAccess(at);
    case ExitReason.EXCEPTION_OR_NMI:
      // The host has had its NMI by now.
      if (at.mode === "fixed" && isNmi(door.read32(cpu, field.interruptionInformation))) return undefined;
      return unknown(at, reason);
    default:
      return unknown(at, reason);
  }
};

export const isNmi = (interruption: number): boolean => ((interruption >>> 8) & 7) === 2;

/** Is there something for the guest that ends HLT? */
const hasEvent = ({ door, cpu, vcpu, mode }: ExitAtHand): boolean => {
  const { around } = vcpu;
  return (
    around.nmiPending ||
    (around.apic.hasInterrupt() && isInterruptible({ door, cpu, vcpu, mode })) ||
    (door.read32(cpu, field.entryInterruption) & entryEvent.valid) !== 0
  );
};

/** Would an interrupt wake it? The first version did not ask. */
const isInterruptible = ({ door, cpu, mode }: ExitAtHand): boolean =>
  mode === "historic" || (door.read32(cpu, field.rflags) & IF) !== 0;

/** The instruction is done: the guest goes on behind it. */
const advance = ({ door, cpu, mode }: ExitAtHand): undefined => {
  door.advance(cpu, field.rip, door.read32(cpu, field.instructionLength));
  // What followed STI or MOV SS is this instruction: it has retired.
  if (mode === "fixed") {
    const interruptibility = door.read32(cpu, field.interruptibility);
    if (interruptibility & 3) door.write32(cpu, field.interruptibility, interruptibility & ~3);
  }
  return undefined;
};

type Detail = VmExit extends infer Exit
  ? Exit extends VmExit
    ? Omit<Exit, "rip" | "instLength">
    : never
  : never;

const toUser = ({ door, cpu, vcpu }: ExitAtHand, detail: Detail): VmExit => {
  vcpu.around.stats.userExits++;
  return {
    rip: door.read64(cpu, field.rip),
    instLength: door.read32(cpu, field.instructionLength),
    ...detail,
  } as VmExit;
};

const unknown = (at: ExitAtHand, reason: number): VmExit =>
  toUser(at, { code: "VMX", error: 0, reason, qualification: at.door.read64(at.cpu, field.qualification) });

const emulateCpuid = ({ context, around }: VmxVcpu): void => {
  const { eax, ebx, ecx, edx } = around.cpuid(context.low(rax), context.low(rcx));
  context.setLow(rax, eax);
  context.setLow(rbx, ebx);
  context.setLow(rcx, ecx);
  context.setLow(rdx, edx);
};

const portAccess = (at: ExitAtHand): VmExit => {
  const qualification = at.door.read32(at.cpu, field.qualification);
  const str = at.mode === "fixed" ? operandOf(at, qualification) : undefined;
  return toUser(at, {
    ...(str === undefined ? {} : { str }),
    code: "INOUT",
    bytes: ((qualification & 7) + 1) as 1 | 2 | 4,
    in: (qualification & 8) !== 0,
    string: (qualification & 16) !== 0,
    rep: (qualification & 32) !== 0,
    port: qualification >>> 16,
    eax: at.vcpu.context.low(rax),
  });
};

const segmentSlots = Object.fromEntries(
  (["es", "cs", "ss", "ds", "fs", "gs"] as const).map((name) => [
    name,
    {
      base: fieldSlot(`guest.${name}.base`),
      limit: fieldSlot(`guest.${name}.limit`),
      access: fieldSlot(`guest.${name}.access`),
    },
  ]),
) as Record<StringIo["segment"], Record<"base" | "limit" | "access", FieldSlot>>;

/** What the user process has to know of the memory that INS or OUTS moves. */
const operandOf = (at: ExitAtHand, qualification: number): InoutString | undefined => {
  const { door, cpu, vcpu } = at;
  const string = stringIo(qualification, door.read32(cpu, field.instructionInformation));
  if (string === undefined) return undefined;
  const slots = segmentSlots[string.segment];
  return {
    ...string,
    paging: pagingOf(at),
    descriptor: {
      base: door.read64(cpu, slots.base),
      limit: door.read32(cpu, slots.limit),
      access: door.read32(cpu, slots.access),
    },
    is64Bit: is64BitCode(door.read64(cpu, field.efer), door.read32(cpu, field.csAccess)),
    cpl: (door.read32(cpu, segmentSlots.ss.access) >>> 5) & 3,
    rflags: door.read64(cpu, field.rflags),
    index: vcpu.context.guest(string.isIn ? "rdi" : "rsi"),
    count: vcpu.context.guest("rcx"),
  };
};

const injectGp = ({ door, cpu }: ExitAtHand): undefined => {
  door.write32(cpu, field.entryInterruption, gp);
  door.write32(cpu, field.entryErrorCode, 0);
  return undefined;
};

const readMsr = (at: ExitAtHand): VmExit | undefined => {
  const { context, around } = at.vcpu;
  const msr = context.low(rcx);
  const value = around.readMsr(msr);
  if (value === undefined) return toUser(at, { code: "RDMSR", msr });
  if (value === "GP") return injectGp(at);
  context.setLow(rax, Number(value & 0xffff_ffffn));
  context.setLow(rdx, Number(value >> 32n));
  return advance(at);
};

const writeMsr = (at: ExitAtHand): VmExit | undefined => {
  const { context, around } = at.vcpu;
  const msr = context.low(rcx);
  const wval = (BigInt(context.low(rdx)) << 32n) | BigInt(context.low(rax));
  const done = around.writeMsr(msr, wval);
  if (done === undefined) return toUser(at, { code: "WRMSR", msr, wval });
  if (done === "GP") return injectGp(at);
  advance(at);
  return spinup(at);
};

const memoryAccess = (at: ExitAtHand): VmExit | undefined => {
  const outcome = emulateMmio(at);
  if (outcome === "done") return spinup(at);
  return outcome ?? unknown(at, ExitReason.EPT_VIOLATION);
};

/** The local APIC has sent a start-up IPI: the user process makes a thread. The instruction that did it is done. */
const spinup = (at: ExitAtHand): VmExit | undefined => {
  const { around } = at.vcpu;
  const { spinup: started } = around;
  if (started === undefined) return undefined;
  around.spinup = undefined;
  return { ...toUser(at, { code: "SPINUP_AP", ...started }), instLength: 0 };
};

const registerValue = ({ door, cpu, vcpu }: ExitAtHand, number: number): bigint => {
  const name = byNumber[number]!;
  return name === "rsp" ? door.read64(cpu, field.rsp) : vcpu.context.guest(name);
};

/** MOV to CR0, CR4; of later versions, CR8 both ways. */
const controlRegister = (at: ExitAtHand): VmExit | undefined => {
  const { door, cpu, vcpu } = at;
  const qualification = door.read32(cpu, field.qualification);
  const [register, access, general] = [
    qualification & 0xf,
    (qualification >>> 4) & 3,
    (qualification >>> 8) & 0xf,
  ];
  if (register === 8 && at.mode === "fixed") {
    const { apic } = vcpu.around;
    const name = byNumber[general]!;
    if (access === 0) apic.taskPriorityClass = Number(registerValue(at, general) & 0xfn);
    else if (name === "rsp") door.write64(cpu, field.rsp, BigInt(apic.taskPriorityClass));
    else vcpu.context.setGuest(name, BigInt(apic.taskPriorityClass));
    return advance(at);
  }
  if (access !== 0 || (register !== 0 && register !== 4)) return unknown(at, ExitReason.CR_ACCESS);
  const value = registerValue(at, general);
  const bits = fixedBits(cpu, vcpu.capabilities.has("unrestricted_guest"));
  const { ones, zeros } = register === 0 ? bits.cr0 : bits.cr4;
  const real = (value | ones) & ~zeros;
  if (at.mode === "historic") {
    door.write64(cpu, register === 0 ? field.cr0 : field.cr4, real);
    return advance(at);
  }
  if (register === 4) {
    // What CPUID does not offer is reserved.
    if (value & (CR4.VMXE | CR4.SMXE | zeros) || value >> 32n) return injectGp(at);
    door.write64(cpu, field.cr4Shadow, value);
    door.write64(cpu, field.cr4, real);
    return loadPdptes(at) ? advance(at) : injectGp(at);
  }
  if (value >> 32n || (value & CR0.PG && !(value & CR0.PE)) || (value & CR0.NW && !(value & CR0.CD)))
    return injectGp(at);
  const before = door.read64(cpu, field.cr0);
  const isLong = (door.read64(cpu, field.efer) & IA32_EFER.LME) !== 0n;
  if (value & CR0.PG && isLong && !(door.read64(cpu, field.cr4) & CR4.PAE)) return injectGp(at);
  door.write64(cpu, field.cr0Shadow, value);
  door.write64(cpu, field.cr0, real);
  if ((before ^ real) & CR0.PG) switchLongMode(at, (real & CR0.PG) !== 0n);
  return loadPdptes(at) ? advance(at) : injectGp(at);
};

/** Paging goes on or off: with it IA32_EFER.LMA, and the mode that VM entry brings the guest into. */
const switchLongMode = ({ door, cpu }: ExitAtHand, isPaging: boolean): void => {
  const efer = door.read64(cpu, field.efer);
  const isLong = isPaging && (efer & IA32_EFER.LME) !== 0n;
  door.write64(cpu, field.efer, isLong ? efer | IA32_EFER.LMA : efer & ~IA32_EFER.LMA);
  const controls = door.read32(cpu, field.entryControls);
  door.write32(cpu, field.entryControls, isLong ? controls | ia32eModeGuest : controls & ~ia32eModeGuest);
};

/** With PAE paging, MOV to CR loads the PDPTEs, and so must its emulation. False: one of them is reserved. */
const loadPdptes = ({ door, cpu, vcpu }: ExitAtHand): boolean => {
  const isPae =
    (door.read64(cpu, field.cr0) & CR0.PG) !== 0n &&
    (door.read64(cpu, field.cr4) & CR4.PAE) !== 0n &&
    (door.read64(cpu, field.efer) & IA32_EFER.LMA) === 0n;
  if (!isPae) return true;
  const table = Number(door.read64(cpu, field.cr3) & 0xffff_ffe0n);
  const entries = field.pdptes.map((slot, n) => {
    const [low, high] = [
      vcpu.around.readMemory32(table + 8 * n),
      vcpu.around.readMemory32(table + 8 * n + 4),
    ];
    return { slot, value: (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0) };
  });
  if (entries.some(({ value }) => (value & 1n) !== 0n && (value & 0x1e6n) !== 0n)) return false;
  for (const { slot, value } of entries) door.write64(cpu, slot, value);
  return true;
};
