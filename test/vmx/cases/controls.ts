import type { ControlKey, VmxControl } from "../../../src/arch/vmx-controls.ts";
import { default1, vmxControl, vmxControls } from "../../../src/arch/vmx-controls.ts";
import { cpuModel } from "../../../src/cpu/cpu-model.ts";
import { baselineControls } from "../../../src/guests/vmx-baseline.ts";
import { vmxMemory } from "../../../src/guests/vmx-memory.ts";
import { type ConformanceCase, type Expected, exits, failsValid, reachesVmcall } from "../expectation.ts";
import { withNeeds } from "./checks.ts";

/** Each control that the default processor offers set (with what it needs) and cleared, with a guest that does nothing special. */

const model = cpuModel("default")!;
const isOffered = (key: ControlKey): boolean => model.has(key);

/** What comes of a control when it is not simply VMCALL's exit. */
const setOutcomes: Partial<Record<ControlKey, Expected>> = {
  monitorTrapFlag: exits("MONITOR_TRAP_FLAG", { "guest.rip": vmxMemory.guestCode + 1 }),
  nmiWindowExiting: exits("NMI_WINDOW"),
  modeBasedExecuteControl: exits("EPT_VIOLATION", { "exit.guestPhysicalAddress": vmxMemory.guestCode }),
};
/** A control that the baseline has, without which it is no valid VMCS. */
const clearedOutcomes: Partial<Record<ControlKey, Expected>> = {
  hostAddressSpaceSize: failsValid(8),
  ia32eModeGuest: { kind: "X", values: { "exit.reason": 0x8000_0021 } },
  // Without it the guest loops over nothing: it still comes to its VMCALL.
};

const baseline = new Set(baselineControls.flatMap(([, , keys]) => keys));

export const controls: readonly ConformanceCase[] = vmxControls
  .map(({ key }) => key)
  .filter(isOffered)
  .flatMap((key) => [
    {
      name: `${key} is 1`,
      on: withNeeds([key]),
      guest: "nop\n vmcall",
      expect: [setOutcomes[key] ?? reachesVmcall()],
    },
    ...(baseline.has(key)
      ? [
          {
            name: `${key} is 0`,
            off: [key],
            guest: "nop\n vmcall",
            expect: [clearedOutcomes[key] ?? reachesVmcall()],
          },
        ]
      : []),
  ]);

/** The same controls where a processor does not offer them: reserved bits. */
const kept: ReadonlySet<ControlKey> = new Set<ControlKey>([
  "hostAddressSpaceSize",
  "ia32eModeGuest",
  "activateSecondaryControls",
]);
export const withoutControls = vmxControls
  .map(({ key }) => key)
  .filter((key) => isOffered(key) && !kept.has(key));
/** One of the default1 class is 1 where it is not offered as a choice. */
const isDefault1 = ({ field, bit }: VmxControl): boolean => ((default1[field] >>> bit) & 1) === 1;
export const reservedControls: readonly ConformanceCase[] = vmxControls
  .filter((control) => !kept.has(control.key) && !isDefault1(control))
  .map(({ key }) => ({
    name: `${key} is 1 and not offered`,
    on: [
      key,
      ...(vmxControl(key).field === "control.secondaryProcessorBased"
        ? (["activateSecondaryControls"] as const)
        : []),
    ],
    expect: [failsValid(7)],
  }));
