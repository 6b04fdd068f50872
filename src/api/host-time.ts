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

/** A wait that can be cut short. */
export class Sleep {
  #end: (() => void) | undefined;

  /** Waits for at most `ms`; returns sooner after `wake`. */
  for(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.wake(), Math.min(Math.max(ms, 0), LONGEST_MS));
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  wake(): void {
    const end = this.#end;
    this.#end = undefined;
    end?.();
  }
}
