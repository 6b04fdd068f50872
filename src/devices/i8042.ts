// The 8042 keyboard controller. IBM PC/AT Technical Reference, "Keyboard Controller"; the auxiliary port: IBM Personal System/2
// Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller".
import type { RegisterBlock } from "../bus/address-range.ts";
import type { InterruptLine } from "../bus/interrupt-line.ts";
import { byteWide } from "../bus/port-io.ts";
import type { Ps2Device } from "./ps2-device.ts";
import { translate } from "./ps2-scancodes.ts";

/** Status register, port 0x64. The input buffer is always empty: a byte is taken the moment it is written. */
const STATUS = {
  OUTPUT_FULL: 1 << 0,
  SYSTEM: 1 << 2,
  COMMAND: 1 << 3,
  NOT_LOCKED: 1 << 4,
  AUX_OUTPUT_FULL: 1 << 5,
} as const;

/** Command byte: the controller's RAM byte 0. */
const CTR = {
  KEYBOARD_INTERRUPT: 1 << 0,
  AUX_INTERRUPT: 1 << 1,
  SYSTEM: 1 << 2,
  KEYBOARD_DISABLED: 1 << 4,
  AUX_DISABLED: 1 << 5,
  TRANSLATE: 1 << 6,
} as const;

/** Output port (P2). Bits 4 and 5 are the two interrupt lines; the upper two drive the keyboard's cable. */
const P2 = { NOT_RESET: 1 << 0, GATE_A20: 1 << 1, KEYBOARD_IRQ: 1 << 4, AUX_IRQ: 1 << 5 } as const;
const P2_PULSED = 0x0f;
/** Input port (P1): keyboard not locked. */
const P1 = 1 << 7;

/** Controller commands, port 0x64. */
const COMMAND = {
  READ_RAM: 0x20, // -0x3f
  WRITE_RAM: 0x60, // -0x7f
  TEST_PASSWORD: 0xa4,
  DISABLE_AUX: 0xa7,
  ENABLE_AUX: 0xa8,
  TEST_AUX: 0xa9,
  SELF_TEST: 0xaa,
  TEST_KEYBOARD: 0xab,
  DISABLE_KEYBOARD: 0xad,
  ENABLE_KEYBOARD: 0xae,
  READ_INPUT_PORT: 0xc0,
  READ_OUTPUT_PORT: 0xd0,
  WRITE_OUTPUT_PORT: 0xd1,
  WRITE_KEYBOARD_OUTPUT: 0xd2,
  WRITE_AUX_OUTPUT: 0xd3,
  WRITE_TO_AUX: 0xd4,
  CLEAR_GATE_A20: 0xdd,
  SET_GATE_A20: 0xdf,
  READ_TEST_INPUTS: 0xe0,
  PULSE_OUTPUT_PORT: 0xf0, // -0xff
} as const;
const RAM_BYTES = 32;
const SELF_TEST_PASSED = 0x55;
const INTERFACE_TEST_PASSED = 0x00;
const NO_PASSWORD = 0xf1;

interface OutputByte {
  byte: number;
  /** It came, or pretends to come, from the auxiliary device. */
  aux: boolean;
}

export interface I8042State {
  /** Byte 0 is the command byte. */
  RAM: number[];
  P2: number;
  /** STATUS.COMMAND: the last byte written was a command, not data. */
  lastWriteWasCommand: boolean;
  /** The command whose data byte is due at port 0x60; 0 for none. */
  awaitingDataOf: number;
  /** What port 0x60 gives; null while it is empty. */
  output: OutputByte | null;
  /** The controller's own answer, waiting for the output buffer. */
  answer: OutputByte | null;
  /** Read again from port 0x60 while the buffer is empty. */
  lastOutput: number;
  /** Translation has seen a break prefix. */
  afterBreak: boolean;
}

const powerOn = (): I8042State => ({
  // As firmware leaves it, because most guests here meet no firmware: both interrupts and the translation to set 1 on.
  RAM: [
    CTR.KEYBOARD_INTERRUPT | CTR.AUX_INTERRUPT | CTR.TRANSLATE,
    ...new Array<number>(RAM_BYTES - 1).fill(0),
  ],
  P2: 0xff & ~(P2.KEYBOARD_IRQ | P2.AUX_IRQ),
  lastWriteWasCommand: false,
  awaitingDataOf: 0,
  output: null,
  answer: null,
  lastOutput: 0,
  afterBreak: false,
});

