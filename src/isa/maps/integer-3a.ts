/** Three-byte opcode map 0F 3A: SDM Vol. 2, Table A-5, its one general-purpose row. */
import { E, G, I, w } from "../operands.ts";
import { mapBuilder, type Row } from "../row.ts";
import { RORX } from "../semantics/shift.ts";

const { op } = mapBuilder("0F3A");

// biome-ignore format: one row per fact
export const rows: readonly Row[] = [
  op(0xf0, RORX, [w(G.y), E.y, I.b], { vex: true, prefix: 0xf2, feature: "BMI2" }),
];
