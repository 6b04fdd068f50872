/**
 * The operand forms of every user-mode row, and encodings of each with what their inputs need: a base register that points
 * into the data page, a small count, a return address that is code.
 */

import type { Width } from "../../src/ir/value.ts";
import { operandBits, operandPlaces, sharedRegister } from "../../src/isa/decode.ts";
import { defaultOperandSize, encode, isRefusal } from "../../src/isa/encode.ts";
import type { DecodedOperand, MemoryOperand } from "../../src/isa/instruction.ts";
import { rows } from "../../src/isa/maps/index.ts";
import type { Operand } from "../../src/isa/operands.ts";
import type { Row } from "../../src/isa/row.ts";
import { excluded } from "../../test/native/excluded.ts";
import {
  CODE_PAGE,
  DATA_PAGE,
  type Echo,
  field,
  Generator,
  GS_BASE,
  type Pin,
  type Profile,
  READ_ONLY_PAGE,
  START,
  WINDOW,
} from "../../test/native/state.ts";

type Size3 = 16 | 32 | 64;

export interface VariantPlan {
  readonly code: Uint8Array;
  readonly cases: number;
  readonly pins: readonly Pin[];
  readonly echoes: readonly Echo[];
}

export interface FormPlan {
  readonly key: string;
  readonly mnemonic: string;
  readonly mode: 64 | 32;
  readonly profile: Profile;
  readonly seed: number;
  readonly file: string;
  readonly variants: readonly VariantPlan[];
}

/** At least this many cases for each form, besides those that are made to fault. */
const CASES = 300;
const FAULT_CASES = 4;

// ------------------------------------------------------------------------------------------------------------- names

const operandName = (form: Operand): string => {
  const fixed = form.addressing === "fixed" || form.addressing === "fixedSegment" ? String(form.fixed) : "";
  const wide = form.registerSize === undefined ? "" : `/${form.registerSize}`;
  return `${form.addressing}${fixed}.${form.size}${wide}${form.signExtended ? "s" : ""}`;
};

const usesZ = (row: Row): boolean => row.operands.some(({ addressing }) => addressing === "Z");

/** The row, readable and the same as long as its line in the map is. Eight rows with their register in the opcode are one. */
export const rowKey = (row: Row): string => {
  const map = row.map === "one-byte" ? "" : `${row.map} `;
  const opcode = (usesZ(row) ? row.opcode & ~7 : row.opcode).toString(16).padStart(2, "0");
  const parts = [`${row.semantics.mnemonic} ${row.vex ? "VEX " : ""}${map}${opcode}`];
  if (row.digit !== undefined) parts.push(`/${row.digit}`);
  if (row.rm !== undefined) parts.push(`rm${row.rm}`);
  if (typeof row.prefix === "number") parts.push(row.prefix.toString(16));
  if (row.rexW !== undefined) parts.push(`W${row.rexW}`);
  if (row.mod !== undefined) parts.push(row.mod);
  parts.push(row.operands.map(operandName).join(","));
  return parts.join(" ");
};

/** FNV-1a. */
const hash = (text: string): number => {
  let value = 0x811c9dc5;
  for (let n = 0; n < text.length; n++) value = Math.imul(value ^ text.charCodeAt(n), 0x01000193);
  return value | 0;
};

const stackRows: ReadonlySet<string> = new Set([
  "PUSH",
  "POP",
  "PUSHA",
  "POPA",
  "PUSHF",
  "POPF",
  "CALL",
  "RET",
  "LEAVE",
  "ENTER",
]);
const shifts: ReadonlySet<string> = new Set([
  "ROL",
  "ROR",
  "RCL",
  "RCR",
  "SHL",
  "SHR",
  "SAR",
  "SHLD",
  "SHRD",
]);

