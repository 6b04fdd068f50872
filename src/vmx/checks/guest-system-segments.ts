import { access } from "../../arch/descriptors.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { type Check, hex } from "./check.ts";
import {
  granularity, highReserved, lowReserved, sdm, segments, typeOf, unlessUsable,
} from "./guest-segment.ts"; // biome-ignore format: one list

/** Access rights of TR and LDTR. */

const systemRule = (
  register: "tr" | "ldtr",
  id: string,
  says: string,
  holds: (rights: number, facts: EntryFacts) => boolean,
  hint: (rights: number, facts: EntryFacts) => string,
  more: Partial<Pick<Check, "reads" | "consults">> = {},
): Check => {
  const { fields, rights, usable } = segments[register];
  return {
    id: `guest-${register}-${id}`,
    sdm,
    says: `${says}${unlessUsable(register)}`,
    reads: [fields.access, ...(more.reads ?? [])],
    consults: more.consults ?? [],
    holds: (facts) => (register === "ldtr" && !usable(facts)) || holds(rights(facts), facts),
    hint: (facts) => hint(rights(facts), facts),
  };
};

const commonSystemRules = (register: "tr" | "ldtr"): readonly Check[] => {
  const { name, fields, limit } = segments[register];
  return [
    systemRule(
      register,
      "s",
      `S (bit 4) of the guest ${name} access rights must be 0`,
      (rights) => (rights & access.S) === 0,
      (rights) => `clear bit 4: ${hex(rights & ~access.S)}`,
    ),
    systemRule(
      register,
      "p",
      `P (bit 7) of the guest ${name} access rights must be 1`,
      (rights) => (rights & access.P) !== 0,
      (rights) => `set bit 7: ${hex(rights | access.P)}`,
    ),
    systemRule(
      register,
      "reserved-low",
      `Bits 11:8 of the guest ${name} access rights must be 0`,
      (rights) => (rights & lowReserved) === 0,
      (rights) => `clear them: ${hex(rights & ~lowReserved)}`,
    ),
    systemRule(
      register,
      "g-fine",
      `If any of bits 11:0 of the guest ${name} limit is 0, G must be 0`,
      (rights, facts) => granularity(limit(facts), rights) !== "too fine",
      () => "set bits 11:0 of the limit, or clear G (bit 15)",
      { reads: [fields.limit] },
    ),
    systemRule(
      register,
      "g-large",
      `If any of bits 31:20 of the guest ${name} limit is 1, G must be 1`,
      (rights, facts) => granularity(limit(facts), rights) !== "too large",
      () => "set G (bit 15), or use a limit of at most 0xfffff",
      { reads: [fields.limit] },
    ),
  ];
};

const systemReservedHigh = (register: "tr" | "ldtr"): Check =>
  systemRule(
    register,
    "reserved-high",
    `Bits 31:17 of the guest ${segments[register].name} access rights must be 0`,
    (rights) => (rights & highReserved) === 0,
    (rights) => `clear them: ${hex((rights & ~highReserved) >>> 0)}`,
  );

export const systemSegments: readonly Check[] = [
  systemRule(
    "tr",
    "type",
    'The type of guest TR must be 11 (busy 32-bit or 64-bit TSS), or 3 (busy 16-bit TSS) if "IA-32e mode guest" is 0',
    (rights, { controls }) => typeOf(rights) === 11 || (typeOf(rights) === 3 && !controls.ia32eModeGuest),
    (rights) =>
      typeOf(rights) === 9
        ? "set bit 1 (busy): LTR sets it when it loads TR"
        : "use type 11; access rights 0x8b are a present busy TSS",
    { consults: ["ia32eModeGuest"] },
  ),
  ...commonSystemRules("tr"),
  systemRule(
    "tr",
    "usable",
    "The unusable bit (16) of the guest TR access rights must be 0",
    (rights) => (rights & access.unusable) === 0,
    () => "a guest always has a TSS: clear bit 16",
  ),
  systemReservedHigh("tr"),
  systemRule(
    "ldtr",
    "type",
    "The type of guest LDTR must be 2 (LDT)",
    (rights) => typeOf(rights) === 2,
    () => "use access rights 0x82, or 0x10000 for a guest without an LDT",
  ),
  ...commonSystemRules("ldtr"),
  systemReservedHigh("ldtr"),
];
