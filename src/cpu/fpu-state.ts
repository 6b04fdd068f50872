import { CR0, CR4, XCR0 } from "../arch/control-registers.ts";
import { Exception } from "../arch/exceptions.ts";
import {
  compacted,
  extendedComponents,
  initialFCW,
  initialMXCSR,
  legacyArea,
  MXCSR_MASK,
  xsaveHeader,
} from "../arch/xsave-area.ts";
import type { Instruction } from "../isa/instruction.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import { dataRead, dataWrite, probeLinear, readLinearBytes, writeLinearBytes } from "./linear-memory.ts";
import { is64Bit } from "./mode.ts";
import { linearOfOperand } from "./operands.ts";
import { GP, UD } from "./segmentation.ts";

/** FXSAVE, FXRSTOR and the XSAVE feature set (SDM Vol. 1, "Managing State Using the XSAVE Feature Set"). */

type Procedure = (core: Core, instruction: Instruction) => ProcedureOutcome;

const NM = (): Fault => new Fault(Exception.NM);

const x87Offset = Array.from({ length: 8 }, (_, n) => offsetOf(`x87.${n}`));
const xmmOffset = Array.from({ length: 16 }, (_, n) => offsetOf(`XMM${n}`));

/** XMM registers that the mode has. */
const xmmCount = (state: CpuState): number => (is64Bit(state) ? 16 : 8);

const x87InUse = (state: CpuState): boolean => {
  if (state.FCW !== initialFCW || state.FSW !== 0 || state.FTW !== 0xffff || state.FOP !== 0) return true;
  if (state.FIP !== 0n || state.FDP !== 0n || state.FCS !== 0 || state.FDS !== 0) return true;
  const { view } = state;
  for (const at of x87Offset)
    if (view.getInt32(at, true) | view.getInt32(at + 4, true) | view.getUint16(at + 8, true)) return true;
  return false;
};

/** Is any of bytes from ... from + 15 of an XMM register that the mode has not 0? */
const xmmInUse = (state: CpuState, from: number): boolean => {
  const { view } = state;
  const count = xmmCount(state);
  for (let n = 0; n < count; n++)
    for (let at = xmmOffset[n]! + from; at < xmmOffset[n]! + from + 16; at += 4)
      if (view.getInt32(at, true)) return true;
  return false;
};

/** Copy `length` bytes (a multiple of 4) between views. */
const copy = (from: DataView, fromOffset: number, to: DataView, toOffset: number, length: number): void => {
  for (let at = 0; at < length; at += 4)
    to.setInt32(toOffset + at, from.getInt32(fromOffset + at, true), true);
};

const clear = (view: DataView, offset: number, length: number): void => {
  for (let at = 0; at < length; at += 4) view.setInt32(offset + at, 0, true);
};

/** XINUSE: components that are not in their initial configuration. MXCSR does not count. */
export const componentsInUse = (state: CpuState): bigint =>
  (x87InUse(state) ? XCR0.x87 : 0n) |
  (xmmInUse(state, 0) ? XCR0.SSE : 0n) |
  (xmmInUse(state, 16) ? XCR0.AVX : 0n);

// The tag word: two bits a physical register in state, one bit (not empty) in memory.

const abridge = (tags: number): number => {
  let bits = 0;
  for (let n = 0; n < 8; n++) if (((tags >> (2 * n)) & 3) !== 3) bits |= 1 << n;
  return bits;
};

/** Valid, zero or special, by the register's contents (SDM Vol. 2, FXRSTOR). */
const tagOf = (view: DataView, at: number): number => {
  const exponent = view.getUint16(at + 8, true) & 0x7fff;
  const high = view.getInt32(at + 4, true);
  if (exponent === 0) return (high | view.getInt32(at, true)) === 0 ? 1 : 2;
  return exponent === 0x7fff || high >= 0 ? 2 : 0;
};

const expandTags = (state: CpuState, bits: number): number => {
  let tags = 0;
  for (let n = 0; n < 8; n++) tags |= (bits & (1 << n) ? tagOf(state.view, x87Offset[n]!) : 3) << (2 * n);
  return tags;
};