const profileOf = (row: Row, operandSize: Size3): Profile => {
  const { mnemonic } = row.semantics;
  if (mnemonic === "DIV" || mnemonic === "IDIV")
    return `divide-${operandBits(row.operands[0]!, operandSize, false) as 8 | 16 | 32 | 64}`;
  if (row.unit === "x87" || row.unit === "fwait") return "x87";
  if (row.unit === undefined) return "integer";
  if (/^(CVT|LDMXCSR|STMXCSR)/.test(mnemonic)) return "float";
  if (
    /^(ADD|SUB|MUL|DIV|SQRT|MIN|MAX|CMP|RCP|RSQRT|HADD|HSUB|ADDSUB|COMI|UCOMI|ROUND|DP)(PS|SS)$/.test(
      mnemonic,
    )
  )
    return "float32";
  if (/^(ADD|SUB|MUL|DIV|SQRT|MIN|MAX|CMP|HADD|HSUB|ADDSUB|COMI|UCOMI|ROUND|DP)(PD|SD)$/.test(mnemonic))
    return "float64";
  return "vector";
};

// ---------------------------------------------------------------------------------------------------------- variants

const low32 = 0xffff_ffff_0000_0000n;
const set = (register: number, value: bigint): Pin => ({
  offset: field.gpr + 8 * register,
  mask: 0n,
  value: BigInt.asUintN(64, value),
});
const setLow32 = (register: number, value: bigint): Pin => ({
  offset: field.gpr + 8 * register,
  mask: low32,
  value: BigInt.asUintN(32, value),
});
const limit = (register: number, mask: bigint, add = 0n): Pin => ({
  offset: field.gpr + 8 * register,
  mask,
  value: BigInt.asUintN(64, add),
});

/** Where memory operands of ordinary variants lie: inside the window, away from its ends. */
const NOWHERE = DATA_PAGE + 0x2010;
const NONCANONICAL = 0x8000_0000_0000_0000n;

type MemoryShape = "base" | "base+index" | "index" | "rip" | "absolute" | "base32" | "gs";

interface Making {
  readonly row: Row;
  readonly mode: 64 | 32;
  readonly operandSize: Size3;
  readonly addressSize: 32 | 64;
  readonly random: Generator;
  readonly wantsMemory: boolean;
  /** Address of the memory operand. */
  readonly target: bigint;
  readonly shape: MemoryShape;
}

interface Made {
  readonly operand: DecodedOperand;
  readonly pins: readonly Pin[];
  /** RIP-relative: to be set when the length is known. */
  readonly relative: bigint | undefined;
}

const only = (operand: DecodedOperand): Made => ({ operand, pins: [], relative: undefined });

/** Registers that instructions use without naming them stay away from addresses. */
const addressRegister = (making: Making, besides: readonly number[]): number => {
  const { row, mode, random } = making;
  const limitNumber = mode === 64 ? 16 : 8;
  for (;;) {
    const register = random.below(limitNumber);
    if (besides.includes(register)) continue;
    if (register <= 2) continue; // RAX, RCX, RDX
    if (register === 4 && (stackRows.has(row.semantics.mnemonic) || random.oneIn(2))) continue;
    if (register === 5 && (row.semantics.mnemonic === "LEAVE" || row.semantics.mnemonic === "ENTER"))
      continue;
    return register;
  }
};

const makeMemory = (making: Making, width: number, taken: readonly number[]): Made => {
  const { random, mode, target, shape } = making;
  const part = (base: MemoryOperand["base"], index: number | undefined, scale: 1 | 2 | 4 | 8, displacement: bigint, gs = false): MemoryOperand => ({
    kind: "memory", segment: gs ? "GS" : base === 4 || base === 5 ? "SS" : "DS", base, index, scale, displacement, width,
  }); // biome-ignore format: one operand
  const fix = shape === "base32" ? setLow32 : set;
  const displacement = BigInt(random.pick([0, 0, 1, -1, 8, -0x80, 0x7f, 0x80, -0x81, 0x1234, -0x4321]));
  switch (shape) {
    case "rip":
      return { operand: part("RIP", undefined, 1, 0n), pins: [], relative: target };
    case "absolute":
      return only(part(undefined, undefined, 1, target));
    case "index": {
      const index = addressRegister(making, [...taken, 4]);
      const scale = random.pick([2, 4, 8] as const);
      const value = BigInt(random.below(1000) - 500);
      return {
        operand: part(undefined, index, scale, target - value * BigInt(scale)),
        pins: [fix(index, value)],
        relative: undefined,
      };
    }
    case "base+index": {
      const base = addressRegister(making, taken);
      const index = addressRegister(making, [...taken, 4, base]);
      const scale = random.pick([1, 2, 4, 8] as const);
      const value = BigInt(random.below(1000) - 500);
      const pins = [fix(index, value), fix(base, target - value * BigInt(scale) - displacement)];
      return { operand: part(base, index, scale, displacement), pins, relative: undefined };
    }
    case "gs": {
      const base = addressRegister(making, taken);
      return {
        operand: part(base, undefined, 1, displacement, true),
        pins: [fix(base, target - BigInt(GS_BASE) - displacement)],
        relative: undefined,
      };
    }
    default: {
      const base = addressRegister(making, taken);
      const value = mode === 32 ? BigInt.asUintN(32, target - displacement) : target - displacement;
      return {
        operand: part(base, undefined, 1, displacement),
        pins: [fix(base, value)],
        relative: undefined,
      };
    }
  }
};

