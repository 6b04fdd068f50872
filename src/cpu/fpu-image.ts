import { XCR0 } from "../arch/control-registers.ts";
import { initialFCW, initialMXCSR, legacyArea, MXCSR_MASK } from "../arch/xsave-area.ts";
import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";
import type { Core } from "./core.ts";
import { is64Bit } from "./mode.ts";

/**
 * State of the x87, SSE and AVX units, and its image in memory, to and fro. Hot where an operating system switches it: words, no
 * bigint. `area` is memory, `base` where in it the FXSAVE or XSAVE area begins.
 */

/** Components as bits of XCR0 and XSTATE_BV. */
export const component = { x87: Number(XCR0.x87), SSE: Number(XCR0.SSE), AVX: Number(XCR0.AVX) } as const;

const place = {
  FCW: offsetOf("FCW"),
  FSW: offsetOf("FSW"),
  FTW: offsetOf("FTW"),
  FOP: offsetOf("FOP"),
  FIP: offsetOf("FIP"),
  FDP: offsetOf("FDP"),
  FCS: offsetOf("FCS"),
  FDS: offsetOf("FDS"),
  MXCSR: offsetOf("MXCSR"),
} as const;
const x87Offset = Array.from({ length: 8 }, (_, n) => offsetOf(`x87.${n}`));
const xmmOffset = Array.from({ length: 16 }, (_, n) => offsetOf(`XMM${n}`));

/** XMM registers that the mode has. */
export const xmmCount = (state: CpuState): number => (is64Bit(state) ? 16 : 8);

const x87InUse = ({ view }: CpuState): boolean => {
  if (
    view.getUint32(place.FCW, true) !== initialFCW ||
    view.getUint32(place.FTW, true) !== 0xffff ||
    (view.getUint32(place.FSW, true) |
      view.getUint32(place.FOP, true) |
      view.getUint32(place.FCS, true) |
      view.getUint32(place.FDS, true) |
      view.getUint32(place.FIP, true) |
      view.getUint32(place.FIP + 4, true) |
      view.getUint32(place.FDP, true) |
      view.getUint32(place.FDP + 4, true)) !==
      0
  )
    return true;
  for (let n = 0; n < 8; n++) {
    const at = x87Offset[n]!;
    if (view.getInt32(at, true) | view.getInt32(at + 4, true) | view.getUint16(at + 8, true)) return true;
  }
  return false;
};

/** Is any of bytes from ... from + 15 of an XMM register that the mode has not 0? */
const xmmInUse = (state: CpuState, from: number): boolean => {
  const { view } = state;
  const count = xmmCount(state);
  for (let n = 0; n < count; n++) {
    const at = xmmOffset[n]! + from;
    if (
      view.getInt32(at, true) |
      view.getInt32(at + 4, true) |
      view.getInt32(at + 8, true) |
      view.getInt32(at + 12, true)
    )
      return true;
  }
  return false;
};

/** XINUSE: components that are not in their initial configuration. MXCSR does not count. */
export const componentsInUse = (state: CpuState): number =>
  (x87InUse(state) ? component.x87 : 0) |
  (xmmInUse(state, 0) ? component.SSE : 0) |
  (xmmInUse(state, 16) ? component.AVX : 0);

export const hasInitialMXCSR = ({ view }: CpuState): boolean =>
  view.getUint32(place.MXCSR, true) === initialMXCSR;

const copy16 = (from: DataView, fromOffset: number, to: DataView, toOffset: number): void => {
  to.setInt32(toOffset, from.getInt32(fromOffset, true), true);
  to.setInt32(toOffset + 4, from.getInt32(fromOffset + 4, true), true);
  to.setInt32(toOffset + 8, from.getInt32(fromOffset + 8, true), true);
  to.setInt32(toOffset + 12, from.getInt32(fromOffset + 12, true), true);
};

