import type { PcOutputs } from "../../machine/pc-doors.ts";

/** Something that left the machine, as a line of text; or the moment at which the run was interrupted. */
type Event = { readonly says: string } | "interrupt";

/** What two machines in lockstep send to the outside world: the first one's goes out, the second's must be the same. */
export class EchoOutputs {
  readonly #events: Event[] = [];
  readonly #differs: (says: string) => void;
  readonly first: PcOutputs;
  readonly second: PcOutputs;
  /** Ends the run of the second machine where the first's was. */
  onInterrupt: () => void = () => {};

  constructor(outputs: PcOutputs, differs: (says: string) => void) {
    this.#differs = differs;
    const { unimplemented } = outputs;
    this.first = {
      serial: (port, byte) => {
        this.#note(`byte ${byte} on serial port ${port}`);
        outputs.serial(port, byte);
      },
      debugcon: (byte) => {
        this.#note(`byte ${byte} on the debug console`);
        outputs.debugcon(byte);
      },
      virtioConsole: (bytes) => {
        this.#note(`bytes ${bytes.join(" ")} on the virtio console`);
        outputs.virtioConsole(bytes);
      },
      ...(unimplemented === undefined ? {} : { unimplemented }),
    };
    this.second = {
      serial: (port, byte) => this.#echo(`byte ${byte} on serial port ${port}`),
      debugcon: (byte) => this.#echo(`byte ${byte} on the debug console`),
      virtioConsole: (bytes) => this.#echo(`bytes ${bytes.join(" ")} on the virtio console`),
    };
  }

  #note(says: string): void {
    this.#events.push({ says });
  }

  /** The run of the first machine was interrupted, by somebody who saw what it sent. */
  interrupted(): void {
    this.#events.push("interrupt");
  }

  #echo(says: string): void {
    const sent = this.#events.shift();
    if (sent === "interrupt" || sent === undefined) this.#differs(`nothing and ${says} are sent`);
    else if (sent.says !== says) this.#differs(`${sent.says} and ${says} are sent`);
    while (this.#events[0] === "interrupt") {
      this.#events.shift();
      this.onInterrupt();
    }
  }

  /** To be called where both machines are at the same point: has the second sent all that the first did? */
  check(): void {
    for (const event of this.#events.splice(0))
      if (event !== "interrupt") {
        this.#differs(`${event.says} and nothing are sent`);
        return;
      }
  }
}
