import { DEVICE_TYPE, type VirtioDevice, type VirtioTransport } from "./virtio-device.ts";

// VIRTIO 1.2, "Console Device": one port.

/** "Feature bits". */
// biome-ignore format: one row per fact
const VIRTIO_CONSOLE_F = { SIZE: 1n << 0n, EMERG_WRITE: 1n << 2n } as const;
// biome-ignore format: one row per fact
const QUEUE = { RECEIVE: 0, TRANSMIT: 1 } as const;
/** struct virtio_console_config. */
// biome-ignore format: one row per fact
const CONFIGURATION = { COLS: 0, ROWS: 2, MAX_NR_PORTS: 4, EMERG_WR: 8, LENGTH: 12 } as const;

const QUEUE_SIZE = 128;
/** Input that the guest has not fetched yet, at most. */
const INPUT_LIMIT = 65536;
/** No driver writes more to a terminal at once. */
const OUTPUT_LIMIT = 2 ** 20;
const OUTPUT_PIECE = 4096;

export interface VirtioConsoleState {
  columns: number;
  rows: number;
  /** Input that waits for buffers of the guest. */
  input: number[];
}

/** A terminal over virtio: without the multiport extension, as port 0 alone. */
export class VirtioConsole implements VirtioDevice {
  readonly name = "virtio console";
  readonly deviceType = DEVICE_TYPE.CONSOLE;
  readonly pciClassCode = 0x07_80_00;
  readonly features = VIRTIO_CONSOLE_F.SIZE | VIRTIO_CONSOLE_F.EMERG_WRITE;
  readonly queueSizes = [QUEUE_SIZE, QUEUE_SIZE];
  state: VirtioConsoleState = { columns: 80, rows: 25, input: [] };
  readonly #transmit: (bytes: Uint8Array) => void;
  #transport: VirtioTransport | undefined;

  /** `transmit` takes what the guest writes. */
  constructor(transmit: (bytes: Uint8Array) => void) {
    this.#transmit = transmit;
  }

  /** Input from the outside world; returns how many bytes were taken, fewer once the guest does not keep up. */
  receive(bytes: Uint8Array): number {
    const taken = bytes.subarray(0, INPUT_LIMIT - this.state.input.length);
    for (const byte of taken) this.state.input.push(byte);
    this.#fill();
    return taken.length;
  }

  /** The terminal's size has changed. */
  resize(columns: number, rows: number): void {
    this.state.columns = columns;
    this.state.rows = rows;
    this.#transport?.configurationChanged();
  }

  configuration(): Uint8Array {
    const bytes = new Uint8Array(CONFIGURATION.LENGTH);
    const view = new DataView(bytes.buffer);
    view.setUint16(CONFIGURATION.COLS, this.state.columns, true);
    view.setUint16(CONFIGURATION.ROWS, this.state.rows, true);
    view.setUint32(CONFIGURATION.MAX_NR_PORTS, 1, true);
    return bytes;
  }

  /** An emergency write transmits one byte, before any queue is set up. */
  writeConfiguration(offset: number, bytes: Uint8Array): void {
    if (offset === CONFIGURATION.EMERG_WR) this.#transmit(bytes.slice(0, 1));
  }

  connect(transport: VirtioTransport): void {
    this.#transport = transport;
  }

  /** Input survives: it is the outside world's, not the driver's. */
  reset(): void {}

  notified(queue: number): void {
    if (queue === QUEUE.RECEIVE) this.#fill();
    else this.#drain();
  }

  /** Give the guest's receive buffers what input there is. */
  #fill(): void {
    const { input } = this.state;
    if (input.length === 0 || this.#transport?.live !== true) return;
    this.#transport.queue(QUEUE.RECEIVE).service(
      (chain) => {
        const bytes = Uint8Array.from(input.splice(0, Math.min(chain.writableLength, input.length)));
        chain.write(0, bytes);
        return bytes.length;
      },
      () => input.length === 0,
    );
  }

  #drain(): void {
    const transport = this.#transport!;
    transport.queue(QUEUE.TRANSMIT).service((chain) => {
      if (chain.readableLength > OUTPUT_LIMIT) {
        transport.needsReset(`${chain.readableLength} bytes for the terminal at once`);
        return undefined;
      }
      for (let at = 0; at < chain.readableLength; at += OUTPUT_PIECE)
        this.#transmit(chain.read(at, OUTPUT_PIECE));
      return 0;
    });
  }
}
