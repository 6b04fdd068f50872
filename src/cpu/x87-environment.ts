import { environmentBytes, FCW, FSW } from "../arch/x87.ts";
import { decode, extended80 } from "../base/ieee754/index.ts";
import type { Instruction } from "../isa/instruction.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import { dataRead, dataWrite, readLinearBytes, writeLinearBytes } from "./linear-memory.ts";
import { isRealLike } from "./mode.ts";
import { linearOfOperand, readOperand, writeOperand } from "./operands.ts";
import { control, type X87Procedure } from "./x87-instruction.ts";
import { initialise, readPhysical, readST, summarise, top, writePhysical } from "./x87-stack.ts";

/** x87 control instructions (SDM Vol. 1, "x87 FPU Control Instructions", and Figures 8-9 to 8-12). */

// ---------------------------------------------------------------------------------------------------------- tag word

/** Valid, zero, special. */
const tagOf = (bits: bigint): 0 | 1 | 2 => {
  const found = decode(extended80, bits).class;
  return found === "normal" ? 0 : found === "zero" ? 1 : 2;
};

/** The tag word as it is stored: contents decide about registers in use. */
export const tagWord = (state: CpuState): number => {
  let tags = 0;
  for (let number = 0; number < 8; number++) {
    const empty = ((state.FTW >> (2 * number)) & 3) === 3;
    tags |= (empty ? 3 : tagOf(readPhysical(state, number))) << (2 * number);
  }
  return tags;
};

/** The tag word as it is loaded: only whether a register is empty counts. */
const loadTagWord = (state: CpuState, tags: number): void => {
  let loaded = 0;
  for (let number = 0; number < 8; number++)
    if (((tags >> (2 * number)) & 3) === 3) loaded |= 3 << (2 * number);
  state.FTW = loaded;
};

const loadControlWord = (state: CpuState, word: number): void => {
  state.FCW = (word & FCW.writable) | FCW.fixed;
  summarise(state);
};

// ------------------------------------------------------------------------------------- environments and save areas

/** Operand size 16 has the 14-byte image; REX.W changes nothing. */
const isWordImage = (instruction: Instruction): boolean => instruction.operandSize === 16;

const imageBytes = (instruction: Instruction): number =>
  isWordImage(instruction) ? environmentBytes.word : environmentBytes.doubleword;

/** The FSTENV image. In real-address and virtual-8086 mode, pointers are linear addresses. */
const packEnvironment = (core: Core, instruction: Instruction, image: DataView): void => {
  const { state } = core;
  const words = [state.FCW, state.FSW, tagWord(state)];
  const real = isRealLike(state);
  const [fip, fdp] = [state.low32("FIP"), state.low32("FDP")];
  const [ip, dp] = real ? [fip + state.FCS * 16, fdp + state.FDS * 16] : [fip, fdp];
  if (isWordImage(instruction)) {
    const fields = real
      ? [...words, ip, ((ip >>> 4) & 0xf000) | state.FOP, dp, (dp >>> 4) & 0xf000]
      : [...words, ip, state.FCS, dp, state.FDS];
    for (const [index, field] of fields.entries()) image.setUint16(2 * index, field & 0xffff, true);
    return;
  }
  const reserved = 0xffff_0000;
  const fields = real
    ? [reserved | ip, ((ip >>> 4) & 0x0fff_f000) | state.FOP, reserved | dp, (dp >>> 4) & 0x0fff_f000]
    : [ip, state.FCS | (state.FOP << 16), dp, reserved | state.FDS];
  for (const [index, word] of words.entries()) image.setUint32(4 * index, (reserved | word) >>> 0, true);
  for (const [index, field] of fields.entries()) image.setUint32(12 + 4 * index, field >>> 0, true);
};

const unpackEnvironment = (core: Core, instruction: Instruction, image: DataView): void => {
  const { state, model } = core;
  const real = isRealLike(state);
  const word = isWordImage(instruction);
  /** A field of the image by its place, 0 to 6. */
  const field = (index: number): number =>
    word ? image.getUint16(2 * index, true) : image.getUint32(4 * index, true);
  state.FSW = field(1) & 0xffff;
  loadControlWord(state, field(0));
  loadTagWord(state, field(2));
  if (real) {
    const pointer = (low: number, high: number): bigint =>
      BigInt((low & 0xffff) + (high & (word ? 0xf000 : 0x0fff_f000)) * 16);
    state.FIP = pointer(field(3), field(4));
    state.FDP = pointer(field(5), field(6));
    state.FOP = field(4) & 0x7ff;
    state.FCS = state.FDS = 0;
    return;
  }
  state.FIP = BigInt(field(3));
  state.FDP = BigInt(field(5));
  state.FOP = word ? 0 : (field(4) >>> 16) & 0x7ff;
  const selectors = !model.has("FCS_FDS_DEPRECATED");
  state.FCS = selectors ? field(4) & 0xffff : 0;
  state.FDS = selectors ? field(6) & 0xffff : 0;
};

