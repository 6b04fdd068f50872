import { RFLAGS } from "../../arch/flags.ts";
import type { DecodedOperand, Instruction } from "../../isa/instruction.ts";

/** What an instruction that met a device in memory does there. */
export interface MmioAccess {
  readonly kind: "load" | "store" | "AND" | "OR" | "XOR" | "TEST" | "CMP" | "XCHG" | "STOS";
  /** Bytes at the device. */
  readonly size: 1 | 2 | 4 | 8;
  /** The other operand: a general register, or a constant. */
  readonly register: { readonly number: number; readonly high: boolean; readonly width: number } | undefined;
  readonly immediate: bigint;
  readonly isSigned: boolean;
  readonly address: Extract<DecodedOperand, { kind: "memory" }> | undefined;
  /** The device is the second operand. */
  readonly isSource: boolean;
  readonly repeated: boolean;
  readonly length: number;
}

const logic = new Set(["AND", "OR", "XOR", "TEST", "CMP", "XCHG"]);

/** Undefined: not one of the instructions that drivers use on devices. */
export const mmioAccess = (instruction: Instruction): MmioAccess | undefined => {
  const { row, operands, length, rep, operandSize } = instruction;
  const { mnemonic } = row.semantics;
  const memoryAt = operands.findIndex(({ kind }) => kind === "memory");
  const address = operands[memoryAt] as MmioAccess["address"];
  if (mnemonic.startsWith("STOS")) {
    const width = address?.width || operandSize;
    return {
      kind: "STOS", size: (width / 8) as 1 | 2 | 4 | 8, register: { number: 0, high: false, width }, immediate: 0n,
      isSigned: false, address: undefined, isSource: false, repeated: rep !== "none", length,
    }; // biome-ignore format: one record
  }
  const other = operands[1 - memoryAt];
  const size = (address?.width ?? 0) / 8;
  if (memoryAt < 0 || memoryAt > 1 || operands.length !== 2 || ![1, 2, 4, 8].includes(size)) return undefined;
  if (other?.kind !== "register" && other?.kind !== "immediate") return undefined;
  if (other.kind === "register" && other.file !== "general") return undefined;
  const isSource = memoryAt === 1;
  const isLoad = mnemonic === "MOV" || mnemonic === "MOVZX" || mnemonic.startsWith("MOVSX");
  if (!isLoad && !logic.has(mnemonic)) return undefined;
  return {
    kind: isLoad ? (isSource ? "load" : "store") : (mnemonic as MmioAccess["kind"]),
    size: size as 1 | 2 | 4 | 8,
    register: other.kind === "register" ? other : undefined,
    immediate: other.kind === "immediate" ? BigInt.asUintN(8 * size, other.value) : 0n,
    isSigned: mnemonic.startsWith("MOVSX"),
    address,
    isSource,
    repeated: false,
    length,
  };
};

/** The guest's registers and the device, as the emulated instruction reaches them. */
export interface MmioWorld {
  general(number: number): bigint;
  setGeneral(number: number, value: bigint): void;
  flags(): bigint;
  setFlags(value: bigint): void;
  read(address: number, size: 1 | 2 | 4): number;
  write(address: number, value: number, size: 1 | 2 | 4): void;
}

const RDI = 7;
const RCX = 1;

/** Carry the instruction out, its memory operand being at a guest-physical address. False: it is not at its end yet. */
export const performMmio = (access: MmioAccess, world: MmioWorld, address: number): boolean => {
  const { kind, size, register } = access;
  const bits = 8 * size;
  const operand = (): bigint => (register === undefined ? access.immediate : readRegister(world, register));
  switch (kind) {
    case "load": {
      const value = readDevice(world, address, size);
      writeRegister(world, register!, access.isSigned ? BigInt.asIntN(bits, value) : value);
      return true;
    }
    case "store":
      writeDevice(world, address, size, operand());
      return true;
    case "XCHG": {
      const before = readDevice(world, address, size);
      writeDevice(world, address, size, operand());
      writeRegister(world, register!, before);
      return true;
    }
    case "STOS":
      return storeString(access, world, address);
    default: {
      const device = readDevice(world, address, size);
      const [a, b] = access.isSource ? [operand(), device] : [device, operand()];
      const result = BigInt.asUintN(
        bits,
        kind === "OR" ? a | b : kind === "XOR" ? a ^ b : kind === "CMP" ? a - b : a & b,
      );
      world.setFlags(statusFlags(world.flags(), kind === "CMP" ? { a, b } : undefined, result, bits));
      if (kind === "TEST" || kind === "CMP") return true;
      if (access.isSource) writeRegister(world, register!, result);
      else writeDevice(world, address, size, result);
      return true;
    }
  }
};

