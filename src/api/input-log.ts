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
