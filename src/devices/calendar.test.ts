import { describe, expect, it } from "vitest";
import { dayFromEpoch, daysFromEpoch } from "./calendar.ts";

describe("the calendar", () => {
  it("agrees with the host's for every day of four centuries", () => {
    for (let days = -30_000; days < 120_000; days++) {
      const date = new Date(days * 86_400_000);
      const day = { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() };
      const ours = dayFromEpoch(days);
      if (ours.year !== day.year || ours.month !== day.month || ours.day !== day.day)
        expect(ours).toEqual(day);
      if (daysFromEpoch(day) !== days) expect(daysFromEpoch(day)).toBe(days);
    }
  });
  it("counts days and months out of range on into their neighbours", () => {
    expect(dayFromEpoch(daysFromEpoch({ year: 2023, month: 2, day: 29 }))).toEqual({
      year: 2023,
      month: 3,
      day: 1,
    });
    expect(dayFromEpoch(daysFromEpoch({ year: 2023, month: 13, day: 1 }))).toEqual({
      year: 2024,
      month: 1,
      day: 1,
    });
    expect(dayFromEpoch(daysFromEpoch({ year: 2024, month: 1, day: 0 }))).toEqual({
      year: 2023,
      month: 12,
      day: 31,
    });
  });
});
