import { describe, expect, it } from "vitest";
import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { checkGroups, firstRefusal } from "./index.ts";
import { Entry, type FieldValues, type ValidEntry } from "./valid-entry.fixture.ts";

/** Every value of what has few, every bit of what has many, against rules written down a second time. */

const flipped = (shape: ValidEntry, field: VmcsFieldName, fields: FieldValues = {}): string => {
  const entry = new Entry(shape);
  entry.set(fields);
  const facts = entry.facts();
  const value = entry.read(field);
  const outcomes = Array.from({ length: 64 }, (_, bit) => {
    entry.set({ [field]: value ^ (1n << BigInt(bit)) });
    return firstRefusal(facts) === undefined ? "" : `${bit}`;
  });
  return ranges(outcomes.filter((bit) => bit !== "").map(Number)) || "none";
};

/** [1, 2, 3, 5] as "1-3 5". */
const ranges = (bits: readonly number[]): string => {
  const parts: string[] = [];
  for (let n = 0; n < bits.length; n++) {
    const from = bits[n]!;
    while (bits[n + 1] === bits[n]! + 1) n++;
    parts.push(from === bits[n] ? `${from}` : `${from}-${bits[n]}`);
  }
  return parts.join(" ");
};

describe("each bit of a register, flipped", () => {
  // biome-ignore format: one row per fact
  it.each([
    ["host.cr0", {}, "0 5 31-63"],
    ["guest.cr0", {}, "0 5 31-63"],
    ["guest.cr0", { with: ["unrestrictedGuest"] }, "0 5 31-63"], // PE is needed by PG, PG by IA-32e mode
    ["guest.cr0", { guest: "real" }, "5 31-63"], // PG needs PE
    ["host.cr4", {}, "5 12-15 19 22-63"],
    ["guest.cr4", {}, "5 12-15 19 22-63"],
    ["guest.cr4", { guest: "PAE" }, "12-15 17 19 22-63"],
    ["guest.rflags", {}, "1 3 5 15 17 22-63"],
    ["guest.rflags", { guest: "PAE" }, "1 3 5 15 17 22-63"], // without 8086 segments
    ["guest.cr3", {}, "40-63"],
    ["host.cr3", {}, "40-63"],
    ["guest.rip", {}, "48-63"],
    ["guest.rip", { guest: "PAE" }, "32-63"],
    ["host.rip", {}, "47-63"],
    ["guest.dr7", {}, "32-63"],
    ["guest.dr7", { without: ["loadDebugControls"] }, "none"],
    ["guest.gs.base", {}, "47-63"],
    ["guest.ds.base", {}, "32-63"],
    ["guest.gdtr.limit", {}, "16-63"],
    ["guest.interruptibility", {}, "0 2 4-31"], // STI blocking needs IF
    ["guest.pendingDebugExceptions", {}, "4-11 13 15-63"],
    ["guest.activity", {}, "2-31"],
    ["guest.ia32Efer", { with: ["loadGuestEFER"] }, "1-10 12-63"],
    ["guest.ia32Debugctl", {}, "2-63"],
    ["guest.vmcsLinkPointer", {}, "0-63"],
    ["control.eptPointer", { with: ["enableEPT"] }, "0-5 7-11 40-63"], // 6 is accessed and dirty flags; type 7, 4, 2 are not UC
    ["control.pinBased", {}, "1-2 4-5 7-31"],
    ["guest.cs.access", {}, "0 3-11 14-15 17-31"],
    ["guest.ss.access", {}, "0-1 3-11 15 17-31"],
    ["guest.tr.access", {}, "0-4 7-11 15-31"],
  ] as const)("%s %o: refused are %s", (field, shape, expected) => {
    expect(flipped({ with: ["loadDebugControls"], ...(shape as ValidEntry) }, field)).toBe(expected);
  });
});

/** The rows that look at a segment register's access rights. */
const rowsOn = (register: string) =>
  checkGroups
    .flatMap(({ checks }) => checks)
    .filter(({ reads }) => (reads as readonly string[]).includes(`guest.${register}.access`));
