import { regionSlot, regionSlotBytes, regionSlots, regionSlotsOffset } from "../codegen/memory-map.ts";
import type { RegionPage } from "../codegen/region/region.ts";
import { offsetOf } from "../state/layout.ts";
import type { Tlb } from "./tlb.ts";

const codeStampOffset = offsetOf("codeStamp");

/** Slots of what spans several pages, regions and instructions: translated code asks here where its other pages are. */
export class PageSlots {
  readonly #view: DataView;
  readonly #tlb: Tlb;
  /** Slot 0 is nobody's. */
  #pages: (readonly RegionPage[])[] = [[]];

  constructor(view: DataView, tlb: Tlb) {
    this.#view = view;
    this.#tlb = tlb;
  }

  /** A slot for these pages, the one of the entry first; 0 when there is none left. */
  allocate(pages: readonly RegionPage[]): number {
    if (this.#pages.length === regionSlots) return 0;
    const slot = this.#pages.push(pages) - 1;
    this.#view.setUint32(regionSlotsOffset + slot * regionSlotBytes + regionSlot.stamp, 0, true);
    return slot;
  }

  /** Look up the pages for the code that is about to run: which of them are where they are expected? */
  lookUp(slot: number): void {
    let present = 1;
    this.#pages[slot]!.forEach(({ distance, offset }, n) => {
      if (n > 0 && this.#tlb.codePageAtDistance(4096 * distance) === offset) present |= 1 << n;
    });
    const at = regionSlotsOffset + slot * regionSlotBytes;
    this.#view.setUint32(at + regionSlot.stamp, this.#view.getUint32(codeStampOffset, true), true);
    this.#view.setUint32(at + regionSlot.pages, present, true);
  }

  /** Forget all. */
  clear(): void {
    this.#pages = [[]];
  }
}
