import { ByteWriter, f32, f64, i32, i64, type ValueType, v128 } from "./module.ts";

/** Opcodes of the instructions without immediates, by their names in the specification. */
// biome-ignore format: one row per fact
export const opcode = {
  "unreachable": 0x00, "else": 0x05, "end": 0x0b, "return": 0x0f, "drop": 0x1a, "select": 0x1b,
  "i32.eqz": 0x45, "i32.eq": 0x46, "i32.ne": 0x47, "i32.lt_s": 0x48, "i32.lt_u": 0x49, "i32.gt_s": 0x4a, "i32.gt_u": 0x4b, "i32.le_s": 0x4c, "i32.le_u": 0x4d, "i32.ge_s": 0x4e, "i32.ge_u": 0x4f,
  "i64.eqz": 0x50, "i64.eq": 0x51, "i64.ne": 0x52, "i64.lt_s": 0x53, "i64.lt_u": 0x54, "i64.gt_s": 0x55, "i64.gt_u": 0x56, "i64.le_s": 0x57, "i64.le_u": 0x58, "i64.ge_s": 0x59, "i64.ge_u": 0x5a,
  "i32.clz": 0x67, "i32.ctz": 0x68, "i32.popcnt": 0x69, "i32.add": 0x6a, "i32.sub": 0x6b, "i32.mul": 0x6c, "i32.div_s": 0x6d, "i32.div_u": 0x6e, "i32.rem_s": 0x6f, "i32.rem_u": 0x70,
  "i32.and": 0x71, "i32.or": 0x72, "i32.xor": 0x73, "i32.shl": 0x74, "i32.shr_s": 0x75, "i32.shr_u": 0x76, "i32.rotl": 0x77, "i32.rotr": 0x78,
  "i64.clz": 0x79, "i64.ctz": 0x7a, "i64.popcnt": 0x7b, "i64.add": 0x7c, "i64.sub": 0x7d, "i64.mul": 0x7e, "i64.div_s": 0x7f, "i64.div_u": 0x80, "i64.rem_s": 0x81, "i64.rem_u": 0x82,
  "i64.and": 0x83, "i64.or": 0x84, "i64.xor": 0x85, "i64.shl": 0x86, "i64.shr_s": 0x87, "i64.shr_u": 0x88, "i64.rotl": 0x89, "i64.rotr": 0x8a,
  "i32.wrap_i64": 0xa7, "i64.extend_i32_s": 0xac, "i64.extend_i32_u": 0xad,
  "f32.eq": 0x5b, "f32.ne": 0x5c, "f32.lt": 0x5d, "f32.gt": 0x5e, "f32.le": 0x5f, "f32.ge": 0x60, "f64.eq": 0x61, "f64.ne": 0x62, "f64.lt": 0x63, "f64.gt": 0x64, "f64.le": 0x65, "f64.ge": 0x66,
  "f32.ceil": 0x8d, "f32.floor": 0x8e, "f32.trunc": 0x8f, "f32.nearest": 0x90, "f32.sqrt": 0x91, "f32.add": 0x92, "f32.sub": 0x93, "f32.mul": 0x94, "f32.div": 0x95,
  "f64.ceil": 0x9b, "f64.floor": 0x9c, "f64.trunc": 0x9d, "f64.nearest": 0x9e, "f64.sqrt": 0x9f, "f64.add": 0xa0, "f64.sub": 0xa1, "f64.mul": 0xa2, "f64.div": 0xa3,
  "f32.convert_i32_s": 0xb2, "f32.convert_i64_s": 0xb4, "f32.demote_f64": 0xb6, "f64.convert_i32_s": 0xb7, "f64.convert_i64_s": 0xb9, "f64.promote_f32": 0xbb,
  "i32.reinterpret_f32": 0xbc, "i64.reinterpret_f64": 0xbd, "f32.reinterpret_i32": 0xbe, "f64.reinterpret_i64": 0xbf,
  "i32.extend8_s": 0xc0, "i32.extend16_s": 0xc1, "i64.extend8_s": 0xc2, "i64.extend16_s": 0xc3, "i64.extend32_s": 0xc4,
} as const;
export type Plain = keyof typeof opcode;

