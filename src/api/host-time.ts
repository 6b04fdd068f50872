/** Wall-clock time, for pacing and limits: it never reaches the guest but through the input log. */

/** Milliseconds since some moment. */
export const nowMs = (): number => performance.now();

/** Lets timers, input and rendering have a turn. */
export const yieldToHost = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else {
      // In a browser: a message comes sooner than a timer, which is held back to 4 ms.
      const { port1, port2 } = new MessageChannel();
      port1.addEventListener("message", () => {
        port1.close();
        resolve();
      });
      port1.start();
      port2.postMessage(undefined);
    }
  });

/** Longer waits are taken in pieces: timers of more than 2^31 ms fire at once. */
const LONGEST_MS = 60_000;
/** A timer of the host counts whole milliseconds: one set for 10 ms fires after 9 to 10 ms, or later. */
export const TIMER_MS = 1;

/** A wait that can be cut short. */
export class Sleep {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #end: (() => void) | undefined;
  readonly #fired = (): void => {
    const end = this.#end;
    this.#end = undefined;
    end?.();
  };

  /** Waits for at most `ms`, rounded up to whole milliseconds, and as exactly as the host's timers are; returns sooner after `wake`. */
  for(ms: number): Promise<void> {
    const timeout = Math.ceil(Math.min(Math.max(ms, 0), LONGEST_MS));
    return new Promise((resolve) => {
      this.#end = resolve;
      this.#timer = setTimeout(this.#fired, timeout);
    });
  }

  wake(): void {
    if (this.#end === undefined) return;
    clearTimeout(this.#timer);
    this.#fired();
  }
}
