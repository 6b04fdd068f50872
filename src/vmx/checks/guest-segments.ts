import { access, selectorRPL, selectorTI } from "../../arch/descriptors.ts";
import { RFLAGS } from "../../arch/flags.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { type Check, hex, lowOf } from "./check.ts";
import {
  type CodeOrData, codeOrData, dataOnly, dplOf, granularity, highReserved, lowReserved, sdm, segments, typeOf, unlessUsable,
} from "./guest-segment.ts"; // biome-ignore format: one list
import { systemSegments } from "./guest-system-segments.ts";
import { canonicalRow } from "./register-rows.ts";

/** SDM Vol. 3, "Checks on Guest Segment Registers", in its order: selectors, bases, limits, access rights. */

const VM = Number(RFLAGS.VM);
const lowFlags = lowOf("guest.rflags");
const lowCr0 = lowOf("guest.cr0");
/** What rows that leave virtual-8086 mode out, or apply to it only, look at in RFLAGS. */
const bits = { "guest.rflags": VM };
const isVirtual8086 = (facts: EntryFacts): boolean => (lowFlags(facts) & VM) !== 0;

const selectorChecks: readonly Check[] = [
  {
    id: "guest-tr-selector-ti",
    sdm,
    says: "The TI flag (bit 2) of the guest TR selector must be 0",
    reads: ["guest.tr.selector"],
    consults: [],
    holds: (facts) => (segments.tr.selector(facts) & selectorTI) === 0,
    hint: (facts) => `use ${hex(segments.tr.selector(facts) & ~selectorTI)}: a TSS descriptor is in the GDT`,
  },
  {
    id: "guest-ldtr-selector-ti",
    sdm,
    says: "The TI flag (bit 2) of the guest LDTR selector must be 0, if LDTR is usable",
    reads: ["guest.ldtr.selector", "guest.ldtr.access"],
    consults: [],
    holds: (facts) => !segments.ldtr.usable(facts) || (segments.ldtr.selector(facts) & selectorTI) === 0,
    hint: () =>
      "an LDT descriptor is in the GDT; a guest without an LDT has LDTR unusable (access rights 0x10000)",
  },
  {
    id: "guest-ss-rpl",
    sdm,
    says: 'The RPL of the guest SS selector must equal that of CS, unless the guest is virtual-8086 or "unrestricted guest" is 1',
    reads: ["guest.ss.selector", "guest.cs.selector", "guest.rflags"],
    bits,
    consults: ["unrestrictedGuest"],
    holds: (facts) =>
      facts.controls.unrestrictedGuest ||
      isVirtual8086(facts) ||
      ((segments.ss.selector(facts) ^ segments.cs.selector(facts)) & selectorRPL) === 0,
    hint: (facts) => `CS has RPL ${segments.cs.selector(facts) & selectorRPL}: give SS the same in bits 1:0`,
  },
];

const virtual8086Bases = codeOrData.map((register): Check => {
  const { name, fields, selector, base } = segments[register];
  return {
    id: `guest-${register}-base-v86`,
    sdm,
    says: `In virtual-8086 mode the guest ${name} base must be the selector times 16`,
    reads: [fields.base, fields.selector, "guest.rflags"],
    bits,
    consults: [],
    holds: (facts) => !isVirtual8086(facts) || base(facts) === BigInt(selector(facts)) << 4n,
    hint: (facts) => `use base ${hex(selector(facts) << 4)}`,
  };
});

const upperBaseBits = (["cs", "ss", "ds", "es"] as const).map((register): Check => {
  const { name, fields, base, counts } = segments[register];
  return {
    id: `guest-${register}-base-high`,
    sdm,
    says: `Bits 63:32 of the guest ${name} base must be 0${unlessUsable(register)}`,
    reads: register === "cs" ? [fields.base] : [fields.base, fields.access],
    consults: [],
    holds: (facts) => !counts(facts) || base(facts) >> 32n === 0n,
    hint: (facts) => `use ${hex(base(facts) & 0xffff_ffffn)}`,
    allowed: () => ({
      field: fields.base,
      mustBe1: 0n,
      mustBe0: 0xffff_ffff_0000_0000n,
      from: "segment bases have 32 bits",
    }),
  };
});

const baseChecks: readonly Check[] = [
  ...virtual8086Bases,
  canonicalRow("guest.tr.base", sdm, "The guest TR base"),
  canonicalRow("guest.fs.base", sdm, "The guest FS base"),
  canonicalRow("guest.gs.base", sdm, "The guest GS base"),
  canonicalRow("guest.ldtr.base", sdm, "The guest LDTR base", {
    holds: segments.ldtr.usable,
    reads: ["guest.ldtr.access"],
  }),
  ...upperBaseBits,
];

const virtual8086Limits = codeOrData.map((register): Check => {
  const { name, fields, limit } = segments[register];
  return {
    id: `guest-${register}-limit-v86`,
    sdm,
    says: `In virtual-8086 mode the guest ${name} limit must be 0000FFFFH`,
    reads: [fields.limit, "guest.rflags"],
    bits,
    consults: [],
    holds: (facts) => !isVirtual8086(facts) || limit(facts) === 0xffff,
    hint: () => "use limit 0xffff",
  };
});

