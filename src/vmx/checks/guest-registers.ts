import { CR0, CR4, IA32_EFER } from "../../arch/control-registers.ts";
import { access } from "../../arch/descriptors.ts";
import { RFLAGS } from "../../arch/flags.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { bitList, type Check, hex, highOf, lowOf } from "./check.ts";
import { InterruptionType, injectedType, injects } from "./event-injection.ts";
import {
  canonicalRow, cetRow, cr3Row, definedEfer, fixedBitsRow, msrReservedRow, patRow,
} from "./register-rows.ts"; // biome-ignore format: one list

/** Guest control registers, debug registers, MSRs, descriptor-table registers, RIP and RFLAGS. */

const registers = "Checks on Guest Control Registers, Debug Registers, and MSRs";
const tables = "Checks on Guest Descriptor-Table Registers";
const ripAndFlags = "Checks on Guest RIP, RFLAGS, and SSP";

export const guestControlRegisters: readonly Check[] = [
  fixedBitsRow("guest.cr0", registers, {
    // NW and CD are never checked, PE and PG not of an unrestricted guest.
    bits: ({ controls }) => CR0.NW | CR0.CD | (controls.unrestrictedGuest ? CR0.PE | CR0.PG : 0n),
    consults: ["unrestrictedGuest"],
  }),
  {
    id: "guest-paging-needs-protection",
    sdm: registers,
    says: "If guest CR0.PG is 1, guest CR0.PE must be 1",
    reads: ["guest.cr0"],
    bits: { "guest.cr0": Number(CR0.PE | CR0.PG) | 0 },
    consults: [],
    holds: ({ vmcs: { guest } }) => (guest.cr0 & CR0.PG) === 0n || (guest.cr0 & CR0.PE) !== 0n,
    hint: () => "set bit 0 (PE) or clear bit 31 (PG)",
  },
  fixedBitsRow("guest.cr4", registers, { bits: () => 0n, consults: [] }),
  cetRow("guest", registers),
  msrReservedRow(
    "guest-debugctl",
    "guest.ia32Debugctl",
    registers,
    "IA32_DEBUGCTL",
    "loadDebugControls",
    ({ cpu }) => cpu.debugctl,
  ),
  {
    id: "ia32e-guest-paging",
    sdm: registers,
    says: 'If "IA-32e mode guest" is 1, guest CR0.PG and CR4.PAE must be 1',
    reads: ["guest.cr0", "guest.cr4", "control.entryControls"],
    consults: ["ia32eModeGuest"],
    holds: ({ controls, vmcs: { guest } }) =>
      !controls.ia32eModeGuest || ((guest.cr0 & CR0.PG) !== 0n && (guest.cr4 & CR4.PAE) !== 0n),
    hint: () => 'set bit 31 of CR0 and bit 5 of CR4, or clear "IA-32e mode guest"',
  },
  {
    id: "legacy-guest-pcide",
    sdm: registers,
    says: 'If "IA-32e mode guest" is 0, guest CR4.PCIDE must be 0',
    reads: ["guest.cr4", "control.entryControls"],
    consults: ["ia32eModeGuest"],
    holds: ({ controls, vmcs: { guest } }) => controls.ia32eModeGuest || (guest.cr4 & CR4.PCIDE) === 0n,
    hint: () => "clear bit 17 of guest CR4",
  },
  cr3Row("guest", registers),
  {
    id: "guest-dr7",
    sdm: registers,
    says: 'Bits 63:32 of guest DR7 must be 0 if "load debug controls" is 1',
    reads: ["guest.dr7"],
    consults: ["loadDebugControls"],
    holds: ({ controls, vmcs: { guest } }) => !controls.loadDebugControls || guest.dr7 >> 32n === 0n,
    hint: ({ vmcs: { guest } }) => `use ${hex(guest.dr7 & 0xffff_ffffn)}`,
    allowed: () => ({
      field: "guest.dr7",
      mustBe1: 0n,
      mustBe0: 0xffff_ffff_0000_0000n,
      from: "reserved bits",
    }),
  },
  canonicalRow("guest.ia32SysenterEsp", registers, "Guest IA32_SYSENTER_ESP"),
  canonicalRow("guest.ia32SysenterEip", registers, "Guest IA32_SYSENTER_EIP"),
  msrReservedRow(
    "guest-perf-global-ctrl",
    "guest.ia32PerfGlobalCtrl",
    registers,
    "IA32_PERF_GLOBAL_CTRL",
    "loadGuestPerfGlobalCtrl",
    ({ cpu }) => cpu.perfGlobalCtrl,
  ),
  patRow("guest", registers, "loadGuestPAT"),
  msrReservedRow(
    "guest-efer-reserved",
    "guest.ia32Efer",
    registers,
    "IA32_EFER",
    "loadGuestEFER",
    definedEfer,
  ),
  {
    id: "guest-efer-lma",
    sdm: registers,
    says: 'LMA of guest IA32_EFER must equal "IA-32e mode guest" if "load IA32_EFER" is 1',
    reads: ["guest.ia32Efer", "control.entryControls"],
    consults: ["loadGuestEFER", "ia32eModeGuest"],
    holds: ({ controls, vmcs: { guest } }) =>
      !controls.loadGuestEFER || ((guest.ia32Efer & IA32_EFER.LMA) !== 0n) === controls.ia32eModeGuest,
    hint: ({ controls }) =>
      `${controls.ia32eModeGuest ? "set" : "clear"} bit 10 (LMA), or change "IA-32e mode guest"`,
  },
  {
    id: "guest-efer-lme",
    sdm: registers,
    says: 'LMA and LME of guest IA32_EFER must be equal if guest CR0.PG and "load IA32_EFER" are 1',
    reads: ["guest.ia32Efer", "guest.cr0"],
    bits: { "guest.cr0": Number(CR0.PG) | 0 },
    consults: ["loadGuestEFER"],
    holds: ({ controls, vmcs: { guest } }) => {
      if (!controls.loadGuestEFER || (guest.cr0 & CR0.PG) === 0n) return true;
      return ((guest.ia32Efer & IA32_EFER.LMA) !== 0n) === ((guest.ia32Efer & IA32_EFER.LME) !== 0n);
    },
    hint: ({ vmcs: { guest } }) =>
      `${guest.ia32Efer & IA32_EFER.LMA ? "set" : "clear"} bit 8 (LME): with paging, LMA is LME`,
  },
];

