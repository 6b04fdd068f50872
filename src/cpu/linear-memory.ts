import { RFLAGS } from "../arch/flags.ts";
import { offsetOf } from "../state/layout.ts";
import { type Core, Fault, type PhysicalBus } from "./core.ts";
import { breakpointsEnabled, noteDataAccess } from "./debug-registers.ts";
import { cpl, is64Bit } from "./mode.ts";
import { Access, walk, walkLinear } from "./page-walk.ts";
import { TranslationCache } from "./translation-cache.ts";

/**
 * Memory by linear address for procedures. Every access translates all of its pages before it reads or writes any of
 * them, so a fault leaves nothing half done. Values are unsigned. Data breakpoints become pending debug exceptions.
 */

/** Access of an ordinary (explicit) data read at the current privilege level. */
export const dataRead = (core: Core): number => (cpl(core.state) === 3 ? Access.USER : 0);
export const dataWrite = (core: Core): number => dataRead(core) | Access.WRITE;

/** Physical addresses of the access in progress: of its first byte, and of the first byte on a second page. */
let firstAddress = 0;
let secondAddress = 0;
/** Bytes on the first page. */
let firstLength = 0;
/** Where in the APIC-access page of a guest, when it is there and virtualized; -1 elsewhere. */
let apicOffset = -1;

/** In place of a processor's translations: a walk for every access. */
const noTranslations = new TranslationCache();
const AC = Number(RFLAGS.AC);
const flagsOffset = offsetOf("RFLAGS");
const halves = new Uint32Array(2);
const whole = new BigUint64Array(halves.buffer);

const wholeOf = (low: number, high: number): bigint => {
  halves[0] = low;
  halves[1] = high;
  return whole[0]!;
};

const translate = (
  core: Core,
  address: bigint,
  size: number,
  access: number,
  translations = core.translations,
): Fault | undefined => {
  whole[0] = address;
  return translateAt(core, halves[0]!, halves[1]!, size, access, translations);
};

/** The same of an address as two halves. */
const translateAt = (
  core: Core,
  low: number,
  high: number,
  size: number,
  access: number,
  translations = core.translations,
): Fault | undefined => {
  const inPage = low & 0xfff;
  const { state } = core;
  firstLength = size;
  if (
    inPage + size <= 4096 &&
    translations !== undefined &&
    translations !== noTranslations &&
    !core.vmx?.nonRoot
  ) {
    // With SMAP what RFLAGS.AC says matters.
    const kind = access * 2 + (state.view.getUint32(flagsOffset, true) & AC ? 1 : 0);
    apicOffset = -1;
    firstAddress = translations.find(state, low, high, kind);
    if (firstAddress < 0) {
      const only = walk(core, high, low, access);
      if (only instanceof Fault) return only;
      firstAddress = only.address;
      translations.enter(state, low, high, kind, only.frame);
    }
    if (breakpointsEnabled(state))
      noteDataAccess(state, wholeOf(low, high), size, (access & Access.WRITE) !== 0);
    return undefined;
  }
  const first = walk(core, high, low, access);
  if (first instanceof Fault) return first;
  firstAddress = first.address;
  apicOffset = first.apicAccess ? inPage : -1;
  if (inPage + size > 4096) {
    firstLength = 4096 - inPage;
    const address = wholeOf(low, high);
    let next = address + BigInt(firstLength);
    // A linear address wraps at 4 GiB outside 64-bit mode.
    next = next >> 32n && address >> 32n === 0n && !is64Bit(core.state) ? 0n : BigInt.asUintN(64, next);
    const second = walkLinear(core, next, access);
    if (second instanceof Fault) return second;
    secondAddress = second.address;
    if (second.apicAccess && apicOffset < 0) apicOffset = 0;
  }
  if (apicOffset >= 0) {
    const virtual = core.vmx!.apicAccess(apicOffset, size, access);
    if (virtual instanceof Fault) return virtual;
    firstAddress = virtual;
  }
  if (breakpointsEnabled(core.state))
    noteDataAccess(core.state, wholeOf(low, high), size, (access & Access.WRITE) !== 0);
  return undefined;
};

/** A write has been carried out. */
const written = (core: Core): void => {
  if (apicOffset >= 0) core.vmx!.apicWritten(apicOffset);
};

