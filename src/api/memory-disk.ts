import { type BlockStorage, SECTOR_LENGTH } from "../devices/virtio-blk.ts";

/** A disk that lives in memory: its bytes, with the last sector filled up with zeros. Writes change a copy, which is `bytes`. */
export class MemoryDisk implements BlockStorage {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly bytes: Uint8Array;

  /** `contents` are the disk's bytes, or how many zeros it has. */
  constructor(contents: Uint8Array | number, options: { readonly readOnly?: boolean } = {}) {
    const length = typeof contents === "number" ? contents : contents.length;
    this.sectors = Math.ceil(length / SECTOR_LENGTH);
    this.readOnly = options.readOnly ?? false;
    this.bytes = new Uint8Array(this.sectors * SECTOR_LENGTH);
    if (typeof contents !== "number") this.bytes.set(contents);
  }

  read(sector: number, count: number): Uint8Array {
    return this.bytes.slice(sector * SECTOR_LENGTH, (sector + count) * SECTOR_LENGTH);
  }

  write(sector: number, bytes: Uint8Array): undefined {
    this.bytes.set(bytes, sector * SECTOR_LENGTH);
  }

  flush(): undefined {}
}
