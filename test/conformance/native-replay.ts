import { access } from "../../src/arch/descriptors.ts";
import type { Fault } from "../../src/cpu/core.ts";
import { cpuModel } from "../../src/cpu/cpu-model.ts";
import type { Tier } from "../../src/cpu/execution-engine.ts";
import { offsetOf } from "../../src/state/layout.ts";
import {
  CODE_PAGE,
  DATA_PAGE,
  field,
  GS_BASE,
  PAGE_BYTES,
  READ_ONLY_PAGE,
  readOnlyByte,
  START,
  selectors,
} from "../native/state.ts";
import { dataPage, type NativeVector } from "../native/vectors.ts";
import { bareProcessor } from "./bare-processor.ts";

/** Guest-physical addresses of the pages that the vectors' linear addresses map to. */
const frames = {
  pml4: 0x1000,
  pdpt: 0x2000,
  directory: 0x3000,
  codeTable: 0x4000,
  dataTable: 0x5000,
  code: 0x8000,
  data: 0x9000,
  readOnly: 0xa000,
} as const;
const RAM = 0x1_0000;
const PRESENT_WRITABLE_USER = 7n;
const PRESENT_USER = 5n;

const offsets = {
  rip: offsetOf("RIP"),
  rflags: offsetOf("RFLAGS"),
  mxcsr: offsetOf("MXCSR"),
  fcw: offsetOf("FCW"),
  fsw: offsetOf("FSW"),
  ftw: offsetOf("FTW"),
  x87: offsetOf("x87.0"),
  xmm: offsetOf("XMM0"),
};

/** Runs recorded instructions on a bare processor in ring 3 and says where the outcome differs. */
export class NativeReplay {
  readonly #bare = bareProcessor(RAM, cpuModel("default", { plus: ["MOVDIRI", "CLDEMOTE"] }));
  readonly #template = new Map<number, Uint8Array>();
  #raised: Fault | undefined;
  #code: Uint8Array = new Uint8Array(0);

  constructor(tier: Tier) {
    const { guest, engine } = this.#bare;
    engine.tier = tier;
    engine.observer = {
      exception: (fault) => {
        this.#raised ??= fault;
      },
    };
    const entry = (address: number, value: bigint): void =>
      guest.writeBytes(address, new Uint8Array(BigUint64Array.of(value).buffer));
    entry(frames.pml4, BigInt(frames.pdpt) | PRESENT_WRITABLE_USER);
    entry(frames.pdpt, BigInt(frames.directory) | PRESENT_WRITABLE_USER);
    const map = (linear: number, table: number, frame: number, rights: bigint): void => {
      entry(frames.directory + 8 * (linear >>> 21), BigInt(table) | PRESENT_WRITABLE_USER);
      entry(table + 8 * ((linear >>> 12) & 511), BigInt(frame) | rights);
    };
    map(CODE_PAGE, frames.codeTable, frames.code, PRESENT_USER);
    map(DATA_PAGE, frames.dataTable, frames.data, PRESENT_WRITABLE_USER);
    map(READ_ONLY_PAGE, frames.dataTable, frames.readOnly, PRESENT_USER);
    guest.writeBytes(frames.code, new Uint8Array(PAGE_BYTES).fill(0xcc));
    guest.writeBytes(
      frames.readOnly,
      Uint8Array.from({ length: PAGE_BYTES }, (_, n) => readOnlyByte(n)),
    );
    for (const mode of [64, 32] as const) this.#template.set(mode, this.#initialState(mode));
  }

