import { Code, i32, i64 } from "../wasm/code.ts";
import { wasmPageBytes } from "../wasm/engine.ts";
import { ModuleBuilder } from "../wasm/module.ts";

/**
 * BLAKE2b (RFC 7693) without a key, compiled to WebAssembly: a cryptographic hash that takes about a second for a gigabyte, the
 * same in Node and in a browser.
 */

/** RFC 7693, 2.6: the initialization vector. */
// biome-ignore format: one row per two words
const IV = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
] as const;

/** RFC 7693, 2.7: the message schedule; rounds 10 and 11 use rows 0 and 1 again. */
// biome-ignore format: one row per round
const SIGMA = [
  [ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15],
  [14, 10,  4,  8,  9, 15, 13,  6,  1, 12,  0,  2, 11,  7,  5,  3],
  [11,  8, 12,  0,  5,  2, 15, 13, 10, 14,  3,  6,  7,  1,  9,  4],
  [ 7,  9,  3,  1, 13, 12, 11, 14,  2,  6,  5, 10,  4,  0, 15,  8],
  [ 9,  0,  5,  7,  2,  4, 10, 15, 14,  1, 11, 12,  6,  8,  3, 13],
  [ 2, 12,  6, 10,  0, 11,  8,  3,  4, 13,  7,  5, 15, 14,  1,  9],
  [12,  5,  1, 15, 14, 13,  4, 10,  0,  7,  6,  3,  9,  2,  8, 11],
  [13, 11,  7, 14, 12,  1,  3,  9,  5,  0, 15,  4,  8,  6,  2, 10],
  [ 6, 15, 14,  9, 11,  3,  0,  8, 12,  2, 13,  7,  1,  4, 10,  5],
  [10,  2,  8,  4,  7,  6,  1,  5, 15, 11,  9, 14,  3, 12, 13,  0],
] as const;
const ROUNDS = 12;

/** RFC 7693, 3.1: which words of the working vector each of a round's eight mixings takes. */
// biome-ignore format: columns, then diagonals
const MIXED = [
  [0, 4,  8, 12], [1, 5,  9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7,  8, 13], [3, 4,  9, 14],
] as const;
const ROTATIONS = [32n, 24n, 16n, 63n] as const;

const BLOCK = 128;
/** Where things are in the module's own memory: the chained state, the byte counter, then message blocks. */
const at = { state: 0, counter: 64, message: 128 } as const;
const CHUNK = 16 * wasmPageBytes - BLOCK;