const passes = (rows: ReturnType<typeof rowsOn>, facts: EntryFacts): boolean =>
  rows.every((row) => row.holds(facts));

interface Rights {
  readonly type: number;
  readonly S: number;
  readonly DPL: number;
  readonly P: number;
  readonly L: number;
  readonly DB: number;
  readonly G: number;
  readonly unusable: number;
}
const bits = (value: number): Rights => ({
  type: value & 15,
  S: (value >> 4) & 1,
  DPL: (value >> 5) & 3,
  P: (value >> 7) & 1,
  L: (value >> 13) & 1,
  DB: (value >> 14) & 1,
  G: (value >> 15) & 1,
  unusable: (value >> 16) & 1,
});
/** All access rights without reserved bits and AVL. */
function* everyRights(): Generator<number> {
  for (let n = 0; n < 1 << 12; n++) yield (n & 0xff) | ((n & 0xf00) << 5);
}

describe("all access rights of", () => {
  const shapes: readonly ValidEntry[] = [
    {},
    { guest: "PAE" },
    { guest: "real" },
    { with: ["unrestrictedGuest"] },
  ];
  const isUnrestricted = (shape: ValidEntry): boolean =>
    shape.guest === "real" || shape.with?.includes("unrestrictedGuest") === true;
  const is64 = (shape: ValidEntry): boolean => (shape.guest ?? "64-bit") === "64-bit";

  const compare = (
    register: "cs" | "ss" | "ds" | "tr" | "ldtr",
    limits: readonly bigint[],
    expected: (rights: Rights, limit: number, shape: ValidEntry) => boolean,
  ): void => {
    const rows = rowsOn(register);
    let accepted = 0;
    for (const shape of shapes)
      for (const limit of limits) {
        const entry = new Entry(shape);
        const facts = entry.facts();
        for (const rights of everyRights()) {
          entry.set({ [`guest.${register}.access`]: BigInt(rights), [`guest.${register}.limit`]: limit });
          const verdict = passes(rows, facts);
          if (verdict) accepted++;
          if (verdict !== expected(bits(rights), Number(limit), shape))
            expect(
              `${register} ${rights.toString(16)} limit ${limit} ${JSON.stringify(shape)} ${verdict}`,
            ).toBe("");
        }
      }
    expect(accepted).toBeGreaterThan(10);
  };
  const fits = ({ G }: Rights, limit: number): boolean =>
    G === 1 ? limit % 4096 === 4095 : limit < 0x10_0000;
  const limits = [0xffff_ffffn, 0xf_ffffn, 0xf_f000n, 0x10_0fffn, 0x10_0000n];

  it("CS", () => {
    // SS has DPL 0.
    compare("cs", limits, (rights, limit, shape) => {
      const { type, S, DPL, P, L, DB } = rights;
      if (S === 0 || P === 0 || !fits(rights, limit)) return false;
      if (type === 3 ? !isUnrestricted(shape) : ![9, 11, 13, 15].includes(type)) return false;
      if (DPL !== 0) return false;
      return !(is64(shape) && L === 1 && DB === 1);
    });
  });

  it("SS", () => {
    // CS is not conforming and has DPL 0 (64-bit and PAE) or is data (real); both selectors have RPL 0.
    compare("ss", limits, (rights, limit) => {
      const { type, S, DPL, P, unusable } = rights;
      if (DPL !== 0) return false;
      return unusable === 1 || ((type === 3 || type === 7) && S === 1 && P === 1 && fits(rights, limit));
    });
  });

  it("DS", () => {
    compare("ds", limits, (rights, limit) => {
      const { type, S, P, unusable } = rights;
      if (unusable === 1) return true;
      const code = type >= 8;
      return type % 2 === 1 && (!code || (type & 2) !== 0) && S === 1 && P === 1 && fits(rights, limit);
    });
  });

  it("TR", () => {
    compare("tr", [0x67n, ...limits], (rights, limit, shape) => {
      const { type, S, P, unusable } = rights;
      if (unusable === 1 || S === 1 || P === 0 || !fits(rights, limit)) return false;
      return type === 11 || (type === 3 && !is64(shape));
    });
  });

  it("LDTR", () => {
    compare("ldtr", limits, (rights, limit) => {
      const { type, S, P, unusable } = rights;
      return unusable === 1 || (type === 2 && S === 0 && P === 1 && fits(rights, limit));
    });
  });

  it("DS against its selector's RPL", () => {
    const rows = rowsOn("ds");
    for (const shape of shapes)
      for (let RPL = 0; RPL < 4; RPL++)
        for (let DPL = 0; DPL < 4; DPL++)
          for (const type of [1, 3, 5, 7, 11, 15]) {
            const entry = new Entry(shape);
            entry.set({
              "guest.ds.selector": BigInt(0x20 | RPL),
              "guest.ds.access": BigInt(0x90 | (DPL << 5) | type),
              "guest.ds.limit": 0xffffn,
            });
            const holds = isUnrestricted(shape) || type === 15 || DPL >= RPL;
            expect([RPL, DPL, type, passes(rows, entry.facts())]).toEqual([RPL, DPL, type, holds]);
          }
  });
});

