/**
 * Instruction -> bytes: decode's mirror over the same rows. What decode would read back as another instruction is refused.
 */
import type { SegmentName } from "../ir/effects.ts";
import { decode, hasModRM, isInstruction, MAXIMUM_LENGTH, operandBits, operandPlaces } from "./decode.ts";
import type { DecodedOperand, MemoryOperand, RegisterOperand } from "./instruction.ts";
import type { Operand } from "./operands.ts";
import type { Row } from "./row.ts";

/** What is to be encoded; every `Instruction` is one. */
export interface Encodable {
  readonly row: Row;
  readonly codeSize: 16 | 32 | 64;
  readonly operandSize: 16 | 32 | 64;
  readonly addressSize: 16 | 32 | 64;
  readonly operands: readonly DecodedOperand[];
  readonly rep?: "none" | "repz" | "repnz";
  readonly lock?: boolean;
  /** A segment prefix besides what the memory operand's segment asks for. */
  readonly segmentOverride?: SegmentName | undefined;
  /** The least width of the displacement, bytes; the shortest that holds it when absent. */
  readonly displacementBytes?: 1 | 2 | 4 | undefined;
  /** A REX prefix even where none is needed. */
  readonly rex?: boolean;
}

/** Why there are no such bytes, in one clause. */
export interface EncodeRefusal {
  readonly kind: "refusal";
  readonly reason: string;
}

export const isRefusal = (encoded: Uint8Array | EncodeRefusal): encoded is EncodeRefusal =>
  "reason" in encoded;

const refuse = (reason: string): EncodeRefusal => ({ kind: "refusal", reason });

const segmentByte: Record<SegmentName, number> = {
  ES: 0x26,
  CS: 0x2e,
  SS: 0x36,
  DS: 0x3e,
  FS: 0x64,
  GS: 0x65,
};

/** ModRM.rm of 16-bit addressing by "base,index". */
// biome-ignore format: SDM Vol. 2, Table 2-1
const rm16 = new Map([["3,6", 0], ["3,7", 1], ["5,6", 2], ["5,7", 3], ["6,", 4], ["7,", 5], ["5,", 6], ["3,", 7]]);

/** True when `value` is what `bits` low bits of it extend to (with sign or zeroes) in `width` bits. */
const extendsTo = (value: bigint, bits: number, width: number, signed: boolean): boolean =>
  BigInt.asUintN(width, signed ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)) === value;

/** The part of an instruction that ModRM and what follows it says. */
interface ModRM {
  readonly mod: number;
  readonly rm: number;
  readonly sib: number | undefined;
  readonly displacement: bigint;
  readonly displacementBytes: number;
  /** REX.X and REX.B as bits 1 and 0. */
  readonly rex: number;
}

const fits = (value: bigint, bits: number): boolean => BigInt.asIntN(bits, value) === value;

const encode16 = (memory: MemoryOperand, least: number): ModRM | EncodeRefusal => {
  const displacement = BigInt.asIntN(16, memory.displacement);
  if (memory.base === undefined && memory.index === undefined)
    return { mod: 0, rm: 6, sib: undefined, displacement, displacementBytes: 2, rex: 0 };
  const rm = rm16.get(`${memory.base ?? ""},${memory.index ?? ""}`);
  if (rm === undefined || memory.scale !== 1) return refuse("16-bit addressing has no such base and index");
  const mod =
    displacement === 0n && rm !== 6 && least === 0 ? 0 : fits(displacement, 8) && least <= 1 ? 1 : 2;
  return { mod, rm, sib: undefined, displacement, displacementBytes: mod, rex: 0 };
};

