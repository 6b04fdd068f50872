import type { ApicTimerState } from "./apic-timer.ts";
import { APIC_BASE, APIC_DEFAULT_PAGE, LVT, LVT_NAMES, type LvtName, SVR } from "./local-apic-registers.ts";

export interface LocalApicState {
  /** IA32_APIC_BASE; below 2^52. */
  apicBase: number;
  TPR: number;
  LDR: number;
  DFR: number;
  SVR: number;
  ESR: number;
  /** Errors found since the last write to ESR. */
  errors: number;
  ICR: number;
  ICR_HIGH: number;
  lvt: Record<LvtName, number>;
  /** 256 bits each, 32 to a word. */
  IRR: number[];
  ISR: number[];
  TMR: number[];
  timer: ApicTimerState;
  /** Levels on the LINT pins. */
  LINT0: boolean;
  LINT1: boolean;
  /** An ExtINT message waits for its INTA cycle. */
  extInt: boolean;
}

export type ApicMode = "disabled" | "xAPIC" | "x2APIC";

/** SDM Vol. 3, "x2APIC State Transitions": what IA32_APIC_BASE may change to; all else raises #GP. */
const LEGAL_TRANSITIONS: Record<ApicMode, readonly ApicMode[]> = {
  disabled: ["disabled", "xAPIC"],
  xAPIC: ["disabled", "xAPIC", "x2APIC"],
  x2APIC: ["disabled", "x2APIC"],
};

export const modeOf = (apicBase: number): ApicMode | "invalid" => {
  const flags = apicBase % 4096;
  if ((flags & APIC_BASE.EN) === 0) return (flags & APIC_BASE.EXTD) === 0 ? "disabled" : "invalid";
  return (flags & APIC_BASE.EXTD) === 0 ? "xAPIC" : "x2APIC";
};

/** The mode that a write to IA32_APIC_BASE leads to from `before`; undefined: it raises #GP. */
export const apicBaseMode = (
  value: bigint,
  before: ApicMode,
  { physicalAddressBits = 40, x2apic = true }: { physicalAddressBits?: number; x2apic?: boolean },
): ApicMode | undefined => {
  const flags = APIC_BASE.BSP | APIC_BASE.EN | (x2apic ? APIC_BASE.EXTD : 0);
  const page = (1n << BigInt(physicalAddressBits)) - 4096n;
  if ((value & ~(page | BigInt(flags))) !== 0n) return undefined;
  const after = modeOf(Number(value));
  return after !== "invalid" && LEGAL_TRANSITIONS[before].includes(after) ? after : undefined;
};

/** SDM Vol. 3, "Local APIC State After Power-Up or Reset": all zero but the mask bits, SVR and DFR. */
export const powerOn = (bootstrap: boolean): Omit<LocalApicState, "timer"> => ({
  apicBase: APIC_DEFAULT_PAGE + APIC_BASE.EN + (bootstrap ? APIC_BASE.BSP : 0),
  TPR: 0,
  LDR: 0,
  DFR: 0xffff_ffff,
  SVR: SVR.VECTOR,
  ESR: 0,
  errors: 0,
  ICR: 0,
  ICR_HIGH: 0,
  lvt: Object.fromEntries(LVT_NAMES.map((name) => [name, LVT.MASKED])) as Record<LvtName, number>,
  IRR: new Array<number>(8).fill(0),
  ISR: new Array<number>(8).fill(0),
  TMR: new Array<number>(8).fill(0),
  LINT0: false,
  LINT1: false,
  extInt: false,
});