const immediateBits = (random: Generator, bits: number): bigint => {
  const value = random.pick([
    0n, 1n, -1n, 0x7fn, 0x80n, 1n << BigInt(bits - 1), (1n << BigInt(bits - 1)) - 1n, BigInt(random.below(64)),
    BigInt(random.next()) | (BigInt(random.next()) << 32n), BigInt(random.next()), BigInt(random.below(256)), BigInt(random.below(256)),
  ]); // biome-ignore format: one list
  return BigInt.asUintN(bits, value);
};

const makeOperand = (form: Operand, making: Making, taken: readonly number[]): Made => {
  const { row, mode, operandSize, random, wantsMemory, target } = making;
  const { place, file } = operandPlaces(form);
  const bits = operandBits(form, operandSize, true) as Width;
  const memoryBits = operandBits(form, operandSize, false);
  const long = mode === 64;
  const free = (): Made => {
    if (file === "segment") return only(sharedRegister(file, random.below(6), bits));
    if (file === "general" && bits === 8 && random.oneIn(4))
      return only(sharedRegister(file, random.below(4), 8, true));
    const wide = long && (file === "general" || file === "xmm");
    return only(
      sharedRegister(file, random.below(wide ? 16 : file === "general" && bits === 8 ? 4 : 8), bits),
    );
  };
  switch (place) {
    case "rm":
      return wantsMemory ? makeMemory(making, memoryBits, taken) : free();
    case "memory":
      return makeMemory(making, memoryBits, taken);
    case "reg":
    case "vvvv":
      return free();
    case "opcode":
      return only(sharedRegister(file, (row.opcode & 7) | (long && random.oneIn(2) ? 8 : 0), bits));
    case "immediate": {
      const value = immediateBits(random, memoryBits);
      const width = form.signExtended ? operandSize : memoryBits;
      const extended = form.signExtended ? BigInt.asUintN(width, BigInt.asIntN(memoryBits, value)) : value;
      return only({ kind: "immediate", value: extended, width: width as Width });
    }
    case "relative": {
      // Within the page of code, and not into the instruction itself.
      const distance = random.oneIn(2) ? 10 + random.below(110) : -20 - random.below(100);
      return only({
        kind: "immediate",
        value: BigInt.asUintN(operandSize, BigInt(distance)),
        width: operandSize,
      });
    }
    case "moffs":
      return only({
        kind: "memory",
        segment: "DS",
        base: undefined,
        index: undefined,
        scale: 1,
        displacement: target,
        width: memoryBits,
      });
    case "source":
    case "destination": {
      const base = place === "source" ? 6 : 7;
      return only({
        kind: "memory",
        segment: place === "source" ? "DS" : "ES",
        base,
        index: undefined,
        scale: 1,
        displacement: 0n,
        width: memoryBits,
      });
    }
    case "fixed":
      return only(sharedRegister(file, form.fixed as number, bits));
    case "one":
      return only({ kind: "immediate", value: 1n, width: 8 });
    case "far":
      throw new Error("far pointers are excluded");
  }
};

/** Offset in a state of an address in the window. */
const windowOffset = (address: bigint): number => field.window + Number(address) - DATA_PAGE - WINDOW;
const isInWindow = (address: bigint): boolean => {
  const at = Number(address) - DATA_PAGE - WINDOW;
  return at >= 0 && at <= 240;
};

interface Adjustments {
  readonly pins: Pin[];
  readonly echoes: Echo[];
}

