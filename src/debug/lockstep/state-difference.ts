import { architecturalBytes, layout } from "../../state/layout.ts";

const hex = (bytes: Uint8Array): string =>
  `0x${[...bytes]
    .reverse()
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .replace(/^0+(?=.)/, "")}`;

/** Where RIP is among the others, the register that says most of what went wrong comes first; counters last. */
const rank = (name: string): number => (name === "retired" ? 2 : name === "RIP" || name === "RFLAGS" ? 1 : 0);

/** A field that differs. */
export interface FieldDifference {
  readonly name: string;
  readonly first: string;
  readonly second: string;
}

/** Are these two states, as `CpuState.architectural` gives them, the same? */
export const sameState = (first: Uint8Array, second: Uint8Array): boolean => {
  const [one, other] = [wordsOf(first), wordsOf(second)];
  for (let n = 0; n < one.length; n++) if (one[n] !== other[n]) return false;
  return true;
};

const wordsOf = (state: Uint8Array): Uint32Array =>
  new Uint32Array(state.buffer, state.byteOffset, architecturalBytes >>> 2);

/** The fields in which two states differ. */
export const fieldDifferences = (first: Uint8Array, second: Uint8Array): FieldDifference[] => {
  const found: FieldDifference[] = [];
  for (const [name, { offset, size, architectural }] of layout) {
    if (!architectural || offset >= architecturalBytes) continue;
    const [one, other] = [first, second].map((state) => hex(state.subarray(offset, offset + size)));
    if (one !== other) found.push({ name, first: one!, second: other! });
  }
  return found.sort((a, b) => rank(a.name) - rank(b.name));
};

/** The first byte in which two memories differ; -1: none. */
export const memoryDifference = (first: Uint8Array, second: Uint8Array): number => {
  const words = (bytes: Uint8Array): Uint32Array =>
    new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
  const [one, other] = [words(first), words(second)];
  for (let n = 0; n < one.length; n++)
    if (one[n] !== other[n]) for (let at = 4 * n; ; at++) if (first[at] !== second[at]) return at;
  return -1;
};