const virtual8086Rights = codeOrData.map((register): Check => {
  const { name, fields, rights } = segments[register];
  return {
    id: `guest-${register}-access-v86`,
    sdm,
    says: `In virtual-8086 mode the guest ${name} access rights must be 000000F3H`,
    reads: [fields.access, "guest.rflags"],
    bits,
    consults: [],
    holds: (facts) => !isVirtual8086(facts) || rights(facts) === 0xf3,
    hint: () => "use access rights 0xf3: present, DPL 3, accessed read/write data",
  };
});

/** A rule about access rights outside virtual-8086 mode. */
const rightsRule = (
  register: CodeOrData,
  id: string,
  says: string,
  holds: (rights: number, facts: EntryFacts) => boolean,
  hint: (rights: number, facts: EntryFacts) => string,
  more: Partial<Pick<Check, "reads" | "consults" | "allowed">> = {},
): Check => {
  const { fields, rights, counts } = segments[register];
  return {
    id: `guest-${register}-${id}`,
    sdm,
    says,
    reads: [fields.access, ...(more.reads ?? []), "guest.rflags"],
    bits,
    consults: more.consults ?? [],
    holds: (facts) => isVirtual8086(facts) || !counts(facts) || holds(rights(facts), facts),
    hint: (facts) => hint(rights(facts), facts),
    ...(more.allowed ? { allowed: more.allowed } : {}),
  };
};

const accessedCode = (type: number): boolean => type === 9 || type === 11 || type === 13 || type === 15;

const types: readonly Check[] = [
  rightsRule(
    "cs",
    "type",
    'The type of guest CS must be 9, 11, 13 or 15 (accessed code), or 3 (accessed read/write data) if "unrestricted guest" is 1',
    (rights, { controls }) =>
      accessedCode(typeOf(rights)) || (typeOf(rights) === 3 && controls.unrestrictedGuest),
    (rights) =>
      (rights & 9) === 8
        ? "set bit 0 (accessed): the processor sets it when it loads CS"
        : "use type 11 (execute/read, accessed)",
    { consults: ["unrestrictedGuest"] },
  ),
  rightsRule(
    "ss",
    "type",
    "The type of guest SS must be 3 or 7 (accessed read/write data), if the register is usable",
    (rights) => typeOf(rights) === 3 || typeOf(rights) === 7,
    () => "use type 3, or mark SS unusable (bit 16)",
  ),
  ...dataOnly.flatMap((register) => {
    const name = register.toUpperCase();
    return [
      rightsRule(
        register,
        "accessed",
        `Bit 0 of the type of guest ${name} (accessed) must be 1, if the register is usable`,
        (rights) => (rights & 1) !== 0,
        () => `set bit 0, or mark ${name} unusable (bit 16)`,
      ),
      rightsRule(
        register,
        "readable",
        `If guest ${name} is a code segment, it must be readable, if the register is usable`,
        (rights) => (rights & 8) === 0 || (rights & 2) !== 0,
        () => `set bit 1, or mark ${name} unusable (bit 16)`,
      ),
    ];
  }),
];

const systemBits = codeOrData.map((register) =>
  rightsRule(
    register,
    "s",
    `S (bit 4) of the guest ${register.toUpperCase()} access rights must be 1${unlessUsable(register)}`,
    (rights) => (rights & access.S) !== 0,
    (rights) => `set bit 4: ${hex(rights | access.S)}`,
  ),
);

