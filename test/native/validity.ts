/**
 * Random bytes, and whether this project's witness, a real processor, took them for an instruction: the outcomes are in
 * test/vectors/validity.bin, two bits each, the bytes come from a seed. tools/vectors/validity.ts records them.
 */
import { readFileSync } from "node:fs";
import { Generator } from "./state.ts";

/** Strings per mode. */
export const STRINGS = 60_000;
export const modes = [64, 32] as const;

/** What the processor said; what may not be run in user mode was skipped. */
export const outcomes = ["skipped", "instruction", "#UD"] as const;
export type Outcome = (typeof outcomes)[number];

const prefixes = [0x66, 0xf2, 0xf3, 0x67, 0x48, 0x41, 0x44, 0x2e, 0xf0, 0x4f];

/** Fifteen bytes: up to three prefixes, often an escape or the start of a VEX prefix, then anything. */
export const fillBytes = (bytes: Uint8Array, random: Generator, mode: 64 | 32, n: number): void => {
  random.seed(mode, n);
  let at = 0;
  for (let count = random.below(4); count > 0; count--) bytes[at++] = random.pick(prefixes);
  const map = random.below(6);
  if (map >= 1 && map <= 3) bytes[at++] = 0x0f;
  if (map === 2) bytes[at++] = 0x38;
  if (map === 3) bytes[at++] = 0x3a;
  if (map === 4 && random.oneIn(3)) bytes[at++] = 0xc4;
  for (; at < bytes.length; at++) bytes[at] = random.below(256);
};

export interface ValidityCase {
  readonly mode: 64 | 32;
  /** Used again for the next case. */
  readonly bytes: Uint8Array;
  readonly outcome: Outcome;
}

/** All strings with their outcomes. */
export function* validityCases(): globalThis.Generator<ValidityCase, void, void> {
  const packed = readFileSync(new URL("../vectors/validity.bin", import.meta.url));
  const random = new Generator();
  const bytes = new Uint8Array(15);
  for (const [part, mode] of modes.entries())
    for (let n = 0; n < STRINGS; n++) {
      const at = part * STRINGS + n;
      fillBytes(bytes, random, mode, n);
      yield { mode, bytes, outcome: outcomes[(packed[at >> 2]! >> (2 * (at & 3))) & 3]! };
    }
}
