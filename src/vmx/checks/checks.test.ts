import { describe, expect, it } from "vitest";
import { vmcsFields } from "../../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../../arch/vmx-controls.ts";
import { EntryFacts } from "../entry-facts.ts";
import type { Check } from "./check.ts";
import { allRefusals, checkGroups, firstRefusal } from "./index.ts";
import { mutated, mutations } from "./mutations.fixture.ts";
import { Entry, type FieldValues, type GuestKind, type ValidEntry } from "./valid-entry.fixture.ts";

const checks: readonly Check[] = checkGroups.flatMap((group) => group.checks);
const refusedIds = (facts: EntryFacts): string[] => allRefusals(facts).refused.map(({ check }) => check.id);

describe("a valid VMCS", () => {
  it.each(["64-bit", "PAE", "virtual-8086", "real"] as const)("of a %s guest passes every check", (guest) => {
    const facts = new Entry({ guest }).facts();
    expect(allRefusals(facts)).toEqual({ refused: [], undecided: [] });
    expect(firstRefusal(facts)).toBeUndefined();
  });

  it.each([{}, { legacyHost: true, guest: "PAE" as GuestKind }] as const)("of host %o passes", (shape) => {
    expect(refusedIds(new Entry(shape as object).facts())).toEqual([]);
  });

  it("with everything on passes", () => {
    const keys = checks.flatMap(({ consults }) => consults);
    const everything = [...new Set(keys)].filter(
      (key) => new Entry().capability.offers(key) && key !== "virtualizeX2APICMode",
    );
    expect(everything.length).toBeGreaterThan(30);
    expect(refusedIds(new Entry({ with: everything }).facts())).toEqual([]);
  });
});

describe("every check", () => {
  it("has an id of its own", () => {
    expect(new Set(checks.map(({ id }) => id)).size).toBe(checks.length);
  });

  it("has one mutation that violates it", () => {
    expect(mutations.map(({ id }) => id).toSorted()).toEqual(checks.map(({ id }) => id).toSorted());
  });

  it.each(mutations.map((mutation) => [mutation.id, mutation] as const))(
    "%s is violated alone",
    (id, mutation) => {
      // Where fields are written, it is they that make it fail.
      if (!mutation.also && Object.keys(mutation.writes(() => 0n, new Entry().model)).length > 0)
        expect(refusedIds(new Entry({ ...mutation, without: [] }).facts())).toEqual([]);
      const facts = mutated(mutation).facts();
      expect(refusedIds(facts).toSorted()).toEqual([id, ...(mutation.also ?? [])].toSorted());
      const check = checks.find((candidate) => candidate.id === id)!;
      expect(check.hint(facts)).toMatch(/\w/);
      const allowed = check.allowed?.(facts);
      if (allowed) {
        const value = facts.field(allowed.field);
        expect(check.reads).toContain(allowed.field);
        if (allowed.mustBe1 | allowed.mustBe0)
          expect((allowed.mustBe1 & ~value) | (allowed.mustBe0 & value)).not.toBe(0n);
      }
    },
  );

  it("stands in the first group that refuses", () => {
    for (const mutation of mutations) {
      const facts = mutated(mutation).facts();
      const order = checks.map(({ id }) => id);
      const expected = [mutation.id, ...(mutation.also ?? [])].toSorted(
        (a, b) => order.indexOf(a) - order.indexOf(b),
      )[0];
      expect(firstRefusal(facts)!.check.id).toBe(expected);
    }
  });
});

/** Records fields and controls that a check asks for. */
const recording = (entry: Entry) => {
  const fields = new Set<string>();
  const controls = new Set<ControlKey>();
  let inControl = false;
  const facts = entry.facts();
  const { isSet, value, low } = facts;
  Object.assign(facts, {
    isSet(control: Parameters<typeof isSet>[0]) {
      controls.add(control.key);
      inControl = true;
      const set = isSet.call(facts, control);
      inControl = false;
      return set;
    },
    value(ordinal: number) {
      fields.add(vmcsFields[ordinal]!.name);
      return value.call(facts, ordinal);
    },
    low(ordinal: number) {
      if (!inControl) fields.add(vmcsFields[ordinal]!.name);
      return low.call(facts, ordinal);
    },
  });
  return { facts, fields, controls };
};

const having = (shape: ValidEntry, fields: FieldValues): Entry => {
  const entry = new Entry(shape);
  entry.set(fields);
  return entry;
};

describe("what a check declares to read", () => {
  const shapes = [
    ...(["64-bit", "PAE", "virtual-8086", "real"] as const).map((guest) => new Entry({ guest })),
    ...mutations.map(mutated),
    having({ with: ["unrestrictedGuest"] }, { "control.entryInterruptionInformation": 0x8000_0b0dn }),
    having({}, { "guest.tr.access": 0x83n }),
  ];
  it("covers what it reads, on every valid and every violating VMCS", () => {
    const missing = new Set<string>();
    for (const entry of shapes) {
      const { facts, fields, controls } = recording(entry);
      for (const check of checks) {
        fields.clear();
        controls.clear();
        check.holds(facts);
        for (const name of fields)
          if (!(check.reads as readonly string[]).includes(name)) missing.add(`${check.id} ${name}`);
        for (const key of controls) if (!check.consults.includes(key)) missing.add(`${check.id} ${key}`);
      }
    }
    expect([...missing]).toEqual([]);
  });

  it("is no more than it reads on some of them", () => {
    const unread = new Map(
      checks.map((check) => [
        check.id,
        new Set<string>([
          ...check.reads.filter((name) => !check.consults.some((key) => vmxControl(key).field === name)),
          ...check.consults,
        ]),
      ]),
    );
    for (const entry of shapes) {
      const { facts, fields, controls } = recording(entry);
      for (const check of checks) {
        fields.clear();
        controls.clear();
        check.holds(facts);
        for (const name of [...fields, ...controls]) unread.get(check.id)!.delete(name);
      }
    }
    expect(
      [...unread].filter(([, names]) => names.size > 0).map(([id, names]) => `${id} ${[...names]}`),
    ).toEqual([]);
  });
});

describe("a dump that lacks a field", () => {
  it("leaves undecided what reads the field, and only that", () => {
    const entry = new Entry();
    const facts = entry.facts();
    const partial = new EntryFacts(
      {
        value: (ordinal) =>
          vmcsFields[ordinal]!.name === "guest.cr4" ? undefined : entry.values.get(ordinal),
        low: (ordinal) => Number(entry.values.get(ordinal)! & 0xffff_ffffn),
      },
      facts.capability,
      { ...facts.cpu, inIa32eMode: () => undefined },
      () => undefined,
    );
    const { refused, undecided } = allRefusals(partial);
    expect(refused).toEqual([]);
    expect(undecided.map(({ check, missing }) => `${check.id}: ${missing}`)).toEqual([
      "legacy-host-ia32e-guest: IA32_EFER.LMA",
      "host-address-space-size: IA32_EFER.LMA",
      "guest-cr4-fixed-bits: guest.cr4",
      "guest-cet-needs-wp: guest.cr4",
      "ia32e-guest-paging: guest.cr4",
    ]);
    expect(firstRefusal(partial)).toBeUndefined();
  });
});
