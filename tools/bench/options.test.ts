import { expect, test } from "vitest";
import { kinds } from "./kinds.ts";
import { help, wishesOf } from "./options.ts";

test("without arguments every kind runs in both suites, on all contenders but the slow tier of our own", () => {
  const wishes = wishesOf([]);
  expect(wishes).toMatchObject({ bits: [64, 32], rounds: 2, size: "normal", work: kinds });
  expect(wishes).toHaveProperty("contenders", ["native", "qemu", "v86", "bochs", "ours"]);
});

test("contenders come in the order of the tables, native first", () => {
  expect(wishesOf(["--contenders", "ours,native"])).toHaveProperty("contenders", ["native", "ours"]);
});

test("what is not known is a mistake, told with what there is", () => {
  expect(wishesOf(["--only", "hash,dancing"])).toHaveProperty("mistake", expect.stringContaining("dancing"));
  expect(wishesOf(["--rounds", "none"])).toHaveProperty("mistake");
  expect(wishesOf(["--fast"])).toHaveProperty("mistake");
});

test("help names every kind", () => {
  expect(wishesOf(["--help"])).toBe("help");
  for (const { name } of kinds) expect(help).toContain(name);
});