/** x87 part of the legacy area: bytes 23:0 and 159:32. `wide`: 64-bit instruction and data pointers. */
const packX87 = (core: Core, area: DataView, wide: boolean): void => {
  const { state, model } = core;
  area.setUint16(legacyArea.FCW, state.FCW, true);
  area.setUint16(legacyArea.FSW, state.FSW, true);
  area.setUint16(legacyArea.FTW, abridge(state.FTW), true);
  area.setUint16(legacyArea.FOP, state.FOP, true);
  if (wide) {
    area.setBigUint64(legacyArea.FIP, state.FIP, true);
    area.setBigUint64(legacyArea.FDP, state.FDP, true);
  } else {
    const selectors = !model.has("FCS_FDS_DEPRECATED");
    area.setUint32(legacyArea.FIP, state.low32("FIP"), true);
    area.setUint32(legacyArea.FCS, selectors ? state.FCS & 0xffff : 0, true);
    area.setUint32(legacyArea.FDP, state.low32("FDP"), true);
    area.setUint32(legacyArea.FDS, selectors ? state.FDS & 0xffff : 0, true);
  }
  const top = (state.FSW >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const at = legacyArea.ST0 + 16 * i;
    copy(state.view, x87Offset[(top + i) & 7]!, area, at, 8);
    area.setUint32(at + 8, state.view.getUint16(x87Offset[(top + i) & 7]! + 8, true), true);
    area.setUint32(at + 12, 0, true);
  }
};

const unpackX87 = (core: Core, area: DataView, wide: boolean): void => {
  const { state } = core;
  state.FCW = (area.getUint16(legacyArea.FCW, true) & 0x1f7f) | 0x40;
  // ES and B follow from the flags and masks.
  const status = area.getUint16(legacyArea.FSW, true) & 0x7f7f;
  state.FSW = status & ~state.FCW & 0x3f ? status | 0x8080 : status;
  state.FOP = area.getUint16(legacyArea.FOP, true) & 0x7ff;
  if (wide) {
    state.FIP = area.getBigUint64(legacyArea.FIP, true);
    state.FDP = area.getBigUint64(legacyArea.FDP, true);
    state.FCS = state.FDS = 0;
  } else {
    state.FIP = BigInt(area.getUint32(legacyArea.FIP, true));
    state.FDP = BigInt(area.getUint32(legacyArea.FDP, true));
    state.FCS = area.getUint16(legacyArea.FCS, true);
    state.FDS = area.getUint16(legacyArea.FDS, true);
  }
  const top = (state.FSW >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const at = legacyArea.ST0 + 16 * i;
    const register = x87Offset[(top + i) & 7]!;
    copy(area, at, state.view, register, 8);
    state.view.setUint32(register + 8, area.getUint16(at + 8, true), true);
    state.view.setUint32(register + 12, 0, true);
  }
  state.FTW = expandTags(state, area.getUint8(legacyArea.FTW));
};

/** FNINIT, and the registers too: the x87 component's initial configuration. */
const initialiseX87 = (state: CpuState): void => {
  state.FCW = initialFCW;
  state.FSW = state.FOP = state.FCS = state.FDS = 0;
  state.FTW = 0xffff;
  state.FIP = state.FDP = 0n;
  for (const at of x87Offset) clear(state.view, at, 16);
};

const packXmm = (state: CpuState, area: DataView): void => {
  const count = xmmCount(state);
  for (let n = 0; n < count; n++) copy(state.view, xmmOffset[n]!, area, legacyArea.XMM0 + 16 * n, 16);
};

const unpackXmm = (state: CpuState, area: DataView): void => {
  const count = xmmCount(state);
  for (let n = 0; n < count; n++) copy(area, legacyArea.XMM0 + 16 * n, state.view, xmmOffset[n]!, 16);
};

/** Bytes from ... from + 15 of the XMM registers that the mode has <- 0. */
const clearXmm = (state: CpuState, from: number): void => {
  const count = xmmCount(state);
  for (let n = 0; n < count; n++) clear(state.view, xmmOffset[n]! + from, 16);
};

const packMXCSR = (state: CpuState, area: DataView): void => {
  area.setUint32(legacyArea.MXCSR, state.MXCSR, true);
  area.setUint32(legacyArea.MXCSR_MASK, MXCSR_MASK, true);
};

/** Linear address of the area of `bytes` bytes, aligned as it must be. */
const areaAddress = (
  core: Core,
  instruction: Instruction,
  bytes: number,
  alignment: number,
  access: number,
): bigint | Fault => {
  const linear = linearOfOperand(core, instruction, 0, bytes, access);
  if (linear instanceof Fault) return linear;
  return linear & BigInt(alignment - 1) ? GP(0) : linear;
};

const fxUnavailable = ({ state }: Core): Fault | undefined =>
  state.CR0 & (CR0.TS | CR0.EM) ? NM() : undefined;

export const FXSAVE: Procedure = (core, instruction) => {
  const unavailable = fxUnavailable(core);
  if (unavailable) return unavailable;
  const access = dataWrite(core);
  const address = areaAddress(core, instruction, legacyArea.bytes, 16, access);
  if (address instanceof Fault) return address;
  const probe = probeLinear(core, address, legacyArea.bytes, access);
  if (probe) return probe;
  const { state } = core;
  // Bytes 511:464 are software's; the XMM registers that the mode has not are not written.
  const bytes = new Uint8Array(legacyArea.XMM0 + 16 * xmmCount(state));
  const view = new DataView(bytes.buffer);
  packX87(core, view, instruction.operandSize === 64);
  packMXCSR(state, view);
  packXmm(state, view);
  return writeLinearBytes(core, address, bytes, access);
};

