import { expect, it } from "vitest";
import { rows } from "../isa/maps/index.ts";
import { procedures } from "./procedures.ts";

it("every row without semantics has a procedure, and every procedure a row", () => {
  const declared = new Set(
    rows.filter(({ semantics }) => !semantics.build).map(({ semantics }) => semantics.mnemonic),
  );
  expect([...procedures.keys()].toSorted()).toEqual([...declared].toSorted());
});
