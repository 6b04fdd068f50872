import { type VmcsFieldName, vmcsField } from "../../arch/vmcs-fields.ts";
import type { ControlKey } from "../../arch/vmx-controls.ts";
import { isCanonical } from "../../cpu/mode.ts";
import type { EntryFacts } from "../entry-facts.ts";

/** What a value may be where single bits are fixed, and who says so. */
export interface AllowedBits {
  readonly field: VmcsFieldName;
  /** Bits that must be 1, and bits that must be 0. */
  readonly mustBe1: bigint;
  readonly mustBe0: bigint;
  /** Capability MSRs or property of the processor that it follows from: "IA32_VMX_CR0_FIXED0, IA32_VMX_CR0_FIXED1". */
  readonly from: string;
}

/** One check that VM entry makes (SDM Vol. 3, chapter "VM Entries"). It says whether it holds; its group says what else happens. */
export interface Check {
  /** Unique and lasting: "guest-cr0-fixed-bits". */
  readonly id: string;
  /** Heading of the section in the SDM. */
  readonly sdm: string;
  /** The rule in one sentence. */
  readonly says: string;
  /** Fields that it may read, the one to blame first. */
  readonly reads: readonly VmcsFieldName[];
  /** Of these fields it looks at no more than these bits of the low half. */
  readonly bits?: Readonly<Partial<Record<VmcsFieldName, number>>>;
  /** Controls that it may consult, beside those of fields in `reads`. */
  readonly consults: readonly ControlKey[];
  readonly holds: (facts: EntryFacts) => boolean;
  /** Given that it does not hold: what to change, in one line. */
  readonly hint: (facts: EntryFacts) => string;
  /** Where the rule is about single bits. */
  readonly allowed?: (facts: EntryFacts) => AllowedBits;
  /** Exit qualification of the VM-entry failure, guest state only: 2 PDPTEs, 3 NMI injection, 4 VMCS link pointer; else 0. */
  readonly qualification?: number;
}

/** What happens when a check of a group does not hold. */
export type Refusal =
  | { readonly kind: "VMfailValid"; readonly error: 7 | 8 }
  | { readonly kind: "VM-entry failure"; readonly reason: 33 };

export interface CheckGroup {
  readonly name: "controls" | "host state" | "guest state";
  readonly checks: readonly Check[];
  readonly otherwise: Refusal;
}

/** "not known": the check read something that the facts do not have (a dump that lacks fields). */
export type Verdict = "holds" | "refused" | "not known";

/** Bits `fixed0` has set must be 1, bits `fixed1` has clear must be 0; `ignored` bits may be either. */
export const respects = (
  value: bigint,
  fixed: { readonly fixed0: bigint; readonly fixed1: bigint },
  ignored = 0n,
): boolean => (((fixed.fixed0 & ~value) | (value & ~fixed.fixed1)) & ~ignored) === 0n;

/** A field as rows that are made for several fields read it. */
export const bitsOf = (name: VmcsFieldName): ((facts: EntryFacts) => bigint) => {
  const { ordinal } = vmcsField(name);
  return (facts) => facts.value(ordinal);
};

/** Low 32 bits of a field, unsigned. */
export const lowOf = (name: VmcsFieldName): ((facts: EntryFacts) => number) => {
  const { ordinal } = vmcsField(name);
  return (facts) => facts.low(ordinal);
};

/** The high 32 bits of a field. */
export const highOf = (name: VmcsFieldName): ((facts: EntryFacts) => number) => {
  const { ordinal } = vmcsField(name);
  return (facts) => facts.high(ordinal);
};

export const isCanonicalHere = (facts: EntryFacts, address: bigint): boolean =>
  isCanonical(address, facts.cpu.linearAddressBits);

/** Bits that a physical address in the VMCS may use: the processor's width, or 32 where IA32_VMX_BASIC bit 48 says so. */
export const physicalBits = ({ cpu, capability }: EntryFacts): number =>
  capability.msr("IA32_VMX_BASIC") & (1n << 48n) ? 32 : cpu.physicalAddressBits;

export const beyondWidth = (facts: EntryFacts, address: bigint): bigint =>
  (address >> BigInt(physicalBits(facts))) << BigInt(physicalBits(facts));

const memoryTypesOfPat = new Set([0, 1, 4, 5, 6, 7]);

/** Each byte of an IA32_PAT value is a memory type. */
export const isPat = (value: bigint): boolean => {
  for (let shift = 0n; shift < 64n; shift += 8n)
    if (!memoryTypesOfPat.has(Number((value >> shift) & 0xffn))) return false;
  return true;
};

/** What is written for rules about IA32_PAT. */
export const patHint =
  "use the memory types 0 (UC), 1 (WC), 4 (WT), 5 (WP), 6 (WB), 7 (UC-) in each byte, as the power-on value 0x0007040600070406 does";

export const hex = (value: bigint | number): string => `0x${value.toString(16)}`;

/** Bits of a value as a list: "bits 3, 5". */
export const bitList = (bits: bigint): string => {
  const list: number[] = [];
  for (let bit = 0; bits >> BigInt(bit); bit++) if ((bits >> BigInt(bit)) & 1n) list.push(bit);
  return list.length === 1 ? `bit ${list[0]}` : `bits ${list.join(", ")}`;
};
