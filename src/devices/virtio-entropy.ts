import { DEVICE_TYPE, type VirtioDevice, type VirtioTransport } from "./virtio-device.ts";

// VIRTIO 1.2, "Entropy Device".

const QUEUE_SIZE = 64;
/** Bytes for one buffer, at most: the device may give fewer than asked for. */
const BYTES_PER_BUFFER = 65536;

export interface VirtioEntropyState {
  /** The generator, xoshiro128** (Blackman and Vigna): four 32-bit words, not all zero. */
  words: [number, number, number, number];
}

/**
 * A source of random bytes that are the same in every run with the same seed. They are not secret: a machine that must be
 * reproducible has no true entropy.
 */
export class VirtioEntropy implements VirtioDevice {
  readonly name = "virtio entropy source";
  readonly deviceType = DEVICE_TYPE.ENTROPY;
  readonly pciClassCode = 0x00_ff_00;
  readonly features = 0n;
  readonly queueSizes = [QUEUE_SIZE];
  state: VirtioEntropyState;
  #transport: VirtioTransport | undefined;

  /** `seed`: any integer below 2^53. */
  constructor(seed: number) {
    this.state = { words: expand(seed) };
  }

  configuration(): Uint8Array {
    return new Uint8Array(0);
  }

  writeConfiguration(): void {}

  connect(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  /** The sequence goes on: it would be a poor source that started again. */
  reset(): void {}

  notified(): void {
    const transport = this.#transport!;
    transport.queue(0).service((chain) => {
      const { readableLength, writableLength } = chain;
      if (readableLength > 0 || writableLength === 0) {
        transport.needsReset(`a buffer of ${readableLength} + ${writableLength} bytes`);
        return undefined;
      }
      const bytes = new Uint8Array(Math.min(writableLength, BYTES_PER_BUFFER));
      for (let i = 0; i < bytes.length; i += 4) {
        const word = next(this.state.words);
        for (let j = 0; j < 4 && i + j < bytes.length; j++) bytes[i + j] = word >>> (8 * j);
      }
      chain.write(0, bytes);
      return bytes.length;
    });
  }
}

const rotate = (word: number, count: number): number => (word << count) | (word >>> (32 - count));

const next = (words: [number, number, number, number]): number => {
  const result = Math.imul(rotate(Math.imul(words[1], 5), 7), 9);
  const shifted = words[1] << 9;
  words[2] ^= words[0];
  words[3] ^= words[1];
  words[1] ^= words[2];
  words[0] ^= words[3];
  words[2] ^= shifted;
  words[3] = rotate(words[3], 11);
  return result >>> 0;
};

/** Four well-mixed words from a seed: splitmix32, whose first four outputs are never all zero. */
const expand = (seed: number): [number, number, number, number] => {
  let state = (seed ^ Math.floor(seed / 2 ** 32)) | 0;
  const mixed = () => {
    state = (state + 0x9e37_79b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x85eb_ca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
    return z ^ (z >>> 16);
  };
  return [mixed(), mixed(), mixed(), mixed()];
};
