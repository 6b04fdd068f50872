import { describe, expect, it } from "vitest";
import { inexact } from "../native/excluded.ts";
import { vectorFiles, vectors } from "../native/vectors.ts";
import { NativeReplay } from "./native-replay.ts";

/** The evaluator is slow: it answers every fourth case, and all of them with `npm run conformance`. */
const everyCase = process.env["WORLDSWITCH_ALL_VECTORS"] !== undefined;
const shares = { interpreter: 1, evaluator: everyCase ? 1 : 4 } as const;

/** Every user-mode instruction gives what an Intel processor gave: registers, defined flags, memory, exceptions. */
describe.each(["interpreter", "evaluator"] as const)("recorded instructions on the %s", (tier) => {
  it.each(vectorFiles().map((name) => name.replace(/\.br$/, "")))("%s", (file) => {
    const replay = new NativeReplay(tier);
    const differing = new Map<string, string>();
    let cases = 0;
    let differences = 0;
    for (const vector of vectors({ files: [file], every: shares[tier] })) {
      if (inexact.has(vector.mnemonic)) continue;
      cases++;
      const difference = replay.run(vector);
      if (difference === undefined) continue;
      differences++;
      const code = [...vector.code].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
      if (!differing.has(vector.key))
        differing.set(vector.key, `${code}, case ${vector.case}: ${difference}`);
    }
    expect({ differences, differing: Object.fromEntries(differing) }).toEqual({
      differences: 0,
      differing: {},
    });
    expect(cases).toBeGreaterThan(500);
  });
});