const clear16 = (view: DataView, offset: number): void => {
  view.setInt32(offset, 0, true);
  view.setInt32(offset + 4, 0, true);
  view.setInt32(offset + 8, 0, true);
  view.setInt32(offset + 12, 0, true);
};

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
export const packX87 = (core: Core, area: DataView, base: number, wide: boolean): void => {
  const { state, model } = core;
  const { view } = state;
  const status = view.getUint32(place.FSW, true);
  area.setUint16(base + legacyArea.FCW, view.getUint32(place.FCW, true), true);
  area.setUint16(base + legacyArea.FSW, status, true);
  area.setUint16(base + legacyArea.FTW, abridge(view.getUint32(place.FTW, true)), true);
  area.setUint16(base + legacyArea.FOP, view.getUint32(place.FOP, true), true);
  const selectors = wide || !model.has("FCS_FDS_DEPRECATED");
  const [second, fourth] = wide ? [place.FIP + 4, place.FDP + 4] : [place.FCS, place.FDS];
  const mask = wide ? -1 : 0xffff;
  area.setUint32(base + legacyArea.FIP, view.getUint32(place.FIP, true), true);
  area.setUint32(base + legacyArea.FCS, selectors ? view.getUint32(second, true) & mask : 0, true);
  area.setUint32(base + legacyArea.FDP, view.getUint32(place.FDP, true), true);
  area.setUint32(base + legacyArea.FDS, selectors ? view.getUint32(fourth, true) & mask : 0, true);
  const top = (status >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const at = base + legacyArea.ST0 + 16 * i;
    const register = x87Offset[(top + i) & 7]!;
    area.setInt32(at, view.getInt32(register, true), true);
    area.setInt32(at + 4, view.getInt32(register + 4, true), true);
    area.setUint32(at + 8, view.getUint16(register + 8, true), true);
    area.setUint32(at + 12, 0, true);
  }
};

export const unpackX87 = ({ state }: Core, area: DataView, base: number, wide: boolean): void => {
  const { view } = state;
  const control = (area.getUint16(base + legacyArea.FCW, true) & 0x1f7f) | 0x40;
  view.setUint32(place.FCW, control, true);
  // ES and B follow from the flags and masks.
  const flags = area.getUint16(base + legacyArea.FSW, true) & 0x7f7f;
  const status = flags & ~control & 0x3f ? flags | 0x8080 : flags;
  view.setUint32(place.FSW, status, true);
  view.setUint32(place.FOP, area.getUint16(base + legacyArea.FOP, true) & 0x7ff, true);
  view.setUint32(place.FIP, area.getUint32(base + legacyArea.FIP, true), true);
  view.setUint32(place.FIP + 4, wide ? area.getUint32(base + legacyArea.FIP + 4, true) : 0, true);
  view.setUint32(place.FDP, area.getUint32(base + legacyArea.FDP, true), true);
  view.setUint32(place.FDP + 4, wide ? area.getUint32(base + legacyArea.FDP + 4, true) : 0, true);
  view.setUint32(place.FCS, wide ? 0 : area.getUint16(base + legacyArea.FCS, true), true);
  view.setUint32(place.FDS, wide ? 0 : area.getUint16(base + legacyArea.FDS, true), true);
  const top = (status >> 11) & 7;
  for (let i = 0; i < 8; i++) {
    const at = base + legacyArea.ST0 + 16 * i;
    const register = x87Offset[(top + i) & 7]!;
    view.setInt32(register, area.getInt32(at, true), true);
    view.setInt32(register + 4, area.getInt32(at + 4, true), true);
    view.setUint32(register + 8, area.getUint16(at + 8, true), true);
    view.setUint32(register + 12, 0, true);
  }
  view.setUint32(place.FTW, expandTags(state, area.getUint8(base + legacyArea.FTW)), true);
};

/** FNINIT, and the registers too: the x87 component's initial configuration. */
export const initialiseX87 = ({ view }: CpuState): void => {
  view.setUint32(place.FCW, initialFCW, true);
  view.setUint32(place.FTW, 0xffff, true);
  view.setUint32(place.FSW, 0, true);
  view.setUint32(place.FOP, 0, true);
  view.setUint32(place.FCS, 0, true);
  view.setUint32(place.FDS, 0, true);
  for (let half = 0; half < 8; half += 4) {
    view.setUint32(place.FIP + half, 0, true);
    view.setUint32(place.FDP + half, 0, true);
  }
  for (let n = 0; n < 8; n++) clear16(view, x87Offset[n]!);
};

/** Bytes from ... from + 15 of the XMM registers that the mode has, one after the other. */
export const packXmm = (state: CpuState, from: number, area: DataView, at: number): void => {
  const count = xmmCount(state);
  for (let n = 0; n < count; n++) copy16(state.view, xmmOffset[n]! + from, area, at + 16 * n);
};

export const unpackXmm = (state: CpuState, from: number, area: DataView, at: number): void => {
  const count = xmmCount(state);
  for (let n = 0; n < count; n++) copy16(area, at + 16 * n, state.view, xmmOffset[n]! + from);
};

/** The same bytes <- 0. */
export const clearXmm = (state: CpuState, from: number): void => {
  const count = xmmCount(state);
  for (let n = 0; n < count; n++) clear16(state.view, xmmOffset[n]! + from);
};

export const packMXCSR = ({ view }: CpuState, area: DataView, base: number): void => {
  area.setUint32(base + legacyArea.MXCSR, view.getUint32(place.MXCSR, true), true);
  area.setUint32(base + legacyArea.MXCSR_MASK, MXCSR_MASK, true);
};