/** What kind of trouble a variant looks for. */
type Trouble = "none" | "stack" | "target";

/** What an instruction needs besides its operands. */
const adjust = (
  making: Making,
  operands: readonly DecodedOperand[],
  n: number,
  trouble: Trouble,
): Adjustments => {
  const { row, mode, operandSize, random, target } = making;
  const { mnemonic } = row.semantics;
  const pins: Pin[] = [];
  const echoes: Echo[] = [];
  const [first, second] = operands;
  const somewhere = (): bigint => BigInt(DATA_PAGE + WINDOW + 0x60 + random.below(0x40));
  const registerNumber = (operand: DecodedOperand | undefined): number =>
    operand?.kind === "register" ? operand.number : 0;
  const bytes = operandSize / 8;

  const stack =
    trouble === "stack"
      ? mode === 64 && random.oneIn(2)
        ? NONCANONICAL + 0x100n
        : BigInt(NOWHERE)
      : somewhere();
  if (stackRows.has(mnemonic)) pins.push(set(4, stack));
  if (mnemonic === "LEAVE") pins.push(set(5, stack));
  if (mnemonic === "ENTER") pins.push(set(5, somewhere()));
  const code = trouble === "target" ? NONCANONICAL : BigInt(CODE_PAGE + 0x100 + 8 * random.below(32));
  if (mnemonic === "RET" && trouble !== "stack")
    pins.push({ offset: windowOffset(stack), mask: 0n, value: code });
  if ((mnemonic === "JMP" || mnemonic === "CALL") && first?.kind === "register")
    pins.push(set(first.number, code));
  if ((mnemonic === "JMP" || mnemonic === "CALL") && first?.kind === "memory" && isInWindow(target))
    pins.push({ offset: windowOffset(target), mask: 0n, value: code });
  if (mnemonic === "POPF" && trouble !== "stack")
    pins.push({ offset: windowOffset(stack), mask: ~0x100n & 0xffff_ffff_ffff_ffffn, value: 0n }); // not TF

  const strings = row.operands.some(({ addressing }) => addressing === "Y" || addressing === "X");
  if (strings && mnemonic !== "XLAT") {
    const fix = making.addressSize === mode ? set : setLow32;
    // Sometimes the destination or the source ends within the repetition: the page after is read-only or absent.
    const edge = n % 8 === 7;
    const source =
      edge && random.oneIn(2) ? BigInt(DATA_PAGE) + BigInt(random.below(3) * bytes) : somewhere();
    const destination = edge ? BigInt(READ_ONLY_PAGE - random.below(4) * bytes) : somewhere();
    if (mnemonic.startsWith("MASKMOV")) pins.push(fix(7, edge ? BigInt(READ_ONLY_PAGE - 8) : somewhere()));
    else {
      pins.push(fix(6, source), fix(7, destination), limit(1, making.addressSize === mode ? 7n : low32 | 7n));
      if (mnemonic === "CMPS" && isInWindow(source) && isInWindow(destination) && source !== destination)
        echoes.push({
          from: windowOffset(source),
          to: windowOffset(destination),
          bytes: Math.min(8, 256 + field.window - windowOffset(destination)),
        });
      if (mnemonic === "SCAS" && isInWindow(destination))
        echoes.push({ from: field.gpr, to: windowOffset(destination), bytes: 8 });
    }
  }
  if (mnemonic === "XLAT")
    pins.push((making.addressSize === mode ? set : setLow32)(3, BigInt(DATA_PAGE + WINDOW)));

  if (
    shifts.has(mnemonic) &&
    row.operands.some(({ addressing, fixed }) => addressing === "fixed" && fixed === 1)
  ) {
    // SHLD and SHRD of 16 bits are undefined above 16.
    const narrow = mnemonic.length === 4 && operandSize === 16;
    if (narrow) pins.push(limit(1, 0xfn));
    else if (n % 2 === 0) pins.push(limit(1, 0x7fn));
  }
  if (/^(SHLX|SHRX|SARX|BZHI)$/.test(mnemonic) && n % 2 === 0)
    pins.push(limit(registerNumber(operands[2]), 0xffn));
  if (mnemonic === "BEXTR" && n % 2 === 0) pins.push(limit(registerNumber(operands[2]), 0x3f3fn));
  if (/^BT[SRC]?$/.test(mnemonic) && first?.kind === "memory" && second?.kind === "register")
    pins.push(limit(second.number, 0x1ffn, -0x100n));
  if (/^PCMPESTR/.test(mnemonic) && n % 4 !== 3) pins.push(limit(0, 0x1fn, -8n), limit(2, 0x1fn, -8n));
  if (mnemonic === "LDMXCSR" && isInWindow(target) && n % 2 === 0)
    pins.push({ offset: windowOffset(target), mask: 0xffffn, value: 0n });

  if (mnemonic === "CMPXCHG") {
    if (first?.kind === "register")
      echoes.push({
        from: field.gpr + 8 * first.number + (first.high ? 1 : 0),
        to: field.gpr,
        bytes: first.width / 8,
      });
    else if (isInWindow(target))
      echoes.push({
        from: windowOffset(target),
        to: field.gpr,
        bytes: memoryBitsOf(row, operandSize) / 8,
      });
  }
  if (/^CMPXCHG(8|16)B$/.test(mnemonic) && isInWindow(target)) {
    const half = mnemonic === "CMPXCHG8B" ? 4 : 8;
    echoes.push(
      { from: windowOffset(target), to: field.gpr, bytes: half },
      { from: windowOffset(target) + half, to: field.gpr + 16, bytes: half },
    );
  }
  return { pins, echoes };
};

