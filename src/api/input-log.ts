/** Something that reached the machine from outside. */
export type Input =
  | { readonly kind: "serial"; readonly port: 1 | 2; readonly bytes: Uint8Array }
  | { readonly kind: "console"; readonly bytes: Uint8Array }
  /** Real time passed while the processors were halted: virtual time went on to `ns`. */
  | { readonly kind: "time"; readonly ns: number };

/** An input with the moment it was given: between two instructions. */
export interface LoggedInput {
  /** Instructions that all processors had retired since the image was booted. */
  readonly instruction: number;
  /** Virtual nanoseconds since power-on or the last reset. */
  readonly virtualNs: number;
  /** The processors were found waiting just before. */
  readonly idle: boolean;
  readonly input: Input;
}

/** All inputs of a run. With image and configuration they determine it. */
export interface InputLog {
  /** Whether time passed by itself while the processors waited ("time" inputs) or jumped. */
  readonly realTime: boolean;
  readonly inputs: readonly LoggedInput[];
}

/** Numbers of a record: instruction, virtual time, and what was given. */
const RECORD_NUMBERS = 3;

/**
 * Inputs as they are given. An idle guest in real time is given the time a hundred times a second for as long as it runs, so that takes
 * 24 bytes and no object.
 */
export class InputRecorder {
  #numbers = new Float64Array(256 * RECORD_NUMBERS);
  #length = 0;
  /** Inputs that are not time: the third number of their record is one less than the negative of their place here. */
  #others: { readonly idle: boolean; readonly input: Input }[] = [];

  add(instruction: number, virtualNs: number, idle: boolean, input: Input): void {
    if (this.#length === this.#numbers.length) {
      const larger = new Float64Array(2 * this.#length);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    const isPlain = input.kind === "time" && idle;
    this.#numbers[this.#length] = instruction;
    this.#numbers[this.#length + 1] = virtualNs;
    this.#numbers[this.#length + 2] = isPlain ? input.ns : -this.#others.push({ idle, input });
    this.#length += RECORD_NUMBERS;
  }

  inputs(): LoggedInput[] {
    return Array.from({ length: this.#length / RECORD_NUMBERS }, (_, n) => {
      const [instruction, virtualNs, given] = this.#numbers.subarray(
        n * RECORD_NUMBERS,
        (n + 1) * RECORD_NUMBERS,
      );
      const what =
        given! < 0
          ? this.#others[-given! - 1]!
          : { idle: true, input: { kind: "time", ns: given! } as const };
      return { instruction: instruction!, virtualNs: virtualNs!, ...what };
    });
  }

  clear(): void {
    this.#numbers = new Float64Array(256 * RECORD_NUMBERS);
    this.#length = 0;
    this.#others = [];
  }
}
