import { systemType, TSS32 } from "../arch/descriptors.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { Instruction } from "../isa/instruction.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import { notePortAccess } from "./debug-registers.ts";
import { readTss } from "./descriptors.ts";
import { cpl, iopl, isProtected, isVirtual8086 } from "./mode.ts";
import { nextRip, probeOperand, readOperand, writeGeneral, writeOperand } from "./operands.ts";
import { GP } from "./segmentation.ts";

/** IN, OUT, INS, OUTS (SDM Vol. 1, "Input/Output"). */

type Size = 1 | 2 | 4;

/** IOPL and the I/O permission bitmap of the TSS: #GP(0) where they refuse. */
export const ioPermission = (core: Core, port: number, size: Size): Fault | undefined => {
  const { state } = core;
  if (!isProtected(state) || (!isVirtual8086(state) && cpl(state) <= iopl(state))) return undefined;
  const limit = state["TR.limit"];
  const is32 = (state["TR.access"] & 0xf & ~systemType.busy) === systemType.TSS32;
  if (!is32 || limit < TSS32.bytes - 1) return GP(0);
  const base = readTss(core, TSS32.ioMapBase, 2);
  if (base instanceof Fault) return base;
  const at = base + (port >> 3);
  // Two bytes are read, so that the bits of an unaligned port are there too.
  if (at + 1 > limit) return GP(0);
  const bits = readTss(core, at, 2);
  if (bits instanceof Fault) return bits;
  return (bits >> (port & 7)) & ((1 << size) - 1) ? GP(0) : undefined;
};

const operandBytes = (instruction: Instruction, index: number): Size =>
  ((instruction.operands[index] as { width: number }).width / 8) as Size;

const portOf = (core: Core, instruction: Instruction, index: number): number =>
  Number((readOperand(core, instruction, index) as bigint) & 0xffffn);

const readPort = (core: Core, port: number, size: Size): number => {
  notePortAccess(core.state, port, size);
  return core.ports.read(port, size) >>> 0;
};

const writePort = (core: Core, port: number, value: number, size: Size): void => {
  notePortAccess(core.state, port, size);
  core.ports.write(port, value, size);
};

export const IN = (core: Core, instruction: Instruction): ProcedureOutcome => {
  const size = operandBytes(instruction, 0);
  const port = portOf(core, instruction, 1);
  const refused = ioPermission(core, port, size);
  if (refused) return refused;
  return writeOperand(core, instruction, 0, BigInt(readPort(core, port, size)));
};

export const OUT = (core: Core, instruction: Instruction): ProcedureOutcome => {
  const size = operandBytes(instruction, 1);
  const port = portOf(core, instruction, 0);
  const refused = ioPermission(core, port, size);
  if (refused) return refused;
  writePort(core, port, Number(readOperand(core, instruction, 1) as bigint), size);
  return undefined;
};

const numberRCX = 1;
const numberRSI = 6;
const numberRDI = 7;

/**
 * One iteration of INS or OUTS. With a repeat prefix the instruction stays at its own RIP until the count is 0, so that
 * interrupts are taken between iterations and a fault restarts the one it stopped.
 */
const stringTransfer =
  (pointer: number, size: (instruction: Instruction) => Size, transfer: Transfer) =>
  (core: Core, instruction: Instruction): ProcedureOutcome => {
    const { state } = core;
    const { addressSize } = instruction;
    const repeats = instruction.rep !== "none";
    const next = nextRip(core, instruction);
    const count = BigInt.asUintN(addressSize, state.RCX);
    if (repeats && count === 0n) {
      state.RIP = next;
      return undefined;
    }
    const bytes = size(instruction);
    const port = Number(state.RDX & 0xffffn);
    const fault = ioPermission(core, port, bytes) ?? transfer(core, instruction, port, bytes);
    if (fault) return fault;
    const step = BigInt(state.RFLAGS & RFLAGS.DF ? -bytes : bytes);
    writeGeneral(core, pointer, addressSize, state.general(pointer) + step);
    if (repeats) writeGeneral(core, numberRCX, addressSize, count - 1n);
    if (!repeats || count === 1n) state.RIP = next;
    return undefined;
  };

type Transfer = (core: Core, instruction: Instruction, port: number, bytes: Size) => Fault | undefined;

export const INS = stringTransfer(
  numberRDI,
  (instruction) => operandBytes(instruction, 0),
  (core, instruction, port, bytes) =>
    // The write must be known to succeed before the port is read.
    probeOperand(core, instruction, 0, bytes) ??
    writeOperand(core, instruction, 0, BigInt(readPort(core, port, bytes)), bytes),
);

export const OUTS = stringTransfer(
  numberRSI,
  (instruction) => operandBytes(instruction, 1),
  (core, instruction, port, bytes) => {
    const value = readOperand(core, instruction, 1, bytes);
    if (value instanceof Fault) return value;
    writePort(core, port, Number(value), bytes);
    return undefined;
  },
);
