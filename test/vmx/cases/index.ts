import type { ConformanceCase } from "../expectation.ts";
import { checks, legacyHostChecks, shapes } from "./checks.ts";
import { controls } from "./controls.ts";
import { entries } from "./entries.ts";
import { events } from "./events.ts";
import { exceptions } from "./exceptions.ts";
import { hostInstructions } from "./host-instructions.ts";
import { instructionExits } from "./instruction-exits.ts";
import { memory } from "./memory.ts";
import { registers } from "./registers.ts";

/** All tables of cases, by name; each is one run of the test kernel. */
export const tables: Readonly<Record<string, readonly ConformanceCase[]>> = {
  "instruction exits": instructionExits,
  exceptions,
  entries,
  events,
  registers,
  memory,
  controls,
  checks,
  shapes,
  "legacy host": legacyHostChecks,
  "host instructions": hostInstructions,
};
