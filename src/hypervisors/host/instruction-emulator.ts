import { DR6 } from "../../arch/debug-registers.ts";
import { RFLAGS } from "../../arch/flags.ts";
import { evaluateInstruction } from "../../cpu/evaluator.ts";
import { Fault } from "../../cpu/fault.ts";
import { fetchInstruction } from "../../cpu/instruction-fetch.ts";
import { codeSize, isRealLike, stackSize } from "../../cpu/mode.ts";
import { procedures } from "../../cpu/procedures.ts";
import type { Instruction } from "../../isa/instruction.ts";
import type { EmulatedBus } from "./emulated-bus.ts";
import type { GuestCore } from "./guest-core.ts";

/** The instruction emulator: what an instruction does is the machine's own description of it, carried out on the guest's registers. */

/** The instruction at CS:RIP. */
export const fetchAt = (core: GuestCore): Instruction | Fault => {
  const { state } = core;
  return fetchInstruction(core, {
    codeSize: codeSize(state),
    stackSize: stackSize(state),
    realLike: isRealLike(state),
  });
};

/** Registers that emulation has no part in: those of the FPU. */
const isEmulated = (instruction: Instruction): boolean =>
  !procedures.has(instruction.row.semantics.mnemonic) &&
  instruction.operands.every((operand) => operand.kind !== "register" || operand.file === "general");

export type Emulated =
  /** The registers are those after it; `traps`: a single step is over. Stores to devices are still to be made. */
  | { readonly kind: "done"; readonly traps: boolean }
  | { readonly kind: "fault"; readonly fault: Fault }
  /** A device's value is asked for: the bus says which. Then once more from the beginning. */
  | { readonly kind: "wanted" }
  /** An instruction that is not emulated. */
  | { readonly kind: "refused" };

/** Carry out the instruction at CS:RIP, one element of it if it is repeated. */
export const emulate = (core: GuestCore, bus: EmulatedBus): Emulated => {
  bus.restart();
  const instruction = fetchAt(core);
  if (instruction instanceof Fault) return { kind: "fault", fault: instruction };
  if (!isEmulated(instruction) || bus.wanted !== undefined) return { kind: "refused" };
  const traps = (core.state.RFLAGS & RFLAGS.TF) !== 0n;
  const fault = evaluateElement(core, instruction);
  if ((bus.wanted as EmulatedBus["wanted"]) !== undefined) return { kind: "wanted" };
  if (fault !== undefined) return { kind: "fault", fault };
  if (traps) core.state.DR6 |= DR6.BS;
  return { kind: "done", traps };
};

/** One element of a repeated instruction, else all of it. */
const evaluateElement = (core: GuestCore, instruction: Instruction): Fault | undefined => {
  const { state } = core;
  const { row, rep, addressSize } = instruction;
  if (row.repeat === undefined || rep === "none") return evaluateInstruction(core, instruction);
  const rip = state.RIP;
  const count = BigInt.asUintN(addressSize, state.RCX);
  if (count === 0n) {
    state.RIP = rip + BigInt(instruction.length);
    return undefined;
  }
  const fault = evaluateInstruction(core, { ...instruction, rep: "none" });
  if (fault !== undefined) return fault;
  const left = count - 1n;
  state.RCX = addressSize === 16 ? (state.RCX & ~0xffffn) | left : left;
  const isZero = (state.RFLAGS & RFLAGS.ZF) !== 0n;
  const ends = row.repeat === "repz" && isZero !== (rep === "repz");
  if (left !== 0n && !ends) state.RIP = rip;
  return undefined;
};
