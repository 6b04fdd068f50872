/**
 * The machine state of native vectors, and how a case's input is made from its seed. tools/vectors/native.c has the same
 * layout. Recorded outcomes depend on every line here: what changes the inputs needs new vectors (tools/vectors/record.ts).
 */

/** Where the instruction starts; the rest of its page is INT3. */
export const CODE_PAGE = 0x1000_0000;
export const START = CODE_PAGE + 0x400;
/** One page to read and write, then one to read only, then nothing. */
export const DATA_PAGE = 0x2000_0000;
export const READ_ONLY_PAGE = DATA_PAGE + 0x1000;
export const PAGE_BYTES = 0x1000;
/** Offset in the data page of the bytes that are random; the others are 0. */
export const WINDOW = 0x400;
export const WINDOW_BYTES = 256;
export const GS_BASE = 0x2000_0100;
/** Selectors of a Linux process: CS by mode, SS, DS and ES loaded, FS and GS null. CPL is 3. */
export const selectors = { CS64: 0x33, CS32: 0x23, SS: 0x2b, DS: 0x2b, ES: 0x2b, FS: 0, GS: 0 } as const;

/** Byte n of the read-only page. */
export const readOnlyByte = (n: number): number => (n * 0x9d + 0x37) & 0xff;

/** Offsets in a state. */
export const field = {
  gpr: 0,
  rip: 128,
  rflags: 136,
  mxcsr: 144,
  fcw: 148,
  fsw: 150,
  ftw: 152,
  st: 160,
  xmm: 288,
  window: 544,
} as const;
export const STATE_BYTES = 800;

/** What an instruction may read besides memory that is not random. */
export class NativeState {
  readonly bytes = new Uint8Array(STATE_BYTES);
  readonly view = new DataView(this.bytes.buffer);

  /** General register 0 (RAX) ... 15 in encoding order, 64 bits. */
  gpr(n: number): bigint {
    return this.view.getBigUint64(field.gpr + 8 * n, true);
  }
  get rip(): bigint {
    return this.view.getBigUint64(field.rip, true);
  }
  /** TF and RF are never set; IF is. */
  get rflags(): bigint {
    return this.view.getBigUint64(field.rflags, true);
  }
  get mxcsr(): number {
    return this.view.getUint32(field.mxcsr, true);
  }
  get fcw(): number {
    return this.view.getUint16(field.fcw, true);
  }
  get fsw(): number {
    return this.view.getUint16(field.fsw, true);
  }
  /** Abridged as FXSAVE stores it: bit n is 1 when physical register n is not empty. */
  get ftw(): number {
    return this.view.getUint16(field.ftw, true);
  }
  /** x87 physical register n, 80 bits: its low 64 are MMn. */
  x87(n: number): bigint {
    const at = field.st + 16 * n;
    return (BigInt(this.view.getUint16(at + 8, true)) << 64n) | this.view.getBigUint64(at, true);
  }
  xmm(n: number): bigint {
    const at = field.xmm + 16 * n;
    return (this.view.getBigUint64(at + 8, true) << 64n) | this.view.getBigUint64(at, true);
  }
  /** The random bytes of the data page. */
  get window(): Uint8Array {
    return this.bytes.subarray(field.window, field.window + WINDOW_BYTES);
  }
}

/** sfc32 (Chris Doty-Humphrey): small, fast, the same everywhere. */
export class Generator {
  #a = 0;
  #b = 0;
  #c = 0;
  #count = 1;

  seed(seed: number, stream: number): void {
    this.#a = seed | 0;
    this.#b = stream | 0;
    this.#c = 0x9e3779b9 | 0;
    this.#count = 1;
    for (let n = 0; n < 12; n++) this.next();
  }

  /** 32 bits. */
  next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    this.#c |= 0;
    return sum >>> 0;
  }

  /** Below `limit`, which is at most 2^16. */
  below(limit: number): number {
    return (this.next() >>> 16) % limit;
  }

  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

/**
 * What a form's inputs are like: which registers are random (the others are 0), and where the corners are.
 *   integer, divide-8 ... divide-64: general registers, flags, memory
 *   vector: the same, and XMM and MMX registers as integers (any x87 top)
 *   float32, float64, float: XMM registers and memory as numbers of that format, MXCSR
 *   x87: the register stack, FCW, FSW
 */
