import { type LaneOp, type LaneShift, laneAttribute, shuffleBytes, type Value, type Width } from "../ir/value.ts";
import { type Code, i32, i64, type Plain, type Simd, type SimdLane, simdOpcode, type ValueType, v128 } from "../wasm/code.ts";
import { emitFloatLane } from "./float-lane.ts";
import { emitFlush, emitRelation } from "./relation.ts";

/** Where a value of this width lives on the Wasm stack. */
export const stackType = (width: Width): ValueType => {
  if (width <= 32) return i32;
  if (width === 64) return i64;
  if (width === 128) return v128;
  throw new Error(`no Wasm type for ${width} bits`);
};

/** How a tier reads the leaves of a graph and reaches what Wasm has no instruction for. */
export interface Binding {
  /** Push a leaf; narrow ones zero-extended. */
  leaf(code: Code, value: Value): void;
  /** Push a leaf of 32 or 64 bits as a float; false: it must be pushed as an integer. */
  leafFloat?(code: Code, value: Value): boolean;
  /** Push the value of a node that TypeScript computes; its arguments are emitted by `emitArgument`. */
  foreign(code: Code, value: Value, emitArgument: (index: number) => void): void;
  /** Function index of the unsigned 64 x 64 -> high 64 multiplication. */
  readonly mulHighUnsigned: number;
}

const ones = (width: Width): number => (width === 32 ? -1 : 2 ** width - 1);

/** An inclusive upper bound of a value, as far as its structure shows. */
const upperBound = (value: Value): bigint => {
  const most = (1n << BigInt(value.width)) - 1n;
  switch (value.op) {
    case "const": return value.bits;
    case "zeroExtend": return upperBound(value.args[0]!);
    case "and": {
      const [a, b] = value.args as [Value, Value];
      const low = upperBound(a);
      const high = upperBound(b);
      return low < high ? low : high;
    }
    case "remUnsigned": return value.args[1]!.isConst ? value.args[1]!.bits - 1n : most;
    default: return most;
  }
};

const lanePrefix = { 8: "i8x16", 16: "i16x8", 32: "i32x4", 64: "i64x2" } as const;
const laneSuffix: Partial<Record<LaneOp, string>> = {
  add: "add", sub: "sub", mul: "mul",
  addSaturateSigned: "add_sat_s", addSaturateUnsigned: "add_sat_u", subSaturateSigned: "sub_sat_s", subSaturateUnsigned: "sub_sat_u",
  minSigned: "min_s", minUnsigned: "min_u", maxSigned: "max_s", maxUnsigned: "max_u", averageUnsigned: "avgr_u",
  equal: "eq", greaterSigned: "gt_s",
};

/** The SIMD instruction of a lanewise node, where Wasm has one. */
const simdOf = (op: LaneOp, lane: 8 | 16 | 32 | 64): Simd | undefined => {
  if (op === "pairProductSum") return lane === 32 ? "i32x4.dot_i16x8_s" : undefined;
  const suffix = laneSuffix[op];
  if (suffix === undefined) return undefined;
  const name = `${lanePrefix[lane]}.${suffix}`;
  return name in simdOpcode ? (name as Simd) : undefined;
};

/**
 * Emits graphs as Wasm. Values of 1, 8 and 16 bits travel in an i32 whose upper bits are zero; where a consumer ignores
 * them, `emitLoose` leaves them arbitrary and saves the mask. A node used more than once is computed once, into a local.
 */
export class ExpressionEmitter {
  readonly #code: Code;
  readonly #binding: Binding;
  readonly #uses = new Map<Value, number>();
  readonly #locals = new Map<Value, number>();
  /** Values that are in locals of the floating-point types. */
  readonly #floats = new Map<Value, number>();

  /** `roots`: everything that will be emitted, so that shared nodes are known beforehand. */
  constructor(code: Code, binding: Binding, roots: readonly Value[]) {
    this.#code = code;
    this.#binding = binding;
    for (const root of roots) this.#count(root);
  }

