import { CR0, CR4 } from "../arch/control-registers.ts";
import { Exception } from "../arch/exceptions.ts";
import { extendedComponents, initialMXCSR, legacyArea, MXCSR_MASK, xsaveHeader } from "../arch/xsave-area.ts";
import type { Instruction } from "../isa/instruction.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault, type ProcedureOutcome } from "./core.ts";
import {
  clearXmm,
  component,
  componentsInUse,
  hasInitialMXCSR,
  initialiseX87,
  packMXCSR,
  packX87,
  packXmm,
  unpackX87,
  unpackXmm,
  xmmCount,
} from "./fpu-image.ts";
import { dataRead, dataWrite, placeLinear, readLinearBytes, writeLinearBytes } from "./linear-memory.ts";
import { linearOfOperand } from "./operands.ts";
import { GP, UD } from "./segmentation.ts";

/**
 * FXSAVE, FXRSTOR and the XSAVE feature set (SDM Vol. 1, "Managing State Using the XSAVE Feature Set"). An area within one page of
 * RAM is read and written where it is, any other one by way of a copy.
 */

type Procedure = (core: Core, instruction: Instruction) => ProcedureOutcome;

const NM = (): Fault => new Fault(Exception.NM);

const [TS, EM, OSXSAVE] = [Number(CR0.TS), Number(CR0.EM), Number(CR4.OSXSAVE)];
const cr0Offset = offsetOf("CR0");
const cr4Offset = offsetOf("CR4");
const raxOffset = offsetOf("RAX");
const xcr0Offset = offsetOf("XCR0");
const xssOffset = offsetOf("IA32_XSS");
const mxcsrOffset = offsetOf("MXCSR");

/** XCOMP_BV bit 63, of its high half: the area is in compacted format. */
const compacted = 0x8000_0000;

/** The copy. */
const copyBytes = new Uint8Array(4096);
const copyView = new DataView(copyBytes.buffer);

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

/** Where bytes `from` to `to` of an area are to be read: their offset in memory, or -1 when they are in the copy now. */
const readPlace = (core: Core, address: bigint, from: number, to: number, access: number): number | Fault => {
  const at = from === 0 ? address : address + BigInt(from);
  const place = placeLinear(core, at, to - from, access);
  if (place instanceof Fault || place >= 0) return place;
  return readLinearBytes(core, at, copyBytes.subarray(from, to), access) ?? -1;
};

const fxUnavailable = ({ state: { view } }: Core): Fault | undefined =>
  view.getUint32(cr0Offset, true) & (TS | EM) ? NM() : undefined;

export const FXSAVE: Procedure = (core, instruction) => {
  const unavailable = fxUnavailable(core);
  if (unavailable) return unavailable;
  const access = dataWrite(core);
  const address = areaAddress(core, instruction, legacyArea.bytes, 16, access);
  if (address instanceof Fault) return address;
  const place = placeLinear(core, address, legacyArea.bytes, access);
  if (place instanceof Fault) return place;
  const { state } = core;
  const view = place < 0 ? copyView : core.physical.view!;
  const base = place < 0 ? 0 : place;
  packX87(core, view, base, instruction.operandSize === 64);
  packMXCSR(state, view, base);
  packXmm(state, 0, view, base + legacyArea.XMM0);
  if (place >= 0) return undefined;
  // Bytes 511:464 are software's; the XMM registers that the mode has not are not written.
  const end = legacyArea.XMM0 + 16 * xmmCount(state);
  return writeLinearBytes(core, address, copyBytes.subarray(0, end), access);
};

export const FXRSTOR: Procedure = (core, instruction) => {
  const unavailable = fxUnavailable(core);
  if (unavailable) return unavailable;
  const access = dataRead(core);
  const address = areaAddress(core, instruction, legacyArea.bytes, 16, access);
  if (address instanceof Fault) return address;
  const place = readPlace(core, address, 0, legacyArea.bytes, access);
  if (place instanceof Fault) return place;
  const view = place < 0 ? copyView : core.physical.view!;
  const base = place < 0 ? 0 : place;
  const mxcsr = view.getUint32(base + legacyArea.MXCSR, true);
  if (mxcsr & ~MXCSR_MASK) return GP(0);
  unpackX87(core, view, base, instruction.operandSize === 64);
  core.state.view.setUint32(mxcsrOffset, mxcsr, true);
  unpackXmm(core.state, 0, view, base + legacyArea.XMM0);
  return undefined;
};

