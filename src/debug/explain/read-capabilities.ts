import { VmxMsr, type VmxMsrName } from "../../arch/vmx-capabilities.ts";
import type { UnknownLine } from "./dump.ts";
import { textOf } from "./read-dump.ts";
import { linesOf, withoutPrefix } from "./text-lines.ts";

/** A processor's VMX capability MSRs out of a text: what `rdmsr` printed, or names and values. */

export interface ReportedCapabilities {
  readonly msrs: ReadonlyMap<number, bigint>;
  /** Where the text tells it: "MAXPHYADDR = 46", or /proc/cpuinfo's "address sizes". */
  readonly physicalAddressBits: number | undefined;
  readonly unknown: readonly UnknownLine[];
}

/** Why a text cannot be used: a clause that goes on after the file's name. */
export interface CapabilitiesRefusal {
  readonly refusal: string;
}

const indices = new Set<number>(Object.values(VmxMsr));
const largestBytes = 1024 * 1024;
export const expectedCapabilities =
  "values of the MSRs 0x480 to 0x491, such as IA32_VMX_BASIC = 0xda040000000012";

/** Bits of other MSRs that tell whether an MSR exists: SDM Vol. 3, Appendix "VMX Capability Reporting Facility". */
const allowed = (msrs: ReadonlyMap<number, bigint>, msr: VmxMsrName, bit: number): boolean =>
  (((msrs.get(VmxMsr[msr]) ?? 0n) >> BigInt(bit)) & 1n) === 1n;
const hasTrueControls = (msrs: ReadonlyMap<number, bigint>): boolean => allowed(msrs, "IA32_VMX_BASIC", 55);
const hasSecondary = (msrs: ReadonlyMap<number, bigint>): boolean =>
  allowed(msrs, "IA32_VMX_PROCBASED_CTLS", 63);
// biome-ignore format: one row per fact
const existsIf: Partial<Record<VmxMsrName, (msrs: ReadonlyMap<number, bigint>) => boolean>> = {
  IA32_VMX_PROCBASED_CTLS2: hasSecondary,
  IA32_VMX_EPT_VPID_CAP: (msrs) => hasSecondary(msrs) && (allowed(msrs, "IA32_VMX_PROCBASED_CTLS2", 33) || allowed(msrs, "IA32_VMX_PROCBASED_CTLS2", 37)),
  IA32_VMX_TRUE_PINBASED_CTLS: hasTrueControls,
  IA32_VMX_TRUE_PROCBASED_CTLS: hasTrueControls,
  IA32_VMX_TRUE_EXIT_CTLS: hasTrueControls,
  IA32_VMX_TRUE_ENTRY_CTLS: hasTrueControls,
  IA32_VMX_VMFUNC: (msrs) => hasSecondary(msrs) && allowed(msrs, "IA32_VMX_PROCBASED_CTLS2", 45),
  IA32_VMX_PROCBASED_CTLS3: (msrs) => allowed(msrs, "IA32_VMX_PROCBASED_CTLS", 49),
};

const HEX = "(?:0x)?([0-9a-f]{1,16})h?";
const NAMED = /\b(?:MSR_)?(?:IA32_)?(VMX_\w+)\b/i;
const NUMBERED = /\b(?:0x)?(4[89][0-9a-f])h?\b/i;
const VALUE_AT_END = new RegExp(`(?:^|[\\s=:(,]|->)["']?${HEX}["']?[\\s,;)]*$`, "i");
const ADDRESS_BITS = [
  /\b(?:MAXPHYADDR|physical[ -]address (?:bits|width|size))\b[\s=:]*(\d+)\b/i,
  /\baddress sizes\b[\s=:]*(\d+) bits physical/i,
] as const;

const indexOf = (line: string): { readonly index: number; readonly rest: string } | undefined => {
  const named = NAMED.exec(line);
  const index = VmxMsr[`IA32_${named?.[1]?.toUpperCase()}` as VmxMsrName];
  if (named !== null) {
    if (index === undefined) return undefined;
    // The index beside the name is not the value.
    return {
      index,
      rest: line
        .slice(named.index + named[0].length)
        .replace(/^\s*[([]\s*(?:0x)?4[89][0-9a-f]h?\s*[)\]]/i, ""),
    };
  }
  const numbered = NUMBERED.exec(line);
  const number = Number.parseInt(numbered?.[1] ?? "", 16);
  return numbered !== null && indices.has(number)
    ? { index: number, rest: line.slice(numbered.index + numbered[0].length) }
    : undefined;
};

/** Reads a text of capability MSRs; all that exist on the processor must be there. */
export const readCapabilities = (bytes: Uint8Array): ReportedCapabilities | CapabilitiesRefusal => {
  const refuse = (found: string): CapabilitiesRefusal => ({
    refusal: `${found}, expected ${expectedCapabilities}`,
  });
  if (bytes.length === 0) return refuse("it is empty");
  const text = bytes.length > largestBytes ? undefined : textOf(bytes);
  if (text === undefined) return refuse("it is not a text of MSR values");
  const msrs = new Map<number, bigint>();
  const unknown: UnknownLine[] = [];
  let physicalAddressBits: number | undefined;
  /** `rdmsr 0x480` prints its value on the next line. */
  let asked: number | undefined;
  linesOf(text).forEach((raw, at) => {
    const line =
      raw.length > 1000
        ? ""
        : withoutPrefix(raw)
            .replace(/\s(?:#|\/\/).*$/, "")
            .trim();
    if (line === "" || /^(?:#|\/\/)(?!.*\brdmsr\b)/.test(line)) return;
    const bits = ADDRESS_BITS.map((pattern) => pattern.exec(line)?.[1]).find(
      (digits) => digits !== undefined,
    );
    const named = indexOf(line);
    const digits = VALUE_AT_END.exec(named === undefined ? line : named.rest)?.[1];
    if (bits !== undefined && Number(bits) >= 32 && Number(bits) <= 52) physicalAddressBits = Number(bits);
    else if (named !== undefined && digits !== undefined) msrs.set(named.index, BigInt(`0x${digits}`));
    else if (named !== undefined) asked = named.index;
    else if (asked !== undefined && digits !== undefined && /^\S+$/.test(line))
      msrs.set(asked, BigInt(`0x${digits}`));
    else unknown.push({ line: at + 1, text: line });
    if (named === undefined) asked = undefined;
  });
  if (msrs.size === 0) return refuse("no VMX capability MSR is in it");
  const lacking = (Object.keys(VmxMsr) as VmxMsrName[]).filter(
    (name) => !msrs.has(VmxMsr[name]) && (existsIf[name]?.(msrs) ?? true),
  );
  if (lacking.length > 0)
    return {
      refusal: `it lacks ${lacking.map((name) => `${name} (0x${VmxMsr[name].toString(16)})`).join(", ")}, expected every VMX capability MSR of the processor`,
    };
  return { msrs, physicalAddressBits, unknown };
};
