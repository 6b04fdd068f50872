import type { Clock, Timer } from "../../bus/clock.ts";

/** The timer of a processor's local APIC, as the host kernel uses it. */
export interface InterruptTimer {
  /** Interrupt once after so many nanoseconds; 0 stops it. */
  startTimer(ns: number): void;
}

interface Callout {
  deadlineNs: number | undefined;
  readonly fire: () => void;
}

const longestNs = 0xffff_ffff;

/**
 * Timers of the host kernel's C part, all on one timer of the hardware: the devices of guests run on them. They fire in the
 * handler of its interrupt, and so a guest notices them as it would on a PC: by a VM exit of the processor that has the timer.
 */
export class Callouts implements Clock {
  readonly #time: { readonly nowNs: number };
  readonly #hardware: InterruptTimer;
  readonly #all: Callout[] = [];
  #armedNs: number | undefined;

  constructor(time: { readonly nowNs: number }, hardware: InterruptTimer) {
    this.#time = time;
    this.#hardware = hardware;
  }

  get nowNs(): number {
    return this.#time.nowNs;
  }

  timer(_name: string, fire: () => void): Timer {
    const callout: Callout = { deadlineNs: undefined, fire };
    this.#all.push(callout);
    const self = this;
    return {
      arm(deadlineNs) {
        const wasNext = callout.deadlineNs === self.#armedNs;
        callout.deadlineNs = deadlineNs;
        if (self.#armedNs === undefined || deadlineNs < self.#armedNs) self.#start(deadlineNs);
        else if (wasNext) self.#startNext();
      },
      disarm() {
        if (callout.deadlineNs === undefined) return;
        const wasNext = callout.deadlineNs === self.#armedNs;
        callout.deadlineNs = undefined;
        if (wasNext) self.#startNext();
      },
      get deadlineNs() {
        return callout.deadlineNs;
      },
    };
  }

  /** The hardware's timer has interrupted: fire what is due, and set it again. */
  interrupted(): void {
    for (let fired = 0; fired < 1000; fired++) {
      const due = this.#earliest();
      if (due === undefined || due.deadlineNs! > this.nowNs) break;
      due.deadlineNs = undefined;
      due.fire();
    }
    this.#startNext();
  }

  #earliest(): Callout | undefined {
    let first: Callout | undefined;
    for (const callout of this.#all)
      if (callout.deadlineNs !== undefined && (first === undefined || callout.deadlineNs < first.deadlineNs!))
        first = callout;
    return first;
  }

  #startNext(): void {
    const next = this.#earliest();
    if (next === undefined) {
      this.#armedNs = undefined;
      this.#hardware.startTimer(0);
    } else this.#start(next.deadlineNs!);
  }

  #start(deadlineNs: number): void {
    this.#armedNs = deadlineNs;
    this.#hardware.startTimer(Math.min(Math.max(1, Math.ceil(deadlineNs - this.nowNs)), longestNs));
  }
}
