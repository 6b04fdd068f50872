import { vmcsFieldNames } from "../../arch/vmcs-field-names.ts";
import {
  type VmcsField,
  type VmcsFieldName,
  vmcsField,
  vmcsFieldOf,
  vmcsFields,
} from "../../arch/vmcs-fields.ts";

/** A field as a line of a dump names it. */
export interface NamedField {
  readonly field: VmcsField;
  /** Bits 63:32 of a 64-bit field, which have an encoding and a name of their own. */
  readonly isHighHalf: boolean;
}

/**
 * Letters and digits alone, in lower case: "GUEST_IA32_EFER", "Guest IA32_EFER" and "guest.ia32Efer" are one key. "IA32" is dropped,
 * since half of the world leaves it out.
 */
const keyOf = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]/g, "")
    .replace("ia32", "")
    .replace(/^(?:vmcs(?:field)?|vmx)(?=guest|host|control|ctrl|exit)/, "");

/** Words that stand for an area's name in "vmcs.control.x" and the like, or are left out. */
const spellings = (field: VmcsField): string[] => {
  const { sdm, linux, others } = vmcsFieldNames(field.name);
  const [, ...own] = field.name.split(".");
  const ours = field.area === "control" || field.area === "exit" ? [field.name, own.join(".")] : [field.name];
  return [...ours, sdm, linux, ...others, ...[sdm, linux, ...others].map((name) => `VMCS_${name}`)];
};

const byKey = new Map<string, VmcsFieldName>();
/** Keys that stand for two fields: none of them is used. Empty, as the tests say. */
export const ambiguousKeys: string[] = [];
for (const field of vmcsFields)
  for (const spelling of spellings(field)) {
    const key = keyOf(spelling);
    const before = byKey.get(key);
    if (before !== undefined && before !== field.name) ambiguousKeys.push(key);
    else byKey.set(key, field.name);
  }

/** The field of an encoding in a dump; undefined: the table has none. */
export const fieldOfEncoding = (encoding: number): NamedField | undefined => {
  const field = vmcsFieldOf(encoding & ~1);
  const isHighHalf = (encoding & 1) !== 0;
  if (field === undefined || (isHighHalf && field.width !== "64")) return undefined;
  return { field, isHighHalf };
};

const named = (name: string): NamedField | undefined => {
  const key = keyOf(name);
  const found = byKey.get(key);
  if (found !== undefined) return { field: vmcsField(found), isHighHalf: false };
  const [, short = "", half] = /^(.+?)(full|high)$/.exec(key) ?? [];
  const wide = byKey.get(short);
  if (wide === undefined || vmcsField(wide).width !== "64") return undefined;
  return { field: vmcsField(wide), isHighHalf: half === "high" };
};

const ENCODING = /\b0x([0-9a-f]{1,8})\b|\b([0-9a-f]{4,8})h\b/i;

/**
 * The field that a name means: the SDM's in any spelling, Linux's constant, ours, or an encoding in hexadecimal, alone or beside
 * a name: "GUEST_CR0 (0x6800)".
 */
export const fieldNamed = (text: string): NamedField | undefined => {
  const plain = text.replace(/^\s*(?:vmread|vmwrite|vmcs_read\w*|field)\b/i, "");
  const direct = named(text) ?? named(plain);
  if (direct !== undefined) return direct;
  const [match, first, second] = ENCODING.exec(plain) ?? [];
  const digits = first ?? second;
  if (match === undefined || digits === undefined) return undefined;
  const rest = plain.replace(match, "");
  const byEncoding = fieldOfEncoding(Number.parseInt(digits, 16));
  // A name beside it that means another field is a contradiction, not a field.
  const beside = named(rest);
  if (beside !== undefined && beside.field !== byEncoding?.field) return undefined;
  return byEncoding;
};