const physicalByte = (index: number): number =>
  index < firstLength ? firstAddress + index : secondAddress + index - firstLength;

/** Two doublewords as one bigint without arithmetic on bigints. */
const words = new Uint32Array(2);
const quadword = new BigUint64Array(words.buffer);

const readPhysical = (bus: PhysicalBus, address: number, size: number): bigint => {
  if (size <= 4) return BigInt(bus.read(address, size as 1 | 2 | 4) >>> 0);
  words[0] = bus.read(address, 4);
  words[1] = bus.read(address + 4, 4);
  const low = quadword[0]!;
  return size === 8 ? low : (readPhysical(bus, address + 8, 8) << 64n) | low;
};

/** Read 1, 2, 4, 8 or 16 bytes. */
export const readLinear = (
  core: Core,
  address: bigint,
  size: number,
  access: number,
  translations = core.translations,
): bigint | Fault => {
  const fault = translate(core, address, size, access, translations);
  if (fault) return fault;
  if (firstLength === size) return readPhysical(core.physical, firstAddress, size);
  let value = 0n;
  for (let index = size - 1; index >= 0; index--)
    value = (value << 8n) | BigInt(core.physical.read(physicalByte(index), 1));
  return value;
};

/** Read 1, 2 or 4 bytes as a number. */
export const readLinearNumber = (
  core: Core,
  address: bigint,
  size: 1 | 2 | 4,
  access: number,
): number | Fault => {
  const fault = translate(core, address, size, access);
  if (fault) return fault;
  if (firstLength === size) return core.physical.read(firstAddress, size) >>> 0;
  let value = 0;
  for (let index = size - 1; index >= 0; index--)
    value = value * 256 + core.physical.read(physicalByte(index), 1);
  return value;
};

/** Low and high doubleword of the last `readLinearPair`. */
export const linearPair = new Uint32Array(2);

/** Read 8 bytes into `linearPair`: descriptors and gates, which are looked at as two halves. The address, too, is two halves. */
export const readLinearPair = (core: Core, low: number, high: number, access: number): Fault | undefined => {
  const fault = translateAt(core, low, high, 8, access);
  if (fault) return fault;
  if (firstLength === 8) {
    linearPair[0] = core.physical.read(firstAddress, 4);
    linearPair[1] = core.physical.read(firstAddress + 4, 4);
    return undefined;
  }
  for (let half = 0; half < 2; half++) {
    let value = 0;
    for (let index = 3; index >= 0; index--)
      value = value * 256 + core.physical.read(physicalByte(4 * half + index), 1);
    linearPair[half] = value;
  }
  return undefined;
};

/** Would a write of `size` bytes succeed? Sets accessed and dirty flags as the write would. */
export const probeLinear = (core: Core, address: bigint, size: number, access: number): Fault | undefined =>
  translate(core, address, size, access);

/**
 * Offset in the bus's `view` of `size` bytes that may be accessed there as this access would; -1 where that must be left to the
 * functions that read and write. A probe otherwise.
 */
export const placeLinear = (core: Core, address: bigint, size: number, access: number): number | Fault => {
  const fault = translate(core, address, size, access);
  if (fault) return fault;
  if (firstLength !== size || apicOffset >= 0 || core.physical.inPlace === undefined) return -1;
  return core.physical.inPlace(firstAddress, (access & Access.WRITE) !== 0);
};

const writePhysical = (bus: PhysicalBus, address: number, value: bigint, size: number): void => {
  if (size <= 4) {
    quadword[0] = value;
    const low = words[0]!;
    bus.write(address, size === 4 ? low : size === 2 ? low & 0xffff : low & 0xff, size as 1 | 2 | 4);
    return;
  }
  for (let at = 0; at < size; at += 8) {
    quadword[0] = at === 0 ? value : value >> BigInt(8 * at);
    const high = words[1]!;
    bus.write(address + at, words[0]!, 4);
    bus.write(address + at + 4, high, 4);
  }
};

/** Write 1, 2, 4, 8 or 16 bytes. `access` must include WRITE. */
export const writeLinear = (
  core: Core,
  address: bigint,
  value: bigint,
  size: number,
  access: number,
  translations = core.translations,
): Fault | undefined => {
  const fault = translate(core, address, size, access, translations);
  if (fault) return fault;
  const bus = core.physical;
  if (firstLength === size) {
    writePhysical(bus, firstAddress, value, size);
    written(core);
    return undefined;
  }
  for (let index = 0; index < size; index++)
    bus.write(physicalByte(index), Number((value >> BigInt(8 * index)) & 0xffn), 1);
  return undefined;
};

