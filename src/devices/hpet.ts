import type { RegisterBlock } from "../bus/address-range.ts";
import type { Clock, Timer } from "../bus/clock.ts";
import type { InterruptLine, MessageInterrupt } from "../bus/interrupt-line.ts";
import { nsOfTicks, ticksIn } from "./ticks.ts";

// IA-PC HPET (High Precision Event Timers) Specification 1.0a; names and headings are its own.

/** Register offsets: "Memory Mapped Registers". 64-bit registers, reached as two dwords here. */
// biome-ignore format: one row per fact
const REGISTER = { GCAP_ID: 0x000, GEN_CONF: 0x010, GINTR_STA: 0x020, MAIN_CNT: 0x0f0, TIMERS: 0x100 } as const;
/** Within each timer's 0x20 bytes. */
// biome-ignore format: one row per fact
const TIMER = { CONF: 0x00, COMP: 0x08, FSB_ROUTE: 0x10 } as const;

// biome-ignore format: one row per fact
const GEN_CONF = { ENABLE: 1 << 0, LEG_RT: 1 << 1 } as const;
/** "Timer n Configuration and Capability Register". */
// biome-ignore format: one row per fact
const CONF = {
  LEVEL: 1 << 1, INT_ENB: 1 << 2, PERIODIC: 1 << 3, PER_INT_CAP: 1 << 4, SIZE_CAP: 1 << 5, VAL_SET: 1 << 6, MODE_32: 1 << 8,
  ROUTE_SHIFT: 9, FSB_EN: 1 << 14, FSB_INT_DEL_CAP: 1 << 15,
} as const;
const ROUTE_MASK = 0x1f << CONF.ROUTE_SHIFT;
const CONF_WRITABLE = CONF.LEVEL | CONF.INT_ENB | CONF.PERIODIC | CONF.MODE_32 | ROUTE_MASK | CONF.FSB_EN;

/** The main counter's frequency: a period of 10 ns. */
const COUNTER_HZ = 100_000_000;
const PERIOD_FS = 1e15 / COUNTER_HZ;
const VENDOR_ID = 0x8086;
const REV_ID = 1;

/** GCAP_ID bits 31:0, which the ACPI HPET table repeats ("Event Timer Block ID"). */
export const hpetBlockId = (timers: number): number =>
  ((VENDOR_ID << 16) | (1 << 15) | (1 << 13) | ((timers - 1) << 8) | REV_ID) >>> 0;

const LOW = 0xffff_ffffn;
const ALL = 0xffff_ffff_ffff_ffffn;

export interface HpetTimerState {
  /** Writable bits of bits 31:0 of Tn_CONF. */
  CONF: number;
  /** When the next match is, on the scale of `counter` but never wrapped; its low bits are the comparator register. */
  matchAt: bigint;
  /** What a periodic timer adds after each match. */
  period: bigint;
  /** VAL_SET: the next comparator writes also set the accumulator; "high" after its low half was written. */
  valueSet: "" | "both" | "high";
  /** Its edge-triggered interrupt on a legacy line is still up: an 8259 must find it so when it is acknowledged. */
  held: boolean;
  /** FSB interrupt route: bits 31:0 and 63:32. */
  FSB_VAL: number;
  FSB_ADDR: number;
}

export interface HpetState {
  GEN_CONF: number;
  GINTR_STA: number;
  /** The main counter at `startNs` while it runs, or where it halted. */
  counter: bigint;
  startNs: number;
  timers: HpetTimerState[];
}

export interface HpetOptions {
  readonly clock: Clock;
  /** I/O APIC inputs by number; asked for those in the route capabilities. */
  readonly line: (input: number) => InterruptLine;
  /** Replacements of the 8254's IRQ0 (timer 0) and the RTC's IRQ8 (timer 1). */
  readonly legacyLines: readonly [InterruptLine, InterruptLine];
  /** While true, the 8254 and the RTC are cut off from their interrupt lines. */
  readonly legacyReplacement: (enabled: boolean) => void;
  readonly message: MessageInterrupt;
  /** Per timer, the I/O APIC inputs it can drive (Tn_INT_ROUTE_CAP). Default: three timers, as in an ICH9. */
  readonly routes?: readonly number[];
}

