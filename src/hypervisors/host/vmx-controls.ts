import type { ControlKey } from "../../arch/vmx-controls.ts";
import { controlMask, vmxControl } from "../../arch/vmx-controls.ts";
import type { VmxCapabilities } from "../../vmx/capabilities.ts";

// biome-ignore format: one list
const fields = ["control.pinBased", "control.processorBased", "control.secondaryProcessorBased", "control.exitControls", "control.entryControls"] as const;
export type ControlWord = (typeof fields)[number];

/** The words of VMX controls, chosen from what the capability MSRs allow. */
export interface ChosenControls {
  readonly words: ReadonlyMap<ControlWord, number>;
  has(key: ControlKey): boolean;
}

export interface WantedControls {
  /** Without one of these there is no virtual machine. */
  readonly required: readonly ControlKey[];
  readonly optional: readonly ControlKey[];
}

/** What is wanted, and of the rest what must be 1. Undefined: the processor lacks something that is required. */
export const chooseControls = (
  capability: VmxCapabilities,
  { required, optional }: WantedControls,
  without: ReadonlySet<string> = new Set(),
): ChosenControls | undefined => {
  const offered = (key: ControlKey): boolean => capability.offers(key) && !without.has(key);
  if (!required.every(offered)) return undefined;
  const chosen = new Set([...required, ...optional.filter(offered)]);
  const word = (field: ControlWord): number =>
    [...chosen].reduce(
      (bits, key) => (vmxControl(key).field === field ? bits | controlMask(key) : bits),
      capability.allowed(field).mustBe1,
    ) >>> 0;
  return {
    words: new Map(fields.map((field) => [field, word(field)])),
    has: (key) => chosen.has(key),
  };
};
