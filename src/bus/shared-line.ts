import type { InterruptLine } from "./interrupt-line.ts";

/**
 * Several drivers on one wire: the wire is asserted while any of them asserts it (PCI INTx, "wired-OR").
 * Nothing here needs a snapshot: drivers that re-derive their levels restore the wire.
 */
export class SharedLine {
  readonly #wire: InterruptLine;
  #assertedBy = 0;

  constructor(wire: InterruptLine) {
    this.#wire = wire;
  }

  /** A new driver of the wire, not asserted yet. */
  driver(): InterruptLine {
    let mine = false;
    return {
      set: (asserted) => {
        if (asserted === mine) return;
        mine = asserted;
        this.#assertedBy += asserted ? 1 : -1;
        this.#wire.set(this.#assertedBy > 0);
      },
    };
  }
}

/** A wire that goes nowhere. */
export const unconnected: InterruptLine = { set() {} };
