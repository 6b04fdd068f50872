// VIRTIO 1.2, "Virtio Over PCI Bus": the registers as tables.

/** "Virtio Structure PCI Capabilities": cfg_type, and where the structure is in the registers' BAR. */
// biome-ignore format: one row per fact
export const STRUCTURE = {
  COMMON: { type: 1, offset: 0x0000, length: 0x40 },
  NOTIFY: { type: 2, offset: 0x3000, length: 0x1000 },
  ISR:    { type: 3, offset: 0x1000, length: 0x1 },
  DEVICE: { type: 4, offset: 0x2000, length: 0x1000 },
} as const;
/** "Device Status Field". */
// biome-ignore format: one row per fact
export const DEVICE_STATUS = {
  ACKNOWLEDGE: 1, DRIVER: 2, DRIVER_OK: 4, FEATURES_OK: 8, DEVICE_NEEDS_RESET: 64, FAILED: 128,
} as const;

/** "ISR status capability". */
// biome-ignore format: one row per fact
export const ISR = { QUEUE: 1, CONFIGURATION: 2 } as const;

/** struct virtio_pci_common_cfg; the 64-bit fields are two rows. */
// biome-ignore format: one row per fact
export const COMMON = [
  { offset:  0, size: 4, name: "device_feature_select" },
  { offset:  4, size: 4, name: "device_feature" },
  { offset:  8, size: 4, name: "driver_feature_select" },
  { offset: 12, size: 4, name: "driver_feature" },
  { offset: 16, size: 2, name: "config_msix_vector" },
  { offset: 18, size: 2, name: "num_queues" },
  { offset: 20, size: 1, name: "device_status" },
  { offset: 21, size: 1, name: "config_generation" },
  { offset: 22, size: 2, name: "queue_select" },
  { offset: 24, size: 2, name: "queue_size" },
  { offset: 26, size: 2, name: "queue_msix_vector" },
  { offset: 28, size: 2, name: "queue_enable" },
  { offset: 30, size: 2, name: "queue_notify_off" },
  { offset: 32, size: 4, name: "queue_desc_low" },
  { offset: 36, size: 4, name: "queue_desc_high" },
  { offset: 40, size: 4, name: "queue_driver_low" },
  { offset: 44, size: 4, name: "queue_driver_high" },
  { offset: 48, size: 4, name: "queue_device_low" },
  { offset: 52, size: 4, name: "queue_device_high" },
  { offset: 56, size: 2, name: "queue_notify_data" },
  { offset: 58, size: 2, name: "queue_reset" },
] as const;
export type CommonField = (typeof COMMON)[number]["name"];

type QueueArea = "descriptors" | "driverArea" | "deviceArea";
// biome-ignore format: one row per fact
export const AREA_OF: Partial<Record<CommonField, readonly [area: QueueArea, high: boolean]>> = {
  queue_desc_low:   ["descriptors", false], queue_desc_high:   ["descriptors", true],
  queue_driver_low: ["driverArea", false],  queue_driver_high: ["driverArea", true],
  queue_device_low: ["deviceArea", false],  queue_device_high: ["deviceArea", true],
};

/** The fields that an access of `size` bytes at `offset` touches. */
const touched = (offset: number, size: number): (typeof COMMON)[number][] =>
  COMMON.filter((field) => field.offset < offset + size && offset < field.offset + field.size);

/** An access of any width: what lies between fields reads 0. */
export const readRegisters = (offset: number, size: number, read: (name: CommonField) => number): number => {
  let value = 0n;
  for (const field of touched(offset, size)) {
    const shift = 8 * (field.offset - offset);
    const whole = BigInt(read(field.name));
    value |= shift < 0 ? whole >> BigInt(-shift) : whole << BigInt(shift);
  }
  return Number(BigInt.asUintN(8 * size, value));
};

/** The driver writes fields in their own width; other widths replace the bytes they cover. */
export const writeRegisters = (
  offset: number,
  value: number,
  size: number,
  fields: { read(name: CommonField): number; write(name: CommonField, value: number): void },
): void => {
  for (const field of touched(offset, size)) {
    if (field.offset === offset && field.size === size) {
      fields.write(field.name, value);
      continue;
    }
    let merged = BigInt(fields.read(field.name));
    for (let i = 0; i < size; i++) {
      const byte = BigInt(offset + i - field.offset);
      if (byte < 0n || byte >= field.size) continue;
      const written = BigInt((value >>> (8 * i)) & 0xff);
      merged = (merged & ~(0xffn << (8n * byte))) | (written << (8n * byte));
    }
    fields.write(field.name, Number(merged));
  }
};
