// The MC146818A real-time clock with a PC's CMOS RAM. Names and headings: Motorola, "MC146818A Real-Time Clock plus RAM",
// ADI1026. 128 bytes, the divider's codes and the meaning of SET: Dallas, "DS12887". Wiring (ports 0x70 and 0x71, NMI mask, IRQ8)
// and the CMOS map: IBM PC/AT Technical Reference, "Real-Time Clock/CMOS RAM Information"; the bytes above 0x2F that tell
// firmware the memory and processors are QEMU's convention, which SeaBIOS and OVMF read.
import type { Clock, Timer } from "../bus/clock.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import { dayFromEpoch, daysFromEpoch } from "./calendar.ts";
import { nsOfTicks, ticksIn } from "./ticks.ts";

/** Port offsets. */
const OFFSET = { INDEX: 0, BYTE: 1 } as const;
const INDEX_NMI_MASK = 1 << 7;
const RAM_BYTES = 128;

/** Addresses of the clock's bytes, of its registers, and of the CMOS bytes that describe the machine. */
// biome-ignore format: one row per fact
const ADDRESS = {
  SECONDS: 0x00, SECONDS_ALARM: 0x01,
  MINUTES: 0x02, MINUTES_ALARM: 0x03,
  HOURS:   0x04, HOURS_ALARM:   0x05,
  DAY_OF_WEEK: 0x06, DATE_OF_MONTH: 0x07, MONTH: 0x08, YEAR: 0x09,
  A: 0x0a, B: 0x0b, C: 0x0c, D: 0x0d,
  EQUIPMENT:       0x14, // bits: 1 FPU present, 2 mouse port present
  BASE_MEMORY:     0x15, // 2 bytes, KiB below 1 MiB
  EXTENDED_MEMORY: 0x17, // 2 bytes, KiB above 1 MiB
  EXTENDED_MEMORY_FOUND: 0x30, // the same, as the power-on self test found it
  CENTURY:         0x32,
  ABOVE_16_MIB:    0x34, // 2 bytes, units of 64 KiB
  ABOVE_4_GIB:     0x5b, // 3 bytes, units of 64 KiB
  PROCESSORS:      0x5f, // number of processors - 1
} as const;
const EQUIPMENT_FPU_AND_MOUSE = 0b0000_0110;

/** Register A: UIP, the divider control DV, the rate selection RS. */
const A = { RS: 0x0f, DV: 0x70, UIP: 1 << 7 } as const;
/** The only divider setting in which a 32,768 Hz clock runs. */
const DV_RUNNING = 0x20;
/** Register B. DSE (bit 0) is stored only: its rule for daylight saving time has been no country's law since 1986. */
const B = { HOURS_24: 1 << 1, DM: 1 << 2, UIE: 1 << 4, AIE: 1 << 5, PIE: 1 << 6, SET: 1 << 7 } as const;
/** Register C; UF, AF and PF are the bits of UIE, AIE and PIE. */
const C = { UF: B.UIE, AF: B.AIE, PF: B.PIE, IRQF: 1 << 7 } as const;
/** Register D: the battery is good. */
const D_VRT = 1 << 7;

const ALARM_DONT_CARE = 0xc0;
const HOUR_PM = 1 << 7;

const CRYSTAL_HERTZ = 32_768;
const NS_PER_SECOND = 1_000_000_000;
const SECONDS_PER_DAY = 86_400;
/** "Update Cycle": UIP rises tBUC = 244 us before the update and stays through its tUC = 1984 us. */
const UPDATE_IN_PROGRESS_NS = 244_000 + 1_984_000;
/** "When the divider is changed from reset to an operating time base, the first update cycle is one-half second later." */
const HALF_SECOND_CYCLES = CRYSTAL_HERTZ / 2;

/** 2025-01-01 00:00:00 UTC: a fixed date, so that runs are equal. */
export const DEFAULT_START_UNIX_SECONDS = 1_735_689_600;

export interface RtcConfiguration {
  /** Date and time at virtual time zero, in seconds since 1970-01-01 UTC. */
  readonly startUnixSeconds?: number;
  /** Bytes of RAM below 4 GiB, and at and above 4 GiB. */
  readonly memoryBelow4GiB: number;
  readonly memoryAbove4GiB: number;
  /** Logical processors. */
  readonly processors: number;
}

export interface RtcMc146818State {
  /** The address last written to port 0x70, without the NMI mask. */
  index: number;
  /** Port 0x70 bit 7: non-maskable interrupts do not reach the processor. */
  nmiMasked: boolean;
  /** All 128 bytes; A without UIP, C without IRQF. */
  bytes: number[];
  /** Virtual time at which the divider chain stood at 0. */
  chainStartNs: number;
  /** Crystal cycles since then whose effects are in `bytes`. */
  cyclesSeen: number;
}