// biome-ignore format: one row per fact
export const memoryOpcode = {
  "i32.load": 0x28, "i64.load": 0x29, "f32.load": 0x2a, "f64.load": 0x2b, "i32.load8_s": 0x2c, "i32.load8_u": 0x2d, "i32.load16_s": 0x2e, "i32.load16_u": 0x2f,
  "i64.load8_s": 0x30, "i64.load8_u": 0x31, "i64.load16_s": 0x32, "i64.load16_u": 0x33, "i64.load32_s": 0x34, "i64.load32_u": 0x35,
  "i32.store": 0x36, "i64.store": 0x37, "f32.store": 0x38, "f64.store": 0x39, "i32.store8": 0x3a, "i32.store16": 0x3b, "i64.store8": 0x3c, "i64.store16": 0x3d, "i64.store32": 0x3e,
} as const;
export type MemoryAccess = keyof typeof memoryOpcode;

/** SIMD instructions (prefix FD) without immediates. */
// biome-ignore format: one row per fact
export const simdOpcode = {
  "i8x16.swizzle": 0x0e, "i8x16.splat": 0x0f, "i16x8.splat": 0x10, "i32x4.splat": 0x11, "i64x2.splat": 0x12,
  "i8x16.eq": 0x23, "i8x16.gt_s": 0x27, "i16x8.eq": 0x2d, "i16x8.gt_s": 0x31, "i32x4.eq": 0x37, "i32x4.gt_s": 0x3b, "i64x2.eq": 0xd6, "i64x2.gt_s": 0xd9,
  "v128.not": 0x4d, "v128.and": 0x4e, "v128.andnot": 0x4f, "v128.or": 0x50, "v128.xor": 0x51, "v128.bitselect": 0x52, "v128.any_true": 0x53,
  "i8x16.abs": 0x60, "i8x16.neg": 0x61, "i8x16.bitmask": 0x64, "i8x16.narrow_i16x8_s": 0x65, "i8x16.narrow_i16x8_u": 0x66, "i8x16.shl": 0x6b, "i8x16.shr_s": 0x6c, "i8x16.shr_u": 0x6d,
  "i8x16.add": 0x6e, "i8x16.add_sat_s": 0x6f, "i8x16.add_sat_u": 0x70, "i8x16.sub": 0x71, "i8x16.sub_sat_s": 0x72, "i8x16.sub_sat_u": 0x73,
  "i8x16.min_s": 0x76, "i8x16.min_u": 0x77, "i8x16.max_s": 0x78, "i8x16.max_u": 0x79, "i8x16.avgr_u": 0x7b,
  "i16x8.abs": 0x80, "i16x8.neg": 0x81, "i16x8.bitmask": 0x84, "i16x8.narrow_i32x4_s": 0x85, "i16x8.narrow_i32x4_u": 0x86, "i16x8.shl": 0x8b, "i16x8.shr_s": 0x8c, "i16x8.shr_u": 0x8d,
  "i16x8.add": 0x8e, "i16x8.add_sat_s": 0x8f, "i16x8.add_sat_u": 0x90, "i16x8.sub": 0x91, "i16x8.sub_sat_s": 0x92, "i16x8.sub_sat_u": 0x93, "i16x8.mul": 0x95,
  "i16x8.min_s": 0x96, "i16x8.min_u": 0x97, "i16x8.max_s": 0x98, "i16x8.max_u": 0x99, "i16x8.avgr_u": 0x9b,
  "i16x8.extend_low_i8x16_s": 0x87, "i16x8.extend_high_i8x16_s": 0x88, "i16x8.extend_low_i8x16_u": 0x89, "i16x8.extend_high_i8x16_u": 0x8a,
  "i32x4.extend_low_i16x8_s": 0xa7, "i32x4.extend_high_i16x8_s": 0xa8, "i32x4.extend_low_i16x8_u": 0xa9, "i32x4.extend_high_i16x8_u": 0xaa,
  "i64x2.extend_low_i32x4_s": 0xc7, "i64x2.extend_high_i32x4_s": 0xc8, "i64x2.extend_low_i32x4_u": 0xc9, "i64x2.extend_high_i32x4_u": 0xca,
  "i32x4.abs": 0xa0, "i32x4.neg": 0xa1, "i32x4.bitmask": 0xa4, "i32x4.shl": 0xab, "i32x4.shr_s": 0xac, "i32x4.shr_u": 0xad, "i32x4.add": 0xae, "i32x4.sub": 0xb1, "i32x4.mul": 0xb5,
  "i32x4.min_s": 0xb6, "i32x4.min_u": 0xb7, "i32x4.max_s": 0xb8, "i32x4.max_u": 0xb9, "i32x4.dot_i16x8_s": 0xba,
  "i64x2.bitmask": 0xc4, "i64x2.shl": 0xcb, "i64x2.shr_s": 0xcc, "i64x2.shr_u": 0xcd, "i64x2.add": 0xce, "i64x2.sub": 0xd1, "i64x2.mul": 0xd5,
  "f32x4.eq": 0x41, "f32x4.ne": 0x42, "f32x4.lt": 0x43, "f32x4.le": 0x45, "f64x2.eq": 0x47, "f64x2.ne": 0x48, "f64x2.lt": 0x49, "f64x2.le": 0x4b,
  "f32x4.splat": 0x13, "f64x2.splat": 0x14, "f32x4.sqrt": 0xe3, "f32x4.add": 0xe4, "f32x4.sub": 0xe5, "f32x4.mul": 0xe6, "f32x4.div": 0xe7, "f32x4.pmin": 0xea, "f32x4.pmax": 0xeb,
  "f64x2.sqrt": 0xef, "f64x2.add": 0xf0, "f64x2.sub": 0xf1, "f64x2.mul": 0xf2, "f64x2.div": 0xf3, "f64x2.pmin": 0xf6, "f64x2.pmax": 0xf7,
  "f32x4.ceil": 0x67, "f32x4.floor": 0x68, "f32x4.trunc": 0x69, "f32x4.nearest": 0x6a, "f64x2.ceil": 0x74, "f64x2.floor": 0x75, "f64x2.trunc": 0x7a, "f64x2.nearest": 0x94,
  "i32x4.trunc_sat_f32x4_s": 0xf8, "f32x4.convert_i32x4_s": 0xfa,
} as const;
export type Simd = keyof typeof simdOpcode;