// biome-ignore format: one list
export const profiles = ["integer", "divide-8", "divide-16", "divide-32", "divide-64", "vector", "float32", "float64", "float", "x87"] as const;
export type Profile = (typeof profiles)[number];

/** Adjusts eight bytes of the state: (random & mask) + value. */
export interface Pin {
  readonly offset: number;
  readonly mask: bigint;
  readonly value: bigint;
}

/** In half of the cases copies bytes of the state, so that a comparison succeeds. */
export interface Echo {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

// biome-ignore format: one list
const corners64 = [0n, 0x7fn, 0x80n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0xffffn, 0x10000n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n].map((corner): [number, number] => [Number(corner & 0xffff_ffffn), Number(corner >> 32n)]);

/** Writes 64 random bits, biased to where arithmetic turns. `first` is where earlier words of this state begin. */
const writeWord = (state: NativeState, at: number, random: Generator, first: number): void => {
  let low: number;
  let high: number;
  switch (random.below(9)) {
    case 0:
    case 1:
      low = random.next();
      high = random.next();
      break;
    case 2:
      low = random.below(16) - 6;
      high = low < 0 ? -1 : 0;
      break;
    case 3: {
      // A power of two, or one more or less.
      const bit = random.below(64);
      const near = random.below(3) - 1;
      const value = BigInt.asUintN(64, (1n << BigInt(bit)) + BigInt(near));
      low = Number(value & 0xffff_ffffn);
      high = Number(value >> 32n);
      break;
    }
    case 4:
    case 5:
      [low, high] = random.pick(corners64);
      if (random.oneIn(2)) [low, high] = [~low, ~high];
      break;
    case 6:
      low = Math.imul(random.below(256), 0x0101_0101);
      high = low;
      break;
    case 7:
      low = random.next();
      high = random.oneIn(2) ? 0 : -1;
      break;
    default: {
      const words = (at - first) >> 3;
      const from = words === 0 ? at : first + 8 * random.below(words);
      low = state.view.getUint32(from, true);
      high = state.view.getUint32(from + 4, true);
    }
  }
  state.view.setUint32(at, low >>> 0, true);
  state.view.setUint32(at + 4, high >>> 0, true);
};

// biome-ignore format: one list
const corners32 = [
  0, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0xffc0_1234, 0x7f80_0001, 0xffbf_ffff, 1, 0x8000_0001, 0x007f_ffff, 0x807f_ffff, 0x0080_0000, 0x8080_0000,
  0x7f7f_ffff, 0xff7f_ffff, 0x3f00_0000, 0x3fc0_0000, 0x4020_0000, 0x4f00_0000, 0xcf00_0000, 0x4eff_ffff, 0x5f00_0000, 0xdf00_0000, 0x4b00_0001, 0xcb7f_ffff, 0x3eaa_aaab, 0x7f00_0000, 0x0100_0000, 0x4b80_0000,
];

const writeFloat32 = (view: DataView, at: number, random: Generator): void => {
  let bits: number;
  switch (random.below(5)) {
    case 0:
    case 1:
      bits = random.pick(corners32);
      break;
    case 2:
      bits = random.next();
      break;
    case 3: // near 1
      bits = (random.next() & 0x807f_ffff) | ((120 + random.below(16)) << 23);
      break;
    default: // few significant bits: exact results and ties
      bits = (random.next() & 0x807f_0000) | ((118 + random.below(40)) << 23);
  }
  view.setUint32(at, bits >>> 0, true);
};

// biome-ignore format: one list
const corners64Float = [
  [0, 0], [0, 0x8000_0000], [0, 0x3ff0_0000], [0, 0xbff0_0000], [0, 0x7ff0_0000], [0, 0xfff0_0000], [0, 0x7ff8_0000], [0x1234, 0xfff8_0000], [1, 0x7ff0_0000], [0xffff_ffff, 0xfff7_ffff], [1, 0], [1, 0x8000_0000],
  [0xffff_ffff, 0x000f_ffff], [0, 0x0010_0000], [0, 0x8010_0000], [0xffff_ffff, 0x7fef_ffff], [0xffff_ffff, 0xffef_ffff], [0, 0x3fe0_0000], [0, 0x3ff8_0000], [0, 0x4004_0000], [0, 0x41e0_0000], [0, 0xc1e0_0000],
  [0xffc0_0000, 0x41df_ffff], [0, 0x43e0_0000], [0, 0xc3e0_0000], [1, 0x4330_0000], [0xe000_0000, 0x47ef_ffff], [0xf000_0000, 0x47ef_ffff], [0, 0x3810_0000], [0, 0x380f_ffff], [0, 0x36a0_0000], [0, 0x3690_0000], [0x5555_5555, 0x3fd5_5555],
] as const;

const writeFloat64 = (view: DataView, at: number, random: Generator): void => {
  let low = random.next();
  let high = random.next();
  switch (random.below(6)) {
    case 0:
    case 1: {
      const [a, b] = random.pick(corners64Float);
      low = a;
      high = b;
      break;
    }
    case 2:
      break;
    case 3: // near 1
      high = (high & 0x800f_ffff) | ((1016 + random.below(16)) << 20);
      break;
    case 4: // few significant bits
      low = 0;
      high = (high & 0x800f_f000) | ((1014 + random.below(60)) << 20);
      break;
    default: // where float32 turns
      high =
        (high & 0x800f_ffff) | ((random.oneIn(2) ? 870 + random.below(32) : 1145 + random.below(8)) << 20);
  }
  view.setUint32(at, low >>> 0, true);
  view.setUint32(at + 4, high >>> 0, true);
};

/** Sign-and-exponent and high half of the significand; the low half is 0 or random. */
// biome-ignore format: one list
const corners80 = [
  [0, 0], [0x8000, 0], [0x3fff, 0x8000_0000], [0xbfff, 0x8000_0000], [0x7fff, 0x8000_0000], [0xffff, 0x8000_0000], [0x7fff, 0xc000_0000], [0xffff, 0xc000_0000], [0x7fff, 0xa000_0000], [0x7fff, 0], [0, 0x8000_0000],
  [0, 0x0000_0001], [0x0001, 0x8000_0000], [0x7ffe, 0xffff_ffff], [0xfffe, 0xffff_ffff], [0x3fff, 0x4000_0000], [0x4000, 0x8000_0000], [0x3ffe, 0x8000_0000], [0x4000, 0xc000_0000], [0x401d, 0xffff_ffff], [0x401e, 0x8000_0000],
  [0xc01e, 0x8000_0000], [0x403e, 0x8000_0000], [0xc03e, 0x8000_0000], [0x400d, 0xffff_0000], [0x4000, 0xc90f_daa2], [0x3ffe, 0xb504_f334], [0x3fff, 0xffff_ffff], [0x3f80, 0x8000_0000], [0x3c00, 0x8000_0000], [0x43ff, 0x8000_0000], [0x407f, 0x8000_0000],
] as const;

const writeFloat80 = (view: DataView, at: number, random: Generator): void => {
  let exponent = random.next() & 0xffff;
  let high = random.next();
  let low = random.next();
  switch (random.below(6)) {
    case 0:
    case 1:
      [exponent, high] = random.pick(corners80);
      if (random.below(4) !== 0) low = exponent === 0x7ffe || high === 0xffff_ffff ? 0xffff_ffff : 0;
      break;
    case 2:
      break;
    case 3:
    case 4: // a normal number near 1
      high |= 0x8000_0000;
      exponent = (exponent & 0x8000) | (0x3ff0 + random.below(32));
      break;
    default: // an integer or a half
      high = (high & 0xffff_0000) | 0x8000_0000;
      low = 0;
      exponent = (exponent & 0x8000) | (0x3ffd + random.below(20));
  }
  view.setUint32(at, low >>> 0, true);
  view.setUint32(at + 4, high >>> 0, true);
  view.setUint16(at + 8, exponent, true);
};

const fillWords = (state: NativeState, from: number, bytes: number, random: Generator): void => {
  for (let at = from; at < from + bytes; at += 8) writeWord(state, at, random, from);
};

/** Vector registers and memory as numbers of one format. */
const fillFloats = (state: NativeState, format: "float32" | "float64", random: Generator): void => {
  const step = format === "float32" ? 4 : 8;
  const write = format === "float32" ? writeFloat32 : writeFloat64;
  for (let at = field.xmm; at < field.xmm + 256; at += step) write(state.view, at, random);
  for (let at = field.window; at < field.window + WINDOW_BYTES; at += step) write(state.view, at, random);
};

/** Exceptions masked except one time in eight; all rounding modes, FTZ and DAZ now and then. */
const randomMxcsr = (random: Generator): number => {
  const masks = random.oneIn(8) ? random.below(64) << 7 : 0x1f80;
  const sticky = random.oneIn(4) ? random.below(64) : 0;
  const rounding = random.below(4) << 13;
  return masks | sticky | rounding | (random.oneIn(6) ? 0x8000 : 0) | (random.oneIn(6) ? 0x0040 : 0);
};

/** The x87 unit: any top, mostly full, control word with any rounding and precision, status consistent with it. */
const fillX87 = (state: NativeState, random: Generator): void => {
  for (let n = 0; n < 8; n++) writeFloat80(state.view, field.st + 16 * n, random);
  const masks = random.oneIn(8) ? random.below(64) : 0x3f;
  const precision = random.pick([0x300, 0x300, 0x300, 0x200, 0]);
  const fcw = 0x40 | masks | precision | (random.below(4) << 10);
  let fsw = (random.below(8) << 11) | (random.next() & 0x4700);
  if (random.oneIn(4)) fsw |= random.below(64) & (random.oneIn(8) ? 0x3f : masks);
  if ((fsw & ~masks & 0x3f) !== 0) fsw |= 0x8080;
  const ftw = random.below(4) === 0 ? random.below(256) : 0xff;
  state.view.setUint16(field.fcw, fcw, true);
  state.view.setUint16(field.fsw, fsw, true);
  state.view.setUint16(field.ftw, ftw, true);
};

/** Dividends whose quotients mostly fit: the high half is small, or the sign of the low half. */
const tameDividend = (state: NativeState, bits: number, random: Generator): void => {
  if (random.oneIn(4)) return;
  const { view } = state;
  const rax = view.getBigUint64(field.gpr, true);
  const small = BigInt(random.below(3));
  const high = random.oneIn(2) && BigInt.asIntN(bits, rax) < 0n ? -1n : small;
  if (bits === 8) view.setUint8(field.gpr + 1, Number(BigInt.asUintN(8, high)));
  else view.setBigUint64(field.gpr + 16, BigInt.asUintN(bits, high), true);
};

/** The input of case `n` of the form with this seed. */
export const fillInput = (
  state: NativeState,
  random: Generator,
  seed: number,
  n: number,
  profile: Profile,
  pins: readonly Pin[],
  echoes: readonly Echo[],
): void => {
  const { bytes, view } = state;
  random.seed(seed, n);
  bytes.fill(0);
  fillWords(state, field.gpr, 128, random);
  view.setBigUint64(field.rip, BigInt(START), true);
  view.setUint32(field.rflags, (random.next() & 0xcd5) | 0x202, true);
  view.setUint32(field.mxcsr, 0x1f80, true);
  view.setUint16(field.fcw, 0x37f, true);
  fillWords(state, field.window, WINDOW_BYTES, random);
  if (profile === "vector") {
    fillX87(state, random);
    view.setUint16(field.fcw, 0x37f, true);
    view.setUint16(field.fsw, view.getUint16(field.fsw, true) & 0x7f00, true);
    for (let r = 0; r < 8; r++) writeWord(state, field.st + 16 * r, random, field.st + 16 * r);
    fillWords(state, field.xmm, 256, random);
  } else if (profile === "float32" || profile === "float64" || profile === "float") {
    const mixed = random.oneIn(2) ? "float32" : "float64";
    if (random.oneIn(8)) fillWords(state, field.xmm, 256, random);
    else fillFloats(state, profile === "float" ? mixed : profile, random);
    view.setUint32(field.mxcsr, randomMxcsr(random), true);
  } else if (profile === "x87") {
    fillX87(state, random);
    const kind = random.below(4);
    for (let at = field.window; kind > 0 && at + 10 <= field.window + WINDOW_BYTES; at += 16) {
      if (kind === 1) writeFloat32(view, at, random);
      else if (kind === 2) writeFloat64(view, at, random);
      else writeFloat80(view, at, random);
    }
  } else if (profile.startsWith("divide-")) tameDividend(state, Number(profile.slice(7)), random);
  for (const { offset, mask, value } of pins)
    view.setBigUint64(offset, BigInt.asUintN(64, (view.getBigUint64(offset, true) & mask) + value), true);
  if (echoes.length > 0 && random.oneIn(2))
    for (const echo of echoes) bytes.copyWithin(echo.to, echo.from, echo.from + echo.bytes);
};
