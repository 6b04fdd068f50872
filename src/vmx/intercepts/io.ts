import { ExitReason } from "../../arch/vm-exit-reasons.ts";
import { Fault } from "../../cpu/core.ts";
import { ioPermission } from "../../cpu/io.ts";
import { readOperand } from "../../cpu/operands.ts";
import { VmExit, type VmExitDetails } from "../../cpu/vmx-socket.ts";
import type { SegmentName } from "../../ir/effects.ts";
import type { Instruction, RegisterOperand } from "../../isa/instruction.ts";
import { bitmapBit } from "../bitmaps.ts";
import { fieldOffset } from "../vmcs.ts";
import type { VmxProcessor } from "../vmx-processor.ts";
import { linearWithoutChecks, stringInformation } from "./information.ts";
import { controlIsSet, type Intercept } from "./intercept.ts";

/** IN, OUT, INS, OUTS: SDM Vol. 3, "I/O-Bitmap Addresses", Table "Exit Qualification for I/O Instructions". */

const unconditionalIOExiting = controlIsSet("unconditionalIOExiting");
const useIOBitmaps = controlIsSet("useIOBitmaps");
/** For ports 0 to 7FFFH, and from 8000H. */
const bitmapA = fieldOffset("control.ioBitmapA");
const bitmapB = fieldOffset("control.ioBitmapB");

type Size = 1 | 2 | 4;

const exits = (vmx: VmxProcessor, port: number, size: Size): boolean => {
  if (!useIOBitmaps(vmx)) return unconditionalIOExiting(vmx);
  // An access that wraps around the I/O address space exits.
  if (port + size > 0x1_0000) return true;
  for (let n = port; n < port + size; n++)
    if (bitmapBit(vmx, n < 0x8000 ? bitmapA : bitmapB, 0, n & 0x7fff)) return true;
  return false;
};

const qualificationBit = { in: 1 << 3, string: 1 << 4, rep: 1 << 5, immediate: 1 << 6 } as const;

const exit = (
  instruction: Instruction,
  port: number,
  size: Size,
  bits: number,
  details: VmExitDetails = {},
): VmExit =>
  new VmExit(ExitReason.IO_INSTRUCTION, (BigInt(port) << 16n) | BigInt((size - 1) | bits), {
    instructionLength: instruction.length,
    ...details,
  });

/** I/O permission comes first, then the exit, before anything else that the access may meet. */
const portAccess =
  (portIndex: 0 | 1, direction: number): Intercept =>
  (vmx, instruction) => {
    const { core } = vmx;
    const operand = instruction.operands[portIndex]!;
    const size = ((instruction.operands[1 - portIndex] as RegisterOperand).width / 8) as Size;
    const port = Number((readOperand(core, instruction, portIndex) as bigint) & 0xffffn);
    if (!exits(vmx, port, size)) return undefined;
    const immediate = operand.kind === "immediate" ? qualificationBit.immediate : 0;
    return ioPermission(core, port, size) ?? exit(instruction, port, size, direction | immediate);
  };

const numberRSI = 6;
const numberRDI = 7;

/** INS and OUTS; with a repeat prefix and a count of 0 no port is accessed. */
const stringAccess =
  (memoryIndex: 0 | 1, pointer: number, direction: number): Intercept =>
  (vmx, instruction) => {
    const { core } = vmx;
    const { state } = core;
    const { addressSize, rep } = instruction;
    if (rep !== "none" && BigInt.asUintN(addressSize, state.RCX) === 0n) return undefined;
    const operand = instruction.operands[memoryIndex]!;
    const size = ((operand as { width: number }).width / 8) as Size;
    const port = Number(state.RDX & 0xffffn);
    if (!exits(vmx, port, size)) return undefined;
    const refused = ioPermission(core, port, size);
    if (refused instanceof Fault) return refused;
    const segment: SegmentName = operand.kind === "memory" ? operand.segment : "ES";
    const offset = BigInt.asUintN(addressSize, state.general(pointer));
    const bits = direction | qualificationBit.string | (rep === "none" ? 0 : qualificationBit.rep);
    return exit(instruction, port, size, bits, {
      instructionInformation: stringInformation(instruction, segment),
      guestLinearAddress: linearWithoutChecks(core, instruction, segment, offset),
    });
  };

export const IN = portAccess(1, qualificationBit.in);
export const OUT = portAccess(0, 0);
export const INS = stringAccess(0, numberRDI, qualificationBit.in);
export const OUTS = stringAccess(1, numberRSI, 0);
