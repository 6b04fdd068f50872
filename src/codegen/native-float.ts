import type { Effect, FlagName, Flags } from "../ir/effects.ts";
import { rebuilder } from "../ir/substitute.ts";
import { constant, intrinsic, leaf, type Value, vector, type Width } from "../ir/value.ts";
import { offsetOf } from "../state/layout.ts";
import { type Code, f32, f64, i32, i64, type Simd, type ValueType, v128 } from "../wasm/code.ts";
import type { ExpressionEmitter } from "./expression.ts";
import { hasNativeLane, pushRounded } from "./float-lane.ts";

/**
 * The quick form of an SSE floating-point instruction: what its effects come to where WebAssembly's own operations give every lane
 * exactly and no exception would be seen. Then the exceptions are a constant zero, and what depends on them folds away. The native results
 * are computed first, and looked at; where they may not be used, the instruction is carried out as its effects say.
 */

type FloatBits = 32 | 64;

/** One native operation: on one lane, or on all of a register. */
export interface NativeOperation {
  /** The node that stands for the result; undefined where only the exceptions matter. */
  readonly node: Value | undefined;
  /** The intrinsic's name. */
  readonly name: string;
  readonly packed: boolean;
  readonly operands: readonly Value[];
  readonly mxcsr: Value;
  /** Of `compare`. */
  readonly predicate: Value | undefined;
}

export interface QuickForm {
  readonly effects: readonly Effect[];
  readonly operations: readonly NativeOperation[];
}

const quickForms = new WeakMap<readonly Effect[], QuickForm | null>();

export const quickFormOf = (effects: readonly Effect[]): QuickForm | undefined => {
  let found = quickForms.get(effects);
  if (found === undefined) {
    found = findQuickForm(effects) ?? null;
    quickForms.set(effects, found);
  }
  return found ?? undefined;
};

const valuesOf = (effect: Effect): Value[] => {
  const list: (Value | undefined)[] = [];
  if ("address" in effect) list.push(effect.address);
  if ("value" in effect) list.push(effect.value);
  if ("when" in effect) list.push(effect.when);
  if (effect.kind === "fault") list.push(effect.errorCode, effect.commit?.value);
  if (effect.kind === "flags") list.push(...Object.values(effect.flags));
  if (effect.kind === "jump") list.push(effect.target);
  return list.filter((value) => value !== undefined);
};

/** Intrinsics that raise nothing: they stay what they are. */
const isPure = (name: string): boolean => name === "binary64.fromInt32" || name.endsWith(".relation") || name.endsWith(".flush");
const operationOf = (name: string): string => name.split(".")[1]!;
const formatBits = (name: string): FloatBits => (name.startsWith("binary32") ? 32 : 64);
/** Bits of an operation's operand and of its result. */
const widthsOf = (name: string): { readonly from: FloatBits; readonly to: FloatBits | 0 } => {
  const bits = formatBits(name);
  const operation = operationOf(name);
  if (operation.startsWith("toInt")) return { from: bits, to: Number(operation.slice(5)) as FloatBits };
  if (operation.startsWith("fromInt")) return { from: Number(operation.slice(7)) as FloatBits, to: bits };
  if (operation === "toBinary64") return { from: 32, to: 64 };
  if (operation === "toBinary32") return { from: 64, to: 32 };
  return { from: bits, to: operation === "order" || operation === "quietOrder" ? 0 : bits };
};

/** Operations that have a packed form where a register is full of them. */
const packedOperations: readonly string[] = ["add", "sub", "mul", "div", "sqrt", "min", "max", "round", "compare"];
const hasPacked = (name: string): boolean =>
  packedOperations.includes(operationOf(name)) || name === "binary32.toInt32" || name === "binary32.fromInt32";

const isNative = (name: string): boolean => hasNativeLane(name) || operationOf(name) === "compare";

