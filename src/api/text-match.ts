/** Finds a text in a stream of bytes that comes in pieces of any size (Knuth, Morris and Pratt). */
export class TextMatch {
  readonly #wanted: Uint8Array;
  /** For each length of a partial match: how much of it is also a beginning, when the next byte does not fit. */
  readonly #fallback: Uint32Array;
  #matched = 0;

  /** `text` is matched as UTF-8; it is not empty. */
  constructor(text: string) {
    const wanted = new TextEncoder().encode(text);
    const fallback = new Uint32Array(wanted.length + 1);
    for (let length = 1, shorter = 0; length < wanted.length; length++) {
      while (shorter > 0 && wanted[length] !== wanted[shorter]) shorter = fallback[shorter]!;
      if (wanted[length] === wanted[shorter]) shorter++;
      fallback[length + 1] = shorter;
    }
    this.#wanted = wanted;
    this.#fallback = fallback;
  }

  /** The stream's next byte; true when it completes the text. */
  next(byte: number): boolean {
    while (this.#matched > 0 && this.#wanted[this.#matched] !== byte)
      this.#matched = this.#fallback[this.#matched]!;
    if (this.#wanted[this.#matched] === byte) this.#matched++;
    if (this.#matched < this.#wanted.length) return false;
    this.#matched = this.#fallback[this.#matched]!;
    return true;
  }
}
