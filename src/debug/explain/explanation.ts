import { vmcsFieldNames } from "../../arch/vmcs-field-names.ts";
import { type VmcsFieldName, vmcsField } from "../../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../../arch/vmx-controls.ts";
import type { Check, CheckGroup } from "../../vmx/checks/check.ts";
import { allRefusals, type CheckFailure, checkGroups } from "../../vmx/checks/index.ts";
import type { EntryFacts } from "../../vmx/entry-facts.ts";
import { widthOf } from "./dump.ts";

/** Why a VM entry fails: every check that does not hold, as plain records. Numbers are hexadecimal text, as people write them. */

/** Where a field was last written by VMWRITE. */
export interface LastWrite {
  readonly rip: string;
  /** Number of the instruction, counted by the processor that executed it. */
  readonly instruction: number;
}

export interface ExplainedField {
  /** Our name: "guest.cr0". */
  readonly name: VmcsFieldName;
  /** The SDM's: "Guest CR0". */
  readonly title: string;
  readonly encoding: string;
  /** Absent: not known, the dump lacks it. */
  readonly value?: string;
  readonly lastWrite?: LastWrite;
}

export interface ExplainedControl {
  readonly key: ControlKey;
  /** The SDM's quoted name. */
  readonly name: string;
  readonly field: VmcsFieldName;
  readonly bit: number;
  /** Whether it is in effect; absent: not known. */
  readonly value?: 0 | 1;
}

export interface AllowedValue {
  readonly field: VmcsFieldName;
  readonly mustBe1: string;
  readonly mustBe0: string;
  /** Bits of the value that are not as they must be. */
  readonly wrong: string;
  /** Capability MSRs, or what else says so. */
  readonly from: string;
}

export interface ExplainedFailure {
  /** Lasting name of the check: "guest-cr0-fixed-bits". */
  readonly check: string;
  readonly group: CheckGroup["name"];
  /** How VM entry ends by it: "VMfailValid(7)", "VM-entry failure 33". */
  readonly outcome: string;
  /** Heading of the section in the SDM's chapter "VM Entries", and the rule. */
  readonly sdm: string;
  readonly says: string;
  /** What the check reads, the field to blame first. */
  readonly fields: readonly ExplainedField[];
  readonly controls: readonly ExplainedControl[];
  readonly allowed?: AllowedValue;
  readonly hint: string;
}

/** A check that cannot be made, since something is not known. */
export interface UndecidedCheck {
  readonly check: string;
  readonly group: CheckGroup["name"];
  readonly sdm: string;
  readonly says: string;
  /** Fields by name, or "memory at 0x1000", "IA32_EFER.LMA", "current-VMCS pointer". */
  readonly missing: readonly string[];
}

export interface EntryExplanation {
  /** Number of checks there are. */
  readonly checks: number;
  readonly failures: readonly ExplainedFailure[];
  readonly undecided: readonly UndecidedCheck[];
}

/** Where values come from, beside the facts. */
export interface ValueSource {
  value(name: VmcsFieldName): bigint | undefined;
  lastWrite?(name: VmcsFieldName): LastWrite | undefined;
}

export const hexadecimal = (value: bigint, bits: number): string =>
  `0x${value.toString(16).padStart(bits / 4, "0")}`;

export const explainedField = (name: VmcsFieldName, source: ValueSource): ExplainedField => {
  const field = vmcsField(name);
  const value = source.value(name);
  const lastWrite = source.lastWrite?.(name);
  return {
    name,
    title: vmcsFieldNames(name).sdm,
    encoding: hexadecimal(BigInt(field.encoding), 16),
    ...(value !== undefined && { value: hexadecimal(value, widthOf(field)) }),
    ...(lastWrite && { lastWrite }),
  };
};

const explainedControl = (key: ControlKey, facts: EntryFacts): ExplainedControl => {
  const { name, field, bit } = vmxControl(key);
  facts.forget();
  const isSet = facts.controls[key];
  return { key, name, field, bit, ...(facts.missing.size === 0 && { value: isSet ? 1 : 0 }) };
};

const allowedValue = (check: Check, facts: EntryFacts): AllowedValue | undefined => {
  const allowed = check.allowed?.(facts);
  if (allowed === undefined) return undefined;
  const { field, mustBe1, mustBe0, from } = allowed;
  const bits = widthOf(vmcsField(field));
  const value = facts.field(field);
  const text = (mask: bigint): string => hexadecimal(BigInt.asUintN(bits, mask), bits);
  return {
    field,
    mustBe1: text(mustBe1),
    mustBe0: text(mustBe0),
    wrong: text((mustBe1 & ~value) | (value & mustBe0)),
    from,
  };
};

export const outcomeName = ({ otherwise }: CheckGroup): string =>
  otherwise.kind === "VMfailValid"
    ? `VMfailValid(${otherwise.error})`
    : `VM-entry failure ${otherwise.reason}`;

const explainedFailure = (
  { check, group }: CheckFailure,
  facts: EntryFacts,
  source: ValueSource,
): ExplainedFailure => {
  const allowed = allowedValue(check, facts);
  return {
    check: check.id,
    group: group.name,
    outcome: outcomeName(group),
    sdm: check.sdm,
    says: check.says,
    fields: check.reads.map((name) => explainedField(name, source)),
    controls: check.consults.map((key) => explainedControl(key, facts)),
    ...(allowed && { allowed }),
    hint: check.hint(facts),
  };
};

/** Makes every check of VM entry. */
export const explainEntry = (facts: EntryFacts, source: ValueSource): EntryExplanation => {
  const { refused, undecided } = allRefusals(facts);
  return {
    checks: checkGroups.reduce((sum, { checks }) => sum + checks.length, 0),
    failures: refused.map((failure) => explainedFailure(failure, facts, source)),
    undecided: undecided.map(({ check: { id, sdm, says }, group, missing }) => ({
      check: id,
      group: group.name,
      sdm,
      says,
      missing,
    })),
  };
};
