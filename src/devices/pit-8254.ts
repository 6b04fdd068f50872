// The 8254 programmable interval timer. Names and headings: Intel, "8254 Programmable Interval Timer", order number 231164.
// Wiring (1.193182 MHz, counter 0 to IRQ0, GATE0 and GATE1 high, counter 2 to the speaker): IBM PC/AT Technical Reference.
import type { Clock, Timer } from "../bus/clock.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import { nsOfTicks, ticksIn } from "./ticks.ts";

/** CLK of all three counters. */
export const PIT_HERTZ = 1_193_182;

/** Control Word: bits 7-6 select a counter, 5-4 (RW) say how it is read and written, 3-1 (M) its mode, 0 is BCD. */
const SC_READ_BACK = 3;
const RW = { COUNTER_LATCH: 0, LEAST_SIGNIFICANT: 1, MOST_SIGNIFICANT: 2, BOTH: 3 } as const;
const BCD = 1 << 0;

/** Read-Back Command: bits 5 and 4 are active low. */
const READ_BACK = { NO_STATUS: 1 << 4, NO_COUNT: 1 << 5 } as const;
const STATUS = { NULL_COUNT: 1 << 6, OUT: 1 << 7 } as const;

/** "Mode Definitions". */
const MODE = {
  INTERRUPT_ON_TERMINAL_COUNT: 0,
  HARDWARE_RETRIGGERABLE_ONE_SHOT: 1,
  RATE_GENERATOR: 2,
  SQUARE_WAVE: 3,
  SOFTWARE_TRIGGERED_STROBE: 4,
  HARDWARE_TRIGGERED_STROBE: 5,
} as const;

/** A count in the counting element. Times are CLK pulses since virtual time zero. */
interface Counting {
  /** The count loaded, 1-65536 (1-10000 in BCD). */
  initial: number;
  /** The CLK pulse from which `counted` grows; for a count that is not loaded yet, the pulse that loads it. */
  from: number;
  /** Pulses counted before `from`. */
  counted: number;
  running: boolean;
}

export interface CounterState {
  /** RW, M and BCD as programmed: bits 5-0 of the control word. */
  control: number;
  gate: boolean;
  /** Count register; null from the control word until a count is written. */
  CR: number | null;
  /** The low byte of a two-byte count whose high byte is still due. */
  lowByte: number | null;
  /** With RW = both, the next byte read is the high one. */
  readHighNext: boolean;
  latchedCount: number | null;
  latchedStatus: number | null;
  counting: Counting | null;
  /** The count that will replace `counting` at its `from`. */
  next: Counting | null;
  /** NULL COUNT: what was written last is not in the counting element yet. */
  nullCount: boolean;
}

export interface Pit8254State {
  counters: [CounterState, CounterState, CounterState];
  /** The CLK pulse up to which counter 0's OUT has been driven. */
  drivenTick: number;
}

const powerOnCounter = (gate: boolean): CounterState => ({
  control: 0,
  gate,
  CR: null,
  lowByte: null,
  readHighNext: false,
  latchedCount: null,
  latchedStatus: null,
  counting: null,
  next: null,
  nullCount: true,
});

const powerOn = (): Pit8254State => ({
  counters: [powerOnCounter(true), powerOnCounter(true), powerOnCounter(false)],
  drivenTick: 0,
});

/** M: bit 2 is "don't care" for modes 2 and 3. */
const modeOf = ({ control }: CounterState): number => {
  const M = (control >> 1) & 7;
  return (M & 3) >= 2 ? M & 3 : M;
};
const accessOf = ({ control }: CounterState): number => (control >> 4) & 3;
const periodic = (mode: number): boolean => mode === MODE.RATE_GENERATOR || mode === MODE.SQUARE_WAVE;
const triggeredByGate = (mode: number): boolean =>
  mode === MODE.HARDWARE_RETRIGGERABLE_ONE_SHOT || mode === MODE.HARDWARE_TRIGGERED_STROBE;