/** Index in `#lines` of the first legacy line. */
const LEGACY = 32;
const ICH9_ROUTES = [0x00f0_0000, 0x00f0_0000, 0x00f0_0800];

/** One event timer block. As a register block it is the 1 KiB at 0xFED0_0000. */
export class Hpet implements RegisterBlock {
  state: HpetState;
  readonly #options: HpetOptions;
  readonly #routes: readonly number[];
  readonly #timer: Timer;
  /** I/O APIC inputs 0-31, then the two legacy lines; undefined where no timer can reach. */
  readonly #lines: (InterruptLine | undefined)[];
  #drivenCache: boolean[] = [];

  constructor(options: HpetOptions) {
    this.#options = options;
    this.#routes = options.routes ?? ICH9_ROUTES;
    const reachable = this.#routes.reduce((all, route) => all | route, 0);
    this.#lines = Array.from({ length: 32 }, (_, n) => ((reachable >>> n) & 1 ? options.line(n) : undefined));
    this.#lines.push(...options.legacyLines);
    this.#timer = options.clock.timer("HPET", () => this.#settle());
    this.state = powerOn(this.#routes.length);
  }

  reset(): void {
    this.state = powerOn(this.#routes.length);
    this.driveOutputs();
  }

  /** Drives lines and clock from `state`; to be called after `state` was replaced. */
  driveOutputs(): void {
    this.#options.legacyReplacement(this.#has(GEN_CONF.LEG_RT));
    this.#settle();
  }

  read(offset: number, size: 1 | 2 | 4): number {
    if ((offset & 3) + size > 4) return 0;
    this.#settle();
    const value = this.#readDword(offset & 0x3fc) >>> (8 * (offset & 3));
    return size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
  }

  write(offset: number, value: number, size: 1 | 2 | 4): void {
    if ((offset & 3) + size > 4) return;
    this.#settle();
    const shift = 8 * (offset & 3);
    const mask = (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff) << shift;
    this.#writeDword(offset & 0x3fc, value << shift, mask);
    this.#settle();
  }

  #has(bit: number): boolean {
    return (this.state.GEN_CONF & bit) !== 0;
  }

  /** The main counter now, never wrapped to 64 bits. */
  #now(): bigint {
    const { counter, startNs } = this.state;
    if (!this.#has(GEN_CONF.ENABLE)) return counter;
    return counter + ticksIn(this.#options.clock.nowNs - startNs, COUNTER_HZ);
  }

  #readDword(offset: number): number {
    const s = this.state;
    const high = (offset & 4) !== 0;
    if (offset >= REGISTER.TIMERS)
      return this.#readTimer((offset - REGISTER.TIMERS) >> 5, offset & 0x18, high);
    switch (offset & ~7) {
      case REGISTER.GCAP_ID:
        return high ? PERIOD_FS : hpetBlockId(this.#routes.length);
      case REGISTER.GEN_CONF:
        return high ? 0 : s.GEN_CONF;
      case REGISTER.GINTR_STA:
        return high ? 0 : s.GINTR_STA;
      case REGISTER.MAIN_CNT:
        return half(this.#now(), high);
      default:
        return 0;
    }
  }

  #readTimer(n: number, register: number, high: boolean): number {
    const timer = this.state.timers[n];
    if (timer === undefined) return 0;
    switch (register) {
      case TIMER.CONF:
        if (high) return this.#routes[n]!;
        return timer.CONF | CONF.PER_INT_CAP | CONF.SIZE_CAP | CONF.FSB_INT_DEL_CAP;
      case TIMER.COMP:
        return half(timer.matchAt & widthMask(timer), high);
      case TIMER.FSB_ROUTE:
        return high ? timer.FSB_ADDR : timer.FSB_VAL;
      default:
        return 0;
    }
  }

  #writeDword(offset: number, value: number, mask: number): void {
    const s = this.state;
    const high = (offset & 4) !== 0;
    if (offset >= REGISTER.TIMERS) {
      const n = (offset - REGISTER.TIMERS) >> 5;
      const timer = s.timers[n];
      if (timer !== undefined) this.#writeTimer(timer, n, offset & 0x18, high, value, mask);
      return;
    }
    const register = offset & ~7;
    // The other half of a 64-bit comparator write comes at once or not at all.
    for (const timer of s.timers) if (timer.valueSet === "high") timer.valueSet = "";
    if (register === REGISTER.MAIN_CNT) this.#setCounter(merge(this.#now() & ALL, high, value, mask));
    if (high) return;
    if (register === REGISTER.GEN_CONF) this.#writeGenConf(((s.GEN_CONF & ~mask) | (value & mask)) & 3);
    if (register === REGISTER.GINTR_STA) s.GINTR_STA &= ~(value & mask); // write 1 to clear
  }

  #writeGenConf(next: number): void {
    const s = this.state;
    s.counter = this.#now();
    s.startNs = this.#options.clock.nowNs;
    const legacy = next & GEN_CONF.LEG_RT;
    const changed = legacy !== (s.GEN_CONF & GEN_CONF.LEG_RT);
    s.GEN_CONF = next;
    if (changed) this.#options.legacyReplacement(legacy !== 0);
  }

