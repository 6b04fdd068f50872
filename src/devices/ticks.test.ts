import { describe, expect, it } from "vitest";
import { nsOfTicks, ticksIn } from "./ticks.ts";

describe("ticks of an oscillator", () => {
  it("are whole, and reached at the very nanosecond nsOfTicks names", () => {
    for (const hz of [3_579_545, 100_000_000, 1_000_000_000, 24_000_000, 1_193_182])
      for (const ticks of [1n, 2n, 3n, 1000n, 0xff_ffffn, 0x1_0000_0001n]) {
        const ns = nsOfTicks(ticks, hz);
        expect(ticksIn(ns, hz)).toBeGreaterThanOrEqual(ticks);
        expect(ticksIn(ns - 1, hz)).toBeLessThan(ticks);
      }
  });
  it("never pass the last representable nanosecond", () => {
    expect(nsOfTicks(1n << 64n, 1)).toBe(Number.MAX_SAFE_INTEGER);
  });
});
