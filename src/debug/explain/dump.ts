import { vmcsFieldNames } from "../../arch/vmcs-field-names.ts";
import { type VmcsField, type VmcsFieldName, vmcsField } from "../../arch/vmcs-fields.ts";
import type { NamedField } from "./field-lookup.ts";

/** What a text tells of one VMCS: the values of some fields. */
export interface DumpedVmcs {
  /** What the text calls it: "VCPU 0 of domain 3"; empty where it says nothing. */
  readonly title: string;
  /** Line where it begins, from 1. */
  readonly line: number;
  readonly fields: ReadonlyMap<VmcsFieldName, bigint>;
  /** Things about the reading that a user should know. */
  readonly remarks: readonly string[];
}

/** A line that says nothing about a VMCS as far as we understand it. */
export interface UnknownLine {
  /** From 1. */
  readonly line: number;
  readonly text: string;
  /** Why, where more can be said than that it is not understood. */
  readonly why?: string;
}

export type DumpFormat = "KVM" | "Xen" | "name = value";

export interface Dump {
  readonly format: DumpFormat;
  readonly vmcses: readonly DumpedVmcs[];
  readonly unknown: readonly UnknownLine[];
}

/** Why a text cannot be read as a dump: what was found, what was expected; a clause that goes on after the file's name. */
export interface DumpRefusal {
  readonly refusal: string;
}

/** Bits of a field's value. */
export const widthOf = ({ width }: VmcsField): number => (width === "natural" ? 64 : Number(width));

const LOW = 0xffff_ffffn;

/** The fields of one VMCS as they are read. */
export class FieldCollector {
  readonly fields = new Map<VmcsFieldName, bigint>();
  readonly remarks: string[] = [];
  /** Bits 63:32 that had a line of their own. */
  readonly #high = new Map<VmcsFieldName, bigint>();

  /** Take a value in; a sentence where it cannot be the field's. */
  take({ field, isHighHalf }: NamedField, value: bigint, line: number): string | undefined {
    const { name } = field;
    const bits = isHighHalf ? 32 : widthOf(field);
    const { sdm } = vmcsFieldNames(name);
    if (value >> BigInt(bits) !== 0n) return `${sdm} has ${bits} bits, and 0x${value.toString(16)} has more`;
    const before = this.fields.get(name);
    if (isHighHalf) {
      this.#high.set(name, value);
      if (before !== undefined) this.fields.set(name, (value << 32n) | (before & LOW));
      return undefined;
    }
    const high = this.#high.get(name);
    const whole = high !== undefined && value <= LOW ? (high << 32n) | value : value;
    if (before !== undefined && before !== whole)
      this.remarks.push(`line ${line} gives ${sdm} another value than before: the last one counts`);
    this.fields.set(name, whole);
    return undefined;
  }

  takeField(name: VmcsFieldName, value: bigint, line: number): string | undefined {
    return this.take({ field: vmcsField(name), isHighHalf: false }, value, line);
  }

  dumped(title: string, line: number): DumpedVmcs {
    for (const name of this.#high.keys())
      if (!this.fields.has(name))
        this.remarks.push(
          `of ${vmcsFieldNames(name).sdm} only the high half is there: the field counts as missing`,
        );
    return { title, line, fields: this.fields, remarks: this.remarks };
  }
}
