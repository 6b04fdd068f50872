/** What the guests' program says on its serial port, and when it was heard. */

/** One kind of work, done once. */
export interface Passage {
  readonly kind: string;
  /** From the start mark's arrival to the end mark's, on the host's clock; or what the program said, if it did. */
  readonly seconds: number;
  /** Of the machine's processor time in between; undefined where that cannot be told. */
  readonly processorSeconds: number | undefined;
  readonly checksum: string;
}

/** When something was heard. */
export interface Moment {
  readonly seconds: number;
  readonly processorSeconds: number | undefined;
}

const MARK = /@([KSETC])(?: ([\w-]+))?\r?\n/g;

/** Follows the marks @K KIND, @S, @E, @T NANOSECONDS (of a program that shares the host's clock), @C CHECKSUM in text that grows. */
export class PassageListener {
  #heard = 0;
  #kind = "";
  #start: Moment | undefined;
  #end: Moment | undefined;
  #told: number | undefined;

  /** Passages that have become whole. `serial` is all that was written so far, `now` the moment it was last added to. */
  hear(serial: string, now: () => Moment): Passage[] {
    const whole: Passage[] = [];
    MARK.lastIndex = this.#heard;
    for (let mark = MARK.exec(serial); mark !== null; mark = MARK.exec(serial)) {
      this.#heard = MARK.lastIndex;
      const [, letter, word = ""] = mark;
      if (letter === "K") {
        this.#forget();
        this.#kind = word;
      } else if (letter === "S") this.#start = now();
      else if (letter === "E") this.#end = now();
      else if (letter === "T") this.#told = Number(word) / 1e9;
      else if (this.#start !== undefined && this.#end !== undefined) {
        const passage = between(this.#kind, this.#start, this.#end, word);
        whole.push(this.#told === undefined ? passage : { ...passage, seconds: this.#told });
        this.#forget();
      }
    }
    return whole;
  }

  #forget(): void {
    [this.#start, this.#end, this.#told] = [undefined, undefined, undefined];
  }
}

const between = (kind: string, start: Moment, end: Moment, checksum: string): Passage => ({
  kind,
  seconds: end.seconds - start.seconds,
  processorSeconds:
    start.processorSeconds === undefined || end.processorSeconds === undefined
      ? undefined
      : end.processorSeconds - start.processorSeconds,
  checksum,
});
