/** 128-bit patterns as bytes (lowest first), for intrinsics that work on bytes. The arrays are shared: use them at once. */

const scratch = new DataView(new ArrayBuffer(64));

/** The bytes of a value in one of four reused arrays; the next call with the same `slot` overwrites it. */
export const bytesOf = (value: bigint, slot: 0 | 1 | 2 | 3): Uint8Array => {
  scratch.setBigUint64(16 * slot, value, true);
  scratch.setBigUint64(16 * slot + 8, value >> 64n, true);
  return slots[slot]!;
};

const slots = [0, 1, 2, 3].map((slot) => new Uint8Array(scratch.buffer, 16 * slot, 16));

/** The value whose bytes are in the reused array of this slot. */
export const valueIn = (slot: 0 | 1 | 2 | 3): bigint =>
  scratch.getBigUint64(16 * slot, true) | (scratch.getBigUint64(16 * slot + 8, true) << 64n);
