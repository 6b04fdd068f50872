/** Ctrl-A, as QEMU and minicom have it. */
const ESCAPE = 0x01;

export const terminalHelp = `
  Ctrl-A X        quit
  Ctrl-A H        this help
  Ctrl-A S        instructions so far, speed and virtual time
  Ctrl-A Ctrl-A   send Ctrl-A to the guest
  All other keys, Ctrl-C too, go to the guest.
`;

/** What a key sequence asks of us, not of the guest. */
export type TerminalCommand = "quit" | "help" | "statistics";

// biome-ignore format: one row per fact
const commands: Readonly<Record<string, TerminalCommand>> = {
  x: "quit", X: "quit", "\x18": "quit",
  h: "help", H: "help", "?": "help", "\b": "help",
  s: "statistics", S: "statistics", "\x13": "statistics",
};

/** Tells what is typed for the guest from what is typed for us; a sequence may be cut anywhere. */
export class EscapeFilter {
  #isEscaped = false;

  /** What goes to the guest, and the commands, in order. */
  take(bytes: Uint8Array): (Uint8Array | TerminalCommand)[] {
    const parts: (Uint8Array | TerminalCommand)[] = [];
    let typed: number[] = [];
    for (const byte of bytes) {
      if (!this.#isEscaped) {
        if (byte === ESCAPE) this.#isEscaped = true;
        else typed.push(byte);
        continue;
      }
      this.#isEscaped = false;
      const command = commands[String.fromCharCode(byte)];
      if (command !== undefined) {
        if (typed.length > 0) parts.push(Uint8Array.from(typed));
        typed = [];
        parts.push(command);
      } else if (byte === ESCAPE || byte === 0x61 || byte === 0x41) typed.push(ESCAPE);
      // Other keys after Ctrl-A mean nothing.
    }
    if (typed.length > 0) parts.push(Uint8Array.from(typed));
    return parts;
  }
}