describe("every injected event", () => {
  it("passes with a known type, its vector, its error code and no reserved bit", () => {
    const entry = new Entry({ model: { minus: ["anyErrorCode"] } });
    entry.set({ "guest.rflags": 0x202n, "control.entryInstructionLength": 2n });
    const facts = entry.facts();
    for (let information = 0; information < 0x1000; information++) {
      entry.set({ "control.entryInterruptionInformation": BigInt(information + 0x8000_0000) });
      const vector = information & 0xff;
      const type = (information >> 8) & 7;
      const code = (information & 0x800) !== 0;
      const codes = type === 3 && [8, 10, 11, 12, 13, 14, 17].includes(vector);
      const fine =
        code === codes &&
        { 0: true, 2: vector === 2, 3: vector < 32, 4: true, 5: true, 6: true, 7: vector === 0 }[type] ===
          true;
      expect([information, firstRefusal(facts) === undefined]).toEqual([information, fine]);
    }
  });

  it.each([
    [
      1,
      (type: number, vector: number) =>
        type === 0 || type === 2 || (type === 3 && [1, 18].includes(vector)) || type === 7,
    ],
    [2, (type: number, vector: number) => type === 2 || (type === 3 && vector === 18)],
    [3, () => false],
  ] as const)("passes in activity state %s if it is not blocked there", (activity, wakes) => {
    const entry = new Entry();
    entry.set({
      "guest.rflags": 0x202n,
      "guest.activity": BigInt(activity),
      "control.entryInstructionLength": 2n,
    });
    const facts = entry.facts();
    for (const type of [0, 2, 3, 4, 5, 6, 7])
      for (let vector = 0; vector < 32; vector++) {
        if ((type === 2 && vector !== 2) || (type === 7 && vector !== 0)) continue;
        entry.set({ "control.entryInterruptionInformation": BigInt(0x8000_0000 + (type << 8) + vector) });
        expect([type, vector, firstRefusal(facts) === undefined]).toEqual([
          type,
          vector,
          wakes(type, vector),
        ]);
      }
  });
});

describe("PDPTEs in memory", () => {
  it("count without EPT, and those of the VMCS do not", () => {
    const entry = new Entry({ guest: "PAE" });
    entry.set({ "guest.pdpte1": 0x1e7n });
    expect(firstRefusal(entry.facts())).toBeUndefined();
    for (const [word, high, refused] of [
      [1, 0, undefined],
      [0x1e6, 0, undefined], // not present
      [3, 0, "guest-pdpte2"],
      [0x101, 0, "guest-pdpte2"],
      [1, 0x100, "guest-pdpte2"],
      [0x1019, 0xff, undefined],
    ] as const) {
      entry.memory.set(0x5010n, word).set(0x5014n, high);
      const failure = firstRefusal(entry.facts());
      expect([word, failure?.check.id]).toEqual([word, refused]);
      if (failure) expect(failure.check.qualification).toBe(2);
    }
  });
});
