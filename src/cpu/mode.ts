import { CR0, IA32_EFER } from "../arch/control-registers.ts";
import { access } from "../arch/descriptors.ts";
import { RFLAGS } from "../arch/flags.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";

/** Questions about the operating mode, answered from state alone. All are cheap: no bigint, no allocation. */

const cr0Offset = offsetOf("CR0");
const eferOffset = offsetOf("IA32_EFER");
const flagsOffset = offsetOf("RFLAGS");
const csAccess = offsetOf("CS.access");
const ssAccess = offsetOf("SS.access");
const PE = Number(CR0.PE);
const LMA = Number(IA32_EFER.LMA);
const VM = Number(RFLAGS.VM);

/** Current privilege level: the DPL of SS, as in the VMCS. 3 in virtual-8086 mode, 0 in real mode. */
export const cpl = (state: CpuState): number => (state.view.getUint8(ssAccess) >> 5) & 3;

/** CR0.PE = 1 (virtual-8086 mode included). */
export const isProtected = (state: CpuState): boolean => (state.view.getUint32(cr0Offset, true) & PE) !== 0;

export const isVirtual8086 = (state: CpuState): boolean =>
  (state.view.getUint32(flagsOffset, true) & VM) !== 0;

/** Real or virtual-8086 mode: segment registers hold paragraph numbers. */
export const isRealLike = (state: CpuState): boolean => !isProtected(state) || isVirtual8086(state);

/** IA-32e mode: compatibility or 64-bit. */
export const isIa32e = (state: CpuState): boolean => (state.view.getUint32(eferOffset, true) & LMA) !== 0;

/** 64-bit mode: IA-32e mode and CS.L. */
export const is64Bit = (state: CpuState): boolean =>
  isIa32e(state) && (state.view.getUint32(csAccess, true) & access.L) !== 0;

/** Width of instruction pointers: 64 in 64-bit mode, else by CS.D. */
export const codeSize = (state: CpuState): 16 | 32 | 64 => {
  if (is64Bit(state)) return 64;
  return state.view.getUint32(csAccess, true) & access.DB ? 32 : 16;
};

/** Width of the stack pointer: 64 in 64-bit mode, else by SS.B. */
export const stackSize = (state: CpuState): 16 | 32 | 64 => {
  if (is64Bit(state)) return 64;
  return state.view.getUint32(ssAccess, true) & access.DB ? 32 : 16;
};

export const flagsLow = (state: CpuState): number => state.view.getUint32(flagsOffset, true);

export const iopl = (state: CpuState): number => (flagsLow(state) >> 12) & 3;

const halves = new Int32Array(2);
const whole = new BigUint64Array(halves.buffer);

/** Bits 63 ... linearAddressBits-1 all equal. */
export const isCanonical = (address: bigint, linearAddressBits: number): boolean => {
  whole[0] = address;
  const top = halves[1]! >> (linearAddressBits - 33);
  return top === 0 || top === -1;
};

/** Is an address with this high half canonical? Its low half has no say: linear addresses have more than 32 bits. */
export const isCanonicalHigh = (high: number, bits: number): boolean => {
  // bits 63 ... bits-1 all equal; bits is 48 or 57
  const top = (high | 0) >> (bits - 33);
  return top === 0 || top === -1;
};