/**
 * Write `count` values of 2, 4 or 8 bytes, all within one page, the last one lowest: as they are pushed. `values` has their low and high
 * doublewords.
 */
export const writeFrame = (
  core: Core,
  low: number,
  high: number,
  values: Uint32Array,
  count: number,
  size: number,
  access: number,
): Fault | undefined => {
  const fault = translateAt(core, low, high, count * size, access);
  if (fault) return fault;
  const bus = core.physical;
  for (let n = 0; n < count; n++) {
    const at = firstAddress + (count - 1 - n) * size;
    const value = values[2 * n]!;
    if (size === 2) bus.write(at, value & 0xffff, 2);
    else bus.write(at, value, 4);
    if (size === 8) bus.write(at + 4, values[2 * n + 1]!, 4);
  }
  written(core);
  return undefined;
};

/** Read `count` values of 2, 4 or 8 bytes, all within one page, the lowest first: as they are popped. */
export const readFrame = (
  core: Core,
  low: number,
  high: number,
  values: Uint32Array,
  count: number,
  size: number,
  access: number,
): Fault | undefined => {
  const fault = translateAt(core, low, high, count * size, access);
  if (fault) return fault;
  const bus = core.physical;
  for (let n = 0; n < count; n++) {
    const at = firstAddress + n * size;
    values[2 * n] = bus.read(at, size === 2 ? 2 : 4);
    values[2 * n + 1] = size === 8 ? bus.read(at + 4, 4) : 0;
  }
  return undefined;
};

/** Read `bytes.length` bytes (at most a page) into `bytes`. */
export const readLinearBytes = (
  core: Core,
  address: bigint,
  bytes: Uint8Array,
  access: number,
): Fault | undefined => {
  const fault = translate(core, address, bytes.length, access);
  if (fault) return fault;
  const bus = core.physical;
  for (let index = 0; index < bytes.length; ) {
    const wide = index + 4 <= bytes.length && (index + 4 <= firstLength || index >= firstLength);
    const value = bus.read(physicalByte(index), wide ? 4 : 1);
    bytes[index] = value & 0xff;
    if (wide) {
      bytes[index + 1] = (value >>> 8) & 0xff;
      bytes[index + 2] = (value >>> 16) & 0xff;
      bytes[index + 3] = value >>> 24;
    }
    index += wide ? 4 : 1;
  }
  return undefined;
};

/** Write bytes (at most a page). */
export const writeLinearBytes = (
  core: Core,
  address: bigint,
  bytes: Uint8Array,
  access: number,
): Fault | undefined => {
  const fault = translate(core, address, bytes.length, access);
  if (fault) return fault;
  const bus = core.physical;
  for (let index = 0; index < bytes.length; ) {
    const wide = index + 4 <= bytes.length && (index + 4 <= firstLength || index >= firstLength);
    let value = bytes[index]!;
    if (wide)
      value =
        (value | (bytes[index + 1]! << 8) | (bytes[index + 2]! << 16) | (bytes[index + 3]! << 24)) >>> 0;
    bus.write(physicalByte(index), value, wide ? 4 : 1);
    index += wide ? 4 : 1;
  }
  written(core);
  return undefined;
};

/** How the evaluator reaches memory by linear address. */
export interface LinearMemory {
  read(core: Core, address: bigint, size: number, access: number): bigint | Fault;
  /** `access` must include WRITE, here and below. */
  write(core: Core, address: bigint, value: bigint, size: number, access: number): Fault | undefined;
  /** Would a write succeed? Sets accessed and dirty flags as the write would. */
  probe(core: Core, address: bigint, size: number, access: number): Fault | undefined;
}

/** Every access walks the page tables. */
export const walkedMemory: LinearMemory = {
  read: (core, address, size, access) => readLinear(core, address, size, access, noTranslations),
  write: (core, address, value, size, access) =>
    writeLinear(core, address, value, size, access, noTranslations),
  probe: (core, address, size, access) => translate(core, address, size, access, noTranslations),
};