const writeLittleEndian = (bytes: number[], address: number, value: number, length: number): void => {
  for (let i = 0; i < length; i++) bytes[address + i] = Math.floor(value / 0x100 ** i) % 0x100;
};

const describeMachine = (bytes: number[], configuration: RtcConfiguration): void => {
  const KIB = 1024;
  const { memoryBelow4GiB, memoryAbove4GiB, processors } = configuration;
  const upTo = (units: number, most: number): number => Math.max(0, Math.min(Math.floor(units), most));
  const extended = upTo((memoryBelow4GiB - 1024 * KIB) / KIB, 0xffff);
  bytes[ADDRESS.EQUIPMENT] = EQUIPMENT_FPU_AND_MOUSE;
  writeLittleEndian(bytes, ADDRESS.BASE_MEMORY, upTo(memoryBelow4GiB / KIB, 640), 2);
  writeLittleEndian(bytes, ADDRESS.EXTENDED_MEMORY, extended, 2);
  writeLittleEndian(bytes, ADDRESS.EXTENDED_MEMORY_FOUND, extended, 2);
  writeLittleEndian(
    bytes,
    ADDRESS.ABOVE_16_MIB,
    upTo((memoryBelow4GiB - 16 * 1024 * KIB) / (64 * KIB), 0xffff),
    2,
  );
  writeLittleEndian(bytes, ADDRESS.ABOVE_4_GIB, upTo(memoryAbove4GiB / (64 * KIB), 0xff_ffff), 3);
  bytes[ADDRESS.PROCESSORS] = processors - 1;
};

/** The clock's bytes in the formats that register B selects. What a program wrote out of range is carried on. */
class TimeBytes {
  readonly #bytes: number[];
  readonly #binary: boolean;
  readonly #hours24: boolean;

  constructor(bytes: number[]) {
    const registerB = bytes[ADDRESS.B]!;
    this.#bytes = bytes;
    this.#binary = (registerB & B.DM) !== 0;
    this.#hours24 = (registerB & B.HOURS_24) !== 0;
  }

  get(address: number): number {
    return this.#decode(this.#bytes[address]!);
  }

  set(address: number, value: number): void {
    this.#bytes[address] = this.#encode(value);
  }

