/**
 * String instructions: one element each. REP and its count are the frame's (row option `repeat`); operands are
 * DS:rSI (the segment may be overridden) and ES:rDI.
 */
import type { Frame } from "../../ir/frame.ts";
import { select } from "../../ir/value.ts";
import { defineWith } from "../define.ts";
import { comparisonFlags } from "./arithmetic.ts";

/** Move a pointer to the next element: down when DF is set. It is as wide as the address size. */
const advance = (frame: Frame, pointer: "RSI" | "RDI", width: number): void => {
  const at = frame.register(pointer, frame.addressSize);
  frame.set(pointer, at.add(select(frame.flag("DF"), at.from(-width / 8), at.from(width / 8))));
};

export const MOVS = defineWith("MOVS", (frame, dest, src) => {
  frame.write(dest!, src!);
  advance(frame, "RSI", src!.width);
  advance(frame, "RDI", src!.width);
});

/** CMPS: the flags of the element at rSI minus the one at rDI. */
export const CMPS = defineWith("CMPS", (frame, first, second) => {
  advance(frame, "RSI", first!.width);
  advance(frame, "RDI", first!.width);
  frame.flags(comparisonFlags(first!, second!));
});

/** STOS: the element <- the accumulator. */
export const STOS = defineWith("STOS", (frame, dest) => {
  frame.write(dest!, frame.register("RAX", dest!.width));
  advance(frame, "RDI", dest!.width);
});

export const LODS = defineWith("LODS", (frame, src) => {
  frame.set("RAX", src!);
  advance(frame, "RSI", src!.width);
});

/** SCAS: the flags of the accumulator minus the element. */
export const SCAS = defineWith("SCAS", (frame, element) => {
  advance(frame, "RDI", element!.width);
  frame.flags(comparisonFlags(frame.register("RAX", element!.width), element!));
});
