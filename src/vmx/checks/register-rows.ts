import { CR4, IA32_EFER } from "../../arch/control-registers.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../../arch/vmx-controls.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { bitList, bitsOf, type Check, hex, isCanonicalHere, isPat, patHint, respects } from "./check.ts";

/** Rows about control registers and MSRs that the manual has for host and guest alike. */

const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** "Host CR0 ..." of a field name such as host.cr0. */
const sideOf = (field: VmcsFieldName): string => (field.startsWith("host") ? "Host" : "Guest");

/** No bit of CR0 or CR4 has a value that VMX operation does not support. */
export const fixedBitsRow = (
  field: "host.cr0" | "host.cr4" | "guest.cr0" | "guest.cr4",
  sdm: string,
  ignored: { readonly bits: (facts: EntryFacts) => bigint; readonly consults: readonly ControlKey[] },
): Check => {
  const value = bitsOf(field);
  const [side, register] = field.split(".") as [string, "cr0" | "cr4"];
  const name = register.toUpperCase();
  const wrong = (facts: EntryFacts): bigint => {
    const { fixed0, fixed1 } = facts.capability[register];
    return ((fixed0 & ~value(facts)) | (value(facts) & ~fixed1)) & ~ignored.bits(facts);
  };
  return {
    id: `${side}-${register}-fixed-bits`,
    sdm,
    says: `${sideOf(field)} ${name} must not set any bit to a value not supported in VMX operation`,
    reads: [field],
    consults: ignored.consults,
    holds: (facts) => respects(value(facts), facts.capability[register], ignored.bits(facts)),
    hint: (facts) => `change ${bitList(wrong(facts))}: ${hex(value(facts) ^ wrong(facts))} would do`,
    allowed: (facts) => ({
      field,
      mustBe1: facts.capability[register].fixed0 & ~ignored.bits(facts),
      mustBe0: u64(~facts.capability[register].fixed1) & ~ignored.bits(facts),
      from: `IA32_VMX_${name}_FIXED0, IA32_VMX_${name}_FIXED1`,
    }),
  };
};

/** CET needs write protection. */
export const cetRow = (side: "host" | "guest", sdm: string): Check => {
  const [cr0, cr4] = [bitsOf(`${side}.cr0`), bitsOf(`${side}.cr4`)];
  return {
    id: `${side}-cet-needs-wp`,
    sdm,
    says: `If ${side} CR4.CET is 1, ${side} CR0.WP must be 1`,
    reads: [`${side}.cr4`, `${side}.cr0`],
    consults: [],
    holds: (facts) => (cr4(facts) & CR4.CET) === 0n || (cr0(facts) & 0x1_0000n) !== 0n,
    hint: () => "set CR0.WP (bit 16) or clear CR4.CET (bit 23)",
  };
};

/** CR3 stays within the physical-address width; bits 63:52 are clear. */
export const cr3Row = (side: "host" | "guest", sdm: string): Check => {
  const value = bitsOf(`${side}.cr3`);
  return {
    id: `${side}-cr3-width`,
    sdm,
    says: `${sideOf(`${side}.cr3`)} CR3 must not set bits beyond the physical-address width`,
    reads: [`${side}.cr3`],
    consults: [],
    holds: (facts) => value(facts) >> BigInt(facts.cpu.physicalAddressBits) === 0n,
    hint: (facts) =>
      `clear bits 63:${facts.cpu.physicalAddressBits} (a PCID has bits 11:0, and bit 63 is an operand of MOV to CR3 only)`,
    allowed: (facts) => ({
      field: `${side}.cr3`,
      mustBe1: 0n,
      mustBe0: (1n << 64n) - (1n << BigInt(facts.cpu.physicalAddressBits)),
      from: "physical-address width (CPUID.80000008H:EAX)",
    }),
  };
};

/** A linear address that must be canonical. `when`: a register that may be unusable is looked at only if it is usable. */
export const canonicalRow = (
  field: VmcsFieldName,
  sdm: string,
  what: string,
  when?: { readonly holds: (facts: EntryFacts) => boolean; readonly reads: readonly VmcsFieldName[] },
): Check => {
  const value = bitsOf(field);
  return {
    id: `${field.replaceAll(".", "-").replace(/[A-Z]/g, "-$&").toLowerCase()}-canonical`,
    sdm,
    says: `${what} must be a canonical address${when ? " if the register is usable" : ""}`,
    reads: [field, ...(when?.reads ?? [])],
    consults: [],
    holds: (facts) => (when !== undefined && !when.holds(facts)) || isCanonicalHere(facts, value(facts)),
    hint: (facts) => {
      const bits = facts.cpu.linearAddressBits;
      return `make bits 63:${bits - 1} equal: ${hex(u64(BigInt.asIntN(bits, value(facts))))} would do`;
    },
  };
};

const loaded = (control: ControlKey): string => `if "${vmxControl(control).name}" is 1`;

/** Reserved bits of an MSR that a control loads. */
export const msrReservedRow = (
  id: string,
  field: VmcsFieldName,
  sdm: string,
  msr: string,
  control: ControlKey,
  defined: (facts: EntryFacts) => bigint,
): Check => {
  const value = bitsOf(field);
  return {
    id,
    sdm,
    says: `Bits reserved in ${msr} must be 0 in the ${sideOf(field).toLowerCase()} field ${loaded(control)}`,
    reads: [field],
    consults: [control],
    holds: (facts) => !facts.controls[control] || (value(facts) & ~defined(facts)) === 0n,
    hint: (facts) =>
      `clear ${bitList(value(facts) & ~defined(facts))}: ${hex(value(facts) & defined(facts))} would do`,
    allowed: (facts) => ({
      field,
      mustBe1: 0n,
      mustBe0: u64(~defined(facts)),
      from: `bits that ${msr} has on this processor`,
    }),
  };
};

export const patRow = (side: "host" | "guest", sdm: string, control: ControlKey): Check => {
  const value = bitsOf(`${side}.ia32Pat`);
  return {
    id: `${side}-pat`,
    sdm,
    says: `Each byte of ${side} IA32_PAT must be a memory type ${loaded(control)}`,
    reads: [`${side}.ia32Pat`],
    consults: [control],
    holds: (facts) => !facts.controls[control] || isPat(value(facts)),
    hint: () => patHint,
  };
};

/** Bits of IA32_EFER that the processor has. */
export const definedEfer = ({ cpu }: EntryFacts): bigint =>
  (cpu.has("SYSCALL") ? IA32_EFER.SCE : 0n) |
  (cpu.has("LM") ? IA32_EFER.LME | IA32_EFER.LMA : 0n) |
  (cpu.has("NX") ? IA32_EFER.NXE : 0n);
