// The PC16550D UART. Names and headings: National Semiconductor, "PC16550D Universal Asynchronous Receiver/Transmitter
// with FIFOs", June 1995. Wiring (OUT2 gates the interrupt, 1.8432 MHz crystal): IBM PC/AT Technical Reference,
// "Serial/Parallel Adapter".
import type { Clock, Timer } from "../bus/clock.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";

/** Register offsets; with LCR.DLAB set, offsets 0 and 1 are the divisor latch. */
const OFFSET = { RBR_THR: 0, IER: 1, IIR_FCR: 2, LCR: 3, MCR: 4, LSR: 5, MSR: 6, SCR: 7 } as const;

/** Interrupt Enable Register. */
const IER = { RDA: 1 << 0, THRE: 1 << 1, RLS: 1 << 2, MODEM: 1 << 3 } as const;
const IER_WRITABLE = IER.RDA | IER.THRE | IER.RLS | IER.MODEM;

/** Interrupt Identification Register: "Interrupt Control Functions", in falling priority. */
const IIR = { RLS: 0b0110, RDA: 0b0100, TIMEOUT: 0b1100, THRE: 0b0010, MODEM: 0b0000, NONE: 0b0001 } as const;
const IIR_FIFOS_ENABLED = 0b1100_0000;

/** FIFO Control Register. Bits 1 and 2 clear themselves; bit 3 (DMA mode) changes pins a PC does not wire. */
const FCR = { ENABLE: 1 << 0, RESET_RECEIVE: 1 << 1, RESET_TRANSMIT: 1 << 2 } as const;
const RECEIVE_TRIGGER = [1, 4, 8, 14] as const;
const FIFO_BYTES = 16;

/** Line Control Register. */
const LCR = { WLS: 0b11, STB: 1 << 2, PEN: 1 << 3, DLAB: 1 << 7 } as const;

/** Modem Control Register. */
const MCR = { DTR: 1 << 0, RTS: 1 << 1, OUT1: 1 << 2, OUT2: 1 << 3, LOOP: 1 << 4 } as const;
const MCR_WRITABLE = MCR.DTR | MCR.RTS | MCR.OUT1 | MCR.OUT2 | MCR.LOOP;

/** Line Status Register. */
const LSR = {
  DR: 1 << 0,
  OE: 1 << 1,
  PE: 1 << 2,
  FE: 1 << 3,
  BI: 1 << 4,
  THRE: 1 << 5,
  TEMT: 1 << 6,
  FIFO_ERROR: 1 << 7,
} as const;
const LSR_CHARACTER_ERRORS = LSR.PE | LSR.FE | LSR.BI;

/** Modem Status Register: four inputs and, below them, what changed since the last read. */
const MSR = {
  DCTS: 1 << 0,
  DDSR: 1 << 1,
  TERI: 1 << 2,
  DDCD: 1 << 3,
  CTS: 1 << 4,
  DSR: 1 << 5,
  RI: 1 << 6,
  DCD: 1 << 7,
} as const;
const MSR_INPUTS = MSR.CTS | MSR.DSR | MSR.RI | MSR.DCD;

/** The inputs of a terminal that is switched on and connected. */
export const TERMINAL_CONNECTED = MSR.CTS | MSR.DSR | MSR.DCD;

const CRYSTAL_HERTZ = 1_843_200;
/** The receiver samples each bit 16 times. */
const CLOCKS_PER_BIT = 16;
const TIMEOUT_CHARACTERS = 4;
/** So many readings of LSR in a row without a character to send or to take are polling for input; waiting to send is one or two. */
const POLLING_READS = 16;

