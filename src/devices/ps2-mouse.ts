// An IBM PS/2 mouse with three buttons. Commands, status and packets: IBM Personal System/2 Hardware Interface Technical
// Reference, "Auxiliary Device (Mouse)".
import { PS2, type Ps2Device } from "./ps2-device.ts";

const COMMAND = {
  RESET_SCALING: 0xe6,
  SET_SCALING: 0xe7,
  SET_RESOLUTION: 0xe8,
  STATUS_REQUEST: 0xe9,
  SET_STREAM_MODE: 0xea,
  READ_PACKET: 0xeb,
  RESET_WRAP_MODE: 0xec,
  SET_WRAP_MODE: 0xee,
  SET_REMOTE_MODE: 0xf0,
  READ_DEVICE_TYPE: PS2.READ_ID,
  SET_SAMPLING_RATE: 0xf3,
  ENABLE: PS2.ENABLE,
  DISABLE: PS2.DISABLE,
  SET_DEFAULT: PS2.SET_DEFAULTS,
  RESEND: PS2.RESEND,
  RESET: PS2.RESET,
} as const;

const DEVICE_TYPE = 0x00;
/** First byte of the status report. */
const STATUS = {
  RIGHT: 1 << 0,
  MIDDLE: 1 << 1,
  LEFT: 1 << 2,
  SCALING: 1 << 4,
  ENABLED: 1 << 5,
  REMOTE: 1 << 6,
} as const;
/** First byte of a packet. */
const PACKET = {
  ALWAYS: 1 << 3,
  X_NEGATIVE: 1 << 4,
  Y_NEGATIVE: 1 << 5,
  X_OVERFLOW: 1 << 6,
  Y_OVERFLOW: 1 << 7,
} as const;
/** Scaling 2:1 in stream mode: what a movement of 0-5 counts is reported as; larger ones double. */
const SCALED = [0, 1, 1, 3, 6, 9] as const;
const MOST_PER_PACKET = 255;

/** Buttons as a packet carries them. */
export const MOUSE_BUTTON = { LEFT: 1 << 0, RIGHT: 1 << 1, MIDDLE: 1 << 2 } as const;

export interface Ps2MouseState {
  /** Stream mode sends packets only while enabled. */
  enabled: boolean;
  mode: "stream" | "remote";
  wrap: boolean;
  scaling: boolean;
  /** 0-3: 1, 2, 4, 8 counts per millimetre. */
  resolution: number;
  /** Reports per second. */
  samplingRate: number;
  awaitingArgumentOf: number;
  replies: number[];
  packet: number[];
  lastSent: number[];
  /** Movement that no packet has carried yet: right and up are positive. */
  movedX: number;
  movedY: number;
  buttons: number;
  /** The buttons in the last packet. */
  buttonsSent: number;
}

const powerOn = (): Ps2MouseState => ({
  enabled: false,
  mode: "stream",
  wrap: false,
  scaling: false,
  resolution: 2,
  samplingRate: 100,
  awaitingArgumentOf: 0,
  replies: [],
  packet: [],
  lastSent: [],
  movedX: 0,
  movedY: 0,
  buttons: 0,
  buttonsSent: 0,
});

/** A PS/2 mouse. Its outside world moves it and presses its buttons. */
export class Ps2Mouse implements Ps2Device {
  state = powerOn();
  #ready: () => void = () => {};

  attach(ready: () => void): void {
    this.#ready = ready;
  }

  reset(): void {
    this.state = powerOn();
    this.#ready();
  }

  /** Moves by counts (right and up are positive) and sets the buttons (`MOUSE_BUTTON`). */
  move(x: number, y: number, buttons: number): void {
    const { state } = this;
    // The counters saturate: nobody may be reading.
    const saturate = (count: number): number => Math.max(-0xffff, Math.min(0xffff, Math.trunc(count)));
    state.movedX = saturate(state.movedX + x);
    state.movedY = saturate(state.movedY + y);
    state.buttons = buttons & (MOUSE_BUTTON.LEFT | MOUSE_BUTTON.RIGHT | MOUSE_BUTTON.MIDDLE);
    this.#ready();
  }

