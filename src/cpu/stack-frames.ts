import type { Instruction } from "../isa/instruction.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import { writeGeneral } from "./operands.ts";
import { probeMemory, readMemory } from "./segmentation.ts";
import { currentStack } from "./stack.ts";

const numberRBP = 5;

/** ENTER (SDM Vol. 2): a stack frame with the display of the enclosing procedures, then room for locals. */
export const ENTER = (core: Core, instruction: Instruction): ProcedureOutcome => {
  const { state } = core;
  const { operandSize, stackSize } = instruction;
  const bytes = operandSize / 8;
  const room = Number((instruction.operands[0] as { value: bigint }).value & 0xffffn);
  const level = Number((instruction.operands[1] as { value: bigint }).value & 0x1fn);
  const stack = currentStack(core);
  let fault = stack.push(state.RBP, bytes);
  if (fault) return fault;
  const frame = BigInt.asUintN(stackSize, stack.pointer);
  let display = state.RBP;
  for (let n = 1; n < level; n++) {
    display -= BigInt(bytes);
    const enclosing = readMemory(core, "SS", BigInt.asUintN(stackSize, display), bytes);
    if (enclosing instanceof Fault) return enclosing;
    fault = stack.push(enclosing, bytes);
    if (fault) return fault;
  }
  if (level > 0) {
    fault = stack.push(frame, bytes);
    if (fault) return fault;
  }
  stack.advance(-room);
  // A write at the final stack pointer must be possible.
  fault = probeMemory(core, "SS", BigInt.asUintN(stackSize, stack.pointer), bytes);
  if (fault) return fault;
  writeGeneral(core, numberRBP, stackSize, frame);
  state.RSP = stack.pointer;
  return undefined;
};
