/** Why a run ended, with the exit status that stands for it on the command line. */
// biome-ignore format: one row per fact
export const stopReasons = {
  "power-off":         { exitStatus: 0,         says: "the guest powered off" },
  "until":             { exitStatus: 0,         says: "the awaited text appeared" },
  "paused":            { exitStatus: 0,         says: "the run was paused" },
  "reset":             { exitStatus: 0,         says: "the guest reset the machine" },
  "triple-fault":      { exitStatus: 3,         says: "the guest shut down by a triple fault" },
  "vmx-abort":         { exitStatus: 3,         says: "the guest shut down by a VMX abort" },
  "tiers-differ":      { exitStatus: 4,         says: "the JIT and the interpreter differ" },
  "time-out":          { exitStatus: 124,       says: "the time is up" },
  "instruction-limit": { exitStatus: 124,       says: "the instruction limit is reached" },
  "halted":            { exitStatus: 124,       says: "the guest halted for good: nothing is left that could wake it" },
  /** The status is what the guest wrote, shifted left by one, plus 1. */
  "debug-exit":        { exitStatus: undefined, says: "the guest wrote to the debug exit port" },
} as const;

export type StopReason = keyof typeof stopReasons;

export interface VmxAbort {
  readonly cpu: number;
  readonly indicator: number;
  /** "a failure in loading host MSRs" */
  readonly says: string;
}

export interface RunOptions {
  /** Stop right after this text came out of serial port 1 or the debug console. */
  readonly until?: string;
  /** Stop after this many instructions, counted over all processors. */
  readonly maxInstructions?: number;
  /** Stop after this many seconds of real time. */
  readonly timeout?: number;
}

export interface RunResult {
  readonly reason: StopReason;
  /** 0 after a power-off or when the text appeared, 3 after a triple fault or a VMX abort, 124 when a limit was reached; else what the guest wrote. */
  readonly exitStatus: number;
  /** With "vmx-abort": the processor, the VMX-abort indicator, and what that says. */
  readonly vmxAbort?: VmxAbort;
  /** With "tiers-differ": where the two were the same last, and what is different now, in one sentence. */
  readonly difference?: string;
  /** Instructions retired during this run, by all processors. */
  readonly instructions: number;
  /** Real time this run took. */
  readonly seconds: number;
}

export interface Statistics {
  /** Instructions retired since the image was booted, by all processors. */
  readonly instructions: number;
  /** Real time spent running, without the time slept while all processors were halted. */
  readonly seconds: number;
  /** Millions of instructions per second of that time. */
  readonly mips: number;
  /** Virtual seconds since the image was booted. */
  readonly virtualSeconds: number;
  /** Resets by the guest. */
  readonly resets: number;
}
