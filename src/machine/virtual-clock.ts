import type { Clock, Timer } from "../bus/clock.ts";

interface VirtualTimer {
  readonly name: string;
  readonly fire: () => void;
  deadlineNs: number | undefined;
}

/**
 * Virtual time: one nanosecond per retired instruction, plus what HLT skipped. Timers fire between instructions, in order of their
 * deadlines and, at one deadline, of their creation, so that a run is the same every time.
 */
export class VirtualClock implements Clock {
  nowNs = 0;
  readonly #timers: VirtualTimer[] = [];
  #nextCache: number | undefined;
  /** Called when a timer is armed before the deadline that was nearest until then. */
  onEarlier: () => void = () => {};

  timer(name: string, fire: () => void): Timer {
    const timer: VirtualTimer = { name, fire, deadlineNs: undefined };
    this.#timers.push(timer);
    const self = this;
    return {
      arm(deadlineNs: number): void {
        const earlier = self.#nextCache === undefined || deadlineNs < self.#nextCache;
        const wasNext = timer.deadlineNs !== undefined && timer.deadlineNs === self.#nextCache;
        timer.deadlineNs = deadlineNs;
        if (earlier) {
          self.#nextCache = deadlineNs;
          self.onEarlier();
        } else if (wasNext) self.#findNext();
      },
      disarm(): void {
        const wasNext = timer.deadlineNs !== undefined && timer.deadlineNs === self.#nextCache;
        timer.deadlineNs = undefined;
        if (wasNext) self.#findNext();
      },
      get deadlineNs(): number | undefined {
        return timer.deadlineNs;
      },
    };
  }

  /** The nearest deadline, or undefined when no timer is armed. */
  get nextDeadlineNs(): number | undefined {
    return this.#nextCache;
  }

  #findNext(): void {
    let next: number | undefined;
    for (const { deadlineNs } of this.#timers)
      if (deadlineNs !== undefined && (next === undefined || deadlineNs < next)) next = deadlineNs;
    this.#nextCache = next;
  }

  /** Fire every timer whose deadline has come; a timer may arm itself again, a bounded number of times before others run. */
  fireDue(): void {
    for (let fired = 0; fired < 1000; fired++) {
      if (this.#nextCache === undefined || this.#nextCache > this.nowNs) return;
      const due = this.#timers.find(({ deadlineNs }) => deadlineNs === this.#nextCache);
      if (due === undefined) return;
      due.deadlineNs = undefined;
      this.#findNext();
      due.fire();
    }
  }
}
