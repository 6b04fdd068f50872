import type { VmcsFieldName } from "../../../src/arch/vmcs-fields.ts";
import { vmxNeeds } from "../../../src/arch/vmx-capabilities.ts";
import { type ControlKey, vmxControls } from "../../../src/arch/vmx-controls.ts";
import { baselineFields, type GuestModeName, guestModes } from "../../../src/guests/vmx-baseline.ts";
import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import { vmcsRevision } from "../../../src/vmx/capabilities.ts";
import { checkGroups } from "../../../src/vmx/checks/index.ts";
import { type Mutation, mutations } from "../../../src/vmx/checks/mutations.fixture.ts";
import { currentVmcs } from "../../../src/vmx/checks/valid-entry.fixture.ts";
import {
  type ConformanceCase,
  type Expected,
  entryFailure,
  failsValid,
  reachesVmcall,
} from "../expectation.ts";

/**
 * Every check of VM entry violated on the machine, by the violations that its own unit tests are made of (SDM Vol. 3,
 * "Checks on VMX Controls and Host-State Area", "Checking and Loading Guest State").
 */

export interface CheckCase extends ConformanceCase {
  /** The check that must be among those that the explainer names. */
  readonly check: string;
  /** The first of those violated with it, in the SDM's order. */
  readonly first: string;
}

const modes: Readonly<Record<NonNullable<Mutation["guest"]>, GuestModeName>> = {
  "64-bit": "64-bit",
  PAE: "PAE",
  "virtual-8086": "virtual-8086",
  real: "real",
};

/** A control with the controls that it needs. */
export const withNeeds = (keys: readonly ControlKey[]): readonly ControlKey[] => {
  const found = new Set<string>();
  const visit = (key: string): void => {
    if (found.has(key)) return;
    found.add(key);
    for (const need of vmxNeeds[key as ControlKey] ?? []) visit(need);
  };
  keys.forEach(visit);
  return vmxControls.map(({ key }) => key).filter((key) => found.has(key));
};

/** Values that the test kernel finds out by itself; a violation of theirs is told as the bits that change. */
const unknownHere: ReadonlySet<string> = new Set([
  ...vmxControls.map(({ field }) => field),
  "host.rip",
  "host.gdtr.base",
  "host.idtr.base",
  "host.tr.base",
]);
const hostValues: Partial<Record<VmcsFieldName, number>> = {
  "host.cr0": 0x8001_0031,
  "host.cr3": vmxMemory.hostPml4,
  "host.cr4": 0x2620,
};

const order = checkGroups.flatMap((group) => group.checks.map((check) => ({ check, group })));

/** What the first check in the SDM's order that is violated makes of the entry. */
const firstOf = ({ id, also = [] }: Mutation): (typeof order)[number] => {
  const violated = new Set([id, ...also]);
  return order.find((row) => violated.has(row.check.id))!;
};
const outcomeOf = ({ check, group }: (typeof order)[number]): Expected => {
  return group.otherwise.kind === "VMfailValid"
    ? failsValid(group.otherwise.error)
    : entryFailure("INVALID_GUEST_STATE", check.qualification ?? 0);
};

export const caseOf = (mutation: Mutation): CheckCase => {
  const mode = modes[mutation.guest ?? "64-bit"];
  const valid: Partial<Record<VmcsFieldName, bigint | number>> = {
    ...baselineFields,
    ...hostValues,
    ...guestModes[mode].set,
  };
  const written = mutation.writes((name) => BigInt(unknownHere.has(name) ? 0 : (valid[name] ?? 0)), {
    physicalAddressBits: 40,
  });
  const set: Partial<Record<VmcsFieldName, bigint>> = {};
  const flip: Partial<Record<VmcsFieldName, bigint>> = {};
  for (const [name, value] of Object.entries(written) as [VmcsFieldName, bigint][]) {
    if (unknownHere.has(name)) flip[name] = value;
    else
      set[name] = name === "guest.vmcsLinkPointer" && value === currentVmcs ? BigInt(vmxMemory.vmcs) : value;
  }
  // A revision identifier is the processor's own.
  const prepare = Object.entries(mutation.memory ?? {})
    .filter(([address]) => BigInt(address) !== currentVmcs)
    .map(
      ([address, word]) =>
        `mov eax, [revision]\n xor eax, ${(word ^ vmcsRevision) >>> 0}\n mov [${address}], eax`,
    );
  return {
    name: `violates ${mutation.id}`,
    check: mutation.id,
    mode,
    on: withNeeds(mutation.with ?? []),
    // The baseline loads an IA32_EFER that suits its host.
    off: (mutation.without ?? []).flatMap((key) =>
      key === "hostAddressSpaceSize" ? [key, "loadHostEFER" as const] : [key],
    ),
    set,
    flip,
    ...(prepare.length > 0 ? { prepare: prepare.join("\n") } : {}),
    first: firstOf(mutation).check.id,
    expect: [outcomeOf(firstOf(mutation))],
  };
};

/** Those of other processors (tertiary controls, too), or of a host outside 64-bit mode, are left to the unit tests. */
export const checks: readonly CheckCase[] = mutations
  .filter(({ model, legacyHost }) => model === undefined && legacyHost === undefined)
  .filter(({ id }) => id !== "tertiary-reserved")
  .map(caseOf);

/** What a VMM outside IA-32e mode needs in the host-state area. */
const legacyHost: ConformanceCase = {
  name: "a VMM outside IA-32e mode",
  mode: "PAE",
  off: ["hostAddressSpaceSize", "loadHostEFER"],
  legacyHost: true,
  host: "call legacyLaunch",
  guest: "vmcall",
  expect: [],
};
/** Those that only such a VMM can make. */
export const legacyHostChecks: readonly ConformanceCase[] = [
  {
    ...legacyHost,
    expect: [{ kind: "H", values: { "exit.reason": 18, "exit.instructionLength": 3, RFLAGS: undefined } }],
  },
  ...mutations
    .filter(({ legacyHost: isLegacy }) => isLegacy)
    .map((mutation) => {
      const { name, set = {}, flip = {}, on = [], expect } = caseOf(mutation);
      return {
        ...legacyHost,
        name,
        mode: modes[mutation.guest ?? "64-bit"],
        on,
        set,
        flip,
        expect: expect.map((expected): Expected => ({ ...expected, kind: "H" })),
      };
    }),
];

/** Controls that no processor here offers, or that need more than the baseline has; those have cases elsewhere. */
const elsewhere: ReadonlySet<ControlKey> = new Set<ControlKey>([
  "activateTertiaryControls",
  "subPageWritePermissions",
  "ptUsesGuestPhysicalAddresses",
  "entryToSMM",
  "nmiWindowExiting",
  "modeBasedExecuteControl",
  "virtualizeX2APICMode",
]);

/** The controls that the violations build on are themselves fine. */
export const shapes: readonly ConformanceCase[] = [
  ...new Map(
    checks
      .filter(({ on = [] }) => on.length > 0 && !on.some((key) => elsewhere.has(key)))
      .map(({ mode, on = [] }) => [
        `${mode} ${on.join(", ")}`,
        { name: `enters: ${mode} with ${on.join(", ")}`, mode: mode!, on, expect: [reachesVmcall()] },
      ]),
  ).values(),
];