/** Operands a later pin must not move: those that an address is made of come first. */
const registersOf = (operands: readonly DecodedOperand[]): number[] =>
  operands.flatMap((operand) =>
    operand.kind === "register" && operand.file === "general" ? [operand.number] : [],
  );

const needsAlignment = (row: Row, bits: number): boolean =>
  row.aligned === true ||
  (row.aligned !== false && bits === 128 && (row.unit === "sse" || row.unit === "sse+mmx"));

/** A locked access across a cache line would trap on this machine: it stays aligned. XCHG with memory always locks. */
const alwaysLocks = (row: Row): boolean => row.semantics.mnemonic === "XCHG";

interface Place {
  readonly target: bigint;
  readonly shape: MemoryShape;
  readonly cases: number;
  readonly trouble: Trouble;
  readonly lock: boolean;
}

const plainPlaces = (
  row: Row,
  mode: 64 | 32,
  bits: number,
  count: number,
  cases: number,
  random: Generator,
): Place[] =>
  Array.from({ length: count }, (_, n) => {
    let target = BigInt(DATA_PAGE + WINDOW + 0x60 + random.below(0x40));
    const lock = row.lock === true && n % 3 === 1;
    if (needsAlignment(row, bits) || lock || alwaysLocks(row)) target &= -BigInt(Math.max(1, bits / 8));
    const cycle: readonly MemoryShape[] =
      mode === 64
        ? ["base", "base+index", "rip", "base32", "gs", "index", "base", "absolute"]
        : ["base", "base+index", "index", "absolute"];
    return {
      target,
      shape: cycle[n % cycle.length]!,
      cases,
      trouble: "none" as const,
      lock,
    };
  });

/** Addresses that make the instruction fault, or nearly. */
const troublePlaces = (row: Row, mode: 64 | 32, bits: number): Place[] => {
  const at = (target: number | bigint, shape: MemoryShape = "base"): Place => ({
    target: BigInt(target),
    shape,
    cases: FAULT_CASES,
    trouble: "none",
    lock: false,
  });
  // What the constant page holds is no address to call (see `makeForm`).
  const calls = row.semantics.mnemonic === "CALL";
  const places = calls ? [at(NOWHERE)] : [at(NOWHERE), at(READ_ONLY_PAGE + 0x40)];
  if (mode === 64) places.push(at(NONCANONICAL + 0x40n));
  if (bits >= 16 && !alwaysLocks(row) && !calls)
    places.push(at(READ_ONLY_PAGE - bits / 16), at(DATA_PAGE - bits / 16));
  if (needsAlignment(row, bits)) places.push(at(DATA_PAGE + WINDOW + 0x68));
  return places;
};

