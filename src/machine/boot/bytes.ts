/** All parts one after the other. */
export const concatenate = (parts: readonly Uint8Array[]): Uint8Array => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

/** A view of bytes that may lie anywhere in their buffer. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

const text = new TextEncoder();

/** Strings in the encoding and with the end that boot protocols share: UTF-8, a zero byte. */
export const terminated = (string: string): Uint8Array => text.encode(`${string}\0`);

/** Where each of `parts` begins when they lie one after the other from `start` on. */
export const addressesOf = (parts: readonly Uint8Array[], start: number): number[] => {
  let at = start;
  return parts.map((part) => {
    const own = at;
    at += part.length;
    return own;
  });
};
