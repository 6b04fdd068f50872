import {
  architecturalBytes,
  type BytesField,
  layout,
  offsetOf,
  type U32Field,
  type U64Field,
} from "./layout.ts";

type Fields = { [K in U64Field]: bigint } & { [K in U32Field]: number };

/**
 * Typed view of one logical processor's state: `state.RAX` is a bigint, `state["CS.selector"]` a number. Writes are
 * truncated to the field's width.
 */
class CpuStateView {
  readonly buffer: ArrayBufferLike;
  /** Byte offset of the state in the buffer. */
  readonly base: number;
  readonly view: DataView;

  constructor(buffer: ArrayBufferLike, base = 0) {
    this.buffer = buffer;
    this.base = base;
    this.view = new DataView(buffer, base);
  }

  /** Bytes of a wide field, live. */
  bytes(field: BytesField): Uint8Array {
    return new Uint8Array(this.buffer, this.base + offsetOf(field), layout.get(field)!.size);
  }

  /** Low 32 bits of a 64-bit field, unsigned: for code too hot for bigint. */
  low32(field: U64Field): number {
    return this.view.getUint32(offsetOf(field), true);
  }

  high32(field: U64Field): number {
    return this.view.getUint32(offsetOf(field) + 4, true);
  }

  /** General register n (0 = RAX ... 15 = R15). */
  general(number: number): bigint {
    return this.view.getBigUint64(8 * number, true);
  }

  setGeneral(number: number, value: bigint): void {
    this.view.setBigUint64(8 * number, value, true);
  }

  /** The architectural part, for snapshots and hashes. */
  architectural(): Uint8Array {
    return new Uint8Array(this.buffer, this.base, architecturalBytes);
  }
}

for (const [name, { type, offset }] of layout) {
  if (type === "u64")
    // biome-ignore format: one row per fact
    Object.defineProperty(CpuStateView.prototype, name, {
      get(this: CpuStateView) { return this.view.getBigUint64(offset, true); },
      set(this: CpuStateView, value: bigint) { this.view.setBigUint64(offset, value, true); },
    });
  else if (type === "u32")
    // biome-ignore format: one row per fact
    Object.defineProperty(CpuStateView.prototype, name, {
      get(this: CpuStateView) { return this.view.getUint32(offset, true); },
      set(this: CpuStateView, value: number) { this.view.setUint32(offset, value, true); },
    });
}

export type CpuState = CpuStateView & Fields;
export const CpuState = CpuStateView as unknown as new (buffer: ArrayBufferLike, base?: number) => CpuState;
