import type { Frame } from "../../ir/frame.ts";
import type { Value } from "../../ir/value.ts";

export interface Condition {
  /** As it ends the mnemonics of Jcc, SETcc and CMOVcc. */
  readonly suffix: string;
  readonly holds: (frame: Frame) => Value;
}

const CF = (frame: Frame): Value => frame.flag("CF");
const ZF = (frame: Frame): Value => frame.flag("ZF");
const SF = (frame: Frame): Value => frame.flag("SF");
const OF = (frame: Frame): Value => frame.flag("OF");
const PF = (frame: Frame): Value => frame.flag("PF");
const isLess = (frame: Frame): Value => SF(frame).xor(OF(frame));

/** The sixteen conditions in the order of their encoding (tttn): SDM Vol. 1, "EFLAGS Condition Codes". */
// biome-ignore format: one row per fact
export const conditions: readonly Condition[] = [
  { suffix: "O",  holds: (frame) => OF(frame) },
  { suffix: "NO", holds: (frame) => OF(frame).not() },
  { suffix: "B",  holds: (frame) => CF(frame) },
  { suffix: "AE", holds: (frame) => CF(frame).not() },
  { suffix: "E",  holds: (frame) => ZF(frame) },
  { suffix: "NE", holds: (frame) => ZF(frame).not() },
  { suffix: "BE", holds: (frame) => CF(frame).or(ZF(frame)) },
  { suffix: "A",  holds: (frame) => CF(frame).or(ZF(frame)).not() },
  { suffix: "S",  holds: (frame) => SF(frame) },
  { suffix: "NS", holds: (frame) => SF(frame).not() },
  { suffix: "P",  holds: (frame) => PF(frame) },
  { suffix: "NP", holds: (frame) => PF(frame).not() },
  { suffix: "L",  holds: (frame) => isLess(frame) },
  { suffix: "GE", holds: (frame) => isLess(frame).not() },
  { suffix: "LE", holds: (frame) => ZF(frame).or(isLess(frame)) },
  { suffix: "G",  holds: (frame) => ZF(frame).or(isLess(frame)).not() },
];