/** The lanes of a vector, where each is the value of the same operation under the same MXCSR. */
const packedLanes = (value: Value): readonly Value[] | undefined => {
  if (value.op !== "vector" || value.width !== 128) return undefined;
  const lanes = value.args.map((lane) => (lane.op === "extract" && lane.attr === 0 ? lane.args[0]! : lane));
  const [first] = lanes as [Value];
  const name = first.attr as string;
  if (first.op !== "intrinsic" || !isNative(name) || !hasPacked(name)) return undefined;
  if (!lanes.every((lane) => lane.op === "intrinsic" && lane.attr === name && lane.args.at(-1) === first.args.at(-1))) return undefined;
  if (operationOf(name) === "compare" && !lanes.every((lane) => lane.args[2] === first.args[2])) return undefined;
  return lanes;
};

const findQuickForm = (effects: readonly Effect[]): QuickForm | undefined => {
  const intrinsics: Value[] = [];
  const groups: (readonly Value[])[] = [];
  const seen = new Set<Value>();
  const visit = (value: Value): void => {
    if (seen.has(value)) return;
    seen.add(value);
    for (const arg of value.args) visit(arg);
    if (value.op === "intrinsic" && !isPure(value.attr as string)) intrinsics.push(value);
    const lanes = packedLanes(value);
    if (lanes !== undefined) groups.push(lanes);
  };
  for (const effect of effects) for (const value of valuesOf(effect)) visit(value);
  if (intrinsics.length === 0 || !intrinsics.every(({ attr }) => isNative(attr as string))) return undefined;

  const operations: NativeOperation[] = [];
  const replaced = new Map<Value, Value>();
  const rebuild: (value: Value) => Value = rebuilder((node, inner) => {
    if (node.op !== "intrinsic") return undefined;
    const name = node.attr as string;
    // A quick operand is no denormal.
    if (name.endsWith(".flush")) return inner(node.args[0]!);
    return isPure(name) ? undefined : (replaced.get(node) ?? native(node));
  });
  const add = (nodes: readonly Value[], packed: boolean): void => {
    const [first] = nodes as [Value];
    const name = first.attr as string;
    const { to } = widthsOf(name);
    const isComparison = operationOf(name) === "compare";
    const count = first.args.length - (isComparison ? 2 : 1);
    const operands = Array.from({ length: count }, (_, n) => {
      const lanes = nodes.map((node) => rebuild(node.args[n]!));
      return packed ? vector(lanes) : lanes[0]!;
    });
    const predicate = isComparison ? first.args[2]! : undefined;
    const mxcsr = first.args.at(-1)!;
    const result = packed ? 128 : to;
    const node =
      result === 0 ? undefined : intrinsic(`native ${name}`, result, [...operands, ...(predicate ? [predicate] : []), mxcsr]);
    operations.push({ node, name, packed, operands, mxcsr, predicate });
    nodes.forEach((lane, n) => {
      const value = node === undefined ? constant(0, lane.width) : node.extract(packed ? n * to : 0, to as Width).zeroExtend(lane.width);
      replaced.set(lane, value);
    });
  };
  const native = (node: Value): Value => {
    const group = groups.find((lanes) => lanes.includes(node) && new Set(lanes).size === lanes.length);
    if (group) add(group, true);
    else add([node], false);
    return replaced.get(node)!;
  };
  const quick = effects.flatMap((effect): Effect[] => {
    switch (effect.kind) {
      case "fault": {
        const when = rebuild(effect.when);
        return when.isConst && when.bits === 0n ? [] : [{ ...effect, when }];
      }
      case "writeOperand": return [{ ...effect, value: rebuild(effect.value) }];
      case "writeRegister": {
        const value = rebuild(effect.value);
        return value === leaf.register(effect.name, value.width) ? [] : [{ ...effect, value }];
      }
      case "flags": {
        const flags: Flags = {};
        for (const name of Object.keys(effect.flags) as FlagName[]) flags[name] = rebuild(effect.flags[name]!);
        return [{ ...effect, flags }];
      }
      default: return [effect];
    }
  });
  // Nothing but the exceptions may have kept it from being quick.
  const kinds = new Set(quick.map(({ kind }) => kind));
  for (const kind of ["fault", "load", "store", "jump"] as const) if (kinds.has(kind)) return undefined;
  return { effects: quick, operations };
};

