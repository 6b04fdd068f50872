import { defineIntrinsic } from "../../ir/intrinsics.ts";
import { intrinsic, select } from "../../ir/value.ts";
import { define } from "../define.ts";

/** The product of two polynomials over GF(2), 64 bits by 64 bits. */
defineIntrinsic("carrylessMultiply", 128, (a, b) => {
  const multiples = [0n];
  for (let i = 1; i < 16; i++) multiples.push((multiples[i >> 1]! << 1n) ^ (i & 1 ? a! : 0n));
  let product = 0n;
  for (let shift = 60n; shift >= 0n; shift -= 4n) {
    product = (product << 4n) ^ multiples[Number((b! >> shift) & 15n)]!;
  }
  return product;
});

/** The quadword of DEST that imm8[0] names times the quadword of SRC that imm8[4] names, without carries. */
export const PCLMULQDQ = define("PCLMULQDQ", (dest, src, which) => {
  const a = select(which.bit(0), dest.lane(1, 64), dest.lane(0, 64));
  const b = select(which.bit(4), src.lane(1, 64), src.lane(0, 64));
  return { dest: intrinsic("carrylessMultiply", 128, [a, b]) };
});
