/**
 * The part of the WebAssembly JavaScript API that this project uses. Declared here because the core is compiled without
 * the DOM library, so that nothing else of a browser's can slip in.
 */
declare global {
  namespace WebAssembly {
    type ExportValue = ((...args: number[]) => unknown) | Memory | Table;
    type Exports = Record<string, ExportValue>;
    type Imports = Record<string, Record<string, unknown>>;
    class Memory {
      constructor(descriptor: { initial: number; maximum?: number });
      readonly buffer: ArrayBuffer;
    }
    class Table {
      constructor(descriptor: { element: "anyfunc"; initial: number; maximum?: number });
      readonly length: number;
      grow(by: number): number;
      set(index: number, value: unknown): void;
    }
    class Module {
      constructor(bytes: Uint8Array);
    }
    class Instance {
      constructor(module: Module, imports?: Imports);
      readonly exports: Exports;
    }
  }
}

/** One page of WebAssembly memory, bytes. */
export const wasmPageBytes = 65536;
