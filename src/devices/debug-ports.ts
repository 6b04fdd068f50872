// Ports that exist in emulators only, by which a guest speaks to whoever runs it. "isa-debugcon" and "isa-debug-exit": QEMU,
// hw/char/debugcon.c and hw/misc/debugexit.c; port 0x8900: Bochs User Manual, "bochsrc", the "unmapped" device.
import type { RegisterBlock } from "../bus/address-range.ts";
import { byteWide } from "../bus/port-io.ts";

/** A read tells a program that the console exists. */
const DEBUGCON_PRESENT = 0xe9;
export const DEBUGCON_PORT = 0xe9;

/** The Bochs and QEMU debug console: one port, every byte written to it is told. Has no state. */
export const debugcon = (told: (byte: number) => void): RegisterBlock =>
  byteWide({
    read: (offset) => (offset === 0 ? DEBUGCON_PRESENT : 0xff),
    write: (offset, byte) => {
      if (offset === 0) told(byte);
    },
  });

/** Where test kernels expect isa-debug-exit, and how many ports it takes. */
export const DEBUG_EXIT_PORT = 0xf4;
export const DEBUG_EXIT_PORTS = 4;

/**
 * QEMU's isa-debug-exit: a write of any size ends the run. `exit` gets (value << 1) | 1, an unsigned 32-bit number: never 0,
 * which means a power-off. Has no state.
 */
export const debugExit = (exit: (status: number) => void): RegisterBlock => ({
  read: () => 0,
  write: (_offset, value) => exit(((value << 1) | 1) >>> 0),
});

export const SHUTDOWN_PORT = 0x8900;
const SHUTDOWN_TEXT = "Shutdown";

export interface ShutdownPortState {
  /** How many letters of "Shutdown" have been written in a row. */
  matched: number;
}

/** Bochs' power-off: the letters of "Shutdown", written one after the other to port 0x8900. */
export class ShutdownPort {
  state: ShutdownPortState = { matched: 0 };
  readonly registers: RegisterBlock;

  constructor(powerOff: () => void) {
    this.registers = byteWide({
      read: () => 0xff,
      write: (offset, byte) => {
        if (offset !== 0) return;
        const letter = String.fromCharCode(byte);
        // A wrong letter may be the right first one.
        const expected = letter === SHUTDOWN_TEXT[this.state.matched] ? this.state.matched : 0;
        this.state.matched = letter === SHUTDOWN_TEXT[expected] ? expected + 1 : 0;
        if (this.state.matched < SHUTDOWN_TEXT.length) return;
        this.state.matched = 0;
        powerOff();
      },
    });
  }

  reset(): void {
    this.state = { matched: 0 };
  }
}
