/**
 * The semantics language. A `Value` is a node of an expression graph over bit vectors: pure, typed by width, shared
 * where equal. Instruction authors build values; the evaluator, the Wasm emitters and the printer read them.
 */
export type Width = 1 | 8 | 16 | 32 | 64 | 80 | 128;

/** Scalar operations of two values of one width. Shift counts are values of any width; counts >= width give 0 (`sar`: the sign). */
export type BinaryOp =
  | "add" | "sub" | "mul" | "mulHighUnsigned" | "mulHighSigned"
  | "divUnsigned" | "remUnsigned" // by zero: 0; 128-bit dividends are `intrinsic`s
  | "and" | "or" | "xor"
  | "shl" | "shr" | "sar" | "rotl" | "rotr" // rotates take the count modulo width
  | "equal" | "below" | "less"; // 1 bit: =, unsigned <, signed <

export type UnaryOp = "not" | "neg" | "clz" | "ctz" | "popcnt" | "bswap"; // clz/ctz of 0 = width

/** One operation applied to each lane of 64- or 128-bit vectors. Comparisons give all-ones or zero lanes. */
export type LaneOp =
  | "add" | "sub" | "mul" | "mulHighUnsigned" | "mulHighSigned"
  | "addSaturateSigned" | "addSaturateUnsigned" | "subSaturateSigned" | "subSaturateUnsigned"
  | "minSigned" | "minUnsigned" | "maxSigned" | "maxUnsigned" | "averageUnsigned"
  | "equal" | "greaterSigned"
  | "pairProductSum"; // 32-bit lanes: low half * low half + high half * high half, 16-bit signed halves (modulo 2^32)

export type Lane = 8 | 16 | 32 | 64;

/** Every lane shifted by one scalar count (low 64 bits of the count operand); counts >= lane width give 0 (`sar`: the sign). */
export type LaneShift = "shl" | "shr" | "sar";

export type Op =
  | BinaryOp | UnaryOp
  | "const" // attr: bits
  | "operand" // attr: operand index; its value before the instruction
  | "address" // attr: operand index; the effective address of a memory operand, zero-extended to 64 bits
  | "register" // attr: state field name; its low `width` bits before the instruction
  | "flag" // attr: flag name; before the instruction
  | "rflags" // RFLAGS as PUSHF sees it (RF and VM included), 64 bits
  | "nextRip" // offset of the following instruction, 64 bits (zero-extended in 16/32-bit code)
  | "load" // attr: number of the load effect that produced it
  | "select" // args: condition (1 bit), then, else
  | "zeroExtend" | "signExtend" // to a larger width
  | "extract" // attr: lowest bit; `width` bits from there (truncation is extract 0)
  | "concat" // args: high, low; width is their sum
  | "lanewise" // attr: {op: LaneOp, lane}
  | "laneShift" // attr: {op: LaneShift, lane}; args: vector, count (64 bits)
  | "vector" // args: lanes, lowest first
  | "shuffle" // attr: byte numbers "0,16,1,17,..."; args: a, b; byte i of the result is byte n of b:a (b's bytes follow a's)
  | "swizzle" // args: vector, control; byte i of the result is byte control[i] of the vector, 0 where there is none such
  | "narrow" // attr: {signed|unsigned, lane}; args: a, b; signed lanes of b:a saturated to half their width
  | "laneSigns" // attr: lane; the sign bit of every lane, lane 0 lowest, zero-extended to 32 bits
  | "intrinsic"; // attr: name in the table of intrinsics

export type Attribute = bigint | number | string | undefined;

let nextId = 0;
const interned = new Map<string, Value>();

const mask = (width: Width): bigint => (1n << BigInt(width)) - 1n;

/** The same operation on the same arguments is the same node, so that common subexpressions are shared by construction. */
const node = (op: Op, width: Width, args: readonly Value[], attr?: Attribute): Value => {
  let key = `${op}:${width}:${String(attr)}`;
  for (const arg of args) key += `,${arg.id}`;
  let found = interned.get(key);
  if (found === undefined) {
    found = new Value(op, width, args, attr);
    interned.set(key, found);
  }
  return found;
};