  #initialState(mode: 64 | 32): Uint8Array {
    const { state } = this.#bare.processor;
    state.architectural().fill(0);
    state.CR0 = 0x8005_0033n; // PG, AM, WP, NE, ET, MP, PE
    state.CR3 = BigInt(frames.pml4);
    state.CR4 = 0x0000_06a0n; // PGE, PAE, OSFXSR, OSXMMEXCPT
    state.IA32_EFER = 0xd01n; // NXE, LMA, LME, SCE
    state.DR6 = 0xffff_0ff0n;
    state.DR7 = 0x400n;
    state.XCR0 = 1n;
    const data = access.P | access.S | access.DPL | access.DB | access.G | 3;
    for (const name of ["DS", "ES", "SS"] as const) {
      state[`${name}.selector`] = selectors[name];
      state[`${name}.access`] = data;
      state[`${name}.limit`] = 0xffff_ffff;
    }
    for (const name of ["FS", "GS"] as const) state[`${name}.access`] = access.unusable;
    if (mode === 64) state["GS.base"] = BigInt(GS_BASE);
    state["CS.selector"] = mode === 64 ? selectors.CS64 : selectors.CS32;
    state["CS.access"] =
      access.P | access.S | access.DPL | access.G | 11 | (mode === 64 ? access.L : access.DB);
    state["CS.limit"] = 0xffff_ffff;
    return state.architectural().slice();
  }

  /** What differs, or undefined when the outcome is the recorded one. */
  run(vector: NativeVector): string | undefined {
    const { guest, engine, processor } = this.#bare;
    const { state } = processor;
    const { view } = state;
    const { input, expected, mode } = vector;
    state.architectural().set(this.#template.get(mode)!);
    for (let n = 0; n < 16; n++) view.setBigUint64(8 * n, input.gpr(n), true);
    view.setBigUint64(offsets.rip, input.rip, true);
    view.setBigUint64(offsets.rflags, input.rflags, true);
    view.setUint32(offsets.mxcsr, input.mxcsr, true);
    view.setUint32(offsets.fcw, input.fcw, true);
    view.setUint32(offsets.fsw, input.fsw, true);
    view.setUint32(offsets.ftw, fullTagWord(vector), true);
    for (let n = 0; n < 8; n++) copy(input.bytes, field.st + 16 * n, state.view, offsets.x87 + 16 * n, 10);
    for (let n = 0; n < 16; n++) copy(input.bytes, field.xmm + 16 * n, state.view, offsets.xmm + 32 * n, 16);
    if (this.#code !== vector.code) {
      guest.writeBytes(frames.code + (START & 0xfff), new Uint8Array(32).fill(0xcc));
      guest.writeBytes(frames.code + (START & 0xfff), vector.code);
      this.#code = vector.code;
    }
    guest.writeBytes(frames.data, dataPage(vector, "before"));
    engine.tlb.invalidate({ kind: "all" }, 0);
    this.#raised = undefined;
    // A repeated string instruction is done in steps; natively it ran to its end.
    do processor.step();
    while (strings.has(vector.mnemonic) && this.#raised === undefined && state.RIP === input.rip);
    engine.module.settle();
    return this.#difference(vector, expected);
  }

  #difference(vector: NativeVector, expected: NativeVector["expected"]): string | undefined {
    const { guest, processor } = this.#bare;
    const { state } = processor;
    const { view } = state;
    const raised = this.#raised;
    const { exception } = vector;
    if (raised?.vector !== exception?.vector)
      return `exception ${raised?.vector ?? "none"} for ${exception?.vector ?? "none"}`;
    if (raised && exception) {
      if ((raised.errorCode ?? 0) !== (exception.errorCode ?? 0))
        return `error code ${raised.errorCode} for ${exception.errorCode}`;
      if (exception.cr2 !== undefined && raised.payload !== exception.cr2)
        return `CR2 ${hex(raised.payload)} for ${hex(exception.cr2)}`;
    }
    const width = vector.mode;
    for (let n = 0; n < (width === 64 ? 16 : 8); n++) {
      const got = BigInt.asUintN(width, view.getBigUint64(8 * n, true));
      const want = BigInt.asUintN(width, expected.gpr(n));
      if (got !== want) return `general register ${n}: ${hex(got)} for ${hex(want)}`;
    }
    if (state.RIP !== expected.rip) return `RIP ${hex(state.RIP)} for ${hex(expected.rip)}`;
    const wrong = (state.RFLAGS ^ expected.rflags) & vector.definedFlags;
    if (wrong !== 0n) return `RFLAGS ${hex(state.RFLAGS)} for ${hex(expected.rflags)}, bits ${hex(wrong)}`;
    if (state.MXCSR !== expected.mxcsr) return `MXCSR ${hex(state.MXCSR)} for ${hex(expected.mxcsr)}`;
    if (state.FCW !== expected.fcw) return `FCW ${hex(state.FCW)} for ${hex(expected.fcw)}`;
    if (state.FSW !== expected.fsw) return `FSW ${hex(state.FSW)} for ${hex(expected.fsw)}`;
    if (abridged(state.FTW) !== expected.ftw)
      return `tags ${hex(abridged(state.FTW))} for ${hex(expected.ftw)}`;
    for (let n = 0; n < 8; n++)
      if (!equal(expected.bytes, field.st + 16 * n, view, offsets.x87 + 16 * n, 10))
        return `x87 register ${n} for ${hex(expected.x87(n))}`;
    for (let n = 0; n < 16; n++)
      if (!equal(expected.bytes, field.xmm + 16 * n, view, offsets.xmm + 32 * n, 16))
        return `XMM${n} for ${hex(expected.xmm(n))}`;
    const page = dataPage(vector, "after");
    const at = guest.offsetOf(frames.data);
    if (Buffer.compare(guest.bytes.subarray(at, at + PAGE_BYTES), page) === 0) return undefined;
    for (let n = 0; n < PAGE_BYTES; n++)
      if (guest.bytes[at + n] !== page[n])
        return `memory at ${hex(DATA_PAGE + n)}: ${hex(guest.bytes[at + n]!)} for ${hex(page[n]!)}`;
    return undefined;
  }
}

const strings = new Set(["MOVS", "CMPS", "STOS", "LODS", "SCAS"]);

const hex = (value: bigint | number | undefined): string =>
  value === undefined ? "none" : `0x${value.toString(16)}`;

const copy = (from: Uint8Array, at: number, to: DataView, offset: number, bytes: number): void => {
  for (let n = 0; n < bytes; n++) to.setUint8(offset + n, from[at + n]!);
};

const equal = (a: Uint8Array, at: number, b: DataView, offset: number, bytes: number): boolean => {
  for (let n = 0; n < bytes; n++) if (a[at + n] !== b.getUint8(offset + n)) return false;
  return true;
};

/** FXSAVE's byte: bit n set = register n is not empty. */
const abridged = (tags: number): number => {
  let byte = 0;
  for (let n = 0; n < 8; n++) if (((tags >> (2 * n)) & 3) !== 3) byte |= 1 << n;
  return byte;
};

/** Full tags from the abridged ones, as FXRSTOR makes them: 0 valid, 1 zero, 2 special. */
const fullTagWord = ({ input }: NativeVector): number => {
  let tags = 0;
  for (let n = 0; n < 8; n++) {
    let tag = 3;
    if ((input.ftw >> n) & 1) {
      const bits = input.x87(n);
      const exponent = (bits >> 64n) & 0x7fffn;
      const significand = bits & 0xffff_ffff_ffff_ffffn;
      if (exponent === 0n && significand === 0n) tag = 1;
      else tag = exponent === 0n || exponent === 0x7fffn || significand >> 63n === 0n ? 2 : 0;
    }
    tags |= tag << (2 * n);
  }
  return tags;
};