// biome-ignore format: one row per fact
export const laneOpcode = {
  "i8x16.extract_lane_u": 0x16, "i8x16.replace_lane": 0x17, "i16x8.extract_lane_u": 0x19, "i16x8.replace_lane": 0x1a,
  "i32x4.extract_lane": 0x1b, "i32x4.replace_lane": 0x1c, "i64x2.extract_lane": 0x1d, "i64x2.replace_lane": 0x1e,
  "f32x4.extract_lane": 0x1f, "f32x4.replace_lane": 0x20, "f64x2.extract_lane": 0x21, "f64x2.replace_lane": 0x22,
} as const;
export type SimdLane = keyof typeof laneOpcode;

/** The body of one function under construction. */
export class Code {
  readonly #out = new ByteWriter();
  readonly locals: ValueType[] = [];
  readonly #params: number;

  constructor(params: number) {
    this.#params = params;
  }

  /** A new local variable; its index. */
  local(type: ValueType): number {
    return this.#params + this.locals.push(type) - 1;
  }

  op(name: Plain): this {
    this.#out.byte(opcode[name]);
    return this;
  }

  /** Float to integer, saturating: never traps. */
  truncSat(to: "i32" | "i64", from: "f32" | "f64"): this {
    this.#out.byte(0xfc);
    this.#out.unsigned((to === "i32" ? 0 : 4) + (from === "f32" ? 0 : 2));
    return this;
  }

  simd(name: Simd): this {
    this.#out.byte(0xfd);
    this.#out.unsigned(simdOpcode[name]);
    return this;
  }

  simdLane(name: SimdLane, lane: number): this {
    this.#out.byte(0xfd);
    this.#out.unsigned(laneOpcode[name]);
    this.#out.byte(lane);
    return this;
  }

  /** Byte k of the result is byte lanes[k] of the 32 bytes of both operands. */
  shuffle(lanes: readonly number[]): this {
    this.#out.byte(0xfd);
    this.#out.unsigned(0x0d);
    for (const lane of lanes) this.#out.byte(lane);
    return this;
  }

