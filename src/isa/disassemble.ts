/**
 * Instruction -> Intel-syntax text that the assembler reads back as the same instruction. Operand and address sizes that
 * no operand shows are written as o16, o32, o64, a16, a32 in front.
 */
import { operandBits } from "./decode.ts";
import { defaultOperandSize } from "./encode.ts";
import type { DecodedOperand, Instruction, MemoryOperand } from "./instruction.ts";
import type { Operand } from "./operands.ts";
import {
  generalRegisterName,
  isHidden,
  mnemonicText,
  namesAddressSize,
  namesOperandSize,
  registerText,
  sizeText,
  takesXmm0,
} from "./syntax.ts";

const hex = (value: bigint): string =>
  value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;

const memoryText = (memory: MemoryOperand, instruction: Instruction): string => {
  const { addressSize, segmentOverride } = instruction;
  const { base, index, scale, displacement, width } = memory;
  const parts: string[] = [];
  if (base === "RIP") parts.push(addressSize === 32 ? "eip" : "rip");
  else if (base !== undefined) parts.push(generalRegisterName(base, addressSize));
  if (index !== undefined)
    parts.push(
      generalRegisterName(index, addressSize) +
        (addressSize === 16 || (scale === 1 && base !== undefined) ? "" : `*${scale}`),
    );
  let inside = parts.join("+");
  if (parts.length === 0) inside = hex(BigInt.asUintN(addressSize, displacement));
  else if (displacement !== 0n) inside += (displacement < 0n ? "" : "+") + hex(displacement);
  const size = sizeText.get(width);
  return `${size === undefined ? "" : `${size} ptr `}${segmentOverride === undefined ? "" : `${segmentOverride.toLowerCase()}:`}[${inside}]`;
};

const operandText = (
  operand: DecodedOperand,
  form: Operand,
  instruction: Instruction,
  address: bigint | undefined,
): string => {
  switch (operand.kind) {
    case "register":
      return registerText(operand);
    case "memory":
      // A pseudo-descriptor has no keyword of its own.
      return memoryText(form.size === "s" ? { ...operand, width: 0 } : operand, instruction);
    case "far":
      return `0x${operand.selector.toString(16)}:0x${operand.offset.toString(16)}`;
    case "immediate": {
      if (form.addressing !== "J") return hex(operand.value);
      const distance = BigInt.asIntN(operand.width, operand.value) + BigInt(instruction.length);
      if (address === undefined) return distance < 0n ? `$${hex(distance)}` : `$+${hex(distance)}`;
      return hex(BigInt.asUintN(operand.width, address + distance));
    }
  }
};

const dependsOnOperandSize = (form: Operand): boolean =>
  operandBits(form, 16, true) !== operandBits(form, 32, true) ||
  operandBits(form, 32, true) !== operandBits(form, 64, true);

/** True when a register or a size keyword in the text tells the operand size. */
const showsOperandSize = (instruction: Instruction): boolean =>
  instruction.operands.some((operand, i) => {
    const form = instruction.row.operands[i]!;
    if (operand.kind !== "register" && operand.kind !== "memory") return false;
    const { operandSize, codeSize } = instruction;
    const register = operand.kind === "register";
    // A form of 32 bits for both 16 and 32, or for both 32 and 64, tells the size only where the other is not possible.
    const bits = operandBits(form, operandSize, register);
    const standard = operandBits(form, defaultOperandSize(instruction.row, codeSize), register);
    return dependsOnOperandSize(form) && bits !== standard;
  });

const sizePrefixes = (instruction: Instruction, shown: readonly DecodedOperand[]): string => {
  const { row, operandSize, addressSize, codeSize } = instruction;
  let text = "";
  const standard = operandSize === defaultOperandSize(row, codeSize);
  if (
    !standard &&
    !namesOperandSize(row, operandSize) &&
    (shown.length === 0 || !showsOperandSize(instruction))
  )
    text += `o${operandSize} `;
  const tells = shown.some(
    (operand) => operand.kind === "memory" && (operand.base !== undefined || operand.index !== undefined),
  );
  if (addressSize !== codeSize && !tells && !namesAddressSize(row)) text += `a${addressSize} `;
  return text;
};

/** Intel syntax, lower case. With the instruction's address branches name their target, without it `$` plus a distance. */
export const disassemble = (instruction: Instruction, address?: bigint): string => {
  const { row, rep, lock, segmentOverride, operandSize, addressSize } = instruction;
  const shown = instruction.operands.filter((_, i) => !isHidden(row, row.operands[i]!));
  let text = sizePrefixes(instruction, shown);
  if (lock) text += "lock ";
  if (rep !== "none") text += row.repeat === "rep" && rep === "repz" ? "rep " : `${rep} `;
  if (segmentOverride !== undefined && !shown.some(({ kind }) => kind === "memory"))
    text += `${segmentOverride.toLowerCase()} `;
  text += mnemonicText(row, operandSize, addressSize);
  const operands = shown.map((operand, i) => operandText(operand, row.operands[i]!, instruction, address));
  if (takesXmm0.has(row.semantics.mnemonic)) operands.push("xmm0");
  return operands.length === 0 ? text : `${text} ${operands.join(", ")}`;
};