const tableLimit = (register: "gdtr" | "idtr"): Check => ({
  id: `guest-${register}-limit`,
  sdm: tables,
  says: `Bits 31:16 of the guest ${register.toUpperCase()} limit must be 0`,
  reads: [`guest.${register}.limit`],
  consults: [],
  holds: ({ vmcs: { guest } }) => guest[register].limit <= 0xffffn,
  hint: () => "use a limit of at most 0xffff",
  allowed: () => ({
    field: `guest.${register}.limit`,
    mustBe1: 0n,
    mustBe0: 0xffff_0000n,
    from: "reserved bits",
  }),
});

export const guestDescriptorTables: readonly Check[] = [
  canonicalRow("guest.gdtr.base", tables, "Guest GDTR base"),
  canonicalRow("guest.idtr.base", tables, "Guest IDTR base"),
  tableLimit("gdtr"),
  tableLimit("idtr"),
];

// Every VMM changes RIP: no bigints.
const ripHigh = highOf("guest.rip");
const csAccess = lowOf("guest.cs.access");
const entersCode64 = (facts: EntryFacts): boolean =>
  facts.controls.ia32eModeGuest && (csAccess(facts) & access.L) !== 0;
const reservedFlags = 0xffff_ffff_ffc0_8028n;

export const guestRipAndFlags: readonly Check[] = [
  {
    id: "guest-rip-32",
    sdm: ripAndFlags,
    says: 'Bits 63:32 of guest RIP must be 0 if "IA-32e mode guest" or CS.L is 0',
    reads: ["guest.rip", "guest.cs.access"],
    bits: { "guest.cs.access": access.L },
    consults: ["ia32eModeGuest"],
    holds: (facts) => entersCode64(facts) || ripHigh(facts) === 0,
    hint: () => "give a 32-bit RIP, or make CS a 64-bit code segment (L, bit 13) of an IA-32e mode guest",
  },
  {
    id: "guest-rip-64",
    sdm: ripAndFlags,
    says: 'Bits of guest RIP from the linear-address width up must be equal if "IA-32e mode guest" and CS.L are 1',
    reads: ["guest.rip", "guest.cs.access"],
    bits: { "guest.cs.access": access.L },
    consults: ["ia32eModeGuest"],
    holds: (facts) => {
      if (!entersCode64(facts)) return true;
      const shift = facts.cpu.linearAddressBits - 32;
      const top = ripHigh(facts) >>> shift;
      return top === 0 || top === 0xffff_ffff >>> shift;
    },
    hint: ({ cpu }) => `make bits 63:${cpu.linearAddressBits} equal`,
  },
  {
    id: "guest-rflags-reserved",
    sdm: ripAndFlags,
    says: "Reserved bits 63:22, 15, 5 and 3 of guest RFLAGS must be 0, and bit 1 must be 1",
    reads: ["guest.rflags"],
    consults: [],
    holds: ({ vmcs: { guest } }) => (guest.rflags & (reservedFlags | RFLAGS.FIXED)) === RFLAGS.FIXED,
    hint: ({ vmcs: { guest } }) => {
      const wrong = (guest.rflags & reservedFlags) | (~guest.rflags & RFLAGS.FIXED);
      return `change ${bitList(wrong)}: ${hex(guest.rflags ^ wrong)} would do`;
    },
    allowed: () => ({
      field: "guest.rflags",
      mustBe1: RFLAGS.FIXED,
      mustBe0: reservedFlags,
      from: "reserved bits",
    }),
  },
  {
    id: "guest-rflags-vm",
    sdm: ripAndFlags,
    says: 'RFLAGS.VM must be 0 if "IA-32e mode guest" is 1 or guest CR0.PE is 0',
    reads: ["guest.rflags", "guest.cr0"],
    bits: { "guest.rflags": Number(RFLAGS.VM), "guest.cr0": 1 },
    consults: ["ia32eModeGuest"],
    holds: ({ controls, vmcs: { guest } }) =>
      (guest.rflags & RFLAGS.VM) === 0n || (!controls.ia32eModeGuest && (guest.cr0 & CR0.PE) !== 0n),
    hint: () => "clear bit 17 of RFLAGS: virtual-8086 mode is protected mode outside IA-32e mode",
  },
  {
    id: "guest-rflags-if",
    sdm: ripAndFlags,
    says: "RFLAGS.IF must be 1 if an external interrupt is injected",
    reads: ["guest.rflags", "control.entryInterruptionInformation"],
    bits: { "guest.rflags": Number(RFLAGS.IF) },
    consults: [],
    holds: (facts) =>
      !injects(facts) ||
      injectedType(facts) !== InterruptionType.externalInterrupt ||
      (facts.vmcs.guest.rflags & RFLAGS.IF) !== 0n,
    hint: () => "wait until the guest sets IF (interrupt-window exiting) before the interrupt is injected",
  },
];
