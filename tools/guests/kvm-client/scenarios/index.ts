import type { Scenario } from "../scenario.ts";
import { cpuidScenario, floatingPointScenario } from "./cpuid.ts";
import { intervalTimerScenario, localApicScenario, twoProcessorsScenario } from "./interrupt-controllers.ts";
import { interruptScenario, nonMaskableInterruptScenario, singleStepScenario } from "./interrupts.ts";
import { longModeScenario } from "./long-mode.ts";
import { modeSwitchScenario, nowhereScenario, shutdownScenario } from "./mode-switch.ts";
import { protectedModeScenario } from "./protected-mode.ts";
import { interfaceScenario, realModeScenario } from "./real-mode.ts";

/** All scenarios, in the order in which they are tried. */
export const scenarios: readonly Scenario[] = [
  interfaceScenario,
  realModeScenario,
  protectedModeScenario,
  longModeScenario,
  modeSwitchScenario,
  cpuidScenario,
  floatingPointScenario,
  interruptScenario,
  nonMaskableInterruptScenario,
  singleStepScenario,
  intervalTimerScenario,
  localApicScenario,
  twoProcessorsScenario,
  shutdownScenario,
  nowhereScenario,
];
