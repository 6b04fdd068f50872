import { describe, expect, it } from "vitest";
import { type VmcsFieldName, vmcsField, vmcsFields } from "../../arch/vmcs-fields.ts";
import { checkGroups, firstRefusal } from "./index.ts";
import { mutated, mutations } from "./mutations.fixture.ts";
import { EntryChecks } from "./recheck.ts";
import { Entry, type FieldValues } from "./valid-entry.fixture.ts";

/** A processor that has entered this VMCS once. */
const entered = (entry: Entry) => {
  const checks = new EntryChecks(entry.facts());
  expect(checks.refusal()).toBeUndefined();
  return {
    checks,
    write: (fields: FieldValues): void => {
      for (const [name, value] of Object.entries(fields)) {
        const changed = BigInt.asIntN(64, entry.read(name as VmcsFieldName) ^ value);
        checks.noteWrite(
          vmcsField(name as VmcsFieldName).ordinal,
          Number(BigInt.asIntN(32, changed)),
          Number(changed >> 32n),
        );
      }
      entry.set(fields);
    },
  };
};

describe("checks made again after a successful VM entry", () => {
  it.each(mutations.map((mutation) => [mutation.id, mutation] as const))("find %s", (_id, mutation) => {
    const valid = new Entry({
      ...(mutation.guest ? { guest: mutation.guest } : {}),
      ...(mutation.legacyHost ? { legacyHost: true } : {}),
      ...(mutation.model ? { model: mutation.model } : {}),
      ...(mutation.id === "legacy-host-ia32e-guest" ? { guest: "PAE" } : {}),
    });
    const { checks, write } = entered(valid);
    // All that tells the violating VMCS from the valid one, written field by field.
    const target = new Entry(mutation);
    target.set(mutation.writes((name) => target.read(name), target.model));
    for (const { name, ordinal } of vmcsFields)
      if (target.values.get(ordinal) !== valid.values.get(ordinal)) write({ [name]: target.read(name) });
    for (const [at, word] of Object.entries(mutation.memory ?? {})) valid.memory.set(BigInt(at), word);
    const expected = firstRefusal(valid.facts())!;
    expect(checks.refusal()!.check.id).toBe(expected.check.id);
    // And again, until it is mended.
    expect(checks.refusal()!.check.id).toBe(expected.check.id);
  });

  it("hold again once the fault is mended", () => {
    const { checks, write } = entered(new Entry());
    write({ "guest.cr4": 0n });
    expect(checks.refusal()!.check.id).toBe("guest-cr4-fixed-bits");
    write({ "guest.cr4": 0x2020n });
    expect(checks.refusal()).toBeUndefined();
  });

  it("count again when the VMCS that was left is current once more, unchanged", () => {
    const entry = new Entry();
    const { checks, write } = entered(entry);
    write({ "guest.rip": 0x2000n });
    checks.leave(0x6000);
    checks.arrive(0x7000);
    expect(checks.known).toBe(false);
    checks.arrive(0x6000);
    expect(checks.known).toBe(true);
    expect(checks.changedFields).toEqual([vmcsField("guest.rip").ordinal]);
    write({ "guest.cr4": 0n });
    checks.leave(0x6000);
    checks.arrive(0x6000);
    expect(checks.refusal()!.check.id).toBe("guest-cr4-fixed-bits");
  });

  it("count no more when it comes back changed", () => {
    const entry = new Entry();
    const { checks } = entered(entry);
    checks.leave(0x6000);
    entry.set({ "guest.cr4": 0n });
    checks.arrive(0x6000);
    expect(checks.known).toBe(false);
    expect(checks.refusal()!.check.id).toBe("guest-cr4-fixed-bits");
    checks.leave(0x6000);
    checks.arrive(0x6000);
    expect(checks.known).toBe(false);
  });

  it("do not depend on bits that a row says it does not look at", () => {
    const rows = checkGroups.flatMap((group) => group.checks).filter((check) => check.bits);
    expect(rows.length).toBeGreaterThan(70);
    const wrong = new Set<string>();
    for (const entry of [
      ...(["64-bit", "PAE", "virtual-8086", "real"] as const).map((guest) => new Entry({ guest })),
      ...mutations.filter(({ id }) => rows.some((check) => check.id === id)).map(mutated),
    ]) {
      const facts = entry.facts();
      const before = rows.map((check) => check.holds(facts));
      for (const name of [
        "guest.rflags",
        "guest.cr0",
        "guest.cr4",
        "guest.cs.access",
        "guest.ss.access",
      ] as const) {
        const value = entry.read(name);
        for (let bit = 0; bit <= 32; bit++) {
          entry.set({ [name]: value ^ (1n << BigInt(bit)) });
          for (const [n, check] of rows.entries()) {
            const mask = check.bits?.[name];
            const looked = mask !== undefined && (bit >= 32 || ((mask >>> bit) & 1) === 0);
            if (looked && check.holds(facts) !== before[n]) wrong.add(`${check.id} ${name} ${bit}`);
          }
        }
        entry.set({ [name]: value });
      }
    }
    expect([...wrong]).toEqual([]);
  });

  it("see memory change", () => {
    const entry = new Entry({ with: ["useTPRShadow"] });
    entry.set({ "control.tprThreshold": 2n, "control.virtualApicAddress": 0x8000n });
    entry.memory.set(0x8080n, 0x20);
    const { checks } = entered(entry);
    expect(checks.refusal()).toBeUndefined();
    entry.memory.set(0x8080n, 0x10);
    expect(checks.refusal()!.check.id).toBe("tpr-threshold-vtpr");
  });

  it("see the mode of the processor change", () => {
    const entry = new Entry();
    const { checks } = entered(entry);
    entry.inIa32eMode = false;
    expect(checks.refusal()!.check.id).toBe("legacy-host-ia32e-guest");
  });

  it("see controls that become effective by the activation of their word", () => {
    const entry = new Entry({ with: ["enableVPID"], without: ["activateSecondaryControls"] });
    entry.set({ "control.vpid": 0n });
    const { checks, write } = entered(entry);
    write({ "control.processorBased": entry.read("control.processorBased") | 0x8000_0000n });
    expect(checks.refusal()!.check.id).toBe("vpid-not-zero");
  });

  it("see the interplay of what a VM exit saves and what is written", () => {
    const entry = new Entry();
    const { checks, write } = entered(entry);
    // A VM exit after STI; then the VMM injects an NMI.
    entry.set({ "guest.rflags": 0x202n, "guest.interruptibility": 1n });
    expect(checks.refusal()).toBeUndefined();
    write({ "control.entryInterruptionInformation": 0x8000_0202n });
    const failure = checks.refusal()!;
    expect([failure.check.id, failure.check.qualification]).toEqual(["guest-sti-blocking-nmi", 3]);
  });
});