export const FXRSTOR: Procedure = (core, instruction) => {
  const unavailable = fxUnavailable(core);
  if (unavailable) return unavailable;
  const address = areaAddress(core, instruction, legacyArea.bytes, 16, dataRead(core));
  if (address instanceof Fault) return address;
  const bytes = new Uint8Array(legacyArea.bytes);
  const fault = readLinearBytes(core, address, bytes, dataRead(core));
  if (fault) return fault;
  const view = new DataView(bytes.buffer);
  const mxcsr = view.getUint32(legacyArea.MXCSR, true);
  if (mxcsr & ~MXCSR_MASK) return GP(0);
  unpackX87(core, view, instruction.operandSize === 64);
  core.state.MXCSR = mxcsr;
  unpackXmm(core.state, view);
  return undefined;
};

/** Place and size of the extended components of `layout`, in standard or compacted format, and where the area ends. */
const placeComponents = (
  layout: bigint,
  isCompacted: boolean,
): { places: { number: number; offset: number; bytes: number }[]; end: number } => {
  let end: number = xsaveHeader.end;
  const places = [];
  for (const { number, offset, bytes } of extendedComponents) {
    if (!(layout & (1n << BigInt(number)))) continue;
    const at = isCompacted ? end : offset;
    places.push({ number, offset: at, bytes });
    end = at + bytes;
  }
  return { places, end };
};

/** Bytes of an XSAVE area that holds these components: CPUID leaf 0DH. */
export const xsaveAreaBytes = (components: bigint, isCompacted: boolean): number =>
  placeComponents(components, isCompacted).end;

const requested = ({ state }: Core, enabled: bigint): bigint =>
  enabled & (((state.RDX & 0xffff_ffffn) << 32n) | (state.RAX & 0xffff_ffffn));

const xUnavailable = ({ state }: Core): Fault | undefined => {
  if (!(state.CR4 & CR4.OSXSAVE)) return UD();
  return state.CR0 & CR0.TS ? NM() : undefined;
};

interface SaveForm {
  /** Components in their initial configuration are not written. */
  readonly initOptimisation: boolean;
  readonly isCompacted: boolean;
  readonly supervisor: boolean;
}

const save =
  (form: SaveForm): Procedure =>
  (core, instruction) => {
    const unavailable = xUnavailable(core);
    if (unavailable) return unavailable;
    const { state } = core;
    const wanted = requested(core, form.supervisor ? state.XCR0 | state.IA32_XSS : state.XCR0);
    const { places, end } = placeComponents(wanted, form.isCompacted);
    const access = dataWrite(core);
    const address = areaAddress(core, instruction, end, 64, access);
    if (address instanceof Fault) return address;
    const probe = probeLinear(core, address, end, access);
    if (probe) return probe;
    let inUse = componentsInUse(state);
    if (form.isCompacted && state.MXCSR !== initialMXCSR) inUse |= XCR0.SSE;
    const saved = form.initOptimisation ? wanted & inUse : wanted;

    // Only what is saved is written: the rest of the area keeps its bytes.
    const area = new Uint8Array(end);
    const view = new DataView(area.buffer);
    const write = (from: number, to: number): Fault | undefined =>
      writeLinearBytes(core, address + BigInt(from), area.subarray(from, to), access);
    if (saved & XCR0.x87) {
      packX87(core, view, instruction.operandSize === 64);
      write(0, legacyArea.MXCSR);
      write(legacyArea.ST0, legacyArea.XMM0);
    }
    const mxcsrFor = form.isCompacted ? saved & XCR0.SSE : wanted & (XCR0.SSE | XCR0.AVX);
    if (mxcsrFor) {
      packMXCSR(state, view);
      write(legacyArea.MXCSR, legacyArea.ST0);
    }
    if (saved & XCR0.SSE) {
      packXmm(state, view);
      write(legacyArea.XMM0, legacyArea.XMM0 + 16 * xmmCount(state));
    }
    for (const { number, offset } of places)
      if (saved & (1n << BigInt(number))) {
        for (let n = 0; n < xmmCount(state); n++)
          copy(state.view, xmmOffset[n]! + 16, view, offset + 16 * n, 16);
        write(offset, offset + 16 * xmmCount(state));
      }
    if (form.isCompacted) {
      view.setBigUint64(xsaveHeader.XSTATE_BV, wanted & inUse, true);
      view.setBigUint64(xsaveHeader.XCOMP_BV, wanted | compacted, true);
      return write(xsaveHeader.offset, xsaveHeader.XCOMP_BV + 8);
    }
    const header = new Uint8Array(8);
    const fault = readLinearBytes(core, address + BigInt(xsaveHeader.XSTATE_BV), header, dataRead(core));
    if (fault) return fault;
    const before = new DataView(header.buffer).getBigUint64(0, true);
    view.setBigUint64(xsaveHeader.XSTATE_BV, (before & ~wanted) | (inUse & wanted), true);
    return write(xsaveHeader.XSTATE_BV, xsaveHeader.XSTATE_BV + 8);
  };