/** The number of pulses that a count register stands for; 0 is the largest count. */
const pulses = ({ control, CR }: CounterState): number => {
  const register = CR ?? 0;
  if ((control & BCD) === 0) return register || 0x1_0000;
  const digit = (place: number) => (register >> (4 * place)) & 0xf;
  return digit(3) * 1000 + digit(2) * 100 + digit(1) * 10 + digit(0) || 10_000;
};

const toBCD = (value: number): number =>
  (Math.trunc(value / 1000) << 12) |
  ((Math.trunc(value / 100) % 10) << 8) |
  ((Math.trunc(value / 10) % 10) << 4) |
  (value % 10);

const counted = (counting: Counting, tick: number): number =>
  counting.counted + (counting.running ? Math.max(0, tick - counting.from) : 0);

/** Mode 3: an odd count is high for one pulse longer than low. */
const highHalf = (initial: number): number => Math.ceil(initial / 2);

/** Moves a count whose CLK pulse has come into the counting element. */
const settle = (counter: CounterState, tick: number): void => {
  if (counter.next === null || tick < counter.next.from) return;
  counter.counting = counter.next;
  counter.next = null;
  counter.nullCount = false;
};

/** OUT at `tick`, of a settled counter. */
const outAt = (counter: CounterState, tick: number): boolean => {
  const { counting, next, lowByte } = counter;
  const mode = modeOf(counter);
  if (mode === MODE.INTERRUPT_ON_TERMINAL_COUNT)
    return (
      counting !== null && next === null && lowByte === null && counted(counting, tick) >= counting.initial
    );
  if (counting === null) return true;
  const { initial, running } = counting;
  const done = counted(counting, tick);
  switch (mode) {
    case MODE.HARDWARE_RETRIGGERABLE_ONE_SHOT:
      return done >= initial;
    case MODE.RATE_GENERATOR: // A count of 1 is illegal.
      return !running || initial === 1 || done % initial !== initial - 1;
    case MODE.SQUARE_WAVE:
      return !running || done % initial < highHalf(initial);
    default: // The strobes.
      return done !== initial;
  }
};

/** The first pulse after `tick` at which OUT may change, or a count is loaded. */
const nextChange = (counter: CounterState, tick: number): number | undefined => {
  const { counting, next } = counter;
  const loads = next === null ? Number.POSITIVE_INFINITY : next.from;
  let changes = Number.POSITIVE_INFINITY;
  if (counting?.running) {
    const { initial } = counting;
    const done = counted(counting, tick);
    const place = done % initial;
    const mode = modeOf(counter);
    if (mode === MODE.RATE_GENERATOR) {
      if (initial > 1) changes = tick + (place < initial - 1 ? initial - 1 - place : 1);
    } else if (mode === MODE.SQUARE_WAVE) {
      if (initial > 1) changes = tick + (place < highHalf(initial) ? highHalf(initial) : initial) - place;
    } else if (done < initial) changes = tick + initial - done;
    else if (done === initial) changes = tick + 1;
  }
  const change = Math.min(loads, changes);
  return change === Number.POSITIVE_INFINITY ? undefined : change;
};

/** What the counting element holds, as it is read: "Count Latch". */
const countAt = (counter: CounterState, tick: number): number => {
  // Until the first CLK pulse the counting element holds an old count; the new one is the kinder undefined value.
  const counting = counter.counting ?? counter.next;
  if (counting === null) return 0;
  const { initial } = counting;
  const done = counted(counting, tick);
  const modulus = (counter.control & BCD) === 0 ? 0x1_0000 : 10_000;
  let value = initial - done;
  const mode = modeOf(counter);
  if (mode === MODE.RATE_GENERATOR) value = initial - (done % initial);
  else if (mode === MODE.SQUARE_WAVE) {
    // Counts down by two in each half; an odd count starts one lower.
    const place = done % initial;
    const half = highHalf(initial);
    value = (initial & ~1) - 2 * (place < half ? place : place - half);
  }
  const wrapped = ((value % modulus) + modulus) % modulus;
  return (counter.control & BCD) === 0 ? wrapped : toBCD(wrapped);
};