const storeString = ({ size, repeated }: MmioAccess, world: MmioWorld, address: number): boolean => {
  const count = repeated ? world.general(RCX) : 1n;
  if (count === 0n) return true;
  writeDevice(world, address, size, BigInt.asUintN(8 * size, world.general(0)));
  const step = world.flags() & RFLAGS.DF ? -BigInt(size) : BigInt(size);
  world.setGeneral(RDI, BigInt.asUintN(64, world.general(RDI) + step));
  if (repeated) world.setGeneral(RCX, count - 1n);
  return count === 1n;
};

const readDevice = (world: MmioWorld, address: number, size: 1 | 2 | 4 | 8): bigint =>
  size === 8
    ? BigInt(world.read(address, 4)) | (BigInt(world.read(address + 4, 4)) << 32n)
    : BigInt(world.read(address, size));

const writeDevice = (world: MmioWorld, address: number, size: 1 | 2 | 4 | 8, value: bigint): void => {
  if (size === 8) {
    world.write(address, Number(value & 0xffff_ffffn), 4);
    world.write(address + 4, Number((value >> 32n) & 0xffff_ffffn), 4);
  } else world.write(address, Number(BigInt.asUintN(8 * size, value)), size);
};

type Register = NonNullable<MmioAccess["register"]>;

const readRegister = (world: MmioWorld, { number, high, width }: Register): bigint =>
  BigInt.asUintN(width, world.general(number) >> (high ? 8n : 0n));

/** 32-bit results are zero-extended, narrower ones leave the rest. */
const writeRegister = (world: MmioWorld, { number, high, width }: Register, value: bigint): void => {
  const shift = high ? 8n : 0n;
  const mask = ((1n << BigInt(width)) - 1n) << shift;
  const kept = width >= 32 ? 0n : world.general(number) & ~mask;
  world.setGeneral(number, kept | ((BigInt.asUintN(width, value) << shift) & mask));
};

/** CF and OF of a comparison; without one they are 0, as AND, OR, XOR and TEST leave them. AF is left. */
const statusFlags = (
  before: bigint,
  compared: { readonly a: bigint; readonly b: bigint } | undefined,
  result: bigint,
  bits: number,
): bigint => {
  const top = 1n << BigInt(bits - 1);
  let parity = result & 0xffn;
  parity ^= parity >> 4n;
  parity ^= parity >> 2n;
  parity ^= parity >> 1n;
  let flags = before & ~(RFLAGS.CF | RFLAGS.OF | RFLAGS.ZF | RFLAGS.SF | RFLAGS.PF);
  if (result === 0n) flags |= RFLAGS.ZF;
  if (result & top) flags |= RFLAGS.SF;
  if ((parity & 1n) === 0n) flags |= RFLAGS.PF;
  if (compared !== undefined) {
    if (compared.a < compared.b) flags |= RFLAGS.CF;
    if ((compared.a ^ compared.b) & (compared.a ^ result) & top) flags |= RFLAGS.OF;
  }
  return flags;
};

/** The effective address of a memory operand without its segment's base, from the guest's registers. */
export const effectiveAddress = (
  operand: Extract<DecodedOperand, { kind: "memory" }>,
  general: (number: number) => bigint,
  nextRip: bigint,
  addressSize: 16 | 32 | 64,
): bigint => {
  const base = operand.base === undefined ? 0n : operand.base === "RIP" ? nextRip : general(operand.base);
  const index = operand.index === undefined ? 0n : general(operand.index) * BigInt(operand.scale);
  return BigInt.asUintN(addressSize, base + index + operand.displacement);
};
