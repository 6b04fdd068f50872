// The odd ports of a PC's board. Ports 0x61 and 0x92: IBM Personal System/2 Hardware Interface Technical Reference, "System
// Control Port B" and "System Control Port A"; port 0x80: IBM PC/AT Technical Reference, "Manufacturing Port"; port 0xCF9:
// Intel, "I/O Controller Hub 9 (ICH9) Family Datasheet", "RST_CNT: Reset Control Register".
import type { RegisterBlock } from "../bus/address-range.ts";
import type { Clock } from "../bus/clock.ts";
import { byteWide } from "../bus/port-io.ts";
import { PIT_HERTZ } from "./pit-8254.ts";
import { ticksIn } from "./ticks.ts";

/** System Control Port B, 0x61. */
const PORT_B = {
  TIMER_2_GATE: 1 << 0,
  SPEAKER: 1 << 1,
  /** Bits 2 and 3 switch the parity and channel checks off; a board without them keeps the bits. */
  WRITABLE: 0b1111,
  REFRESH_TOGGLE: 1 << 4,
  TIMER_2_OUT: 1 << 5,
} as const;
/** Counter 1 of the interval timer asks for a memory refresh this often; bit 4 toggles each time. */
const REFRESH_TICKS = 18;

/** System Control Port A, 0x92. */
const PORT_A = { FAST_RESET: 1 << 0, FAST_A20: 1 << 1 } as const;

/** Reset Control Register, 0xCF9. */
const RST_CNT = { SYS_RST: 1 << 1, RST_CPU: 1 << 2, FULL_RST: 1 << 3 } as const;

/** "INIT": the processors' INIT# or CPU reset alone. "PLTRST": the whole platform. */
export type ResetKind = "INIT" | "PLTRST";

export interface SystemControlState {
  /** Port 0x61 bits 0-3. */
  portB: number;
  /** Port 0x92. */
  portA: number;
  /** Port 0x80: the last power-on self test code. */
  postCode: number;
  /** Port 0xCF9. */
  RST_CNT: number;
}

/** A20 is open, as firmware hands it over. */
const powerOn = (): SystemControlState => ({ portB: 0, portA: PORT_A.FAST_A20, postCode: 0, RST_CNT: 0 });

export interface SystemControlDoors {
  readonly clock: Clock;
  /** GATE of the interval timer's counter 2. */
  readonly timer2Gate: (gate: boolean) => void;
  /** OUT of the interval timer's counter 2. */
  readonly timer2Out: () => boolean;
  /** Port 0x92's gate A20: one of the inputs of the A20 gate. */
  readonly a20: (open: boolean) => void;
  readonly reset: (kind: ResetKind) => void;
  /** Told of every byte written to port 0x80. */
  readonly postCode?: (code: number) => void;
}

/** Ports 0x61, 0x80, 0x92, 0xED and 0xCF9, one byte each. */
export class SystemControlPorts {
  state = powerOn();
  /** Port 0x61. */
  readonly portB: RegisterBlock;
  /** Port 0x92. */
  readonly portA: RegisterBlock;
  /** Port 0x80. Linux and others write it to pass a microsecond. */
  readonly post: RegisterBlock;
  /** Port 0xED: decoded by nothing, and used to pass a microsecond where port 0x80 is taken. */
  readonly delay: RegisterBlock;
  /** Port 0xCF9, to be mapped over PCI's configuration address, which is only 4 bytes wide when accessed as a doubleword. */
  readonly resetControl: RegisterBlock;
  readonly #doors: SystemControlDoors;

  constructor(doors: SystemControlDoors) {
    this.#doors = doors;
    const port = (read: () => number, write: (byte: number) => void): RegisterBlock =>
      byteWide({
        read: (offset) => (offset === 0 ? read() : 0xff),
        write: (offset, byte) => offset === 0 && write(byte),
      });
    this.portB = port(
      () => this.#readPortB(),
      (byte) => {
        this.state.portB = byte & PORT_B.WRITABLE;
        this.driveOutputs();
      },
    );
    this.portA = port(
      () => this.state.portA,
      (byte) => this.#writePortA(byte),
    );
    this.post = port(
      () => this.state.postCode,
      (byte) => {
        this.state.postCode = byte;
        doors.postCode?.(byte);
      },
    );
    this.delay = port(
      () => 0xff,
      () => {},
    );
    this.resetControl = port(
      () => this.state.RST_CNT,
      (byte) => this.#writeResetControl(byte),
    );
  }

  reset(): void {
    this.state = powerOn();
    this.driveOutputs();
  }

  /** Port 0x61 bit 1 and 0: the speaker follows the interval timer's OUT 2. */
  get speaker(): boolean {
    return (this.state.portB & PORT_B.SPEAKER) !== 0;
  }

  /** Drives GATE 2 and A20 from `state`; to be called after `state` was replaced. */
  driveOutputs(): void {
    this.#doors.timer2Gate((this.state.portB & PORT_B.TIMER_2_GATE) !== 0);
    this.#doors.a20((this.state.portA & PORT_A.FAST_A20) !== 0);
  }

  #readPortB(): number {
    const refreshes = Math.floor(Number(ticksIn(this.#doors.clock.nowNs, PIT_HERTZ)) / REFRESH_TICKS);
    return (
      this.state.portB |
      (refreshes % 2 === 1 ? PORT_B.REFRESH_TOGGLE : 0) |
      (this.#doors.timer2Out() ? PORT_B.TIMER_2_OUT : 0)
    );
  }

  #writePortA(byte: number): void {
    const before = this.state.portA;
    this.state.portA = byte & (PORT_A.FAST_RESET | PORT_A.FAST_A20);
    this.driveOutputs();
    // "A 0 to 1 transition pulses the reset line."
    if ((byte & ~before & PORT_A.FAST_RESET) !== 0) this.#doors.reset("INIT");
  }

  #writeResetControl(byte: number): void {
    const before = this.state.RST_CNT;
    this.state.RST_CNT = byte & (RST_CNT.SYS_RST | RST_CNT.RST_CPU | RST_CNT.FULL_RST);
    if ((byte & ~before & RST_CNT.RST_CPU) !== 0)
      this.#doors.reset((byte & RST_CNT.SYS_RST) === 0 ? "INIT" : "PLTRST");
  }
}
