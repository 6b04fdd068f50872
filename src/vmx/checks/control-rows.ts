import { type ControlFieldName, type ControlKey, vmxControl, vmxControls } from "../../arch/vmx-controls.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { type Check, hex, lowOf } from "./check.ts";

/** Rows that the manual repeats for every word of controls, and for every pair of controls that depend on each other. */

const nameOf = (key: ControlKey): string => `"${vmxControl(key).name}"`;

/** Names of the controls at these bits, or the bits that are none. */
const controlsAt = (field: ControlFieldName, bits: number): string => {
  const names: string[] = [];
  for (let bit = 0; bit < 32; bit++) {
    if (((bits >>> bit) & 1) === 0) continue;
    const control = vmxControls.find((row) => row.field === field && row.bit === bit);
    names.push(control ? `bit ${bit} ("${control.name}")` : `bit ${bit}`);
  }
  return names.join(", ");
};

/** Each bit has a setting that its capability MSR allows. `activatedBy`: without that control the word is not looked at. */
export const reservedBits = (
  id: string,
  sdm: string,
  what: string,
  field: ControlFieldName,
  activatedBy?: ControlKey,
): Check => {
  const value = lowOf(field);
  const wrong = (facts: EntryFacts): { readonly set: number; readonly clear: number } => {
    const { mustBe1, may1 } = facts.capability.allowed(field);
    const word = value(facts);
    return { set: word & ~may1, clear: mustBe1 & ~word };
  };
  return {
    id,
    sdm,
    says: `Reserved bits of the ${what} must be as ${activatedBy ? `the capability MSRs say, if ${nameOf(activatedBy)} is 1` : "the capability MSRs say"}`,
    reads: [field],
    consults: activatedBy ? [activatedBy] : [],
    holds: (facts) => {
      if (activatedBy !== undefined && !facts.controls[activatedBy]) return true;
      const { mustBe1, may1 } = facts.capability.allowed(field);
      const word = value(facts);
      return (word & ~may1) === 0 && (mustBe1 & ~word) === 0;
    },
    hint: (facts) => {
      const { set, clear } = wrong(facts);
      const { mustBe1, may1 } = facts.capability.allowed(field);
      const fixed = ((value(facts) & may1) | mustBe1) >>> 0;
      const steps = [
        set ? `clear ${controlsAt(field, set)}` : "",
        clear ? `set ${controlsAt(field, clear)}` : "",
      ];
      return `${steps.filter((step) => step !== "").join(" and ")}: ${hex(fixed)} would do`;
    },
    allowed: ({ capability }) => {
      const { mustBe1, may1 } = capability.allowed(field);
      return {
        field,
        mustBe1: BigInt(mustBe1 >>> 0),
        mustBe0: BigInt(~may1 >>> 0),
        from: capability.reportedBy(field),
      };
    },
  };
};

/** `control` may be 1 only if `needs` is `value`. */
export const dependence = (
  id: string,
  sdm: string,
  control: ControlKey,
  needs: ControlKey,
  value: 0 | 1 = 1,
): Check => ({
  id,
  sdm,
  says: `If ${nameOf(control)} is 1, ${nameOf(needs)} must be ${value}`,
  reads: [vmxControl(control).field, vmxControl(needs).field].filter(
    (field, n, all) => all.indexOf(field) === n,
  ),
  consults: [control, needs],
  holds: ({ controls }) => !controls[control] || controls[needs] === (value === 1),
  hint: () => {
    const [first, second] = [vmxControl(control), vmxControl(needs)];
    return `clear bit ${first.bit} of ${first.field} (${nameOf(control)}) or ${value ? "set" : "clear"} bit ${second.bit} of ${second.field} (${nameOf(needs)})`;
  },
});
