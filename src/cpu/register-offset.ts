import type { RegisterOperand } from "../isa/instruction.ts";
import { offsetOf, segmentRegisters } from "../state/layout.ts";

const x87 = Array.from({ length: 8 }, (_, n) => offsetOf(`x87.${n}`));
const vector = Array.from({ length: 16 }, (_, n) => offsetOf(`XMM${n}`));
const CR2 = offsetOf("CR2");
const selector = segmentRegisters.map((name) => offsetOf(`${name}.selector`));

/** State offset of the register an operand names. MMX register n is the low half of physical x87 register n. Debug and x87 stack registers belong to procedures, and all control registers but CR2. */
export const registerOffset = ({ file, number, high }: RegisterOperand): number => {
  // biome-ignore format: one row per fact
  switch (file) {
    case "general": return 8 * number + (high ? 1 : 0);
    case "xmm": return vector[number]!;
    case "mmx": return x87[number & 7]!;
    case "segment": return selector[number]!;
    case "control": return controlOffset(number);
    default: throw new Error(`${file} registers belong to procedures`);
  }
};

const controlOffset = (number: number): number => {
  if (number !== 2) throw new Error(`CR${number} belongs to procedures`);
  return CR2;
};