/** Where the AVX component is in the area of these components, if it is one of them, and where the area ends. */
const [avx] = extendedComponents;
const avxPlace = (isCompacted: boolean): number => (isCompacted ? xsaveHeader.end : avx.offset);
const areaEnd = (components: number, isCompacted: boolean): number =>
  components & component.AVX ? avxPlace(isCompacted) + avx.bytes : xsaveHeader.end;

/** Bytes of an XSAVE area that holds these components: CPUID leaf 0DH. */
export const xsaveAreaBytes = (components: bigint, isCompacted: boolean): number =>
  areaEnd(Number(components & 0xffff_ffffn), isCompacted);

/** Components that XCR0 (and IA32_XSS) enable. None has a number above 31. */
const enabledComponents = ({ state: { view } }: Core, supervisor: boolean): number =>
  view.getUint32(xcr0Offset, true) | (supervisor ? view.getUint32(xssOffset, true) : 0);

/** Those of them that EDX:EAX asks for. */
const requested = ({ state: { view } }: Core, enabled: number): number =>
  enabled & view.getUint32(raxOffset, true);

const xUnavailable = ({ state: { view } }: Core): Fault | undefined => {
  if (!(view.getUint32(cr4Offset, true) & OSXSAVE)) return UD();
  return view.getUint32(cr0Offset, true) & TS ? NM() : undefined;
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
    const { isCompacted } = form;
    const wanted = requested(core, enabledComponents(core, form.supervisor));
    const end = areaEnd(wanted, isCompacted);
    const access = dataWrite(core);
    const address = areaAddress(core, instruction, end, 64, access);
    if (address instanceof Fault) return address;
    const place = placeLinear(core, address, end, access);
    if (place instanceof Fault) return place;
    let inUse = componentsInUse(state);
    if (isCompacted && !hasInitialMXCSR(state)) inUse |= component.SSE;
    const saved = form.initOptimisation ? wanted & inUse : wanted;

    // Only what is saved is written: the rest of the area keeps its bytes.
    const view = place < 0 ? copyView : core.physical.view!;
    const base = place < 0 ? 0 : place;
    const write = (from: number, to: number): Fault | undefined =>
      place < 0
        ? writeLinearBytes(core, address + BigInt(from), copyBytes.subarray(from, to), access)
        : undefined;
    if (saved & component.x87) {
      packX87(core, view, base, instruction.operandSize === 64);
      write(0, legacyArea.MXCSR);
      write(legacyArea.ST0, legacyArea.XMM0);
    }
    if (isCompacted ? saved & component.SSE : wanted & (component.SSE | component.AVX)) {
      packMXCSR(state, view, base);
      write(legacyArea.MXCSR, legacyArea.ST0);
    }
    if (saved & component.SSE) {
      packXmm(state, 0, view, base + legacyArea.XMM0);
      write(legacyArea.XMM0, legacyArea.XMM0 + 16 * xmmCount(state));
    }
    if (saved & component.AVX) {
      const at = avxPlace(isCompacted);
      packXmm(state, 16, view, base + at);
      write(at, at + 16 * xmmCount(state));
    }
    const stateBv = base + xsaveHeader.XSTATE_BV;
    if (isCompacted) {
      view.setUint32(stateBv, wanted & inUse, true);
      view.setUint32(stateBv + 4, 0, true);
      view.setUint32(base + xsaveHeader.XCOMP_BV, wanted, true);
      view.setUint32(base + xsaveHeader.XCOMP_BV + 4, compacted, true);
      return write(xsaveHeader.offset, xsaveHeader.XCOMP_BV + 8);
    }
    if (place < 0) {
      const header = copyBytes.subarray(xsaveHeader.XSTATE_BV, xsaveHeader.XSTATE_BV + 8);
      const from = address + BigInt(xsaveHeader.XSTATE_BV);
      const fault = readLinearBytes(core, from, header, dataRead(core));
      if (fault) return fault;
    }
    view.setUint32(stateBv, (view.getUint32(stateBv, true) & ~wanted) | (inUse & wanted), true);
    return write(xsaveHeader.XSTATE_BV, xsaveHeader.XSTATE_BV + 8);
  };

