import type { Core } from "../cpu/core.ts";
import { offsetOf } from "../state/layout.ts";
import { preemptionTimerRate } from "./capabilities.ts";

/** Ticks of the time-stamp counter for one of the timer's. */
const ticks = 2 ** preemptionTimerRate;
const deadlineOffset = offsetOf("vmx.preemptionDeadline");

/** The VMX-preemption timer (SDM Vol. 3, "VMX-Preemption Timer"), as the time at which it reaches 0. */
export class PreemptionTimer {
  readonly #core: Core;
  active = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** At VM entry, with the field's value. */
  start(value: number): void {
    this.active = true;
    const deadline = (Math.floor(this.#core.clockNs() / ticks) + value) * ticks;
    const { view } = this.#core.state;
    view.setUint32(deadlineOffset, deadline % 0x1_0000_0000, true);
    view.setUint32(deadlineOffset + 4, Math.floor(deadline / 0x1_0000_0000), true);
  }

  stop(): void {
    this.active = false;
  }

  /** Virtual time at which it expires, nanoseconds; Infinity when it does not run. */
  get deadlineNs(): number {
    if (!this.active) return Number.POSITIVE_INFINITY;
    const { view } = this.#core.state;
    return view.getUint32(deadlineOffset, true) + view.getUint32(deadlineOffset + 4, true) * 0x1_0000_0000;
  }

  get expired(): boolean {
    return this.active && this.#core.clockNs() >= this.deadlineNs;
  }

  /** What is saved at VM exit. */
  value(): number {
    return Math.max(0, this.deadlineNs / ticks - Math.floor(this.#core.clockNs() / ticks));
  }
}
