import type { Clock, Timer } from "../bus/clock.ts";
import { LVT, TIMER_MODE } from "./local-apic-registers.ts";
import { nsOfTicks, ticksIn } from "./ticks.ts";

export interface ApicTimerState {
  /** Divide configuration register. */
  DCR: number;
  initialCount: number;
  /** The count at `startNs`; 0 while stopped. */
  count: number;
  startNs: number;
  /** IA32_TSC_DEADLINE; 0 while disarmed. */
  tscDeadline: bigint;
}

/** What the timer needs from around it. */
export interface ApicTimerDoors {
  readonly clock: Clock;
  /** Frequency of the bus clock that the divider divides. */
  readonly busHz: number;
  /** The processor's time-stamp counter now. */
  readonly tsc: () => bigint;
  /** Nanoseconds until the time-stamp counter reaches a value; 0 when it has. */
  readonly nsUntilTsc: (tsc: bigint) => number;
  /** The LVT timer entry. */
  readonly lvt: () => number;
  /** The timer has expired and is not masked. */
  readonly expired: () => void;
}

const DIVISORS = [2, 4, 8, 16, 32, 64, 128, 1];
const divisor = (DCR: number): number => DIVISORS[(DCR & 3) | ((DCR >> 1) & 4)]!;
const modeOf = (lvt: number): number => (lvt >> LVT.TIMER_MODE_SHIFT) & 3;

/**
 * The local APIC's timer: SDM Vol. 3, "APIC Timer". The current count is a function of virtual time; the clock is armed
 * only while an expiry could raise an interrupt.
 */
export class ApicTimer {
  state: ApicTimerState = powerOn();
  readonly #doors: ApicTimerDoors;
  readonly #timer: Timer;

  constructor(doors: ApicTimerDoors) {
    this.#doors = doors;
    this.#timer = doors.clock.timer("local APIC timer", () => this.#fire());
  }

  reset(): void {
    this.state = powerOn();
    this.#schedule();
  }

  /** Re-arm the clock from `state`, the LVT entry and the time-stamp counter. */
  driveOutputs(): void {
    this.#schedule();
  }

  get currentCount(): number {
    return this.#mode === TIMER_MODE.TSC_DEADLINE ? 0 : this.#countIn(this.#mode);
  }

  /** Starts the count; 0 stops it. Ignored in TSC-deadline mode. */
  writeInitialCount(value: number): void {
    if (this.#mode === TIMER_MODE.TSC_DEADLINE) return;
    this.state.initialCount = value;
    this.#startFrom(value, this.#doors.clock.nowNs);
  }

  writeDCR(value: number): void {
    const count = this.currentCount;
    this.state.DCR = value;
    this.#startFrom(count, this.#doors.clock.nowNs);
  }

  /** Writes outside TSC-deadline mode are ignored. */
  writeTscDeadline(value: bigint): void {
    if (this.#mode !== TIMER_MODE.TSC_DEADLINE) return;
    this.state.tscDeadline = value;
    this.#schedule();
  }

  /**
   * The LVT timer entry has changed from `before`. Between one-shot and periodic mode the count goes on from where it
   * is, and a count that has run out stays out; a change to or from TSC-deadline mode disarms the timer.
   */
  lvtChanged(before: number): void {
    const from = modeOf(before);
    if (from !== this.#mode) {
      if (from === TIMER_MODE.TSC_DEADLINE || this.#mode === TIMER_MODE.TSC_DEADLINE)
        this.state = { ...powerOn(), DCR: this.state.DCR };
      else {
        const elapsed = this.#elapsed();
        const start = this.state.startNs + nsOfTicks(elapsed * this.#divisor, this.#doors.busHz);
        this.#startFrom(this.#countIn(from), start);
      }
    }
    this.#schedule();
  }

  get #mode(): number {
    return modeOf(this.#doors.lvt());
  }

  get #divisor(): bigint {
    return BigInt(divisor(this.state.DCR));
  }

  #startFrom(count: number, startNs: number): void {
    this.state.count = count;
    this.state.startNs = startNs;
    this.#schedule();
  }

  /** Counts since `startNs`. */
  #elapsed(): bigint {
    return ticksIn(this.#doors.clock.nowNs - this.state.startNs, this.#doors.busHz) / this.#divisor;
  }

  #countIn(mode: number): number {
    const { count, initialCount } = this.state;
    if (count === 0) return 0;
    const elapsed = this.#elapsed();
    if (elapsed < BigInt(count)) return count - Number(elapsed);
    if (mode !== TIMER_MODE.PERIODIC) return 0;
    return initialCount - Number((elapsed - BigInt(count)) % BigInt(initialCount));
  }

  #schedule(): void {
    const deadline = this.#nextExpiryNs();
    if (deadline === undefined || deadline >= Number.MAX_SAFE_INTEGER) this.#timer.disarm();
    else this.#timer.arm(deadline);
  }

  #nextExpiryNs(): number | undefined {
    const { count, initialCount, startNs, tscDeadline } = this.state;
    const { clock, busHz, nsUntilTsc, lvt } = this.#doors;
    if (this.#mode === TIMER_MODE.TSC_DEADLINE)
      return tscDeadline === 0n ? undefined : clock.nowNs + Math.max(0, Math.ceil(nsUntilTsc(tscDeadline)));
    if (count === 0 || (lvt() & LVT.MASKED) !== 0) return undefined;
    const elapsed = this.#elapsed();
    let expiry = BigInt(count);
    if (elapsed >= expiry) {
      if (this.#mode !== TIMER_MODE.PERIODIC) return undefined;
      const period = BigInt(initialCount);
      expiry += ((elapsed - expiry) / period + 1n) * period;
    }
    return startNs + nsOfTicks(expiry * this.#divisor, busHz);
  }

  #fire(): void {
    const s = this.state;
    if (this.#mode === TIMER_MODE.TSC_DEADLINE) {
      if (s.tscDeadline === 0n) return;
      if (this.#doors.tsc() < s.tscDeadline) {
        this.#timer.arm(Math.max(this.#nextExpiryNs()!, this.#doors.clock.nowNs + 1));
        return;
      }
      s.tscDeadline = 0n;
    } else this.#schedule();
    if ((this.#doors.lvt() & LVT.MASKED) === 0) this.#doors.expired();
  }
}

const powerOn = (): ApicTimerState => ({ DCR: 0, initialCount: 0, count: 0, startNs: 0, tscDeadline: 0n });
