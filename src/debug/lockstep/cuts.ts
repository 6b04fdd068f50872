import type { Pc } from "../../machine/pc.ts";
import { architecturalBytes } from "../../state/layout.ts";

/** Cuts of one slice, at most. What comes after them is compared at the slice's end. */
const mostCuts = 4096;

/** Where the machine that runs first was between two instructions, and in which state. */
export interface Cut {
  /** As `Pc.spent` counts. */
  readonly spent: number;
  readonly retired: number;
  readonly nowNs: number;
  readonly processor: number;
  readonly state: Uint8Array;
}

/** Notes a machine's state each time that translated code returns to the processor. */
export class Cuts {
  readonly #pc: Pc;
  #states = new Uint8Array(0);
  #list: Cut[] = [];

  constructor(pc: Pc) {
    this.#pc = pc;
    pc.engine.onExit = (used) => this.#note(used);
  }

  #note(used: number): void {
    const { engine, spent, retired, clock } = this.#pc;
    const number = this.#list.length;
    if (number === mostCuts) return;
    engine.module.settle();
    const state = this.#room(number);
    state.set(engine.state.architectural());
    this.#list.push({
      spent: spent + used,
      retired,
      nowNs: clock.nowNs,
      processor: engine.current!.index,
      state,
    });
  }

  #room(number: number): Uint8Array {
    if (this.#states.length === 0) this.#states = new Uint8Array(mostCuts * architecturalBytes);
    return this.#states.subarray(number * architecturalBytes, (number + 1) * architecturalBytes);
  }

  /** The cuts since the last call, in order. They are valid until the machine runs again. */
  take(): readonly Cut[] {
    const list = this.#list;
    this.#list = [];
    return list;
  }
}
