import { offsetOf } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { GuestMemory } from "./guest-memory.ts";
import { type LinearMemory, walkedMemory } from "./linear-memory.ts";
import { Access, walk } from "./page-walk.ts";
import type { Tlb } from "./tlb.ts";

const tlbKeyOffset = offsetOf("tlbKey");
const halves = new Uint32Array(2);
const whole = new BigUint64Array(halves.buffer);

/**
 * Memory as translated code sees it: an access that the TLB has is made without a walk, one that it has not fills it. So an instruction may
 * be evaluated now and translated later, and even a guest that changes page tables and invalidates nothing cannot tell.
 */
export class TranslatedMemory implements LinearMemory {
  readonly #guest: GuestMemory;
  readonly #tlb: Tlb;

  constructor(guest: GuestMemory, tlb: Tlb) {
    this.#guest = guest;
    this.#tlb = tlb;
  }

  /** Memory offset of bytes that may be accessed there; -1 where the bus must be asked; or the fault. */
  #find(core: Core, address: bigint, size: number, access: number): number | Fault {
    const { view } = core.state;
    const key = view.getUint32(tlbKeyOffset, true);
    const write = (access & Access.WRITE) !== 0;
    whole[0] = address;
    const low = halves[0]!;
    const high = halves[1]!;
    const known = this.#tlb.find(low, high, key, size, write);
    if (known >= 0) return known;
    if ((low & 0xfff) + size > 4096) return -1;
    const translation = walk(core, high, low, access);
    if (translation instanceof Fault) return translation;
    if (translation.apicAccess) return -1;
    const { frame, mayRead, mayWrite, pageSize, global } = translation;
    const offset = this.#guest.offsetOf(frame);
    if (offset < 0) return -1;
    const writable =
      this.#guest.isWritable(frame) && this.#guest.watchedPages[GuestMemory.pageOf(offset)] === 0;
    this.#tlb.fill(low, high, key, mayRead, mayWrite && writable, offset, pageSize, global);
    return write && !writable ? -1 : offset + (low & 0xfff);
  }

  read(core: Core, address: bigint, size: number, access: number): bigint | Fault {
    const offset = this.#find(core, address, size, access);
    if (offset instanceof Fault) return offset;
    if (offset < 0) return walkedMemory.read(core, address, size, access);
    const { view } = this.#guest;
    if (size === 4) return BigInt(view.getUint32(offset, true));
    if (size === 8) return view.getBigUint64(offset, true);
    if (size === 2) return BigInt(view.getUint16(offset, true));
    if (size === 1) return BigInt(view.getUint8(offset));
    return (view.getBigUint64(offset + 8, true) << 64n) | view.getBigUint64(offset, true);
  }

  write(core: Core, address: bigint, value: bigint, size: number, access: number): Fault | undefined {
    const offset = this.#find(core, address, size, access);
    if (offset instanceof Fault) return offset;
    if (offset < 0) return walkedMemory.write(core, address, value, size, access);
    const { view } = this.#guest;
    if (size === 4) view.setUint32(offset, Number(value), true);
    else if (size === 8) view.setBigUint64(offset, value, true);
    else if (size === 2) view.setUint16(offset, Number(value), true);
    else if (size === 1) view.setUint8(offset, Number(value));
    else {
      view.setBigUint64(offset, value, true);
      view.setBigUint64(offset + 8, value >> 64n, true);
    }
    return undefined;
  }

  probe(core: Core, address: bigint, size: number, access: number): Fault | undefined {
    const offset = this.#find(core, address, size, access);
    if (offset instanceof Fault) return offset;
    return offset < 0 ? walkedMemory.probe(core, address, size, access) : undefined;
  }
}
