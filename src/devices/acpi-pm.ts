import type { RegisterBlock } from "../bus/address-range.ts";
import type { Clock, Timer } from "../bus/clock.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import { nsOfTicks, ticksIn } from "./ticks.ts";

// ACPI Specification 6.4, chapter 4 "ACPI Hardware Specification"; the arrangement of the blocks is that of the
// ICH9 (Intel I/O Controller Hub 9 datasheet, "Power Management I/O Registers").

/** Offsets of the register blocks from PMBASE, and their lengths in bytes: the FADT repeats them. */
// biome-ignore format: one row per fact
export const PM_BLOCK = {
  PM1a_EVT: { offset: 0x00, length: 4 },
  PM1a_CNT: { offset: 0x04, length: 2 },
  PM_TMR:   { offset: 0x08, length: 4 },
  GPE0:     { offset: 0x20, length: 16 },
} as const;
/** Bytes of I/O space from PMBASE. */
export const PM_BLOCK_LENGTH = 128;

/** "PM1 Status Registers" and "PM1 Enable Registers": the same bit in both. */
// biome-ignore format: one row per fact
const PM1 = { TMR: 1 << 0, GBL: 1 << 5, PWRBTN: 1 << 8, SLPBTN: 1 << 9, RTC: 1 << 10, WAK: 1 << 15 } as const;
const PM1_STS_BITS = PM1.TMR | PM1.GBL | PM1.PWRBTN | PM1.SLPBTN | PM1.RTC | PM1.WAK;
const PM1_EN_BITS = PM1.TMR | PM1.GBL | PM1.PWRBTN | PM1.SLPBTN | PM1.RTC;

/** "PM1 Control Registers". */
// biome-ignore format: one row per fact
const PM1_CNT = { SCI_EN: 1 << 0, BM_RLD: 1 << 1, GBL_RLS: 1 << 2, SLP_TYP_SHIFT: 10, SLP_TYP: 7 << 10, SLP_EN: 1 << 13 } as const;

/**
 * SMI_EN of the ICH9, at PMBASE + 0x30: APMC_EN and GBL_SMI_EN read as set, which tells firmware that the SMI command
 * port is already answered and needs no SMM code of its own.
 */
const SMI_EN = { offset: 0x30, value: (1 << 5) | (1 << 0) } as const;

/** SLP_TYP of the soft-off state S5 (ICH9: "Power Management 1 Control"); the DSDT's \_S5 repeats it. */
export const SLP_TYP_S5 = 7;

export const PM_TIMER_HZ = 3_579_545;

/** Values for the SMI command port (the FADT's ACPI_ENABLE and ACPI_DISABLE). */
export const ACPI_ENABLE = 0x02;
export const ACPI_DISABLE = 0x03;

export interface AcpiPmState {
  /** Status bits but TMR, which is derived. */
  PM1_STS: number;
  PM1_EN: number;
  PM1_CNT: number;
  /** How often the timer's top bit had toggled when TMR_STS was last cleared. */
  timerTogglesSeen: number;
  /** 64 general-purpose events each, 8 to a byte. */
  GPE0_STS: number[];
  GPE0_EN: number[];
  APM_CNT: number;
  APM_STS: number;
}

export interface AcpiPmOptions {
  readonly clock: Clock;
  /** The system control interrupt: a level. */
  readonly sci: InterruptLine;
  /** SLP_EN was written: enter the sleep type. Only SLP_TYP_S5 is declared to guests. */
  readonly sleep: (type: number) => void;
  /** 24 or 32 bits. Default: 32; the FADT's TMR_VAL_EXT must agree. */
  readonly timerBits?: 24 | 32;
}

/** ACPI fixed hardware and one block of general-purpose events. As a register block it is the 128 ports at PMBASE. */
export class AcpiPm implements RegisterBlock {
  state: AcpiPmState = powerOn();
  readonly #options: AcpiPmOptions;
  readonly #timer: Timer;
  readonly #timerBits: number;

  /** The two ports at 0xB2: APM_CNT, the SMI command port that turns ACPI mode on and off, and APM_STS. */
  readonly smiCommand: RegisterBlock = {
    read: (offset, size) => {
      const { APM_CNT, APM_STS } = this.state;
      return ((size === 1 ? 0 : APM_STS << 8) | (offset === 0 ? APM_CNT : APM_STS)) >>> 0;
    },
    write: (offset, value, size) => {
      if (offset === 1 || size > 1) this.state.APM_STS = (offset === 1 ? value : value >>> 8) & 0xff;
      if (offset === 0) this.#command(value & 0xff);
    },
  };

  constructor(options: AcpiPmOptions) {
    this.#options = options;
    this.#timerBits = options.timerBits ?? 32;
    this.#timer = options.clock.timer("PM timer", () => this.driveOutputs());
  }