  /** Hours 0-23, of the time or of the alarm. */
  getHours(address: number): number {
    const byte = this.#bytes[address]!;
    if (this.#hours24) return this.#decode(byte);
    return (this.#decode(byte & ~HOUR_PM) % 12) + ((byte & HOUR_PM) === 0 ? 0 : 12);
  }

  setHours(hours: number): void {
    const encoded = this.#hours24
      ? this.#encode(hours)
      : this.#encode(hours % 12 || 12) | (hours < 12 ? 0 : HOUR_PM);
    this.#bytes[ADDRESS.HOURS] = encoded;
  }

  get secondOfDay(): number {
    return this.getHours(ADDRESS.HOURS) * 3600 + this.get(ADDRESS.MINUTES) * 60 + this.get(ADDRESS.SECONDS);
  }

  set secondOfDay(second: number) {
    this.setHours(Math.floor(second / 3600));
    this.set(ADDRESS.MINUTES, Math.floor(second / 60) % 60);
    this.set(ADDRESS.SECONDS, second % 60);
  }

  /** Days since 1970-01-01. */
  get day(): number {
    return daysFromEpoch({
      year: this.get(ADDRESS.CENTURY) * 100 + this.get(ADDRESS.YEAR),
      month: this.get(ADDRESS.MONTH),
      day: this.get(ADDRESS.DATE_OF_MONTH),
    });
  }

  set day(days: number) {
    const { year, month, day } = dayFromEpoch(days);
    this.set(ADDRESS.CENTURY, Math.floor(year / 100) % 100);
    this.set(ADDRESS.YEAR, ((year % 100) + 100) % 100);
    this.set(ADDRESS.MONTH, month);
    this.set(ADDRESS.DATE_OF_MONTH, day);
  }

  /** Does the alarm go off at this second of a day? */
  get alarm(): (secondOfDay: number) => boolean {
    const field = (address: number, decode: () => number): number | undefined =>
      (this.#bytes[address]! & ALARM_DONT_CARE) === ALARM_DONT_CARE ? undefined : decode();
    const seconds = field(ADDRESS.SECONDS_ALARM, () => this.get(ADDRESS.SECONDS_ALARM));
    const minutes = field(ADDRESS.MINUTES_ALARM, () => this.get(ADDRESS.MINUTES_ALARM));
    const hours = field(ADDRESS.HOURS_ALARM, () => this.getHours(ADDRESS.HOURS_ALARM));
    return (secondOfDay) =>
      (seconds ?? secondOfDay % 60) === secondOfDay % 60 &&
      (minutes ?? Math.floor(secondOfDay / 60) % 60) === Math.floor(secondOfDay / 60) % 60 &&
      (hours ?? Math.floor(secondOfDay / 3600)) === Math.floor(secondOfDay / 3600);
  }

  #decode(byte: number): number {
    return this.#binary ? byte : (byte >> 4) * 10 + (byte & 0xf);
  }

  #encode(value: number): number {
    return this.#binary ? value : (Math.floor(value / 10) << 4) | (value % 10);
  }
}

const powerOn = (configuration: RtcConfiguration): RtcMc146818State => {
  const bytes = new Array<number>(RAM_BYTES).fill(0);
  bytes[ADDRESS.A] = DV_RUNNING | 0x06; // 1024 Hz, as firmware sets it
  bytes[ADDRESS.B] = B.HOURS_24;
  describeMachine(bytes, configuration);
  const start = Math.max(0, Math.floor(configuration.startUnixSeconds ?? DEFAULT_START_UNIX_SECONDS));
  const time = new TimeBytes(bytes);
  const days = Math.floor(start / SECONDS_PER_DAY);
  time.day = days;
  time.secondOfDay = start % SECONDS_PER_DAY;
  bytes[ADDRESS.DAY_OF_WEEK] = ((days + 4) % 7) + 1; // 1970-01-01 was a Thursday, day 5
  return { index: 0, nmiMasked: false, bytes, chainStartNs: 0, cyclesSeen: 0 };
};

/** The periodic interrupt's period in crystal cycles: "Table 3: Periodic Interrupt Rate"; undefined for none. */
const periodicCycles = (registerA: number): number | undefined => {
  const RS = registerA & A.RS;
  if (RS === 0) return undefined;
  return 1 << (RS < 3 ? RS + 6 : RS - 1);
};

/**
 * The real-time clock and CMOS RAM at ports 0x70-0x71. Date and time follow virtual time; between accesses nothing runs
 * but a timer for the next enabled interrupt.
 */
export class RtcMc146818 {
  state: RtcMc146818State;
  readonly #clock: Clock;
  readonly #irq: InterruptLine;
  readonly #nextInterrupt: Timer;

  constructor(clock: Clock, irq: InterruptLine, configuration: RtcConfiguration) {
    this.#clock = clock;
    this.#irq = irq;
    this.#nextInterrupt = clock.timer("rtc-mc146818 interrupt", () => this.driveOutputs());
    this.state = powerOn(configuration);
  }

  /** The RESET pin: interrupts off. Time, alarm and RAM live on their battery. */
  reset(): void {
    const { bytes } = this.state;
    this.#catchUp();
    bytes[ADDRESS.B]! &= ~(B.PIE | B.AIE | B.UIE);
    bytes[ADDRESS.C] = 0;
    this.state.nmiMasked = false;
    this.driveOutputs();
  }

  /** A CMOS byte that a board's firmware would have set up. Not for the clock's own registers. */
  setByte(address: number, byte: number): void {
    this.state.bytes[address] = byte & 0xff;
  }

  /** Port 0x70 bit 7. */
  get nmiMasked(): boolean {
    return this.state.nmiMasked;
  }

  read(offset: number): number {
    // The index port is write-only.
    if (offset !== OFFSET.BYTE) return 0xff;
    this.#catchUp();
    const { bytes, index } = this.state;
    let value = bytes[index]!;
    if (index === ADDRESS.A && this.#updateInProgress()) value |= A.UIP;
    else if (index === ADDRESS.C) {
      if (this.#interruptRequested()) value |= C.IRQF;
      bytes[ADDRESS.C] = 0;
    } else if (index === ADDRESS.D) value = D_VRT;
    this.driveOutputs();
    return value;
  }

  write(offset: number, byte: number): void {
    if (offset === OFFSET.INDEX) {
      this.state.index = byte & ~INDEX_NMI_MASK;
      this.state.nmiMasked = (byte & INDEX_NMI_MASK) !== 0;
      return;
    }
    if (offset !== OFFSET.BYTE) return;
    this.#catchUp();
    const { bytes, index } = this.state;
    switch (index) {
      case ADDRESS.A:
        this.#writeA(byte & ~A.UIP);
        break;
      case ADDRESS.B:
        // "UIE is cleared by the SET bit going high."
        bytes[index] = (byte & B.SET) === 0 ? byte : byte & ~B.UIE;
        break;
      case ADDRESS.C:
      case ADDRESS.D:
        break;
      default:
        bytes[index] = byte;
        break;
    }
    this.driveOutputs();
  }

  /** Drives IRQ8 and the timer from `state`; to be called after `state` was replaced. */
  driveOutputs(): void {
    this.#catchUp();
    const requested = this.#interruptRequested();
    this.#irq.set(requested);
    const cycle = requested || !this.#running() ? undefined : this.#nextInterruptCycle();
    if (cycle === undefined) this.#nextInterrupt.disarm();
    else this.#nextInterrupt.arm(this.#nsOfCycle(cycle));
  }

  #interruptRequested(): boolean {
    const { bytes } = this.state;
    return (bytes[ADDRESS.C]! & bytes[ADDRESS.B]! & (C.PF | C.AF | C.UF)) !== 0;
  }

  #running(): boolean {
    return (this.state.bytes[ADDRESS.A]! & A.DV) === DV_RUNNING;
  }

