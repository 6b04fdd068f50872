import type { VmcsFieldName } from "../../arch/vmcs-fields.ts";
import { type ControlKey, vmxControl } from "../../arch/vmx-controls.ts";
import type { EntryFacts } from "../entry-facts.ts";
import { beyondWidth, bitsOf, type Check, hex, lowOf, physicalBits } from "./check.ts";

/** Rows that the manual repeats for every physical address among the controls. */

/** An address that a control (or two) puts in use. */
export interface AddressInUse {
  /** Start of the rows' ids: "io-bitmap-a". */
  readonly id: string;
  readonly sdm: string;
  /** What the address is, as a sentence begins: "The address of I/O bitmap A". */
  readonly what: string;
  readonly field: VmcsFieldName;
  readonly control: ControlKey;
  /** A condition beyond the control, and what it reads. */
  readonly and?: (facts: EntryFacts) => boolean;
  readonly alsoReads?: readonly VmcsFieldName[];
  /** Low bits that must be 0; default 12. */
  readonly alignedBits?: number;
}

const roundDown = (address: bigint, bits: number): bigint => (address >> BigInt(bits)) << BigInt(bits);

/** Aligned, and within the physical-address width: two rows. */
export const addressRows = (row: AddressInUse): Check[] => {
  const { id, sdm, what, field, control, and, alsoReads = [], alignedBits = 12 } = row;
  const value = bitsOf(field);
  const inUse = (facts: EntryFacts): boolean => facts.controls[control] && (and?.(facts) ?? true);
  const low = (1n << BigInt(alignedBits)) - 1n;
  const when = `if "${vmxControl(control).name}" is 1`;
  const shape = { sdm, reads: [field, ...alsoReads], consults: [control] };
  return [
    {
      ...shape,
      id: `${id}-aligned`,
      says: `${what} must have bits ${alignedBits - 1}:0 clear ${when}`,
      holds: (facts) => !inUse(facts) || (value(facts) & low) === 0n,
      hint: (facts) =>
        `give an address aligned to ${1 << alignedBits} bytes, such as ${hex(roundDown(value(facts), alignedBits))}`,
      allowed: () => ({ field, mustBe1: 0n, mustBe0: low, from: "alignment" }),
    },
    {
      ...shape,
      id: `${id}-width`,
      says: `${what} must not set bits beyond the physical-address width ${when}`,
      holds: (facts) => !inUse(facts) || beyondWidth(facts, value(facts)) === 0n,
      hint: (facts) => `give an address below ${hex(1n << BigInt(physicalBits(facts)))}`,
      allowed: (facts) => ({
        field,
        mustBe1: 0n,
        mustBe0: (1n << 64n) - (1n << BigInt(physicalBits(facts))),
        from: "physical-address width (CPUID.80000008H:EAX)",
      }),
    },
  ];
};

/** An MSR-store or MSR-load area: its address, and that of its last byte, count if not 0. */
export const msrAreaRows = (
  id: string,
  sdm: string,
  what: string,
  countField: VmcsFieldName,
  field: VmcsFieldName,
): Check[] => {
  const count = lowOf(countField);
  const value = bitsOf(field);
  const shape = { sdm, reads: [field, countField], consults: [] };
  return [
    {
      ...shape,
      id: `${id}-aligned`,
      says: `${what} address must have bits 3:0 clear if the count is not 0`,
      holds: (facts) => count(facts) === 0 || (value(facts) & 0xfn) === 0n,
      hint: (facts) => `align the area to 16 bytes, such as ${hex(roundDown(value(facts), 4))}`,
      allowed: () => ({ field, mustBe1: 0n, mustBe0: 0xfn, from: "alignment" }),
    },
    {
      ...shape,
      id: `${id}-width`,
      says: `${what} address must not set bits beyond the physical-address width if the count is not 0`,
      holds: (facts) => count(facts) === 0 || beyondWidth(facts, value(facts)) === 0n,
      hint: (facts) => `give an address below ${hex(1n << BigInt(physicalBits(facts)))}`,
    },
    {
      ...shape,
      id: `${id}-end-width`,
      says: `The last byte of the ${what.replace(/^The /, "")} area must not be beyond the physical-address width if the count is not 0`,
      holds: (facts) => {
        const entries = count(facts);
        return entries === 0 || beyondWidth(facts, value(facts) + 16n * BigInt(entries) - 1n) === 0n;
      },
      hint: (facts) =>
        `the area of ${count(facts)} entries of 16 bytes must end below ${hex(1n << BigInt(physicalBits(facts)))}`,
    },
  ];
};
