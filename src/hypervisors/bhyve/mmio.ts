import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { access as rights } from "../../arch/descriptors.ts";
import { eptViolation } from "../../arch/ept-entries.ts";
import type { DecodeMode, Instruction } from "../../isa/instruction.ts";
import { guestInstruction } from "../host/guest-instruction.ts";
import type { GuestPaging } from "../host/guest-paging.ts";
import {
  effectiveAddress,
  type MmioAccess,
  type MmioWorld,
  mmioAccess,
  performMmio,
} from "../host/mmio-instruction.ts";
import { byNumber } from "./context.ts";
import type { VmExit } from "./vmm.ts";
import { type ExitAtHand, field } from "./vmx-vcpu.ts";

/** EPT violations: the instruction is fetched and decoded, an access to the local APIC's page carried out, any other handed on. */

export const pagingOf = ({ door, cpu }: Pick<ExitAtHand, "door" | "cpu">): GuestPaging => ({
  cr0: door.read64(cpu, field.cr0),
  cr3: door.read64(cpu, field.cr3),
  cr4: door.read64(cpu, field.cr4),
  efer: door.read64(cpu, field.efer),
});

export const is64BitCode = (efer: bigint, csAccess: number): boolean =>
  (efer & IA32_EFER.LMA) !== 0n && (csAccess & rights.L) !== 0;

const decodeMode = ({ door, cpu }: ExitAtHand, { cr0, efer }: GuestPaging): DecodeMode => {
  const csAccess = door.read32(cpu, field.csAccess);
  const size = is64BitCode(efer, csAccess) ? 64 : csAccess & rights.DB ? 32 : 16;
  return { codeSize: size, stackSize: size, realLike: (cr0 & CR0.PE) === 0n };
};

/** What the first version's table of opcodes held. */
const historicKinds: ReadonlySet<string> = new Set(["load", "store", "AND", "OR"]);

const fetchInstruction = (at: ExitAtHand, guest: GuestPaging): Instruction | undefined => {
  const { door, cpu, mode } = at;
  const how = decodeMode(at, guest);
  // It knew one kind of page tables.
  if (mode === "historic" && (how.codeSize !== 64 || (guest.cr4 & CR4.PAE) === 0n)) return undefined;
  const rip = door.read64(cpu, field.rip);
  const linear = how.codeSize === 64 ? rip : (rip + door.read64(cpu, field.csBase)) & 0xffff_ffffn;
  const { around } = at.vcpu;
  const memory = {
    read32: (address: number) => around.readMemory32(address),
    readBytes: (address: number, length: number) => around.readMemory(address, length),
  };
  const decoded = guestInstruction(memory, guest, linear, how, cpu.processor.model);
  if (decoded === undefined) return undefined;
  // The length of an exit by an access to memory is not promised; 0 says that there is none. The first version relied on it.
  const length = door.read32(cpu, field.instructionLength);
  return mode === "historic" && length !== 0 && length !== decoded.length ? undefined : decoded;
};

/** Is the decoded operand where the processor says that the access was? */
const isAtFault = (at: ExitAtHand, access: MmioAccess, instruction: Instruction): boolean => {
  const { door, cpu, vcpu } = at;
  const { address } = access;
  if (address === undefined) return true;
  const general = (number: number): bigint => {
    const name = byNumber[number]!;
    return name === "rsp" ? door.read64(cpu, field.rsp) : vcpu.context.guest(name);
  };
  const next = door.read64(cpu, field.rip) + BigInt(instruction.length);
  const offset = effectiveAddress(address, general, next, instruction.addressSize);
  const base =
    address.segment === "FS"
      ? door.read64(cpu, field.fsBase)
      : address.segment === "GS"
        ? door.read64(cpu, field.gsBase)
        : 0n;
  const isFlat = instruction.codeSize === 64 || address.segment === "FS" || address.segment === "GS";
  // Other segments of 32-bit code may have any base: the processor's word is taken.
  return !isFlat || BigInt.asUintN(64, base + offset) === door.read64(cpu, field.guestLinearAddress);
};

const finalAccess = eptViolation.linearValid | eptViolation.finalTranslation;

/** Undefined: not an access that can be emulated. */
export const emulateMmio = (at: ExitAtHand): VmExit | undefined | "done" => {
  const { door, cpu, vcpu, mode } = at;
  const qualification = door.read32(cpu, field.qualification);
  const isData = (qualification & (eptViolation.read | eptViolation.write)) !== 0;
  if (!isData || (qualification & finalAccess) !== finalAccess) return undefined;
  const guest = pagingOf(at);
  const instruction = fetchInstruction(at, guest);
  const access = instruction && mmioAccess(instruction);
  if (access === undefined || !isAtFault(at, access, instruction!)) return undefined;
  if (mode === "historic" && !historicKinds.has(access.kind)) return undefined;
  const gpa = door.readNumber(cpu, field.guestPhysicalAddress);
  const { apic } = vcpu.around;
  if (apic.page === undefined || gpa - (gpa % 4096) !== apic.page) {
    vcpu.around.stats.userExits++;
    return { code: "PAGING", gpa, access, rip: door.read64(cpu, field.rip), instLength: access.length };
  }
  const world: MmioWorld = {
    general: (number) => {
      const name = byNumber[number]!;
      return name === "rsp" ? door.read64(cpu, field.rsp) : vcpu.context.guest(name);
    },
    setGeneral: (number, value) => {
      const name = byNumber[number]!;
      if (name === "rsp") door.write64(cpu, field.rsp, value);
      else vcpu.context.setGuest(name, value);
    },
    flags: () => door.read64(cpu, field.rflags),
    setFlags: (value) => door.write64(cpu, field.rflags, value),
    read: (address, size) => apic.read(address & 0xfff, size),
    write: (address, value, size) => apic.write(address & 0xfff, value, size),
  };
  if (performMmio(access, world, gpa)) door.advance(cpu, field.rip, access.length);
  return "done";
};