export interface Uart16550State {
  DLL: number;
  DLM: number;
  IER: number;
  FCR: number;
  LCR: number;
  MCR: number;
  SCR: number;
  /** The pins CTS, DSR, RI and DCD as MSR shows them. */
  modemInputs: number;
  /** MSR bits 0-3. */
  modemChanges: number;
  overrun: boolean;
  /** The transmitter became empty and nobody has acknowledged it. */
  threPending: boolean;
  /** Receiver FIFO, oldest first: character | its LSR error bits << 8. Without FIFOs, at most one: RBR. */
  received: number[];
  /** When a character last entered or left the receiver FIFO. */
  fifoTouchedNs: number;
  /** Readings of LSR in a row that found nothing received, up to a few; once so many, until the chip is set up anew. */
  emptyPolls: number;
}

const powerOn = (): Uart16550State => ({
  // 9600 baud: what firmware leaves, and the rate that the character timeout needs; a master reset does not set it.
  DLL: 12,
  DLM: 0,
  IER: 0,
  FCR: 0,
  LCR: 0,
  MCR: 0,
  SCR: 0,
  modemInputs: TERMINAL_CONNECTED,
  modemChanges: 0,
  overrun: false,
  threPending: false,
  received: [],
  fifoTouchedNs: 0,
  emptyPolls: 0,
});

/**
 * A 16550A UART. Eight byte registers; one interrupt line; bytes out through `transmit` and in through `receive`.
 * A character is transmitted the moment it is written, so THRE and TEMT are always 1, but the THRE *interrupt* follows the
 * datasheet: set when the holding register empties or when IER.THRE is switched on, acknowledged by reading IIR
 * while it is the cause, or by writing the next character.
 */
export class Uart16550 {
  state = powerOn();
  readonly #clock: Clock;
  readonly #irq: InterruptLine;
  readonly #transmit: (byte: number) => void;
  readonly #characterTimeout: Timer;

  constructor(clock: Clock, irq: InterruptLine, transmit: (byte: number) => void) {
    this.#clock = clock;
    this.#irq = irq;
    this.#transmit = transmit;
    this.#characterTimeout = clock.timer("uart-16550 character timeout", () => this.driveOutputs());
  }

  /** The machine's reset. What was received and the modem's inputs are outside the chip: the inputs stay. */
  reset(): void {
    this.state = { ...powerOn(), modemInputs: this.state.modemInputs };
    this.driveOutputs();
  }

  read(offset: number): number {
    const value = this.#readRegister(offset);
    this.driveOutputs();
    return value;
  }

  write(offset: number, byte: number): void {
    this.#writeRegister(offset, byte);
    this.driveOutputs();
  }

  /** False when a byte given to `receive` now would be lost: the host keeps its input until this says true. */
  get canReceive(): boolean {
    const capacity = this.#fifosEnabled ? FIFO_BYTES : 1;
    return !this.#loopback && this.state.received.length < capacity;
  }

  /**
   * True once somebody wants input: software has raised RTS, enabled the receive interrupt, or polls for characters. Before that,
   * input would be lost to probing and FIFO resets, so a patient sender holds it back.
   */
  get isListening(): boolean {
    const { MCR: mcr, IER: ier, emptyPolls } = this.state;
    const raisesRts = (mcr & MCR.RTS) !== 0 && !this.#loopback;
    return raisesRts || (ier & IER.RDA) !== 0 || emptyPolls >= POLLING_READS;
  }

  /** A character arrives on the wire. */
  receive(byte: number): void {
    if (!this.#loopback) this.#enter(byte & 0xff);
    this.driveOutputs();
  }

  /** The wire is held in the spacing state for longer than a character: a break, which Linux reads as SysRq. */
  receiveBreak(): void {
    if (!this.#loopback) this.#enter(LSR.BI << 8);
    this.driveOutputs();
  }

  /** Sets the pins CTS, DSR, RI and DCD (MSR's bits 4-7). */
  setModemInputs(inputs: number): void {
    this.#changeModem(() => (this.state.modemInputs = inputs & MSR_INPUTS));
    this.driveOutputs();
  }

  /** Drives the interrupt line and the timer from `state`; to be called after `state` was replaced. */
  driveOutputs(): void {
    const { state } = this;
    // In loopback the chip's OUT2 pin is inactive, so that a PC's interrupt line is cut off.
    const connected = (state.MCR & MCR.OUT2) !== 0 && !this.#loopback;
    this.#irq.set(connected && this.#cause() !== IIR.NONE);
    const timeoutWillCome =
      this.#fifosEnabled && (state.IER & IER.RDA) !== 0 && state.received.length > 0 && !this.#timedOut();
    if (timeoutWillCome) this.#characterTimeout.arm(this.#timeoutNs());
    else this.#characterTimeout.disarm();
  }

  get #loopback(): boolean {
    return (this.state.MCR & MCR.LOOP) !== 0;
  }

  get #fifosEnabled(): boolean {
    return (this.state.FCR & FCR.ENABLE) !== 0;
  }

