import { expect, it } from "vitest";
import { SharedLine } from "./shared-line.ts";

it("stays asserted until the last of its drivers lets go", () => {
  const levels: boolean[] = [];
  const shared = new SharedLine({ set: (asserted) => levels.push(asserted) });
  const [one, other] = [shared.driver(), shared.driver()];
  one.set(true);
  other.set(true);
  other.set(true); // repeating a level changes nothing
  one.set(false);
  expect(levels.at(-1)).toBe(true);
  other.set(false);
  other.set(false);
  expect(levels.at(-1)).toBe(false);
  one.set(true);
  expect(levels.at(-1)).toBe(true);
});