  send(): number | undefined {
    const { state } = this;
    if (state.replies.length === 0 && state.packet.length === 0 && this.#streams())
      state.packet = this.#takePacket();
    return state.replies.shift() ?? state.packet.shift();
  }

  receive(byte: number): void {
    const { state } = this;
    // A command ends a packet in transmission.
    state.packet = [];
    const command = state.awaitingArgumentOf;
    state.awaitingArgumentOf = 0;
    if (command !== 0) this.#takeArgument(command, byte);
    else if (state.wrap && byte !== COMMAND.RESET_WRAP_MODE && byte !== COMMAND.RESET) state.replies = [byte];
    else this.#takeCommand(byte);
    this.#ready();
  }

  #streams(): boolean {
    const { enabled, mode, wrap, movedX, movedY, buttons, buttonsSent } = this.state;
    return enabled && mode === "stream" && !wrap && (movedX !== 0 || movedY !== 0 || buttons !== buttonsSent);
  }

  #reply(...bytes: number[]): void {
    this.state.replies = [...bytes];
    this.state.lastSent = bytes;
  }

  #takePacket(): number[] {
    const { state } = this;
    const part = (count: number): number => Math.max(-MOST_PER_PACKET, Math.min(MOST_PER_PACKET, count));
    const x = part(state.movedX);
    const y = part(state.movedY);
    state.movedX -= x;
    state.movedY -= y;
    state.buttonsSent = state.buttons;
    const scaled = (count: number): number => {
      if (!state.scaling || state.mode !== "stream") return count;
      const size = Math.abs(count);
      return Math.sign(count) * (SCALED[size] ?? 2 * size);
    };
    const first =
      PACKET.ALWAYS |
      state.buttons |
      (x < 0 ? PACKET.X_NEGATIVE : 0) |
      (y < 0 ? PACKET.Y_NEGATIVE : 0) |
      (Math.abs(scaled(x)) > MOST_PER_PACKET ? PACKET.X_OVERFLOW : 0) |
      (Math.abs(scaled(y)) > MOST_PER_PACKET ? PACKET.Y_OVERFLOW : 0);
    const packet = [first, scaled(x) & 0xff, scaled(y) & 0xff];
    state.lastSent = packet;
    return [...packet];
  }

  #status(): number[] {
    const { buttons, scaling, enabled, mode, resolution, samplingRate } = this.state;
    const first =
      ((buttons & MOUSE_BUTTON.RIGHT) !== 0 ? STATUS.RIGHT : 0) |
      ((buttons & MOUSE_BUTTON.MIDDLE) !== 0 ? STATUS.MIDDLE : 0) |
      ((buttons & MOUSE_BUTTON.LEFT) !== 0 ? STATUS.LEFT : 0) |
      (scaling ? STATUS.SCALING : 0) |
      (enabled ? STATUS.ENABLED : 0) |
      (mode === "remote" ? STATUS.REMOTE : 0);
    return [first, resolution, samplingRate];
  }

  #takeArgument(command: number, byte: number): void {
    if (command === COMMAND.SET_RESOLUTION) this.state.resolution = byte & 3;
    else this.state.samplingRate = byte;
    this.#reply(PS2.ACK);
  }

  #takeCommand(byte: number): void {
    const { state } = this;
    if (byte === COMMAND.RESEND) {
      state.replies = [...state.lastSent];
      return;
    }
    const replies: number[] = [PS2.ACK];
    switch (byte) {
      case COMMAND.RESET_SCALING:
      case COMMAND.SET_SCALING:
        state.scaling = byte === COMMAND.SET_SCALING;
        break;
      case COMMAND.SET_RESOLUTION:
      case COMMAND.SET_SAMPLING_RATE:
        state.awaitingArgumentOf = byte;
        break;
      case COMMAND.STATUS_REQUEST:
        replies.push(...this.#status());
        break;
      case COMMAND.SET_STREAM_MODE:
        state.mode = "stream";
        break;
      case COMMAND.SET_REMOTE_MODE:
        state.mode = "remote";
        break;
      case COMMAND.READ_PACKET:
        replies.push(...this.#takePacket());
        break;
      case COMMAND.SET_WRAP_MODE:
      case COMMAND.RESET_WRAP_MODE:
        state.wrap = byte === COMMAND.SET_WRAP_MODE;
        break;
      case COMMAND.READ_DEVICE_TYPE:
        replies.push(DEVICE_TYPE);
        break;
      case COMMAND.ENABLE:
      case COMMAND.DISABLE:
        state.enabled = byte === COMMAND.ENABLE;
        break;
      case COMMAND.SET_DEFAULT:
        this.state = { ...powerOn(), buttons: state.buttons };
        break;
      case COMMAND.RESET:
        this.state = { ...powerOn(), buttons: state.buttons };
        replies.push(PS2.SELF_TEST_PASSED, DEVICE_TYPE);
        break;
      default:
        replies[0] = PS2.RESEND;
        break;
    }
    this.#reply(...replies);
  }
}