/** compress(blocks, lastBytes): mixes `blocks` blocks in; each adds 128 to the counter, unless lastBytes >= 0: then that, finally. */
const compressor = (): Uint8Array => {
  const builder = new ModuleBuilder();
  builder.importMemory("own", "memory", 16, 16);
  const code = new Code(2);
  const [blocks, lastBytes] = [0, 1];
  const pointer = code.local(i32);
  const h = IV.map(() => code.local(i64));
  const v = Array.from({ length: 16 }, () => code.local(i64));
  const m = Array.from({ length: 16 }, () => code.local(i64));
  const counter = code.local(i64);

  h.forEach((word, index) => {
    code
      .i32(0)
      .memory("i64.load", at.state + 8 * index)
      .set(word);
  });
  code.i32(0).memory("i64.load", at.counter).set(counter);
  code.i32(at.message).set(pointer);
  code.loop();
  code.get(counter);
  code
    .get(lastBytes)
    .i32(0)
    .op("i32.lt_s")
    .if(i64)
    .i64(BigInt(BLOCK))
    .else()
    .get(lastBytes)
    .op("i64.extend_i32_u")
    .end();
  code.op("i64.add").set(counter);
  for (let index = 0; index < 8; index++) {
    code.get(h[index]!).set(v[index]!);
    code.i64(IV[index]!).set(v[8 + index]!);
  }
  // The counter's upper half stays 0: nothing hashed here has 2^64 bytes.
  code.get(v[12]!).get(counter).op("i64.xor").set(v[12]!);
  code.get(lastBytes).i32(0).op("i32.ge_s").if();
  code.get(v[14]!).i64(-1n).op("i64.xor").set(v[14]!).end();
  m.forEach((word, index) => {
    code
      .get(pointer)
      .memory("i64.load", 8 * index)
      .set(word);
  });
  /** v[target] += v[other] (+ message word) */
  const add = (target: number, other: number, word?: number): void => {
    code.get(v[target]!).get(v[other]!).op("i64.add");
    if (word !== undefined) code.get(m[word]!).op("i64.add");
    code.set(v[target]!);
  };
  /** v[target] = (v[target] ^ v[other]) rotated right */
  const xorRotate = (target: number, other: number, by: bigint): void => {
    code.get(v[target]!).get(v[other]!).op("i64.xor").i64(by).op("i64.rotr").set(v[target]!);
  };
  for (let round = 0; round < ROUNDS; round++) {
    const schedule = SIGMA[round % SIGMA.length]!;
    MIXED.forEach(([a, b, c, d], index) => {
      add(a, b, schedule[2 * index]!);
      xorRotate(d, a, ROTATIONS[0]);
      add(c, d);
      xorRotate(b, c, ROTATIONS[1]);
      add(a, b, schedule[2 * index + 1]!);
      xorRotate(d, a, ROTATIONS[2]);
      add(c, d);
      xorRotate(b, c, ROTATIONS[3]);
    });
  }
  h.forEach((word, index) => {
    code.get(word).get(v[index]!).op("i64.xor");
    code
      .get(v[index + 8]!)
      .op("i64.xor")
      .set(word);
  });
  code.get(pointer).i32(BLOCK).op("i32.add").set(pointer);
  code.get(blocks).i32(1).op("i32.sub").tee(blocks).brIf(0).end();
  h.forEach((word, index) => {
    code
      .i32(0)
      .get(word)
      .memory("i64.store", at.state + 8 * index);
  });
  code.i32(0).get(counter).memory("i64.store", at.counter);
  const type = builder.type([i32, i32]);
  builder.export("compress", builder.function({ type, locals: code.locals, code: code.bytes() }));
  return builder.build();
};

let moduleCache: WebAssembly.Module | undefined;

/** One hash computation: `update` as often as wanted, then `digest` once. */
export class Blake2b {
  readonly #memory = new WebAssembly.Memory({ initial: 16, maximum: 16 });
  readonly #message = new Uint8Array(this.#memory.buffer, at.message, CHUNK);
  readonly #compress: (blocks: number, lastBytes: number) => void;
  readonly #digestBytes: number;
  /** Bytes that wait in the message area: the last block is held back until it is known to be the last. */
  #waiting = 0;

  /** `digestBytes`: 1 to 64; part of what is hashed. */
  constructor(digestBytes: number) {
    this.#digestBytes = digestBytes;
    moduleCache ??= new WebAssembly.Module(compressor());
    const { exports } = new WebAssembly.Instance(moduleCache, { own: { memory: this.#memory } });
    this.#compress = exports["compress"] as (blocks: number, lastBytes: number) => void;
    const view = new DataView(this.#memory.buffer);
    IV.forEach((word, index) => {
      const parameter = index === 0 ? 0x0101_0000n ^ BigInt(digestBytes) : 0n;
      view.setBigUint64(at.state + 8 * index, word ^ parameter, true);
    });
  }

  update(bytes: Uint8Array): this {
    for (let from = 0; from < bytes.length; ) {
      if (this.#waiting === CHUNK) {
        const last = CHUNK - BLOCK;
        this.#compress(last / BLOCK, -1);
        this.#message.copyWithin(0, last);
        this.#waiting = BLOCK;
      }
      const count = Math.min(bytes.length - from, CHUNK - this.#waiting);
      this.#message.set(bytes.subarray(from, from + count), this.#waiting);
      this.#waiting += count;
      from += count;
    }
    return this;
  }

  /** The hash, as lower-case hexadecimal digits. */
  digest(): string {
    const whole = Math.max(0, Math.ceil(this.#waiting / BLOCK) - 1);
    if (whole > 0) this.#compress(whole, -1);
    const rest = this.#waiting - whole * BLOCK;
    this.#message.copyWithin(0, whole * BLOCK, this.#waiting);
    this.#message.fill(0, rest, BLOCK);
    this.#compress(1, rest);
    const state = new Uint8Array(this.#memory.buffer, at.state, this.#digestBytes);
    return Array.from(state, (byte) => byte.toString(16).padStart(2, "0")).join("");
  }
}
