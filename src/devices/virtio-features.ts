/** VIRTIO 1.2, "Reserved Feature Bits": those that this machine knows. */
// biome-ignore format: one row per fact
export const VIRTIO_F = {
  INDIRECT_DESC: 1n << 28n, EVENT_IDX: 1n << 29n, VERSION_1: 1n << 32n, RING_RESET: 1n << 40n,
} as const;