const statusAt = (counter: CounterState, tick: number): number =>
  (outAt(counter, tick) ? STATUS.OUT : 0) | (counter.nullCount ? STATUS.NULL_COUNT : 0) | counter.control;

const program = (counter: CounterState, controlWord: number): void => {
  Object.assign(counter, powerOnCounter(counter.gate), { control: controlWord & 0x3f });
};

/** The counting element is loaded by the next CLK pulse. */
const loadNext = (counter: CounterState, tick: number, running: boolean): void => {
  counter.next = { initial: pulses(counter), from: tick + 1, counted: 0, running };
};

/** A complete count has been written. */
const writeCount = (counter: CounterState, tick: number, count: number): void => {
  counter.CR = count;
  counter.nullCount = true;
  const mode = modeOf(counter);
  if (triggeredByGate(mode)) return;
  if (!periodic(mode)) {
    loadNext(counter, tick, counter.gate);
    return;
  }
  counter.next = null;
  if (!counter.gate) return;
  const { counting } = counter;
  if (counting === null) {
    loadNext(counter, tick, true);
    return;
  }
  // "The new count is loaded at the end of the current counting cycle" (mode 2), or half-cycle (mode 3).
  const place = counted(counting, tick) % counting.initial;
  const inHighHalf = mode === MODE.SQUARE_WAVE && place < highHalf(counting.initial);
  const initial = pulses(counter);
  counter.next = {
    initial,
    from: tick + (inHighHalf ? highHalf(counting.initial) : counting.initial) - place,
    counted: inHighHalf ? highHalf(initial) : 0,
    running: true,
  };
};

/** "Gate Pin Operations Summary". */
const writeGate = (counter: CounterState, tick: number, gate: boolean): void => {
  if (gate === counter.gate) return;
  counter.gate = gate;
  const { counting, next } = counter;
  const mode = modeOf(counter);
  if (triggeredByGate(mode) || (periodic(mode) && gate)) {
    if (gate && counter.CR !== null) loadNext(counter, tick, true);
    return;
  }
  if (counting !== null && counting.running !== gate)
    counter.counting = { ...counting, counted: counted(counting, tick), from: tick, running: gate };
  if (periodic(mode)) counter.next = null;
  else if (next !== null) next.running = gate;
};

const writeCounter = (counter: CounterState, tick: number, byte: number): void => {
  switch (accessOf(counter)) {
    case RW.LEAST_SIGNIFICANT:
      writeCount(counter, tick, byte);
      break;
    case RW.MOST_SIGNIFICANT:
      writeCount(counter, tick, byte << 8);
      break;
    case RW.BOTH:
      if (counter.lowByte === null) {
        counter.lowByte = byte;
        // Mode 0: "Writing the first byte disables counting. OUT is set low immediately."
        if (modeOf(counter) === MODE.INTERRUPT_ON_TERMINAL_COUNT && counter.counting !== null)
          counter.counting = {
            ...counter.counting,
            counted: counted(counter.counting, tick),
            running: false,
          };
        break;
      }
      writeCount(counter, tick, (byte << 8) | counter.lowByte);
      counter.lowByte = null;
      break;
    default: // Never programmed.
      break;
  }
};

const readCounter = (counter: CounterState, tick: number): number => {
  const { latchedStatus } = counter;
  if (latchedStatus !== null) {
    counter.latchedStatus = null;
    return latchedStatus;
  }
  const count = counter.latchedCount ?? countAt(counter, tick);
  const access = accessOf(counter);
  const high = access === RW.MOST_SIGNIFICANT || (access === RW.BOTH && counter.readHighNext);
  if (access === RW.BOTH) counter.readHighNext = !high;
  if (access !== RW.BOTH || high) counter.latchedCount = null;
  return high ? count >> 8 : count & 0xff;
};

/** "If a Counter is latched and then, some time later, latched again before the count is read, the second is ignored." */
const latchCount = (counter: CounterState, tick: number): void => {
  counter.latchedCount ??= countAt(counter, tick);
};
const latchStatus = (counter: CounterState, tick: number): void => {
  counter.latchedStatus ??= statusAt(counter, tick);
};

