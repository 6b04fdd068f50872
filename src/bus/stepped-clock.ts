import type { Clock, Timer } from "./clock.ts";

/** A clock moved by hand: for tests, and for tools that run one device alone. Timers fire in order of their deadlines. */
export class SteppedClock implements Clock {
  nowNs = 0;
  readonly #timers: { deadlineNs: number | undefined; fire: () => void }[] = [];

  timer(_name: string, fire: () => void): Timer {
    const entry = { deadlineNs: undefined as number | undefined, fire };
    this.#timers.push(entry);
    return {
      arm(deadlineNs) {
        entry.deadlineNs = deadlineNs;
      },
      disarm() {
        entry.deadlineNs = undefined;
      },
      get deadlineNs() {
        return entry.deadlineNs;
      },
    };
  }

  /** Let `ns` nanoseconds pass; the clock stands at each deadline while its timer fires. Returns how many fired. */
  advance(ns: number): number {
    const end = this.nowNs + ns;
    let fired = 0;
    for (;;) {
      const due = this.#earliest();
      if (due === undefined || due.deadlineNs! > end) break;
      this.nowNs = Math.max(this.nowNs, due.deadlineNs!);
      due.deadlineNs = undefined;
      due.fire();
      fired++;
    }
    this.nowNs = end;
    return fired;
  }

  #earliest() {
    const armed = this.#timers.filter((timer) => timer.deadlineNs !== undefined);
    return armed.sort((a, b) => a.deadlineNs! - b.deadlineNs!)[0];
  }
}
