import { Exception } from "../arch/exceptions.ts";
import { AccessWord } from "../codegen/handler-spec.ts";
import type { SlowPaths } from "../codegen/interpreter-module.ts";
import { ExitKind, record } from "../codegen/record.ts";
import { layout, offsetOf, segmentRegisters } from "../state/layout.ts";
import { type Core, Fault } from "./core.ts";
import { breakpointOnPage, breakpointsEnabled } from "./debug-registers.ts";
import { GuestMemory } from "./guest-memory.ts";
import { cpl, isCanonicalHigh } from "./mode.ts";
import { Access, walk } from "./page-walk.ts";
import { linearAddress } from "./segmentation.ts";
import type { Tlb } from "./tlb.ts";

const slowAddressOffset = offsetOf("slowAddress");
const tlbKeyOffset = offsetOf("tlbKey");
const bounceOffset = offsetOf("bounce");
const bounceBytes = layout.get("bounce")!.size;
const exitErrorCodeOffset = offsetOf("exitErrorCode");

/** An access gathered in the bounce buffer: where its bytes are in truth. */
interface BounceWrite {
  readonly offset: number;
  readonly size: number;
  readonly first: number;
  readonly firstLength: number;
  readonly second: number;
  /** Where in the APIC-access page of a guest; -1 elsewhere. */
  readonly apicOffset: number;
}

/** What translated code asks of TypeScript: memory accesses that miss the TLB, and segments that need a look. */
export class MemorySlowPath implements SlowPaths {
  readonly #core: Core;
  readonly #guest: GuestMemory;
  readonly #tlb: Tlb;
  /** The processor runs 64-bit code. */
  long = false;
  /** A single step is under way: devices may be accessed. */
  stepping = false;
  #fault: Fault | undefined;
  /** The address of the access that `miss` refused was not canonical: the segment decides between #SS and #GP. */
  #nonCanonical = false;
  #bounceUsed = 0;
  #bounceWrites: BounceWrite[] = [];

  constructor(core: Core, guest: GuestMemory, tlb: Tlb) {
    this.#core = core;
    this.#guest = guest;
    this.#tlb = tlb;
  }

  /** The exception that a record's handler met. */
  faultOf(at: number): Fault {
    const fault = this.#fault ?? this.#exitFault();
    this.#fault = undefined;
    if (!this.#nonCanonical) return fault;
    this.#nonCanonical = false;
    const throughStack =
      this.#core.state.view.getUint8(at + record.segment) === segmentRegisters.indexOf("SS");
    return throughStack ? new Fault(Exception.SS, 0) : fault;
  }

  /** The exception a handler raised by itself. */
  #exitFault(): Fault {
    const { state } = this.#core;
    const code = state.view.getInt32(exitErrorCodeOffset, true);
    return new Fault(state.exitVector, code < 0 ? undefined : code);
  }

