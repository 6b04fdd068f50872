/** Oscillators counted in virtual time: exact, whatever their frequency. */

const NS_PER_SECOND = 1_000_000_000n;

/** Whole ticks of an oscillator of `hz` in `ns` nanoseconds. */
export const ticksIn = (ns: number, hz: number): bigint => (BigInt(ns) * BigInt(hz)) / NS_PER_SECOND;

/** The least number of whole nanoseconds in which `ticks` ticks pass; 2^53 - 1 stands for everything later. */
export const nsOfTicks = (ticks: bigint, hz: number): number => {
  const ns = (ticks * NS_PER_SECOND + BigInt(hz) - 1n) / BigInt(hz);
  return ns > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(ns);
};