const MXCSR = offsetOf("MXCSR");
/** MXCSR: rounding control; what makes an inexact result unobservable; what makes an exact denormal one so. */
const RC = 0x6000;
const quietPrecision = 0x1020;
const FTZ = 0x8000;
const UM = 0x0800;
/** What MXCSR is asked for: under a mask, these bits. Without the precision bits a result must be exact. */
interface Control {
  readonly mask: number;
  readonly bits: number;
}
const toNearest: Control = { mask: RC, bits: 0 };
/** Sums of normal numbers may be denormals, and are exact then. */
const toNearestWithDenormals: Control = { mask: RC | FTZ | UM, bits: UM };
const anyRounding: Control = { mask: 0, bits: 0 };

const float = (bits: FloatBits): "f32" | "f64" => (bits === 32 ? "f32" : "f64");
const word = (bits: FloatBits): "i32" | "i64" => (bits === 32 ? "i32" : "i64");
const floatType = (bits: FloatBits): ValueType => (bits === 32 ? f32 : f64);
const wordType = (bits: FloatBits): ValueType => (bits === 32 ? i32 : i64);
const shape = (bits: FloatBits): "f32x4" | "f64x2" => (bits === 32 ? "f32x4" : "f64x2");
const lanes = (bits: FloatBits): "i32x4" | "i64x2" => (bits === 32 ? "i32x4" : "i64x2");
const fractionBits = (bits: FloatBits): number => (bits === 32 ? 23 : 52);
const largestExponent = (bits: FloatBits): number => (bits === 32 ? 0xff : 0x7ff);
const reinterpret = (code: Code, bits: FloatBits): Code => code.op(bits === 32 ? "i32.reinterpret_f32" : "i64.reinterpret_f64");

/**
 * Emits the native operations of a quick form, and tests that branch out of the innermost structured instruction around them where a native
 * result may not be used. There are no calls in it: what is live across a call that may happen is kept in memory whether it happens or not.
 */
export class NativeFloatEmitter {
  readonly #code: Code;
  readonly #expressions: ExpressionEmitter;

  constructor(code: Code, expressions: ExpressionEmitter) {
    this.#code = code;
    this.#expressions = expressions;
  }

  emit(operations: readonly NativeOperation[]): void {
    for (const operation of operations) {
      // What is computed of MXCSR or of the immediate is needed on every path.
      if (operation.mxcsr.op !== "register") this.#expressions.keep(operation.mxcsr);
      if (operation.predicate) this.#expressions.keep(operation.predicate);
      if (operation.packed) this.#packed(operation);
      else this.#scalar(operation);
    }
  }

