/** The 256-bit registers IRR, ISR and TMR: one bit per vector, 32 to a word. */

/** The highest bit set of a 256-bit register; 0 for none (vectors below 16 are never held). */
export const highest = (bits: readonly number[]): number => {
  for (let word = 7; word >= 0; word--) if (bits[word] !== 0) return 32 * word + 31 - Math.clz32(bits[word]!);
  return 0;
};
export const has = (bits: readonly number[], vector: number): boolean =>
  (bits[vector >>> 5]! & (1 << (vector & 31))) !== 0;
export const set = (bits: number[], vector: number): void => {
  bits[vector >>> 5] = (bits[vector >>> 5]! | (1 << (vector & 31))) >>> 0;
};
export const clear = (bits: number[], vector: number): void => {
  bits[vector >>> 5] = (bits[vector >>> 5]! & ~(1 << (vector & 31))) >>> 0;
};