  get #divisorLatchAccess(): boolean {
    return (this.state.LCR & LCR.DLAB) !== 0;
  }

  #readRegister(offset: number): number {
    const { state } = this;
    switch (offset) {
      case OFFSET.RBR_THR:
        return this.#divisorLatchAccess ? state.DLL : this.#takeReceived();
      case OFFSET.IER:
        return this.#divisorLatchAccess ? state.DLM : state.IER;
      case OFFSET.IIR_FCR: {
        const cause = this.#cause();
        if (cause === IIR.THRE) state.threPending = false;
        return cause | (this.#fifosEnabled ? IIR_FIFOS_ENABLED : 0);
      }
      case OFFSET.LCR:
        return state.LCR;
      case OFFSET.MCR:
        return state.MCR;
      case OFFSET.LSR: {
        const value = this.#lineStatus();
        if ((value & LSR.DR) === 0) state.emptyPolls = Math.min(state.emptyPolls + 1, POLLING_READS);
        state.overrun = false;
        if (state.received.length > 0) state.received[0]! &= 0xff;
        return value;
      }
      case OFFSET.MSR: {
        const value = this.#modemInputs() | state.modemChanges;
        state.modemChanges = 0;
        return value;
      }
      case OFFSET.SCR:
        return state.SCR;
      default:
        return 0xff;
    }
  }

  #writeRegister(offset: number, byte: number): void {
    const { state } = this;
    if (offset === OFFSET.LCR || offset === OFFSET.IIR_FCR) state.emptyPolls = 0;
    switch (offset) {
      case OFFSET.RBR_THR:
        if (this.#divisorLatchAccess) state.DLL = byte;
        else this.#send(byte);
        break;
      case OFFSET.IER:
        if (this.#divisorLatchAccess) {
          state.DLM = byte;
          break;
        }
        if ((byte & ~state.IER & IER.THRE) !== 0) state.threPending = true;
        state.IER = byte & IER_WRITABLE;
        break;
      case OFFSET.IIR_FCR:
        this.#writeFifoControl(byte);
        break;
      case OFFSET.LCR:
        state.LCR = byte;
        break;
      case OFFSET.MCR:
        this.#changeModem(() => (state.MCR = byte & MCR_WRITABLE));
        break;
      case OFFSET.SCR:
        state.SCR = byte;
        break;
      default: // LSR is for factory testing, MSR is read only.
        break;
    }
  }

  /** "FIFO Control Register": the FIFOs are emptied when they are switched on or off. */
  #writeFifoControl(byte: number): void {
    const { state } = this;
    const switched = ((byte ^ state.FCR) & FCR.ENABLE) !== 0;
    if (switched || (byte & FCR.RESET_RECEIVE) !== 0) state.received = [];
    // Other bits are programmed only while bit 0 is written as 1.
    state.FCR = (byte & FCR.ENABLE) === 0 ? 0 : byte & ~(FCR.RESET_RECEIVE | FCR.RESET_TRANSMIT);
  }

  #send(byte: number): void {
    const { state } = this;
    if (state.emptyPolls < POLLING_READS) state.emptyPolls = 0;
    // The holding register is full for an instant: an edge-triggered interrupt controller must see the line fall.
    state.threPending = false;
    this.driveOutputs();
    if (this.#loopback) this.#enter(byte);
    else this.#transmit(byte);
    state.threPending = true;
  }

  /** A character has been assembled by the receiver. */
  #enter(character: number): void {
    const { state } = this;
    if (this.#fifosEnabled) {
      // "The character in the shift register is overwritten, but it is not transferred to the FIFO."
      if (state.received.length >= FIFO_BYTES) {
        state.overrun = true;
        return;
      }
      state.received.push(character);
      state.fifoTouchedNs = this.#clock.nowNs;
      return;
    }
    state.overrun ||= state.received.length > 0;
    state.received = [character];
  }

  #takeReceived(): number {
    const { state } = this;
    state.fifoTouchedNs = this.#clock.nowNs;
    return (state.received.shift() ?? 0) & 0xff;
  }

  /** "Interrupt Control Functions": the highest-priority enabled cause. Derived, never stored. */
  #cause(): number {
    const { state } = this;
    const lineError = (this.#lineStatus() & (LSR.OE | LSR_CHARACTER_ERRORS)) !== 0;
    if ((state.IER & IER.RLS) !== 0 && lineError) return IIR.RLS;
    if ((state.IER & IER.RDA) !== 0) {
      if (state.received.length >= this.#receiveTrigger()) return IIR.RDA;
      if (this.#timedOut()) return IIR.TIMEOUT;
    }
    if ((state.IER & IER.THRE) !== 0 && state.threPending) return IIR.THRE;
    if ((state.IER & IER.MODEM) !== 0 && state.modemChanges !== 0) return IIR.MODEM;
    return IIR.NONE;
  }

  #receiveTrigger(): number {
    return this.#fifosEnabled ? RECEIVE_TRIGGER[(this.state.FCR >> 6) as 0 | 1 | 2 | 3] : 1;
  }

  /** "FIFO Interrupt Mode Operation": a character waits and nothing touched the FIFO for four character times. */
  #timedOut(): boolean {
    return this.#fifosEnabled && this.state.received.length > 0 && this.#clock.nowNs >= this.#timeoutNs();
  }

  #timeoutNs(): number {
    const { LCR: lcr, DLL, DLM, fifoTouchedNs } = this.state;
    const stopBits = (lcr & LCR.STB) === 0 ? 1 : 2;
    const bits = 1 + 5 + (lcr & LCR.WLS) + ((lcr & LCR.PEN) === 0 ? 0 : 1) + stopBits;
    const divisor = (DLM << 8) | DLL || 0x1_0000;
    const clocks = TIMEOUT_CHARACTERS * bits * CLOCKS_PER_BIT * divisor;
    return fifoTouchedNs + Math.ceil((clocks * 1_000_000_000) / CRYSTAL_HERTZ);
  }

  #lineStatus(): number {
    const { received, overrun } = this.state;
    const oldest = received[0];
    let value = LSR.THRE | LSR.TEMT;
    if (oldest !== undefined) value |= LSR.DR | (oldest >> 8);
    if (overrun) value |= LSR.OE;
    if (this.#fifosEnabled && received.some((character) => character >> 8 !== 0)) value |= LSR.FIFO_ERROR;
    return value;
  }

  /** MSR bits 4-7. In loopback the four modem outputs are wired to the four inputs. */
  #modemInputs(): number {
    const { MCR: mcr, modemInputs } = this.state;
    if (!this.#loopback) return modemInputs;
    return (
      ((mcr & MCR.RTS) !== 0 ? MSR.CTS : 0) |
      ((mcr & MCR.DTR) !== 0 ? MSR.DSR : 0) |
      ((mcr & MCR.OUT1) !== 0 ? MSR.RI : 0) |
      ((mcr & MCR.OUT2) !== 0 ? MSR.DCD : 0)
    );
  }

  #changeModem(change: () => void): void {
    const before = this.#modemInputs();
    change();
    const after = this.#modemInputs();
    // TERI is the *trailing* edge: the ring indicator went away.
    const changed = ((before ^ after) & ~MSR.RI) | (before & ~after & MSR.RI);
    this.state.modemChanges |= changed >> 4;
  }
}
