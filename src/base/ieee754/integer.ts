const scratch = new DataView(new ArrayBuffer(8));

/** The number of bits up to the highest one of x >= 0; 0 for 0. */
export function bitLength(x: bigint): number {
  let rest = x;
  let below = 0;
  while (rest >= 0x1_0000_0000_0000_0000_0000_0000_0000_0000n) {
    rest >>= 128n;
    below += 128;
  }
  if (rest === 0n) return below;
  // A conversion to Number may round up to the next power of two, and then counts one bit too many.
  scratch.setFloat64(0, Number(rest));
  const length = (scratch.getUint16(0) >> 4) - 1022;
  return below + (rest >> BigInt(length - 1) === 0n ? length - 1 : length);
}

/** The largest integer whose square is at most x >= 0. */
export function squareRoot(x: bigint): bigint {
  if (x < 0x10_0000_0000_0000n) return BigInt(Math.floor(Math.sqrt(Number(x))));
  // Newton from above converges downwards and stops at the floor.
  let root = 1n << BigInt((bitLength(x) + 1) >> 1);
  if (x < 1n << 1000n) root = BigInt(Math.ceil(Math.sqrt(Number(x)))) * 0x10_0000_0000_0001n;
  if (x < 1n << 1000n) root = (root >> 52n) + 1n;
  for (;;) {
    const next = (root + x / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}

/** Whether any of the `count` lowest bits of x >= 0 is one. */
export function anyLowBit(x: bigint, count: number): boolean {
  return count > 0 && BigInt.asUintN(count, x) !== 0n;
}
