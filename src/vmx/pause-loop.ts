/** A spin loop as PAUSE-loop exiting sees it: times of its first PAUSE and of the last one; ticks of the TSC. */
export interface PauseLoop {
  first: number;
  last: number;
}

/** Before the first PAUSE after VM entry. */
export const noPauseYet = (): PauseLoop => ({ first: 0, last: Number.NEGATIVE_INFINITY });