export const XSAVE = save({ initOptimisation: false, isCompacted: false, supervisor: false });
export const XSAVEOPT = save({ initOptimisation: true, isCompacted: false, supervisor: false });
export const XSAVEC = save({ initOptimisation: true, isCompacted: true, supervisor: false });
export const XSAVES = save({ initOptimisation: true, isCompacted: true, supervisor: true });

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** Is the header one that XRSTOR (XRSTORS: `supervisor`) accepts? */
const headerValid = (core: Core, view: DataView, enabled: bigint, supervisor: boolean): boolean => {
  const stateBv = view.getBigUint64(xsaveHeader.XSTATE_BV, true);
  const compBv = view.getBigUint64(xsaveHeader.XCOMP_BV, true);
  const reserved = new Uint8Array(view.buffer, view.byteOffset + xsaveHeader.XCOMP_BV + 8, 48);
  if (compBv & compacted) {
    if (!supervisor && !core.model.has("XSAVEC")) return false;
    if (compBv & ~compacted & ~enabled || stateBv & ~compBv) return false;
    return isZero(reserved);
  }
  if (supervisor) return false;
  return (stateBv & ~enabled) === 0n && compBv === 0n && isZero(reserved.subarray(0, 8));
};

const restore =
  (supervisor: boolean): Procedure =>
  (core, instruction) => {
    const unavailable = xUnavailable(core);
    if (unavailable) return unavailable;
    const { state } = core;
    const access = dataRead(core);
    const address = areaAddress(core, instruction, xsaveHeader.end, 64, access);
    if (address instanceof Fault) return address;
    const legacy = new Uint8Array(xsaveHeader.end);
    const fault = readLinearBytes(core, address, legacy, access);
    if (fault) return fault;
    const view = new DataView(legacy.buffer);
    const enabled = supervisor ? state.XCR0 | state.IA32_XSS : state.XCR0;
    if (!headerValid(core, view, enabled, supervisor)) return GP(0);
    const stateBv = view.getBigUint64(xsaveHeader.XSTATE_BV, true);
    const compBv = view.getBigUint64(xsaveHeader.XCOMP_BV, true);
    const isCompacted = (compBv & compacted) !== 0n;
    const wanted = requested(core, enabled);
    const present = wanted & stateBv;
    const { places, end } = placeComponents(isCompacted ? compBv : wanted, isCompacted);
    const extended = new Uint8Array(end - xsaveHeader.end);
    const extendedView = new DataView(extended.buffer);
    if (extended.length > 0) {
      const whole = linearOfOperand(core, instruction, 0, end, access);
      if (whole instanceof Fault) return whole;
      const late = readLinearBytes(core, address + BigInt(xsaveHeader.end), extended, access);
      if (late) return late;
    }
    const mxcsr = view.getUint32(legacyArea.MXCSR, true);
    const loadsMXCSR = isCompacted ? (present & XCR0.SSE) !== 0n : (wanted & (XCR0.SSE | XCR0.AVX)) !== 0n;
    if (loadsMXCSR && mxcsr & ~MXCSR_MASK) return GP(0);

    if (present & XCR0.x87) unpackX87(core, view, instruction.operandSize === 64);
    else if (wanted & XCR0.x87) initialiseX87(state);
    if (loadsMXCSR) state.MXCSR = mxcsr;
    else if (wanted & XCR0.SSE) state.MXCSR = initialMXCSR;
    if (present & XCR0.SSE) unpackXmm(state, view);
    else if (wanted & XCR0.SSE) clearXmm(state, 0);
    for (const { number, offset } of places) {
      const bit = 1n << BigInt(number);
      if (!(wanted & bit)) continue;
      if (!(present & bit)) {
        clearXmm(state, 16);
        continue;
      }
      const from = offset - xsaveHeader.end;
      for (let n = 0; n < xmmCount(state); n++)
        copy(extendedView, from + 16 * n, state.view, xmmOffset[n]! + 16, 16);
    }
    // A compacted area without a component that is wanted: its initial configuration.
    if (isCompacted && wanted & ~compBv & XCR0.AVX) clearXmm(state, 16);
    return undefined;
  };

export const XRSTOR = restore(false);
export const XRSTORS = restore(true);
