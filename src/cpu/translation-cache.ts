import type { CpuState } from "../state/cpu-state.ts";
import { offsetOf } from "../state/layout.ts";

const cr0Offset = offsetOf("CR0");
const cr3Offset = offsetOf("CR3");
const cr4Offset = offsetOf("CR4");
const eferOffset = offsetOf("IA32_EFER");
const places = 64;
const empty = -1;
/** High halves of canonical addresses are told apart by these bits. */
const highBits = 0x01ff_ffff;

/**
 * Translations that procedures have made: of descriptor tables, task states and stacks, which they use again and again. What a processor
 * has in its TLB may be used until it is invalidated; `clear` does that.
 */
export class TranslationCache {
  /** Page and kind of access, and the physical page, by place. */
  readonly #tags = new Float64Array(places).fill(empty);
  readonly #frames = new Float64Array(places);
  #used = false;
  /** The control registers that the entries were made under. */
  #cr0 = 0;
  #cr3Low = 0;
  #cr3High = 0;
  #cr4 = 0;
  #efer = 0;

  /** Physical address of a linear one for this kind of access (a number below 32), or -1. */
  find(state: CpuState, low: number, high: number, access: number): number {
    const { view } = state;
    if (
      this.#cr3Low !== view.getUint32(cr3Offset, true) ||
      this.#cr0 !== view.getUint32(cr0Offset, true) ||
      this.#cr3High !== view.getUint32(cr3Offset + 4, true) ||
      this.#cr4 !== view.getUint32(cr4Offset, true) ||
      this.#efer !== view.getUint32(eferOffset, true)
    )
      return -1;
    const place = placeOf(low, access);
    return this.#tags[place] === tagOf(low, high, access) ? this.#frames[place]! + (low & 0xfff) : -1;
  }

  /** `frame`: physical address of the page. */
  enter(state: CpuState, low: number, high: number, access: number, frame: number): void {
    const { view } = state;
    const cr0 = view.getUint32(cr0Offset, true);
    const cr3Low = view.getUint32(cr3Offset, true);
    const cr3High = view.getUint32(cr3Offset + 4, true);
    const cr4 = view.getUint32(cr4Offset, true);
    const efer = view.getUint32(eferOffset, true);
    if (
      this.#cr3Low !== cr3Low ||
      this.#cr0 !== cr0 ||
      this.#cr3High !== cr3High ||
      this.#cr4 !== cr4 ||
      this.#efer !== efer
    ) {
      this.clear();
      this.#cr0 = cr0;
      this.#cr3Low = cr3Low;
      this.#cr3High = cr3High;
      this.#cr4 = cr4;
      this.#efer = efer;
    }
    this.#used = true;
    const place = placeOf(low, access);
    this.#tags[place] = tagOf(low, high, access);
    this.#frames[place] = frame;
  }

  clear(): void {
    if (!this.#used) return;
    this.#used = false;
    this.#tags.fill(empty);
  }
}

const placeOf = (low: number, access: number): number => ((low >>> 12) ^ (access << 3)) & (places - 1);

const tagOf = (low: number, high: number, access: number): number =>
  ((high & highBits) * 0x10_0000 + (low >>> 12)) * 32 + access;
