import type { BlockStorage, StorageFailure } from "../../devices/virtio-blk.ts";

/** What was asked of a disk, and what came of it. */
type Request =
  | { readonly kind: "read"; readonly sector: number; readonly count: number; readonly result: Uint8Array | StorageFailure }
  | { readonly kind: "write"; readonly sector: number; readonly bytes: Uint8Array; readonly result: StorageFailure | undefined }
  | { readonly kind: "flush"; readonly result: StorageFailure | undefined }; // biome-ignore format: one row per fact

const sentence = (request: Request | undefined): string => {
  if (request === undefined) return "nothing";
  if (request.kind === "flush") return "a flush";
  const sectors = request.kind === "read" ? request.count : request.bytes.length / 512;
  return `a ${request.kind} of ${sectors} sectors from ${request.sector}`;
};

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, n) => byte === other[n]);

/**
 * One disk for two machines in lockstep: what the first asks goes to the storage, and is kept until the second, which runs behind it, asks
 * the same. So both see the same contents, and nothing is written twice.
 */
export class EchoStorage {
  readonly #storage: BlockStorage;
  readonly #requests: Request[] = [];
  readonly #differs: (says: string) => void;
  /** The disk of the machine that runs first, and of the one behind it. */
  readonly first: BlockStorage;
  readonly second: BlockStorage;

  /** `differs` is told when the second machine asks something else than the first. */
  constructor(storage: BlockStorage, differs: (says: string) => void) {
    this.#storage = storage;
    this.#differs = differs;
    const { sectors, readOnly } = storage;
    this.first = {
      sectors,
      readOnly,
      read: (sector, count) => {
        const result = this.#storage.read(sector, count);
        // The reader may use the bytes as its own.
        const kept = result instanceof Uint8Array ? result.slice() : result;
        this.#requests.push({ kind: "read", sector, count, result: kept });
        return result;
      },
      write: (sector, bytes) => {
        const result = this.#storage.write(sector, bytes);
        this.#requests.push({ kind: "write", sector, bytes: bytes.slice(), result });
        return result;
      },
      flush: () => {
        const result = this.#storage.flush();
        this.#requests.push({ kind: "flush", result });
        return result;
      },
    };
    this.second = {
      sectors,
      readOnly,
      read: (sector, count) => {
        const asked = this.#requests.shift();
        if (asked?.kind === "read" && asked.sector === sector && asked.count === count) return asked.result;
        this.#refuse(asked, { kind: "read", sector, count, result: new Uint8Array(0) });
        return new Uint8Array(512 * count);
      },
      write: (sector, bytes) => {
        const asked = this.#requests.shift();
        if (asked?.kind === "write" && asked.sector === sector && sameBytes(asked.bytes, bytes))
          return asked.result;
        this.#refuse(asked, { kind: "write", sector, bytes, result: undefined });
        return undefined;
      },
      flush: () => {
        const asked = this.#requests.shift();
        if (asked?.kind === "flush") return asked.result;
        this.#refuse(asked, { kind: "flush", result: undefined });
        return undefined;
      },
    };
  }

  #refuse(first: Request | undefined, second: Request): void {
    const [one, other] = [sentence(first), sentence(second)];
    this.#differs(one === other ? `a disk gets ${one} with other bytes` : `a disk gets ${one} and ${other}`);
  }

  /** To be called where both machines are at the same point: did the second ask all that the first did? */
  check(): void {
    const left = this.#requests.splice(0);
    if (left.length > 0) this.#differs(`a disk gets ${sentence(left[0])} and nothing`);
  }
}