/**
 * An 8254 at ports 0x40-0x43. Counter 0's OUT is a line (IRQ0); counter 2's GATE is set, and its OUT read, by port 0x61.
 * The counters are functions of virtual time: nothing runs between accesses but a timer for the next change of OUT 0.
 */
export class Pit8254 {
  state = powerOn();
  readonly #clock: Clock;
  readonly #out0: InterruptLine;
  readonly #out0Change: Timer;

  constructor(clock: Clock, out0: InterruptLine) {
    this.#clock = clock;
    this.#out0 = out0;
    this.#out0Change = clock.timer("pit-8254 OUT 0", () => this.driveOutputs());
  }

  reset(): void {
    this.state = { ...powerOn(), drivenTick: this.#tick() };
    this.driveOutputs();
  }

  read(offset: number): number {
    const tick = this.#settle();
    const counter = this.state.counters[offset];
    // The control word register cannot be read: the bus floats.
    return counter === undefined ? 0xff : readCounter(counter, tick);
  }

  write(offset: number, byte: number): void {
    const tick = this.#settle();
    const counter = this.state.counters[offset];
    if (counter !== undefined) writeCounter(counter, tick, byte);
    else if (offset === 3) this.#writeControlWord(tick, byte);
    this.driveOutputs();
  }

  /** GATE of a counter. On a PC only counter 2's is wired to something, to port 0x61 bit 0. */
  setGate(counter: 0 | 1 | 2, gate: boolean): void {
    writeGate(this.state.counters[counter], this.#settle(), gate);
    this.driveOutputs();
  }

  /** OUT of a counter, now. */
  out(counter: 0 | 1 | 2): boolean {
    return outAt(this.state.counters[counter], this.#settle());
  }

  /** Drives OUT 0 and its timer from `state`; to be called after `state` was replaced. */
  driveOutputs(): void {
    const [counter] = this.state.counters;
    const now = this.#tick();
    let tick = Math.min(this.state.drivenTick, now);
    settle(counter, tick);
    let out = outAt(counter, tick);
    let rose = false;
    // In the periodic modes every second change is a rise, so that this ends after a few steps however late it is.
    while (!rose) {
      const change = nextChange(counter, tick);
      if (change === undefined || change > now) break;
      tick = change;
      settle(counter, tick);
      const after = outAt(counter, tick);
      rose = after && !out;
      out = after;
    }
    this.state.drivenTick = now;
    if (rose) {
      this.#out0.set(false);
      this.#out0.set(true);
    }
    this.#out0.set(outAt(counter, now));
    const change = nextChange(counter, now);
    if (change === undefined) this.#out0Change.disarm();
    else this.#out0Change.arm(nsOfTicks(BigInt(change), PIT_HERTZ));
  }

  #tick(): number {
    return Number(ticksIn(this.#clock.nowNs, PIT_HERTZ));
  }

  /** Brings all counters up to now. OUT 0 is driven first: a pulse that nobody has seen yet must not be skipped. */
  #settle(): number {
    const tick = this.#tick();
    const { counters, drivenTick } = this.state;
    const change = nextChange(counters[0], drivenTick);
    if (change !== undefined && change <= tick) this.driveOutputs();
    settle(counters[1], tick);
    settle(counters[2], tick);
    return tick;
  }

  #writeControlWord(tick: number, byte: number): void {
    const select = byte >> 6;
    if (select === SC_READ_BACK) {
      this.state.counters.forEach((counter, number) => {
        if (((byte >> (number + 1)) & 1) === 0) return;
        if ((byte & READ_BACK.NO_COUNT) === 0) latchCount(counter, tick);
        if ((byte & READ_BACK.NO_STATUS) === 0) latchStatus(counter, tick);
      });
      return;
    }
    const counter = this.state.counters[select]!;
    if (((byte >> 4) & 3) === RW.COUNTER_LATCH) latchCount(counter, tick);
    else program(counter, byte);
  }
}