  #count(value: Value): void {
    const uses = (this.#uses.get(value) ?? 0) + 1;
    this.#uses.set(value, uses);
    if (uses === 1) for (const arg of value.args) this.#count(arg);
  }

  /** Compute a value now and keep it in a local; later uses read the local. */
  keep(value: Value): void {
    if (value.isConst || this.#locals.has(value) || this.#floats.has(value)) return;
    this.#emitNode(value);
    const local = this.#code.local(stackType(value.width));
    this.#code.set(local);
    this.#locals.set(value, local);
  }

  /** Bind a leaf (a load's result) to a local that holds it. */
  bind(value: Value, local: number): void {
    this.#locals.set(value, local);
  }

  /** Bind a value to a local that holds it as a float. */
  bindFloat(value: Value, local: number): void {
    this.#floats.set(value, local);
  }

  /** Push a value of 32 or 64 bits as a float. */
  emitFloat(value: Value): void {
    const code = this.#code;
    const [inner] = value.args;
    const local = this.#floats.get(value);
    if (local !== undefined) code.get(local);
    else if (value.isConst || this.#locals.has(value)) this.#emitAsFloat(value);
    else if (value.op === "extract" && inner!.width === 128 && (value.attr as number) % value.width === 0) {
      this.emit(inner!);
      code.simdLane(value.width === 32 ? "f32x4.extract_lane" : "f64x2.extract_lane", (value.attr as number) / value.width);
    } else if (value.args.length > 0 || !this.#binding.leafFloat?.(code, value)) this.#emitAsFloat(value);
  }

  #emitAsFloat(value: Value): void {
    this.emit(value);
    this.#code.op(value.width === 32 ? "f32.reinterpret_i32" : "f64.reinterpret_i64");
  }

  /** Is the value at hand as a float, and not as an integer? */
  isFloat(value: Value): boolean {
    return this.#floats.has(value);
  }

  /** Before a conditional region: compute every shared node below the value, so that no local is set in one branch only. */
  keepShared(value: Value): void {
    if (value.isConst || this.#locals.has(value) || this.#floats.has(value)) return;
    for (const arg of value.args) this.keepShared(arg);
    if ((this.#uses.get(value) ?? 0) > 1) this.keep(value);
  }

  /** Push the value; upper bits of narrow values are zero. */
  emit(value: Value): void {
    const code = this.#code;
    if (value.isConst) {
      if (value.width <= 32) code.i32(Number(BigInt.asIntN(32, value.bits)));
      else if (value.width === 64) code.i64(value.bits);
      else code.v128(value.bits);
      return;
    }
    const local = this.#locals.get(value);
    if (local !== undefined) {
      code.get(local);
      return;
    }
    const asFloat = this.#floats.get(value);
    if (asFloat !== undefined) {
      code.get(asFloat).op(value.width === 32 ? "i32.reinterpret_f32" : "i64.reinterpret_f64");
      return;
    }
    this.#emitNode(value);
    if ((this.#uses.get(value) ?? 0) > 1) {
      const kept = code.local(stackType(value.width));
      code.tee(kept);
      this.#locals.set(value, kept);
    }
  }

  /** Push a value of at most 32 bits whose upper bits may be anything. */
  emitLoose(value: Value): void {
    const narrow = value.width === 8 || value.width === 16;
    if (!narrow || value.isConst || this.#locals.has(value) || (this.#uses.get(value) ?? 0) > 1) this.emit(value);
    else if (!this.#emitLooseNode(value)) this.#emitNode(value);
  }

  /** Push the value zero-extended to 64 bits. */
  emit64(value: Value): void {
    this.emit(value);
    if (value.width <= 32) this.#code.op("i64.extend_i32_u");
  }

  /** Push a narrow value sign-extended to 32 bits. */
  #emitSigned(value: Value): void {
    if (value.isConst) {
      this.#code.i32(Number(BigInt.asIntN(value.width, value.bits)));
      return;
    }
    this.emitLoose(value);
    if (value.width === 8) this.#code.op("i32.extend8_s");
    else if (value.width === 16) this.#code.op("i32.extend16_s");
    else if (value.width === 1) this.#code.i32(31).op("i32.shl").i32(31).op("i32.shr_s");
  }

  #mask(width: Width): void {
    if (width < 32) this.#code.i32(ones(width)).op("i32.and");
  }

  /** Nodes whose low bits depend on low bits only. Returns false where the clean form must be used. */
  #emitLooseNode(value: Value): boolean {
    const code = this.#code;
    const [a, b] = value.args as [Value, Value];
    switch (value.op) {
      case "add": case "sub": case "mul": case "and": case "or": case "xor":
        this.emitLoose(a);
        this.emitLoose(b);
        code.op(`i32.${value.op}`);
        return true;
      case "not":
        this.emitLoose(a);
        code.i32(-1).op("i32.xor");
        return true;
      case "neg":
        code.i32(0);
        this.emitLoose(a);
        code.op("i32.sub");
        return true;
      case "select":
        this.emitLoose(value.args[1]!);
        this.emitLoose(value.args[2]!);
        this.emit(a);
        code.op("select");
        return true;
      case "shl":
        if (upperBound(b) > 31n) return false;
        this.emitLoose(a);
        this.emitCount(b, 32);
        code.op("i32.shl");
        return true;
      case "signExtend":
        this.#emitSigned(a);
        return true;
      case "extract":
        if (a.width > 64) return false;
        if (a.width === 64) {
          this.emit(a);
          if (value.attr !== 0) code.i64(BigInt(value.attr as number)).op("i64.shr_u");
          code.op("i32.wrap_i64");
        } else if (value.attr === 0) this.emitLoose(a);
        else {
          this.emit(a);
          code.i32(value.attr as number).op("i32.shr_u");
        }
        return true;
      default:
        return false;
    }
  }

  /** Push a shift count as the container's type. */
  emitCount(count: Value, container: 32 | 64): void {
    this.emit(count);
    if (container === 32 && count.width === 64) this.#code.op("i32.wrap_i64");
    if (container === 64 && count.width <= 32) this.#code.op("i64.extend_i32_u");
  }

  #emitNode(value: Value): void {
    const code = this.#code;
    const { op, width } = value;
    const [a, b] = value.args as [Value, Value];
    const t = width === 64 ? "i64" : "i32";
    if (width === 128 && this.#emitVector(value)) return;
    switch (op) {
      case "operand": case "address": case "register": case "flag": case "rflags": case "nextRip": case "load":
        this.#binding.leaf(code, value);
        return;
      case "add": case "sub": case "mul":
        if (width > 64) break;
        this.emitLoose(a);
        this.emitLoose(b);
        code.op(`${t}.${op}`);
        this.#mask(width);
        return;
      case "and": case "or": case "xor":
        if (op === "or" && this.#emitOutcomes(value)) return;
        this.emit(a);
        this.emit(b);
        code.op(`${t}.${op}`);
        return;
      case "not":
        this.emit(a);
        if (width === 64) code.i64(-1n).op("i64.xor");
        else code.i32(ones(width)).op("i32.xor");
        return;
      case "neg":
        if (width === 64) code.i64(0n);
        else code.i32(0);
        this.emitLoose(a);
        code.op(`${t}.sub`);
        this.#mask(width);
        return;
      case "mulHighUnsigned":
        this.#emitMulHighUnsigned(a, b);
        return;
      case "mulHighSigned":
        this.#emitMulHighSigned(a, b);
        return;
      case "divUnsigned": case "remUnsigned": {
        if (width > 64) break;
        const name: Plain = op === "divUnsigned" ? `${t}.div_u` : `${t}.rem_u`;
        if (b.isConst && b.bits !== 0n) {
          this.emit(a);
          this.emit(b);
          code.op(name);
          return;
        }
        this.keep(a);
        this.keep(b);
        this.emit(b);
        code.op(`${t}.eqz`).if(t === "i64" ? i64 : i32);
        if (t === "i64") code.i64(0n);
        else code.i32(0);
        code.else();
        this.emit(a);
        this.emit(b);
        code.op(name).end();
        return;
      }
      case "shl": case "shr": case "sar":
        if (width > 64) break;
        this.#emitShift(op, a, b, width);
        return;
      case "rotl": case "rotr":
        if (width > 64) break;
        this.#emitRotate(op, a, b, width);
        return;
      case "equal":
        this.#emitEqual(a, b);
        return;
      case "below":
        if (a.width > 64) break;
        this.emit(a);
        this.emit(b);
        code.op(a.width === 64 ? "i64.lt_u" : "i32.lt_u");
        return;
      case "less":
        if (a.width > 64) break;
        if (a.width === 64) {
          this.emit(a);
          this.emit(b);
          code.op("i64.lt_s");
        } else {
          this.#emitSigned(a);
          this.#emitSigned(b);
          code.op("i32.lt_s");
        }
        return;
      case "clz":
        if (width > 64) break;
        this.emit(a);
        code.op(`${t}.clz`);
        if (width < 32) code.i32(32 - width).op("i32.sub");
        return;
      case "ctz":
        if (width > 64) break;
        this.emit(a);
        if (width < 32) code.i32(2 ** width).op("i32.or");
        code.op(`${t}.ctz`);
        return;
      case "popcnt":
        if (width > 64) break;
        this.emit(a);
        code.op(`${t}.popcnt`);
        return;
      case "bswap":
        if (width > 64) break;
        this.#emitByteSwap(a);
        return;
      case "select":
        if (value.args[1]!.width <= 32) {
          this.emit(value.args[1]!);
          this.emit(value.args[2]!);
        } else {
          this.emit(b);
          this.emit(value.args[2]!);
        }
        this.emit(a);
        code.op("select");
        return;
      case "zeroExtend":
        if (width > 64) break;
        this.emit(a);
        if (width === 64 && a.width <= 32) code.op("i64.extend_i32_u");
        return;
      case "signExtend":
        if (width > 64) break;
        this.#emitSigned(a);
        if (width === 64) code.op("i64.extend_i32_s");
        else this.#mask(width);
        return;
      case "extract":
        if (this.#emitOutcomes(value) || this.#emitExtract(a, value.attr as number, width)) return;
        break;
      case "concat":
        if (width > 64) break;
        this.emit64Or32(a, t);
        if (t === "i64") code.i64(BigInt(b.width)).op("i64.shl");
        else code.i32(b.width).op("i32.shl");
        this.emit64Or32(b, t);
        code.op(`${t}.or`);
        return;
      case "vector": {
        if (width > 64) break;
        this.emit64Or32(a, t);
        value.args.forEach((lane, index) => {
          if (index === 0) return;
          this.emit64Or32(lane, t);
          if (t === "i64") code.i64(BigInt(index * lane.width)).op("i64.shl").op("i64.or");
          else code.i32(index * lane.width).op("i32.shl").op("i32.or");
        });
        return;
      }
      case "lanewise": {
        const { op: laneOp, lane } = laneAttribute<LaneOp>(value.attr);
        const simd = simdOf(laneOp, lane);
        if (width !== 64 || simd === undefined) break;
        this.emit(a);
        code.simd("i64x2.splat");
        this.emit(b);
        code.simd("i64x2.splat").simd(simd).simdLane("i64x2.extract_lane", 0);
        return;
      }
      case "laneShift": {
        const { op: laneOp, lane } = laneAttribute<LaneShift>(value.attr);
        if (width !== 64) break;
        this.#emitLaneShift(laneOp, lane as 16 | 32 | 64, b, () => {
          this.emit(a);
          code.simd("i64x2.splat");
        });
        code.simdLane("i64x2.extract_lane", 0);
        return;
      }
      case "laneSigns":
        this.emit(a);
        if (a.width === 64) code.simd("i64x2.splat");
        code.simd(`${lanePrefix[value.attr as 8 | 16 | 32 | 64]}.bitmask`);
        if (a.width === 64) code.i32(2 ** (64 / (value.attr as number)) - 1).op("i32.and");
        return;
    }
    const argument = (index: number): void => this.emit(value.args[index]!);
    if (op === "intrinsic") {
      if (emitFlush(code, value, argument)) return;
      // Both ways need the arguments: none may be computed in one of them alone.
      for (const arg of value.args) this.keep(arg);
      if (emitFloatLane(code, value, argument, () => this.#binding.foreign(code, value, argument))) return;
    }
    this.#binding.foreign(code, value, argument);
  }

  /** One bit that says whether the relation of two floats is one of some: a comparison. */
  #emitOutcomes(value: Value): boolean {
    return emitRelation(this.#code, value, (operand) => this.emitFloat(operand));
  }

  emit64Or32(value: Value, t: "i32" | "i64"): void {
    if (t === "i64") this.emit64(value);
    else this.emit(value);
  }

  /** Operations with a 128-bit result. */
  #emitVector(value: Value): boolean {
    const code = this.#code;
    const [a, b] = value.args as [Value, Value];
    switch (value.op) {
      case "and": case "or": case "xor":
        this.emit(a);
        this.emit(b);
        code.simd(`v128.${value.op}`);
        return true;
      case "not":
        this.emit(a);
        code.simd("v128.not");
        return true;
      case "zeroExtend":
        code.v128(0n);
        if (a.width >= 32 && this.#floats.has(a)) {
          this.emitFloat(a);
          code.simdLane(a.width === 32 ? "f32x4.replace_lane" : "f64x2.replace_lane", 0);
        } else {
          this.emit64(a);
          code.simdLane("i64x2.replace_lane", 0);
        }
        return true;
      case "concat":
        if (a.width !== 64) return false;
        this.emit(b);
        code.simd("i64x2.splat");
        this.emit(a);
        code.simdLane("i64x2.replace_lane", 1);
        return true;
      case "vector": {
        const lane = a.width as 8 | 16 | 32 | 64;
        this.emit(a);
        code.simd(`${lanePrefix[lane]}.splat`);
        value.args.forEach((element, index) => {
          if (index === 0 || element === a) return;
          this.emit(element);
          code.simdLane(`${lanePrefix[lane]}.replace_lane`, index);
        });
        return true;
      }
      case "lanewise": {
        const { op, lane } = laneAttribute<LaneOp>(value.attr);
        const simd = simdOf(op, lane);
        if (simd === undefined) return false;
        this.emit(a);
        this.emit(b);
        code.simd(simd);
        return true;
      }
      case "laneShift": {
        const { op, lane } = laneAttribute<LaneShift>(value.attr);
        this.#emitLaneShift(op, lane as 16 | 32 | 64, b, () => this.emit(a));
        return true;
      }
      case "shuffle":
        this.emit(a);
        this.emit(b);
        code.shuffle(shuffleBytes(value.attr));
        return true;
      case "swizzle":
        this.emit(a);
        this.emit(b);
        code.simd("i8x16.swizzle");
        return true;
      case "narrow": {
        const { op, lane } = laneAttribute<"signed" | "unsigned">(value.attr);
        this.emit(a);
        this.emit(b);
        const to = op === "signed" ? "s" : "u";
        code.simd(lane === 16 ? `i8x16.narrow_i16x8_${to}` : `i16x8.narrow_i32x4_${to}`);
        return true;
      }
      default:
        return false;
    }
  }

  #emitLaneShift(op: LaneShift, lane: 16 | 32 | 64, count: Value, emitVector: () => void): void {
    const code = this.#code;
    const name: Simd = `${lanePrefix[lane]}.${op === "sar" ? "shr_s" : op === "shl" ? "shl" : "shr_u"}`;
    if (count.isConst) {
      if (count.bits >= BigInt(lane) && op !== "sar") {
        code.v128(0n);
        return;
      }
      emitVector();
      code.i32(Number(count.bits < BigInt(lane) ? count.bits : BigInt(lane - 1))).simd(name);
      return;
    }
    this.keep(count);
    if (op === "sar") {
      emitVector();
      this.emit(count);
      code.i64(BigInt(lane - 1));
      this.emit(count);
      code.i64(BigInt(lane)).op("i64.lt_u").op("select").op("i32.wrap_i64").simd(name);
      return;
    }
    emitVector();
    this.emit(count);
    code.op("i32.wrap_i64").simd(name).v128(0n);
    this.emit(count);
    code.i64(BigInt(lane)).op("i64.lt_u").op("select");
  }

  #emitMulHighUnsigned(a: Value, b: Value): void {
    const code = this.#code;
    if (a.width === 64) {
      this.emit(a);
      this.emit(b);
      code.call(this.#binding.mulHighUnsigned);
    } else if (a.width === 32) {
      this.emit64(a);
      this.emit64(b);
      code.op("i64.mul").i64(32n).op("i64.shr_u").op("i32.wrap_i64");
    } else {
      this.emit(a);
      this.emit(b);
      code.op("i32.mul").i32(a.width).op("i32.shr_u");
    }
  }

  #emitMulHighSigned(a: Value, b: Value): void {
    const code = this.#code;
    if (a.width === 64) {
      // high(a x b) signed = high unsigned - (a < 0 ? b : 0) - (b < 0 ? a : 0)
      this.keep(a);
      this.keep(b);
      this.emit(a);
      this.emit(b);
      code.call(this.#binding.mulHighUnsigned);
      for (const [x, y] of [[a, b], [b, a]] as const) {
        this.emit(x);
        code.i64(63n).op("i64.shr_s");
        this.emit(y);
        code.op("i64.and").op("i64.sub");
      }
    } else if (a.width === 32) {
      for (const x of [a, b]) {
        this.emit(x);
        code.op("i64.extend_i32_s");
      }
      code.op("i64.mul").i64(32n).op("i64.shr_u").op("i32.wrap_i64");
    } else {
      this.#emitSigned(a);
      this.#emitSigned(b);
      code.op("i32.mul").i32(a.width).op("i32.shr_u");
      this.#mask(a.width);
    }
  }

  #emitShift(op: "shl" | "shr" | "sar", a: Value, count: Value, width: Width): void {
    const code = this.#code;
    const t = width === 64 ? "i64" : "i32";
    const container = width === 64 ? 64 : 32;
    const instruction: Plain = `${t}.${op === "shl" ? "shl" : op === "shr" ? "shr_u" : "shr_s"}`;
    const bounded = upperBound(count) < BigInt(container);
    const operand = (): void => {
      if (op === "sar" && width < 64) this.#emitSigned(a);
      else if (op === "shl") this.emitLoose(a);
      else this.emit(a);
    };
    if (bounded) {
      operand();
      this.emitCount(count, container);
      code.op(instruction);
    } else if (op === "sar") {
      this.keep(count);
      operand();
      this.emitCount(count, container);
      if (t === "i64") code.i64(63n);
      else code.i32(31);
      this.emit(count);
      if (count.width === 64) code.i64(BigInt(container)).op("i64.lt_u");
      else code.i32(container).op("i32.lt_u");
      code.op("select").op(instruction);
    } else {
      this.keep(count);
      operand();
      this.emitCount(count, container);
      code.op(instruction);
      if (t === "i64") code.i64(0n);
      else code.i32(0);
      this.emit(count);
      if (count.width === 64) code.i64(BigInt(container)).op("i64.lt_u");
      else code.i32(container).op("i32.lt_u");
      code.op("select");
    }
    if (op !== "shr") this.#mask(width);
  }

  #emitRotate(op: "rotl" | "rotr", a: Value, count: Value, width: Width): void {
    const code = this.#code;
    if (width >= 32) {
      this.emit(a);
      this.emitCount(count, width as 32 | 64);
      code.op(`${width === 64 ? "i64" : "i32"}.${op}`);
      return;
    }
    // (a << n | a >> (width - n)) within the low bits, n taken modulo width
    const [toward, back]: [Plain, Plain] = op === "rotl" ? ["i32.shl", "i32.shr_u"] : ["i32.shr_u", "i32.shl"];
    this.keep(a);
    this.keep(count);
    this.emit(a);
    this.emitCount(count, 32);
    code.i32(width - 1).op("i32.and").op(toward);
    this.emit(a);
    code.i32(width);
    this.emitCount(count, 32);
    code.i32(width - 1).op("i32.and").op("i32.sub").op(back).op("i32.or");
    this.#mask(width);
  }

  #emitEqual(a: Value, b: Value): void {
    const code = this.#code;
    if (b.isConst && b.bits === 0n && a.op === "sub" && !this.#locals.has(a)) {
      this.#emitEqual(a.args[0]!, a.args[1]!);
      return;
    }
    if (a.width === 128) {
      this.emit(a);
      this.emit(b);
      code.simd("v128.xor").simd("v128.any_true").op("i32.eqz");
      return;
    }
    const t = a.width === 64 ? "i64" : "i32";
    this.emit(a);
    if (b.isConst && b.bits === 0n) {
      code.op(`${t}.eqz`);
      return;
    }
    this.emit(b);
    code.op(`${t}.eq`);
  }

  #emitByteSwap(a: Value): void {
    const code = this.#code;
    this.emit(a);
    if (a.width === 16) {
      const local = code.local(i32);
      code.tee(local).i32(8).op("i32.shl").get(local).i32(8).op("i32.shr_u").op("i32.or");
      this.#mask(16);
      return;
    }
    if (a.width === 32) {
      const local = code.local(i32);
      code.tee(local).i32(8).op("i32.rotr").i32(0xff00ff00 | 0).op("i32.and");
      code.get(local).i32(8).op("i32.rotl").i32(0x00ff00ff).op("i32.and").op("i32.or");
      return;
    }
    const reversed = [7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8];
    const local = code.local(v128);
    code.simd("i64x2.splat").tee(local).get(local).shuffle(reversed).simdLane("i64x2.extract_lane", 0);
  }

  #emitExtract(a: Value, low: number, width: Width): boolean {
    const code = this.#code;
    if (a.width === 128) {
      if (width >= 8 && low % width === 0 && width <= 64) {
        this.emit(a);
        const name: SimdLane =
          width === 64 ? "i64x2.extract_lane" : width === 32 ? "i32x4.extract_lane" : width === 16 ? "i16x8.extract_lane_u" : "i8x16.extract_lane_u";
        code.simdLane(name, low / width);
        return true;
      }
      if ((low % 64) + width > 64) return false;
      this.emit(a);
      code.simdLane("i64x2.extract_lane", low < 64 ? 0 : 1);
      if (low % 64 !== 0) code.i64(BigInt(low % 64)).op("i64.shr_u");
      code.op("i32.wrap_i64");
      this.#mask(width);
      return true;
    }
    if (a.width > 64) return false;
    if (a.width === 64) {
      this.emit(a);
      if (low !== 0) code.i64(BigInt(low)).op("i64.shr_u");
      code.op("i32.wrap_i64");
      if (low + width < 64 || width < 32) this.#mask(width);
      return true;
    }
    if (low === 0) this.emitLoose(a);
    else {
      this.emit(a);
      code.i32(low).op("i32.shr_u");
    }
    if (low === 0 || low + width < a.width) this.#mask(width);
    return true;
  }
}

