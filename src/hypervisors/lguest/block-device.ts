import { type BlockStorage, SECTOR_LENGTH } from "../../devices/virtio-blk.ts";
import { blockPage, blockResult, blockType } from "./abi.ts";
import { gather, scatter } from "./dma.ts";
import type { Guest } from "./guest.ts";

interface Buffer {
  readonly address: number;
  readonly interrupt: number;
}

/** A disk of the guest's: one request at a time, described in a page that both sides see. */
export class BlockDevice {
  /** The DMA key: guest-physical address of its page. */
  readonly key: number;
  readonly #guest: Guest;
  readonly #storage: BlockStorage;
  readonly #interrupt: number;

  constructor(guest: Guest, storage: BlockStorage, page: number, interrupt: number) {
    this.key = page;
    this.#guest = guest;
    this.#storage = storage;
    this.#interrupt = interrupt;
    guest.write32(page + blockPage.num_sectors, storage.sectors);
  }

  /** The guest has sent `dma` here: the virtual interrupt that says the request is done. */
  serve(dma: number, boundBuffer: () => Buffer | undefined): number | undefined {
    const guest = this.#guest;
    const field = (offset: number): number => guest.read32(this.key + offset);
    const [type, sector, bytes] = [field(blockPage.type), field(blockPage.sector), field(blockPage.bytes)];
    const reads = type === blockType.read;
    const buffer = reads ? boundBuffer() : undefined;
    const interrupt = buffer?.interrupt ?? this.#interrupt;
    const isRequest =
      bytes > 0 && bytes % SECTOR_LENGTH === 0 && sector + bytes / SECTOR_LENGTH <= this.#storage.sectors;
    let done = false;
    if (isRequest && reads && buffer !== undefined) done = this.#read(buffer.address, sector, bytes);
    else if (isRequest && type === blockType.write) done = this.#write(dma, sector, bytes);
    if (guest.dead !== undefined) return undefined;
    guest.write32(this.key + blockPage.result, done ? blockResult.ok : blockResult.failed);
    return interrupt;
  }

  #read(buffer: number, sector: number, bytes: number): boolean {
    const read = this.#storage.read(sector, bytes / SECTOR_LENGTH);
    return !("failed" in read) && scatter(this.#guest, buffer, read) === bytes;
  }

  #write(dma: number, sector: number, bytes: number): boolean {
    if (this.#storage.readOnly) return false;
    const sent = gather(this.#guest, dma);
    return sent.length === bytes && this.#storage.write(sector, sent) === undefined;
  }
}
