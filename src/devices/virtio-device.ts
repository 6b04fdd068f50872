import type { Virtqueue } from "./virtqueue.ts";

// Virtual I/O Device (VIRTIO) Version 1.2; names and headings are its own.

/** "Device Types". */
// biome-ignore format: one row per fact
export const DEVICE_TYPE = { BLOCK: 2, CONSOLE: 3, ENTROPY: 4 } as const;

/** What a device sees of its transport. */
export interface VirtioTransport {
  /** The features that both sides agreed on. */
  readonly features: bigint;
  /** The driver has finished its set-up and the device may act. */
  readonly live: boolean;
  queue(index: number): Virtqueue;
  /** The device's configuration has changed: tell the driver. */
  configurationChanged(): void;
  /** The driver broke a rule; nothing happens any more until it resets the device. */
  needsReset(reason: string): void;
}

/** A virtio device without its transport. */
export interface VirtioDevice {
  readonly name: string;
  readonly deviceType: number;
  /** The PCI class code that says roughly what it is. */
  readonly pciClassCode: number;
  /** Offered device-specific feature bits. */
  readonly features: bigint;
  /** The largest size of each virtqueue, a power of two. */
  readonly queueSizes: readonly number[];
  /** "Device Configuration Space", as the driver reads it now. */
  configuration(): Uint8Array;
  /** A write to it, within its length. */
  writeConfiguration(offset: number, bytes: Uint8Array): void;
  connect(transport: VirtioTransport): void;
  /** The driver made buffers available in this queue. */
  notified(queue: number): void;
  reset(): void;
}
