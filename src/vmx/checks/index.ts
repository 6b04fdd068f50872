import type { EntryFacts } from "../entry-facts.ts";
import type { Check, CheckGroup, Verdict } from "./check.ts";
import { controls } from "./controls.ts";
import { guestState } from "./guest-state.ts";
import { hostState } from "./host-state.ts";

/** The checks of VM entry: order and outcome are said once, here. */
export const checkGroups: readonly CheckGroup[] = [
  { name: "controls", checks: controls, otherwise: { kind: "VMfailValid", error: 7 } },
  { name: "host state", checks: hostState, otherwise: { kind: "VMfailValid", error: 8 } },
  { name: "guest state", checks: guestState, otherwise: { kind: "VM-entry failure", reason: 33 } },
];

/** A check that does not hold, or cannot be decided. */
export interface CheckFailure {
  readonly check: Check;
  readonly group: CheckGroup;
}

export interface UndecidedCheck extends CheckFailure {
  /** What it read and is not known: `EntryFacts.missing`. */
  readonly missing: readonly string[];
}

export const verdictOf = (check: Check, facts: EntryFacts): Verdict => {
  facts.forget();
  const holds = check.holds(facts);
  if (facts.missing.size > 0) return "not known";
  return holds ? "holds" : "refused";
};

/** The check that makes this VM entry fail; undefined: it goes on. Facts that are not known are taken to be right. */
export const firstRefusal = (facts: EntryFacts): CheckFailure | undefined => {
  for (const group of checkGroups)
    for (const check of group.checks) if (verdictOf(check, facts) === "refused") return { check, group };
  return undefined;
};

/** Every check that does not hold, in order, and every one that cannot be decided. */
export const allRefusals = (
  facts: EntryFacts,
): { readonly refused: readonly CheckFailure[]; readonly undecided: readonly UndecidedCheck[] } => {
  const refused: CheckFailure[] = [];
  const undecided: UndecidedCheck[] = [];
  for (const group of checkGroups)
    for (const check of group.checks) {
      const verdict = verdictOf(check, facts);
      if (verdict === "refused") refused.push({ check, group });
      else if (verdict === "not known") undecided.push({ check, group, missing: [...facts.missing] });
    }
  return { refused, undecided };
};