  reset(): void {
    this.state = { ...powerOn(), timerTogglesSeen: this.#toggles() };
    this.driveOutputs();
  }

  /** Drives the SCI and the clock's timer from `state`; to be called after `state` was replaced. */
  driveOutputs(): void {
    const s = this.state;
    const enabled = (s.PM1_CNT & PM1_CNT.SCI_EN) !== 0;
    const gpe = s.GPE0_STS.some((status, i) => (status & s.GPE0_EN[i]!) !== 0);
    this.#options.sci.set(enabled && ((this.#PM1_STS & s.PM1_EN & PM1_EN_BITS) !== 0 || gpe));
    if (enabled && (s.PM1_EN & PM1.TMR) !== 0 && (this.#PM1_STS & PM1.TMR) === 0)
      this.#timer.arm(this.#nextToggleNs());
    else this.#timer.disarm();
  }

  pressPowerButton(): void {
    this.state.PM1_STS |= PM1.PWRBTN;
    this.driveOutputs();
  }

  pressSleepButton(): void {
    this.state.PM1_STS |= PM1.SLPBTN;
    this.driveOutputs();
  }

  /** The RTC's alarm, as a wake and SCI event. */
  rtcAlarm(): void {
    this.state.PM1_STS |= PM1.RTC;
    this.driveOutputs();
  }

  /** A general-purpose event, 0 to 63, has occurred. */
  raiseGpe(number: number): void {
    this.state.GPE0_STS[number >> 3]! |= 1 << (number & 7);
    this.driveOutputs();
  }

  read(offset: number, size: 1 | 2 | 4): number {
    let value = 0;
    for (let i = 0; i < size; i++) value |= this.#readByte(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, value: number, size: 1 | 2 | 4): void {
    // PM1_CNT acts as a whole: SLP_EN and SLP_TYP may come in one write.
    if (offset === PM_BLOCK.PM1a_CNT.offset && size > 1) this.#writeControl(value & 0xffff);
    else for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
    this.driveOutputs();
  }

  #readByte(offset: number): number {
    const s = this.state;
    if (offset >= 0 && offset < 2) return (this.#PM1_STS >> (8 * offset)) & 0xff;
    if (offset < 4) return (s.PM1_EN >> (8 * (offset - 2))) & 0xff;
    if (offset < 6) return (s.PM1_CNT >> (8 * (offset - 4))) & 0xff;
    if (offset >= 8 && offset < 12) return (this.#timerValue() >>> (8 * (offset - 8))) & 0xff;
    if (offset === SMI_EN.offset) return SMI_EN.value;
    const gpe = offset - PM_BLOCK.GPE0.offset;
    if (gpe < 0 || gpe >= 16) return 0;
    return gpe < 8 ? s.GPE0_STS[gpe]! : s.GPE0_EN[gpe - 8]!;
  }

  #writeByte(offset: number, byte: number): void {
    const s = this.state;
    if (offset < 2) this.#clearStatus(byte << (8 * offset));
    else if (offset < 4) s.PM1_EN = replaceByte(s.PM1_EN, offset - 2, byte) & PM1_EN_BITS;
    else if (offset < 6) this.#writeControl(replaceByte(s.PM1_CNT, offset - 4, byte));
    const gpe = offset - PM_BLOCK.GPE0.offset;
    if (gpe < 0 || gpe >= 16) return;
    if (gpe < 8) s.GPE0_STS[gpe]! &= ~byte;
    else s.GPE0_EN[gpe - 8] = byte;
  }

  #clearStatus(bits: number): void {
    const s = this.state;
    s.PM1_STS &= ~bits;
    if ((bits & PM1.TMR) !== 0) s.timerTogglesSeen = this.#toggles();
  }

  #writeControl(value: number): void {
    // SLP_EN is write-only; GBL_RLS would call firmware's SMM code, of which there is none.
    this.state.PM1_CNT = value & (PM1_CNT.SCI_EN | PM1_CNT.BM_RLD | PM1_CNT.SLP_TYP);
    if ((value & PM1_CNT.SLP_EN) !== 0)
      this.#options.sleep((value & PM1_CNT.SLP_TYP) >> PM1_CNT.SLP_TYP_SHIFT);
  }

  /** What firmware's SMM code does on a PC. */
  #command(value: number): void {
    const s = this.state;
    s.APM_CNT = value;
    if (value === ACPI_ENABLE) s.PM1_CNT |= PM1_CNT.SCI_EN;
    if (value === ACPI_DISABLE) s.PM1_CNT &= ~PM1_CNT.SCI_EN;
    this.driveOutputs();
  }

  // --- "Power Management Timer"

  get #PM1_STS(): number {
    const { PM1_STS, timerTogglesSeen } = this.state;
    const toggled = this.#toggles() !== timerTogglesSeen;
    return (PM1_STS & PM1_STS_BITS & ~PM1.TMR) | (toggled ? PM1.TMR : 0);
  }

  #timerValue(): number {
    const ticks = ticksIn(this.#options.clock.nowNs, PM_TIMER_HZ);
    return Number(BigInt.asUintN(this.#timerBits, ticks));
  }

  /** TMR_STS is set "any time the last bit of the timer (bit 23 or bit 31) toggles". */
  #toggles(): number {
    return Number(ticksIn(this.#options.clock.nowNs, PM_TIMER_HZ) >> BigInt(this.#timerBits - 1));
  }

  #nextToggleNs(): number {
    return nsOfTicks(BigInt(this.#toggles() + 1) << BigInt(this.#timerBits - 1), PM_TIMER_HZ);
  }
}

const replaceByte = (value: number, index: number, byte: number): number =>
  (value & ~(0xff << (8 * index))) | (byte << (8 * index));

const powerOn = (): AcpiPmState => ({
  PM1_STS: 0,
  PM1_EN: 0,
  PM1_CNT: 0,
  timerTogglesSeen: 0,
  GPE0_STS: new Array<number>(8).fill(0),
  GPE0_EN: new Array<number>(8).fill(0),
  APM_CNT: 0,
  APM_STS: 0,
});
