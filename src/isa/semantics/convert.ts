/** Sign extension of the accumulator. One row serves the three operand sizes. */
import type { Width } from "../../ir/value.ts";
import { defineWith } from "../define.ts";

/** CBW, CWDE, CDQE: rAX <- its sign-extended lower half. */
export const CBW = defineWith("CBW", (frame) => {
  const half = (frame.operandSize / 2) as Width;
  frame.set("RAX", frame.register("RAX", half).signExtend(frame.operandSize));
});

/** CWD, CDQ, CQO: rDX <- the sign of rAX in every bit. */
export const CWD = defineWith("CWD", (frame) => {
  const accumulator = frame.register("RAX", frame.operandSize);
  frame.set("RDX", accumulator.sar(frame.operandSize - 1));
});
