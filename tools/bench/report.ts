/** Results as text: a table for the terminal, and the same in Markdown. Pure. */

import type { Measurements } from "./measure.ts";
import { type Cell, type ContenderId, compare, meanSlowdown, type Row, ratio } from "./results.ts";
import type { Bits } from "./toolchain.ts";

// biome-ignore format: one row per fact
export const TITLES: Readonly<Record<ContenderId, string>> = {
  native:      "native",
  qemu:        "QEMU TCG",
  v86:         "v86",
  bochs:       "Bochs",
  ours:        "Worldswitch",
  interpreter: "interpreter",
};

/** Contenders whose ratio to a peer is told, and the peers. */
const RATIOS: readonly (readonly [ContenderId, ContenderId])[] = [
  ["ours", "qemu"],
  ["ours", "v86"],
];

const times = (value: number | undefined): string =>
  value === undefined ? "-" : `${value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2)}x`;

const cellText = (cell: Cell | undefined, contender: ContenderId): string => {
  if (cell === undefined) return "-";
  if (!cell.isRight) return "WRONG";
  const seconds = cell.seconds.toFixed(3);
  // A short run is marked: its seconds are of less work.
  const mark = cell.size === "short" ? "*" : "";
  return contender === "native" ? seconds : `${seconds}${mark} ${times(cell.slowdown).padStart(6)}`;
};

const contendersOf = (rows: readonly Row[]): readonly ContenderId[] =>
  (Object.keys(TITLES) as ContenderId[]).filter((id) => rows.some((row) => row.cells.has(id)));

const present = (rows: readonly Row[]): typeof RATIOS =>
  RATIOS.filter(([own, peer]) => compare(rows, own, peer) !== undefined);

/** The cells of one suite's table: a heading, a row for each kind, means and worst ratios. */
export const suiteTable = (rows: readonly Row[], bits: Bits): readonly (readonly string[])[] => {
  const suite = rows.filter((row) => row.bits === bits);
  const contenders = contendersOf(suite);
  const ratios = present(suite);
  const heading = [
    `${bits}-bit`,
    ...contenders.map((id) => TITLES[id]),
    ...ratios.map(([own, peer]) => `${TITLES[own]} / ${TITLES[peer]}`),
  ];
  const body = suite.map((row) => [
    row.kind,
    ...contenders.map((id) => cellText(row.cells.get(id), id)),
    ...ratios.map(([own, peer]) => ratio(row, own, peer)?.toFixed(2) ?? "-"),
  ]);
  const comparisons = ratios.map(([own, peer]) => compare(suite, own, peer));
  return [
    heading,
    ...body,
    [
      "geometric mean",
      ...contenders.map((id) => (id === "native" ? "" : times(meanSlowdown(suite, id)))),
      ...comparisons.map((comparison) => comparison?.mean.toFixed(2) ?? "-"),
    ],
    [
      "worst",
      ...contenders.map(() => ""),
      ...comparisons.map((comparison) => `${comparison?.worst.toFixed(2)} ${comparison?.worstKind}`),
    ],
  ];
};

/** Columns as wide as their widest cell. */
export const aligned = (rows: readonly (readonly string[])[]): string => {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join("  ");
  return rows.map((row) => line(row).trimEnd()).join("\n");
};

export const markdown = (rows: readonly (readonly string[])[]): string => {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replace(/ +/g, " ")).join(" | ")} |`;
  const [heading = [], ...body] = rows;
  return [
    line(heading),
    line(heading.map((_, column) => (column === 0 ? "---" : "---:"))),
    ...body.map(line),
  ].join("\n");
};

/** The class of machine and the contenders' versions, in one line. */
export const className = ({ host, versions }: Pick<Measurements, "host" | "versions">): string => {
  const others = (Object.keys(TITLES) as ContenderId[]).flatMap((id) =>
    versions[id] === undefined || id === "interpreter" ? [] : `${TITLES[id]} ${versions[id]}`,
  );
  return `${host.cores} cores (${host.processor}), Node ${versions.node}: ${others.join(", ")}`;
};

const BEGIN = "<!-- npm run bench writes here -->";
const END = "<!-- to here -->";

/** A page of the documentation with what stands between its two marks replaced. */
export const withTables = (page: string, text: string): string => {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error(`the page lacks ${BEGIN} or ${END}`);
  return `${before}${BEGIN}\n\n${text}\n\n${END}${after}`;
};