export interface I8042Doors {
  /** IRQ1. */
  readonly keyboardIrq: InterruptLine;
  /** IRQ12. */
  readonly auxIrq: InterruptLine;
  readonly keyboard: Ps2Device;
  readonly aux: Ps2Device;
  /** The processor's reset line was pulsed. */
  readonly reset: () => void;
  /** P2's gate A20: one of the inputs of the A20 gate. */
  readonly a20: (open: boolean) => void;
}

/** The keyboard controller at ports 0x60 and 0x64. Bytes travel to and from the devices in no time. */
export class I8042 {
  state = powerOn();
  /** Port 0x60. */
  readonly dataPort: RegisterBlock;
  /** Port 0x64. */
  readonly commandPort: RegisterBlock;
  readonly #doors: I8042Doors;

  constructor(doors: I8042Doors) {
    this.#doors = doors;
    this.dataPort = byteWide({
      read: (offset) => (offset === 0 ? this.#readData() : 0xff),
      write: (offset, byte) => offset === 0 && this.#writeData(byte),
    });
    this.commandPort = byteWide({
      read: (offset) => (offset === 0 ? this.#status() : 0xff),
      write: (offset, byte) => offset === 0 && this.#writeCommand(byte),
    });
    doors.keyboard.attach(() => this.driveOutputs());
    doors.aux.attach(() => this.driveOutputs());
  }

  /** The controller's own reset; keyboard and mouse are reset apart. */
  reset(): void {
    this.state = powerOn();
    this.#doors.a20(true);
    this.driveOutputs();
  }

  /** What P2 says about A20. */
  get a20(): boolean {
    return (this.state.P2 & P2.GATE_A20) !== 0;
  }

  /** Moves a waiting byte to the output buffer and drives both lines from `state`; to be called after `state` was replaced. */
  driveOutputs(): void {
    this.#fill();
    this.#driveLines();
  }

  get #CTR(): number {
    return this.state.RAM[0]!;
  }

  set #CTR(value: number) {
    this.state.RAM[0] = value;
  }

  #interrupts(): { keyboard: boolean; aux: boolean } {
    const { output } = this.state;
    return {
      keyboard: output !== null && !output.aux && (this.#CTR & CTR.KEYBOARD_INTERRUPT) !== 0,
      aux: output?.aux === true && (this.#CTR & CTR.AUX_INTERRUPT) !== 0,
    };
  }

  #driveLines(): void {
    const { keyboard, aux } = this.#interrupts();
    this.#doors.keyboardIrq.set(keyboard);
    this.#doors.auxIrq.set(aux);
  }

  /** The controller's answer comes before the keyboard, the keyboard before the auxiliary device. */
  #fill(): void {
    const { state } = this;
    if (state.output !== null) return;
    if (state.answer !== null) {
      state.output = state.answer;
      state.answer = null;
      return;
    }
    // A disabled device is held off by its clock line and keeps its bytes.
    while ((this.#CTR & CTR.KEYBOARD_DISABLED) === 0) {
      const byte = this.#doors.keyboard.send();
      if (byte === undefined) break;
      const received = this.#fromKeyboard(byte);
      if (received === undefined) continue;
      state.output = { byte: received, aux: false };
      return;
    }
    if ((this.#CTR & CTR.AUX_DISABLED) !== 0) return;
    const byte = this.#doors.aux.send();
    if (byte !== undefined) state.output = { byte, aux: true };
  }

  #fromKeyboard(byte: number): number | undefined {
    const { state } = this;
    if ((this.#CTR & CTR.TRANSLATE) === 0) return byte;
    const translated = translate(byte, state.afterBreak);
    state.afterBreak = translated.afterBreak;
    return translated.byte;
  }

  #readData(): number {
    const { state } = this;
    if (state.output === null) return state.lastOutput;
    const { byte } = state.output;
    state.lastOutput = byte;
    state.output = null;
    // The line falls before the next byte raises it: an edge for each byte.
    this.#driveLines();
    this.driveOutputs();
    return byte;
  }

  #status(): number {
    const { output, lastWriteWasCommand } = this.state;
    return (
      STATUS.NOT_LOCKED |
      (output === null ? 0 : STATUS.OUTPUT_FULL) |
      (output?.aux === true ? STATUS.AUX_OUTPUT_FULL : 0) |
      ((this.#CTR & CTR.SYSTEM) === 0 ? 0 : STATUS.SYSTEM) |
      (lastWriteWasCommand ? STATUS.COMMAND : 0)
    );
  }

  #answer(byte: number, aux = false): void {
    this.state.answer = { byte, aux };
  }

  #writeData(byte: number): void {
    const { state } = this;
    const command = state.awaitingDataOf;
    state.awaitingDataOf = 0;
    state.lastWriteWasCommand = false;
    if (command === 0) {
      // Talking to the keyboard switches its interface on.
      this.#CTR &= ~CTR.KEYBOARD_DISABLED;
      this.#doors.keyboard.receive(byte);
    } else this.#takeData(command, byte);
    this.driveOutputs();
  }

  #takeData(command: number, byte: number): void {
    switch (command) {
      case COMMAND.WRITE_OUTPUT_PORT:
        this.#writeP2(byte);
        break;
      case COMMAND.WRITE_KEYBOARD_OUTPUT:
        this.#answer(byte);
        break;
      case COMMAND.WRITE_AUX_OUTPUT:
        this.#answer(byte, true);
        break;
      case COMMAND.WRITE_TO_AUX:
        this.#doors.aux.receive(byte);
        break;
      default: // WRITE_RAM
        this.state.RAM[command & (RAM_BYTES - 1)] = byte;
        break;
    }
  }