  /** Push MXCSR, or what was made of it. */
  #pushControl(mxcsr: Value): Code {
    if (mxcsr.op === "register") return this.#code.i32(0).memory("i32.load", MXCSR);
    this.#expressions.emit(mxcsr);
    return this.#code;
  }

  /** Give up unless MXCSR allows it: an inexact result, or one that `exact` says (pushes) is exact. */
  #control(mxcsr: Value, { mask, bits }: Control, exact: (() => void) | undefined): void {
    const code = this.#code;
    const quiet = (): Code => this.#pushControl(mxcsr).i32(mask | quietPrecision).op("i32.and").i32(bits | quietPrecision);
    if (exact === undefined) {
      quiet().op("i32.ne").brIf(0);
      return;
    }
    code.block();
    quiet().op("i32.eq").brIf(0);
    if (mask !== 0) this.#pushControl(mxcsr).i32(mask).op("i32.and").i32(bits).op("i32.ne").brIf(1);
    exact();
    code.op("i32.eqz").brIf(1).end();
  }

  /** Push the biased exponent of a float, as i32. */
  #exponent(bits: FloatBits, local: number): Code {
    const code = reinterpret(this.#code.get(local), bits);
    if (bits === 32) code.i32(23).op("i32.shr_u");
    else code.i64(52n).op("i64.shr_u").op("i32.wrap_i64");
    return code.i32(largestExponent(bits)).op("i32.and");
  }

  /** Give up where the float is a denormal. */
  #notDenormal(bits: FloatBits, local: number): void {
    const code = reinterpret(this.#code.get(local), bits);
    // Without its sign, less one: a zero becomes the largest number.
    if (bits === 32) code.i32(1).op("i32.shl").i32(1).op("i32.sub").i32(0xff_ffff).op("i32.lt_u").brIf(0);
    else code.i64(1n).op("i64.shl").i64(1n).op("i64.sub").i64(0x1f_ffff_ffff_ffffn).op("i64.lt_u").brIf(0);
  }

  /** Give up where the float is a NaN. */
  #notNaN(bits: FloatBits, local: number): void {
    this.#code.get(local).get(local).op(`${float(bits)}.ne`).brIf(0);
  }

  /** Give up where the float is infinite or a NaN. */
  #finite(bits: FloatBits, local: number): void {
    this.#exponent(bits, local).i32(largestExponent(bits)).op("i32.eq").brIf(0);
  }

  /** Give up unless the float is normal and not the smallest, which may be a rounded denormal; or `zero` pushes 1. */
  #normal(bits: FloatBits, local: number, zero: () => void): void {
    const code = this.#code;
    code.block();
    this.#exponent(bits, local).i32(2).op("i32.sub").i32(largestExponent(bits) - 2).op("i32.lt_u").brIf(0);
    code.get(local).get(local).op(`${float(bits)}.ne`).brIf(1);
    zero();
    code.op("i32.eqz").brIf(1).end();
  }

  #scalar(operation: NativeOperation): void {
    const { name, node, operands, mxcsr } = operation;
    const code = this.#code;
    const expressions = this.#expressions;
    const kind = operationOf(name);
    const { from, to } = widthsOf(name);
    if (kind.startsWith("fromInt")) {
      this.#fromInteger(operation, from, to as FloatBits);
      return;
    }
    const inputs = operands.map((operand) => {
      const local = code.local(floatType(from));
      expressions.emitFloat(operand);
      code.set(local);
      return local;
    });
    const [a, b] = inputs as [number, number];
    const t = float(from);
    for (const input of inputs) this.#notDenormal(from, input);
    const numbers = (): void => {
      for (const input of inputs) this.#notNaN(from, input);
    };
    const isZero = (local: number): void => {
      code.get(local);
      this.#zero(from);
      code.op(`${t}.eq`);
    };
    const result = code.local(kind === "compare" || kind.startsWith("toInt") ? wordType(to as FloatBits) : floatType((to || from) as FloatBits));
    switch (kind) {
      case "add": case "sub":
        code.get(a).get(b).op(`${t}.${kind}`).set(result);
        this.#finite(from, result);
        this.#control(mxcsr, toNearestWithDenormals, () => this.#sumIsExact(from, kind === "sub", a, b, result));
        break;
      case "mul": case "div":
        code.get(a).get(b).op(`${t}.${kind}`).set(result);
        this.#normal(from, result, () => {
          isZero(a);
          if (kind === "mul") {
            isZero(b);
            code.op("i32.or");
          }
          isZero(result);
          code.op("i32.and");
        });
        this.#control(mxcsr, toNearest, kind === "mul" ? () => this.#productIsExact(from, a, b) : undefined);
        break;
      case "sqrt":
        code.get(a).op(`${t}.sqrt`).set(result);
        this.#finite(from, result);
        this.#control(mxcsr, toNearest, undefined);
        break;
      case "min": case "max":
        code.get(a).get(b).get(a).get(b).op(kind === "min" ? `${t}.lt` : `${t}.gt`).op("select").set(result);
        numbers();
        break;
      case "order": case "quietOrder":
        numbers();
        break;
      case "round": {
        const environment = code.local(i32);
        this.#pushControl(mxcsr).set(environment);
        pushRounded(code, from, () => code.get(a), environment);
        code.set(result);
        numbers();
        this.#control(mxcsr, anyRounding, () => code.get(a).get(result).op(`${t}.eq`));
        break;
      }
      case "compare": {
        const comparison = (op: "eq" | "lt" | "le") => (): void => void code.get(a).get(b).op(`${t}.${op}`);
        numbers();
        code.i32(0);
        this.#predicate(operation.predicate!, [comparison("eq"), comparison("lt"), comparison("le")], () => code.i32(0), i32);
        expressions.emit(operation.predicate!);
        code.i32(2).op("i32.shr_u").i32(1).op("i32.and").op("i32.xor").op("i32.sub");
        if (from === 64) code.op("i64.extend_i32_s");
        code.set(result);
        break;
      }
      case "toInt32": case "toInt64": {
        const rounded = code.local(floatType(from));
        // Truncation is said by the instruction; the others round as MXCSR says.
        const truncates = mxcsr.op === "or";
        code.get(a).op(`${t}.${truncates ? "trunc" : "nearest"}`).tee(rounded).truncSat(word(to as FloatBits), t).set(result);
        const bias = largestExponent(from) >>> 1;
        this.#exponent(from, a).i32(bias + (to as number) - 3).op("i32.gt_u").brIf(0);
        this.#control(mxcsr, truncates ? anyRounding : toNearest, () => code.get(a).get(rounded).op(`${t}.eq`));
        break;
      }
      case "toBinary64":
        numbers();
        code.get(a).op("f64.promote_f32").set(result);
        break;
      case "toBinary32":
        code.get(a).op("f32.demote_f64").set(result);
        this.#normal(32, result, () => isZero(a));
        this.#control(mxcsr, toNearest, () => code.get(result).op("f64.promote_f32").get(a).op("f64.eq"));
        break;
      default: throw new Error(`no native form of ${name}`);
    }
    if (node === undefined) return;
    if (kind === "compare" || kind.startsWith("toInt")) expressions.bind(node, result);
    else expressions.bindFloat(node, result);
  }

  #zero(bits: FloatBits): void {
    if (bits === 32) this.#code.i32(0).op("f32.reinterpret_i32");
    else this.#code.i64(0n).op("f64.reinterpret_i64");
  }

  /** Push whether a + b, or a - b, is the result exactly: the rounding error is zero (Knuth's two-sum). */
  #sumIsExact(bits: FloatBits, subtract: boolean, a: number, b: number, result: number): void {
    const code = this.#code;
    const t = float(bits);
    const part = code.local(floatType(bits));
    // part: what of b got into the result
    code.get(result).get(a).op(`${t}.sub`).set(part);
    code.get(a).get(result).get(part).op(`${t}.sub`).op(`${t}.sub`);
    if (subtract) code.get(b).get(part).op(`${t}.add`).op(`${t}.sub`);
    else code.get(b).get(part).op(`${t}.sub`).op(`${t}.add`);
    this.#zero(bits);
    code.op(`${t}.eq`);
  }

  /** Push whether both significands are so short that their product is exact. */
  #productIsExact(bits: FloatBits, a: number, b: number): void {
    const code = this.#code;
    reinterpret(code.get(a), bits);
    reinterpret(code.get(b), bits);
    if (bits === 32) code.op("i32.or").i32(0xfff).op("i32.and").op("i32.eqz");
    else code.op("i64.or").i64(0x7ff_ffffn).op("i64.and").op("i64.eqz");
  }

  #fromInteger({ operands, node, mxcsr }: NativeOperation, from: FloatBits, to: FloatBits): void {
    const code = this.#code;
    const expressions = this.#expressions;
    const [operand] = operands as [Value];
    expressions.keep(operand);
    expressions.emit(operand);
    const result = code.local(floatType(to));
    code.op(`${float(to)}.convert_${word(from)}_s`).set(result);
    // Exact where it fits the significand, whatever MXCSR says.
    const precision = fractionBits(to) + 1;
    code.block();
    expressions.emit(operand);
    if (from === 32) code.i32(2 ** precision).op("i32.add").i32(precision + 1).op("i32.shr_u").op("i32.eqz").brIf(0);
    else code.i64(1n << BigInt(precision)).op("i64.add").i64(BigInt(precision + 1)).op("i64.shr_u").op("i64.eqz").brIf(0);
    this.#pushControl(mxcsr).i32(RC | quietPrecision).op("i32.and").i32(quietPrecision).op("i32.ne").brIf(1).end();
    expressions.bindFloat(node!, result);
  }

  /** One of three comparisons, or `unordered`, by bits 1:0 of a predicate of CMPPS. */
  #predicate(predicate: Value, comparisons: readonly (() => void)[], unordered: () => void, type: ValueType): void {
    const code = this.#code;
    const [equal, less, lessOrEqual] = comparisons as [() => void, () => void, () => void];
    const choice = (): void => {
      this.#expressions.emit(predicate);
      code.i32(3).op("i32.and");
    };
    choice();
    code.op("i32.eqz").if(type);
    equal();
    code.else();
    choice();
    code.i32(1).op("i32.eq").if(type);
    less();
    code.else();
    choice();
    code.i32(2).op("i32.eq").if(type);
    lessOrEqual();
    code.else();
    unordered();
    code.end().end().end();
  }

  /** Push a mask of lanes that are denormals (or the smallest normal number). */
  #denormalLanes(bits: FloatBits, local: number): Code {
    const code = this.#code;
    const l = lanes(bits);
    code.get(local).i32(1).simd(`${l}.shl`).v128((1n << 128n) - 1n).simd(`${l}.add`).i32(fractionBits(bits) + 1).simd(`${l}.shr_u`);
    return code.v128(0n).simd(`${l}.eq`);
  }

  /** Push a mask of lanes that are infinities or NaNs. */
  #unboundedLanes(bits: FloatBits, local: number): Code {
    return this.#code.get(local).get(local).simd(`${shape(bits)}.sub`).v128(0n).simd(`${shape(bits)}.ne`);
  }

  /** Give up where a lane of the mask on the stack is set. */
  #noLane(): void {
    this.#code.simd("v128.any_true").brIf(0);
  }

  #packed(operation: NativeOperation): void {
    const { name, node, operands, mxcsr } = operation;
    const code = this.#code;
    const expressions = this.#expressions;
    const kind = operationOf(name);
    const bits = formatBits(name);
    const s = shape(bits);
    const l = lanes(bits);
    const inputs = operands.map((operand) => {
      const local = code.local(v128);
      expressions.emit(operand);
      code.set(local);
      return local;
    });
    const [a, b] = inputs as [number, number];
    const result = code.local(v128);
    const denormals = (): void => inputs.forEach((input, n) => {
      this.#denormalLanes(bits, input);
      if (n > 0) code.simd("v128.or");
    });
    /** Give up where a lane is a NaN or denormal. */
    const numbers = (): void => {
      denormals();
      for (const input of inputs) code.get(input).get(input).simd(`${s}.ne`).simd("v128.or");
      this.#noLane();
    };
    switch (kind) {
      case "add": case "sub":
        code.get(a).get(b).simd(`${s}.${kind}`).set(result);
        denormals();
        this.#unboundedLanes(bits, result).simd("v128.or");
        this.#noLane();
        this.#control(mxcsr, toNearestWithDenormals, () => this.#sumsAreExact(bits, kind === "sub", a, b, result));
        break;
      case "mul": case "div": {
        code.get(a).get(b).simd(`${s}.${kind}`).set(result);
        denormals();
        this.#unboundedLanes(bits, result).simd("v128.or");
        this.#noLane();
        // No lane may be as small as a rounded denormal, unless it is the zero that comes from a zero.
        const zero = (local: number): Code => code.get(local).v128(0n).simd(`${s}.eq`);
        code.block().get(result).i32(1).simd(`${l}.shl`).i32(fractionBits(bits) + 2).simd(`${l}.shr_u`).v128(0n).simd(`${l}.eq`);
        const small = code.local(v128);
        code.tee(small).simd("v128.any_true").op("i32.eqz").brIf(0).get(small);
        zero(a);
        if (kind === "mul") zero(b).simd("v128.or");
        code.simd("v128.andnot").simd("v128.any_true").brIf(1).end();
        this.#control(mxcsr, toNearest, kind === "mul" ? () => this.#productsAreExact(bits, a, b) : undefined);
        break;
      }
      case "sqrt":
        code.get(a).simd(`${s}.sqrt`).set(result);
        denormals();
        this.#unboundedLanes(bits, result).simd("v128.or");
        this.#noLane();
        this.#control(mxcsr, toNearest, undefined);
        break;
      case "min": case "max":
        // The second operand unless the first is truly less (greater).
        code.get(b).get(a).simd(`${s}.p${kind}` as Simd).set(result);
        numbers();
        break;
      case "compare": {
        const mask = (op: "eq" | "lt" | "le") => (): void => void code.get(a).get(b).simd(`${s}.${op}`);
        numbers();
        this.#predicate(operation.predicate!, [mask("eq"), mask("lt"), mask("le")], () => code.v128(0n), v128);
        code.i32(0);
        expressions.emit(operation.predicate!);
        code.i32(2).op("i32.shr_u").i32(1).op("i32.and").op("i32.sub").simd("i32x4.splat").simd("v128.xor").set(result);
        break;
      }
      case "fromInt32":
        code.get(a).simd("f32x4.convert_i32x4_s").set(result);
        this.#control(mxcsr, toNearest, undefined);
        break;
      case "toInt32": {
        const truncates = mxcsr.op === "or";
        const rounded = code.local(v128);
        code.get(a).simd(truncates ? "f32x4.trunc" : "f32x4.nearest").tee(rounded).simd("i32x4.trunc_sat_f32x4_s").set(result);
        denormals();
        code.get(a).i32(1).simd("i32x4.shl").i32(24).simd("i32x4.shr_u").i32(127 + 29).simd("i32x4.splat").simd("i32x4.gt_s").simd("v128.or");
        this.#noLane();
        this.#control(mxcsr, truncates ? anyRounding : toNearest, () => this.#lanesEqual(bits, a, rounded));
        break;
      }
      case "round": {
        const mode = (wanted: number): void => {
          this.#pushControl(mxcsr).i32(RC).op("i32.and").i32(wanted << 13).op("i32.eq").if(v128).get(a);
        };
        mode(0);
        code.simd(`${s}.nearest`).else();
        mode(1);
        code.simd(`${s}.floor`).else();
        mode(2);
        code.simd(`${s}.ceil`).else().get(a).simd(`${s}.trunc`).end().end().end().set(result);
        numbers();
        this.#control(mxcsr, anyRounding, () => this.#lanesEqual(bits, a, result));
        break;
      }
      default: throw new Error(`no packed form of ${name}`);
    }
    expressions.bind(node!, result);
  }

  /** Push whether no lane differs. */
  #lanesEqual(bits: FloatBits, a: number, b: number): void {
    this.#code.get(a).get(b).simd(`${shape(bits)}.ne`).simd("v128.any_true").op("i32.eqz");
  }

  /** As `sumIsExact`, of every lane. */
  #sumsAreExact(bits: FloatBits, subtract: boolean, a: number, b: number, result: number): void {
    const code = this.#code;
    const s = shape(bits);
    const part = code.local(v128);
    code.get(result).get(a).simd(`${s}.sub`).set(part);
    code.get(a).get(result).get(part).simd(`${s}.sub`).simd(`${s}.sub`);
    if (subtract) code.get(b).get(part).simd(`${s}.add`).simd(`${s}.sub`);
    else code.get(b).get(part).simd(`${s}.sub`).simd(`${s}.add`);
    code.v128(0n).simd(`${s}.ne`).simd("v128.any_true").op("i32.eqz");
  }

  #productsAreExact(bits: FloatBits, a: number, b: number): void {
    const code = this.#code;
    code.get(a).get(b).simd("v128.or");
    if (bits === 32) code.i32(0xfff).simd("i32x4.splat");
    else code.i64(0x7ff_ffffn).simd("i64x2.splat");
    code.simd("v128.and").simd("v128.any_true").op("i32.eqz");
  }
}