const makeVariant = (
  row: Row,
  mode: 64 | 32,
  operandSize: Size3,
  wantsMemory: boolean,
  rep: "none" | "repz" | "repnz",
  place: Place,
  n: number,
  random: Generator,
): VariantPlan | undefined => {
  const implicit = row.operands.some(
    ({ addressing }) => addressing === "X" || addressing === "Y" || addressing === "O",
  );
  const addressSize = place.shape === "base32" || mode === 32 || (implicit && n % 4 === 3) ? 32 : 64;
  const making: Making = {
    row,
    mode,
    operandSize,
    addressSize,
    random,
    wantsMemory,
    target: place.target,
    shape: place.shape,
  };
  for (let attempt = 0; attempt < 40; attempt++) {
    // Registers first: an address then avoids a BT offset's register.
    const made: Made[] = [];
    const taken = row.operands.flatMap((form, i) => {
      const { place: where } = operandPlaces(form);
      if (where === "memory" || (where === "rm" && wantsMemory)) return [];
      made[i] = makeOperand(form, making, []);
      return registersOf([made[i]!.operand]);
    });
    const mayShare = !/^BT[SRC]?$/.test(row.semantics.mnemonic) && random.oneIn(6);
    for (const [i, form] of row.operands.entries())
      made[i] ??= makeOperand(form, making, mayShare ? [] : taken);
    const operands = made.map(({ operand }) => operand);
    const { mnemonic } = row.semantics;
    if (
      (mnemonic === "CALL" || mnemonic === "JMP") &&
      operands[0]?.kind === "register" &&
      operands[0].number === 4
    )
      continue;
    const narrowShift = mnemonic.length === 4 && shifts.has(mnemonic) && operandSize === 16;
    if (narrowShift && operands[2]?.kind === "immediate" && (operands[2].value & 31n) > 16n) continue;
    if (mnemonic === "ENTER") {
      operands[0] = { kind: "immediate", value: BigInt(random.below(0x60)), width: 16 };
      operands[1] = { kind: "immediate", value: BigInt(random.pick([0, 0, 1, 2, 3, 5, 32, 33])), width: 8 };
    }
    const attemptEncode = (list: readonly DecodedOperand[]) =>
      encode({
        row,
        codeSize: mode,
        operandSize,
        addressSize,
        operands: list,
        rep,
        lock: place.lock && wantsMemory,
      });
    let code = attemptEncode(operands);
    if (isRefusal(code)) continue;
    const relative = made.findIndex((part) => part?.relative !== undefined);
    if (relative >= 0) {
      const operand = operands[relative] as MemoryOperand;
      const distance = made[relative]!.relative! - BigInt(START) - BigInt(code.length);
      operands[relative] = { ...operand, displacement: distance };
      code = attemptEncode(operands);
      if (isRefusal(code)) continue;
    }
    const { pins, echoes } = adjust(making, operands, n, place.trouble);
    return { code, cases: place.cases, pins: [...pins, ...made.flatMap((part) => part.pins)], echoes };
  }
  return undefined;
};

// ------------------------------------------------------------------------------------------------------------- forms

const sizesOf = (row: Row, mode: 64 | 32): readonly Size3[] => {
  const standard = defaultOperandSize(row, mode);
  const branch =
    row.operands.some(({ addressing }) => addressing === "J") ||
    /^(RET|JMP|CALL)$/.test(row.semantics.mnemonic);
  if (branch) return [standard];
  const depends = row.operands.some((form) =>
    [16, 32, 64].some((size) => operandBits(form, size as Size3, true) !== operandBits(form, 16, true)),
  );
  // Integer rows without operands may still go by the operand size (CBW, PUSHF, LEAVE ...).
  if (
    !depends &&
    (row.unit !== undefined ||
      row.operands.some(({ size, addressing }) => size !== "b" && addressing !== "I") ||
      row.operands.some(({ size }) => size === "b")) &&
    row.semantics.mnemonic !== "ENTER"
  )
    return [standard];
  return [16, 32, 64];
};

const fileOf = (row: Row, mode: 64 | 32): string => {
  if (mode === 32) return "compatibility";
  if (row.unit === "x87" || row.unit === "fwait") return "x87";
  if (row.unit === "mmx") return "mmx";
  return row.unit === undefined ? "integer" : "sse";
};

