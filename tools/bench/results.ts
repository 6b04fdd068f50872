/** What was measured, and what follows from it: pure. */
import type { Size } from "./kinds.ts";
import type { Passage } from "./passages.ts";
import type { Bits } from "./toolchain.ts";

/** The names that --contenders takes. */
export type ContenderId = "native" | "qemu" | "v86" | "bochs" | "ours" | "interpreter";

/** One kind of work, done once by one contender. */
export interface Sample extends Passage {
  readonly contender: ContenderId;
  readonly bits: Bits;
  readonly size: Size;
  readonly round: number;
}

/** Wall time, or the processor time of the machine's threads, which a busy host does not lengthen as much. */
export type Clock = "wall" | "processor";

export interface Cell {
  /** The least of all rounds: what disturbs a measurement only makes it longer. */
  readonly seconds: number;
  /** Against the native run of the same size; undefined without one. */
  readonly slowdown: number | undefined;
  readonly size: Size;
  /** False when a checksum differs from that of the first contender in the row. */
  readonly isRight: boolean;
}

export interface Row {
  readonly bits: Bits;
  readonly kind: string;
  readonly cells: ReadonlyMap<ContenderId, Cell>;
}

export const geometricMean = (values: readonly number[]): number | undefined =>
  values.length === 0
    ? undefined
    : Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/** Native time is always the host's: its programs are children of children. */
const secondsOf = (sample: Sample, clock: Clock): number =>
  clock === "processor" && sample.contender !== "native"
    ? (sample.processorSeconds ?? sample.seconds)
    : sample.seconds;

const least = (samples: readonly Sample[], clock: Clock): number | undefined =>
  samples.length === 0 ? undefined : Math.min(...samples.map((sample) => secondsOf(sample, clock)));

const unique = <T>(values: readonly T[]): readonly T[] => [...new Set(values)];

const row = (samples: readonly Sample[], bits: Bits, kind: string, clock: Clock): Row => {
  const cells = new Map<ContenderId, Cell>();
  for (const contender of unique(samples.map((sample) => sample.contender))) {
    const own = samples.filter((sample) => sample.contender === contender && sample.contender !== "native");
    // The native contender has run every size; its cell is of the longest.
    const size = own[0]?.size ?? (samples.some((sample) => sample.size === "normal") ? "normal" : "short");
    const ofSize = samples.filter((sample) => sample.size === size);
    const seconds = least(
      ofSize.filter((sample) => sample.contender === contender),
      clock,
    );
    const native = least(
      ofSize.filter((sample) => sample.contender === "native"),
      clock,
    );
    if (seconds === undefined) continue;
    const reference = ofSize[0]?.checksum;
    const isRight = ofSize.every((sample) => sample.contender !== contender || sample.checksum === reference);
    cells.set(contender, { seconds, slowdown: native && seconds / native, size, isRight });
  }
  return { bits, kind, cells };
};

/** One row for each suite and kind, in the order of `samples`; the first contender of a row has the checksum that counts. */
export const rowsOf = (samples: readonly Sample[], clock: Clock): readonly Row[] =>
  unique(samples.map((sample) => sample.bits)).flatMap((bits) => {
    const suite = samples.filter((sample) => sample.bits === bits);
    return unique(suite.map((sample) => sample.kind)).map((kind) =>
      row(
        suite.filter((sample) => sample.kind === kind),
        bits,
        kind,
        clock,
      ),
    );
  });

const rightSlowdown = (row: Row, contender: ContenderId): number | undefined => {
  const cell = row.cells.get(contender);
  return cell?.isRight ? cell.slowdown : undefined;
};

/** Geometric mean of the slowdowns against native, over the kinds that came out right. */
export const meanSlowdown = (rows: readonly Row[], contender: ContenderId): number | undefined =>
  geometricMean(rows.map((row) => rightSlowdown(row, contender)).filter((value) => value !== undefined));

/** How many times as long as the peer: below 1 is faster. */
export const ratio = (row: Row, contender: ContenderId, peer: ContenderId): number | undefined => {
  const [own, other] = [row.cells.get(contender), row.cells.get(peer)];
  if (!own?.isRight || !other?.isRight) return undefined;
  if (own.size === other.size) return own.seconds / other.seconds;
  return own.slowdown && other.slowdown && own.slowdown / other.slowdown;
};

export interface Comparison {
  /** Geometric mean of the ratios. */
  readonly mean: number;
  readonly worst: number;
  readonly worstKind: string;
  readonly kinds: number;
}

/** A contender beside a peer, over the kinds that both have done right; undefined when there is none. */
export const compare = (
  rows: readonly Row[],
  contender: ContenderId,
  peer: ContenderId,
): Comparison | undefined => {
  const ratios = rows
    .map((row) => ({ kind: row.kind, value: ratio(row, contender, peer) }))
    .filter((entry): entry is { kind: string; value: number } => entry.value !== undefined);
  const mean = geometricMean(ratios.map(({ value }) => value));
  const worst = ratios.toSorted((a, b) => b.value - a.value)[0];
  if (mean === undefined || worst === undefined) return undefined;
  return { mean, worst: worst.value, worstKind: worst.kind, kinds: ratios.length };
};

/** Kinds whose checksums differ, each as a sentence. */
export const wrongs = (rows: readonly Row[]): readonly string[] =>
  rows.flatMap((row) =>
    [...row.cells]
      .filter(([, cell]) => !cell.isRight)
      .map(([contender]) => `${row.kind} (${row.bits}-bit): ${contender} has another checksum`),
  );