const encodeMemory = (
  memory: MemoryOperand,
  addressSize: 16 | 32 | 64,
  long: boolean,
  least: number,
): ModRM | EncodeRefusal => {
  if (addressSize === 16) return encode16(memory, least);
  const { base, index, scale } = memory;
  const displacement = addressSize === 32 ? BigInt.asIntN(32, memory.displacement) : memory.displacement;
  if (!fits(displacement, 32)) return refuse("the displacement does not fit in 32 bits");
  if (base === "RIP") {
    if (!long) return refuse("RIP-relative addresses exist in 64-bit mode only");
    if (index !== undefined) return refuse("a RIP-relative address has no index");
    return { mod: 0, rm: 5, sib: undefined, displacement, displacementBytes: 4, rex: 0 };
  }
  if (index === 4) return refuse("RSP cannot be an index");
  if (!long && ((base ?? 0) > 7 || (index ?? 0) > 7)) return refuse("R8 to R15 exist in 64-bit mode only");
  const rex = ((base ?? 0) >> 3) | (((index ?? 0) >> 3) << 1);
  const scaleBits = scale === 1 ? 0 : scale === 2 ? 1 : scale === 4 ? 2 : 3;
  if (base === undefined) {
    if (index === undefined && !long)
      return { mod: 0, rm: 5, sib: undefined, displacement, displacementBytes: 4, rex };
    const sib = (scaleBits << 6) | (((index ?? 4) & 7) << 3) | 5;
    return { mod: 0, rm: 4, sib, displacement, displacementBytes: 4, rex };
  }
  const mod =
    displacement === 0n && (base & 7) !== 5 && least === 0 ? 0 : fits(displacement, 8) && least <= 1 ? 1 : 2;
  const displacementBytes = mod === 2 ? 4 : mod;
  if (index === undefined && (base & 7) !== 4)
    return { mod, rm: base & 7, sib: undefined, displacement, displacementBytes, rex };
  const sib = (scaleBits << 6) | (((index ?? 4) & 7) << 3) | (base & 7);
  return { mod, rm: 4, sib, displacement, displacementBytes, rex };
};

/** The segment that a memory operand of the row has without a prefix. */
export const defaultSegment = (form: Operand, memory: MemoryOperand): SegmentName => {
  if (form.addressing === "Y") return "ES";
  if (form.addressing === "X" || form.addressing === "O") return "DS";
  return memory.base === 4 || memory.base === 5 ? "SS" : "DS";
};

const registerMatches = (form: Operand, operand: RegisterOperand, operandSize: 16 | 32 | 64): boolean => {
  const { file } = operandPlaces(form);
  return operand.file === file && operand.width === operandBits(form, operandSize, true);
};

/** Operand size without 66, and whether the row asks for a 66 or REX.W to get the wanted one. */
const sizePrefixes = (
  wanted: Encodable,
): { readonly has66: boolean; readonly w: boolean } | EncodeRefusal => {
  const { row, codeSize, operandSize } = wanted;
  const mandatory = row.prefix === 0x66;
  let has66 = false;
  let w = row.rexW === 1;
  if (codeSize === 64) {
    if (row.vex) {
      if (operandSize === 16 || (w && operandSize === 32)) return refuse("VEX.W gives the operand size");
      w = operandSize === 64;
    } else if (row.f64 || row.ignore66) {
      if (operandSize !== 64) return refuse("the operand size is always 64 bits in 64-bit mode");
    } else if (w && operandSize !== 64) return refuse("REX.W gives 64-bit operands");
    else if (operandSize === 16) has66 = true;
    else if (operandSize === 32) {
      if (row.d64) return refuse("no 32-bit operand size in 64-bit mode");
    } else if (!row.d64) w = true;
  } else {
    if (operandSize === 64 || w) return refuse("64-bit operands exist in 64-bit mode only");
    if (row.ignore66 || row.vex) {
      if (operandSize !== 32) return refuse("the operand size is always 32 bits");
    } else has66 = operandSize !== codeSize;
  }
  if (w && row.rexW === 0) return refuse("the row refuses REX.W");
  if (has66 && (mandatory || row.prefix === "none"))
    return refuse("66 does not change the operand size here");
  return { has66: has66 || mandatory, w };
};

/** The operand size that a row has without prefixes. */
export const defaultOperandSize = (row: Row, codeSize: 16 | 32 | 64): 16 | 32 | 64 => {
  if (codeSize !== 64) return row.ignore66 || row.vex ? 32 : codeSize;
  return row.d64 || row.f64 || row.ignore66 || row.rexW === 1 ? 64 : 32;
};

const everyFeature = (): boolean => true;

