import type { Flags } from "../ir/effects.ts";
import { type Form, Frame } from "../ir/frame.ts";
import { FALSE, select, type Value } from "../ir/value.ts";

/** What a pure instruction returns: the new value of operand 0 (`dest`), of operand 1 (`src`, for exchanges), and flags. */
export interface Outcome {
  readonly dest?: Value;
  readonly src?: Value;
  readonly flags?: Flags;
  /** The flags change only when this holds. */
  readonly flagsWhen?: Value;
}

/** The meaning of one mnemonic: a pure function of a form, or a procedure of `cpu/procedures` (SDM's long pseudocode). */
export interface Semantics {
  readonly mnemonic: string;
  /** Declares the effects on a frame; absent for a procedure. */
  readonly build: ((frame: Frame, ...operands: Value[]) => void) | undefined;
  /** Of a procedure: the effects in the usual case, for translated code. What it does not cover it leaves to the procedure. */
  readonly usual?: ((frame: Frame, ...operands: Value[]) => void) | undefined;
}

/** An undefined flag. What we choose is listed in docs/QUIRKS.md; 0 unless a row there says otherwise. */
export const undefinedFlag: Value = FALSE;

/** `when(condition, a, b)`: outcome a where the condition holds, else b. A side without flags leaves them unchanged. */
export const when = (condition: Value, a: Outcome, b: Outcome): Outcome => {
  const outcome: { -readonly [K in keyof Outcome]: Outcome[K] } = {};
  if (a.dest && b.dest) outcome.dest = select(condition, a.dest, b.dest);
  if (a.src && b.src) outcome.src = select(condition, a.src, b.src);
  const empty = (flags: Flags | undefined): boolean => flags === undefined || Object.keys(flags).length === 0;
  if (empty(a.flags) && !empty(b.flags)) {
    outcome.flags = b.flags!;
    outcome.flagsWhen = condition.not();
  } else if (!empty(a.flags) && empty(b.flags)) {
    outcome.flags = a.flags!;
    outcome.flagsWhen = condition;
  } else if (!empty(a.flags) && !empty(b.flags)) {
    const merged: Flags = {};
    for (const name of Object.keys(a.flags!) as (keyof Flags)[])
      merged[name] = select(condition, a.flags![name]!, b.flags![name]!);
    outcome.flags = merged;
  }
  return outcome;
};

/** An instruction that only computes: operands in, outcome out. Operands it only writes are still passed, for their width. */
export const define = (mnemonic: string, compute: (...operands: Value[]) => Outcome): Semantics => ({
  mnemonic,
  build: (frame, ...operands) => {
    const { dest, src, flags, flagsWhen } = compute(...operands);
    if (src) frame.write(operands[1]!, src);
    if (dest) frame.write(operands[0]!, dest);
    if (flags) frame.flags(flags, flagsWhen);
  },
});

/** An instruction that also reads or changes what is not an operand: stack, other registers, memory, the flow of control. */
export const defineWith = (
  mnemonic: string,
  build: (frame: Frame, ...operands: Value[]) => void,
): Semantics => ({
  mnemonic,
  build,
});

/** An instruction whose pseudocode is a procedure in TypeScript, entered with precise state: cpu/procedures.ts, by mnemonic. */
export const procedure = (mnemonic: string, usual?: Semantics["usual"]): Semantics => ({
  mnemonic,
  build: undefined,
  usual,
});

/** The effects of an instruction in one form. Pure; readers memoise it. */
export const effectsOf = (semantics: Semantics, form: Form): Frame => {
  const frame = new Frame(form);
  (semantics.build ?? semantics.usual)!(frame, ...frame.operands);
  return frame;
};
