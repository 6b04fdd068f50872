import { describe, expect, it } from "vitest";
import { Bench } from "./akaros.fixture.ts";
import { type Mutation, mixed, moved, mutationsOf, type Scenario, scenarios } from "./worlds.fixture.ts";

/** The property oracle of systems.md section 7, item 13. Every broken switch is tried with WORLDSWITCH_ALL_MUTATIONS, else a selection. */
const all = process.env["WORLDSWITCH_ALL_MUTATIONS"] !== undefined;
const stride = all ? 1 : 11;
const nmiStride = all ? 1 : 37;
const timeout = 600_000;

describe.each(["fixed", "historic"] as const)("Nothing of two worlds is mixed in `%s`", (mode) => {
  // A failed entry in `historic` leaves its guest core loaded for good.
  const survivable = scenarios.filter(
    (one) => mode === "fixed" || (one !== "VMfail" && one !== "failed entry"),
  );
  it.each(survivable)("by: %s", (scenario) => {
    expect(mixed({ scenario, mode })).toEqual([]);
  });
});

describe("An NMI within the switch", () => {
  it(
    "mixes nothing in `fixed`, before whichever instruction of the kernel it comes",
    () => {
      const wrong: string[] = [];
      for (let nmiAt = 0; nmiAt < 330; nmiAt += nmiStride)
        wrong.push(...mixed({ scenario: "exit", nmiAt }).map((one) => `${nmiAt}: ${one}`));
      expect(wrong).toEqual([]);
    },
    timeout,
  );
});

// biome-ignore format: one row per stretch of assembly
const stretches: readonly (readonly [from: string, to: string, scenario: Scenario])[] = [
  ["vmExit", "vmExitCalled", "exit"], ["popVm", "popVmLaunch", "VMfail"],
  ["traps", "trapsCalled", "exit"], ["popHw", "vmExit", "exit"],
  ["syscallEntry", "syscallCalled", "exit"], ["popSw", "popHw", "exit"],
  ["irqs", "irqsCalled", "kernel interrupted"], ["trapReturn", "poke", "kernel interrupted"],
];
/** A kernel's frame has no use for the room of bases and for RBP; the fast call has a check of its own, A6. */
const inert =
  /irqs: instruction (19|23) left out|irqs: registers of instructions 20|syscallEntry: instruction 0 left out/;

describe("A broken switch is noticed", () => {
  const bench = new Bench();
  it.each(stretches)(
    "from %s to %s",
    (from, to, scenario) => {
      const missed = mutationsOf(bench, from, to)
        .filter(({ name }, n) => n % stride === 0 && !inert.test(name))
        .filter(({ change }: Mutation) => mixed({ scenario, change }).length === 0);
      expect(missed.map(({ name }) => name)).toEqual([]);
    },
    timeout,
  );
  it("if the test of PARTIAL is moved behind the loads, where its pointer is gone, or before its pointer is there", () => {
    for (const [which, behind] of [
      [1, 17],
      [0, 1],
    ] as const)
      expect(
        mixed({ scenario: "exit", change: moved("popVm", "popVmLaunch", which, behind).change }),
      ).not.toEqual([]);
  });
});