/** The bytes of an instruction, or why it has none. */
export const encode = (wanted: Encodable): Uint8Array | EncodeRefusal => {
  const { row, codeSize, operandSize, addressSize, operands } = wanted;
  const long = codeSize === 64;
  if (long ? row.i64 : row.o64)
    return refuse(long ? "not valid in 64-bit mode" : "valid in 64-bit mode only");
  if (long ? addressSize === 16 : addressSize === 64)
    return refuse(`no ${addressSize}-bit addresses in ${codeSize}-bit code`);
  if (operands.length !== row.operands.length) return refuse(`takes ${row.operands.length} operands`);
  const sizes = sizePrefixes(wanted);
  if ("reason" in sizes) return sizes;

  let opcode = row.opcode;
  let reg = row.digit ?? 0;
  let modrm: ModRM = {
    mod: row.mod === "memory" ? 0 : 3,
    rm: row.rm ?? 0,
    sib: undefined,
    displacement: 0n,
    displacementBytes: 0,
    rex: 0,
  };
  let vvvv = 0;
  /** W R X B. */
  let rex = (sizes.w ? 8 : 0) | (row.rexB ?? 0);
  let needsRex = wanted.rex === true;
  let refusesRex = false;
  let segment = wanted.segmentOverride;
  const tail: number[] = [];
  const append = (value: bigint, bytes: number): void => {
    for (let i = 0; i < bytes; i++) tail.push(Number((value >> BigInt(8 * i)) & 0xffn));
  };

  for (const [i, form] of row.operands.entries()) {
    const operand = operands[i]!;
    const { place } = operandPlaces(form);
    if (operand.kind === "register") {
      if (!registerMatches(form, operand, operandSize)) return refuse("a register of another file or width");
      if (operand.high) refusesRex = true;
      else if (operand.file === "general" && operand.width === 8 && operand.number >= 4) needsRex = true;
    } else if (operand.kind === "memory") {
      const ordinary = operand.segment === defaultSegment(form, operand);
      if (!ordinary && place === "destination")
        return refuse("the destination of a string instruction is in ES");
      if (!ordinary) segment ??= operand.segment;
      if (!ordinary && segment !== operand.segment) return refuse("one instruction has one segment override");
    }
    const number = operand.kind === "register" ? (operand.high ? operand.number + 4 : operand.number) : 0;
    switch (place) {
      case "rm":
      case "memory":
        if (operand.kind === "memory") {
          if (place === "rm" && ["R", "U", "N", "F"].includes(form.addressing))
            return refuse("takes a register");
          if (row.mod === "register") return refuse("takes a register");
          const encoded = encodeMemory(operand, addressSize, long, wanted.displacementBytes ?? 0);
          if ("reason" in encoded) return encoded;
          modrm = encoded;
        } else if (operand.kind === "register" && place === "rm") {
          if (row.mod === "memory") return refuse("takes a memory operand");
          modrm = { ...modrm, mod: 3, rm: number & 7, rex: number >> 3 };
        } else return refuse("takes a memory operand");
        break;
      case "reg":
        if (operand.kind !== "register") return refuse("takes a register");
        if (row.digit !== undefined && number !== row.digit) return refuse("takes another register");
        reg = number & 7;
        rex |= (number >> 3) << 2;
        break;
      case "opcode":
        // Eight rows stand for the eight registers.
        if (operand.kind !== "register" || (number & 7) !== (row.opcode & 7))
          return refuse("takes another register");
        opcode = row.opcode;
        rex |= number >> 3;
        break;
      case "vvvv":
        if (operand.kind !== "register") return refuse("takes a register");
        vvvv = number;
        break;
      case "immediate": {
        if (operand.kind !== "immediate") return refuse("takes an immediate");
        const bits = operandBits(form, operandSize, false);
        const width = form.signExtended ? operandSize : bits;
        if (operand.width !== width) return refuse("an immediate of another width");
        if (!extendsTo(operand.value, bits, width, true))
          return refuse(`the immediate does not fit in ${bits} bits`);
        append(operand.value, bits / 8);
        break;
      }
      case "relative": {
        if (operand.kind !== "immediate") return refuse("takes a relative target");
        const bits = operandBits(form, operandSize, false);
        if (!extendsTo(operand.value, bits, operandSize, true))
          return refuse(`the distance does not fit in ${bits} bits`);
        append(operand.value, bits / 8);
        break;
      }
      case "moffs":
        if (operand.kind !== "memory" || operand.base !== undefined || operand.index !== undefined)
          return refuse("takes a bare offset");
        append(BigInt.asUintN(addressSize, operand.displacement), addressSize / 8);
        break;
      case "far":
        if (operand.kind !== "far") return refuse("takes a far pointer");
        if (operandSize === 16 && operand.offset > 0xffff)
          return refuse("the offset does not fit in 16 bits");
        append(BigInt(operand.offset), operandSize === 16 ? 2 : 4);
        append(BigInt(operand.selector), 2);
        break;
      case "source":
      case "destination":
        if (
          operand.kind !== "memory" ||
          operand.base !== (place === "source" ? 6 : 7) ||
          operand.index !== undefined ||
          operand.displacement !== 0n
        )
          return refuse("takes the string operand");
        break;
      case "fixed":
        if (operand.kind !== "register" || operand.high || operand.number !== form.fixed)
          return refuse("takes another register");
        break;
      case "one":
        if (operand.kind !== "immediate" || operand.value !== 1n) return refuse("takes the constant 1");
        break;
    }
  }
  rex |= modrm.rex;
  if (rex !== 0) needsRex = true;
  if (needsRex && !long) return refuse("R8 to R15, SPL, BPL, SIL and DIL exist in 64-bit mode only");
  if (row.rexB === 0 && (rex & 1) !== 0) return refuse("the row refuses REX.B");
  if (row.lock !== true && wanted.lock) return refuse("LOCK is not allowed");

  const bytes: number[] = [];
  if (segment !== undefined) bytes.push(segmentByte[segment]);
  if (addressSize !== codeSize) bytes.push(0x67);
  const rep = wanted.rep === "repz" ? 0xf3 : wanted.rep === "repnz" ? 0xf2 : 0;
  if (row.vex) {
    if (wanted.lock || rep !== 0) return refuse("VEX takes no other prefix");
    const pp = row.prefix === 0x66 ? 1 : row.prefix === 0xf3 ? 2 : row.prefix === 0xf2 ? 3 : 0;
    const low = ((vvvv ^ 15) << 3) | pp;
    if (row.map === "0F" && (rex & 0xb) === 0) bytes.push(0xc5, low | (rex & 4 ? 0 : 0x80));
    else {
      const map = row.map === "0F" ? 1 : row.map === "0F38" ? 2 : 3;
      bytes.push(0xc4, (((rex & 7) ^ 7) << 5) | map, low | (rex & 8 ? 0x80 : 0));
    }
  } else {
    if (sizes.has66) bytes.push(0x66);
    if (wanted.lock) bytes.push(0xf0);
    if (rep !== 0) bytes.push(rep);
    if (row.prefix === 0xf2 || row.prefix === 0xf3) bytes.push(row.prefix);
    if (needsRex) {
      if (refusesRex) return refuse("AH, CH, DH and BH cannot be used with a REX prefix");
      bytes.push(0x40 | rex);
    }
    if (row.map !== "one-byte") bytes.push(0x0f);
    if (row.map === "0F38") bytes.push(0x38);
    if (row.map === "0F3A") bytes.push(0x3a);
  }
  bytes.push(opcode);
  if (hasModRM(row)) {
    bytes.push((modrm.mod << 6) | (reg << 3) | modrm.rm);
    if (modrm.sib !== undefined) bytes.push(modrm.sib);
    for (let i = 0; i < modrm.displacementBytes; i++)
      bytes.push(Number((modrm.displacement >> BigInt(8 * i)) & 0xffn));
  }
  bytes.push(...tail);
  if (bytes.length > MAXIMUM_LENGTH) return refuse("longer than 15 bytes");
  const encoded = Uint8Array.from(bytes);
  const mode = { codeSize, stackSize: codeSize, realLike: false };
  const read = decode(encoded, 0, encoded.length, mode, everyFeature);
  if (!isInstruction(read) || read.row !== row) return refuse("these bytes are another instruction");
  return encoded;
};
