import { engineDefaults, type Tier } from "../../cpu/execution-engine.ts";

/** What WORLDSWITCH_TIER may say. "jit-forced": whatever is entered is hot, so that nearly all code runs in regions; for tests. */
// biome-ignore format: one row per fact
const words: Readonly<Record<string, { readonly tier: Tier; readonly eager: boolean }>> = {
  "jit":         { tier: "jit",         eager: false },
  "jit-forced":  { tier: "jit",         eager: true },
  "interpreter": { tier: "interpreter", eager: false },
  "evaluator":   { tier: "evaluator",   eager: false },
};

/**
 * Let WORLDSWITCH_TIER say on which tier machines run that are not told: the one place that reads it. A sentence where it says something
 * else.
 */
export const tierFromEnvironment = (): string | undefined => {
  const word = process.env["WORLDSWITCH_TIER"];
  if (word === undefined || word === "") return undefined;
  const found = words[word];
  if (found === undefined)
    return `WORLDSWITCH_TIER is "${word}", expected one of ${Object.keys(words).join(", ")}`;
  Object.assign(engineDefaults, found);
  return undefined;
};
