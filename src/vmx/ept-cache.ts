import { Access } from "../cpu/page-walk.ts";
import { GuestPhysicalAccess, GuestPhysicalTranslation } from "../cpu/vmx-socket.ts";

/**
 * Guest-physical mappings (SDM Vol. 3, "Caching Translation Information"): what EPT walks have found, until INVEPT. An access that a
 * mapping here does not allow is walked anew, so EPT violations are always by the entries in memory.
 */

const entries = 1024;
const pageBytes = 4096;
const { TABLE, NO_LINEAR_ADDRESS, USER_MODE_ADDRESS } = GuestPhysicalAccess;
/** Rights; write: its dirty flag is set, or need not be. */
const right = { read: 1, write: 2, fetch: 4, fetchUser: 8 } as const;

/** The shared result of all walks. */
const result = new GuestPhysicalTranslation();

/** With accessed and dirty flags every access to a guest paging structure is a write; without them that asks for too much, and is walked. */
const wantedRight = (access: number): number => {
  if ((access & Access.WRITE) !== 0 || (access & (TABLE | NO_LINEAR_ADDRESS)) === TABLE) return right.write;
  if ((access & Access.FETCH) === 0) return right.read;
  return (access & USER_MODE_ADDRESS) !== 0 ? right.fetchUser : right.fetch;
};

export class EptCache {
  readonly #pages = new Float64Array(entries).fill(-1);
  readonly #worlds = new Int32Array(entries);
  readonly #frames = new Float64Array(entries);
  readonly #rights = new Uint8Array(entries);
  readonly #pageSizes = new Uint32Array(entries);

  clear(): void {
    this.#pages.fill(-1);
  }

  find(world: number, address: number, access: number): GuestPhysicalTranslation | undefined {
    const page = Math.floor(address / pageBytes);
    const at = page & (entries - 1);
    if (this.#pages[at] !== page || this.#worlds[at] !== world) return undefined;
    const rights = this.#rights[at]!;
    if ((rights & wantedRight(access)) === 0) return undefined;
    result.address = this.#frames[at]! + (address & (pageBytes - 1));
    result.pageSize = this.#pageSizes[at]!;
    result.mayRead = (rights & right.read) !== 0;
    result.mayWrite = (rights & right.write) !== 0;
    result.mayFetch = (rights & right.fetch) !== 0;
    result.mayFetchUser = (rights & right.fetchUser) !== 0;
    return result;
  }

  /** Remember what a walk has found for an address. */
  enter(world: number, address: number, found: GuestPhysicalTranslation): void {
    const page = Math.floor(address / pageBytes);
    const at = page & (entries - 1);
    this.#pages[at] = page;
    this.#worlds[at] = world;
    this.#frames[at] = found.address - (address & (pageBytes - 1));
    this.#pageSizes[at] = found.pageSize;
    this.#rights[at] =
      (found.mayRead ? right.read : 0) |
      (found.mayWrite ? right.write : 0) |
      (found.mayFetch ? right.fetch : 0) |
      (found.mayFetchUser ? right.fetchUser : 0);
  }
}