  i32(value: number): this {
    this.#out.byte(0x41);
    this.#out.signed32(value);
    return this;
  }

  i64(value: bigint): this {
    this.#out.byte(0x42);
    this.#out.signed64(value);
    return this;
  }

  v128(bits: bigint): this {
    this.#out.byte(0xfd);
    this.#out.unsigned(0x0c);
    for (let i = 0n; i < 128n; i += 8n) this.#out.byte(Number((bits >> i) & 0xffn));
    return this;
  }

  get(local: number): this {
    this.#out.byte(0x20);
    this.#out.unsigned(local);
    return this;
  }

  set(local: number): this {
    this.#out.byte(0x21);
    this.#out.unsigned(local);
    return this;
  }

  tee(local: number): this {
    this.#out.byte(0x22);
    this.#out.unsigned(local);
    return this;
  }

  /** Load or store; the address operand is on the stack, `offset` is added to it. */
  memory(access: MemoryAccess, offset = 0): this {
    this.#out.byte(memoryOpcode[access]);
    this.#out.unsigned(0);
    this.#out.unsigned(offset);
    return this;
  }

  v128Load(offset = 0): this {
    this.#out.byte(0xfd);
    this.#out.unsigned(0);
    this.#out.unsigned(0);
    this.#out.unsigned(offset);
    return this;
  }

  /** Load 32 or 64 bits into the lowest lane; the others become 0. */
  v128LoadZero(width: 32 | 64, offset = 0): this {
    this.#out.byte(0xfd);
    this.#out.unsigned(width === 32 ? 0x5c : 0x5d);
    this.#out.unsigned(0);
    this.#out.unsigned(offset);
    return this;
  }

  v128Store(offset = 0): this {
    this.#out.byte(0xfd);
    this.#out.unsigned(0x0b);
    this.#out.unsigned(0);
    this.#out.unsigned(offset);
    return this;
  }

  memoryCopy(): this {
    for (const byte of [0xfc, 0x0a, 0x00, 0x00]) this.#out.byte(byte);
    return this;
  }

  memoryFill(): this {
    for (const byte of [0xfc, 0x0b, 0x00]) this.#out.byte(byte);
    return this;
  }

  /** Open a structured block; `result` is its type, if it leaves a value. */
  #open(code: number, result: ValueType | undefined): this {
    this.#out.byte(code);
    this.#out.byte(result ?? 0x40);
    return this;
  }
  block(result?: ValueType): this { return this.#open(0x02, result); }
  loop(result?: ValueType): this { return this.#open(0x03, result); }
  if(result?: ValueType): this { return this.#open(0x04, result); }
  else(): this { return this.op("else"); }
  end(): this { return this.op("end"); }

  br(depth: number): this {
    this.#out.byte(0x0c);
    this.#out.unsigned(depth);
    return this;
  }

  brIf(depth: number): this {
    this.#out.byte(0x0d);
    this.#out.unsigned(depth);
    return this;
  }

  /** Branch by the number on the stack: to `depths[n]`, or to `otherwise`. */
  brTable(depths: readonly number[], otherwise: number): this {
    this.#out.byte(0x0e);
    this.#out.unsigned(depths.length);
    for (const depth of depths) this.#out.unsigned(depth);
    this.#out.unsigned(otherwise);
    return this;
  }

  call(functionIndex: number): this {
    this.#out.byte(0x10);
    this.#out.unsigned(functionIndex);
    return this;
  }

  callIndirect(type: number): this {
    this.#out.byte(0x11);
    this.#out.unsigned(type);
    this.#out.byte(0);
    return this;
  }

  returnCall(functionIndex: number): this {
    this.#out.byte(0x12);
    this.#out.unsigned(functionIndex);
    return this;
  }

  returnCallIndirect(type: number): this {
    this.#out.byte(0x13);
    this.#out.unsigned(type);
    this.#out.byte(0);
    return this;
  }

  bytes(): Uint8Array {
    return this.#out.result();
  }
}

export { f32, f64, i32, i64, type ValueType, v128 };
