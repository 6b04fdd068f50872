/**
 * Virtual time. It derives from retired instructions alone (plus the time skipped by HLT), so it is the same in every
 * run and on every tier. Unit: nanoseconds since power-on, an integer below 2^53.
 */
export interface Clock {
  readonly nowNs: number;
  /** A timer that calls `fire` when virtual time reaches its deadline. Created disarmed. */
  timer(name: string, fire: () => void): Timer;
}

export interface Timer {
  /** Fire once when `nowNs >= deadlineNs`; a deadline in the past fires at the next instruction boundary. Replaces an earlier deadline. */
  arm(deadlineNs: number): void;
  disarm(): void;
  readonly deadlineNs: number | undefined;
}
