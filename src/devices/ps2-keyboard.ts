// An IBM enhanced keyboard. Commands, replies and defaults: IBM Personal System/2 Hardware Interface Technical Reference,
// "Keyboard (101- and 102-Key)", "Commands from the System" and "Commands to the System".
import { PS2, type Ps2Device } from "./ps2-device.ts";
import {
  type KeyName,
  type Set3Behaviour,
  set1Codes,
  set2Codes,
  set3BreakCodes,
  set3Code,
} from "./ps2-scancodes.ts";

/** "Commands from the System". */
const COMMAND = {
  SET_STATUS_INDICATORS: 0xed,
  ECHO: 0xee,
  SELECT_SCAN_CODE_SET: 0xf0,
  READ_ID: PS2.READ_ID,
  SET_TYPEMATIC_RATE: 0xf3,
  ENABLE: PS2.ENABLE,
  DEFAULT_DISABLE: PS2.DISABLE,
  SET_DEFAULT: PS2.SET_DEFAULTS,
  SET_ALL_TYPEMATIC: 0xf7,
  SET_ALL_MAKE_BREAK: 0xf8,
  SET_ALL_MAKE: 0xf9,
  SET_ALL_TYPEMATIC_MAKE_BREAK: 0xfa,
  SET_KEY_TYPEMATIC: 0xfb,
  SET_KEY_MAKE_BREAK: 0xfc,
  SET_KEY_MAKE: 0xfd,
  RESEND: PS2.RESEND,
  RESET: PS2.RESET,
} as const;
const FIRST_COMMAND = COMMAND.SET_STATUS_INDICATORS;

/** Key behaviour in set 3 that a command chooses. "TMB": typematic and with break codes. */
type Behaviour = Set3Behaviour | "TMB";
const BEHAVIOUR_FOR_ALL: Readonly<Record<number, Behaviour>> = {
  [COMMAND.SET_ALL_TYPEMATIC]: "T",
  [COMMAND.SET_ALL_MAKE_BREAK]: "MB",
  [COMMAND.SET_ALL_MAKE]: "M",
  [COMMAND.SET_ALL_TYPEMATIC_MAKE_BREAK]: "TMB",
};
const BEHAVIOUR_OF_KEY: Readonly<Record<number, Behaviour>> = {
  [COMMAND.SET_KEY_TYPEMATIC]: "T",
  [COMMAND.SET_KEY_MAKE_BREAK]: "MB",
  [COMMAND.SET_KEY_MAKE]: "M",
};

const IDENTITY = [0xab, 0x83] as const;
const BUFFER_BYTES = 16;
/** Put in the place of the key that no longer fits: "Overrun". */
const OVERRUN = { set1: 0xff, set2And3: 0x00 } as const;
/** 10.9 characters a second after half a second. */
const DEFAULT_TYPEMATIC = 0x2b;

export interface Ps2KeyboardState {
  scanning: boolean;
  scanCodeSet: 1 | 2 | 3;
  /** Bits: 0 scroll lock, 1 num lock, 2 caps lock. */
  statusIndicators: number;
  /** Bits 6-5 delay, 4-0 rate. Stored only: see `press`. */
  typematic: number;
  /** The command whose argument is due; 0 for none. */
  awaitingArgumentOf: number;
  /** Replies go out before scan codes. */
  replies: number[];
  scanCodes: number[];
  lastSent: number;
  /** Set 3: what was chosen for all keys; null for each key's own. */
  behaviourForAll: Behaviour | null;
  /** Set 3: what was chosen for single keys, by code. */
  behaviourOfKey: Record<number, Behaviour>;
}

const defaults = () => ({
  scanCodeSet: 2 as const,
  typematic: DEFAULT_TYPEMATIC,
  behaviourForAll: null,
  behaviourOfKey: {},
});

const powerOn = (): Ps2KeyboardState => ({
  ...defaults(),
  scanning: true,
  statusIndicators: 0,
  awaitingArgumentOf: 0,
  replies: [],
  scanCodes: [],
  lastSent: 0,
});

/** A PS/2 keyboard. Its outside world presses and releases keys by name. */
export class Ps2Keyboard implements Ps2Device {
  state = powerOn();
  #ready: () => void = () => {};

  attach(ready: () => void): void {
    this.#ready = ready;
  }

  reset(): void {
    this.state = powerOn();
    this.#ready();
  }

  /** Whether another key fits: the host keeps further ones until this is true. */
  get canPress(): boolean {
    return this.state.scanCodes.length <= BUFFER_BYTES / 2;
  }