  #writeP2(byte: number): void {
    this.state.P2 = byte & ~(P2.KEYBOARD_IRQ | P2.AUX_IRQ);
    this.#doors.a20(this.a20);
    if ((byte & P2.NOT_RESET) === 0) this.#doors.reset();
  }

  #writeCommand(byte: number): void {
    const { state } = this;
    state.lastWriteWasCommand = true;
    state.awaitingDataOf = 0;
    if (byte >= COMMAND.READ_RAM && byte < COMMAND.READ_RAM + RAM_BYTES)
      this.#answer(state.RAM[byte - COMMAND.READ_RAM]!);
    else if (byte >= COMMAND.WRITE_RAM && byte < COMMAND.WRITE_RAM + RAM_BYTES) state.awaitingDataOf = byte;
    else if (byte >= COMMAND.PULSE_OUTPUT_PORT) {
      // A 0 pulses that line low; only the reset line of the four does anything.
      if ((byte & P2_PULSED & P2.NOT_RESET) === 0) this.#doors.reset();
    } else this.#command(byte);
    this.driveOutputs();
  }

  #command(byte: number): void {
    const { state } = this;
    switch (byte) {
      case COMMAND.TEST_PASSWORD:
        this.#answer(NO_PASSWORD);
        break;
      case COMMAND.DISABLE_AUX:
        this.#CTR |= CTR.AUX_DISABLED;
        break;
      case COMMAND.ENABLE_AUX:
        this.#CTR &= ~CTR.AUX_DISABLED;
        break;
      case COMMAND.SELF_TEST:
        this.#CTR |= CTR.SYSTEM;
        this.#answer(SELF_TEST_PASSED);
        break;
      case COMMAND.TEST_AUX:
      case COMMAND.TEST_KEYBOARD:
        this.#answer(INTERFACE_TEST_PASSED);
        break;
      case COMMAND.DISABLE_KEYBOARD:
        this.#CTR |= CTR.KEYBOARD_DISABLED;
        break;
      case COMMAND.ENABLE_KEYBOARD:
        this.#CTR &= ~CTR.KEYBOARD_DISABLED;
        break;
      case COMMAND.READ_INPUT_PORT:
        this.#answer(P1);
        break;
      case COMMAND.READ_OUTPUT_PORT: {
        const { keyboard, aux } = this.#interrupts();
        this.#answer(state.P2 | (keyboard ? P2.KEYBOARD_IRQ : 0) | (aux ? P2.AUX_IRQ : 0));
        break;
      }
      case COMMAND.READ_TEST_INPUTS:
        this.#answer(0);
        break;
      case COMMAND.WRITE_OUTPUT_PORT:
      case COMMAND.WRITE_KEYBOARD_OUTPUT:
      case COMMAND.WRITE_AUX_OUTPUT:
      case COMMAND.WRITE_TO_AUX:
        state.awaitingDataOf = byte;
        break;
      case COMMAND.CLEAR_GATE_A20:
      case COMMAND.SET_GATE_A20:
        this.#writeP2(byte === COMMAND.SET_GATE_A20 ? state.P2 | P2.GATE_A20 : state.P2 & ~P2.GATE_A20);
        break;
      default: // No such command: nothing happens.
        break;
    }
  }
}