export class Value {
  readonly id: number;
  readonly op: Op;
  readonly width: Width;
  readonly args: readonly Value[];
  readonly attr: Attribute;

  /** Use the functions of this file, never the constructor: equal nodes must be one object. */
  constructor(op: Op, width: Width, args: readonly Value[], attr: Attribute) {
    this.id = nextId++;
    this.op = op;
    this.width = width;
    this.args = args;
    this.attr = attr;
  }

  get isConst(): boolean {
    return this.op === "const";
  }

  /** The bits of a constant. */
  get bits(): bigint {
    if (this.op !== "const") throw new Error(`${this.op} is not a constant`);
    return this.attr as bigint;
  }

  /** A constant of this value's width. */
  from(bits: number | bigint): Value {
    return constant(BigInt(bits), this.width);
  }

  #operand(other: Value | number | bigint): Value {
    if (!(other instanceof Value)) return this.from(other);
    if (other.width !== this.width) throw new Error(`width ${this.width} with width ${other.width}`);
    return other;
  }

  #count(other: Value | number): Value {
    return other instanceof Value ? other : constant(BigInt(other), 8);
  }

  add(other: Value | number | bigint): Value { return binary("add", this, this.#operand(other)); }
  sub(other: Value | number | bigint): Value { return binary("sub", this, this.#operand(other)); }
  mul(other: Value | number | bigint): Value { return binary("mul", this, this.#operand(other)); }
  mulHighUnsigned(other: Value): Value { return binary("mulHighUnsigned", this, this.#operand(other)); }
  mulHighSigned(other: Value): Value { return binary("mulHighSigned", this, this.#operand(other)); }
  divUnsigned(other: Value): Value { return binary("divUnsigned", this, this.#operand(other)); }
  remUnsigned(other: Value | number): Value { return binary("remUnsigned", this, this.#operand(other)); }
  and(other: Value | number | bigint): Value { return binary("and", this, this.#operand(other)); }
  or(other: Value | number | bigint): Value { return binary("or", this, this.#operand(other)); }
  xor(other: Value | number | bigint): Value { return binary("xor", this, this.#operand(other)); }
  /** Shift counts may have any width. */
  shl(count: Value | number): Value { return binary("shl", this, this.#count(count)); }
  shr(count: Value | number): Value { return binary("shr", this, this.#count(count)); }
  sar(count: Value | number): Value { return binary("sar", this, this.#count(count)); }
  rotl(count: Value | number): Value { return binary("rotl", this, this.#count(count)); }
  rotr(count: Value | number): Value { return binary("rotr", this, this.#count(count)); }
  /** this = other, one bit. */
  equal(other: Value | number | bigint): Value { return binary("equal", this, this.#operand(other)); }
  notEqual(other: Value | number | bigint): Value { return this.equal(other).not(); }
  /** Unsigned less-than, one bit. */
  below(other: Value | number | bigint): Value { return binary("below", this, this.#operand(other)); }
  /** Signed less-than, one bit. */
  less(other: Value | number | bigint): Value { return binary("less", this, this.#operand(other)); }

  not(): Value { return unary("not", this); }
  neg(): Value { return unary("neg", this); }
  clz(): Value { return unary("clz", this); }
  ctz(): Value { return unary("ctz", this); }
  popcnt(): Value { return unary("popcnt", this); }
  bswap(): Value { return unary("bswap", this); }

  /** this = 0, one bit. */
  isZero(): Value { return this.equal(0); }
  /** The most significant bit. */
  get sign(): Value { return this.extract(this.width - 1, 1); }
  /** One bit; a constant index selects, a value index shifts (index taken modulo nothing: >= width gives 0). */
  bit(index: number | Value): Value {
    return index instanceof Value ? this.shr(index).extract(0, 1) : this.extract(index, 1);
  }

  /** `width` bits starting at bit `low`. */
  extract(low: number, width: Width): Value {
    if (low === 0 && width === this.width) return this;
    if (low + width > this.width) throw new Error(`extract ${low}+${width} of ${this.width}`);
    if (this.isConst) return constant(this.bits >> BigInt(low), width);
    if (this.op === "zeroExtend" || this.op === "signExtend") {
      const [inner] = this.args as [Value];
      if (low + width <= inner.width) return inner.extract(low, width);
      if (this.op === "zeroExtend" && low >= inner.width) return constant(0, width);
    }
    if (this.op === "extract") return this.args[0]!.extract(low + (this.attr as number), width);
    if (this.op === "concat") {
      const [high, lowPart] = this.args as [Value, Value];
      if (low + width <= lowPart.width) return lowPart.extract(low, width);
      if (low >= lowPart.width) return high.extract(low - lowPart.width, width);
    }
    if (this.op === "vector") {
      const lane = this.args[0]!.width;
      const offset = low % lane;
      if (offset + width <= lane) return this.args[(low - offset) / lane]!.extract(offset, width);
    }
    return node("extract", width, [this], low);
  }
  truncate(width: Width): Value { return this.extract(0, width); }
  zeroExtend(width: Width): Value {
    if (width === this.width) return this;
    return this.isConst ? constant(this.bits, width) : node("zeroExtend", width, [this]);
  }
  signExtend(width: Width): Value {
    if (width === this.width) return this;
    return this.isConst ? constant(signed(this), width) : node("signExtend", width, [this]);
  }
  /** Zero-extend or truncate. */
  resize(width: Width): Value { return width >= this.width ? this.zeroExtend(width) : this.truncate(width); }

  /** Lane by lane with `other`; lanes of 8, 16, 32 or 64 bits in a vector of 64 or 128. */
  lanewise(op: LaneOp, lane: Lane, other: Value): Value {
    const b = this.#operand(other);
    if (this.isConst && b.isConst) return constant(foldLanewise(op, lane, this.bits, b.bits, this.width), this.width);
    return node("lanewise", this.width, [this, b], `${op}.${lane}`);
  }
  laneShift(op: LaneShift, lane: 16 | 32 | 64, by: Value | number): Value {
    const count = by instanceof Value ? by.resize(64) : constant(by, 64);
    if (count.isConst) {
      if (count.bits === 0n) return this;
      if (this.isConst) return constant(foldLaneShift(op, lane, this.bits, count.bits, this.width), this.width);
    }
    return node("laneShift", this.width, [this, count], `${op}.${lane}`);
  }
  /** Lanes chosen, when the instruction is defined, from this vector (0 ...) and `other` (following this one's). */
  shuffle(other: Value, lane: Lane, lanes: readonly number[]): Value {
    const b = this.#operand(other);
    const step = lane / 8;
    const bytes = lanes.flatMap((n) => Array.from({ length: step }, (_, byte) => n * step + byte));
    if (bytes.length !== this.width / 8) throw new Error(`shuffle of ${bytes.length} bytes`);
    if (bytes.every((byte, i) => byte === i)) return this;
    if (bytes.every((byte, i) => byte === i + bytes.length)) return b;
    if (this.isConst && b.isConst) return constant(foldShuffle(bytes, this.bits, b.bits, this.width), this.width);
    return node("shuffle", this.width, [this, b], bytes.join());
  }
  /** Bytes of this vector chosen at run time: byte i is byte control[i], and 0 where control[i] is too large. */
  swizzle(control: Value): Value {
    this.#operand(control);
    if (!control.isConst) return node("swizzle", this.width, [this, control]);
    const size = this.width / 8;
    const bytes = control.lanes(8).map((byte) => Math.min(Number(byte.bits), size));
    return this.shuffle(this.from(0), 8, bytes);
  }
  /** Signed lanes of this vector, then of `high`, each saturated to a signed or unsigned lane of half the width. */
  narrow(to: "signed" | "unsigned", lane: 16 | 32, high: Value): Value {
    const b = this.#operand(high);
    if (this.isConst && b.isConst) return constant(foldNarrow(to, lane, this.bits, b.bits, this.width), this.width);
    return node("narrow", this.width, [this, b], `${to}.${lane}`);
  }
  /** The sign bit of every lane, lane 0 in bit 0; 32 bits wide. */
  laneSigns(lane: Lane): Value {
    if (this.isConst) return constant(foldLaneSigns(lane, this.bits, this.width), 32);
    return node("laneSigns", 32, [this], lane);
  }
  lane(index: number, width: Lane): Value { return this.extract(index * width, width); }
  lanes(width: Lane): Value[] {
    return Array.from({ length: this.width / width }, (_, index) => this.lane(index, width));
  }
}

const signed = (value: Value): bigint => BigInt.asIntN(value.width, value.bits);

export const constant = (bits: bigint | number, width: Width): Value =>
  node("const", width, [], BigInt(bits) & mask(width));
export const TRUE = constant(1, 1);
export const FALSE = constant(0, 1);

/** Folds what is constant, so that a semantics function written for every width costs nothing where it is trivial. */
const binary = (op: BinaryOp, a: Value, b: Value): Value => {
  const width: Width = op === "equal" || op === "below" || op === "less" ? 1 : a.width;
  if (a.isConst && b.isConst) return constant(foldBinary(op, a.bits, b.bits, a.width), width);
  if (b.isConst) {
    const bits = b.bits;
    if (bits === 0n && (op === "add" || op === "sub" || op === "or" || op === "xor" || op === "shl" || op === "shr" || op === "sar"))
      return a;
    if (op === "and") {
      if (bits === 0n) return b;
      if (bits === mask(a.width)) return a;
    }
    if (op === "below" && bits === 0n) return FALSE;
    if (a.width === 1 && op === "equal") return bits === 1n ? a : a.not();
  }
  if (a.isConst && a.bits === 0n) {
    if (op === "and") return a;
    if (op === "or" || op === "xor" || op === "add") return b;
  }
  if (a.isConst && a.width === 1 && (op === "and" || op === "or" || op === "xor")) return binary(op, b, a);
  if (b.isConst && a.width === 1 && op === "or" && b.bits === 1n) return TRUE;
  if (a === b) {
    if (op === "xor" || op === "sub") return a.from(0);
    if (op === "and" || op === "or") return a;
    if (op === "equal") return TRUE;
    if (op === "below" || op === "less") return FALSE;
  }
  return node(op, width, [a, b]);
};

const unary = (op: UnaryOp, a: Value): Value => {
  if (a.isConst) return constant(foldUnary(op, a.bits, a.width), a.width);
  if (op === "not" && a.op === "not") return a.args[0]!;
  return node(op, a.width, [a]);
};

/** The meaning of each binary operation on unsigned bit patterns: the evaluator and the constant folder are its readers. */
export const foldBinary = (op: BinaryOp, a: bigint, b: bigint, width: Width): bigint => {
  const all = mask(width);
  const s = (x: bigint): bigint => BigInt.asIntN(width, x);
  const over = b >= BigInt(width);
  switch (op) {
    case "add": return (a + b) & all;
    case "sub": return (a - b) & all;
    case "mul": return (a * b) & all;
    case "mulHighUnsigned": return (a * b) >> BigInt(width);
    case "mulHighSigned": return ((s(a) * s(b)) >> BigInt(width)) & all;
    case "divUnsigned": return b === 0n ? 0n : a / b;
    case "remUnsigned": return b === 0n ? 0n : a % b;
    case "and": return a & b;
    case "or": return a | b;
    case "xor": return a ^ b;
    case "shl": return over ? 0n : (a << b) & all;
    case "shr": return over ? 0n : a >> b;
    case "sar": return (s(a) >> (over ? BigInt(width - 1) : b)) & all;
    case "rotl": { const n = b % BigInt(width); return ((a << n) | (a >> (BigInt(width) - n))) & all; }
    case "rotr": { const n = b % BigInt(width); return ((a >> n) | (a << (BigInt(width) - n))) & all; }
    case "equal": return a === b ? 1n : 0n;
    case "below": return a < b ? 1n : 0n;
    case "less": return s(a) < s(b) ? 1n : 0n;
  }
};

export const foldUnary = (op: UnaryOp, a: bigint, width: Width): bigint => {
  switch (op) {
    case "not": return ~a & mask(width);
    case "neg": return -a & mask(width);
    case "clz": return BigInt(width - (a === 0n ? 0 : a.toString(2).length));
    case "ctz": {
      if (a === 0n) return BigInt(width);
      return BigInt((a & -a).toString(2).length - 1);
    }
    case "popcnt": return BigInt(a.toString(2).replaceAll("0", "").length);
    case "bswap": {
      let swapped = 0n;
      for (let i = 0; i < width / 8; i++) swapped = (swapped << 8n) | ((a >> BigInt(8 * i)) & 0xffn);
      return swapped;
    }
  }
};

/** The name and the lane width in the attribute `op.lane` of a lanewise, laneShift or narrow node. */
export const laneAttribute = <Name extends string>(attr: Attribute): { op: Name; lane: Lane } => {
  const [op, lane] = (attr as string).split(".") as [Name, string];
  return { op, lane: Number(lane) as Lane };
};

/** The byte numbers of a shuffle node. */
export const shuffleBytes = (attr: Attribute): number[] => (attr as string).split(",").map(Number);

const unpack = (lane: number, a: bigint, width: Width): bigint[] =>
  Array.from({ length: width / lane }, (_, i) => BigInt.asUintN(lane, a >> BigInt(i * lane)));

const pack = (lane: number, lanes: readonly bigint[]): bigint =>
  lanes.reduce((all, value, i) => all | (BigInt.asUintN(lane, value) << BigInt(i * lane)), 0n);

const clamp = (x: bigint, low: bigint, high: bigint): bigint => (x < low ? low : x > high ? high : x);
const clampSigned = (x: bigint, lane: number): bigint =>
  clamp(x, -(1n << BigInt(lane - 1)), (1n << BigInt(lane - 1)) - 1n);
const clampUnsigned = (x: bigint, lane: number): bigint => clamp(x, 0n, (1n << BigInt(lane)) - 1n);

/** The meaning of one lane operation on one pair of unsigned lanes; only its low `lane` bits count. */
const foldLane = (op: LaneOp, lane: Lane, a: bigint, b: bigint): bigint => {
  const s = (x: bigint): bigint => BigInt.asIntN(lane, x);
  const half = (x: bigint, i: bigint): bigint => BigInt.asIntN(16, x >> (16n * i));
  switch (op) {
    case "add": return a + b;
    case "sub": return a - b;
    case "mul": return a * b;
    case "mulHighUnsigned": return (a * b) >> BigInt(lane);
    case "mulHighSigned": return (s(a) * s(b)) >> BigInt(lane);
    case "addSaturateSigned": return clampSigned(s(a) + s(b), lane);
    case "addSaturateUnsigned": return clampUnsigned(a + b, lane);
    case "subSaturateSigned": return clampSigned(s(a) - s(b), lane);
    case "subSaturateUnsigned": return clampUnsigned(a - b, lane);
    case "minSigned": return s(a) < s(b) ? a : b;
    case "minUnsigned": return a < b ? a : b;
    case "maxSigned": return s(a) > s(b) ? a : b;
    case "maxUnsigned": return a > b ? a : b;
    case "averageUnsigned": return (a + b + 1n) >> 1n;
    case "equal": return a === b ? -1n : 0n;
    case "greaterSigned": return s(a) > s(b) ? -1n : 0n;
    case "pairProductSum": return half(a, 0n) * half(b, 0n) + half(a, 1n) * half(b, 1n);
  }
};

/** The meaning of the vector operations on unsigned bit patterns: the evaluator and the constant folder are their readers. */
export const foldLanewise = (op: LaneOp, lane: Lane, a: bigint, b: bigint, width: Width): bigint => {
  const second = unpack(lane, b, width);
  return pack(lane, unpack(lane, a, width).map((x, i) => foldLane(op, lane, x, second[i]!)));
};

export const foldLaneShift = (op: LaneShift, lane: Lane, a: bigint, count: bigint, width: Width): bigint =>
  pack(lane, unpack(lane, a, width).map((x) => foldBinary(op, x, count, lane)));

export const foldShuffle = (bytes: readonly number[], a: bigint, b: bigint, width: Width): bigint => {
  const both = [...unpack(8, a, width), ...unpack(8, b, width)];
  return pack(8, bytes.map((n) => both[n]!));
};

export const foldSwizzle = (a: bigint, control: bigint, width: Width): bigint => {
  const bytes = unpack(8, a, width);
  return pack(8, unpack(8, control, width).map((n) => bytes[Number(n)] ?? 0n));
};

export const foldNarrow = (to: "signed" | "unsigned", lane: Lane, a: bigint, b: bigint, width: Width): bigint => {
  const clampTo = to === "signed" ? clampSigned : clampUnsigned;
  const both = [...unpack(lane, a, width), ...unpack(lane, b, width)];
  return pack(lane / 2, both.map((x) => clampTo(BigInt.asIntN(lane, x), lane / 2)));
};

export const foldLaneSigns = (lane: Lane, a: bigint, width: Width): bigint =>
  pack(1, unpack(lane, a, width).map((x) => x >> BigInt(lane - 1)));

/** condition ? whenTrue : whenFalse */
export const select = (condition: Value, whenTrue: Value, whenFalse: Value): Value => {
  if (condition.width !== 1) throw new Error("a condition is one bit");
  if (whenTrue.width !== whenFalse.width) throw new Error(`select of ${whenTrue.width} and ${whenFalse.width}`);
  if (whenTrue === whenFalse) return whenTrue;
  if (condition.isConst) return condition.bits === 1n ? whenTrue : whenFalse;
  if (condition.op === "not") return node("select", whenTrue.width, [condition.args[0]!, whenFalse, whenTrue]);
  return node("select", whenTrue.width, [condition, whenTrue, whenFalse]);
};

/** high:low */
export const concat = (high: Value, low: Value): Value => {
  const width = (high.width + low.width) as Width;
  if (high.isConst && low.isConst) return constant((high.bits << BigInt(low.width)) | low.bits, width);
  return node("concat", width, [high, low]);
};

/** A vector from its lanes, lowest first. */
export const vector = (lanes: readonly Value[]): Value => {
  const lane = lanes[0]!.width;
  const width = (lane * lanes.length) as Width;
  if (lanes.some((value) => value.width !== lane)) throw new Error("the lanes of a vector have one width");
  if (lanes.every((value) => value.isConst)) return constant(pack(lane, lanes.map((value) => value.bits)), width);
  const [whole] = lanes[0]!.args;
  if (whole?.width === width && lanes.every((value, i) => value.op === "extract" && value.args[0] === whole && value.attr === i * lane)) return whole;
  return node("vector", width, lanes);
};

/** A vector whose lanes all hold one value. */
export const splat = (value: Value, width: 64 | 128 = 128): Value =>
  vector(Array.from({ length: width / value.width }, () => value));

/**
 * A pure function too large for the operations above (an AES round, an exact floating-point addition). `name` is a key
 * of the intrinsics table (`ir/intrinsics.ts`), whose entry gives the argument and result widths and the function.
 */
export const intrinsic = (name: string, width: Width, args: readonly Value[]): Value =>
  node("intrinsic", width, args, name);

/** Leaves: what an instruction can read. Readers bind them to a state. */
export const leaf = {
  operand: (index: number, width: Width): Value => node("operand", width, [], index),
  address: (index: number): Value => node("address", 64, [], index),
  register: (name: string, width: Width): Value => node("register", width, [], name),
  flag: (name: string): Value => node("flag", 1, [], name),
  rflags: (): Value => node("rflags", 64, []),
  nextRip: (): Value => node("nextRip", 64, []),
  load: (index: number, width: Width): Value => node("load", width, [], index),
};
