/**
 * A small typed WebAssembly assembler: builds one binary module (WebAssembly Core Specification 2.0, "Binary Format",
 * with tail calls and 128-bit SIMD). It knows nothing of x86.
 */

export const i32 = 0x7f;
export const i64 = 0x7e;
export const f32 = 0x7d;
export const f64 = 0x7c;
export const v128 = 0x7b;
export type ValueType = typeof i32 | typeof i64 | typeof f32 | typeof f64 | typeof v128;

/** Bytes that grow; LEB128 numbers as the binary format has them. */
export class ByteWriter {
  #bytes = new Uint8Array(256);
  length = 0;

  byte(value: number): void {
    if (this.length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.length++] = value;
  }

  bytes(values: Uint8Array): void {
    if (this.length + values.length > this.#bytes.length) this.#grow(values.length);
    this.#bytes.set(values, this.length);
    this.length += values.length;
  }

  #grow(more: number): void {
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + more));
    larger.set(this.#bytes);
    this.#bytes = larger;
  }

  unsigned(value: number): void {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  signed32(value: number): void {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }

  signed64(value: bigint): void {
    let rest = BigInt.asIntN(64, value);
    for (;;) {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }

  name(text: string): void {
    const utf8 = new TextEncoder().encode(text);
    this.unsigned(utf8.length);
    this.bytes(utf8);
  }

  result(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }
}

interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

export interface FunctionBody {
  readonly type: number;
  /** Types of the locals after the parameters. */
  readonly locals: readonly ValueType[];
  /** Instructions without the final `end`. */
  readonly code: Uint8Array;
}

export class ModuleBuilder {
  readonly #types: FunctionType[] = [];
  readonly #typeIndex = new Map<string, number>();
  readonly #imports: ((out: ByteWriter) => void)[] = [];
  readonly #bodies: FunctionBody[] = [];
  readonly #exports: { name: string; index: number }[] = [];
  readonly #names: { name: string; index: number }[] = [];
  #importedFunctions = 0;

  type(params: readonly ValueType[], results: readonly ValueType[] = []): number {
    const key = `${params}>${results}`;
    let index = this.#typeIndex.get(key);
    if (index === undefined) {
      index = this.#types.push({ params, results }) - 1;
      this.#typeIndex.set(key, index);
    }
    return index;
  }

  /** Index of an imported function. All imports come before the first `function`. */
  importFunction(module: string, name: string, type: number): number {
    this.#imports.push((out) => {
      out.name(module);
      out.name(name);
      out.byte(0);
      out.unsigned(type);
    });
    return this.#importedFunctions++;
  }

  importMemory(module: string, name: string, minimumPages: number, maximumPages: number): void {
    this.#imports.push((out) => {
      out.name(module);
      out.name(name);
      out.byte(2);
      out.byte(1);
      out.unsigned(minimumPages);
      out.unsigned(maximumPages);
    });
  }

  importTable(module: string, name: string, minimum: number): void {
    this.#imports.push((out) => {
      out.name(module);
      out.name(name);
      out.byte(1);
      out.byte(0x70);
      out.byte(0);
      out.unsigned(minimum);
    });
  }

  /** Index of the next function that `function` will add. */
  get nextFunction(): number {
    return this.#importedFunctions + this.#bodies.length;
  }

  /** Add a function; `name` is what profilers and debuggers show. */
  function(body: FunctionBody, name?: string): number {
    this.#bodies.push(body);
    const index = this.#importedFunctions + this.#bodies.length - 1;
    if (name !== undefined) this.#names.push({ name, index });
    return index;
  }

  export(name: string, index: number): void {
    this.#exports.push({ name, index });
  }

  build(): Uint8Array {
    const out = new ByteWriter();
    for (const byte of [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]) out.byte(byte);
    const section = (id: number, write: (body: ByteWriter) => void): void => {
      const body = new ByteWriter();
      write(body);
      out.byte(id);
      out.unsigned(body.length);
      out.bytes(body.result());
    };
    section(1, (body) => {
      body.unsigned(this.#types.length);
      for (const { params, results } of this.#types) {
        body.byte(0x60);
        body.unsigned(params.length);
        for (const type of params) body.byte(type);
        body.unsigned(results.length);
        for (const type of results) body.byte(type);
      }
    });
    section(2, (body) => {
      body.unsigned(this.#imports.length);
      for (const write of this.#imports) write(body);
    });
    section(3, (body) => {
      body.unsigned(this.#bodies.length);
      for (const { type } of this.#bodies) body.unsigned(type);
    });
    section(7, (body) => {
      body.unsigned(this.#exports.length);
      for (const { name, index } of this.#exports) {
        body.name(name);
        body.byte(0);
        body.unsigned(index);
      }
    });
    section(10, (body) => {
      body.unsigned(this.#bodies.length);
      for (const { locals, code } of this.#bodies) {
        const entry = new ByteWriter();
        entry.unsigned(locals.length);
        for (const type of locals) {
          entry.unsigned(1);
          entry.byte(type);
        }
        entry.bytes(code);
        entry.byte(0x0b);
        body.unsigned(entry.length);
        body.bytes(entry.result());
      }
    });
    if (this.#names.length > 0)
      section(0, (body) => {
        body.name("name");
        const map = new ByteWriter();
        map.unsigned(this.#names.length);
        for (const { name, index } of this.#names) {
          map.unsigned(index);
          map.name(name);
        }
        body.byte(1); // function names
        body.unsigned(map.length);
        body.bytes(map.result());
      });
    return out.result();
  }
}