  #nsOfCycle(cycle: number): number {
    return this.state.chainStartNs + nsOfTicks(BigInt(cycle), CRYSTAL_HERTZ);
  }

  /** The next cycle of the crystal whose effect may raise an enabled interrupt. */
  #nextInterruptCycle(): number | undefined {
    const { bytes, cyclesSeen } = this.state;
    const registerB = bytes[ADDRESS.B]!;
    const after = (period: number): number => (Math.floor(cyclesSeen / period) + 1) * period;
    const candidates: number[] = [];
    const period = periodicCycles(bytes[ADDRESS.A]!);
    if ((registerB & B.PIE) !== 0 && period !== undefined) candidates.push(after(period));
    const updates = (registerB & B.SET) === 0;
    if (updates && (registerB & (B.UIE | B.AIE)) !== 0) candidates.push(after(CRYSTAL_HERTZ));
    return candidates.length === 0 ? undefined : Math.min(...candidates);
  }

  #updateInProgress(): boolean {
    const { bytes, cyclesSeen } = this.state;
    if (!this.#running() || (bytes[ADDRESS.B]! & B.SET) !== 0) return false;
    const nextUpdate = (Math.floor(cyclesSeen / CRYSTAL_HERTZ) + 1) * CRYSTAL_HERTZ;
    return this.#clock.nowNs >= this.#nsOfCycle(nextUpdate) - UPDATE_IN_PROGRESS_NS;
  }

  #writeA(byte: number): void {
    const { state } = this;
    const wasRunning = this.#running();
    state.bytes[ADDRESS.A] = byte;
    if (wasRunning || !this.#running()) return;
    state.chainStartNs = this.#clock.nowNs - NS_PER_SECOND / 2;
    state.cyclesSeen = HALF_SECOND_CYCLES;
  }

  /** Brings `bytes` up to the present: the effects of the crystal cycles since `cyclesSeen`. */
  #catchUp(): void {
    const { state } = this;
    if (!this.#running()) return;
    const { bytes } = state;
    const cycles = Number(ticksIn(this.#clock.nowNs - state.chainStartNs, CRYSTAL_HERTZ));
    const passed = (period: number): number =>
      Math.floor(cycles / period) - Math.floor(state.cyclesSeen / period);
    const period = periodicCycles(bytes[ADDRESS.A]!);
    if (period !== undefined && passed(period) > 0) bytes[ADDRESS.C]! |= C.PF;
    const seconds = passed(CRYSTAL_HERTZ);
    if (seconds > 0 && (bytes[ADDRESS.B]! & B.SET) === 0) this.#update(seconds);
    state.cyclesSeen = cycles;
  }

  /** `seconds` update cycles. */
  #update(seconds: number): void {
    const { bytes } = this.state;
    const time = new TimeBytes(bytes);
    const before = time.secondOfDay;
    const days = Math.floor((before + seconds) / SECONDS_PER_DAY);
    bytes[ADDRESS.C]! |= C.UF;
    if ((bytes[ADDRESS.C]! & C.AF) === 0) {
      const rings = time.alarm;
      const distinct = Math.min(seconds, SECONDS_PER_DAY);
      for (let second = 1; second <= distinct; second++) {
        if (!rings((before + second) % SECONDS_PER_DAY)) continue;
        bytes[ADDRESS.C]! |= C.AF;
        break;
      }
    }
    time.secondOfDay = (before + seconds) % SECONDS_PER_DAY;
    if (days === 0) return;
    time.day += days;
    bytes[ADDRESS.DAY_OF_WEEK] = ((bytes[ADDRESS.DAY_OF_WEEK]! + 6 + days) % 7) + 1;
  }
}