  #setCounter(value: bigint): void {
    const s = this.state;
    const comparators = s.timers.map((timer) => timer.matchAt);
    s.counter = value;
    s.startNs = this.#options.clock.nowNs;
    for (const [n, timer] of s.timers.entries()) setComparator(timer, comparators[n]!, value);
  }

  #writeTimer(
    timer: HpetTimerState,
    n: number,
    register: number,
    high: boolean,
    value: number,
    mask: number,
  ): void {
    if (register === TIMER.COMP) {
      this.#writeComparator(timer, high, value, mask);
      return;
    }
    if (timer.valueSet === "high") timer.valueSet = "";
    if (register === TIMER.FSB_ROUTE) {
      const name = high ? "FSB_ADDR" : "FSB_VAL";
      timer[name] = ((timer[name] & ~mask) | (value & mask)) >>> 0;
    }
    if (register !== TIMER.CONF || high) return;
    const comparator = timer.matchAt;
    let next = ((timer.CONF & ~mask) | (value & mask)) & CONF_WRITABLE;
    // A route that the timer cannot drive is not taken; software reads the field back to see.
    const route = (next & ROUTE_MASK) >> CONF.ROUTE_SHIFT;
    if (((this.#routes[n]! >>> route) & 1) === 0) next = (next & ~ROUTE_MASK) | (timer.CONF & ROUTE_MASK);
    const widthChanged = ((next ^ timer.CONF) & CONF.MODE_32) !== 0;
    timer.CONF = next;
    timer.valueSet = (value & mask & CONF.VAL_SET) !== 0 ? "both" : timer.valueSet;
    if (widthChanged) setComparator(timer, comparator, this.#now());
  }

  /**
   * "Timer n Comparator Value Register". One-shot: the value to match. Periodic: the period; and after a write of
   * VAL_SET, which clears itself, also the accumulator.
   */
  #writeComparator(timer: HpetTimerState, high: boolean, value: number, mask: number): void {
    const written = (old: bigint) => merge(old, high, value, mask);
    const periodic = (timer.CONF & CONF.PERIODIC) !== 0;
    if (periodic) timer.period = written(timer.period) & widthMask(timer);
    if (!periodic || timer.valueSet === "both" || (timer.valueSet === "high" && high))
      setComparator(timer, written(timer.matchAt & widthMask(timer)), this.#now());
    const narrow = (timer.CONF & CONF.MODE_32) !== 0;
    timer.valueSet = timer.valueSet === "both" && !high && !narrow ? "high" : "";
  }

  /** Bring matches, lines and the clock's timer up to now. */
  #settle(): void {
    const s = this.state;
    const fired: number[] = [];
    const now = this.#now();
    if (this.#has(GEN_CONF.ENABLE))
      for (const [n, timer] of s.timers.entries()) {
        if (now < timer.matchAt) continue;
        const step = stepOf(timer);
        timer.matchAt += ((now - timer.matchAt) / step + 1n) * step;
        fired.push(n);
      }
    for (const n of fired) if ((s.timers[n]!.CONF & CONF.LEVEL) !== 0) s.GINTR_STA |= 1 << n;
    for (const [n, timer] of s.timers.entries())
      timer.held &&= this.#maySignalEdge(n) && this.#target(n) >= LEGACY;
    this.#driveLevels();
    this.#schedule();
    for (const n of fired) this.#signalEdge(n);
  }

  /** Index in `#lines` of what a timer drives: "LegacyReplacement Route" or its own route. */
  #target(n: number): number {
    if (n < 2 && this.#has(GEN_CONF.LEG_RT)) return LEGACY + n;
    return (this.state.timers[n]!.CONF & ROUTE_MASK) >> CONF.ROUTE_SHIFT;
  }

  #driveLevels(): void {
    const s = this.state;
    const driven = this.#lines.map(() => false);
    if (this.#has(GEN_CONF.ENABLE))
      for (const [n, { CONF: conf, held }] of s.timers.entries())
        if (
          held ||
          ((s.GINTR_STA >> n) & 1 &&
            (conf & (CONF.INT_ENB | CONF.LEVEL | CONF.FSB_EN)) === (CONF.INT_ENB | CONF.LEVEL))
        )
          driven[this.#target(n)] = true;
    for (const [i, line] of this.#lines.entries())
      if (driven[i] !== (this.#drivenCache[i] ?? false)) line?.set(driven[i]!);
    this.#drivenCache = driven;
  }

  /** Is the timer's interrupt an edge on a line? */
  #maySignalEdge(n: number): boolean {
    const { CONF: conf } = this.state.timers[n]!;
    return this.#has(GEN_CONF.ENABLE) && (conf & (CONF.INT_ENB | CONF.LEVEL | CONF.FSB_EN)) === CONF.INT_ENB;
  }

  #signalEdge(n: number): void {
    const timer = this.state.timers[n]!;
    if ((timer.CONF & CONF.INT_ENB) === 0) return;
    if ((timer.CONF & CONF.FSB_EN) !== 0) this.#options.message.send(timer.FSB_ADDR, timer.FSB_VAL);
    if (!this.#maySignalEdge(n)) return;
    const target = this.#target(n);
    const line = this.#lines[target];
    if (this.#drivenCache[target] === true) {
      if (!timer.held) return; // another timer holds the level
      line?.set(false);
    }
    line?.set(true);
    if (target >= LEGACY) this.#drivenCache[target] = timer.held = true;
    else line?.set(false);
  }

  #schedule(): void {
    const s = this.state;
    let earliest: bigint | undefined;
    if (this.#has(GEN_CONF.ENABLE))
      for (const timer of s.timers)
        if ((timer.CONF & CONF.INT_ENB) !== 0 && (earliest === undefined || timer.matchAt < earliest))
          earliest = timer.matchAt;
    const deadline =
      earliest === undefined
        ? Number.MAX_SAFE_INTEGER
        : s.startNs + nsOfTicks(earliest - s.counter, COUNTER_HZ);
    if (deadline < Number.MAX_SAFE_INTEGER) this.#timer.arm(deadline);
    else this.#timer.disarm();
  }
}

const widthMask = (timer: HpetTimerState): bigint => ((timer.CONF & CONF.MODE_32) !== 0 ? LOW : ALL);

/** Counts between matches: the period, or once around for one-shot timers. */
const stepOf = (timer: HpetTimerState): bigint =>
  (timer.CONF & CONF.PERIODIC) !== 0 && timer.period !== 0n ? timer.period : widthMask(timer) + 1n;

/** The next match of a comparator value: when the counter next comes to it. */
const setComparator = (timer: HpetTimerState, value: bigint, now: bigint): void => {
  const mask = widthMask(timer);
  const distance = (value - now) & mask;
  timer.matchAt = now + (distance === 0n ? mask + 1n : distance);
};

const half = (value: bigint, high: boolean): number => Number((high ? value >> 32n : value) & LOW);

/** `old` with the bits of `mask` in one half replaced. */
const merge = (old: bigint, high: boolean, value: number, mask: number): bigint => {
  const merged = BigInt(((half(old, high) & ~mask) | (value & mask)) >>> 0);
  return high ? (merged << 32n) | (old & LOW) : (old & ~LOW) | merged;
};

const powerOn = (timers: number): HpetState => ({
  GEN_CONF: 0,
  GINTR_STA: 0,
  counter: 0n,
  startNs: 0,
  timers: Array.from({ length: timers }, () => ({
    CONF: 0,
    matchAt: ALL,
    period: 0n,
    valueSet: "" as const,
    held: false,
    FSB_VAL: 0,
    FSB_ADDR: 0,
  })),
});
