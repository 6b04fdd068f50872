import { access } from "../../arch/descriptors.ts";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { bitsOf, lowOf } from "./check.ts";

/** A guest segment register, as the rows about segments read it. */

export const sdm = "Checks on Guest Segment Registers";

type DataRegister = "ss" | "ds" | "es" | "fs" | "gs";
export type CodeOrData = "cs" | DataRegister;
type SegmentName = CodeOrData | "tr" | "ldtr";

export const codeOrData: readonly CodeOrData[] = ["cs", "ss", "ds", "es", "fs", "gs"];
export const dataOnly = ["ds", "es", "fs", "gs"] as const;

/** A register's fields, and readers of them. */
const segment = (register: SegmentName) => {
  const fields = {
    selector: `guest.${register}.selector`,
    base: `guest.${register}.base`,
    limit: `guest.${register}.limit`,
    access: `guest.${register}.access`,
  } as const satisfies Record<string, VmcsFieldName>;
  const rights = lowOf(fields.access);
  return {
    name: register.toUpperCase(),
    fields,
    selector: lowOf(fields.selector),
    base: bitsOf(fields.base),
    limit: lowOf(fields.limit),
    rights,
    usable: (facts: EntryFacts): boolean => (rights(facts) & access.unusable) === 0,
    /** Rules that leave an unusable register alone apply to CS always. */
    counts: (facts: EntryFacts): boolean => register === "cs" || (rights(facts) & access.unusable) === 0,
  };
};

/** What rows read of each register. */
export const segments = Object.fromEntries(
  [...codeOrData, "tr" as const, "ldtr" as const].map((register) => [register, segment(register)]),
) as Record<SegmentName, ReturnType<typeof segment>>;

export const typeOf = (rights: number): number => rights & access.type;
export const dplOf = (rights: number): number => (rights & access.DPL) >> 5;

export const unlessUsable = (register: SegmentName): string =>
  register === "cs" || register === "tr" ? "" : ", if the register is usable";

/** Bits 11:8 and 31:17 of access rights. */
export const lowReserved = 0xf00;
export const highReserved = 0xfffe_0000 | 0;

/** The limit in bytes and G fit each other: two rules. */
export const granularity = (limit: number, rights: number): "too fine" | "too large" | "fits" => {
  const G = (rights & access.G) !== 0;
  if (G && (limit & 0xfff) !== 0xfff) return "too fine";
  return !G && limit >>> 20 !== 0 ? "too large" : "fits";
};