/** Linear address of an image: alignment is that of its fields. */
const imageAddress = (
  core: Core,
  instruction: Instruction,
  bytes: number,
  access: number,
): bigint | Fault => {
  const field = linearOfOperand(core, instruction, 0, isWordImage(instruction) ? 2 : 4, access);
  return field instanceof Fault ? field : linearOfOperand(core, instruction, 0, bytes, access);
};

const writeImage = (core: Core, instruction: Instruction, image: Uint8Array): ProcedureOutcome => {
  const access = dataWrite(core);
  const address = imageAddress(core, instruction, image.length, access);
  return address instanceof Fault ? address : writeLinearBytes(core, address, image, access);
};

const readImage = (core: Core, instruction: Instruction, image: Uint8Array): ProcedureOutcome => {
  const access = dataRead(core);
  const address = imageAddress(core, instruction, image.length, access);
  return address instanceof Fault ? address : readLinearBytes(core, address, image, access);
};

/** FNSTENV: afterwards all exceptions are masked. */
const storeEnvironment: X87Procedure = (core, instruction) => {
  const image = new Uint8Array(imageBytes(instruction));
  packEnvironment(core, instruction, new DataView(image.buffer));
  const fault = writeImage(core, instruction, image);
  if (fault) return fault;
  loadControlWord(core.state, core.state.FCW | FCW.masks);
  return undefined;
};

const loadEnvironment: X87Procedure = (core, instruction) => {
  const image = new Uint8Array(imageBytes(instruction));
  const fault = readImage(core, instruction, image);
  if (fault) return fault;
  unpackEnvironment(core, instruction, new DataView(image.buffer));
  return undefined;
};

const REGISTER_BYTES = 10;

/** FNSAVE: environment and ST(0) to ST(7); afterwards as FNINIT. */
const save: X87Procedure = (core, instruction) => {
  const { state } = core;
  const environment = imageBytes(instruction);
  const image = new Uint8Array(environment + 8 * REGISTER_BYTES);
  const view = new DataView(image.buffer);
  packEnvironment(core, instruction, view);
  for (let i = 0; i < 8; i++) {
    const bits = readST(state, i);
    view.setBigUint64(environment + REGISTER_BYTES * i, BigInt.asUintN(64, bits), true);
    view.setUint16(environment + REGISTER_BYTES * i + 8, Number(bits >> 64n), true);
  }
  const fault = writeImage(core, instruction, image);
  if (fault) return fault;
  initialise(state);
  return undefined;
};

const restore: X87Procedure = (core, instruction) => {
  const { state } = core;
  const environment = imageBytes(instruction);
  const image = new Uint8Array(environment + 8 * REGISTER_BYTES);
  const fault = readImage(core, instruction, image);
  if (fault) return fault;
  const view = new DataView(image.buffer);
  unpackEnvironment(core, instruction, view);
  for (let i = 0; i < 8; i++) {
    const at = environment + REGISTER_BYTES * i;
    const bits = (BigInt(view.getUint16(at + 8, true)) << 64n) | view.getBigUint64(at, true);
    writePhysical(state, (top(state) + i) & 7, bits);
  }
  return undefined;
};

// -------------------------------------------------------------------------------------------------------- the words

const loadControl: X87Procedure = (core, instruction) => {
  const word = readOperand(core, instruction, 0);
  if (word instanceof Fault) return word;
  loadControlWord(core.state, Number(word));
  return undefined;
};

const changing =
  (change: (state: CpuState) => void): X87Procedure =>
  ({ state }) => {
    change(state);
    return undefined;
  };

const clearExceptions = (state: CpuState): void => {
  state.FSW &= ~(FSW.exceptions | FSW.SF | FSW.ES | FSW.B);
};

const nothing: X87Procedure = () => undefined;

// biome-ignore format: one row per fact
export const controls: readonly (readonly [mnemonic: string, X87Procedure])[] = [
  ["FNINIT", control("nonwaiting", changing(initialise))],
  ["FNCLEX", control("nonwaiting", changing(clearExceptions))],
  ["FLDCW", control("waiting", loadControl)],
  ["FNSTCW", control("nonwaiting", (core, instruction) => writeOperand(core, instruction, 0, BigInt(core.state.FCW)))],
  ["FNSTSW", control("nonwaiting", (core, instruction) => writeOperand(core, instruction, 0, BigInt(core.state.FSW)))],
  ["FLDENV", control("waiting", loadEnvironment)],
  ["FNSTENV", control("nonwaiting", storeEnvironment)],
  ["FRSTOR", control("waiting", restore)],
  ["FNSAVE", control("nonwaiting", save)],
  ["FNENI", control("nonwaiting", nothing)],
  ["FNDISI", control("nonwaiting", nothing)],
  ["FNSETPM", control("nonwaiting", nothing)],
  ["FWAIT", control("waiting", nothing)],
];
