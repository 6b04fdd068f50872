/** Called with what came out since the last call. The machine waits while a promise that it returned is pending. */
export type OutputListener = (bytes: Uint8Array) => unknown;

/** Bytes that leave the machine by one door, gathered and handed to listeners between slices of a run. */
export class OutputStream {
  readonly #listeners = new Set<OutputListener>();
  #bytes = new Uint8Array(4096);
  #length = 0;
  /** Watches single bytes, at the instruction that sends them. */
  watch: ((byte: number) => void) | undefined;

  /** Listen to what comes out, from now on. */
  on(event: "data", listener: OutputListener): this {
    void event;
    this.#listeners.add(listener);
    return this;
  }

  off(event: "data", listener: OutputListener): this {
    void event;
    this.#listeners.delete(listener);
    return this;
  }

  /** A byte comes out of the machine. */
  put(byte: number): void {
    this.watch?.(byte);
    if (this.#listeners.size === 0) return;
    if (this.#length === this.#bytes.length) {
      const larger = new Uint8Array(2 * this.#length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes[this.#length++] = byte;
  }

  /** Hand over what was gathered. A promise where a listener asks the machine to wait. */
  flush(): Promise<unknown> | undefined {
    if (this.#length === 0) return undefined;
    const bytes = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    const waits: unknown[] = [];
    for (const listener of this.#listeners) {
      const answer = listener(bytes);
      if (answer instanceof Promise) waits.push(answer);
    }
    return waits.length > 0 ? Promise.all(waits) : undefined;
  }
}
