import { CR0 } from "../arch/control-registers.ts";
import { Exception } from "../arch/exceptions.ts";
import { FSW } from "../arch/x87.ts";
import { binary32, binary64, extended80, type Format } from "../base/ieee754/index.ts";
import type { Instruction, RegisterOperand } from "../isa/instruction.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import { dataRead, dataWrite, readLinearBytes, writeLinearBytes } from "./linear-memory.ts";
import { cpl, is64Bit } from "./mode.ts";
import {
  effectiveAddress,
  linearOfOperand,
  memoryOperand,
  readMemoryOperand,
  writeMemoryOperand,
} from "./operands.ts";
import { Access, walkLinear } from "./page-walk.ts";
import { selectorOf } from "./segmentation.ts";

/** What x87 instructions share: pending exceptions, the last-instruction pointers, memory operands. */

export type X87Procedure = (core: Core, instruction: Instruction) => ProcedureOutcome;

const NE = Number(CR0.NE);

/**
 * The #MF that a waiting instruction raises. With CR0.NE = 0 the exception would be reported by FERR#, which this machine
 * does not connect: instructions go on, as with IGNNE# asserted.
 */
export const pendingException = (state: CpuState): Fault | undefined =>
  state.FSW & FSW.ES && state.low32("CR0") & NE ? new Fault(Exception.MF) : undefined;

/** IA32_MISC_ENABLE bit 2: FOP follows every instruction (SDM Vol. 1, "Fopcode Compatibility Sub-mode"). */
const FOPCODE_COMPATIBILITY = 1 << 2;

/** Bytes of the instruction at CS:RIP, as they are fetched; undefined where that faults. */
const codeByte = (core: Core, index: number): number | undefined => {
  const { state } = core;
  const long = is64Bit(state);
  const linear = BigInt.asUintN(long ? 64 : 32, (long ? 0n : state["CS.base"]) + state.RIP + BigInt(index));
  const page = walkLinear(core, linear, Access.FETCH | (cpl(state) === 3 ? Access.USER : 0));
  return page instanceof Fault ? undefined : core.physical.read(page.address, 1);
};

/** Low three bits of the escape and ModRM (SDM Vol. 1, "Last Instruction Opcode"). ModRM.mod and rm are only in memory. */
const fopOf = (core: Core, instruction: Instruction): number => {
  const { opcode } = instruction.row;
  for (let index = 0; index < instruction.length - 1; index++)
    if (codeByte(core, index) === opcode) return ((opcode & 7) << 8) | (codeByte(core, index + 1) ?? 0);
  return (opcode & 7) << 8;
};

/**
 * FIP, FDP and FOP after an instruction that is not a control instruction. FOP, and FDP on processors with
 * FDP_EXCPTN_ONLY, change only with an unmasked exception. FCS and FDS are zero where they are deprecated.
 */
const notePointers = (core: Core, instruction: Instruction): void => {
  const { state, model } = core;
  const excepted = (state.FSW & FSW.ES) !== 0;
  const selectors = !model.has("FCS_FDS_DEPRECATED");
  state.FIP = state.RIP;
  if (selectors) state.FCS = selectorOf(state, "CS");
  if (excepted || state.low32("IA32_MISC_ENABLE") & FOPCODE_COMPATIBILITY)
    state.FOP = fopOf(core, instruction);
  const operand = instruction.operands[0];
  if (operand?.kind !== "memory" || !(excepted || !model.has("FDP_EXCPTN_ONLY"))) return;
  state.FDP = effectiveAddress(core, instruction, operand);
  if (selectors) state.FDS = selectorOf(state, operand.segment);
};

/** An instruction that computes or moves: waits for pending exceptions and leaves the pointers. */
export const numeric =
  (run: X87Procedure): X87Procedure =>
  (core, instruction) => {
    const fault = pendingException(core.state) ?? run(core, instruction);
    if (fault) return fault;
    notePointers(core, instruction);
    return undefined;
  };

/** A control instruction: leaves the pointers alone. Those whose names begin with FN do not wait. */
export const control =
  (waiting: "waiting" | "nonwaiting", run: X87Procedure): X87Procedure =>
  (core, instruction) => {
    const pending = waiting === "waiting" ? pendingException(core.state) : undefined;
    return pending ?? run(core, instruction);
  };

/** i of an operand ST(i). */
export const stackIndex = (instruction: Instruction, index: number): number =>
  (instruction.operands[index] as RegisterOperand).number;

export const isMemory = (instruction: Instruction): boolean => instruction.operands[0]?.kind === "memory";

/** Bits of the memory operand, which comes first where there is one. */
export const operandWidth = (instruction: Instruction): number => memoryOperand(instruction, 0).width;

/** The format of a floating-point memory operand. */
export const realFormat = (instruction: Instruction): Format => {
  const width = operandWidth(instruction);
  return width === 32 ? binary32 : width === 64 ? binary64 : extended80;
};

const EXTENDED_BYTES = 10;

const bytesToBits = (bytes: Uint8Array): bigint => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return (BigInt(view.getUint16(8, true)) << 64n) | view.getBigUint64(0, true);
};

/** Read the memory operand, whatever its width: 16, 32, 64 or 80 bits. */
export const loadOperand = (core: Core, instruction: Instruction): bigint | Fault => {
  const width = operandWidth(instruction);
  if (width !== 80) return readMemoryOperand(core, instruction, 0, width / 8);
  const linear = linearOfOperand(core, instruction, 0, EXTENDED_BYTES, dataRead(core));
  if (linear instanceof Fault) return linear;
  const bytes = new Uint8Array(EXTENDED_BYTES);
  return readLinearBytes(core, linear, bytes, dataRead(core)) ?? bytesToBits(bytes);
};

export const storeOperand = (core: Core, instruction: Instruction, bits: bigint): Fault | undefined => {
  const width = operandWidth(instruction);
  if (width !== 80) return writeMemoryOperand(core, instruction, 0, bits, width / 8);
  const linear = linearOfOperand(core, instruction, 0, EXTENDED_BYTES, dataWrite(core));
  if (linear instanceof Fault) return linear;
  const bytes = new Uint8Array(EXTENDED_BYTES);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt.asUintN(64, bits), true);
  view.setUint16(8, Number(bits >> 64n), true);
  return writeLinearBytes(core, linear, bytes, dataWrite(core));
};
