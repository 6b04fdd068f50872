import { describe, expect, it } from "vitest";
import { ExitReason } from "../../src/arch/vm-exit-reasons.ts";
import { vmInstructionErrors } from "../../src/arch/vm-instruction-errors.ts";
import { checkGroups } from "../../src/vmx/checks/index.ts";
import { mutations } from "../../src/vmx/checks/mutations.fixture.ts";
import { checks, legacyHostChecks } from "./cases/checks.ts";
import { controls, reservedControls, withoutControls } from "./cases/controls.ts";
import { tables } from "./cases/index.ts";
import { models } from "./cases/models.ts";

/** What the tables of cases have at least one case for; what is left out says why. */

const all = [...Object.values(tables).flat(), ...models.flatMap(({ cases }) => cases)];
const expectedValues = (name: string): Set<number> =>
  new Set(all.flatMap(({ expect: steps }) => steps.map(({ values }) => Number(values[name] ?? 0))));

/** Exit reasons that no case brings about. */
// biome-ignore format: one row per fact
const elsewhere: ReadonlySet<keyof typeof ExitReason> = new Set<keyof typeof ExitReason>([
  // Tested with several processors, or by unit tests: INIT and SIPI from another processor.
  "INIT_SIGNAL", "SIPI",
  // Features that no CPU model offers: SMM, SMX, SGX, PCONFIG, WAITPKG, Key Locker, sub-page permissions; machine checks.
  "IO_SMI", "OTHER_SMI", "RSM", "GETSEC", "MACHINE_CHECK", "ENCLS", "ENCLV", "PCONFIG", "SPP", "UMWAIT", "TPAUSE", "LOADIWKEY",
  // IA32_XSS has no component yet that the XSS-exiting bitmap could name: unit tests.
  "XSAVES", "XRSTORS",
]);

describe("the tables of VMX cases", () => {
  it("have every exit reason", () => {
    const reasons = expectedValues("exit.reason");
    const missing = Object.entries(ExitReason).filter(
      ([name, reason]) =>
        !elsewhere.has(name as keyof typeof ExitReason) &&
        !reasons.has(reason) &&
        !reasons.has(reason + 0x8000_0000),
    );
    expect(missing.map(([name]) => name)).toEqual([]);
  });

  it("have every VM-instruction error that this processor gives", () => {
    const errors = expectedValues("exit.vmInstructionError");
    // The dual-monitor treatment, and VMRESUME after VMXOFF: docs/QUIRKS.md.
    const never = new Set([6, 16, 17, 18, 19, 20, 22, 23, 24, 25]);
    const missing = vmInstructionErrors.filter(({ number }) => !never.has(number) && !errors.has(number));
    expect(missing.map(({ number }) => number)).toEqual([]);
  });

  it("have every check of VM entry", () => {
    const covered = new Set<string>([
      ...checks.map(({ check }) => check),
      ...mutations.filter(({ legacyHost }) => legacyHost).map(({ id }) => id),
      ...mutations.filter(({ model }) => model !== undefined).map(({ id }) => id),
    ]);
    expect(legacyHostChecks.length).toBe(1 + mutations.filter(({ legacyHost }) => legacyHost).length);
    const missing = checkGroups.flatMap((group) => group.checks.filter(({ id }) => !covered.has(id)));
    // No CPU model has tertiary controls.
    expect(missing.map(({ id }) => id)).toEqual(["tertiary-reserved"]);
  });

  it("have every control, set and reserved", () => {
    const names = new Set(controls.map(({ name }) => name));
    expect(withoutControls.filter((key) => !names.has(`${key} is 1`))).toEqual([]);
    expect(reservedControls.length).toBeGreaterThan(50);
  });
});