  /**
   * A key goes down. Holding it means calling this again and again: the host's own repetition becomes the keyboard's, because
   * a repetition in virtual time would race ahead of a finger whenever the guest is idle.
   */
  press(key: KeyName): void {
    this.#type(key, true);
  }

  release(key: KeyName): void {
    this.#type(key, false);
  }

  send(): number | undefined {
    const { state } = this;
    const byte = state.replies.shift() ?? state.scanCodes.shift();
    if (byte !== undefined) state.lastSent = byte;
    return byte;
  }

  receive(byte: number): void {
    const { state } = this;
    // A byte from the system ends what the keyboard was still answering.
    state.replies = [];
    const command = state.awaitingArgumentOf;
    state.awaitingArgumentOf = 0;
    if (command !== 0 && byte < FIRST_COMMAND) this.#takeArgument(command, byte);
    else this.#takeCommand(byte);
    this.#ready();
  }

  #type(key: KeyName, pressed: boolean): void {
    const { state } = this;
    if (!state.scanning) return;
    const codes = this.#codes(key, pressed);
    if (state.scanCodes.length + codes.length <= BUFFER_BYTES) state.scanCodes.push(...codes);
    else {
      const overrun = state.scanCodeSet === 1 ? OVERRUN.set1 : OVERRUN.set2And3;
      state.scanCodes = [...state.scanCodes.slice(0, BUFFER_BYTES - 1), overrun];
    }
    this.#ready();
  }

  #codes(key: KeyName, pressed: boolean): readonly number[] {
    const { scanCodeSet, behaviourOfKey, behaviourForAll } = this.state;
    if (scanCodeSet === 1) return set1Codes(key, pressed);
    if (scanCodeSet === 2) return set2Codes(key, pressed);
    const { code, behaviour } = set3Code(key);
    if (pressed) return [code];
    const chosen = behaviourOfKey[code] ?? behaviourForAll ?? behaviour;
    return chosen === "MB" || chosen === "TMB" ? set3BreakCodes(code) : [];
  }

  #takeArgument(command: number, byte: number): void {
    const { state } = this;
    const behaviour = BEHAVIOUR_OF_KEY[command];
    state.replies = [PS2.ACK];
    if (behaviour !== undefined) {
      state.behaviourOfKey[byte] = behaviour;
      state.awaitingArgumentOf = command; // More keys may follow, until the next command.
    } else if (command === COMMAND.SET_STATUS_INDICATORS) state.statusIndicators = byte & 0b111;
    else if (command === COMMAND.SET_TYPEMATIC_RATE) state.typematic = byte & 0x7f;
    else if (command === COMMAND.SELECT_SCAN_CODE_SET) {
      if (byte === 0) state.replies.push(state.scanCodeSet);
      else if (byte <= 3) this.#selectSet(byte as 1 | 2 | 3);
      else state.replies = [PS2.RESEND];
    }
  }

  #selectSet(set: 1 | 2 | 3): void {
    this.state.scanCodeSet = set;
    this.state.scanCodes = [];
  }

  #takeCommand(byte: number): void {
    const { state } = this;
    const behaviour = BEHAVIOUR_FOR_ALL[byte];
    state.replies = [PS2.ACK];
    if (behaviour !== undefined) {
      state.behaviourForAll = behaviour;
      state.behaviourOfKey = {};
      return;
    }
    switch (byte) {
      case COMMAND.SET_STATUS_INDICATORS:
      case COMMAND.SELECT_SCAN_CODE_SET:
      case COMMAND.SET_TYPEMATIC_RATE:
      case COMMAND.SET_KEY_TYPEMATIC:
      case COMMAND.SET_KEY_MAKE_BREAK:
      case COMMAND.SET_KEY_MAKE:
        state.awaitingArgumentOf = byte;
        break;
      case COMMAND.ECHO:
        state.replies = [COMMAND.ECHO];
        break;
      case COMMAND.READ_ID:
        state.replies.push(...IDENTITY);
        break;
      case COMMAND.ENABLE:
        state.scanCodes = [];
        state.scanning = true;
        break;
      case COMMAND.DEFAULT_DISABLE:
      case COMMAND.SET_DEFAULT:
        Object.assign(state, defaults(), { scanCodes: [], scanning: byte === COMMAND.SET_DEFAULT });
        break;
      case COMMAND.RESEND:
        state.replies = [state.lastSent];
        break;
      case COMMAND.RESET:
        this.state = { ...powerOn(), replies: [PS2.ACK, PS2.SELF_TEST_PASSED] };
        break;
      default: // "Any invalid command."
        state.replies = [PS2.RESEND];
        break;
    }
  }
}