export const XSAVE = save({ initOptimisation: false, isCompacted: false, supervisor: false });
export const XSAVEOPT = save({ initOptimisation: true, isCompacted: false, supervisor: false });
export const XSAVEC = save({ initOptimisation: true, isCompacted: true, supervisor: false });
export const XSAVES = save({ initOptimisation: true, isCompacted: true, supervisor: true });

const isZero = (view: DataView, from: number, to: number): boolean => {
  for (let at = from; at < to; at += 4) if (view.getUint32(at, true) !== 0) return false;
  return true;
};

/** Is the header one that XRSTOR (XRSTORS: `supervisor`) accepts? */
const headerValid = (
  core: Core,
  view: DataView,
  base: number,
  enabled: number,
  supervisor: boolean,
): boolean => {
  const stateBv = view.getUint32(base + xsaveHeader.XSTATE_BV, true);
  const compBv = view.getUint32(base + xsaveHeader.XCOMP_BV, true);
  const compHigh = view.getUint32(base + xsaveHeader.XCOMP_BV + 4, true);
  const stateHigh = view.getUint32(base + xsaveHeader.XSTATE_BV + 4, true);
  const reserved = base + xsaveHeader.XCOMP_BV + 8;
  if (compHigh & compacted) {
    if (!supervisor && !core.model.has("XSAVEC")) return false;
    if (compHigh !== compacted || compBv & ~enabled) return false;
    // Bit 63 of XSTATE_BV is not looked at: "in the range 62:0".
    if (stateBv & ~compBv || stateHigh & ~compacted) return false;
    return isZero(view, reserved, reserved + 48);
  }
  if (supervisor || stateHigh !== 0) return false;
  return (stateBv & ~enabled) === 0 && compBv === 0 && compHigh === 0 && isZero(view, reserved, reserved + 8);
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
    const place = readPlace(core, address, 0, xsaveHeader.end, access);
    if (place instanceof Fault) return place;
    const view = place < 0 ? copyView : core.physical.view!;
    const base = place < 0 ? 0 : place;
    const enabled = enabledComponents(core, supervisor);
    if (!headerValid(core, view, base, enabled, supervisor)) return GP(0);
    const compBv = view.getUint32(base + xsaveHeader.XCOMP_BV, true);
    const isCompacted = (view.getUint32(base + xsaveHeader.XCOMP_BV + 4, true) & compacted) !== 0;
    const wanted = requested(core, enabled);
    const present = wanted & view.getUint32(base + xsaveHeader.XSTATE_BV, true);
    const end = areaEnd(isCompacted ? compBv : wanted, isCompacted);
    let extended: number | Fault = -1;
    if (end > xsaveHeader.end) {
      const whole = linearOfOperand(core, instruction, 0, end, access);
      if (whole instanceof Fault) return whole;
      extended = readPlace(core, address, xsaveHeader.end, end, access);
      if (extended instanceof Fault) return extended;
    }
    const mxcsr = view.getUint32(base + legacyArea.MXCSR, true);
    const loadsMXCSR =
      (isCompacted ? present & component.SSE : wanted & (component.SSE | component.AVX)) !== 0;
    if (loadsMXCSR && mxcsr & ~MXCSR_MASK) return GP(0);

    if (present & component.x87) unpackX87(core, view, base, instruction.operandSize === 64);
    else if (wanted & component.x87) initialiseX87(state);
    if (loadsMXCSR) state.view.setUint32(mxcsrOffset, mxcsr, true);
    else if (wanted & component.SSE) state.view.setUint32(mxcsrOffset, initialMXCSR, true);
    if (present & component.SSE) unpackXmm(state, 0, view, base + legacyArea.XMM0);
    else if (wanted & component.SSE) clearXmm(state, 0);
    if (present & component.AVX) {
      // Just behind the header, in either format.
      if (extended < 0) unpackXmm(state, 16, copyView, avxPlace(isCompacted));
      else unpackXmm(state, 16, core.physical.view!, extended);
    } else if (wanted & component.AVX) clearXmm(state, 16);
    return undefined;
  };

export const XRSTOR = restore(false);
export const XRSTORS = restore(true);
