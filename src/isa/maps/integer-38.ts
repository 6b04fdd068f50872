/** Three-byte opcode map 0F 38: SDM Vol. 2, Table A-4, the general-purpose rows, and group 17 of Table A-6. */
import { procedure } from "../define.ts";
import { B, E, G, M, rw, w } from "../operands.ts";
import { mapBuilder, type Row } from "../row.ts";
import { ADCX, ADOX } from "../semantics/arithmetic.ts";
import { ANDN, BEXTR, BLSI, BLSMSK, BLSR, BZHI, CRC32, PDEP, PEXT } from "../semantics/bit.ts";
import { MOVBE, MOVDIRI } from "../semantics/move.ts";
import { MULX } from "../semantics/multiply-divide.ts";
import { SARX, SHLX, SHRX } from "../semantics/shift.ts";

const { op, member } = mapBuilder("0F38");

const bmi1 = { vex: true, prefix: "none", feature: "BMI1" } as const;
const bmi2 = { vex: true, feature: "BMI2" } as const;

// biome-ignore format: one row per fact
export const rows: readonly Row[] = [
  op(0x80, procedure("INVEPT"),  [G.y, M.dq], { prefix: 0x66, f64: true, feature: "VMX" }),
  op(0x81, procedure("INVVPID"), [G.y, M.dq], { prefix: 0x66, f64: true, feature: "VMX" }),
  op(0x82, procedure("INVPCID"), [G.y, M.dq], { prefix: 0x66, f64: true, privileged: true, feature: "INVPCID" }),
  op(0xf0, CRC32, [rw(G.y), E.b], { prefix: 0xf2, feature: "SSE4_2" }),
  op(0xf1, CRC32, [rw(G.y), E.v], { prefix: 0xf2, feature: "SSE4_2" }),
  op(0xf0, MOVBE, [w(G.v), M.v], { prefix: "sized", feature: "MOVBE" }),
  op(0xf1, MOVBE, [w(M.v), G.v], { prefix: "sized", feature: "MOVBE" }),
  op(0xf6, ADCX, [rw(G.y), E.y], { prefix: 0x66, feature: "ADX" }),
  op(0xf6, ADOX, [rw(G.y), E.y], { prefix: 0xf3, feature: "ADX" }),
  op(0xf9, MOVDIRI, [w(M.y), G.y], { prefix: "none", feature: "MOVDIRI" }),

  op(0xf2, ANDN, [w(G.y), B.y, E.y], bmi1),
  member(0xf3, 1, BLSR,   [w(B.y), E.y], bmi1),
  member(0xf3, 2, BLSMSK, [w(B.y), E.y], bmi1),
  member(0xf3, 3, BLSI,   [w(B.y), E.y], bmi1),
  op(0xf5, BZHI, [w(G.y), E.y, B.y], { ...bmi2, prefix: "none" }),
  op(0xf5, PEXT, [w(G.y), B.y, E.y], { ...bmi2, prefix: 0xf3 }),
  op(0xf5, PDEP, [w(G.y), B.y, E.y], { ...bmi2, prefix: 0xf2 }),
  op(0xf6, MULX, [w(G.y), w(B.y), E.y], { ...bmi2, prefix: 0xf2 }),
  op(0xf7, BEXTR, [w(G.y), E.y, B.y], bmi1),
  op(0xf7, SHLX, [w(G.y), E.y, B.y], { ...bmi2, prefix: 0x66 }),
  op(0xf7, SARX, [w(G.y), E.y, B.y], { ...bmi2, prefix: 0xf3 }),
  op(0xf7, SHRX, [w(G.y), E.y, B.y], { ...bmi2, prefix: 0xf2 }),
];