const privilegeLevels: readonly Check[] = [
  rightsRule(
    "cs",
    "dpl-data",
    "If the type of guest CS is 3 (accessed read/write data), its DPL must be 0",
    (rights) => typeOf(rights) !== 3 || dplOf(rights) === 0,
    () => "clear bits 6:5 of the CS access rights",
  ),
  rightsRule(
    "cs",
    "dpl-non-conforming",
    "If the type of guest CS is 9 or 11 (non-conforming code), its DPL must equal that of SS",
    (rights, facts) =>
      (typeOf(rights) !== 9 && typeOf(rights) !== 11) || dplOf(rights) === dplOf(segments.ss.rights(facts)),
    (rights, facts) =>
      `CS has DPL ${dplOf(rights)}, SS ${dplOf(segments.ss.rights(facts))}: SS.DPL is the CPL, of an unusable SS too`,
    { reads: ["guest.ss.access"] },
  ),
  rightsRule(
    "cs",
    "dpl-conforming",
    "If the type of guest CS is 13 or 15 (conforming code), its DPL must not be greater than that of SS",
    (rights, facts) =>
      (typeOf(rights) !== 13 && typeOf(rights) !== 15) || dplOf(rights) <= dplOf(segments.ss.rights(facts)),
    (rights, facts) => `CS has DPL ${dplOf(rights)}, SS ${dplOf(segments.ss.rights(facts))}`,
    { reads: ["guest.ss.access"] },
  ),
  {
    id: "guest-ss-dpl-rpl",
    sdm,
    says: 'The DPL of guest SS must equal the RPL of its selector, unless the guest is virtual-8086 or "unrestricted guest" is 1',
    reads: ["guest.ss.access", "guest.ss.selector", "guest.rflags"],
    bits,
    consults: ["unrestrictedGuest"],
    holds: (facts) =>
      facts.controls.unrestrictedGuest ||
      isVirtual8086(facts) ||
      dplOf(segments.ss.rights(facts)) === (segments.ss.selector(facts) & selectorRPL),
    hint: (facts) => `SS has RPL ${segments.ss.selector(facts) & selectorRPL}: write the same to bits 6:5`,
  },
  {
    id: "guest-ss-dpl-real",
    sdm,
    says: "The DPL of guest SS must be 0 if the type of guest CS is 3 or guest CR0.PE is 0, unless the guest is virtual-8086",
    reads: ["guest.ss.access", "guest.cs.access", "guest.cr0", "guest.rflags"],
    bits: { ...bits, "guest.cr0": 1 },
    consults: [],
    holds: (facts) =>
      isVirtual8086(facts) ||
      dplOf(segments.ss.rights(facts)) === 0 ||
      (typeOf(segments.cs.rights(facts)) !== 3 && (lowCr0(facts) & 1) !== 0),
    hint: () => "clear bits 6:5 of the SS access rights: real-address mode has CPL 0",
  },
  ...dataOnly.map((register) =>
    rightsRule(
      register,
      "dpl",
      `The DPL of guest ${register.toUpperCase()} must not be below the RPL of its selector, if the register is usable, its type is 0 to 11 and "unrestricted guest" is 0`,
      (rights, facts) =>
        facts.controls.unrestrictedGuest ||
        typeOf(rights) > 11 ||
        dplOf(rights) >= (segments[register].selector(facts) & selectorRPL),
      (_rights, facts) =>
        `the selector has RPL ${segments[register].selector(facts) & selectorRPL}: raise the DPL (bits 6:5), or mark the register unusable (bit 16)`,
      { reads: [segments[register].fields.selector], consults: ["unrestrictedGuest"] },
    ),
  ),
];

const reservedRow = (register: CodeOrData, id: string, range: string, mask: number): Check =>
  rightsRule(
    register,
    id,
    `Bits ${range} of the guest ${register.toUpperCase()} access rights must be 0${unlessUsable(register)}`,
    (rights) => (rights & mask) === 0,
    (rights) => `clear them: ${hex((rights & ~mask) >>> 0)}`,
    {
      allowed: () => ({
        field: segments[register].fields.access,
        mustBe1: 0n,
        mustBe0: BigInt(mask >>> 0),
        from: "reserved bits",
      }),
    },
  );

const granularityRows = codeOrData.flatMap((register) => {
  const { name, fields, limit } = segments[register];
  return [
    rightsRule(
      register,
      "g-fine",
      `If any of bits 11:0 of the guest ${name} limit is 0, G must be 0${unlessUsable(register)}`,
      (rights, facts) => granularity(limit(facts), rights) !== "too fine",
      () => "set bits 11:0 of the limit, or clear G (bit 15)",
      { reads: [fields.limit] },
    ),
    rightsRule(
      register,
      "g-large",
      `If any of bits 31:20 of the guest ${name} limit is 1, G must be 1${unlessUsable(register)}`,
      (rights, facts) => granularity(limit(facts), rights) !== "too large",
      () => "set G (bit 15), or use a limit of at most 0xfffff",
      { reads: [fields.limit] },
    ),
  ];
});

const codeOrDataRights: readonly Check[] = [
  ...virtual8086Rights,
  ...types,
  ...systemBits,
  ...privilegeLevels,
  ...codeOrData.map((register) =>
    rightsRule(
      register,
      "p",
      `P (bit 7) of the guest ${register.toUpperCase()} access rights must be 1${unlessUsable(register)}`,
      (rights) => (rights & access.P) !== 0,
      (rights) => `set bit 7: ${hex(rights | access.P)}`,
    ),
  ),
  ...codeOrData.map((register) => reservedRow(register, "reserved-low", "11:8", lowReserved)),
  rightsRule(
    "cs",
    "d-with-l",
    'D/B of guest CS must be 0 if "IA-32e mode guest" and CS.L are 1',
    (rights, { controls }) =>
      !controls.ia32eModeGuest || (rights & access.L) === 0 || (rights & access.DB) === 0,
    () => "clear bit 14 (D/B) of a 64-bit code segment",
    { consults: ["ia32eModeGuest"] },
  ),
  ...granularityRows,
  ...codeOrData.map((register) => reservedRow(register, "reserved-high", "31:17", highReserved)),
];

export const guestSegments: readonly Check[] = [
  ...selectorChecks,
  ...baseChecks,
  ...virtual8086Limits,
  ...codeOrDataRights,
  ...systemSegments,
];
