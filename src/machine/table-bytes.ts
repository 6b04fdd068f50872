/** Bytes of a table in memory, one field after the other, little-endian. */
export class TableBytes {
  readonly list: number[] = [];

  put(size: 1 | 2 | 4 | 8, ...values: readonly number[]): this {
    for (const value of values)
      for (let i = 0; i < size; i++) this.list.push(Math.floor(value / 2 ** (8 * i)) & 0xff);
    return this;
  }

  text(characters: string): this {
    for (const character of characters) this.list.push(character.charCodeAt(0));
    return this;
  }
}

/** Make the first `length` bytes sum to 0 modulo 256 by the one at `at`. */
export const setChecksum = (bytes: Uint8Array, at: number, length = bytes.length): void => {
  bytes[at] = 0;
  bytes[at] = -bytes.subarray(0, length).reduce((sum, byte) => sum + byte, 0);
};
