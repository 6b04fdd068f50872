/** A flat segment's descriptor as memory holds it (SDM Vol. 3, "Segment Descriptors"). `type`: of code or data, accessed. */
export const segmentDescriptor = (segment: {
  readonly type: number;
  readonly size: 16 | 32 | 64;
  readonly dpl?: number;
}): bigint => {
  const { type, size, dpl = 0 } = segment;
  // 16-bit segments are 64 KiB large, as in real mode.
  const [limitHigh, granular] = size === 16 ? [0, 0] : [0xf, 1];
  const flags = (granular << 3) | (size === 32 ? 4 : 0) | (size === 64 ? 2 : 0);
  const upper = (flags << 20) | (limitHigh << 16) | (1 << 15) | (dpl << 13) | (1 << 12) | (type << 8);
  return (BigInt(upper >>> 0) << 32n) | 0xffffn;
};

/** An interrupt gate of 32 bits. */
export const gate32 = (selector: number, offset: bigint, dpl: number): bigint =>
  (offset & 0xffffn) |
  (BigInt(selector) << 16n) |
  (BigInt(0x8e00 | (dpl << 13)) << 32n) |
  (((offset >> 16n) & 0xffffn) << 48n);

/** An interrupt gate of 64 bits: two quadwords. */
export const gate64 = (selector: number, offset: bigint): readonly [bigint, bigint] => [
  gate32(selector, offset & 0xffff_ffffn, 0),
  (offset >> 32n) & 0xffff_ffffn,
];
