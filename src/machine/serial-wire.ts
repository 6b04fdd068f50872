import type { Clock, Timer } from "../bus/clock.ts";

/** The receiving end of a serial line. */
export interface SerialReceiver {
  /** False when a byte given to `receive` now would be lost. */
  readonly canReceive: boolean;
  /** False while nobody at the other end wants input yet. */
  readonly isListening: boolean;
  receive(byte: number): void;
}

/** Virtual time between two looks at a receiver that has no room: at first, and at most after doubling. */
const FIRST_LOOK_NS = 1_000;
const LAST_LOOK_NS = 1_000_000;
/** Looks at a receiver without a listener are at multiples of this, so that how long ago the input came makes no difference. */
const DEAF_NS = 1_000_000;

/**
 * The outside end of a serial line: what is sent waits here, losing nothing, until the receiver listens and has room. When bytes are
 * handed over depends on virtual time and on the instruction number of `send` alone.
 */
export class SerialWire {
  /** What has not been handed over; the first `#taken` bytes have. */
  #waiting: Uint8Array[] = [];
  #taken = 0;
  #lookNs = FIRST_LOOK_NS;
  #receiver: SerialReceiver;
  #clock: Clock;
  #timer: Timer;

  constructor(clock: Clock, receiver: SerialReceiver) {
    this.#receiver = receiver;
    this.#clock = clock;
    this.#timer = clock.timer("serial wire", () => this.#deliver());
  }

  /** Bytes that wait. */
  get pending(): number {
    return this.#waiting.reduce((sum, bytes) => sum + bytes.length, 0) - this.#taken;
  }

  send(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#waiting.push(bytes.slice());
    if (this.#timer.deadlineNs === undefined) this.#deliver();
  }

  /** After a reset of the machine the line ends in another chip. */
  connect(clock: Clock, receiver: SerialReceiver): void {
    this.#timer.disarm();
    this.#receiver = receiver;
    this.#clock = clock;
    this.#timer = clock.timer("serial wire", () => this.#deliver());
    this.#deliver();
  }

  #deliver(): void {
    const receiver = this.#receiver;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (!receiver.isListening) {
        this.#timer.arm((Math.floor(this.#clock.nowNs / DEAF_NS) + 1) * DEAF_NS);
        return;
      }
      if (!receiver.canReceive) {
        this.#timer.arm(this.#clock.nowNs + this.#lookNs);
        this.#lookNs = Math.min(2 * this.#lookNs, LAST_LOOK_NS);
        return;
      }
      this.#lookNs = FIRST_LOOK_NS;
      receiver.receive(first[this.#taken++]!);
      if (this.#taken === first.length) {
        this.#waiting.shift();
        this.#taken = 0;
      }
    }
  }
}
