/** A keyboard or mouse at the end of its cable: what the keyboard controller sees of it. */
export interface Ps2Device {
  /** A byte from the controller: a command or its argument. */
  receive(byte: number): void;
  /** The next byte that the device wants to send, which is then gone; undefined when it has none. */
  send(): number | undefined;
  /** Registers the controller's ear: called when the device may have become ready to send. */
  attach(ready: () => void): void;
}

/** Commands and replies that keyboards and mice share. */
export const PS2 = {
  SET_DEFAULTS: 0xf6,
  DISABLE: 0xf5,
  ENABLE: 0xf4,
  READ_ID: 0xf2,
  RESEND: 0xfe,
  RESET: 0xff,
  ACK: 0xfa,
  SELF_TEST_PASSED: 0xaa,
} as const;
