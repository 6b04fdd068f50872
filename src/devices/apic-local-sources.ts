import { type ArrivingInterrupt, DELIVERY_MODE, deliveryModeOf } from "./apic-bus.ts";
import { LVT, type LvtName, TIMER_MODE } from "./local-apic-registers.ts";

/** The part of the local APIC's state that local sources have to do with. */
export interface LocalSourcesState {
  readonly lvt: Record<LvtName, number>;
  /** Levels on the LINT pins. */
  LINT0: boolean;
  LINT1: boolean;
}

/** What local sources need from the local APIC around them. */
export interface LocalSourcesDoors {
  readonly state: () => LocalSourcesState;
  /** The local APIC is enabled, by hardware and by software. */
  readonly enabled: () => boolean;
  readonly tscDeadline: boolean;
  readonly accept: (message: ArrivingInterrupt) => void;
  readonly timerEntryChanged: (before: number) => void;
}

/** What an LVT entry may ask for itself; ExtINT is a level of LINT0, never a message. */
const localDeliveryModes: readonly number[] = [
  DELIVERY_MODE.FIXED,
  DELIVERY_MODE.SMI,
  DELIVERY_MODE.NMI,
  DELIVERY_MODE.INIT,
];

/** The local vector table and what it delivers: SDM Vol. 3, "Handling Local Interrupts". */
export class LocalSources {
  readonly #doors: LocalSourcesDoors;

  constructor(doors: LocalSourcesDoors) {
    this.#doors = doors;
  }

  /** `value` has only writable bits. */
  writeEntry(name: LvtName, value: number): void {
    const { lvt } = this.#doors.state();
    const before = lvt[name];
    // While software-disabled, every mask bit is set and stays set.
    let entry = this.#doors.enabled() ? value : value | LVT.MASKED;
    if (name === "LVT_TIMER") {
      if (!this.#doors.tscDeadline) entry &= ~(2 << LVT.TIMER_MODE_SHIFT);
      if (((entry >> LVT.TIMER_MODE_SHIFT) & 3) === 3)
        entry &= ~(TIMER_MODE.PERIODIC << LVT.TIMER_MODE_SHIFT);
    }
    lvt[name] = (entry & LVT.LEVEL) !== 0 ? entry | (before & LVT.REMOTE_IRR) : entry & ~LVT.REMOTE_IRR;
    if (name === "LVT_TIMER") this.#doors.timerEntryChanged(before);
    if (name === "LVT_LINT0") this.#serviceLint0Level();
  }

  /** An event of a local source: what its entry asks for. */
  deliver(name: LvtName): void {
    const { lvt } = this.#doors.state();
    const entry = lvt[name];
    if ((entry & LVT.MASKED) !== 0) return;
    // Delivering a performance-monitoring interrupt masks its entry.
    if (name === "LVT_PERFMON") lvt.LVT_PERFMON |= LVT.MASKED;
    const deliveryMode = deliveryModeOf(entry);
    if (!localDeliveryModes.includes(deliveryMode)) return;
    this.#doors.accept({ deliveryMode, vector: entry & LVT.VECTOR, levelTriggered: false });
  }

  /** A LINT pin's level has changed. */
  pinChanged(pin: "LINT0" | "LINT1", rising: boolean): void {
    if (pin === "LINT0" && this.#lint0IsLevel()) this.#serviceLint0Level();
    else if (rising && deliveryModeOf(this.#doors.state().lvt[`LVT_${pin}`]) !== DELIVERY_MODE.EXTINT)
      this.deliver(`LVT_${pin}`);
  }

  /** A level-triggered interrupt has been finished: LINT0 may ask again. */
  endOfInterrupt(vector: number): void {
    const { lvt } = this.#doors.state();
    const { LVT_LINT0 } = lvt;
    if ((LVT_LINT0 & LVT.REMOTE_IRR) === 0 || (LVT_LINT0 & LVT.VECTOR) !== vector) return;
    lvt.LVT_LINT0 &= ~LVT.REMOTE_IRR;
    this.#serviceLint0Level();
  }

  #lint0IsLevel(): boolean {
    const { LVT_LINT0 } = this.#doors.state().lvt;
    return (LVT_LINT0 & LVT.LEVEL) !== 0 && deliveryModeOf(LVT_LINT0) === DELIVERY_MODE.FIXED;
  }

  /** A level-triggered fixed interrupt on LINT0: once per EOI, for as long as the pin is asserted. */
  #serviceLint0Level(): void {
    const { lvt, LINT0 } = this.#doors.state();
    const entry = lvt.LVT_LINT0;
    if (!this.#lint0IsLevel() || !LINT0 || (entry & (LVT.MASKED | LVT.REMOTE_IRR)) !== 0) return;
    lvt.LVT_LINT0 |= LVT.REMOTE_IRR;
    this.#doors.accept({
      deliveryMode: DELIVERY_MODE.FIXED,
      vector: entry & LVT.VECTOR,
      levelTriggered: true,
    });
  }
}