  /** SlowPaths.miss */
  miss(access: number): number {
    const { state } = this.#core;
    const { view } = state;
    const low = view.getUint32(slowAddressOffset, true);
    const high = view.getUint32(slowAddressOffset + 4, true);
    const size = access & AccessWord.size;
    const write = (access & AccessWord.write) !== 0;
    const inPage = low & 0xfff;
    const long = this.long;
    if (long) {
      const lastLow = low + size - 1;
      if (
        !isCanonicalHigh(high, this.#core.model.linearAddressBits) ||
        (lastLow > 0xffff_ffff && !isCanonicalHigh((high + 1) >>> 0, this.#core.model.linearAddressBits))
      ) {
        this.#nonCanonical = (access & AccessWord.stack) === 0;
        return this.#refuse(new Fault(access & AccessWord.stack ? Exception.SS : Exception.GP, 0));
      }
    }
    if (breakpointsEnabled(state) && this.#isWatched(low, high, size)) return this.#needStep();
    const kind = (write ? Access.WRITE : Access.READ) | (cpl(state) === 3 ? Access.USER : 0);
    const translation = walk(this.#core, high, low, kind);
    if (translation instanceof Fault) return this.#refuse(translation);
    const { frame, address, mayRead, mayWrite, pageSize, global } = translation;
    if (translation.apicAccess) return this.#apicAccess(low, high, size, kind, access);
    const offset = this.#guest.offsetOf(frame);
    if (inPage + size <= 4096) {
      if (offset < 0) return this.#device(address, size, access);
      const watched = this.#guest.watchedPages[GuestMemory.pageOf(offset)] !== 0;
      if (write) {
        if (!this.#guest.isWritable(address)) return this.#bounce(address, size, size, 0, access);
        if (watched) this.#guest.beforeWrite(offset + inPage, size);
      }
      const stillWatched = this.#guest.watchedPages[GuestMemory.pageOf(offset)] !== 0;
      this.#tlb.fill(
        low,
        high,
        view.getUint32(tlbKeyOffset, true),
        mayRead,
        mayWrite && !stillWatched && this.#guest.isWritable(address),
        offset,
        pageSize,
        global,
      );
      return offset + inPage;
    }
    const firstLength = 4096 - inPage;
    let nextLow = low + firstLength;
    let nextHigh = high;
    if (nextLow > 0xffff_ffff) {
      nextLow = 0;
      nextHigh = long ? (high + 1) >>> 0 : 0;
    }
    const second = walk(this.#core, nextHigh, nextLow, kind);
    if (second instanceof Fault) return this.#refuse(second);
    if (second.apicAccess) {
      const refused = this.#core.vmx!.apicAccess(0, size, kind);
      if (refused instanceof Fault) return this.#refuse(refused);
    }
    if (!this.stepping && (offset < 0 || !this.#guest.isRam(second.address))) return this.#needStep();
    return this.#bounce(address, size, firstLength, second.address, access);
  }

  /** Does a page of the access hold a data breakpoint? Then no TLB entry may be made. */
  #isWatched(low: number, high: number, size: number): boolean {
    const { state } = this.#core;
    if (breakpointOnPage(state, low, high, false)) return true;
    const last = low + size - 1;
    if (last > 0xffff_ffff) return breakpointOnPage(state, 0, this.long ? (high + 1) >>> 0 : 0, false);
    return (low & 0xfff) + size > 4096 && breakpointOnPage(state, last, high, false);
  }

  #refuse(fault: Fault): 0 {
    this.#fault = fault;
    this.#core.state.exitKind = ExitKind.fault;
    return 0;
  }

  #needStep(): 0 {
    this.#core.state.exitKind = ExitKind.step;
    return 0;
  }

  /** In the APIC-access page of a guest: in the virtual-APIC page, or a VM exit. An access across pages is never virtualized. */
  #apicAccess(low: number, high: number, size: number, kind: number, access: number): number {
    const inPage = low & 0xfff;
    if (inPage + size > 4096) {
      // A fault of the second page comes first.
      const second = walk(
        this.#core,
        this.long && low + size > 0xffff_ffff ? high + 1 : high,
        (low | 0xfff) + 1,
        kind,
      );
      if (second instanceof Fault) return this.#refuse(second);
    }
    const address = this.#core.vmx!.apicAccess(inPage, size, kind);
    if (address instanceof Fault) return this.#refuse(address);
    return this.stepping ? this.#bounce(address, size, size, 0, access, inPage) : this.#needStep();
  }

  #device(address: number, size: number, access: number): number {
    return this.stepping ? this.#bounce(address, size, size, 0, access) : this.#needStep();
  }

  /** Gather an access that cannot be made in place; a write is carried out by `flush`. */
  #bounce(
    first: number,
    size: number,
    firstLength: number,
    second: number,
    access: number,
    apicOffset = -1,
  ): number {
    const offset = bounceOffset + this.#bounceUsed;
    this.#bounceUsed = (this.#bounceUsed + 64) % bounceBytes;
    const { bytes, view } = this.#guest;
    const write = (access & AccessWord.write) !== 0;
    if (write && !(access & AccessWord.modify)) {
      // Nothing is read: a device register may care.
    } else if (firstLength === size) {
      if (size <= 4) {
        const value = this.#guest.read(first, size as 1 | 2 | 4);
        if (size === 1) bytes[offset] = value;
        else if (size === 2) view.setUint16(offset, value, true);
        else view.setUint32(offset, value, true);
      } else
        for (let at = 0; at < size; at += 4)
          view.setUint32(offset + at, this.#guest.read(first + at, 4), true);
    } else
      for (let n = 0; n < size; n++)
        bytes[offset + n] = this.#guest.read(n < firstLength ? first + n : second + n - firstLength, 1);
    if (write) this.#bounceWrites.push({ offset, size, first, firstLength, second, apicOffset });
    return offset;
  }

  /** SlowPaths.flush */
  flush(): void {
    const { bytes, view } = this.#guest;
    for (const { offset, size, first, firstLength, second, apicOffset } of this.#bounceWrites) {
      if (apicOffset >= 0) this.#core.vmx!.apicWritten(apicOffset);
      if (firstLength === size) {
        if (size === 1) this.#guest.write(first, bytes[offset]!, 1);
        else if (size === 2) this.#guest.write(first, view.getUint16(offset, true), 2);
        else
          for (let at = 0; at < size; at += 4)
            this.#guest.write(first + at, view.getUint32(offset + at, true), 4);
      } else
        for (let n = 0; n < size; n++)
          this.#guest.write(n < firstLength ? first + n : second + n - firstLength, bytes[offset + n]!, 1);
    }
    this.endInstruction();
  }

  /** Forget gathered accesses: the instruction is over, or never finished. */
  endInstruction(): void {
    if (this.#bounceWrites.length > 0) this.#bounceWrites.length = 0;
    this.#bounceUsed = 0;
  }

  /** SlowPaths.checked */
  checked(word: number): number {
    const { state } = this.#core;
    const segment = segmentRegisters[word & 0xff]!;
    const access = word >>> 8;
    const kind = (access & 0x100 ? Access.WRITE : Access.READ) | (cpl(state) === 3 ? Access.USER : 0);
    const linear = linearAddress(this.#core, segment, state.slowAddress, access & 0xff, kind);
    if (linear instanceof Fault) {
      this.#refuse(linear);
      return 0;
    }
    state.slowAddress = linear;
    return 1;
  }
}