/** Bits of the row's memory operand; 0 without one or without a size. */
const memoryBitsOf = (row: Row, operandSize: Size3): number => {
  const form = row.operands.find((operand) =>
    ["rm", "memory", "moffs"].includes(operandPlaces(operand).place),
  );
  return form === undefined ? 0 : operandBits(form, operandSize, false);
};

const makeForm = (
  list: readonly Row[],
  mode: 64 | 32,
  operandSize: Size3,
  wantsMemory: boolean,
  rep: "none" | "repz" | "repnz",
): FormPlan | undefined => {
  const [row] = list as [Row];
  const kind = wantsMemory
    ? " memory"
    : row.operands.some((form) => operandPlaces(form).place === "rm")
      ? " register"
      : "";
  const key = `${rowKey(row)} ${operandSize}${kind}${rep === "none" ? "" : ` ${rep}`}${mode === 32 ? " 32-bit mode" : ""}`;
  const random = new Generator();
  const seed = hash(key);
  random.seed(seed, 0x5eed);
  const bits = memoryBitsOf(row, operandSize);
  const hasImmediate = row.operands.some(({ addressing }) => addressing === "I");
  const count = hasImmediate ? 50 : list.length > 1 ? 16 : 15;
  const cases = Math.ceil(CASES / count);
  const isMemory =
    wantsMemory || row.operands.some((form) => ["memory", "moffs"].includes(operandPlaces(form).place));
  const places = plainPlaces(row, mode, bits, count, cases, random);
  if (isMemory) places.push(...troublePlaces(row, mode, bits));
  const troubles: Trouble[] = [];
  if (stackRows.has(row.semantics.mnemonic)) troubles.push("stack", "stack");
  // Not CALL: this processor stores the return address before it refuses a target that is not canonical, the SDM's does not.
  const jumps = row.semantics.mnemonic === "JMP" && row.operands[0]?.addressing === "E";
  if (mode === 64 && (row.semantics.mnemonic === "RET" || jumps)) troubles.push("target");
  for (const trouble of troubles) places.push({ ...places[0]!, cases: FAULT_CASES, trouble, lock: false });
  const variants = places.flatMap((place, n) => {
    const variant = makeVariant(
      list[n % list.length]!,
      mode,
      operandSize,
      wantsMemory,
      rep,
      place,
      n,
      random,
    );
    return variant === undefined ? [] : [variant];
  });
  if (variants.length < count / 2) return undefined;
  // A place that cannot be encoded (RIP-relative for XLAT) leaves its cases to the first.
  const total = variants.slice(0, count).reduce((sum, variant) => sum + variant.cases, 0);
  if (total < CASES) variants[0] = { ...variants[0]!, cases: variants[0]!.cases + CASES - total };
  return {
    key,
    mnemonic: row.semantics.mnemonic,
    mode,
    profile: profileOf(row, operandSize),
    seed,
    file: fileOf(row, mode),
    variants,
  };
};

/** Rows that are recorded, those that differ only by the register in the opcode together. */
export const recordedRows = (): readonly (readonly Row[])[] => {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    if (excluded.has(row.semantics.mnemonic) || row.operands.some(({ addressing }) => addressing === "A"))
      continue;
    const key = rowKey(row);
    const list = groups.get(key);
    if (list === undefined) groups.set(key, [row]);
    else if (usesZ(row)) list.push(row);
  }
  return [...groups.values()];
};

/** Every form to record. */
export const forms = (): readonly FormPlan[] =>
  recordedRows().flatMap((list) => {
    const [row] = list as [Row];
    const mode = row.i64 ? 32 : 64;
    const places = row.operands.map((form) => operandPlaces(form).place);
    const kinds =
      places.includes("rm") &&
      row.mod === undefined &&
      !row.operands.some(({ addressing }) => ["R", "U", "N", "F"].includes(addressing))
        ? [false, true]
        : [places.includes("memory")];
    const reps = row.repeat === undefined ? (["none"] as const) : (["none", "repz", "repnz"] as const);
    return sizesOf(row, mode).flatMap((operandSize) =>
      kinds.flatMap((wantsMemory) =>
        reps.flatMap((rep) => makeForm(list, mode, operandSize, wantsMemory, rep) ?? []),
      ),
    );
  });
